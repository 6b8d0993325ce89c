//! Barriers that removers share.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize as Unmodelled, Ordering::Relaxed};

use enodev_handles::RemoveError;
use enodev_handles::internals::{barrier, stand_in};
use enodev_handles::sync::atomic::{AtomicUsize, Ordering};
use enodev_handles::sync::thread;

use crate::check;

/// How many removers wait at the same time. With a third, a barrier may be shared that began too early for one of them.
const REMOVERS: usize = 3;

/// Whoever has been served knows that a barrier saw what it had done before: its own, or one that another issued. Some share.
#[test]
fn a_barrier_that_is_shared_has_seen_what_each_did_before() {
    let fewest = Arc::new(Unmodelled::new(REMOVERS));
    check({
        let fewest = Arc::clone(&fewest);
        move || {
            let marks: Arc<[AtomicUsize; REMOVERS]> = Arc::new(std::array::from_fn(|_| AtomicUsize::new(0)));
            let seen: Arc<[Unmodelled; REMOVERS]> = Arc::default();
            let issued = Arc::new(Unmodelled::new(0));
            let (words, saw, count) = (Arc::clone(&marks), Arc::clone(&seen), Arc::clone(&issued));
            stand_in(move || {
                count.fetch_add(1, Relaxed);
                // Relaxed: what the call sees it owes to the fences of those who ask for it.
                words.iter().zip(&*saw).for_each(|(word, saw)| {
                    saw.fetch_max(word.load(Ordering::Relaxed), Relaxed);
                });
                true
            });
            let remover = |at: usize| {
                let (marks, seen) = (Arc::clone(&marks), Arc::clone(&seen));
                move || {
                    marks[at].store(1, Ordering::Relaxed);
                    barrier().unwrap();
                    assert_eq!(seen[at].load(Relaxed), 1, "no barrier has seen it");
                }
            };
            let others: Vec<_> = (1..REMOVERS).map(|at| thread::spawn(remover(at))).collect();
            remover(0)();
            others.into_iter().for_each(|other| other.join().unwrap());
            fewest.fetch_min(issued.load(Relaxed), Relaxed);
        }
    });
    assert!(fewest.load(Relaxed) < REMOVERS, "each issued its own");
}

/// One that was refused served nobody.
#[test]
fn a_barrier_that_is_refused_serves_nobody() {
    check(|| {
        let calls = Arc::new(Unmodelled::new(0));
        let count = Arc::clone(&calls);
        stand_in(move || count.fetch_add(1, Relaxed) > 0);
        let other = thread::spawn(barrier);
        let mine = barrier();
        let all = [mine, other.join().unwrap()];
        assert_eq!(all.iter().filter(|answer| **answer == Err(RemoveError::Barrier)).count(), 1);
        assert_eq!(calls.load(Relaxed), 2, "the second one was served by the first one's");
    });
}
