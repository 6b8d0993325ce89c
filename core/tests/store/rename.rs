//! Moving objects: one thread, or others that stand still.

use std::collections::BTreeMap;
use std::thread;

use enodev::{AsKobject, DeviceType, EntryKind, Errno, Error, KobjectHandle, Removal, Store};

use crate::common::{Disk, GONE, Rig, until};

/// Everything that can be told of the tree, by path.
fn picture(store: &Store) -> BTreeMap<String, (KobjectHandle, KobjectHandle, String)> {
    let (mut found, mut left) = (BTreeMap::new(), vec![store.root()]);
    while let Some(object) = left.pop() {
        let list = store.list(object).unwrap();
        left.extend(list.iter().filter_map(|entry| match entry.kind {
            EntryKind::Object(child) => Some(child),
            _ => None,
        }));
        let links = store.links_to(object).unwrap();
        let seen = (object, store.parent(object).unwrap(), format!("{list:?} {links:?}"));
        assert!(found.insert(store.path(object).unwrap(), seen).is_none());
    }
    found
}

/// F25: handle, children, open files, guards, links to the object and in it, all are as good after a move as before; only the
/// path is another one, of the object and of all below, and the old name is free.
#[test]
fn what_goes_by_the_handle_survives_a_move() {
    let rig = Rig::new();
    let store = &rig.store;
    let [ata1, ata2] = ["ata1", "ata2"].map(|name| rig.add(store.root(), name));
    let disk = rig.add(ata1, "sda");
    let part = rig.add(disk, "part");
    store.link(store.root(), "boot", disk).unwrap();
    store.link(disk, "port", ata1).unwrap();
    let file = rig.open(disk, "text");
    assert_eq!(file.pwrite(store, 0, b"kept"), Ok(4));
    let guard = store.enter::<Disk>(disk).unwrap();

    store.rename(disk, "a-longer-name").unwrap();
    assert_eq!(store.path(part), Ok("/ata1/a-longer-name/part".into()));
    store.move_to(disk, ata2, "x").unwrap();
    assert_eq!((store.path(disk), store.path(part)), (Ok("/ata2/x".into()), Ok("/ata2/x/part".into())));
    store.rename(ata2, "scsi").unwrap();
    assert_eq!(store.path(part), Ok("/scsi/x/part".into()));
    assert_eq!(store.lookup("/scsi/x/part/.."), Ok(disk.kobject()));
    assert_eq!((store.parent(disk), store.parent(part)), (Ok(ata2.kobject()), Ok(disk.kobject())));
    for path in ["/ata1/sda", "/ata1/a-longer-name", "/ata2/x", "/ata2"] {
        assert_eq!(store.lookup(path), Err(Error::NotFound), "{path}");
    }
    assert_eq!(store.lookup("/boot/part"), Ok(part.kobject()));
    assert_eq!(store.readlink(disk, "port"), Ok(ata1.kobject()));
    assert_eq!(guard.name, "sda");
    let mut buf = [0; 8];
    assert_eq!(file.read(store, &mut buf), Ok(4));
    assert!(rig.dropped().is_empty());

    // There is room for another, and the two are not taken for one another.
    let other = rig.add(ata1, "sda");
    assert_eq!(file.object(), disk.kobject());
    drop(guard);
    assert_eq!(store.unregister_subtree(disk), Ok(Removal::Done(2)));
    assert_eq!(store.lookup("/ata1/sda"), Ok(other.kobject()));
    rig.assert_holds(store.root(), &["ata1", "scsi"]);
    rig.assert_holds(ata2, &[]);
}

/// F25: a move that is refused says why and changes nothing, whatever the reason.
#[test]
fn a_refused_move_changes_nothing() {
    let rig = Rig::new();
    let store = &rig.store;
    let [bus, dir] = ["bus", "dir"].map(|name| rig.add(store.root(), name));
    let disk = rig.add(bus, "sda");
    let part = rig.add(disk, "part");
    rig.add(dir, "taken");
    store.link(dir, "link", disk).unwrap();
    let gone = rig.add(bus, "gone");
    drop(store.unregister::<Disk>(gone).unwrap());
    let foreign = Rig::new();
    let elsewhere = foreign.add(foreign.store.root(), "sda");
    let before = picture(store);

    let (einval, root) = (Error::Errno(Errno::EINVAL), store.root());
    assert_eq!(store.move_to(root, dir, "root"), Err(einval));
    assert_eq!(store.rename(root, "root"), Err(einval));
    for below in [disk, part] {
        assert_eq!(store.move_to(disk, below, "new"), Err(einval));
        assert_eq!(store.move_to(bus, below, "new"), Err(einval));
    }
    for absent in [gone, elsewhere] {
        assert_eq!(store.move_to(absent, dir, "new"), Err(GONE));
        assert_eq!(store.rename(absent, "new"), Err(GONE));
        assert_eq!(store.move_to(disk, absent, "new"), Err(Error::NotFound));
    }
    // A child, a link, an attribute.
    for name in ["taken", "link", "text"] {
        assert_eq!(store.move_to(disk, dir, name), Err(Error::Exists), "{name}");
    }
    assert_eq!(store.rename(disk, "text"), Err(Error::Exists));
    for name in ["", ".", "..", "a/b", "a\0", &"n".repeat(256)] {
        assert!(matches!(store.rename(disk, name), Err(Error::Name(_))), "{name:?}");
        assert!(matches!(store.move_to(disk, dir, name), Err(Error::Name(_))), "{name:?}");
    }
    assert_eq!(picture(store), before);
    assert_eq!(Error::Exists.errno(), Errno::EEXIST);
    assert_eq!(Error::NotFound.errno(), Errno::ENOENT);
}

