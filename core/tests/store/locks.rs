//! A lock that callbacks take and whoever removes their object needs too.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::thread;

use enodev::{
    AnyObject, AttrHandle, DeviceHandle, DeviceType, Errno, Error, Exclusion, Group, GroupHandle, Removal, Result,
    Shared, Store, Type,
};
use parking_lot::Mutex;

use crate::common::{Gate, until};

/// T27, D-1: a driver's mutex is taken in its callbacks, and its exit needs it for its list of devices. It removes first, holding
/// nothing, and takes the mutex to forget what it removed: writers and the loading and unloading of the driver all go on.
#[test]
fn a_driver_that_removes_before_it_locks_never_hangs() {
    const ROUNDS: usize = 60;
    let (store, mutex) = (Store::new().unwrap(), Arc::new(Mutex::new(Vec::<DeviceHandle>::new())));
    let (in_show, in_store) = (Arc::clone(&mutex), Arc::clone(&mutex));
    let ty = DeviceType::shared::<AtomicUsize>("card").rw(
        "value",
        move |_, page| page.int(in_show.lock().len()),
        move |card, _| {
            let _guard = in_store.lock();
            card.fetch_add(1, SeqCst);
            Ok(())
        },
    );
    let ty = store.define(ty).unwrap();
    let (done, writes) = (AtomicBool::new(false), AtomicUsize::new(0));
    thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                while !done.load(SeqCst) {
                    thread::yield_now();
                    let Ok(card) = store.lookup("/card") else { continue };
                    match store.write(card, "value", b"1") {
                        Ok(()) => drop(writes.fetch_add(1, SeqCst)),
                        Err(error) => assert_eq!(error.errno(), Errno::ENODEV),
                    }
                }
            });
        }
        for _ in 0..ROUNDS {
            mutex.lock().push(store.register(store.root(), "card", ty, AtomicUsize::new(0)).unwrap());
            let before = writes.load(SeqCst);
            until(|| writes.load(SeqCst) > before);
            let devices = mutex.lock().clone();
            for device in devices {
                assert!(store.unregister::<AtomicUsize>(device).is_ok());
                mutex.lock().retain(|listed| *listed != device);
            }
        }
        done.store(true, SeqCst);
    });
    assert!(store.is_empty() && mutex.lock().is_empty() && writes.load(SeqCst) >= ROUNDS);
}

/// An object whose attribute takes an exclusion, which is the payload; and a group of it, whose attribute does so too.
struct Setup {
    store: Store,
    ty: Type<Shared<Arc<Exclusion<usize>>>>,
    object: DeviceHandle,
    lock: Arc<Exclusion<usize>>,
    extra: GroupHandle,
    hidden: AttrHandle,
    /// Stops callbacks before they take the lock.
    gate: Arc<Gate>,
}

impl Setup {
    fn new() -> Self {
        let (store, lock, gate) = (Store::new().unwrap(), Arc::<Exclusion<usize>>::default(), Arc::<Gate>::default());
        let stop = Arc::clone(&gate);
        let ty = DeviceType::shared::<Arc<Exclusion<usize>>>("card").wo("value", move |card, _| {
            stop.pass();
            *card.lock().map_err(Error::from)? += 1;
            Ok(())
        });
        let ty = store.define(ty).unwrap();
        let object = store.register(store.root(), "card", ty, Arc::clone(&lock)).unwrap();
        let (stop, same) = (Arc::clone(&gate), Arc::clone(&lock));
        let extra = Group::<AnyObject>::new().ro("uevent", move |_, page| {
            stop.pass();
            page.int(*same.lock().map_err(Error::from)?)
        });
        let extra = store.define_group(extra).unwrap();
        store.add_group(object, extra).unwrap();
        let hidden = store.attribute(object, "uevent").unwrap();
        Self { store, ty, object, lock, extra, hidden, gate }
    }
}

type Calls = fn(&Setup) -> Result;
type Removes = fn(&Setup) -> Result<Removal>;

/// Has a callback wait for the lock while its remover holds it. One of the two is told, and the other goes on. `is_gone` says that the
/// removal is over, after a second attempt where the first one failed.
#[track_caller]
fn assert_one_is_told(calls: Calls, removes: Removes, is_gone: fn(&Setup) -> bool) {
    for _ in 0..50 {
        let setup = Setup::new();
        thread::scope(|scope| {
            let shut = setup.gate.shut();
            let guard = setup.lock.lock().unwrap();
            let callback = scope.spawn(|| calls(&setup));
            setup.gate.wait_for(1);
            drop(shut);
            let removal = removes(&setup);
            drop(guard);
            let edeadlk = Err(Error::Errno(Errno::EDEADLK));
            match (callback.join().unwrap(), removal) {
                (call, Ok(Removal::Done(1))) => assert_eq!(call, edeadlk),
                (call, removal) => {
                    assert_eq!((call, removal), (Ok(()), Err(Error::Deadlock)));
                    assert!(removes(&setup).is_ok() || setup.store.reap() == 1 || is_gone(&setup));
                }
            }
        });
        assert!(is_gone(&setup));
    }
}

