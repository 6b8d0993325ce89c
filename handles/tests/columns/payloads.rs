//! Values with drop glue: entered through their object, dropped by its removal.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::thread;

use enodev_handles::{Arena, Domain, RemoveError, SetError};

use crate::common::{DENSITIES, Disk, Drops, OnDrop, Token, disks, successor};

#[test]
fn a_value_is_dropped_once_by_the_removal_on_its_thread_and_under_no_pin() {
    for density in DENSITIES {
        let disks = disks();
        let column = disks.payload_column::<OnDrop>(density);
        let sda = disks.insert(0, ()).unwrap();
        let told = Arc::new(Mutex::new(Vec::new()));
        let (note, domain) = (Arc::clone(&told), disks.domain().clone());
        let value = OnDrop::new(move || note.lock().unwrap().push((thread::current().id(), domain.is_pinned())));
        assert!(column.insert(&disks, sda, value).is_ok());
        thread::scope(|scope| {
            let remover = scope.spawn(|| {
                disks.remove(sda).unwrap();
                // Before anything is reclaimed.
                assert_eq!(told.lock().unwrap().len(), 1);
                thread::current().id()
            });
            let remover = remover.join().unwrap();
            assert_eq!(*told.lock().unwrap(), [(remover, false)]);
        });
        assert_eq!(disks.flush(), 0);
        drop(column);
        drop(disks);
        assert_eq!(told.lock().unwrap().len(), 1);
    }
}

/// S2-4, S2-6, S2-7: who has entered an object's value holds up the removal of the object; nobody enters any more meanwhile; and
/// the value goes only when he has left.
#[test]
fn a_removal_waits_for_those_inside_a_value() {
    for density in DENSITIES {
        let disks = disks();
        let (column, drops) = (disks.payload_column::<Token>(density), Drops::default());
        let sda = disks.insert(0, ()).unwrap();
        column.insert(&disks, sda, drops.token()).unwrap();
        let over = AtomicBool::new(false);
        let (entered, inside) = mpsc::channel();
        let (leave, wait) = mpsc::channel::<()>();
        thread::scope(|scope| {
            let (disks, column, drops, over) = (&disks, &column, &drops, &over);
            scope.spawn(move || {
                let guard = column.enter(disks, sda).unwrap().unwrap();
                entered.send(()).unwrap();
                wait.recv().unwrap();
                assert_eq!((drops.count(), over.load(Ordering::SeqCst)), (0, false));
                drop(guard);
            });
            inside.recv().unwrap();
            scope.spawn(move || {
                disks.remove(sda).unwrap();
                over.store(true, Ordering::SeqCst);
            });
            while column.enter(disks, sda).is_ok() {
                thread::yield_now();
            }
            (0..200).for_each(|_| thread::yield_now());
            assert!(!over.load(Ordering::SeqCst));
            leave.send(()).unwrap();
        });
        assert_eq!(drops.count(), 1);
    }
}

#[test]
fn a_second_value_is_refused_and_comes_back() {
    for density in DENSITIES {
        let disks = disks();
        let column = disks.payload_column::<String>(density);
        let sda = disks.insert(0, ()).unwrap();
        column.insert(&disks, sda, "one".into()).unwrap();
        let refused = column.insert(&disks, sda, "two".into()).unwrap_err();
        assert_eq!((refused.value.as_str(), refused.reason), ("two", SetError::Occupied));
        assert_eq!(*column.enter(&disks, sda).unwrap().unwrap(), "one");
    }
}

