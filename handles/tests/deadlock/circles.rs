//! Circles of one kind each, and what becomes of everybody in them. `rings` mixes the kinds.

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Barrier, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use enodev_handles::{CloseError, Deadlock, Exclusion, Exclusive, Gate, Label, RemoveError, Strategy};

use crate::common::{OnDrop, STRATEGIES, disks, index, until};

const ROUNDS: usize = 200;

/// As many callbacks as there are objects, each inside one and removing the next: how many are told what.
fn remove_in_a_ring(strategy: Strategy, size: usize) {
    let arena = disks::<(), AtomicBool>(strategy);
    let handles: Vec<_> = (0..size).map(|_| arena.insert((), AtomicBool::new(false)).unwrap()).collect();
    let all = Barrier::new(size);
    let callback = |at: usize| {
        let inside = arena.enter(handles[at]).unwrap();
        all.wait();
        let removed = arena.remove(handles[(at + 1) % size]);
        inside.store(true, Ordering::SeqCst);
        removed.map(AtomicBool::into_inner)
    };
    let told: Vec<_> = thread::scope(|scope| {
        let threads: Vec<_> = (0..size).map(|at| scope.spawn(move || callback(at))).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    // Who has been told nothing has the object, of which the one who was inside was done with it.
    let deadlocks = told.iter().filter(|told| **told == Err(RemoveError::Deadlock)).count();
    let removed = told.iter().filter(|told| **told == Ok(true)).count();
    assert_eq!((deadlocks, removed), (1, size - 1), "{told:?}");
    assert!(!handles.iter().any(|handle| arena.contains(*handle)));
    assert_eq!((arena.reap(), arena.len()), (1, 0));
}

/// D-1: two callbacks that remove each other's object: one is told that it would wait for itself, and as it returns, the other's
/// removal is over. What was refused goes on leaving, and is reaped.
#[test]
fn of_two_callbacks_that_remove_each_other_one_is_told() {
    for strategy in STRATEGIES {
        (0..ROUNDS).for_each(|_| remove_in_a_ring(strategy, 2));
    }
}

/// D-1: the same for a ring of three and of five.
#[test]
fn of_a_ring_of_callbacks_one_is_told() {
    for strategy in STRATEGIES {
        (0..ROUNDS).for_each(|round| remove_in_a_ring(strategy, if round % 2 == 0 { 3 } else { 5 }));
    }
}

/// A deadline does not keep a circle from being found as it closes, nor is it waited for.
#[test]
fn a_circle_of_drains_with_deadlines_is_found_at_once() {
    for strategy in STRATEGIES {
        for _ in 0..ROUNDS {
            let arena = disks::<(), u32>(strategy);
            let handles = [0, 1].map(|payload| arena.insert((), payload).unwrap());
            let both = Barrier::new(2);
            let callback = |at: usize| {
                let _inside = arena.enter(handles[at]).unwrap();
                both.wait();
                let mut leaving = arena.leave();
                leaving.mark(handles[1 - at]).unwrap();
                leaving.drain_until(Instant::now() + Duration::from_secs(1 << 20)).err().map(|(_, error)| error)
            };
            let told = thread::scope(|scope| {
                let other = scope.spawn(|| callback(1));
                [callback(0), other.join().unwrap()]
            });
            assert!(
                told == [None, Some(RemoveError::Deadlock)] || told == [Some(RemoveError::Deadlock), None],
                "{told:?}"
            );
        }
    }
}

/// Who only looks whether somebody is inside waits for nobody, and so closes no circle.
#[test]
fn a_drain_whose_deadline_has_passed_closes_no_circle() {
    for strategy in STRATEGIES {
        for _ in 0..ROUNDS {
            let arena = disks::<(), ()>(strategy);
            let [ours, others] = [(), ()].map(|()| arena.insert((), ()).unwrap());
            let both = Barrier::new(2);
            thread::scope(|scope| {
                let remover = scope.spawn(|| {
                    let _inside = arena.enter(others).unwrap();
                    both.wait();
                    arena.remove(ours)
                });
                let inside = arena.enter(ours).unwrap();
                both.wait();
                until(|| arena.domain().counts().drains_now == 1);
                let mut leaving = arena.leave();
                leaving.mark(others).unwrap();
                for _ in 0..10 {
                    let (given_back, error) = leaving.drain_until(Instant::now()).unwrap_err();
                    assert_eq!(error, RemoveError::TimedOut);
                    leaving = given_back;
                }
                drop(inside);
                assert_eq!(remover.join().unwrap(), Ok(()));
                assert_eq!(leaving.drain().unwrap().len(), 1);
            });
        }
    }
}

/// D-1: one is inside an exclusive object with its lock and removes another, in which somebody waits for that lock.
#[test]
fn a_circle_through_an_exclusive_payload_is_found() {
    for strategy in STRATEGIES {
        for _ in 0..ROUNDS {
            let arena = disks::<(), Exclusive<u32>>(strategy);
            let [locked, other] = [0, 1].map(|payload| arena.insert((), Exclusive::new(payload)).unwrap());
            let both = Barrier::new(2);
            let (removed, entered) = thread::scope(|scope| {
                let remover = scope.spawn(|| {
                    let _inside = arena.enter(locked).unwrap().try_lock().unwrap();
                    both.wait();
                    arena.remove(other).map(drop)
                });
                let _inside = arena.enter(other).unwrap();
                both.wait();
                let mut lock = arena.enter(locked).unwrap().lock();
                let acquired = lock.acquire();
                let entered = acquired.map(|()| arena.enter(locked).unwrap().lock_with(lock).is_ok());
                drop(_inside);
                (remover.join().unwrap(), entered)
            });
            let one = (removed, entered);
            assert!(one == (Err(RemoveError::Deadlock), Ok(true)) || one == (Ok(()), Err(Deadlock)), "{one:?}");
            assert!(arena.enter(locked).unwrap().try_lock().is_ok());
        }
    }
}

/// D-1: the remover holds a lock of the embedder's that somebody inside waits for. The lock was declared, so it is found.
#[test]
fn a_circle_through_a_declared_exclusion_is_found() {
    for strategy in STRATEGIES {
        for _ in 0..ROUNDS {
            let (arena, exclusion) = (disks::<(), u32>(strategy), Exclusion::new(7));
            let handle = arena.insert((), 1).unwrap();
            let both = Barrier::new(2);
            let (removed, locked) = thread::scope(|scope| {
                let remover = scope.spawn(|| {
                    let _held = exclusion.lock().unwrap();
                    both.wait();
                    arena.remove(handle)
                });
                let inside = arena.enter(handle).unwrap();
                both.wait();
                let locked = exclusion.lock().map(|value| *value);
                drop(inside);
                (remover.join().unwrap(), locked)
            });
            let one = (removed, locked);
            assert!(one == (Err(RemoveError::Deadlock), Ok(7)) || one == (Ok(1), Err(Deadlock)), "{one:?}");
        }
    }
}

/// D-1, E-6: a second remover that holds an exclusion waits for the first one's removal, which waits for somebody inside, who
/// waits for the exclusion. One of the three is told; where it is the first remover, the removal is given up and the second is
/// told that.
#[test]
fn a_circle_through_a_second_remover_is_found() {
    let mut seen = [0; 3];
    for strategy in STRATEGIES {
        for _ in 0..ROUNDS {
            let (arena, exclusion) = (disks::<(), u32>(strategy), Exclusion::new(()));
            let handle = arena.insert((), 1).unwrap();
            let all = Barrier::new(3);
            let told = thread::scope(|scope| {
                let second = scope.spawn(|| {
                    let _held = exclusion.lock().unwrap();
                    all.wait();
                    until(|| !arena.contains(handle));
                    arena.join(handle)
                });
                let first = scope.spawn(|| {
                    all.wait();
                    arena.remove(handle).map(drop)
                });
                let inside = arena.enter(handle).unwrap();
                all.wait();
                let locked = exclusion.lock().map(drop);
                drop(inside);
                (first.join().unwrap(), second.join().unwrap(), locked)
            });
            let which = match told {
                (Err(RemoveError::Deadlock), Err(RemoveError::Leaving), Ok(())) => 0,
                (Ok(()), Err(RemoveError::Deadlock), Ok(())) => 1,
                (Ok(()), Ok(()), Err(Deadlock)) => 2,
                _ => panic!("{told:?}"),
            };
            seen[which] += 1;
            assert_eq!(arena.reap(), usize::from(which == 0));
        }
    }
    assert!(seen.iter().filter(|count| **count > 0).count() > 1, "{seen:?}");
}

/// The same where the first remover is past its drain: the payload's drop wants the exclusion that the second remover holds.
#[test]
fn a_circle_through_a_payload_s_drop_is_found() {
    for strategy in STRATEGIES {
        for _ in 0..ROUNDS {
            let (exclusion, told) = (Arc::new(Exclusion::new(())), Arc::new(Mutex::new(None)));
            let payload = {
                let (exclusion, told) = (Arc::clone(&exclusion), Arc::clone(&told));
                OnDrop::new(move || *told.lock().unwrap() = Some(exclusion.lock().map(drop)))
            };
            let arena = disks::<(), OnDrop>(strategy);
            let handle = arena.insert((), payload).unwrap();
            let held = exclusion.lock().unwrap();
            let joined = thread::scope(|scope| {
                scope.spawn(|| {
                    let mut leaving = arena.leave();
                    leaving.mark(handle).unwrap();
                    drop(leaving.drain().unwrap());
                });
                until(|| !arena.contains(handle));
                let joined = arena.join(handle);
                drop(held);
                joined
            });
            let one = (joined, told.lock().unwrap().unwrap());
            assert!(one == (Err(RemoveError::Deadlock), Ok(())) || one == (Ok(()), Err(Deadlock)), "{one:?}");
            assert!(arena.is_empty());
        }
    }
}

/// A batch that waits for another's removal before its own drain is waited for through that: one of the four is told.
#[test]
fn a_circle_through_a_batch_that_waits_for_a_child_is_found() {
    for strategy in STRATEGIES {
        for _ in 0..ROUNDS {
            let (arena, exclusion) = (disks::<(), u32>(strategy), Exclusion::new(()));
            let [parent, child] = [0, 1].map(|payload| arena.insert((), payload).unwrap());
            let all = Barrier::new(4);
            let told = thread::scope(|scope| {
                let of_child = scope.spawn(|| {
                    all.wait();
                    arena.remove(child).map(drop)
                });
                let of_parent = scope.spawn(|| {
                    all.wait();
                    until(|| !arena.contains(child));
                    let mut leaving = arena.leave();
                    leaving.mark(parent).unwrap();
                    leaving.join(&arena, child)?;
                    leaving.drain().map(drop).map_err(|(_, error)| error)
                });
                let second = scope.spawn(|| {
                    let _held = exclusion.lock().unwrap();
                    all.wait();
                    until(|| !arena.contains(parent));
                    arena.join(parent)
                });
                let inside = arena.enter(child).unwrap();
                all.wait();
                let locked = exclusion.lock().map_err(|Deadlock| RemoveError::Deadlock).map(drop);
                drop(inside);
                [of_child.join().unwrap(), of_parent.join().unwrap(), second.join().unwrap(), locked]
            });
            let deadlocks = told.iter().filter(|told| **told == Err(RemoveError::Deadlock)).count();
            assert_eq!(deadlocks, 1, "{told:?}");
            arena.reap();
            assert!(arena.is_empty());
        }
    }
}

/// A gate takes part: who is inside waits for a lock that the closer holds.
#[test]
fn a_circle_through_a_gate_is_found() {
    for _ in 0..ROUNDS {
        let (gate, exclusion) = (Gate::new(1), Exclusion::new(()));
        let both = Barrier::new(2);
        let (closed, locked) = thread::scope(|scope| {
            let closer = scope.spawn(|| {
                let _held = exclusion.lock().unwrap();
                both.wait();
                gate.close()
            });
            let inside = gate.enter().unwrap();
            both.wait();
            let locked = exclusion.lock().map(drop);
            drop(inside);
            (closer.join().unwrap(), locked)
        });
        let one = (closed, locked);
        assert!(one == (Err(CloseError::Deadlock), Ok(())) || one == (Ok(1), Err(Deadlock)), "{one:?}");
    }
}

/// A payload that wants a lock as it is dropped, once another thread has come to the barrier; and whether it was refused.
fn locks_as_it_is_dropped(lock: &'static Exclusion) -> (OnDrop, Arc<Barrier>, Arc<AtomicBool>) {
    let (both, refused) = (Arc::new(Barrier::new(2)), Arc::new(AtomicBool::new(false)));
    let (meet, note) = (Arc::clone(&both), Arc::clone(&refused));
    let locks = OnDrop::new(move || {
        meet.wait();
        note.store(lock.lock().is_err(), Ordering::SeqCst);
    });
    (locks, both, refused)
}

/// D-1: one reaps two removals that were given up, and as the first payload is dropped wants a lock whose holder waits for the second: of the two
/// one is told.
#[test]
fn who_waits_for_what_another_reaps_waits_for_all_that_he_reaps() {
    static LOCK: Exclusion = Exclusion::new(());
    for _ in 0..ROUNDS {
        let arena = disks::<(), OnDrop>(Strategy::Auto);
        let (locks, both, refused) = locks_as_it_is_dropped(&LOCK);
        let [_, second] = [locks, OnDrop::new(|| {})].map(|payload| {
            let handle = arena.insert((), payload).unwrap();
            arena.leave().mark(handle).unwrap();
            handle
        });
        thread::scope(|scope| {
            let held = LOCK.lock().unwrap();
            let reaper = scope.spawn(|| arena.reap());
            both.wait();
            let joined = arena.join(second);
            drop(held);
            assert_eq!(reaper.join().unwrap(), 2);
            assert_ne!(joined == Err(RemoveError::Deadlock), refused.load(Ordering::SeqCst), "{joined:?}");
        });
    }
}

/// D-1: what has been reaped is over: who waits, while the reaper is at another, for an object that came to the same slot since, does not
/// wait for the reaper.
#[test]
fn who_waits_for_what_came_after_what_was_reaped_does_not_wait_for_the_reaper() {
    static LOCK: Exclusion = Exclusion::new(());
    let mut met = 0;
    for _ in 0..ROUNDS {
        let arena = disks::<(), OnDrop>(Strategy::Auto);
        let (locks, both, refused) = locks_as_it_is_dropped(&LOCK);
        // So many that some slots are soon used again.
        let firsts: Vec<_> = (0..500).map(|_| arena.insert((), OnDrop::new(|| {})).unwrap()).collect();
        let second = arena.insert((), locks).unwrap();
        let mut leaving = arena.leave();
        firsts.iter().try_for_each(|first| leaving.mark(*first)).unwrap();
        drop(leaving);
        arena.leave().mark(second).unwrap();
        let slots: HashSet<_> = firsts.into_iter().map(index).collect();
        thread::scope(|scope| {
            let held = LOCK.lock().unwrap();
            let reaper = scope.spawn(|| arena.reap());
            both.wait();
            arena.flush();
            let mut inserted = (0..2000).map(|_| arena.insert((), OnDrop::new(|| {})).unwrap());
            let again = inserted.find(|handle| slots.contains(&index(*handle)));
            let Some(again) = again else {
                drop(held);
                return;
            };
            met += 1;
            let inside = arena.enter_owned(again, Label::new("read")).unwrap();
            let remover = {
                let arena = &arena;
                scope.spawn(move || arena.remove(again).map(drop))
            };
            until(|| arena.is_leaving(again));
            scope.spawn(move || {
                // That those who close the circle meet is left to chance.
                (0..100).for_each(|_| thread::yield_now());
                drop(inside);
            });
            assert_eq!(arena.join(again), Ok(()));
            drop(held);
            assert_eq!((remover.join().unwrap(), reaper.join().unwrap()), (Ok(()), 501));
        });
        assert!(!refused.load(Ordering::SeqCst), "told of a circle that is none");
    }
    assert_ne!(met, 0, "no slot is used again");
}

/// What is abandoned as it is marked is nobody's: it can be taken up at once, and once.
#[test]
fn what_is_abandoned_can_be_taken_up() {
    let arena = disks::<(), u32>(Strategy::Auto);
    let disk = arena.insert((), 7).unwrap();
    assert_eq!((arena.is_given_up(disk), arena.abandon(disk), arena.is_given_up(disk)), (false, Ok(()), true));
    assert_eq!((arena.abandon(disk), arena.join(disk)), (Err(RemoveError::Leaving), Err(RemoveError::Leaving)));
    let leaving = arena.take_up(disk).unwrap();
    assert!(!arena.is_given_up(disk) && arena.take_up(disk).is_none());
    assert_eq!(leaving.drain().unwrap().take(), Some((disk, 7)));
    assert!(matches!(arena.abandon(disk), Err(RemoveError::Stale(_))));
}
