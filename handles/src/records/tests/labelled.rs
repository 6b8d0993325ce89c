//! Drains of those who are inside under a label, as seen from between their steps.

#![expect(unsafe_code, reason = "a wait for a lock is a pointer's")]

use super::*;

use crate::error::Deadlock;
use crate::waits::{self, On};

fn labels() -> [Label; 2] {
    ["records-show", "records-store"].map(Label::new)
}

fn now() -> Option<Instant> {
    Some(Instant::now())
}

/// Whoever entered after the look is not waited for: neither somebody in a cell that was empty nor the one who was seen, though he be
/// back under the same label in the same cell.
#[test]
fn a_stay_that_began_after_the_look_is_not_waited_for() {
    in_a_thread(|| {
        for way in Way::all() {
            let (place, stays, [show, store]) = (Place::new(), Stays::default(), labels());
            let shows = [show];
            let look = || Under::look(place.address(), &shows, way.fences(), &stays).unwrap();
            way.prepare();
            let seen = look();
            let mut ticket = way.enter_labelled(place.address(), show);
            assert_eq!(seen.wait(now(), None), Ok(()), "{way:?}");
            for label in [store, show] {
                let seen = look();
                // It has seen this thread, for which it would wait itself.
                assert_eq!(look().wait(None, None), Err(RemoveError::Deadlock), "{way:?}");
                ticket.leave();
                ticket = way.enter_labelled(place.address(), label);
                assert_eq!(seen.wait(now(), None), Ok(()), "{way:?}");
                ticket.leave();
                ticket = way.enter_labelled(place.address(), show);
            }
            ticket.leave();
        }
    });
}

/// So it is with owned references.
#[test]
fn an_owned_reference_that_was_made_after_the_look_is_not_waited_for() {
    let (place, stays, [show, store]) = (Place::new(), Stays::default(), labels());
    let shows = [show];
    let look = || Under::look(place.address(), &shows, Fences::Symmetric, &stays).unwrap();
    let early = look();
    let (other, first) = (stays.begin(place.address(), store), stays.begin(place.address(), show));
    assert_eq!(early.wait(now(), None), Ok(()));
    let (late, second) = (look(), stays.begin(place.address(), show));
    assert_eq!(look().wait(now(), None), Err(RemoveError::TimedOut));
    stays.end(place.address(), first);
    assert_eq!(late.wait(now(), None), Ok(()));
    assert_eq!(look().wait(now(), None), Err(RemoveError::TimedOut));
    assert!(![other, second].map(|number| stays.end(place.address(), number)).contains(&true), "nothing is orphaned");
    assert_eq!(look().wait(now(), None), Ok(()));
}

/// Somebody waits for one stay of the caller's. In the next one, under the same label in the same cell, the caller may wait for him: he
/// is about to go on.
#[test]
fn who_has_left_is_free_to_wait_though_he_be_back() {
    in_a_thread(|| {
        let (place, [show, _]) = (Place::new(), labels());
        let enter = || enter_labelled_fenced(place.address(), show.number());
        // No record's, and no thread's that is at its end.
        let other = u32::MAX >> 2;
        let holder = AtomicU32::new(other);
        // SAFETY: the word outlives the wait, which is dropped at once.
        let wait = || unsafe { waits::begin(own_number(), On::Lock(ptr::NonNull::from(&holder))) }.map(drop);
        let ticket = enter();
        let occupant = place.occupants()[0].under(&[show]).unwrap();
        let waiting = waits::for_occupants(other, &[occupant]).unwrap();
        assert_eq!(wait(), Err(Deadlock));
        ticket.leave();
        let ticket = enter();
        assert_eq!(wait(), Ok(()));
        drop(waiting);
        ticket.leave();
    });
}

/// Where nobody can have entered without a fence a drain issues no barrier, and it issues one more where it has to sleep for somebody who
/// may leave without. One that only looks sleeps for nobody.
#[test]
fn a_drain_under_a_label_issues_a_barrier_only_if_it_must() {
    use crate::fences::tests::barriers;

    alone("labelled::a_drain_under_a_label_issues_a_barrier_only_if_it_must", || {
        if !has_barriers() {
            return;
        }
        let (place, [show, _]) = (Place::new(), labels());
        let inside = |way: Way, wait: Duration| {
            let (leave, left) = mpsc::channel::<()>();
            let (inside, came) = mpsc::channel();
            let address = place.address();
            let thread = thread::spawn(move || {
                way.prepare();
                let ticket = way.enter_labelled(address, show);
                inside.send(()).unwrap();
                assert!(left.recv().is_err());
                ticket.leave();
            });
            came.recv().unwrap();
            let deadline = Some(Instant::now() + wait);
            let drain =
                || assert_eq!(place.drain_labelled(&[show], way.fences(), deadline), Err(RemoveError::TimedOut));
            let issued = barriers(drain);
            drop(leave);
            thread.join().unwrap();
            issued
        };
        let ways = [Way::Symmetric, Way::Fenced, Way::Unfenced];
        assert_eq!(ways.map(|way| inside(way, A_WHILE)), [0, 0, 2]);
        assert_eq!(ways.map(|way| inside(way, Duration::ZERO)), [0, 0, 1]);
        assert_eq!(barriers(|| assert_eq!(place.drain_labelled(&[show], Fences::Asymmetric, None), Ok(()))), 0);
    });
}