#[test]
fn of_several_who_insert_at_once_one_succeeds() {
    for density in DENSITIES {
        for _ in 0..if cfg!(miri) { 3 } else { 300 } {
            let disks = disks();
            let (column, drops) = (disks.payload_column::<(u64, Token)>(density), Drops::default());
            let sda = disks.insert(0, ()).unwrap();
            let start = std::sync::Barrier::new(3);
            let succeeded: Vec<u64> = thread::scope(|scope| {
                let insert = |n| {
                    let (start, column, disks, token) = (&start, &column, &disks, drops.token());
                    scope.spawn(move || {
                        start.wait();
                        column.insert(disks, sda, (n, token)).is_ok().then_some(n)
                    })
                };
                let threads: Vec<_> = (0..3).map(insert).collect();
                threads.into_iter().filter_map(|thread| thread.join().unwrap()).collect()
            });
            assert_eq!(succeeded, [column.enter(&disks, sda).unwrap().unwrap().0]);
            assert_eq!(drops.count(), 2);
            disks.remove(sda).unwrap();
            assert_eq!(drops.count(), 3);
        }
    }
}

/// The first panic goes on; the other values, the payloads and the slots are given up all the same.
#[test]
fn a_value_that_panics_in_its_drop_leaks_nothing() {
    for density in DENSITIES {
        let domain = Domain::new().unwrap();
        let drops = Drops::default();
        let disks: Arena<Disk, Token, Token> = Arena::new(&domain).unwrap();
        let bad = disks.payload_column::<OnDrop>(density);
        let good = disks.payload_column::<Token>(density);
        let handles: Vec<_> = (0..3).map(|_| disks.insert(drops.token(), drops.token()).unwrap()).collect();
        for handle in &handles {
            let token = drops.token();
            let panics = OnDrop::new(move || {
                let _token = token;
                std::panic::resume_unwind(Box::new("bad"));
            });
            assert!(bad.insert(&disks, *handle, panics).is_ok());
            good.insert(&disks, *handle, drops.token()).unwrap();
        }
        let mut leaving = disks.leave();
        handles.iter().for_each(|handle| leaving.mark(*handle).unwrap());
        let quiet = leaving.drain().unwrap();
        let panic = catch_unwind(AssertUnwindSafe(|| drop(quiet))).unwrap_err();
        assert_eq!(panic.downcast_ref(), Some(&"bad"));
        assert_eq!((disks.flush(), disks.len()), (0, 0));
        // Of each object: both parts, and what the two columns held.
        assert_eq!(drops.count(), 3 * 4);
        // The columns go on.
        let next = disks.insert(drops.token(), drops.token()).unwrap();
        good.insert(&disks, next, drops.token()).unwrap();
        disks.remove(next).unwrap();
        assert_eq!(disks.flush(), 0);
        assert_eq!(drops.count(), 3 * 4 + 3);
    }
}

#[test]
fn a_values_drop_may_use_its_column_and_is_told_that_it_cannot_wait() {
    for density in DENSITIES {
        let disks = Arc::new(disks());
        let column = Arc::new(disks.payload_column::<OnDrop>(density));
        let (sda, sdb) = (disks.insert(0, ()).unwrap(), disks.insert(0, ()).unwrap());
        let (told, answer) = mpsc::channel();
        let (in_drop, in_column) = (Arc::downgrade(&disks), Arc::downgrade(&column));
        let value = OnDrop::new(move || {
            let (disks, column) = (in_drop.upgrade().unwrap(), in_column.upgrade().unwrap());
            assert!(column.enter(&disks, sda).is_err());
            assert!(column.insert(&disks, sdb, OnDrop::new(|| ())).is_ok());
            told.send((disks.remove(sda), disks.remove(sdb))).unwrap();
        });
        assert!(column.insert(&disks, sda, value).is_ok());
        disks.remove(sda).unwrap();
        assert_eq!(answer.try_recv(), Ok((Err(RemoveError::Leaving), Ok(()))));
    }
}

#[test]
fn a_column_that_is_dropped_drops_its_values_and_leaves_the_objects() {
    for density in DENSITIES {
        let disks = disks();
        let (column, drops) = (disks.payload_column::<Token>(density), Drops::default());
        let handles: Vec<_> = (0..100).map(|n| disks.insert(n, ()).unwrap()).collect();
        handles.iter().for_each(|handle| column.insert(&disks, *handle, drops.token()).unwrap());
        disks.remove(handles[0]).unwrap();
        assert_eq!(drops.count(), 1);
        drop(column);
        assert_eq!((drops.count(), disks.len()), (100, 99));
        disks.remove(handles[1]).unwrap();
        assert_eq!(drops.count(), 100);
    }
}

