//! Several removers of one object, and removers that are themselves in the way.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, Weak};
use std::thread::{self, ThreadId};

use enodev_handles::{Arena, Handle, RemoveError, Stale, Strategy};

use crate::common::{Disk, Drops, OnDrop, STRATEGIES, disks, linger, until};

/// S3-3: `remove` hands the payload back by value, undropped; the owner frees.
#[test]
fn remove_hands_the_payload_back() {
    let drops = Drops::default();
    let arena = disks::<(), _>(Strategy::Auto);
    let handle = arena.insert((), drops.token()).unwrap();
    let payload = arena.remove(handle).unwrap();
    assert_eq!(drops.count(), 0);
    drop(payload);
    assert_eq!(drops.count(), 1);
}

/// S0-3, S2-7: payloads are dropped on the remover's own thread, even where the last one to leave is another, and
/// those of an arena on the thread that drops it.
#[test]
fn payloads_are_dropped_on_the_remover_s_thread() {
    let on: Arc<Mutex<Vec<ThreadId>>> = Arc::default();
    let payload = || {
        let on = Arc::clone(&on);
        OnDrop::new(move || on.lock().unwrap().push(thread::current().id()))
    };
    let arena = disks::<(), _>(Strategy::Auto);
    let (removed, stays) = (arena.insert((), payload()).unwrap(), arena.insert((), payload()).unwrap());
    let guard = arena.enter(removed).unwrap();
    let remover = thread::scope(|scope| {
        let remover = scope.spawn(|| {
            let mut leaving = arena.leave();
            leaving.mark(removed).unwrap();
            drop(leaving.drain().unwrap());
            thread::current().id()
        });
        until(|| !arena.contains(removed));
        drop(guard);
        remover.join().unwrap()
    });
    assert_eq!(*on.lock().unwrap(), [remover]);
    assert!(arena.contains(stays));
    drop(arena);
    assert_eq!(*on.lock().unwrap(), [remover, thread::current().id()]);
}

/// E-6, F8: a remover that comes second returns only after the first one's drain is over.
#[test]
fn a_second_remover_waits_for_the_first_one_s_drain() {
    for strategy in STRATEGIES {
        let arena = disks::<(), u32>(strategy);
        let handle = arena.insert((), 9).unwrap();
        let left = AtomicBool::new(false);
        let guard = arena.enter(handle).unwrap();
        thread::scope(|scope| {
            let first = scope.spawn(|| (arena.remove(handle), left.load(Ordering::SeqCst)));
            until(|| !arena.contains(handle));
            let second = scope.spawn(|| (arena.remove(handle), left.load(Ordering::SeqCst)));
            let joiner = scope.spawn(|| (arena.join(handle), left.load(Ordering::SeqCst)));
            linger();
            assert!(!second.is_finished() && !joiner.is_finished());
            left.store(true, Ordering::SeqCst);
            drop(guard);
            assert_eq!(first.join().unwrap(), (Ok(9), true));
            assert_eq!(second.join().unwrap(), (Err(RemoveError::Stale(Stale)), true));
            assert_eq!(joiner.join().unwrap(), (Ok(()), true));
        });
    }
}

/// E-6: nor before the first one's drop of the payload is over.
#[test]
fn a_second_remover_waits_for_the_drop_of_the_payload() {
    let arena = disks::<(), _>(Strategy::Auto);
    let [dropping, joined, dropped] = [(); 3].map(|()| Arc::new(AtomicBool::new(false)));
    let payload = {
        let (dropping, joined, dropped) = (Arc::clone(&dropping), Arc::clone(&joined), Arc::clone(&dropped));
        OnDrop::new(move || {
            dropping.store(true, Ordering::SeqCst);
            until(|| joined.load(Ordering::SeqCst));
            linger();
            dropped.store(true, Ordering::SeqCst);
        })
    };
    let handle = arena.insert((), payload).unwrap();
    thread::scope(|scope| {
        scope.spawn(|| {
            let mut leaving = arena.leave();
            leaving.mark(handle).unwrap();
            drop(leaving.drain().unwrap());
        });
        until(|| dropping.load(Ordering::SeqCst));
        joined.store(true, Ordering::SeqCst);
        assert!(matches!(arena.remove(handle), Err(RemoveError::Stale(Stale))));
        assert!(dropped.load(Ordering::SeqCst));
    });
}

/// E-6: of many who remove one object at once, one is given the payload, and nobody returns before the removal
/// is over.
#[test]
fn of_many_removers_one_gets_the_payload() {
    const REMOVERS: usize = 4;
    for strategy in STRATEGIES {
        let arena = disks::<(), AtomicBool>(strategy);
        for round in 0..300 {
            let handle = arena.insert((), AtomicBool::new(false)).unwrap();
            let (winners, guard) = (AtomicUsize::new(0), (round % 2 == 0).then(|| arena.enter(handle).unwrap()));
            thread::scope(|scope| {
                for _ in 0..REMOVERS {
                    scope.spawn(|| match arena.remove(handle) {
                        Ok(left) => {
                            assert!(round % 2 == 1 || left.into_inner());
                            winners.fetch_add(1, Ordering::SeqCst);
                        }
                        Err(error) => {
                            assert_eq!(error, RemoveError::Stale(Stale));
                            assert_eq!(arena.get_leaving(&arena.domain().pin(), handle), Err(Stale));
                        }
                    });
                }
                if let Some(guard) = guard {
                    guard.store(true, Ordering::SeqCst);
                }
            });
            assert_eq!(winners.into_inner(), 1);
        }
        assert!(arena.is_empty());
    }
}

