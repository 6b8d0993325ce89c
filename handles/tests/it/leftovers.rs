//! Removals that were given up or forgotten half-way.

use std::mem;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::thread;
use std::time::Instant;

use enodev_handles::{Label, RemoveError, Stale, Strategy};

use crate::common::{Drops, STRATEGIES, disks, linger, until};

/// S3-5: a removal that was given up while somebody is inside leaves the object leaving: it is stale for all, who asks is told
/// so, and neither that nor another removal waits for it. Once nobody is inside, the next removal finishes it.
#[test]
fn a_removal_that_was_given_up_is_finished_by_the_next() {
    let (parts, payloads) = (Drops::default(), Drops::default());
    let arena = disks(Strategy::Auto);
    let [handle, other, last] = [(); 3].map(|()| arena.insert(parts.token(), payloads.token()).unwrap());
    let inside = arena.enter_owned(handle, Label::NONE).unwrap();
    let mut leaving = arena.leave();
    leaving.mark(handle).unwrap();
    drop(leaving);

    assert!(matches!(arena.enter(handle), Err(Stale)));
    assert!(!arena.contains(handle) && arena.is_leaving(handle));
    assert!(arena.get_leaving(&arena.domain().pin(), handle).is_ok());
    assert_eq!(arena.join(handle), Err(RemoveError::Leaving));
    assert_eq!(arena.remove(handle).err(), Some(RemoveError::Leaving));
    let elsewhere = thread::scope(|scope| scope.spawn(|| arena.remove(handle).err()).join().unwrap());
    assert_eq!(elsewhere, Some(RemoveError::Leaving));
    drop(arena.remove(last).unwrap());
    assert_eq!((arena.len(), arena.reap(), payloads.count()), (2, 0, 1));

    drop(inside);
    assert_eq!(payloads.count(), 1, "a reader finishes nothing");
    drop(arena.remove(other).unwrap());
    assert_eq!((arena.len(), payloads.count()), (0, 3));
    drop(arena);
    assert_eq!((parts.count(), payloads.count()), (3, 3));
}

/// S3-5: what was given up can be finished by any thread that asks for it, or is reaped, or goes with its arena; each once.
#[test]
fn what_was_given_up_is_anybodys() {
    let payloads = Drops::default();
    let arena = disks(Strategy::Auto);
    let give_up = || {
        let mut leaving = arena.leave();
        leaving.mark(arena.insert((), payloads.token()).unwrap()).unwrap();
    };
    give_up();
    let finish = || arena.given_up().next().unwrap().drain().unwrap().take().is_some();
    assert!(thread::scope(|scope| scope.spawn(finish).join().unwrap()));
    assert_eq!((payloads.count(), arena.given_up().count(), arena.reap()), (1, 0, 0));
    give_up();
    assert_eq!((arena.reap(), payloads.count(), arena.len()), (1, 2, 0));
    give_up();
    arena.given_up().for_each(drop);
    drop(arena);
    assert_eq!(payloads.count(), 3);
}

/// Giving a removal up does not disturb those who are inside, and ends the waiting of those who wait for it.
#[test]
fn giving_a_removal_up_wakes_those_who_wait_for_it() {
    for strategy in STRATEGIES {
        let drops = Drops::default();
        let arena = disks::<(), _>(strategy);
        let handle = arena.insert((), drops.token()).unwrap();
        let guard = arena.enter(handle).unwrap();
        let given_up = AtomicBool::new(false);
        thread::scope(|scope| {
            let remover = scope.spawn(|| {
                let mut leaving = arena.leave();
                leaving.mark(handle).unwrap();
                until(|| given_up.load(Ordering::SeqCst));
                drop(leaving);
            });
            until(|| !arena.contains(handle));
            let waits = scope.spawn(|| (arena.join(handle), given_up.load(Ordering::SeqCst)));
            linger();
            given_up.store(true, Ordering::SeqCst);
            assert_eq!(waits.join().unwrap(), (Err(RemoveError::Leaving), true));
            remover.join().unwrap();
        });
        assert_eq!(drops.count(), 0);
        drop(guard);
        drop(arena);
        assert_eq!(drops.count(), 1);
    }
}

/// A slot whose removal was given up is not used again while somebody is inside, and the arena goes on with others.
#[test]
fn the_slot_of_an_abandoned_removal_is_not_used_again() {
    let arena = disks::<(), u32>(Strategy::Auto);
    let handle = arena.insert((), 0).unwrap();
    let _inside = arena.enter_owned(handle, Label::NONE).unwrap();
    let mut leaving = arena.leave();
    leaving.mark(handle).unwrap();
    drop(leaving);
    for name in 1..500 {
        let next = arena.insert((), name).unwrap();
        assert_ne!(crate::common::index(next), crate::common::index(handle));
        assert_eq!(arena.remove(next), Ok(name));
    }
    assert_eq!(arena.len(), 1);
    assert!(!arena.contains(handle));
}

