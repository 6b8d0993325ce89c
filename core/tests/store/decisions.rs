//! What of a group is there for one object: decided by callbacks as it is registered or given the group, and again when they are
//! asked again.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, OnceLock};
use std::thread;

use enodev::{
    Access, AnyObject, AsKobject, DeviceType, EntryKind, Errno, Error, Event, Group, GroupHandle, KobjectHandle, Mode,
    Removal, Store, Type, Visibility,
};
use parking_lot::Mutex;

use crate::common::{GONE, Gate, all_in, linger, until};

/// What a probe is asked about and answers.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Probe {
    Good,
    NoGroup,
    NoAttributes,
    NoFirst,
    OtherMode,
    BadMode,
    ShownPanics,
    VisiblePanics,
}

type Asked = Arc<Mutex<Vec<(KobjectHandle, String)>>>;

/// A type with a deciding group, a directory `deep`. Whatever is asked is noted, with the handle that the callback is told.
fn probe_type<O: enodev::Sharing>(ty: DeviceType<O>, asked: &Asked) -> DeviceType<O>
where
    for<'a> O::Ref<'a>: Told,
{
    let [shown, visible] = [(); 2].map(|()| Arc::clone(asked));
    let group = Group::named("deep")
        .ro("first", |_, _| Ok(()))
        .rw("second", |_, _| Ok(()), |_, _| Ok(()))
        .is_shown(move |owner: O::Ref<'_>| {
            shown.lock().push((owner.object(), "*".into()));
            assert_ne!(owner.probe(), Probe::ShownPanics);
            owner.probe() != Probe::NoGroup
        })
        .is_visible(move |owner: O::Ref<'_>, attribute| {
            visible.lock().push((owner.object(), attribute.name().to_string()));
            let is_first = attribute.name().as_str() == "first";
            match owner.probe() {
                Probe::NoAttributes => Visibility::Hidden,
                Probe::NoFirst if is_first => Visibility::Mode(Mode::empty()),
                Probe::OtherMode if !is_first => Visibility::Mode(Mode::RO),
                Probe::BadMode if is_first => Visibility::Mode(Mode::RW),
                Probe::VisiblePanics if !is_first => std::panic::panic_any("the driver's own"),
                _ => Visibility::AsDefined,
            }
        });
    ty.ro("plain", |_, _| Ok(())).group(group)
}

trait Told {
    fn object(&self) -> KobjectHandle;
    fn probe(&self) -> Probe;
}

impl Told for enodev::Context<'_, &(Probe, Arc<()>)> {
    fn object(&self) -> KobjectHandle {
        enodev::Context::object(self)
    }

    fn probe(&self) -> Probe {
        self.0
    }
}

impl Told for enodev::Context<'_, &mut (Probe, Arc<()>)> {
    fn object(&self) -> KobjectHandle {
        enodev::Context::object(self)
    }

    fn probe(&self) -> Probe {
        self.0
    }
}

