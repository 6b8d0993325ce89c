//! What stands under a name: read, written, followed, and told as `stat` would.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::thread;

use enodev::{
    Access, AnyObject, AsKobject, DeviceType, Entry, EntryKind, Errno, Error, Group, Mode, Name, Removal, Store,
    Visibility,
};
use parking_lot::Mutex;

use crate::common::{GONE, Rig, until};

/// T87: attributes of nodes at different depths, some put in before their parents had others beside them: what can be read is read, what
/// can be written is written, and the other way round is refused; what is not there is ENOENT; a link leads to the node and its attributes.
#[test]
fn attributes_are_found_in_a_hierarchy() {
    let store = Store::new().unwrap();
    let ty = DeviceType::shared::<Mutex<Vec<u8>>>("node")
        .ro("ro", |node, page| page.put_bytes(&node.lock()))
        .wo("wo", |node, data| {
            *node.lock() = data.into();
            Ok(())
        })
        .rw(
            "rw",
            |node, page| page.put_bytes(&node.lock()),
            |node, data| {
                node.lock().extend_from_slice(data);
                Ok(())
            },
        );
    let ty = store.define(ty).unwrap();
    let add = |parent, name| store.register_kobject(parent, name, ty, Mutex::default()).unwrap();
    let top = add(store.root(), "top");
    let first = add(top, "first");
    let below = add(first, "below");
    let second = add(top, "second");
    store.link(second, "sibling", first).unwrap();
    for (node, path) in [(top, "/top"), (first, "/top/first"), (below, "/top/first/below"), (second, "/top/second")] {
        assert_eq!((store.path(node).as_deref(), store.lookup(path)), (Ok(path), Ok(node)));
        assert_eq!(store.write(node, "wo", path.as_bytes()), Ok(()));
        assert_eq!(store.write(node, "rw", b"!"), Ok(()));
        let expected = Ok(format!("{path}!").into_bytes());
        assert_eq!([store.read(node, "ro"), store.read(node, "rw")], [expected.clone(), expected]);
        let refused = Err(Error::Errno(Errno::EACCES));
        assert_eq!((store.write(node, "ro", b"x"), store.read(node, "wo").map(drop)), (refused, refused));
        for absent in ["none", "", ".", "..", "ro/", "ro/ro", "/ro"] {
            assert_eq!(store.read(node, absent), Err(Error::NotFound), "{absent}");
        }
        assert_eq!(store.lookup(&format!("{path}/none")), Err(Error::NotFound));
    }
    assert_eq!(store.readlink(second, "sibling"), Ok(first));
    let through = store.lookup("/top/second/sibling/below").unwrap();
    assert_eq!(store.read(through, "ro"), Ok(b"/top/first/below!".into()));
}

/// A group that is a directory, with an attribute whose mode the test decides.
fn adjustable(store: &Store, is_writable: &Arc<AtomicBool>) -> enodev::GroupHandle {
    let is_writable = Arc::clone(is_writable);
    let group = Group::<AnyObject>::named("power").rw("state", |_, page| page.line("on"), |_, _| Ok(()));
    let group = group.is_visible(move |_, _| match is_writable.load(SeqCst) {
        true => Visibility::AsDefined,
        false => Visibility::Mode(Mode::RUSR),
    });
    store.define_group(group).unwrap()
}

/// T88, F20: an attribute's mode is changed on one object: lists tell the new one, and files are opened by it; one that was open before stays
/// as it was.
#[test]
fn a_mode_that_is_changed_counts_for_files_that_are_opened_later() {
    let rig = Rig::new();
    let store = &rig.store;
    let is_writable = Arc::new(AtomicBool::new(true));
    let group = adjustable(store, &is_writable);
    let [disk, other] = ["sda", "sdb"].map(|name| rig.add(store.root(), name));
    [disk, other].into_iter().for_each(|disk| store.add_group(disk, group).unwrap());
    let mode = |disk, name| match store.entry(disk, name).unwrap().kind {
        EntryKind::Attribute { mode, .. } => mode,
        other => unreachable!("{other:?}"),
    };
    let before = store.open(disk, "power/state", Access::WRITE).unwrap();
    assert_eq!(mode(disk, "power/state"), Mode::RW);
    is_writable.store(false, SeqCst);
    assert_eq!(mode(disk, "power/state"), Mode::RW);
    assert_eq!(store.update_group(disk, group), Ok(Removal::Done(0)));
    assert_eq!((mode(disk, "power/state"), mode(other, "power/state")), (Mode::RUSR, Mode::RW));
    assert_eq!(store.write(disk, "power/state", b"off"), Err(Errno::EACCES.into()));
    assert_eq!((store.read(disk, "power/state"), before.write(store, b"off")), (Ok(b"on\n".into()), Ok(3)));
    assert_eq!(store.write(other, "power/state", b"off"), Ok(()));
}