/// T27, D-1: a remover that holds the lock across the removal, where the lock is declared: the callback that waits for it, or the
/// remover, is told that it would wait for itself. Nobody hangs.
#[test]
fn a_declared_lock_held_across_a_removal_is_told() {
    let writes: Calls = |setup| setup.store.write(setup.object, "value", b"1");
    let is_gone = |setup: &Setup| setup.store.is_empty();
    assert_one_is_told(writes, |setup| setup.store.unregister_subtree(setup.object), is_gone);
    let unregisters: Removes = |setup| {
        let payload = setup.store.unregister::<Arc<Exclusion<usize>>>(setup.object)?;
        assert!(Arc::ptr_eq(&payload, &setup.lock));
        Ok(Removal::Done(1))
    };
    assert_one_is_told(writes, unregisters, is_gone);
}

/// T98, D-3: an attribute that needs the device's lock to be shown, and one who unbinds, holding that lock, and takes the attribute
/// away alone, for good or for a time. One of the two is told.
#[test]
fn a_declared_lock_held_as_an_attribute_is_taken_away_is_told() {
    let reads: Calls = |setup| setup.store.read(setup.object, "uevent").map(drop);
    let is_gone = |setup: &Setup| setup.store.attribute(setup.object, "uevent") == Err(Error::NotFound);
    assert_one_is_told(reads, |setup| setup.store.remove_group(setup.object, setup.extra), is_gone);
    assert_one_is_told(reads, |setup| setup.store.hide_attribute(setup.object, setup.hidden), is_gone);
}

/// T98: unbinding that takes attributes away first and the lock afterwards waits for the callback, which gets the lock.
#[test]
fn a_lock_taken_after_an_attribute_has_gone_is_free() {
    let setup = Setup::new();
    thread::scope(|scope| {
        let shut = setup.gate.shut();
        let reader = scope.spawn(|| setup.store.read(setup.object, "uevent"));
        setup.gate.wait_for(1);
        let unbind = scope.spawn(|| {
            let removed = setup.store.remove_group(setup.object, setup.extra);
            *setup.lock.lock().unwrap() += 1;
            removed
        });
        until(|| setup.store.attribute(setup.object, "uevent").is_err());
        drop(shut);
        assert_eq!(reader.join().unwrap(), Ok(b"0\n".into()));
        assert_eq!(unbind.join().unwrap(), Ok(Removal::Done(1)));
    });
    assert_eq!(setup.lock.try_lock().map(|count| *count), Some(1));
}

/// T28, D-1: one lock for all, which callbacks take, code that has nothing to do with the store takes, and every exit holds across its
/// removals. Whoever is told gives way and comes again: writers, the unrelated and the loading and unloading all go on.
#[test]
fn a_lock_that_everybody_shares_stops_nobody_for_good() {
    const ROUNDS: usize = 50;
    let setup = Setup::new();
    let Setup { store, ty, object, lock, .. } = &setup;
    assert_eq!(store.unregister_subtree(*object), Ok(Removal::Done(1)));
    let (done, writes, unrelated) = (AtomicBool::new(false), AtomicUsize::new(0), AtomicUsize::new(0));
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while !done.load(SeqCst) {
                    thread::yield_now();
                    let Ok(card) = store.lookup("/card") else { continue };
                    match store.write(card, "value", b"1") {
                        Ok(()) => drop(writes.fetch_add(1, SeqCst)),
                        Err(error) => assert!([Errno::ENODEV, Errno::EDEADLK].contains(&error.errno()), "{error}"),
                    }
                }
            });
        }
        scope.spawn(|| {
            while !done.load(SeqCst) {
                drop(lock.lock().unwrap());
                unrelated.fetch_add(1, SeqCst);
                thread::yield_now();
            }
        });
        for _ in 0..ROUNDS {
            let card = store.register(store.root(), "card", *ty, Arc::clone(lock)).unwrap();
            let (wrote, locked) = (writes.load(SeqCst), unrelated.load(SeqCst));
            until(|| writes.load(SeqCst) > wrote && unrelated.load(SeqCst) > locked);
            let guard = lock.lock().unwrap();
            let removal = store.unregister_subtree(card);
            drop(guard);
            if removal != Ok(Removal::Done(1)) {
                assert_eq!(removal, Err(Error::Deadlock));
                until(|| store.reap() == 1);
            }
            assert!(store.is_empty());
        }
        done.store(true, SeqCst);
    });
}
