//! Deadlines, and the report of who holds a removal up.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::thread;
use std::time::Instant;

use enodev_handles::{Label, RemoveError};

use crate::common::{STRATEGIES, disks, until};

/// D-1: a drain whose deadline has come names who is inside: the object, what they do there, which thread, since when it has been
/// seen. Who has left is not among them any more; the others' times stay.
#[test]
fn a_deadline_tells_who_is_inside() {
    let (show, dma) = (Label::new("show"), Label::new("dma"));
    for strategy in STRATEGIES {
        let arena = disks::<(), u32>(strategy);
        let [busy, idle, used] = [1, 2, 3].map(|payload| arena.insert((), payload).unwrap());
        let go = AtomicBool::new(false);
        thread::scope(|scope| {
            let (tell, told) = mpsc::channel();
            let (arena, go) = (&arena, &go);
            let named = thread::Builder::new().name("vcpu0".into());
            let reader = named.spawn_scoped(scope, move || {
                let inside = arena.enter_labelled(busy, show).unwrap();
                tell.send(()).unwrap();
                until(|| go.load(Ordering::SeqCst));
                drop(inside);
            });
            let reader = reader.unwrap();
            told.recv().unwrap();
            let made = Instant::now();
            let owned = arena.enter_owned(used, dma).unwrap();

            let mut leaving = arena.leave();
            [busy, idle, used].into_iter().for_each(|handle| leaving.mark(handle).unwrap());
            let before = Instant::now();
            let Err((mut leaving, error)) = leaving.drain_until(Instant::now()) else { panic!("somebody is inside") };
            assert_eq!(error, RemoveError::TimedOut);
            let first = leaving.blockers();
            let [one, other] = &first[..] else { panic!("{first:?}") };
            assert_eq!((one.object, one.label, one.is_owned), (busy, show, false));
            assert_eq!((one.thread, one.name.as_deref()), (Some(reader.thread().id()), Some("vcpu0")));
            assert!(before <= one.since && one.since <= Instant::now());
            assert_eq!((other.object, other.label, other.is_owned), (used, dma, true));
            assert_eq!(other.thread, Some(thread::current().id()));
            assert!(made <= other.since && other.since <= before);
            let text = one.to_string();
            assert!(text.contains("show") && text.contains("vcpu0") && text.contains("Disk"), "{text}");

            let again = leaving.blockers();
            assert_eq!([again[0].since, again[1].since], [one.since, other.since]);
            drop(owned);
            assert_eq!(leaving.blockers().len(), 1);
            go.store(true, Ordering::SeqCst);
            reader.join().unwrap();
            assert!(leaving.blockers().is_empty() && leaving.is_quiet() == Ok(true));
            assert_eq!(leaving.drain_until(Instant::now()).map(|quiet| quiet.len()).ok(), Some(3));
        });
        assert!(arena.is_empty());
    }
}

/// One who enters again elsewhere is not named, nor one who fails to enter; one who entered without a label is, without one.
#[test]
fn only_those_inside_are_named() {
    for strategy in STRATEGIES {
        let arena = disks::<(), u32>(strategy);
        let [leaves, stays] = [1, 2].map(|payload| arena.insert((), payload).unwrap());
        let elsewhere = arena.enter_labelled(stays, Label::new("elsewhere")).unwrap();
        let once = arena.enter_labelled(leaves, Label::new("gone")).unwrap();
        let inside = arena.enter(leaves).unwrap();
        drop(once);
        let mut leaving = arena.leave();
        leaving.mark(leaves).unwrap();
        assert!(arena.enter_labelled(leaves, Label::new("late")).is_err());
        let blockers = leaving.blockers();
        let found: Vec<_> = blockers.iter().map(|one| (one.object, one.label, one.thread)).collect();
        assert_eq!(found, [(leaves, Label::NONE, Some(thread::current().id()))]);
        drop((elsewhere, inside));
        assert!(leaving.blockers().is_empty());
        drop(leaving.drain().unwrap());
    }
}
