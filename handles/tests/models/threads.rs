//! Threads that begin and end, and hand their records on.

use std::cell::Cell;
use std::mem::forget;
use std::sync::Arc;
use std::time::Instant;

use enodev_handles::sync::{LocalKey, thread};
use enodev_handles::{Active, RemoveError};

use crate::check;
use crate::common::{Disks, Payload, disks, plug, visit};

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
            first.join().unwrap();
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

/// A guard that was forgotten holds its object beyond its thread: the record is not handed on with it.
#[test]
fn a_forgotten_guard_is_seen_when_its_thread_has_ended() {
    check(|| {
        let disks = disks();
        let ((sda, _witness), (sdb, _other)) = (plug(&disks), plug(&disks));
        let forgetful = thread::spawn({
            let disks = Arc::clone(&disks);
            move || forget(disks.enter(sda).unwrap())
        });
        let reader = thread::spawn({
            let disks = Arc::clone(&disks);
            move || visit(&disks, sdb)
        });
        forgetful.join().unwrap();
        let mut leaving = disks.leave();
        leaving.mark(sda).unwrap();
        let (leaving, error) = leaving.drain_until(Instant::now()).unwrap_err();
        assert_eq!(error, RemoveError::TimedOut);
        drop(leaving);
        reader.join().unwrap();
    });
}

/// Dropped with its thread, after the record would have been given back.
static LATE: LocalKey<Cell<Option<Active<'static, Payload>>>> = LocalKey::new(|| Cell::new(None));

/// A guard that a thread-local holds is waited for until that is destroyed, and the record comes back then.
#[test]
fn a_guard_that_goes_as_its_thread_ends_is_waited_for() {
    check(|| {
        let disks: &'static Disks = Box::leak(Box::new(disks()));
        let (sda, witness) = plug(disks);
        let reader = thread::spawn(move || {
            // The last to be destroyed.
            LATE.with(|late| late.set(None));
            LATE.with(|late| late.set(disks.enter(sda).ok()));
        });
        drop(disks.remove(sda).unwrap());
        witness.assert_gone();
        reader.join().unwrap();
        let (sdb, next) = plug(disks);
        let reader = thread::spawn(move || visit(disks, sdb));
        drop(disks.remove(sdb).unwrap());
        next.assert_gone();
        reader.join().unwrap();
    });
}
