use std::borrow::Cow;
use std::collections::BTreeMap;
use std::mem;

use enodev_attrs::{Errno, Mode, Name};
use enodev_handles::Pin;

use crate::attribute::AttrMeta;
use crate::entries::Child;
use crate::error::{Error, Result};
use crate::file::File;
use crate::group::{GroupMeta, TypeMeta};
use crate::handle::{AsKobject, AttrHandle, DeviceHandle, GroupHandle, KobjectHandle, device};
use crate::node::{Node, Place};
use crate::presence::{Of, Presence, Shown};
use crate::store::Store;

/// What a directory holds under one name.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Entry {
    /// The name.
    pub name: Name,
    /// What it is.
    pub kind: EntryKind,
}

/// The sorts of things that stand in a directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum EntryKind {
    /// An object of its own.
    Object(KobjectHandle),
    /// A link to an object.
    Link(KobjectHandle),
    /// An attribute of the object that the directory is.
    Attribute {
        /// Its handle.
        handle: AttrHandle,
        /// Its permission bits.
        mode: Mode,
        /// Its size in bytes as `stat` tells it.
        size: u64,
    },
    /// The directory of a group of attributes of the object: see [`Store::list_group`].
    Group(GroupHandle),
}

/// Finding. None of these waits or runs foreign code; what they return was so at some moment of the call. Objects that are moved
/// meanwhile are met where they were before, or where they are after.
impl Store {
    /// The object at a path. Names are separated by `/`; one at the beginning, empty names and `.` mean nothing; `..` is the
    /// parent, and the root's is the root. Links are followed.
    ///
    /// # Errors
    ///
    /// [`Error::NotFound`]; `ENOTDIR` where the path goes through, or ends at, an attribute; `EISDIR` where it goes into the directory of a
    /// group, which is no object's.
    pub fn lookup(&self, path: &str) -> Result<KobjectHandle> {
        self.inner.settled(|pin| {
            let mut names = path.split('/').filter(|name| !matches!(*name, "" | "."));
            names.try_fold(self.root(), |object, name| self.step(pin, object, name))
        })
    }

    fn step(&self, pin: &Pin<'_>, object: KobjectHandle, name: &str) -> Result<KobjectHandle> {
        // A directory that is leaving has no entries for newcomers, as one that has left.
        let node = self.inner.nodes.get(pin, object).map_err(|_| Error::NotFound)?;
        if name == ".." {
            return Ok(node.parent_of(object));
        }
        match node.child(name) {
            Some(Child::Object(found) | Child::Link(found)) if self.inner.nodes.contains(found) => Ok(found),
            Some(_) => Err(Error::NotFound),
            None if self.find(pin, node, name).is_ok() => Err(Errno::ENOTDIR.into()),
            None if self.find_dir(pin, node, name).is_some() => Err(Errno::EISDIR.into()),
            None => Err(Error::NotFound),
        }
    }

    /// The device that an object is.
    ///
    /// # Errors
    ///
    /// `ENODEV` for an object that has left; [`Error::WrongType`] for one that is no device.
    pub fn device(&self, object: KobjectHandle) -> Result<DeviceHandle> {
        let pin = self.inner.domain.pin();
        if self.inner.nodes.get(&pin, object)?.is_device { Ok(device(object)) } else { Err(Error::WrongType) }
    }

    /// What the directory of an object holds: children, links and attributes, by name.
    ///
    /// # Errors
    ///
    /// `ENODEV`.
    pub fn list(&self, object: impl AsKobject) -> Result<Vec<Entry>> {
        let pin = self.inner.domain.pin();
        let node = self.inner.nodes.get(&pin, object.kobject())?;
        // Both at once, so that nothing is met twice, or half changed.
        let more = node.more().map(|more| (more.entries.read(), more.presence.read()));
        let mut list = self.attributes(&pin, node, more.as_ref().map(|(_, presence)| &**presence));
        for (name, child) in more.iter().flat_map(|(entries, _)| entries.iter()) {
            let (handle, kind) = match child {
                Child::Object(object) => (object, EntryKind::Object(object)),
                Child::Link(target) => (target, EntryKind::Link(target)),
            };
            if self.inner.nodes.contains(handle) {
                list.push(Entry { name: name.clone(), kind });
            }
        }
        drop(more);
        list.sort_unstable_by(|a, b| a.name.cmp(&b.name));
        Ok(list)
    }

