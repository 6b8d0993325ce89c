//! Address spaces: which device answers at which address, and what a device's end does to that.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::thread;

use enodev::{
    DeviceHandle, DeviceType, Errno, Error, Exclusive, Region, Removal, Shared, SpaceHandle, Store, Strategy, Type,
};
use proptest::prelude::*;

use crate::common::{GONE, Rig, linger, until};

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
        let entered = session.enter::<crate::common::Disk>(address);
        let name = |disk: &crate::common::Disk| store.lookup(&disk.name).unwrap();
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
    for range in [10..20, 12..13, 0..11, 19..25, 25..31, 0..100, 9..=10, 39..=39].map(|range: Covered| range.0) {
        for device in [sda, sdb] {
            assert_eq!(store.map(device, space, range), Err(Error::Overlap), "{range:?}");
        }
    }
    assert_eq!(Error::Overlap.errno(), Errno::EBUSY);
    assert_eq!((regions(store, space), store.regions_of(sdb).unwrap()), (before, vec![]));
    let ports = store.create_space("ports").unwrap();
    store.map(sdb, ports, 12..13).unwrap();
    assert_eq!((store.resolve(ports, 12), store.resolve(space, 12)), (Ok((sdb, 0)), Ok((sda, 2))));
    assert_eq!(store.space_name(ports).unwrap().as_str(), "ports");
}
