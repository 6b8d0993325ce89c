//! What the store tells of itself.

use std::thread;
use std::time::Duration;

use enodev::{
    Access, AsKobject, Attribute, DeviceType, Errno, Error, Group, KobjectHandle, Removal, Shared, Store, Visibility,
};

use crate::common::{Disk, GONE, Rig, until};

/// A new store has come to nothing; objects that come are counted, and those that leave; what is left of those is garbage, until it is
/// freed.
#[test]
fn what_comes_and_leaves_is_counted() {
    let store = Store::new().unwrap();
    assert_eq!(store.stats(), enodev::Stats::default());
    let dir = store.create(store.root(), "dir").unwrap();
    let names: Vec<_> = (0..10).map(|n| n.to_string()).collect();
    assert!(names.iter().all(|name| store.create(dir, name).is_ok()));
    assert_eq!(store.stats().live, 11);
    assert_eq!(store.unregister_subtree(dir), Ok(Removal::Done(11)));
    let stats = store.stats();
    assert_eq!((stats.live, stats.retired), (0, 0));
    assert_eq!(stats.garbage, 11);
    store.flush();
    assert_eq!(store.stats().garbage, 0);
    assert!(store.stats().to_string().starts_with("0 live, 0 retired, 0 garbage; "), "{}", store.stats());
}

type Look = fn(&Store, KobjectHandle) -> Result<(), Error>;

/// Every operation that answers ENODEV to a stale handle counts, whichever way it looks; what is there, or is not found by its name, does
/// not.
#[test]
fn each_enodev_is_counted() {
    let rig = Rig::new();
    let store = &rig.store;
    let gone = rig.add(store.root(), "gone");
    let file = rig.open(gone, "text");
    let attr = store.attribute(gone, "text").unwrap();
    let there = rig.add(store.root(), "there");
    drop(store.unregister::<Disk>(gone).unwrap());
    assert_eq!(store.lookup("/gone"), Err(Error::NotFound));
    assert!(store.path(there).is_ok() && store.enter::<Disk>(there).is_ok() && store.read(there, "text").is_ok());
    assert_eq!((store.contains(gone), store.stats().enodev), (false, 0));
    let looks: [Look; 10] = [
        |store, gone| store.path(gone).map(drop),
        |store, gone| store.enter::<Disk>(gone).map(drop),
        |store, gone| store.enter_mut::<Disk>(gone).map(drop),
        |store, gone| store.list(gone).map(drop),
        |store, gone| store.create(gone, "new").map(drop),
        |store, gone| store.link(gone, "new", store.root()),
        |store, gone| store.rename(gone, "new"),
        |store, gone| store.read(gone, "text").map(drop),
        |store, gone| store.unregister::<Disk>(store.device(gone)?).map(drop),
        |store, gone| store.unregister_subtree(gone).map(drop),
    ];
    for (at, look) in looks.into_iter().enumerate() {
        let before = store.stats().enodev;
        assert_eq!(look(store, gone.kobject()), Err(GONE), "{at}");
        assert_eq!(store.stats().enodev, before + 1, "{at}");
    }
    let before = store.stats().enodev;
    assert_eq!(file.read(store, &mut [0; 4]), Err(Errno::ENODEV));
    assert_eq!(store.notify(gone, attr), Err(GONE));
    assert_eq!(store.stats().enodev, before + 2);
    let other = Store::new().unwrap();
    assert_eq!(other.path(there), Err(GONE));
    assert_eq!((other.stats().enodev, store.stats().enodev), (1, before + 2));
}

/// A removal that waits for somebody inside is seen while it does, and is timed; those that meet nobody are not.
#[test]
fn removals_that_wait_are_seen() {
    let rig = Rig::new();
    let store = &rig.store;
    let [free, busy] = ["free", "busy"].map(|name| rig.add(store.root(), name));
    drop(store.unregister::<Disk>(free).unwrap());
    assert_eq!((store.stats().drains, store.stats().longest_drain), (0, Duration::ZERO));
    let guard = store.enter::<Disk>(busy).unwrap();
    thread::scope(|scope| {
        let removal = scope.spawn(|| store.unregister_subtree(busy));
        until(|| store.stats().drains_now == 1);
        assert_eq!(store.stats().drains, 1);
        drop(guard);
        assert_eq!(removal.join().unwrap(), Ok(Removal::Done(1)));
    });
    let stats = store.stats();
    assert_eq!((stats.drains, stats.drains_now), (1, 0));
    assert!(stats.longest_drain > Duration::ZERO);
}

/// Panics of all callbacks of attributes and of groups are counted; so is none that a callback answers EIO without.
#[test]
fn callbacks_that_panic_are_counted() {
    let store = Store::new().unwrap();
    let ty = DeviceType::shared::<bool>("type")
        .ro("show", |_, _| panic!("show"))
        .wo("store", |_, _| panic!("store"))
        .ro("eio", |_, _| Err(Errno::EIO))
        .group(Group::named("shy").attribute(Attribute::<Shared<bool>>::ro("one", |_, _| Ok(()))).is_visible(
            |panics, _| {
                assert!(!*panics, "is_visible");
                Visibility::AsDefined
            },
        ));
    let ty = store.define(ty).unwrap();
    let device = store.register(store.root(), "device", ty, false).unwrap();
    assert_eq!(store.stats().panics, 0);
    assert_eq!(store.read(device, "eio").unwrap_err().errno(), Errno::EIO);
    assert_eq!(store.stats().panics, 0);
    assert_eq!(store.read(device, "show").unwrap_err().errno(), Errno::EIO);
    let file = store.open(device, "store", Access::WRITE).unwrap();
    assert_eq!(file.write(&store, b"1"), Err(Errno::EIO));
    assert_eq!(store.stats().panics, 2);
    assert_eq!(store.register(store.root(), "other", ty, true).unwrap_err().errno(), Errno::EIO);
    assert_eq!((store.stats().panics, store.stats().live), (3, 1));
}
