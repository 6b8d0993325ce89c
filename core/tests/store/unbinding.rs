//! Unbinding and asking drivers in the worst moments: by who holds a lock, in a callback, while another is at it.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, OnceLock};
use std::thread;

use enodev::{AsKobject, BusType, DeviceType, Driver, Errno, Error, Exclusive, Phase, Removal, Scope};

use crate::chips::{Bench, Chip, Logger, Numbers};
use crate::common::{GONE, Gate, linger, panic_of, until};

/// D-1: who holds the lock of a device unbinds it while another thread, which waits for that lock, is at it: one of the two is told, inside
/// the library, and both go on.
#[test]
fn who_holds_the_lock_does_not_wait_for_the_unbinder_that_waits_for_the_lock() {
    let bench = Bench::new();
    let driver = bench.driver(bench.logger("all"), &[1]);
    let device = bench.plug(1);
    thread::scope(|scope| {
        let held = bench.store.lock(device).unwrap();
        let first = scope.spawn(|| bench.store.unbind(device, driver));
        until(|| bench.store.data::<String>(device).is_err());
        linger();
        let second = bench.store.unbind(device, driver);
        assert!(matches!(second, Err(Error::Leaving | Error::NotBound)), "{second:?}");
        drop(held);
        assert_eq!(first.join().unwrap(), Ok(Removal::Done(1)));
    });
    assert_eq!(bench.log(), ["all probe 1", "all remove 1"]);
}

/// D-1, E-7: a callback unbinds its own device, and another thread does so too: as the callback returns its thread has the device's lock, which
/// the other wants. Both go on, and the device is let go of once.
#[test]
fn a_callback_that_unbinds_its_own_device_meets_another_who_does() {
    let (bench, gate, own) = (Bench::new(), Arc::<Gate>::default(), Arc::new(OnceLock::new()));
    let (stop, inner) = (Arc::clone(&gate), Arc::clone(&own));
    let tired = bench.logger("tired").suspending(move |device| {
        let begun = device.store().unbind(device.device(), *inner.get().unwrap());
        assert_eq!(begun, Ok(Removal::Begun(1)));
        stop.pass();
        Ok(())
    });
    let driver = bench.driver(tired, &[1]);
    own.set(driver).unwrap();
    let device = bench.plug(1);
    thread::scope(|scope| {
        let shut = gate.shut();
        let sleeper = scope.spawn(|| bench.store.suspend(device));
        gate.wait_for(1);
        let second = scope.spawn(|| bench.store.unbind(device, driver));
        until(|| bench.store.stats().drains_now == 1);
        drop(shut);
        assert_eq!(sleeper.join().unwrap(), Ok(()));
        let second = second.join().unwrap();
        assert!(matches!(second, Ok(Removal::Done(1)) | Err(Error::NotBound)), "{second:?}");
    });
    assert_eq!(bench.log(), ["tired probe 1", "tired suspend 1", "tired remove 1"]);
    assert_eq!(bench.store.driver_of(device), Ok(None));
}

/// D-1: an observer who is told of an unbinding waits for a lock whose holder waits for that unbinding: one of them is told.
#[test]
fn an_observer_of_an_unbinding_does_not_wait_for_who_waits_for_that() {
    let bench = Bench::new();
    let driver = bench.driver(bench.logger("all"), &[1]);
    let (device, other) = (bench.plug(1), bench.plug(2));
    let told = Arc::new(AtomicBool::new(false));
    let note = Arc::clone(&told);
    let observe = move |notice: &enodev::Notice<'_>| {
        if notice.phase() == Phase::Unbinding {
            note.store(true, SeqCst);
            let _ = notice.store().lock(other);
        }
    };
    bench.store.observe(observe).unwrap();
    thread::scope(|scope| {
        let held = bench.store.lock(other).unwrap();
        let first = scope.spawn(|| bench.store.unbind(device, driver));
        until(|| told.load(SeqCst));
        linger();
        let second = bench.store.unbind(device, driver);
        assert!(matches!(second, Err(Error::Leaving | Error::NotBound)), "{second:?}");
        drop(held);
        assert_eq!(first.join().unwrap(), Ok(Removal::Done(1)));
    });
}