/// Registers one of the type for each answer, and looks at what has become of it.
fn assert_decides<O: enodev::Sharing<Value = (Probe, Arc<()>)>>(store: &Store, ty: Type<O>, asked: &Asked) {
    let payloads = Arc::new(());
    let register = |probe| store.register(store.root(), "object", ty, (probe, Arc::clone(&payloads)));
    for (probe, names, deep) in [
        (Probe::Good, vec!["deep", "plain"], Some(vec![("first", Mode::RO), ("second", Mode::RW)])),
        (Probe::NoGroup, vec!["plain"], None),
        (Probe::NoAttributes, vec!["deep", "plain"], Some(vec![])),
        (Probe::NoFirst, vec!["deep", "plain"], Some(vec![("second", Mode::RW)])),
        (Probe::OtherMode, vec!["deep", "plain"], Some(vec![("first", Mode::RO), ("second", Mode::RO)])),
    ] {
        let object = register(probe).unwrap().kobject();
        let questions = if probe == Probe::NoGroup { vec!["*"] } else { vec!["*", "first", "second"] };
        let expect: Vec<_> = questions.into_iter().map(|name| (object, name.to_owned())).collect();
        assert_eq!(std::mem::take(&mut *asked.lock()), expect, "{probe:?}: each is asked once, about this object");
        assert_eq!(all_in(store, object), names, "{probe:?}");
        let group = store.groups(object).unwrap()[1];
        let list = store.list_group(object, group).map(|list| {
            let entry = |entry: enodev::Entry| match entry.kind {
                EntryKind::Attribute { mode, .. } => (entry.name.to_string(), mode),
                kind => unreachable!("{kind:?}"),
            };
            list.into_iter().map(entry).collect::<Vec<_>>()
        });
        let deep = deep.map(|deep| deep.into_iter().map(|(name, mode)| (name.to_owned(), mode)).collect::<Vec<_>>());
        assert_eq!(list.ok(), deep, "{probe:?}");
        for (name, mode) in [("first", Mode::RO), ("second", Mode::RW)] {
            let mode = deep.iter().flatten().find(|entry| entry.0 == name).map(|entry| entry.1 == mode);
            let path = format!("deep/{name}");
            assert_eq!(store.read(object, &path).err(), mode.is_none().then_some(Error::NotFound), "{probe:?} {name}");
        }
        let writing = store.open(object, "deep/second", Access::WRITE).err();
        assert_eq!(writing == Some(Errno::EACCES.into()), probe == Probe::OtherMode);
        // Names of what is not there are taken.
        assert_eq!(store.create(object, "deep"), Err(Error::Exists));
        assert_eq!(asked.lock().len(), 0, "nothing but a registration or an update asks");
        assert_eq!(store.unregister_subtree(object), Ok(Removal::Done(1)));
    }
    let good = register(Probe::Good).unwrap();
    store.unregister_subtree(good).unwrap();
    asked.lock().clear();
    for (probe, errno) in
        [(Probe::BadMode, Errno::EINVAL), (Probe::ShownPanics, Errno::EIO), (Probe::VisiblePanics, Errno::EIO)]
    {
        assert_eq!(register(probe), Err(errno.into()), "{probe:?}");
        assert_eq!(Arc::strong_count(&payloads), 1, "the payload has been dropped");
        assert!(store.is_empty() && all_in(store, store.root()).is_empty());
        let (never, _) = asked.lock()[0].clone();
        // Other objects get the slot, and the handle that the callback was told is not theirs.
        let reuses = (0..1000).any(|_| {
            let object = register(Probe::Good).unwrap().kobject();
            assert_eq!((store.contains(never), store.read(never, "plain")), (false, Err(GONE)));
            assert_eq!(store.unregister_subtree(object), Ok(Removal::Done(1)));
            object.to_bits() as u32 == never.to_bits() as u32
        });
        assert!(reuses, "the slot was given back");
        asked.lock().clear();
    }
}

/// E-24, F20: each attribute of a type's group is asked about once for each object, before anybody can find the object, with the
/// handle that it will have. A group that is not shown is not there; one without attributes is an empty directory. An answer that
/// cannot be leaves nothing behind.
#[test]
fn what_is_there_is_decided_once_as_an_object_is_registered() {
    let (store, asked) = (Store::new().unwrap(), Asked::default());
    let ty = store.define(probe_type(DeviceType::shared::<(Probe, Arc<()>)>("probe"), &asked)).unwrap();
    assert_decides(&store, ty, &asked);
}

/// As above, with a payload that is exclusive.
#[test]
fn what_is_there_is_decided_for_exclusive_payloads_too() {
    let (store, asked) = (Store::new().unwrap(), Asked::default());
    let ty = store.define(probe_type(DeviceType::exclusive::<(Probe, Arc<()>)>("probe"), &asked)).unwrap();
    assert_decides(&store, ty, &asked);
}

/// What the callbacks of `switched` answer: of the group, and of each of its attributes.
struct Switch {
    group: Mutex<bool>,
    attrs: Mutex<[Visibility; 2]>,
    /// Stops those who read `a` or `b`.
    gate: Gate,
}

/// A group of `a` and `b`, in a directory or, for `None`, beside the object's own.
fn switched(name: Option<&str>) -> (Group<AnyObject>, Arc<Switch>) {
    let attrs = Mutex::new([Visibility::AsDefined; 2]);
    let switch = Arc::new(Switch { group: Mutex::new(true), attrs, gate: Gate::default() });
    let [shown, visible, a, b] = [(); 4].map(|()| Arc::clone(&switch));
    let group = name
        .map_or_else(Group::new, Group::named)
        .ro("a", move |_, page| {
            a.gate.pass();
            page.line("a")
        })
        .rw(
            "b",
            move |_, page| {
                b.gate.pass();
                page.line("b")
            },
            |_, _| Ok(()),
        )
        .is_shown(move |_| *shown.group.lock())
        .is_visible(move |_, attribute| visible.attrs.lock()[usize::from(attribute.name().as_str() == "b")]);
    (group, switch)
}

