//! Threads that end: guards in thread-locals, and objects entered while a thread's destructors are running.
//!
//! Thread-locals are destroyed in some order. The crate has one of its own, set up when a thread first enters an object;
//! so each test is run with the thread's own one set up before that and after.

use std::cell::RefCell;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use enodev_handles::{Active, Arena, Handle, RemoveError, Stale, Strategy};

use crate::common::{Disk, OnDrop, STRATEGIES, disks, linger, until};

type Disks = Arena<Disk, u32, u32>;

thread_local! {
    /// What a thread leaves to its destructors.
    static LAST_WILL: RefCell<Option<OnDrop>> = const { RefCell::new(None) };
    static KEPT: RefCell<Vec<Kept>> = const { RefCell::new(Vec::new()) };
}

/// A guard that is dropped once the other threads have seen what they want to see.
struct Kept {
    guard: Option<Active<'static, u32>>,
    stage: &'static Stage,
}

#[derive(Debug, Default)]
struct Stage {
    dying: AtomicBool,
    may_leave: AtomicBool,
    left: AtomicBool,
}

impl Drop for Kept {
    fn drop(&mut self) {
        self.stage.dying.store(true, Ordering::SeqCst);
        until(|| self.stage.may_leave.load(Ordering::SeqCst));
        assert_eq!(self.guard.as_deref(), Some(&7));
        self.stage.left.store(true, Ordering::SeqCst);
        self.guard = None;
    }
}

fn lasting(strategy: Strategy) -> &'static Disks {
    Box::leak(Box::new(disks(strategy)))
}

/// Both orders in which the thread-locals of the crate and of the test can be set up.
const ORDERS: [bool; 2] = [false, true];

