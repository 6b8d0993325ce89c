//! An object in each of the states in which an operation may find it.

use std::sync::Arc;
use std::thread;

use enodev::{
    Access, AnyObject, AsKobject, AttrHandle, Attribute, Bus, BusType, DeviceHandle, DeviceType, Driver, DriverHandle,
    Errno, Exclusive, File, Group, GroupHandle, KobjectHandle, NewDevice, PlainAttr, Removal, Result, Scope, Shared,
    SpaceHandle, Store, Type,
};
use parking_lot::Mutex;

use crate::common::{Gate, linger, names_in, until};

/// The columns of the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    Alive,
    Hidden,
    Taken,
    Leaving,
    Gone,
    Replaced,
    Foreign,
    Null,
}

pub(super) const STATES: [(&str, State); 8] = [
    ("alive", State::Alive),
    ("attribute hidden", State::Hidden),
    ("group removed", State::Taken),
    ("leaving", State::Leaving),
    ("gone", State::Gone),
    ("replaced", State::Replaced),
    ("another store's", State::Foreign),
    ("null", State::Null),
];

/// How payloads are entered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sort {
    Shared,
    Exclusive,
}

pub(super) const SORTS: [Sort; 2] = [Sort::Shared, Sort::Exclusive];

#[derive(Debug, Clone)]
pub(super) struct Payload {
    text: Arc<Mutex<Vec<u8>>>,
    gate: Arc<Gate>,
}

#[derive(Clone, Copy)]
pub(super) enum Ty {
    Shared(Type<Shared<Payload>>),
    Exclusive(Type<Exclusive<Payload>>),
}

/// A bus all of whose drivers serve all of its devices.
pub(super) struct Slots;

impl BusType for Slots {
    type Id = ();
    type IdTable = ();

    fn matches(&self, (): &(), (): &()) -> bool {
        true
    }
}

/// Takes every device, and keeps a number of each.
pub(super) struct Serves;

impl Driver for Serves {
    type Bus = Slots;
    type Device = AnyObject;
    type Data = u32;

    fn probe(&self, _: &mut Scope<'_, AnyObject>) -> Result<u32, Errno> {
        Ok(7)
    }
}

/// A store, a type, and what objects of it are given.
pub(super) struct World {
    pub(super) store: Arc<Store>,
    pub(super) ty: Ty,
    pub(super) payload: Payload,
    /// Its attributes stand beside the object's own: `text` and `blob`.
    pub(super) group: GroupHandle,
    /// It is a directory, `queue`, with one attribute, `depth`.
    pub(super) dir: GroupHandle,
    /// An attribute of no group.
    pub(super) alone: AttrHandle,
    /// One of the type, whose value the store keeps.
    pub(super) level: PlainAttr<u32>,
    /// An address space; `sda` is at the addresses from 0x10 to 0x1f.
    pub(super) space: SpaceHandle,
    /// A plain directory, which is there.
    pub(super) beside: KobjectHandle,
    /// The disk is on it.
    pub(super) bus: Bus<Slots>,
    /// The disk is bound to it.
    pub(super) driver: DriverHandle,
}

/// The world of one sort of payload.
macro_rules! world {
    ($sharing:ident, $shared:ident) => {{
        let store = Arc::new(Store::new().unwrap());
        let ty = DeviceType::$shared::<Payload>("disk").plain("level", 3_u32).ro("slow", |owner, page| {
            owner.gate.pass();
            page.line("slow")
        });
        let ty = store.define(ty).unwrap();
        let text = |name: &str| {
            Attribute::<$sharing<Payload>>::rw(
                name,
                |owner, page| page.put_bytes(&owner.text.lock()),
                |owner, data| {
                    *owner.text.lock() = data.into();
                    Ok(())
                },
            )
        };
        let blob = Attribute::<$sharing<Payload>>::bin_rw(
            "blob",
            8,
            |_, _, buf| Ok(buf.len()),
            |owner, _, data| {
                *owner.text.lock() = data.into();
                Ok(data.len())
            },
        );
        let group = store.define_group(Group::new().attribute(text("text")).attribute(blob)).unwrap();
        let dir = store.define_group(Group::named("queue").attribute(text("depth"))).unwrap();
        let alone = store.define_attribute(text("alone")).unwrap();
        let level = store.plain(ty, "level").unwrap();
        let space = store.create_space("mmio").unwrap();
        let beside = store.create(store.root(), "beside").unwrap();
        let (ty, payload) =
            (Ty::$sharing(ty), Payload { text: Arc::new(Mutex::new(b"old".into())), gate: Arc::default() });
        let bus = store.register_bus("slots", Slots).unwrap();
        let driver = store.register_driver(bus, "serves", Serves, ()).unwrap();
        World { store, ty, payload, group, dir, alone, level, space, beside, bus, driver }
    }};
}

