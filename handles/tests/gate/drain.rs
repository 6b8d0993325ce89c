//! A closer waits for those who are inside, for all of them and for nobody else.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

use enodev_handles::{CloseError, Closed, Label};

use crate::common::{Drops, STRATEGIES, gate, linger, never, past, until};

/// S0-6, S2-6, S2-7, T43: with one consumer inside, a closer blocks; a second consumer is refused at once while the first
/// goes on reading; the closer gets the value only after the first has left.
#[test]
fn a_closer_refuses_newcomers_and_waits_for_those_inside() {
    for strategy in STRATEGIES {
        let drops = Drops::default();
        let gate = gate(strategy, (41, drops.token()));
        let left = AtomicBool::new(false);
        let first = gate.enter().unwrap();
        thread::scope(|scope| {
            let closer = scope.spawn(|| {
                let value = gate.close().unwrap();
                assert!(left.load(Ordering::SeqCst), "the closer has overtaken the consumer");
                value.0
            });
            until(|| gate.is_shut());
            let second = scope.spawn(|| matches!(gate.enter(), Err(Closed)));
            assert!(second.join().unwrap());
            linger();
            assert!(!closer.is_finished());
            assert_eq!((first.0, drops.count()), (41, 0));
            left.store(true, Ordering::SeqCst);
            drop(first);
            assert_eq!(closer.join().unwrap(), 41);
        });
        assert_eq!(drops.count(), 1);
    }
}

/// S2-6, T103: threads that share one gate have passes of their own, several each, and the closer waits for the last one.
#[test]
fn a_closer_waits_for_the_last_of_many_passes() {
    for strategy in STRATEGIES {
        let gate = gate(strategy, 7);
        let (inside, left, may_leave) = (AtomicUsize::new(0), AtomicUsize::new(0), AtomicUsize::new(0));
        thread::scope(|scope| {
            for me in 0..3 {
                let (gate, inside, left, may_leave) = (&gate, &inside, &left, &may_leave);
                scope.spawn(move || {
                    // More than fit one block of cells.
                    let passes: Vec<_> = (0..10).map(|_| gate.enter().unwrap()).collect();
                    inside.fetch_add(1, Ordering::SeqCst);
                    until(|| may_leave.load(Ordering::SeqCst) > me);
                    for pass in passes {
                        assert_eq!(*pass, 7);
                        left.fetch_add(1, Ordering::SeqCst);
                    }
                });
            }
            until(|| inside.load(Ordering::SeqCst) == 3);
            let closer = scope.spawn(|| {
                assert_eq!(gate.close(), Ok(7));
                assert_eq!(left.load(Ordering::SeqCst), 30, "somebody was still inside");
            });
            until(|| gate.is_shut());
            for upto in 1..=2 {
                may_leave.store(upto, Ordering::SeqCst);
                linger();
            }
            let early = closer.is_finished();
            may_leave.store(3, Ordering::SeqCst);
            assert!(!early);
        });
    }
}

/// S2-6: who is inside another gate is nobody's business: neither of two gates waits for the other's visitors.
#[test]
fn gates_do_not_wait_for_each_other_s_visitors() {
    for strategy in STRATEGIES {
        let (one, other) = (gate(strategy, 1), gate(strategy, 2));
        let pass = one.enter().unwrap();
        assert_eq!(other.close(), Ok(2));
        assert_eq!((one.is_shut(), *pass), (false, 1));
    }
}

/// S3-6, S2-5: to shut a gate waits for nobody; from then on all are refused, and exactly one call is told that it has shut it.
#[test]
fn a_gate_is_shut_without_waiting_and_once() {
    for strategy in STRATEGIES {
        let gate = gate(strategy, 5);
        let pass = gate.enter().unwrap();
        let shut: usize = thread::scope(|scope| {
            let threads: Vec<_> = (0..4).map(|_| scope.spawn(|| usize::from(gate.shut()))).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).sum()
        });
        assert_eq!(shut, 1);
        assert!(!gate.shut());
        assert!(matches!(gate.enter(), Err(Closed)));
        assert_eq!(*pass, 5);
        drop(pass);
        assert_eq!(gate.close(), Ok(5));
    }
}

