//! Threads that would wait for each other.

use std::sync::Arc;

use enodev_handles::sync::thread;
use enodev_handles::{Handle, RemoveError};

use crate::check;
use crate::common::{Disk, Disks, Meeting, Witness, disks, plug, remove_all};

/// Enters one object, waits until the others are in theirs, and removes another one from there; true if it was told that
/// this would be to wait for itself.
fn remove_from(disks: &Disks, inside: Handle<Disk>, other: Handle<Disk>, meeting: &Meeting) -> bool {
    let guard = disks.enter(inside).unwrap();
    meeting.come();
    let told = match disks.remove(other) {
        Ok(payload) => {
            drop(payload);
            false
        }
        Err(error) => {
            assert_eq!(error, RemoveError::Deadlock);
            true
        }
    };
    guard.visit();
    told
}

/// So many threads, each inside an object of its own, of which each removes the next one's; the last one the first one's, if it is
/// a ring. Returns how many were told.
fn told(threads: usize, ring: bool) -> usize {
    let disks = disks();
    let all: Vec<(Handle<Disk>, Arc<Witness>)> = (0..threads).map(|_| plug(&disks)).collect();
    let removed = if ring { threads } else { threads - 1 };
    let meeting = Meeting::of(removed);
    let removers: Vec<_> = (0..removed)
        .map(|at| {
            let (disks, meeting) = (Arc::clone(&disks), Arc::clone(&meeting));
            let (inside, other) = (all[at].0, all[(at + 1) % threads].0);
            move || remove_from(&disks, inside, other, &meeting)
        })
        .collect();
    let mut removers = removers.into_iter();
    let own = removers.next();
    let others: Vec<_> = removers.map(thread::spawn).collect();
    let told = usize::from(own.is_some_and(|own| own()));
    let told = told + others.into_iter().map(|other| usize::from(other.join().unwrap())).sum::<usize>();
    assert_eq!(disks.reap(), told, "what one has given up is left");
    let start = usize::from(!ring);
    all[start..].iter().for_each(|(_, witness)| witness.assert_gone());
    told
}

/// Each of two is inside one object and removes the other's. Exactly one is told, and both objects go.
#[test]
fn of_two_that_remove_each_others_object_one_is_told() {
    check(|| assert_eq!(told(2, true), 1));
}

/// So it is with three, none of which waits for itself directly.
#[test]
#[cfg(shuttle)]
fn of_three_in_a_ring_one_is_told() {
    check(|| assert_eq!(told(3, true), 1));
}

/// Where the last one waits for nobody, all can wait.
#[test]
#[cfg(shuttle)]
fn in_a_chain_nobody_is_told() {
    check(|| assert_eq!(told(4, false), 0));
}

/// Who is inside an object may be waited for by the one that removes another, so it does not wait for that one.
#[test]
fn who_is_inside_does_not_wait_for_anothers_removal() {
    check(|| {
        let disks = disks();
        let (first, second) = (plug(&disks), plug(&disks));
        let other = thread::spawn({
            let disks = Arc::clone(&disks);
            let (first, second) = (first.0, second.0);
            move || {
                let Ok(guard) = disks.enter(first) else { return };
                match disks.join(second) {
                    Ok(()) => {}
                    Err(error) => assert_eq!(error, RemoveError::Leaving),
                }
                guard.visit();
            }
        });
        remove_all(&disks, [first.0, second.0]);
        first.1.assert_gone();
        second.1.assert_gone();
        other.join().unwrap();
    });
}
