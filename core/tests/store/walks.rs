//! Going through drivers, devices and members while they come and go.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, OnceLock};
use std::thread;

use enodev::{DeviceHandle, Driver, DriverHandle, Errno, Removal, Scope, Shared};
use parking_lot::Mutex;

use crate::chips::{Bench, Chip, Logger, Numbers};
use crate::common::{GONE, Gate, linger};

/// S1-5, T95: while a driver fails to probe a device it registers one driver and unregisters another. The new one is asked, the one that
/// left is not, and nobody is asked twice.
#[test]
fn drivers_come_and_go_during_a_failing_probe() {
    let bench = Bench::new();
    let (bus, log, leaver) = (bench.bus, Arc::clone(&bench.log), Arc::new(OnceLock::new()));
    let (inner, comer) = (Arc::clone(&leaver), Arc::new(OnceLock::new()));
    let made = Arc::clone(&comer);
    bench.driver(bench.logger("before").probing(|_| Err(Errno::ENXIO)), &[1]);
    let fails = bench.logger("fails").probing(move |device| {
        let store = device.store();
        let after = Logger::new("comes", &log).probing(|_| Err(Errno::ENODEV));
        store.register_driver(bus, "comes", after, vec![1])?;
        made.set(store.register_driver(bus, "takes", Logger::new("takes", &log), vec![1])?).unwrap();
        assert_eq!(store.unregister_driver(*inner.get().unwrap()), Ok(Removal::Done(0)));
        Err(Errno::EIO)
    });
    bench.driver(fails, &[1]);
    leaver.set(bench.driver(bench.logger("leaves"), &[1])).unwrap();
    let device = bench.plug(1);
    assert_eq!(bench.log(), ["before probe 1", "fails probe 1", "comes probe 1", "takes probe 1"]);
    assert_eq!(bench.store.driver_of(device), Ok(comer.get().copied()));
}

/// S1-5, T95: a driver that another thread registers while the last one is asked is asked, too, once.
#[test]
fn a_driver_that_comes_while_the_last_is_asked_is_asked_once() {
    let (bench, gate) = (Bench::new(), Arc::<Gate>::default());
    let stop = Arc::clone(&gate);
    let slow = bench.logger("slow").probing(move |_| {
        stop.pass();
        Err(Errno::ENXIO)
    });
    bench.driver(slow, &[1]);
    thread::scope(|scope| {
        let shut = gate.shut();
        let device = scope.spawn(|| bench.plug(1));
        gate.wait_for(1);
        let late = scope.spawn(|| bench.driver(bench.logger("late"), &[1]));
        linger();
        drop(shut);
        let (device, late) = (device.join().unwrap(), late.join().unwrap());
        assert_eq!(bench.store.driver_of(device), Ok(Some(late)));
    });
    assert_eq!(bench.log(), ["slow probe 1", "late probe 1"]);
}

/// S1-6: while a new driver fails to probe its first device it registers a device and unregisters another. It is asked once about the
/// new one, and not about the one that left.
#[test]
fn devices_come_and_go_during_a_failing_probe() {
    let bench = Bench::new();
    let (bus, chip) = (bench.bus, bench.chip);
    let devices = [1, 2, 3].map(|id| bench.plug(id));
    let picky = bench.logger("picky").probing(move |device| {
        let store = device.store();
        if device.0 == 1 {
            store.new_device(store.root(), "chip4", chip, Chip(4)).on(bus, 4).register()?;
            store.unregister::<Chip>(devices[1])?;
        }
        Err(Errno::ENODEV)
    });
    bench.driver(picky, &[1, 2, 3, 4]);
    assert_eq!(bench.log(), ["picky probe 1", "picky probe 4", "picky probe 3"]);
    let left: Vec<_> = bench.store.devices_on(bus).unwrap().collect();
    let new = bench.store.device(bench.store.lookup("chip4").unwrap()).unwrap();
    assert_eq!(left, [devices[0], devices[2], new]);
}

