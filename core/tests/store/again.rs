//! The same place, taken again and again.

use std::thread;

use enodev::{AsKobject, DeviceHandle, Errno, Error, File};

use crate::common::{Disk, GONE, Rig, until};

fn index(handle: DeviceHandle) -> u32 {
    handle.to_bits() as u32
}

/// S3-1, S3-2, T58, T92: a disk is registered under one name again and again, until its slot has been used again several
/// times; no handle and no open file of any earlier disk ever reaches a later one.
#[test]
fn a_holder_of_one_incarnation_never_reaches_a_later_one() {
    let rig = Rig::new();
    let store = &rig.store;
    let mut held: Vec<(DeviceHandle, File)> = Vec::new();
    let mut reused = 0;
    while reused < 3 {
        let round = held.len();
        assert!(round < 10_000, "the slot never comes back");
        let payload = rig.payload(&format!("disk of round {round}"));
        let disk = store.register(store.root(), "hda", rig.disk, payload).unwrap();
        reused += usize::from(held.first().is_some_and(|(first, _)| index(*first) == index(disk)));
        for (old, file) in &held {
            assert_ne!(*old, disk);
            assert!(!store.contains(*old));
            assert_eq!(rig.read(*old, "name"), Err(GONE));
            assert_eq!(file.pread(store, 0, &mut [0; 8]), Err(Errno::ENODEV));
            assert_eq!(file.write(store, b"format"), Err(Errno::ENODEV));
            assert_eq!(store.unregister_subtree(*old), Err(GONE));
        }
        assert_eq!(store.lookup("/hda"), Ok(disk.kobject()));
        let file = rig.open(disk, "text");
        let payload: Disk = store.unregister(disk).unwrap();
        assert_eq!(payload.name, format!("disk of round {round}"));
        assert!(payload.text.lock().is_empty());
        held.push((disk, file));
    }
}

/// E-44: the name of a leaving object is taken until it has gone, and free from the moment when its removal returns.
#[test]
fn a_name_is_free_when_the_removal_has_returned_and_not_before() {
    let rig = Rig::new();
    let store = &rig.store;
    let old = rig.add(store.root(), "hda");
    thread::scope(|scope| {
        let shut = rig.world.gate.shut();
        scope.spawn(|| rig.read(old, "slow"));
        rig.world.gate.wait_for(1);
        let remover = scope.spawn(|| store.unregister::<Disk>(old).map(|disk| disk.name.clone()));
        until(|| !store.contains(old));
        assert_eq!(rig.try_add(store.root(), "hda"), Err(Error::Exists));
        assert_eq!(store.link(store.root(), "hda", store.root()), Err(Error::Exists));
        assert_eq!(store.lookup("hda"), Err(Error::NotFound));
        rig.assert_holds(store.root(), &[]);
        assert_eq!(store.len(), 1);
        drop(shut);
        assert_eq!(remover.join().unwrap(), Ok("hda".into()));
    });
    let new = rig.add(store.root(), "hda");
    assert_eq!(store.lookup("hda"), Ok(new.kobject()));
    assert_eq!(store.len(), 1);
}

/// A payload that was handed back can be registered again: that is another object with the same payload.
#[test]
fn a_payload_that_came_back_can_be_registered_again() {
    let rig = Rig::new();
    let store = &rig.store;
    let first = rig.add(store.root(), "hda");
    store.write(first, "text", b"kept").unwrap();
    let payload: Disk = store.unregister(first).unwrap();
    let second = store.register(store.root(), "hda", rig.disk, payload).unwrap();
    assert_eq!(rig.read(second, "text"), Ok("kept".into()));
    assert_eq!(rig.read(first, "text"), Err(GONE));
    assert!(rig.dropped().is_empty());
}

/// What has left is freed as removals go on, and all of it when asked to.
#[test]
fn nothing_is_left_to_be_freed_after_a_flush() {
    let rig = Rig::new();
    for _ in 0..500 {
        let disk = rig.add(rig.store.root(), "hda");
        drop(rig.store.unregister::<Disk>(disk).unwrap());
    }
    assert_eq!(rig.store.flush(), 0);
    assert!(rig.store.is_empty());
}
