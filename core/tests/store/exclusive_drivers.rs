//! Drivers of payloads that one thread is inside of at a time, and drivers that fail.

use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, OnceLock};
use std::thread;

use enodev::{
    Bus, BusType, DeviceHandle, DeviceType, Driver, DriverHandle, Errno, Error, Exclusive, Removal, Scope, Store, Type,
};
use parking_lot::Mutex;

use crate::chips::{Bench, Chip, Numbers};
use crate::common::{GONE, Gate, linger, panic_of, until};

/// What has been done with a motor. It is not `Sync`.
#[derive(Debug, Default)]
struct Motor {
    log: RefCell<Vec<&'static str>>,
}

impl Motor {
    fn note(&mut self, what: &'static str) {
        self.log.get_mut().push(what);
    }
}

type Hook = Mutex<Option<Box<dyn FnMut(&Store, DeviceHandle) + Send>>>;

/// A driver of motors that stops at a gate in each callback, and then does what it is told to.
#[derive(Default)]
struct Drives {
    gate: Arc<Gate>,
    hook: Arc<Hook>,
}

impl Drives {
    fn called(&self, what: &'static str, device: &mut Scope<'_, Exclusive<Motor>>) {
        device.note(what);
        self.gate.pass();
        let (store, object) = (device.store(), device.device());
        assert!(matches!(store.enter_mut::<Motor>(object), Err(Error::Inside | GONE)));
        if let Some(hook) = &mut *self.hook.lock() {
            hook(store, object);
        }
    }
}

impl Driver for Drives {
    type Bus = Numbers;
    type Device = Exclusive<Motor>;
    type Data = Arc<Gate>;

    fn probe(&self, device: &mut Scope<'_, Self::Device>) -> Result<Arc<Gate>, Errno> {
        self.called("probe", device);
        Ok(Arc::clone(&self.gate))
    }

    fn remove(&self, device: &mut Scope<'_, Self::Device>, _: Arc<Gate>) {
        self.called("remove", device);
    }

    fn suspend(&self, device: &mut Scope<'_, Self::Device>, _: &Arc<Gate>) -> Result<(), Errno> {
        self.called("suspend", device);
        Ok(())
    }
}

struct Shop {
    store: Store,
    bus: Bus<Numbers>,
    ty: Type<Exclusive<Motor>>,
    gate: Arc<Gate>,
    hook: Arc<Hook>,
    driver: DriverHandle,
}

impl Shop {
    fn new() -> Self {
        let store = Store::new().unwrap();
        let ty = DeviceType::exclusive::<Motor>("motor")
            .ro("log", |mut motor, page| page.line(motor.log.get_mut().len()))
            .wo("unbind", |motor, _| {
                let (store, device) = (motor.store(), motor.store().device(motor.object())?);
                let driver = store.driver_of(device)?.ok_or(Errno::ENXIO)?;
                store.unbind(device, driver).map(drop).map_err(Errno::from)
            })
            .wo("unbind inside", |motor, _| {
                let (store, device) = (motor.store(), motor.store().device(motor.object())?);
                let driver = store.driver_of(device)?.ok_or(Errno::ENXIO)?;
                let _data = store.data::<Arc<Gate>>(device)?;
                assert_eq!(store.unbind(device, driver), Ok(Removal::Begun(1)));
                Ok(())
            })
            .wo("leave", |motor, _| {
                let (store, device) = (motor.store(), motor.store().device(motor.object())?);
                let driver = store.driver_of(device)?.ok_or(Errno::ENXIO)?;
                assert_eq!(store.unregister_driver(driver), Err(Error::Inside));
                assert_eq!(store.unregister_subtree(device), Ok(Removal::Begun(1)));
                Ok(())
            });
        let ty = store.define(ty).unwrap();
        let bus = store.register_bus("numbers", Numbers).unwrap();
        let drives = Drives::default();
        let (gate, hook) = (Arc::clone(&drives.gate), Arc::clone(&drives.hook));
        let driver = store.register_driver(bus, "drives", drives, vec![1]).unwrap();
        Self { store, bus, ty, gate, hook, driver }
    }

