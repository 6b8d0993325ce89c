//! Groups of attributes: those of a type, which decide as an object is registered, and those that objects are given one by one.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::thread;

use enodev::{
    Access, AnyObject, AsKobject, Attribute, DeviceType, EntryKind, Errno, Error, Exclusive, Group, GroupHandle,
    KobjectHandle, Mode, Removal, Shared, Store, Visibility,
};
use parking_lot::Mutex;

use crate::common::{Disk, GONE, Rig, all_in};

/// Text and binary attributes, in a directory or, for `None`, beside the object's own.
fn power(name: Option<&str>) -> Group<AnyObject> {
    let value = Arc::new(Mutex::new(b"on\n".to_vec()));
    let stored = Arc::clone(&value);
    name.map_or_else(Group::new, Group::named)
        .rw(
            "state",
            move |_, page| page.put_bytes(&value.lock()),
            move |_, data| {
                *stored.lock() = data.into();
                Ok(())
            },
        )
        .bin_ro("table", 8, |_, offset, buf| {
            buf.fill(b'0' + offset as u8);
            Ok(buf.len())
        })
}

/// What `power` is, in a directory that `path` goes before.
fn assert_works(store: &Store, object: impl AsKobject, path: &str) {
    let object = object.kobject();
    let (state, table) = (format!("{path}state"), format!("{path}table"));
    assert_eq!(store.write(object, &state, b"off\n"), Ok(()));
    assert_eq!(store.read(object, &state), Ok(b"off\n".to_vec()));
    assert_eq!(store.write(object, &state, b"on\n"), Ok(()));
    assert_eq!(store.read(object, &table), Ok(b"00000000".to_vec()));
    let file = store.open(object, &table, Access::READ).unwrap();
    let mut buf = [0; 16];
    assert_eq!(file.pread(store, 5, &mut buf), Ok(3));
    assert_eq!(&buf[..3], b"555");
    assert_eq!(store.attribute(object, &table), Ok(file.attribute()));
    assert_eq!(store.open(object, &table, Access::WRITE).err(), Some(Errno::EACCES.into()));
}

/// F20: a group with a name is a directory, listed as one in its place, whose attributes are reached through it and are no names of
/// the object's own; one without a name has its attributes beside the object's.
#[test]
fn a_group_is_a_directory_or_stands_beside_the_object_s_own() {
    let rig = Rig::new();
    let store = &rig.store;
    let named = store.define_group(power(Some("alpha"))).unwrap();
    let beside = store.define_group(power(None)).unwrap();
    assert_eq!(store.group_name(named).unwrap().as_deref(), Some("alpha"));
    assert_eq!(store.group_name(beside), Ok(None));
    let disk = rig.add(store.root(), "disk");
    for (given, path, names) in [
        (vec![named], "alpha/", vec!["alpha", "blob", "name", "slow", "text"]),
        (vec![beside], "", vec!["blob", "name", "slow", "state", "table", "text"]),
        (vec![beside, named], "alpha/", vec!["alpha", "blob", "name", "slow", "state", "table", "text"]),
    ] {
        given.iter().for_each(|group| store.add_group(disk, *group).unwrap());
        assert_eq!(store.groups(disk).unwrap()[1..], given);
        assert_eq!(all_in(store, disk), names);
        assert_works(store, disk, path);
        given.iter().for_each(|group| assert_eq!(store.remove_group(disk, *group), Ok(Removal::Done(2))));
        assert_eq!(store.groups(disk).unwrap().len(), 1);
    }
    store.add_group(disk, named).unwrap();
    let entry = store.list(disk).unwrap().swap_remove(0);
    assert_eq!(entry.kind, EntryKind::Group(named));
    let list = store.list_group(disk, named).unwrap();
    let seen: Vec<_> = list.iter().map(|entry| (entry.name.as_str(), entry.kind)).collect();
    let kind = |name: &str, mode, size| {
        let handle = store.attribute(disk, &format!("alpha/{name}")).unwrap();
        EntryKind::Attribute { handle, mode, size }
    };
    assert_eq!(seen, [("state", kind("state", Mode::RW, 4096)), ("table", kind("table", Mode::RO, 8))]);
    assert_eq!(store.list_group(disk, beside), Err(Error::NotFound));
    for name in ["state", "alpha", "alpha/", "alpha/none", "alpha/state/", "/alpha/state", "/state", "none/state"] {
        assert_eq!(store.attribute(disk, name), Err(Error::NotFound), "{name}");
        assert_eq!(store.open(disk, name, Access::READ).err(), Some(Error::NotFound), "{name}");
    }
    assert_eq!(store.lookup("/disk/alpha"), Err(Errno::EISDIR.into()));
    assert_eq!(store.lookup("/disk/alpha/state"), Err(Errno::EISDIR.into()));
    assert_eq!(store.lookup("/disk/state"), Err(Error::NotFound));
    assert_eq!(rig.try_add(disk, "alpha").err(), Some(Error::Exists));
    assert_eq!(store.link(disk, "alpha", store.root()), Err(Error::Exists));
    assert!(rig.try_add(disk, "state").is_ok());
}

