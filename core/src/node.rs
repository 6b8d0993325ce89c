use std::collections::BTreeMap;

use enodev_attrs::Name;
use parking_lot::{Mutex, RwLock};

use crate::handle::{KobjectHandle, TypeHandle};

/// What the store keeps of an object: readable under a pin, also while the object leaves.
///
/// # Invariants
///
/// - `entries` and `links_here` are written under the store's topology lock only; their own locks are held for one look-up
///   or one change, and nothing is waited for under them.
/// - A link in `entries` of a directory and the pair (directory, name) in `links_here` of its target come and go together.
///
/// It is aligned so that what follows it in a slot, the slot's word and the payload, fills one cache line.
#[derive(Debug)]
#[repr(align(64))]
pub(crate) struct Node {
    /// `None` is the root's.
    pub(crate) name: Option<Name>,
    pub(crate) parent: KobjectHandle,
    pub(crate) ty: Option<TypeHandle>,
    pub(crate) is_device: bool,
    pub(crate) entries: RwLock<BTreeMap<Name, Child>>,
    /// The links to this object.
    pub(crate) links_here: Mutex<Vec<(KobjectHandle, Name)>>,
}

/// What stands in a directory beside attributes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Child {
    Object(KobjectHandle),
    Link(KobjectHandle),
}

impl Node {
    pub(crate) fn root() -> Self {
        Self::new(None, KobjectHandle::null(), None, false)
    }

    pub(crate) fn new(name: Option<Name>, parent: KobjectHandle, ty: Option<TypeHandle>, is_device: bool) -> Self {
        Self { name, parent, ty, is_device, entries: RwLock::default(), links_here: Mutex::default() }
    }

    pub(crate) fn child(&self, name: &str) -> Option<Child> {
        self.entries.read().get(name).copied()
    }

    pub(crate) fn children(&self) -> Vec<KobjectHandle> {
        let entries = self.entries.read();
        let objects = entries.values().filter_map(|child| match child {
            Child::Object(object) => Some(*object),
            Child::Link(_) => None,
        });
        objects.collect()
    }

    /// Takes the entry away, if it is still the one that is meant.
    pub(crate) fn remove(&self, name: &str, child: Child) {
        let mut entries = self.entries.write();
        if entries.get(name) == Some(&child) {
            entries.remove(name);
        }
    }
}
