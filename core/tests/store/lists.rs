//! The lists that devices and drivers are in: of a bus, of a parent, of a driver.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::thread;

use enodev::{
    Bus, BusType, DeviceHandle, DeviceType, Driver, DriverHandle, EntryKind, Errno, Error, KobjectHandle, Removal,
    Scope, Shared, Store, Type,
};

use crate::chips::{Bench, Chip, Log};
use crate::common::{GONE, Gate, linger, names_in, until};

/// The children of an object that are devices.
fn children(store: &Store, parent: KobjectHandle) -> Vec<DeviceHandle> {
    let list = store.list(parent).unwrap();
    let objects = list.into_iter().filter_map(|entry| match entry.kind {
        EntryKind::Object(object) => store.device(object).ok(),
        _ => None,
    });
    objects.collect()
}

/// Asserts that nobody is in a list twice; returns who is in it.
#[track_caller]
fn once<T: Ord + Copy>(list: impl IntoIterator<Item = T>) -> BTreeSet<T> {
    let list: Vec<_> = list.into_iter().collect();
    let set: BTreeSet<_> = list.iter().copied().collect();
    assert_eq!(set.len(), list.len(), "somebody is in it twice");
    set
}

/// S1-1: devices and drivers come and go in several threads while others go through a bus's devices, its drivers, a parent's children and a
/// driver's devices. Each finds those who stay, nobody twice, and what has come and not what has gone; at the end the four agree.
#[test]
fn the_four_lists_stay_whole() {
    let bench = Bench::new();
    let (store, bus) = (&bench.store, bench.bus.handle());
    let top = store.create(store.root(), "top").unwrap();
    let resident = bench.driver(bench.logger("resident"), &Vec::from_iter(100..110));
    let residents: BTreeSet<_> = (100..110).map(|id| bench.plug_under(top, id)).collect();
    let is_done = AtomicBool::new(false);
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while !is_done.load(SeqCst) {
                    assert!(once(store.devices_on(bus).unwrap()).is_superset(&residents));
                    assert!(once(children(store, top)).is_superset(&residents));
                    assert!(once(store.drivers_on(bus).unwrap()).contains(&resident));
                    assert_eq!(once(store.devices_of(resident).unwrap()), residents);
                }
            });
        }
        let plug = |n: u32| {
            for round in 0..150 {
                let device = bench.plug_under(top, n * 10 + round % 3);
                assert!(store.devices_on(bus).unwrap().any(|one| one == device));
                assert!(children(store, top).contains(&device));
                // Some stay until the end.
                if round < 147 {
                    store.unregister::<Chip>(device).unwrap();
                    assert!(store.devices_on(bus).unwrap().all(|one| one != device));
                    assert!(!children(store, top).contains(&device));
                }
            }
        };
        let register = |name| {
            for round in 0..60 {
                let driver = bench.driver(bench.logger(name), &Vec::from_iter(0..20));
                assert!(store.drivers_on(bus).unwrap().any(|one| one == driver));
                if round < 59 {
                    store.unregister_driver(driver).unwrap();
                    assert!(store.drivers_on(bus).unwrap().all(|one| one != driver));
                }
            }
        };
        let workers = [scope.spawn(move || plug(0)), scope.spawn(move || plug(1))];
        let registrars = ["a", "b"].map(|name| scope.spawn(move || register(name)));
        let all = workers.into_iter().chain(registrars).map(|worker| worker.join());
        let all: Vec<_> = all.collect();
        is_done.store(true, SeqCst);
        assert!(all.iter().all(Result::is_ok));
    });
    let devices = once(store.devices_on(bus).unwrap());
    let drivers = once(store.drivers_on(bus).unwrap());
    assert_eq!((devices.len(), drivers.len()), (16, 3));
    assert_eq!(once(children(store, top)), devices);
    let served =
        |driver: DriverHandle| devices.iter().copied().filter(move |d| store.driver_of(*d) == Ok(Some(driver)));
    for driver in &drivers {
        assert_eq!(once(store.devices_of(*driver).unwrap()), once(served(*driver)));
    }
    assert_eq!(drivers.iter().map(|driver| served(*driver).count()).sum::<usize>(), devices.len());
}