    fn plug(&self) -> DeviceHandle {
        self.store.new_device(self.store.root(), "motor", self.ty, Motor::default()).on(self.bus, 1).register().unwrap()
    }

    fn log(&self, device: DeviceHandle) -> Vec<&'static str> {
        self.store.enter_mut::<Motor>(device).unwrap().log.get_mut().clone()
    }
}

/// S1-2, F49: a driver of exclusive payloads has `&mut` in each of its callbacks; attributes and guards wait for them, and they for those.
#[test]
fn callbacks_have_an_exclusive_payload_to_themselves() {
    let shop = Shop::new();
    let (store, gate) = (&shop.store, &shop.gate);
    thread::scope(|scope| {
        let shut = gate.shut();
        let plugged = scope.spawn(|| shop.plug());
        gate.wait_for(1);
        let device = store.device(store.lookup("motor").unwrap()).unwrap();
        let read = scope.spawn(move || store.read(device, "log"));
        linger();
        assert!(!read.is_finished());
        drop(shut);
        assert_eq!((read.join().unwrap(), plugged.join().unwrap()), (Ok(b"1\n".into()), device));

        // The other way round: who is inside the payload is waited for.
        for step in 0..2 {
            let guard = store.enter_mut::<Motor>(device).unwrap();
            let called = scope.spawn(move || match step {
                0 => store.suspend(device),
                _ => store.unbind(device, shop_driver(store, device)).map(drop),
            });
            linger();
            assert!(!called.is_finished());
            drop(guard);
            assert_eq!(called.join().unwrap(), Ok(()));
        }
        assert_eq!(shop.log(device), ["probe", "suspend", "remove"]);
    });
}

fn shop_driver(store: &Store, device: DeviceHandle) -> DriverHandle {
    store.driver_of(device).unwrap().unwrap()
}

/// S0-15: an attribute of an exclusive payload has the payload, which `remove` needs: there unbinding is refused, and nothing has changed.
/// To remove the device is begun, and done as the attribute returns.
#[test]
fn an_attribute_of_an_exclusive_payload_does_not_unbind() {
    let shop = Shop::new();
    let (store, device) = (&shop.store, shop.plug());
    assert_eq!(store.write(device, "unbind", b"1"), Err(Errno::EDEADLK.into()));
    {
        let _guard = store.enter_mut::<Motor>(device).unwrap();
        assert_eq!(store.unbind(device, shop.driver), Err(Error::Inside));
        assert_eq!(store.bind(device, shop.driver), Err(Error::Bound));
        assert_eq!(store.suspend(device), Err(Error::Inside));
    }
    assert_eq!((store.driver_of(device), shop.log(device)), (Ok(Some(shop.driver)), vec!["probe"]));
    assert!(store.data::<Arc<Gate>>(device).is_ok() && store.audit().is_clean());
    assert_eq!(store.write(device, "leave", b"1"), Ok(()));
    assert!(!store.contains(device) && store.is_empty());
    // The driver has been told to go; with its device it is free to.
    assert_eq!(store.unregister_driver(shop.driver), Ok(Removal::Done(0)));
    assert_eq!((Arc::strong_count(&shop.gate), store.audit().is_clean()), (1, true));
}

/// S0-15: an attribute of an exclusive payload that is inside the driver's data too begins to unbind: it is done as the attribute returns,
/// which gives up both.
#[test]
fn an_attribute_inside_the_data_unbinds_as_it_returns() {
    let shop = Shop::new();
    let (store, device) = (&shop.store, shop.plug());
    assert_eq!(store.write(device, "unbind inside", b"1"), Ok(()));
    assert_eq!((store.driver_of(device), shop.log(device)), (Ok(None), vec!["probe", "remove"]));
    assert!(store.audit().is_clean());
}

