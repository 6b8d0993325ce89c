//! What is known of an object beside its payload, in one word, so that a visitor learns all of it with one load.

use crate::sync::atomic::{AtomicU64, Ordering, fence};

/// Not everything is as the type of the object says.
const CHANGED: u64 = 1 << 0;
/// An attribute of the object has been opened.
const WATCHED: u64 = 1 << 1;
/// Observers are still to be told of the object as a new one.
const UNTOLD: u64 = 1 << 2;
/// One more in the rest of the word: how many changes of attributes have been made known. They do not come to 2^61.
const EVENT: u64 = 1 << 3;

/// The word. Nothing but [`UNTOLD`] is ever taken back from it.
#[derive(Debug, Default)]
pub(crate) struct State(AtomicU64);

/// The word as it was at one moment.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Known(u64);

impl State {
    /// To be asked inside the object.
    #[inline]
    pub(crate) fn get(&self) -> Known {
        // Acquire: pairs with the Release of `count`: who sees an event sees what it tells of. With `set_changed` the drain's barrier
        // decides: who has entered before it is waited for, who enters later sees the bit.
        Known(self.0.load(Ordering::Acquire))
    }

    /// Says that there is something to be looked up. What is to be found there has been written.
    pub(crate) fn set_changed(&self) {
        // Release: pairs with the Acquire of `get`.
        self.0.fetch_or(CHANGED, Ordering::Release);
    }

    /// Says that somebody may read an attribute of the object from now on, and poll it.
    pub(crate) fn set_watched(&self) {
        if self.get().0 & WATCHED == 0 {
            // Relaxed: pairs with `is_watched`; the fence orders it.
            self.0.fetch_or(WATCHED, Ordering::Relaxed);
        }
        // Between the bit and the first read of an attribute's data. Either whoever changes the data and then asks `is_watched` sees the
        // bit, or the read sees the change.
        fence(Ordering::SeqCst);
    }

    /// Whether anybody may have read an attribute before what the caller has just changed.
    pub(crate) fn is_watched(&self) -> bool {
        // The other side of the fence in `set_watched`.
        fence(Ordering::SeqCst);
        // Relaxed: the fences decide.
        self.0.load(Ordering::Relaxed) & WATCHED != 0
    }

    /// Says that observers are to be told of the object. Nobody knows it yet.
    pub(crate) fn set_untold(&self) {
        // Relaxed: the object's publication orders it.
        self.0.fetch_or(UNTOLD, Ordering::Relaxed);
    }

    /// Says that observers are being told of the object. To be called inside it.
    pub(crate) fn set_told(&self) {
        // Relaxed: who asks has drained the object, and so comes after who is inside.
        self.0.fetch_and(!UNTOLD, Ordering::Relaxed);
    }

    /// Whether observers were to be told of the object, and never were. To be asked when nobody is inside any more.
    pub(crate) fn is_untold(&self) -> bool {
        // Relaxed: as in `set_told`.
        self.0.load(Ordering::Relaxed) & UNTOLD != 0
    }

    /// Counts an event, and returns the new count.
    pub(crate) fn count(&self) -> u64 {
        // Release: pairs with the Acquire of `get`; what is told of comes before.
        let before = self.0.fetch_add(EVENT, Ordering::Release);
        Known(before).events() + 1
    }
}

impl Known {
    #[inline]
    pub(crate) fn is_changed(self) -> bool {
        self.0 & CHANGED != 0
    }

    /// How many events there have been.
    #[inline]
    pub(crate) fn events(self) -> u64 {
        self.0 / EVENT
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bits_and_count_do_not_meet() {
        let state = State::default();
        state.set_untold();
        assert_eq!((state.is_watched(), state.get().is_changed(), state.count()), (false, false, 1));
        state.set_watched();
        assert!(state.is_watched() && !state.get().is_changed());
        assert_eq!([state.count(), state.count()], [2, 3]);
        state.set_changed();
        assert!(state.is_watched() && state.get().is_changed() && state.is_untold());
        state.set_told();
        assert!(state.is_watched() && state.get().is_changed() && !state.is_untold());
        assert_eq!(state.get().events(), 3);
    }
}
