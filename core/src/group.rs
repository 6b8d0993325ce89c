use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use enodev_attrs::{Attribute, DefineError, Errno, Group, Mode, Name, Parts, Result as AttrResult, Visible};
use enodev_handles::{Label, Pin};

use crate::attribute::{AnyAttribute, AttrCode, AttrMeta, lend};
use crate::context::Context;
use crate::device_type::{DeviceType, Lending, Sharing, Type};
use crate::error::{Error, Result};
use crate::handle::{AttrHandle, GroupHandle, TypeHandle};
use crate::payload::{Form, Payload, PayloadRef, Views};
use crate::plain::AnyPlain;
use crate::store::Store;

/// What the store keeps of a type.
#[derive(Debug)]
pub(crate) struct TypeMeta {
    pub(crate) name: String,
    /// What all its objects have from the start.
    pub(crate) groups: Vec<GroupHandle>,
    /// The attributes of those groups that have no name.
    pub(crate) own: BTreeMap<Name, AttrHandle>,
    /// Those that have one.
    pub(crate) dirs: BTreeMap<Name, GroupHandle>,
    /// The groups with callbacks that decide for each object.
    pub(crate) deciding: Vec<GroupHandle>,
}

impl TypeMeta {
    pub(crate) fn has(&self, name: &str) -> bool {
        self.own.contains_key(name) || self.dirs.contains_key(name)
    }
}

/// What the driver gave of a type.
#[derive(Debug)]
pub(crate) struct TypeCode {
    pub(crate) form: Form,
    /// Whether groups of the type are asked what of them is there: the type's meta says which.
    pub(crate) is_deciding: bool,
}

/// What the store keeps of a group.
#[derive(Debug)]
pub(crate) struct GroupMeta {
    /// `None` where its attributes stand beside the object's own.
    pub(crate) name: Option<Name>,
    pub(crate) attrs: BTreeMap<Name, AttrHandle>,
    /// The type all of whose objects have it, or the store's type of no object.
    pub(crate) ty: TypeHandle,
    pub(crate) label: Label,
}

/// What the driver gave of a group.
#[derive(Debug)]
pub(crate) struct GroupCode {
    /// Under which objects are entered for its callbacks.
    pub(crate) label: Label,
    pub(crate) attrs: Vec<AttrHandle>,
    /// Whether the callbacks, if there are any, need an exclusive payload's lock.
    pub(crate) locks: bool,
    pub(crate) code: Box<dyn AnyGroup>,
}

/// A group whose type of owner is not known.
pub(crate) trait AnyGroup: fmt::Debug + Send + Sync {
    /// Whether its attributes can be shown and stored for this payload.
    fn fits(&self, payload: &Payload) -> bool;
    /// Whether there are no callbacks: all is shown as it was defined.
    fn is_plain(&self) -> bool;
    /// How many of its callbacks have panicked.
    fn panics(&self) -> u64;
    fn is_shown(&self, owner: Context<'_, PayloadRef<'_>>) -> AttrResult<bool>;
    fn mode(&self, owner: Context<'_, PayloadRef<'_>>, attribute: &dyn AnyAttribute) -> AttrResult<Option<Mode>>;
}

impl<O: Lending> AnyGroup for Visible<O> {
    fn fits(&self, payload: &Payload) -> bool {
        O::fits(payload)
    }

    fn is_plain(&self) -> bool {
        Self::is_plain(self)
    }

    fn panics(&self) -> u64 {
        Self::panics(self)
    }

    fn is_shown(&self, owner: Context<'_, PayloadRef<'_>>) -> AttrResult<bool> {
        Self::is_shown(self, lend::<O>(owner)?)
    }

    fn mode(&self, owner: Context<'_, PayloadRef<'_>>, attribute: &dyn AnyAttribute) -> AttrResult<Option<Mode>> {
        let attribute = attribute.as_any().downcast_ref::<Attribute<O>>().ok_or(Errno::EINVAL)?;
        Self::mode(self, lend::<O>(owner)?, attribute)
    }
}

/// Defining.
impl Store {
    /// Defines a type of devices with its attributes, for as long as the store lives.
    ///
    /// # Errors
    ///
    /// [`Error::Define`] for the first attribute that cannot be as it was described; [`Error::Exists`] where two attributes, or an
    /// attribute and a group, would stand under one name; [`Error::Full`]. Nothing has been defined then.
    pub fn define<O: Sharing>(&self, ty: DeviceType<O>) -> Result<Type<O>> {
        let slot = self.inner.types.reserve()?;
        let handle = slot.handle();
        let mut draft = Draft::new(self);
        let mut meta = TypeMeta {
            name: ty.name,
            groups: Vec::new(),
            own: BTreeMap::new(),
            dirs: BTreeMap::new(),
            deciding: Vec::new(),
        };
        let mut plain = ty.plain;
        for group in std::iter::once(ty.own).chain(ty.groups) {
            let parts = group.into_parts().map_err(twice)?;
            let (decides, name) = (!parts.visible.is_plain(), parts.name.clone());
            let (group, attrs) = draft.define(parts, handle, std::mem::take(&mut plain))?;
            let is_taken = match name {
                Some(name) => meta.dirs.insert(name, group).is_some(),
                None => attrs.into_iter().any(|(name, attr)| meta.own.insert(name, attr).is_some()),
            };
            if is_taken {
                return Err(Error::Exists);
            }
            meta.groups.push(group);
            if decides {
                meta.deciding.push(group);
            }
        }
        if meta.dirs.keys().any(|name| meta.own.contains_key(name)) {
            return Err(Error::Exists);
        }
        draft.keep();
        let code = TypeCode { form: O::form(Views::new(handle, ty.views)), is_deciding: !meta.deciding.is_empty() };
        Ok(Type::new(slot.publish(meta, code)))
    }

