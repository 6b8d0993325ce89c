//! The drivers: each has manners of its own, and says so when it is called as it may not be.

use std::cell::Cell;
use std::marker::PhantomData;
use std::panic::resume_unwind;
use std::sync::Arc;
use std::thread;

use enodev::{DeviceHandle, Driver, DriverHandle, Errno, Removal, Scope, Store};

use super::chip::{AnyBus, Chip, Chipped, Record, Wire};
use super::drivers;
use super::places::{self, From, How};
use super::scene::{DriverRecord, DriverTenant, Scene};
use crate::random::mix;

/// What is to be expected of a driver.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Manner {
    /// It does what it should.
    Plain,
    /// It refuses devices, and fails to put them to sleep.
    Fussy,
    /// It panics.
    Spiteful,
    /// It unbinds and unregisters itself, and the device that it is called for.
    Quitter,
    /// It removes other devices, unbinds them, and unregisters other drivers.
    Meddler,
}

/// A driver.
pub(super) struct Served<O, const LOCKS_PARENT: bool> {
    pub(super) scene: Arc<Scene>,
    pub(super) record: Arc<DriverRecord>,
    pub(super) manner: Manner,
    /// It registers ports below its devices.
    pub(super) is_bridge: bool,
    pub(super) devices: PhantomData<fn() -> O>,
}

/// What a driver keeps of a device.
#[derive(Debug)]
pub(super) struct Data {
    pub(super) record: Arc<Record>,
    pub(super) driver: Arc<DriverRecord>,
    ports: Vec<DeviceHandle>,
    is_returned: bool,
    scene: Arc<Scene>,
}

impl Drop for Data {
    fn drop(&mut self) {
        let Self { record, driver, .. } = self;
        self.scene.book.claim(self.is_returned, || {
            format!("what driver {} keeps of device {} was dropped, not given back", driver.serial, record.serial)
        });
        self.scene.book.data.gone.add(1);
    }
}

/// For the length of one callback.
struct Call<'a> {
    scene: &'a Scene,
    driver: &'a DriverRecord,
    record: Arc<Record>,
    name: &'static str,
}

impl Drop for Call<'_> {
    fn drop(&mut self) {
        self.claim(!self.driver.ended.is_up(), "was under way when the driver's removal had returned");
        self.claim(!self.record.dropped.is_up(), "outlived the device's payload");
        self.record.busy.lower();
    }
}

impl Call<'_> {
    fn claim(&self, holds: bool, what: &str) {
        self.scene.book.claim(holds, || {
            format!("{} of device {} by driver {} {what}", self.name, self.record.serial, self.driver.serial)
        });
    }
}

thread_local! {
    /// How many callbacks that meddle the thread is in.
    static MEDDLING: Cell<u32> = const { Cell::new(0) };
}

impl<O: Chipped, const LOCKS_PARENT: bool> Served<O, LOCKS_PARENT> {
    fn begin(&self, name: &'static str, scope: &Scope<'_, O>) -> (Call<'_>, u64) {
        let record = Arc::clone(&O::chip(scope).record);
        let call = Call { scene: &self.scene, driver: &self.record, record, name };
        O::chip(scope).check("before a callback of its driver");
        call.claim(!call.record.busy.raise(), "began during another callback");
        call.claim(!self.record.ended.is_up(), "began when the driver's removal had returned");
        call.claim(!self.record.dropped.is_up(), "began when the driver had been dropped");
        call.record.is(&self.scene.book, scope.device());
        let many = call.record.probes.add(1);
        let dice = mix(self.scene.seed ^ mix(call.record.serial) ^ mix(self.record.serial << 20 ^ many));
        if dice >> 32 & 7 == 0 {
            // A callback that takes longer meets more of what others do.
            thread::yield_now();
        }
        (call, dice)
    }

    /// The handle of this driver, once it is known.
    fn own(&self) -> Option<DriverHandle> {
        let bits = self.record.handle.get();
        (bits != 0).then(|| DriverHandle::from_bits(bits))
    }