impl World {
    pub(super) fn new(sort: Sort) -> Self {
        match sort {
            Sort::Shared => world!(Shared, shared),
            Sort::Exclusive => world!(Exclusive, exclusive),
        }
    }

    pub(super) fn add(&self, parent: impl AsKobject, name: &str) -> Result<DeviceHandle> {
        self.add_of(self.ty, parent, name)
    }

    pub(super) fn add_of(&self, ty: Ty, parent: impl AsKobject, name: &str) -> Result<DeviceHandle> {
        let payload = self.payload.clone();
        match ty {
            Ty::Shared(ty) => self.store.register(parent, name, ty, payload),
            Ty::Exclusive(ty) => self.store.register(parent, name, ty, payload),
        }
    }

    pub(super) fn draft(&self, parent: impl AsKobject, name: &str) -> NewDevice<'_> {
        let payload = self.payload.clone();
        match self.ty {
            Ty::Shared(ty) => self.store.new_device(parent, name, ty, payload),
            Ty::Exclusive(ty) => self.store.new_device(parent, name, ty, payload),
        }
    }

    /// A device that finds its driver.
    pub(super) fn plug(&self, name: &str) -> DeviceHandle {
        self.draft(self.store.root(), name).on(self.bus, ()).register().unwrap()
    }

    pub(super) fn add_kobject_of(&self, ty: Ty, parent: impl AsKobject, name: &str) -> Result<KobjectHandle> {
        let payload = self.payload.clone();
        match ty {
            Ty::Shared(ty) => self.store.register_kobject(parent, name, ty, payload),
            Ty::Exclusive(ty) => self.store.register_kobject(parent, name, ty, payload),
        }
    }

    /// Gives an object all that can be given, with a link from it.
    pub(super) fn furnish(&self, object: DeviceHandle) {
        self.store.add_group(object, self.group).unwrap();
        self.store.add_group(object, self.dir).unwrap();
        self.store.add_attribute(object, self.alone).unwrap();
        self.store.link(object, "peer", self.beside).unwrap();
        self.store.map(object, self.space, 0x10..0x20).unwrap();
    }

    /// A furnished object with a driver, that a link leads to and whose value has been read, and files of it: unread and begun.
    pub(super) fn sda(&self) -> (DeviceHandle, [Vec<File>; 2]) {
        let object = self.plug("sda");
        self.furnish(object);
        self.store.link(self.beside, "disk", object).unwrap();
        assert_eq!(self.level.load(&self.store, object), Ok(3));
        let open = |name: &&str| self.store.open(object, name, Access::READ | Access::WRITE).unwrap();
        let files = [(); 2].map(|()| GIVEN.iter().map(open).collect::<Vec<_>>());
        assert!(files[1].iter().all(|file| file.read(&self.store, &mut [0]) == Ok(1)));
        (object, files)
    }

    /// What is to be seen of all that is not the object itself.
    fn around(&self) -> (Vec<String>, Vec<String>, Vec<u8>, Vec<DeviceHandle>, usize) {
        let names = |object| names_in(&self.store, object);
        let on_bus = self.store.devices_on(self.bus).unwrap().filter(|device| self.store.contains(*device));
        let regions = self.store.regions(self.space).unwrap().len();
        (names(self.store.root()), names(self.beside), self.payload.text.lock().clone(), on_bus.collect(), regions)
    }

    /// An object of this name in the slot of another, which has gone.
    fn replace(&self, old: DeviceHandle) -> DeviceHandle {
        for _ in 0..10_000 {
            let new = self.plug("sda");
            if new.to_bits() as u32 == old.to_bits() as u32 {
                self.furnish(new);
                return new;
            }
            drop(self.store.unregister::<Payload>(new).unwrap());
            self.store.flush();
        }
        unreachable!("the slot never comes back");
    }
}

