//! Several threads that remove at once.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Barrier, mpsc};
use std::thread;

use enodev::{DeviceType, Error, Exclusion, Removal, Store};

use crate::common::{Disk, GONE, Gate, Rig, linger, until};

/// E-6, F8: of two removers of one object, whichever form they use, one takes it, and both return only when nobody is
/// inside any more and the payload has gone; the other says ENODEV.
#[test]
fn the_second_remover_waits_for_the_first() {
    let rig = Rig::new();
    let store = &rig.store;
    let disk = rig.add(store.root(), "sda");
    thread::scope(|scope| {
        let shut = rig.world.gate.shut();
        scope.spawn(|| rig.read(disk, "slow"));
        rig.world.gate.wait_for(1);
        let first = scope.spawn(|| store.unregister_subtree(disk));
        until(|| !store.contains(disk));
        let typed = scope.spawn(|| (store.unregister::<Disk>(disk).err(), rig.dropped()));
        let untyped = scope.spawn(|| (store.unregister_subtree(disk).err(), rig.dropped()));
        linger();
        assert!(!first.is_finished() && !typed.is_finished() && !untyped.is_finished());
        drop(shut);
        assert_eq!(first.join().unwrap(), Ok(Removal::Done(1)));
        for second in [typed, untyped] {
            assert_eq!(second.join().unwrap(), (Some(GONE), vec!["sda".into()]));
        }
    });
}

/// E-6: the same where the two begin at one moment, so that either may find the other at any of its steps.
#[test]
fn of_two_racing_removers_neither_returns_early() {
    let rig = Rig::new();
    let store = &rig.store;
    for _ in 0..1500 {
        let disk = rig.add(store.root(), "sda");
        let start = Barrier::new(3);
        let left = AtomicBool::new(false);
        let remove = || {
            start.wait();
            let taken = store.unregister::<Disk>(disk);
            (taken.map(|disk| disk.inside()), left.load(SeqCst))
        };
        thread::scope(|scope| {
            let removers = [scope.spawn(remove), scope.spawn(remove)];
            let guard = store.enter::<Disk>(disk).unwrap();
            start.wait();
            until(|| !store.contains(disk));
            (0..20).for_each(|_| thread::yield_now());
            left.store(true, SeqCst);
            drop(guard);
            let answers = removers.map(|remover| remover.join().unwrap());
            let expected = [(Ok(0), true), (Err(GONE), true)];
            assert!(expected.iter().all(|one| answers.contains(one)), "{answers:?}");
        });
    }
}

/// Waits at a gate in its drop.
struct Slow(Arc<Gate>, Arc<AtomicUsize>);

impl Drop for Slow {
    fn drop(&mut self) {
        self.0.pass();
        self.1.fetch_add(1, SeqCst);
    }
}

/// E-6: a second remover waits also for the drop of the payload, not for the drain alone; the name is taken until then.
#[test]
fn the_second_remover_waits_for_the_drop_of_the_payload() {
    let rig = Rig::new();
    let store = &rig.store;
    let slow = store.define(DeviceType::shared::<Slow>("slow")).unwrap();
    let (gate, drops) = (Arc::new(Gate::default()), Arc::new(AtomicUsize::new(0)));
    let payload = Slow(Arc::clone(&gate), Arc::clone(&drops));
    let object = store.register(store.root(), "slow", slow, payload).unwrap();
    thread::scope(|scope| {
        let shut = gate.shut();
        let first = scope.spawn(|| store.unregister_subtree(object));
        gate.wait_for(1);
        let second = scope.spawn(|| (store.unregister::<Slow>(object).err(), drops.load(SeqCst)));
        assert_eq!(rig.try_add(store.root(), "slow"), Err(Error::Exists));
        linger();
        assert!(!second.is_finished());
        drop(shut);
        assert_eq!(first.join().unwrap(), Ok(Removal::Done(1)));
        assert_eq!(second.join().unwrap(), (Some(GONE), 1));
    });
}

