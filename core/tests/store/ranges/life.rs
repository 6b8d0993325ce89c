//! What the end of a device, or of a space, does to the ranges in it, and what a session keeps.

use std::sync::{Arc, Weak};
use std::thread;

use enodev::{DeviceHandle, DeviceType, Error, Region, Removal, SpaceHandle, Store};

use super::{NOBODY, regions, rig};
use crate::common::{Disk, GONE, linger, until};

/// S0-3: a range goes with its device. From the moment when the device begins to leave no way of asking gives it; the range is taken until
/// the device has gone, and free as soon as its removal has returned. Nobody had to unmap anything.
#[test]
fn a_range_goes_with_its_device() {
    let (rig, space) = rig();
    let (store, old) = (&rig.store, rig.add(rig.store.root(), "sda"));
    store.map(old, space, 10..20).unwrap();
    let mut session = store.space_session(space).unwrap();
    assert_eq!(session.resolve(10), Ok((old, 0)));
    let new = rig.add(store.root(), "sdb");
    thread::scope(|scope| {
        let shut = rig.world.gate.shut();
        scope.spawn(|| rig.read(old, "slow"));
        rig.world.gate.wait_for(1);
        let remover = scope.spawn(|| store.unregister::<Disk>(old).map(drop));
        until(|| !store.contains(old));
        assert_eq!((store.resolve(space, 10), session.resolve(10)), (Err(NOBODY), Err(NOBODY)));
        assert_eq!(session.enter::<Disk>(10).err(), Some(NOBODY));
        assert_eq!((regions(store, space), store.regions_of(old)), (vec![], Err(GONE)));
        assert_eq!(store.map(new, space, 19..25), Err(Error::Overlap));
        assert_eq!((store.map(old, space, 50..60), store.unmap(old, space, 10)), (Err(GONE), Err(GONE)));
        assert_eq!(store.remap(old, space, 10, 50..60), Err(GONE));
        drop(shut);
        assert_eq!(remover.join().unwrap(), Ok(()));
    });
    store.map(new, space, 19..25).unwrap();
    assert_eq!((session.resolve(19), session.resolve(18)), (Ok((new, 0)), Err(NOBODY)));
    assert_eq!((store.map(old, space, 50..60), store.unmap(old, space, 19)), (Err(GONE), Err(GONE)));
    assert_eq!(store.remap(old, space, 19, 50..60), Err(GONE));
    assert_eq!(regions(store, space), [(19, 24, new)]);
}

/// The ranges of a whole subtree go with it, in all spaces; those of other devices stay.
#[test]
fn the_ranges_of_a_subtree_go_with_it() {
    let (rig, space) = rig();
    let store = &rig.store;
    let (ports, bus) = (store.create_space("ports").unwrap(), rig.add(store.root(), "bus"));
    let stays = rig.add(store.root(), "stays");
    store.map(bus, ports, 0..8).unwrap();
    store.map(stays, space, 1000..2000).unwrap();
    store.map(stays, ports, 8..16).unwrap();
    for number in 0..8 {
        let device = rig.add(bus, &format!("device{number}"));
        store.map(device, space, number * 10..number * 10 + 10).unwrap();
        store.map(device, ports, number * 10 + 100..number * 10 + 110).unwrap();
    }
    assert_eq!((regions(store, space).len(), regions(store, ports).len()), (9, 10));
    assert_eq!(store.unregister_subtree(bus), Ok(Removal::Done(9)));
    assert_eq!(regions(store, space), [(1000, 1999, stays)]);
    assert_eq!(regions(store, ports), [(8, 15, stays)]);
    store.map(stays, space, 0..1000).unwrap();
}

/// S0-15: a device that a callback of its own removes is gone from its addresses as the callback returns.
#[test]
fn a_range_goes_with_a_device_that_removes_itself() {
    let (rig, space) = rig();
    let store = &rig.store;
    let ty = DeviceType::shared::<SpaceHandle>("suicidal").wo("delete", |object, _| {
        let (store, device) = (object.store(), object.store().device(object.object())?);
        store.map(device, *object, 10..20)?;
        assert_eq!(store.unregister_subtree(device), Ok(Removal::Begun(1)));
        assert_eq!(store.map(device, *object, 30..40), Err(GONE));
        assert_eq!(store.resolve(*object, 10), Err(NOBODY));
        Ok(())
    });
    let ty = store.define(ty).unwrap();
    let device = store.register(store.root(), "self", ty, space).unwrap();
    assert_eq!(store.write(device, "delete", b"1"), Ok(()));
    let next = rig.add(store.root(), "next");
    assert_eq!(store.map(next, space, ..), Ok(()));
}

/// A payload that changes the space, and removes it, as it is dropped.
struct Spiteful(Weak<Store>, SpaceHandle, DeviceHandle);

