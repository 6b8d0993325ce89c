//! A store with one type of disk, whose callbacks can be held up and whose end is noted.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::thread::{self, ThreadId};

use enodev::{
    Access, AsKobject, Attribute, DeviceHandle, DeviceType, Errno, Error, File, Shared, Store, Strategy, Type,
};
use parking_lot::{Condvar, Mutex};

/// What every operation on an object that has left says.
pub(crate) const GONE: Error = Error::Errno(Errno::ENODEV);

/// Where threads are held up while it is shut.
#[derive(Debug, Default)]
pub(crate) struct Gate {
    state: Mutex<GateState>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct GateState {
    shut: bool,
    inside: usize,
}

impl Gate {
    /// Goes through; first waits until the gate is not shut.
    pub(crate) fn pass(&self) {
        let mut state = self.state.lock();
        state.inside += 1;
        self.changed.notify_all();
        while state.shut {
            self.changed.wait(&mut state);
        }
        state.inside -= 1;
        self.changed.notify_all();
    }

    /// Shuts the gate until the answer is dropped, also by a test that fails: it would hang otherwise.
    pub(crate) fn shut(&self) -> Shut<'_> {
        self.state.lock().shut = true;
        Shut(self)
    }

    /// Waits until so many are held up.
    pub(crate) fn wait_for(&self, count: usize) {
        let mut state = self.state.lock();
        while state.inside != count {
            self.changed.wait(&mut state);
        }
    }
}

pub(crate) struct Shut<'a>(&'a Gate);

impl Drop for Shut<'_> {
    fn drop(&mut self) {
        self.0.state.lock().shut = false;
        self.0.changed.notify_all();
    }
}

/// What the disks of one test have in common.
#[derive(Debug, Default)]
pub(crate) struct World {
    /// Stops those who are in a disk's `slow`.
    pub(crate) gate: Gate,
    /// Which disks have been dropped, and where.
    dropped: Mutex<Vec<(String, ThreadId)>>,
}

impl World {
    /// The disks dropped so far, in order.
    pub(crate) fn dropped(&self) -> Vec<String> {
        let dropped = self.dropped.lock();
        dropped.iter().map(|(name, _)| name.clone()).collect()
    }

    /// How many disks have been dropped since the last time.
    pub(crate) fn dropped_since(&self) -> usize {
        std::mem::take(&mut *self.dropped.lock()).len()
    }

    /// Whether all that were dropped were dropped on the calling thread.
    pub(crate) fn dropped_here(&self) -> bool {
        let dropped = self.dropped.lock();
        dropped.iter().all(|(_, thread)| *thread == thread::current().id())
    }
}

/// A shared payload. It notes its own end, and how many callbacks were inside then.
#[derive(Debug)]
pub(crate) struct Disk {
    pub(crate) name: String,
    pub(crate) text: Mutex<Vec<u8>>,
    inside: AtomicUsize,
    world: Arc<World>,
}

impl Disk {
    /// Notes that a callback is inside until the answer is dropped.
    pub(crate) fn visit(&self) -> Visit<'_> {
        self.inside.fetch_add(1, SeqCst);
        Visit(self)
    }

    pub(crate) fn inside(&self) -> usize {
        self.inside.load(SeqCst)
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let note = match self.inside() {
            0 => self.name.clone(),
            inside => format!("{} with {inside} inside", self.name),
        };
        let mut dropped = self.world.dropped.lock();
        dropped.push((note, thread::current().id()));
    }
}

pub(crate) struct Visit<'a>(&'a Disk);

impl Drop for Visit<'_> {
    fn drop(&mut self) {
        self.0.inside.fetch_sub(1, SeqCst);
    }
}

