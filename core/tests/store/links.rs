//! Links: other names for objects.

use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::thread;

use enodev::{AsKobject, EntryKind, Errno, Error, Removal};

use crate::common::{Disk, GONE, Rig, until};

/// A link is found, listed and walked through; what is reached through it is the target itself.
#[test]
fn a_link_leads_to_its_target() {
    let rig = Rig::new();
    let store = &rig.store;
    let pci = rig.add(store.root(), "pci0");
    let disk = rig.add(pci, "disk");
    let part = rig.add(disk, "part");
    let block = store.create(store.root(), "block").unwrap();
    store.link(block, "sda", disk).unwrap();
    store.link(store.root(), "boot", block).unwrap();

    assert_eq!(store.lookup("/block/sda"), Ok(disk.kobject()));
    assert_eq!(store.lookup("/boot/sda/part"), Ok(part.kobject()));
    // The parent of what was reached, not of the link.
    assert_eq!(store.lookup("/boot/sda/.."), Ok(pci.kobject()));
    assert_eq!(store.path(store.lookup("/boot/sda").unwrap()), Ok("/pci0/disk".into()));
    let list = store.list(block).unwrap();
    assert_eq!(list.len(), 1);
    assert_eq!(&*list[0].name, "sda");
    assert_eq!(list[0].kind, EntryKind::Link(disk.kobject()));

    let below = rig.add(store.lookup("/boot/sda").unwrap(), "part2");
    assert_eq!(store.path(below), Ok("/pci0/disk/part2".into()));
    store.unlink(block, "sda").unwrap();
    assert_eq!(store.lookup("/boot/sda"), Err(Error::NotFound));
    assert_eq!(rig.read(disk, "name"), Ok("disk\n".into()));
}

#[test]
fn a_link_is_in_the_way_of_everything_of_its_name_and_they_of_it() {
    let rig = Rig::new();
    let store = &rig.store;
    let [bus, disk] = ["bus", "disk"].map(|name| rig.add(store.root(), name));
    rig.add(bus, "child");
    store.link(bus, "link", disk).unwrap();
    for name in ["child", "link", "text"] {
        assert_eq!(store.link(bus, name, disk), Err(Error::Exists), "{name}");
        assert_eq!(store.create(bus, name), Err(Error::Exists), "{name}");
        assert_eq!(rig.try_add(bus, name), Err(Error::Exists), "{name}");
    }
    assert_eq!(store.unlink(bus, "child"), Err(Error::NotFound));
    assert_eq!(store.unlink(bus, "text"), Err(Error::NotFound));
    store.unlink(bus, "link").unwrap();
    rig.add(bus, "link");
    rig.assert_holds(bus, &["child", "link"]);
}

/// F22: links to an object, from wherever, go with it, and so do those in it; none is left dangling, and the ends that stay
/// can be linked and removed again.
#[test]
fn links_go_with_either_end() {
    let rig = Rig::new();
    let store = &rig.store;
    let [a, b, c] = ["a", "b", "c"].map(|name| rig.add(store.root(), name));
    for (dir, name, target) in [(a, "to-b", b), (b, "to-a", a), (b, "self", b), (c, "one", b), (c, "two", b)] {
        store.link(dir, name, target).unwrap();
    }
    store.link(c, "to-a", a).unwrap();
    drop(store.unregister::<Disk>(b).unwrap());
    rig.assert_holds(a, &[]);
    rig.assert_holds(c, &["to-a"]);
    for name in ["one", "two"] {
        assert_eq!(store.lookup(&format!("/c/{name}")), Err(Error::NotFound));
        assert_eq!(store.unlink(c, name), Err(Error::NotFound));
        store.link(c, name, a).unwrap();
    }
    assert_eq!(store.unregister_subtree(c), Ok(Removal::Done(1)));
    // What pointed from `c` does not come back to life as `a` goes.
    let c = rig.add(store.root(), "c");
    store.link(c, "one", c).unwrap();
    drop(store.unregister::<Disk>(a).unwrap());
    rig.assert_holds(c, &["one"]);
}

/// The same where both ends, or one, are in a subtree that is removed.
#[test]
fn links_in_and_out_of_a_subtree_go_with_it() {
    let rig = Rig::new();
    let store = &rig.store;
    let (top, outside) = (rig.add(store.root(), "top"), rig.add(store.root(), "outside"));
    let [x, y] = ["x", "y"].map(|name| rig.add(top, name));
    for (dir, name, target) in [(x, "y", y), (y, "x", x), (x, "up", top), (x, "out", outside), (outside, "in", y)] {
        store.link(dir, name, target).unwrap();
    }
    store.link(top, "root", store.root()).unwrap();
    store.link(store.root(), "short", x).unwrap();
    assert_eq!(store.unregister_subtree(top), Ok(Removal::Done(3)));
    rig.assert_holds(store.root(), &["outside"]);
    rig.assert_holds(outside, &[]);
    assert_eq!(store.unregister_subtree(outside), Ok(Removal::Done(1)));
    assert!(store.is_empty());
}

