//! Buses and drivers: who is asked, bound and unbound, in what order, and by whom.

use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex, OnceLock, mpsc};
use std::thread;

use enodev::{Errno, Error, Holds, Removal};

use crate::chips::{Bench, Chip, Logger, Numbers};
use crate::common::GONE;

/// F32, S1-5: the drivers that match are asked in the order in which they came, until one takes the device.
#[test]
fn a_new_device_finds_the_first_driver_that_takes_it() {
    let bench = Bench::new();
    bench.driver(Logger::new("other", &bench.log), &[2]);
    bench.driver(Logger::new("no", &bench.log).probing(|_| Err(Errno::ENODEV)), &[1]);
    let yes = bench.driver(Logger::new("yes", &bench.log), &[1]);
    bench.driver(Logger::new("late", &bench.log), &[1]);
    let device = bench.plug(1);
    assert_eq!(bench.log(), ["no probe 1", "yes probe 1"]);
    assert_eq!(bench.store.driver_of(device), Ok(Some(yes)));
    assert_eq!(*bench.store.data::<String>(device).unwrap(), "yes");
    assert_eq!(bench.store.data::<u8>(device).unwrap_err(), Error::WrongType);
}

/// S1-6: a new driver is asked about the devices that are free and match, in the order in which they came.
#[test]
fn a_new_driver_finds_the_devices_that_are_free() {
    let bench = Bench::new();
    let devices = [3, 1, 2, 1_000].map(|id| bench.plug(id));
    let one = bench.driver(Logger::new("one", &bench.log), &[1]);
    let all = bench.driver(Logger::new("all", &bench.log), &[1, 2, 3]);
    assert_eq!(bench.log(), ["one probe 1", "all probe 3", "all probe 2"]);
    assert_eq!(bench.store.devices_of(all).unwrap().collect::<Vec<_>>(), [devices[0], devices[2]]);
    assert_eq!(bench.store.devices_of(one).unwrap().collect::<Vec<_>>(), [devices[1]]);
    assert_eq!(bench.store.driver_of(devices[3]), Ok(None));
}

/// F38, E-36: a driver that is unregistered is unbound from its devices, the last one first, and is gone then.
#[test]
fn a_driver_lets_go_of_its_devices_the_last_one_first() {
    let bench = Bench::new();
    let driver = bench.driver(Logger::new("all", &bench.log), &[1, 2, 3]);
    let devices = [2, 1, 3].map(|id| bench.plug(id));
    bench.log();
    assert_eq!(bench.store.unregister_driver(driver), Ok(Removal::Done(3)));
    assert_eq!(bench.log(), ["all remove 3", "all remove 1", "all remove 2"]);
    assert_eq!(Arc::strong_count(&bench.log), 1, "the driver has been dropped");
    assert_eq!(devices.map(|device| bench.store.driver_of(device)), [Ok(None); 3]);
    assert_eq!(bench.store.unregister_driver(driver), Err(Errno::ENODEV.into()));
    assert_eq!(bench.store.driver_name(driver), Err(Errno::ENODEV.into()));
}

/// S3-10: a bus's handle is good when a device on it has gone, and when all have.
#[test]
fn a_bus_outlives_its_devices() {
    let bench = Bench::new();
    let device = bench.plug(1);
    assert_eq!(bench.store.unregister_bus(bench.bus), Err(Error::InUse));
    bench.store.unregister::<Chip>(device).unwrap();
    assert_eq!(bench.store.devices_on(bench.bus).unwrap().count(), 0);
    assert_eq!(&*bench.store.bus_name(bench.bus).unwrap(), "numbers");
    assert_eq!(bench.store.bus_of(device), Err(Errno::ENODEV.into()));
    bench.store.unregister_bus(bench.bus).unwrap();
    assert_eq!(bench.store.bus_name(bench.bus), Err(Errno::ENODEV.into()));
}

/// F29: a device that leaves is let go of by its driver, which still gets at the device's payload.
#[test]
fn a_device_that_leaves_is_let_go_of() {
    let bench = Bench::new();
    let driver = bench.driver(Logger::new("all", &bench.log), &[1, 2]);
    let (one, two) = (bench.plug(1), bench.plug(2));
    bench.log();
    assert_eq!(bench.store.unregister::<Chip>(one).unwrap().0, 1);
    assert_eq!(bench.log(), ["all remove 1"]);
    bench.store.unregister_subtree(two).unwrap();
    assert_eq!(bench.log(), ["all remove 2"]);
    assert_eq!(bench.store.devices_of(driver).unwrap().count(), 0);
}

