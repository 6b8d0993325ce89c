//! The buses of two virtual machine monitors: from an address to the device there.

use std::sync::{Arc, Mutex};

use crate::bus::{Device, DeviceMut, LockedBus, Range, VmmBus};
use crate::compare::get::Get;
use crate::compare::object::payloads;
use crate::compare::{Payload, Result};

/// A device with one register of eight bytes.
pub(crate) struct Register(pub(crate) Payload);

impl Register {
    #[inline]
    fn read(&self, data: &mut [u8]) {
        // In one go, as a driver does: the bytes one by one would be measured more than the way to them.
        if let Ok(data) = data.try_into() {
            let data: &mut [u8; 8] = data;
            *data = self.0.word().to_ne_bytes();
        }
    }
}

impl Device for Register {
    fn read(&self, _: u64, data: &mut [u8]) {
        Self::read(self, data);
    }

    fn write(&self, _: u64, _: &[u8]) {}
}

impl DeviceMut for Register {
    fn read(&mut self, _: u64, data: &mut [u8]) {
        Self::read(self, data);
    }

    fn write(&mut self, _: u64, _: &[u8]) {}
}

/// So many addresses belong to a device: a page.
pub(crate) const LEN: u64 = 0x1000;

/// The addresses of the device with this number.
pub(crate) fn range(number: u64) -> Option<Range> {
    Range::new(number.checked_mul(LEN)?, LEN)
}

pub(crate) fn addresses(objects: usize) -> Vec<u64> {
    (0..objects as u64).map(|number| number * LEN).collect()
}

/// What a read at an address gives; 0 where no device answers.
#[inline]
pub(crate) fn word(read: impl FnOnce(&mut [u8]) -> bool) -> u64 {
    let mut data = [0; 8];
    if read(&mut data) { u64::from_ne_bytes(data) } else { 0 }
}

/// Look-up under a shared lock, upgrade, call.
pub(crate) struct VmmBtreeWeak {
    bus: VmmBus,
    _owner: Vec<Arc<Register>>,
}

impl Get for VmmBtreeWeak {
    type Handle = u64;
    type Thread<'a> = ();

    fn build(objects: usize) -> Result<(Self, Vec<u64>)> {
        let (bus, mut owner) = (VmmBus::new(), Vec::with_capacity(objects));
        for payload in payloads(objects) {
            let device = Arc::new(Register(payload));
            let weak: std::sync::Weak<Register> = Arc::downgrade(&device);
            bus.insert(range(payload.number()).ok_or("too many devices")?, weak)?;
            owner.push(device);
        }
        Ok((Self { bus, _owner: owner }, addresses(objects)))
    }

    fn thread(&self) {}

    #[inline]
    fn get(&self, (): &mut (), address: &u64) -> u64 {
        word(|data| self.bus.read(*address, data))
    }
}

/// Look-up under the one lock, clone, lock the device, call.
pub(crate) struct LockedBtreeArc(LockedBus);

impl Get for LockedBtreeArc {
    type Handle = u64;
    type Thread<'a> = ();

    fn build(objects: usize) -> Result<(Self, Vec<u64>)> {
        let bus = LockedBus::new();
        for payload in payloads(objects) {
            let range = range(payload.number()).ok_or("too many devices")?;
            bus.insert(range, Arc::new(Mutex::new(Register(payload))))?;
        }
        Ok((Self(bus), addresses(objects)))
    }

    fn thread(&self) {}

    #[inline]
    fn get(&self, (): &mut (), address: &u64) -> u64 {
        word(|data| self.0.read(*address, data))
    }
}
