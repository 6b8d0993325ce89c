//! Unbinding: who waits for whom, who is told what, and what is over when it returns.

use std::mem;
use std::sync::{Arc, Barrier, OnceLock, Weak};
use std::thread;

use enodev::{AnyObject, BusType, DeviceType, Driver, Errno, Error, Removal, Scope, Store};
use parking_lot::Mutex;

use crate::chips::{Bench, Chip, Numbers};
use crate::common::{GONE, Gate, Rig, linger, until};

/// E-6: of two who unbind a device the one who comes second returns when the first is done, and is told that it was not it; so does who
/// unregisters the device.
#[test]
fn a_second_unbind_waits_for_the_first() {
    for round in 0..20 {
        let bench = Bench::new();
        let driver = bench.driver(bench.logger("all"), &[1]);
        let device = bench.plug(1);
        thread::scope(|scope| {
            let data = bench.store.data::<String>(device).unwrap();
            let first = scope.spawn(|| bench.store.unbind(device, driver));
            until(|| bench.store.data::<String>(device).is_err());
            let second = scope.spawn(|| match round % 2 {
                0 => bench.store.unbind(device, driver),
                _ => bench.store.unregister_subtree(device),
            });
            linger();
            assert!(!first.is_finished() && !second.is_finished());
            assert_eq!(bench.log(), ["all probe 1"]);
            drop(data);
            assert_eq!(first.join().unwrap(), Ok(Removal::Done(1)));
            let expected = if round % 2 == 0 { Err(Error::NotBound) } else { Ok(Removal::Done(1)) };
            assert_eq!(second.join().unwrap(), expected);
        });
        assert_eq!(bench.log(), ["all remove 1"]);
    }
}

/// E-6: of two who unregister a driver the one who comes second returns when nothing of it runs any more, too.
#[test]
fn a_second_removal_of_a_driver_waits_for_the_first() {
    let (bench, gate) = (Bench::new(), Arc::<Gate>::default());
    let stop = Arc::clone(&gate);
    let slow = bench.logger("slow").probing(move |_| {
        stop.pass();
        Err(Errno::ENXIO)
    });
    let driver = bench.driver(slow, &[1]);
    thread::scope(|scope| {
        let shut = gate.shut();
        let device = scope.spawn(|| bench.plug(1));
        gate.wait_for(1);
        let removers = [(); 2].map(|()| scope.spawn(|| bench.store.unregister_driver(driver)));
        until(|| bench.store.devices_of(driver).is_err());
        let late = scope.spawn(|| bench.store.unregister_driver(driver));
        linger();
        assert!(removers.iter().chain([&late]).all(|remover| !remover.is_finished()));
        drop(shut);
        let mut told: Vec<_> = removers.into_iter().map(|remover| remover.join().unwrap()).collect();
        told.sort_by_key(Result::is_err);
        assert_eq!(told, [Ok(Removal::Done(0)), Err(GONE)]);
        assert_eq!(late.join().unwrap(), Err(GONE));
        assert_eq!(bench.store.driver_of(device.join().unwrap()), Ok(None));
    });
    assert_eq!((bench.log(), Arc::strong_count(&bench.log)), (vec!["slow probe 1".into()], 1));
}

/// E-6, F38: a driver is unregistered while another thread unbinds its device, or removes it: that is waited for, and nothing is left for later.
#[test]
fn a_driver_waits_for_who_lets_go_of_its_device() {
    for round in 0..20 {
        let bench = Bench::new();
        let driver = bench.driver(bench.logger("all"), &[1]);
        let device = bench.plug(1);
        thread::scope(|scope| {
            let data = bench.store.data::<String>(device).unwrap();
            let first = scope.spawn(|| match round % 2 {
                0 => bench.store.unbind(device, driver),
                _ => bench.store.unregister_subtree(device),
            });
            until(|| bench.store.data::<String>(device).is_err());
            let second = scope.spawn(|| bench.store.unregister_driver(driver));
            until(|| bench.store.drivers_on(bench.bus.handle()).unwrap().count() == 0);
            linger();
            assert!(!first.is_finished() && !second.is_finished());
            drop(data);
            assert_eq!(first.join().unwrap(), Ok(Removal::Done(1)));
            let removed = second.join().unwrap();
            assert!(matches!(removed, Ok(Removal::Done(_))), "{removed:?}");
        });
        assert_eq!(
            (bench.log(), Arc::strong_count(&bench.log)),
            (vec!["all probe 1".into(), "all remove 1".into()], 1)
        );
    }
}