/// S1-9, S0-15: in a callback of an exclusive payload the device is unbound, or removed, as that returns, and `remove` has the payload.
#[test]
fn a_callback_of_an_exclusive_payload_ends_its_device() {
    for is_unbound in [true, false] {
        let shop = Shop::new();
        let (store, device, told) = (&shop.store, shop.plug(), Arc::new(OnceLock::new()));
        let (log, driver) = (Arc::clone(&told), shop.driver);
        let mut is_first = true;
        *shop.hook.lock() = Some(Box::new(move |store, device| {
            if std::mem::take(&mut is_first) {
                let begun = match is_unbound {
                    true => store.unbind(device, driver),
                    false => store.unregister_subtree(device),
                };
                log.set(begun).unwrap();
            }
        }));
        assert_eq!(store.suspend(device), Ok(()));
        assert_eq!(told.get(), Some(&Ok(Removal::Begun(1))));
        match is_unbound {
            true => {
                assert_eq!((store.driver_of(device), shop.log(device)), (Ok(None), vec!["probe", "suspend", "remove"]))
            }
            false => assert_eq!((store.driver_of(device), store.is_empty()), (Err(GONE), true)),
        }
        assert_eq!(store.unregister_driver(driver), Ok(Removal::Done(0)));
    }
}

/// S1-8, S3-3: an exclusive payload that is handed back has been through `remove`.
#[test]
fn an_exclusive_payload_is_handed_back_after_remove() {
    let shop = Shop::new();
    let device = shop.plug();
    let mut motor = shop.store.unregister::<Motor>(device).unwrap();
    assert_eq!(*motor.log.get_mut(), ["probe", "remove"]);
}

/// A bus whose matching panics for one number.
struct Shaky;

impl BusType for Shaky {
    type Id = u32;
    type IdTable = ();

    fn matches(&self, id: &u32, (): &()) -> bool {
        assert_ne!(*id, 13, "on purpose");
        true
    }
}

