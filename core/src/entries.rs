//! What stands in a directory: maps from names, whatever their number, at the cost of one look-up.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet};

use enodev_attrs::Name;

use crate::handle::KobjectHandle;
use crate::keyed::Keyed;

/// The links to an object: the directory and the name of each.
pub(crate) type LinkSet = HashSet<(KobjectHandle, Name), Keyed>;

/// What stands in a directory beside attributes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Child {
    Object(KobjectHandle),
    Link(KobjectHandle),
}

/// What a directory holds, by name.
///
/// # Invariants
///
/// A name is in one of the maps at most. Maps have room for some eight times what is in them at most, and an empty one has none.
#[derive(Debug, Default)]
pub(crate) struct Entries {
    objects: HashMap<Name, KobjectHandle, Keyed>,
    links: HashMap<Name, KobjectHandle, Keyed>,
}

impl Entries {
    pub(crate) fn get(&self, name: &str) -> Option<Child> {
        match self.objects.get(name) {
            Some(object) => Some(Child::Object(*object)),
            None => self.links.get(name).map(|target| Child::Link(*target)),
        }
    }

    /// False where the name is taken: then nothing has changed.
    pub(crate) fn insert(&mut self, name: Name, child: Child) -> bool {
        let (map, other, handle) = match child {
            Child::Object(object) => (&mut self.objects, &self.links, object),
            Child::Link(target) => (&mut self.links, &self.objects, target),
        };
        // Where the other map is empty this is no look-up.
        if other.contains_key(&name) {
            return false;
        }
        match map.entry(name) {
            Entry::Vacant(place) => drop(place.insert(handle)),
            Entry::Occupied(_) => return false,
        }
        true
    }

    /// Takes the entry away, if it is the one that is meant, and gives its name back.
    pub(crate) fn remove(&mut self, name: &str, child: Child) -> Option<Name> {
        let (map, meant) = match child {
            Child::Object(object) => (&mut self.objects, object),
            Child::Link(target) => (&mut self.links, target),
        };
        if map.is_empty() {
            // It would hash the name.
            return None;
        }
        let (name, found) = map.remove_entry(name)?;
        if found != meant {
            map.insert(name, found);
            return None;
        }
        if is_roomy(map.len(), map.capacity()) {
            map.shrink_to(2 * map.len());
        }
        Some(name)
    }

    /// The objects, in no order.
    pub(crate) fn objects(&self) -> impl Iterator<Item = KobjectHandle> {
        self.objects.values().copied()
    }

    pub(crate) fn has_objects(&self) -> bool {
        !self.objects.is_empty()
    }

    /// All entries, in no order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&Name, Child)> {
        let objects = self.objects.iter().map(|(name, object)| (name, Child::Object(*object)));
        objects.chain(self.links.iter().map(|(name, target)| (name, Child::Link(*target))))
    }

    pub(crate) fn into_links(self) -> impl Iterator<Item = (Name, KobjectHandle)> {
        self.links.into_iter()
    }
}

/// Takes a link from those to an object.
pub(crate) fn forget(links: &mut LinkSet, link: &(KobjectHandle, Name)) {
    if links.remove(link) && is_roomy(links.len(), links.capacity()) {
        links.shrink_to(2 * links.len());
    }
}

/// Whether a map is to be made smaller. It is half full then: the cost of making it smaller is shared by as many removals, and that of
/// making it larger again by as many additions.
fn is_roomy(len: usize, capacity: usize) -> bool {
    len == 0 || len < capacity / 8
}
