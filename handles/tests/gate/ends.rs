//! The end of a gate: its value is dropped once, and nothing is waited for.

use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Barrier};
use std::thread;

use enodev_handles::{CloseError, Gate, Pass};

use crate::common::{Drops, STRATEGIES, Token, gate, past};

/// S3-3: the value of a gate that is dropped is dropped with it, once, whether it is open or shut; one that has been taken is its
/// taker's.
#[test]
fn a_gate_drops_what_is_in_it() {
    for strategy in STRATEGIES {
        let drops = Drops::default();
        drop(gate(strategy, drops.token()));
        assert_eq!(drops.count(), 1);

        let shut = gate(strategy, drops.token());
        shut.shut();
        drop(shut);
        assert_eq!(drops.count(), 2);

        let closed = gate(strategy, drops.token());
        let token = closed.close().unwrap();
        drop(closed);
        assert_eq!(drops.count(), 2);
        drop(token);
        assert_eq!(drops.count(), 3);
    }
    drop(Gate::<Token>::closed());
}

/// A forgotten pass keeps closers until their deadlines; it keeps neither the gate's drop, nor a closer after its lifetime has been
/// ended.
#[test]
fn a_forgotten_pass_holds_the_value_until_its_lifetime_is_ended() {
    for strategy in STRATEGIES {
        let drops = Drops::default();
        let mut gate = gate(strategy, drops.token());
        thread::scope(|scope| {
            scope.spawn(|| std::mem::forget(gate.enter())).join().unwrap();
        });
        assert_eq!(gate.close_until(past()).map(drop), Err(CloseError::TimedOut));
        gate.forget_passes();
        assert!(gate.is_quiet());
        drop(gate.close_until(past()).unwrap());
        assert!(gate.reopen(drops.token()).is_ok());

        std::mem::forget(gate.enter());
        assert_eq!(gate.close().map(drop), Err(CloseError::Inside), "it is this thread's");
        drop(gate);
        assert_eq!(drops.count(), 2);
    }
}

/// A gate that takes the place of another in memory is not entered by what was forgotten in that one.
#[test]
fn a_forgotten_pass_is_not_in_the_next_gate_of_that_memory() {
    for strategy in STRATEGIES {
        for round in 0..50 {
            let gate = gate(strategy, round);
            assert!(!gate.is_inside());
            std::mem::forget(gate.enter());
        }
    }
}

/// A pass that outlives its thread's record, in a thread-local, is waited for like any other.
#[test]
fn a_pass_in_a_thread_local_leaves_with_its_thread() {
    thread_local! {
        static KEPT: RefCell<Option<Pass<'static, u32>>> = const { RefCell::new(None) };
    }
    for strategy in STRATEGIES {
        let gate: &'static Gate<u32> = Box::leak(Box::new(gate(strategy, 3)));
        // Ahead of the record's own destructor, and behind it.
        for enter_first in [true, false] {
            let inside = Arc::new(Barrier::new(2));
            let visitor = thread::spawn({
                let inside = Arc::clone(&inside);
                move || {
                    if enter_first {
                        drop(gate.enter());
                    }
                    KEPT.with_borrow_mut(|kept| *kept = gate.enter().ok());
                    inside.wait();
                }
            });
            inside.wait();
            assert_eq!(gate.close(), Ok(3));
            visitor.join().unwrap();
            assert_eq!(gate.reopen(3), Ok(()));
        }
    }
}

/// A value whose drop panics: the panic goes to who drops the gate, and the value is not dropped again.
#[test]
fn a_panic_of_the_value_s_drop_goes_to_who_drops_the_gate() {
    struct Panics(#[expect(dead_code, reason = "counts its own drop")] Token);
    impl Drop for Panics {
        fn drop(&mut self) {
            panic!("as it was asked to");
        }
    }
    for strategy in STRATEGIES {
        let drops = Drops::default();
        let gate = gate(strategy, Panics(drops.token()));
        assert!(catch_unwind(AssertUnwindSafe(|| drop(gate))).is_err());
        assert_eq!(drops.count(), 1);
    }
}

/// Who panics inside leaves as it unwinds.
#[test]
fn who_panics_inside_leaves() {
    for strategy in STRATEGIES {
        let gate = gate(strategy, 3);
        let panicked = catch_unwind(AssertUnwindSafe(|| {
            let pass = gate.enter().unwrap();
            assert_eq!(*pass, 4, "as it was asked to");
        }));
        assert!(panicked.is_err());
        assert_eq!(gate.close(), Ok(3));
    }
}
