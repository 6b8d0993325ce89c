//! Payloads that are entered by one thread at a time.

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

use enodev_handles::{Arena, Exclusive, Handle, Lock, RemoveError, Stale, Strategy};

use crate::common::{Disk, STRATEGIES, disks, linger, until};

type Counters = Arena<Disk, (), Exclusive<Cell<u64>>>;

fn counter(arena: &Counters, value: u64) -> Handle<Disk> {
    arena.insert((), Exclusive::new(Cell::new(value))).unwrap()
}

/// The lock of an object, got from inside; one is outside again afterwards.
fn lock_of(arena: &Counters, handle: Handle<Disk>) -> Result<Lock, Stale> {
    Ok(arena.enter(handle)?.lock())
}

/// While one holds the lock, others who try get their reference back, and are still inside by it.
#[test]
fn trying_a_lock_that_is_held_gives_the_reference_back() {
    let arena: Counters = disks(Strategy::Auto);
    let handle = counter(&arena, 1);
    let mut held = arena.enter(handle).unwrap().try_lock().unwrap();
    thread::scope(|scope| {
        let other = || arena.enter(handle).unwrap().try_lock().is_err() && !arena.is_inside(handle);
        assert!(scope.spawn(other).join().unwrap());
    });
    let refused = arena.enter(handle).unwrap().try_lock().unwrap_err();
    *held.get_mut() += 1;
    drop(held);
    assert!(arena.is_inside(handle));
    assert_eq!(refused.try_lock().unwrap().get(), 2);
    assert_eq!(arena.remove(handle).unwrap().into_inner().get(), 2);
}

/// Threads that wait outside and enter with the lock that they have waited for are inside one at a time: no step of a counter
/// that is anything but atomic is lost.
#[test]
fn those_who_wait_outside_get_in_one_at_a_time() {
    const STEPS: u64 = 5000;
    for strategy in STRATEGIES {
        let arena: Counters = disks(strategy);
        let handle = counter(&arena, 0);
        let waited = AtomicUsize::new(0);
        let work = || {
            for _ in 0..STEPS {
                let counter = arena.enter(handle).unwrap().try_lock().unwrap_or_else(|refused| {
                    let mut lock = refused.lock();
                    drop(refused);
                    lock.acquire().unwrap();
                    waited.fetch_add(1, Ordering::Relaxed);
                    arena.enter(handle).unwrap().lock_with(lock).unwrap()
                });
                let before = counter.get();
                (0..8).for_each(|_| std::hint::spin_loop());
                counter.set(before + 1);
            }
        };
        thread::scope(|scope| (0..3).for_each(|_| drop(scope.spawn(work))));
        assert_eq!(arena.remove(handle).unwrap().into_inner().get(), 3 * STEPS);
    }
}

/// A lock that is not held, or is another object's, opens nothing; and the one that was brought is given up.
#[test]
fn a_lock_opens_only_its_own_object() {
    let arena: Counters = disks(Strategy::Auto);
    let (handle, other) = (counter(&arena, 1), counter(&arena, 2));
    let not_held = lock_of(&arena, handle).unwrap();
    assert!(arena.enter(handle).unwrap().lock_with(not_held).is_err());

    let mut foreign = lock_of(&arena, other).unwrap();
    foreign.acquire().unwrap();
    foreign.acquire().unwrap();
    assert!(arena.enter(other).unwrap().try_lock().is_err());
    assert!(arena.enter(handle).unwrap().lock_with(foreign).is_err());
    assert_eq!(arena.enter(other).unwrap().try_lock().unwrap().get(), 2);
    assert_eq!(arena.enter(handle).unwrap().try_lock().unwrap().get(), 1);

    let mut own = lock_of(&arena, handle).unwrap();
    own.acquire().unwrap();
    let entered = arena.enter(handle).unwrap().lock_with(own).unwrap();
    assert!(arena.enter(handle).unwrap().try_lock().is_err());
    drop(entered);
    assert!(arena.enter(handle).unwrap().try_lock().is_ok());
}