impl Drop for Spiteful {
    fn drop(&mut self) {
        let Some(store) = self.0.upgrade() else { return };
        store.map(self.2, self.1, 30..40).unwrap();
        assert_eq!(store.resolve(self.1, 30), Ok((self.2, 0)));
        assert_eq!(store.remove_space(self.1), Ok(()));
    }
}

/// S4-4: a payload's drop may use the space that its device was mapped in, and may remove it: nothing of the space is held meanwhile.
#[test]
fn a_payload_may_use_its_space_as_it_is_dropped() {
    let store = Arc::new(Store::new().unwrap());
    let ty = store.define(DeviceType::shared::<Spiteful>("spiteful")).unwrap();
    let plain = store.define(DeviceType::shared::<()>("plain")).unwrap();
    let other = store.register(store.root(), "other", plain, ()).unwrap();
    for deferred in [false, true] {
        let space = store.create_space("mmio").unwrap();
        let payload = Spiteful(Arc::downgrade(&store), space, other);
        let device = store.register(store.root(), "device", ty, payload).unwrap();
        store.map(device, space, 10..20).unwrap();
        if deferred {
            let mut session = store.space_session(space).unwrap();
            let (guard, _) = session.enter::<Spiteful>(10).unwrap();
            assert_eq!(store.unregister_subtree(device), Ok(Removal::Begun(1)));
            drop(guard);
        } else {
            assert_eq!(store.unregister_subtree(device), Ok(Removal::Done(1)));
        }
        assert_eq!((store.regions(space), store.regions_of(other)), (Err(GONE), Ok(vec![])));
    }
}

/// A space that has been removed is ENODEV to all, to sessions too that were made before; the devices stay, and keep their ranges in
/// other spaces.
#[test]
fn a_space_that_has_been_removed_is_gone_for_all() {
    let (rig, space) = rig();
    let (store, sda) = (&rig.store, rig.add(rig.store.root(), "sda"));
    let ports = store.create_space("ports").unwrap();
    store.map(sda, space, 10..20).unwrap();
    store.map(sda, ports, 10..20).unwrap();
    let mut session = store.space_session(space).unwrap();
    assert_eq!(session.resolve(10), Ok((sda, 0)));
    assert_eq!(store.remove_space(space), Ok(()));
    assert_eq!((session.resolve(10), session.enter::<Disk>(10).err()), (Err(GONE), Some(GONE)));
    assert_eq!(session.enter_mut::<Disk>(10).err(), Some(GONE));
    assert_eq!((store.resolve(space, 10), store.regions(space)), (Err(GONE), Err(GONE)));
    assert_eq!((store.remove_space(space), store.space_name(space)), (Err(GONE), Err(GONE)));
    assert_eq!((store.map(sda, space, 1..2), store.unmap(sda, space, 10)), (Err(GONE), Err(GONE)));
    assert_eq!(store.remap(sda, space, 10, 1..2), Err(GONE));
    assert_eq!(store.regions_of(sda).unwrap(), [Region { base: 10, last: 19, device: sda, space: ports }]);
    assert_eq!(store.unregister::<Disk>(sda).map(drop), Ok(()));
    assert_eq!(regions(store, ports), []);
}

/// S0-1, S2-3: a session keeps no device: one that has just been met goes while the session lives, payload and all.
#[test]
fn a_session_keeps_no_device() {
    let (rig, space) = rig();
    let (store, sda) = (&rig.store, rig.add(rig.store.root(), "sda"));
    store.map(sda, space, 10..20).unwrap();
    let (mut devices, mut addresses) = (store.session(), store.space_session(space).unwrap());
    assert_eq!(&*devices.enter::<Disk>(sda).unwrap().name, "sda");
    assert_eq!(&*addresses.enter::<Disk>(10).unwrap().0.name, "sda");
    assert_eq!(store.unregister_subtree(sda), Ok(Removal::Done(1)));
    assert_eq!(rig.dropped(), ["sda"]);
    assert_eq!(devices.enter::<Disk>(sda).err(), Some(GONE));
    assert_eq!(addresses.enter::<Disk>(10).err(), Some(NOBODY));
}

/// S2-6: a removal waits for who is inside by way of a session, as for any guard.
#[test]
fn a_removal_waits_for_who_came_by_address() {
    let (rig, space) = rig();
    let (store, sda) = (&rig.store, rig.add(rig.store.root(), "sda"));
    store.map(sda, space, 10..20).unwrap();
    let mut session = store.space_session(space).unwrap();
    let (disk, offset) = session.enter::<Disk>(13).unwrap();
    thread::scope(|scope| {
        let remover = scope.spawn(|| store.unregister::<Disk>(sda).map(drop));
        until(|| !store.contains(sda));
        linger();
        assert!(!remover.is_finished());
        assert_eq!((&*disk.name, offset, rig.dropped()), ("sda", 3, vec![]));
        drop(disk);
        assert_eq!(remover.join().unwrap(), Ok(()));
    });
}
