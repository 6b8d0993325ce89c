//! Operations on handles of buses, drivers, classes and observers, and of groups that devices begin with.

use std::sync::{Arc, Mutex};

use enodev::{
    AnyObject, Attribute, Bus, BusHandle, ClassHandle, DeviceHandle, DriverHandle, Group, GroupHandle, ObserverHandle,
    Store,
};

use super::objects::told;
use super::subject::{SORTS, Serves, Slots, Sort, World};
use super::{table, wrong_row};

/// Things of a store.
#[derive(Clone, Copy)]
struct Things {
    /// None where there is no such handle.
    bus: Option<Bus<Slots>>,
    bus_handle: BusHandle,
    driver: DriverHandle,
    class: ClassHandle,
    group: Option<GroupHandle>,
    observer: ObserverHandle,
}

/// What an observer is to do at its next turn.
type Turn = Arc<Mutex<Option<Box<dyn FnOnce(&Store) -> String + Send>>>>;

/// A store, a device in it, and things that are the store's, another's, or nobody's.
struct Case {
    world: World,
    /// On the store's own bus. Bound to the driver, where that is in use; free otherwise.
    device: DeviceHandle,
    things: Things,
    /// Of the observer, where that is to be the caller.
    turn: Option<Turn>,
    told: Arc<Mutex<String>>,
    _other: Option<World>,
}

type Run = fn(&Case) -> String;

const OPERATIONS: &[(&str, Run)] = &[
    ("Store::unregister_bus", |c| told(c.store().unregister_bus(c.things.bus_handle))),
    ("Store::bus_name", |c| told(c.store().bus_name(c.things.bus_handle))),
    ("Store::devices_on", |c| told(c.store().devices_on(c.things.bus_handle).map(drop))),
    ("Store::drivers_on", |c| told(c.store().drivers_on(c.things.bus_handle).map(drop))),
    ("Store::bus_id (bus)", |c| of(c.things.bus, |bus| told(c.store().bus_id(c.device, bus)))),
    ("Store::register_driver (bus)", |c| {
        of(c.things.bus, |bus| told(c.store().register_driver(bus, "another", Serves, ())))
    }),
    ("NewDevice::on (bus)", |c| of(c.things.bus, |bus| told(c.draft().on(bus, ()).register()))),
    ("Store::unregister_driver", |c| told(c.store().unregister_driver(c.things.driver))),
    ("Store::driver_name", |c| told(c.store().driver_name(c.things.driver))),
    ("Store::devices_of", |c| told(c.store().devices_of(c.things.driver).map(drop))),
    ("Store::bind (driver)", |c| told(c.store().bind(c.device, c.things.driver))),
    ("Store::unbind (driver)", |c| told(c.store().unbind(c.device, c.things.driver))),
    ("Store::unregister_class", |c| told(c.store().unregister_class(c.things.class))),
    ("Store::class_name", |c| told(c.store().class_name(c.things.class))),
    ("Store::devices_in", |c| told(c.store().devices_in(c.things.class).map(drop))),
    ("NewDevice::class (class)", |c| told(c.draft().class(c.things.class).register())),
    ("NewDevice::group (group)", |c| of(c.things.group, |group| told(c.draft().group(group).register()))),
    ("Store::register_class (group)", |c| of(c.things.group, |group| told(c.store().register_class("new", &[group])))),
    ("Store::unobserve", |c| c.unobserve()),
];

fn of<T>(thing: Option<T>, run: impl FnOnce(T) -> String) -> String {
    thing.map_or_else(|| "-".into(), run)
}

const COLUMNS: [&str; 5] = ["idle", "in use", "gone", "another store's", "null"];

