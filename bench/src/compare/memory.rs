//! What devices take in memory.

use enodev::{DeviceType, Store};

use super::object::payloads;
use super::{Payload, Result};
use crate::baseline::{ArcStore, Attribute, Attributes};

/// Runs some work on the caller's thread, and returns by how many bytes that thread's allocations have grown since: those
/// allocated, without those freed.
pub type Count = fn(work: &mut dyn FnMut()) -> i64;

/// What a device takes in memory: bytes asked of the allocator for a store with a directory of devices of one type, by the
/// number of devices, beyond payload and name.
///
/// What allocations cost the allocator itself, it does not tell.
#[derive(Clone, Copy, Debug)]
pub struct Memory {
    /// Of enodev's store.
    pub bytes_per_device: f64,
    /// Of the Arc baseline.
    pub arc_bytes_per_device: f64,
}

/// So many attributes the type has.
const ATTRIBUTES: usize = 40;

pub(super) fn memory(devices: usize, count: Count) -> Result<Memory> {
    Ok(Memory {
        bytes_per_device: per_device(devices, count, ours)?,
        arc_bytes_per_device: per_device(devices, count, baseline)?,
    })
}

/// The bytes that each device has of what `make` makes.
fn per_device<S>(devices: usize, count: Count, make: fn(usize) -> Result<S>) -> Result<f64> {
    let mut made = None;
    let bytes = count(&mut || made = Some(make(devices)));
    // Not before it has been counted is anything freed.
    drop(made.ok_or("nothing has been counted")??);
    let given: usize = payloads(devices).map(|payload| size_of::<Payload>() + name(&payload).len()).sum();
    Ok((bytes as f64 - given as f64) / devices as f64)
}

fn name(payload: &Payload) -> String {
    format!("device{}", payload.number())
}

fn attributes() -> impl Iterator<Item = String> {
    (0..ATTRIBUTES).map(|number| format!("attribute{number}"))
}

fn ours(devices: usize) -> Result<Store> {
    let store = Store::new()?;
    let ty = attributes().fold(DeviceType::shared::<Payload>("device"), |ty, name| {
        ty.ro(&name, |device, page| page.line(device.number()))
    });
    let ty = store.define(ty)?;
    for payload in payloads(devices) {
        store.register(store.root(), &name(&payload), ty, payload)?;
    }
    Ok(store)
}

/// One table of attributes for all, of which each object has a reference.
fn baseline(devices: usize) -> Result<ArcStore<Payload>> {
    let attribute = |name: String| {
        Attribute::ro(&name, |payload: &Payload, page| {
            page.extend_from_slice(payload.number().to_string().as_bytes());
            Ok(())
        })
    };
    let table = Attributes::new(attributes().map(attribute).collect())?;
    let store = ArcStore::new();
    for payload in payloads(devices) {
        store.register("/", &name(&payload), payload, &table)?;
    }
    Ok(store)
}
