use std::borrow::Cow;
use std::mem;

use enodev_attrs::{Errno, Mode, Name};
use enodev_handles::Pin;

use crate::entries::Child;
use crate::error::{Error, Result};
use crate::handle::{AsKobject, AttrHandle, DeviceHandle, KobjectHandle, device};
use crate::node::{Node, Place};
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
}

/// Finding. None of these waits or runs foreign code; what they return was so at some moment of the call. Objects that are moved
/// meanwhile are met where they were before, or where they are after.
impl Store {
    /// The object at a path. Names are separated by `/`; one at the beginning, empty names and `.` mean nothing; `..` is the
    /// parent, and the root's is the root. Links are followed.
    ///
    /// # Errors
    ///
    /// [`Error::NotFound`]; `ENOTDIR` where the path goes through, or ends at, an attribute.
    pub fn lookup(&self, path: &str) -> Result<KobjectHandle> {
        self.tree.settled(|pin| {
            let mut names = path.split('/').filter(|name| !matches!(*name, "" | "."));
            names.try_fold(self.root(), |object, name| self.step(pin, object, name))
        })
    }

    fn step(&self, pin: &Pin<'_>, object: KobjectHandle, name: &str) -> Result<KobjectHandle> {
        // A directory that is leaving has no entries for newcomers, as one that has left.
        let node = self.tree.nodes.get(pin, object).map_err(|_| Error::NotFound)?;
        if name == ".." {
            return Ok(node.parent_of(object));
        }
        match node.child(name) {
            Some(Child::Object(found) | Child::Link(found)) if self.tree.nodes.contains(found) => Ok(found),
            Some(_) => Err(Error::NotFound),
            None if self.attribute(object, name).is_ok() => Err(Errno::ENOTDIR.into()),
            None => Err(Error::NotFound),
        }
    }

    /// The device that an object is.
    ///
    /// # Errors
    ///
    /// `ENODEV` for an object that has left; [`Error::WrongType`] for one that is no device.
    pub fn device(&self, object: KobjectHandle) -> Result<DeviceHandle> {
        let pin = self.tree.domain.pin();
        if self.tree.nodes.get(&pin, object)?.is_device { Ok(device(object)) } else { Err(Error::WrongType) }
    }

    /// What the directory of an object holds: children, links and attributes, by name.
    ///
    /// # Errors
    ///
    /// `ENODEV`.
    pub fn list(&self, object: impl AsKobject) -> Result<Vec<Entry>> {
        let pin = self.tree.domain.pin();
        let node = self.tree.nodes.get(&pin, object.kobject())?;
        let mut list = self.attributes(&pin, node);
        let Some(more) = node.more() else { return Ok(list) };
        for (name, child) in more.entries.read().iter() {
            let (handle, kind) = match child {
                Child::Object(object) => (object, EntryKind::Object(object)),
                Child::Link(target) => (target, EntryKind::Link(target)),
            };
            if self.tree.nodes.contains(handle) {
                list.push(Entry { name: name.clone(), kind });
            }
        }
        list.sort_unstable_by(|a, b| a.name.cmp(&b.name));
        Ok(list)
    }

    fn attributes(&self, pin: &Pin<'_>, node: &Node) -> Vec<Entry> {
        let Some(ty) = node.ty.and_then(|ty| self.types.get(pin, ty).ok()) else {
            return Vec::new();
        };
        let entry = |(name, handle): (&Name, &AttrHandle)| {
            let meta = self.attrs.get(pin, *handle).ok()?;
            let kind = EntryKind::Attribute { handle: *handle, mode: meta.mode, size: meta.size };
            Some(Entry { name: name.clone(), kind })
        };
        ty.attributes.iter().filter_map(entry).collect()
    }

    /// Where an object is: `/devices/pci0/sda`, or `/` for the root.
    ///
    /// # Errors
    ///
    /// `ENODEV` once the object is leaving.
    pub fn path(&self, object: impl AsKobject) -> Result<String> {
        let object = object.kobject();
        self.tree.settled(|pin| {
            let mut place = self.tree.nodes.get(pin, object)?.place();
            let mut places = Vec::with_capacity(8);
            while place.name.is_some() {
                // An ancestor may be leaving: then so is the object, and this is where it was.
                let parent = self.tree.nodes.get_leaving(pin, place.parent)?;
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
        let (pin, object) = (self.tree.domain.pin(), object.kobject());
        // One place, looked at once: there is nothing that it could be at odds with.
        Ok(self.tree.nodes.get(&pin, object)?.parent_of(object))
    }

    /// What the type of an object is called; `None` for a plain directory.
    ///
    /// # Errors
    ///
    /// `ENODEV`.
    pub fn type_name(&self, object: impl AsKobject) -> Result<Option<String>> {
        let pin = self.tree.domain.pin();
        let Some(ty) = self.tree.nodes.get(&pin, object.kobject())?.ty else {
            return Ok(None);
        };
        Ok(Some(self.types.get(&pin, ty)?.name.clone()))
    }

    /// Whether the object is there: it has neither left nor begun to.
    pub fn contains(&self, object: impl AsKobject) -> bool {
        self.tree.nodes.contains(object.kobject())
    }
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
