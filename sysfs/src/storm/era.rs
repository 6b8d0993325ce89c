//! What the thread that unplugs knows of each unit, told to those who judge answers.

use std::sync::atomic::{AtomicU64, Ordering, fence};

/// A moment in the life of a unit. Each incarnation is in, then leaving, then out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Era(u64);

/// Phases of one incarnation.
const PHASES: u64 = 3;
/// From here on its removal has returned.
const OUT: u64 = 2;

impl Era {
    /// The incarnation that is in, if it is in for certain.
    pub(super) fn incarnation(self) -> Option<u64> {
        (self.0 % PHASES == 0).then_some(self.0 / PHASES)
    }

    /// The incarnation that comes next.
    pub(super) fn next(self) -> u64 {
        self.0 / PHASES + 1
    }

    /// Whether the removal of an incarnation had returned.
    pub(super) fn is_after(self, incarnation: u64) -> bool {
        self.0 >= incarnation * PHASES + OUT
    }
}

/// The eras of all units, by their places in the plan. One more is for what is never unplugged.
pub(super) struct Eras(Vec<AtomicU64>);

impl Eras {
    pub(super) fn new(units: usize) -> Self {
        Self((0..=units).map(|_| AtomicU64::new(0)).collect())
    }

    /// The era of a unit, not older than what this thread has seen of the unit itself.
    pub(super) fn of(&self, unit: usize) -> Era {
        // Acquire: a failed upgrade of a `Weak` is no acquire by itself; pairs with the Release of the count that it saw.
        fence(Ordering::Acquire);
        // Acquire: pairs with the Release of `advance`; what the store did before is seen.
        Era(self.0[unit].load(Ordering::Acquire))
    }

    /// Goes on to the next phase of a unit: before it is unplugged, when it is out, and when it is in again.
    pub(super) fn advance(&self, unit: usize) -> Era {
        // Release: pairs with the Acquire of `of`. What follows is a removal or nothing: who sees its mark sees this too.
        Era(self.0[unit].fetch_add(1, Ordering::Release) + 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_incarnation_is_in_then_leaves_then_is_out_and_the_next_comes_in() {
        let eras = Eras::new(1);
        let first = eras.of(0);
        assert_eq!((first.incarnation(), first.is_after(0)), (Some(0), false));
        let leaving = eras.advance(0);
        assert_eq!((leaving.incarnation(), leaving.is_after(0)), (None, false));
        let out = eras.advance(0);
        assert_eq!((out.incarnation(), out.is_after(0), out.is_after(1)), (None, true, false));
        assert_eq!(out.next(), 1);
        let second = eras.advance(0);
        assert_eq!((second.incarnation(), second.is_after(0), second.is_after(1)), (Some(1), true, false));
        // The other place is that of what is never unplugged.
        assert_eq!(eras.of(1), first);
    }
}
