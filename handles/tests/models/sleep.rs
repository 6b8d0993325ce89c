//! Who sleeps inside an object.

use std::sync::Arc;

use enodev_handles::sync::atomic::{AtomicBool, Ordering};
use enodev_handles::sync::thread;

use crate::awaited::block_on;
use crate::check;
use crate::common::{disks, plug, remove_all};

/// E-47: a removal wakes who sleeps inside, and goes on when that one has left.
#[test]
fn who_sleeps_inside_is_woken_by_the_removal() {
    check(|| {
        let disks = disks();
        let (sda, witness) = plug(&disks);
        let sleeper = thread::spawn({
            let disks = Arc::clone(&disks);
            move || {
                if let Ok(guard) = disks.enter(sda) {
                    assert!(disks.sleep(sda, None, || false), "nothing else ends the sleep");
                    assert!(disks.is_leaving(sda));
                    guard.visit();
                }
            }
        });
        remove_all(&disks, [sda]);
        witness.assert_gone();
        sleeper.join().unwrap();
    });
}

/// E-47: a removal that is given up at once has woken who sleeps, too.
#[test]
fn who_sleeps_inside_is_woken_by_a_removal_that_is_given_up() {
    check(|| {
        let disks = disks();
        let (sda, witness) = plug(&disks);
        let sleeper = thread::spawn({
            let disks = Arc::clone(&disks);
            move || {
                if let Ok(guard) = disks.enter(sda) {
                    assert!(disks.sleep(sda, None, || false), "nothing else ends the sleep");
                    guard.visit();
                }
            }
        });
        let mut leaving = disks.leave();
        leaving.mark(sda).unwrap();
        drop(leaving);
        sleeper.join().unwrap();
        assert_eq!(disks.reap(), 1);
        witness.assert_gone();
    });
}

/// E-47: so does one that is awaited.
#[test]
fn who_sleeps_inside_is_woken_by_a_removal_that_is_awaited() {
    check(|| {
        let disks = disks();
        let (sda, witness) = plug(&disks);
        let sleeper = thread::spawn({
            let disks = Arc::clone(&disks);
            move || {
                if let Ok(guard) = disks.enter(sda) {
                    assert!(disks.sleep(sda, None, || false), "nothing else ends the sleep");
                    guard.visit();
                }
            }
        });
        let mut leaving = disks.leave();
        leaving.mark(sda).unwrap();
        drop(block_on(leaving.drained()).unwrap());
        witness.assert_gone();
        sleeper.join().unwrap();
    });
}

/// E-47: and one that is only asked for now and then.
#[test]
fn who_sleeps_inside_is_woken_by_a_removal_that_is_looked_at() {
    check(|| {
        let disks = disks();
        let (sda, witness) = plug(&disks);
        let sleeper = thread::spawn({
            let disks = Arc::clone(&disks);
            move || {
                if let Ok(guard) = disks.enter(sda) {
                    assert!(disks.sleep(sda, None, || false), "nothing else ends the sleep");
                    guard.visit();
                }
            }
        });
        let mut leaving = disks.leave();
        leaving.mark(sda).unwrap();
        leaving.is_quiet().unwrap();
        sleeper.join().unwrap();
        assert!(leaving.is_quiet().unwrap());
        drop(leaving.drain().unwrap());
        witness.assert_gone();
    });
}

/// E-47, S0-15: a callback that removes its own object wakes those who sleep in it, not only as it returns.
#[test]
fn who_sleeps_inside_is_woken_by_a_removal_from_inside() {
    check(|| {
        let disks = disks();
        let (sda, witness) = plug(&disks);
        let sleeper = thread::spawn({
            let disks = Arc::clone(&disks);
            move || {
                if let Ok(guard) = disks.enter(sda) {
                    assert!(disks.sleep(sda, None, || false), "nothing else ends the sleep");
                    guard.visit();
                }
            }
        });
        let guard = disks.enter(sda).unwrap();
        let mut leaving = disks.leave();
        leaving.mark(sda).unwrap();
        leaving.defer(|quiet| drop(quiet));
        // Still inside.
        sleeper.join().unwrap();
        guard.visit();
        drop(guard);
        witness.assert_gone();
    });
}

/// What a sleeper waits for beside the removal, and a call that says so.
#[test]
fn who_sleeps_is_woken_to_look() {
    check(|| {
        let disks = disks();
        let (sda, _witness) = plug(&disks);
        let pressed = Arc::new(AtomicBool::new(false));
        let sleeper = thread::spawn({
            let (disks, pressed) = (Arc::clone(&disks), Arc::clone(&pressed));
            move || {
                let guard = disks.enter(sda).unwrap();
                assert!(!disks.sleep(sda, None, || pressed.load(Ordering::Acquire)), "nobody removes it");
                guard.visit();
            }
        });
        pressed.store(true, Ordering::Release);
        disks.wake();
        sleeper.join().unwrap();
    });
}
