//! Values that one thread uses, until another comes.

use std::cell::Cell;
use std::mem::forget;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Barrier;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::thread;

use enodev_handles::{Biased, LockError};

use crate::common::{Random, Slow, dawdle, linger, until};
use crate::late::at_the_end;

fn in_a_thread<T: Send>(run: impl FnOnce() -> T + Send) -> T {
    thread::scope(|scope| scope.spawn(run).join().unwrap())
}

/// A value that another thread has reserved, which has ended.
fn reserved_elsewhere(value: u64) -> Biased<u64> {
    // With a number of its own the caller does not get the other's.
    drop(Biased::new(()).lock().unwrap());
    let biased = Biased::new(value);
    in_a_thread(|| drop(biased.lock().unwrap()));
    biased
}

/// A value whose reservation has been taken back.
fn shared(value: u64) -> Biased<u64> {
    let biased = reserved_elsewhere(value);
    drop(biased.lock().unwrap());
    biased
}

/// One more, in steps that show when another comes between.
fn count(value: &mut u64, random: &mut Random) {
    let before = *value;
    dawdle(random);
    *value = before + 1;
}

/// One uses it all the time; the others come at some moment, and stay. No step of a counter that is anything but atomic is lost, in
/// whichever step of the first one's the reservation is taken back.
#[test]
fn whoever_comes_when_it_is_used_by_one_at_a_time() {
    const ROUNDS: u64 = 2000;
    const STEPS: u64 = 20;
    const OTHERS: u64 = 3;
    let mut seeds = Random::new(1);
    for _ in 0..ROUNDS {
        let counter = Biased::new(0_u64);
        let begun = AtomicUsize::new(0);
        let work = |seed: u64, after: u64| {
            let mut random = Random::new(seed);
            (0..after * 20).for_each(|_| std::hint::spin_loop());
            (0..STEPS).for_each(|_| count(&mut counter.lock().unwrap(), &mut random));
        };
        let (seed, late) = (seeds.below(1 << 40), seeds.below(50));
        thread::scope(|scope| {
            for other in 1..=OTHERS {
                let begun = &begun;
                scope.spawn(move || {
                    until(|| begun.load(Ordering::SeqCst) > 0);
                    work(seed + other, late * other);
                });
            }
            drop(counter.lock().unwrap());
            begun.store(1, Ordering::SeqCst);
            work(seed, 0);
        });
        assert_eq!(*counter.lock().unwrap(), STEPS * (OTHERS + 1));
    }
}

/// Several that come to a value nobody has used: one has it reserved, and the others wait their turn.
#[test]
fn of_several_that_come_first_one_is_the_first() {
    const THREADS: usize = 4;
    for round in 0..2000 {
        let (value, together) = (Biased::new(0_u64), Barrier::new(THREADS));
        thread::scope(|scope| {
            for thread in 0..THREADS {
                let (value, together) = (&value, &together);
                scope.spawn(move || {
                    let mut random = Random::new((round * THREADS + thread) as u64);
                    together.wait();
                    (0..2).for_each(|_| count(&mut value.lock().unwrap(), &mut random));
                });
            }
        });
        assert_eq!(*value.lock().unwrap(), 2 * THREADS as u64);
    }
}

/// The stores of one that is inside take their time. Whoever comes second waits for them all the same.
#[test]
fn what_the_first_one_did_is_seen_however_slow_its_stores() {
    let mut slow = Slow::new();
    for round in 0..3000_u64 {
        let value = Biased::new([0_u64; 2]);
        let begun = AtomicUsize::new(0);
        thread::scope(|scope| {
            let second = scope.spawn(|| {
                until(|| begun.load(Ordering::SeqCst) == 1);
                (0..round % 64).for_each(|_| std::hint::spin_loop());
                *value.lock().unwrap()
            });
            drop(value.lock().unwrap());
            begun.store(1, Ordering::SeqCst);
            slow.store();
            let mut inside = value.lock().unwrap();
            inside[0] = round;
            slow.store();
            inside[1] = round;
            drop(inside);
            let seen = second.join().unwrap();
            assert!(seen == [0; 2] || seen == [round; 2], "{seen:?}");
        });
    }
}