    /// What the directory of a group on an object holds: its attributes, by name.
    ///
    /// # Errors
    ///
    /// `ENODEV`; [`Error::NotFound`] where the object does not show the group, or it has no directory.
    pub fn list_group(&self, object: impl AsKobject, group: GroupHandle) -> Result<Vec<Entry>> {
        let pin = self.inner.domain.pin();
        let node = self.inner.nodes.get(&pin, object.kobject())?;
        let meta = self.inner.groups.get(&pin, group)?;
        let presence = node.more().map(|more| more.presence.read());
        let presence = presence.as_deref();
        if meta.name.is_none() || !shows(node, presence, group, meta) {
            return Err(Error::NotFound);
        }
        Ok(self.list_attrs(&pin, node, presence, &meta.attrs).collect())
    }

    /// What the directory of an object holds under one name, as [`list`](Self::list) has it; of a group that is a directory, as
    /// `group/name`. This is what `stat(2)` of a name needs; links are not followed.
    ///
    /// ```
    /// # let store = enodev::Store::new()?;
    /// let class = store.create(store.root(), "class")?;
    /// let entry = store.entry(store.root(), "class")?;
    /// assert_eq!(entry.kind, enodev::EntryKind::Object(class));
    /// # Ok::<(), enodev::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// `ENODEV`; [`Error::NotFound`].
    pub fn entry(&self, object: impl AsKobject, name: &str) -> Result<Entry> {
        let pin = self.inner.domain.pin();
        let node = self.inner.nodes.get(&pin, object.kobject())?;
        let kind = match node.child(name) {
            Some(Child::Object(child)) if self.inner.nodes.contains(child) => EntryKind::Object(child),
            Some(Child::Link(target)) if self.inner.nodes.contains(target) => EntryKind::Link(target),
            Some(_) => return Err(Error::NotFound),
            None => match self.find_dir(&pin, node, name) {
                Some(entry) => return Ok(entry),
                None => return self.entry_of_attribute(&pin, node, name),
            },
        };
        Ok(Entry { name: Name::new(name)?, kind })
    }

    /// An attribute as an object shows it, held by its handle: its name, without that of its group, its mode and its size. This is what
    /// `fstat(2)` of an open file needs.
    ///
    /// # Errors
    ///
    /// `ENODEV`: the object or the attribute, also where the object does not show it.
    pub fn attribute_entry(&self, object: impl AsKobject, attr: AttrHandle) -> Result<Entry> {
        let pin = self.inner.domain.pin();
        let node = self.inner.nodes.get(&pin, object.kobject())?;
        let (meta, shown) = self.shown(&pin, node, attr).ok_or(Errno::ENODEV)?;
        let kind = EntryKind::Attribute { handle: attr, mode: shown.mode, size: meta.size };
        Ok(Entry { name: meta.name.clone(), kind })
    }

    fn entry_of_attribute(&self, pin: &Pin<'_>, node: &Node, name: &str) -> Result<Entry> {
        let (handle, shown) = self.find(pin, node, name)?;
        let meta = self.attr_meta(pin, handle)?;
        let kind = EntryKind::Attribute { handle, mode: shown.mode, size: meta.size };
        Ok(Entry { name: meta.name.clone(), kind })
    }

    /// Whether an object shows an attribute, or the directory of a group, under a name.
    pub(crate) fn shows_beside_children(&self, pin: &Pin<'_>, node: &Node, name: &str) -> bool {
        self.find(pin, node, name).is_ok() || self.find_dir(pin, node, name).is_some()
    }

    /// The directory of a group that an object shows under a name.
    fn find_dir(&self, pin: &Pin<'_>, node: &Node, name: &str) -> Option<Entry> {
        let own = self.type_of(pin, node).and_then(|ty| ty.dirs.get(name).copied());
        let presence = node.more().map(|more| more.presence.read());
        let presence = presence.as_deref();
        let mut groups = own.into_iter().chain(presence.into_iter().flat_map(Presence::added));
        groups.find_map(|group| {
            let entry = group_entry(node, presence, group, self.inner.groups.get(pin, group).ok()?)?;
            (*entry.name == *name).then_some(entry)
        })
    }

