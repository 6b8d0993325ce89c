use std::collections::BTreeMap;

use enodev_attrs::Name;

use crate::attribute::AttrMeta;
use crate::device_type::{AttrCode, DeviceType, Sharing, Type, TypeCode, TypeMeta};
use crate::entries::Child;
use crate::error::{Error, Result};
use crate::handle::{AsKobject, DeviceHandle, KobjectHandle, TypeHandle, device};
use crate::node::Node;
use crate::payload::{Payload, Views};
use crate::store::Store;

/// Adding.
impl Store {
    /// Defines a type of devices with its attributes, for as long as the store lives.
    ///
    /// # Errors
    ///
    /// [`Error::Define`] for the first attribute that cannot be as it was described; [`Error::Exists`] where two have one
    /// name; [`Error::Full`].
    pub fn define<O: Sharing>(&self, ty: DeviceType<O>) -> Result<Type<O>> {
        if let Some(error) = ty.error {
            return Err(error.into());
        }
        let mut names: Vec<&Name> = ty.attributes.iter().map(|attribute| attribute.name()).collect();
        names.sort_unstable();
        if names.windows(2).any(|pair| pair[0] == pair[1]) {
            return Err(Error::Exists);
        }
        let slot = self.types.reserve()?;
        let mut attributes = BTreeMap::new();
        for attribute in ty.attributes {
            let meta = AttrMeta::of(&attribute);
            let name = attribute.name().clone();
            let code = AttrCode { ty: slot.handle(), code: Box::new(attribute) };
            attributes.insert(name, self.attrs.insert(meta, code)?);
        }
        let code = TypeCode { form: O::form(Views::new(slot.handle(), ty.views)) };
        Ok(Type::new(slot.publish(TypeMeta { name: ty.name, attributes }, code)))
    }

    /// Registers a device under `parent`. From the moment when it can be found all its attributes can be read.
    ///
    /// # Errors
    ///
    /// The payload is dropped, and the store is as it was:
    ///
    /// - `ENODEV`: `parent` or the type is not of this store, has left, or is leaving.
    /// - [`Error::Exists`]: the parent has a child, a link or an attribute of that name.
    /// - [`Error::Name`], [`Error::Full`].
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
        let form = self.types.enter(ty.handle())?.form.clone();
        let name = Name::new(name)?;
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
        let _topology = self.tree.topology.lock();
        let pin = self.tree.domain.pin();
        let dir = self.tree.nodes.get(&pin, parent)?;
        self.check_free(dir, &name)?;
        let slot = self.tree.nodes.reserve()?;
        let node = Node::new(name.clone(), parent, ty, is_device);
        let object = slot.publish(node, payload.take().unwrap_or(Payload::None));
        dir.insert(name, Child::Object(object));
        Ok(object)
    }

    /// That nothing in the directory has the name. The topology lock is held.
    pub(crate) fn check_free(&self, node: &Node, name: &str) -> Result {
        let pin = self.tree.domain.pin();
        let is_attribute = |ty: TypeHandle| self.types.get(&pin, ty).is_ok_and(|ty| ty.attributes.contains_key(name));
        if node.child(name).is_some() || node.ty.is_some_and(is_attribute) {
            return Err(Error::Exists);
        }
        Ok(())
    }
}