/// `name` tells which disk answers, `slow` stops at the gate, `text` and `blob` keep what is written.
fn disk_type() -> DeviceType<Shared<Disk>> {
    DeviceType::shared::<Disk>("disk")
        .ro("name", |disk, page| {
            let _visit = disk.visit();
            page.line(&disk.name)
        })
        .rw(
            "slow",
            |disk, page| {
                let _visit = disk.visit();
                disk.world.gate.pass();
                page.line(&disk.name)
            },
            |disk, data| {
                let _visit = disk.visit();
                disk.world.gate.pass();
                *disk.text.lock() = data.into();
                Ok(())
            },
        )
        .rw(
            "text",
            |disk, page| page.put_bytes(&disk.text.lock()),
            |disk, data| {
                *disk.text.lock() = data.into();
                Ok(())
            },
        )
        .attribute(Attribute::bin_rw(
            "blob",
            8,
            |_, _, buf| {
                buf.fill(7);
                Ok(buf.len())
            },
            |_, _, data| Ok(data.len()),
        ))
}

pub(crate) struct Rig {
    pub(crate) store: Store,
    pub(crate) disk: Type<Shared<Disk>>,
    pub(crate) world: Arc<World>,
}

impl Rig {
    pub(crate) fn new() -> Self {
        Self::with_strategy(Strategy::Auto)
    }

    pub(crate) fn with_strategy(strategy: Strategy) -> Self {
        let store = Store::with_strategy(strategy).unwrap();
        let disk = store.define(disk_type()).unwrap();
        Self { store, disk, world: Arc::default() }
    }

    /// A payload, not registered.
    pub(crate) fn payload(&self, name: &str) -> Disk {
        Self::payload_in(&self.world, name)
    }

    /// As [`payload`](Self::payload), for callbacks.
    pub(crate) fn payload_in(world: &Arc<World>, name: &str) -> Disk {
        Disk { name: name.into(), text: Mutex::default(), inside: AtomicUsize::new(0), world: Arc::clone(world) }
    }

    pub(crate) fn try_add(&self, parent: impl AsKobject, name: &str) -> Result<DeviceHandle, Error> {
        self.store.register(parent, name, self.disk, self.payload(name))
    }

    pub(crate) fn add(&self, parent: impl AsKobject, name: &str) -> DeviceHandle {
        self.try_add(parent, name).unwrap()
    }

    pub(crate) fn read(&self, object: impl AsKobject, name: &str) -> Result<String, Error> {
        let data = self.store.read(object, name)?;
        Ok(String::from_utf8(data).unwrap())
    }

    pub(crate) fn open(&self, object: impl AsKobject, name: &str) -> File {
        self.store.open(object, name, Access::READ | Access::WRITE).unwrap()
    }

    /// The disks dropped so far, in order.
    pub(crate) fn dropped(&self) -> Vec<String> {
        self.world.dropped()
    }

    /// Asserts that the names in the directory, attributes left out, are these.
    #[track_caller]
    pub(crate) fn assert_holds(&self, object: impl AsKobject, names: &[&str]) {
        assert_eq!(names_in(&self.store, object), names);
    }
}

/// The names of the children of an object and of its links, in order.
pub(crate) fn names_in(store: &Store, object: impl AsKobject) -> Vec<String> {
    let list = store.list(object).unwrap();
    list.into_iter()
        .filter(|entry| !matches!(entry.kind, enodev::EntryKind::Attribute { .. }))
        .map(|entry| entry.name.as_str().to_owned())
        .collect()
}

/// All names in the directory of an object, attributes and groups too, in the order in which they are listed.
pub(crate) fn all_in(store: &Store, object: impl AsKobject) -> Vec<String> {
    store.list(object).unwrap().iter().map(|entry| entry.name.as_str().to_owned()).collect()
}

/// Waits until another thread has made it so.
pub(crate) fn until(condition: impl Fn() -> bool) {
    while !condition() {
        thread::yield_now();
    }
}

/// Gives another thread the time to do what it should not do. Only a wrong program depends on how long this is.
pub(crate) fn linger() {
    for _ in 0..50 {
        thread::yield_now();
    }
}

/// The text with which `run` panics.
#[track_caller]
pub(crate) fn panic_of<R>(run: impl FnOnce() -> R) -> String {
    let Err(panic) = catch_unwind(AssertUnwindSafe(run)) else {
        unreachable!("this was to panic");
    };
    match panic.downcast_ref::<String>() {
        Some(text) => text.clone(),
        None => panic.downcast_ref::<&str>().map_or_else(String::new, |text| (*text).into()),
    }
}
