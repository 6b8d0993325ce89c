//! What is done with devices as a whole: they come and go, are renamed and moved, and get addresses.

use std::sync::Arc;

use enodev::{BusType, DeviceHandle, Errno, Error, NewDevice, Removal, Result, Store};

use super::chip::{AnyBus, Chip, Record, Wire};
use super::drivers::{EXCLUSIVE_BUS, INSIDE};
use super::scene::{ADDRESSES, Scene, Tenant};

/// From where an operation is called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum From {
    /// By a thread that is inside nothing.
    Outside,
    /// In a callback.
    Inside,
}

/// How a device is removed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum How {
    /// Alone, and its payload is handed back.
    Alone,
    /// With all below it.
    Subtree,
}

impl How {
    pub(super) fn of(bits: u64) -> Self {
        if bits % 2 == 0 { Self::Alone } else { Self::Subtree }
    }
}

/// Registers a device at a place where there is none; after a hub, what hangs on it.
pub(super) fn plug(store: &Store, scene: &Arc<Scene>, place: usize) -> Result {
    plug_one(store, scene, place)?;
    if scene.places[place].hub.is_none() {
        // Those that fail to come are found to be missing later.
        for below in scene.family(place).skip(1) {
            let _ = plug_one(store, scene, below);
        }
    }
    Ok(())
}

fn plug_one(store: &Store, scene: &Arc<Scene>, place: usize) -> Result {
    let at = &scene.places[place];
    let Some(_plug) = at.plug.try_lock() else { return Ok(()) };
    if scene.tenant(place).is_some_and(|tenant| store.contains(tenant.handle)) {
        return Ok(());
    }
    let hub = at.hub.map(|hub| scene.tenant(hub));
    let parent = match &hub {
        None => scene.devices,
        Some(Some(hub)) => hub.handle.cast(),
        Some(None) => return Ok(()),
    };
    let above = hub.flatten().map(|hub| hub.record);
    let record = Record::new(&scene.book, place, false, above);
    let handle = match describe(store, scene, place, &record, parent).register() {
        Ok(handle) => handle,
        Err(error) => {
            if error == Error::Exists {
                scene.is_vacant(place);
            }
            // The last one may still be leaving, and the hub may be gone.
            let above_is_gone = record.parent.as_ref().is_none_or(|parent| parent.may_be_gone());
            let allowed = if above_is_gone { &[Errno::EEXIST, Errno::ENODEV][..] } else { &[Errno::EEXIST] };
            scene.book.may_fail(error, allowed, || format!("registering {}", at.path));
            return Err(error);
        }
    };
    record.is(&scene.book, handle);
    *at.tenant.lock() = Some(Tenant { handle, record: Arc::clone(&record) });
    match store.map(handle, at.space, at.base..at.base + ADDRESSES) {
        Ok(()) => {
            record.mapped.raise();
        }
        // The last one may still be leaving, and so may this one.
        Err(error) => {
            scene.book.may_fail(error, &[Errno::EBUSY, Errno::ENODEV], || format!("mapping {}", at.path));
        }
    }
    Ok(())
}

/// A device as it is to be registered at a place.
fn describe<'a>(
    store: &'a Store,
    scene: &Scene,
    place: usize,
    record: &Arc<Record>,
    parent: enodev::KobjectHandle,
) -> NewDevice<'a> {
    let at = &scene.places[place];
    let chip = Chip::new(&scene.book, record);
    let mut new = match at.bus {
        EXCLUSIVE_BUS => store.new_device(parent, &at.name, scene.exclusive, chip),
        _ => store.new_device(parent, &at.name, scene.shared, chip),
    };
    if place % 2 == 0 {
        new = new.class(scene.class);
    }
    if place % 4 == 0 {
        new = new.linked_from(scene.links[place % scene.links.len()], &format!("id{place}"));
    }
    if at.hub.is_some() {
        new = new.link("hub", parent);
    }
    match scene.buses[at.bus] {
        AnyBus::Plain(bus) => on::<Wire<false>>(new, bus, at.model),
        AnyBus::LocksParent(bus) => on::<Wire<true>>(new, bus, at.model),
    }
}

