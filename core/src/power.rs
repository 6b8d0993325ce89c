use enodev_attrs::Errno;
use enodev_attrs::contain::contain;
use enodev_handles::Label;

use crate::driver::Power;
use crate::error::Result;
use crate::handle::{AsKobject, DeviceHandle, KobjectHandle, device};
use crate::payload::PayloadRef;
use crate::scope::Where;
use crate::store::Store;

/// Rest and sleep. Each of these goes through an object and all below it as they are at the beginning; what has left, is bound to no
/// driver or is no device is passed over.
impl Store {
    /// Has drivers put their devices to sleep, children before parents. Those that sleep are passed over.
    ///
    /// # Errors
    ///
    /// `ENODEV`: the object. What the first driver fails with, `EIO` where it panics: the devices that this has put to sleep have been
    /// woken again. [`Error::Inside`](crate::Error::Inside) in a callback of one of the devices,
    /// [`Error::Deadlock`](crate::Error::Deadlock) where who is in one waits for the caller: the same. A device that cannot be woken again
    /// stays asleep, and nobody is told here: a later [`resume`](Self::resume) of it tries again.
    ///
    /// # Panics
    ///
    /// As [`lock`](Self::lock).
    ///
    /// # Linux
    ///
    /// `dpm_suspend`, of all devices that there are; there, what has failed is undone by `dpm_resume`.
    #[track_caller]
    pub fn suspend(&self, object: impl AsKobject) -> Result {
        let mut done = Vec::new();
        for object in self.below(object.kobject())? {
            match self.power(Power::Suspend, object) {
                Ok(true) => done.push(object),
                Ok(false) => {}
                Err(error) => {
                    // What cannot be woken stays asleep, and is told by its own `resume`.
                    done.into_iter().rev().for_each(|object| _ = self.power(Power::Resume, object));
                    return Err(error);
                }
            }
        }
        Ok(())
    }

    /// Has drivers wake their devices, parents before children. Those that are awake are passed over.
    ///
    /// # Errors
    ///
    /// As [`suspend`](Self::suspend); all devices have been tried, and the first error is told.
    ///
    /// # Panics
    ///
    /// As [`lock`](Self::lock).
    #[track_caller]
    pub fn resume(&self, object: impl AsKobject) -> Result {
        let mut first = Ok(());
        for object in self.below(object.kobject())?.into_iter().rev() {
            first = first.and(self.power(Power::Resume, object).map(drop));
        }
        first
    }

    /// Whether the driver of a device has put it to sleep, at this moment. It is awake while it is bound to none, and where it cannot be. Never
    /// waits: while a callback runs that puts it to sleep or wakes it, the answer is what held before.
    ///
    /// # Errors
    ///
    /// `ENODEV`.
    ///
    /// # Linux
    ///
    /// `dev->power.is_suspended`.
    pub fn is_suspended(&self, device: DeviceHandle) -> Result<bool> {
        let body = self.inner.nodes.enter(device.kobject())?;
        Ok(body.part.as_ref().is_some_and(|part| part.is_asleep()))
    }

    /// Has drivers bring their devices to rest, children before parents, be they asleep or not. They stay bound,
    /// and to call this again calls the drivers again.
    ///
    /// # Errors
    ///
    /// `ENODEV`: the object. `EIO` where a driver panics, [`Error::Inside`](crate::Error::Inside),
    /// [`Error::Deadlock`](crate::Error::Deadlock): all devices have been tried, and the first error is told.
    ///
    /// # Panics
    ///
    /// As [`lock`](Self::lock).
    ///
    /// # Linux
    ///
    /// `device_shutdown`.
    #[track_caller]
    pub fn shutdown(&self, object: impl AsKobject) -> Result {
        let mut first = Ok(());
        for object in self.below(object.kobject())? {
            first = first.and(self.power(Power::Shutdown, object).map(drop));
        }
        first
    }

    /// An object and all below it, children before parents.
    fn below(&self, object: KobjectHandle) -> Result<Vec<KobjectHandle>> {
        let pin = self.inner.domain.pin();
        self.inner.nodes.get(&pin, object)?;
        Ok(self.subtree(&pin, object))
    }

    /// Calls a driver for one device, if that has one and is not as it is to be already. Says whether it did.
    #[track_caller]
    fn power(&self, what: Power, object: KobjectHandle) -> Result<bool> {
        let held = match self.hold_in_order(object) {
            Ok(Some(held)) => held,
            Ok(None) => return Ok(false),
            Err(error) => return self.unless_gone(object, error),
        };
        let Some(driver) = self.driver_of(device(object)).unwrap_or_default() else { return Ok(false) };
        let Ok(code) = self.inner.drivers.enter(driver) else { return Ok(false) };
        // Before the device is entered: nobody waits inside. Others may have the payload's lock: those in attributes.
        let locked = code.code.locks().then(|| self.lock_labelled(object, Label::new("power")));
        let mut guarded = match locked.transpose() {
            Ok(guarded) => guarded,
            Err(error) => return self.unless_gone(object, error),
        };
        let Some(bound) = self.enter_binding(device(object)).unwrap_or_default() else { return Ok(false) };
        let Some(part) = &bound.device().part else { return Ok(false) };
        // Who has the lock keeps others from binding the device, not from unbinding it.
        if self.driver_in(part) != Some(driver) {
            return Ok(false);
        }
        let call = Where { store: self, device: object, above: &[], turn: held.turn() };
        let payload = PayloadRef::of(&bound.device().payload, guarded.as_deref_mut());
        let is_asleep = part.is_asleep();
        if what == Power::Suspend && is_asleep || what == Power::Resume && !is_asleep {
            return Ok(false);
        }
        let answer = contain(|| code.code.power(what, call, payload, &bound.data)).unwrap_or_else(|| {
            self.note_panic();
            Err(Errno::EIO)
        });
        if answer.is_ok() && what != Power::Shutdown {
            part.set_asleep(what == Power::Suspend);
        }
        // The payload's lock goes before the binding is left: to unbind takes it.
        drop(guarded);
        drop(code);
        drop(bound);
        answer?;
        Ok(true)
    }

    /// An error, unless the object has left meanwhile.
    fn unless_gone(&self, object: KobjectHandle, error: crate::Error) -> Result<bool> {
        if self.inner.nodes.contains(object) { Err(error) } else { Ok(false) }
    }
}
