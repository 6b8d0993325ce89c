//! Rows of devices that are registered and unregistered, one by one and with all below them.

use std::collections::VecDeque;
use std::fmt::Write;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use enodev::{AsKobject, Bus, BusType, DeviceHandle, DeviceType, KobjectHandle, Shared, Store, Type};

use super::row::{Done, Measured, Pattern};
use super::{Payload, Result};
use crate::baseline::{ArcBus, ArcStore, Attribute, Attributes, Node};
use crate::contest::race;

/// So many devices stand in one directory.
const SIBLINGS: usize = 100;

/// So many devices a subtree has, its top among them.
const SUBTREE: usize = 100;

/// A store whose devices come and go.
trait Registry: Send + Sync + Sized {
    /// What the user keeps of a directory, in which devices can be registered.
    type Dir: Send + Sync;
    /// What the user keeps of a device.
    type Device: Send + Sync;

    fn empty() -> Result<Self>;

    /// Makes a directory below the root.
    fn dir(&self, name: &str) -> Result<Self::Dir>;

    fn register(&self, dir: &Self::Dir, name: &str, payload: Payload) -> Result<Self::Device>;

    /// Unregisters a device without children, and tells whether it was there.
    fn unregister(&self, device: Self::Device) -> Result<bool>;

    /// The directory that a device is.
    fn below(device: &Self::Device) -> Result<Self::Dir>;

    /// Unregisters a device and all below it, and tells how many there were.
    fn unregister_subtree(&self, device: Self::Device) -> Result<usize>;
}

/// enodev's store.
struct Enodev {
    store: Store,
    ty: Type<Shared<Payload>>,
    bus: Bus<Numbers>,
}

/// A bus whose devices and drivers are told by numbers. No driver is registered.
struct Numbers;

impl BusType for Numbers {
    type Id = u64;
    type IdTable = Vec<u64>;

    fn matches(&self, id: &u64, table: &Vec<u64>) -> bool {
        table.contains(id)
    }
}

impl Registry for Enodev {
    type Dir = KobjectHandle;
    type Device = DeviceHandle;

    fn empty() -> Result<Self> {
        let store = Store::new()?;
        let ty = DeviceType::shared::<Payload>("device").ro("number", |device, page| page.line(device.number()));
        let (ty, bus) = (store.define(ty)?, store.register_bus("numbers", Numbers)?);
        Ok(Self { store, ty, bus })
    }

    fn dir(&self, name: &str) -> Result<KobjectHandle> {
        Ok(self.store.create(self.store.root(), name)?)
    }

    fn register(&self, dir: &KobjectHandle, name: &str, payload: Payload) -> Result<DeviceHandle> {
        let id = payload.number();
        Ok(self.store.new_device(*dir, name, self.ty, payload).on(self.bus, id).register()?)
    }

    fn unregister(&self, device: DeviceHandle) -> Result<bool> {
        Ok(self.store.unregister_subtree(device)?.count() == 1)
    }

    fn below(device: &DeviceHandle) -> Result<KobjectHandle> {
        Ok(device.kobject())
    }

    fn unregister_subtree(&self, device: DeviceHandle) -> Result<usize> {
        Ok(self.store.unregister_subtree(device)?.count())
    }
}

/// The Arc baseline.
struct Baseline {
    store: ArcStore<Payload>,
    attributes: Attributes<Payload>,
    bus: Arc<ArcBus<Payload>>,
}

impl Registry for Baseline {
    type Dir = Arc<str>;
    type Device = Weak<Node<Payload>>;

    fn empty() -> Result<Self> {
        let number = Attribute::ro("number", |device: &Payload, page| {
            writeln!(TextPage(page), "{}", device.number()).map_err(|_| 5)
        });
        Ok(Self { store: ArcStore::new(), attributes: Attributes::new(vec![number])?, bus: ArcBus::new() })
    }

    fn dir(&self, name: &str) -> Result<Arc<str>> {
        Self::below(&self.store.register("/", name, Payload::new(0), &Attributes::default())?)
    }

    fn register(&self, dir: &Arc<str>, name: &str, payload: Payload) -> Result<Weak<Node<Payload>>> {
        Ok(self.store.register_on(&self.bus, payload.number(), dir, name, payload, &self.attributes)?)
    }

    fn unregister(&self, device: Weak<Node<Payload>>) -> Result<bool> {
        Ok(self.unregister_subtree(device)? == 1)
    }

    fn below(device: &Weak<Node<Payload>>) -> Result<Arc<str>> {
        Ok(device.upgrade().ok_or("a device has left")?.path().into())
    }

    fn unregister_subtree(&self, device: Weak<Node<Payload>>) -> Result<usize> {
        // Held until the store has let go of it: then it is dropped, as it is known that nobody else has it.
        let device = device.upgrade().ok_or("a device has left")?;
        Ok(self.store.unregister(device.path())?)
    }
}

