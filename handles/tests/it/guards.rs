//! Active references in every order, in great number, and forgotten.

use std::cell::Cell;
use std::mem;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Instant;

use enodev_handles::{Active, Arena, Handle, RemoveError, Stale, Strategy};

use crate::common::{Disk, Drops, STRATEGIES, disks, linger, until};

/// Drops the guards of four objects in the order given. Whatever has been left can be removed by another thread at once;
/// whatever has not is still held.
fn leave_in_order(strategy: Strategy, order: [usize; 4]) {
    let arena = disks::<(), usize>(strategy);
    let handles: Vec<_> = (0..4).map(|name| arena.insert((), name).unwrap()).collect();
    let mut guards: Vec<_> = handles.iter().map(|handle| Some(arena.enter(*handle).unwrap())).collect();
    for name in order {
        guards[name] = None;
        let removed = thread::scope(|scope| scope.spawn(|| arena.remove(handles[name])).join().unwrap());
        assert_eq!(removed, Ok(name));
        for (other, guard) in guards.iter().enumerate() {
            assert_eq!(arena.is_inside(handles[other]), guard.is_some(), "{order:?}: {other} after {name}");
            assert!(guard.as_ref().is_none_or(|guard| **guard == other));
        }
    }
}

/// T103: guards of one thread may be dropped in any order; each holds and frees its own object only.
#[test]
fn guards_may_be_dropped_in_any_order() {
    for strategy in STRATEGIES {
        for code in 0..256_usize {
            let order = [code & 3, code >> 2 & 3, code >> 4 & 3, code >> 6];
            let distinct = (0..4).all(|name| order.contains(&name));
            if distinct {
                leave_in_order(strategy, order);
            }
        }
    }
}

/// A hundred objects entered at once, each left in turn from the middle outwards: all are held until they are left.
#[test]
fn a_hundred_guards_at_once_hold_a_hundred_objects() {
    let arena = disks::<(), usize>(Strategy::Auto);
    let handles: Vec<_> = (0..100).map(|name| arena.insert((), name).unwrap()).collect();
    let mut guards: Vec<_> = handles.iter().map(|handle| Some(arena.enter(*handle).unwrap())).collect();
    let middle_out = (0..50).flat_map(|step| [50 + step, 49 - step]);
    for name in middle_out {
        guards[name] = None;
        let inside = handles.iter().map(|handle| arena.is_inside(*handle));
        assert!(inside.eq(guards.iter().map(Option::is_some)), "after {name} was left");
        assert_eq!(arena.remove(handles[name]), Ok(name));
    }
    assert!(arena.is_empty());
}

/// S2-6: a guard beyond those that a thread holds cheaply is waited for like any other.
#[test]
fn a_removal_waits_for_a_guard_among_a_hundred() {
    for (strategy, late) in STRATEGIES.into_iter().flat_map(|strategy| [6, 7, 8, 50, 99].map(|late| (strategy, late))) {
        let drops = Drops::default();
        let arena = disks::<(), _>(strategy);
        let handle = arena.insert((), drops.token()).unwrap();
        let ballast: Vec<_> = (0..100).map(|_| arena.insert((), drops.token()).unwrap()).collect();
        let left = AtomicBool::new(false);
        let guards: Vec<_> = ballast[..late].iter().map(|handle| arena.enter(*handle).unwrap()).collect();
        let guard = arena.enter(handle).unwrap();
        drop(guards);
        thread::scope(|scope| {
            scope.spawn(|| {
                drop(arena.remove(handle).unwrap());
                assert!(left.load(Ordering::SeqCst));
            });
            until(|| !arena.contains(handle));
            linger();
            assert_eq!(drops.count(), 0);
            left.store(true, Ordering::SeqCst);
            drop(guard);
        });
        assert_eq!(drops.count(), 1);
    }
}

/// Entering and failing to enter leave nothing behind, however often: what was entered can be removed by its own thread.
#[test]
fn a_failed_enter_holds_nothing() {
    let arena = disks::<(), ()>(Strategy::Auto);
    let (gone, stays) = (arena.insert((), ()).unwrap(), arena.insert((), ()).unwrap());
    arena.remove(gone).unwrap();
    for _ in 0..100 {
        assert!(matches!(arena.enter(gone), Err(Stale)));
        drop(arena.enter(stays).unwrap());
    }
    assert!(!arena.is_inside(stays));
    assert_eq!(arena.remove(stays), Ok(()));
}

