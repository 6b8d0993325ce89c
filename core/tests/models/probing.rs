//! Drivers that are asked about devices, while drivers and devices come and go.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize as Unmodelled, Ordering};

use enodev::{Errno, Error, Removal};
use enodev_handles::sync::Mutex;

use crate::check;
use crate::common::{Disk, GONE, Rig};
use crate::driver::{Code, refuse, take};

/// S1-8, T94: a driver is unregistered while it is asked about a new device: when that has returned, none of its callbacks runs or ever will,
/// and no device is bound to it; what it kept of the device was given to its `remove`, once.
#[test]
fn a_driver_that_is_unregistered_while_it_is_asked_is_bound_to_nothing() {
    check(|| {
        let rig = Rig::new();
        let (driver, code) = rig.driver("sd", take);
        let adder = rig.spawn(|rig| rig.add("sda").0);
        let removed = rig.store.unregister_driver(driver);
        code.assert_gone();
        assert!(matches!(removed, Ok(Removal::Done(_))), "{removed:?}");
        assert_eq!(rig.store.driver_name(driver), Err(GONE));
        let sda = adder.join().unwrap();
        assert_eq!(rig.store.driver_of(sda), Ok(None));
        assert!(rig.visit(sda));
        // And the next one finds it.
        let (next, _) = rig.driver("next", take);
        assert_eq!(rig.store.driver_of(sda), Ok(Some(next)));
    });
}

/// E-6: two unregister one driver while it is asked: when either returns it has gone, and one of them did it.
#[test]
fn of_two_who_unregister_a_driver_one_did_it() {
    check(|| {
        let rig = Rig::new();
        let (driver, code) = rig.driver("sd", take);
        let sda = rig.add("sda").0;
        let other = rig.spawn({
            let code = Arc::clone(&code);
            move |rig| {
                let removed = rig.store.unregister_driver(driver);
                assert!(
                    matches!(removed, Ok(Removal::Begun(_))) || {
                        code.assert_gone();
                        true
                    }
                );
                removed.is_ok()
            }
        });
        let mine = rig.store.unregister_driver(driver);
        assert!(
            matches!(mine, Ok(Removal::Begun(_))) || {
                code.assert_gone();
                true
            }
        );
        let did = usize::from(mine.is_ok()) + usize::from(other.join().unwrap());
        assert!(did > 0, "nobody did it");
        code.assert_gone();
        assert_eq!(rig.store.driver_of(sda), Ok(None));
    });
}

/// S1-8: the other race: a device is unregistered while it is probed by a new driver: the driver has let go of it, or has not been bound to it.
#[test]
fn a_device_that_leaves_while_it_is_probed_is_bound_to_nothing() {
    check(|| {
        let rig = Rig::new();
        let (sda, witness) = rig.add("sda");
        let registrar = rig.spawn(|rig| rig.driver("sd", take));
        assert_eq!(rig.store.unregister_subtree(sda), Ok(Removal::Done(1)));
        witness.assert_gone();
        let (driver, code) = registrar.join().unwrap();
        code.assert_bound(0);
        assert_eq!(rig.store.devices_of(driver).unwrap().count(), 0);
        assert_eq!(rig.store.unregister_driver(driver), Ok(Removal::Done(0)));
        code.assert_gone();
    });
}

/// S1-6, S1-7: a device and a driver come at the same time: they find each other, once.
#[test]
fn a_device_and_a_driver_that_come_at_once_find_each_other() {
    check(|| {
        let rig = Rig::new();
        let adder = rig.spawn(|rig| rig.add("sda").0);
        let other = rig.spawn(|rig| rig.add("sdb").0);
        let (driver, code) = rig.driver("sd", take);
        for device in [adder, other].map(|adder| adder.join().unwrap()) {
            assert_eq!(rig.store.driver_of(device), Ok(Some(driver)));
        }
        assert_eq!((code.asked(), rig.store.devices_of(driver).unwrap().count()), (2, 2));
        code.assert_bound(2);
    });
}

