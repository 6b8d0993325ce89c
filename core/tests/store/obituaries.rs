//! What the store tells of what has left.

use std::sync::Barrier;
use std::thread;
use std::time::Instant;

use enodev::{AsKobject, DeviceType, KobjectHandle, Obituary, Removal, Store};

use crate::common::{Disk, Rig};

/// The line of the caller.
macro_rules! here {
    () => {
        (file!(), line!())
    };
}

fn site(obituary: &Obituary) -> (&str, u32) {
    (&obituary.file, obituary.line)
}

/// A stale handle tells what it named, who removed that, where in the code, in which thread and when, and what is in its place.
#[test]
fn a_stale_handle_tells_what_it_was_and_who_removed_it() {
    let rig = Rig::new();
    let store = &rig.store;
    let pci = store.create(store.root(), "pci0").unwrap();
    let sda = rig.add(pci, "sda");
    assert_eq!(store.obituary(sda), None);
    let before = Instant::now();
    let remover = thread::Builder::new().name("hotplug".into());
    let (thread, called) = thread::scope(|scope| {
        let remove = || {
            let called = (store.unregister::<Disk>(sda).unwrap(), here!()).1;
            (thread::current().id(), called)
        };
        remover.spawn_scoped(scope, remove).unwrap().join().unwrap()
    });
    let obituary = store.obituary(sda).unwrap();
    assert_eq!((obituary.object, obituary.is_device), (sda.kobject(), true));
    assert_eq!((&*obituary.path, &*obituary.top), ("/pci0/sda", "/pci0/sda"));
    assert_eq!(obituary.type_name.as_deref(), Some("disk"));
    assert_eq!(site(&obituary), called);
    assert_eq!((obituary.thread, obituary.thread_name.as_deref()), (thread, Some("hotplug")));
    assert!(obituary.when >= before && obituary.when <= Instant::now());
    assert_eq!((obituary.is_leaving, obituary.successor), (false, None));
    let text = obituary.to_string();
    assert!(text.starts_with("device /pci0/sda (disk) was removed "), "{text}");
    let end = format!(" ago by thread 'hotplug' at {}:{}; nothing is there now", called.0, called.1);
    assert!(text.ends_with(&end), "{text}");

    let new = rig.add(pci, "sda");
    let obituary = store.obituary(sda).unwrap();
    assert_eq!(obituary.successor, Some(new.kobject()));
    assert!(obituary.to_string().ends_with(&format!("; {:?} is there now", new.kobject())));
    assert_eq!(store.obituary(new), None);
}

/// Of a subtree each object has its own path, the one call, and the top with which it went. It counts where the objects stood when the
/// removal began, whatever they were called before.
#[test]
fn what_went_with_its_parent_tells_so() {
    let store = Store::new().unwrap();
    let ty = store.define(DeviceType::shared::<u8>("port")).unwrap();
    let bus = store.create(store.root(), "bus").unwrap();
    let hub = store.create(bus, "hub").unwrap();
    let deep = store.create(hub, "a").unwrap();
    let port = store.register(deep, "port", ty, 0).unwrap();
    store.rename(port, "port7").unwrap();
    store.move_to(deep, hub, "b").unwrap();
    store.rename(bus, "usb").unwrap();
    let (done, called) = (store.unregister_subtree(hub), here!());
    assert_eq!(done, Ok(Removal::Done(3)));
    for (object, path) in [(hub, "/usb/hub"), (deep, "/usb/hub/b"), (port.kobject(), "/usb/hub/b/port7")] {
        let obituary = store.obituary(object).unwrap();
        assert_eq!((&*obituary.path, &*obituary.top, site(&obituary)), (path, "/usb/hub", called));
    }
    let text = store.obituary(port).unwrap().to_string();
    assert!(text.starts_with("device /usb/hub/b/port7 (port), with /usb/hub, was removed "), "{text}");
    assert!(store.obituary(deep).unwrap().to_string().starts_with("kobject /usb/hub/b, with /usb/hub, was "));
}

/// Who meets ENODEV while the removal still waits is told too: there is no moment between the two. So is who asks inside.
#[test]
fn a_handle_that_is_stale_has_an_obituary_at_once() {
    let rig = Rig::new();
    let store = &rig.store;
    let sda = rig.add(store.root(), "sda");
    let guard = store.enter::<Disk>(sda).unwrap();
    assert_eq!(store.obituary(sda), None);
    assert_eq!(store.unregister_subtree(sda), Ok(Removal::Begun(1)));
    let obituary = store.obituary(sda).unwrap();
    assert!(obituary.is_leaving && obituary.successor.is_none());
    assert!(obituary.to_string().starts_with("device /sda (disk) has been leaving for "), "{obituary}");
    drop(guard);
    assert!(!store.obituary(sda).unwrap().is_leaving);

    for _ in 0..200 {
        let (sda, start) = (rig.add(store.root(), "sda"), Barrier::new(2));
        thread::scope(|scope| {
            scope.spawn(|| {
                start.wait();
                store.unregister_subtree(sda).unwrap();
            });
            start.wait();
            while store.contains(sda) {}
            assert!(store.obituary(sda).is_some());
        });
    }
}

