//! Several stores in one process.

use enodev::{Access, AsKobject, DeviceType, Errno, Error, Page};

use crate::common::{Disk, GONE, Rig};

/// A handle, a type, an attribute or a file of one store is nothing in another, though both have the same slots.
#[test]
fn what_one_store_gave_out_is_enodev_in_another() {
    let [ours, theirs] = [Rig::new(), Rig::new()];
    let [own, foreign] = [&ours, &theirs].map(|rig| rig.add(rig.store.root(), "sda"));
    assert_eq!(own.to_bits() as u32, foreign.to_bits() as u32);
    assert_ne!(own, foreign);
    assert_ne!(ours.store.root(), theirs.store.root());
    let store = &ours.store;
    assert!(!store.contains(theirs.store.root()) && !store.contains(foreign));
    assert_eq!(store.list(theirs.store.root()), Err(GONE));
    assert_eq!(store.unregister_subtree(theirs.store.root()), Err(GONE));

    let registered = store.register(store.root(), "sdb", theirs.disk, ours.payload("sdb"));
    assert_eq!((registered, ours.dropped()), (Err(GONE), vec!["sdb".into()]));
    let attr = theirs.store.attribute(foreign, "name").unwrap();
    assert_eq!(store.show(own, attr, &mut Page::new()), Err(Errno::ENODEV));
    let file = theirs.store.open(foreign, "name", Access::READ).unwrap();
    assert_eq!(file.read(store, &mut [0; 8]), Err(Errno::ENODEV));
    assert_eq!(file.read(&theirs.store, &mut [0; 8]), Ok(4));

    drop(store.unregister::<Disk>(own).unwrap());
    assert_eq!(theirs.read(foreign, "name"), Ok("sda\n".into()));
    theirs.assert_holds(theirs.store.root(), &["sda"]);
}

/// A store that is made after another was dropped takes none of its handles, though it may have its tag.
#[test]
fn a_later_store_does_not_take_an_earlier_ones_handles() {
    let mut earlier = Vec::new();
    for _ in 0..300 {
        let rig = Rig::new();
        let disk = rig.add(rig.store.root(), "sda");
        for (root, disk) in &earlier {
            assert!(!rig.store.contains(*root));
            assert_eq!(rig.read(*disk, "name"), Err(GONE));
        }
        earlier.push((rig.store.root(), disk));
    }
}

/// A callback in one store may use another store, and remove what is in it, also an object with the same slot as its own.
#[test]
fn a_callback_may_remove_an_object_of_another_store() {
    let (ours, theirs) = (Rig::new(), Rig::new());
    let foreign = theirs.add(theirs.store.root(), "remote");
    let theirs = std::sync::Arc::new(theirs);
    let remote = std::sync::Arc::clone(&theirs);
    let ty = DeviceType::shared::<()>("remote control").wo("delete", move |own, _| {
        assert_eq!(own.object().to_bits() as u32, foreign.to_bits() as u32);
        assert_eq!(own.store().unregister_subtree(foreign), Err(GONE));
        remote.store.unregister::<Disk>(foreign)?;
        Ok(())
    });
    let ty = ours.store.define(ty).unwrap();
    let control = ours.store.register(ours.store.root(), "control", ty, ()).unwrap();
    assert_eq!(ours.store.write(control, "delete", b"1"), Ok(()));
    assert_eq!(theirs.dropped(), ["remote"]);
    assert_eq!(ours.store.write(control, "delete", b"1"), Err(Error::Errno(Errno::ENODEV)));
    assert!(ours.store.contains(control.kobject()) && theirs.store.is_empty());
}
