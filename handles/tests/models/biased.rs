//! A value that one thread has reserved, against others that come.

use std::cell::Cell;
use std::sync::Arc;
#[cfg(shuttle)]
use std::sync::atomic::{AtomicUsize as Unmodelled, Ordering::Relaxed};

use enodev_handles::internals::{stand_in, unfenced};
use enodev_handles::sync::{LocalKey, thread};
use enodev_handles::{Biased, Exclusion, LockError};

use crate::check;
use crate::common::Meeting;

/// What a lock guards.
#[derive(Default)]
struct Guarded {
    /// loom's: two uses of it of which neither comes before the other, by what the lock orders, are an error of loom's.
    #[cfg(loom)]
    body: loom::cell::UnsafeCell<()>,
    count: usize,
}

impl Guarded {
    /// One more, in steps between which others have their turn.
    fn count(&mut self) {
        #[cfg(loom)]
        self.body.with_mut(|_| ());
        let before = self.count;
        #[cfg(shuttle)]
        thread::yield_now();
        self.count = before + 1;
    }
}

type Value = Arc<Biased<Guarded>>;

fn value() -> Value {
    Arc::new(Biased::new(Guarded::default()))
}

fn count(value: &Value, times: usize) {
    (0..times).for_each(|_| value.lock().unwrap().count());
}

/// Has the calling thread take a record, which orders it after others that have come and gone.
fn take_a_number() {
    drop(Biased::new(()).lock().unwrap());
}

/// Has threads count so many times each, the first one before the others begin, too.
fn count_in(before: usize, times: &[usize]) {
    let value = value();
    count(&value, before);
    let others: Vec<_> = times[1..]
        .iter()
        .map(|times| {
            let (value, times) = (Arc::clone(&value), *times);
            thread::spawn(move || count(&value, times))
        })
        .collect();
    count(&value, times[0]);
    others.into_iter().for_each(|other| other.join().unwrap());
    assert_eq!(value.lock().unwrap().count, before + times.iter().sum::<usize>());
}

/// Of two that come to a value nobody has used one has it reserved. The other takes it back, and they have it in turn.
#[test]
fn of_two_that_come_first_each_has_the_value_alone() {
    check(|| count_in(0, &[1, 1]));
}

/// A reservation is taken back while its owner enters, is inside, leaves, and is outside, and it comes again.
#[test]
fn a_reservation_is_taken_back_in_any_step_of_its_owners() {
    check(|| count_in(1, &[2, 1]));
}

/// Two take a reservation back at the same time, while its owner goes in and out.
#[test]
fn two_that_take_a_reservation_back_have_the_value_in_turn() {
    check(|| count_in(1, &[1, 1, 1]));
}

/// Whoever finds that another has taken the reservation back comes after its owner, though he has met neither.
#[test]
fn who_finds_a_value_shared_sees_what_its_owner_did() {
    check(|| {
        take_a_number();
        count_in(0, &[1, 1, 1]);
    });
}

/// More of all.
#[test]
#[cfg(shuttle)]
fn several_have_the_value_in_turn_and_all_of_them_do() {
    check(|| count_in(0, &[4, 3, 2, 2]));
}

/// One that is inside when its reservation is taken back stays there alone, and is told so when it comes again.
#[test]
fn who_is_inside_stays_inside_and_is_told() {
    check(|| {
        let value = value();
        let mut held = value.lock().unwrap();
        let other = thread::spawn({
            let value = Arc::clone(&value);
            move || count(&value, 1)
        });
        held.count();
        assert_eq!(value.lock().err(), Some(LockError::Deadlock));
        held.count();
        drop(held);
        count(&value, 1);
        other.join().unwrap();
        assert_eq!(value.lock().unwrap().count, 4);
    });
}

/// Where the barrier is refused, who asks for it is told, and the owner goes on as if nobody had come, in whichever step it is.
#[test]
fn a_revocation_that_is_refused_changes_nothing() {
    check(|| {
        stand_in(|| false);
        let value = Arc::new(unfenced(Guarded::default()));
        count(&value, 1);
        let other = thread::spawn({
            let value = Arc::clone(&value);
            move || value.lock().map(drop).err()
        });
        count(&value, 2);
        assert_eq!(other.join().unwrap(), Some(LockError::Barrier));
        count(&value, 1);
        assert_eq!(value.lock().unwrap().count, 4);
    });
}

