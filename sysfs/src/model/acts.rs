//! What is done that changes nothing but what is in attributes and links: looking, reading, writing.

use std::sync::Arc;
use std::thread;

use enodev::{Access, Errno, Error, File, KobjectHandle, Result, Store};

use super::book::Book;
use super::chip::Chip;
use super::drivers;
use super::places::{self, From, gone};
use super::scene::{ADDRESSES, Scene, Tenant};

/// Reads a device's serial number, or what was written to it.
pub(super) fn read(store: &Store, scene: &Scene, place: usize, bits: u64) -> Result {
    let Some(Tenant { handle, record }) = scene.tenant(place) else { return Ok(()) };
    let name = ["id", "value"][(bits % 2) as usize];
    match store.read(handle, name) {
        Ok(text) => {
            is_serial(&scene.book, &text, record.serial);
            Ok(())
        }
        Err(error) => {
            gone(scene, place, &record, error, "reading");
            Err(error)
        }
    }
}

fn is_serial(book: &Book, text: &[u8], serial: u64) {
    let number = std::str::from_utf8(text).ok().and_then(|text| text.split_whitespace().next()?.parse().ok());
    book.claim(number == Some(serial), || format!("device {serial} says {:?}", String::from_utf8_lossy(text)));
}

/// Writes to a device: to its driver's attribute, or to one that the store keeps.
pub(super) fn write(store: &Store, scene: &Scene, place: usize, bits: u64) -> Result {
    let Some(Tenant { handle, record }) = scene.tenant(place) else { return Ok(()) };
    let text = format!("{}\n", bits >> 8);
    let name = ["value", "plain"][(bits % 2) as usize];
    store.write(handle, name, text.as_bytes()).inspect_err(|error| gone(scene, place, &record, *error, "writing"))
}

/// A file that a thread keeps open.
#[derive(Debug)]
pub(super) struct Opened {
    file: File,
    place: usize,
    tenant: Tenant,
}

/// Opens a file of a device.
pub(super) fn open(store: &Store, scene: &Scene, place: usize) -> Result<Option<Opened>> {
    let Some(tenant) = scene.tenant(place) else { return Ok(None) };
    let file = store.open(tenant.handle, "id", Access::READ);
    let file = file.inspect_err(|error| gone(scene, place, &tenant.record, *error, "opening"))?;
    Ok(Some(Opened { file, place, tenant }))
}

/// Reads a file that was opened before.
pub(super) fn read_file(store: &Store, scene: &Scene, opened: &mut Opened) -> Result {
    let mut buf = [0; 32];
    let was_gone = opened.tenant.record.dropped.is_up();
    match opened.file.sole().pread(store, 0, &mut buf) {
        Ok(count) => {
            is_serial(&scene.book, &buf[..count], opened.tenant.record.serial);
            scene.book.claim(!was_gone, || format!("a file of device {} outlives it", opened.tenant.record.serial));
            Ok(())
        }
        Err(errno) => {
            let error = Error::Errno(errno);
            gone(scene, opened.place, &opened.tenant.record, error, "reading a file of");
            Err(error)
        }
    }
}

/// Enters a device; sometimes unbinds it meanwhile.
pub(super) fn enter(store: &Store, scene: &Scene, place: usize, bits: u64) -> Result {
    let Some(Tenant { handle, record }) = scene.tenant(place) else { return Ok(()) };
    let entered = super::chip::look(store, handle, |chip: &Chip| {
        chip.check("before it was entered");
        scene.book.claim(Arc::ptr_eq(&chip.record, &record), || {
            format!("device {} was entered as {}", chip.record.serial, record.serial)
        });
        if bits % 64 == 0 {
            let _ = drivers::unbind(store, scene, place, From::Inside);
        }
        if bits % 64 == 1 {
            record.leaving.raise();
            let answer = store.unregister_subtree(handle).map(|removal| matches!(removal, enodev::Removal::Begun(_)));
            scene.book.claim(!matches!(answer, Ok(false)), || format!("device {} left too early", record.serial));
        }
        if bits >> 8 & 63 == 0 {
            thread::yield_now();
        }
        chip.check("while it was entered");
    });
    entered.inspect_err(|error| gone(scene, place, &record, *error, "entering"))
}

