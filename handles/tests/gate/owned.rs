//! Owned passes: sent, waited for, named, and not outlived by the value.

use std::thread;

use enodev_handles::{CloseError, Closed, Label, OwnedPass};

use crate::common::{Drops, STRATEGIES, Token, gate, linger, past, until};

/// S0-6, D-1: a request that completes on another thread is inside until then: a closer waits for it, and names it with its label
/// and the thread that made it.
#[test]
fn a_closer_waits_for_a_request_that_another_thread_completes() {
    let label = Label::new("gate-read");
    for strategy in STRATEGIES {
        let gate = gate(strategy, 17);
        thread::scope(|scope| {
            let request = gate.enter_owned(label).unwrap();
            assert_eq!(gate.close_until(past()), Err(CloseError::TimedOut));
            let blockers = gate.blockers();
            let [blocker] = &blockers[..] else { panic!("{blockers:?}") };
            assert_eq!((blocker.label, blocker.is_owned), (label, true));
            assert_eq!(blocker.thread, Some(thread::current().id()));

            let closer = scope.spawn(|| gate.close());
            linger();
            assert!(!closer.is_finished());
            scope.spawn(move || assert_eq!(*request, 17)).join().unwrap();
            assert_eq!(closer.join().unwrap(), Ok(17));
            assert!(gate.enter_owned(label).is_err());
        });
    }
}

/// S0-6: passes of both kinds at once: a closer waits for the last, whichever kind that is.
#[test]
fn a_closer_waits_for_both_kinds_of_passes() {
    for (strategy, owned_first) in STRATEGIES.into_iter().flat_map(|strategy| [(strategy, false), (strategy, true)]) {
        let gate = gate(strategy, 17);
        thread::scope(|scope| {
            let (pass, owned) = (gate.enter().unwrap(), gate.enter_owned(Label::NONE).unwrap());
            let closer = scope.spawn(|| gate.close());
            until(|| gate.is_shut());
            linger();
            if owned_first {
                drop(owned);
                linger();
                assert!(!closer.is_finished());
                drop(pass);
            } else {
                drop(pass);
                linger();
                assert!(!closer.is_finished());
                drop(owned);
            }
            assert_eq!(closer.join().unwrap(), Ok(17));
        });
    }
}

/// S2-2: owned passes that outlive their gate keep the value until the last is dropped, on its thread, and it is dropped once.
#[test]
fn owned_passes_that_outlive_the_gate_keep_the_value() {
    for (strategy, shut) in STRATEGIES.into_iter().flat_map(|strategy| [(strategy, false), (strategy, true)]) {
        let drops = Drops::default();
        let gate = gate(strategy, (5, drops.token()));
        let enter = || gate.enter_owned(Label::NONE).unwrap();
        let passes: [OwnedPass<(u8, Token)>; 2] = [enter(), enter()];
        if shut {
            gate.shut();
        }
        drop(gate);
        let [one, other] = passes;
        drop(one);
        assert_eq!((other.0, drops.count()), (5, 0));
        thread::spawn(move || drop(other)).join().unwrap();
        assert_eq!(drops.count(), 1);
    }
}

/// An owned pass that is forgotten holds the value for ever, and keeps a closer until its deadline; the gate goes without waiting.
#[test]
fn a_forgotten_owned_pass_makes_no_drop_hang() {
    for strategy in STRATEGIES {
        let drops = Drops::default();
        let gate = gate(strategy, drops.token());
        std::mem::forget(gate.enter_owned(Label::NONE));
        assert_eq!(gate.close_until(past()).map(drop), Err(CloseError::TimedOut));
        drop(gate);
        assert_eq!(drops.count(), 0);
    }
}

/// What is refused leaves no trace: no stay is noted, and the gate can be closed.
#[test]
fn a_refused_owned_pass_leaves_no_trace() {
    for strategy in STRATEGIES {
        let gate = gate(strategy, 1);
        gate.shut();
        for _ in 0..3 {
            assert_eq!(gate.enter_owned(Label::NONE).map(|pass| *pass), Err(Closed));
        }
        assert!(gate.blockers().is_empty());
        assert_eq!(gate.close_until(past()), Ok(1));
    }
}