/// A bus on which one look for a match is held up: that of a device and a driver that both know the number 7.
struct Held(Arc<Gate>);

const HELD: u32 = 7;

impl BusType for Held {
    type Id = u32;
    type IdTable = Vec<u32>;

    fn matches(&self, id: &u32, table: &Vec<u32>) -> bool {
        if *id == HELD && table.contains(&HELD) {
            self.0.pass();
        }
        table.contains(id) || table.contains(&HELD)
    }
}

/// Writes down what it is asked about, and takes all but the device 7, about which it is held up too.
struct Asked {
    name: &'static str,
    log: Log,
    gate: Arc<Gate>,
}

impl Driver for Asked {
    type Bus = Held;
    type Device = Shared<Chip>;
    type Data = ();

    fn probe(&self, device: &mut Scope<'_, Self::Device>) -> Result<(), Errno> {
        self.log.lock().push(format!("{} {}", self.name, device.0));
        if device.0 == HELD && self.name == "slow" {
            self.gate.pass();
            return Err(Errno::ENODEV);
        }
        Ok(())
    }
}

/// A store with such a bus, whose matches and probes have a gate each.
struct Slow {
    store: Store,
    bus: Bus<Held>,
    chip: Type<Shared<Chip>>,
    log: Log,
    gates: [Arc<Gate>; 2],
}

impl Slow {
    fn new() -> Self {
        let (store, gates) = (Store::new().unwrap(), [(); 2].map(|()| Arc::<Gate>::default()));
        let bus = store.register_bus("held", Held(Arc::clone(&gates[0]))).unwrap();
        let chip = store.define(DeviceType::shared::<Chip>("chip")).unwrap();
        Self { store, bus, chip, log: Log::default(), gates }
    }

    fn driver(&self, name: &'static str, ids: &[u32]) -> DriverHandle {
        let driver = Asked { name, log: Arc::clone(&self.log), gate: Arc::clone(&self.gates[1]) };
        self.store.register_driver(self.bus, name, driver, ids.into()).unwrap()
    }

    fn plug(&self, id: u32) -> DeviceHandle {
        let device = self.store.new_device(self.store.root(), &format!("chip{id}"), self.chip, Chip(id));
        device.on(self.bus, id).register().unwrap()
    }
}

/// S1-4, S1-5: while the bus looks whether a driver matches a new device, and while the driver is asked, others come and go on the bus and
/// wait for nothing; and who walks through the drivers knows of it: the one that came is asked, the one that left is not.
#[test]
fn a_new_device_keeps_no_list_locked() {
    for which in 0..2 {
        let slow = Slow::new();
        let (store, bus) = (&slow.store, slow.bus.handle());
        let first = slow.driver("slow", &[HELD]);
        let leaves = slow.driver("leaves", &[HELD + 1, HELD + 2]);
        thread::scope(|scope| {
            let shut = slow.gates[which].shut();
            let device = scope.spawn(|| slow.plug(HELD));
            slow.gates[which].wait_for(1);
            // None of these returns where a list is kept locked.
            let other = slow.plug(1);
            assert_eq!(store.devices_on(bus).unwrap().count(), 2);
            let second = slow.driver("second", &[2]);
            assert_eq!(store.drivers_on(bus).unwrap().collect::<Vec<_>>(), [first, leaves, second]);
            assert_eq!(store.unregister_driver(leaves), Ok(Removal::Done(0)));
            assert_eq!(store.unregister::<Chip>(other), Ok(Chip(1)));
            // This one waits for the device, and is on the bus.
            let late = scope.spawn(|| slow.driver("late", &[HELD, HELD + 1]));
            until(|| store.drivers_on(bus).unwrap().count() == 3);
            drop(shut);
            let (device, late) = (device.join().unwrap(), late.join().unwrap());
            assert_eq!(store.driver_of(device), Ok(Some(late)));
        });
        let mut log = std::mem::take(&mut *slow.log.lock());
        log.retain(|line| line.ends_with(" 7"));
        assert_eq!(log, ["slow 7", "late 7"], "{which}");
    }
}

