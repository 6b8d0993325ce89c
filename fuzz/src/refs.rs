//! Owned references, which borrow no world and may outlive it.

use std::fmt;
use std::sync::Arc;

use enodev_handles::{Label, Owned};

use crate::model::{Book, Stamp};
use crate::object::{Payload, StorePart, ThingHandle};
use crate::open::place;
use crate::tally::{Situation, Tally};
use crate::world::World;

/// Owned references held at once.
const REFS_MAX: usize = 12;

struct Held {
    reference: Owned<StorePart, Payload>,
    stamp: Stamp,
    label: Label,
    book: Arc<Book>,
}

/// Those of all worlds, also of those that have ended.
#[derive(Default)]
pub(crate) struct Refs {
    held: Vec<Held>,
    pub(crate) tally: Tally,
}

impl Refs {
    pub(crate) fn enter(&mut self, handle: ThingHandle, label: Label, world: &World) {
        if self.held.len() == REFS_MAX {
            return;
        }
        let expected = world.model().live(handle.to_bits());
        let got = world.arena.enter_owned(handle, label);
        let stamp = got.as_ref().map(|reference| *reference.stamp()).map_err(|stale| *stale);
        world.same(|| format!("enter_owned {handle:?}"), stamp, expected);
        if let (Ok(reference), Ok(stamp)) = (got, expected) {
            world.model().stay(stamp, label);
            self.held.push(Held { reference, stamp, label, book: Arc::clone(world.book()) });
        }
    }

    /// Drops one. Returns its world's book, which may have been closed.
    pub(crate) fn leave(&mut self, reference: u8) -> Option<Arc<Book>> {
        let Held { reference, stamp, label, book } = self.held.swap_remove(place(reference, self.held.len())?);
        let (was_orphan, is_last) = {
            let mut model = book.model();
            (model.end_stay(stamp, label), !model.is_stayed_in(stamp))
        };
        drop(reference);
        if was_orphan {
            self.tally.note(if is_last { Situation::OwnedLast } else { Situation::OwnedEarlier });
            let due = book.model().payloads_due();
            book.same(|| "payloads left with the last reference".into(), due, 0);
        }
        Some(book)
    }

    /// Compares what can be seen through the references. Returns the books of their worlds.
    pub(crate) fn check(&self) -> impl Iterator<Item = &Arc<Book>> {
        self.held.iter().map(|Held { reference, stamp, book, .. }| {
            book.same(|| "a payload with an owned reference".into(), reference.stamp(), stamp);
            book
        })
    }
}

impl fmt::Debug for Refs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Refs").field("held", &self.held.len()).finish_non_exhaustive()
    }
}
