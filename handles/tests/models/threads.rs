//! Threads that begin and end, and hand their records on.

use std::sync::Arc;

use enodev_handles::sync::thread;

use crate::check;
use crate::common::{disks, plug, visit};

/// A thread that has not entered anything when a remover looked at the threads there are is seen by the next look.
#[test]
fn a_thread_that_begins_after_one_drain_is_seen_by_the_next() {
    check(|| {
        let disks = disks();
        let (sda, witness) = plug(&disks);
        let (earlier, _) = plug(&disks);
        drop(disks.remove(earlier).unwrap());
        let reader = thread::spawn({
            let disks = Arc::clone(&disks);
            move || visit(&disks, sda)
        });
        drop(disks.remove(sda).unwrap());
        witness.assert_gone();
        reader.join().unwrap();
    });
}

/// A thread ends while a drain looks at its record, which goes to another one. The drain waits for whom it must, and ends.
#[test]
fn a_record_that_is_handed_on_during_a_drain_is_still_looked_at() {
    check(|| {
        let disks = disks();
        let (sda, witness) = plug(&disks);
        let [first, second] = [(); 2].map(|()| {
            let disks = Arc::clone(&disks);
            move || visit(&disks, sda)
        });
        let readers = thread::spawn(move || {
            let first = thread::spawn(first);
            drop(first.join().unwrap());
            // The first one's record has come back.
            second()
        });
        drop(disks.remove(sda).unwrap());
        witness.assert_gone();
        readers.join().unwrap();
    });
}

/// A record comes back with no cell in use, so the next thread's stay is its own.
#[test]
fn who_takes_over_a_record_is_waited_for_in_its_own_right() {
    check(|| {
        let disks = disks();
        let ((sda, witness), (sdb, _other)) = (plug(&disks), plug(&disks));
        let first = thread::spawn({
            let disks = Arc::clone(&disks);
            move || visit(&disks, sdb)
        });
        let second = thread::spawn({
            let disks = Arc::clone(&disks);
            move || visit(&disks, sda)
        });
        drop(disks.remove(sda).unwrap());
        witness.assert_gone();
        first.join().unwrap();
        second.join().unwrap();
    });
}
