//! Circles through those who wait for what is done under a label in an object that stays.

use std::sync::{Arc, Barrier, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use enodev_handles::{Deadlock, Exclusion, Label, RemoveError};

use crate::common::{OnDrop, STRATEGIES, disks, until};

const ROUNDS: usize = 200;

/// How many were told that they would wait for themselves; the others have waited.
#[track_caller]
fn told(answers: &[Result<(), RemoveError>]) -> usize {
    assert!(answers.iter().all(|answer| matches!(answer, Ok(()) | Err(RemoveError::Deadlock))), "{answers:?}");
    answers.iter().filter(|answer| answer.is_err()).count()
}

/// As many callbacks as there are objects, each inside one under the label and draining the next: one is told, with a deadline as
/// without.
#[test]
fn of_a_ring_of_drains_one_is_told() {
    let label = Label::new("deadlock-ring");
    for (strategy, round) in STRATEGIES.into_iter().flat_map(|strategy| (0..ROUNDS).map(move |round| (strategy, round)))
    {
        let arena = disks::<(), u32>(strategy);
        let size = [2, 3, 5][round % 3];
        let deadline = (round % 2 == 0).then(|| Instant::now() + Duration::from_secs(1 << 20));
        let handles: Vec<_> = (0..size).map(|_| arena.insert((), 7).unwrap()).collect();
        let all = Barrier::new(size);
        let callback = |at: usize| {
            let _inside = arena.enter_labelled(handles[at], label).unwrap();
            all.wait();
            arena.drain_labelled(handles[(at + 1) % size], &[label], deadline)
        };
        let answers: Vec<_> = thread::scope(|scope| {
            let callback = &callback;
            let threads: Vec<_> = (0..size).map(|at| scope.spawn(move || callback(at))).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        assert_eq!(told(&answers), 1);
        assert!(handles.iter().all(|handle| arena.contains(*handle)), "nothing was to leave");
    }
}

/// D-1: one is inside an object and drains another, from which somebody who is inside under the label removes the first.
#[test]
fn of_a_drain_and_a_removal_that_close_a_circle_one_is_told() {
    let label = Label::new("deadlock-mixed");
    for strategy in STRATEGIES {
        for _ in 0..ROUNDS {
            let arena = disks::<(), u32>(strategy);
            let [stays, goes] = [(); 2].map(|()| arena.insert((), 7).unwrap());
            let both = Barrier::new(2);
            let answers = thread::scope(|scope| {
                let remover = scope.spawn(|| {
                    let _inside = arena.enter_labelled(stays, label).unwrap();
                    both.wait();
                    arena.remove(goes).map(drop)
                });
                let inside = arena.enter(goes).unwrap();
                both.wait();
                let drained = arena.drain_labelled(stays, &[label], None);
                drop(inside);
                [drained, remover.join().unwrap()]
            });
            assert_eq!(told(&answers), 1);
            assert!(arena.contains(stays) && !arena.contains(goes));
            assert_eq!(arena.reap(), usize::from(answers[1].is_err()));
        }
    }
}

/// The same where that one is inside under another label: no circle, so nobody is told, and the removal goes on when the drain is
/// over.
#[test]
fn who_is_inside_under_another_label_closes_no_circle() {
    let [label, other] = ["deadlock-label", "deadlock-other"].map(Label::new);
    for strategy in STRATEGIES {
        for _ in 0..ROUNDS {
            let arena = disks::<(), u32>(strategy);
            let [stays, goes] = [(); 2].map(|()| arena.insert((), 7).unwrap());
            let both = Barrier::new(2);
            let answers = thread::scope(|scope| {
                let remover = scope.spawn(|| {
                    let _inside = arena.enter_labelled(stays, other).unwrap();
                    // And has been, under the label, in the same cell perhaps.
                    drop(arena.enter_labelled(stays, label).unwrap());
                    both.wait();
                    arena.remove(goes).map(drop)
                });
                let inside = arena.enter(goes).unwrap();
                both.wait();
                until(|| !arena.contains(goes));
                let drained = arena.drain_labelled(stays, &[label], None);
                drop(inside);
                [drained, remover.join().unwrap()]
            });
            assert_eq!(told(&answers), 0);
        }
    }
}

/// D-1: who drains holds a lock that somebody inside waits for.
#[test]
fn a_circle_of_a_drain_through_an_exclusion_is_found() {
    let label = Label::new("deadlock-exclusion");
    for strategy in STRATEGIES {
        for _ in 0..ROUNDS {
            let (arena, exclusion) = (disks::<(), u32>(strategy), Exclusion::new(()));
            let handle = arena.insert((), 7).unwrap();
            let both = Barrier::new(2);
            let answers = thread::scope(|scope| {
                let drains = scope.spawn(|| {
                    let _held = exclusion.lock().unwrap();
                    both.wait();
                    arena.drain_labelled(handle, &[label], None)
                });
                let inside = arena.enter_labelled(handle, label).unwrap();
                both.wait();
                let locked = exclusion.lock().map(drop).map_err(|Deadlock| RemoveError::Deadlock);
                drop(inside);
                [drains.join().unwrap(), locked]
            });
            assert_eq!(told(&answers), 1);
        }
    }
}

/// A payload's drop drains another object. Who waits for that removal waits for those inside there: one of them wants a lock
/// that the one who waits holds.
#[test]
fn a_circle_through_a_drain_in_a_payload_s_drop_is_found() {
    let label = Label::new("deadlock-drop");
    for strategy in STRATEGIES {
        for _ in 0..ROUNDS {
            let (arena, others) = (disks::<(), OnDrop>(strategy), Arc::new(disks::<(), u32>(strategy)));
            let other = others.insert((), 7).unwrap();
            let (exclusion, answer) = (Exclusion::new(()), Arc::new(Mutex::new(None)));
            let handle = arena.insert((), {
                let (others, answer) = (Arc::clone(&others), Arc::clone(&answer));
                OnDrop::new(move || *answer.lock().unwrap() = Some(others.drain_labelled(other, &[label], None)))
            });
            let handle = handle.unwrap();
            let both = Barrier::new(2);
            let (joined, locked) = thread::scope(|scope| {
                let second = scope.spawn(|| {
                    let _held = exclusion.lock().unwrap();
                    both.wait();
                    until(|| !arena.contains(handle));
                    arena.join(handle)
                });
                let inside = others.enter_labelled(other, label).unwrap();
                both.wait();
                scope.spawn(|| {
                    let mut leaving = arena.leave();
                    leaving.mark(handle).unwrap();
                    drop(leaving.drain().unwrap());
                });
                let locked = exclusion.lock().map(drop).map_err(|Deadlock| RemoveError::Deadlock);
                drop(inside);
                (second.join().unwrap(), locked)
            });
            let drained = answer.lock().unwrap().unwrap();
            assert_eq!(told(&[drained, joined, locked]), 1);
            assert!(arena.is_empty());
        }
    }
}