/// The entries of a directory and of its groups', asked for one by one.
fn assert_entries_are_as_listed(store: &Store, object: impl AsKobject) -> Vec<Entry> {
    let list = store.list(object).unwrap();
    for listed in &list {
        assert_eq!(store.entry(object, &listed.name).as_ref(), Ok(listed));
        if let EntryKind::Group(group) = listed.kind {
            for inner in store.list_group(object, group).unwrap() {
                assert_eq!(store.entry(object, &format!("{}/{}", listed.name, inner.name)), Ok(inner));
            }
        }
    }
    list
}

/// T88: each name in a directory, asked for alone, is what the whole list says: child, link, attribute with mode and size, directory of a
/// group. What is not listed is not there: hidden, removed, leaving, or nothing.
#[test]
fn an_entry_is_what_the_list_says() {
    let rig = Rig::new();
    let store = &rig.store;
    let is_writable = Arc::new(AtomicBool::new(false));
    let group = adjustable(store, &is_writable);
    let disk = rig.add(store.root(), "sda");
    let child = rig.add(disk, "sda1");
    store.link(disk, "peer", store.root()).unwrap();
    store.link(disk, "first", child).unwrap();
    store.add_group(disk, group).unwrap();
    let list = assert_entries_are_as_listed(store, disk);
    let names: Vec<_> = list.iter().map(|entry| entry.name.as_str()).collect();
    assert_eq!(names, ["blob", "first", "name", "peer", "power", "sda1", "slow", "text"]);
    assert_eq!(list[4].kind, EntryKind::Group(group));
    assert_eq!(store.readlink(disk, "power"), Err(Errno::EINVAL.into()), "it is there, and no link");
    assert_eq!(store.entry(disk, "sda1").unwrap().kind, EntryKind::Object(child.kobject()));
    assert_eq!(store.entry(disk, "first").unwrap().kind, EntryKind::Link(child.kobject()));
    let blob = EntryKind::Attribute { handle: store.attribute(disk, "blob").unwrap(), mode: Mode::RW, size: 8 };
    assert_eq!(store.entry(disk, "blob"), Ok(Entry { name: Name::new("blob").unwrap(), kind: blob }));
    for absent in ["", ".", "..", "state", "power/", "power/none", "none/state", "name/state", "sda1/name", "/name"] {
        assert_eq!(store.entry(disk, absent), Err(Error::NotFound), "{absent}");
    }

    store.hide_attribute(disk, store.attribute(disk, "name").unwrap()).unwrap();
    store.remove_group(disk, group).unwrap();
    for absent in ["name", "power", "power/state"] {
        assert_eq!(store.entry(disk, absent), Err(Error::NotFound), "{absent}");
    }
    assert_eq!(assert_entries_are_as_listed(store, disk).len(), 6);
    thread::scope(|scope| {
        let shut = rig.world.gate.shut();
        scope.spawn(|| rig.read(child, "slow"));
        rig.world.gate.wait_for(1);
        scope.spawn(|| store.unregister_subtree(child));
        until(|| !store.contains(child));
        assert_eq!(["sda1", "first"].map(|name| store.entry(disk, name)), [Err(Error::NotFound), Err(Error::NotFound)]);
        assert_eq!(assert_entries_are_as_listed(store, disk).len(), 4);
        drop(shut);
    });
    assert_eq!(store.unregister_subtree(disk), Ok(Removal::Done(1)));
    assert_eq!(store.entry(disk, "text"), Err(GONE));
}