    /// Does to others what should be left to them.
    fn meddle(&self, store: &Store, dice: u64) {
        if MEDDLING.get() != 0 {
            return;
        }
        MEDDLING.set(1);
        let bits = mix(dice);
        let place = (bits >> 32) as usize % self.scene.places.len();
        let _ = match bits % 16 {
            0..=4 => drivers::unbind(store, &self.scene, place, From::Inside),
            5..=9 if self.scene.places[place].hub.is_some() => {
                places::unplug(store, &self.scene, place, How::of(bits >> 8), From::Inside)
            }
            10..=14 => drivers::attach(store, &self.scene, place, From::Inside),
            _ => drivers::leave(store, &self.scene, place % self.scene.slots.len(), From::Inside),
        };
        MEDDLING.set(0);
    }

    /// Ends the driver, or the device, from inside.
    fn quit(&self, scope: &Scope<'_, O>, record: &Record, dice: u64) {
        let (store, book) = (scope.store(), &self.scene.book);
        match (dice % 1024, self.own()) {
            (0, Some(handle)) => {
                let tenant = DriverTenant { handle, record: Arc::clone(&self.record) };
                self.scene.ending.lock().push(tenant);
                match store.unregister_driver(handle) {
                    Ok(Removal::Begun(_)) => {}
                    Ok(done) => book.violation(&format!("driver {} ended inside itself: {done:?}", self.record.serial)),
                    Err(error) => book.may_fail(error, &drivers::INSIDE, || "a driver ending itself".into()),
                }
            }
            (1..=8, _) => {
                record.leaving.raise();
                match store.unregister_subtree(scope.device()) {
                    Ok(Removal::Begun(_)) => {}
                    Ok(done) => book.violation(&format!("device {} left during a callback: {done:?}", record.serial)),
                    Err(error) => book.may_fail(error, &drivers::INSIDE, || "a driver ending its device".into()),
                }
            }
            (9..=16, Some(handle)) => match store.unbind(scope.device(), handle) {
                Ok(Removal::Begun(_)) | Err(enodev::Error::NotBound) => {}
                Ok(done) => book.violation(&format!("device {} was unbound in a callback: {done:?}", record.serial)),
                Err(error) => book.may_fail(error, &drivers::INSIDE, || "a driver unbinding itself".into()),
            },
            (17..=24, _) => {
                // It is at it already.
                let error = store.attach(scope.device()).err().map(enodev::Error::errno);
                book.claim(matches!(error, Some(Errno::EDEADLK | Errno::ENODEV)), || {
                    format!("device {} looked for drivers in a callback: {error:?}", record.serial)
                });
            }
            _ => {}
        }
    }

    /// What a driver does beside its work. Its bookkeeping is done.
    fn misbehave(&self, scope: &Scope<'_, O>, record: &Record, dice: u64) {
        match self.manner {
            Manner::Spiteful if dice % 128 == 0 => resume_unwind(Box::new("spite")),
            Manner::Quitter => self.quit(scope, record, dice),
            Manner::Meddler if dice % 64 == 0 => self.meddle(scope.store(), dice),
            _ => {}
        }
    }

    /// Registers ports below a hub, whose lock is held.
    fn add_ports(&self, scope: &Scope<'_, O>, record: &Arc<Record>) -> Vec<DeviceHandle> {
        let (scene, store) = (&*self.scene, scope.store());
        let bus = scene.buses[PORT_BUS];
        let AnyBus::Plain(bus) = bus else { return Vec::new() };
        let add = |n: u32| {
            let port = Record::new(&scene.book, record.place, true, Some(Arc::clone(record)));
            let chip = Chip::new(&scene.book, &port);
            let new = store.new_device(scope.device(), &format!("port{n}"), scene.shared, chip).on(bus, n);
            match new.register_in(scope) {
                Ok(handle) => {
                    port.is(&scene.book, handle);
                    Some(handle)
                }
                Err(error) => {
                    // One of the last binding may still be leaving, and the hub too.
                    scene.book.may_fail(error, &[Errno::EEXIST, Errno::ENODEV], || format!("port {n}"));
                    None
                }
            }
        };
        (0..PORTS).filter_map(add).collect()
    }

