use enodev_attrs::Name;

use crate::device_type::{Sharing, Type};
use crate::entries::Child;
use crate::error::{Error, Result};
use crate::group::GroupCode;
use crate::handle::{AsKobject, DeviceHandle, GroupHandle, KobjectHandle, TypeHandle, device};
use crate::node::Node;
use crate::payload::{Body, Payload};
use crate::presence::Decision;
use crate::state::State;
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
    pub fn register<O: Sharing>(
        &self,
        parent: impl AsKobject,
        name: &str,
        ty: Type<O>,
        payload: O::Value,
    ) -> Result<DeviceHandle> {
        self.add(parent.kobject(), name, ty, payload, true).map(device)
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
        self.add(parent.kobject(), name, ty, payload, false)
    }

    /// Adds a plain directory: an object without attributes or payload.
    ///
    /// # Errors
    ///
    /// As [`register`](Self::register).
    pub fn create(&self, parent: impl AsKobject, name: &str) -> Result<KobjectHandle> {
        let name = Name::new(name)?;
        self.insert(parent.kobject(), name, None, false, &mut Some(Payload::None))
    }

    fn add<O: Sharing>(
        &self,
        parent: KobjectHandle,
        name: &str,
        ty: Type<O>,
        payload: O::Value,
        is_device: bool,
    ) -> Result<KobjectHandle> {
        let name = Name::new(name)?;
        let form = self.inner.types.enter(ty.handle())?.form.clone();
        // What is left in the option is dropped after `insert` has returned, outside its lock.
        let payload = O::wrap(payload, &form).ok_or(Error::WrongType)?;
        self.insert(parent, name, Some(ty.handle()), is_device, &mut Some(payload))
    }

    fn insert(
        &self,
        parent: KobjectHandle,
        name: Name,
        ty: Option<TypeHandle>,
        is_device: bool,
        payload: &mut Option<Payload>,
    ) -> Result<KobjectHandle> {
        let slot = self.inner.nodes.reserve()?;
        let node = Node::new(name.clone(), parent, ty, is_device);
        let state = State::default();
        // Foreign code, so before the lock.
        let decisions = self.decide_all(slot.handle(), ty, payload)?;
        let pin = self.inner.domain.pin();
        let dir = self.inner.claim(&pin, parent)?;
        self.check_free(&dir, &name)?;
        for (group, decision) in &decisions {
            let meta = self.inner.groups.get(&pin, *group)?;
            let mut presence = node.more_or_new().presence.write();
            presence.decide(*group, decision, &self.of_group(&pin, &node, *group, meta));
            state.set_changed();
        }
        // In this order: as the handle becomes good, another thread may know it, and remove the object.
        dir.insert(name, Child::Object(slot.handle()));
        Ok(slot.publish(node, Body { payload: payload.take().unwrap_or(Payload::None), state }))
    }

    /// Asks the groups of a type what of them is there for an object that is still to be made. Those that say nothing special are left
    /// out.
    fn decide_all(
        &self,
        object: KobjectHandle,
        ty: Option<TypeHandle>,
        payload: &mut Option<Payload>,
    ) -> Result<Vec<(GroupHandle, Decision)>> {
        let (Some(ty), Some(payload)) = (ty, payload) else { return Ok(Vec::new()) };
        let deciding = {
            let pin = self.inner.domain.pin();
            let ty = self.inner.types.get(&pin, ty)?;
            if ty.deciding.is_empty() {
                return Ok(Vec::new());
            }
            ty.deciding.clone()
        };
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

    /// Whether not everything is as it was defined.
    fn is_special(&self, group: &GroupCode, decision: &Decision) -> bool {
        let pin = self.inner.domain.pin();
        let as_defined =
            |(attr, mode): &(_, Option<_>)| self.attr_meta(&pin, *attr).is_ok_and(|meta| Some(meta.mode) == *mode);
        !decision.is_shown || decision.modes.len() != group.attrs.len() || !decision.modes.iter().all(as_defined)
    }
}
