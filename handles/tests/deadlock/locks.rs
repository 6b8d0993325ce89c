//! The lock itself, as an exclusion shows it.

use std::sync::Barrier;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use enodev_handles::{Deadlock, Exclusion};

use crate::common::{Random, dawdle, linger, until};

/// Those who wait get in one at a time, and all of them do: no wake-up is lost, and no step of a counter.
#[test]
fn all_who_wait_get_in_one_at_a_time() {
    const STEPS: u64 = 20_000;
    const THREADS: u64 = 4;
    let counter = Exclusion::new(0_u64);
    let work = |seed: u64| {
        let mut random = Random::new(seed);
        for _ in 0..STEPS {
            let mut counter = counter.lock().unwrap();
            let before = *counter;
            dawdle(&mut random);
            *counter = before + 1;
        }
    };
    thread::scope(|scope| {
        for seed in 0..THREADS {
            scope.spawn(move || work(seed));
        }
    });
    assert_eq!(counter.into_inner(), THREADS * STEPS);
}

/// One who gives the lock up and takes it again at once does not keep those who sleep from being woken.
#[test]
fn a_sleeper_is_woken_although_others_are_quicker() {
    for _ in 0..50 {
        let exclusion = Exclusion::new(());
        let [started, done] = [(); 2].map(|()| AtomicUsize::new(0));
        let held = exclusion.lock().unwrap();
        thread::scope(|scope| {
            for _ in 0..3 {
                scope.spawn(|| {
                    started.fetch_add(1, Ordering::SeqCst);
                    drop(exclusion.lock().unwrap());
                    done.fetch_add(1, Ordering::SeqCst);
                });
            }
            scope.spawn(|| {
                until(|| started.load(Ordering::SeqCst) == 3);
                while done.load(Ordering::SeqCst) < 3 {
                    drop(exclusion.lock().unwrap());
                }
            });
            until(|| started.load(Ordering::SeqCst) == 3);
            linger();
            drop(held);
        });
    }
}

/// What is held by this thread it is refused, and told why; it goes on holding it, and another waits for it.
#[test]
fn one_s_own_lock_is_refused_and_goes_on_being_held() {
    let exclusion = Exclusion::new(1);
    let mut held = exclusion.lock().unwrap();
    assert_eq!(exclusion.lock().err(), Some(Deadlock));
    assert!(exclusion.try_lock().is_none());
    thread::scope(|scope| {
        let other = scope.spawn(|| *exclusion.lock().unwrap());
        linger();
        assert!(!other.is_finished() && exclusion.try_lock().is_none());
        *held = 2;
        drop(held);
        assert_eq!(other.join().unwrap(), 2);
    });
    assert_eq!(exclusion.try_lock().map(|value| *value), Some(2));
}

/// A refused lock leaves no trace: all who try after it get in.
#[test]
fn a_refused_lock_can_be_taken_by_all_afterwards() {
    let [left, right] = [(); 2].map(|()| Exclusion::new(()));
    for _ in 0..500 {
        let both = Barrier::new(2);
        let cross = |first: &Exclusion, second: &Exclusion| {
            let _first = first.lock().unwrap();
            both.wait();
            second.lock().is_err()
        };
        let told = thread::scope(|scope| {
            let other = scope.spawn(|| cross(&right, &left));
            [cross(&left, &right), other.join().unwrap()]
        });
        assert_eq!(told.iter().filter(|told| **told).count(), 1);
        assert!(left.try_lock().is_some() && right.try_lock().is_some());
    }
}

/// A panic under the lock gives it up.
#[test]
fn a_panic_gives_the_lock_up() {
    let exclusion = Exclusion::new(1);
    let panics = || {
        *exclusion.lock().unwrap() = 2;
        let _held = exclusion.lock().unwrap();
        panic!("with the lock held");
    };
    thread::scope(|scope| assert!(scope.spawn(panics).join().is_err()));
    assert_eq!(*exclusion.lock().unwrap(), 2);
}
