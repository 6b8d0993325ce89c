//! enodev's store of devices, whose payloads are entered as a type.

use enodev::{DeviceHandle, DeviceType, Store};

use crate::compare::get::Get;
use crate::compare::object::payloads;
use crate::compare::{Payload, Result};

/// As what a caller sees a payload who does not know its type.
trait Word: Send + Sync {
    fn word(&self) -> u64;
}

impl Word for Payload {
    #[inline]
    fn word(&self) -> u64 {
        Self::word(self)
    }
}

/// A store with devices below its root, and their handles.
fn build(objects: usize) -> Result<(Store, Vec<DeviceHandle>)> {
    let store = Store::new()?;
    let ty = store.define(DeviceType::shared::<Payload>("device").view::<dyn Word>(|payload| payload))?;
    let mut devices = Vec::with_capacity(objects);
    for payload in payloads(objects) {
        devices.push(store.register(store.root(), &format!("device{}", payload.number()), ty, payload)?);
    }
    Ok((store, devices))
}

/// Devices entered as their payload's own type.
pub(crate) struct StoreEnter(Store);

impl Get for StoreEnter {
    type Handle = DeviceHandle;
    type Thread<'a> = ();

    fn build(objects: usize) -> Result<(Self, Vec<DeviceHandle>)> {
        let (store, devices) = build(objects)?;
        Ok((Self(store), devices))
    }

    fn thread(&self) {}

    #[inline]
    fn get(&self, (): &mut (), device: &DeviceHandle) -> u64 {
        self.0.enter::<Payload>(*device).map_or(0, |payload| payload.word())
    }
}

/// Devices entered as a trait.
pub(crate) struct StoreEnterDyn(Store);

impl Get for StoreEnterDyn {
    type Handle = DeviceHandle;
    type Thread<'a> = ();

    fn build(objects: usize) -> Result<(Self, Vec<DeviceHandle>)> {
        let (store, devices) = build(objects)?;
        Ok((Self(store), devices))
    }

    fn thread(&self) {}

    #[inline]
    fn get(&self, (): &mut (), device: &DeviceHandle) -> u64 {
        self.0.enter::<dyn Word>(*device).map_or(0, |payload| payload.word())
    }
}
