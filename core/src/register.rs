use enodev_attrs::Name;

use crate::device_type::{Sharing, Type};
use crate::error::{Error, Result};
use crate::group::GroupCode;
use crate::handle::{AsKobject, DeviceHandle, GroupHandle, KobjectHandle};
use crate::new_device::Begin;
use crate::payload::Payload;
use crate::presence::Decision;
use crate::store::Store;

/// Adding.
impl Store {
    /// Registers a device under `parent`. From the moment when it can be found all its attributes can be read.
    ///
    /// Before that the callbacks of the type's groups decide what is there. They are given the payload and the handle that the device
    /// is going to have, with which nothing can be done yet: it is `ENODEV`.
    ///
    /// # Errors
    ///
    /// The payload is dropped, and the store is as it was:
    ///
    /// - `ENODEV`: `parent` or the type is not of this store, has left, or is leaving.
    /// - [`Error::Exists`]: the parent has a child, a link or an attribute of that name.
    /// - [`Error::Name`], [`Error::Full`].
    /// - What the callbacks of the type's groups fail with: `EIO` where one panics, `EINVAL` for a mode that no callback keeps.
    /// - [`Error::Inside`], [`Error::Deadlock`]: the parent's lock, as [`NewDevice::register`](crate::NewDevice::register).
    ///
    /// # Panics
    ///
    /// As [`lock`](Self::lock).
    #[track_caller]
    pub fn register<O: Sharing>(
        &self,
        parent: impl AsKobject,
        name: &str,
        ty: Type<O>,
        payload: O::Value,
    ) -> Result<DeviceHandle> {
        self.new_device(parent, name, ty, payload).register()
    }

    /// Registers an object that is no device, with attributes and a payload. As [`register`](Self::register) otherwise.
    ///
    /// # Errors
    ///
    /// As [`register`](Self::register).
    pub fn register_kobject<O: Sharing>(
        &self,
        parent: impl AsKobject,
        name: &str,
        ty: Type<O>,
        payload: O::Value,
    ) -> Result<KobjectHandle> {
        let mut begin = Begin::plain(Some(ty.handle()), false);
        let (name, payload) = self.draft(name, ty, payload, &mut begin)?;
        let mut payload = Some(payload);
        let object = self.insert(parent.kobject(), name, &mut begin, &mut payload).map(|(object, _)| object);
        self.trace_registered(parent.kobject(), object);
        object
    }

    /// Adds a plain directory: an object without attributes or payload.
    ///
    /// # Errors
    ///
    /// As [`register`](Self::register).
    pub fn create(&self, parent: impl AsKobject, name: &str) -> Result<KobjectHandle> {
        let name = Name::new(name)?;
        let parent = parent.kobject();
        let object = self
            .insert(parent, name, &mut Begin::plain(None, false), &mut Some(Payload::NONE))
            .map(|(object, _)| object);
        self.trace_registered(parent, object);
        object
    }

    /// Asks the groups of a type what of them is there for an object that is still to be made. Those that say nothing special are left
    /// out.
    pub(crate) fn decide_all(
        &self,
        object: KobjectHandle,
        begin: &Begin,
        payload: &mut Option<Payload>,
    ) -> Result<Vec<(GroupHandle, Decision)>> {
        let (Some(ty), Some(payload), true) = (begin.ty, payload, begin.is_deciding) else { return Ok(Vec::new()) };
        let deciding = self.inner.types.get(&self.inner.domain.pin(), ty)?.deciding.clone();
        let mut decisions = Vec::new();
        for group in deciding {
            let code = self.inner.groups.enter(group)?;
            let decision = self.ask(Self::number(), object, &code, payload.lend())?;
            if self.is_special(&code, &decision) {
                self.note_hidden(&code, &decision);
                decisions.push((group, decision));
            }
        }
        Ok(decisions)
    }

    /// Asks the groups that an object is to be given.
    pub(crate) fn decide_added(
        &self,
        object: KobjectHandle,
        groups: &[GroupHandle],
        payload: &mut Option<Payload>,
    ) -> Result<Vec<(GroupHandle, Decision)>> {
        let mut decisions = Vec::new();
        for group in groups {
            let code = self.inner.groups.enter(*group)?;
            let Some(payload) = payload.as_mut().filter(|payload| code.code.fits(payload)) else {
                return Err(Error::WrongType);
            };
            let decision = self.ask(Self::number(), object, &code, payload.lend())?;
            self.note_hidden(&code, &decision);
            decisions.push((*group, decision));
        }
        Ok(decisions)
    }

    /// Whether not everything is as it was defined.
    fn is_special(&self, group: &GroupCode, decision: &Decision) -> bool {
        let pin = self.inner.domain.pin();
        let as_defined =
            |(attr, mode): &(_, Option<_>)| self.attr_meta(&pin, *attr).is_ok_and(|meta| Some(meta.mode) == *mode);
        !decision.is_shown || decision.modes.len() != group.attrs.len() || !decision.modes.iter().all(as_defined)
    }
}
