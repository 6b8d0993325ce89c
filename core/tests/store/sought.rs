//! Drivers that could not be asked about a device at once, as who meant to ask would have waited for himself.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::{Arc, mpsc};
use std::thread;

use enodev::{
    AnyObject, BusType, DeviceType, Driver, Errno, Error, Group, Obituary, Phase, Removal, Scope, Visibility,
};
use parking_lot::Mutex;

use crate::chips::{Bench, Chip, Logger};
use crate::common::{panic_of, until};
use crate::given_up::Brief;

/// S1-6, T94: a driver that is registered by who has the lock of a device is asked about that as the lock is given up, and once.
#[test]
fn a_driver_is_asked_as_the_lock_is_given_up() {
    let bench = Bench::new();
    let device = bench.plug(1);
    let held = bench.store.lock(device).unwrap();
    let refuses = bench.driver(bench.logger("refuses").probing(|_| Err(Errno::ENXIO)), &[1]);
    let takes = bench.driver(bench.logger("takes"), &[1]);
    bench.driver(bench.logger("other"), &[2]);
    assert_eq!(bench.log(), [""; 0]);
    drop(held);
    assert_eq!(bench.log(), ["refuses probe 1", "takes probe 1"]);
    assert_eq!(bench.store.driver_of(device), Ok(Some(takes)));
    // What was asked for is done, and is not done again.
    assert_eq!(bench.store.unbind(device, takes), Ok(Removal::Done(1)));
    drop(bench.store.lock(device).unwrap());
    assert_eq!(bench.log(), ["takes remove 1"]);
    assert_eq!(bench.store.bind(device, refuses), Err(Errno::ENXIO.into()));
}

/// F29: a driver that is registered by an observer of an unbinding is asked about the device; the one that it was unbound from is not.
#[test]
fn a_driver_that_comes_as_a_device_is_unbound_is_asked() {
    let bench = Bench::new();
    let first = bench.driver(bench.logger("first"), &[1]);
    let device = bench.plug(1);
    let (bus, log, heir) = (bench.bus, Arc::clone(&bench.log), Arc::new(Mutex::new(None)));
    let come = Arc::clone(&heir);
    let observe = move |notice: &enodev::Notice<'_>| {
        if notice.phase() == Phase::Unbound {
            *come.lock() = notice.store().register_driver(bus, "heir", Logger::new("heir", &log), vec![1]).ok();
        }
    };
    bench.store.observe(observe).unwrap();
    assert_eq!(bench.store.unbind(device, first), Ok(Removal::Done(1)));
    assert_eq!(bench.log(), ["first probe 1", "first remove 1", "heir probe 1"]);
    assert_eq!(bench.store.driver_of(device), Ok(*heir.lock()));
}

/// A bus whose devices' parents are locked too.
struct Hub;

impl BusType for Hub {
    type Id = ();
    type IdTable = ();

    const LOCKS_PARENT: bool = true;

    fn matches(&self, (): &(), (): &()) -> bool {
        true
    }
}

struct Port;

impl Driver for Port {
    type Bus = Hub;
    type Device = AnyObject;
    type Data = ();

    fn probe(&self, _: &mut Scope<'_, AnyObject>) -> Result<(), Errno> {
        Ok(())
    }
}

/// D-1, S1-6: a device, or a driver, comes while who has the lock of the device's parent waits for who brings it: the two meet as that lock is
/// given up.
#[test]
fn a_device_whose_parent_is_locked_meets_its_driver_later() {
    for driver_first in [true, false] {
        let bench = Bench::new();
        let store = &bench.store;
        let hub = store.register_bus("hub", Hub).unwrap();
        let [parent, awaited] = [1, 2].map(|id| bench.plug(id));
        let register = || store.register_driver(hub, "port", Port, ()).unwrap();
        let plug = || store.new_device(parent, "port", bench.chip, Chip(3)).on(hub, ()).register().unwrap();
        let (begin, begun) = mpsc::channel();
        let (armed, drains) = (Arc::new(AtomicBool::new(false)), begin.clone());
        let is_armed = Arc::clone(&armed);
        // The lock is taken between the registration of a device and its drivers' being asked.
        let observe = move |notice: &enodev::Notice<'_>| {
            if notice.phase() == Phase::Added && is_armed.load(SeqCst) {
                drains.send(()).unwrap();
                until(|| notice.store().stats().drains_now == 1);
            }
        };
        store.observe(observe).unwrap();
        let (device, driver) = thread::scope(|scope| {
            let brings = scope.spawn(|| {
                let (driver, device) = if driver_first { (Some(register()), None) } else { (None, Some(plug())) };
                let _inside = store.enter::<Chip>(awaited).unwrap();
                armed.store(true, SeqCst);
                let device = device.unwrap_or_else(&plug);
                let driver = driver.unwrap_or_else(|| {
                    begin.send(()).unwrap();
                    until(|| store.stats().drains_now == 1);
                    register()
                });
                assert_eq!(store.lock(parent).map(drop), Err(Error::Deadlock));
                assert_eq!(store.driver_of(device), Ok(None));
                (device, driver)
            });
            begun.recv().unwrap();
            let held = store.lock(parent).unwrap();
            assert_eq!(store.unregister_subtree(awaited), Ok(Removal::Done(1)));
            let brought = brings.join().unwrap();
            assert_eq!(store.driver_of(brought.0), Ok(None));
            drop(held);
            brought
        });
        assert_eq!(store.driver_of(device), Ok(Some(driver)));
    }
}

