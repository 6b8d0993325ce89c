use std::fmt;
use std::ops::Deref;
use std::thread::ThreadId;
use std::time::Instant;

use crate::batch::Batch;
use crate::drain::Seen;
use crate::handle::{Handle, Kind};
use crate::label::Label;
use crate::owned::Stays;
use crate::records::{self, Owner};
use crate::slots::Slots;

/// Somebody who is inside, and holds a drain up: of an object ([`Blocker`]), or of a [`Gate`](crate::Gate).
#[derive(Clone)]
pub struct Visitor {
    /// What the one inside does, as it said when it entered.
    pub label: Label,
    /// The thread that is inside; of an owned reference, the one that made it. None if it was not known, or has ended.
    pub thread: Option<ThreadId>,
    /// The thread's name, as it was when it first entered anything.
    pub name: Option<Box<str>>,
    /// Since when it has been seen inside; of an owned reference, when that was made.
    pub since: Instant,
    /// Whether it is an owned reference.
    pub is_owned: bool,
}

impl Visitor {
    /// Those who have been seen inside at an address, then those who stay there.
    pub(crate) fn at(address: usize, seen: &[Seen], stays: &Stays) -> Vec<Self> {
        let seen = seen.iter().filter(|seen| seen.occupant.address() == address);
        let inside = seen.map(|Seen { occupant, since }| {
            let owner = records::owner(occupant.thread());
            Self::new(Label::from_number(occupant.label()), owner, *since, false)
        });
        let owned = stays.of(address).into_iter();
        inside.chain(owned.map(|stay| Self::new(stay.label, Some(stay.owner), stay.since, true))).collect()
    }

    fn new(label: Label, owner: Option<Owner>, since: Instant, is_owned: bool) -> Self {
        let (thread, name) = owner.map_or((None, None), |owner| (Some(owner.id), owner.name));
        Self { label, thread, name, since, is_owned }
    }
}

impl fmt::Debug for Visitor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Visitor")
            .field("label", &self.label.text())
            .field("thread", &self.thread)
            .field("name", &self.name)
            .field("is_owned", &self.is_owned)
            .finish_non_exhaustive()
    }
}

/// "show, in thread 'vcpu0', for 1.2s".
impl fmt::Display for Visitor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (label, name) = (self.label.text(), self.name.as_deref().unwrap_or("?"));
        let label = if label.is_empty() { "somebody" } else { label };
        let how = if self.is_owned { "from" } else { "in" };
        write!(f, "{label}, {how} thread '{name}', for {:.1?}", self.since.elapsed())
    }
}

/// Somebody who is inside an object that is leaving, and holds its removal up. The visitor's fields can be read as this one's.
pub struct Blocker<K> {
    /// The object.
    pub object: Handle<K>,
    /// Who is inside.
    pub visitor: Visitor,
}

impl<K: Kind> Blocker<K> {
    pub(crate) fn of<S, P>(slots: &Slots<S, P>, marked: &Batch, seen: &[Seen]) -> Vec<Self> {
        let mut found = Vec::new();
        for (index, version) in marked.iter() {
            let Ok(slot) = slots.slot(index) else { continue };
            let object = Handle::new(index, version);
            let visitors = Visitor::at(slot.address(), seen, &slots.stays);
            found.extend(visitors.into_iter().map(|visitor| Self { object, visitor }));
        }
        found
    }
}

// By hand: a kind need not be `Clone`.
impl<K> Clone for Blocker<K> {
    fn clone(&self) -> Self {
        Self { object: self.object, visitor: self.visitor.clone() }
    }
}

impl<K> Deref for Blocker<K> {
    type Target = Visitor;

    fn deref(&self) -> &Visitor {
        &self.visitor
    }
}

impl<K: Kind> fmt::Debug for Blocker<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Blocker").field("object", &self.object).field("visitor", &self.visitor).finish()
    }
}

/// "Device(3v5): show, in thread 'vcpu0', for 1.2s".
impl<K: Kind> fmt::Display for Blocker<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}: {}", self.object, self.visitor)
    }
}
