use enodev_attrs::Name;

use crate::crowd::Crowd;
use crate::error::{Error, Result};
use crate::handle::{ClassHandle, DeviceHandle, GroupHandle};
use crate::store::Store;

/// What the store keeps of a class.
#[derive(Debug)]
pub(crate) struct ClassMeta {
    pub(crate) name: Name,
    pub(crate) devices: Crowd,
    /// What each of them is given.
    pub(crate) groups: Vec<GroupHandle>,
}

/// Classes: devices that do the same thing, whatever they hang on.
impl Store {
    /// Registers a class. Each of its devices is given the groups as it is registered ([`NewDevice::class`](crate::NewDevice::class)).
    ///
    /// # Errors
    ///
    /// [`Error::Name`], [`Error::Full`]; `ENODEV`: one of the groups.
    pub fn register_class(&self, name: &str, groups: &[GroupHandle]) -> Result<ClassHandle> {
        let name = Name::new(name)?;
        if !groups.iter().all(|group| self.inner.groups.contains(*group)) {
            return Err(enodev_attrs::Errno::ENODEV.into());
        }
        Ok(self.inner.classes.insert(ClassMeta { name, devices: Crowd::default(), groups: groups.into() }, ())?)
    }

    /// Unregisters a class that has no devices any more.
    ///
    /// # Errors
    ///
    /// `ENODEV`; [`Error::InUse`] while it has devices, also those that are leaving; [`Error::Barrier`].
    pub fn unregister_class(&self, class: ClassHandle) -> Result {
        let mut leaving = self.inner.classes.leave();
        {
            let pin = self.inner.domain.pin();
            // Who joins looks under a lock of the list whether the class is there.
            let devices = &self.inner.classes.get(&pin, class)?.devices;
            let marked = devices.when_empty(|| leaving.mark_under(&pin, class).map_err(Error::from));
            marked.ok_or(Error::InUse)??;
        }
        drop(leaving.drain().map_err(|(_, error)| error)?);
        Ok(())
    }

    /// The name of a class.
    ///
    /// # Errors
    ///
    /// `ENODEV`.
    pub fn class_name(&self, class: ClassHandle) -> Result<Name> {
        Ok(self.inner.classes.get(&self.inner.domain.pin(), class)?.name.clone())
    }

    /// The class of a device; `None` for a device in none.
    ///
    /// # Errors
    ///
    /// `ENODEV`.
    pub fn class_of(&self, device: DeviceHandle) -> Result<Option<ClassHandle>> {
        let body = self.inner.nodes.enter(crate::handle::AsKobject::kobject(device))?;
        Ok(body.part.as_ref().and_then(|part| part.class).map(|(class, _)| class))
    }

    /// The devices of a class, as [`devices_on`](Self::devices_on).
    ///
    /// # Errors
    ///
    /// `ENODEV`.
    pub fn devices_in(&self, class: ClassHandle) -> Result<impl Iterator<Item = DeviceHandle> + use<>> {
        Ok(self.inner.classes.get(&self.inner.domain.pin(), class)?.devices.load().iter())
    }
}
