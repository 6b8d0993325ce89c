//! Address spaces: which device answers at which address, and what a device's end does to that.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::sync::{Arc, Barrier, Weak};
use std::thread;

use enodev::{DeviceHandle, DeviceType, Errno, Error, Region, Removal, Shared, SpaceHandle, Store, Strategy, Type};
use proptest::prelude::{Just, ProptestConfig, prop, prop_assert_eq, prop_oneof, proptest};
use proptest::strategy::Strategy as _;

use crate::common::{Disk, GONE, Rig, linger, until};

const NOBODY: Error = Error::NotFound;

fn rig() -> (Rig, SpaceHandle) {
    let rig = Rig::new();
    let space = rig.store.create_space("mmio").unwrap();
    (rig, space)
}

/// The ranges of a space: base, last and device.
fn regions(store: &Store, space: SpaceHandle) -> Vec<(u64, u64, DeviceHandle)> {
    let regions = store.regions(space).unwrap();
    assert!(regions.iter().all(|region| region.space == space && region.range() == (region.base..=region.last)));
    regions.iter().map(|region| (region.base, region.last, region.device)).collect()
}

/// An address leads to the device whose range it is in, with its distance from the base, and to nobody beside the ranges; the first and
/// the last address count. All ways of asking agree.
#[test]
fn an_address_leads_to_the_device_in_whose_range_it_is() {
    let (rig, space) = rig();
    let (store, sda, sdb) = (&rig.store, rig.add(rig.store.root(), "sda"), rig.add(rig.store.root(), "sdb"));
    store.map(sdb, space, 0x2000..0x3000).unwrap();
    store.map(sda, space, 0x1000..=0x1fff).unwrap();
    store.map(sda, space, 0x8000..0x8001).unwrap();
    let mut session = store.space_session(space).unwrap();
    let mut ask = |address| {
        let found = store.resolve(space, address);
        assert_eq!(session.resolve(address), found);
        let entered = session.enter::<Disk>(address);
        let name = |disk: &Disk| store.lookup(&disk.name).unwrap();
        let entered = entered.map(|(disk, offset)| (store.device(name(&disk)).unwrap(), offset));
        assert_eq!(entered, found);
        found
    };
    assert_eq!(ask(0), Err(NOBODY));
    assert_eq!(ask(0xfff), Err(NOBODY));
    assert_eq!(ask(0x1000), Ok((sda, 0)));
    assert_eq!(ask(0x1fff), Ok((sda, 0xfff)));
    assert_eq!(ask(0x2000), Ok((sdb, 0)));
    assert_eq!(ask(0x2fff), Ok((sdb, 0xfff)));
    assert_eq!(ask(0x3000), Err(NOBODY));
    assert_eq!(ask(0x8000), Ok((sda, 0)));
    assert_eq!(ask(0x8001), Err(NOBODY));
    assert_eq!(ask(u64::MAX), Err(NOBODY));
    assert_eq!(regions(store, space), [(0x1000, 0x1fff, sda), (0x2000, 0x2fff, sdb), (0x8000, 0x8000, sda)]);
    let of_sda: Vec<_> = store.regions_of(sda).unwrap().iter().map(Region::range).collect();
    assert_eq!(of_sda, [0x1000..=0x1fff, 0x8000..=0x8000]);
}

/// Every address can be mapped, the last one too, and all at once.
#[test]
fn a_range_may_hold_every_address() {
    let (rig, space) = rig();
    let (store, sda) = (&rig.store, rig.add(rig.store.root(), "sda"));
    store.map(sda, space, ..).unwrap();
    assert_eq!(regions(store, space), [(0, u64::MAX, sda)]);
    assert_eq!(store.resolve(space, u64::MAX), Ok((sda, u64::MAX)));
    assert_eq!(store.map(sda, space, 7..8), Err(Error::Overlap));
    store.unmap(sda, space, 0).unwrap();
    store.map(sda, space, u64::MAX..).unwrap();
    store.map(sda, space, ..u64::MAX).unwrap();
    assert_eq!(regions(store, space), [(0, u64::MAX - 1, sda), (u64::MAX, u64::MAX, sda)]);
    assert_eq!(store.resolve(space, u64::MAX), Ok((sda, 0)));
}