    /// Defines a group that objects can be given one by one, whatever their type ([`add_group`](Self::add_group)), for as long as the
    /// store lives. Those that all objects of a type are to have belong to the type: [`DeviceType::group`].
    ///
    /// To be done once for what many objects are given, and not for each: definitions are not taken back.
    ///
    /// # Errors
    ///
    /// As [`define`](Self::define).
    pub fn define_group<O: Lending>(&self, group: Group<O>) -> Result<GroupHandle> {
        let parts = group.into_parts().map_err(twice)?;
        let mut draft = Draft::new(self);
        let (group, _) = draft.define(parts, self.inner.untyped, Vec::new())?;
        draft.keep();
        Ok(group)
    }

    /// Defines an attribute that objects can be given one by one ([`add_attribute`](Self::add_attribute)): a group of one.
    ///
    /// # Errors
    ///
    /// As [`define`](Self::define).
    pub fn define_attribute<O: Lending>(
        &self,
        attribute: std::result::Result<Attribute<O>, DefineError>,
    ) -> Result<AttrHandle> {
        let group = self.define_group(Group::new().attribute(attribute))?;
        let code = self.inner.groups.enter(group)?;
        code.attrs.first().copied().ok_or(Error::NotFound)
    }

    /// How often a callback of an attribute has panicked, on whatever object. Its caller was told `EIO` each time.
    ///
    /// # Errors
    ///
    /// `ENODEV`.
    pub fn panics(&self, attr: AttrHandle) -> Result<u64> {
        Ok(self.inner.attrs.enter(attr)?.code.panics())
    }

    /// The name of a group; `None` if its attributes stand beside the object's own.
    ///
    /// # Errors
    ///
    /// `ENODEV`.
    pub fn group_name(&self, group: GroupHandle) -> Result<Option<Name>> {
        Ok(self.inner.groups.get(&self.inner.domain.pin(), group)?.name.clone())
    }

    /// An attribute as it was defined.
    pub(crate) fn attr_meta<'a>(&'a self, pin: &'a Pin<'_>, attr: AttrHandle) -> Result<&'a AttrMeta> {
        Ok(self.inner.attrs.get(pin, attr)?)
    }
}

/// Two of one name are two of one name, whoever finds it.
fn twice(error: DefineError) -> Error {
    match error {
        DefineError::Twice(_) => Error::Exists,
        error => error.into(),
    }
}

/// The attributes of a group, or of some, that are being defined: all of them or none.
struct Draft<'a> {
    store: &'a Store,
    attrs: Vec<AttrHandle>,
    groups: Vec<GroupHandle>,
}

impl<'a> Draft<'a> {
    fn new(store: &'a Store) -> Self {
        Self { store, attrs: Vec::new(), groups: Vec::new() }
    }

    fn define<O: Lending>(
        &mut self,
        parts: Parts<O>,
        ty: TypeHandle,
        mut plain: Vec<(usize, Arc<dyn AnyPlain>)>,
    ) -> Result<(GroupHandle, BTreeMap<Name, AttrHandle>)> {
        let slot = self.store.inner.groups.reserve()?;
        let (group, mut attrs, mut order) = (slot.handle(), BTreeMap::new(), Vec::new());
        for (at, attribute) in parts.attributes.into_iter().enumerate() {
            let label = match &parts.name {
                Some(dir) => Label::new(&format!("{dir}/{}", attribute.name())),
                None => Label::new(attribute.name()),
            };
            let meta = AttrMeta::of(&attribute, group, label);
            let name = meta.name.clone();
            let plain = plain.iter().position(|(place, _)| *place == at).map(|found| plain.swap_remove(found).1);
            plain.iter().for_each(|plain| plain.settle(&self.store.inner.nodes));
            let code = AttrCode { ty, group, label, locks: O::LOCKS, code: Box::new(attribute), plain };
            let attr = self.store.inner.attrs.insert(meta, code)?;
            self.attrs.push(attr);
            attrs.insert(name, attr);
            order.push(attr);
        }
        // No attribute has a name with two slashes.
        let label = Label::new(&format!("{}//", parts.name.as_deref().unwrap_or_default()));
        let code = GroupCode { label, attrs: order, locks: O::LOCKS, code: Box::new(parts.visible) };
        self.groups.push(slot.publish(GroupMeta { name: parts.name, attrs: attrs.clone(), ty, label }, code));
        Ok((group, attrs))
    }

    fn keep(mut self) {
        self.attrs.clear();
        self.groups.clear();
    }
}

impl Drop for Draft<'_> {
    fn drop(&mut self) {
        // Nobody knows them, so nobody is inside. Where the system refuses the barrier, they stay and cost memory alone.
        for group in self.groups.drain(..) {
            drop(self.store.inner.groups.remove(group));
        }
        for attr in self.attrs.drain(..) {
            drop(self.store.inner.attrs.remove(attr));
        }
    }
}
