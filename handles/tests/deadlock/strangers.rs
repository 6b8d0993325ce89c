//! Circles that are none: whoever a number names was somebody else, or has nothing to do with it any more.

use std::cell::RefCell;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

use enodev_handles::{Exclusion, ExclusionGuard, RemoveError, Stale, Strategy};

use crate::common::{STRATEGIES, disks, linger, until};

/// Who has marked an object and handed the removal on has nothing more to do with it: he may wait for one who waits for its end.
#[test]
fn who_has_handed_a_removal_on_is_not_waited_for() {
    for strategy in STRATEGIES {
        let (arena, exclusion) = (disks::<(), u32>(strategy), Exclusion::new(()));
        let handle = arena.insert((), 1).unwrap();
        let ready = AtomicUsize::new(0);
        thread::scope(|scope| {
            let (give, take) = std::sync::mpsc::channel();
            let (arena, exclusion, ready) = (&arena, &exclusion, &ready);
            let first = scope.spawn(move || {
                let mut leaving = arena.leave();
                leaving.mark(handle).unwrap();
                give.send(leaving).unwrap();
                until(|| ready.load(Ordering::SeqCst) == 1);
                ready.fetch_add(1, Ordering::SeqCst);
                exclusion.lock().map(drop)
            });
            let second = scope.spawn(move || {
                until(|| !arena.contains(handle));
                let _held = exclusion.lock().unwrap();
                ready.fetch_add(1, Ordering::SeqCst);
                arena.remove(handle)
            });
            until(|| ready.load(Ordering::SeqCst) == 2);
            linger();
            drop(take.recv().unwrap().drain().unwrap());
            assert_eq!(second.join().unwrap(), Err(RemoveError::Stale(Stale)));
            assert_eq!(first.join().unwrap(), Ok(()));
        });
    }
}

/// The same for a thread that has the number of the one who has ended since: several are tried, so that one has it.
#[test]
fn who_has_the_number_of_a_former_remover_is_not_waited_for() {
    const HEIRS: usize = 4;
    for strategy in STRATEGIES {
        for _ in 0..10 {
            let (arena, exclusion) = (disks::<(), u32>(strategy), Exclusion::new(()));
            let handle = arena.insert((), 1).unwrap();
            let other = arena.insert((), 2).unwrap();
            let waiting = AtomicUsize::new(0);
            thread::scope(|scope| {
                let marks = || {
                    let mut leaving = arena.leave();
                    leaving.mark(handle).unwrap();
                    leaving
                };
                // Has a number before, so as not to inherit the one that is to be inherited.
                drop(arena.enter(other).unwrap());
                let leaving = thread::scope(|scope| scope.spawn(marks).join().unwrap());
                let heirs: Vec<_> = (0..HEIRS)
                    .map(|_| {
                        scope.spawn(|| {
                            drop(arena.enter(other).unwrap());
                            waiting.fetch_add(1, Ordering::SeqCst);
                            until(|| waiting.load(Ordering::SeqCst) == HEIRS + 1);
                            exclusion.lock().map(drop)
                        })
                    })
                    .collect();
                until(|| waiting.load(Ordering::SeqCst) == HEIRS);
                let second = scope.spawn(|| {
                    let _held = exclusion.lock().unwrap();
                    waiting.fetch_add(1, Ordering::SeqCst);
                    arena.remove(handle)
                });
                until(|| waiting.load(Ordering::SeqCst) == HEIRS + 1);
                linger();
                drop(leaving.drain().unwrap());
                assert_eq!(second.join().unwrap(), Err(RemoveError::Stale(Stale)));
                heirs.into_iter().for_each(|heir| assert_eq!(heir.join().unwrap(), Ok(())));
            });
        }
    }
}

/// E-6: nor is it taken for that one: it waits for the end of the removal like anybody else.
#[test]
fn who_has_the_number_of_a_former_remover_waits_for_the_removal() {
    const HEIRS: usize = 4;
    for strategy in STRATEGIES {
        for _ in 0..10 {
            let arena = disks::<(), u32>(strategy);
            let handle = arena.insert((), 1).unwrap();
            let (waiting, drained) = (AtomicUsize::new(0), AtomicBool::new(false));
            thread::scope(|scope| {
                let marks = || {
                    let mut leaving = arena.leave();
                    leaving.mark(handle).unwrap();
                    leaving
                };
                let leaving = scope.spawn(marks).join().unwrap();
                let second = || {
                    waiting.fetch_add(1, Ordering::SeqCst);
                    (arena.remove(handle), drained.load(Ordering::SeqCst))
                };
                let heirs = [(); HEIRS].map(|()| scope.spawn(second));
                until(|| waiting.load(Ordering::SeqCst) == HEIRS);
                linger();
                drained.store(true, Ordering::SeqCst);
                drop(leaving.drain().unwrap());
                let expected = (Err(RemoveError::Stale(Stale)), true);
                heirs.into_iter().for_each(|heir| assert_eq!(heir.join().unwrap(), expected));
            });
        }
    }
}

