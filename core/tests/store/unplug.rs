//! Unplugging what somebody has open.

use std::io::SeekFrom;

use enodev::{Access, Errno, Error, Page, Removal};

use crate::common::{Disk, GONE, Rig};

/// S2-1, S0-7, T91: a file that was open before the unplug answers ENODEV to every read, write and seek, though half of
/// its text was still unread; it can still be asked what it was, and closed.
#[test]
fn a_file_that_was_open_before_the_unplug_is_enodev() {
    let rig = Rig::new();
    let store = &rig.store;
    let mouse = rig.add(store.root(), "mouse0");
    let (text, blob) = (rig.open(mouse, "text"), rig.open(mouse, "blob"));
    let mut buf = [0; 4];
    assert_eq!(text.write(store, b"12345678"), Ok(8));
    assert_eq!(text.seek(store, SeekFrom::Start(0)), Ok(0));
    assert_eq!(text.read(store, &mut buf), Ok(4));
    assert_eq!((blob.read(store, &mut buf), buf), (Ok(4), [7; 4]));

    drop(store.unregister::<Disk>(mouse).unwrap());
    assert_eq!(rig.dropped(), ["mouse0"]);
    for file in [&text, &blob] {
        assert_eq!(file.read(store, &mut buf), Err(Errno::ENODEV));
        assert_eq!(file.read(store, &mut []), Err(Errno::ENODEV));
        assert_eq!(file.pread(store, 0, &mut buf), Err(Errno::ENODEV));
        assert_eq!(file.pread(store, u64::MAX, &mut buf), Err(Errno::ENODEV));
        assert_eq!(file.write(store, b"1"), Err(Errno::ENODEV));
        assert_eq!(file.write(store, b""), Err(Errno::ENODEV));
        assert_eq!(file.pwrite(store, 4, b"1"), Err(Errno::ENODEV));
        assert_eq!(file.pwrite(store, 4, &[0; 5000]), Err(Errno::ENODEV));
        for to in [SeekFrom::Start(0), SeekFrom::Current(-1), SeekFrom::End(9)] {
            assert_eq!(file.seek(store, to), Err(Errno::ENODEV));
        }
    }
    assert_eq!((buf, text.object() == blob.object()), ([7; 4], true));
    drop((text, blob));
    assert!(store.is_empty());
}

/// S2-1, T104, F5: of an object that was unplugged nothing is left: not by its handle nor a copy of it, not by its path, not
/// as a parent, a link's end or an attribute's owner; and removing it again is ENODEV.
#[test]
fn an_unplugged_object_is_enodev_by_handle_and_absent_by_path() {
    let rig = Rig::new();
    let store = &rig.store;
    let hub = rig.add(store.root(), "hub");
    let mouse = rig.add(hub, "mouse0");
    let copy = mouse;
    let name = store.attribute(mouse, "name").unwrap();
    store.link(store.root(), "pointer", mouse).unwrap();
    drop(store.unregister::<Disk>(mouse).unwrap());

    for path in ["/hub/mouse0", "/pointer", "/hub/mouse0/below", "/hub/mouse0/name"] {
        assert_eq!(store.lookup(path), Err(Error::NotFound), "{path}");
    }
    for mouse in [mouse, copy] {
        assert!(!store.contains(mouse));
        assert_eq!(store.show(mouse, name, &mut Page::new()), Err(Errno::ENODEV));
        assert_eq!(store.path(mouse), Err(GONE));
        assert_eq!(store.parent(mouse), Err(GONE));
        assert_eq!(store.list(mouse), Err(GONE));
        assert_eq!(store.enter::<Disk>(mouse).err(), Some(GONE));
        assert_eq!(rig.try_add(mouse, "wheel"), Err(GONE));
        assert_eq!(store.link(hub, "again", mouse), Err(GONE));
        assert_eq!(store.open(mouse, "name", Access::READ).err(), Some(GONE));
        assert_eq!(store.unregister::<Disk>(mouse).err(), Some(GONE));
        assert_eq!(store.unregister_subtree(mouse), Err(GONE));
    }
    rig.assert_holds(hub, &[]);
    rig.assert_holds(store.root(), &["hub"]);
    assert_eq!(rig.dropped(), ["mouse0", "wheel", "wheel"]);
    assert_eq!((store.len(), rig.read(hub, "name")), (1, Ok("hub\n".into())));
}

/// S4-8: to remove what is not there is an error that harms nothing: a link, a link of another directory, an object twice.
#[test]
fn removing_what_is_absent_is_a_typed_error() {
    let rig = Rig::new();
    let store = &rig.store;
    let [dk0, dk1] = ["dk0", "dk1"].map(|name| rig.add(store.root(), name));
    store.link(dk0, "peer", dk1).unwrap();
    assert_eq!(store.unlink(dk1, "peer"), Err(Error::NotFound));
    assert_eq!(store.unlink(store.root(), "dk0"), Err(Error::NotFound));
    assert_eq!(store.unlink(dk0, "name"), Err(Error::NotFound));
    assert_eq!(store.unregister_subtree(dk1), Ok(Removal::Done(1)));
    assert_eq!(store.unregister_subtree(dk1), Err(GONE));
    assert_eq!(store.unlink(dk0, "peer"), Err(Error::NotFound));
    rig.assert_holds(store.root(), &["dk0"]);
}

/// E-14: an ENODEV that a callback returns is passed on and ends nothing: object and file go on.
#[test]
fn an_enodev_of_a_callback_does_not_make_the_object_stale() {
    let rig = Rig::new();
    let store = &rig.store;
    let moody =
        enodev::DeviceType::shared::<()>("moody").rw("mood", |_, page| page.line("fine"), |_, _| Err(Errno::ENODEV));
    let moody = store.define(moody).unwrap();
    let object = store.register(store.root(), "moody", moody, ()).unwrap();
    let file = rig.open(object, "mood");
    assert_eq!(file.write(store, b"bad"), Err(Errno::ENODEV));
    assert_eq!(file.pread(store, 0, &mut [0; 8]), Ok(5));
    assert!(store.contains(object));
    assert_eq!(store.unregister::<()>(object), Ok(()));
}