/// E-22: a link to an object that has gone is not good again because another object has taken that one's name.
#[test]
fn a_successor_of_the_target_does_not_revive_the_link() {
    let rig = Rig::new();
    let store = &rig.store;
    let dir = store.create(store.root(), "dir").unwrap();
    let old = rig.add(store.root(), "sda");
    store.link(dir, "disk", old).unwrap();
    drop(store.unregister::<Disk>(old).unwrap());
    let new = rig.add(store.root(), "sda");
    assert_eq!(store.lookup("/dir/disk"), Err(Error::NotFound));
    rig.assert_holds(dir, &[]);
    store.link(dir, "disk", new).unwrap();
    assert_eq!(store.lookup("/dir/disk"), Ok(new.kobject()));
}

/// While the target leaves, the link to it is neither found nor listed; it can be taken away, and its name is free then.
#[test]
fn a_link_to_a_leaving_object_leads_nowhere() {
    let rig = Rig::new();
    let store = &rig.store;
    let dir = store.create(store.root(), "dir").unwrap();
    let [disk, other] = ["sda", "sdb"].map(|name| rig.add(store.root(), name));
    store.link(dir, "one", disk).unwrap();
    store.link(dir, "two", disk).unwrap();
    store.link(disk, "other", other).unwrap();
    thread::scope(|scope| {
        let shut = rig.world.gate.shut();
        scope.spawn(|| rig.read(disk, "slow"));
        rig.world.gate.wait_for(1);
        let remover = scope.spawn(|| store.unregister_subtree(disk));
        until(|| !store.contains(disk));
        rig.assert_holds(dir, &[]);
        for path in ["/dir/one", "/dir/two/other"] {
            assert_eq!(store.lookup(path), Err(Error::NotFound), "{path}");
        }
        assert_eq!(store.create(dir, "one"), Err(Error::Exists));
        assert_eq!(store.unlink(dir, "one"), Ok(()));
        store.link(dir, "one", other).unwrap();
        assert_eq!(store.link(dir, "three", disk), Err(GONE));
        drop(shut);
        assert_eq!(remover.join().unwrap(), Ok(Removal::Done(1)));
    });
    rig.assert_holds(dir, &["one"]);
    assert_eq!(store.lookup("/dir/one"), Ok(other.kobject()));
}

/// A link needs both ends: if either is not there, or is another store's, no trace is left at the other.
#[test]
fn a_link_needs_both_ends() {
    let (rig, foreign) = (Rig::new(), Rig::new());
    let store = &rig.store;
    let [disk, gone] = ["disk", "gone"].map(|name| rig.add(store.root(), name));
    drop(store.unregister::<Disk>(gone).unwrap());
    for absent in [gone, foreign.add(foreign.store.root(), "disk")] {
        assert_eq!(store.link(disk, "to", absent), Err(GONE));
        assert_eq!(store.link(absent, "to", disk), Err(GONE));
    }
    rig.assert_holds(disk, &[]);
    foreign.assert_holds(foreign.store.lookup("/disk").unwrap(), &[]);
    store.link(disk, "to", disk).unwrap();
}

/// F22: a link is told from what is none, and the links to an object are told wherever they are; both go on being right when the
/// target, or the directory that the link is in, is moved.
#[test]
fn links_are_read_from_either_end() {
    let rig = Rig::new();
    let store = &rig.store;
    let [bus, class, disk] = ["bus", "class", "disk"].map(|name| rig.add(store.root(), name));
    rig.add(bus, "child");
    for (dir, name) in [(class, "b"), (bus, "link"), (class, "a"), (disk, "self")] {
        store.link(dir, name, disk).unwrap();
    }
    let expected = [(bus, "link"), (class, "a"), (class, "b"), (disk, "self")];
    let assert_links = || {
        let links = store.links_to(disk).unwrap();
        let links: Vec<_> = links.iter().map(|(dir, name)| (*dir, name.as_str())).collect();
        assert_eq!(links, expected.map(|(dir, name)| (dir.kobject(), name)));
        for (dir, name) in expected {
            assert_eq!(store.readlink(dir, name), Ok(disk.kobject()));
        }
    };
    assert_links();
    store.move_to(disk, bus, "elsewhere").unwrap();
    store.move_to(class, bus, "class").unwrap();
    assert_links();
    assert_eq!(store.lookup("/bus/class/a"), Ok(disk.kobject()));

    for name in ["child", "text", "class"] {
        assert_eq!(store.readlink(bus, name), Err(Errno::EINVAL.into()), "{name}");
    }
    assert_eq!(store.readlink(bus, "nothing"), Err(Error::NotFound));
    assert_eq!(store.links_to(bus), Ok(vec![]));
    store.unlink(class, "a").unwrap();
    assert_eq!(store.links_to(disk).unwrap().len(), 3);
    assert_eq!(store.unregister_subtree(class), Ok(Removal::Done(1)));
    assert_eq!(store.links_to(disk).unwrap().len(), 2);
    assert_eq!((store.readlink(class, "b"), store.links_to(class)), (Err(GONE), Err(GONE)));
}

