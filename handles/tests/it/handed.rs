//! Removals that are handed from thread to thread, and removals that cross.
//!
//! Where a wrong answer would have a thread wait for itself, the test asks first whether it would wait.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Barrier, Mutex};
use std::thread;
use std::time::Instant;

use enodev_handles::{Arena, Handle, RemoveError, Stale, Strategy};

use crate::common::{Disk, OnDrop, STRATEGIES, disks, linger, until};

/// What a removal says that must not wait; `None` if it would.
fn remove_unless_it_waits<P>(arena: &Arena<Disk, (), P>, handle: Handle<Disk>) -> Option<RemoveError>
where
    P: Send + Sync + 'static,
{
    let removed = (!arena.may_join(handle)).then(|| arena.remove(handle).map(drop))?;
    removed.err()
}

type Answers = Arc<Mutex<Vec<Option<RemoveError>>>>;
type Victims = Arena<Disk, (), OnDrop>;

/// Adds an object that removes `victim` (itself, where there is none) as it is dropped, between two calls of `pause`.
fn add_remover(
    arena: &'static Victims,
    victim: Option<Handle<Disk>>,
    answers: &Answers,
    pause: impl Fn() + Send + Sync + 'static,
) -> Handle<Disk> {
    let (reservation, answers) = (arena.reserve().unwrap(), Arc::clone(answers));
    let victim = victim.unwrap_or(reservation.handle());
    let payload = OnDrop::new(move || {
        pause();
        answers.lock().unwrap().push(remove_unless_it_waits(arena, victim));
        pause();
    });
    reservation.publish((), payload)
}

fn lasting(strategy: Strategy) -> &'static Victims {
    Box::leak(Box::new(disks(strategy)))
}

/// E-6: a drained batch is dropped on another thread than the one that drained it; a payload that removes its own object in
/// its drop is told that the object is leaving, and waits for nobody.
#[test]
fn a_payload_that_removes_itself_on_the_heir_s_thread_is_told_leaving() {
    for strategy in STRATEGIES {
        let (arena, answers) = (lasting(strategy), Answers::default());
        let handle = add_remover(arena, None, &answers, || {});
        let mut leaving = arena.leave();
        leaving.mark(handle).unwrap();
        let quiet = leaving.drain().unwrap();
        thread::scope(|scope| scope.spawn(|| drop(quiet)).join().unwrap());
        assert_eq!(*answers.lock().unwrap(), [Some(RemoveError::Leaving)]);
        assert!(arena.is_empty());
    }
}

/// E-6: as above, where the heir takes the payload out and drops it itself.
#[test]
fn a_payload_that_is_taken_on_the_heir_s_thread_is_told_leaving_too() {
    let (arena, answers) = (lasting(Strategy::Auto), Answers::default());
    let handle = add_remover(arena, None, &answers, || {});
    let mut leaving = arena.leave();
    leaving.mark(handle).unwrap();
    let mut quiet = leaving.drain().unwrap();
    thread::scope(|scope| scope.spawn(|| drop(quiet.take())).join().unwrap());
    assert_eq!(*answers.lock().unwrap(), [Some(RemoveError::Leaving)]);
    drop(quiet);
    assert!(arena.is_empty());
}

/// E-6: the thread that goes on with a removal is the one that cannot wait for it; the one that began it can.
#[test]
fn who_goes_on_with_a_removal_is_the_one_that_removes() {
    for strategy in STRATEGIES {
        let arena = disks::<(), u32>(strategy);
        let handle = arena.insert((), 7).unwrap();
        let mut leaving = arena.leave();
        leaving.mark(handle).unwrap();
        assert!(!arena.may_join(handle));
        assert_eq!(arena.remove(handle), Err(RemoveError::Leaving));
        let quiet = thread::scope(|scope| {
            let heir = scope.spawn(|| {
                let before = arena.may_join(handle);
                let quiet = leaving.drain().unwrap();
                (before, remove_unless_it_waits(&arena, handle), quiet)
            });
            let (before, answer, quiet) = heir.join().unwrap();
            assert_eq!((before, answer), (true, Some(RemoveError::Leaving)));
            quiet
        });
        assert!(arena.may_join(handle), "another has gone on with it");
        drop(quiet);
        assert_eq!(arena.remove(handle), Err(RemoveError::Stale(Stale)));
    }
}

/// E-6: who has handed a drained batch on waits for the thread that drops it like anybody else.
#[test]
fn who_hands_a_drained_batch_on_waits_for_the_heir() {
    let arena: Victims = disks(Strategy::Auto);
    let [dropping, may_drop, dropped] = [(); 3].map(|()| Arc::new(AtomicBool::new(false)));
    let payload = {
        let (dropping, may_drop, dropped) = (Arc::clone(&dropping), Arc::clone(&may_drop), Arc::clone(&dropped));
        OnDrop::new(move || {
            dropping.store(true, Ordering::SeqCst);
            until(|| may_drop.load(Ordering::SeqCst));
            linger();
            dropped.store(true, Ordering::SeqCst);
        })
    };
    let handle = arena.insert((), payload).unwrap();
    let mut leaving = arena.leave();
    leaving.mark(handle).unwrap();
    let quiet = leaving.drain().unwrap();
    thread::scope(|scope| {
        scope.spawn(|| drop(quiet));
        until(|| dropping.load(Ordering::SeqCst));
        let may_join = arena.may_join(handle);
        may_drop.store(true, Ordering::SeqCst);
        let answer = (may_join, arena.remove(handle).err(), dropped.load(Ordering::SeqCst));
        assert_eq!(answer, (true, Some(RemoveError::Stale(Stale)), true));
    });
}