#[test]
fn a_column_may_be_dropped_by_one_of_its_values() {
    for density in DENSITIES {
        let (disks, drops) = (disks(), Drops::default());
        let column = Arc::new(Mutex::new(None));
        let (sda, sdb) = (disks.insert(0, ()).unwrap(), disks.insert(0, ()).unwrap());
        let made = disks.payload_column::<OnDrop>(density);
        let (inner, token) = (Arc::clone(&column), drops.token());
        let drops_column = OnDrop::new(move || drop((inner.lock().unwrap().take(), token)));
        assert!(made.insert(&disks, sda, drops_column).is_ok());
        let token = drops.token();
        assert!(made.insert(&disks, sdb, OnDrop::new(move || drop(token))).is_ok());
        *column.lock().unwrap() = Some(made);
        disks.remove(sda).unwrap();
        assert!(column.lock().unwrap().is_none());
        assert_eq!(drops.count(), 2);
    }
}

/// S3-2: values of objects that come and go in the same slots are each dropped once, by the time when the removal returns.
#[test]
fn every_value_is_dropped_with_its_own_object_as_slots_are_used_again() {
    for density in DENSITIES {
        let (disks, drops) = (disks(), Drops::default());
        let column = disks.payload_column::<Token>(density);
        let mut handle = disks.insert(0, ()).unwrap();
        for round in 1..6 {
            column.insert(&disks, handle, drops.token()).unwrap();
            disks.remove(handle).unwrap();
            assert_eq!(drops.count(), round);
            handle = successor(&disks, handle);
            assert!(column.enter(&disks, handle).unwrap().is_none());
        }
    }
}

#[test]
fn the_arena_of_another_kind_of_parts_is_not_the_columns() {
    let one: Arena<Disk, u8, u64> = Arena::new(&Domain::new().unwrap()).unwrap();
    let other: Arena<Disk, u8, u64> = Arena::new(&Domain::new().unwrap()).unwrap();
    let column = one.payload_column::<String>(enodev_handles::Density::Dense);
    let handle = one.insert(0, 0).unwrap();
    let twin = other.insert(0, 0).unwrap();
    assert!(column.insert(&other, twin, "a".into()).is_err());
    assert!(column.insert(&other, handle, "a".into()).is_err());
    column.insert(&one, handle, "a".into()).unwrap();
    assert!(column.enter(&other, handle).is_err() && column.enter(&other, twin).is_err());
}

/// Where a removal hands the payload back, what columns hold goes before that; if that panics, the payload is not lost with it.
#[test]
fn what_columns_hold_goes_before_a_payload_is_handed_back() {
    for density in DENSITIES {
        let drops = Drops::default();
        let disks: Arena<Disk, (), Token> = Arena::new(&Domain::new().unwrap()).unwrap();
        let column = disks.payload_column::<OnDrop>(density);
        let [good, bad] = [(); 2].map(|()| disks.insert((), drops.token()).unwrap());
        let held = drops.token();
        assert!(column.insert(&disks, good, OnDrop::new(move || drop(held))).is_ok());
        let payload = disks.remove(good).unwrap();
        assert_eq!(drops.count(), 1, "the column's is gone, the payload is here");
        drop(payload);

        let panics = OnDrop::new(|| std::panic::resume_unwind(Box::new("bad")));
        assert!(column.insert(&disks, bad, panics).is_ok());
        let panic = catch_unwind(AssertUnwindSafe(|| disks.remove(bad).map(drop))).unwrap_err();
        assert_eq!(panic.downcast_ref(), Some(&"bad"));
        assert_eq!((drops.count(), disks.len()), (3, 0));
    }
}
