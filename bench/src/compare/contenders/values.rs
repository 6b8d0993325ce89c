//! Attributes whose values the store keeps, read as values.

use enodev::{DeviceHandle, DeviceType, PlainAttr, Store};

use crate::compare::get::Get;
use crate::compare::object::payloads;
use crate::compare::{Payload, Result};

/// A plain attribute of enodev's store, set once for each device. It holds the word that others have in the payload.
pub(crate) struct PlainAttribute {
    store: Store,
    word: PlainAttr<u64>,
}

impl Get for PlainAttribute {
    type Handle = DeviceHandle;
    type Thread<'a> = ();

    fn build(objects: usize) -> Result<(Self, Vec<DeviceHandle>)> {
        let store = Store::new()?;
        let ty = store.define(DeviceType::shared::<Payload>("device").plain("word", 0_u64))?;
        let word = store.plain::<u64>(ty, "word")?;
        let mut devices = Vec::with_capacity(objects);
        for payload in payloads(objects) {
            let device = store.register(store.root(), &format!("device{}", payload.number()), ty, payload)?;
            word.store(&store, device, payload.word())?;
            devices.push(device);
        }
        Ok((Self { store, word }, devices))
    }

    fn thread(&self) {}

    #[inline]
    fn get(&self, (): &mut (), device: &DeviceHandle) -> u64 {
        self.word.load(&self.store, *device).unwrap_or(0)
    }
}