fn on<B: BusType<Id = u32>>(new: NewDevice<'_>, bus: enodev::Bus<B>, model: u32) -> NewDevice<'_> {
    new.on(bus, model)
}

/// Removes the device of a place.
pub(super) fn unplug(store: &Store, scene: &Scene, place: usize, how: How, from: From) -> Result {
    let Some(tenant) = scene.tenant(place) else { return Ok(()) };
    let below: Vec<_> = if scene.places[place].hub.is_some() {
        Vec::new()
    } else {
        scene.family(place).skip(1).filter_map(|below| scene.tenant(below)).collect()
    };
    let Tenant { handle, ref record } = tenant;
    record.leaving.raise();
    let answer = match how {
        How::Alone => unplug_alone(store, scene, &tenant),
        How::Subtree => store.unregister_subtree(handle),
    };
    match answer {
        Ok(Removal::Done(_)) => {
            scene.is_vacant(place);
            is_dropped(scene, record, "has been removed");
            for Tenant { record: other, .. } in below {
                let was_below = other.parent.as_ref().is_some_and(|parent| Arc::ptr_eq(parent, record));
                // Who has a payload handed back drops it in his own time.
                if was_below && !other.moved.is_up() && !other.handed_back.is_up() {
                    is_dropped(scene, &other, "has been removed with its hub");
                }
            }
            Ok(())
        }
        // The callback that this is called from may be one of the device.
        Ok(Removal::Begun(_)) => {
            scene.is_vacant(place);
            scene.book.claim(from == From::Inside, || format!("device {} is still leaving", record.serial));
            Ok(())
        }
        Err(error) => {
            failed(scene, &tenant, place, from, error);
            Err(error)
        }
    }
}

fn unplug_alone(store: &Store, scene: &Scene, tenant: &Tenant) -> Result<Removal> {
    tenant.record.handed_back.raise();
    let chip = store.unregister::<Chip>(tenant.handle)?;
    chip.check("before it was handed back");
    scene.book.claim(Arc::ptr_eq(&chip.record, &tenant.record), || {
        format!("device {} was removed, and {} handed back", tenant.record.serial, chip.record.serial)
    });
    drop(chip);
    Ok(Removal::Done(1))
}

fn failed(scene: &Scene, tenant: &Tenant, place: usize, from: From, error: Error) {
    let record = &tenant.record;
    let what = || format!("removing device {}", record.serial);
    match (error, from) {
        (Error::HasChildren, _) if scene.places[place].hub.is_none() => {}
        (Error::Errno(Errno::ENODEV), From::Outside) => {
            scene.is_vacant(place);
            // Another thread has removed it, and was waited for.
            if !record.handed_back.is_up() {
                is_dropped(scene, record, "had been removed by another thread");
            }
        }
        (_, From::Inside) => scene.book.may_fail(error, &INSIDE, what),
        (_, From::Outside) => scene.book.may_be_refused(error, &[], what),
    }
}

fn is_dropped(scene: &Scene, record: &Record, what: &str) {
    scene.book.claim(record.dropped.is_up(), || format!("device {} {what}, and its payload is there", record.serial));
}

/// Has the device of a place remove itself, by one of its attributes.
pub(super) fn eject(store: &Store, scene: &Scene, place: usize) -> Result {
    let Some(Tenant { handle, record }) = scene.tenant(place) else { return Ok(()) };
    match store.write(handle, "eject", b"1") {
        Ok(()) => {
            scene.is_vacant(place);
            is_dropped(scene, &record, "has removed itself");
            Ok(())
        }
        Err(error) => {
            gone(scene, place, &record, error, "ejecting");
            Err(error)
        }
    }
}

/// Looks whether a failure is one that a device may give which is gone.
pub(super) fn gone(scene: &Scene, place: usize, record: &Record, error: Error, what: &str) {
    if error == Error::Errno(Errno::ENODEV) {
        scene.is_vacant(place);
        scene.book.claim(record.may_be_gone(), || {
            format!("{what}: device {} is ENODEV, and nobody has removed it", record.serial)
        });
    } else {
        scene.book.may_be_refused(error, &[], || format!("{what} device {}", record.serial));
    }
}

/// Gives the device of a place another name, or its first one.
pub(super) fn rename(store: &Store, scene: &Scene, place: usize, bits: u64) -> Result {
    let Some(Tenant { handle, record }) = scene.tenant(place) else { return Ok(()) };
    record.renamed.raise();
    store.rename(handle, &name(scene, place, bits)).inspect_err(|error| {
        // The name may be that of the last one, which is leaving.
        if *error != Error::Exists {
            gone(scene, place, &record, *error, "renaming");
        }
    })
}

/// Moves the device of a place to a hub.
pub(super) fn move_to(store: &Store, scene: &Scene, place: usize, hub: usize, bits: u64) -> Result {
    let (Some(Tenant { handle, record }), Some(hub)) = (scene.tenant(place), scene.tenant(hub)) else { return Ok(()) };
    if scene.places[place].hub.is_none() {
        return Ok(());
    }
    record.moved.raise();
    store.move_to(handle, hub.handle, &name(scene, place, bits)).inspect_err(|error| match error {
        Error::Exists => {}
        Error::NotFound => scene.book.claim(hub.record.may_be_gone(), || {
            format!("device {} cannot be moved below {}, which nobody has removed", record.serial, hub.record.serial)
        }),
        error => gone(scene, place, &record, *error, "moving"),
    })
}

fn name(scene: &Scene, place: usize, bits: u64) -> String {
    match bits % 4 {
        0 => scene.places[place].name.clone(),
        n => format!("{}.{n}", scene.places[place].name),
    }
}

/// Takes a device's addresses away, and gives them back.
pub(super) fn remap(store: &Store, scene: &Scene, place: usize, bits: u64) -> Result {
    let Some(Tenant { handle, record }) = scene.tenant(place) else { return Ok(()) };
    let at = &scene.places[place];
    record.remapped.raise();
    let range = |offset| at.base + offset..at.base + ADDRESSES;
    let answer = match bits % 3 {
        0 => store.unmap(handle, at.space, at.base),
        1 => store.remap(handle, at.space, at.base, range(0)),
        _ => store.map(handle, at.space, range(0)),
    };
    answer.inspect_err(|error| match error {
        Error::NotFound | Error::Overlap => {}
        error => gone(scene, place, &record, *error, "mapping"),
    })
}

/// Whether a handle is that of a device that belongs to a place.
pub(super) fn belongs(store: &Store, scene: &Scene, device: DeviceHandle, place: usize, what: &str) -> Result {
    let found = super::chip::look(store, device, |chip| {
        chip.check("while it was looked at");
        (chip.record.place, chip.record.is_port, chip.record.handle.get())
    });
    match found {
        Ok((found, is_port, bits)) => {
            scene.book.claim(found == place && !is_port, || {
                format!("{what} of {} leads to a device of {}", scene.places[place].path, scene.places[found].path)
            });
            let is_it = bits == 0 || bits == device.to_bits();
            scene.book.claim(is_it, || format!("{what} of {}: {device:?} is another device", scene.places[place].path));
            Ok(())
        }
        Err(error) => {
            scene.book.may_be_refused(error, &[Errno::ENODEV], || format!("{what} of {}", scene.places[place].path));
            Err(error)
        }
    }
}