/// A part of a payload is held as the whole was, whether the guard was exchanged or handed back.
#[test]
fn a_guard_of_a_part_holds_the_whole() {
    let arena = disks::<(), (u32, Option<String>)>(Strategy::Auto);
    let handle = arena.insert((), (1, Some("eth0".to_owned()))).unwrap();
    let name = arena.enter(handle).unwrap().try_map(|payload| payload.1.as_ref()).unwrap();
    let name: Active<'_, str> = name.map(|name| name.as_str());
    assert_eq!(&*name, "eth0");
    assert_eq!(arena.remove(handle), Err(RemoveError::Inside));
    drop(name);

    let refused = arena.enter(handle).unwrap().try_map(|payload| payload.1.as_ref().filter(|_| payload.0 == 2));
    assert_eq!(refused.as_ref().err().map(|whole| whole.0), Some(1));
    assert_eq!(arena.remove(handle), Err(RemoveError::Inside));
    drop(refused);
    assert_eq!(arena.remove(handle), Ok((1, Some("eth0".to_owned()))));
}

/// Enters an object of a new arena, forgets the guard and drops the arena. Tells where the payload lay.
fn forget_a_guard(strategy: Strategy) -> usize {
    let drops = Drops::default();
    let arena = disks::<(), _>(strategy);
    let handle = arena.insert((), drops.token()).unwrap();
    let guard = arena.enter(handle).unwrap();
    let place = (&raw const *guard).addr();
    mem::forget(guard);
    assert!(arena.is_inside(handle));
    assert_eq!(arena.remove(handle).err(), Some(RemoveError::Inside));
    drop(arena);
    assert_eq!(drops.count(), 1, "the payload goes with its arena");
    place
}

/// A forgotten guard holds up neither the end of its arena nor any later arena, even one whose objects lie where the
/// forgotten one's did.
#[test]
fn a_forgotten_guard_does_not_outlive_its_arena() {
    let mut met_again = false;
    for strategy in STRATEGIES {
        for _ in 0..100 {
            let place = forget_a_guard(strategy);
            let drops = Drops::default();
            let arena = disks::<(), _>(strategy);
            let handles: Vec<_> = (0..200).map(|_| arena.insert((), drops.token()).unwrap()).collect();
            for handle in handles {
                met_again |= (&raw const *arena.enter(handle).unwrap()).addr() == place;
                assert!(!arena.is_inside(handle), "the forgotten guard counts for another object");
                drop(arena.remove(handle).unwrap());
            }
            assert_eq!(drops.count(), 200);
        }
    }
    assert!(met_again, "the memory was never used again: nothing has been shown");
}

/// The same for a guard that was forgotten by a thread that has ended since, one beyond those that are held cheaply.
#[test]
fn a_guard_forgotten_by_a_thread_that_has_ended_does_not_outlive_its_arena() {
    for strategy in STRATEGIES {
        for _ in 0..50 {
            let drops = Drops::default();
            let arena = disks::<(), _>(strategy);
            let handle = arena.insert((), drops.token()).unwrap();
            let forget = || {
                let ballast: Vec<_> = (0..9).map(|_| arena.enter(handle).unwrap()).collect();
                mem::forget(arena.enter(handle).unwrap());
                drop(ballast);
                assert!(arena.is_inside(handle));
            };
            thread::scope(|scope| scope.spawn(forget).join().unwrap());
            // Whoever is given what the thread left behind is not inside by that.
            thread::scope(|scope| scope.spawn(|| assert!(!arena.is_inside(handle))).join().unwrap());
            drop(arena);
            assert_eq!(drops.count(), 1);
            let arena = disks::<(), u32>(strategy);
            let handle = arena.insert((), 1).unwrap();
            let removed = thread::scope(|scope| scope.spawn(|| arena.remove(handle)).join().unwrap());
            assert_eq!(removed, Ok(1));
        }
    }
}