/// All who come while the first is inside wait until it has left, however many they are, and see what it did.
#[test]
fn whoever_comes_while_the_first_is_inside_waits_for_it() {
    for waiters in [1, 3] {
        let value = Biased::new(1_u64);
        let (arrived, inside) = (AtomicUsize::new(0), AtomicUsize::new(0));
        let mut held = value.lock().unwrap();
        thread::scope(|scope| {
            for _ in 0..waiters {
                scope.spawn(|| {
                    arrived.fetch_add(1, Ordering::SeqCst);
                    let mut value = value.lock().unwrap();
                    inside.fetch_add(1, Ordering::SeqCst);
                    *value *= 3;
                });
            }
            until(|| arrived.load(Ordering::SeqCst) == waiters);
            linger();
            assert_eq!(inside.load(Ordering::SeqCst), 0);
            // It goes on using the value, though the lock is another one by now.
            *held += 1;
            assert_eq!(value.lock().err(), Some(LockError::Deadlock));
            drop(held);
        });
        assert_eq!(*value.lock().unwrap(), 2 * 3_u64.pow(waiters as u32));
    }
}

/// Who is inside is told so when it comes again: while it has the value reserved, and after that was taken back. It is inside all
/// the same, and comes in when it has left.
#[test]
fn who_is_inside_already_is_told() {
    for value in [Biased::new(1), reserved_elsewhere(1), shared(1)] {
        let held = value.lock().unwrap();
        for _ in 0..3 {
            assert_eq!(value.lock().err(), Some(LockError::Deadlock));
        }
        assert_eq!(*held, 1);
        drop(held);
        assert_eq!(value.lock().map(|value| *value), Ok(1));
        assert_eq!(in_a_thread(|| value.lock().map(|value| *value)), Ok(1), "others are kept out");
    }
}

/// One thread is inside many values at once, and gives them up in the other order than that in which another wants them.
#[test]
fn several_values_at_once_keep_their_owners_apart() {
    let values: Vec<_> = (0..50).map(Biased::new).collect();
    let held: Vec<_> = values.iter().map(|value| value.lock().unwrap()).collect();
    thread::scope(|scope| {
        let other = scope.spawn(|| values.iter().map(|value| *value.lock().unwrap()).sum::<u64>());
        linger();
        held.into_iter().rev().for_each(drop);
        assert_eq!(other.join().unwrap(), (0..50).sum());
    });
}

/// A panic inside gives the value up, reserved or handed over or shared.
#[test]
fn a_panic_gives_the_value_up() {
    for value in [Biased::new(1), reserved_elsewhere(1), shared(1)] {
        let caught = catch_unwind(AssertUnwindSafe(|| {
            *value.lock().unwrap() += 1;
            let _held = value.lock().unwrap();
            panic!("inside");
        }));
        assert!(caught.is_err());
        assert_eq!(value.lock().map(|value| *value), Ok(2));
        assert_eq!(in_a_thread(|| value.lock().map(|value| *value)), Ok(2));
    }
    let value = Biased::new(1);
    thread::scope(|scope| {
        let second = Cell::new(None);
        let caught = catch_unwind(AssertUnwindSafe(|| {
            let mut held = value.lock().unwrap();
            second.set(Some(scope.spawn(|| *value.lock().unwrap())));
            linger();
            *held += 1;
            panic!("inside, while another waits");
        }));
        assert!(caught.is_err());
        assert_eq!(second.take().unwrap().join().unwrap(), 2);
    });
}