/// S1-5, T95: a driver's failing probe registers a driver and unregisters another, while another thread registers one more: each that was
/// registered before the walk's end and stays is asked once, and none is called that has left.
#[test]
fn each_driver_is_asked_that_comes_while_one_fails() {
    check(|| {
        let rig = Rig::new();
        let come = Arc::new(Mutex::new(None));
        let last = Arc::new(Mutex::new(None));
        let failing = {
            let (rig, come, last) = (Arc::downgrade(&rig), Arc::clone(&come), Arc::clone(&last));
            move |_: &mut crate::driver::Device<'_>| {
                let rig = rig.upgrade().unwrap();
                *come.lock() = Some(rig.driver("come", refuse));
                let last: Option<(enodev::DriverHandle, Arc<Code>)> = last.lock().take();
                if let Some((last, code)) = last {
                    assert!(matches!(rig.store.unregister_driver(last), Ok(Removal::Done(0))));
                    code.assert_gone();
                }
                Err(Errno::ENXIO)
            }
        };
        let (_, first) = rig.driver("first", failing);
        *last.lock() = Some(rig.driver("last", refuse));
        let other = rig.spawn(|rig| rig.driver("other", refuse).1);
        let (sda, _) = rig.add("sda");
        let other = other.join().unwrap();
        let come = come.lock().take().unwrap().1;
        // Once, where the walk was begun anew too; the other may also have come upon the device by itself.
        assert_eq!([&first, &come].map(|code| code.asked()), [1; 2]);
        assert!([1, 2].contains(&other.asked()));
        assert_eq!(rig.store.driver_of(sda), Ok(None));
        assert_eq!(rig.store.drivers_on(rig.bus).unwrap().count(), 3);
    });
}

/// S1-5: as above, where one that comes takes the device: it is bound to one driver at the end.
#[test]
fn a_driver_that_comes_while_one_fails_takes_the_device() {
    check(|| {
        let rig = Rig::new();
        rig.driver("first", refuse);
        let others = ["b", "c"].map(|name| rig.spawn(move |rig| rig.driver(name, take)));
        let (sda, _) = rig.add("sda");
        let others = others.map(|other| other.join().unwrap());
        let bound = rig.store.driver_of(sda).unwrap();
        assert_eq!(others.iter().filter(|(driver, _)| Some(*driver) == bound).count(), 1);
        assert_eq!(others.iter().map(|(_, code)| code.probed()).sum::<usize>(), 1);
    });
}

/// S1-6, S1-8, F38: devices come and go in one thread while, in another, one driver of theirs goes and the next one comes: who is there at the
/// end is bound to that one.
#[test]
fn whoever_is_there_finds_the_driver_that_is_left() {
    check(|| {
        let rig = Rig::new();
        let (first, first_code) = rig.driver("first", take);
        let (sda, witness) = rig.add("sda");
        let devices = rig.spawn(move |rig| {
            let (sdb, _) = rig.add("sdb");
            assert_eq!(rig.store.unregister_subtree(sda), Ok(Removal::Done(1)));
            witness.assert_gone();
            [sdb, rig.add("sdc").0]
        });
        let removed = rig.store.unregister_driver(first);
        assert!(matches!(removed, Ok(Removal::Done(_))), "{removed:?}");
        first_code.assert_gone();
        let (second, code) = rig.driver("second", take);
        let devices = devices.join().unwrap();
        assert_eq!(devices.map(|device| rig.store.driver_of(device)), [Ok(Some(second)); 2]);
        let mut served: Vec<_> = rig.store.devices_of(second).unwrap().collect();
        served.sort_unstable_by_key(|device| *device != devices[0]);
        assert_eq!(served, devices);
        code.assert_bound(2);
    });
}