    /// The attributes beside the object's children, and the directories of its groups.
    fn attributes(&self, pin: &Pin<'_>, node: &Node, presence: Option<&Presence>) -> Vec<Entry> {
        let mut list = Vec::new();
        if let Some(ty) = self.type_of(pin, node) {
            list.extend(self.list_attrs(pin, node, presence, &ty.own));
            let groups = ty.dirs.values().filter_map(|group| Some((*group, self.inner.groups.get(pin, *group).ok()?)));
            list.extend(groups.filter_map(|(group, meta)| group_entry(node, presence, group, meta)));
        }
        for group in presence.into_iter().flat_map(Presence::added) {
            match self.inner.groups.get(pin, group) {
                Ok(meta) if meta.name.is_some() => list.extend(group_entry(node, presence, group, meta)),
                Ok(meta) => list.extend(self.list_attrs(pin, node, presence, &meta.attrs)),
                Err(_) => {}
            }
        }
        list
    }

    fn list_attrs(
        &self,
        pin: &Pin<'_>,
        node: &Node,
        presence: Option<&Presence>,
        attrs: &BTreeMap<Name, AttrHandle>,
    ) -> impl Iterator<Item = Entry> {
        attrs.iter().filter_map(move |(name, attr)| {
            let (meta, shown) = self.shown_in(pin, node, presence, *attr)?;
            let kind = EntryKind::Attribute { handle: *attr, mode: shown.mode, size: meta.size };
            Some(Entry { name: name.clone(), kind })
        })
    }

