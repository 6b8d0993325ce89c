//! What is done with drivers: they come and go, and devices are bound and unbound.

use std::marker::PhantomData;
use std::sync::Arc;
use std::thread;

use enodev::{Bus, DriverHandle, Errno, Error, Exclusive, Removal, Result, Shared, Store};

use super::chip::{AnyBus, Chip, Chipped, Wire};
use super::count::{Count, Flag};
pub(super) use super::driver::Data as Kept;
use super::driver::{PORT_BUS, Served};
use super::places::From;
use super::scene::{DriverRecord, DriverTenant, Scene};

/// The bus of devices whose payloads are exclusive.
pub(super) const EXCLUSIVE_BUS: usize = 4;

/// Registers a driver in a slot, where there is none.
pub(super) fn come(store: &Store, scene: &Arc<Scene>, slot: usize) -> Result {
    let Some(_change) = scene.slots[slot].change.try_lock() else { return Ok(()) };
    if let Some(DriverTenant { record, .. }) = scene.driver(slot) {
        // It may have ended itself.
        if !record.dropped.is_up() {
            return Ok(());
        }
    }
    let record = Arc::new(DriverRecord {
        serial: scene.book.serial(),
        handle: Count::default(),
        ended: Flag::default(),
        dropped: Flag::default(),
    });
    scene.book.drivers.made.add(1);
    let handle = match scene.slots[slot].bus {
        EXCLUSIVE_BUS => register_on::<Exclusive<Chip>>(store, scene, slot, &record),
        _ => register_on::<Shared<Chip>>(store, scene, slot, &record),
    };
    match handle {
        Ok(handle) => {
            record.handle.set(handle.to_bits());
            *scene.slots[slot].tenant.lock() = Some(DriverTenant { handle, record });
            Ok(())
        }
        Err(error) => {
            // The last one may still be at its end.
            scene.book.may_fail(error, &[Errno::EEXIST], || format!("registering a driver in slot {slot}"));
            Err(error)
        }
    }
}

fn register_on<O: Chipped>(
    store: &Store,
    scene: &Arc<Scene>,
    slot: usize,
    record: &Arc<DriverRecord>,
) -> Result<DriverHandle> {
    match scene.buses[scene.slots[slot].bus] {
        AnyBus::Plain(bus) => register::<O, false>(store, scene, slot, record, bus),
        AnyBus::LocksParent(bus) => register::<O, true>(store, scene, slot, record, bus),
    }
}

fn register<O: Chipped, const LOCKS_PARENT: bool>(
    store: &Store,
    scene: &Arc<Scene>,
    slot: usize,
    record: &Arc<DriverRecord>,
    bus: Bus<Wire<LOCKS_PARENT>>,
) -> Result<DriverHandle> {
    let at = &scene.slots[slot];
    let driver = Served::<O, LOCKS_PARENT> {
        scene: Arc::clone(scene),
        record: Arc::clone(record),
        manner: at.manner,
        is_bridge: at.bus == 0,
        devices: PhantomData,
    };
    debug_assert!(at.bus != PORT_BUS || !driver.is_bridge);
    store.register_driver(bus, &at.name, driver, at.table)
}

/// Unregisters the driver of a slot.
pub(super) fn leave(store: &Store, scene: &Scene, slot: usize, from: From) -> Result {
    let Some(_change) = scene.slots[slot].change.try_lock() else { return Ok(()) };
    let Some(tenant) = scene.slots[slot].tenant.lock().take() else { return Ok(()) };
    let DriverTenant { handle, ref record } = tenant;
    scene.ending.lock().push(tenant.clone());
    match store.unregister_driver(handle) {
        Ok(Removal::Done(_)) => {
            record.ended.raise();
            scene.book.claim(record.dropped.is_up(), || format!("driver {} has ended and is there", record.serial));
            Ok(())
        }
        // Somebody is in a callback of it, who ends it.
        Ok(Removal::Begun(_)) => {
            let may_be = from == From::Inside || !scene.book.is_alone;
            scene.book.claim(may_be, || format!("driver {} is still ending", record.serial));
            Ok(())
        }
        Err(error) => {
            let what = || format!("unregistering driver {}", record.serial);
            match from {
                From::Inside => scene.book.may_fail(error, &INSIDE, what),
                From::Outside => scene.book.may_be_refused(error, &[Errno::ENODEV], what),
            }
            Err(error)
        }
    }
}