thread_local! {
    static KEPT: RefCell<Option<Kept>> = const { RefCell::new(None) };
}

#[derive(Default)]
struct Stage {
    exclusion: Exclusion,
    dying: AtomicBool,
    may_go: AtomicBool,
}

/// An exclusion that is held until the other threads have seen what they want to see.
struct Kept {
    held: Option<ExclusionGuard<'static>>,
    stage: &'static Stage,
}

impl Drop for Kept {
    fn drop(&mut self) {
        self.stage.dying.store(true, Ordering::SeqCst);
        until(|| self.stage.may_go.load(Ordering::SeqCst));
        self.held = None;
    }
}

/// A thread that holds a lock while its destructors run keeps its number: others who come meanwhile are not taken for it. Both
/// orders are tried in which the thread-locals of the crate and of the test can be set up.
#[test]
fn who_holds_a_lock_keeps_its_number_until_the_very_end() {
    for (strategy, lock_first) in STRATEGIES.into_iter().flat_map(|strategy| [(strategy, false), (strategy, true)]) {
        for _ in 0..10 {
            hold_to_the_end(strategy, lock_first);
        }
    }
}

fn hold_to_the_end(strategy: Strategy, lock_first: bool) {
    const HEIRS: usize = 3;
    let stage: &'static Stage = Box::leak(Box::default());
    let arena = disks::<(), u32>(strategy);
    let handles: Vec<_> = (0..HEIRS).map(|_| arena.insert((), 1).unwrap()).collect();
    let holder = thread::spawn(move || {
        let lock = || Some(stage.exclusion.lock().unwrap());
        let held = if lock_first { lock() } else { None };
        KEPT.with_borrow_mut(|kept| *kept = Some(Kept { held, stage }));
        if !lock_first {
            KEPT.with_borrow_mut(|kept| kept.iter_mut().for_each(|kept| kept.held = lock()));
        }
    });
    until(|| stage.dying.load(Ordering::SeqCst));
    let entered = AtomicUsize::new(0);
    thread::scope(|scope| {
        let (arena, entered) = (&arena, &entered);
        // Each pair: one is inside and waits for the exclusion, the other removes what it is inside. No circle, but where the
        // other is taken for the holder.
        let heirs: Vec<_> = handles
            .iter()
            .map(|&handle| {
                let waits = scope.spawn(move || {
                    let _inside = arena.enter(handle).unwrap();
                    entered.fetch_add(1, Ordering::SeqCst);
                    stage.exclusion.lock().map(drop)
                });
                let removes = scope.spawn(move || {
                    until(|| entered.load(Ordering::SeqCst) == HEIRS);
                    arena.remove(handle)
                });
                (waits, removes)
            })
            .collect();
        until(|| handles.iter().all(|handle| !arena.contains(*handle)));
        linger();
        stage.may_go.store(true, Ordering::SeqCst);
        for (waits, removes) in heirs {
            assert_eq!((waits.join().unwrap(), removes.join().unwrap()), (Ok(()), Ok(1)));
        }
    });
    holder.join().unwrap();
    assert!(stage.exclusion.try_lock().is_some());
}

/// Somebody who is inside for a moment only because he failed to enter is waited for by nobody in a circle.
#[test]
fn look_ups_that_fail_close_no_circle() {
    const ROUNDS: usize = 300;
    for strategy in STRATEGIES {
        let (arena, exclusion) = (disks::<(), u32>(strategy), Exclusion::new(()));
        let over = AtomicBool::new(false);
        let handle = std::sync::Mutex::new(arena.insert((), 0).unwrap());
        thread::scope(|scope| {
            // Looks the leaving object up again and again, and waits for the lock that the remover holds, but not inside.
            scope.spawn(|| {
                while !over.load(Ordering::SeqCst) {
                    let handle = *handle.lock().unwrap();
                    (0..50).for_each(|_| drop(arena.enter(handle)));
                    drop(exclusion.lock().unwrap());
                }
            });
            for round in 0..ROUNDS {
                let old = *handle.lock().unwrap();
                let inside = AtomicBool::new(false);
                thread::scope(|scope| {
                    scope.spawn(|| {
                        let _inside = arena.enter(old).unwrap();
                        inside.store(true, Ordering::SeqCst);
                        until(|| !arena.contains(old));
                        linger_briefly();
                    });
                    until(|| inside.load(Ordering::SeqCst));
                    let _held = exclusion.lock().unwrap();
                    assert!(arena.remove(old).is_ok());
                    *handle.lock().unwrap() = arena.insert((), round as u32).unwrap();
                });
            }
            over.store(true, Ordering::SeqCst);
        });
    }
}

fn linger_briefly() {
    (0..20).for_each(|_| thread::yield_now());
}