/// E-35: only who is bound to the driver that is meant is unbound, and a driver that has come again is another one.
#[test]
fn unbinding_compares() {
    let bench = Bench::new();
    let one = bench.driver(Logger::new("one", &bench.log), &[1]);
    let device = bench.plug(1);
    let other = bench.driver(Logger::new("other", &bench.log), &[1]);
    assert_eq!(bench.store.unbind(device, other), Err(Error::NotBound));
    assert_eq!(bench.store.bind(device, other), Err(Error::Bound));
    assert_eq!(bench.store.unbind(device, one), Ok(Removal::Done(1)));
    assert_eq!(bench.store.unbind(device, one), Err(Error::NotBound));
    bench.store.bind(device, other).unwrap();
    assert_eq!(bench.store.unbind(device, one), Err(Error::NotBound));
    bench.store.unregister_driver(one).unwrap();
    assert_eq!(bench.store.unbind(device, one), Err(Errno::ENODEV.into()));
    assert_eq!(bench.store.driver_of(device), Ok(Some(other)));
}

/// S1-11, T96: a bridge's probe registers devices on another bus under its own, whose lock it holds; its removal takes them along.
#[test]
fn a_bridge_registers_children_on_another_bus() {
    let bench = Bench::new();
    let scsi = bench.store.register_bus("scsi", Numbers).unwrap();
    let chip = bench.chip;
    let log = Arc::clone(&bench.log);
    bench.store.register_driver(scsi, "disk", Logger::new("disk", &log), vec![7]).unwrap();
    let adapter = Logger::new("adapter", &log).probing(move |device| {
        let store = device.store();
        let twice = store.new_device(device.device(), "host0", chip, Chip(7)).on(scsi, 7).register();
        assert_eq!(twice, Err(Error::Inside));
        let elsewhere = store.new_device(store.root(), "host0", chip, Chip(7)).on(scsi, 7).register_in(device);
        assert_eq!(elsewhere, Err(Error::NotHeld));
        store.new_device(device.device(), "host0", chip, Chip(7)).on(scsi, 7).register_in(device)?;
        Ok(())
    });
    bench.driver(adapter, &[1]);
    let device = bench.plug(1);
    assert_eq!(bench.log(), ["adapter probe 1", "disk probe 7"]);
    assert!(bench.store.lookup("chip1/host0").is_ok());
    assert_eq!(bench.store.unregister_subtree(device), Ok(Removal::Done(2)));
    assert_eq!(bench.log(), ["disk remove 7", "adapter remove 1"]);
}

/// S1-9: devices and drivers come and go inside probe and remove.
#[test]
fn callbacks_add_and_remove_devices_and_drivers() {
    let bench = Bench::new();
    let (bus, chip) = (bench.bus, bench.chip);
    let made = Arc::new(OnceLock::new());
    let inner = Arc::clone(&made);
    let log = Arc::clone(&bench.log);
    let maker = Logger::new("maker", &bench.log)
        .probing(move |device| {
            let store = device.store();
            let driver = store.register_driver(bus, "made", Logger::new("made", &log), vec![2])?;
            let device = store.new_device(store.root(), "made", chip, Chip(2)).on(bus, 2).register()?;
            inner.set((device, driver)).unwrap();
            Ok(())
        })
        .removing({
            let made = Arc::clone(&made);
            move |device| {
                let (made, driver) = *made.get().unwrap();
                device.store().unregister_driver(driver).unwrap();
                device.store().unregister::<Chip>(made).unwrap();
            }
        });
    let maker = bench.driver(maker, &[1]);
    let device = bench.plug(1);
    assert_eq!(bench.log(), ["maker probe 1", "made probe 2"]);
    bench.store.unbind(device, maker).unwrap();
    assert_eq!(bench.log(), ["maker remove 1", "made remove 2"]);
    assert_eq!((bench.store.len(), bench.store.drivers_on(bus).unwrap().count()), (1, 1));
}

/// S0-15, S1-9: a driver's callback unbinds its own device, and unregisters its own driver: both go as it returns.
#[test]
fn a_callback_ends_its_own_binding_and_driver() {
    let bench = Bench::new();
    let own = Arc::new(OnceLock::new());
    let inner = Arc::clone(&own);
    let quitter = Logger::new("quitter", &bench.log).probing(move |device| {
        let driver = *inner.get().unwrap();
        assert_eq!(device.store().unregister_driver(driver), Ok(Removal::Begun(0)));
        Ok(())
    });
    let driver = bench.driver(quitter, &[1]);
    own.set(driver).unwrap();
    let device = bench.plug(1);
    assert_eq!(bench.log(), ["quitter probe 1", "quitter remove 1"]);
    assert_eq!((Arc::strong_count(&bench.log), bench.store.driver_of(device)), (1, Ok(None)));

    let driver = bench.driver(Logger::new("next", &bench.log), &[1]);
    let data = bench.store.data::<String>(device).unwrap();
    assert_eq!(bench.store.unbind(device, driver), Ok(Removal::Begun(1)));
    assert_eq!(bench.store.data::<u8>(device).unwrap_err(), Error::NotBound);
    assert_eq!(bench.log(), ["next probe 1"]);
    drop(data);
    assert_eq!(bench.log(), ["next remove 1"]);
    bench.store.bind(device, driver).unwrap();

    let data = bench.store.data::<String>(device).unwrap();
    assert_eq!(bench.store.unregister_driver(driver), Ok(Removal::Begun(1)));
    assert_eq!(Arc::strong_count(&bench.log), 2);
    drop(data);
    assert_eq!(Arc::strong_count(&bench.log), 1, "the driver went with its last device");
    assert_eq!(bench.store.unregister_driver(driver), Err(Errno::ENODEV.into()));
}

