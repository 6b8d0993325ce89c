//! What the store takes of memory. Allocations are counted by thread, so tests do not disturb one another.

#![expect(clippy::unwrap_used, reason = "tests say what they expect by panicking")]

use allocation_counter::measure;
use enodev::{Access, AsKobject, DeviceHandle, DeviceType, File, KobjectHandle, Shared, Store, Type};

type Payload = [u64; 4];

fn store() -> (Store, Type<Shared<Payload>>, KobjectHandle) {
    let store = Store::new().unwrap();
    let ty = DeviceType::shared::<Payload>("device").ro("first", |words, page| page.line(words[0]));
    let ty = store.define(ty).unwrap();
    let dir = store.create(store.root(), "dir").unwrap();
    (store, ty, dir)
}

fn fill(store: &Store, ty: Type<Shared<Payload>>, dir: KobjectHandle, names: &[String]) -> Vec<DeviceHandle> {
    names.iter().map(|name| store.register(dir, name, ty, [0; 4]).unwrap()).collect()
}

fn names(count: usize) -> Vec<String> {
    (0..count).map(|n| format!("device{n}")).collect()
}

/// Of a device in a directory of 100,000 the store keeps 200 bytes at most, beside the payload and the letters of the name: slot,
/// directory entry, and what both have in reserve.
#[test]
fn a_device_takes_at_most_200_bytes() {
    let (store, ty, dir) = store();
    let names = names(100_000);
    let taken = measure(|| drop(fill(&store, ty, dir, &names))).bytes_current as usize;
    let given = names.iter().map(|name| name.len() + size_of::<Payload>()).sum::<usize>();
    let each = (taken - given) as f64 / names.len() as f64;
    assert!(each <= 200.0, "{each} bytes a device");
    // What has been counted is there: none takes less than two cache lines.
    assert!(each + size_of::<Payload>() as f64 >= 128.0, "{each} bytes a device");
}

/// What a directory took for its entries is given back as they go, not only with the last of them.
#[test]
fn a_directory_gives_back_what_its_entries_took() {
    let (store, ty, dir) = store();
    let names = names(20_000);
    let unregister = |device: DeviceHandle| assert_eq!(store.unregister::<Payload>(device), Ok([0; 4]));
    // Slots stay, for the next ones.
    fill(&store, ty, dir, &names).into_iter().for_each(unregister);
    store.flush();
    for left in [0, 10] {
        let dir = store.create(store.root(), &format!("dir{left}")).unwrap();
        let taken = measure(|| {
            let devices = fill(&store, ty, dir, &names);
            devices[left..].iter().copied().for_each(unregister);
            store.flush();
        });
        assert!(taken.bytes_max >= 20_000 * 24, "{taken:?}");
        assert!(taken.bytes_current < 10_000, "{taken:?}");
    }
}

/// F25: what is below an object, and what stands beside it, cost its move nothing: not one allocation more is made for 10,000 than for none.
#[test]
fn a_move_costs_the_same_whatever_is_below() {
    let count = |below: usize, beside: usize| {
        let (store, ty, dir) = store();
        let object = store.create(dir, "object").unwrap();
        let other = store.create(store.root(), "other").unwrap();
        fill(&store, ty, object, &names(below));
        fill(&store, ty, dir, &names(beside));
        // It knows what a move takes at first.
        store.rename(object, "again").unwrap();
        let made = measure(|| {
            store.rename(object, "renamed").unwrap();
            store.move_to(object, other, "moved").unwrap();
        });
        assert_eq!(store.path(object), Ok("/other/moved".into()));
        made.count_total
    };
    let none = count(0, 10);
    assert_eq!((none, none), (count(10_000, 10), count(0, 10_000)));
}

/// Links leave nothing at their targets, by whichever way they go.
#[test]
fn links_that_have_gone_take_no_memory() {
    let (store, ty, dir) = store();
    let names = names(2_000);
    let round = || {
        for name in &names {
            let device = store.register(dir, name, ty, [0; 4]).unwrap();
            store.link(device, "dir", dir).unwrap();
            store.link(store.root(), name, dir).unwrap();
            store.link(dir, "back", device).unwrap();
            store.unlink(store.root(), name).unwrap();
            assert_eq!(store.links_to(dir).unwrap().len(), 1);
            store.unregister::<Payload>(device).unwrap();
        }
        store.flush();
    };
    round();
    let taken = measure(round);
    assert!(taken.bytes_current < 10_000, "{taken:?}");
    assert!(store.list(dir.kobject()).unwrap().is_empty());
}

/// A read through an open file into the caller's buffer allocates nothing, from the second on; nor does one of a value that the store
/// keeps, nor setting that.
#[test]
fn reads_and_values_allocate_nothing() {
    let store = Store::new().unwrap();
    let ty = DeviceType::shared::<u64>("device")
        .ro("text", |number, page| page.int(*number))
        .plain("plain", 5_u32)
        .plain("array", [1_u64; 4])
        .bin_ro("blob", 8, |_, _, buf| {
            buf.fill(7);
            Ok(buf.len())
        });
    let ty = store.define(ty).unwrap();
    let (plain, array) = (store.plain::<u32>(ty, "plain").unwrap(), store.plain::<[u64; 4]>(ty, "array").unwrap());
    let devices: Vec<_> =
        (0..100).map(|n| store.register(store.root(), &format!("device{n}"), ty, n).unwrap()).collect();
    let open =
        |device: &DeviceHandle| ["text", "plain", "blob"].map(|name| store.open(*device, name, Access::READ).unwrap());
    let mut files: Vec<[File; 3]> = devices.iter().map(open).collect();
    let mut buf = [0; 32];
    let mut round = || {
        for file in files.iter_mut().flatten() {
            file.pread(&store, 0, &mut buf).unwrap();
            file.poll(&store);
        }
        for device in &devices {
            plain.load(&store, *device).unwrap();
            array.load(&store, *device).unwrap();
        }
        for (n, device) in (0..).zip(&devices) {
            plain.store(&store, *device, n).unwrap();
            array.store(&store, *device, [7; 4]).unwrap();
        }
    };
    round();
    assert_eq!(measure(round).count_total, 0);
}

/// E-12: what is made known of an object that nobody has opened costs nothing; nor does it later, once a change has been made known
/// before, where nobody waits.
#[test]
fn a_change_that_nobody_waits_for_allocates_nothing() {
    let (store, ty, dir) = store();
    let devices = fill(&store, ty, dir, &names(1_000));
    let attr = store.attribute(devices[0], "first").unwrap();
    let notify = || devices.iter().for_each(|device| store.notify(*device, attr).unwrap());
    // The thread's first time is its own.
    store.notify(devices[0], attr).unwrap();
    assert_eq!(measure(notify).count_total, 0);
    let files: Vec<_> = devices.iter().map(|device| store.open(*device, "first", Access::READ).unwrap()).collect();
    files.iter().for_each(|file| assert!(file.pread(&store, 0, &mut [0; 8]).is_ok()));
    notify();
    assert!(files.iter().all(|file| file.poll(&store).is_some()));
    assert_eq!(measure(notify).count_total, 0);
}
