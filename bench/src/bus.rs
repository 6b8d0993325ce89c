//! Address buses as virtual machine monitors have them: a guest's access finds a device by address.
//!
//! [`VmmBus`] has the shape of cloud-hypervisor's: readers share a lock, upgrade a [`Weak`] and call
//! the device outside the lock. [`LockedBus`] has the shape of crosvm's: one mutex around the map, an
//! `Arc` taken under it, and a mutex around each device.
//!
//! Both call the device after the bus is unlocked, so a removal returns while others may still be
//! inside the device. Neither makes a copy of a reference that its shape does not need.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError, RwLock, Weak};

/// The addresses from `base` on, `len` of them. Never empty, never past the last address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Range {
    base: u64,
    len: u64,
}

impl Range {
    /// The range, or `None` if it is empty or its last address exceeds `u64::MAX`.
    #[must_use]
    pub fn new(base: u64, len: u64) -> Option<Self> {
        base.checked_add(len.checked_sub(1)?)?;
        Some(Self { base, len })
    }

    /// How far `address` lies behind the base, if it lies in the range.
    #[must_use]
    pub fn offset(self, address: u64) -> Option<u64> {
        address.checked_sub(self.base).filter(|offset| *offset < self.len)
    }

    fn last(self) -> u64 {
        self.base + (self.len - 1)
    }
}

/// The range overlaps one that is on the bus already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Overlap;

impl fmt::Display for Overlap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the range overlaps another on the bus")
    }
}

impl std::error::Error for Overlap {}

/// A device that guards its own state.
pub trait Device: Send + Sync {
    /// Fills `data` from `offset` on, which counts from the start of the device's range.
    fn read(&self, offset: u64, data: &mut [u8]);
    /// Takes `data` for `offset`, which counts from the start of the device's range.
    fn write(&self, offset: u64, data: &[u8]);
}

/// A device that wants to be alone, as most are written. In a mutex it is a [`Device`].
pub trait DeviceMut: Send {
    /// Fills `data` from `offset` on, which counts from the start of the device's range.
    fn read(&mut self, offset: u64, data: &mut [u8]);
    /// Takes `data` for `offset`, which counts from the start of the device's range.
    fn write(&mut self, offset: u64, data: &[u8]);
}

impl<D: DeviceMut + ?Sized> Device for Mutex<D> {
    fn read(&self, offset: u64, data: &mut [u8]) {
        self.lock().unwrap_or_else(PoisonError::into_inner).read(offset, data);
    }

    fn write(&self, offset: u64, data: &[u8]) {
        self.lock().unwrap_or_else(PoisonError::into_inner).write(offset, data);
    }
}

/// The devices of a bus by address, `R` being what the bus holds of each.
#[derive(Debug)]
struct Map<R>(BTreeMap<Range, R>);

impl<R> Map<R> {
    /// Whether `range` is free. The caller inserts afterwards, for a device that this refused and
    /// dropped would be dropped under the bus's lock.
    fn check(&self, range: Range) -> Result<(), Overlap> {
        // Ranges do not overlap, so of those that begin before our end only the last can reach us.
        let end = Range { base: range.last(), len: u64::MAX };
        let before = self.0.range(..=end).next_back();
        if before.is_some_and(|(other, _)| other.last() >= range.base) { Err(Overlap) } else { Ok(()) }
    }

    fn find(&self, address: u64) -> Option<(u64, &R)> {
        let end = Range { base: address, len: u64::MAX };
        let (range, device) = self.0.range(..=end).next_back()?;
        Some((range.offset(address)?, device))
    }
}

/// A bus of cloud-hypervisor's shape: `RwLock<BTreeMap<Range, Weak<dyn Device>>>`.
///
/// Its owner keeps the devices' `Arc`s elsewhere. An access to an address without a living device
/// does nothing, and says so.
pub struct VmmBus {
    devices: RwLock<Map<Weak<dyn Device>>>,
}

