//! Several objects that are removed together, by one drain.

use std::sync::Arc;

use enodev_handles::sync::thread;

use crate::check;
use crate::common::{disks, plug, remove_all, visit};

/// S0-3: of each object of the batch, whoever was let in is waited for.
#[test]
fn a_batch_waits_for_who_is_inside_any_of_it() {
    check(|| {
        let disks = disks();
        let (first, second) = (plug(&disks), plug(&disks));
        let readers = [second.0, first.0].map(|disk| {
            let disks = Arc::clone(&disks);
            thread::spawn(move || visit(&disks, disk))
        });
        remove_all(&disks, [first.0, second.0]);
        first.1.assert_gone();
        second.1.assert_gone();
        readers.into_iter().for_each(|reader| {
            reader.join().unwrap();
        });
    });
}

/// Each cell of one thread is waited for, in whatever order they are left.
#[test]
fn a_batch_waits_for_all_that_one_thread_holds() {
    check(|| {
        let disks = disks();
        let (first, second) = (plug(&disks), plug(&disks));
        let guards = [first.0, second.0].map(|disk| disks.enter(disk).unwrap());
        let remover = thread::spawn({
            let disks = Arc::clone(&disks);
            let (first, second) = (first.0, second.0);
            move || remove_all(&disks, [first, second])
        });
        for guard in guards {
            guard.visit();
            drop(guard);
        }
        remover.join().unwrap();
        first.1.assert_gone();
        second.1.assert_gone();
    });
}
