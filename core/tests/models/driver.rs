//! Drivers that tell who calls them when nobody may.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool as UnmodelledBool, AtomicUsize as Unmodelled, Ordering};

use enodev::{AsKobject, BusType, DeviceHandle, Driver, DriverHandle, Errno, Scope, Shared};
use enodev_handles::sync::thread;

use crate::common::{Disk, Rig, Witness};

/// A bus on which devices and drivers fit where their numbers are alike.
pub(crate) struct Numbers;

impl BusType for Numbers {
    type Id = u32;
    type IdTable = Vec<u32>;

    fn matches(&self, id: &u32, table: &Vec<u32>) -> bool {
        table.contains(id)
    }
}

/// What a driver leaves behind for the model to ask.
#[derive(Debug, Default)]
pub(crate) struct Code {
    inside: Unmodelled,
    asked: Unmodelled,
    probed: Unmodelled,
    removed: Unmodelled,
    is_gone: UnmodelledBool,
}

impl Code {
    /// How often it was asked about a device.
    pub(crate) fn asked(&self) -> usize {
        self.asked.load(Ordering::Relaxed)
    }

    /// How many devices it has taken, those that it let go of included.
    pub(crate) fn probed(&self) -> usize {
        self.probed.load(Ordering::Relaxed)
    }

    /// That it has been given its data of every device back, once each, but for so many.
    #[track_caller]
    pub(crate) fn assert_bound(&self, count: usize) {
        assert_eq!(self.probed(), self.removed.load(Ordering::Relaxed) + count, "what it has taken, and let go of");
    }

    /// That the driver has been dropped; it has let go of everything by then.
    #[track_caller]
    pub(crate) fn assert_gone(&self) {
        assert!(self.is_gone.load(Ordering::Relaxed), "the driver is still there");
        self.assert_bound(0);
    }

    #[track_caller]
    fn assert_there(&self) {
        assert!(!self.is_gone.load(Ordering::Relaxed), "the driver is gone");
    }

    /// Runs a callback, in which others have their turn.
    fn run<T>(&self, callback: impl FnOnce() -> T) -> T {
        self.assert_there();
        self.inside.fetch_add(1, Ordering::Relaxed);
        thread::yield_now();
        let result = callback();
        self.assert_there();
        self.inside.fetch_sub(1, Ordering::Relaxed);
        result
    }
}

pub(crate) type Device<'a> = Scope<'a, Shared<Disk>>;

/// A driver of disks, whose probe does what the model says. What it keeps of a device is a payload too.
pub(crate) struct Model<P> {
    code: Arc<Code>,
    probe: P,
}

impl<P> Driver for Model<P>
where
    P: Fn(&mut Device<'_>) -> Result<(), Errno> + Send + Sync + 'static,
{
    type Bus = Numbers;
    type Device = Shared<Disk>;
    type Data = Disk;

    fn probe(&self, device: &mut Device<'_>) -> Result<Disk, Errno> {
        self.code.run(|| {
            self.code.asked.fetch_add(1, Ordering::Relaxed);
            device.visit();
            (self.probe)(device)?;
            self.code.probed.fetch_add(1, Ordering::Relaxed);
            Ok(Disk(Arc::<Witness>::default()))
        })
    }

    fn remove(&self, device: &mut Device<'_>, data: Disk) {
        self.code.run(|| {
            device.visit();
            data.visit();
            drop(data);
            self.code.removed.fetch_add(1, Ordering::Relaxed);
        });
    }
}

impl<P> Drop for Model<P> {
    fn drop(&mut self) {
        assert_eq!(self.code.inside.load(Ordering::Relaxed), 0, "a callback runs");
        self.code.assert_bound(0);
        assert!(!self.code.is_gone.swap(true, Ordering::Relaxed), "dropped twice");
    }
}

/// A probe that takes every device.
pub(crate) fn take(_: &mut Device<'_>) -> Result<(), Errno> {
    Ok(())
}

/// A probe that takes none.
pub(crate) fn refuse(_: &mut Device<'_>) -> Result<(), Errno> {
    Err(Errno::ENODEV)
}

impl Rig {
    /// Adds a driver of the devices 1.
    pub(crate) fn driver(
        &self,
        name: &str,
        probe: impl Fn(&mut Device<'_>) -> Result<(), Errno> + Send + Sync + 'static,
    ) -> (DriverHandle, Arc<Code>) {
        self.driver_of(name, 1, probe)
    }

    /// Adds a driver.
    pub(crate) fn driver_of(
        &self,
        name: &str,
        id: u32,
        probe: impl Fn(&mut Device<'_>) -> Result<(), Errno> + Send + Sync + 'static,
    ) -> (DriverHandle, Arc<Code>) {
        let code = Arc::<Code>::default();
        let driver = Model { code: Arc::clone(&code), probe };
        (self.store.register_driver(self.bus, name, driver, vec![id]).unwrap(), code)
    }

    /// Adds a device 1 on the bus.
    pub(crate) fn add(&self, name: &str) -> (DeviceHandle, Arc<Witness>) {
        let (device, witness) = self.try_add(self.store.root(), name);
        (device.unwrap(), witness)
    }

    pub(crate) fn try_add(&self, parent: impl AsKobject, name: &str) -> (enodev::Result<DeviceHandle>, Arc<Witness>) {
        let witness = Arc::<Witness>::default();
        let device = self.store.new_device(parent, name, self.disk, Disk(Arc::clone(&witness)));
        let added = device.on(self.bus, 1).register();
        assert!(added.is_ok() || witness.is_gone(), "a payload that was refused is still there");
        (added, witness)
    }

    /// The driver of a device; none where the device has left.
    pub(crate) fn driver_now(&self, device: impl AsKobject) -> Option<DriverHandle> {
        let device = self.store.device(device.kobject()).ok()?;
        self.store.driver_of(device).unwrap_or_default()
    }
}