/// What operations may answer that are called from a callback, which others may wait for.
pub(super) const INSIDE: [Errno; 3] = [Errno::ENODEV, Errno::EBUSY, Errno::EDEADLK];

/// Unbinds the device of a place.
pub(super) fn unbind(store: &Store, scene: &Scene, place: usize, from: From) -> Result {
    let Some(tenant) = scene.tenant(place) else { return Ok(()) };
    let Some(driver) = store.driver_of(tenant.handle)? else { return Ok(()) };
    match store.unbind(tenant.handle, driver) {
        Ok(Removal::Done(count)) => {
            scene.book.claim(count == 1, || format!("unbinding a device has unbound {count}"));
            Ok(())
        }
        Ok(Removal::Begun(_)) => {
            let may_be = from == From::Inside || !scene.book.is_alone;
            scene.book.claim(may_be, || format!("device {} is still being unbound", tenant.record.serial));
            Ok(())
        }
        Err(error @ Error::NotBound) => Err(error),
        Err(error) => {
            let what = || format!("unbinding device {}", tenant.record.serial);
            match from {
                From::Inside => scene.book.may_fail(error, &INSIDE, what),
                From::Outside => scene.book.may_be_refused(error, &[Errno::ENODEV], what),
            }
            Err(error)
        }
    }
}

/// Binds the device of a place to a driver.
pub(super) fn bind(store: &Store, scene: &Scene, place: usize, slot: usize) -> Result {
    let (Some(tenant), Some(driver)) = (scene.tenant(place), scene.driver(slot)) else { return Ok(()) };
    match store.bind(tenant.handle, driver.handle) {
        Err(error @ (Error::Bound | Error::NoMatch)) => Err(error),
        // What a probe answers that fails or panics.
        Err(error) if matches!(error.errno(), Errno::ENODEV | Errno::EIO) => Err(error),
        Err(error) => {
            let what = || format!("binding device {} to driver {}", tenant.record.serial, driver.record.serial);
            scene.book.may_be_refused(error, &[], what);
            Err(error)
        }
        Ok(()) => Ok(()),
    }
}

/// Has the device of a place look for a driver.
pub(super) fn attach(store: &Store, scene: &Scene, place: usize, from: From) -> Result {
    let Some(tenant) = scene.tenant(place) else { return Ok(()) };
    match store.attach(tenant.handle) {
        Ok(_) => Ok(()),
        Err(error) => {
            let what = || format!("looking for a driver of device {}", tenant.record.serial);
            match from {
                From::Inside => scene.book.may_fail(error, &INSIDE, what),
                From::Outside => scene.book.may_be_refused(error, &[Errno::ENODEV], what),
            }
            Err(error)
        }
    }
}

/// Enters what the driver of a place's device keeps of it; sometimes unbinds it from inside, or ends the driver.
pub(super) fn data(store: &Store, scene: &Scene, place: usize, bits: u64) -> Result {
    let Some(tenant) = scene.tenant(place) else { return Ok(()) };
    let data = match store.data::<Kept>(tenant.handle) {
        Ok(data) => data,
        Err(error) => {
            let what = || format!("the data of device {}", tenant.record.serial);
            scene.book.may_fail(error, &[Errno::ENODEV, Error::NotBound.errno()], what);
            return Err(error);
        }
    };
    let (record, driver) = (&data.record, &data.driver);
    let claim = |holds, what: &str| {
        scene.book.claim(holds, || format!("the data of device {} by driver {} {what}", record.serial, driver.serial));
    };
    let check = || {
        claim(Arc::ptr_eq(record, &tenant.record), "is another device's");
        claim(!record.dropped.is_up(), "outlives the device's payload");
        claim(!driver.dropped.is_up() && !driver.ended.is_up(), "outlives the driver");
        claim(record.driver.get() == driver.serial, "is of another binding");
    };
    check();
    if bits >> 8 & 63 == 0 {
        thread::yield_now();
    }
    if bits % 32 == 0 {
        if let Some(driver) = store.driver_of(tenant.handle)? {
            match store.unbind(tenant.handle, driver) {
                Ok(Removal::Begun(1)) | Err(Error::NotBound) => {}
                // The device, or the driver, is leaving.
                Err(Error::Errno(Errno::ENODEV)) => {}
                answer => claim(false, &format!("was answered {answer:?} as it asked to be ended")),
            }
        }
    }
    check();
    Ok(())
}
