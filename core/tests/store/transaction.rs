//! A device is registered with all that it begins with, or not at all.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Weak};
use std::thread;

use enodev::{
    AnyObject, AsKobject, Attribute, Bus, BusHandle, BusType, ClassHandle, DeviceHandle, DeviceType, Errno, Error,
    Exclusive, Group, GroupHandle, KobjectHandle, NewDevice, Removal, Shared, Store, Type,
};
use parking_lot::Mutex;

use crate::common::{GONE, all_in, until};

/// Something of a driver's that uses the store as it is dropped: that hangs where the store holds a lock, and fails where it holds a pin.
struct Probe {
    store: Weak<Store>,
    told: Arc<Mutex<Vec<&'static str>>>,
    what: &'static str,
}

impl Drop for Probe {
    fn drop(&mut self) {
        let Some(store) = self.store.upgrade() else { return };
        let scratch = store.create(store.root(), self.what).unwrap();
        let bus: BusHandle = store.register_bus("scratch", Wanted).unwrap().handle();
        assert_eq!((store.unregister_subtree(scratch), store.unregister_bus(bus)), (Ok(Removal::Done(1)), Ok(())));
        self.told.lock().push(self.what);
    }
}

struct Wanted;

impl BusType for Wanted {
    type Id = Probe;
    type IdTable = ();

    fn matches(&self, _: &Probe, (): &()) -> bool {
        false
    }
}

/// What a device may begin with, all of one store.
#[derive(Clone, Copy)]
struct Kit {
    ty: Type<Shared<Probe>>,
    bus: Bus<Wanted>,
    class: ClassHandle,
    group: GroupHandle,
}

impl Kit {
    fn new(store: &Store) -> Self {
        let of_class = define(store, Group::new(), "of_class");
        Self {
            ty: store.define(DeviceType::shared::<Probe>("probe").ro("own", |_, page| page.line("own"))).unwrap(),
            bus: store.register_bus("wanted", Wanted).unwrap(),
            class: store.register_class("class", &[of_class]).unwrap(),
            group: define(store, Group::named("given"), "inner"),
        }
    }
}

fn define(store: &Store, group: Group<AnyObject>, name: &str) -> GroupHandle {
    store.define_group(group.attribute(Attribute::ro(name, |_, page| page.line("here")))).unwrap()
}

/// A group whose callback decides by what it is told to do.
fn deciding(store: &Store, decide: fn() -> enodev::Visibility) -> GroupHandle {
    let group = Group::<AnyObject>::new().ro("decided", |_, _| Ok(()));
    store.define_group(group.is_visible(move |_, _| decide())).unwrap()
}

/// A store with one device that has all that a device may begin with.
struct Setup {
    store: Arc<Store>,
    kit: Kit,
    devices: KobjectHandle,
    by_id: KobjectHandle,
    first: DeviceHandle,
    told: Arc<Mutex<Vec<&'static str>>>,
    /// Things of another store.
    foreign: Kit,
    _other: Store,
}

impl Setup {
    fn new() -> Self {
        let (store, other) = (Arc::new(Store::new().unwrap()), Store::new().unwrap());
        let [devices, by_id] = ["devices", "by-id"].map(|name| store.create(store.root(), name).unwrap());
        let (kit, foreign, first) = (Kit::new(&store), Kit::new(&other), DeviceHandle::null());
        let mut setup = Self { kit, devices, by_id, first, told: Arc::default(), foreign, _other: other, store };
        setup.first = setup.full("first").register().unwrap();
        setup
    }

    fn probe(&self, what: &'static str) -> Probe {
        Probe { store: Arc::downgrade(&self.store), told: Arc::clone(&self.told), what }
    }

    fn draft(&self, parent: impl AsKobject, name: &str, kit: Kit) -> NewDevice<'_> {
        let device = self.store.new_device(parent, name, kit.ty, self.probe("payload")).on(kit.bus, self.probe("id"));
        device.class(kit.class).group(kit.group).link("to", self.by_id)
    }

    /// With everything, and nothing wrong.
    fn full(&self, name: &str) -> NewDevice<'_> {
        self.draft(self.devices, name, self.kit).linked_from(self.by_id, name)
    }

    fn another(&self) -> NewDevice<'_> {
        self.full("new")
    }

    fn gone(&self) -> KobjectHandle {
        let gone = self.store.create(self.store.root(), "gone").unwrap();
        self.store.unregister_subtree(gone).unwrap();
        gone
    }

    fn gone_bus(&self) -> Bus<Wanted> {
        let bus = self.store.register_bus("gone", Wanted).unwrap();
        self.store.unregister_bus(bus).unwrap();
        bus
    }

    fn gone_class(&self) -> ClassHandle {
        let class = self.store.register_class("gone", &[]).unwrap();
        self.store.unregister_class(class).unwrap();
        class
    }

    /// All that is to be seen of the store.
    fn seen(&self) -> impl PartialEq + std::fmt::Debug + use<> {
        let (store, bus) = (&self.store, self.kit.bus.handle());
        assert!(store.audit().is_clean(), "{:?}", store.audit().findings());
        let names = [store.root(), self.devices, self.by_id, self.first.kobject()].map(|dir| all_in(store, dir));
        let links = [self.by_id, self.first.kobject()].map(|target| store.links_to(target));
        let members = (store.devices_on(bus).map(Vec::from_iter), store.devices_in(self.kit.class).map(Vec::from_iter));
        (names, links, members, store.len())
    }
}

