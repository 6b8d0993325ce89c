use std::fmt;

use crate::arena::Arena;
use crate::blocker::{Blocker, Visitor};
use crate::domain::Pin;
use crate::drain::{Marked, note};
use crate::error::RemoveError;
use crate::handle::{Handle, Kind};
use crate::version::Version;

impl<K, S, P> Arena<K, S, P>
where
    K: Kind,
    S: Send + Sync + 'static,
    P: Send + Sync + 'static,
{
    /// The objects alive, each with its store part.
    ///
    /// Neither blocks anybody nor is blocked. An object that is there during the whole walk is met exactly once; one that
    /// comes or leaves meanwhile, once or not at all. What is yielded was alive when it was met.
    ///
    /// # Panics
    ///
    /// If the pin is of another domain.
    pub fn iter<'a>(&'a self, pin: &'a Pin<'_>) -> Iter<'a, K, S, P> {
        pin.check(&self.domain);
        Iter { arena: self, pin, indices: 0..self.slots.fresh() }
    }

    /// The objects that are leaving at this moment.
    pub fn leaving(&self) -> Vec<Handle<K>> {
        let leaving = |index| Some(Handle::new(index, live(self.slots.slot(index).ok()?.version())?));
        (0..self.slots.fresh()).filter_map(leaving).collect()
    }

    /// Who is inside at this moment, be the objects alive, leaving or gone; inside one that has gone nobody ever is, so that whoever looks
    /// for what is wrong can say so. Those who only come and go, and are refused, are left out as far as a short look can tell.
    ///
    /// # Errors
    ///
    /// [`RemoveError::Barrier`].
    pub fn visitors(&self) -> Result<Vec<Blocker<K>>, RemoveError> {
        let mut slots: Vec<_> =
            (0..self.slots.fresh()).filter_map(|index| Some((self.slots.slot(index).ok()?.address(), index))).collect();
        slots.sort_unstable();
        let addresses: Vec<_> = slots.iter().map(|(address, _)| *address).collect();
        let all = Marked { addresses: &addresses, fences: self.slots.fences, stays: &self.slots.stays, tally: None };
        let mut seen = Vec::new();
        note(&mut seen, &all.visitors()?);
        let mut found = Vec::new();
        for (address, index) in slots {
            let visitors = Visitor::at(address, &seen, &self.slots.stays);
            if visitors.is_empty() {
                continue;
            }
            let version = self.slots.slot(index).map_or(Version::vacant(0), |slot| slot.version());
            let object = Handle::new(index, live(version).unwrap_or(version));
            found.extend(visitors.into_iter().map(|visitor| Blocker { object, visitor }));
        }
        Ok(found)
    }
}

/// The version of a slot's object while that was alive, if it is leaving.
fn live(version: Version) -> Option<Version> {
    (version.tag() != 0 && !version.is_live()).then(|| Version::live(version.tag(), version.generation()))
}

/// A walk over an arena. See [`Arena::iter`].
pub struct Iter<'a, K, S: 'static, P> {
    arena: &'a Arena<K, S, P>,
    pin: &'a Pin<'a>,
    indices: std::ops::Range<u32>,
}

impl<'a, K, S, P> Iterator for Iter<'a, K, S, P>
where
    K: Kind,
    S: Send + Sync + 'static,
    P: Send + Sync + 'static,
{
    type Item = (Handle<K>, &'a S);

    fn next(&mut self) -> Option<Self::Item> {
        let arena = self.arena;
        self.indices.by_ref().find_map(|index| {
            let word = arena.slots.slot(index).ok()?.version();
            let handle = Handle::new(index, word);
            word.is_live().then(|| arena.get(self.pin, handle).ok().map(|store| (handle, store)))?
        })
    }
}

impl<K, S, P> fmt::Debug for Iter<'_, K, S, P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Iter").field("left", &self.indices).finish_non_exhaustive()
    }
}