    fn remove_ports(&self, store: &Store, ports: &[DeviceHandle]) {
        for port in ports {
            if let Err(error) = store.unregister_subtree(*port) {
                let what = || format!("removing port {port:?}");
                self.scene.book.may_fail(error, &drivers::INSIDE, what);
            }
        }
    }
}

/// Ports of a hub.
const PORTS: u32 = 2;
/// The bus of ports.
pub(super) const PORT_BUS: usize = 5;

impl<O: Chipped, const LOCKS_PARENT: bool> Driver for Served<O, LOCKS_PARENT> {
    type Bus = Wire<LOCKS_PARENT>;
    type Device = O;
    type Data = Data;

    fn probe(&self, scope: &mut Scope<'_, O>) -> Result<Data, Errno> {
        let (call, dice) = self.begin("probe", scope);
        let record = Arc::clone(&call.record);
        call.claim(record.driver.get() == 0, "found the device bound");
        if self.manner == Manner::Fussy {
            match dice % 16 {
                0..=3 => return Err(Errno::ENODEV),
                4 => return Err(Errno::EIO),
                _ => {}
            }
        }
        self.misbehave(scope, &record, dice);
        let ports = if self.is_bridge { self.add_ports(scope, &record) } else { Vec::new() };
        call.claim(record.driver.set(self.record.serial) == 0, "found the device bound in the end");
        self.scene.book.data.made.add(1);
        let (driver, scene) = (Arc::clone(&self.record), Arc::clone(&self.scene));
        Ok(Data { record, driver, ports, is_returned: false, scene })
    }

    fn remove(&self, scope: &mut Scope<'_, O>, mut data: Data) {
        let (call, dice) = self.begin("remove", scope);
        data.is_returned = true;
        let is_own = Arc::ptr_eq(&data.record, &call.record) && Arc::ptr_eq(&data.driver, &self.record);
        call.claim(is_own, "was given the data of another binding");
        self.remove_ports(scope.store(), &data.ports);
        call.claim(call.record.driver.set(0) == self.record.serial, "found the device bound to another");
        self.misbehave(scope, &call.record, dice);
    }

    fn shutdown(&self, scope: &mut Scope<'_, O>, data: &Data) {
        let _ = self.power("shutdown", scope, data);
    }

    fn suspend(&self, scope: &mut Scope<'_, O>, data: &Data) -> Result<(), Errno> {
        self.power("suspend", scope, data)
    }

    fn resume(&self, scope: &mut Scope<'_, O>, data: &Data) -> Result<(), Errno> {
        self.power("resume", scope, data)
    }
}

impl<O: Chipped, const LOCKS_PARENT: bool> Served<O, LOCKS_PARENT> {
    fn power(&self, name: &'static str, scope: &Scope<'_, O>, data: &Data) -> Result<(), Errno> {
        let (call, dice) = self.begin(name, scope);
        let is_own = Arc::ptr_eq(&data.record, &call.record) && Arc::ptr_eq(&data.driver, &self.record);
        call.claim(is_own, "was given the data of another binding");
        call.claim(call.record.driver.get() == self.record.serial, "found the device bound to another");
        if self.manner == Manner::Fussy && dice % 16 == 0 {
            return Err(Errno::EIO);
        }
        self.misbehave(scope, &call.record, dice);
        Ok(())
    }
}

impl<O, const LOCKS_PARENT: bool> Drop for Served<O, LOCKS_PARENT> {
    fn drop(&mut self) {
        let serial = self.record.serial;
        self.scene.book.claim(!self.record.dropped.raise(), || format!("driver {serial} was dropped twice"));
        self.scene.book.drivers.gone.add(1);
    }
}