/// A guard that is forgotten keeps the value for ever: its thread is told so, and whoever owns the value has it.
#[test]
fn a_forgotten_guard_keeps_the_value() {
    for mut value in [Biased::new(1), shared(1)] {
        forget(value.lock().unwrap());
        assert_eq!(value.lock().err(), Some(LockError::Deadlock));
        *value.get_mut() += 1;
        assert_eq!(*value.get_mut(), 2);
        assert_eq!(value.lock().err(), Some(LockError::Deadlock));
    }
}

/// A thread that has ended without giving the value back is not taken for another that comes later.
#[test]
fn nobody_is_let_in_where_a_thread_has_ended_inside() {
    let value: &'static Biased<u64> = Box::leak(Box::new(Biased::new(1)));
    thread::spawn(|| forget(value.lock().unwrap())).join().unwrap();
    let arrived: &'static AtomicUsize = Box::leak(Box::default());
    // They wait for ever.
    let others: Vec<_> = (0..20)
        .map(|_| {
            let other = thread::spawn(|| {
                arrived.fetch_add(1, Ordering::SeqCst);
                value.lock().map(|value| *value)
            });
            linger();
            other
        })
        .collect();
    until(|| arrived.load(Ordering::SeqCst) == others.len());
    linger();
    assert!(!others.iter().any(thread::JoinHandle::is_finished), "let in, or told of a circle");
}

/// Threads that begin and end, each with a number that one before it had, have the value one after the other.
#[test]
fn threads_that_follow_each_other_see_what_those_before_did() {
    let value = Biased::new(0_u64);
    let mut random = Random::new(1);
    for round in 0..500 {
        assert_eq!(in_a_thread(|| value.lock().map(|mut value| count(&mut value, &mut Random::new(round)))), Ok(()));
        if random.below(50) == 0 {
            assert_eq!(value.lock().map(|value| *value), Ok(round + 1));
        }
    }
    assert_eq!(*value.lock().unwrap(), 500);
}

/// A guard that is dropped among a thread's last destructors: who waits for it gets in, and who comes later does.
#[test]
fn a_guard_that_was_kept_to_the_end_keeps_the_value_until_then() {
    for is_wanted in [false, true] {
        let value: &'static Biased<u64> = Box::leak(Box::new(Biased::new(1)));
        let (second, is_second) = mpsc::channel();
        let told = at_the_end(move || {
            let mut held = value.lock().unwrap();
            if is_wanted {
                second.send(thread::spawn(|| *value.lock().unwrap())).unwrap();
                linger();
            }
            move || {
                *held += 1;
                let told = value.lock().err();
                drop(held);
                told
            }
        });
        assert_eq!(told, Some(LockError::Deadlock));
        assert!(is_second.into_iter().all(|second| second.join().unwrap() == 2));
        assert_eq!(value.lock().map(|value| *value), Ok(2));
    }
}

/// Among the last destructors the value can be had like before: for the first time, again, and from another.
#[test]
fn a_value_can_be_had_among_the_last_destructors() {
    let fresh: fn() -> Biased<u64> = || Biased::new(1);
    for make in [fresh, || reserved_elsewhere(1), || shared(1)] {
        for has_record in [false, true] {
            let value: &'static Biased<u64> = Box::leak(Box::new(make()));
            let last = at_the_end(move || {
                if has_record {
                    drop(value.lock().unwrap());
                }
                || {
                    let mut held = value.lock().unwrap();
                    let told = value.lock().err();
                    *held += 1;
                    drop(held);
                    (told, value.lock().map(|value| *value))
                }
            });
            assert_eq!(last, (Some(LockError::Deadlock), Ok(2)));
            assert_eq!(value.lock().map(|value| *value), Ok(2));
        }
    }
}

/// What is printed of a value that somebody uses is not the value.
#[test]
fn what_is_printed_is_known_without_the_lock() {
    let value = Biased::new(7);
    let held = value.lock().unwrap();
    assert_eq!(format!("{value:?} {held:?}"), "Biased { .. } BiasedGuard(7)");
}