/// A forgotten guard holds its object, also beyond the end of its thread: a drain gives up at its deadline, as often as it is
/// tried. When the guard's lifetime is known to be over, the removal is over at once, and so is the one that was given up;
/// whoever is in another arena stays in.
#[test]
fn a_forgotten_guard_holds_its_object_until_it_is_given_up() {
    for (strategy, ballast) in STRATEGIES.into_iter().flat_map(|strategy| [0, 20].map(|ballast| (strategy, ballast))) {
        let drops = Drops::default();
        let (mut arena, elsewhere) = (disks::<(), _>(strategy), disks::<(), u32>(strategy));
        let (handle, other) = (arena.insert((), drops.token()).unwrap(), elsewhere.insert((), 7).unwrap());
        let in_other = elsewhere.enter(other).unwrap();
        let forget = || {
            let _ballast: Vec<_> = (0..ballast).map(|_| arena.enter(handle).unwrap()).collect();
            mem::forget(arena.enter(handle).unwrap());
        };
        thread::scope(|scope| scope.spawn(forget).join().unwrap());
        let mut leaving = arena.leave();
        leaving.mark(handle).unwrap();
        for _ in 0..3 {
            let (same, error) = leaving.drain_until(Instant::now()).err().unwrap();
            assert_eq!(error, RemoveError::TimedOut);
            leaving = same;
        }
        drop(leaving);
        assert_eq!(drops.count(), 0);
        let forgotten = arena.insert((), drops.token()).unwrap();
        mem::forget(arena.enter(forgotten).unwrap());
        assert!(arena.is_inside(forgotten));

        arena.forget_guards();
        assert!(!arena.is_inside(forgotten) && elsewhere.is_inside(other));
        let remove = || drop(arena.remove(forgotten).unwrap());
        thread::scope(|scope| scope.spawn(remove).join().unwrap());
        assert_eq!((*in_other, drops.count()), (7, 2));
        drop(in_other);
        assert_eq!(elsewhere.remove(other), Ok(7));
    }
}

/// A forgotten guard holds its own object only: the thread that forgot it enters, leaves and removes others as before.
#[test]
fn a_forgotten_guard_holds_nothing_but_its_object() {
    let arena = disks::<(), u32>(Strategy::Auto);
    let held = arena.insert((), 0).unwrap();
    mem::forget(arena.enter(held).unwrap());
    for name in 1..200 {
        let handle = arena.insert((), name).unwrap();
        assert_eq!(*arena.enter(handle).unwrap(), name);
        assert_eq!(arena.remove(handle), Ok(name));
    }
    assert!(arena.contains(held));
}

/// Objects whose payloads take no room are still told apart.
#[test]
fn objects_without_a_size_are_told_apart() {
    let arena = disks::<(), ()>(Strategy::Auto);
    let (first, second) = (arena.insert((), ()).unwrap(), arena.insert((), ()).unwrap());
    let guard = arena.enter(first).unwrap();
    assert!(arena.is_inside(first) && !arena.is_inside(second));
    assert_eq!(arena.remove(second), Ok(()));
    drop(guard);
}

/// Two guards can be exchanged: what holds an object is the guard, not the variable it is in.
#[test]
fn guards_can_be_moved_about() {
    let arena = disks::<(), u32>(Strategy::Auto);
    let handles: [Handle<Disk>; 2] = [1, 2].map(|name| arena.insert((), name).unwrap());
    let [mut first, mut second] = handles.map(|handle| Box::new(arena.enter(handle).unwrap()));
    mem::swap(&mut *first, &mut *second);
    drop(first);
    assert!(arena.is_inside(handles[0]) && !arena.is_inside(handles[1]));
    assert_eq!(arena.remove(handles[1]), Ok(2));
    assert_eq!(**second, 1);
}

thread_local! {
    static SEEN: Cell<usize> = const { Cell::new(0) };
}

/// S2-3: what is held is held for one operation: a thousand visits of one thread, nested and not, end with nobody inside.
#[test]
fn nested_visits_leave_nothing_behind() {
    fn visit(arena: &Arena<Disk, (), u32>, handles: &[Handle<Disk>]) {
        let Some((handle, rest)) = handles.split_first() else {
            return;
        };
        let guard = arena.enter(*handle).unwrap();
        visit(arena, rest);
        SEEN.set(SEEN.get() + *guard as usize);
    }
    let arena = disks::<(), u32>(Strategy::Auto);
    let handles: Vec<_> = (0..20).map(|_| arena.insert((), 1).unwrap()).collect();
    for depth in (0..20).cycle().take(1000) {
        visit(&arena, &handles[..depth]);
    }
    assert_eq!(SEEN.get(), (0..20).sum::<usize>() * 50);
    assert!(handles.iter().all(|handle| !arena.is_inside(*handle)));
    assert!(handles.iter().all(|handle| arena.remove(*handle) == Ok(1)));
}