/// E-6: who removes a tree, a part of which another is removing, returns when all of it has gone, and drops nothing of its
/// own before the other's payloads are dropped: children go first across threads too.
#[test]
fn a_remover_of_the_whole_waits_for_the_remover_of_a_part() {
    let rig = Rig::new();
    let store = &rig.store;
    let bus = rig.add(store.root(), "bus");
    let disk = rig.add(bus, "disk");
    let part = rig.add(disk, "part");
    rig.add(bus, "other");
    thread::scope(|scope| {
        let shut = rig.world.gate.shut();
        scope.spawn(|| rig.read(part, "slow"));
        rig.world.gate.wait_for(1);
        let lower = scope.spawn(|| store.unregister_subtree(disk));
        until(|| !store.contains(disk));
        let upper = scope.spawn(|| (store.unregister_subtree(bus), rig.dropped()));
        until(|| !store.contains(bus));
        linger();
        assert!(!lower.is_finished() && !upper.is_finished() && rig.dropped().is_empty());
        drop(shut);
        assert_eq!(lower.join().unwrap(), Ok(Removal::Done(2)));
        let (count, dropped) = upper.join().unwrap();
        assert_eq!((count, dropped.len()), (Ok(Removal::Done(2)), 4));
        assert_eq!(dropped[..2], ["part", "disk"]);
        assert_eq!(dropped[3], "bus");
    });
    assert!(store.is_empty());
}

/// E-6, E-25: who removes a part of what another is removing as a whole gets ENODEV, when all of the whole has gone.
#[test]
fn a_remover_of_a_part_waits_for_the_remover_of_the_whole() {
    let rig = Rig::new();
    let store = &rig.store;
    let bus = rig.add(store.root(), "bus");
    let disk = rig.add(bus, "disk");
    thread::scope(|scope| {
        let shut = rig.world.gate.shut();
        scope.spawn(|| rig.read(bus, "slow"));
        rig.world.gate.wait_for(1);
        let upper = scope.spawn(|| store.unregister_subtree(bus));
        until(|| !store.contains(disk));
        let lower = scope.spawn(|| (store.unregister::<Disk>(disk).err(), rig.dropped()));
        linger();
        assert!(!lower.is_finished());
        drop(shut);
        assert_eq!(upper.join().unwrap(), Ok(Removal::Done(2)));
        assert_eq!(lower.join().unwrap(), (Some(GONE), vec!["disk".into(), "bus".into()]));
    });
}

/// E-6: many removers of overlapping subtrees, all at once: each object is counted by exactly one of them, and each of them
/// returns when all that it asked for has been dropped.
#[test]
fn overlapping_removals_share_the_work() {
    let rig = Rig::new();
    let store = &rig.store;
    for _ in 0..300 {
        let bus = rig.add(store.root(), "bus");
        let [a, b] = ["a", "b"].map(|name| rig.add(bus, name));
        let [a1, b1] = [(a, "a1"), (b, "b1")].map(|(disk, name)| rig.add(disk, name));
        let removals: [(_, &[&str]); 5] = [
            (bus, &["bus", "a", "b", "a1", "b1"]),
            (a, &["a", "a1"]),
            (b1, &["b1"]),
            (bus, &["bus", "a", "b", "a1", "b1"]),
            (a1, &["a1"]),
        ];
        let start = Barrier::new(removals.len());
        let counted = AtomicUsize::new(0);
        thread::scope(|scope| {
            for (top, names) in removals {
                let (rig, start, counted) = (&rig, &start, &counted);
                scope.spawn(move || {
                    start.wait();
                    match store.unregister_subtree(top) {
                        Ok(count) => drop(counted.fetch_add(count.count(), SeqCst)),
                        Err(error) => assert_eq!(error, GONE),
                    }
                    let dropped = rig.dropped();
                    assert!(names.iter().all(|name| dropped.contains(&(*name).into())), "{dropped:?}");
                });
            }
        });
        assert_eq!((counted.load(SeqCst), store.len()), (5, 0));
        assert_eq!(rig.world.dropped_since(), 5);
    }
}

/// A second remover holds a declared exclusion that the payload's drop wants: of the two one is told EDEADLK, and both end.
#[test]
fn a_circle_through_a_second_remover_is_found() {
    static LOCK: Exclusion = Exclusion::new(());
    struct Locking(mpsc::Sender<bool>);
    impl Drop for Locking {
        fn drop(&mut self) {
            self.0.send(LOCK.lock().is_err()).unwrap();
        }
    }
    let store = Store::new().unwrap();
    let ty = store.define(DeviceType::shared::<Locking>("locking")).unwrap();
    let (tell, told) = mpsc::channel();
    let disk = store.register(store.root(), "sda", ty, Locking(tell)).unwrap();
    thread::scope(|scope| {
        let guard = LOCK.lock().unwrap();
        let first = scope.spawn(|| store.unregister_subtree(disk));
        until(|| !store.contains(disk));
        let second = store.unregister_subtree(disk);
        drop(guard);
        assert_eq!(first.join().unwrap(), Ok(Removal::Done(1)));
        assert_ne!(second == Err(Error::Deadlock), told.recv().unwrap(), "{second:?}");
    });
}