/// Has a thread keep a guard in a thread-local, next to `ballast` others that it drops before, and removes the object
/// while the thread's destructors run.
fn remove_what_a_dying_thread_holds(strategy: Strategy, enter_first: bool, ballast: usize) {
    let (arena, stage): (_, &'static Stage) = (lasting(strategy), Box::leak(Box::default()));
    let handle = arena.insert(1, 7).unwrap();
    let holder = thread::spawn(move || {
        if enter_first {
            drop(arena.enter(handle).unwrap());
        }
        KEPT.with_borrow_mut(|kept| {
            let ballast: Vec<_> = (0..ballast).map(|_| arena.enter(handle).unwrap()).collect();
            kept.push(Kept { guard: Some(arena.enter(handle).unwrap()), stage });
            drop(ballast);
        });
    });
    until(|| stage.dying.load(Ordering::SeqCst));
    let remover = thread::spawn(move || {
        assert_eq!(arena.remove(handle), Ok(7));
        assert!(stage.left.load(Ordering::SeqCst), "the dying thread was still inside");
    });
    until(|| !arena.contains(handle));
    linger();
    assert!(!remover.is_finished());
    stage.may_leave.store(true, Ordering::SeqCst);
    holder.join().unwrap();
    remover.join().unwrap();
}

/// S2-6: a guard in a thread-local is waited for until its destructor has dropped it.
#[test]
fn a_removal_waits_for_a_guard_in_a_thread_local() {
    for (strategy, order) in STRATEGIES.into_iter().flat_map(|strategy| ORDERS.map(|order| (strategy, order))) {
        for ballast in [0, 20] {
            remove_what_a_dying_thread_holds(strategy, order, ballast);
        }
    }
}

/// When a thread first enters an object, seen from where it sets its own thread-local up.
#[derive(Debug, Clone, Copy)]
enum First {
    Never,
    Before,
    After,
}

const FIRSTS: [First; 3] = [First::Never, First::Before, First::After];

/// Runs `last` among the destructors of a thread of its own, which has visited the object or not.
fn as_a_last_will(
    first: First,
    arena: &'static Disks,
    handle: Handle<Disk>,
    last: impl FnOnce() + Send + Sync + 'static,
) {
    let visit = move || drop(arena.enter(handle).unwrap());
    let ran = Arc::new(AtomicBool::new(false));
    let will = {
        let ran = Arc::clone(&ran);
        OnDrop::new(move || {
            last();
            ran.store(true, Ordering::SeqCst);
        })
    };
    let spawned = thread::spawn(move || match first {
        First::Never => LAST_WILL.set(Some(will)),
        First::Before => {
            visit();
            LAST_WILL.set(Some(will));
        }
        First::After => {
            LAST_WILL.set(Some(will));
            visit();
        }
    });
    spawned.join().unwrap();
    assert!(ran.load(Ordering::SeqCst), "the thread-local was never destroyed");
}

/// Objects can be entered, read and left while a thread's destructors run, in any number, and nothing stays behind.
#[test]
fn objects_can_be_entered_while_a_thread_s_destructors_run() {
    for strategy in STRATEGIES {
        let arena = lasting(strategy);
        let handles: Vec<_> = (0..30).map(|name| arena.insert(name, name).unwrap()).collect();
        let visited = handles.clone();
        let visit_all = move || {
            for _ in 0..3 {
                let guards: Vec<_> = visited.iter().map(|handle| arena.enter(*handle).unwrap()).collect();
                assert!(guards.iter().map(|guard| **guard).eq(0..30));
                assert!(visited.iter().all(|handle| arena.is_inside(*handle)));
                assert_eq!(arena.remove(visited[29]), Err(RemoveError::Inside));
            }
            assert_eq!(arena.get(&arena.domain().pin(), visited[3]), Ok(&3));
        };
        FIRSTS.into_iter().for_each(|first| as_a_last_will(first, arena, handles[0], visit_all.clone()));
        let removed = handles.iter().map(|handle| arena.remove(*handle).unwrap());
        assert!(removed.eq(0..30));
    }
}

/// Objects can be added and removed there too.
#[test]
fn objects_can_be_removed_while_a_thread_s_destructors_run() {
    for strategy in STRATEGIES {
        let arena = lasting(strategy);
        let stays = arena.insert(0, 0).unwrap();
        let come_and_go = move || {
            for name in 1..100 {
                let handle = arena.insert(name, name).unwrap();
                drop(arena.enter(handle).unwrap());
                assert_eq!(arena.remove(handle), Ok(name));
                assert!(matches!(arena.enter(handle), Err(Stale)));
            }
        };
        FIRSTS.into_iter().for_each(|first| as_a_last_will(first, arena, stays, come_and_go));
        assert_eq!(arena.remove(stays), Ok(0));
        assert_eq!(arena.flush(), 0);
    }
}

/// S2-6: an object that was entered while a thread's destructors run is waited for.
#[test]
fn a_removal_waits_for_one_who_entered_while_its_destructors_ran() {
    for (strategy, first) in STRATEGIES.into_iter().flat_map(|strategy| FIRSTS.map(|first| (strategy, first))) {
        let (arena, stage): (_, &'static Stage) = (lasting(strategy), Box::leak(Box::default()));
        let (handle, other) = (arena.insert(1, 7).unwrap(), arena.insert(2, 8).unwrap());
        let holder = thread::spawn(move || {
            as_a_last_will(first, arena, other, move || {
                drop(arena.enter(other).unwrap());
                drop(Kept { guard: Some(arena.enter(handle).unwrap()), stage });
            });
        });
        until(|| stage.dying.load(Ordering::SeqCst));
        let remover = thread::spawn(move || {
            assert_eq!(arena.remove(handle), Ok(7));
            assert!(stage.left.load(Ordering::SeqCst));
        });
        until(|| !arena.contains(handle));
        linger();
        assert!(!remover.is_finished());
        stage.may_leave.store(true, Ordering::SeqCst);
        holder.join().unwrap();
        remover.join().unwrap();
    }
}

/// Two thousand threads that enter once and end hold nothing up afterwards.
#[test]
fn two_thousand_short_threads_leave_nobody_inside() {
    let arena = lasting(Strategy::Auto);
    let handle = arena.insert(1, 7).unwrap();
    for _ in 0..1000 {
        let visit = move || assert_eq!(*arena.enter(handle).unwrap(), 7);
        let pair = [thread::spawn(visit), thread::spawn(visit)];
        pair.into_iter().for_each(|thread| thread.join().unwrap());
    }
    assert_eq!(arena.remove(handle), Ok(7));
}