/// F25: to move an object to its own place is no error, and changes nothing.
#[test]
fn a_move_to_the_same_place_does_nothing() {
    let rig = Rig::new();
    let store = &rig.store;
    let bus = rig.add(store.root(), "bus");
    let disk = rig.add(bus, "sda");
    for _ in 0..2 {
        let before = picture(store);
        let name = store.path(disk).unwrap().replace("/bus/", "");
        assert_eq!((store.rename(disk, &name), store.move_to(disk, bus, &name)), (Ok(()), Ok(())));
        assert_eq!(picture(store), before);
        store.rename(disk, "sdb").unwrap();
    }
    store.rename(disk, "sda").unwrap();
    assert_eq!(store.lookup("/bus/sda"), Ok(disk.kobject()));
}

/// E-44: what is leaving cannot be moved, nothing can be moved into it, and its name is still taken.
#[test]
fn what_is_leaving_is_no_end_of_a_move() {
    let rig = Rig::new();
    let store = &rig.store;
    let [bus, disk, other] = ["bus", "sda", "sdb"].map(|name| rig.add(store.root(), name));
    let inside = rig.add(disk, "part");
    thread::scope(|scope| {
        let shut = rig.world.gate.shut();
        scope.spawn(|| rig.read(inside, "slow"));
        rig.world.gate.wait_for(1);
        let remover = scope.spawn(|| store.unregister_subtree(disk));
        until(|| !store.contains(disk));
        assert_eq!(store.move_to(disk, bus, "new"), Err(GONE));
        assert_eq!(store.move_to(inside, bus, "new"), Err(GONE));
        assert_eq!(store.rename(inside, "new"), Err(GONE));
        assert_eq!(store.move_to(other, disk, "new"), Err(Error::NotFound));
        assert_eq!(store.move_to(other, inside, "new"), Err(Error::NotFound));
        assert_eq!(store.rename(other, "sda"), Err(Error::Exists));
        drop(shut);
        assert_eq!(remover.join().unwrap(), Ok(Removal::Done(2)));
    });
    rig.assert_holds(bus, &[]);
    store.rename(other, "sda").unwrap();
    assert_eq!(store.lookup("/sda"), Ok(other.kobject()));
}

/// What was moved into a subtree goes with it, and what was moved out of it stays: children before parents by the tree as it is now.
#[test]
fn a_subtree_is_what_it_is_when_it_is_removed() {
    let rig = Rig::new();
    let store = &rig.store;
    let [top, beside] = ["top", "beside"].map(|name| rig.add(store.root(), name));
    let [a, b] = ["a", "b"].map(|name| rig.add(top, name));
    let below = rig.add(a, "below");
    let newcomer = rig.add(beside, "newcomer");
    store.move_to(a, beside, "a").unwrap();
    store.move_to(newcomer, b, "newcomer").unwrap();
    // The younger above the older.
    store.move_to(b, newcomer, "b").unwrap_err();
    store.move_to(newcomer, top, "newcomer").unwrap();
    store.move_to(b, newcomer, "b").unwrap();
    assert_eq!(store.unregister_subtree(top), Ok(Removal::Done(3)));
    assert_eq!(rig.dropped(), ["b", "newcomer", "top"]);
    assert_eq!(store.path(below), Ok("/beside/a/below".into()));
    assert_eq!(store.unregister_subtree(beside), Ok(Removal::Done(3)));
    assert!(store.is_empty());
}

/// A move waits for nobody: a callback may move its own object, and with a guard of both ends it goes through as well.
#[test]
fn an_object_may_be_moved_from_within() {
    let rig = Rig::new();
    let store = &rig.store;
    let movable = DeviceType::shared::<()>("movable").wo("name", |this, data| {
        let name = std::str::from_utf8(data).map_err(|_| Errno::EINVAL)?;
        Ok(this.store().rename(this.object(), name)?)
    });
    let movable = store.define(movable).unwrap();
    let bus = rig.add(store.root(), "bus");
    let this = store.register(bus, "first", movable, ()).unwrap();
    store.write(this, "name", b"second").unwrap();
    assert_eq!(store.path(this), Ok("/bus/second".into()));
    assert_eq!(store.write(this, "name", b"name/"), Err(Errno::EINVAL.into()));
    let guards = (store.enter::<Disk>(bus).unwrap(), store.enter::<()>(this).unwrap());
    store.move_to(this, store.root(), "third").unwrap();
    drop(guards);
    assert_eq!(store.path(this), Ok("/third".into()));
}

/// An object that is moved again and again is in one place at a time, and the directories it has left hold nothing of it.
#[test]
fn moves_leave_nothing_behind() {
    let rig = Rig::new();
    let store = &rig.store;
    let dirs: Vec<_> = (0..5).map(|n| store.create(store.root(), &format!("dir{n}")).unwrap()).collect();
    let disk = rig.add(dirs[0], "n0");
    for round in 1..200 {
        let (to, name) = (dirs[round * 7 % 5], format!("n{}", round % 3));
        store.move_to(disk, to, &name).unwrap();
        for dir in &dirs {
            let expected = if *dir == to { vec![name.as_str()] } else { vec![] };
            rig.assert_holds(*dir, &expected);
        }
        assert_eq!(store.parent(disk), Ok(to));
    }
    drop(store.unregister::<Disk>(disk).unwrap());
    dirs.iter().for_each(|dir| rig.assert_holds(*dir, &[]));
}