    fn type_of<'a>(&'a self, pin: &'a Pin<'_>, node: &Node) -> Option<&'a TypeMeta> {
        node.ty.and_then(|ty| self.inner.types.get(pin, ty).ok())
    }

    /// How an object shows an attribute, if it does.
    fn shown<'a>(&'a self, pin: &'a Pin<'_>, node: &Node, attr: AttrHandle) -> Option<(&'a AttrMeta, Shown)> {
        let presence = node.more().map(|more| more.presence.read());
        self.shown_in(pin, node, presence.as_deref(), attr)
    }

    /// As `shown`, by what is known of the object.
    fn shown_in<'a>(
        &'a self,
        pin: &'a Pin<'_>,
        node: &Node,
        presence: Option<&Presence>,
        attr: AttrHandle,
    ) -> Option<(&'a AttrMeta, Shown)> {
        let meta = self.attr_meta(pin, attr).ok()?;
        let group = self.inner.groups.get(pin, meta.group).ok()?;
        let of = Of { attr, group: meta.group, is_own: Some(group.ty) == node.ty, mode: meta.mode };
        let as_defined = of.is_own.then_some(Shown { mode: meta.mode, since: 0 });
        let shown = presence.map_or(as_defined, |presence| presence.of(of));
        Some((meta, shown?))
    }

    /// Whether the object still shows what a file was opened of.
    pub(crate) fn is_shown(&self, pin: &Pin<'_>, node: &Node, file: &File) -> bool {
        file.is_shown_by(self.shown(pin, node, file.attribute()).map(|(_, shown)| shown))
    }

    /// The attribute that an object shows under a name, and how.
    pub(crate) fn find(&self, pin: &Pin<'_>, node: &Node, name: &str) -> Result<(AttrHandle, Shown)> {
        let attr = self.find_defined(pin, node, name)?;
        self.shown(pin, node, attr).map(|(_, shown)| (attr, shown)).ok_or(Error::NotFound)
    }

    /// The attribute that an object has under a name, shown or not.
    fn find_defined(&self, pin: &Pin<'_>, node: &Node, name: &str) -> Result<AttrHandle> {
        let ty = self.type_of(pin, node);
        let added = || node.more().map_or_else(Vec::new, |more| more.presence.read().added().collect()).into_iter();
        let meta = |group| self.inner.groups.get(pin, group).ok();
        let Some((dir, name)) = name.split_once('/') else {
            let own = ty.and_then(|ty| ty.own.get(name));
            let of_group = |meta: &GroupMeta| meta.name.is_none().then(|| meta.attrs.get(name).copied()).flatten();
            return own.copied().or_else(|| added().filter_map(meta).find_map(of_group)).ok_or(Error::NotFound);
        };
        let own = ty.and_then(|ty| meta(*ty.dirs.get(dir)?));
        let group = own.or_else(|| added().filter_map(meta).find(|meta| meta.name.as_deref() == Some(dir)));
        group.and_then(|meta| meta.attrs.get(name).copied()).ok_or(Error::NotFound)
    }

    /// That nothing in the directory has the name, shown or not. The directory is claimed.
    pub(crate) fn check_free(&self, node: &Node, name: &str) -> Result {
        if node.child(name).is_some() {
            return Err(Error::Exists);
        }
        self.check_no_attribute(&self.inner.domain.pin(), node, name)
    }

    /// That no attribute in the directory has the name, nor a group, shown or not. The directory is claimed.
    pub(crate) fn check_no_attribute(&self, pin: &Pin<'_>, node: &Node, name: &str) -> Result {
        if self.type_of(pin, node).is_some_and(|ty| ty.has(name)) {
            return Err(Error::Exists);
        }
        let Some(more) = node.more().filter(|more| more.has_groups()) else { return Ok(()) };
        let presence = more.presence.read();
        let has = |meta: &GroupMeta| match &meta.name {
            Some(dir) => **dir == *name,
            None => meta.attrs.contains_key(name),
        };
        let is_taken = presence.added().filter_map(|group| self.inner.groups.get(pin, group).ok()).any(has);
        if is_taken { Err(Error::Exists) } else { Ok(()) }
    }

    /// Where an object is: `/devices/pci0/sda`, or `/` for the root.
    ///
    /// # Errors
    ///
    /// `ENODEV` once the object is leaving.
    pub fn path(&self, object: impl AsKobject) -> Result<String> {
        let object = object.kobject();
        self.inner.nodes.get(&self.inner.domain.pin(), object)?;
        self.path_of(object)
    }

    /// As `path`, also of an object that is leaving.
    pub(crate) fn path_of(&self, object: KobjectHandle) -> Result<String> {
        self.inner.settled(|pin| {
            let mut place = self.inner.nodes.get_leaving(pin, object)?.place();
            let mut places = Vec::with_capacity(8);
            while place.name.is_some() {
                // An ancestor may be leaving: then so is the object, and this is where it was.
                let parent = self.inner.nodes.get_leaving(pin, place.parent)?;
                places.push(mem::replace(&mut place, parent.place()));
            }
            Ok(join(&places))
        })
    }

    /// The parent of an object; the root's is the root.
    ///
    /// # Errors
    ///
    /// `ENODEV`.
    pub fn parent(&self, object: impl AsKobject) -> Result<KobjectHandle> {
        let (pin, object) = (self.inner.domain.pin(), object.kobject());
        // One place, looked at once: there is nothing that it could be at odds with.
        Ok(self.inner.nodes.get(&pin, object)?.parent_of(object))
    }

    /// What the type of an object is called; `None` for a plain directory.
    ///
    /// # Errors
    ///
    /// `ENODEV`.
    pub fn type_name(&self, object: impl AsKobject) -> Result<Option<String>> {
        let pin = self.inner.domain.pin();
        let Some(ty) = self.inner.nodes.get(&pin, object.kobject())?.ty else {
            return Ok(None);
        };
        Ok(Some(self.inner.types.get(&pin, ty)?.name.clone()))
    }

    /// Whether the object is there: it has neither left nor begun to.
    pub fn contains(&self, object: impl AsKobject) -> bool {
        self.inner.nodes.contains(object.kobject())
    }
}

fn shows(node: &Node, presence: Option<&Presence>, group: GroupHandle, meta: &GroupMeta) -> bool {
    let is_own = Some(meta.ty) == node.ty;
    presence.map_or(is_own, |presence| presence.shows(group, is_own))
}

/// `None` for a group without a directory.
fn group_entry(node: &Node, presence: Option<&Presence>, group: GroupHandle, meta: &GroupMeta) -> Option<Entry> {
    let name = meta.name.clone().filter(|_| shows(node, presence, group, meta))?;
    Some(Entry { name, kind: EntryKind::Group(group) })
}

/// The path of places that are given from the object upwards, without the root.
fn join(places: &[Cow<'_, Place>]) -> String {
    if places.is_empty() {
        return "/".into();
    }
    let names = || places.iter().rev().filter_map(|place| place.name.as_deref());
    let mut path = String::with_capacity(names().map(|name| 1 + name.len()).sum());
    for name in names() {
        path.push('/');
        path.push_str(name);
    }
    path
}