/// A driver of exclusive payloads, which unregisters itself as it lets go of a device.
struct Sole {
    own: Arc<OnceLock<enodev::DriverHandle>>,
    told: Arc<OnceLock<enodev::Result<Removal>>>,
    /// Says how many there are.
    count: Arc<()>,
}

impl Driver for Sole {
    type Bus = Numbers;
    type Device = Exclusive<Chip>;
    type Data = Arc<()>;

    fn probe(&self, _: &mut Scope<'_, Self::Device>) -> Result<Arc<()>, Errno> {
        Ok(Arc::clone(&self.count))
    }

    fn remove(&self, device: &mut Scope<'_, Self::Device>, _: Arc<()>) {
        self.told.set(device.store().unregister_driver(*self.own.get().unwrap())).unwrap();
    }
}

/// S0-15, D-18: a driver unregisters itself in `remove`, where it has the lock of an exclusive payload: it goes as that returns.
#[test]
fn a_driver_of_exclusive_payloads_unregisters_itself_as_it_lets_go() {
    let bench = Bench::new();
    let chip = bench.store.define(DeviceType::exclusive::<Chip>("sole")).unwrap();
    let (own, told, count) = <(Arc<OnceLock<_>>, Arc<OnceLock<_>>, Arc<()>)>::default();
    let sole = Sole { own: Arc::clone(&own), told: Arc::clone(&told), count: Arc::clone(&count) };
    let driver = bench.store.register_driver(bench.bus, "sole", sole, vec![1]).unwrap();
    own.set(driver).unwrap();
    let device = bench.store.new_device(bench.store.root(), "sole", chip, Chip(1)).on(bench.bus, 1).register().unwrap();
    assert_eq!(bench.store.unbind(device, driver), Ok(Removal::Done(1)));
    assert_eq!(told.get(), Some(&Ok(Removal::Begun(1))));
    assert_eq!((Arc::strong_count(&count), bench.store.unregister_driver(driver)), (1, Err(GONE)));
}

/// S1-6: a driver comes in the probe of another, which is asked about a device as it is registered itself, and refuses it: the device is the
/// newcomer's.
#[test]
fn a_driver_that_comes_while_another_refuses_is_asked() {
    let bench = Bench::new();
    let (bus, log) = (bench.bus, Arc::clone(&bench.log));
    let herald = bench.logger("herald").probing(move |device| {
        let store = device.store();
        if store.drivers_on(bus)?.count() == 1 {
            store.register_driver(bus, "heir", Logger::new("heir", &log), vec![1])?;
        }
        Err(Errno::ENODEV)
    });
    let device = bench.plug(1);
    bench.driver(herald, &[1]);
    let heir = bench.store.driver_of(device).unwrap().unwrap();
    assert_eq!(&*bench.store.driver_name(heir).unwrap(), "heir");
}

/// As above, where the driver comes in a probe that was asked for by hand.
#[test]
fn a_driver_that_comes_while_another_is_bound_by_hand_is_asked() {
    let bench = Bench::new();
    let (bus, log, is_open) = (bench.bus, Arc::clone(&bench.log), Arc::new(AtomicBool::new(false)));
    let open = Arc::clone(&is_open);
    let herald = bench.logger("herald").probing(move |device| {
        if open.load(SeqCst) {
            device.store().register_driver(bus, "heir", Logger::new("heir", &log), vec![1])?;
        }
        Err(Errno::ENXIO)
    });
    let herald = bench.driver(herald, &[1]);
    let device = bench.plug(1);
    is_open.store(true, SeqCst);
    assert_eq!(bench.store.bind(device, herald), Err(Errno::ENXIO.into()));
    let heir = bench.store.driver_of(device).unwrap().unwrap();
    assert_eq!(&*bench.store.driver_name(heir).unwrap(), "heir");
}