/// A removal that is refused changes nothing, nor does one that has been tell of the later one.
#[test]
fn a_removal_that_was_refused_is_not_told() {
    let rig = Rig::new();
    let store = &rig.store;
    let hub = rig.add(store.root(), "hub");
    let sda = rig.add(hub, "sda");
    assert!(store.unregister::<Disk>(hub).is_err() && store.unregister::<u8>(sda).is_err());
    assert_eq!((store.obituary(hub), store.obituary(sda)), (None, None));
    store.rename(hub, "hub2").unwrap();
    let (_, called) = (store.unregister_subtree(hub).unwrap(), here!());
    let obituary = store.obituary(sda).unwrap();
    assert_eq!((&*obituary.path, site(&obituary)), ("/hub2/sda", called));
}

/// What never was in the store has no obituary: the null handle, another store's, one that was never given out.
#[test]
fn who_never_was_has_no_obituary() {
    let [store, other] = [(); 2].map(|()| Store::new().unwrap());
    let gone = |store: &Store| {
        let object = store.create(store.root(), "object").unwrap();
        store.unregister_subtree(object).unwrap();
        object
    };
    let (here, there) = (gone(&store), gone(&other));
    assert!(store.obituary(here).is_some() && other.obituary(there).is_some());
    assert_eq!((store.obituary(there), other.obituary(here)), (None, None));
    assert_eq!(store.obituary(KobjectHandle::null()), None);
    assert_eq!(store.obituary(KobjectHandle::from_bits(here.to_bits() + (2 << 32))), None);
    assert_eq!(store.obituary(store.root()), None);
}

/// The store remembers so many objects as it was told, the last ones, and of a removal that is larger those nearest to its top.
#[test]
fn the_oldest_are_forgotten_first() {
    let store = Store::new().unwrap();
    let known = |objects: &[KobjectHandle]| -> Vec<bool> {
        objects.iter().map(|object| store.obituary(*object).is_some()).collect()
    };
    let create = |name: &str| store.create(store.root(), name).unwrap();
    store.keep_obituaries(3);
    let gone = ["a", "b", "c", "d"].map(create);
    gone.iter().for_each(|object| assert_eq!(store.unregister_subtree(*object), Ok(Removal::Done(1))));
    assert_eq!(known(&gone), [false, true, true, true]);

    let top = create("top");
    let children = ["x", "y", "z"].map(|name| store.create(top, name).unwrap());
    let below = store.create(children[0], "below").unwrap();
    store.unregister_subtree(top).unwrap();
    assert_eq!((known(&gone), known(&[top, below])), (vec![false; 4], vec![true, false]));
    assert_eq!(known(&children).iter().filter(|known| **known).count(), 2);

    store.keep_obituaries(0);
    assert_eq!(known(&[top]), [false]);
    let last = create("last");
    store.unregister_subtree(last).unwrap();
    assert_eq!(known(&[last]), [false]);

    store.keep_obituaries(1024);
    let many: Vec<_> = (0..2000).map(|n| create(&n.to_string())).collect();
    many.iter().for_each(|object| assert_eq!(store.unregister_subtree(*object), Ok(Removal::Done(1))));
    assert_eq!(known(&many), [[false; 976].as_slice(), &[true; 1024]].concat());
    let names = many[976..].iter().map(|object| store.obituary(*object).unwrap().path);
    assert!(names.eq((976..2000).map(|n| format!("/{n}"))));
}

/// Of two that leave one directory, between which that is renamed, or one above it moved, each is told by the path that it had.
#[test]
fn a_path_is_that_of_the_moment_of_the_removal() {
    let store = Store::new().unwrap();
    let [top, other] = ["top", "other"].map(|name| store.create(store.root(), name).unwrap());
    let dir = store.create(top, "dir").unwrap();
    let paths = ["one", "two", "three", "four"].map(|name| {
        let object = store.create(dir, name).unwrap();
        store.unregister_subtree(object).unwrap();
        match name {
            "one" => store.rename(dir, "folder").unwrap(),
            "two" => store.move_to(top, other, "bottom").unwrap(),
            _ => {}
        }
        store.obituary(object).unwrap().path
    });
    assert_eq!(paths, ["/top/dir/one", "/top/folder/two", "/other/bottom/folder/three", "/other/bottom/folder/four"]);
}

/// What removals have in common goes with the last of them, and whose obituaries are not kept has none.
#[test]
fn who_keeps_no_obituaries_has_none() {
    let store = Store::new().unwrap();
    let gone = |name| {
        let object = store.create(store.root(), name).unwrap();
        store.unregister_subtree(object).unwrap();
        store.obituary(object).map(|obituary| obituary.path)
    };
    assert_eq!(gone("kept").as_deref(), Some("/kept"));
    store.keep_obituaries(0);
    assert_eq!(gone("lost"), None);
    store.keep_obituaries(1);
    assert_eq!(gone("kept").as_deref(), Some("/kept"));
}
