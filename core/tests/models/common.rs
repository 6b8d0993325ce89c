//! What the models share: a store whose payloads tell who uses them when nobody may.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize as Unmodelled, Ordering};

use enodev::{
    AsKobject, Bus, DeviceHandle, DeviceType, EntryKind, Errno, Error, KobjectHandle, Shared, Store, Strategy, Type,
};
use enodev_handles::sync::thread::{self, JoinHandle};

use crate::driver::Numbers;

/// What every operation on an object that has left says.
pub(crate) const GONE: Error = Error::Errno(Errno::ENODEV);

/// What a payload leaves behind for the model to ask.
#[derive(Debug, Default)]
pub(crate) struct Witness {
    inside: Unmodelled,
    dropped: Unmodelled,
}

impl Witness {
    pub(crate) fn is_gone(&self) -> bool {
        self.dropped.load(Ordering::Relaxed) == 1
    }

    /// What the caller has waited for came after the payload's end.
    #[track_caller]
    pub(crate) fn assert_gone(&self) {
        assert!(self.is_gone(), "the payload is still there");
    }

    #[track_caller]
    pub(crate) fn assert_there(&self) {
        assert_eq!(self.dropped.load(Ordering::Relaxed), 0, "the payload is gone");
    }
}

/// A payload that is used by whoever is inside, and by nobody else when it goes.
#[derive(Debug)]
pub(crate) struct Disk(pub(crate) Arc<Witness>);

impl Disk {
    /// Uses it, as a callback would: for a while, in which others have their turn.
    #[track_caller]
    pub(crate) fn visit(&self) {
        self.0.inside.fetch_add(1, Ordering::Relaxed);
        self.0.assert_there();
        thread::yield_now();
        self.0.assert_there();
        self.0.inside.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        assert_eq!(self.0.inside.load(Ordering::Relaxed), 0, "somebody is inside");
        assert_eq!(self.0.dropped.fetch_add(1, Ordering::Relaxed), 0, "dropped twice");
    }
}

/// A store of disks. Readers enter them with a fence, which is all that a checker knows.
pub(crate) struct Rig {
    pub(crate) store: Store,
    pub(crate) disk: Type<Shared<Disk>>,
    pub(crate) bus: Bus<Numbers>,
}

impl Rig {
    pub(crate) fn new() -> Arc<Self> {
        Self::of(DeviceType::shared::<Disk>("disk"))
    }

    /// A store of disks with attributes.
    pub(crate) fn of(disk: DeviceType<Shared<Disk>>) -> Arc<Self> {
        let store = Store::with_strategy(Strategy::Fence).unwrap();
        let disk = store.define(disk).unwrap();
        let bus = store.register_bus("numbers", Numbers).unwrap();
        Arc::new(Self { store, disk, bus })
    }

    pub(crate) fn try_plug(&self, parent: impl AsKobject, name: &str) -> (enodev::Result<DeviceHandle>, Arc<Witness>) {
        let witness = Arc::<Witness>::default();
        let plugged = self.store.register(parent, name, self.disk, Disk(Arc::clone(&witness)));
        assert!(plugged.is_ok() || witness.is_gone(), "a payload that was refused is still there");
        (plugged, witness)
    }

    /// Adds a disk where nothing is in the way.
    pub(crate) fn plug(&self, parent: impl AsKobject, name: &str) -> (DeviceHandle, Arc<Witness>) {
        let (disk, witness) = self.try_plug(parent, name);
        (disk.unwrap(), witness)
    }

    /// Enters an object, if it is there.
    pub(crate) fn visit(&self, disk: impl AsKobject) -> bool {
        match self.store.enter::<Disk>(disk) {
            Ok(disk) => {
                disk.visit();
                true
            }
            Err(error) => {
                assert_eq!(error, GONE);
                false
            }
        }
    }

    /// Starts a thread that is given the store.
    pub(crate) fn spawn<T: Send + 'static>(
        self: &Arc<Self>,
        run: impl FnOnce(&Self) -> T + Send + 'static,
    ) -> JoinHandle<T> {
        let rig = Arc::clone(self);
        thread::spawn(move || run(&rig))
    }

    /// The objects and the targets of links in a directory, by name.
    pub(crate) fn names(&self, dir: impl AsKobject) -> Vec<(String, KobjectHandle)> {
        let list = self.store.list(dir).unwrap();
        let objects = list.into_iter().filter_map(|entry| match entry.kind {
            EntryKind::Object(object) | EntryKind::Link(object) => Some((entry.name.to_string(), object)),
            _ => None,
        });
        objects.collect()
    }

    /// That nobody is at work, and the tree is one: what stands in a directory is there, knows that it does, and is found by its path;
    /// and there is nothing else. Returns how many objects there are.
    pub(crate) fn assert_whole(&self) -> usize {
        let store = &self.store;
        let (mut dirs, mut found) = (vec![store.root()], 0);
        while let Some(dir) = dirs.pop() {
            for entry in store.list(dir).unwrap() {
                match entry.kind {
                    EntryKind::Object(object) => {
                        assert_eq!(store.parent(object), Ok(dir));
                        assert_eq!(store.lookup(&store.path(object).unwrap()), Ok(object));
                        dirs.push(object);
                        found += 1;
                    }
                    EntryKind::Link(target) => {
                        assert!(store.links_to(target).unwrap().contains(&(dir, entry.name)));
                    }
                    _ => {}
                }
            }
            for (from, name) in store.links_to(dir).unwrap() {
                assert_eq!(store.readlink(from, &name), Ok(dir));
            }
        }
        assert_eq!(store.len(), found);
        found
    }
}
