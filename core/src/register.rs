use std::collections::BTreeMap;

use enodev_attrs::{Errno, Name};

use crate::attribute::AttrMeta;
use crate::device_type::{AttrCode, DeviceType, Sharing, Type, TypeCode, TypeMeta};
use crate::error::{Error, Result};
use crate::handle::{AsKobject, DeviceHandle, KobjectHandle, TypeHandle, device};
use crate::node::{Child, Node};
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
        let node = Node::new(Some(Name::new(name)?), parent.kobject(), None, false);
        self.insert(node, &mut Some(Payload::None))
    }

    /// Makes a link to `target`, called `name`, in the directory `object`. It goes when either of the two goes.
    ///
    /// # Errors
    ///
    /// `ENODEV` for either; [`Error::Exists`]; [`Error::Name`].
    pub fn link(&self, object: impl AsKobject, name: &str, target: impl AsKobject) -> Result {
        let (object, target) = (object.kobject(), target.kobject());
        let name = Name::new(name)?;
        let _topology = self.tree.topology.lock();
        let pin = self.tree.domain.pin();
        let node = self.tree.nodes.get(&pin, object)?;
        let aim = self.tree.nodes.get(&pin, target)?;
        self.check_free(node, &name)?;
        aim.links_here.lock().push((object, name.clone()));
        node.entries.write().insert(name, Child::Link(target));
        Ok(())
    }

    /// Takes a link away.
    ///
    /// # Errors
    ///
    /// `ENODEV`: the directory has left. [`Error::NotFound`]: there is no link of that name.
    pub fn unlink(&self, object: impl AsKobject, name: &str) -> Result {
        let object = object.kobject();
        let _topology = self.tree.topology.lock();
        let pin = self.tree.domain.pin();
        let node = self.tree.nodes.get(&pin, object)?;
        let Some(Child::Link(target)) = node.child(name) else {
            return Err(Error::NotFound);
        };
        node.remove(name, Child::Link(target));
        if let Ok(aim) = self.tree.nodes.get_leaving(&pin, target) {
            aim.links_here.lock().retain(|(dir, link)| *dir != object || **link != *name);
        }
        Ok(())
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
        let node = Node::new(Some(Name::new(name)?), parent, Some(ty.handle()), is_device);
        // What is left in the option is dropped after `insert` has returned, outside its lock.
        let payload = O::wrap(payload, &form).ok_or(Error::WrongType)?;
        self.insert(node, &mut Some(payload))
    }

    fn insert(&self, node: Node, payload: &mut Option<Payload>) -> Result<KobjectHandle> {
        let Some(name) = node.name.clone() else {
            return Err(Errno::EINVAL.into());
        };
        let _topology = self.tree.topology.lock();
        let pin = self.tree.domain.pin();
        let parent = self.tree.nodes.get(&pin, node.parent)?;
        self.check_free(parent, &name)?;
        let slot = self.tree.nodes.reserve()?;
        let object = slot.publish(node, payload.take().unwrap_or(Payload::None));
        parent.entries.write().insert(name, Child::Object(object));
        Ok(object)
    }

    /// That nothing in the directory has the name. The topology lock is held.
    fn check_free(&self, node: &Node, name: &str) -> Result {
        let pin = self.tree.domain.pin();
        let is_attribute = |ty: TypeHandle| self.types.get(&pin, ty).is_ok_and(|ty| ty.attributes.contains_key(name));
        if node.child(name).is_some() || node.ty.is_some_and(is_attribute) {
            return Err(Error::Exists);
        }
        Ok(())
    }
}
