//! Payloads that one thread is inside of at a time.

use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::mpsc;
use std::thread;

use enodev::{DeviceHandle, DeviceType, Errno, Error, Exclusive, Store, Type};

use crate::common::{GONE, linger, until};

/// Not `Sync`, and no atomics: two threads inside at once would lose counts, or find `busy` set.
#[derive(Debug, Default, PartialEq)]
struct Counter {
    count: std::cell::Cell<u64>,
    busy: bool,
}

impl Counter {
    fn count(&mut self) -> Result<(), Errno> {
        if std::mem::replace(&mut self.busy, true) {
            return Err(Errno::EBUSY);
        }
        let count = self.count.get();
        thread::yield_now();
        self.count.set(count + 1);
        self.busy = false;
        Ok(())
    }
}

fn counter_type(store: &Store) -> Type<Exclusive<Counter>> {
    let ty = DeviceType::exclusive::<Counter>("counter")
        .rw("count", |counter, page| page.line(counter.count.get()), |mut counter, _| counter.count())
        .wo("again", |counter, _| {
            let (store, object) = (counter.store(), counter.object());
            assert_eq!(store.read(object, "count"), Err(Errno::EDEADLK.into()));
            assert_eq!(store.write(object, "again", b"1"), Err(Errno::EDEADLK.into()));
            assert_eq!(store.enter_mut::<Counter>(object).err(), Some(Error::Inside));
            Ok(())
        })
        .wo("panic", |counter, _| {
            counter.count.set(100);
            std::panic::panic_any("the driver's own");
        });
    store.define(ty).unwrap()
}

fn counter(store: &Store) -> DeviceHandle {
    let ty = counter_type(store);
    store.register(store.root(), "counter", ty, Counter::default()).unwrap()
}

/// S1-2: callbacks of one exclusive object and guards of it exclude each other, on however many threads.
#[test]
fn those_inside_exclude_each_other() {
    let store = Store::new().unwrap();
    let object = counter(&store);
    thread::scope(|scope| {
        for thread in 0..4 {
            let store = &store;
            scope.spawn(move || {
                for n in 0..500 {
                    if (thread + n) % 2 == 0 {
                        store.write(object, "count", b"1").unwrap();
                    } else {
                        store.enter_mut::<Counter>(object).unwrap().count().unwrap();
                    }
                }
            });
        }
    });
    assert_eq!(store.read(object, "count").unwrap(), b"2000\n");
    assert_eq!(store.unregister::<Counter>(object).unwrap().count.get(), 2000);
}

/// Who waits for the lock is not inside: the removal waits for the one who has it alone, and the others get ENODEV when
/// their turn comes, by guard, by attribute and through a file.
#[test]
fn those_who_wait_do_not_hold_a_removal_up() {
    let store = Store::new().unwrap();
    let object = counter(&store);
    let file = store.open(object, "count", enodev::Access::WRITE).unwrap();
    let guard_is_there = AtomicBool::new(true);
    thread::scope(|scope| {
        let mut guard = store.enter_mut::<Counter>(object).unwrap();
        let (ready, is_ready) = mpsc::channel();
        let waits = [
            scope.spawn({
                let ready = ready.clone();
                || {
                    { ready }.send(()).unwrap();
                    store.enter_mut::<Counter>(object).map(drop)
                }
            }),
            scope.spawn({
                let ready = ready.clone();
                || {
                    { ready }.send(()).unwrap();
                    store.write(object, "count", b"1")
                }
            }),
            scope.spawn(|| {
                { ready }.send(()).unwrap();
                file.write(&store, b"1").map(drop).map_err(Error::from)
            }),
        ];
        assert_eq!(is_ready.iter().count(), 3);
        linger();
        assert!(waits.iter().all(|wait| !wait.is_finished()));
        let remover = scope.spawn(|| {
            let payload = store.unregister::<Counter>(object);
            (payload.map(|counter| counter.count.get()), guard_is_there.load(SeqCst))
        });
        until(|| !store.contains(object));
        linger();
        assert!(!remover.is_finished());
        guard.count().unwrap();
        guard_is_there.store(false, SeqCst);
        drop(guard);
        assert_eq!(remover.join().unwrap(), (Ok(1), false));
        for wait in waits {
            assert_eq!(wait.join().unwrap(), Err(GONE));
        }
    });
}

