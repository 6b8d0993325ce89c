//! Slots that are used again.

use std::sync::Arc;

use enodev_handles::Handle;
use enodev_handles::sync::thread;

use crate::check;
use crate::common::{Disk, Disks, Witness, disks, payload, plug, remove_all, visit};

/// The slot of a handle, as its `Debug` shows it: "Disk(3v5)" is in slot 3.
fn slot(disk: Handle<Disk>) -> u64 {
    disk.to_bits() & u64::from(u32::MAX)
}

/// Puts another object in the place of `old`. A slot that has come free waits until another one has.
fn replug(disks: &Disks, old: Handle<Disk>, spare: Handle<Disk>) -> (Handle<Disk>, Arc<Witness>) {
    remove_all(disks, [old, spare]);
    assert_eq!(disks.flush(), 0, "nobody is pinned");
    let (new, witness) = plug(disks);
    assert_eq!(slot(new), slot(old), "another slot");
    (new, witness)
}

/// A stale handle is refused, whatever has become of its slot meanwhile.
#[test]
fn a_stale_handle_does_not_reach_what_took_its_place() {
    check(|| {
        let disks = disks();
        let (old, witness) = plug(&disks);
        let (spare, _) = plug(&disks);
        let reader = thread::spawn({
            let (disks, witness) = (Arc::clone(&disks), Arc::clone(&witness));
            move || {
                if let Ok(guard) = disks.enter(old) {
                    assert!(guard.is_of(&witness), "the next object");
                    guard.visit();
                }
            }
        });
        let (new, _witness) = replug(&disks, old, spare);
        witness.assert_gone();
        assert!(visit(&disks, new));
        reader.join().unwrap();
    });
}

/// So it is in a session.
#[test]
fn a_session_does_not_reach_what_took_its_place() {
    check(|| {
        let disks = disks();
        let (old, witness) = plug(&disks);
        let (spare, _) = plug(&disks);
        let reader = thread::spawn({
            let (disks, witness) = (Arc::clone(&disks), Arc::clone(&witness));
            move || {
                let mut session = disks.session();
                if let Ok(visit) = session.enter(old) {
                    assert!(visit.is_of(&witness), "the next object");
                    visit.visit();
                }
            }
        });
        let (_new, _witness) = replug(&disks, old, spare);
        witness.assert_gone();
        reader.join().unwrap();
    });
}

/// A reader that comes with the handle of before is not let in, but its cell has the slot's address for a moment. A drain of the
/// next object that sees it there ends all the same.
#[test]
fn a_stale_reader_that_is_seen_in_passing_wakes_the_drain() {
    check(|| {
        let disks = disks();
        let (old, _) = plug(&disks);
        let (spare, _) = plug(&disks);
        let (new, witness) = replug(&disks, old, spare);
        let reader = thread::spawn({
            let disks = Arc::clone(&disks);
            move || assert!(!visit(&disks, old))
        });
        drop(disks.remove(new).unwrap());
        witness.assert_gone();
        reader.join().unwrap();
    });
}

/// A handle may be known, or guessed, before its object is there: who is let in, or removes it, has it whole.
#[test]
fn who_is_let_in_by_a_handle_from_before_finds_the_object_whole() {
    check(|| {
        let disks = disks();
        let reservation = disks.reserve().unwrap();
        let disk = reservation.handle();
        let reader = thread::spawn({
            let disks = Arc::clone(&disks);
            move || visit(&disks, disk)
        });
        let remover = thread::spawn({
            let disks = Arc::clone(&disks);
            move || remove_all(&disks, [disk])
        });
        let (payload, witness) = payload();
        assert_eq!(reservation.publish((), payload), disk);
        let removed = remover.join().unwrap();
        reader.join().unwrap();
        assert_eq!(removed + remove_all(&disks, [disk]), 1);
        witness.assert_gone();
    });
}

/// A reservation that is given up leaves a slot that is used again, once, under another handle.
#[test]
fn a_slot_that_was_reserved_and_given_up_is_used_by_one() {
    check(|| {
        let disks = disks();
        let other = thread::spawn({
            let disks = Arc::clone(&disks);
            move || {
                let given_up = disks.reserve().unwrap().handle();
                let used = plug(&disks);
                assert!(!disks.contains(given_up), "a handle of nothing is good");
                (given_up, used)
            }
        });
        let given_up = disks.reserve().unwrap().handle();
        let mine = plug(&disks);
        let (others, theirs) = other.join().unwrap();
        for _ in 0..2 {
            plug(&disks);
        }
        assert_ne!(given_up, others);
        assert!(!disks.contains(given_up) && !disks.contains(others), "a handle of nothing is good");
        for (disk, witness) in [mine, theirs] {
            assert!(disks.enter(disk).unwrap().is_of(&witness), "another object");
        }
        assert_eq!(disks.len(), 4);
    });
}
