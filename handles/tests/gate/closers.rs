//! Several closers: one gets the value, and none is left waiting.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use enodev_handles::{CloseError, Gate};

use crate::common::{STRATEGIES, gate, linger, past, until};

/// E-6, E-8: of many closers one gets the value; the others are told so when it has, not before.
#[test]
fn one_closer_gets_the_value_and_the_others_wait_until_it_has() {
    const CLOSERS: usize = 4;
    for strategy in STRATEGIES {
        let gate = gate(strategy, 9);
        let left = AtomicBool::new(false);
        let pass = gate.enter().unwrap();
        let results: Vec<_> = thread::scope(|scope| {
            let close = || {
                let result = gate.close();
                assert!(left.load(Ordering::SeqCst), "a closer has overtaken who is inside");
                result
            };
            let closers: Vec<_> = (0..CLOSERS).map(|_| scope.spawn(close)).collect();
            until(|| gate.is_shut());
            linger();
            left.store(true, Ordering::SeqCst);
            drop(pass);
            closers.into_iter().map(|closer| closer.join().unwrap()).collect()
        });
        assert_eq!(results.iter().filter(|result| **result == Ok(9)).count(), 1);
        assert_eq!(results.iter().filter(|result| **result == Err(CloseError::Closed)).count(), CLOSERS - 1);
    }
}

/// D-1: where the closer that others wait for gives up, one of them goes on in its place.
#[test]
fn who_waits_for_a_closer_that_fails_goes_on_in_its_place() {
    for strategy in STRATEGIES {
        let gate = gate(strategy, 9);
        let pass = gate.enter().unwrap();
        thread::scope(|scope| {
            let first = scope.spawn(|| gate.close_until(Instant::now() + Duration::from_millis(30)));
            until(|| gate.is_shut());
            let second = scope.spawn(|| gate.close());
            assert_eq!(first.join().unwrap(), Err(CloseError::TimedOut));
            assert!(!second.is_finished());
            drop(pass);
            assert_eq!(second.join().unwrap(), Ok(9));
        });
    }
}

/// A closer that waits for another one has a deadline too.
#[test]
fn who_waits_for_another_closer_gives_up_at_its_own_deadline() {
    for strategy in STRATEGIES {
        let gate = gate(strategy, 9);
        let pass = gate.enter().unwrap();
        thread::scope(|scope| {
            let first = scope.spawn(|| gate.close());
            until(|| gate.is_shut());
            let second = scope.spawn(|| gate.close_until(past())).join().unwrap();
            assert_eq!(second, Err(CloseError::TimedOut));
            assert!(!first.is_finished());
            drop(pass);
            assert_eq!(first.join().unwrap(), Ok(9));
        });
    }
}

/// S0-15, E-7: who is inside and closes is told so at once, whether or not another closes; it can shut the gate and return, and
/// then anybody gets the value.
#[test]
fn who_is_inside_never_waits_for_itself() {
    for strategy in STRATEGIES {
        let gate = gate(strategy, 9);
        let pass = gate.enter().unwrap();
        assert!(gate.is_inside());
        assert_eq!(gate.close(), Err(CloseError::Inside));
        assert!(!gate.is_shut(), "nothing has changed");
        thread::scope(|scope| {
            let closer = scope.spawn(|| gate.close());
            until(|| gate.is_shut());
            assert_eq!(gate.close(), Err(CloseError::Inside));
            assert_eq!(gate.close_until(past()), Err(CloseError::Inside));
            drop(pass);
            assert_eq!(closer.join().unwrap(), Ok(9));
        });
        assert!(!gate.is_inside());
    }
}

/// D-1: who is inside another gate does not wait for a closer, which might be about to wait for it.
#[test]
fn who_is_inside_another_gate_does_not_wait_for_a_closer() {
    for strategy in STRATEGIES {
        let (gate, other): (Gate<u8>, Gate<u8>) = (gate(strategy, 9), gate(strategy, 8));
        thread::scope(|scope| {
            let pass = gate.enter().unwrap();
            let closer = scope.spawn(|| gate.close());
            until(|| gate.is_shut());
            let answer = scope.spawn(|| {
                let _pass = other.enter().unwrap();
                // With no time to wait, so that a wrong answer is another answer.
                gate.close_until(past())
            });
            let answer = answer.join().unwrap();
            drop(pass);
            assert_eq!((answer, closer.join().unwrap()), (Err(CloseError::Closing), Ok(9)));
        });
    }
}