/// Looks up the path of a place.
pub(super) fn look_up(store: &Store, scene: &Scene, place: usize) -> Result {
    let tenant = scene.tenant(place);
    match store.lookup(&scene.places[place].path) {
        Ok(object) => match store.device(object) {
            Ok(device) => places::belongs(store, scene, device, place, "the path"),
            Err(error) => {
                scene.book.may_fail(error, &[Errno::ENODEV], || format!("the device at {}", scene.places[place].path));
                Err(error)
            }
        },
        Err(error) => {
            scene.book.may_fail(error, &[Errno::ENOENT], || format!("looking up {}", scene.places[place].path));
            let is_settled = |Tenant { record, .. }: &Tenant| {
                let hub_has_its_name = record.parent.as_ref().is_none_or(|hub| !hub.renamed.is_up());
                !record.may_be_gone() && !record.renamed.is_up() && hub_has_its_name
            };
            let should_be = tenant.is_some_and(|tenant| is_settled(&tenant));
            scene.book.claim(!should_be, || format!("{} is not there", scene.places[place].path));
            Err(error)
        }
    }
}

/// Resolves an address of a place.
pub(super) fn resolve(store: &Store, scene: &Scene, place: usize, bits: u64) -> Result {
    let at = &scene.places[place];
    let should_be = scene.tenant(place).filter(|tenant| tenant.record.mapped.is_up());
    let offset = bits % ADDRESSES;
    match store.resolve(at.space, at.base + offset) {
        Ok((device, found)) => {
            scene.book.claim(found == offset, || format!("address {offset} of {} is at {found}", at.path));
            places::belongs(store, scene, device, place, "an address")
        }
        Err(error) => {
            scene.book.may_fail(error, &[Errno::ENOENT], || format!("an address of {}", at.path));
            let is_lost =
                should_be.is_some_and(|Tenant { record, .. }| !record.may_be_gone() && !record.remapped.is_up());
            scene.book.claim(!is_lost, || format!("nobody answers at the addresses of {}", at.path));
            Err(error)
        }
    }
}

/// Lists a hub.
pub(super) fn list(store: &Store, scene: &Scene, place: usize) -> Result {
    let hub = scene.places[place].hub.unwrap_or(place);
    let Some(Tenant { handle, record }) = scene.tenant(hub) else { return Ok(()) };
    let entries = store.list(handle).inspect_err(|error| gone(scene, hub, &record, *error, "listing"))?;
    let is_sorted = entries.windows(2).all(|pair| pair[0].name < pair[1].name);
    scene.book.claim(is_sorted, || format!("hub {} lists names twice, or out of order", record.serial));
    Ok(())
}

/// Walks the devices of a bus, those of a class, or those of a driver.
pub(super) fn walk(store: &Store, scene: &Scene, bits: u64) -> Result {
    /// So many devices are looked at.
    const MANY: usize = 64;
    let pick = (bits >> 32) as usize;
    match bits % 4 {
        0 => {
            let bus = scene.buses[pick % scene.buses.len()].handle();
            for device in store.devices_on(bus)?.take(MANY) {
                let found = store.bus_of(device);
                scene
                    .book
                    .claim(found.map_or(true, |found| found == Some(bus)), || format!("{device:?} is on {found:?}"));
            }
        }
        1 => {
            for device in store.devices_in(scene.class)?.take(MANY) {
                let found = store.class_of(device);
                let is_in = found.map_or(true, |found| found == Some(scene.class));
                scene.book.claim(is_in, || format!("{device:?} is in {found:?}"));
            }
        }
        2 => {
            let bus = scene.buses[pick % scene.buses.len()].handle();
            let names: Vec<_> = store.drivers_on(bus)?.filter_map(|driver| store.driver_name(driver).ok()).collect();
            scene.book.claim(names.len() <= scene.slots.len(), || format!("a bus has {} drivers", names.len()));
        }
        _ => {
            let Some(driver) = scene.driver(pick % scene.slots.len()) else { return Ok(()) };
            let devices = store.devices_of(driver.handle)?;
            // They may have come to another driver by now.
            for device in devices.take(MANY) {
                let _ = store.driver_of(device);
            }
        }
    }
    Ok(())
}

