//! Removals that go on as a thread leaves: callbacks that remove what they are in.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Barrier, mpsc};
use std::thread;

use enodev_handles::{Arena, Deadlock, Exclusion, Handle, Quiet, RemoveError, Stale, Strategy};

use crate::common::{Disk, Drops, STRATEGIES, Token, disks, linger, until};

type Disks = Arena<Disk, (), Token>;

fn defer(arena: &Disks, handles: &[Handle<Disk>], finish: impl FnOnce(Quiet<'_, Disk, (), Token>) + 'static) {
    let mut leaving = arena.leave();
    handles.iter().for_each(|handle| leaving.mark(*handle).unwrap());
    leaving.defer(|drained| {
        if let Ok(quiet) = drained {
            finish(quiet);
        }
    });
}

/// S0-15: a callback removes its own object. The others who are inside are drained, and the payload is dropped, on its own
/// thread, before its guard's drop returns; not earlier.
#[test]
fn a_callback_removes_its_own_object() {
    for strategy in STRATEGIES {
        for _ in 0..50 {
            let (arena, drops) = (disks(strategy), Drops::default());
            let handle = arena.insert((), drops.token()).unwrap();
            let (entered, left) = (AtomicBool::new(false), Arc::new(AtomicBool::new(false)));
            thread::scope(|scope| {
                scope.spawn(|| {
                    let inside = arena.enter(handle).unwrap();
                    entered.store(true, Ordering::SeqCst);
                    until(|| !arena.contains(handle));
                    linger();
                    left.store(true, Ordering::SeqCst);
                    drop(inside);
                });
                until(|| entered.load(Ordering::SeqCst));
                let inside = arena.enter(handle).unwrap();
                let (caller, other_left) = (thread::current().id(), Arc::clone(&left));
                defer(&arena, &[handle], move |quiet| {
                    assert!(other_left.load(Ordering::SeqCst) && quiet.len() == 1);
                    assert_eq!(thread::current().id(), caller);
                });
                assert!(arena.is_leaving(handle) && drops.count() == 0);
                assert_eq!(arena.remove(handle).err(), Some(RemoveError::Leaving));
                drop(inside);
                assert_eq!((drops.count(), arena.len()), (1, 0));
            });
            assert!(matches!(arena.remove(handle), Err(RemoveError::Stale(Stale))));
        }
    }
}

/// T101, E-7, E-8: of several callbacks inside one object that all remove it, one is told that it did; the others are told at once
/// that it is leaving, and wait for nobody. When the one has returned, all is gone, and later callers find nothing. Someone outside
/// returns when the whole removal is over.
#[test]
fn of_several_callbacks_one_removes_their_object() {
    const CALLBACKS: usize = 4;
    for strategy in STRATEGIES {
        for _ in 0..100 {
            let (arena, drops) = (disks(strategy), Drops::default());
            let handle = arena.insert((), drops.token()).unwrap();
            let (entered, answered) = (Barrier::new(CALLBACKS + 1), Barrier::new(CALLBACKS));
            let callback = || {
                let inside = arena.enter(handle).unwrap();
                entered.wait();
                let mut leaving = arena.leave();
                let told = leaving.mark(handle);
                if told.is_ok() {
                    leaving.defer(|quiet| drop(quiet));
                }
                // None has left before all have an answer.
                answered.wait();
                assert_eq!(drops.count(), 0);
                drop(inside);
                assert!(told.is_err() || (drops.count(), arena.len()) == (1, 0));
                told
            };
            let told: Vec<_> = thread::scope(|scope| {
                let callbacks: Vec<_> = (0..CALLBACKS).map(|_| scope.spawn(callback)).collect();
                let outside = scope.spawn(|| {
                    entered.wait();
                    until(|| !arena.contains(handle));
                    let removed = arena.remove(handle).map(drop);
                    (removed, drops.count())
                });
                assert_eq!(outside.join().unwrap(), (Err(RemoveError::Stale(Stale)), 1));
                callbacks.into_iter().map(|callback| callback.join().unwrap()).collect()
            });
            assert_eq!(told.iter().filter(|told| told.is_ok()).count(), 1);
            assert_eq!(told.iter().filter(|told| **told == Err(RemoveError::Leaving)).count(), CALLBACKS - 1);
        }
    }
}

/// S0-15: with several guards of the same object, the removal goes on as the last of them goes, in whatever order that is, and
/// whatever else the thread is inside of.
#[test]
fn the_removal_goes_on_with_the_last_guard() {
    let orders = [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]];
    for (strategy, order) in STRATEGIES.into_iter().flat_map(|strategy| orders.map(|order| (strategy, order))) {
        let (arena, drops) = (disks(strategy), Drops::default());
        let [handle, other] = [(); 2].map(|()| arena.insert((), drops.token()).unwrap());
        // The last one is of another object.
        let mut guards = [handle, handle, other].map(|handle| Some(arena.enter(handle).unwrap()));
        defer(&arena, &[handle], |quiet| drop(quiet));
        for guard in order {
            assert_eq!(drops.count(), usize::from(guards[0].is_none() && guards[1].is_none()));
            guards[guard] = None;
        }
        assert_eq!(drops.count(), 1);
        assert!(arena.contains(other) && !arena.is_leaving(handle));
    }
}