/// D-1, E-3: those who wait for the lock are outside: a removal does not wait for them, though the lock be held by one who
/// will not give it up before the removal is over. When they get it, the object has gone.
#[test]
fn a_removal_does_not_wait_for_those_who_wait_for_the_lock() {
    for strategy in STRATEGIES {
        let arena: Counters = disks(strategy);
        let handle = counter(&arena, 5);
        let mut held = lock_of(&arena, handle).unwrap();
        held.acquire().unwrap();
        let (waiting, removed) = (AtomicUsize::new(0), AtomicBool::new(false));
        let wait = || {
            let mut lock = lock_of(&arena, handle).unwrap();
            waiting.fetch_add(1, Ordering::SeqCst);
            lock.acquire().unwrap();
            assert!(removed.load(Ordering::SeqCst));
            assert!(matches!(arena.enter(handle), Err(Stale)));
        };
        thread::scope(|scope| {
            (0..2).for_each(|_| drop(scope.spawn(wait)));
            until(|| waiting.load(Ordering::SeqCst) == 2);
            linger();
            assert_eq!(arena.remove(handle).unwrap().into_inner().get(), 5);
            removed.store(true, Ordering::SeqCst);
            drop(held);
        });
    }
}

/// S2-6: one who is inside with the lock is waited for, and what he did is in the payload that is handed back.
#[test]
fn a_removal_waits_for_the_one_who_holds_the_lock_inside() {
    for strategy in STRATEGIES {
        let arena: Counters = disks(strategy);
        let handle = counter(&arena, 5);
        let inside = arena.enter(handle).unwrap().try_lock().unwrap();
        assert_eq!(arena.remove(handle).err(), Some(RemoveError::Inside));
        thread::scope(|scope| {
            let remover = scope.spawn(|| arena.remove(handle).unwrap().into_inner().get());
            until(|| !arena.contains(handle));
            linger();
            assert!(!remover.is_finished());
            inside.set(6);
            drop(inside);
            assert_eq!(remover.join().unwrap(), 6);
        });
    }
}

/// A part of the payload is held, alone, as the whole was.
#[test]
fn the_lock_of_a_part_is_the_lock_of_the_whole() {
    let arena = disks::<(), Exclusive<(u32, Option<String>)>>(Strategy::Auto);
    let handle = arena.insert((), Exclusive::new((1, Some("tx".to_owned())))).unwrap();
    let enter = || arena.enter(handle).unwrap().try_lock();
    let mut name = enter().unwrap().try_map(|payload| payload.1.as_mut()).unwrap();
    name.push('0');
    assert!(enter().is_err());
    assert_eq!(arena.remove(handle).err(), Some(RemoveError::Inside));
    drop(name);

    let refused = enter().unwrap().try_map(|payload| payload.1.as_mut().filter(|name| name.is_empty()));
    assert_eq!(refused.as_ref().err().map(|whole| whole.0), Some(1));
    assert!(enter().is_err());
    drop(refused);
    assert!(enter().is_ok());
    assert_eq!(arena.remove(handle).unwrap().into_inner(), (1, Some("tx0".to_owned())));
}

/// One who panics inside gives the lock up and leaves; the payload stays as he left it.
#[test]
fn one_who_panics_inside_gives_the_lock_up() {
    let arena: Counters = disks(Strategy::Auto);
    let handle = counter(&arena, 1);
    let panics = || {
        let counter = arena.enter(handle).unwrap().try_lock().unwrap();
        counter.set(2);
        panic!("inside");
    };
    assert!(catch_unwind(AssertUnwindSafe(panics)).is_err());
    assert!(!arena.is_inside(handle));
    assert_eq!(arena.enter(handle).unwrap().try_lock().unwrap().get(), 2);
    assert_eq!(arena.remove(handle).unwrap().into_inner().get(), 2);
}
