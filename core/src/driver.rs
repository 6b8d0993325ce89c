use std::any::Any;

use enodev_attrs::{Errno, Name};
use enodev_handles::RemoveError;

use crate::bind::may_go_on;
use crate::bus::{Bus, BusType};
use crate::device_type::Lending;
use crate::device_type::private::Lend;
use crate::error::{Error, Result};
use crate::handle::{BindingHandle, BusHandle, DeviceHandle, DriverHandle};
use crate::members::{Published, Seat};
use crate::payload::{Payload, PayloadRef};
use crate::scope::{Scope, Where};
use crate::store::Store;
use crate::sync::atomic::{AtomicU8, Ordering, fence};
use crate::unregister::Removal;

/// Code that serves devices of a bus.
///
/// Callbacks on one device exclude each other, and run on the thread of whoever caused them, under no lock of the store but the device's.
/// They may register and unregister devices and drivers, bind and unbind them: children of the device are registered with
/// [`NewDevice::register_in`](crate::NewDevice::register_in), everything else is done as from anywhere. A removal that would wait for
/// the callback itself is done as that returns, and gives [`Removal::Begun`]; [`Store::unregister`], which hands the payload back, gives
/// [`Error::Inside`].
///
/// A callback that panics has failed with `EIO`.
///
/// ```
/// use enodev::{BusType, DeviceType, Driver, Errno, Scope, Shared, Store};
///
/// struct Platform;
/// impl BusType for Platform {
///     type Id = &'static str;
///     type IdTable = &'static str;
///     fn matches(&self, id: &&'static str, table: &&'static str) -> bool {
///         id == table
///     }
/// }
///
/// struct Uart { base: u64 }
///
/// struct Ns16550;
/// impl Driver for Ns16550 {
///     type Bus = Platform;
///     type Device = Shared<Uart>;
///     type Data = String;
///
///     fn probe(&self, device: &mut Scope<'_, Self::Device>) -> Result<String, Errno> {
///         if device.base == 0 { Err(Errno::ENODEV) } else { Ok(format!("ttyS@{:x}", device.base)) }
///     }
/// }
///
/// let store = Store::new()?;
/// let platform = store.register_bus("platform", Platform)?;
/// let uart = store.define(DeviceType::shared::<Uart>("uart"))?;
/// let ns16550 = store.register_driver(platform, "ns16550", Ns16550, "ns16550a")?;
/// let serial = store.new_device(store.root(), "serial", uart, Uart { base: 0x3f8 }).on(platform, "ns16550a").register()?;
///
/// assert_eq!(store.driver_of(serial)?, Some(ns16550));
/// assert_eq!(*store.data::<String>(serial)?, "ttyS@3f8");
/// store.unregister_driver(ns16550)?;
/// assert_eq!(store.driver_of(serial)?, None);
/// # Ok::<(), enodev::Error>(())
/// ```
pub trait Driver: Send + Sync + 'static {
    /// The bus.
    type Bus: BusType;

    /// The payloads of the devices: [`Shared<T>`](crate::Shared) or [`Exclusive<T>`](crate::Exclusive), where `T` is the payload's type or
    /// one that it is published as, or [`AnyObject`](crate::AnyObject). Devices with other payloads do not match.
    ///
    /// The lock of an exclusive payload is held while a callback runs.
    type Device: Lending;

    /// What the driver keeps of a device for as long as it is bound.
    type Data: Send + Sync + 'static;

    /// Whether the driver takes the device, which the bus says it serves.
    ///
    /// # Errors
    ///
    /// `ENODEV` and `ENXIO` say that this is no device for it; everything else that something has gone wrong. The next driver is asked in
    /// either case.
    fn probe(&self, device: &mut Scope<'_, Self::Device>) -> Result<Self::Data, Errno>;

    /// Gives the device up: it is unbound, or leaves. Nobody is inside the data any more, and where the device leaves, nobody else is
    /// inside that.
    fn remove(&self, device: &mut Scope<'_, Self::Device>, data: Self::Data) {
        drop((device, data));
    }

    /// Brings the device to rest before the machine goes ([`Store::shutdown`]). The device stays bound.
    fn shutdown(&self, _device: &mut Scope<'_, Self::Device>, _data: &Self::Data) {}

    /// Puts the device to sleep ([`Store::suspend`]).
    ///
    /// # Errors
    ///
    /// It stays awake.
    fn suspend(&self, _device: &mut Scope<'_, Self::Device>, _data: &Self::Data) -> Result<(), Errno> {
        Ok(())
    }

    /// Wakes the device ([`Store::resume`]). Not called where the device is unbound asleep: `remove` meets it as it is.
    ///
    /// # Errors
    ///
    /// It stays asleep.
    fn resume(&self, _device: &mut Scope<'_, Self::Device>, _data: &Self::Data) -> Result<(), Errno> {
        Ok(())
    }
}

/// The data of a device that is bound, of whatever type.
pub(crate) type Data = Box<dyn Any + Send + Sync>;

/// One of the callbacks between probe and remove.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Power {
    Shutdown,
    Suspend,
    Resume,
}