/// E-32, F32: what a driver refuses a device with stops nobody from asking the next one, be it an error or a panic; who binds the device to
/// the driver by hand is told.
#[test]
fn no_refusal_stops_the_walk() {
    let bench = Bench::new();
    let refusals = [("enodev", Errno::ENODEV), ("enxio", Errno::ENXIO), ("eio", Errno::EIO), ("ebusy", Errno::EBUSY)];
    let refusing = refusals.map(|(name, errno)| bench.driver(bench.logger(name).probing(move |_| Err(errno)), &[1]));
    let panics = bench.driver(bench.logger("panics").probing(|_| panic!("on purpose")), &[1]);
    let device = bench.plug(1);
    let asked: Vec<_> = bench.log().iter().map(|line| line.split(' ').next().unwrap().to_owned()).collect();
    assert_eq!(asked, ["enodev", "enxio", "eio", "ebusy", "panics"]);
    for (driver, (_, errno)) in refusing.into_iter().zip(refusals).chain([(panics, ("", Errno::EIO))]) {
        assert_eq!(bench.store.bind(device, driver), Err(errno.into()));
        assert_eq!(bench.store.driver_of(device), Ok(None));
    }
}

/// A walk through the bits of handles.
type Walk = Box<dyn Iterator<Item = u64>>;
type Walks = Box<dyn Fn(&Bench) -> Walk>;
type Removes = Box<dyn Fn(&Bench, u64)>;

/// One of the lists, and how members come and go.
struct List {
    walk: Walks,
    remove: Removes,
    add: Box<dyn Fn(&Bench) -> u64>,
}

fn boxed(devices: impl Iterator<Item = DeviceHandle> + 'static) -> Walk {
    Box::new(devices.map(DeviceHandle::to_bits))
}

/// The lists of a bus, of a driver and of a class.
fn lists(bench: &Bench) -> [List; 4] {
    let class = bench.store.register_class("class", &[]).unwrap();
    let all = bench.driver(bench.logger("all"), &Vec::from_iter(0..1_000));
    let count = Arc::new(AtomicUsize::new(0));
    let unplug = |bench: &Bench, bits| {
        assert!(bench.store.unregister::<Chip>(DeviceHandle::from_bits(bits)).is_ok());
    };
    let plug = move |bench: &Bench| {
        let id = count.fetch_add(1, SeqCst) as u32;
        let device = bench.store.new_device(bench.store.root(), &format!("chip{id}"), bench.chip, Chip(id));
        device.on(bench.bus, id).class(class).register().unwrap().to_bits()
    };
    let plug = Arc::new(plug);
    let devices = |walk: Walks| {
        let plug = Arc::clone(&plug);
        List { walk, remove: Box::new(unplug), add: Box::new(move |bench| plug(bench)) }
    };
    let named = AtomicUsize::new(0);
    [
        devices(Box::new(|bench| boxed(bench.store.devices_on(bench.bus).unwrap()))),
        devices(Box::new(move |bench| boxed(bench.store.devices_of(all).unwrap()))),
        devices(Box::new(move |bench| boxed(bench.store.devices_in(class).unwrap()))),
        List {
            walk: Box::new(move |bench| {
                let drivers = bench.store.drivers_on(bench.bus).unwrap();
                Box::new(drivers.filter(move |driver| *driver != all).map(DriverHandle::to_bits))
            }),
            remove: Box::new(|bench, bits| {
                assert!(bench.store.unregister_driver(DriverHandle::from_bits(bits)).is_ok());
            }),
            add: Box::new(move |bench| {
                let name = format!("driver{}", named.fetch_add(1, SeqCst));
                bench.store.register_driver(bench.bus, &name, bench.logger("idle"), Vec::new()).unwrap().to_bits()
            }),
        },
    ]
}

/// T73, T77, T78, T79, T80, T102, S1-12, F42, E-37: members are met in the order in which they came. A walk that began before others came or
/// left goes on as it began, also past the member that it is at and that it removes itself; it keeps no removal waiting.
#[test]
fn walks_go_on_while_members_come_and_go() {
    for which in 0..4 {
        let bench = Bench::new();
        let list = &lists(&bench)[which];
        let walk = |bench| (list.walk)(bench).collect::<Vec<_>>();
        let mut members: Vec<_> = (0..100).map(|_| (list.add)(&bench)).collect();
        assert_eq!(walk(&bench), members);
        let old = (list.walk)(&bench);
        for (n, member) in (list.walk)(&bench).enumerate() {
            if n % 3 == 0 {
                (list.remove)(&bench, member);
            }
            if n == 50 {
                (list.remove)(&bench, members[52]);
            }
            if n % 10 == 0 {
                members.push((list.add)(&bench));
            }
        }
        assert_eq!(old.collect::<Vec<_>>(), members[..100], "the walk is of its beginning");
        let mut left: Vec<_> =
            members.iter().enumerate().filter(|(n, _)| *n >= 100 || *n % 3 != 0 && *n != 52).collect();
        left.sort();
        assert_eq!(walk(&bench), left.into_iter().map(|(_, member)| *member).collect::<Vec<_>>());
        walk(&bench).into_iter().for_each(|member| (list.remove)(&bench, member));
        assert_eq!(walk(&bench), [0; 0]);
    }
}

