//! Which calls are made at all: `docs/syscalls.md` lists them.

use std::env;
use std::sync::atomic::Ordering;
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use enodev_handles::{Domain, Handle, RemoveError, Stale, Strategy};

use crate::child::{confined, in_child};
use crate::disks::{Disk, Disks, arena, filled};

/// What `docs/syscalls.md` lists, and what the allocator asks the system for.
const LISTED: [i64; 11] = [
    libc::SYS_membarrier,
    libc::SYS_futex,
    libc::SYS_sched_yield,
    libc::SYS_getrandom,
    libc::SYS_clock_gettime,
    libc::SYS_brk,
    libc::SYS_mmap,
    libc::SYS_munmap,
    libc::SYS_mremap,
    libc::SYS_mprotect,
    libc::SYS_madvise,
];

/// A thread that is not confined, and does what it is told, one thing after the other.
struct Aside(mpsc::Sender<Box<dyn FnOnce() + Send>>);

impl Aside {
    fn new() -> Self {
        let (sender, jobs) = mpsc::channel::<Box<dyn FnOnce() + Send>>();
        thread::spawn(move || jobs.into_iter().for_each(|job| job()));
        Self(sender)
    }

    /// Has a job done, and returns when it calls what it is given; that returns late, so that who waits for the job sleeps by then.
    fn hold(&self, arena: &Arc<Disks>, job: impl FnOnce(&Disks, &dyn Fn()) + Send + 'static) {
        let (begun, wait) = mpsc::channel();
        let arena = Arc::clone(arena);
        let late = move || {
            begun.send(()).unwrap();
            (0..1000).for_each(|_| thread::yield_now());
        };
        self.0.send(Box::new(move || job(&arena, &late))).unwrap();
        wait.recv().unwrap();
    }
}

/// Waits for who is inside, for another's removal, and for a lock.
fn wait_for_others(aside: &Aside, arena: &Arc<Disks>, handles: &[Handle<Disk>]) {
    let [inside, leaving, locked, ..] = *handles else { panic!("too few disks") };
    aside.hold(arena, move |arena, late| {
        let disk = arena.enter(inside).unwrap();
        late();
        drop(disk);
    });
    assert!(arena.remove(inside).is_ok());
    aside.hold(arena, move |arena, late| {
        let mut batch = arena.leave();
        batch.mark(leaving).unwrap();
        late();
        assert!(batch.drain().is_ok());
    });
    assert_eq!(arena.remove(leaving).err(), Some(RemoveError::Stale(Stale)));
    aside.hold(arena, move |arena, late| {
        let writes = arena.enter(locked).unwrap().map(|disk| &disk.writes).try_lock();
        late();
        *writes.unwrap() += 1;
    });
    let mut lock = arena.enter(locked).unwrap().writes.lock();
    lock.acquire().unwrap();
    let writes = arena.enter(locked).unwrap().map(|disk| &disk.writes).lock_with(lock);
    assert_eq!(*writes.unwrap(), 1);
}

/// The calls that `docs/syscalls.md` lists are all, for a domain and an arena from beginning to end.
#[test]
fn the_calls_that_are_listed_are_enough() {
    let signal = in_child("listed::the_calls_that_are_listed_are_enough", || {
        let aside = Aside::new();
        confined(&LISTED, move |confine| {
            confine();
            for strategy in [Strategy::Auto, Strategy::Fence] {
                let arena = Arc::new(arena(&Domain::with_strategy(strategy).unwrap()));
                let (handles, dropped) = filled(&arena, 1000);
                wait_for_others(&aside, &arena, &handles);
                let held: Vec<_> = handles[10..30].iter().map(|handle| arena.enter(*handle).unwrap()).collect();
                drop(held);
                let mut leaving = arena.leave();
                handles[10..].iter().for_each(|handle| leaving.mark(*handle).unwrap());
                assert!(leaving.drain_until(Instant::now() + Duration::from_secs(1)).is_ok());
                assert_eq!((arena.flush(), dropped.load(Ordering::SeqCst)), (0, 992));
                drop(arena);
            }
        });
    });
    assert_eq!(signal, None);
}

/// Who only looks up, enters and leaves makes no system call, once its thread has done so before.
#[test]
fn look_ups_make_no_system_call() {
    let signal = in_child("listed::look_ups_make_no_system_call", || {
        let arena = arena(&Domain::new().unwrap());
        let (handles, _dropped) = filled(&arena, 100);
        let look = move || {
            let mut pin = arena.domain().pin();
            for (number, handle) in handles.iter().enumerate() {
                assert_eq!(arena.get(&pin, *handle), Ok(&number));
                assert_eq!(arena.enter(*handle).unwrap().number, number);
            }
            assert_eq!(arena.iter(&pin).count(), handles.len());
            pin.repin();
            let many: [_; 10] = std::array::from_fn(|number| arena.enter(handles[number]).unwrap());
            assert!(many.iter().enumerate().all(|(number, disk)| disk.number == number));
        };
        confined(&[], move |confine| {
            look();
            confine();
            (0..1000).for_each(|_| look());
            // A system call of the drop would say nothing about looking up.
            std::mem::forget(look);
        });
    });
    assert_eq!(signal, None);
}

/// The two tests above can fail.
#[test]
fn a_confined_thread_is_killed_at_the_first_call_that_is_not_listed() {
    let signal = in_child("listed::a_confined_thread_is_killed_at_the_first_call_that_is_not_listed", || {
        confined(&[libc::SYS_sched_yield], |confine| {
            confine();
            thread::yield_now();
            drop(env::current_dir());
        });
    });
    assert_eq!(signal, Some(libc::SIGSYS));
}