/// A driver, whatever its types.
pub(crate) trait AnyDriver: Send + Sync {
    /// Whether callbacks need an exclusive payload's lock.
    fn locks(&self) -> bool;
    fn matches(&self, bus: &dyn Any, id: &dyn Any, payload: &Payload) -> bool;
    fn probe(&self, call: Where<'_>, payload: PayloadRef<'_>) -> Result<Data, Errno>;
    fn remove(&self, call: Where<'_>, payload: PayloadRef<'_>, data: Data);
    fn power(&self, what: Power, call: Where<'_>, payload: PayloadRef<'_>, data: &Data) -> Result<(), Errno>;
}

struct Typed<D: Driver> {
    driver: D,
    table: <D::Bus as BusType>::IdTable,
}

impl<D: Driver> AnyDriver for Typed<D> {
    fn locks(&self) -> bool {
        D::Device::LOCKS
    }

    fn matches(&self, bus: &dyn Any, id: &dyn Any, payload: &Payload) -> bool {
        let (bus, id) = (bus.downcast_ref::<D::Bus>(), id.downcast_ref::<<D::Bus as BusType>::Id>());
        bus.zip(id).is_some_and(|(bus, id)| D::Device::fits(payload) && bus.matches(id, &self.table))
    }

    fn probe(&self, call: Where<'_>, payload: PayloadRef<'_>) -> Result<Data, Errno> {
        let mut scope = Scope::new(call, payload).ok_or(Errno::EINVAL)?;
        Ok(Box::new(self.driver.probe(&mut scope)?))
    }

    fn remove(&self, call: Where<'_>, payload: PayloadRef<'_>, data: Data) {
        // Both are as they were when the device was bound: a driver's data is what its own probe gave.
        if let (Some(mut scope), Ok(data)) = (Scope::new(call, payload), data.downcast::<D::Data>()) {
            self.driver.remove(&mut scope, *data);
        }
    }

    fn power(&self, what: Power, call: Where<'_>, payload: PayloadRef<'_>, data: &Data) -> Result<(), Errno> {
        let mut scope = Scope::new(call, payload).ok_or(Errno::EINVAL)?;
        let data = (**data).downcast_ref::<D::Data>().ok_or(Errno::EINVAL)?;
        match what {
            Power::Shutdown => self.driver.shutdown(&mut scope, data),
            Power::Suspend => self.driver.suspend(&mut scope, data)?,
            Power::Resume => self.driver.resume(&mut scope, data)?,
        }
        Ok(())
    }
}

/// What the store keeps of a driver.
#[derive(Debug)]
pub(crate) struct DriverMeta {
    pub(crate) name: Name,
    pub(crate) bus: BusHandle,
    /// Where it sits among the bus's drivers.
    seat: Seat,
    /// The devices that it is bound to, in the order in which they were bound.
    pub(crate) bound: Published<(DeviceHandle, BindingHandle)>,
    /// A [`Stage`]. Changed under the lock of `bound`.
    stage: AtomicU8,
}

/// How far a driver's removal is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stage {
    /// There is none.
    Serving,
    /// It is bound to no further device.
    Closing,
    /// And whoever unbinds it from its last device removes it.
    Orphaned,
}