/// E-6: who cannot wait for another thread's unbinding is told so: it is in a callback itself.
#[test]
fn who_cannot_wait_for_an_unbinding_is_told() {
    let bench = Bench::new();
    let driver = bench.driver(bench.logger("all"), &[1]);
    let (device, other) = (bench.plug(1), bench.plug(2));
    thread::scope(|scope| {
        let data = bench.store.data::<String>(device).unwrap();
        let first = scope.spawn(|| bench.store.unbind(device, driver));
        until(|| bench.store.data::<String>(device).is_err());
        let second = scope.spawn(|| {
            let _inside = bench.store.enter::<Chip>(other).unwrap();
            bench.store.unbind(device, driver)
        });
        assert_eq!(second.join().unwrap(), Err(Error::Leaving));
        assert!(!first.is_finished());
        drop(data);
        assert_eq!(first.join().unwrap(), Ok(Removal::Done(1)));
    });
}

/// S1-8, T94, F38: a driver that is unregistered while it probes a new device has given that up again when its removal returns.
#[test]
fn a_driver_that_leaves_while_it_probes_gives_the_device_up() {
    let (bench, gate) = (Bench::new(), Arc::<Gate>::default());
    let stop = Arc::clone(&gate);
    let driver = bench.driver(
        bench.logger("slow").probing(move |_| {
            stop.pass();
            Ok(())
        }),
        &[1],
    );
    thread::scope(|scope| {
        let shut = gate.shut();
        let device = scope.spawn(|| bench.plug(1));
        gate.wait_for(1);
        let removal = scope.spawn(|| bench.store.unregister_driver(driver));
        until(|| bench.store.drivers_on(bench.bus).unwrap().count() == 0);
        linger();
        assert!(!removal.is_finished());
        drop(shut);
        assert_eq!(removal.join().unwrap(), Ok(Removal::Done(0)));
        assert_eq!(bench.log(), ["slow probe 1", "slow remove 1"]);
        assert_eq!(Arc::strong_count(&bench.log), 1);
        let device = device.join().unwrap();
        assert_eq!((bench.store.driver_of(device), bench.store.bind(device, driver)), (Ok(None), Err(GONE)));
    });
}

/// S1-8, T94: whichever is first, the removal of a driver or its being asked about a new device, the device is free afterwards, and each
/// probe that took it has had its remove.
#[test]
fn new_devices_race_removals_of_their_driver() {
    let bench = Bench::new();
    for _ in 0..200 {
        let driver = bench.driver(bench.logger("all"), &[1]);
        let start = Barrier::new(2);
        let device = thread::scope(|scope| {
            let device = scope.spawn(|| {
                start.wait();
                bench.plug(1)
            });
            start.wait();
            assert!(matches!(bench.store.unregister_driver(driver), Ok(Removal::Done(_))));
            assert_eq!(Arc::strong_count(&bench.log), 1, "the driver has been dropped");
            device.join().unwrap()
        });
        assert_eq!(bench.store.driver_of(device), Ok(None));
        let log = bench.log();
        assert!(log.is_empty() || log == ["all probe 1", "all remove 1"], "{log:?}");
        bench.store.unregister::<Chip>(device).unwrap();
    }
}