/// S1-2: a device's callbacks exclude each other.
#[test]
fn callbacks_on_one_device_exclude_each_other() {
    let bench = Bench::new();
    let inside = Arc::new(AtomicUsize::new(0));
    let (entered, told) = mpsc::channel();
    let (go_on, wait) = mpsc::channel::<()>();
    let wait = Mutex::new(wait);
    let count = Arc::clone(&inside);
    let slow = Logger::new("slow", &bench.log).probing(move |_| {
        count.fetch_add(1, SeqCst);
        entered.send(()).unwrap();
        wait.lock().unwrap().recv().unwrap();
        count.fetch_sub(1, SeqCst);
        Ok(())
    });
    bench.driver(slow, &[1]);
    thread::scope(|scope| {
        let device = scope.spawn(|| bench.plug(1));
        told.recv().unwrap();
        let device_now = bench.store.lookup("chip1").and_then(|object| bench.store.device(object)).unwrap();
        let (store, inside) = (&bench.store, &inside);
        let suspended = scope.spawn(move || {
            store.suspend(device_now).unwrap();
            inside.load(SeqCst)
        });
        go_on.send(()).unwrap();
        assert_eq!(suspended.join().unwrap(), 0);
        assert_eq!(device.join().unwrap(), device_now);
    });
    assert_eq!(bench.log(), ["slow probe 1", "slow suspend 1"]);
}

/// F45: sleep goes through children before parents, waking the other way round.
#[test]
fn sleep_begins_with_children() {
    let bench = Bench::new();
    bench.driver(Logger::new("all", &bench.log), &[1, 2]);
    let parent = bench.plug(1);
    bench.store.new_device(parent, "child", bench.chip, Chip(2)).on(bench.bus, 2).register().unwrap();
    bench.log();
    let root = bench.store.root();
    bench.store.suspend(root).unwrap();
    bench.store.suspend(root).unwrap();
    bench.store.resume(root).unwrap();
    bench.store.shutdown(root).unwrap();
    let expected =
        ["all suspend 2", "all suspend 1", "all resume 1", "all resume 2", "all shutdown 2", "all shutdown 1"];
    assert_eq!(bench.log(), expected);
}

/// S1-11: who has the parent's lock unregisters its children, and nobody else's.
#[test]
fn who_has_the_lock_of_a_parent_unregisters_its_children() {
    let bench = Bench::new();
    let (parent, other) = (bench.plug(1), bench.plug(2));
    let held = bench.store.lock(parent).unwrap();
    let child = bench.store.new_device(parent, "child", bench.chip, Chip(3)).register_in(&held).unwrap();
    assert_eq!(held.unregister_child::<Chip>(other).unwrap_err(), Error::NotHeld);
    assert_eq!(held.unregister_child::<u8>(child), Err(Error::WrongType));
    assert_eq!((held.device(), held.unregister_child::<Chip>(child).unwrap().0), (parent, 3));
    assert_eq!(held.unregister_child::<Chip>(child).unwrap_err(), Errno::ENODEV.into());
    assert!(bench.store.contains(other));
}

/// What a device says of itself on its bus is read by who knows the bus, and of no other bus, although of the same type.
#[test]
fn a_device_s_id_is_read_by_its_bus() {
    let bench = Bench::new();
    let store = &bench.store;
    let other = store.register_bus("other", Numbers).unwrap();
    let device = bench.plug(7);
    let plain = store.register(store.root(), "plain", bench.chip, Chip(8)).unwrap();
    assert_eq!(*store.bus_id(device, bench.bus).unwrap(), 7);
    assert_eq!(store.bus_id(device, other).unwrap_err(), Error::WrongType);
    assert_eq!(store.bus_id(plain, bench.bus).unwrap_err(), Error::WrongType);
    assert_eq!(store.bus_of(device).unwrap(), Some(bench.bus.into()));
    // Who reads it is inside the device.
    let id = store.bus_id(device, bench.bus).unwrap();
    assert_eq!(store.unregister::<Chip>(device), Err(Error::Inside));
    drop(id);
    assert_eq!(store.unregister::<Chip>(device), Ok(Chip(7)));
    assert_eq!(store.bus_id(device, bench.bus).unwrap_err(), GONE);
    store.unregister_bus(other).unwrap();
    assert_eq!(store.bus_id(plain, other).unwrap_err(), GONE);
}