impl VmmBus {
    /// A bus without devices.
    #[must_use]
    pub fn new() -> Self {
        Self { devices: RwLock::new(Map(BTreeMap::new())) }
    }

    /// Puts a device on the bus.
    ///
    /// # Errors
    ///
    /// [`Overlap`] with another range, also that of a device which is dead but not removed.
    pub fn insert(&self, range: Range, device: Weak<dyn Device>) -> Result<(), Overlap> {
        let mut devices = self.devices.write().unwrap_or_else(PoisonError::into_inner);
        devices.check(range)?;
        devices.0.insert(range, device);
        Ok(())
    }

    /// Takes the device with exactly this range from the bus, and returns whether there was one.
    pub fn remove(&self, range: Range) -> bool {
        let mut devices = self.devices.write().unwrap_or_else(PoisonError::into_inner);
        devices.0.remove(&range).is_some()
    }

    /// Reads at `address`; `false` if no device answers.
    pub fn read(&self, address: u64, data: &mut [u8]) -> bool {
        let found = self.resolve(address);
        found.is_some_and(|(offset, device)| {
            device.read(offset, data);
            true
        })
    }

    /// Writes at `address`; `false` if no device answers.
    pub fn write(&self, address: u64, data: &[u8]) -> bool {
        let found = self.resolve(address);
        found.is_some_and(|(offset, device)| {
            device.write(offset, data);
            true
        })
    }

    fn resolve(&self, address: u64) -> Option<(u64, Arc<dyn Device>)> {
        let devices = self.devices.read().unwrap_or_else(PoisonError::into_inner);
        let (offset, device) = devices.find(address)?;
        Some((offset, device.upgrade()?))
    }
}

impl Default for VmmBus {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for VmmBus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("VmmBus").finish_non_exhaustive()
    }
}

/// A bus of crosvm's shape: `Mutex<BTreeMap<Range, Arc<Mutex<dyn DeviceMut>>>>`.
///
/// The bus owns its devices together with others. An access to an address without a device does
/// nothing, and says so.
pub struct LockedBus {
    devices: Mutex<Map<Arc<Mutex<dyn DeviceMut>>>>,
}

impl LockedBus {
    /// A bus without devices.
    #[must_use]
    pub fn new() -> Self {
        Self { devices: Mutex::new(Map(BTreeMap::new())) }
    }

    /// Puts a device on the bus.
    ///
    /// # Errors
    ///
    /// [`Overlap`] with another range.
    pub fn insert(&self, range: Range, device: Arc<Mutex<dyn DeviceMut>>) -> Result<(), Overlap> {
        let mut devices = self.devices.lock().unwrap_or_else(PoisonError::into_inner);
        devices.check(range)?;
        devices.0.insert(range, device);
        Ok(())
    }

    /// Takes the device with exactly this range from the bus, and returns it.
    pub fn remove(&self, range: Range) -> Option<Arc<Mutex<dyn DeviceMut>>> {
        self.devices.lock().unwrap_or_else(PoisonError::into_inner).0.remove(&range)
    }

    /// Reads at `address`; `false` if no device answers.
    pub fn read(&self, address: u64, data: &mut [u8]) -> bool {
        let found = self.resolve(address);
        found.is_some_and(|(offset, device)| {
            Device::read(&*device, offset, data);
            true
        })
    }

    /// Writes at `address`; `false` if no device answers.
    pub fn write(&self, address: u64, data: &[u8]) -> bool {
        let found = self.resolve(address);
        found.is_some_and(|(offset, device)| {
            Device::write(&*device, offset, data);
            true
        })
    }

    fn resolve(&self, address: u64) -> Option<(u64, Arc<Mutex<dyn DeviceMut>>)> {
        let devices = self.devices.lock().unwrap_or_else(PoisonError::into_inner);
        let (offset, device) = devices.find(address)?;
        Some((offset, Arc::clone(device)))
    }
}

impl Default for LockedBus {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for LockedBus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LockedBus").finish_non_exhaustive()
    }
}