impl DriverMeta {
    pub(crate) fn stage(&self) -> Stage {
        // Relaxed: who has to be sure asks under the lock of `bound`.
        match self.stage.load(Ordering::Relaxed) {
            0 => Stage::Serving,
            1 => Stage::Closing,
            _ => Stage::Orphaned,
        }
    }

    /// Returns whether the driver was serving until now.
    fn set_stage(&self, stage: Stage) -> bool {
        // Relaxed: the lock of `bound` is held, and orders it.
        self.bound.change(|_| self.stage.fetch_max(stage as u8, Ordering::Relaxed)) == Stage::Serving as u8
    }
}

/// The driver's own code.
pub(crate) struct DriverCode {
    pub(crate) code: Box<dyn AnyDriver>,
}

/// Drivers.
impl Store {
    /// Registers a driver of a bus, and has it asked about the devices there that are bound to none and that match, in the order in which
    /// they came. What it says to them is not told here: see [`driver_of`](Self::driver_of).
    ///
    /// Where the lock of a device is had by the caller, in a callback or with [`lock`](Self::lock), or by somebody who waits for the caller,
    /// it is asked about that one as the lock is given up; so it is where another driver is just asked about a device, and refuses it. Where the
    /// caller has the device's exclusive payload, which the driver needs, it counts as having refused that one.
    ///
    /// # Errors
    ///
    /// The driver is dropped: `ENODEV`: the bus. [`Error::Exists`]: the bus has a driver of that name. [`Error::Name`], [`Error::Full`].
    pub fn register_driver<D: Driver>(
        &self,
        bus: Bus<D::Bus>,
        name: &str,
        driver: D,
        table: <D::Bus as BusType>::IdTable,
    ) -> Result<DriverHandle> {
        let (bus, name) = (bus.handle(), Name::new(name)?);
        // What is left in the option is dropped after the lock is.
        let mut code = Some(DriverCode { code: Box::new(Typed { driver, table }) });
        let slot = self.inner.drivers.reserve()?;
        let driver = slot.handle();
        {
            let pin = self.inner.domain.pin();
            let is_taken = |other| self.inner.drivers.get_leaving(&pin, other).is_ok_and(|meta| meta.name == name);
            self.inner.buses.get(&pin, bus)?.drivers.change(|drivers| {
                // Now it stays.
                self.inner.buses.get(&pin, bus)?;
                if drivers.iter().any(is_taken) {
                    return Err(Error::Exists);
                }
                let (seat, stage) = (drivers.push(driver), AtomicU8::new(Stage::Serving as u8));
                let meta = DriverMeta { name: name.clone(), bus, seat, bound: Published::default(), stage };
                if let Some(code) = code.take() {
                    slot.publish(meta, code);
                }
                Ok(())
            })?;
        }
        // Pairs with the one in `announce`: either a device that found no driver is found now, or it has found this one.
        fence(Ordering::SeqCst);
        self.offer_devices(driver);
        Ok(driver)
    }

    /// Unregisters a driver: it is asked about no further device, is unbound from those that it is bound to, the last one first, and
    /// dropped. When this returns [`Removal::Done`], nothing of it runs or ever will.
    ///
    /// Where that cannot be waited for, as the caller is in a callback of one of the devices, or in a removal of one, or another thread
    /// is, this returns [`Removal::Begun`]: the driver goes with the last of these callbacks. The count is that of the devices that it was,
    /// or still is, bound to.
    ///
    /// # Errors
    ///
    /// `ENODEV`: it has left. Where another thread is at it, this returns when that one is done. [`Error::Deadlock`]: those inside wait
    /// for the caller; [`Error::Inside`]: the caller has an exclusive payload that `remove` needs; [`Error::Barrier`]. The driver serves no
    /// further device then; to call this again goes on with all of it, and [`reap`](Self::reap), or any removal of objects, with what had begun.
    ///
    /// # Panics
    ///
    /// With the panic of the driver's drop.
    pub fn unregister_driver(&self, driver: DriverHandle) -> Result<Removal> {
        let Some(is_ours) = self.close_driver(driver) else { return self.join_driver(driver, 0) };
        let mut count = 0;
        let mut first = None;
        // None is added any more, and each pass leaves those only that cannot be waited for.
        for (device, binding) in self.bound_to(driver) {
            count += 1;
            match self.end_binding(device, binding) {
                // What cannot be waited for goes on without the caller.
                Ok(_) | Err(Error::Leaving) => {}
                Err(error) => first = first.or(Some(error)),
            }
        }
        match first {
            Some(error) => Err(error),
            None if self.orphan_driver(driver) => Ok(Removal::Begun(count)),
            None => match self.drop_driver(driver, count) {
                // Whoever unbound it from its last device has been quicker, on the caller's behalf.
                Err(Error::Errno(Errno::ENODEV)) if is_ours => Ok(Removal::Done(count)),
                Err(Error::Leaving) if is_ours => Ok(Removal::Begun(count)),
                dropped => dropped,
            },
        }
    }

