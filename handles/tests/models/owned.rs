//! Owned references against a removal.

use std::sync::Arc;

use enodev_handles::Label;
use enodev_handles::sync::thread;

use crate::check;
use crate::common::{disks, plug, remove_all};

/// From the guard to the note of the stay there is no moment in which nobody is inside.
#[test]
fn who_holds_an_owned_reference_is_waited_for() {
    check(|| {
        let disks = disks();
        let (sda, witness) = plug(&disks);
        let holder = thread::spawn({
            let disks = Arc::clone(&disks);
            move || {
                if let Ok(owned) = disks.enter_owned(sda, Label::default()) {
                    owned.visit();
                }
            }
        });
        remove_all(&disks, [sda]);
        witness.assert_gone();
        holder.join().unwrap();
    });
}

/// A drain that sleeps for the last of several references is woken by it, on whichever thread that goes.
#[test]
fn the_last_owned_reference_wakes_the_drain() {
    check(|| {
        let disks = disks();
        let (sda, witness) = plug(&disks);
        let [first, second] = [(); 2].map(|()| disks.enter_owned(sda, Label::default()).unwrap());
        let holder = thread::spawn(move || {
            first.visit();
        });
        let remover = thread::spawn({
            let disks = Arc::clone(&disks);
            move || remove_all(&disks, [sda])
        });
        second.visit();
        drop(second);
        holder.join().unwrap();
        remover.join().unwrap();
        witness.assert_gone();
    });
}