/// S1-12, T102, E-38, G-9: threads walk a bus and a class while devices come and go. Those who stay are met in every walk, once, in order; and
/// who meets one that has left is told so by its handle.
#[test]
fn walks_meet_all_who_stay() {
    const ROUNDS: u32 = 400;
    let bench = Bench::new();
    let class = bench.store.register_class("class", &[]).unwrap();
    let plug = |id| {
        let device = bench.store.new_device(bench.store.root(), &format!("chip{id}"), bench.chip, Chip(id));
        device.on(bench.bus, id).class(class).register().unwrap()
    };
    let stay: Vec<_> = (0..40).map(&plug).collect();
    let (stay, done) = (&stay, AtomicBool::new(false));
    thread::scope(|scope| {
        for is_class in [false, true] {
            let (bench, done) = (&bench, &done);
            scope.spawn(move || {
                while !done.load(SeqCst) {
                    let met: Vec<_> = match is_class {
                        true => bench.store.devices_in(class).unwrap().collect(),
                        false => bench.store.devices_on(bench.bus).unwrap().collect(),
                    };
                    let known: Vec<_> = met.iter().filter(|device| stay.contains(device)).collect();
                    assert_eq!(known, Vec::from_iter(stay));
                    for device in met.iter().filter(|device| !stay.contains(device)) {
                        assert!(matches!(bench.store.read(*device, "id"), Ok(_) | Err(GONE)));
                    }
                }
            });
        }
        for id in 1_000..1_000 + ROUNDS {
            let device = plug(id);
            assert_eq!(bench.store.unregister::<Chip>(device).unwrap(), Chip(id));
        }
        done.store(true, SeqCst);
    });
    assert_eq!(bench.store.devices_in(class).unwrap().count(), 40);
}

/// Counts which devices it serves, and is refused those that it did not ask for.
struct Counting(Arc<Mutex<Vec<u32>>>);

impl Driver for Counting {
    type Bus = Numbers;
    type Device = Shared<Chip>;
    type Data = u32;

    fn probe(&self, device: &mut Scope<'_, Self::Device>) -> Result<u32, Errno> {
        self.0.lock().push(device.0);
        Ok(device.0)
    }

    fn remove(&self, device: &mut Scope<'_, Self::Device>, data: u32) {
        assert_eq!(device.0, data);
        let mut all = self.0.lock();
        let at = all.iter().position(|one| *one == data).unwrap();
        all.swap_remove(at);
    }
}

/// S1-5, S1-6, S1-8, F38: devices and drivers come and go in several threads. When all is still every device that a driver serves is bound, to
/// one that knows of it; and drivers that left know of none.
#[test]
fn when_all_is_still_every_device_has_found_its_driver() {
    let bench = Bench::new();
    let known: Vec<_> = (0..3).map(|_| Arc::<Mutex<Vec<u32>>>::default()).collect();
    let names = ["a", "b", "c"];
    thread::scope(|scope| {
        for (name, known) in names.into_iter().zip(&known) {
            let bench = &bench;
            scope.spawn(move || {
                let register = || {
                    let counting = Counting(Arc::clone(known));
                    bench.store.register_driver(bench.bus, name, counting, Vec::from_iter(0..64)).unwrap()
                };
                for _ in 0..30 {
                    let driver = register();
                    thread::yield_now();
                    assert!(bench.store.unregister_driver(driver).is_ok());
                    assert_eq!(*known.lock(), [0; 0]);
                }
                register();
            });
        }
        for n in 0..2 {
            let bench = &bench;
            scope.spawn(move || {
                for round in 0..120 {
                    let id = n * 32 + round % 32;
                    let device = bench.plug(id);
                    if round < 88 {
                        assert_eq!(bench.store.unregister::<Chip>(device), Ok(Chip(id)));
                    }
                }
            });
        }
    });
    let devices: Vec<_> = bench.store.devices_on(bench.bus).unwrap().collect();
    assert_eq!(devices.len(), 64);
    assert!(devices.iter().all(|device| bench.store.driver_of(*device).unwrap().is_some()));
    let mut all: Vec<_> = known.iter().flat_map(|known| known.lock().clone()).collect();
    all.sort_unstable();
    assert_eq!(all, Vec::from_iter(0..64));
}