/// F28, S1-9: a driver that comes while a child is put below a device is asked about the device as that's lock is given up, and may do whatever a
/// driver may.
#[test]
fn a_driver_that_comes_while_a_child_is_put_below_may_remove_others() {
    let bench = Bench::new();
    let (parent, other) = (bench.plug(1), bench.plug(2));
    let removed = Arc::new(Mutex::new(None::<enodev::Result<()>>));
    let (note, bus, log, come) = (Arc::clone(&removed), bench.bus, Arc::clone(&bench.log), AtomicBool::new(false));
    let group = Group::<AnyObject>::new().ro("port", |_, _| Ok(())).is_visible(move |owner, _| {
        if !come.swap(true, SeqCst) {
            let note = Arc::clone(&note);
            let meddler = Logger::new("meddler", &log).probing(move |device| {
                *note.lock() = Some(device.store().unregister::<Chip>(other).map(drop));
                Ok(())
            });
            owner.store().register_driver(bus, "meddler", meddler, vec![1]).unwrap();
        }
        Visibility::AsDefined
    });
    let group = bench.store.define_group(group).unwrap();
    let child = bench.store.new_device(parent, "child", bench.chip, Chip(3)).group(group).register().unwrap();
    assert_eq!((*removed.lock(), bench.store.contains(other)), (Some(Ok(())), false));
    assert!(bench.store.contains(child) && bench.store.driver_of(parent).unwrap().is_some());
}

/// S0-15: a driver that unregisters itself as it is asked, and panics as it is dropped, keeps no other from being asked as the same lock is given up.
#[test]
fn a_driver_that_panics_at_its_end_keeps_no_other_from_being_asked() {
    let bench = Bench::new();
    let device = bench.plug(1);
    let held = bench.store.lock(device).unwrap();
    bench.store.register_driver(bench.bus, "brief", Brief, vec![1]).unwrap();
    let takes = bench.driver(bench.logger("takes"), &[1]);
    assert_eq!(panic_of(|| drop(held)), "the driver's end");
    assert_eq!((bench.log(), bench.store.driver_of(device)), (vec!["takes probe 1".to_owned()], Ok(Some(takes))));
}

/// A payload that panics as it is dropped, if it is to.
struct Brittle(bool);

impl Drop for Brittle {
    fn drop(&mut self) {
        assert!(!self.0, "as it does");
    }
}

/// Lets go of a port, and has another driver come for what that hangs on.
struct Heir(Box<dyn Fn() + Send + Sync>);

impl Driver for Heir {
    type Bus = Hub;
    type Device = AnyObject;
    type Data = ();

    fn probe(&self, _: &mut Scope<'_, AnyObject>) -> Result<(), Errno> {
        Ok(())
    }

    fn remove(&self, _: &mut Scope<'_, AnyObject>, (): ()) {
        (self.0)();
    }
}

/// S1-9: a driver that comes while a device leaves whose parent is locked for that is asked about the parent when the removal is over, also
/// where it ends in a panic.
#[test]
fn a_driver_that_comes_while_a_child_leaves_is_asked_when_that_has_left() {
    for is_brittle in [false, true] {
        let bench = Arc::new(Bench::new());
        let store = &bench.store;
        let hub = store.register_bus("hub", Hub).unwrap();
        let ty = store.define(DeviceType::shared::<Brittle>("brittle")).unwrap();
        let (parent, was_leaving) = (bench.plug(1), Arc::new(Mutex::new(None)));
        let port = Arc::new(Mutex::new(None));
        let (note, child, later) = (Arc::clone(&was_leaving), Arc::clone(&port), Arc::downgrade(&bench));
        let come = move || {
            let (bench, note, child) = (later.upgrade().unwrap(), Arc::clone(&note), *child.lock());
            let asked = bench.logger("heir").probing(move |device| {
                *note.lock() = device.store().obituary(child.unwrap()).map(|port: Obituary| port.is_leaving);
                Ok(())
            });
            bench.driver(asked, &[1]);
        };
        store.register_driver(hub, "leaver", Heir(Box::new(come)), ()).unwrap();
        let device = store.new_device(parent, "port", ty, Brittle(is_brittle)).on(hub, ()).register().unwrap();
        *port.lock() = Some(device);
        let removed = catch_unwind(AssertUnwindSafe(|| store.unregister_subtree(device)));
        assert_eq!(removed.is_err(), is_brittle);
        assert_eq!(*was_leaving.lock(), Some(false), "{is_brittle}");
        assert!(store.driver_of(parent).unwrap().is_some());
    }
}
