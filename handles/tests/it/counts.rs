//! What a domain counts.

use std::future::Future;
use std::pin::pin;
use std::task::{Context, Poll, Waker};
use std::thread;
use std::time::{Duration, Instant};

use enodev_handles::{Arena, Handle, Label, RemoveError};

use crate::common::{Bus, Disk, STRATEGIES, disks, until};

/// Whatever refuses a stale handle counts that, once, for all arenas of the domain and all threads together; what is found counts
/// nothing.
#[test]
fn refused_look_ups_are_counted() {
    for strategy in STRATEGIES {
        let disks: Arena<Disk, (), u8> = disks(strategy);
        let domain = disks.domain();
        let buses: Arena<Bus, (), ()> = Arena::new(domain).unwrap();
        let [live, gone] = [1, 2].map(|number| disks.insert((), number).unwrap());
        disks.remove(gone).unwrap();
        let label = Label::new("read");
        drop((disks.enter(live).unwrap(), disks.enter_labelled(live, label), disks.enter_owned(live, label)));
        let far = Handle::from_bits(live.to_bits() | 0xffff_fff0);
        assert!(disks.get(&domain.pin(), live).is_ok() && disks.session().enter(live).is_ok());
        assert!(!disks.contains(gone) && disks.get_leaving(&domain.pin(), gone).is_err());
        assert_eq!(domain.counts().stale, 0);
        for stale in [gone, far, Handle::null()] {
            let refusals: [&dyn Fn() -> bool; 6] = [
                &|| disks.enter(stale).is_err(),
                &|| disks.enter_labelled(stale, label).is_err(),
                &|| disks.enter_owned(stale, label).is_err(),
                &|| disks.enter_all([live, stale]).is_err(),
                &|| disks.session().enter(stale).is_err(),
                &|| disks.get(&domain.pin(), stale).is_err(),
            ];
            for (at, is_refused) in refusals.into_iter().enumerate() {
                let before = domain.counts().stale;
                assert!(is_refused());
                assert_eq!(domain.counts().stale, before + 1, "{at}: {stale:?}");
            }
        }
        let before = domain.counts().stale;
        thread::scope(|scope| {
            for _ in 0..3 {
                scope.spawn(|| (0..100).for_each(|_| assert!(disks.enter(gone).is_err())));
            }
        });
        assert!(buses.enter(gone.cast()).is_err());
        assert_eq!(domain.counts().stale, before + 301);
    }
}

/// Only a drain that waits is counted, and timed: not one that finds nobody, nor one that only looks.
#[test]
fn drains_that_wait_are_counted_and_timed() {
    for strategy in STRATEGIES {
        let disks: Arena<Disk, (), u8> = disks(strategy);
        let counts = || disks.domain().counts();
        let [first, second] = [1, 2].map(|number| disks.insert((), number).unwrap());
        disks.remove(first).unwrap();
        assert_eq!((counts().drains, counts().longest_drain), (0, Duration::ZERO));

        let guard = disks.enter(second).unwrap();
        thread::scope(|scope| {
            let removed = scope.spawn(|| {
                let mut leaving = disks.leave();
                leaving.mark(second).unwrap();
                let (leaving, error) = leaving.drain_until(Instant::now()).unwrap_err();
                assert_eq!((error, counts().drains), (RemoveError::TimedOut, 0));
                let start = Instant::now();
                drop(leaving.drain().map_err(|(_, error)| error).unwrap());
                start.elapsed()
            });
            until(|| counts().drains_now == 1);
            assert_eq!((counts().drains, counts().longest_drain), (1, Duration::ZERO));
            let seen = Instant::now();
            until(|| seen.elapsed() > Duration::from_millis(1));
            drop(guard);
            let at_most = removed.join().unwrap();
            let longest = counts().longest_drain;
            assert!(longest > Duration::from_millis(1) && longest <= at_most, "{longest:?} of {at_most:?}");
        });
        assert_eq!((counts().drains, counts().drains_now), (1, 0));
        let third = disks.insert((), 3).unwrap();
        let longest = counts().longest_drain;
        disks.remove(third).unwrap();
        assert_eq!((counts().drains, counts().longest_drain), (1, longest));
    }
}

/// So are drains under a label, drains for an owned reference, and those that are awaited, until they are over or dropped.
#[test]
fn all_sorts_of_drains_are_counted() {
    let disks: Arena<Disk, (), u8> = disks(STRATEGIES[0]);
    let counts = || (disks.domain().counts().drains, disks.domain().counts().drains_now);
    let sda = disks.insert((), 1).unwrap();
    let label = Label::new("read");
    disks.drain_labelled(sda, &[label], None).unwrap();
    assert_eq!(counts(), (0, 0));
    let read = disks.enter_owned(sda, label).unwrap();
    thread::scope(|scope| {
        let drain = scope.spawn(|| disks.drain_labelled(sda, &[label], None));
        until(|| counts() == (1, 1));
        drop(read);
        drain.join().unwrap().unwrap();
    });
    assert_eq!(counts(), (1, 0));

    let read = disks.enter_owned(sda, label).unwrap();
    let mut leaving = disks.leave();
    leaving.mark(sda).unwrap();
    let mut context = Context::from_waker(Waker::noop());
    {
        let mut drained = pin!(leaving.drained());
        assert_eq!(counts(), (1, 0));
        assert!(drained.as_mut().poll(&mut context).is_pending());
        assert!(drained.as_mut().poll(&mut context).is_pending());
        assert_eq!(counts(), (2, 1));
    }
    assert_eq!(counts(), (2, 0));
    let mut drained = pin!(disks.given_up().next().unwrap().drained());
    assert!(drained.as_mut().poll(&mut context).is_pending());
    drop(read);
    assert_eq!(counts(), (3, 1));
    assert!(matches!(drained.as_mut().poll(&mut context), Poll::Ready(Ok(_))));
    assert_eq!(counts(), (3, 0));
}
