//! A store with a bus of chips, and drivers that write down what they are called for.

use std::sync::Arc;

use enodev::{
    AsKobject, Bus, BusType, DeviceHandle, DeviceType, Driver, DriverHandle, Errno, Scope, Shared, Store, Type,
};
use parking_lot::Mutex;

/// Devices and drivers fit where their numbers are alike.
pub(crate) struct Numbers;

impl BusType for Numbers {
    type Id = u32;
    type IdTable = Vec<u32>;

    fn matches(&self, id: &u32, table: &Vec<u32>) -> bool {
        table.contains(id)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Chip(pub(crate) u32);

pub(crate) type Log = Arc<Mutex<Vec<String>>>;

/// What a driver does with one of its devices.
pub(crate) type Scoped<'a, 'b> = &'a mut Scope<'b, Shared<Chip>>;

type Probe = dyn Fn(&mut Scope<'_, Shared<Chip>>) -> Result<(), Errno> + Send + Sync;
type Remove = dyn Fn(&mut Scope<'_, Shared<Chip>>) + Send + Sync;

/// A driver that writes down what it is called for, and then does what it is told to.
pub(crate) struct Logger {
    name: &'static str,
    log: Log,
    probe: Box<Probe>,
    remove: Box<Remove>,
    suspend: Box<Probe>,
}

impl Logger {
    pub(crate) fn new(name: &'static str, log: &Log) -> Self {
        let (probe, remove, suspend) =
            (Box::new(|_: Scoped| Ok(())), Box::new(|_: Scoped| {}), Box::new(|_: Scoped| Ok(())));
        Self { name, log: Arc::clone(log), probe, remove, suspend }
    }

    pub(crate) fn probing(self, probe: impl Fn(Scoped<'_, '_>) -> Result<(), Errno> + Send + Sync + 'static) -> Self {
        Self { probe: Box::new(probe), ..self }
    }

    pub(crate) fn removing(self, remove: impl Fn(Scoped<'_, '_>) + Send + Sync + 'static) -> Self {
        Self { remove: Box::new(remove), ..self }
    }

    pub(crate) fn suspending(
        self,
        suspend: impl Fn(Scoped<'_, '_>) -> Result<(), Errno> + Send + Sync + 'static,
    ) -> Self {
        Self { suspend: Box::new(suspend), ..self }
    }

    fn note(&self, what: &str, chip: Chip) {
        self.log.lock().push(format!("{} {what} {}", self.name, chip.0));
    }
}

impl Driver for Logger {
    type Bus = Numbers;
    type Device = Shared<Chip>;
    type Data = String;

    fn probe(&self, device: &mut Scope<'_, Self::Device>) -> Result<String, Errno> {
        self.note("probe", ***device);
        (self.probe)(device)?;
        Ok(self.name.into())
    }

    fn remove(&self, device: &mut Scope<'_, Self::Device>, data: String) {
        assert_eq!(data, self.name);
        self.note("remove", ***device);
        (self.remove)(device);
    }

    fn suspend(&self, device: &mut Scope<'_, Self::Device>, _: &String) -> Result<(), Errno> {
        self.note("suspend", ***device);
        (self.suspend)(device)
    }

    fn resume(&self, device: &mut Scope<'_, Self::Device>, _: &String) -> Result<(), Errno> {
        self.note("resume", ***device);
        Ok(())
    }

    fn shutdown(&self, device: &mut Scope<'_, Self::Device>, _: &String) {
        self.note("shutdown", ***device);
    }
}

/// A store with a bus, whose chips have one attribute.
pub(crate) struct Bench {
    pub(crate) store: Store,
    pub(crate) bus: Bus<Numbers>,
    pub(crate) chip: Type<Shared<Chip>>,
    pub(crate) log: Log,
}

impl Bench {
    pub(crate) fn new() -> Self {
        let store = Store::new().unwrap();
        let bus = store.register_bus("numbers", Numbers).unwrap();
        let chip = store.define(DeviceType::shared::<Chip>("chip").ro("id", |chip, page| page.line(chip.0))).unwrap();
        Self { store, bus, chip, log: Log::default() }
    }

    pub(crate) fn plug(&self, id: u32) -> DeviceHandle {
        self.plug_under(self.store.root(), id)
    }

    pub(crate) fn plug_under(&self, parent: impl AsKobject, id: u32) -> DeviceHandle {
        self.store.new_device(parent, &format!("chip{id}"), self.chip, Chip(id)).on(self.bus, id).register().unwrap()
    }

    pub(crate) fn logger(&self, name: &'static str) -> Logger {
        Logger::new(name, &self.log)
    }

    pub(crate) fn driver(&self, driver: Logger, ids: &[u32]) -> DriverHandle {
        let name = driver.name;
        self.store.register_driver(self.bus, name, driver, ids.into()).unwrap()
    }

    /// What drivers have been called for since the last time.
    pub(crate) fn log(&self) -> Vec<String> {
        std::mem::take(&mut *self.log.lock())
    }
}