/// S1-8, F33, F47, E-28: a device that is unregistered while a driver probes it is let go of by that driver, and no other is asked about
/// it.
#[test]
fn a_device_that_leaves_while_it_is_probed_is_let_go_of() {
    let (bench, gate) = (Bench::new(), Arc::<Gate>::default());
    let stop = Arc::clone(&gate);
    let slow = bench.logger("slow").probing(move |_| {
        stop.pass();
        Ok(())
    });
    let driver = bench.driver(slow, &[1]);
    thread::scope(|scope| {
        let shut = gate.shut();
        let device = scope.spawn(|| bench.plug(1));
        gate.wait_for(1);
        let (store, object) = (&bench.store, bench.store.lookup("chip1").unwrap());
        let removal = scope.spawn(move || store.unregister_subtree(object));
        until(|| !store.contains(object));
        let late = bench.driver(bench.logger("late"), &[1]);
        drop(shut);
        assert_eq!(removal.join().unwrap(), Ok(Removal::Done(1)));
        let device = device.join().unwrap();
        assert_eq!(bench.log(), ["slow probe 1", "slow remove 1"]);
        let answers = [bench.store.bind(device, late), bench.store.unbind(device, driver).map(drop)];
        assert_eq!((answers, bench.store.attach(device)), ([Err(GONE); 2], Err(GONE)));
        assert_eq!(bench.store.devices_on(bench.bus).unwrap().count(), 0);
    });
}

/// D-18, S0-15, S1-9: a driver that unbinds its device again, unregisters itself or the device in `remove` does not wait for itself.
#[test]
fn a_remove_may_try_to_remove_all_over_again() {
    let (bench, own) = (Bench::new(), Arc::new(OnceLock::new()));
    let inner = Arc::clone(&own);
    let driver = bench.logger("again").removing(move |device| {
        let (store, driver) = (device.store(), *inner.get().unwrap());
        assert_eq!(store.data::<String>(device.device()).unwrap_err(), Error::NotBound);
        assert_eq!(store.unbind(device.device(), driver), Err(Error::Leaving));
        assert_eq!(store.unregister::<Chip>(device.device()), Err(Error::Inside));
        assert_eq!(store.unregister_driver(driver), Ok(Removal::Begun(1)));
        assert_eq!(store.unregister_subtree(device.device()), Ok(Removal::Begun(1)));
    });
    let driver = bench.driver(driver, &[1]);
    own.set(driver).unwrap();
    let device = bench.plug(1);
    assert_eq!(bench.store.unbind(device, driver), Ok(Removal::Done(1)));
    assert_eq!(bench.log(), ["again probe 1", "again remove 1"]);
    assert!(!bench.store.contains(device) && bench.store.is_empty());
    assert_eq!(bench.store.unregister_driver(driver), Err(GONE));
    assert_eq!(Arc::strong_count(&bench.log), 1);
}

/// T86: after a probe the whole way of removal and the next probe find nothing that was left behind, however often.
#[test]
fn what_was_bound_can_be_bound_again() {
    let bench = Bench::new();
    let driver = bench.driver(bench.logger("all"), &[1]);
    let device = bench.plug(1);
    for round in 0..20 {
        assert_eq!(bench.log(), ["all probe 1"]);
        assert_eq!(bench.store.devices_of(driver).unwrap().collect::<Vec<_>>(), [device]);
        assert_eq!(*bench.store.data::<String>(device).unwrap(), "all");
        bench.store.suspend(device).unwrap();
        assert_eq!(bench.store.unbind(device, driver), Ok(Removal::Done(1)));
        assert_eq!(bench.log(), ["all suspend 1", "all remove 1"]);
        assert_eq!(bench.store.devices_of(driver).unwrap().count(), 0);
        assert_eq!(bench.store.data::<String>(device).unwrap_err(), Error::NotBound);
        // Nobody has it any more that could wake it.
        bench.store.resume(device).unwrap();
        match round % 2 {
            0 => bench.store.bind(device, driver).unwrap(),
            _ => assert_eq!(bench.store.attach(device), Ok(Some(driver))),
        }
        assert_eq!(bench.store.attach(device), Ok(Some(driver)));
    }
}