type Case = (&'static str, Error, for<'a> fn(&'a Setup) -> NewDevice<'a>);

const ENODEV: Error = GONE;

/// Each has one thing wrong.
const CASES: &[Case] = &[
    ("a name that is taken", Error::Exists, |s| s.draft(s.devices, "first", s.kit)),
    ("a name that an attribute of the parent has", Error::Exists, |s| s.draft(s.first, "own", s.kit)),
    ("a name that a group of the parent has", Error::Exists, |s| s.draft(s.first, "given", s.kit)),
    ("no parent", ENODEV, |s| s.draft(DeviceHandle::null(), "new", s.kit)),
    ("a parent that has gone", ENODEV, |s| s.draft(s.gone(), "new", s.kit)),
    ("another store's type", ENODEV, |s| s.draft(s.devices, "new", Kit { ty: s.foreign.ty, ..s.kit })),
    ("another store's bus", ENODEV, |s| s.another().on(s.foreign.bus, s.probe("other id"))),
    ("a bus that has gone", ENODEV, |s| s.another().on(s.gone_bus(), s.probe("other id"))),
    ("another store's class", ENODEV, |s| s.another().class(s.foreign.class)),
    ("a class that has gone", ENODEV, |s| s.another().class(s.gone_class())),
    ("another store's group", ENODEV, |s| s.another().group(s.foreign.group)),
    ("a group twice", Error::Exists, |s| s.another().group(s.kit.group)),
    ("a group with a name of the type", Error::Exists, |s| s.another().group(define(&s.store, Group::new(), "own"))),
    ("a group with a name of the class", Error::Exists, |s| {
        s.another().group(define(&s.store, Group::new(), "of_class"))
    }),
    ("a group of a link's name", Error::Exists, |s| s.another().group(define(&s.store, Group::named("to"), "x"))),
    ("a group of other payloads", Error::WrongType, |s| {
        s.another().group(s.store.define_group(Group::<Exclusive<u8>>::new().ro("x", |_, _| Ok(()))).unwrap())
    }),
    ("a group that refuses", Error::Errno(Errno::EINVAL), |s| {
        s.another().group(deciding(&s.store, || enodev::Visibility::Mode(enodev::Mode::XUSR)))
    }),
    ("a group that panics", Error::Errno(Errno::EIO), |s| {
        s.another().group(deciding(&s.store, || panic!("on purpose")))
    }),
    ("a class whose group panics", Error::Errno(Errno::EIO), |s| {
        let group = deciding(&s.store, || panic!("on purpose"));
        s.another().class(s.store.register_class("panics", &[group]).unwrap())
    }),
    ("a link to what has gone", ENODEV, |s| s.another().link("other", s.gone())),
    ("a link of an attribute's name", Error::Exists, |s| s.another().link("own", s.devices)),
    ("a link of a group's name", Error::Exists, |s| s.another().link("given", s.devices)),
    ("two links of one name", Error::Exists, |s| s.another().link("other", s.devices).link("other", s.first)),
    ("a link from what has gone", ENODEV, |s| s.another().linked_from(s.gone(), "other")),
    ("a link from where the name is taken", Error::Exists, |s| s.another().linked_from(s.by_id, "first")),
    ("a link from where an attribute has the name", Error::Exists, |s| s.another().linked_from(s.first, "own")),
    ("a link of its own name beside it", Error::Exists, |s| s.another().linked_from(s.devices, "new")),
    ("two links of one name from a place", Error::Exists, |s| {
        s.another().linked_from(s.first, "other").linked_from(s.first, "other")
    }),
];

/// F10, F30, G-4, D-14, D-15, E-26, T60: whatever is wrong with one thing of all that a device was to begin with, nothing of it is there: no
/// name, no link from either end, no member of the bus or the class; and what was given is dropped, under no lock and no pin of the store's.
/// With that one thing put right it is all there.
#[test]
fn a_device_begins_with_all_or_nothing() {
    for (what, error, draft) in CASES {
        let setup = Setup::new();
        // What a case makes for itself stays.
        drop(draft(&setup));
        setup.told.lock().clear();
        let before = setup.seen();
        let draft = draft(&setup);
        assert_eq!(draft.register(), Err(*error), "{what}");
        assert_eq!(setup.seen(), before, "{what}");
        let told: Vec<_> = setup.told.lock().iter().copied().filter(|what| *what != "other id").collect();
        assert!(matches!(told[..], ["id", "payload"] | ["payload", "id"]), "{what}: {told:?}");
        let device = setup.another().register().unwrap();
        assert_eq!(setup.store.lookup("by-id/new"), Ok(device.kobject()));
        setup.store.unregister_subtree(device).unwrap();
        assert_eq!(setup.seen(), before, "{what}");
        setup.told.lock().clear();
    }
}

/// Names that are none are told of first, as what can be seen without the store.
#[test]
fn names_that_are_none_are_refused_first() {
    let setup = Setup::new();
    let before = setup.seen();
    let long = "n".repeat(256);
    let drafts = [
        setup.draft(DeviceHandle::null(), "a/b", setup.kit),
        setup.another().link("..", DeviceHandle::null()),
        setup.another().linked_from(DeviceHandle::null(), ""),
    ];
    for draft in drafts {
        assert!(matches!(draft.register(), Err(Error::Name(_))));
    }
    assert_eq!(
        setup.another().linked_from(setup.by_id, &long).register().map_err(Error::errno),
        Err(Errno::ENAMETOOLONG)
    );
    assert_eq!((setup.seen(), setup.told.lock().len()), (before, 8));
    drop(setup.full(&long));
    assert_eq!(setup.told.lock().len(), 10);
}

/// T58: the same name, payload and number come again and again, and each time all is there, and then nothing.
#[test]
fn what_has_left_can_be_registered_again() {
    let setup = Setup::new();
    let before = setup.seen();
    let mut last = None;
    for _ in 0..20 {
        let device = setup.another().register().unwrap();
        assert_ne!(Some(device), last.replace(device));
        assert_eq!(setup.store.read(device, "given/inner"), Ok(b"here\n".into()));
        assert_ne!(setup.seen(), before);
        drop(setup.store.unregister::<Probe>(device).unwrap());
        assert_eq!(setup.seen(), before);
    }
}

/// F10, G-4, D-14, E-27: whoever finds a device while it is registered, by its path, a link, its bus or its class, finds all of it. Of one whose
/// registration fails nobody finds anything.
#[test]
fn nobody_finds_half_a_device() {
    const ROUNDS: usize = 60;
    let setup = Setup::new();
    let (store, kit, done, whole) = (&setup.store, setup.kit, AtomicBool::new(false), AtomicUsize::new(0));
    let is_whole = |object: KobjectHandle| {
        // A walk may have its handle a moment before it is there: then it is nobody's.
        let was_there = store.contains(object);
        let names = store.list(object).map(|list| list.iter().map(|entry| entry.name.to_string()).collect::<Vec<_>>());
        let ways = ["devices/new", "by-id/new"].map(|path| store.lookup(path) == Ok(object));
        let texts = ["own", "given/inner", "of_class"].map(|name| store.read(object, name).is_ok());
        let back = store.links_to(setup.by_id).unwrap().iter().any(|(dir, name)| *dir == object && &**name == "to");
        let device = store.device(object);
        let on = store.devices_on(kit.bus).unwrap().any(|one| Ok(one) == device);
        let of = store.devices_in(kit.class).unwrap().any(|one| Ok(one) == device);
        // Of one that has left meanwhile nothing can be said.
        if was_there && store.contains(object) {
            assert_eq!(names.unwrap(), ["given", "of_class", "own", "to"]);
            assert!(ways == [true; 2] && texts == [true; 3] && back && on && of);
            whole.fetch_add(1, SeqCst);
        }
    };
    let find: [&(dyn Fn() -> Option<KobjectHandle> + Sync); 5] = [
        &|| store.lookup("devices/new").ok(),
        &|| store.lookup("by-id/new").ok(),
        &|| store.devices_on(kit.bus).unwrap().last().map(AsKobject::kobject),
        &|| store.devices_in(kit.class).unwrap().last().map(AsKobject::kobject),
        &|| {
            store
                .links_to(setup.by_id)
                .unwrap()
                .into_iter()
                .map(|(dir, _)| dir)
                .find(|dir| *dir != setup.first.kobject())
        },
    ];
    thread::scope(|scope| {
        for find in find {
            let (done, is_whole, first) = (&done, &is_whole, setup.first.kobject());
            scope.spawn(move || {
                // Nobody waits for one who has failed.
                let _ends = Ends(done);
                while !done.load(SeqCst) {
                    if let Some(object) = find().filter(|object| *object != first) {
                        is_whole(object);
                    }
                }
            });
        }
        let _ends = Ends(&done);
        for round in 0..ROUNDS {
            assert_eq!(setup.another().linked_from(setup.by_id, "first").register(), Err(Error::Exists));
            let device = setup.another().register().unwrap();
            let before = whole.load(SeqCst);
            until(|| round % 3 != 0 || whole.load(SeqCst) > before || done.load(SeqCst));
            drop(store.unregister::<Probe>(device).unwrap());
        }
    });
}

/// Says so as its thread comes to an end.
struct Ends<'a>(&'a AtomicBool);

impl Drop for Ends<'_> {
    fn drop(&mut self) {
        self.0.store(true, SeqCst);
    }
}