/// E-6: who comes second from inside any object is told so at once, and waits for nobody: neither from inside the
/// object that leaves, nor from inside another.
#[test]
fn a_second_remover_that_is_inside_an_object_is_told_leaving() {
    for strategy in STRATEGIES {
        let (arena, elsewhere) = (disks::<(), u32>(strategy), disks::<(), u32>(strategy));
        let (handle, other) = (arena.insert((), 1).unwrap(), elsewhere.insert((), 2).unwrap());
        let guard = arena.enter(handle).unwrap();
        thread::scope(|scope| {
            let first = scope.spawn(|| arena.remove(handle));
            until(|| !arena.contains(handle));
            assert_eq!(arena.remove(handle), Err(RemoveError::Leaving));
            assert_eq!(arena.join(handle), Err(RemoveError::Leaving));
            let third = scope.spawn(|| {
                let _other = elsewhere.enter(other).unwrap();
                (arena.remove(handle), arena.join(handle))
            });
            assert_eq!(third.join().unwrap(), (Err(RemoveError::Leaving), Err(RemoveError::Leaving)));
            assert!(!first.is_finished());
            drop(guard);
            assert_eq!(first.join().unwrap(), Ok(1));
        });
        assert_eq!(arena.join(handle), Ok(()));
    }
}

/// Who is inside an object cannot remove it, nothing has changed, and it can be removed once he has left. Being inside
/// another object is no obstacle.
#[test]
fn a_removal_from_inside_changes_nothing() {
    for strategy in STRATEGIES {
        let arena = disks::<(), u32>(strategy);
        let (handle, other) = (arena.insert((), 1).unwrap(), arena.insert((), 2).unwrap());
        let (guard, in_other) = (arena.enter(handle).unwrap(), arena.enter(other).unwrap());
        assert_eq!(arena.remove(handle), Err(RemoveError::Inside));
        assert!(arena.contains(handle) && arena.is_inside(handle));
        assert_eq!(*arena.enter(handle).unwrap(), 1);
        drop(guard);
        assert!(!arena.is_inside(handle));
        assert_eq!(arena.remove(handle), Ok(1));
        assert_eq!(*in_other, 2);
    }
}

/// Tries to remove itself as it is dropped.
struct Suicidal {
    arena: Weak<Arena<Disk, &'static str, Suicidal>>,
    handle: Handle<Disk>,
    answers: Arc<Mutex<Vec<Result<(), RemoveError>>>>,
}

impl Drop for Suicidal {
    fn drop(&mut self) {
        let Some(arena) = self.arena.upgrade() else {
            return;
        };
        let mut answers = self.answers.lock().unwrap();
        answers.push(arena.remove(self.handle).map(drop));
        answers.push(arena.join(self.handle));
        assert!(arena.enter(self.handle).is_err());
        assert_eq!(arena.get_leaving(&arena.domain().pin(), self.handle), Ok(&"its own name"));
    }
}

/// E-6: called from inside the very drop that a removal runs, a second removal returns at once and says so; the store part
/// can still be read there.
#[test]
fn a_removal_from_inside_the_payload_s_own_drop_is_told_leaving() {
    let arena = Arc::new(disks(Strategy::Auto));
    let answers = Arc::default();
    let reservation = arena.reserve().unwrap();
    let handle = reservation.handle();
    let payload = Suicidal { arena: Arc::downgrade(&arena), handle, answers: Arc::clone(&answers) };
    reservation.publish("its own name", payload);

    let mut leaving = arena.leave();
    leaving.mark(handle).unwrap();
    drop(leaving.drain().unwrap());
    assert_eq!(*answers.lock().unwrap(), [Err(RemoveError::Leaving), Err(RemoveError::Leaving)]);
    assert_eq!(arena.remove(handle).err(), Some(RemoveError::Stale(Stale)));
    assert!(arena.is_empty());
}

/// A payload's drop may remove other objects of the same arena, as a parent does with its children.
#[test]
fn a_payload_s_drop_may_remove_other_objects() {
    let arena: Arc<Arena<Disk, (), OnDrop>> = Arc::new(disks(Strategy::Auto));
    let drops = Drops::default();
    let child = {
        let token = drops.token();
        arena.insert((), OnDrop::new(move || drop(token))).unwrap()
    };
    let parent = {
        let store = Arc::downgrade(&arena);
        let remove_child = move || drop(store.upgrade().map(|store| store.remove(child).ok().unwrap()));
        arena.insert((), OnDrop::new(remove_child)).unwrap()
    };
    drop(arena.remove(parent).ok().unwrap());
    assert_eq!((drops.count(), arena.len()), (1, 0));
    assert!(!arena.contains(child));
}
