use enodev_attrs::Errno;
use enodev_attrs::contain::contain;
use enodev_handles::Label;

use crate::driver::Power;
use crate::error::Result;
use crate::handle::{AsKobject, KobjectHandle, device};
use crate::payload::{Payload, PayloadRef};
use crate::scope::Where;
use crate::store::Store;

/// Rest and sleep. Each of these goes through an object and all below it as they are at the beginning; what has left, is bound to no
/// driver or is no device is passed over.
impl Store {
    /// Has drivers put their devices to sleep, children before parents. Those that sleep are passed over.
    ///
    /// # Errors
    ///
    /// `ENODEV`: the object. What the first driver fails with, `EIO` where it panics: the devices that were put to sleep before have been
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
        let all = self.below(object.kobject())?;
        for (n, object) in all.iter().enumerate() {
            if let Err(error) = self.power(Power::Suspend, *object) {
                // What cannot be woken stays asleep, and is told by its own `resume`.
                all[..n].iter().rev().for_each(|object| self.power(Power::Resume, *object).unwrap_or(()));
                return Err(error);
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
            first = first.and(self.power(Power::Resume, object));
        }
        first
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
            first = first.and(self.power(Power::Shutdown, object));
        }
        first
    }

    /// An object and all below it, children before parents.
    fn below(&self, object: KobjectHandle) -> Result<Vec<KobjectHandle>> {
        let pin = self.inner.domain.pin();
        self.inner.nodes.get(&pin, object)?;
        Ok(self.subtree(&pin, object))
    }

    /// Calls a driver for one device, if that has one.
    #[track_caller]
    fn power(&self, what: Power, object: KobjectHandle) -> Result {
        let held = match self.hold_in_order(object) {
            Ok(Some(held)) => held,
            Ok(None) => return Ok(()),
            Err(error) => return self.unless_gone(object, error),
        };
        let Some(driver) = self.driver_of(device(object)).unwrap_or_default() else { return Ok(()) };
        let Ok(code) = self.inner.drivers.enter(driver) else { return Ok(()) };
        // Before the device is entered: nobody waits inside. Others may have the payload's lock: those in attributes.
        let locked = code.code.locks().then(|| self.lock_labelled(object, Label::new("power")));
        let mut guarded = match locked.transpose() {
            Ok(guarded) => guarded,
            Err(error) => return self.unless_gone(object, error),
        };
        let Some(bound) = self.enter_binding(device(object)).unwrap_or_default() else { return Ok(()) };
        let Some(part) = &bound.device().part else { return Ok(()) };
        // Who has the lock keeps others from binding the device, not from unbinding it.
        if self.driver_in(part) != Some(driver) {
            return Ok(());
        }
        let call = Where { store: self, device: object, above: &[], turn: held.turn() };
        let payload = match (&bound.device().payload, &mut guarded) {
            (Payload::Shared(value), _) => PayloadRef::Shared(value),
            (_, Some(guarded)) => PayloadRef::Exclusive(guarded),
            _ => PayloadRef::None,
        };
        let is_asleep = part.is_asleep();
        if what == Power::Suspend && is_asleep || what == Power::Resume && !is_asleep {
            return Ok(());
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
        Ok(answer?)
    }

    /// An error, unless the object has left meanwhile.
    fn unless_gone(&self, object: KobjectHandle, error: crate::Error) -> Result {
        if self.inner.nodes.contains(object) { Err(error) } else { Ok(()) }
    }
}
