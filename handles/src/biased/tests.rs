//! What one sees of a biased lock from within: which way it is held, and what that costs.

mod races;

use super::*;

use std::collections::HashSet;
use std::mem::forget;
use std::thread;

use crate::fences::tests::barriers;
use crate::records::tests::has_barriers;
use crate::records::tests::late::at_the_end;

/// Those that the system allows.
fn fences() -> impl Iterator<Item = Fences> {
    [Fences::Symmetric, Fences::Asymmetric].into_iter().filter(|fences| *fences == Fences::Symmetric || has_barriers())
}

fn in_a_thread<T: Send>(run: impl FnOnce() -> T + Send) -> T {
    thread::scope(|scope| scope.spawn(run).join().unwrap())
}

impl<T> Biased<T> {
    fn reserved(&self) -> u32 {
        self.reserved.load(Ordering::SeqCst)
    }

    fn inside(&self) -> u32 {
        self.inside.load(Ordering::SeqCst)
    }

    fn until_it_is_shared(&self) {
        while self.reserved() != SHARED {
            thread::yield_now();
        }
    }
}

/// While one thread alone comes, there is no barrier and nothing is locked. The first other one issues one barrier, and nobody does
/// after that.
#[test]
fn the_first_other_thread_pays_for_all() {
    for fences in fences() {
        let biased = Biased::with_fences(fences, 0_u64);
        let come = || *biased.lock().unwrap() += 1;
        assert_eq!(biased.reserved(), NOBODY);
        assert_eq!(barriers(|| (0..10).for_each(|_| come())), 0);
        assert_eq!((biased.reserved(), biased.inside()), (records::own_number(), 0));
        let held = biased.lock().unwrap();
        assert_eq!((biased.inside(), biased.raw.is_locked()), (records::own_number(), false));
        drop(held);
        let paid = in_a_thread(|| [barriers(come), barriers(come)]);
        assert_eq!(paid, [usize::from(fences == Fences::Asymmetric), 0]);
        assert_eq!((biased.reserved(), biased.inside()), (SHARED, 0));
        assert_eq!(barriers(|| (0..10).for_each(|_| come())), 0);
        assert_eq!(in_a_thread(|| barriers(come)), 0);
        assert_eq!((biased.inside(), biased.raw.is_locked()), (0, false));
        assert_eq!(*biased.lock().unwrap(), 23);
    }
}

/// Who is inside is made the holder of the ordinary lock before anybody can see that there is no reservation; it gives that up as it
/// leaves, and holds no lock then.
#[test]
fn who_is_inside_is_made_the_holder() {
    for fences in fences() {
        let biased = Biased::with_fences(fences, 1_u64);
        let mut held = biased.lock().unwrap();
        let me = records::own_number();
        thread::scope(|scope| {
            let other = scope.spawn(|| *biased.lock().unwrap());
            biased.until_it_is_shared();
            assert!(biased.raw.is_held_by(me));
            *held += 1;
            drop(held);
            assert!(!biased.raw.is_held_by(me));
            assert_eq!(other.join().unwrap(), 2);
        });
        assert!(!biased.raw.is_locked());
    }
}

/// A thread that has ended can be inside no longer, but for a guard that it has forgotten: that keeps its number from others, so that
/// nobody is taken for it.
#[test]
fn a_forgotten_guard_keeps_its_threads_number() {
    let biased = Biased::new(());
    let number = in_a_thread(|| {
        forget(biased.lock().unwrap());
        records::own_number()
    });
    assert_eq!((biased.reserved(), biased.inside()), (number, number));
    assert!((0..100).all(|_| in_a_thread(records::own_number) != number));
}

/// One coming and going in each of the ways, and an answer to who is inside already.
fn come_and_go(fences: Fences) {
    let [reserved, handed_over] = [(); 2].map(|()| Biased::with_fences(fences, ()));
    for biased in [&reserved, &handed_over] {
        let held = biased.lock().unwrap();
        assert_eq!(biased.lock().err(), Some(LockError::Deadlock));
        drop(held);
    }
    let held = handed_over.lock().unwrap();
    thread::scope(|scope| {
        scope.spawn(|| drop(handed_over.lock().unwrap()));
        handed_over.until_it_is_shared();
        assert_eq!(handed_over.lock().err(), Some(LockError::Deadlock));
        drop(held);
    });
    let held = handed_over.lock().unwrap();
    assert_eq!(handed_over.lock().err(), Some(LockError::Deadlock));
    drop(held);
}

/// Whoever has come and gone holds no lock: its number is used again, also where it came among its last destructors.
#[test]
fn who_has_left_holds_no_lock() {
    const THREADS: usize = 300;
    let (numbers, number) = std::sync::mpsc::channel();
    for round in 0..THREADS {
        let numbers = numbers.clone();
        let come_and_go = move || {
            fences().for_each(come_and_go);
            numbers.send(records::own_number()).unwrap();
        };
        if round % 2 == 0 {
            thread::spawn(come_and_go).join().unwrap();
        } else {
            // What comes last is the thread's only use of the crate, or not.
            at_the_end(
                move || {
                    if round % 4 == 1 {
                        come_and_go()
                    }
                },
                move || fences().for_each(self::come_and_go),
            );
        }
    }
    drop(numbers);
    let numbers: Vec<_> = number.iter().collect();
    let different = numbers.iter().collect::<HashSet<_>>().len();
    assert!(different < numbers.len() / 2, "{different} numbers of {} threads", numbers.len());
}

/// One that leaves while its reservation is being taken back, and is not made the holder of anything, holds no lock either.
#[test]
fn who_leaves_during_a_revocation_holds_no_lock() {
    const THREADS: usize = 100;
    let come = || {
        let biased = Biased::new(());
        let held = biased.lock().unwrap();
        biased.reserved.store(REVOKING, Ordering::SeqCst);
        drop(held);
        assert_eq!((biased.inside(), biased.raw.is_locked()), (0, false));
        records::own_number()
    };
    let numbers: HashSet<_> = (0..THREADS).map(|_| thread::spawn(come).join().unwrap()).collect();
    assert!(numbers.len() < THREADS / 2, "{} numbers of {THREADS} threads", numbers.len());
}