/// A removal that is handed to a thread which is inside the object comes back to it, with the reason: it would wait for itself.
#[test]
fn a_removal_that_an_insider_is_to_finish_comes_back() {
    for strategy in STRATEGIES {
        let arena = disks::<(), u32>(strategy);
        let [handle, other] = [7, 8].map(|payload| arena.insert((), payload).unwrap());
        let guard = arena.enter(handle).unwrap();
        let leaving = thread::scope(|scope| {
            let begins = scope.spawn(|| {
                let mut leaving = arena.leave();
                [handle, other].into_iter().for_each(|handle| leaving.mark(handle).unwrap());
                leaving
            });
            begins.join().unwrap()
        });
        // The deadline is for a drain that would wait.
        let Err((leaving, error)) = leaving.drain_until(Instant::now()) else {
            unreachable!("the caller is inside");
        };
        assert_eq!(error, RemoveError::Inside);
        assert!(arena.enter(handle).is_err() && arena.enter(other).is_err());
        assert_eq!(*guard, 7);
        drop(guard);
        let mut quiet = leaving.drain().unwrap();
        let payloads: Vec<_> = std::iter::from_fn(|| quiet.take()).collect();
        assert_eq!(payloads, [(handle, 7), (other, 8)]);
    }
}

/// Who is inside an object is inside it also when another has begun to remove it.
#[test]
fn who_is_inside_an_object_that_leaves_knows_it() {
    for strategy in STRATEGIES {
        let arena = disks::<(), u32>(strategy);
        let handle = arena.insert((), 7).unwrap();
        let guard = arena.enter(handle).unwrap();
        thread::scope(|scope| {
            let remover = scope.spawn(|| arena.remove(handle));
            until(|| !arena.contains(handle));
            let is_inside = (arena.is_inside(handle), scope.spawn(|| arena.is_inside(handle)).join().unwrap());
            drop(guard);
            assert_eq!(is_inside, (true, false));
            assert!(!arena.is_inside(handle));
            assert_eq!(remover.join().unwrap(), Ok(7));
        });
    }
}

/// E-6: two threads remove two objects, each of which removes the other one in its payload's drop. Neither waits for the other:
/// both are told that it is leaving, and both objects go.
#[test]
fn two_payloads_that_remove_each_other_are_both_told_leaving() {
    for strategy in STRATEGIES {
        let (arena, answers, both) = (lasting(strategy), Answers::default(), Arc::new(Barrier::new(2)));
        let pause = || {
            let both = Arc::clone(&both);
            move || {
                both.wait();
            }
        };
        let second = arena.reserve().unwrap();
        let first = add_remover(arena, Some(second.handle()), &answers, pause());
        let payload = {
            let (answers, pause) = (Arc::clone(&answers), pause());
            OnDrop::new(move || {
                pause();
                answers.lock().unwrap().push(remove_unless_it_waits(arena, first));
                pause();
            })
        };
        let second = second.publish((), payload);
        thread::scope(|scope| {
            for handle in [first, second] {
                scope.spawn(move || {
                    let mut leaving = arena.leave();
                    leaving.mark(handle).unwrap();
                    drop(leaving.drain().unwrap());
                });
            }
        });
        assert_eq!(*answers.lock().unwrap(), [Some(RemoveError::Leaving); 2]);
        assert!(arena.is_empty());
    }
}

/// S3-5: a drain with a deadline that has passed says so as long as somebody is inside, and gives the removal back: the
/// object stays leaving, and can be drained again, with a deadline or without.
#[test]
fn a_drain_that_was_given_up_at_its_deadline_can_be_done_again() {
    for strategy in STRATEGIES {
        let arena = disks::<(), u32>(strategy);
        let [busy, idle] = [7, 8].map(|payload| arena.insert((), payload).unwrap());
        let left = AtomicBool::new(false);
        let guard = arena.enter(busy).unwrap();
        thread::scope(|scope| {
            let remover = scope.spawn(|| {
                let mut leaving = arena.leave();
                [busy, idle].into_iter().for_each(|handle| leaving.mark(handle).unwrap());
                for _ in 0..3 {
                    let Err((back, error)) = leaving.drain_until(Instant::now()) else {
                        unreachable!("somebody is inside");
                    };
                    assert_eq!(error, RemoveError::TimedOut);
                    assert!(arena.enter(busy).is_err() && arena.enter(idle).is_err());
                    leaving = back;
                }
                left.store(true, Ordering::SeqCst);
                let mut quiet = leaving.drain().unwrap();
                std::iter::from_fn(|| quiet.take()).collect::<Vec<_>>()
            });
            until(|| left.load(Ordering::SeqCst) || remover.is_finished());
            linger();
            let is_early = remover.is_finished();
            assert_eq!(*guard, 7);
            drop(guard);
            assert_eq!(remover.join().unwrap(), [(busy, 7), (idle, 8)]);
            assert!(!is_early);
        });
        assert!(arena.is_empty());
        let mut leaving = arena.leave();
        leaving.mark(arena.insert((), 9).unwrap()).unwrap();
        assert!(leaving.drain_until(Instant::now()).is_ok(), "nobody is inside, so no deadline matters");
    }
}