/// A range without an address is refused, before anything is asked about the device.
#[test]
fn an_empty_range_is_refused() {
    let (rig, space) = rig();
    let (store, sda) = (&rig.store, rig.add(rig.store.root(), "sda"));
    let none = DeviceHandle::null();
    assert_eq!(store.map(sda, space, 8..8), Err(Error::Range));
    #[expect(clippy::reversed_empty_ranges, reason = "this is what a sum that overflows gives")]
    let reversed = 8..=7;
    assert_eq!(store.map(none, space, reversed), Err(Error::Range));
    assert_eq!(store.map(none, space, ..0), Err(Error::Range));
    assert_eq!(store.map(none, space, (Bound::Excluded(u64::MAX), Bound::Unbounded)), Err(Error::Range));
    assert_eq!(store.remap(none, space, 0, 8..8), Err(Error::Range));
    assert_eq!(Error::Range.errno(), Errno::EINVAL);
    assert_eq!(regions(store, space), []);
}

/// A range that has an address of another is `EBUSY`, whoever's that is and on whichever side, and nothing changes; in another space
/// the addresses are others.
#[test]
fn an_overlap_is_refused_and_changes_nothing() {
    let (rig, space) = rig();
    let (store, sda, sdb) = (&rig.store, rig.add(rig.store.root(), "sda"), rig.add(rig.store.root(), "sdb"));
    store.map(sda, space, 10..20).unwrap();
    store.map(sda, space, 30..40).unwrap();
    let before = regions(store, space);
    for range in [10..20, 12..13, 0..11, 19..25, 25..31, 0..100, 9..11, 39..40, 10..40, 11..20] {
        for device in [sda, sdb] {
            assert_eq!(store.map(device, space, range.clone()), Err(Error::Overlap), "{range:?}");
        }
    }
    assert_eq!(Error::Overlap.errno(), Errno::EBUSY);
    assert_eq!((regions(store, space), store.regions_of(sdb).unwrap()), (before, vec![]));
    let ports = store.create_space("ports").unwrap();
    store.map(sdb, ports, 12..13).unwrap();
    assert_eq!((store.resolve(ports, 12), store.resolve(space, 12)), (Ok((sdb, 0)), Ok((sda, 2))));
    assert_eq!(store.space_name(ports).unwrap().as_str(), "ports");
}

/// A range is taken away by the device that has it, by its base, and is free from then on; nothing else is touched.
#[test]
fn a_device_unmaps_its_own_ranges_alone() {
    let (rig, space) = rig();
    let (store, sda, sdb) = (&rig.store, rig.add(rig.store.root(), "sda"), rig.add(rig.store.root(), "sdb"));
    let ports = store.create_space("ports").unwrap();
    store.map(sda, space, 10..20).unwrap();
    store.map(sda, ports, 10..20).unwrap();
    store.map(sdb, space, 20..30).unwrap();
    let mut session = store.space_session(space).unwrap();
    assert_eq!(session.resolve(15), Ok((sda, 5)));
    for base in [9, 11, 20, 30] {
        assert_eq!(store.unmap(sda, space, base), Err(Error::NotFound), "{base}");
    }
    assert_eq!(store.unmap(sdb, space, 10), Err(Error::NotFound));
    assert_eq!(store.unmap(sda, space, 10), Ok(()));
    assert_eq!(store.unmap(sda, space, 10), Err(Error::NotFound));
    assert_eq!(
        (store.resolve(space, 15), session.resolve(15), store.resolve(ports, 15)),
        (Err(NOBODY), Err(NOBODY), Ok((sda, 5)))
    );
    assert_eq!(store.regions_of(sda).unwrap(), [Region { base: 10, last: 19, device: sda, space: ports }]);
    store.map(sdb, space, 15..20).unwrap();
    assert_eq!(session.resolve(15), Ok((sdb, 0)));
}

/// A range moves in one step, also over itself and to another length; where it cannot go, it stays.
#[test]
fn a_range_moves_or_stays() {
    let (rig, space) = rig();
    let (store, sda, sdb) = (&rig.store, rig.add(rig.store.root(), "sda"), rig.add(rig.store.root(), "sdb"));
    store.map(sda, space, 10..20).unwrap();
    store.map(sdb, space, 30..40).unwrap();
    let before = regions(store, space);
    assert_eq!(store.remap(sda, space, 10, 25..35), Err(Error::Overlap));
    assert_eq!(store.remap(sda, space, 30, 50..60), Err(Error::NotFound));
    assert_eq!(store.remap(sda, space, 11, 50..60), Err(Error::NotFound));
    assert_eq!(regions(store, space), before);
    assert_eq!(store.remap(sda, space, 10, 15..25), Ok(()));
    assert_eq!(regions(store, space), [(15, 24, sda), (30, 39, sdb)]);
    assert_eq!(store.remap(sda, space, 15, 40..=40), Ok(()));
    assert_eq!(store.remap(sdb, space, 30, 0..40), Ok(()));
    assert_eq!(regions(store, space), [(0, 39, sdb), (40, 40, sda)]);
    assert_eq!(store.regions_of(sda).unwrap(), [Region { base: 40, last: 40, device: sda, space }]);
    assert_eq!(store.unregister::<Disk>(sda).map(|disk| disk.name.clone()).as_deref(), Ok("sda"));
    assert_eq!(regions(store, space), [(0, 39, sdb)]);
}

