//! Rows of removals from a store, with open files and without. Devices and files are made anew for each round, and the files
//! are closed after it; neither is timed.

use enodev::{Access, DeviceHandle, DeviceType, Errno, File, KobjectHandle, Shared, Store, Type};

use super::object::payloads;
use super::row::{Done, Measured, Pattern};
use super::{Payload, Result};
use crate::contest::race;

/// So many devices leave in a round, one by one.
const DEVICES: usize = 16;

/// So many files are open of each.
const FILES: usize = 10_000;

/// So many open files lie together. An allocator that maps larger pieces of memory, and sees them unmapped, may change its ways
/// with those of the rows that follow.
const LOT: usize = 500;

/// A store in which other devices stay.
struct Unregistering {
    store: Store,
    ty: Type<Shared<Payload>>,
    /// Where the devices come and go.
    dir: KobjectHandle,
    /// How many files are open of each.
    files: usize,
}

/// Devices that nobody has open.
pub(crate) fn without_files(objects: usize) -> Result<Box<dyn Measured>> {
    build(objects, 0)
}

/// Devices of each of which very many files are open.
pub(crate) fn with_files(objects: usize) -> Result<Box<dyn Measured>> {
    build(objects, FILES)
}

fn build(objects: usize, files: usize) -> Result<Box<dyn Measured>> {
    let store = Store::new()?;
    let ty = DeviceType::shared::<Payload>("device").ro("number", |device, page| page.line(device.number()));
    let ty = store.define(ty)?;
    for payload in payloads(objects) {
        store.register(store.root(), &format!("device{}", payload.number()), ty, payload)?;
    }
    let dir = store.create(store.root(), "bus")?;
    let this = Unregistering { store, ty, dir, files };
    this.check()?;
    Ok(Box::new(this))
}

impl Unregistering {
    /// Has the round's devices come, and opens their files. One device more has come and gone when this returns, and all the
    /// others have been read, so that with files and without the removals begin in the same caches.
    fn make(&self) -> Result<(Vec<DeviceHandle>, Vec<Vec<File>>)> {
        let (mut devices, mut lots) = (Vec::new(), Vec::new());
        let first = self.store.register(self.dir, "first", self.ty, Payload::new(0))?;
        for payload in payloads(DEVICES) {
            let device = self.store.register(self.dir, &format!("device{}", payload.number()), self.ty, payload)?;
            for _ in 0..self.files / LOT {
                let files = (0..LOT).map(|_| self.store.open(device, "number", Access::READ));
                lots.push(files.collect::<enodev::Result<Vec<_>>>()?);
            }
            devices.push(device);
        }
        for device in devices.iter().rev() {
            self.store.read(*device, "number")?;
        }
        self.remove(&[first])?;
        Ok((devices, lots))
    }

    fn remove(&self, devices: &[DeviceHandle]) -> Result<()> {
        for device in devices {
            self.store.unregister::<Payload>(*device)?;
        }
        Ok(())
    }

    /// Sees that files are open of all the devices, and that they end with them.
    fn check(&self) -> Result<()> {
        let (devices, lots) = self.make()?;
        // Nothing is shown for an empty buffer: the texts of so many files would fill a gigabyte.
        let reads = || lots.iter().flatten().map(|file| file.pread(&self.store, 0, &mut []));
        let open = reads().count() == self.files * devices.len() && reads().all(|read| read.is_ok());
        self.remove(&devices)?;
        let closed = reads().all(|read| read == Err(Errno::ENODEV));
        if open && closed { Ok(()) } else { Err("files do not end with their devices".into()) }
    }
}

impl Measured for Unregistering {
    fn round(&mut self, _: usize, _: Pattern, _: u64) -> Result<Done> {
        let this = &*self;
        let mut race = race(1, |_| {
            let mut made = this.make();
            move || match &mut made {
                Ok((devices, _files)) => this.remove(devices),
                Err(error) => Err(std::mem::replace(error, "told already".into())),
            }
        });
        race.results.drain(..).collect::<Result<()>>()?;
        Ok(Done::new(&race, DEVICES as u64))
    }
}