/// S1-6, S1-8, F38: the same with two drivers at a time, both of which would take every device: each is bound to one, whose data it is, and to
/// none that has left.
#[test]
fn a_device_has_one_driver_whoever_comes_and_goes() {
    check(|| {
        let rig = Rig::new();
        let (first, first_code) = rig.driver("first", take);
        let devices = rig.spawn(|rig| {
            let visit = |device| rig.store.data::<Disk>(device).map(|data| data.visit()).unwrap_or_default();
            let (sda, witness) = rig.add("sda");
            visit(sda);
            assert_eq!(rig.store.unregister_subtree(sda), Ok(Removal::Done(1)));
            witness.assert_gone();
            let (sdb, _) = rig.add("sdb");
            visit(sdb);
            sdb
        });
        let (second, second_code) = rig.driver("second", take);
        let removed = rig.store.unregister_driver(first);
        assert!(removed.is_ok(), "{removed:?}");
        let (third, third_code) = rig.driver("third", take);
        let sdb = devices.join().unwrap();
        first_code.assert_gone();
        let has = [second, third].map(|driver| rig.store.devices_of(driver).unwrap().eq([sdb]));
        assert!(has[0] != has[1], "{has:?}");
        assert_eq!(rig.store.driver_of(sdb), Ok(Some(if has[0] { second } else { third })));
        second_code.assert_bound(usize::from(has[0]));
        third_code.assert_bound(usize::from(has[1]));
        assert_eq!(rig.store.unregister_subtree(sdb), Ok(Removal::Done(1)));
        [second_code, third_code].iter().for_each(|code| code.assert_bound(0));
    });
}

/// Two threads bind one device to two drivers: one does.
#[test]
fn of_two_who_bind_a_device_one_does() {
    check(|| {
        let rig = Rig::new();
        let may = Arc::new(Unmodelled::new(0));
        let when_allowed = |may: &Arc<Unmodelled>| {
            let may = Arc::clone(may);
            move |_: &mut crate::driver::Device<'_>| {
                if may.load(Ordering::Relaxed) == 0 { Err(Errno::ENODEV) } else { Ok(()) }
            }
        };
        let (a, a_code) = rig.driver("a", when_allowed(&may));
        let (b, b_code) = rig.driver("b", when_allowed(&may));
        let (sda, _) = rig.add("sda");
        may.store(1, Ordering::Relaxed);
        let other = rig.spawn(move |rig| rig.store.bind(sda, a));
        let mine = rig.store.bind(sda, b);
        let both = (other.join().unwrap(), mine);
        let taken = Err(Error::Bound);
        assert!([(Ok(()), taken), (taken, Ok(()))].contains(&both), "{both:?}");
        assert_eq!(rig.store.driver_of(sda), Ok(Some(if mine.is_ok() { b } else { a })));
        assert_eq!(a_code.probed() + b_code.probed(), 1);
    });
}

/// S0-15: a driver's probe unregisters the driver, while another device is probed by it: it is bound to neither, and goes with the last callback.
#[test]
fn a_driver_that_unregisters_itself_goes_with_its_last_callback() {
    check(|| {
        let rig = Rig::new();
        let told = Arc::new(Mutex::new(Vec::new()));
        let this = Arc::new(Mutex::new(None));
        let suicidal = {
            let (this, told) = (Arc::clone(&this), Arc::clone(&told));
            move |device: &mut crate::driver::Device<'_>| {
                let this: Option<enodev::DriverHandle> = *this.lock();
                if let Some(this) = this {
                    let removed = device.store().unregister_driver(this);
                    told.lock().push(removed);
                }
                Ok(())
            }
        };
        let (driver, code) = rig.driver("sd", suicidal);
        *this.lock() = Some(driver);
        let other = rig.spawn(|rig| rig.add("sda").0);
        let (sdb, _) = rig.add("sdb");
        let sda = other.join().unwrap();
        code.assert_gone();
        assert_eq!([sda, sdb].map(|device| rig.store.driver_of(device)), [Ok(None); 2]);
        let told = told.lock();
        assert!(told.iter().any(|told| matches!(told, Ok(Removal::Begun(_)))), "{told:?}");
        assert!(told.iter().all(|told| matches!(told, Ok(Removal::Begun(_)) | Err(_))), "{told:?}");
    });
}

/// A bus goes, or something comes onto it.
#[test]
fn a_bus_goes_or_something_comes() {
    check(|| {
        let rig = Rig::new();
        let adder = rig.spawn(|rig| {
            let device = rig.store.new_device(rig.store.root(), "sda", rig.disk, Disk(Arc::default()));
            device.on(rig.bus, 1).register()
        });
        let ended = rig.store.unregister_bus(rig.bus);
        let added = adder.join().unwrap();
        match ended {
            Ok(()) => assert_eq!(added, Err(GONE)),
            Err(error) => assert!(error == Error::InUse && added.is_ok(), "{error}, {added:?}"),
        }
        rig.assert_whole();
    });
}