/// While a range moves between places that have an address in common, that address always leads to the device, and a list shows
/// one place or the other.
#[test]
fn a_moving_range_is_always_at_one_of_its_places() {
    let (rig, space) = rig();
    let (store, sda) = (&rig.store, rig.add(rig.store.root(), "sda"));
    store.map(sda, space, 0..10).unwrap();
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            for _ in 0..2000 {
                store.remap(sda, space, 0, 5..15).unwrap();
                store.remap(sda, space, 5, 0..10).unwrap();
            }
            over.store(true, SeqCst);
        });
        let mut session = store.space_session(space).unwrap();
        while !over.load(SeqCst) {
            for found in
                [store.resolve(space, 7), session.resolve(7), session.enter::<Disk>(7).map(|(_, offset)| (sda, offset))]
            {
                assert!(matches!(found, Ok((device, 2 | 7)) if device == sda), "{found:?}");
            }
            let listed = regions(store, space);
            assert!(listed == [(0, 9, sda)] || listed == [(5, 14, sda)], "{listed:?}");
        }
    });
}

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

/// What is mapped is a device of the store that is there; whatever else is refused, as the space is.
#[test]
fn only_devices_are_mapped() {
    let (rig, space) = rig();
    let (store, other) = (&rig.store, Rig::new());
    let directory = store.create(store.root(), "directory").unwrap();
    assert_eq!(store.map(directory.cast(), space, 0..1), Err(Error::WrongType));
    let device = rig.add(store.root(), "sda");
    for stranger in [other.add(other.store.root(), "sda"), DeviceHandle::null()] {
        assert_eq!(store.map(stranger, space, 0..1), Err(GONE));
    }
    for stranger in [other.store.create_space("mmio").unwrap(), SpaceHandle::null()] {
        assert_eq!(store.map(device, stranger, 0..1), Err(GONE));
        assert_eq!(store.resolve(stranger, 0), Err(GONE));
        assert_eq!(store.space_session(stranger).err(), Some(GONE));
    }
    assert!(matches!(store.create_space("a/b"), Err(Error::Name(_))));
    assert_eq!((regions(store, space), store.regions_of(device)), (vec![], Ok(vec![])));
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

trait Port: Send {
    fn write(&mut self, offset: u64) -> u64;
}

impl Port for Vec<u64> {
    fn write(&mut self, offset: u64) -> u64 {
        self.push(offset);
        self.len() as u64
    }
}

trait Named: Send + Sync {
    fn name(&self) -> &str;
}

impl Named for Disk {
    fn name(&self) -> &str {
        &self.name
    }
}

/// A payload is entered as what its type publishes it as; as anything else that is an error of its own, and no way in.
#[test]
fn what_is_at_an_address_is_entered_as_what_it_is_published_as() {
    let (rig, space) = rig();
    let store = &rig.store;
    let exclusive = DeviceType::exclusive::<Vec<u64>>("port").view_mut::<dyn Port>(|port| port);
    let exclusive = store.define(exclusive).unwrap();
    let port = store.register(store.root(), "port", exclusive, vec![]).unwrap();
    let named = store.define(DeviceType::shared::<Disk>("named").view::<dyn Named>(|disk| disk)).unwrap();
    let disk = store.register(store.root(), "disk", named, rig.payload("disk")).unwrap();
    store.map(port, space, 0..8).unwrap();
    store.map(disk, space, 8..16).unwrap();
    let mut session = store.space_session(space).unwrap();
    for count in 1..4 {
        let (mut port, offset) = session.enter_mut::<dyn Port>(count).unwrap();
        assert_eq!((port.write(offset), offset), (count, count));
    }
    assert_eq!(
        session.enter::<dyn Named>(9).map(|(disk, offset)| (disk.name().to_owned(), offset)),
        Ok(("disk".into(), 1))
    );
    assert_eq!(session.enter::<Vec<u64>>(0).err(), Some(Error::WrongType));
    assert_eq!(session.enter::<dyn Port>(8).err(), Some(Error::WrongType));
    assert_eq!(session.enter::<str>(8).err(), Some(Error::WrongType));
    assert_eq!(session.enter_mut::<dyn Port>(8).err(), Some(Error::WrongType));
    assert_eq!(session.enter_mut::<dyn Named>(0).err(), Some(Error::WrongType));
    assert_eq!(session.enter_mut::<dyn Port>(16).err(), Some(NOBODY));
    let mut objects = store.session();
    assert_eq!(objects.enter::<dyn Named>(disk).map(|disk| disk.name().to_owned()), Ok("disk".into()));
    assert_eq!(objects.enter::<dyn Named>(port).err(), Some(Error::WrongType));
    assert_eq!(store.unregister::<Vec<u64>>(port), Ok(vec![1, 2, 3]));
    assert_eq!(session.enter_mut::<dyn Port>(0).err(), Some(NOBODY));
}

/// Of threads that want the same addresses at the same moment, one gets them.
#[test]
fn of_two_that_map_the_same_addresses_one_does() {
    let (rig, space) = rig();
    let (store, devices) = (&rig.store, ["sda", "sdb"].map(|name| rig.add(rig.store.root(), name)));
    for round in 0..200 {
        let start = Barrier::new(2);
        let base = round * 10;
        let done: Vec<_> = thread::scope(|scope| {
            let threads = [0, 1].map(|number: usize| {
                let (start, device) = (&start, devices[number]);
                scope.spawn(move || {
                    start.wait();
                    store.map(device, space, base + number as u64..base + 10)
                })
            });
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        assert!(done == [Ok(()), Err(Error::Overlap)] || done == [Err(Error::Overlap), Ok(())], "{done:?}");
    }
    assert_eq!(regions(store, space).len(), 200);
}

/// A device that is mapped while another thread removes it is mapped first, and goes with its range, or is ENODEV; no range is left
/// behind.
#[test]
fn a_range_that_is_mapped_while_its_device_goes_goes_too() {
    let (rig, space) = rig();
    let store = &rig.store;
    for round in 0..500 {
        let (device, start) = (rig.add(store.root(), "sda"), Barrier::new(2));
        let mapped = thread::scope(|scope| {
            let mapper = scope.spawn(|| {
                start.wait();
                let count = (0..8).take_while(|n| store.map(device, space, n * 10..n * 10 + 10).is_ok()).count();
                (count, store.map(device, space, 100..110), store.unmap(device, space, 0))
            });
            start.wait();
            (0..round % 50).for_each(|_| std::hint::spin_loop());
            assert_eq!(store.unregister_subtree(device), Ok(Removal::Done(1)));
            mapper.join().unwrap()
        });
        assert!(mapped.0 == 8 || (mapped.1, mapped.2) == (Err(GONE), Err(GONE)), "{mapped:?}");
        let whole = rig.add(store.root(), "whole");
        assert_eq!(store.map(whole, space, ..), Ok(()));
        assert_eq!(store.unregister_subtree(whole), Ok(Removal::Done(1)));
    }
}

/// A card in a slot of a bus; wiped when the driver has it back.
struct Card {
    slot: u64,
    is_wiped: AtomicBool,
}

const SLOTS: u64 = 4;
const WINDOW: u64 = 0x100;

/// What the address leads to is, for as long as it is entered, a card that was mapped there.
fn is_right(address: u64, card: &Card, offset: u64) -> bool {
    card.slot == address / WINDOW && offset == address % WINDOW && !card.is_wiped.load(SeqCst)
}

fn storm(strategy: Strategy) {
    let store = Store::with_strategy(strategy).unwrap();
    let ty: Type<Shared<Card>> = store.define(DeviceType::shared::<Card>("card")).unwrap();
    let space = store.create_space("mmio").unwrap();
    let (over, met) = (AtomicBool::new(false), AtomicU64::new(0));
    let plug = |slot: u64| {
        let card = Card { slot, is_wiped: AtomicBool::new(false) };
        let device = store.register(store.root(), &format!("card{slot}"), ty, card).unwrap();
        // Its place is free, as its predecessor's removal has returned.
        store.map(device, space, slot * WINDOW..(slot + 1) * WINDOW).unwrap();
        device
    };
    let mut devices: Vec<_> = (0..SLOTS).map(plug).collect();
    thread::scope(|scope| {
        for reader in 0..2 {
            let (store, over, met) = (&store, &over, &met);
            scope.spawn(move || {
                let mut session = store.space_session(space).unwrap();
                for n in (reader..).take_while(|_| !over.load(SeqCst)) {
                    let address = n * 0x61 % ((SLOTS + 1) * WINDOW);
                    match session.enter::<Card>(address) {
                        Ok((card, offset)) => {
                            assert!(is_right(address, &card, offset));
                            thread::yield_now();
                            assert!(is_right(address, &card, offset));
                            met.fetch_add(1, SeqCst);
                        }
                        Err(error) => assert_eq!(error, NOBODY),
                    }
                    let found =
                        store.resolve(space, address).and_then(|(device, at)| Ok((store.enter::<Card>(device)?, at)));
                    match found {
                        Ok((card, offset)) => assert!(is_right(address, &card, offset)),
                        Err(error) => assert!([NOBODY, GONE].contains(&error)),
                    }
                }
            });
        }
        for round in 0..1000 {
            let slot = round % SLOTS;
            let card: Card = store.unregister(devices[slot as usize]).unwrap();
            card.is_wiped.store(true, SeqCst);
            assert_eq!(store.resolve(space, slot * WINDOW), Err(NOBODY));
            devices[slot as usize] = plug(slot);
            let next = devices[((slot + 1) % SLOTS) as usize];
            let base = (slot + 1) % SLOTS * WINDOW;
            store.unmap(next, space, base).unwrap();
            store.map(next, space, base..base + WINDOW).unwrap();
        }
        until(|| met.load(SeqCst) > 0);
        over.store(true, SeqCst);
    });
    assert_eq!(regions(&store, space).len() as u64, SLOTS);
}

/// S2-1, S2-7, S3-1: cards are unplugged and others put into their place while readers come by address; nobody ever meets a card that has been
/// taken back, or one that was not mapped at the address.
#[test]
fn who_comes_by_address_meets_who_is_there() {
    storm(Strategy::Auto);
}

/// The same where readers fence.
#[test]
fn who_comes_by_address_meets_who_is_there_with_fences() {
    storm(Strategy::Fence);
}

/// Numbers choose among all devices there ever were.
#[derive(Debug, Clone)]
enum Step {
    Register,
    Unregister(usize),
    Map(usize, usize, u64, u64),
    Unmap(usize, usize, u64),
    Remap(usize, usize, u64, u64, u64),
    RemoveSpace(usize),
}

fn step() -> impl proptest::strategy::Strategy<Value = Step> {
    // Few addresses, half of them at the end of what there is.
    let address = || (0..24_u64).prop_map(|n| if n < 12 { n } else { u64::MAX - (n - 12) });
    let (device, space) = (|| 0..8_usize, || 0..2_usize);
    prop_oneof![
        3 => Just(Step::Register),
        1 => device().prop_map(Step::Unregister),
        8 => (device(), space(), address(), address()).prop_map(|(d, s, base, last)| Step::Map(d, s, base, last)),
        3 => (device(), space(), address()).prop_map(|(d, s, base)| Step::Unmap(d, s, base)),
        4 => (device(), space(), address(), address(), address()).prop_map(|(d, s, old, base, last)| Step::Remap(d, s, old, base, last)),
        1 => (0..40_usize).prop_map(Step::RemoveSpace),
    ]
}

/// By base: the last address and the number of the device; nothing of a space that has gone.
type Space = Option<BTreeMap<u64, (u64, usize)>>;

/// Which devices are there, and what is mapped.
#[derive(Debug)]
struct Model {
    devices: Vec<bool>,
    spaces: [Space; 2],
}

impl Model {
    fn space(&mut self, device: usize, space: usize) -> Result<&mut BTreeMap<u64, (u64, usize)>, Error> {
        self.devices.get(device).copied().filter(|is_there| *is_there).ok_or(GONE)?;
        self.spaces[space].as_mut().ok_or(GONE)
    }

    fn map(&mut self, device: usize, space: usize, base: u64, last: u64) -> Result<(), Error> {
        if base > last {
            return Err(Error::Range);
        }
        let space = self.space(device, space)?;
        if space.iter().any(|(other, (end, _))| *other <= last && base <= *end) {
            return Err(Error::Overlap);
        }
        space.insert(base, (last, device));
        Ok(())
    }

    fn unmap(&mut self, device: usize, space: usize, base: u64) -> Result<u64, Error> {
        let space = self.space(device, space)?;
        let (last, _) = *space.get(&base).filter(|(_, owner)| *owner == device).ok_or(Error::NotFound)?;
        space.remove(&base);
        Ok(last)
    }

    fn remap(&mut self, device: usize, space: usize, old: u64, base: u64, last: u64) -> Result<(), Error> {
        if base > last {
            return Err(Error::Range);
        }
        let end = self.unmap(device, space, old)?;
        self.map(device, space, base, last).inspect_err(|_| {
            self.map(device, space, old, end).unwrap();
        })
    }

    fn resolve(&self, space: usize, address: u64) -> Result<(usize, u64), Error> {
        let found = self.spaces[space].as_ref().ok_or(GONE)?.range(..=address).next_back();
        let found = found.filter(|(_, (last, _))| address <= *last);
        found.map(|(base, (_, device))| (*device, address - base)).ok_or(NOBODY)
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(256) })]

    /// Whatever is mapped, moved, unmapped and removed in whatever order, every address leads where the model says, by a session that saw
    /// it all happen, too.
    #[test]
    fn addresses_lead_where_the_model_says(steps in prop::collection::vec(step(), 1..60)) {
        let store = Store::new().unwrap();
        let ty = store.define(DeviceType::shared::<usize>("number")).unwrap();
        let spaces = ["memory", "ports"].map(|name| store.create_space(name).unwrap());
        let mut sessions = spaces.map(|space| store.space_session(space).unwrap());
        let mut model = Model { devices: vec![], spaces: [Some(BTreeMap::new()), Some(BTreeMap::new())] };
        let mut devices: Vec<DeviceHandle> = vec![];
        for step in &steps {
            let known = |device: usize| devices.get(device).copied().unwrap_or_default();
            match *step {
                Step::Register => {
                    let (name, number) = (format!("{}", devices.len()), devices.len());
                    devices.push(store.register(store.root(), &name, ty, number).unwrap());
                    model.devices.push(true);
                }
                Step::Unregister(device) => {
                    let is_there = model.devices.get_mut(device).is_some_and(std::mem::take);
                    prop_assert_eq!(store.unregister::<usize>(known(device)), if is_there { Ok(device) } else { Err(GONE) });
                    for space in model.spaces.iter_mut().flatten() {
                        space.retain(|_, (_, owner)| *owner != device);
                    }
                }
                Step::Map(device, space, base, last) => {
                    let mapped = store.map(known(device), spaces[space], base..=last);
                    prop_assert_eq!(mapped, model.map(device, space, base, last));
                }
                Step::Unmap(device, space, base) => {
                    let unmapped = store.unmap(known(device), spaces[space], base);
                    prop_assert_eq!(unmapped, model.unmap(device, space, base).map(drop));
                }
                Step::Remap(device, space, old, base, last) => {
                    let moved = store.remap(known(device), spaces[space], old, base..=last);
                    prop_assert_eq!(moved, model.remap(device, space, old, base, last));
                }
                Step::RemoveSpace(space) => {
                    if let Some(gone) = model.spaces.get_mut(space) {
                        let was_there = gone.take().is_some();
                        prop_assert_eq!(store.remove_space(spaces[space]), if was_there { Ok(()) } else { Err(GONE) });
                    }
                }
            }
            for space in 0..2 {
                for address in (0..16).chain(u64::MAX - 15..=u64::MAX) {
                    let expected = model.resolve(space, address);
                    let handle = expected.map(|(device, offset)| (devices[device], offset));
                    prop_assert_eq!(store.resolve(spaces[space], address), handle);
                    prop_assert_eq!(sessions[space].resolve(address), handle);
                    let entered = sessions[space].enter::<usize>(address).map(|(device, offset)| (*device, offset));
                    prop_assert_eq!(entered, expected);
                }
                let listed = store.regions(spaces[space]).map(|regions| {
                    regions.iter().map(|region| (region.base, (region.last, region.device))).collect::<Vec<_>>()
                });
                let expected = model.spaces[space].as_ref().ok_or(GONE).map(|regions| {
                    regions.iter().map(|(base, (last, device))| (*base, (*last, devices[*device]))).collect::<Vec<_>>()
                });
                prop_assert_eq!(listed, expected);
            }
            for (device, is_there) in model.devices.iter().enumerate() {
                let of_device = model.spaces.iter().flatten().flatten().filter(|(_, (_, owner))| *owner == device);
                let expected = if *is_there { Ok(of_device.count()) } else { Err(GONE) };
                prop_assert_eq!(store.regions_of(devices[device]).map(|regions| regions.len()), expected);
            }
        }
    }
}