/// A drained batch that is forgotten leaks what is left in it; nothing of it is dropped twice.
#[test]
fn a_forgotten_batch_drops_nothing_twice() {
    let (parts, payloads) = (Drops::default(), Drops::default());
    let arena = disks(Strategy::Auto);
    let handles = [(); 3].map(|()| arena.insert(parts.token(), payloads.token()).unwrap());
    let mut leaving = arena.leave();
    handles.iter().for_each(|handle| leaving.mark(*handle).unwrap());
    let mut quiet = leaving.drain().unwrap();
    drop(quiet.take());
    mem::forget(quiet);
    assert!(handles.iter().all(|handle| !arena.contains(*handle)));
    assert_eq!((payloads.count(), arena.len()), (1, 3));
    drop(arena);
    assert_eq!((parts.count(), payloads.count()), (3, 1));
}

/// Nor is anything of a batch that is forgotten before its drain, nor of one whose removal has been done.
#[test]
fn a_forgotten_removal_drops_nothing_twice() {
    let (parts, payloads) = (Drops::default(), Drops::default());
    let arena = disks(Strategy::Auto);
    let [forgotten, removed, stays] = [(); 3].map(|()| arena.insert(parts.token(), payloads.token()).unwrap());
    let mut leaving = arena.leave();
    leaving.mark(forgotten).unwrap();
    mem::forget(leaving);
    mem::forget(arena.remove(removed).unwrap());
    assert!(arena.contains(stays) && !arena.contains(forgotten));
    drop(arena);
    assert_eq!((parts.count(), payloads.count()), (3, 1));
}

/// S3-3: who asks again for an object whose removal was given up gets its payload, once nobody is inside; the others that were
/// marked with it go with it.
#[test]
fn the_payload_of_a_removal_that_was_given_up_can_be_had() {
    let arena = disks::<(), (u32, Drops)>(Strategy::Auto);
    let drops = Drops::default();
    let handles = [1, 2, 3].map(|name| arena.insert((), (name, drops.clone())).unwrap());
    let inside = arena.enter_owned(handles[2], Label::NONE).unwrap();
    let mut leaving = arena.leave();
    handles.iter().for_each(|handle| leaving.mark(*handle).unwrap());
    let (leaving, error) = leaving.drain_until(Instant::now()).err().unwrap();
    assert_eq!(error, RemoveError::TimedOut);
    drop(leaving);
    assert_eq!(arena.remove(handles[1]).err(), Some(RemoveError::Leaving));
    drop(inside);
    assert_eq!(arena.remove(handles[1]).map(|(name, _)| name).ok(), Some(2));
    assert_eq!(arena.len(), 0);
    assert!(handles.iter().all(|handle| arena.remove(*handle).err() == Some(RemoveError::Stale(Stale))));
}

/// E-47: who sleeps inside an object is woken by the mark alone, before anybody drains.
#[test]
fn a_mark_wakes_who_sleeps_inside() {
    for strategy in STRATEGIES {
        let arena = disks::<(), ()>(strategy);
        let handle = arena.insert((), ()).unwrap();
        let (tell, told) = mpsc::channel();
        thread::scope(|scope| {
            let arena = &arena;
            scope.spawn(move || {
                let _guard = arena.enter(handle).unwrap();
                tell.send(()).unwrap();
                assert!(arena.sleep(handle, None, || false));
                tell.send(()).unwrap();
            });
            told.recv().unwrap();
            linger();
            let mut leaving = arena.leave();
            leaving.mark(handle).unwrap();
            told.recv().unwrap();
            assert!(leaving.drain().is_ok());
        });
    }
}

/// A removal that waits for a guard which was forgotten is given up with it: no later leave of the thread goes on with it, and
/// the payload is dropped once, also where an owned reference outlives the arena.
#[test]
fn what_was_put_off_until_a_forgotten_guard_leaves_is_given_up_with_it() {
    let drops = Drops::default();
    let mut arena = disks::<(), _>(Strategy::Auto);
    let other = disks::<(), ()>(Strategy::Auto);
    let elsewhere = other.insert((), ()).unwrap();
    let handle = arena.insert((), drops.token()).unwrap();
    let owned = arena.enter_owned(handle, Label::NONE).unwrap();
    let guard = arena.enter(handle).unwrap();
    let mut leaving = arena.leave();
    leaving.mark(handle).unwrap();
    let (tell, told) = mpsc::channel::<()>();
    leaving.defer(move |_| tell.send(()).unwrap());
    mem::forget(guard);
    arena.forget_guards();
    assert!(arena.has_given_up());
    // In the same cell as the guard.
    drop(other.enter(elsewhere).unwrap());
    assert!(told.try_recv().is_err());
    drop(arena);
    assert_eq!(drops.count(), 0, "somebody is inside");
    drop(owned);
    assert_eq!(drops.count(), 1);
}

/// A visit that was forgotten is over when its session enters another object: whoever waits for it is woken at once.
#[test]
fn a_forgotten_visit_ends_with_the_next() {
    for strategy in STRATEGIES {
        let arena = disks::<(), u32>(strategy);
        let [first, second] = [1, 2].map(|name| arena.insert((), name).unwrap());
        thread::scope(|scope| {
            let mut session = arena.session();
            mem::forget(session.enter(first).unwrap());
            let remover = scope.spawn(|| arena.remove(first));
            until(|| !arena.contains(first));
            linger();
            let visit = session.enter(second).unwrap();
            assert_eq!(remover.join().unwrap(), Ok(1));
            assert_eq!(*visit, 2);
        });
    }
}
