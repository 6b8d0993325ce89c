//! A value that one thread has reserved, where the barrier is refused that it takes to have it back.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Barrier, mpsc};
use std::thread;

use enodev_handles::{Biased, Domain, LockError, Strategy};
use seccompiler::SeccompAction;

use crate::child::{any_membarrier, errno, in_child, refuse};

fn in_a_thread<T: Send>(run: impl FnOnce() -> T + Send) -> T {
    thread::scope(|scope| scope.spawn(run).join().unwrap())
}

/// Values made from now on are taken back by the barrier.
fn with_barriers() {
    Domain::with_strategy(Strategy::Membarrier).expect("a system with membarrier");
}

/// One more, by the caller.
fn had_by(biased: &Biased<u64>) -> Result<u64, LockError> {
    biased.lock().map(|mut value| {
        *value += 1;
        *value
    })
}

/// The others are refused, as often as they ask, whether the owner is inside or not. The owner goes on as before, and so do values that
/// nobody has reserved, or that several share already.
#[test]
fn who_has_a_value_reserved_keeps_it_where_the_barrier_is_refused() {
    let signal = in_child("biased::who_has_a_value_reserved_keeps_it_where_the_barrier_is_refused", || {
        with_barriers();
        let [own, free, shared] = [(); 3].map(|()| Biased::new(0));
        assert_eq!((had_by(&own), had_by(&shared)), (Ok(1), Ok(1)));
        assert_eq!(in_a_thread(|| had_by(&shared)), Ok(2));
        refuse(any_membarrier(), errno(libc::EPERM));

        let others = || in_a_thread(|| [(); 3].map(|()| had_by(&own)));
        assert_eq!(others(), [Err(LockError::Barrier); 3]);
        assert_eq!(had_by(&own), Ok(2));
        let held = own.lock().unwrap();
        assert_eq!(others(), [Err(LockError::Barrier); 3]);
        assert_eq!(own.lock().err(), Some(LockError::Deadlock));
        drop(held);
        assert_eq!(others(), [Err(LockError::Barrier); 3]);
        assert_eq!(had_by(&own), Ok(3));

        assert_eq!(in_a_thread(|| [had_by(&free), had_by(&free)]), [Ok(1), Ok(2)]);
        assert_eq!(in_a_thread(|| had_by(&shared)), Ok(3));
        assert_eq!(had_by(&shared), Ok(4));
    });
    assert_eq!(signal, None);
}

/// In whichever step of the owner's others are refused, the owner is not: neither as it enters nor as it leaves, and it counts right.
#[test]
fn an_owner_is_never_refused_the_barrier_for_others() {
    let signal = in_child("biased::an_owner_is_never_refused_the_barrier_for_others", || {
        const STEPS: u64 = 100_000;
        with_barriers();
        let (own, is_over) = (Biased::new(0), AtomicBool::new(false));
        assert_eq!(had_by(&own), Ok(1));
        refuse(any_membarrier(), errno(libc::EPERM));
        thread::scope(|scope| {
            let ask = || {
                while !is_over.load(Ordering::SeqCst) {
                    assert_eq!(had_by(&own), Err(LockError::Barrier));
                }
            };
            let others = [scope.spawn(ask), scope.spawn(ask)];
            for step in 2..STEPS {
                assert_eq!(had_by(&own), Ok(step));
            }
            is_over.store(true, Ordering::SeqCst);
            others.into_iter().for_each(|other| other.join().unwrap());
        });
    });
    assert_eq!(signal, None);
}

/// A filter may be one thread's own: another takes the value back, while the owner is inside, and after that the one who was refused
/// comes in like all others.
#[test]
fn where_one_is_refused_another_may_take_the_value_back() {
    let signal = in_child("biased::where_one_is_refused_another_may_take_the_value_back", || {
        with_barriers();
        let own = Biased::new(0);
        let (refused, second) = (Barrier::new(2), Barrier::new(2));
        let held = own.lock().unwrap();
        thread::scope(|scope| {
            let one = scope.spawn(|| {
                let filter = crate::child::program(any_membarrier(), SeccompAction::Allow, errno(libc::EPERM));
                seccompiler::apply_filter(&filter).unwrap();
                let first = had_by(&own);
                refused.wait();
                second.wait();
                (first, had_by(&own))
            });
            refused.wait();
            let (told, answer) = mpsc::channel();
            scope.spawn(|| {
                let told = told;
                told.send(had_by(&own)).unwrap();
            });
            // It waits for the owner.
            (0..1000).for_each(|_| thread::yield_now());
            assert!(answer.try_recv().is_err());
            drop(held);
            assert_eq!(answer.recv(), Ok(Ok(1)));
            second.wait();
            assert_eq!(one.join().unwrap(), (Err(LockError::Barrier), Ok(2)));
        });
        assert_eq!(had_by(&own), Ok(3));
    });
    assert_eq!(signal, None);
}

/// Where no domain has chosen the barrier, nobody calls it: not where a value is made, and not where it is taken back.
#[test]
fn where_all_domains_take_fences_no_membarrier_is_called() {
    let signal = in_child("biased::where_all_domains_take_fences_no_membarrier_is_called", || {
        refuse(any_membarrier(), SeccompAction::KillProcess);
        let first = Biased::new(0);
        let domain = Domain::with_strategy(Strategy::Fence).unwrap();
        let second = Biased::new(0);
        for value in [first, second] {
            assert_eq!(had_by(&value), Ok(1));
            assert_eq!(in_a_thread(|| had_by(&value)), Ok(2));
            assert_eq!(had_by(&value), Ok(3));
        }
        drop(domain);
    });
    assert_eq!(signal, None);
}

/// Where a domain has, a value that is made later is taken back by it. So the filter of the test above does end who calls it.
#[test]
fn where_a_domain_has_chosen_the_barrier_a_value_is_taken_back_by_it() {
    let signal = in_child("biased::where_a_domain_has_chosen_the_barrier_a_value_is_taken_back_by_it", || {
        with_barriers();
        let own = Biased::new(0);
        refuse(any_membarrier(), SeccompAction::KillProcess);
        assert_eq!((had_by(&own), had_by(&own)), (Ok(1), Ok(2)));
        let _ = in_a_thread(|| had_by(&own));
    });
    assert_eq!(signal, Some(libc::SIGSYS));
}

/// Where the domain was refused it, fences do.
#[test]
fn where_a_domain_was_refused_the_barrier_all_get_in() {
    let signal = in_child("biased::where_a_domain_was_refused_the_barrier_all_get_in", || {
        refuse(any_membarrier(), errno(libc::EPERM));
        drop(Domain::new().unwrap());
        let own = Biased::new(0);
        refuse(any_membarrier(), SeccompAction::KillProcess);
        assert_eq!(had_by(&own), Ok(1));
        assert_eq!(in_a_thread(|| had_by(&own)), Ok(2));
    });
    assert_eq!(signal, None);
}