/// A batch goes on as the thread leaves the last of its objects, all at once; it may be inside some of them only.
#[test]
fn a_batch_goes_on_with_the_last_guard_of_any() {
    for strategy in STRATEGIES {
        let (arena, drops) = (disks(strategy), Drops::default());
        let handles = [(); 3].map(|()| arena.insert((), drops.token()).unwrap());
        let [first, second] = [handles[2], handles[0]].map(|handle| arena.enter(handle).unwrap());
        let expected = handles;
        defer(&arena, &handles, move |quiet| assert_eq!(quiet.handles().collect::<Vec<_>>(), expected));
        drop(first);
        assert_eq!((drops.count(), arena.len()), (0, 3));
        drop(second);
        assert_eq!((drops.count(), arena.len()), (3, 0));
    }
}

/// Two removals that are put off by one thread go on each with its own objects.
#[test]
fn two_removals_are_put_off_apart() {
    let (arena, drops) = (disks(Strategy::Auto), Drops::default());
    let [one, other] = [(); 2].map(|()| arena.insert((), drops.token()).unwrap());
    let [in_one, in_other] = [one, other].map(|handle| arena.enter(handle).unwrap());
    defer(&arena, &[one], |quiet| drop(quiet));
    defer(&arena, &[other], |quiet| drop(quiet));
    drop(in_one);
    assert!((drops.count(), arena.is_leaving(one), arena.is_leaving(other)) == (1, false, true));
    drop(in_other);
    assert_eq!((drops.count(), arena.len()), (2, 0));
}

/// A thread that is not inside goes on at once.
#[test]
fn who_is_outside_removes_at_once() {
    let (arena, drops) = (disks(Strategy::Auto), Drops::default());
    let handle = arena.insert((), drops.token()).unwrap();
    defer(&arena, &[handle], |quiet| drop(quiet));
    assert_eq!((drops.count(), arena.len()), (1, 0));
}

/// Where the thread holds a pin as it leaves, nothing waits and no payload is dropped under the pin: the removal is given up, and
/// reaped later.
#[test]
fn under_a_pin_the_removal_is_given_up() {
    for strategy in STRATEGIES {
        let (arena, drops) = (disks(strategy), Drops::default());
        let handle = arena.insert((), drops.token()).unwrap();
        let inside = arena.enter(handle).unwrap();
        defer(&arena, &[handle], |_| panic!("under a pin"));
        let pin = arena.domain().pin();
        drop(inside);
        assert!(arena.get_leaving(&pin, handle).is_ok());
        assert_eq!((drops.count(), arena.reap()), (0, 0));
        drop(pin);
        assert_eq!((arena.reap(), drops.count(), arena.len()), (1, 1, 0));
    }
}

/// D-1: as the thread leaves, one who is still inside removes an object that the thread is in: one of them is told, or gives up, and
/// neither waits for ever. Nothing is lost.
#[test]
fn a_circle_as_the_thread_leaves_is_found() {
    for strategy in STRATEGIES {
        for _ in 0..200 {
            let (arena, drops) = (disks(strategy), Drops::default());
            let [own, kept] = [(); 2].map(|()| arena.insert((), drops.token()).unwrap());
            let both = Barrier::new(2);
            let finished = Arc::new(AtomicUsize::new(0));
            let removed = thread::scope(|scope| {
                let other = scope.spawn(|| {
                    let _inside = arena.enter(own).unwrap();
                    both.wait();
                    arena.remove(kept).map(drop)
                });
                let in_kept = arena.enter(kept).unwrap();
                let in_own = arena.enter(own).unwrap();
                both.wait();
                let count = Arc::clone(&finished);
                defer(&arena, &[own], move |_| {
                    count.fetch_add(1, Ordering::SeqCst);
                });
                drop(in_own);
                drop(in_kept);
                other.join().unwrap()
            });
            // Either the other was told, or this one has given up.
            let finished = finished.load(Ordering::SeqCst);
            assert!((removed, finished) == (Err(RemoveError::Deadlock), 1) || (removed, finished) == (Ok(()), 0));
            assert_eq!(arena.reap(), 1);
            assert_eq!((drops.count(), arena.len()), (2, 0));
        }
    }
}

/// D-1: who waits for the end of a removal that was put off waits for the thread that it was put off by, whatever that waits for
/// in the meantime.
#[test]
fn a_circle_before_the_thread_leaves_is_found() {
    for strategy in STRATEGIES {
        for _ in 0..200 {
            let (arena, drops, exclusion) = (disks(strategy), Drops::default(), Exclusion::new(()));
            let handle = arena.insert((), drops.token()).unwrap();
            let (tell, told) = mpsc::channel();
            let (joined, locked) = thread::scope(|scope| {
                let (arena, exclusion) = (&arena, &exclusion);
                let outside = scope.spawn(move || {
                    let _held = exclusion.lock().unwrap();
                    tell.send(()).unwrap();
                    until(|| !arena.contains(handle));
                    arena.join(handle)
                });
                told.recv().unwrap();
                let inside = arena.enter(handle).unwrap();
                defer(arena, &[handle], |quiet| drop(quiet));
                let locked = exclusion.lock().map(drop);
                drop(inside);
                (outside.join().unwrap(), locked)
            });
            let one = (joined, locked);
            assert!(one == (Err(RemoveError::Deadlock), Ok(())) || one == (Ok(()), Err(Deadlock)), "{one:?}");
            assert_eq!((drops.count(), arena.len()), (1, 0));
        }
    }
}
