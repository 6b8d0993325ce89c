//! What has left and still waits for an epoch: counted, dated, and who is in its way.
//!
//! A pin must not cost a clock read. So the domain keeps a clock of its own, of ticks, that goes on whenever garbage is handed
//! to the collector, and knows when that was; a pin only notes the tick.

use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::ThreadId;
use std::time::Instant;

use parking_lot::Mutex;

/// What still waits for an epoch in a domain, and who holds it up. See [`Domain::garbage`](crate::Domain::garbage).
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct Garbage {
    /// Objects that have left, and whose store parts wait to be dropped. What an arena still gathers for its next batch (see
    /// [`Domain::flush`](crate::Domain::flush)) is not among them.
    pub objects: usize,
    /// The threads that hold them up, who has done so for the longest time first. Empty when there are no objects.
    pub pinned: Vec<PinnedThread>,
}

/// A thread whose pin holds up garbage.
///
/// It owns what it tells: it is good when the thread has ended and the domain has gone.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct PinnedThread {
    /// The thread that is pinned.
    pub thread: ThreadId,
    /// The name that it had when it first pinned the domain, if it had one.
    pub name: Option<String>,
    /// It has been pinned since then at least: this is when the first garbage came that its pin holds up, so the pin is older,
    /// but not as old as the garbage before that.
    ///
    /// Where much garbage has come since, a later batch stands for the first one: of the batches since then, one in seven may
    /// be passed over, so this is the later by about as much.
    pub since: Instant,
}

/// How many objects have been handed to the collector, and how many it is done with.
#[derive(Debug, Default)]
pub(crate) struct Waiting {
    handed: AtomicU64,
    reclaimed: AtomicU64,
}

impl Waiting {
    /// Counts a batch that is about to be handed over.
    pub(crate) fn hand_over(&self, objects: usize) {
        // Relaxed: a count; what the batch holds goes through the collector. It comes before the batch's `reclaim`, which the
        // collector orders after the hand-over.
        self.handed.fetch_add(objects as u64, Ordering::Relaxed);
    }

    /// Counts a batch that has been reclaimed.
    pub(crate) fn reclaim(&self, objects: usize) {
        // Release: pairs with the Acquire of `reclaimed`; who sees the count sees the store parts dropped.
        self.reclaimed.fetch_add(objects as u64, Ordering::Release);
    }

    /// All that has ever been handed over.
    pub(crate) fn handed(&self) -> u64 {
        // Relaxed: a count; the caller's own hand-overs, and those that it has heard of, are in it.
        self.handed.load(Ordering::Relaxed)
    }

    /// All that has ever been reclaimed.
    pub(crate) fn reclaimed(&self) -> u64 {
        // Acquire: pairs with the Release of `reclaim`.
        self.reclaimed.load(Ordering::Acquire)
    }

    pub(crate) fn objects(&self) -> usize {
        // In this order, since what was reclaimed has been handed over before.
        let reclaimed = self.reclaimed();
        usize::try_from(self.handed().saturating_sub(reclaimed)).unwrap_or(usize::MAX)
    }
}

/// No tick: who notes it is not pinned.
pub(crate) const NEVER: u64 = 0;

/// Counts ticks, and remembers when they were.
#[derive(Debug)]
pub(crate) struct Clock {
    tick: AtomicU64,
    history: Mutex<History>,
}

impl Clock {
    pub(crate) fn new() -> Self {
        Self { tick: AtomicU64::new(NEVER + 1), history: Mutex::default() }
    }

    /// The tick of now.
    #[inline]
    pub(crate) fn now(&self) -> u64 {
        // Relaxed: for people, and for a flush to tell a pin that stays from one that comes and goes. Pairs with the store of
        // `advance`; nothing is read on the strength of it.
        self.tick.load(Ordering::Relaxed)
    }

    /// The next tick begins. Returns its number.
    pub(crate) fn advance(&self) -> u64 {
        let mut history = self.history.lock();
        let tick = self.now() + 1;
        history.record(tick, Instant::now());
        // Relaxed: as in `now`; the lock keeps two of these apart.
        self.tick.store(tick, Ordering::Relaxed);
        tick
    }

    /// When the first tick after `tick` began, or one soon after it; nothing if there is none yet.
    pub(crate) fn after(&self, tick: u64) -> Option<Instant> {
        let history = self.history.lock();
        history.find(tick + 1, self.now())
    }
}

/// So many ticks are remembered of each level.
const TICKS: u64 = 16;

/// When ticks were. The older they are, the fewer are remembered: level `n` holds the last [`TICKS`] multiples of `1 << n`.
///
/// # Invariants
///
/// There is a level for every power of two up to the last tick.
#[derive(Debug, Default)]
struct History {
    levels: Vec<[Instant; TICKS as usize]>,
}

impl History {
    fn record(&mut self, tick: u64, now: Instant) {
        for level in 0..=tick.trailing_zeros() {
            let instants = match self.levels.get_mut(level as usize) {
                Some(instants) => instants,
                None => {
                    self.levels.push([now; TICKS as usize]);
                    continue;
                }
            };
            instants[((tick >> level) % TICKS) as usize] = now;
        }
    }

    /// When `tick` was; if that is forgotten, the first after it that is not.
    fn find(&self, tick: u64, last: u64) -> Option<Instant> {
        self.levels.iter().enumerate().find_map(|(level, instants)| {
            let (wanted, newest) = (tick.div_ceil(1 << level), last >> level);
            let age = newest.checked_sub(wanted)?;
            (age < TICKS).then(|| instants[(wanted % TICKS) as usize])
        })
    }
}

#[cfg(test)]
mod tests;