/// Makes links, takes them away, reads them.
pub(super) fn links(store: &Store, scene: &Scene, place: usize, bits: u64) -> Result {
    let dir = scene.links[(bits >> 32) as usize % scene.links.len()];
    let name = format!("l{place}");
    let Some(Tenant { handle, record }) = scene.tenant(place) else { return Ok(()) };
    match bits % 8 {
        0 | 1 => store.link(dir, &name, handle).inspect_err(|error| {
            if *error != Error::Exists {
                gone(scene, place, &record, *error, "linking to");
            }
        }),
        2 => {
            let answer = store.unlink(dir, &name);
            answer.inspect_err(|error| scene.book.may_fail(*error, &[Errno::ENOENT], || format!("unlinking {name}")))
        }
        3..=5 => read_link(store, scene, place, dir, &name),
        _ => {
            let links = store.links_to(handle);
            links.map(drop).inspect_err(|error| gone(scene, place, &record, *error, "the links to"))
        }
    }
}

fn read_link(store: &Store, scene: &Scene, place: usize, dir: KobjectHandle, name: &str) -> Result {
    match store.readlink(dir, name) {
        Ok(object) => {
            let device = store.device(object);
            let device = device.inspect_err(|error| scene.book.may_fail(*error, &[Errno::ENODEV], || name.into()))?;
            places::belongs(store, scene, device, place, "a link")
        }
        Err(error) => {
            scene.book.may_fail(error, &[Errno::ENOENT], || format!("reading the link {name}"));
            Err(error)
        }
    }
}

/// Puts a hub and what hangs on it to sleep, wakes it, brings it to rest.
pub(super) fn power(store: &Store, scene: &Scene, place: usize, bits: u64) -> Result {
    let hub = scene.places[place].hub.unwrap_or(place);
    let Some(Tenant { handle, .. }) = scene.tenant(hub) else { return Ok(()) };
    let answer = match bits % 3 {
        0 => store.suspend(handle),
        1 => store.resume(handle),
        _ => store.shutdown(handle),
    };
    // Drivers fail, and panic.
    answer.inspect_err(|error| {
        scene.book.may_be_refused(*error, &[Errno::EIO, Errno::ENODEV], || "sleep and waking".into());
    })
}

/// Asks for a device that has gone.
pub(super) fn ask_for_gone(store: &Store, scene: &Scene, tenant: &Tenant, bits: u64) -> Result {
    let Tenant { handle, ref record } = *tenant;
    let answer = match bits % 12 {
        0 => store.enter::<Chip>(handle).map(drop),
        1 => store.enter_mut::<Chip>(handle).map(drop),
        2 => store.path(handle).map(drop),
        3 => store.list(handle).map(drop),
        4 => store.read(handle, "id").map(drop),
        5 => store.data::<drivers::Kept>(handle).map(drop),
        6 => store.driver_of(handle).map(drop),
        7 => store.links_to(handle).map(drop),
        8 => store.rename(handle, "lazarus"),
        9 => store.create(handle, "orphan").map(drop),
        10 => store.lock(handle).map(drop),
        _ => store.unregister_subtree(handle).map(drop),
    };
    let is_gone = !store.contains(handle) && answer == Err(Errno::ENODEV.into());
    scene.book.claim(is_gone, || format!("device {}, which has gone, answered {answer:?}", record.serial));
    Ok(())
}