/// F22, E-22: from the moment when the target is marked, its links are seen by nobody, nor are those in a directory that leaves told of to
/// the target; and no successor that takes the target's name meanwhile, at another place, is reached by the old link.
#[test]
fn a_link_is_not_seen_while_either_end_leaves() {
    let rig = Rig::new();
    let store = &rig.store;
    let dir = store.create(store.root(), "dir").unwrap();
    let [old, other] = ["sda", "sdb"].map(|name| rig.add(store.root(), name));
    store.link(dir, "to", old).unwrap();
    store.link(old, "from", other).unwrap();
    thread::scope(|scope| {
        let shut = rig.world.gate.shut();
        scope.spawn(|| rig.read(old, "slow"));
        rig.world.gate.wait_for(1);
        let remover = scope.spawn(|| store.unregister_subtree(old));
        until(|| !store.contains(old));
        store.rename(other, "sdc").unwrap();
        assert_eq!(store.readlink(dir, "to"), Err(Error::NotFound));
        assert_eq!(store.readlink(old, "from"), Err(GONE));
        assert_eq!((store.links_to(old), store.links_to(other)), (Err(GONE), Ok(vec![])));
        // The link's own name is as taken as that of its target.
        assert_eq!(store.link(dir, "to", other), Err(Error::Exists));
        assert_eq!(store.rename(other, "sda"), Err(Error::Exists));
        drop(shut);
        assert_eq!(remover.join().unwrap(), Ok(Removal::Done(1)));
    });
    store.rename(other, "sda").unwrap();
    assert_eq!(store.readlink(dir, "to"), Err(Error::NotFound));
    store.link(dir, "to", other).unwrap();
    assert_eq!(store.readlink(dir, "to"), Ok(other.kobject()));
}

/// F22: while links are made and taken away, whoever finds one by one end finds it by the other.
#[test]
fn a_link_is_there_at_both_ends_or_at_neither() {
    let rig = Rig::new();
    let store = &rig.store;
    let [dir, target] = ["dir", "target"].map(|name| store.create(store.root(), name).unwrap());
    let changes = AtomicUsize::new(0);
    thread::scope(|scope| {
        let changer = scope.spawn(|| {
            for round in 0..20_000 {
                changes.fetch_add(1, SeqCst);
                if round % 2 == 0 { store.link(dir, "to", target) } else { store.unlink(dir, "to") }.unwrap();
                (0..round % 100).for_each(|_| std::hint::spin_loop());
            }
        });
        loop {
            let is_last = changer.is_finished();
            let before = changes.load(SeqCst);
            let is_here = || store.links_to(target).unwrap().len() == 1;
            let is_there = || store.readlink(dir, "to") == Ok(target);
            // Seen changed at one end, as it is after the change that has begun last.
            let expected = before % 2 == 1;
            let (first, then) = if before % 4 < 2 { (is_here(), is_there()) } else { (is_there(), is_here()) };
            if changes.load(SeqCst) == before {
                assert!(first != expected || then == expected);
            }
            if is_last {
                return;
            }
        }
    });
}

/// T59, T58: what describes a device is an object of its own, to which the device leads: it stays as the device leaves, as it was, and is what the
/// next one leads to; two may lead to one. Where it goes itself, it leaves no link behind.
#[test]
fn what_describes_a_device_outlives_it() {
    let rig = Rig::new();
    let store = &rig.store;
    let node = rig.add(store.create(store.root(), "software_nodes").unwrap(), "node0");
    store.write(node, "text", b"a property").unwrap();
    let plug = |name| {
        let device = store.new_device(store.root(), name, rig.disk, rig.payload(name));
        device.link("firmware_node", node).linked_from(node, name).register().unwrap()
    };
    let other = plug("other");
    for _ in 0..3 {
        let device = plug("device");
        assert_eq!(
            rig.read(store.device(store.readlink(device, "firmware_node").unwrap()).unwrap(), "text"),
            Ok("a property".into())
        );
        rig.assert_holds(node, &["device", "other"]);
        assert_eq!(store.links_to(node).unwrap().len(), 2);
        assert_eq!(store.unregister_subtree(device), Ok(Removal::Done(1)));
        rig.assert_holds(node, &["other"]);
        let left: Vec<_> = store.links_to(node).unwrap().into_iter().map(|(from, _)| from).collect();
        assert_eq!((left, rig.read(node, "text")), (vec![other.kobject()], Ok("a property".into())));
        assert_eq!(store.lookup("software_nodes/node0"), Ok(node.kobject()));
    }
    assert_eq!(store.unregister_subtree(node), Ok(Removal::Done(1)));
    assert_eq!(
        (store.readlink(other, "firmware_node"), rig.read(other, "name")),
        (Err(Error::NotFound), Ok("other\n".into()))
    );
    rig.assert_holds(other, &[]);
    assert!(store.audit().is_clean());
}