/// F20, F21, E-23: asked again, what stays keeps its open files, whatever mode it has now: that counts for files that are opened
/// later. Files of what goes are dead for ever, also when it comes back.
#[test]
fn an_update_kills_the_files_of_what_goes_and_no_others() {
    for name in [None, Some("dir")] {
        let (store, (group, switch)) = (Store::new().unwrap(), switched(name));
        let group = store.define_group(group).unwrap();
        let object = store.create(store.root(), "object").unwrap();
        store.add_group(object, group).unwrap();
        let path = |attr: &str| name.map_or(attr.to_owned(), |dir| format!("{dir}/{attr}"));
        let open = |attr, access| store.open(object, &path(attr), access);
        let read = |file: &enodev::File| file.pread(&store, 0, &mut [0; 8]);
        let (a, b) = (open("a", Access::READ).unwrap(), open("b", Access::READ | Access::WRITE).unwrap());

        // Another mode: the file that was open may do what it could.
        *switch.attrs.lock() = [Visibility::AsDefined, Visibility::Mode(Mode::RO)];
        assert_eq!(store.update_group(object, group), Ok(Removal::Done(0)));
        assert_eq!((read(&a), read(&b), b.write(&store, b"x")), (Ok(2), Ok(2), Ok(1)));
        assert_eq!(open("b", Access::WRITE).err(), Some(Errno::EACCES.into()));
        // One goes.
        *switch.attrs.lock() = [Visibility::AsDefined, Visibility::Hidden];
        assert_eq!(store.update_group(object, group), Ok(Removal::Done(1)));
        assert_eq!((read(&a), read(&b), b.write(&store, b"x")), (Ok(2), Err(Errno::ENODEV), Err(Errno::ENODEV)));
        assert_eq!(store.show(object, b.attribute(), &mut enodev::Page::new()), Err(Errno::ENODEV));
        assert_eq!(open("b", Access::READ).err(), Some(Error::NotFound));
        assert_eq!(store.update_group(object, group), Ok(Removal::Done(0)));
        // It comes back, with the mode of its definition.
        *switch.attrs.lock() = [Visibility::AsDefined; 2];
        assert_eq!(store.update_group(object, group), Ok(Removal::Done(0)));
        let again = open("b", Access::READ | Access::WRITE).unwrap();
        assert_eq!((read(&a), read(&b), read(&again)), (Ok(2), Err(Errno::ENODEV), Ok(2)));
        // All goes, directory and all, and comes back.
        *switch.group.lock() = false;
        assert_eq!(store.update_group(object, group), Ok(Removal::Done(2)));
        assert_eq!([&a, &b, &again].map(read), [Err(Errno::ENODEV); 3]);
        assert_eq!((all_in(&store, object), store.list_group(object, group)), (vec![], Err(Error::NotFound)));
        assert_eq!(store.create(object, name.unwrap_or("a")), Err(Error::Exists));
        *switch.group.lock() = true;
        assert_eq!(store.update_group(object, group), Ok(Removal::Done(0)));
        assert_eq!([&a, &b, &again].map(read), [Err(Errno::ENODEV); 3]);
        assert_eq!(read(&open("a", Access::READ).unwrap()), Ok(2));
        // An answer that cannot be changes nothing.
        *switch.attrs.lock() = [Visibility::Hidden, Visibility::Mode(Mode::RO | Mode::XUSR)];
        assert_eq!(store.update_group(object, group), Err(Errno::EINVAL.into()));
        assert_eq!(read(&open("a", Access::READ).unwrap()), Ok(2));
    }
}

/// E-24: an empty directory and none are two answers, when a group is given too.
#[test]
fn a_group_that_is_given_may_be_empty_or_not_shown() {
    let (store, (group, switch)) = (Store::new().unwrap(), switched(Some("dir")));
    let group = store.define_group(group).unwrap();
    let object = store.create(store.root(), "object").unwrap();
    *switch.attrs.lock() = [Visibility::Hidden; 2];
    store.add_group(object, group).unwrap();
    assert_eq!((all_in(&store, object), store.list_group(object, group)), (vec!["dir".into()], Ok(vec![])));
    store.remove_group(object, group).unwrap();
    *switch.group.lock() = false;
    store.add_group(object, group).unwrap();
    assert_eq!((all_in(&store, object), store.list_group(object, group)), (vec![], Err(Error::NotFound)));
    assert_eq!(store.lookup("/object/dir"), Err(Error::NotFound));
    assert_eq!((store.groups(object), store.add_group(object, group)), (Ok(vec![group]), Err(Error::Exists)));
}