/// T51, T52: a device on no bus, which no driver was asked about, has its payload dropped by its removal, also while handles and files of it
/// are held, which do not hold it.
#[test]
fn a_device_without_a_driver_goes_whoever_has_a_handle() {
    let rig = Rig::new();
    let device = rig.add(rig.store.root(), "sda");
    let file = rig.open(device, "text");
    assert_eq!(rig.store.unregister_subtree(device), Ok(Removal::Done(1)));
    assert_eq!(rig.dropped(), ["sda"]);
    assert_eq!(file.read(&rig.store, &mut [0]), Err(Errno::ENODEV));
    assert_eq!((rig.store.driver_of(device), rig.store.attach(device)), (Err(GONE), Err(GONE)));
}

/// T53, T54: a device on a bus, whose drivers are for others, has its payload dropped by its removal. Handles and files of it, held or
/// not, do not hold it; who is inside does, for as long as that lasts.
#[test]
fn a_device_that_was_never_bound_goes_whoever_has_a_handle() {
    for is_held in [false, true] {
        let (rig, log) = (Rig::new(), Arc::<Mutex<Vec<_>>>::default());
        let bus = rig.store.register_bus("numbers", Numbers).unwrap();
        let _other = rig.store.register_driver(bus, "other", Noting(Arc::clone(&log)), vec![2]).unwrap();
        let disk = rig.payload("sda");
        let device = rig.store.new_device(rig.store.root(), "sda", rig.disk, disk).on(bus, 1).register().unwrap();
        let file = is_held.then(|| rig.open(device, "text"));
        thread::scope(|scope| {
            let inside = is_held.then(|| rig.store.enter::<crate::common::Disk>(device).unwrap());
            let removal = scope.spawn(|| rig.store.unregister_subtree(device));
            until(|| !rig.store.contains(device));
            if let Some(inside) = inside {
                linger();
                assert!(!removal.is_finished() && rig.dropped().is_empty());
                assert_eq!(inside.name, "sda");
            }
            assert_eq!(removal.join().unwrap(), Ok(Removal::Done(1)));
        });
        assert_eq!((rig.dropped(), log.lock().len()), (vec!["sda".to_owned()], 0));
        assert_eq!(file.map(|file| file.read(&rig.store, &mut [0])), is_held.then_some(Err(Errno::ENODEV)));
        assert_eq!((rig.store.devices_on(bus.handle()).unwrap().count(), rig.store.bus_of(device)), (0, Err(GONE)));
    }
}