/// Things in use by nobody.
fn things(world: &World, turn: &Turn, answer: &Arc<Mutex<String>>) -> Things {
    let store = &world.store;
    let bus = store.register_bus("bus", Slots).unwrap();
    let group = Group::<AnyObject>::new().attribute(Attribute::ro("extra", |_, page| page.line("extra")));
    let (turn, answer) = (Arc::clone(turn), Arc::clone(answer));
    let observer = store.observe(move |notice| {
        let act = turn.lock().unwrap().take();
        if let Some(act) = act {
            *answer.lock().unwrap() = act(notice.store());
        }
    });
    Things {
        bus: Some(bus),
        bus_handle: bus.handle(),
        driver: store.register_driver(world.bus, "driver", Serves, ()).unwrap(),
        class: store.register_class("class", &[]).unwrap(),
        group: Some(store.define_group(group).unwrap()),
        observer: observer.unwrap(),
    }
}

impl Case {
    fn new(sort: Sort, column: &str) -> Self {
        let (world, turn, told) = (World::new(sort), Turn::default(), Arc::default());
        let store = Arc::clone(&world.store);
        let device = world.plug("sda");
        let other = (column == "another store's").then(|| World::new(sort));
        let mut things = match column {
            "null" => Things {
                bus: None,
                bus_handle: BusHandle::null(),
                driver: DriverHandle::null(),
                class: ClassHandle::null(),
                group: Some(GroupHandle::null()),
                observer: ObserverHandle::null(),
            },
            _ => things(other.as_ref().unwrap_or(&world), &turn, &told),
        };
        // Drivers that come are asked about the device while it is free.
        store.unbind(device, world.driver).unwrap();
        match column {
            "in use" => {
                store.bind(device, things.driver).unwrap();
                let (bus, class) = (things.bus.unwrap(), things.class);
                world.draft(store.root(), "sdb").on(bus, ()).class(class).register().unwrap();
            }
            "gone" => {
                store.unregister_bus(things.bus_handle).unwrap();
                store.unregister_driver(things.driver).unwrap();
                store.unregister_class(things.class).unwrap();
                store.unobserve(things.observer).unwrap();
                // Groups are there for as long as their store.
                things.group = None;
            }
            _ => {}
        }
        Self { world, device, things, turn: (column == "in use").then_some(turn), told, _other: other }
    }

    fn store(&self) -> &Store {
        &self.world.store
    }

    fn draft(&self) -> enodev::NewDevice<'_> {
        self.world.draft(self.world.beside, "new")
    }

    fn unobserve(&self) -> String {
        let observer = self.things.observer;
        let Some(turn) = &self.turn else { return told(self.store().unobserve(observer)) };
        *turn.lock().unwrap() = Some(Box::new(move |store| told(store.unobserve(observer))));
        self.world.add(self.world.beside, "noticed").unwrap();
        self.told.lock().unwrap().clone()
    }

    /// What is to be seen of all that the operations change where they succeed.
    fn around(&self) -> impl PartialEq + std::fmt::Debug + use<> {
        let (store, on) = (self.store(), self.world.bus.handle());
        let members = |bus| (store.devices_on(bus).map(Vec::from_iter), store.drivers_on(bus).map(Vec::from_iter));
        let class = store.devices_in(self.things.class).map(Vec::from_iter);
        (
            members(on),
            members(self.things.bus_handle),
            class,
            store.driver_of(self.device),
            store.list(self.world.beside),
        )
    }
}

/// S2-9, S4-8, F48, S3-10: every operation on a bus, a driver, a class or an observer answers what the table says, whether that is used,
/// has left, or never was; where it fails nothing has changed.
#[test]
fn buses_drivers_classes_and_observers_answer_what_the_table_says() {
    let table = table("Buses, drivers, classes and observers");
    assert_eq!(table.columns, COLUMNS);
    let names: Vec<_> = table.rows.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, OPERATIONS.iter().map(|(name, _)| *name).collect::<Vec<_>>());
    let mut wrong = Vec::new();
    for ((name, told), (_, run)) in table.rows.iter().zip(OPERATIONS) {
        for sort in SORTS {
            wrong.extend(wrong_row(name, &table.columns, told, |column, _| {
                let case = Case::new(sort, column);
                let before = case.around();
                let answer = run(&case);
                assert!(answer == "ok" || before == case.around(), "{name}: {column}");
                answer
            }));
        }
    }
    assert_eq!(wrong, [""; 0]);
}
