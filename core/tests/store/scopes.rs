//! What a callback has for its length: its own device, whatever becomes of that meanwhile.

use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::{Arc, OnceLock};
use std::thread;

use enodev::{
    AsKobject, Bus, DeviceHandle, DeviceType, Driver, DriverHandle, Errno, KobjectHandle, Removal, Scope, Shared,
    Store, Type,
};
use parking_lot::Mutex;

use crate::chips::{Chip, Numbers};
use crate::common::{GONE, Gate, until};

/// The callbacks on a device, one of an attribute of it included.
const CALLBACKS: [&str; 6] = ["probe", "remove", "shutdown", "suspend", "resume", "show"];

/// What a callback found: its name, the root of its store, the device that it was told, and the number of the payload that it was given.
type Found = (&'static str, KobjectHandle, KobjectHandle, u32);

type Look = dyn Fn(&'static str, &Store, KobjectHandle, &dyn Fn() -> u32) + Send + Sync;

/// A driver that looks around in each callback. What it keeps of a device is ten times its number.
struct Looks(Arc<Look>);

impl Looks {
    fn look(&self, what: &'static str, device: &Scope<'_, Shared<Chip>>) {
        assert_eq!(device.object(), device.device().kobject());
        (self.0)(what, device.store(), device.object(), &|| device.0);
    }
}

impl Driver for Looks {
    type Bus = Numbers;
    type Device = Shared<Chip>;
    type Data = u32;

    fn probe(&self, device: &mut Scope<'_, Self::Device>) -> Result<u32, Errno> {
        self.look("probe", device);
        Ok(device.0 * 10)
    }

    fn remove(&self, device: &mut Scope<'_, Self::Device>, data: u32) {
        self.look("remove", device);
        assert_eq!(data, device.0 * 10);
    }

    fn shutdown(&self, device: &mut Scope<'_, Self::Device>, data: &u32) {
        self.look("shutdown", device);
        assert_eq!(*data, device.0 * 10);
    }

    fn suspend(&self, device: &mut Scope<'_, Self::Device>, data: &u32) -> Result<(), Errno> {
        self.look("suspend", device);
        assert_eq!(*data, device.0 * 10);
        Ok(())
    }

    fn resume(&self, device: &mut Scope<'_, Self::Device>, data: &u32) -> Result<(), Errno> {
        self.look("resume", device);
        assert_eq!(*data, device.0 * 10);
        Ok(())
    }
}

/// A store in which every callback on the devices 1 to 9 looks around.
struct Room {
    store: Store,
    bus: Bus<Numbers>,
    chip: Type<Shared<Chip>>,
    driver: DriverHandle,
}

impl Room {
    fn new(look: impl Fn(&'static str, &Store, KobjectHandle, &dyn Fn() -> u32) + Send + Sync + 'static) -> Self {
        let (store, look): (_, Arc<Look>) = (Store::new().unwrap(), Arc::new(look));
        let bus = store.register_bus("numbers", Numbers).unwrap();
        let looks = Arc::clone(&look);
        let chip = DeviceType::shared::<Chip>("chip").ro("id", move |chip, page| {
            looks("show", chip.store(), chip.object(), &|| chip.0);
            page.line(chip.0)
        });
        let chip = store.define(chip).unwrap();
        let driver = store.register_driver(bus, "looks", Looks(look), Vec::from_iter(1..10)).unwrap();
        Self { store, bus, chip, driver }
    }

    fn plug(&self, id: u32) -> DeviceHandle {
        let device = self.store.new_device(self.store.root(), &format!("chip{id}"), self.chip, Chip(id));
        device.on(self.bus, id).register().unwrap()
    }

    /// Has a callback on a device called.
    fn call(&self, what: &str, device: DeviceHandle) {
        let store = &self.store;
        let called = match what {
            "probe" => store.bind(device, self.driver),
            "remove" => store.unbind(device, self.driver).map(drop),
            "shutdown" => store.shutdown(device),
            "suspend" => store.suspend(device),
            "resume" => store.resume(device),
            _ => store.read(device, "id").map(drop),
        };
        assert_eq!(called, Ok(()), "{what}");
    }

    /// Makes ready what a callback needs before it is called.
    fn prepare(&self, what: &str, device: DeviceHandle) {
        match what {
            "probe" => self.call("remove", device),
            "resume" => self.call("suspend", device),
            _ => {}
        }
    }
}

/// F49: each callback is given its own device, of several that the driver serves at once: the payload, the handle and the store; and what its
/// own probe has kept of it.
#[test]
fn each_callback_is_given_its_own_device() {
    let found = Arc::<Mutex<Vec<Found>>>::default();
    let log = Arc::clone(&found);
    let room = Room::new(move |what, store, device, id| {
        log.lock().push((what, store.root(), device, id()));
    });
    let devices = [1, 2, 3].map(|id| room.plug(id));
    let root = room.store.root();
    for what in CALLBACKS {
        for (device, id) in devices.into_iter().zip([1, 2, 3]).rev() {
            room.prepare(what, device);
            found.lock().clear();
            room.call(what, device);
            assert_eq!(std::mem::take(&mut *found.lock()), [(what, root, device.kobject(), id)]);
            // And as it was.
            match what {
                "remove" => room.call("probe", device),
                "suspend" => room.call("resume", device),
                _ => {}
            }
        }
    }
    for (device, id) in devices.into_iter().zip([1, 2, 3]) {
        found.lock().clear();
        assert_eq!(room.store.unregister::<Chip>(device), Ok(Chip(id)));
        assert_eq!(std::mem::take(&mut *found.lock()), [("remove", root, device.kobject(), id)]);
    }
}

/// F49: while a callback runs, its device is being removed: everybody else gets ENODEV, the callback itself goes on with the payload and with
/// what the driver keeps; and the removal ends after it. Another device that leaves is reached from there no more than from anywhere.
#[test]
fn a_callback_has_its_device_while_that_leaves() {
    for what in CALLBACKS {
        let (gate, is_armed) = (Arc::<Gate>::default(), Arc::new(AtomicBool::new(false)));
        let (other, seen) = (Arc::new(OnceLock::<DeviceHandle>::new()), Arc::<Mutex<Vec<_>>>::default());
        let room = {
            let (gate, is_armed, other, seen) =
                (Arc::clone(&gate), Arc::clone(&is_armed), Arc::clone(&other), Arc::clone(&seen));
            Room::new(move |now, store, device, id| {
                if now != what || !is_armed.swap(false, SeqCst) {
                    return;
                }
                assert!(store.contains(device) && store.contains(*other.get().unwrap()));
                gate.pass();
                let own = store.enter::<Chip>(device).map(|chip| chip.0);
                let other = store.enter::<Chip>(*other.get().unwrap()).map(|chip| chip.0);
                let data = store.device(device).and_then(|device| store.data::<u32>(device).map(drop));
                seen.lock().push((id(), own, other, data));
            })
        };
        let (store, device, leaves) = (&room.store, room.plug(1), room.plug(2));
        other.set(leaves).unwrap();
        room.prepare(what, device);
        thread::scope(|scope| {
            let inside = store.enter::<Chip>(leaves).unwrap();
            is_armed.store(true, SeqCst);
            let shut = gate.shut();
            let caller = scope.spawn(|| room.call(what, device));
            gate.wait_for(1);
            let removals = [device, leaves].map(|device| scope.spawn(move || store.unregister_subtree(device)));
            until(|| !store.contains(device) && !store.contains(leaves));
            assert!(removals.iter().all(|removal| !removal.is_finished()));
            drop(shut);
            caller.join().unwrap();
            assert_eq!(*seen.lock(), [(1, Err(GONE), Err(GONE), Err(GONE))], "{what}");
            assert_eq!(inside.0, 2);
            drop(inside);
            assert_eq!(removals.map(|removal| removal.join().unwrap()), [Ok(Removal::Done(1)); 2]);
        });
        assert_eq!(store.devices_of(room.driver).unwrap().count(), 0);
    }
}
