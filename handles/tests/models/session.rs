//! Sessions against a removal.

use std::sync::Arc;

use enodev_handles::sync::thread;

use crate::check;
use crate::common::{disks, plug, remove_all};

/// A session fills one cell again and again: the drain waits for the visit that it must wait for, and not for the next.
#[test]
fn a_visit_of_a_session_is_waited_for() {
    check(|| {
        let disks = disks();
        let ((sda, witness), (sdb, _other)) = (plug(&disks), plug(&disks));
        let reader = thread::spawn({
            let disks = Arc::clone(&disks);
            move || {
                let mut session = disks.session();
                for disk in [sda, sdb] {
                    if let Ok(visit) = session.enter(disk) {
                        visit.visit();
                    }
                }
            }
        });
        remove_all(&disks, [sda]);
        witness.assert_gone();
        reader.join().unwrap();
    });
}