/// One is refused the barrier and another gets it. Only shuttle: what the barrier orders, loom does not know.
#[test]
#[cfg(shuttle)]
fn a_revocation_may_follow_one_that_was_refused() {
    check(|| {
        let calls = Unmodelled::new(0);
        stand_in(move || calls.fetch_add(1, Relaxed) > 0);
        let value = Arc::new(unfenced(Guarded::default()));
        count(&value, 1);
        let others = [(); 2].map(|()| {
            let value = Arc::clone(&value);
            thread::spawn(move || value.lock().map(|mut value| value.count()))
        });
        count(&value, 2);
        let told = others.map(|other| other.join().unwrap());
        let refused = told.iter().filter(|told| **told == Err(LockError::Barrier)).count();
        assert_eq!(refused, 1, "{told:?}");
        assert_eq!(value.lock().unwrap().count, 4);
    });
}

/// Each of two is inside a value and wants a lock of the other's: one is told, though nobody could wait for either before.
#[test]
fn of_two_in_a_circle_through_a_reserved_value_one_is_told() {
    check(|| {
        let (value, lock, meeting) = (value(), Arc::new(Exclusion::new(())), Meeting::of(2));
        let other = thread::spawn({
            let (value, lock, meeting) = (Arc::clone(&value), Arc::clone(&lock), Arc::clone(&meeting));
            move || {
                let _held = lock.lock().unwrap();
                meeting.come();
                match value.lock() {
                    Ok(mut value) => {
                        value.count();
                        0
                    }
                    Err(error) => {
                        assert_eq!(error, LockError::Deadlock);
                        1
                    }
                }
            }
        });
        let mut held = value.lock().unwrap();
        meeting.come();
        let is_told = lock.lock().is_err();
        held.count();
        drop(held);
        let others = other.join().unwrap();
        assert_eq!(others + usize::from(is_told), 1);
        assert_eq!(value.lock().unwrap().count, 2 - others);
    });
}

/// A thread ends, and another takes over its number and with it its reservation, while a third comes.
#[test]
fn a_reservation_goes_on_with_its_number() {
    check(|| {
        let value = value();
        let [first, second] = [(); 2].map(|()| {
            let value = Arc::clone(&value);
            move || count(&value, 1)
        });
        let owners = thread::spawn(move || {
            thread::spawn(first).join().unwrap();
            // The first one's number has come back.
            second();
        });
        count(&value, 1);
        owners.join().unwrap();
        assert_eq!(value.lock().unwrap().count, 3);
    });
}

/// Run as it is dropped.
struct Late(Option<Box<dyn FnOnce()>>);

impl Drop for Late {
    fn drop(&mut self) {
        self.0.take().into_iter().for_each(|run| run());
    }
}

static WILL: LocalKey<Cell<Option<Late>>> = LocalKey::new(|| Cell::new(None));

/// Starts a thread that runs `run` among its last destructors, after the one for its record.
fn at_the_end(run: impl FnOnce() + Send + 'static) -> thread::JoinHandle<()> {
    thread::spawn(|| {
        WILL.with(|will| will.set(Some(Late(Some(Box::new(run))))));
        take_a_number();
    })
}

/// A thread at its end has a number only for as long as it is inside, and the number may be another's at the next step.
#[test]
fn who_comes_among_its_last_destructors_has_the_value_in_turn() {
    check(|| {
        let value = value();
        let last = at_the_end({
            let value = Arc::clone(&value);
            move || count(&value, 2)
        });
        count(&value, 1);
        last.join().unwrap();
        assert_eq!(value.lock().unwrap().count, 3);
    });
}

/// Such a thread has a reservation that another may have a moment later, with the number; and is refused then what is the other's.
#[test]
#[cfg(shuttle)]
fn a_number_that_was_given_back_is_not_taken_for_ones_own() {
    check(|| {
        stand_in(|| false);
        let value = Arc::new(unfenced(Guarded::default()));
        let had = Arc::new(Unmodelled::new(0));
        let come = {
            let (value, had) = (Arc::clone(&value), Arc::clone(&had));
            move || match value.lock() {
                Ok(mut value) => {
                    value.count();
                    had.fetch_add(1, Relaxed);
                }
                Err(error) => assert_eq!(error, LockError::Barrier),
            }
        };
        let last = at_the_end({
            let come = come.clone();
            move || (0..6).for_each(|_| come())
        });
        let others: Vec<_> = (0..6)
            .map(|_| {
                come();
                thread::spawn(come.clone())
            })
            .collect();
        others.into_iter().chain([last]).for_each(|thread| thread.join().unwrap());
        drop(come);
        let mut value = Arc::try_unwrap(value).ok().unwrap();
        assert_eq!(value.get_mut().count, had.load(Relaxed));
    });
}