/// A driver of whatever is on the bus of numbers. Its data notes its own end.
struct Noting(Arc<Mutex<Vec<&'static str>>>);

struct Note(Arc<Mutex<Vec<&'static str>>>);

impl Drop for Note {
    fn drop(&mut self) {
        self.0.lock().push("data");
    }
}

impl Driver for Noting {
    type Bus = Numbers;
    type Device = AnyObject;
    type Data = Note;

    fn probe(&self, _: &mut Scope<'_, AnyObject>) -> Result<Note, Errno> {
        Ok(Note(Arc::clone(&self.0)))
    }
}

impl Drop for Noting {
    fn drop(&mut self) {
        self.0.lock().push("driver");
    }
}

/// T55, T56, E-31, F36: a device that was probed gives its driver's data and then its payload up as it is removed, also while handles and
/// files of it are held; and the driver goes when it is unregistered.
#[test]
fn a_bound_device_goes_whoever_has_a_handle() {
    let (rig, log) = (Rig::new(), Arc::<Mutex<Vec<_>>>::default());
    let bus = rig.store.register_bus("numbers", Numbers).unwrap();
    let driver = rig.store.register_driver(bus, "noting", Noting(Arc::clone(&log)), vec![1]).unwrap();
    let disk = rig.payload("sda");
    let device = rig.store.new_device(rig.store.root(), "sda", rig.disk, disk).on(bus, 1).register().unwrap();
    let file = rig.open(device, "text");
    assert_eq!(rig.store.driver_of(device), Ok(Some(driver)));
    let disk = rig.store.unregister::<crate::common::Disk>(device).unwrap();
    assert_eq!((rig.dropped().len(), log.lock().as_slice()), (0, &["data"][..]));
    drop(disk);
    assert_eq!(file.read(&rig.store, &mut [0]), Err(Errno::ENODEV));
    assert_eq!(rig.store.unregister_driver(driver), Ok(Removal::Done(0)));
    assert_eq!(&*log.lock(), &["data", "driver"]);
}

/// S0-3: what is bound when its store is dropped is let go of, children before parents, then payloads and drivers are dropped; guards of
/// the drivers' data that were forgotten delay nobody.
#[test]
fn a_store_that_is_dropped_unbinds() {
    let bench = Bench::new();
    bench.driver(bench.logger("all"), &[1, 2, 3]);
    let parent = bench.plug(1);
    bench.plug_under(parent, 2);
    mem::forget(bench.store.data::<String>(parent).unwrap());
    bench.log();
    let Bench { store, log, .. } = bench;
    drop(store);
    assert_eq!(*log.lock(), ["all remove 2", "all remove 1"]);
    assert_eq!(Arc::strong_count(&log), 1);
}

/// What a device says that it is, and what the bus has come to as that is dropped.
struct Id {
    store: Weak<Store>,
    bus: Arc<OnceLock<enodev::BusHandle>>,
    told: Arc<Mutex<Vec<enodev::Result>>>,
}

impl Drop for Id {
    fn drop(&mut self) {
        if let (Some(store), Some(bus)) = (self.store.upgrade(), self.bus.get()) {
            self.told.lock().push(store.unregister_bus(*bus));
        }
    }
}

struct Careful;

impl BusType for Careful {
    type Id = Id;
    type IdTable = ();

    fn matches(&self, _: &Id, (): &()) -> bool {
        false
    }
}

/// S0-3, S3-10: what a device said to its bus is the bus's code: when the bus is gone, all of it has been dropped.
#[test]
fn no_id_outlives_its_bus() {
    let store = Arc::new(Store::new().unwrap());
    let (bus, told) = (store.register_bus("careful", Careful).unwrap(), Arc::<Mutex<Vec<_>>>::default());
    let handle = Arc::new(OnceLock::from(bus.handle()));
    let chip = store.define(DeviceType::shared::<Chip>("chip")).unwrap();
    for is_taken in [false, true] {
        let id = Id { store: Arc::downgrade(&store), bus: Arc::clone(&handle), told: Arc::clone(&told) };
        let device = store.new_device(store.root(), "chip", chip, Chip(1)).on(bus, id).register().unwrap();
        match is_taken {
            true => assert_eq!(store.unregister::<Chip>(device), Ok(Chip(1))),
            false => assert_eq!(store.unregister_subtree(device), Ok(Removal::Done(1))),
        }
    }
    assert_eq!(*told.lock(), [Err(Error::InUse); 2]);
    assert_eq!(store.unregister_bus(bus), Ok(()));
}

/// T57: what is not there never matches: null handles, drivers that serve nothing, devices of no known number.
#[test]
fn what_is_not_there_never_matches() {
    let bench = Bench::new();
    bench.driver(bench.logger("none"), &[]);
    let all = bench.driver(bench.logger("zero"), &[0]);
    let device = bench.plug(1);
    let none = enodev::DriverHandle::null();
    assert_eq!((bench.store.bind(device, none), bench.store.bind(device, all)), (Err(GONE), Err(Error::NoMatch)));
    assert_eq!(bench.store.bind(enodev::DeviceHandle::null(), all), Err(GONE));
    assert_eq!((bench.store.driver_of(device), bench.store.attach(device)), (Ok(None), Ok(None)));
    assert_eq!(bench.log(), [""; 0]);
}
