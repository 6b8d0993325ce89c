//! Address spaces: which device answers at which address, and what a device's end does to that.

mod life;
mod model;
mod races;

use std::ops::Bound;

use enodev::{DeviceHandle, DeviceType, Errno, Error, Region, SpaceHandle, Store};

use crate::common::{Disk, GONE, Rig};

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
