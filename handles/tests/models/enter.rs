//! Who enters an object against who removes it.

use std::sync::Arc;

use enodev_handles::sync::thread;

use crate::check;
use crate::common::{disks, plug, visit};

/// The reader is seen, or sees that it came too late.
#[test]
fn who_is_let_in_is_waited_for() {
    check(|| {
        let disks = disks();
        let (sda, witness) = plug(&disks);
        let reader = thread::spawn({
            let disks = Arc::clone(&disks);
            move || visit(&disks, sda)
        });
        drop(disks.remove(sda).unwrap());
        witness.assert_gone();
        assert!(!visit(&disks, sda));
        reader.join().unwrap();
    });
}

/// A drain that sleeps is woken: of the leave and the last look before the sleep one sees the other.
#[test]
fn a_drain_that_sleeps_is_woken() {
    check(|| {
        let disks = disks();
        let (sda, witness) = plug(&disks);
        let guard = disks.enter(sda).unwrap();
        let remover = thread::spawn({
            let disks = Arc::clone(&disks);
            move || drop(disks.remove(sda).unwrap())
        });
        guard.visit();
        drop(guard);
        remover.join().unwrap();
        witness.assert_gone();
    });
}
