//! A removal waits for those who are inside, for all of them and for nobody else.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

use enodev_handles::{Arena, Domain, RemoveError, Stale, Strategy};

use crate::common::{Bus, Disk, Drops, STRATEGIES, disks, linger, until};

/// S2-4, S2-6, S2-7, S3-4, T43: with one consumer inside, a remover blocks; a second consumer is refused at once while
/// the first goes on reading; the remover returns only after the first has left.
#[test]
fn a_removal_refuses_newcomers_and_waits_for_those_inside() {
    for strategy in STRATEGIES {
        let drops = Drops::default();
        let arena = disks::<(), _>(strategy);
        let handle = arena.insert((), (41, drops.token())).unwrap();
        let left = AtomicBool::new(false);
        let first = arena.enter(handle).unwrap();
        thread::scope(|scope| {
            let remover = scope.spawn(|| {
                let payload = arena.remove(handle).unwrap();
                assert!(left.load(Ordering::SeqCst), "the remover has overtaken the consumer");
                payload.0
            });
            until(|| !arena.contains(handle));
            let second = scope.spawn(|| matches!(arena.enter(handle), Err(Stale)));
            assert!(second.join().unwrap());
            linger();
            assert!(!remover.is_finished());
            assert_eq!((first.0, drops.count()), (41, 0));
            left.store(true, Ordering::SeqCst);
            drop(first);
            assert_eq!(remover.join().unwrap(), 41);
        });
        assert_eq!(drops.count(), 1);
    }
}

/// S2-6, T103: threads that share one handle have guards of their own, and the removal waits for the last of them, in
/// whatever order they leave.
#[test]
fn a_removal_waits_for_the_last_of_several_threads_inside() {
    const READERS: usize = 3;
    for (strategy, last) in STRATEGIES.into_iter().flat_map(|strategy| (0..READERS).map(move |last| (strategy, last))) {
        let arena = disks::<(), u32>(strategy);
        let handle = arena.insert((), 7).unwrap();
        let inside = [const { AtomicBool::new(false) }; READERS];
        let may_leave = [const { AtomicBool::new(false) }; READERS];
        let left = AtomicUsize::new(0);
        thread::scope(|scope| {
            for me in 0..READERS {
                let (arena, inside, may_leave, left) = (&arena, &inside, &may_leave, &left);
                scope.spawn(move || {
                    let guard = arena.enter(handle).unwrap();
                    inside[me].store(true, Ordering::SeqCst);
                    until(|| may_leave[me].load(Ordering::SeqCst));
                    assert_eq!(*guard, 7);
                    left.fetch_add(1, Ordering::SeqCst);
                });
            }
            until(|| inside.iter().all(|inside| inside.load(Ordering::SeqCst)));
            let remover = scope.spawn(|| {
                assert_eq!(arena.remove(handle), Ok(7));
                assert_eq!(left.load(Ordering::SeqCst), READERS, "somebody was still inside");
            });
            until(|| !arena.contains(handle));
            for me in (0..READERS).filter(|me| *me != last) {
                may_leave[me].store(true, Ordering::SeqCst);
                linger();
            }
            let early = remover.is_finished();
            may_leave[last].store(true, Ordering::SeqCst);
            assert!(!early);
        });
    }
}

/// S2-6: two guards of one thread on one object are two: the removal waits for the second as well.
#[test]
fn a_removal_waits_for_both_guards_of_one_thread() {
    for strategy in STRATEGIES {
        let arena = disks::<(), u32>(strategy);
        let handle = arena.insert((), 7).unwrap();
        let (first, second) = (arena.enter(handle).unwrap(), arena.enter(handle).unwrap());
        let left = AtomicBool::new(false);
        thread::scope(|scope| {
            scope.spawn(|| {
                assert_eq!(arena.remove(handle), Ok(7));
                assert!(left.load(Ordering::SeqCst));
            });
            until(|| !arena.contains(handle));
            drop(first);
            linger();
            assert_eq!(*second, 7);
            left.store(true, Ordering::SeqCst);
            drop(second);
        });
    }
}