/// A page of the baseline, as something that can be written to.
struct TextPage<'a>(&'a mut Vec<u8>);

impl Write for TextPage<'_> {
    fn write_str(&mut self, text: &str) -> std::fmt::Result {
        self.0.extend_from_slice(text.as_bytes());
        Ok(())
    }
}

/// Writes names without memory of its own: what it costs to make one up is little beside what is measured.
struct Names([u8; 24]);

impl Names {
    const PREFIX: &'static [u8] = b"dev";

    fn new() -> Self {
        Self([0; 24])
    }

    /// The name of the device with this number.
    fn of(&mut self, number: usize) -> &str {
        let (mut rest, mut at) = (number, self.0.len());
        loop {
            at -= 1;
            self.0[at] = b'0' + (rest % 10) as u8;
            rest /= 10;
            if rest == 0 {
                break;
            }
        }
        at -= Self::PREFIX.len();
        self.0[at..at + Self::PREFIX.len()].copy_from_slice(Self::PREFIX);
        std::str::from_utf8(&self.0[at..]).unwrap_or_default()
    }
}

/// What each thread of a round works with: taken out before the time begins, put back after it.
struct Parts<T>(Mutex<Vec<Option<T>>>);

impl<T> Parts<T> {
    fn new(parts: impl IntoIterator<Item = T>) -> Self {
        Self(Mutex::new(parts.into_iter().map(Some).collect()))
    }

    fn take(&self, number: usize) -> Option<T> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get_mut(number)?.take()
    }
}

/// Many devices in directories of a hundred, each of which leaves in turn and comes again, the oldest first.
struct Singles<R: Registry> {
    registry: R,
    dirs: Vec<R::Dir>,
    /// By number. Taken out for a round.
    devices: Vec<Option<R::Device>>,
    /// How many have been exchanged in each half, so that a round goes on where the last has ended.
    turn: usize,
}

fn singles<R: Registry + 'static>(objects: usize) -> Result<Box<dyn Measured>> {
    let registry = R::empty()?;
    let dirs = (0..objects.div_ceil(SIBLINGS)).map(|number| registry.dir(&format!("controller{number}")));
    let dirs = dirs.collect::<Result<Vec<_>>>()?;
    let mut names = Names::new();
    let mut devices = Vec::with_capacity(objects);
    for number in 0..objects {
        let name = names.of(number);
        devices.push(Some(registry.register(&dirs[number / SIBLINGS], name, Payload::new(number as u64))?));
    }
    Ok(Box::new(Singles { registry, dirs, devices, turn: 0 }))
}

impl<R: Registry> Singles<R> {
    /// Exchanges devices, the next of which is number `first` of those in `part`.
    fn exchange(&self, part: &mut Part<'_, R>, count: u64) -> Result<()> {
        let mut names = Names::new();
        for _ in 0..count {
            let (number, device) = (part.begin + part.next, &mut part.devices[part.next]);
            let old = device.take().ok_or("a device is missing")?;
            if !self.registry.unregister(old)? {
                return Err("a device had left".into());
            }
            let (dir, payload) = (&self.dirs[number / SIBLINGS], Payload::new(number as u64));
            *device = Some(self.registry.register(dir, names.of(number), payload)?);
            part.next += 1;
            if part.next == part.devices.len() {
                part.next = 0;
            }
        }
        Ok(())
    }
}

/// The devices of one thread.
struct Part<'a, R: Registry> {
    devices: &'a mut [Option<R::Device>],
    /// The number of the first.
    begin: usize,
    next: usize,
}

impl<R: Registry> Measured for Singles<R> {
    fn round(&mut self, threads: usize, _: Pattern, operations: u64) -> Result<Done> {
        let operations = operations.max(1);
        let mut devices = std::mem::take(&mut self.devices);
        let each = devices.len().div_ceil(threads).max(1);
        let parts = devices.chunks_mut(each).enumerate().map(|(number, devices)| {
            let next = self.turn % devices.len();
            Part { begin: number * each, next, devices }
        });
        let (parts, this) = (Parts::new(parts), &*self);
        let race = race(threads, |number| {
            let mut part = parts.take(number);
            let mut warm = Ok(());
            if let Some(part) = &mut part {
                // The thread has done this before.
                warm = this.exchange(part, WARM);
            }
            move || {
                std::mem::replace(&mut warm, Ok(()))?;
                this.exchange(part.as_mut().ok_or("fewer devices than threads")?, operations)
            }
        });
        drop(parts);
        self.devices = devices;
        self.turn += (WARM + operations) as usize;
        done(race, operations)
    }
}

/// So many devices each thread exchanges before the time begins: its share of the store's free slots is then as it stays.
const WARM: u64 = 300;

