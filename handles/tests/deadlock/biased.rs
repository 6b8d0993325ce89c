//! Circles through a value that one thread has reserved: nobody can wait for that thread before the reservation is taken back.

use std::sync::{Barrier, Mutex};
use std::thread;

use enodev_handles::{Biased, Exclusion, Exclusive, LockError, RemoveError, Strategy};

use crate::common::{Random, STRATEGIES, dawdle, disks, linger, until};

const ROUNDS: u64 = 300;

/// How the one in the circle who uses the value has come to it.
#[derive(Debug, Clone, Copy)]
enum Before {
    /// It is the first.
    Fresh,
    /// It has used it before.
    Own,
    /// Another has, so that the value is shared.
    Others,
}

fn value(before: Before) -> Biased<u32> {
    let value = Biased::new(0);
    let has_been = || drop(value.lock().unwrap());
    if let Before::Others = before {
        has_been();
        thread::scope(|scope| scope.spawn(has_been).join().unwrap());
    }
    value
}

/// One uses the value and removes an object; one is inside the object and wants an exclusive payload; the third holds that one's lock
/// and wants the value. How many are told, and how many got what they wanted.
fn circle_of_three(strategy: Strategy, before: Before, seed: u64) -> (usize, usize) {
    let (objects, payloads) = (disks::<(), ()>(strategy), disks::<(), Exclusive<()>>(strategy));
    let (object, payload) = (objects.insert((), ()).unwrap(), payloads.insert((), Exclusive::new(())).unwrap());
    let (value, all) = (value(before), Barrier::new(3));
    let start = |nth: u64| {
        all.wait();
        dawdle(&mut Random::new(seed * 3 + nth));
    };
    let remover = || {
        if let Before::Own = before {
            drop(value.lock().unwrap());
        }
        let mut held = value.lock().unwrap();
        start(0);
        let removed = objects.remove(object);
        *held += 1;
        removed.map_err(|error| assert_eq!(error, RemoveError::Deadlock))
    };
    let inside = || {
        let mut lock = payloads.enter(payload).unwrap().lock();
        let _inside = objects.enter(object).unwrap();
        start(1);
        lock.acquire().map_err(drop)
    };
    let locker = || {
        let _locked = payloads.enter(payload).unwrap().try_lock().unwrap();
        start(2);
        let got = value.lock().map(|mut value| *value += 1);
        got.map_err(|error| assert_eq!(error, LockError::Deadlock))
    };
    let answers = thread::scope(|scope| {
        let threads = [scope.spawn(remover), scope.spawn(inside), scope.spawn(locker)];
        threads.map(|thread| thread.join().unwrap())
    });
    let told = answers.iter().filter(|answer| answer.is_err()).count();
    assert_eq!(*value.lock().unwrap(), 1 + u32::from(answers[2].is_ok()));
    assert_eq!(objects.reap(), usize::from(answers[0].is_err()));
    (told, answers.len() - told)
}

/// D-1: a reserved value, an exclusive payload and a drain close a circle: exactly one is told, whichever of them closes it, and the
/// others get what they wait for.
#[test]
fn of_a_circle_of_a_reserved_value_a_payload_and_a_drain_one_is_told() {
    for strategy in STRATEGIES {
        for before in [Before::Fresh, Before::Own, Before::Others] {
            for seed in 0..ROUNDS {
                assert_eq!(circle_of_three(strategy, before, seed), (1, 2), "{strategy:?}, {before:?}, {seed}");
            }
        }
    }
}

/// Two that use a value each and want the other's.
#[test]
fn of_two_that_want_each_others_reserved_value_one_is_told() {
    for seed in 0..ROUNDS * 5 {
        let (values, both) = ([(); 2].map(|()| Biased::new(0_u32)), Barrier::new(2));
        let cross = |own: usize| {
            let mut held = values[own].lock().unwrap();
            both.wait();
            dawdle(&mut Random::new(seed * 2 + own as u64));
            let others = values[1 - own].lock().map(|mut other| *other += 1);
            *held += 1;
            others.err()
        };
        let told = thread::scope(|scope| {
            let other = scope.spawn(|| cross(1));
            [cross(0), other.join().unwrap()]
        });
        assert!(told == [None, Some(LockError::Deadlock)] || told == [Some(LockError::Deadlock), None], "{told:?}");
        let sum: u32 = values.iter().map(|value| *value.lock().unwrap()).sum();
        assert_eq!(sum, 3);
    }
}

/// The one that uses the value has been asleep for long when the reservation is taken back. The one who does that closes the circle, and
/// is told; it is not enough that it be told of a lock whose holder is awake.
#[test]
fn who_takes_a_value_back_from_a_sleeper_that_waits_for_it_is_told() {
    for _ in 0..50 {
        let (value, exclusion, told) = (Biased::new(0_u32), Exclusion::new(()), Mutex::new(None));
        let sleeper_is_in = Barrier::new(2);
        thread::scope(|scope| {
            let held = exclusion.lock().unwrap();
            scope.spawn(|| {
                let mut inside = value.lock().unwrap();
                sleeper_is_in.wait();
                *told.lock().unwrap() = exclusion.lock().err();
                *inside += 1;
            });
            sleeper_is_in.wait();
            linger();
            assert_eq!(value.lock().err(), Some(LockError::Deadlock));
            drop(held);
            // Now that nobody waits for it, it may wait.
            until(|| value.lock().is_ok_and(|value| *value == 1));
        });
        assert_eq!(told.into_inner().unwrap(), None);
    }
}

/// Where the chain has an end all can wait, and nobody is told.
#[test]
fn who_waits_for_one_inside_that_waits_for_another_is_not_told() {
    for _ in 0..50 {
        let (value, exclusion) = (Biased::new(0_u32), Exclusion::new(()));
        let is_in = Barrier::new(2);
        thread::scope(|scope| {
            let held = exclusion.lock().unwrap();
            let first = scope.spawn(|| {
                let mut inside = value.lock().unwrap();
                is_in.wait();
                *inside += 1;
                exclusion.lock().map(drop)
            });
            is_in.wait();
            let others = [(); 2].map(|()| scope.spawn(|| value.lock().map(|value| *value)));
            linger();
            assert!(!first.is_finished() && !others.iter().any(thread::ScopedJoinHandle::is_finished));
            drop(held);
            assert_eq!(first.join().unwrap(), Ok(()));
            assert_eq!(others.map(|other| other.join().unwrap()), [Ok(1), Ok(1)]);
        });
    }
}
