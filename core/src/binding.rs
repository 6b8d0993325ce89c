//! What an object has that callbacks of drivers run on, and its being bound to a driver.

use std::any::Any;
use std::fmt;
use std::ops::Deref;
use std::sync::OnceLock;

use enodev_handles::{Active, Exclusive, Lock};

use crate::bus::{Bus, BusType};
use crate::crowd::Spot;
use crate::driver::Data;
use crate::error::{Error, Result};
use crate::handle::{AsKobject, BindingHandle, BusHandle, ClassHandle, DeviceHandle, DriverHandle};
use crate::members::Seat;
use crate::payload::Body;
use crate::pending;
use crate::store::Store;
use crate::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// What an object has that is on a bus or in a class.
pub(crate) struct Part {
    pub(crate) bus: Option<OnBus>,
    pub(crate) class: Option<(ClassHandle, Spot)>,
    /// Held while a callback runs on the device, and while a child is added.
    lock: OnceLock<Exclusive<()>>,
    /// The bits of the binding's handle, or 0.
    binding: AtomicU64,
    /// Drivers may be asked about the device: it has been announced.
    is_ready: AtomicBool,
    /// The device is to go through the drivers, and has not done so.
    is_seeking: AtomicBool,
    /// Changed under the lock.
    is_asleep: AtomicBool,
}

/// Of a device on a bus.
pub(crate) struct OnBus {
    pub(crate) bus: BusHandle,
    pub(crate) spot: Spot,
    /// What the device says that it is. It belongs to the bus's code.
    pub(crate) id: Box<dyn Any + Send + Sync>,
}

impl Part {
    pub(crate) fn new(bus: Option<OnBus>, class: Option<(ClassHandle, Spot)>) -> Self {
        let [is_ready, is_seeking, is_asleep] = [false; 3].map(AtomicBool::new);
        Self { bus, class, lock: OnceLock::new(), binding: AtomicU64::new(0), is_ready, is_seeking, is_asleep }
    }

    pub(crate) fn spot_on_bus(&self) -> Option<(BusHandle, Spot)> {
        self.bus.as_ref().map(|on| (on.bus, on.spot))
    }

    pub(crate) fn lock(&self) -> Lock {
        self.lock.get_or_init(|| Exclusive::new(())).lock()
    }

    /// The binding, if the device is bound.
    pub(crate) fn binding(&self) -> Option<BindingHandle> {
        // Acquire: pairs with the Release of `bind`: who knows of the binding finds the driver that it is of.
        let bits = self.binding.load(Ordering::Acquire);
        (bits != 0).then(|| BindingHandle::from_bits(bits))
    }

    /// The lock is held.
    pub(crate) fn bind(&self, binding: BindingHandle) {
        // Release: pairs with the Acquire of `binding`.
        self.binding.store(binding.to_bits(), Ordering::Release);
        self.seek(false);
    }

    /// What it was bound to has been let go of.
    pub(crate) fn unbind(&self) {
        // Release: pairs with the Acquire of `binding`: who binds the device anew sees what the driver left.
        self.binding.store(0, Ordering::Release);
        self.set_asleep(false);
    }

    pub(crate) fn is_ready(&self) -> bool {
        // Relaxed: set under the lock of the bus's drivers, under which they are added too, or before a fence, as there is one after they
        // have been added. Either who adds a driver finds this set, or who sets it finds the driver afterwards.
        self.is_ready.load(Ordering::Relaxed)
    }

    /// The lock of the bus's drivers is held, or a fence follows.
    pub(crate) fn set_ready(&self) {
        // Relaxed: as in `is_ready`.
        self.is_ready.store(true, Ordering::Relaxed);
    }

    /// Whether the device is still to go through the drivers. Asked under the lock, by who had to wait for that: whoever had it before may
    /// have had the device do so.
    pub(crate) fn is_seeking(&self) -> bool {
        // Acquire: pairs with the Release of `seek`: who finds that another has gone through the drivers finds what came of it.
        self.is_seeking.load(Ordering::Acquire)
    }

    pub(crate) fn seek(&self, is_seeking: bool) {
        // Release: pairs with the Acquire of `is_seeking`.
        self.is_seeking.store(is_seeking, Ordering::Release);
    }

    pub(crate) fn is_asleep(&self) -> bool {
        // Relaxed: under the lock, or an answer of a moment.
        self.is_asleep.load(Ordering::Relaxed)
    }

    pub(crate) fn set_asleep(&self, is_asleep: bool) {
        // Relaxed: under the lock.
        self.is_asleep.store(is_asleep, Ordering::Relaxed);
    }
}

impl fmt::Debug for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Part").field("binding", &self.binding()).finish_non_exhaustive()
    }
}

/// What the store keeps of a binding.
#[derive(Debug)]
pub(crate) struct BindingMeta {
    pub(crate) device: DeviceHandle,
    pub(crate) driver: DriverHandle,
    /// Where it sits among those of the driver.
    pub(crate) seat: Seat,
}

/// What the driver keeps of the device.
pub(crate) struct BindingBody {
    pub(crate) data: Data,
}

/// A driver's data of a device, entered from outside the driver's callbacks. While it lives, the device is neither unbound nor does it
/// leave.
///
/// Who is inside the data is inside the device.
#[must_use = "the device stays bound for as long as this lives"]
pub struct Bound<'a, T: ?Sized> {
    data: Active<'a, T>,
    device: Active<'a, Body>,
    /// Dropped last.
    settle: Settle,
}

