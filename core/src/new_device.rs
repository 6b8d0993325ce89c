use std::any::Any;
use std::fmt;

use enodev_attrs::Name;

use crate::bus::{Bus, BusType};
use crate::device_type::{Sharing, Type};
use crate::error::{Error, Result};
use crate::handle::{AsKobject, BusHandle, ClassHandle, DeviceHandle, GroupHandle, KobjectHandle, device};
use crate::payload::Payload;
use crate::scope::Holds;
use crate::store::Store;

/// A device that is to be registered, with everything that it begins with: it appears with all of that at once, or not at all. Made by
/// [`Store::new_device`].
#[must_use = "nothing is registered yet"]
pub struct NewDevice<'a> {
    pub(crate) store: &'a Store,
    pub(crate) parent: KobjectHandle,
    /// What is wrong with it is told by `register`.
    draft: Result<(Name, Payload)>,
    begin: Begin,
}

/// What an object begins with beside its type.
pub(crate) struct Begin {
    pub(crate) ty: Option<crate::handle::TypeHandle>,
    /// Whether groups of the type are to be asked about it.
    pub(crate) is_deciding: bool,
    pub(crate) is_device: bool,
    pub(crate) bus: Option<(BusHandle, Box<dyn Any + Send + Sync>)>,
    /// What most begin without, apart: what a device begins with is moved several times before it is there.
    pub(crate) more: Option<Box<BeginMore>>,
}

#[derive(Default)]
pub(crate) struct BeginMore {
    pub(crate) class: Option<ClassHandle>,
    pub(crate) groups: Vec<GroupHandle>,
    pub(crate) links: Vec<NewLink>,
}

/// A link to the new device, or in it.
pub(crate) struct NewLink {
    /// None is the new device.
    pub(crate) dir: Option<KobjectHandle>,
    pub(crate) name: Result<Name>,
    /// None is the new device.
    pub(crate) target: Option<KobjectHandle>,
}

impl Begin {
    pub(crate) fn plain(ty: Option<crate::handle::TypeHandle>, is_device: bool) -> Self {
        Self { ty, is_deciding: false, is_device, bus: None, more: None }
    }

    fn more(&mut self) -> &mut BeginMore {
        self.more.get_or_insert_default()
    }

    pub(crate) fn class(&self) -> Option<ClassHandle> {
        self.more.as_ref()?.class
    }

    pub(crate) fn groups(&self) -> &[GroupHandle] {
        self.more.as_ref().map_or(&[], |more| &more.groups)
    }

    pub(crate) fn links(&self) -> &[NewLink] {
        self.more.as_ref().map_or(&[], |more| &more.links)
    }
}

