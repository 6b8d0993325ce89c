//! A gate that is closed and opened again and again.

use std::hint;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

use enodev_handles::{CloseError, Gate};

use crate::common::{Drops, STRATEGIES, gate, linger, until};

/// A closed gate opens again with any value; one that is open, or shut with a value in it, does not, and gives the value back.
#[test]
fn only_a_closed_gate_opens_again() {
    for strategy in STRATEGIES {
        let gate = gate(strategy, 1);
        assert_eq!(gate.reopen(2), Err(2));
        gate.shut();
        assert_eq!(gate.reopen(2), Err(2));
        assert_eq!(gate.close(), Ok(1));
        assert_eq!(gate.reopen(2), Ok(()));
        assert!(!gate.is_shut());
        assert_eq!(gate.enter().map(|pass| *pass), Ok(2));
        assert_eq!(gate.close(), Ok(2));
    }
    let gate = Gate::closed();
    assert_eq!(gate.reopen(3), Ok(()));
    assert_eq!((gate.close(), gate.close()), (Ok(3), Err(CloseError::Closed)));
}

/// Of several who open a closed gate at once one is told that it did; the values of the others come back to them.
#[test]
fn of_those_who_open_a_gate_one_does() {
    let gate = Gate::closed();
    for _ in 0..if cfg!(miri) { 10 } else { 300 } {
        let opened: Vec<_> = thread::scope(|scope| {
            let gate = &gate;
            let threads: Vec<_> = (0..3).map(|me| scope.spawn(move || gate.reopen(me))).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        assert_eq!(opened.iter().filter(|opened| opened.is_ok()).count(), 1);
        let winner = gate.close().unwrap();
        for (me, opened) in opened.into_iter().enumerate() {
            assert_eq!(opened, if me == winner { Ok(()) } else { Err(me) });
        }
    }
}

/// T92, S3-1, S3-2: one gate takes 2^12 values, one after the other, while others keep entering it: a visitor finds one value as long as it
/// is inside, and never one that has been taken; none is lost or dropped twice.
#[test]
fn a_visitor_sees_one_incarnation_however_often_the_gate_is_opened_again() {
    let rounds = if cfg!(miri) { 1 << 5 } else { 1 << 12 };
    for strategy in STRATEGIES {
        let drops = Drops::default();
        // Apart from the values, which leave their marks in the gate when they are moved out of it.
        let taken: Vec<AtomicBool> = (0..=rounds).map(|_| AtomicBool::new(false)).collect();
        let gate = gate(strategy, (0, drops.token()));
        let (visits, over) = (AtomicUsize::new(0), AtomicBool::new(false));
        let visit = |dwell: usize| {
            let Ok(pass) = gate.enter() else { return };
            let seen = pass.0;
            (0..dwell).for_each(|_| hint::spin_loop());
            assert!(!taken[seen].load(Ordering::SeqCst), "value {seen} has been taken, and somebody is inside");
            assert_eq!(pass.0, seen);
            visits.fetch_add(1, Ordering::Relaxed);
        };
        thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| {
                    let dwells = [0, 1, 5, 20, 100].into_iter().cycle();
                    dwells.take_while(|_| !over.load(Ordering::Relaxed)).for_each(visit);
                });
            }
            for round in 1..=rounds {
                if round % 8 == 0 {
                    let seen = visits.load(Ordering::Relaxed);
                    until(|| visits.load(Ordering::Relaxed) != seen);
                }
                let (number, token) = gate.close().unwrap();
                taken[number].store(true, Ordering::SeqCst);
                assert_eq!(number, round - 1);
                drop(token);
                assert!(gate.reopen((round, drops.token())).is_ok());
            }
            over.store(true, Ordering::Relaxed);
        });
        assert_eq!(drops.count(), rounds);
        drop(gate);
        assert_eq!(drops.count(), rounds + 1);
    }
}

/// E-6: whoever waits for a closer waits for that incarnation only: when the gate has been opened again, it is told that the former
/// one has been closed, and leaves the new one alone.
#[test]
fn who_waits_for_a_closer_leaves_the_next_incarnation_alone() {
    for strategy in STRATEGIES {
        let gate = gate(strategy, 0);
        let (mut late, rounds) = (0, if cfg!(miri) { 4 } else { 100 });
        for _ in 0..rounds {
            let called = AtomicBool::new(false);
            let pass = gate.enter().unwrap();
            let second = thread::scope(|scope| {
                let first = scope.spawn(|| {
                    let value = gate.close().unwrap();
                    assert_eq!(gate.reopen(value + 1), Ok(()));
                });
                until(|| gate.is_shut());
                let second = scope.spawn(|| {
                    called.store(true, Ordering::SeqCst);
                    gate.close()
                });
                until(|| called.load(Ordering::SeqCst));
                linger();
                drop(pass);
                first.join().unwrap();
                second.join().unwrap()
            });
            match second {
                Err(CloseError::Closed) => {}
                // It has closed the next one. That is right if it came too late to wait, which hardly ever happens.
                Ok(value) => {
                    late += 1;
                    assert_eq!(gate.reopen(value), Ok(()));
                }
                Err(error) => panic!("{error}"),
            }
        }
        assert!(late <= rounds / 20, "{late} of {rounds} have not left the gate alone");
    }
}