/// The groups of a type are there as an object is registered, and listed by name with all else.
#[test]
fn objects_of_a_type_have_its_groups_from_the_start() {
    let store = Store::new().unwrap();
    let ty = DeviceType::shared::<u8>("ty")
        .ro("own", |value, page| page.int(*value))
        .group(Group::named("alpha").ro("value", |value: enodev::Context<'_, &u8>, page| page.int(*value)));
    let ty = store.define(ty.group(Group::new().ro("beside", |_, _| Ok(())))).unwrap();
    let object = store.register(store.root(), "object", ty, 3).unwrap();
    assert_eq!(all_in(&store, object), ["alpha", "beside", "own"]);
    assert_eq!(store.read(object, "alpha/value"), Ok(b"3\n".to_vec()));
    let groups = store.groups(object).unwrap();
    assert_eq!(groups.len(), 3);
    // They belong to the type: they are neither given nor taken away.
    let other = store.create(store.root(), "other").unwrap();
    for group in groups {
        assert_eq!(store.add_group(object, group), Err(Error::Exists));
        assert_eq!(store.remove_group(object, group), Err(Error::NotFound));
        assert_eq!(store.add_group(other, group), Err(Error::WrongType));
        assert_eq!(store.update_group(other, group), Err(Error::NotFound));
        assert_eq!(store.remove_group(other, group), Err(Error::NotFound));
    }
    assert_eq!(all_in(&store, object), ["alpha", "beside", "own"]);
}

trait Named: Send + Sync {
    fn name(&self) -> &str;
}

impl Named for Disk {
    fn name(&self) -> &str {
        &self.name
    }
}

trait Counts: Send {
    fn count(&mut self) -> u64;
}

impl Counts for std::cell::Cell<u64> {
    fn count(&mut self) -> u64 {
        *self.get_mut() += 1;
        self.get()
    }
}

/// A group for a trait fits the objects whose types publish it, of whatever type, and no others; and so does one for payloads of
/// one type.
#[test]
fn a_group_may_be_for_a_trait() {
    let rig = Rig::new();
    let store = &rig.store;
    let group = store.define_group(Group::<Shared<dyn Named>>::new().ro("who", |named, page| page.line(named.name())));
    let counts = Group::<Exclusive<dyn Counts>>::named("counts")
        .ro("next", |mut counter, page| page.int(counter.count()))
        .is_visible(|mut counter, _| if counter.count() > 0 { Visibility::AsDefined } else { Visibility::Hidden });
    let (group, counts) = (group.unwrap(), store.define_group(counts).unwrap());
    let named = store.define(DeviceType::shared::<Disk>("named").view(|disk| disk as &dyn Named)).unwrap();
    let counter = DeviceType::exclusive::<std::cell::Cell<u64>>("counter").view_mut(|cell| cell as &mut dyn Counts);
    let counter = store.define(counter).unwrap();

    let unnamed = rig.add(store.root(), "unnamed");
    let named = store.register(store.root(), "named", named, rig.payload("Ann")).unwrap();
    let counter = store.register(store.root(), "counter", counter, 7.into()).unwrap();
    let dir = store.create(store.root(), "dir").unwrap();
    assert_eq!(store.add_group(named, group), Ok(()));
    assert_eq!(store.read(named, "who"), Ok(b"Ann\n".to_vec()));
    assert_eq!(store.add_group(counter, counts), Ok(()));
    assert_eq!(store.read(counter, "counts/next"), Ok(b"9\n".to_vec()));
    let others = [unnamed.kobject(), counter.kobject(), dir, store.root()];
    assert_eq!(others.map(|object| store.add_group(object, group)), [Err(Error::WrongType); 4]);
    let others = [unnamed.kobject(), named.kobject(), dir, store.root()];
    assert_eq!(others.map(|object| store.add_group(object, counts)), [Err(Error::WrongType); 4]);
    // Under an exclusive payload's lock its callbacks are not asked, as nobody could.
    let guard = store.enter_mut::<std::cell::Cell<u64>>(counter).unwrap();
    assert_eq!(store.update_group(counter, counts), Err(Error::Inside));
    drop(guard);
    assert_eq!(store.remove_group(counter, counts), Ok(Removal::Done(1)));
}

/// A group for any object works on plain directories, on the root, and on devices with exclusive payloads, whose lock neither its
/// callbacks nor its coming and going take: here another thread has it all the time.
#[test]
fn a_group_for_any_object_takes_no_payload_s_lock() {
    let store = Store::new().unwrap();
    let ty = store.define(DeviceType::exclusive::<u8>("locked")).unwrap();
    let locked = store.register(store.root(), "locked", ty, 1).unwrap();
    let dir = store.create(store.root(), "dir").unwrap();
    let seen = Arc::new(AtomicUsize::new(0));
    let see = Arc::clone(&seen);
    let group =
        power(Some("power")).ro("path", |at, page| page.line(at.store().path(at.object())?)).is_visible(move |_, _| {
            see.fetch_add(1, SeqCst);
            Visibility::AsDefined
        });
    let group = store.define_group(group).unwrap();
    let _guard = store.enter_mut::<u8>(locked).unwrap();
    thread::scope(|scope| {
        scope.spawn(|| {
            for (object, path) in [(locked.kobject(), "/locked\n"), (dir, "/dir\n"), (store.root(), "/\n")] {
                store.add_group(object, group).unwrap();
                assert_works(&store, object, "power/");
                assert_eq!(store.read(object, "power/path"), Ok(path.into()));
                assert_eq!(store.update_group(object, group), Ok(Removal::Done(0)));
                assert_eq!(store.remove_group(object, group), Ok(Removal::Done(3)));
                assert_eq!(seen.swap(0, SeqCst), 6);
            }
        });
    });
}

/// Of an attribute that was defined alone, and one that was not.
#[test]
fn an_attribute_is_given_to_one_object_and_taken_from_it() {
    let rig = Rig::new();
    let store = &rig.store;
    let [disk, other] = ["disk", "other"].map(|name| rig.add(store.root(), name));
    let extra = store.define_attribute(Attribute::<Shared<Disk>>::ro("extra", |disk, page| page.line(&disk.name)));
    let extra = extra.unwrap();
    assert_eq!(store.show(disk, extra, &mut enodev::Page::new()), Err(Errno::ENODEV));
    store.add_attribute(disk, extra).unwrap();
    assert_eq!(store.add_attribute(disk, extra), Err(Error::Exists));
    assert_eq!(rig.read(disk, "extra").as_deref(), Ok("disk\n"));
    assert_eq!(rig.read(other, "extra"), Err(Error::NotFound));
    assert_eq!(store.show(other, extra, &mut enodev::Page::new()), Err(Errno::ENODEV));
    assert_eq!(store.add_attribute(store.root(), extra), Err(Error::WrongType));
    assert_eq!(store.remove_attribute(other, extra), Err(Error::NotFound));
    let own = store.attribute(disk, "name").unwrap();
    assert_eq!(store.add_attribute(other, own), Err(Errno::EINVAL.into()));
    assert_eq!(store.remove_attribute(disk, own), Err(Errno::EINVAL.into()));
    let group = store.define_group(power(None)).unwrap();
    store.add_group(disk, group).unwrap();
    let state = store.attribute(disk, "state").unwrap();
    assert_eq!(store.remove_attribute(disk, state), Err(Errno::EINVAL.into()));
    assert_eq!(store.remove_attribute(disk, extra), Ok(Removal::Done(1)));
    assert_eq!(store.remove_attribute(disk, extra), Err(Error::NotFound));
    assert_eq!(all_in(store, disk), ["blob", "name", "slow", "state", "table", "text"]);
}

/// F20: a group one of whose names is taken, by whatever and be it hidden, is not added; all is as it was, where Linux removes what
/// has the name. Once the name is free the group can be added.
#[test]
fn a_group_with_a_name_that_is_taken_leaves_no_trace() {
    let rig = Rig::new();
    let store = &rig.store;
    let [beside, dir] = [None, Some("state")].map(|name| store.define_group(power(name)).unwrap());
    let table = store.define_attribute(Attribute::<AnyObject>::ro("table", |_, _| Ok(()))).unwrap();
    let hidden = Group::<AnyObject>::new().ro("state", |_, _| Ok(())).is_visible(|_, _| Visibility::Hidden);
    let hidden = store.define_group(hidden).unwrap();
    let own = Group::<Shared<()>>::named("state").is_shown(|_| false);
    let ty = store.define(DeviceType::shared::<()>("ty").group(own)).unwrap();

    type Take<'a> = &'a dyn Fn(KobjectHandle);
    let cases: [(&str, Take<'_>, Take<'_>); 6] = [
        ("child", &|at| store.create(at, "state").map(drop).unwrap(), &|_| {
            store.unregister_subtree(store.lookup("/at/state").unwrap()).map(drop).unwrap();
        }),
        ("link", &|at| store.link(at, "state", store.root()).unwrap(), &|at| store.unlink(at, "state").unwrap()),
        ("directory", &|at| store.add_group(at, dir).unwrap(), &|at| store.remove_group(at, dir).map(drop).unwrap()),
        ("attribute", &|at| store.add_group(at, beside).unwrap(), &|at| {
            store.remove_group(at, beside).map(drop).unwrap()
        }),
        ("hidden by decision", &|at| store.add_group(at, hidden).unwrap(), &|at| {
            store.remove_group(at, hidden).map(drop).unwrap();
        }),
        (
            "hidden by hand",
            &|at| {
                store.add_group(at, beside).unwrap();
                store.hide_attribute(at, store.attribute(at, "state").unwrap()).map(drop).unwrap();
            },
            &|at| store.remove_group(at, beside).map(drop).unwrap(),
        ),
    ];
    let at = store.create(store.root(), "at").unwrap();
    for (what, take, give_back) in cases {
        take(at);
        let before = (store.list(at), store.groups(at));
        for group in [beside, dir] {
            assert_eq!(store.add_group(at, group), Err(Error::Exists), "{what}");
            assert_eq!((store.list(at), store.groups(at)), before, "{what}");
        }
        give_back(at);
        assert_eq!((store.list(at), store.groups(at)), (Ok(vec![]), Ok(vec![])), "{what}");
    }
    // Not the first of the names alone.
    store.add_attribute(at, table).unwrap();
    assert_eq!(store.add_group(at, beside), Err(Error::Exists));
    assert_eq!(all_in(store, at), ["table"]);
    assert_eq!(store.add_group(at, dir), Ok(()));
    let typed = store.register(store.root(), "typed", ty, ()).unwrap();
    assert_eq!(all_in(store, typed), [""; 0]);
    assert_eq!([beside, dir].map(|group| store.add_group(typed, group)), [Err(Error::Exists); 2]);
    let disk = rig.add(store.root(), "disk");
    let clash = store.define_group(Group::<AnyObject>::named("text")).unwrap();
    assert_eq!(store.add_group(disk, clash), Err(Error::Exists));
}

/// Defining is all or nothing: what one of the attributes or groups is wrong with, the callbacks of all have been dropped.
#[test]
fn a_definition_that_fails_leaves_nothing() {
    let store = Store::new().unwrap();
    let kept = Arc::new(());
    let attr = |name: &str| {
        let kept = Arc::clone(&kept);
        Attribute::<Shared<()>>::ro(name, move |_, _| {
            drop(Arc::clone(&kept));
            Ok(())
        })
    };
    let group = |group: Group<Shared<()>>| {
        let kept = Arc::clone(&kept);
        group.attribute(attr("x")).attribute(attr("y")).is_shown(move |_| Arc::strong_count(&kept) > 0)
    };
    let ty = || DeviceType::shared::<()>("ty").attribute(attr("a")).group(group(Group::named("g")));
    for (what, ty) in [
        ("an attribute twice", ty().attribute(attr("a"))),
        ("an attribute twice in a group", ty().group(Group::named("h").attribute(attr("b")).attribute(attr("b")))),
        ("an attribute in two groups", ty().group(Group::new().attribute(attr("a")))),
        ("a group twice", ty().group(group(Group::named("g")))),
        ("an attribute and a group", ty().group(group(Group::named("a")))),
        ("a bad name of a group", ty().group(group(Group::named("g/h")))),
        ("a bad attribute in the last group", ty().group(group(Group::named("h")).attribute(attr("")))),
    ] {
        assert!(store.define(ty).is_err(), "{what}");
    }
    assert_eq!(Arc::strong_count(&kept), 1);
    assert_eq!(store.define_group(group(Group::new()).attribute(attr("x"))).err(), Some(Error::Exists));
    assert!(store.define_group(group(Group::named(".."))).is_err());
    assert!(store.define_attribute(attr("/")).is_err());
    assert_eq!(Arc::strong_count(&kept), 1);
    let ty = store.define(ty()).unwrap();
    let object = store.register(store.root(), "object", ty, ()).unwrap();
    assert_eq!(all_in(&store, object), ["a", "g"]);
}

/// S4-8, E-25: what is not there cannot be removed, shown or hidden, and one is told which of the two it is: the object, or the
/// group. Nothing changes by it.
#[test]
fn groups_and_objects_that_are_not_there_are_typed_errors() {
    let (store, other) = (Store::new().unwrap(), Store::new().unwrap());
    let object = store.create(store.root(), "object").unwrap();
    let given = store.define_group(power(None)).unwrap();
    let attr = store.define_attribute(Attribute::<AnyObject>::ro("alone", |_, _| Ok(()))).unwrap();
    let strange = other.define_group(power(None)).unwrap();
    let strange_attr = other.define_attribute(Attribute::<AnyObject>::ro("alone", |_, _| Ok(()))).unwrap();
    let gone = store.create(store.root(), "gone").unwrap();
    store.add_group(gone, given).unwrap();
    let file = store.open(gone, "state", Access::READ).unwrap();
    store.unregister_subtree(gone).unwrap();

    let group_ops = |object: KobjectHandle, group| {
        let (remove, update) = (store.remove_group(object, group), store.update_group(object, group));
        [remove, update, store.add_group(object, group).map(|()| Removal::Done(0))]
    };
    let attr_ops = |object: KobjectHandle, attr| {
        let (show, remove) = (store.show_attribute(object, attr), store.remove_attribute(object, attr));
        [store.hide_attribute(object, attr), show.map(|()| Removal::Done(0)), remove]
    };
    for _ in 0..2 {
        for object in [gone, KobjectHandle::null(), other.root()] {
            assert_eq!(group_ops(object, given), [Err(GONE); 3]);
            assert_eq!(attr_ops(object, attr), [Err(GONE); 3]);
            assert_eq!((store.groups(object), store.list_group(object, given)), (Err(GONE), Err(GONE)));
        }
        for group in [strange, GroupHandle::null()] {
            assert_eq!(group_ops(object, group), [Err(GONE); 3]);
            assert_eq!(store.list_group(object, group), Err(GONE));
        }
        for attr in [strange_attr, enodev::AttrHandle::null()] {
            assert_eq!(attr_ops(object, attr), [Err(GONE); 3]);
        }
        assert_eq!(group_ops(object, given)[..2], [Err(Error::NotFound); 2]);
        assert_eq!(store.remove_group(object, given), Ok(Removal::Done(2)));
        assert_eq!(attr_ops(object, attr), [Err(Error::NotFound); 3]);
        assert_eq!((store.list(object), store.groups(object)), (Ok(vec![]), Ok(vec![])));
    }
    assert_eq!(file.read(&store, &mut [0]), Err(Errno::ENODEV));
}
