//! Who removes an object from inside it.

use std::sync::Arc;

use enodev_handles::sync::thread;
use enodev_handles::{Handle, RemoveError};

use crate::check;
use crate::common::{Disk, Disks, disks, plug, visit};

/// Enters an object and removes it from inside; true if this was the one that did it.
fn unplug_from_inside(disks: &Disks, disk: Handle<Disk>) -> bool {
    let Ok(guard) = disks.enter(disk) else { return false };
    let mut leaving = disks.leave();
    let mark = leaving.mark(disk);
    guard.visit();
    match mark {
        Ok(()) => leaving.defer(|quiet| drop(quiet)),
        Err(error) => assert_eq!(error, RemoveError::Leaving, "the caller is inside"),
    }
    guard.visit();
    mark.is_ok()
}

/// S0-15: a callback removes its own object; as it has returned, the others have been waited for and the payload is gone.
#[test]
fn who_removes_what_it_is_in_waits_for_the_others_as_it_leaves() {
    check(|| {
        let disks = disks();
        let (sda, witness) = plug(&disks);
        let other = thread::spawn({
            let disks = Arc::clone(&disks);
            move || visit(&disks, sda)
        });
        assert!(unplug_from_inside(&disks, sda));
        witness.assert_gone();
        other.join().unwrap();
    });
}

/// T101, S0-15: of those who remove the object from inside it exactly one is told that it did it, and nobody waits for ever.
#[test]
fn of_those_who_remove_what_they_are_in_one_does() {
    check(|| {
        let disks = disks();
        let (sda, witness) = plug(&disks);
        let other = thread::spawn({
            let (disks, witness) = (Arc::clone(&disks), Arc::clone(&witness));
            move || {
                let mine = unplug_from_inside(&disks, sda);
                if mine {
                    witness.assert_gone();
                }
                mine
            }
        });
        let mine = unplug_from_inside(&disks, sda);
        if mine {
            witness.assert_gone();
        }
        assert!(mine ^ other.join().unwrap());
        witness.assert_gone();
    });
}

/// E-6: a removal from outside meets the one from inside, and returns when that one is over, payload and all.
#[test]
fn who_removes_from_outside_waits_for_who_does_from_inside() {
    check(|| {
        let disks = disks();
        let (sda, witness) = plug(&disks);
        let other = thread::spawn({
            let (disks, witness) = (Arc::clone(&disks), Arc::clone(&witness));
            move || {
                drop(disks.remove(sda));
                witness.assert_gone();
            }
        });
        unplug_from_inside(&disks, sda);
        other.join().unwrap();
    });
}

/// S0-15: with the last of the guards that its thread holds of it, and of what is removed with it, not with the first.
#[test]
fn what_is_removed_from_inside_goes_with_the_last_guard() {
    check(|| {
        let disks = disks();
        let (first, second) = (plug(&disks), plug(&disks));
        let other = thread::spawn({
            let disks = Arc::clone(&disks);
            let second = second.0;
            move || visit(&disks, second)
        });
        let guards = [first.0, first.0, second.0].map(|disk| disks.enter(disk).unwrap());
        let mut leaving = disks.leave();
        leaving.mark(second.0).unwrap();
        leaving.mark(first.0).unwrap();
        leaving.defer(|quiet| drop(quiet));
        for guard in guards {
            guard.visit();
            drop(guard);
        }
        first.1.assert_gone();
        second.1.assert_gone();
        other.join().unwrap();
    });
}
