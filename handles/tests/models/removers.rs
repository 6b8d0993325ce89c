//! Several who remove one object, at once or one after the other.

use std::sync::Arc;
use std::time::Instant;

use enodev_handles::sync::thread;
use enodev_handles::{RemoveError, Stale};

use crate::check;
use crate::common::{disks, plug, remove_all, visit};

/// E-6: the second remover returns when the first one's drain and the payload's drop are over.
#[test]
fn a_second_remover_returns_when_the_payload_is_gone() {
    check(|| {
        let disks = disks();
        let (sda, witness) = plug(&disks);
        let first = thread::spawn({
            let disks = Arc::clone(&disks);
            move || remove_all(&disks, [sda])
        });
        match disks.remove(sda) {
            Ok(payload) => drop(payload),
            Err(error) => assert_eq!(error, RemoveError::Stale(Stale)),
        }
        witness.assert_gone();
        first.join().unwrap();
    });
}

/// E-6: so it is while somebody is inside, and both have to wait.
#[test]
fn two_removers_wait_for_who_is_inside() {
    check(|| {
        let disks = disks();
        let (sda, witness) = plug(&disks);
        let guard = disks.enter(sda).unwrap();
        let removers = [(); 2].map(|()| {
            let (disks, witness) = (Arc::clone(&disks), Arc::clone(&witness));
            thread::spawn(move || {
                let gone = remove_all(&disks, [sda]);
                if gone == 0 {
                    disks.join(sda).unwrap();
                }
                witness.assert_gone();
                gone
            })
        });
        guard.visit();
        drop(guard);
        let gone: usize = removers.into_iter().map(|remover| remover.join().unwrap()).sum();
        assert_eq!(gone, 1);
    });
}

/// E-6: what one has given up another finishes, once.
#[test]
fn what_is_given_up_is_finished_by_another() {
    check(|| {
        let disks = disks();
        let (sda, witness) = plug(&disks);
        let guard = disks.enter(sda).unwrap();
        let impatient = thread::spawn({
            let disks = Arc::clone(&disks);
            move || {
                let mut leaving = disks.leave();
                leaving.mark(sda).unwrap();
                // Nobody waits: given up, unless the guard has gone.
                leaving.drain_until(Instant::now()).map(drop).is_ok()
            }
        });
        let reaper = thread::spawn({
            let disks = Arc::clone(&disks);
            move || disks.reap()
        });
        guard.visit();
        drop(guard);
        let finished = usize::from(impatient.join().unwrap()) + reaper.join().unwrap();
        assert_eq!(finished + disks.reap(), 1);
        witness.assert_gone();
        assert!(!disks.has_given_up());
    });
}

/// Who waits for another's removal does not wait for one that nobody is at.
#[test]
fn who_joins_a_removal_that_is_given_up_is_told() {
    check(|| {
        let disks = disks();
        let (sda, witness) = plug(&disks);
        let impatient = thread::spawn({
            let disks = Arc::clone(&disks);
            move || {
                let mut leaving = disks.leave();
                leaving.mark(sda).unwrap();
            }
        });
        match disks.join(sda) {
            Ok(()) => witness.assert_there(),
            Err(error) => assert_eq!(error, RemoveError::Leaving),
        }
        impatient.join().unwrap();
        assert_eq!(disks.reap(), 1);
        witness.assert_gone();
        assert!(!visit(&disks, sda));
    });
}

/// Who waits for another's removal does not wait for one that is abandoned as it begins.
#[test]
fn who_joins_a_removal_that_is_abandoned_is_told() {
    check(|| {
        let disks = disks();
        let (sda, witness) = plug(&disks);
        let joiner = thread::spawn({
            let disks = Arc::clone(&disks);
            move || disks.join(sda)
        });
        disks.abandon(sda).unwrap();
        if let Err(error) = joiner.join().unwrap() {
            assert_eq!(error, RemoveError::Leaving);
        }
        assert_eq!(disks.reap(), 1);
        witness.assert_gone();
    });
}

/// Who waits for a removal that is given up and finished by a third is told or sees the end; nobody waits for ever.
#[test]
fn who_joins_a_removal_that_changes_hands_returns() {
    check(|| {
        let disks = disks();
        let (sda, witness) = plug(&disks);
        let mut leaving = disks.leave();
        leaving.mark(sda).unwrap();
        let joiner = thread::spawn({
            let disks = Arc::clone(&disks);
            move || disks.join(sda)
        });
        drop(leaving);
        let reaper = thread::spawn({
            let disks = Arc::clone(&disks);
            move || disks.reap()
        });
        match joiner.join().unwrap() {
            Ok(()) => witness.assert_gone(),
            Err(error) => assert_eq!(error, RemoveError::Leaving),
        }
        assert_eq!(reaper.join().unwrap(), 1);
    });
}

/// E-6: whoever took over what was given up is waited for.
#[test]
fn who_joins_a_removal_that_was_taken_over_waits() {
    check(|| {
        let disks = disks();
        let (sda, witness) = plug(&disks);
        let mut leaving = disks.leave();
        leaving.mark(sda).unwrap();
        drop(leaving);
        let taken: Vec<_> = disks.given_up().collect();
        assert_eq!(taken.len(), 1);
        let joiner = thread::spawn({
            let (disks, witness) = (Arc::clone(&disks), Arc::clone(&witness));
            move || {
                disks.join(sda).unwrap();
                witness.assert_gone();
            }
        });
        for leaving in taken {
            drop(leaving.drain().unwrap());
        }
        joiner.join().unwrap();
    });
}