/// Under contention, each entry either counts or is ENODEV, and the payload that comes back has every count.
#[test]
fn no_count_is_lost_or_made_around_a_removal() {
    let store = Store::new().unwrap();
    let ty = counter_type(&store);
    for _ in 0..100 {
        let object = store.register(store.root(), "counter", ty, Counter::default()).unwrap();
        let (started, has_started) = mpsc::channel();
        let (counted, payload) = thread::scope(|scope| {
            let counters: Vec<_> = (0..3)
                .map(|_| {
                    let (store, started) = (&store, started.clone());
                    scope.spawn(move || {
                        let mut counted = 0;
                        loop {
                            match store.enter_mut::<Counter>(object) {
                                Ok(mut counter) => counter.count().unwrap(),
                                Err(error) => {
                                    assert_eq!(error, GONE);
                                    return counted;
                                }
                            }
                            counted += 1;
                            let _ = started.send(());
                        }
                    })
                })
                .collect();
            has_started.recv().unwrap();
            let payload = store.unregister::<Counter>(object).unwrap();
            let counted: u64 = counters.into_iter().map(|counter| counter.join().unwrap()).sum();
            (counted, payload)
        });
        assert_eq!((payload.count.get(), payload.busy), (counted, false));
    }
}

/// Who is inside would wait for itself: it is told EDEADLK, in a callback and with a guard, and the object goes on.
#[test]
fn entering_again_from_inside_is_edeadlk() {
    let store = Store::new().unwrap();
    let object = counter(&store);
    assert_eq!(store.write(object, "again", b"1"), Ok(()));
    let guard = store.enter_mut::<Counter>(object).unwrap();
    assert_eq!(store.enter_mut::<Counter>(object).err(), Some(Error::Inside));
    assert_eq!(store.read(object, "count"), Err(Errno::EDEADLK.into()));
    assert_eq!(store.unregister::<Counter>(object), Err(Error::Inside));
    drop(guard);
    assert_eq!(store.write(object, "count", b"1"), Ok(()));
    assert_eq!(store.unregister::<Counter>(object).unwrap().count.get(), 1);
}

/// The same at the moment when another thread begins to remove the object: EDEADLK or ENODEV, but an answer.
#[test]
fn entering_again_from_inside_is_answered_also_during_a_removal() {
    let store = Store::new().unwrap();
    let ty = counter_type(&store);
    for _ in 0..300 {
        let object = store.register(store.root(), "counter", ty, Counter::default()).unwrap();
        thread::scope(|scope| {
            let guard = store.enter_mut::<Counter>(object).unwrap();
            let remover = scope.spawn(|| store.unregister::<Counter>(object));
            let answer = loop {
                match store.enter_mut::<Counter>(object).err() {
                    Some(Error::Inside) => {}
                    other => break other,
                }
            };
            assert_eq!(answer, Some(GONE));
            drop(guard);
            assert!(remover.join().unwrap().is_ok());
        });
    }
}

/// A callback that panics gives the lock back; the object stays, as the callback left it.
#[test]
fn a_panic_inside_gives_the_lock_back() {
    let store = Store::new().unwrap();
    let object = counter(&store);
    assert_eq!(store.write(object, "panic", b"1"), Err(Errno::EIO.into()));
    let by_another = thread::scope(|scope| {
        let write = || store.write(object, "count", b"1");
        scope.spawn(write).join().unwrap()
    });
    assert_eq!(by_another, Ok(()));
    assert_eq!(store.read(object, "count").unwrap(), b"101\n");
    let unwound = crate::common::panic_of(|| {
        let _guard = store.enter_mut::<Counter>(object).unwrap();
        std::panic::panic_any("with a guard in hand");
    });
    assert_eq!(unwound, "with a guard in hand");
    assert_eq!(store.unregister::<Counter>(object).unwrap().count.get(), 101);
}

/// D-1: two threads that each are inside one of two exclusive objects and want the other: one is told EDEADLK, and the other gets
/// what it wants when that one has left; nothing has changed for either object. So it is where one of them removes the other's.
#[test]
fn of_two_that_want_each_others_object_one_is_told() {
    for removes in [false, true] {
        for _ in 0..100 {
            let store = Store::new().unwrap();
            let ty = counter_type(&store);
            let objects = ["0", "1"].map(|name| store.register(store.root(), name, ty, Counter::default()).unwrap());
            let both = std::sync::Barrier::new(2);
            let cross = |at: usize| {
                let mut inside = store.enter_mut::<Counter>(objects[at]).unwrap();
                both.wait();
                let other = objects[1 - at];
                let told = if removes && at == 0 {
                    store.unregister::<Counter>(other).map(drop)
                } else {
                    store.enter_mut::<Counter>(other).map(drop)
                };
                inside.count().unwrap();
                told
            };
            let told = thread::scope(|scope| {
                let other = scope.spawn(|| cross(1));
                [cross(0), other.join().unwrap()]
            });
            assert_eq!(told.iter().filter(|told| **told == Err(Error::Deadlock)).count(), 1, "{told:?}");
            assert_eq!(told.iter().filter(|told| told.is_ok()).count(), 1, "{told:?}");
            assert_eq!(Error::Deadlock.errno(), Errno::EDEADLK);
            assert_eq!(store.reap(), usize::from(removes && told[0].is_err()));
            assert_eq!(store.enter_mut::<Counter>(objects[0]).unwrap().count.get(), 1);
        }
    }
}