    /// Has a driver serve no further device, if it is there; says whether it has until now.
    fn close_driver(&self, driver: DriverHandle) -> Option<bool> {
        let pin = self.inner.domain.pin();
        let meta = self.inner.drivers.get(&pin, driver).ok()?;
        let has_served = meta.set_stage(Stage::Closing);
        if let Ok(bus) = self.inner.buses.get(&pin, meta.bus) {
            bus.drivers.change(|drivers| drivers.remove(meta.seat));
        }
        Some(has_served)
    }

    /// Leaves a driver to who unbinds it from its last device; says whether there is one.
    fn orphan_driver(&self, driver: DriverHandle) -> bool {
        let pin = self.inner.domain.pin();
        let Ok(meta) = self.inner.drivers.get(&pin, driver) else { return false };
        meta.set_stage(Stage::Orphaned);
        meta.bound.load().members.len() != 0
    }

    /// The devices that a driver is bound to, the last one first.
    fn bound_to(&self, driver: DriverHandle) -> Vec<(DeviceHandle, BindingHandle)> {
        let pin = self.inner.domain.pin();
        let bound = self.inner.drivers.get(&pin, driver).map(|meta| meta.bound.load());
        let mut bound: Vec<_> = bound.map(|bound| bound.members.iter().collect()).unwrap_or_default();
        bound.reverse();
        bound
    }

    /// Removes a driver that is bound to nothing.
    pub(crate) fn drop_driver(&self, driver: DriverHandle, count: usize) -> Result<Removal> {
        let mut leaving = self.inner.drivers.leave();
        if leaving.mark(driver).is_err() {
            return self.join_driver(driver, count);
        }
        if leaving.is_inside() {
            leaving.defer(|drained| match drained {
                Ok(mut quiet) => quiet.drop_payloads(),
                Err((_, error)) => crate::pending::unfinished(error.into()),
            });
            return Ok(Removal::Begun(count));
        }
        leaving.drain().map_err(|(_, error)| error)?.drop_payloads();
        Ok(Removal::Done(count))
    }

    /// Waits for another thread's removal of a driver.
    fn join_driver(&self, driver: DriverHandle, count: usize) -> Result<Removal> {
        loop {
            if let Some(leaving) = self.inner.drivers.take_up(driver) {
                leaving.drain().map_err(|(_, error)| error)?.drop_payloads();
                return Ok(Removal::Done(count));
            }
            match self.inner.drivers.join(driver) {
                Ok(()) => return Err(Errno::ENODEV.into()),
                // Whoever was at it is not any more, and another may be.
                Err(RemoveError::Leaving) if may_go_on(&self.inner.drivers, driver) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// The name of a driver, also of one that is leaving.
    ///
    /// # Errors
    ///
    /// `ENODEV`.
    pub fn driver_name(&self, driver: DriverHandle) -> Result<Name> {
        Ok(self.inner.drivers.get_leaving(&self.inner.domain.pin(), driver)?.name.clone())
    }

    /// The devices that a driver is bound to, in the order in which they were bound, as [`devices_on`](Self::devices_on).
    ///
    /// # Errors
    ///
    /// `ENODEV`.
    pub fn devices_of(&self, driver: DriverHandle) -> Result<impl Iterator<Item = DeviceHandle> + use<>> {
        let bound = self.inner.drivers.get(&self.inner.domain.pin(), driver)?.bound.load();
        Ok(bound.members.iter().map(|(device, _)| device))
    }
}