/// What a decision hides nobody is inside of when the update returns: one attribute or the whole group; and the same holds for an
/// update that finds it hidden by an earlier one that still waits. Who waits for a change is told that it is gone, at once.
#[test]
fn an_update_waits_for_those_in_what_it_hides() {
    for whole in [false, true] {
        let (store, (group, switch)) = (Store::new().unwrap(), switched(Some("dir")));
        let group = store.define_group(group).unwrap();
        let object = store.create(store.root(), "object").unwrap();
        store.add_group(object, group).unwrap();
        let idle = store.open(object, "dir/b", Access::READ).unwrap();
        idle.pread(&store, 0, &mut [0; 8]).unwrap();
        let left = AtomicBool::new(false);
        thread::scope(|scope| {
            let shut = switch.gate.shut();
            let reader = scope.spawn(|| {
                let answer = store.read(object, "dir/b");
                assert!(left.load(SeqCst));
                answer
            });
            switch.gate.wait_for(1);
            let waiter = scope.spawn(|| idle.wait(&store, None));
            if whole {
                *switch.group.lock() = false;
            } else {
                *switch.attrs.lock() = [Visibility::AsDefined, Visibility::Hidden];
            }
            let update = || {
                let answer = store.update_group(object, group);
                assert!(left.load(SeqCst), "somebody is inside still");
                answer
            };
            let first = scope.spawn(update);
            until(|| store.open(object, "dir/b", Access::READ).is_err());
            assert_eq!(waiter.join().unwrap(), Some(Event::Gone));
            let second = scope.spawn(update);
            linger();
            left.store(true, SeqCst);
            drop(shut);
            assert_eq!(reader.join().unwrap(), Ok(b"b\n".to_vec()), "who was inside does its work to the end");
            assert_eq!(first.join().unwrap(), Ok(Removal::Done(if whole { 2 } else { 1 })));
            assert_eq!(second.join().unwrap(), Ok(Removal::Done(0)));
        });
    }
}

/// Of two updates at the same time the one that was begun later counts, also where it is decided first.
#[test]
fn of_two_updates_the_later_begun_counts() {
    let store = Store::new().unwrap();
    let (calls, gate) = (Arc::new(AtomicUsize::new(0)), Arc::new(Gate::default()));
    let (call, stop) = (Arc::clone(&calls), Arc::clone(&gate));
    // The second call, which is the first update's, is held up, and answers otherwise than all others.
    let group = Group::<AnyObject>::new().ro("a", |_, _| Ok(())).is_visible(move |_, _| {
        if call.fetch_add(1, SeqCst) == 1 {
            stop.pass();
            return Visibility::Mode(Mode::RUSR);
        }
        Visibility::Hidden
    });
    let group = store.define_group(group).unwrap();
    let object = store.create(store.root(), "object").unwrap();
    store.add_group(object, group).unwrap();
    thread::scope(|scope| {
        let shut = gate.shut();
        let first = scope.spawn(|| store.update_group(object, group));
        gate.wait_for(1);
        assert_eq!(store.update_group(object, group), Ok(Removal::Done(0)));
        drop(shut);
        assert_eq!(first.join().unwrap(), Ok(Removal::Done(0)));
        assert_eq!(all_in(&store, object), [""; 0]);

        // A removal waits for who is being asked, and what is answered then comes too late.
        calls.store(1, SeqCst);
        let shut = gate.shut();
        let first = scope.spawn(|| store.update_group(object, group));
        gate.wait_for(1);
        let remover = scope.spawn(|| store.remove_group(object, group));
        until(|| store.update_group(object, group) == Err(Error::NotFound));
        assert!(!remover.is_finished());
        drop(shut);
        assert_eq!(first.join().unwrap(), Err(Error::NotFound));
        assert_eq!(remover.join().unwrap(), Ok(Removal::Done(1)));
        store.add_group(object, group).unwrap();
        assert_eq!(all_in(&store, object), [""; 0]);
    });
    calls.store(1, SeqCst);
    store.update_group(object, group).unwrap();
    assert_eq!(all_in(&store, object), ["a"]);
}

