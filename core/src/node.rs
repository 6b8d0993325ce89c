use std::borrow::Cow;
use std::mem;
use std::sync::OnceLock;

use enodev_attrs::Name;

use crate::entries::{Child, Entries, LinkSet};
use crate::events::Events;
use crate::handle::{GroupHandle, KobjectHandle, TypeHandle};
use crate::presence::{Decision, Of, Presence};
use crate::ranges::Region;
use crate::sync::atomic::{AtomicBool, Ordering};
use crate::sync::{Mutex, RwLock};

/// What the store keeps of an object: readable under a pin, also while the object leaves.
///
/// # Invariants
///
/// - Names come into its directory, and its place and its presence change, while it is claimed
///   ([`Topology`](crate::topology::Topology)). Its regions change under the lock of their space, by who
///   is inside the object or has drained it. Its other locks are held for one look-up or one change, and nothing is waited for
///   under them, but for two directories' entries as an object goes from one to the other, for `presence` by who reads the entries
///   too, and for a directory's entries under the `links_here` of what is linked there.
/// - A link in the entries of a directory and the pair (directory, name) in `links_here` of its target come and go together.
///
/// It is aligned so that what follows it in a slot, the slot's word and the payload, fills one cache line; and it fills no more
/// than one itself, whatever an object has.
#[derive(Debug)]
#[repr(align(64))]
pub(crate) struct Node {
    /// Where it was put first. Few objects are ever moved: this is read without a lock.
    first: Place,
    pub(crate) ty: Option<TypeHandle>,
    more: OnceLock<Box<More>>,
    /// Whether `more` has the place. Never taken back.
    is_moved: AtomicBool,
    /// Of who claims the object: see [`Topology`](crate::topology::Topology).
    pub(crate) lock: Mutex<()>,
    pub(crate) is_device: bool,
}

#[cfg(not(any(loom, shuttle)))]
const _: () = assert!(size_of::<Node>() == 64, "a node fills one cache line");

/// Where an object stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Place {
    /// `None` is the root's.
    pub(crate) name: Option<Name>,
    /// Null is the root's.
    pub(crate) parent: KobjectHandle,
}

/// What few objects have: a leaf that nothing is linked to and that was never moved has none of it.
#[derive(Debug, Default)]
pub(crate) struct More {
    /// What stands in the directory beside attributes.
    pub(crate) entries: RwLock<Entries>,
    /// The entries have gone with the object.
    is_gone: AtomicBool,
    /// The links to this object.
    pub(crate) links_here: Mutex<LinkSet>,
    /// Where the object was moved to.
    place: RwLock<Option<Place>>,
    /// What of its attributes is not as its type says.
    pub(crate) presence: RwLock<Presence>,
    /// Whether it was ever given a group.
    has_groups: AtomicBool,
    /// Changes of its attributes, and who waits for one.
    pub(crate) events: Mutex<Events>,
    /// Which addresses it answers at.
    pub(crate) regions: Mutex<Vec<Region>>,
}

impl More {
    /// Takes all entries away: the object is leaving, and nobody adds any more.
    pub(crate) fn take_entries(&self) -> Entries {
        let entries = mem::take(&mut *self.entries.write());
        // Relaxed: pairs with `Node::remove`, which it saves the lock.
        self.is_gone.store(true, Ordering::Relaxed);
        entries
    }

    /// Gives the object a group. It is claimed, or nobody knows it yet.
    pub(crate) fn add_group(&self, group: GroupHandle, decision: &Decision, attrs: &[Of]) {
        self.presence.write().add(group, decision, attrs);
        // Relaxed: pairs with `has_groups`; the object is claimed by both.
        self.has_groups.store(true, Ordering::Relaxed);
    }

    /// Whether the object was ever given a group. It is claimed.
    pub(crate) fn has_groups(&self) -> bool {
        // Relaxed: as in `add_group`.
        self.has_groups.load(Ordering::Relaxed)
    }
}

impl Node {
    pub(crate) fn root() -> Self {
        Self::at(Place { name: None, parent: KobjectHandle::null() }, None, false)
    }

    pub(crate) fn new(name: Name, parent: KobjectHandle, ty: Option<TypeHandle>, is_device: bool) -> Self {
        Self::at(Place { name: Some(name), parent }, ty, is_device)
    }

    fn at(first: Place, ty: Option<TypeHandle>, is_device: bool) -> Self {
        Self { first, ty, more: OnceLock::new(), is_moved: AtomicBool::new(false), lock: Mutex::new(()), is_device }
    }

    /// What only some objects have, if this has it.
    #[inline]
    pub(crate) fn more(&self) -> Option<&More> {
        self.more.get().map(|more| &**more)
    }

    pub(crate) fn more_or_new(&self) -> &More {
        self.more.get_or_init(Box::default)
    }

    /// Where it stands. Whoever asks several nodes has to see to it that nothing is moved in between: see
    /// [`Moves`](crate::moves::Moves).
    #[inline]
    pub(crate) fn place(&self) -> Cow<'_, Place> {
        // Acquire: pairs with the Release of `set_place`, which has put a place there; the place itself is under a lock. Who sees
        // it knows what the mover knew, so that this object does not go back to where it was.
        if !self.is_moved.load(Ordering::Acquire) {
            return Cow::Borrowed(&self.first);
        }
        let moved = self.more().and_then(|more| more.place.read().clone());
        moved.map_or(Cow::Borrowed(&self.first), Cow::Owned)
    }

    /// The object is claimed, and [`Moves`](crate::moves::Moves) knows.
    pub(crate) fn set_place(&self, place: Place) {
        *self.more_or_new().place.write() = Some(place);
        // Release: pairs with the Acquire of `place`.
        self.is_moved.store(true, Ordering::Release);
    }

    /// The parent of this node, whose object is `object`; the root's is the root.
    pub(crate) fn parent_of(&self, object: KobjectHandle) -> KobjectHandle {
        let parent = self.place().parent;
        if parent.is_null() { object } else { parent }
    }

    pub(crate) fn child(&self, name: &str) -> Option<Child> {
        self.more()?.entries.read().get(name)
    }

    /// Adds the children that are objects to those that were found, in an order that depends on nothing but which they are.
    pub(crate) fn add_children(&self, found: &mut Vec<KobjectHandle>) {
        let Some(more) = self.more() else { return };
        let before = found.len();
        found.extend(more.entries.read().objects());
        if let Some(children) = found.get_mut(before..) {
            children.sort_unstable_by_key(|object| object.to_bits() as u32);
        }
    }

    pub(crate) fn has_children(&self) -> bool {
        self.more().is_some_and(|more| more.entries.read().has_objects())
    }

    /// Puts an entry into the directory, unless another has the name.
    pub(crate) fn insert(&self, name: Name, child: Child) -> bool {
        self.more_or_new().entries.write().insert(name, child)
    }

    /// Takes the entry away, if it is still the one that is meant.
    pub(crate) fn remove(&self, name: &str, child: Child) -> Option<Name> {
        let more = self.more()?;
        // Relaxed: most often the caller's own. Who does not see it finds no entry.
        if more.is_gone.load(Ordering::Relaxed) {
            return None;
        }
        more.entries.write().remove(name, child)
    }
}
