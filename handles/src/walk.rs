use std::fmt;

use crate::arena::Arena;
use crate::domain::Pin;
use crate::handle::{Handle, Kind};

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