fn done(mut race: crate::contest::Race<Result<()>>, operations: u64) -> Result<Done> {
    race.results.drain(..).collect::<Result<()>>()?;
    Ok(Done::new(&race, operations))
}

/// A device with 99 below it: registered one by one, and unregistered together. Each thread has a directory of its own.
struct Subtrees<R: Registry> {
    registry: R,
    tops: VecDeque<R::Dir>,
}

fn subtrees<R: Registry + 'static>(_: usize) -> Result<Box<dyn Measured>> {
    Ok(Box::new(Subtrees::<R> { registry: R::empty()?, tops: VecDeque::new() }))
}

impl<R: Registry> Subtrees<R> {
    fn come_and_go(&self, top: &R::Dir, count: u64) -> Result<()> {
        let mut names = Names::new();
        for _ in 0..count {
            let card = self.registry.register(top, "card", Payload::new(0))?;
            let dir = R::below(&card)?;
            for number in 1..SUBTREE {
                self.registry.register(&dir, names.of(number), Payload::new(number as u64))?;
            }
            if self.registry.unregister_subtree(card)? != SUBTREE {
                return Err("a subtree was not whole".into());
            }
        }
        Ok(())
    }
}

impl<R: Registry> Measured for Subtrees<R> {
    fn round(&mut self, threads: usize, _: Pattern, operations: u64) -> Result<Done> {
        while self.tops.len() < threads {
            self.tops.push_back(self.registry.dir(&format!("root{}", self.tops.len()))?);
        }
        let (this, count) = (&*self, operations.div_ceil(SUBTREE as u64).max(1));
        let race = race(threads, |number| {
            let mut warm = this.come_and_go(&this.tops[number], WARM.div_ceil(SUBTREE as u64));
            move || {
                std::mem::replace(&mut warm, Ok(()))?;
                this.come_and_go(&this.tops[number], count)
            }
        });
        done(race, count * SUBTREE as u64)
    }
}

/// Devices that come into one directory, one after the other, and go again in that order.
struct Children {
    registry: Enodev,
    children: usize,
    /// So many directories are filled and emptied in a round, one after the other.
    dirs: usize,
}

fn children(children: usize, all: usize) -> Result<Box<dyn Measured>> {
    Ok(Box::new(Children { registry: Enodev::empty()?, children, dirs: all.div_ceil(children) }))
}

impl Children {
    fn come_and_go(&self, dirs: &[KobjectHandle]) -> Result<()> {
        let mut names = Names::new();
        let mut devices = Vec::with_capacity(self.children);
        for dir in dirs {
            for number in 0..self.children {
                devices.push(self.registry.register(dir, names.of(number), Payload::new(number as u64))?);
            }
            devices.drain(..).try_for_each(|device| self.registry.unregister(device).map(drop))?;
        }
        Ok(())
    }
}

impl Measured for Children {
    fn round(&mut self, _: usize, _: Pattern, _: u64) -> Result<Done> {
        let this = &*self;
        let dirs = (0..this.dirs).map(|number| this.registry.dir(&format!("dir{number}")));
        let dirs = dirs.collect::<Result<Vec<_>>>()?;
        let race = race(1, |_| || this.come_and_go(&dirs));
        for dir in dirs {
            this.registry.store.unregister_subtree(dir)?;
        }
        done(race, (this.children * this.dirs) as u64)
    }
}

pub(crate) fn enodev_singles(objects: usize) -> Result<Box<dyn Measured>> {
    singles::<Enodev>(objects)
}

pub(crate) fn arc_singles(objects: usize) -> Result<Box<dyn Measured>> {
    singles::<Baseline>(objects)
}

pub(crate) fn enodev_subtrees(objects: usize) -> Result<Box<dyn Measured>> {
    subtrees::<Enodev>(objects)
}

pub(crate) fn arc_subtrees(objects: usize) -> Result<Box<dyn Measured>> {
    subtrees::<Baseline>(objects)
}

/// Ten in each of many directories.
pub(crate) fn few_children(objects: usize) -> Result<Box<dyn Measured>> {
    children(10.min(objects), objects)
}

/// All in one directory.
pub(crate) fn many_children(objects: usize) -> Result<Box<dyn Measured>> {
    children(objects, objects)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_numbers() {
        let mut names = Names::new();
        for number in [0, 7, 10, 99, 100, 123_456_789, usize::MAX] {
            assert_eq!(names.of(number), format!("dev{number}"));
        }
    }

    #[test]
    fn a_round_leaves_as_many_devices_as_there_were() {
        for threads in [1, 2] {
            for build in [enodev_singles, arc_singles, enodev_subtrees, arc_subtrees] {
                let mut contender = build(250).unwrap();
                for _ in 0..3 {
                    let done = contender.round(threads, Pattern::Spread, 1000).unwrap();
                    assert_eq!(done.operations, 1000);
                }
            }
        }
    }
}