/// Unbinds, as it is dropped, what the thread has left and was to unbind then.
struct Settle;

impl Drop for Settle {
    fn drop(&mut self) {
        pending::settle_unbindings();
    }
}

impl<T: ?Sized> Deref for Bound<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.data
    }
}

impl<T: ?Sized + fmt::Debug> fmt::Debug for Bound<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Bound").field(&&**self).finish()
    }
}

impl<'a> Bound<'a, BindingBody> {
    pub(crate) fn device(&self) -> &Body {
        &self.device
    }

    fn try_map<T: 'static>(self) -> Result<Bound<'a, T>> {
        let data = self.data.try_map(|body| body.data.downcast_ref()).map_err(|_| Error::WrongType)?;
        Ok(Bound { data, device: self.device, settle: self.settle })
    }
}

/// What a device is bound to.
impl Store {
    /// The bus that a device is on; `None` for a device on none.
    ///
    /// # Errors
    ///
    /// `ENODEV`.
    pub fn bus_of(&self, device: DeviceHandle) -> Result<Option<BusHandle>> {
        let body = self.inner.nodes.enter(device.kobject())?;
        Ok(body.part.as_ref().and_then(|part| part.bus.as_ref()).map(|on| on.bus))
    }

    /// What a device says of itself on its bus. Never waits; while the answer lives, the device does not leave, as with
    /// [`enter`](Self::enter).
    ///
    /// ```
    /// # use enodev::{BusType, DeviceType, Error, Store};
    /// # struct Platform;
    /// # impl BusType for Platform {
    /// #     type Id = &'static str;
    /// #     type IdTable = &'static str;
    /// #     fn matches(&self, id: &&'static str, table: &&'static str) -> bool { id == table }
    /// # }
    /// let store = Store::new()?;
    /// let (platform, other) = (store.register_bus("platform", Platform)?, store.register_bus("other", Platform)?);
    /// let uart = store.define(DeviceType::shared::<()>("uart"))?;
    /// let serial = store.new_device(store.root(), "serial", uart, ()).on(platform, "ns16550a").register()?;
    ///
    /// assert_eq!(*store.bus_id(serial, platform)?, "ns16550a");
    /// assert_eq!(store.bus_id(serial, other).unwrap_err(), Error::WrongType);
    /// # Ok::<(), Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// `ENODEV`: the device or the bus; [`Error::WrongType`]: the device is not on that bus.
    pub fn bus_id<B: BusType>(&self, device: DeviceHandle, bus: Bus<B>) -> Result<Active<'_, B::Id>> {
        let body = self.inner.nodes.enter(device.kobject())?;
        let id = body.try_map(|body| {
            let on = body.part.as_ref()?.bus.as_ref().filter(|on| on.bus == bus.handle())?;
            (*on.id).downcast_ref()
        });
        match id {
            Ok(id) => Ok(id),
            Err(_) if self.inner.buses.contains(bus.handle()) => Err(Error::WrongType),
            Err(_) => Err(enodev_attrs::Errno::ENODEV.into()),
        }
    }

    /// The driver that a device is bound to; also one that is just giving it up. `None` for a device that is bound to none.
    ///
    /// # Errors
    ///
    /// `ENODEV`.
    pub fn driver_of(&self, device: DeviceHandle) -> Result<Option<DriverHandle>> {
        let body = self.inner.nodes.enter(device.kobject())?;
        Ok(body.part.as_ref().and_then(|part| self.driver_in(part)))
    }

    pub(crate) fn driver_in(&self, part: &Part) -> Option<DriverHandle> {
        let binding = part.binding()?;
        self.inner.driver_of(binding)
    }

    /// Enters what the driver of a device keeps of it, as a `T`. Never waits.
    ///
    /// # Errors
    ///
    /// `ENODEV`: the device. [`Error::NotBound`], also as soon as it is being unbound; [`Error::WrongType`].
    pub fn data<T: 'static>(&self, device: DeviceHandle) -> Result<Bound<'_, T>> {
        self.enter_binding(device)?.ok_or(Error::NotBound)?.try_map()
    }

    /// Enters a device together with its binding, if it is bound.
    pub(crate) fn enter_binding(&self, device: DeviceHandle) -> Result<Option<Bound<'_, BindingBody>>> {
        let body = self.inner.nodes.enter(device.kobject())?;
        let Some(binding) = body.part.as_ref().and_then(|part| part.binding()) else { return Ok(None) };
        let Ok(data) = self.inner.bindings.enter(binding) else { return Ok(None) };
        Ok(Some(Bound { data, device: body, settle: Settle }))
    }

    /// What binds a device to this driver; also one that is leaving.
    pub(crate) fn binding_to(&self, device: DeviceHandle, driver: DriverHandle) -> Result<BindingHandle> {
        let body = self.inner.nodes.enter(device.kobject())?;
        let binding = body.part.as_ref().and_then(|part| part.binding());
        match binding.filter(|binding| self.inner.driver_of(*binding) == Some(driver)) {
            Some(binding) => Ok(binding),
            None if self.inner.drivers.contains(driver) => Err(Error::NotBound),
            None => Err(enodev_attrs::Errno::ENODEV.into()),
        }
    }
}