/// S3-5: a gate can be asked whether it is quiet without waiting: it is when it has been shut and the last has left.
#[test]
fn a_gate_is_quiet_when_it_is_shut_and_empty() {
    for strategy in STRATEGIES {
        let gate = gate(strategy, 5);
        assert!(!gate.is_quiet(), "it is open: somebody may enter");
        let (pass, owned) = (gate.enter().unwrap(), gate.enter_owned(Label::NONE).unwrap());
        gate.shut();
        assert!(!gate.is_quiet());
        drop(pass);
        assert!(!gate.is_quiet());
        drop(owned);
        assert!(gate.is_quiet());
        assert_eq!(gate.close_until(past()), Ok(5));
        assert!(gate.is_quiet());
    }
}

/// D-1: a closer that gives up at its deadline leaves the gate shut with its value in it, can name who is inside, and anybody can
/// try again.
#[test]
fn a_closer_that_gives_up_names_who_is_inside() {
    let label = Label::new("gate-flush");
    for strategy in STRATEGIES {
        let drops = Drops::default();
        let gate = gate(strategy, drops.token());
        assert!(gate.blockers().is_empty());
        let (inside, may_leave) = (AtomicBool::new(false), AtomicBool::new(false));
        thread::scope(|scope| {
            let visitor = thread::Builder::new().name("flusher".into());
            let visitor = visitor.spawn_scoped(scope, || {
                let pass = gate.enter_labelled(label).unwrap();
                inside.store(true, Ordering::SeqCst);
                until(|| may_leave.load(Ordering::SeqCst));
                drop(pass);
            });
            let visitor = visitor.unwrap().thread().id();
            until(|| inside.load(Ordering::SeqCst));
            assert!(gate.blockers().is_empty(), "nobody is in the way of nobody");
            let closed = gate.close_until(past()).map(drop);
            let (blockers, again) = (gate.blockers(), gate.blockers());
            let entered = gate.enter().map(|_| ());
            may_leave.store(true, Ordering::SeqCst);
            assert_eq!((closed, entered, drops.count()), (Err(CloseError::TimedOut), Err(Closed), 0));
            let [blocker] = &blockers[..] else { panic!("{blockers:?}") };
            assert_eq!((blocker.label, blocker.thread, blocker.is_owned), (label, Some(visitor), false));
            assert_eq!(blocker.name.as_deref(), Some("flusher"));
            assert!(blocker.to_string().starts_with("gate-flush, in thread 'flusher', for "));
            assert_eq!(again[0].since, blocker.since, "one stay is one stay");
            scope.spawn(|| drop(gate.close_until(never()).unwrap()));
        });
        assert_eq!(drops.count(), 1);
        assert!(gate.blockers().is_empty());
    }
}

/// S2-4: those who are refused again and again keep no closer waiting.
#[test]
fn who_is_refused_starves_no_closer() {
    for strategy in STRATEGIES {
        let gate = gate(strategy, 3);
        let over = AtomicBool::new(false);
        let refused = AtomicUsize::new(0);
        thread::scope(|scope| {
            let pass = gate.enter().unwrap();
            for _ in 0..2 {
                scope.spawn(|| {
                    while !over.load(Ordering::Relaxed) {
                        let entered = gate.enter().is_ok();
                        refused.fetch_add(usize::from(!entered), Ordering::Relaxed);
                    }
                });
            }
            let closer = scope.spawn(|| gate.close());
            until(|| refused.load(Ordering::Relaxed) > 1000);
            drop(pass);
            assert_eq!(closer.join().unwrap(), Ok(3));
            over.store(true, Ordering::Relaxed);
        });
    }
}

/// E-47: who sleeps inside is woken when the gate is shut, and when what it waits for has come.
#[test]
fn who_sleeps_inside_is_woken_by_a_closer() {
    for strategy in STRATEGIES {
        let gate = gate(strategy, AtomicBool::new(false));
        let (asked, slept) = (AtomicUsize::new(0), AtomicUsize::new(0));
        thread::scope(|scope| {
            scope.spawn(|| {
                let pass = gate.enter().unwrap();
                let mut is_told = || {
                    asked.fetch_add(1, Ordering::SeqCst);
                    pass.load(Ordering::SeqCst)
                };
                assert!(!gate.sleep(None, &mut is_told));
                assert!(!gate.sleep(Some(past()), || false), "nobody has shut the gate");
                slept.store(1, Ordering::SeqCst);
                assert!(gate.sleep(Some(never()), || false));
            });
            until(|| asked.load(Ordering::SeqCst) > 0);
            linger();
            gate.enter().unwrap().store(true, Ordering::SeqCst);
            gate.wake();
            until(|| slept.load(Ordering::SeqCst) > 0);
            linger();
            assert!(gate.close().unwrap().into_inner());
        });
        assert!(gate.sleep(None, || false), "what is closed is shut");
    }
}
