//! The auditor. All threads are at a pause, inside nothing: the store must find nothing wrong with itself, and be what the book says.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use enodev::{DeviceHandle, Errno, Error, Removal, Store};

use super::book::Book;
use super::chip::Record;
use super::driver::Data;
use super::scene::{ADDRESSES, DriverTenant, Field, Scene};
use super::tree_audit;

/// Devices that are there, by their handles.
pub(super) type Found = BTreeMap<DeviceHandle, Arc<Record>>;

/// Goes through the store. Says how many devices there are.
pub(super) fn audit(field: &Field) -> usize {
    let Field { store, scene } = field;
    let auditor = Auditor { store, scene, book: &scene.book };
    auditor.settle();
    for finding in store.audit().findings() {
        auditor.book.violation(&format!("the store says: {:?}: {}", finding.kind, finding.text));
    }
    let found = tree_audit::walk(&auditor);
    auditor.places(&found);
    auditor.drivers(&found);
    auditor.members(&found);
    auditor.ranges(&found);
    auditor.counts(&found);
    found.len()
}

pub(super) struct Auditor<'a> {
    pub(super) store: &'a Store,
    pub(super) scene: &'a Scene,
    pub(super) book: &'a Book,
}

impl Auditor<'_> {
    /// Finishes what gave way to others: now nobody is in the way.
    fn settle(&self) {
        self.store.reap();
        for place in 0..self.scene.places.len() {
            let Some(tenant) = self.scene.tenant(place) else { continue };
            let Ok(Some(driver)) = self.store.driver_of(tenant.handle) else { continue };
            if matches!(self.store.data::<Data>(tenant.handle), Err(Error::NotBound)) {
                let answer = self.store.unbind(tenant.handle, driver);
                self.book.claim(answer == Ok(Removal::Done(1)), || {
                    format!("device {} cannot be unbound at a pause: {answer:?}", tenant.record.serial)
                });
            }
        }
        // Taken out first: callbacks of drivers that end may add to it.
        let ending = std::mem::take(&mut *self.scene.ending.lock());
        for DriverTenant { handle, record } in ending {
            if !record.dropped.is_up() {
                let answer = self.store.unregister_driver(handle);
                let is_done = matches!(answer, Ok(Removal::Done(_)));
                self.book.claim(is_done, || format!("driver {} does not end at a pause: {answer:?}", record.serial));
            }
            self.book.claim(record.dropped.is_up(), || format!("driver {} has ended and is there", record.serial));
            record.ended.raise();
            let name = self.store.driver_name(handle);
            self.book
                .claim(name == Err(Errno::ENODEV.into()), || format!("driver {} is still {name:?}", record.serial));
        }
        // Twice: what the first one frees may have kept something else.
        self.store.flush();
        let left = self.store.flush();
        self.book.claim(left == 0, || format!("{left} objects that have left are kept at a pause"));
    }

    /// Who was registered is there, unless somebody has removed it; and then nothing is left of it.
    fn places(&self, found: &Found) {
        for place in 0..self.scene.places.len() {
            let Some(tenant) = self.scene.tenant(place) else {
                self.scene.is_vacant(place);
                continue;
            };
            let (record, is_there) = (&tenant.record, self.store.contains(tenant.handle));
            let is_found = found.get(&tenant.handle).is_some_and(|found| Arc::ptr_eq(found, record));
            self.book.claim(is_there == is_found, || {
                format!("device {}: the store says {is_there}, its tree {is_found}", record.serial)
            });
            if !is_there {
                self.scene.is_vacant(place);
                let path = self.store.path(tenant.handle);
                let is_gone = path == Err(Errno::ENODEV.into());
                self.book.claim(is_gone, || format!("device {}, which is not there, is at {path:?}", record.serial));
                let serial = record.serial;
                self.book.claim(record.may_be_gone(), || format!("device {serial} is gone, and nobody has removed it"));
                self.book
                    .claim(record.dropped.is_up(), || format!("device {serial} is gone, and its payload is there"));
                self.book.claim(record.driver.get() == 0, || format!("device {serial} is gone, and is bound"));
            }
        }
        for (device, record) in found {
            let tenant = self.scene.tenant(record.place);
            let is_known = record.is_port || tenant.is_some_and(|tenant| tenant.handle == *device);
            self.book.claim(is_known, || format!("device {} is there, and nobody has registered it", record.serial));
        }
    }

    /// Every device is bound to one driver at most, that is alive and knows of it.
    fn drivers(&self, found: &Found) {
        let mut bound = BTreeMap::new();
        let mut registered = BTreeSet::new();
        for slot in 0..self.scene.slots.len() {
            let Some(DriverTenant { handle, record }) = self.scene.driver(slot) else { continue };
            if record.dropped.is_up() {
                continue;
            }
            registered.insert(handle);
            for device in self.store.devices_of(handle).into_iter().flatten() {
                let other = bound.insert(device, (handle, record.serial));
                self.book.claim(other.is_none(), || {
                    format!("{device:?} is bound to driver {} and to {other:?}", record.serial)
                });
                self.book.claim(found.contains_key(&device), || {
                    format!("driver {} has {device:?}, which has gone", record.serial)
                });
            }
        }
        for bus in &self.scene.buses {
            let drivers = self.store.drivers_on(bus.handle()).into_iter().flatten();
            drivers.for_each(|driver| {
                let is_known = registered.remove(&driver);
                self.book.claim(is_known, || format!("a bus has {driver:?}, which has ended"));
            });
        }
        self.book.claim(registered.is_empty(), || format!("{registered:?} are on no bus"));
        for (device, record) in found {
            let said = self.store.driver_of(*device);
            let known = bound.get(device);
            let is_same = said == Ok(known.map(|(driver, _)| *driver));
            self.book.claim(is_same, || format!("device {} is bound to {said:?}, and {known:?} has it", record.serial));
            let serial = known.map_or(0, |(_, serial)| *serial);
            let in_book = record.driver.get();
            self.book.claim(serial == in_book, || {
                format!("device {} is bound to driver {serial}, and was probed by {in_book}", record.serial)
            });
        }
        let data = self.book.data.left();
        self.book.claim(data == bound.len() as u64, || format!("{} devices are bound, with {data} data", bound.len()));
    }

    /// Buses and classes list those who are there.
    fn members(&self, found: &Found) {
        let mut listed = 0;
        for bus in &self.scene.buses {
            for device in self.store.devices_on(bus.handle()).into_iter().flatten() {
                listed += 1;
                self.book.claim(found.contains_key(&device), || format!("a bus lists {device:?}, which has gone"));
            }
        }
        self.book.claim(listed == found.len(), || format!("buses list {listed} devices of {}", found.len()));
        let classed: BTreeSet<_> = self.store.devices_in(self.scene.class).into_iter().flatten().collect();
        for (device, record) in found {
            let should_be = !record.is_port && record.place % 2 == 0;
            let is_in = classed.contains(device);
            self.book
                .claim(is_in == should_be, || format!("whether device {} is in the class: {is_in}", record.serial));
        }
        let gone = classed.iter().find(|device| !found.contains_key(device));
        self.book.claim(gone.is_none(), || format!("the class lists {gone:?}, which has gone"));
    }

    /// Addresses lead to those who are there, and whose they are.
    fn ranges(&self, found: &Found) {
        let mut mapped = 0;
        for space in &self.scene.spaces {
            let regions = self.store.regions(*space).unwrap_or_default();
            mapped += regions.len();
            for region in regions {
                let place = found.get(&region.device).map(|record| &self.scene.places[record.place]);
                let is_own = place.is_some_and(|place| {
                    place.space == *space && place.base == region.base && region.last - region.base == ADDRESSES - 1
                });
                self.book.claim(is_own, || format!("{region:?} is not the device's"));
                let answer = self.store.resolve(*space, region.last);
                let is_resolved = answer == Ok((region.device, ADDRESSES - 1));
                self.book.claim(is_resolved, || format!("{region:?} is resolved to {answer:?}"));
                let own = self.store.regions_of(region.device).unwrap_or_default();
                self.book.claim(own == [region], || format!("{region:?} is mapped, and its device has {own:?}"));
            }
        }
        let had: usize = found.keys().map(|device| self.store.regions_of(*device).map_or(0, |own| own.len())).sum();
        self.book.claim(mapped == had, || format!("{mapped} regions are mapped, and devices have {had}"));
    }

    /// As many as there should be.
    fn counts(&self, found: &Found) {
        let payloads = self.book.payloads.left();
        self.book.claim(payloads == found.len() as u64, || {
            format!("there are {} devices and {payloads} payloads", found.len())
        });
        let alive = (0..self.scene.slots.len()).filter_map(|slot| self.scene.driver(slot));
        let alive = alive.filter(|tenant| !tenant.record.dropped.is_up()).count() as u64;
        let drivers = self.book.drivers.left();
        self.book.claim(drivers == alive, || format!("{alive} drivers are registered, {drivers} are there"));
        let is_observed = self.scene.seed & 1 == 0;
        let (seen, bound) = (self.book.observed.left(), self.book.observed_bindings.left());
        self.book.claim(!is_observed || seen == found.len() as u64, || {
            format!("the observer knows of {seen} devices of {}", found.len())
        });
        self.book.claim(!is_observed || bound == self.book.data.left(), || {
            format!("the observer knows of {bound} bindings of {}", self.book.data.left())
        });
    }
}

#[cfg(test)]
mod tests;