/// Fails by panicking where its name says so, and as it is dropped.
struct Fragile(&'static str);

impl Fragile {
    fn at(&self, place: &str) {
        assert_ne!(self.0, place, "on purpose");
    }
}

impl Driver for Fragile {
    type Bus = Shaky;
    type Device = enodev::Shared<Chip>;
    type Data = Bomb;

    fn probe(&self, _: &mut Scope<'_, Self::Device>) -> Result<Bomb, Errno> {
        self.at("probe");
        Ok(Bomb(self.0 == "data"))
    }

    fn remove(&self, _: &mut Scope<'_, Self::Device>, data: Bomb) {
        drop(data);
        self.at("remove");
    }

    fn suspend(&self, _: &mut Scope<'_, Self::Device>, _: &Bomb) -> Result<(), Errno> {
        self.at("suspend");
        Ok(())
    }
}

impl Drop for Fragile {
    fn drop(&mut self) {
        self.at("drop");
    }
}

#[derive(Debug)]
struct Bomb(bool);

impl Drop for Bomb {
    fn drop(&mut self) {
        assert!(!self.0, "on purpose");
    }
}

/// S0-3, E-32: wherever a driver or its bus panics, the device is bound or free as if the callback had failed, and everything can be removed
/// again; no lock stays taken.
#[test]
fn panics_of_drivers_leave_everything_usable() {
    for place in ["match", "probe", "remove", "suspend", "data", "drop"] {
        let bench = Bench::new();
        let store = &bench.store;
        let shaky = store.register_bus("shaky", Shaky).unwrap();
        let driver = store.register_driver(shaky, "fragile", Fragile(place), ()).unwrap();
        let id = if place == "match" { 13 } else { 1 };
        let device = store.new_device(store.root(), "chip", bench.chip, Chip(1)).on(shaky, id).register().unwrap();
        let is_bound = !matches!(place, "match" | "probe");
        assert_eq!(store.driver_of(device), Ok(is_bound.then_some(driver)), "{place}");
        let bound = store.bind(device, driver);
        assert_eq!(
            bound,
            Err(match place {
                "match" => Error::NoMatch,
                "probe" => Errno::EIO.into(),
                _ => Error::Bound,
            })
        );
        assert_eq!(store.suspend(device), if place == "suspend" { Err(Errno::EIO.into()) } else { Ok(()) });
        if is_bound {
            assert_eq!(store.unbind(device, driver), Ok(Removal::Done(1)), "{place}");
            assert_eq!((store.driver_of(device), store.bind(device, driver)), (Ok(None), Ok(())), "{place}");
            // And as the device leaves.
            assert_eq!(store.unregister::<Chip>(device), Ok(Chip(1)), "{place}");
        } else {
            assert!(store.lock(device).is_ok());
            assert_eq!(store.unregister_subtree(device), Ok(Removal::Done(1)), "{place}");
        }
        match place {
            "drop" => assert!(panic_of(|| store.unregister_driver(driver)).contains("on purpose")),
            _ => assert_eq!(store.unregister_driver(driver), Ok(Removal::Done(0)), "{place}"),
        }
        assert_eq!((store.unregister_driver(driver), store.unregister_bus(shaky)), (Err(GONE), Ok(())), "{place}");
        assert!(store.audit().is_clean(), "{place}: {:?}", store.audit().findings());
    }
}

/// A payload or a number whose drop panics.
struct Rotten;

impl Drop for Rotten {
    fn drop(&mut self) {
        panic!("on purpose");
    }
}

struct Careless;

impl BusType for Careless {
    type Id = Option<Rotten>;
    type IdTable = ();

    fn matches(&self, _: &Option<Rotten>, (): &()) -> bool {
        true
    }
}

/// S0-3: where what a device said to its bus, or its payload, panics as it is dropped, all else of the removal is done all the same, and the
/// panic goes on then.
#[test]
fn a_drop_that_panics_ends_no_removal_early() {
    for is_id in [true, false] {
        let store = Store::new().unwrap();
        let bus = store.register_bus("careless", Careless).unwrap();
        let ty = store.define(DeviceType::shared::<Option<Rotten>>("rotten")).unwrap();
        let rotten = |is_rotten: bool| is_rotten.then(|| Rotten);
        let top = store.new_device(store.root(), "top", ty, None).on(bus, None).register().unwrap();
        store.new_device(top, "rotten", ty, rotten(!is_id)).on(bus, rotten(is_id)).register().unwrap();
        store.new_device(top, "sound", ty, None).on(bus, None).register().unwrap();
        assert!(catch_unwind(AssertUnwindSafe(|| store.unregister_subtree(top))).is_err());
        assert!(store.is_empty() && store.audit().is_clean());
        assert_eq!((store.devices_on(bus).unwrap().count(), store.unregister_bus(bus)), (0, Ok(())));
    }
}

/// E-6: a removal of the device that waits for one who has the payload is not kept by an unbinding that wants it too.
#[test]
fn an_unbinding_and_a_removal_want_the_payload() {
    for _ in 0..30 {
        let shop = Shop::new();
        let (store, device) = (&shop.store, shop.plug());
        thread::scope(|scope| {
            let guard = store.enter_mut::<Motor>(device).unwrap();
            let unbound = scope.spawn(|| store.unbind(device, shop.driver));
            let removed = scope.spawn(|| store.unregister_subtree(device));
            until(|| !store.contains(device));
            drop(guard);
            assert_eq!(removed.join().unwrap(), Ok(Removal::Done(1)));
            assert!(matches!(unbound.join().unwrap(), Ok(Removal::Done(1)) | Err(Error::NotBound | GONE)));
        });
        assert!(store.audit().is_clean());
    }
}
