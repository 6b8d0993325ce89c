//! What the storm goes over: places for devices, drivers, directories, address spaces.

use std::collections::VecDeque;
use std::sync::Arc;

use enodev::{ClassHandle, DeviceHandle, DriverHandle, Exclusive, KobjectHandle, Shared, SpaceHandle, Store, Type};
use parking_lot::Mutex;

use super::book::Book;
use super::chip::{AnyBus, Chip, Record};
use super::count::Flag;
use super::driver::Manner;

/// A hub and what hangs on it.
pub(super) const FAMILY: usize = 25;

/// Everything but the store, so that drivers may have it.
#[derive(Debug)]
pub(super) struct Scene {
    pub(super) seed: u64,
    pub(super) book: Arc<Book>,
    /// Where hubs are.
    pub(super) devices: KobjectHandle,
    /// Directories of links.
    pub(super) links: Vec<KobjectHandle>,
    pub(super) spaces: Vec<SpaceHandle>,
    pub(super) buses: Vec<AnyBus>,
    pub(super) class: ClassHandle,
    pub(super) shared: Type<Shared<Chip>>,
    pub(super) exclusive: Type<Exclusive<Chip>>,
    pub(super) places: Vec<Place>,
    /// Places whose device was found to have gone, the first one first.
    pub(super) vacant: Mutex<VecDeque<usize>>,
    pub(super) slots: Vec<Slot>,
    /// Drivers whose removal goes on, or has to be asked for again.
    pub(super) ending: Mutex<Vec<DriverTenant>>,
}

/// The store and the scene.
#[derive(Debug)]
pub(super) struct Field {
    pub(super) store: Store,
    pub(super) scene: Arc<Scene>,
}

/// Where a device belongs. One incarnation after the other is registered there.
#[derive(Debug)]
pub(super) struct Place {
    /// The place of the hub; a hub has none.
    pub(super) hub: Option<usize>,
    pub(super) name: String,
    pub(super) path: String,
    /// By its number among the scene's.
    pub(super) bus: usize,
    pub(super) model: u32,
    pub(super) space: SpaceHandle,
    pub(super) base: u64,
    pub(super) tenant: Mutex<Option<Tenant>>,
    /// Held while a device is registered here; nobody waits for it.
    pub(super) plug: Mutex<()>,
    /// It is among the vacant ones.
    pub(super) is_vacant: Flag,
}

/// Addresses of a device, and what lies between the bases of two.
pub(super) const ADDRESSES: u64 = 0x100;

/// A device that was registered.
#[derive(Debug, Clone)]
pub(super) struct Tenant {
    pub(super) handle: DeviceHandle,
    pub(super) record: Arc<Record>,
}

/// Where a driver belongs.
#[derive(Debug)]
pub(super) struct Slot {
    pub(super) name: String,
    pub(super) bus: usize,
    /// The models that it serves, a bit each.
    pub(super) table: u32,
    pub(super) manner: Manner,
    pub(super) tenant: Mutex<Option<DriverTenant>>,
    /// Held while a driver comes or goes; nobody waits for it.
    pub(super) change: Mutex<()>,
}

/// A driver that was registered.
#[derive(Debug, Clone)]
pub(super) struct DriverTenant {
    pub(super) handle: DriverHandle,
    pub(super) record: Arc<DriverRecord>,
}

/// What is known of one incarnation of a driver.
#[derive(Debug)]
pub(super) struct DriverRecord {
    pub(super) serial: u64,
    /// The bits of its handle, as soon as it is known.
    pub(super) handle: super::count::Count,
    /// Its removal has returned, and said that it was done.
    pub(super) ended: Flag,
    /// It has been dropped.
    pub(super) dropped: Flag,
}

impl Scene {
    /// The device that is registered at a place, or was.
    pub(super) fn tenant(&self, place: usize) -> Option<Tenant> {
        self.places[place].tenant.lock().clone()
    }

    /// Notes that a place has no device.
    pub(super) fn is_vacant(&self, place: usize) {
        if !self.places[place].is_vacant.raise() {
            self.vacant.lock().push_back(place);
        }
    }

    pub(super) fn driver(&self, slot: usize) -> Option<DriverTenant> {
        self.slots[slot].tenant.lock().clone()
    }

    /// The places of a hub and of what hangs on it.
    pub(super) fn family(&self, place: usize) -> std::ops::Range<usize> {
        let hub = self.places[place].hub.unwrap_or(place);
        hub..(hub + FAMILY).min(self.places.len())
    }
}
