//! Threads that would wait for each other.

use std::sync::Arc;

use enodev_handles::RemoveError;
use enodev_handles::sync::thread;

use crate::check;
use crate::common::{disks, plug};

/// T98: each of two is inside one object and removes the other's. Exactly one is told, both objects go.
#[test]
fn of_two_that_remove_each_others_object_one_is_told() {
    check(|| {
        let disks = disks();
        let (first, second) = (plug(&disks), plug(&disks));
        let guard = disks.enter(first.0).unwrap();
        let other = thread::spawn({
            let disks = Arc::clone(&disks);
            let (first, second) = (first.0, second.0);
            move || {
                // Only if the other came first and has found the object empty.
                let Ok(guard) = disks.enter(second) else { return false };
                let told = disks.remove(first).is_err_and(|error| {
                    assert_eq!(error, RemoveError::Deadlock);
                    true
                });
                guard.visit();
                told
            }
        });
        let told = disks.remove(second.0).is_err_and(|error| {
            assert_eq!(error, RemoveError::Deadlock);
            true
        });
        guard.visit();
        drop(guard);
        assert!(!(other.join().unwrap() && told), "both are told");
        disks.reap();
        second.1.assert_gone();
    });
}