impl NewDevice<'_> {
    /// Puts it on a bus, and says what it is. Drivers are asked about it as it is registered.
    pub fn on<B: BusType>(mut self, bus: Bus<B>, id: B::Id) -> Self {
        self.begin.bus = Some((bus.handle(), Box::new(id)));
        self
    }

    /// Puts it into a class, whose groups it is given.
    pub fn class(mut self, class: ClassHandle) -> Self {
        self.begin.more().class = Some(class);
        self
    }

    /// Gives it a group of attributes, as [`Store::add_group`].
    pub fn group(mut self, group: GroupHandle) -> Self {
        self.begin.more().groups.push(group);
        self
    }

    /// Makes a link in its directory, to `target`.
    pub fn link(mut self, name: &str, target: impl AsKobject) -> Self {
        let name = Name::new(name).map_err(Error::from);
        self.begin.more().links.push(NewLink { dir: None, name, target: Some(target.kobject()) });
        self
    }

    /// Makes a link to it, in the directory `dir`.
    pub fn linked_from(mut self, dir: impl AsKobject, name: &str) -> Self {
        let name = Name::new(name).map_err(Error::from);
        self.begin.more().links.push(NewLink { dir: Some(dir.kobject()), name, target: None });
        self
    }

    /// Registers it. First it is there, with all that was said of it; then observers are told ([`Phase::Added`](crate::Phase::Added)); then
    /// the drivers of its bus are asked about it, and nobody is told here what they said: see [`Store::driver_of`].
    ///
    /// Takes the lock of the parent, if that is on a bus or in a class: waits while one of the parent's callbacks runs. In such a callback
    /// use [`register_in`](Self::register_in).
    ///
    /// # Errors
    ///
    /// As [`Store::register`], [`Store::add_group`] and [`Store::link`], where everything else is as it was and the payload and the id are
    /// dropped; `ENODEV` also for the bus and the class. [`Error::Inside`]: the caller has the parent's lock; [`Error::Deadlock`]: who has
    /// it waits for the caller.
    ///
    /// # Panics
    ///
    /// As [`Store::lock`].
    #[track_caller]
    pub fn register(self) -> Result<DeviceHandle> {
        self.check()?;
        let held = self.store.hold_in_order(self.parent)?;
        self.add(held)
    }

    /// As [`register`](Self::register), where the caller holds the parent's lock: it is in a callback of the parent, or has the lock from
    /// [`Store::lock`].
    ///
    /// ```compile_fail
    /// # use enodev::{DeviceHandle, Result, Store};
    /// fn without_the_lock(store: &Store, parent: DeviceHandle, ty: enodev::Type<enodev::Shared<()>>) -> Result<DeviceHandle> {
    ///     store.new_device(parent, "child", ty, ()).register_in(&parent) // no proof that the lock is held
    /// }
    /// ```
    ///
    /// # Errors
    ///
    /// As `register`; and [`Error::NotHeld`]: the lock is another device's.
    ///
    /// # Linux
    ///
    /// `__device_add`, as it was proposed: the caller owns the parent's mutex.
    pub fn register_in(self, parent: &impl Holds) -> Result<DeviceHandle> {
        self.check()?;
        if !parent.is_of(self.store, self.parent) {
            return Err(Error::NotHeld);
        }
        self.add(None)
    }

    /// What is wrong with it whatever the store is like comes first.
    fn check(&self) -> Result {
        self.draft.as_ref().map_err(|error| *error)?;
        self.begin.links().iter().try_for_each(|link| link.name.as_ref().map(drop).map_err(|error| *error))
    }

    fn add(self, parent: Option<crate::scope::Held<'_>>) -> Result<DeviceHandle> {
        let Self { store, parent: dir, draft, begin } = self;
        let (name, payload) = draft?;
        // What is left of it is dropped when all locks are gone.
        let (mut begin, mut payload) = (begin, Some(payload));
        let appeared = store.insert(dir, name, &mut begin, &mut payload);
        drop(parent);
        store.trace_registered(dir, appeared.map(|(object, _)| object));
        let (object, next) = appeared?;
        store.announce(object, next);
        Ok(device(object))
    }
}

impl fmt::Debug for NewDevice<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NewDevice").field("parent", &self.parent).finish_non_exhaustive()
    }
}

impl Store {
    /// A device that is to be registered under `parent`.
    ///
    /// ```
    /// use enodev::{DeviceType, Store};
    ///
    /// struct Disk;
    ///
    /// let store = Store::new()?;
    /// let (devices, by_id) = (store.create(store.root(), "devices")?, store.create(store.root(), "by-id")?);
    /// let block = store.register_class("block", &[])?;
    /// let disk = store.define(DeviceType::shared::<Disk>("disk"))?;
    ///
    /// let sda = store.new_device(devices, "sda", disk, Disk).class(block).linked_from(by_id, "wwn-0x5000").register()?;
    /// assert_eq!(store.devices_in(block)?.collect::<Vec<_>>(), [sda]);
    /// assert_eq!(store.lookup("by-id/wwn-0x5000"), store.lookup("devices/sda"));
    /// # Ok::<(), enodev::Error>(())
    /// ```
    pub fn new_device<O: Sharing>(
        &self,
        parent: impl AsKobject,
        name: &str,
        ty: Type<O>,
        payload: O::Value,
    ) -> NewDevice<'_> {
        let mut begin = Begin::plain(Some(ty.handle()), true);
        let draft = self.draft(name, ty, payload, &mut begin);
        NewDevice { store: self, parent: parent.kobject(), draft, begin }
    }

    /// A name and a payload, where there is nothing wrong with them.
    pub(crate) fn draft<O: Sharing>(
        &self,
        name: &str,
        ty: Type<O>,
        payload: O::Value,
        begin: &mut Begin,
    ) -> Result<(Name, Payload)> {
        let name = Name::new(name)?;
        let code = self.inner.types.enter(ty.handle())?;
        begin.is_deciding = code.is_deciding;
        Ok((name, O::wrap(payload, &code.form).ok_or(Error::WrongType)?))
    }
}