/// F45: where a device does not go to sleep, those are woken that were put to sleep with it, and not those that slept before.
#[test]
fn what_slept_before_sleeps_on_when_another_stays_awake() {
    let bench = Bench::new();
    let restless = bench.logger("restless").suspending(|_| Err(Errno::EBUSY));
    bench.driver(restless, &[1]);
    bench.driver(bench.logger("all"), &[2, 3]);
    let parent = bench.plug(1);
    let sleeper = bench.plug_under(parent, 2);
    bench.plug_under(parent, 3);
    bench.store.suspend(sleeper).unwrap();
    bench.log();
    assert_eq!(bench.store.suspend(parent), Err(Errno::EBUSY.into()));
    assert_eq!(bench.log(), ["all suspend 3", "restless suspend 1", "all resume 3"]);
    bench.store.resume(sleeper).unwrap();
    assert_eq!(bench.log(), ["all resume 2"]);
}

/// E-7: two threads unbind devices that they are inside of, and unregister them, while many others are to be unbound as their threads leave
/// them: each device is let go of, whichever removals of bindings the other takes up meanwhile.
#[test]
fn who_takes_up_an_unbinding_leaves_those_of_others_alone() {
    let bench = Bench::new();
    let driver = bench.driver(bench.logger("all"), &(1..=200).collect::<Vec<_>>());
    let put_off: Vec<_> = (3..=200).map(|id| bench.plug(id)).collect();
    let data: Vec<_> = put_off.iter().map(|device| bench.store.data::<String>(*device).unwrap()).collect();
    put_off.iter().for_each(|device| assert_eq!(bench.store.unbind(*device, driver), Ok(Removal::Begun(1))));
    bench.log();
    thread::scope(|scope| {
        for id in [1, 2] {
            let bench = &bench;
            scope.spawn(move || {
                for _ in 0..2_000 {
                    let device = bench.plug(id);
                    let data = bench.store.data::<String>(device).unwrap();
                    assert_eq!(bench.store.unbind(device, driver), Ok(Removal::Begun(1)));
                    assert_eq!(bench.store.unregister_subtree(device), Ok(Removal::Begun(1)));
                    drop(data);
                }
            });
        }
    });
    let log = bench.log();
    let count = |what: &str| log.iter().filter(|line| line.contains(what)).count();
    assert_eq!((count("probe"), count("remove")), (4_000, 4_000));
    drop(data);
    assert_eq!(bench.log().len(), put_off.len());
    assert_eq!(bench.store.unregister_driver(driver), Ok(Removal::Done(0)));
}

/// E-6: a write unbinds the last device of a driver that others have unregistered, one of whom is waiting for it: the write has done what it
/// was to do, and that the driver is dropped by another is no error of its.
#[test]
fn a_write_that_unbinds_is_not_told_of_a_driver_that_others_drop() {
    let (bench, gate, last) = (Bench::new(), Arc::<Gate>::default(), Arc::<Gate>::default());
    let (stop, stop_last) = (Arc::clone(&gate), Arc::clone(&last));
    let driver = bench.driver(bench.logger("slow").removing(move |_| stop.pass()), &[1]);
    let (device, other) = (bench.plug(1), bench.plug(2));
    let observe = move |notice: &enodev::Notice<'_>| {
        if notice.phase() == Phase::Unbound {
            stop_last.pass();
        }
    };
    bench.store.observe(observe).unwrap();
    let switch = DeviceType::shared::<()>("switch")
        .wo("unbind", move |at, _| at.store().unbind(device, driver).map(drop).map_err(Into::into));
    let switch = bench.store.define(switch).unwrap();
    let switch = bench.store.register(bench.store.root(), "switch", switch, ()).unwrap();
    thread::scope(|scope| {
        let (shut, shut_last) = (gate.shut(), last.shut());
        let writer = scope.spawn(|| bench.store.write(switch, "unbind", b"1"));
        gate.wait_for(1);
        {
            let _inside = bench.store.enter::<Chip>(other).unwrap();
            assert_eq!(bench.store.unregister_driver(driver), Ok(Removal::Begun(1)));
        }
        drop(shut);
        last.wait_for(1);
        let remover = scope.spawn(|| bench.store.unregister_driver(driver));
        until(|| bench.store.devices_of(driver).is_err());
        drop(shut_last);
        assert_eq!(writer.join().unwrap().map(drop), Ok(()));
        assert_eq!(remover.join().unwrap(), Ok(Removal::Done(0)));
    });
}