/// S1-4, S1-6: the same for a new driver: while it is held up at one device, others come and go and wait for nothing. Those that came find
/// it, and it is not asked about the one that left.
#[test]
fn a_new_driver_keeps_no_list_locked() {
    for which in 0..2 {
        let slow = Slow::new();
        let (store, bus) = (&slow.store, slow.bus.handle());
        let devices = [HELD, 1, 2].map(|id| slow.plug(id));
        thread::scope(|scope| {
            let shut = slow.gates[which].shut();
            let driver = scope.spawn(|| slow.driver("slow", &[HELD]));
            slow.gates[which].wait_for(1);
            // None of these returns where a list is kept locked.
            let here = store.drivers_on(bus).unwrap().next().unwrap();
            let comes = slow.plug(3);
            assert_eq!(store.driver_of(comes), Ok(Some(here)));
            assert_eq!(store.devices_of(here).unwrap().collect::<Vec<_>>(), [comes]);
            assert_eq!(store.unregister::<Chip>(devices[1]), Ok(Chip(1)));
            assert_eq!(store.devices_on(bus).unwrap().collect::<Vec<_>>(), [devices[0], devices[2], comes]);
            drop(shut);
            assert_eq!(driver.join().unwrap(), here);
        });
        assert_eq!(
            *slow.log.lock(),
            if which == 0 { ["slow 3", "slow 7", "slow 2"] } else { ["slow 7", "slow 3", "slow 2"] }
        );
    }
}

/// S3-7: a device that somebody is still inside of is on its way out: whoever comes by its handle, its name, a link, its bus, its driver or its
/// parent does not get it any more, no driver is asked about it and nothing is added to it; and the one who is inside goes on as before.
#[test]
fn nobody_gets_at_a_device_before_the_last_has_left_it() {
    let bench = Bench::new();
    let (store, bus) = (&bench.store, bench.bus.handle());
    let driver = bench.driver(bench.logger("all"), &[1]);
    let top = bench.plug(9);
    let device = bench.plug_under(top, 1);
    store.link(store.root(), "first", device).unwrap();
    bench.log();
    thread::scope(|scope| {
        let data = store.data::<String>(device).unwrap();
        let removal = scope.spawn(|| store.unregister_subtree(device));
        until(|| !store.contains(device));
        linger();
        assert!(!removal.is_finished());
        let by_handle = [
            store.enter::<Chip>(device).map(drop),
            store.data::<String>(device).map(drop),
            store.read(device, "id").map(drop),
            store.list(device).map(drop),
            store.lock(device).map(drop),
            store.bind(device, driver),
            store.unbind(device, driver).map(drop),
            store.attach(device).map(drop),
            store.suspend(device),
            store.rename(device, "other"),
            store.driver_of(device).map(drop),
        ];
        assert_eq!(by_handle, [Err(GONE); 11]);
        let by_name = ["chip9/chip1", "first", "chip9/chip1/id"].map(|path| store.lookup(path));
        assert_eq!(by_name, [Err(Error::NotFound); 3]);
        let listed = store.devices_on(bus).unwrap().chain(store.devices_of(driver).unwrap());
        let reached: Vec<_> = listed.filter(|device| store.enter::<Chip>(*device).is_ok()).collect();
        assert_eq!((reached, names_in(store, top)), (vec![top], Vec::new()));
        let late = bench.driver(bench.logger("late"), &[1]);
        let child = store.new_device(device, "chip2", bench.chip, Chip(2)).on(bench.bus, 2).register();
        assert_eq!((child, store.link(top, "again", device)), (Err(GONE), Err(GONE)));
        store.suspend(top).unwrap();
        assert_eq!((&**data, bench.log()), ("all", Vec::new()));
        drop(data);
        assert_eq!(removal.join().unwrap(), Ok(Removal::Done(1)));
        assert_eq!(bench.log(), ["all remove 1"]);
        assert_eq!([driver, late].map(|driver| store.devices_of(driver).unwrap().count()), [0; 2]);
        assert_eq!(store.devices_on(bus).unwrap().collect::<Vec<_>>(), [top]);
    });
}