/// A group whose own callback takes it away, as it is asked: it is gone when the update returns, and nothing of it was decided.
#[test]
fn a_group_may_be_taken_away_as_it_is_asked() {
    let store = Store::new().unwrap();
    let told = Arc::new(Mutex::new(Vec::new()));
    let tell = Arc::clone(&told);
    let known = Arc::new(OnceLock::new());
    let this = Arc::clone(&known);
    let group = Group::<AnyObject>::new().ro("a", |_, _| Ok(())).ro("b", |_, _| Ok(())).is_visible(move |object, _| {
        if let Some(group) = this.get() {
            tell.lock().push(object.store().remove_group(object.object(), *group));
        }
        Visibility::AsDefined
    });
    let group = store.define_group(group).unwrap();
    let object = store.create(store.root(), "object").unwrap();
    store.add_group(object, group).unwrap();
    known.set(group).unwrap();
    assert_eq!(store.update_group(object, group), Err(Error::NotFound));
    assert_eq!(*told.lock(), [Ok(Removal::Begun(2)), Err(Error::Leaving)]);
    assert_eq!(store.groups(object), Ok(Vec::new()));
}

/// Who lists sees all of an update or nothing of it: here of two attributes one is there at any time.
#[test]
fn a_list_sees_an_update_as_a_whole() {
    for name in [None, Some("dir")] {
        let (store, (group, switch)) = (Store::new().unwrap(), switched(name));
        let group = store.define_group(group).unwrap();
        let object = store.create(store.root(), "object").unwrap();
        let only = |shown: usize| {
            let mut attrs = [Visibility::Hidden; 2];
            attrs[shown] = Visibility::AsDefined;
            *switch.attrs.lock() = attrs;
        };
        only(0);
        store.add_group(object, group).unwrap();
        let is_done = AtomicBool::new(false);
        thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| {
                    while !is_done.load(SeqCst) {
                        let list = if name.is_some() { store.list_group(object, group) } else { store.list(object) };
                        assert_eq!(list.unwrap().len(), 1);
                    }
                });
            }
            for round in 0..3000 {
                only(round % 2);
                assert_eq!(store.update_group(object, group).map(Removal::count), Ok(usize::from(round > 0)));
            }
            is_done.store(true, SeqCst);
        });
    }
}

/// And never two things of one name, where a group goes and a child takes its name.
#[test]
fn a_list_holds_no_name_twice() {
    let store = Store::new().unwrap();
    let group = store.define_group(Group::<AnyObject>::named("both").ro("a", |_, _| Ok(()))).unwrap();
    let object = store.create(store.root(), "object").unwrap();
    let is_done = AtomicBool::new(false);
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while !is_done.load(SeqCst) {
                    assert!(all_in(&store, object).len() <= 1);
                }
            });
        }
        for _ in 0..2000 {
            store.add_group(object, group).unwrap();
            store.remove_group(object, group).unwrap();
            let child = store.create(object, "both").unwrap();
            store.unregister_subtree(child).unwrap();
        }
        is_done.store(true, SeqCst);
    });
}

/// The callbacks of a group are asked about objects that may have it, and about no others: not those of another type with the same
/// payload, nor those that have it already or have it not.
#[test]
fn callbacks_are_not_asked_about_strangers() {
    let store = Store::new().unwrap();
    let asked = Arc::new(AtomicUsize::new(0));
    let deciding = |name: &str| {
        let asked = Arc::clone(&asked);
        Group::<enodev::Shared<()>>::named(name).is_shown(move |_| asked.fetch_add(1, SeqCst) < usize::MAX)
    };
    let own = store.define(DeviceType::shared::<()>("own").group(deciding("own"))).unwrap();
    let other = store.define(DeviceType::shared::<()>("other")).unwrap();
    let own = store.register(store.root(), "own", own, ()).unwrap();
    let other = store.register(store.root(), "other", other, ()).unwrap();
    let group: GroupHandle = store.groups(own).unwrap()[1];
    let given = store.define_group(deciding("given")).unwrap();
    assert_eq!(asked.swap(0, SeqCst), 1);
    assert_eq!(store.add_group(own, group), Err(Error::Exists));
    assert_eq!(store.add_group(other, group), Err(Error::WrongType));
    assert_eq!(store.update_group(other, group), Err(Error::NotFound));
    assert_eq!(store.update_group(other, given), Err(Error::NotFound));
    assert_eq!(asked.load(SeqCst), 0);
    assert_eq!(store.add_group(other, given), Ok(()));
    assert_eq!(store.add_group(other, given), Err(Error::Exists));
    assert_eq!(asked.swap(0, SeqCst), 1);
}
