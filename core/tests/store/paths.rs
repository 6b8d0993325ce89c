//! Names, paths and directories.

use enodev::{AsKobject, EntryKind, Errno, Error, Removal};

use crate::common::{Rig, names_in};

/// T88: a path is walked name by name; empty names and `.` mean nothing, `..` is the parent and the root's is the root.
#[test]
fn a_path_is_walked_name_by_name() {
    let rig = Rig::new();
    let store = &rig.store;
    let pci = rig.add(store.root(), "pci0000:00");
    let usb = rig.add(pci, "usb 1");
    let port = rig.add(usb, "1-1.4:1.0");
    let root = store.root();
    for (path, expected) in [
        ("", root),
        ("/", root),
        ("//", root),
        (".", root),
        ("..", root),
        ("/../../.", root),
        ("pci0000:00", pci.kobject()),
        ("/pci0000:00", pci.kobject()),
        ("/pci0000:00/", pci.kobject()),
        ("//pci0000:00//usb 1/", usb.kobject()),
        ("/pci0000:00/usb 1/1-1.4:1.0", port.kobject()),
        ("/./pci0000:00/./usb 1/./1-1.4:1.0/.", port.kobject()),
        ("/pci0000:00/usb 1/1-1.4:1.0/..", usb.kobject()),
        ("/pci0000:00/usb 1/../usb 1/1-1.4:1.0/../..", pci.kobject()),
        ("/pci0000:00/../../..", root),
    ] {
        assert_eq!(store.lookup(path), Ok(expected), "{path:?}");
    }
    for path in ["usb 1", "/pci0000:00/usb", "/pci0000:00/usb 1 ", "/...", "/pci0000:00/..../..", "\0"] {
        assert_eq!(store.lookup(path), Err(Error::NotFound), "{path:?}");
    }
}

/// An attribute is no directory: a path that goes through one, or ends there, is ENOTDIR, also where it only goes back.
#[test]
fn a_path_through_an_attribute_is_enotdir() {
    let rig = Rig::new();
    let store = &rig.store;
    rig.add(store.root(), "sda");
    for path in ["/sda/name", "/sda/name/", "/sda/name/x", "/sda/name/..", "sda/./blob/."] {
        assert_eq!(store.lookup(path), Err(Errno::ENOTDIR.into()), "{path:?}");
    }
    assert_eq!(store.lookup("/sda/names"), Err(Error::NotFound));
    assert_eq!(store.lookup("/name"), Err(Error::NotFound));
}

/// T87: whatever the names and the depth, the path of an object leads back to it, and its parent is the one it was put
/// into.
#[test]
fn the_path_of_an_object_leads_back_to_it() {
    let rig = Rig::new();
    let store = &rig.store;
    let long = "n".repeat(255);
    let names = ["a", " ", "a b", "usb1:1.0", "...", "é", long.as_str(), "a\nb", "\\", "-"];
    let mut parent = store.root();
    let mut expected = String::new();
    for round in 0..30 {
        for name in names {
            let child =
                if round % 2 == 0 { store.create(parent, name).unwrap() } else { rig.add(parent, name).kobject() };
            expected += "/";
            expected += name;
            assert_eq!(store.path(child).as_ref(), Ok(&expected));
            assert_eq!(store.parent(child), Ok(parent));
            assert_eq!(store.lookup(&expected), Ok(child));
            parent = child;
        }
    }
    assert_eq!(store.path(store.root()), Ok("/".into()));
    assert_eq!(store.parent(store.root()), Ok(store.root()));
    assert_eq!(store.lookup(&format!("{expected}/..")), store.parent(parent));
    assert_eq!(store.unregister_subtree(store.lookup("/a").unwrap()), Ok(Removal::Done(300)));
}

/// T88: a directory lists its children, links and attributes, each once and by name.
#[test]
fn a_directory_is_listed_by_name() {
    let rig = Rig::new();
    let store = &rig.store;
    let disk = rig.add(store.root(), "sda");
    let mut children: Vec<_> = (0..50).rev().map(|n| format!("sda{n}")).collect();
    for name in &children {
        rig.add(disk, name);
    }
    store.link(disk, "m", store.root()).unwrap();
    let list = store.list(disk).unwrap();
    assert!(list.is_sorted_by(|a, b| a.name < b.name));
    let attributes: Vec<_> = list
        .iter()
        .filter(|entry| matches!(entry.kind, EntryKind::Attribute { .. }))
        .map(|entry| entry.name.as_str())
        .collect();
    assert_eq!(attributes, ["blob", "name", "slow", "text"]);
    children.push("m".into());
    children.sort();
    assert_eq!(names_in(store, disk), children);
    for entry in list {
        let found = store.lookup(&format!("/sda/{}", entry.name));
        match entry.kind {
            EntryKind::Object(object) => {
                assert_eq!((found, store.parent(object)), (Ok(object), Ok(disk.kobject())));
            }
            EntryKind::Link(target) => {
                assert_eq!((found, target), (Ok(target), store.root()));
            }
            _ => assert_eq!(found, Err(Errno::ENOTDIR.into())),
        }
    }
}

/// A path that leads through links round and round ends where its names end.
#[test]
fn a_path_may_go_round_in_circles() {
    let rig = Rig::new();
    let store = &rig.store;
    let a = store.create(store.root(), "a").unwrap();
    let b = store.create(a, "b").unwrap();
    store.link(b, "up", a).unwrap();
    assert_eq!(store.lookup(&"/b/up".repeat(1000).replacen("/b", "/a/b", 1)), Ok(a));
    assert_eq!(store.lookup(&format!("/a{}/b", "/b/up".repeat(1000))), Ok(b));
    assert_eq!(store.path(b), Ok("/a/b".into()));
}
