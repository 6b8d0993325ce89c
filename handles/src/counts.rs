//! What a domain counts, for people.
//!
//! Nothing is concluded from these numbers, so a model checker need not see them: the atomics are the standard library's in every build.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::records;

/// What has been counted in all arenas of a domain since it was made. See [`Domain::counts`](crate::Domain::counts).
///
/// Numbers are read one by one while others count on: each is right, and they need not fit each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Counts {
    /// How many look-ups have been refused because their handle was stale.
    pub stale: u64,
    /// How many drains have found somebody inside who stayed, and begun to wait: those of removals, and those under labels.
    pub drains: u64,
    /// How many drains wait now.
    pub drains_now: u64,
    /// How long the longest has waited that is over, be it because its deadline came.
    pub longest_drain: Duration,
}

/// So many cache lines are shared by all threads that count what happens often.
const LINES: usize = 8;

/// On cache lines of its own.
#[derive(Debug, Default)]
#[repr(align(128))]
struct Line(AtomicU64);

/// Counts as they are kept. Who looks up what is there writes to none of them.
#[derive(Default)]
pub(crate) struct Tally {
    stale: [Line; LINES],
    drains: Line,
    drains_over: AtomicU64,
    longest: AtomicU64,
}

impl Tally {
    /// A look-up is refused.
    #[cold]
    pub(crate) fn stale(&self) {
        let line = &self.stale[records::own_number() as usize % LINES].0;
        // Relaxed: a count for people.
        line.fetch_add(1, Ordering::Relaxed);
    }

    /// A drain begins to wait, unless its deadline has come. It ends with the answer.
    pub(crate) fn begin(&self, deadline: Option<Instant>) -> Option<Waiting<'_>> {
        let since = Instant::now();
        if deadline.is_some_and(|deadline| deadline <= since) {
            return None;
        }
        // Relaxed: a count for people.
        self.drains.0.fetch_add(1, Ordering::Relaxed);
        Some(Waiting { tally: self, since })
    }

    pub(crate) fn counts(&self) -> Counts {
        // Acquire: pairs with the Release of `Waiting::drop`. Asked first, so that no more are over than have begun.
        let over = self.drains_over.load(Ordering::Acquire);
        // Relaxed: as above.
        let drains = self.drains.0.load(Ordering::Relaxed);
        // Relaxed: as above.
        let longest = self.longest.load(Ordering::Relaxed);
        // Relaxed: as above.
        let stale = self.stale.iter().map(|line| line.0.load(Ordering::Relaxed)).sum();
        let drains_now = drains.saturating_sub(over);
        Counts { stale, drains, drains_now, longest_drain: Duration::from_nanos(longest) }
    }
}

impl fmt::Debug for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.counts().fmt(f)
    }
}

/// A drain that waits.
#[derive(Debug)]
pub(crate) struct Waiting<'a> {
    tally: &'a Tally,
    since: Instant,
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        let nanos = u64::try_from(self.since.elapsed().as_nanos()).unwrap_or(u64::MAX);
        // Relaxed: a maximum for people.
        self.tally.longest.fetch_max(nanos, Ordering::Relaxed);
        // Release: pairs with the Acquire of `counts`: who sees that it is over sees that it had begun, and how long it took.
        self.tally.drains_over.fetch_add(1, Ordering::Release);
    }
}