/// The attributes that objects are given.
pub(super) const GIVEN: [&str; 4] = ["text", "blob", "queue/depth", "alone"];

/// What runs an operation, and says what it answers.
pub(super) type Run = fn(&mut Subject) -> String;

/// What an operation is tried on.
pub(super) struct Subject {
    pub(super) world: World,
    pub(super) state: State,
    pub(super) object: DeviceHandle,
    /// One of each attribute that the object was given; none of a null object.
    pub(super) files: Vec<File>,
    /// The same, each of which has read the first byte.
    pub(super) begun: Vec<File>,
    /// Where the object is from, if that is another.
    other: Option<World>,
}

impl Subject {
    /// An object that is in the state, but for one that is to leave: it is still alive.
    pub(super) fn new(sort: Sort, state: State) -> Self {
        let (world, mut other) = (World::new(sort), None);
        let (mut object, [mut files, mut begun]) = world.sda();
        let store = Arc::clone(&world.store);
        match state {
            State::Alive | State::Leaving => {}
            State::Hidden => {
                let attrs = files.iter().map(File::attribute).chain([world.level.handle()]);
                attrs.for_each(|attr| assert!(store.hide_attribute(object, attr).is_ok()));
            }
            State::Taken => {
                let groups = [world.group, world.dir].map(|group| store.remove_group(object, group));
                assert!(
                    groups.into_iter().chain([store.remove_attribute(object, world.alone)]).all(|done| done.is_ok())
                );
            }
            State::Gone => drop(store.unregister::<Payload>(object).unwrap()),
            State::Replaced => {
                drop(store.unregister::<Payload>(object).unwrap());
                world.replace(object);
            }
            State::Foreign => {
                let foreign = World::new(sort);
                (object, [files, begun]) = foreign.sda();
                other = Some(foreign);
            }
            State::Null => (object, files, begun) = (DeviceHandle::null(), Vec::new(), Vec::new()),
        }
        Self { world, state, object, files, begun, other }
    }

    pub(super) fn store(&self) -> &Store {
        &self.world.store
    }

    /// Runs an operation. Where it fails, nothing has come of it.
    pub(super) fn ask(mut self, run: Run) -> String {
        let around = |subject: &Self| (subject.world.around(), subject.other.as_ref().map(World::around));
        let before = around(&self);
        let answer = run(&mut self);
        assert!(answer == "ok" || before == around(&self), "{answer}");
        answer
    }

    /// The same while another thread removes the object, and a third is inside. An operation that is to wait for that one waits.
    pub(super) fn ask_as_it_leaves(mut self, run: Run, is_to_wait: bool) -> String {
        let (store, object, gate) = (Arc::clone(&self.world.store), self.object, Arc::clone(&self.world.payload.gate));
        let (of_reader, of_remover) = (Arc::clone(&store), Arc::clone(&store));
        let shut = gate.shut();
        let reader = thread::spawn(move || of_reader.read(object, "slow"));
        gate.wait_for(1);
        let remover = thread::spawn(move || of_remover.unregister_subtree(object));
        until(|| !store.contains(object));
        let before = self.world.around();
        let operation = thread::spawn(move || (run(&mut self), self));
        if is_to_wait {
            linger();
            assert!(!operation.is_finished());
        } else {
            until(|| operation.is_finished());
        }
        assert!(!remover.is_finished());
        drop(shut);
        let (answer, subject) = operation.join().unwrap();
        assert_eq!(reader.join().unwrap(), Ok(b"slow\n".into()));
        assert_eq!(remover.join().unwrap(), Ok(Removal::Done(1)));
        assert_eq!(before, subject.world.around());
        answer
    }
}
