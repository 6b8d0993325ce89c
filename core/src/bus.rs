use std::any::Any;
use std::fmt;
use std::hash;
use std::marker::PhantomData;

use enodev_attrs::Name;

use crate::crowd::Crowd;
use crate::error::{Error, Result};
use crate::handle::{BusHandle, DeviceHandle, DriverHandle};
use crate::members::Published;
use crate::store::Store;

/// What is alike for all devices and drivers of a bus: how a device says what it is, how a driver says what it serves, and whether the
/// two fit.
///
/// ```
/// use enodev::{BusType, Store};
///
/// struct Platform;
///
/// impl BusType for Platform {
///     type Id = &'static str; // "compatible"
///     type IdTable = Vec<&'static str>;
///
///     fn matches(&self, id: &Self::Id, table: &Self::IdTable) -> bool {
///         table.contains(id)
///     }
/// }
///
/// let store = Store::new()?;
/// let platform = store.register_bus("platform", Platform)?;
/// assert_eq!(store.devices_on(platform)?.count(), 0);
/// # Ok::<(), enodev::Error>(())
/// ```
///
/// # Linux
///
/// `struct bus_type`, whose `match` is given the device and the driver and finds in them what this is given.
pub trait BusType: Send + Sync + 'static {
    /// What a device of the bus says that it is: numbers of a vendor and a device, a name.
    type Id: Send + Sync + 'static;

    /// What a driver of the bus says that it serves.
    type IdTable: Send + Sync + 'static;

    /// Whether the bus's devices are bound and unbound with the lock of their parents held too (`need_parent_lock`, which USB has). They are
    /// unbound without, where who has that lock waits for the unbinding, or the parent leaves too.
    const LOCKS_PARENT: bool = false;

    /// Whether a driver that serves what is in `table` is to be asked about the device.
    fn matches(&self, id: &Self::Id, table: &Self::IdTable) -> bool;
}

/// A bus, registered in a store: a [`BusHandle`] that knows what the bus's devices say of themselves, and that can be given wherever one is
/// asked for.
pub struct Bus<B> {
    handle: BusHandle,
    ty: PhantomData<fn() -> B>,
}

impl<B> Bus<B> {
    /// The handle alone.
    pub fn handle(self) -> BusHandle {
        self.handle
    }
}

impl<B> From<Bus<B>> for BusHandle {
    fn from(bus: Bus<B>) -> Self {
        bus.handle
    }
}

impl<B> Clone for Bus<B> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<B> Copy for Bus<B> {}

impl<B> PartialEq for Bus<B> {
    fn eq(&self, other: &Self) -> bool {
        self.handle == other.handle
    }
}

impl<B> Eq for Bus<B> {}

impl<B> hash::Hash for Bus<B> {
    fn hash<H: hash::Hasher>(&self, state: &mut H) {
        self.handle.hash(state);
    }
}

impl<B> fmt::Debug for Bus<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.handle.fmt(f)
    }
}

/// What the store keeps of a bus.
#[derive(Debug)]
pub(crate) struct BusMeta {
    pub(crate) name: Name,
    pub(crate) devices: Crowd,
    pub(crate) drivers: Published<DriverHandle>,
}

/// The bus's own code.
pub(crate) struct BusCode {
    pub(crate) code: Box<dyn Any + Send + Sync>,
    pub(crate) locks_parent: bool,
}

/// Buses. A bus is named by its handle alone, and stays when a device on it goes.
impl Store {
    /// Registers a bus.
    ///
    /// # Errors
    ///
    /// [`Error::Name`], [`Error::Full`]. The bus's code is dropped.
    pub fn register_bus<B: BusType>(&self, name: &str, bus: B) -> Result<Bus<B>> {
        let meta = BusMeta { name: Name::new(name)?, devices: Crowd::default(), drivers: Published::default() };
        let code = BusCode { code: Box::new(bus), locks_parent: B::LOCKS_PARENT };
        Ok(Bus { handle: self.inner.buses.insert(meta, code)?, ty: PhantomData })
    }

    /// Unregisters a bus that nothing is on any more, and drops its code.
    ///
    /// # Errors
    ///
    /// `ENODEV`; [`Error::InUse`] while the bus has devices or drivers, also those that are leaving; [`Error::Inside`] in its own
    /// callback; [`Error::Deadlock`], [`Error::Barrier`] as with devices: it goes on leaving, and goes with the store.
    pub fn unregister_bus(&self, bus: impl Into<BusHandle>) -> Result {
        let (bus, mut leaving) = (bus.into(), self.inner.buses.leave());
        if self.inner.buses.is_inside(bus) {
            return Err(Error::Inside);
        }
        {
            let pin = self.inner.domain.pin();
            let meta = self.inner.buses.get(&pin, bus)?;
            // Who joins looks under a lock of the one list or the other whether the bus is there.
            let marked = meta.devices.when_empty(|| {
                meta.drivers.change(|drivers| match drivers.len() {
                    0 => leaving.mark_under(&pin, bus).map_err(Error::from),
                    _ => Err(Error::InUse),
                })
            });
            marked.ok_or(Error::InUse)??;
        }
        leaving.drain().map_err(|(_, error)| error)?.drop_payloads();
        Ok(())
    }

    /// The name of a bus.
    ///
    /// # Errors
    ///
    /// `ENODEV`.
    pub fn bus_name(&self, bus: impl Into<BusHandle>) -> Result<Name> {
        Ok(self.inner.buses.get(&self.inner.domain.pin(), bus.into())?.name.clone())
    }

    /// The devices of a bus, in the order in which they came, as they are at this moment: whoever walks them disturbs nobody, and may
    /// add and remove devices meanwhile. Of those met later some may have left; their handles give `ENODEV`.
    ///
    /// # Errors
    ///
    /// `ENODEV`.
    pub fn devices_on<H: Into<BusHandle>>(&self, bus: H) -> Result<impl Iterator<Item = DeviceHandle> + use<H>> {
        Ok(self.inner.buses.get(&self.inner.domain.pin(), bus.into())?.devices.load().iter())
    }

    /// The drivers of a bus, as [`devices_on`](Self::devices_on).
    ///
    /// # Errors
    ///
    /// `ENODEV`.
    pub fn drivers_on<H: Into<BusHandle>>(&self, bus: H) -> Result<impl Iterator<Item = DriverHandle> + use<H>> {
        Ok(self.inner.buses.get(&self.inner.domain.pin(), bus.into())?.drivers.load().members.iter())
    }
}