/// A bus whose devices' parents are locked too.
struct Usb;

impl BusType for Usb {
    type Id = u32;
    type IdTable = u32;

    const LOCKS_PARENT: bool = true;

    fn matches(&self, id: &u32, table: &u32) -> bool {
        id == table
    }
}

/// Its hub.
struct Stick(enodev::DeviceHandle);

impl Driver for Stick {
    type Bus = Usb;
    type Device = enodev::AnyObject;
    type Data = Arc<()>;

    fn probe(&self, _: &mut Scope<'_, Self::Device>) -> Result<Arc<()>, Errno> {
        Ok(Arc::new(()))
    }

    fn remove(&self, device: &mut Scope<'_, Self::Device>, _: Arc<()>) {
        // Who has the lock is told so.
        assert_eq!(device.store().lock(self.0).unwrap_err(), Error::Inside);
        REMOVED.fetch_add(1, SeqCst);
    }
}

static REMOVED: AtomicUsize = AtomicUsize::new(0);

/// Where the bus wants it, a driver lets go of a device with the lock of its parent held, be the device unbound or unregistered.
#[test]
fn a_bus_that_locks_parents_does_so_for_remove() {
    let bench = Bench::new();
    let usb = bench.store.register_bus("usb", Usb).unwrap();
    let hub = bench.plug(1);
    let driver = bench.store.register_driver(usb, "stick", Stick(hub), 7).unwrap();
    let stick = bench.store.new_device(hub, "stick", bench.chip, Chip(7)).on(usb, 7).register().unwrap();
    assert_eq!(bench.store.unbind(stick, driver), Ok(Removal::Done(1)));
    assert_eq!(REMOVED.load(SeqCst), 1);
    bench.store.bind(stick, driver).unwrap();
    bench.store.unregister::<Chip>(stick).unwrap();
    assert_eq!(REMOVED.load(SeqCst), 2);
    assert!(bench.store.lock(hub).is_ok());
}

/// A driver that unregisters itself as it lets go of its device, and notes its own end, or panics.
struct Last {
    own: Arc<OnceLock<enodev::DriverHandle>>,
    gone: Arc<AtomicUsize>,
    panics: bool,
}

impl Driver for Last {
    type Bus = Numbers;
    type Device = enodev::AnyObject;
    type Data = ();

    fn probe(&self, _: &mut Scope<'_, Self::Device>) -> Result<(), Errno> {
        Ok(())
    }

    fn remove(&self, device: &mut Scope<'_, Self::Device>, (): ()) {
        device.store().unregister_driver(*self.own.get().unwrap()).unwrap();
    }
}

impl Drop for Last {
    fn drop(&mut self) {
        self.gone.fetch_add(1, SeqCst);
        assert!(!self.panics, "the driver's end");
    }
}

/// Of the drivers that go with a subtree one panics as it is dropped: the others are dropped all the same, and then the panic goes on.
#[test]
fn a_driver_that_panics_at_its_end_holds_up_no_other() {
    let bench = Bench::new();
    let gone = Arc::new(AtomicUsize::new(0));
    let mut parent = bench.store.root();
    let mut drivers = Vec::new();
    for (id, panics) in [(1, false), (2, true), (3, false)] {
        let own = Arc::new(OnceLock::new());
        let last = Last { own: Arc::clone(&own), gone: Arc::clone(&gone), panics };
        let driver = bench.store.register_driver(bench.bus, &format!("last{id}"), last, vec![id]).unwrap();
        own.set(driver).unwrap();
        drivers.push(driver);
        parent = bench.plug_under(parent, id).kobject();
    }
    let top = bench.store.lookup("chip1").unwrap();
    assert_eq!(panic_of(|| bench.store.unregister_subtree(top)), "the driver's end");
    assert_eq!(gone.load(SeqCst), 3);
    assert!(drivers.iter().all(|driver| bench.store.driver_name(*driver) == Err(GONE)) && bench.store.is_empty());
}
