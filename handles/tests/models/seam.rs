//! The seam itself: what the models' locks, conditions and thread-locals do is what those of a plain build do.

use std::cell::Cell;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize as Unmodelled, Ordering};
use std::time::Instant;

use enodev_handles::sync::atomic::AtomicUsize;
use enodev_handles::sync::{Condvar, LocalKey, Mutex, RwLock, thread};
use enodev_handles::{Domain, Strategy};

use crate::check;

#[derive(Default)]
struct Gate {
    open: Mutex<bool>,
    opened: Condvar,
}

impl Gate {
    fn wait(&self) {
        let mut open = self.open.lock();
        while !*open {
            self.opened.wait(&mut open);
        }
    }
}

#[test]
fn who_waits_on_a_condition_is_woken() {
    check(|| {
        let gate = Arc::new(Gate::default());
        let opener = thread::spawn({
            let gate = Arc::clone(&gate);
            move || {
                *gate.open.lock() = true;
                gate.opened.notify_all();
            }
        });
        gate.wait();
        opener.join().unwrap();
    });
}

#[test]
#[should_panic(expected = "deadlock")]
fn a_wake_up_that_is_left_out_is_found() {
    check(|| {
        let gate = Arc::new(Gate::default());
        let opener = thread::spawn({
            let gate = Arc::clone(&gate);
            move || *gate.open.lock() = true
        });
        gate.wait();
        opener.join().unwrap();
    });
}

/// A wait that times out has let go of the lock meanwhile, so another thread may have had it, or not.
#[test]
fn a_deadline_that_has_passed_gives_others_the_lock() {
    let seen = Arc::new([const { Unmodelled::new(0) }; 2]);
    check({
        let seen = Arc::clone(&seen);
        move || {
            let gate = Arc::new(Gate::default());
            let mut open = gate.open.lock();
            let opener = thread::spawn({
                let gate = Arc::clone(&gate);
                move || *gate.open.lock() = true
            });
            assert!(!*open, "the lock is held");
            assert!(gate.opened.wait_until(&mut open, Instant::now()).timed_out());
            seen[usize::from(*open)].fetch_add(1, Ordering::Relaxed);
            drop(open);
            opener.join().unwrap();
        }
    });
    assert!(seen.iter().all(|times| times.load(Ordering::Relaxed) > 0), "{seen:?}");
}

#[test]
fn a_writer_is_alone() {
    check(|| {
        let pair = Arc::new(RwLock::new([0, 0]));
        let writer = thread::spawn({
            let pair = Arc::clone(&pair);
            move || {
                let mut pair = pair.write();
                pair[0] += 1;
                thread::yield_now();
                pair[1] += 1;
            }
        });
        let seen = *pair.read();
        assert_eq!(seen[0], seen[1]);
        writer.join().unwrap();
    });
}

/// Reads a thread-local without a destructor as it is destroyed itself.
struct Reads(Cell<Option<Arc<AtomicUsize>>>);

static NUMBER: LocalKey<Cell<usize>> = LocalKey::new(|| Cell::new(0));
static READS: LocalKey<Reads> = LocalKey::new(|| Reads(Cell::new(None)));

impl Drop for Reads {
    fn drop(&mut self) {
        assert!(READS.try_with(|_| ()).is_err(), "it can be reached while it is destroyed");
        if let Some(into) = self.0.take() {
            into.store(NUMBER.get(), Ordering::Release);
        }
    }
}

#[test]
fn each_thread_has_its_own_values_and_its_destructors_run_as_it_ends() {
    check(|| {
        let spawn = |number: usize| {
            let read = Arc::new(AtomicUsize::new(0));
            let into = Arc::clone(&read);
            let thread = thread::spawn(move || {
                assert_eq!(NUMBER.get(), 0, "another thread's, or another execution's");
                READS.with(|reads| reads.0.set(Some(into)));
                NUMBER.set(number);
            });
            (thread, read)
        };
        for (number, (thread, read)) in [spawn(1), spawn(2)].into_iter().enumerate() {
            thread.join().unwrap();
            assert_eq!(read.load(Ordering::Acquire), number + 1);
        }
        assert_eq!(NUMBER.get(), 0);
    });
}

/// The checkers run their threads on one of the system's: a thread-local of the system's would count one's pins for the other.
#[test]
fn a_pin_is_of_one_thread_of_the_model() {
    check(|| {
        let domain = Domain::with_strategy(Strategy::Fence).unwrap();
        let pin = domain.pin();
        let other = thread::spawn({
            let domain = domain.clone();
            move || {
                assert!(!domain.is_pinned());
                let pin = domain.pin();
                assert!(domain.is_pinned());
                drop(pin);
                assert!(!domain.is_pinned());
            }
        });
        thread::yield_now();
        assert!(domain.is_pinned());
        drop(pin);
        other.join().unwrap();
        assert!(!domain.is_pinned());
    });
}