/// S3-10: who is inside one object holds up no removal of another, be it in another slot of the arena, in another arena of
/// the domain or in another domain; and what he is inside of stays.
#[test]
fn a_removal_waits_for_nobody_in_another_object() {
    for strategy in STRATEGIES {
        let domain = Domain::with_strategy(strategy).unwrap();
        let disks: Arena<Disk, (), u32> = Arena::new(&domain).unwrap();
        let buses: Arena<Bus, (), u32> = Arena::new(&domain).unwrap();
        let others = crate::common::disks::<(), u32>(strategy);
        let (disk, neighbour) = (disks.insert((), 1).unwrap(), disks.insert((), 2).unwrap());
        let (bus, other) = (buses.insert((), 3).unwrap(), others.insert((), 4).unwrap());
        let on_bus = buses.enter(bus).unwrap();
        let in_disk = disks.enter(disk).unwrap();
        thread::scope(|scope| {
            assert_eq!(scope.spawn(|| disks.remove(neighbour)).join().unwrap(), Ok(2));
            assert_eq!(scope.spawn(|| others.remove(other)).join().unwrap(), Ok(4));
            drop(in_disk);
            assert_eq!(scope.spawn(|| disks.remove(disk)).join().unwrap(), Ok(1));
        });
        assert!(buses.is_inside(bus));
        assert_eq!(*on_bus, 3);
        assert!(matches!(disks.enter(disk), Err(Stale)));
    }
}

/// S2-5: entering fails only when the object goes: while others come and go all around, and many threads are inside, a live
/// object never refuses anybody.
#[test]
fn a_live_object_refuses_nobody() {
    for strategy in STRATEGIES {
        let arena = disks::<u32, u32>(strategy);
        let stays = arena.insert(5, 5).unwrap();
        let read = || {
            for _ in 0..5000 {
                let (first, again) = (arena.enter(stays).unwrap(), arena.enter(stays).unwrap());
                assert_eq!((*first, *again), (5, 5));
                assert_eq!(arena.get(&arena.domain().pin(), stays), Ok(&5));
            }
        };
        thread::scope(|scope| {
            (0..2).for_each(|_| drop(scope.spawn(read)));
            for round in 0..2000 {
                let handle = arena.insert(round, round).unwrap();
                assert_eq!(arena.remove(handle), Ok(round));
            }
        });
    }
}

/// E-4: all of a batch are marked before any is waited for, and nothing of it is dropped before all of it is quiet, although
/// most of it has nobody inside.
#[test]
fn nothing_of_a_batch_is_dropped_before_all_of_it_is_quiet() {
    for strategy in STRATEGIES {
        let drops = Drops::default();
        let arena = disks::<(), _>(strategy);
        let handles = [(); 5].map(|()| arena.insert((), drops.token()).unwrap());
        let mut leaving = arena.leave();
        let busy = arena.enter(handles[2]).unwrap();
        let left = AtomicBool::new(false);
        thread::scope(|scope| {
            scope.spawn(|| {
                handles.iter().for_each(|handle| leaving.mark(*handle).unwrap());
                assert!(handles.iter().all(|handle| matches!(arena.enter(*handle), Err(Stale))));
                let quiet = leaving.drain().unwrap();
                assert!(left.load(Ordering::SeqCst));
                drop(quiet);
            });
            until(|| !handles.iter().any(|handle| arena.contains(*handle)));
            linger();
            assert_eq!(drops.count(), 0);
            assert_eq!(arena.len(), handles.len());
            left.store(true, Ordering::SeqCst);
            drop(busy);
        });
        assert_eq!((drops.count(), arena.len()), (5, 0));
    }
}

/// S2-7, S3-3: the payloads of a batch are handed back in the order in which they were marked; those that are not asked for
/// are dropped with it.
#[test]
fn a_batch_hands_payloads_back_in_the_order_of_marking() {
    let drops = Drops::default();
    let arena = disks::<(), _>(Strategy::Auto);
    let handles = [3, 1, 2].map(|name| arena.insert((), (name, drops.token())).unwrap());
    let mut leaving = arena.leave();
    for chosen in [2, 0, 1] {
        leaving.mark(handles[chosen]).unwrap();
    }
    let mut quiet = leaving.drain().unwrap();
    let (first, kept) = quiet.take().unwrap();
    let (second, _) = quiet.take().unwrap();
    assert_eq!((first, kept.0, second, drops.count()), (handles[2], 2, handles[0], 1));
    drop(quiet);
    assert_eq!(drops.count(), 2);
    drop(kept);
    assert_eq!(drops.count(), 3);
    assert!(arena.is_empty());
}

/// A batch may be empty, and so may be what is left of one.
#[test]
fn an_empty_batch_is_quiet_at_once() {
    let arena = disks::<(), u32>(Strategy::Auto);
    let mut quiet = arena.leave().drain().unwrap();
    assert!(quiet.take().is_none());
    let handle = arena.insert((), 1).unwrap();
    let mut leaving = arena.leave();
    leaving.mark(handle).unwrap();
    assert_eq!(leaving.mark(handle), Err(RemoveError::Leaving));
    let mut quiet = leaving.drain().unwrap();
    assert_eq!(quiet.take(), Some((handle, 1)));
    assert!(quiet.take().is_none());
    quiet.drop_payloads();
}
