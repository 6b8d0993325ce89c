//! `membarrier` refused, from the beginning or later.

use std::sync::atomic::Ordering;
use std::sync::{Barrier, mpsc};
use std::thread;
use std::time::Instant;

use enodev_handles::{Domain, DomainError, Handle, RemoveError, Stale, Strategy};
use seccompiler::SeccompAction;

use crate::child::{any_membarrier, barrier_only, errno, in_child, refuse};
use crate::disks::{Disk, Disks, arena, come_and_go, filled};

/// A domain that takes fences never calls `membarrier`: not where it is built, not in removals that wait, not at its end.
#[test]
fn with_fences_no_membarrier_is_called() {
    let signal = in_child("refused::with_fences_no_membarrier_is_called", || {
        refuse(any_membarrier(), SeccompAction::KillProcess);
        let domain = Domain::with_strategy(Strategy::Fence).unwrap();
        let arena = arena(&domain);
        come_and_go(&arena);
        let (_, dropped) = filled(&arena, 10);
        drop((arena, domain));
        assert_eq!(dropped.load(Ordering::SeqCst), 10);
    });
    assert_eq!(signal, None);
}

/// A domain that may choose asks the system. So the filter of the test above does end who calls what it forbids.
#[test]
fn a_domain_that_may_choose_tries_membarrier() {
    let signal = in_child("refused::a_domain_that_may_choose_tries_membarrier", || {
        refuse(any_membarrier(), SeccompAction::KillProcess);
        drop(Domain::new());
    });
    assert_eq!(signal, Some(libc::SIGSYS));
}

/// A domain that may choose takes fences; one that must have the system call is not built. Once it is settled, the system is
/// not asked again.
fn falls_back() {
    assert_eq!(Domain::with_strategy(Strategy::Membarrier).err(), Some(DomainError::Membarrier));
    let domain = Domain::new().unwrap();
    refuse(any_membarrier(), SeccompAction::KillProcess);
    come_and_go(&arena(&domain));
}

#[test]
fn where_membarrier_is_forbidden_fences_do() {
    let signal = in_child("refused::where_membarrier_is_forbidden_fences_do", || {
        refuse(any_membarrier(), errno(libc::EPERM));
        falls_back();
    });
    assert_eq!(signal, None);
}

#[test]
fn where_membarrier_is_unknown_fences_do() {
    let signal = in_child("refused::where_membarrier_is_unknown_fences_do", || {
        refuse(any_membarrier(), errno(libc::ENOSYS));
        falls_back();
    });
    assert_eq!(signal, None);
}

/// That the registration is allowed says nothing about the barrier.
#[test]
fn where_the_barrier_is_forbidden_and_the_registration_is_not_fences_do() {
    let signal = in_child("refused::where_the_barrier_is_forbidden_and_the_registration_is_not_fences_do", || {
        refuse(barrier_only(), errno(libc::EPERM));
        falls_back();
    });
    assert_eq!(signal, None);
}

/// A thread that enters many objects, so that no removal may do without the barrier; then it stays inside one of them until it is
/// told to go, and says what it reads there.
fn stays_inside(arena: &Disks, handles: &[Handle<Disk>], go: &mpsc::Receiver<()>, ready: &Barrier) -> usize {
    for handle in handles.iter().cycle().take(10_000) {
        drop(arena.enter(*handle).unwrap());
    }
    let disk = arena.enter(handles[0]).unwrap();
    ready.wait();
    go.recv().unwrap();
    disk.number
}

/// The removal of each of these has begun and been refused the barrier: they are stale for all, each keeps its slot and both its
/// parts, and the removal is not taken up again.
fn assert_leaving(arena: &Disks, leaving: &[Handle<Disk>]) {
    let pin = arena.domain().pin();
    for handle in leaving {
        assert!(matches!(arena.enter(*handle), Err(Stale)));
        assert_eq!(arena.get(&pin, *handle), Err(Stale));
        assert!(!arena.contains(*handle) && arena.get_leaving(&pin, *handle).is_ok());
    }
    drop(pin);
    for handle in leaving {
        assert_eq!(arena.remove(*handle).err(), Some(RemoveError::Leaving));
        assert_eq!(arena.join(*handle), Err(RemoveError::Leaving));
    }
}

/// Where the barrier is refused after the domain was built, a removal cannot know who is inside, and says so. What it has begun
/// to remove goes on leaving, whether somebody is inside or nobody, until no barrier is needed; all else goes on.
#[test]
fn a_removal_that_is_refused_the_barrier_leaves_its_object_leaving() {
    let signal = in_child("refused::a_removal_that_is_refused_the_barrier_leaves_its_object_leaving", || {
        let domain = Domain::with_strategy(Strategy::Membarrier).expect("a system with membarrier");
        let arena = arena(&domain);
        let (handles, dropped) = filled(&arena, 8);
        let (gone, rest) = (&handles[..4], &handles[4..]);
        let ready = Barrier::new(2);
        let (go, told) = mpsc::channel();
        thread::scope(|scope| {
            let inside = scope.spawn(|| {
                let told = told;
                stays_inside(&arena, &handles, &told, &ready)
            });
            ready.wait();
            refuse(any_membarrier(), errno(libc::EPERM));

            // Nobody is inside this one, and somebody inside the next.
            assert_eq!(arena.remove(handles[1]).err(), Some(RemoveError::Barrier));
            assert_eq!(arena.remove(handles[0]).err(), Some(RemoveError::Barrier));
            let mut together = arena.leave();
            gone[2..].iter().for_each(|handle| together.mark(*handle).unwrap());
            let (together, error) = together.drain().unwrap_err();
            assert_eq!(error, RemoveError::Barrier);
            let (together, error) = together.drain_until(Instant::now()).unwrap_err();
            assert_eq!(error, RemoveError::Barrier);
            drop(together);

            assert_leaving(&arena, gone);
            go.send(()).unwrap();
            assert_eq!(inside.join().unwrap(), 0);
        });
        // With the thread has gone the only one who did not fence: what was given up can be finished without the barrier.
        assert_eq!((arena.len(), arena.garbage(), dropped.load(Ordering::SeqCst)), (8, 0, 0));
        assert!(arena.remove(handles[0]).is_ok());
        assert_eq!((arena.len(), dropped.load(Ordering::SeqCst)), (4, 4));
        for (number, handle) in rest.iter().enumerate() {
            assert_eq!(arena.enter(*handle).unwrap().number, number + 4);
        }
        let (_, dropped_new) = filled(&arena, 200);
        drop(arena);
        assert_eq!((dropped.load(Ordering::SeqCst), dropped_new.load(Ordering::SeqCst)), (8, 200));
    });
    assert_eq!(signal, None);
}
