//! Which slots are free: never used, or in a queue of those to be used again.
//!
//! A thread takes slots from a shelf and puts them back on one; there are several, so that threads do not meet. What a shelf
//! has too many of goes to a depot that all share, and what it lacks comes from there: so slots that one thread takes
//! and another gives back do not pile up.

use std::collections::VecDeque;

use crate::sync::Mutex;

/// Slots wait in a shelf's queue until more than so many are in it, so that even one object that comes and goes wears many
/// slots. So many go to the depot, or come from there, at once.
pub(crate) const BATCH: usize = if cfg!(any(loom, shuttle)) { 1 } else { 64 };

/// What the threads that share a shelf have at hand.
///
/// Queues are first in, first out: reuse is spread evenly. They stand under a lock, so that a slot which was reserved
/// and then cancelled is pushed like any other and no push can meet a stale head.
#[derive(Debug, Default)]
pub(crate) struct Shelf {
    queue: VecDeque<u32>,
    /// Never used.
    fresh: std::ops::Range<u32>,
    /// Never used, and there was no memory for them.
    bare: Vec<u32>,
    pub(crate) limbo: Limbo,
    /// Slots taken, less those given back here: the sum over all shelves is how many are held.
    pub(crate) held: isize,
}

/// Retired slots whose store parts wait for an epoch, to be handed to the collector together. They come back to the shelf that
/// they leave, whoever reclaims them: its threads have them in their caches.
#[derive(Debug, Default)]
pub(crate) struct Limbo {
    pub(crate) indices: Vec<u32>,
    /// The generations of some of them are used up.
    pub(crate) has_worn: bool,
    /// The number of the shelf.
    pub(crate) shelf: usize,
}

impl Limbo {
    /// Takes all that is in it.
    pub(crate) fn take(&mut self, shelf: usize) -> Self {
        let next = Self { indices: Vec::with_capacity(self.indices.len().min(BATCH)), ..Self::default() };
        Self { shelf, ..std::mem::replace(self, next) }
    }
}

/// What all shelves share.
#[derive(Debug, Default)]
pub(crate) struct Depot {
    stock: Mutex<Stock>,
}

#[derive(Debug, Default)]
struct Stock {
    queue: VecDeque<u32>,
    /// All indices below this have been given to shelves.
    fresh: u32,
    retired: usize,
}

impl Depot {
    /// All slots that have ever been used stand below this index.
    pub(crate) fn fresh(&self) -> u32 {
        self.stock.lock().fresh
    }

    /// How many slots are never used again.
    pub(crate) fn retired(&self) -> usize {
        self.stock.lock().retired
    }

    /// Counts a slot whose generations are used up.
    pub(crate) fn retire(&self) {
        self.stock.lock().retired += 1;
    }

    /// Gives a shelf something to take: slots to be used again if there are enough of them, or fresh ones below `capacity`, or
    /// whatever there is.
    fn restock(&self, shelf: &mut Shelf, capacity: u32) {
        let mut stock = self.stock.lock();
        if stock.queue.len() >= BATCH || stock.fresh == capacity {
            let count = stock.queue.len().min(BATCH);
            shelf.queue.extend(stock.queue.drain(..count));
            return;
        }
        let end = stock.fresh.saturating_add(BATCH as u32).min(capacity);
        shelf.fresh = stock.fresh..end;
        stock.fresh = end;
    }
}

impl Shelf {
    /// Takes a slot to be used again, or a fresh one below `capacity`.
    pub(crate) fn pop(&mut self, depot: &Depot, capacity: u32) -> Option<u32> {
        if self.queue.len() <= BATCH && self.fresh.is_empty() && self.bare.is_empty() {
            depot.restock(self, capacity);
        }
        if self.queue.len() > BATCH {
            return self.queue.pop_front();
        }
        self.bare.pop().or_else(|| self.fresh.next()).or_else(|| self.queue.pop_front())
    }

    /// Puts a vacant slot back.
    pub(crate) fn push(&mut self, depot: &Depot, index: u32) {
        self.queue.push_back(index);
        if self.queue.len() > 3 * BATCH {
            depot.stock.lock().queue.extend(self.queue.drain(..BATCH));
        }
    }

    /// Takes back a fresh slot for which there is no memory, and gives one that waits, if any does.
    pub(crate) fn exchange(&mut self, fresh: u32) -> Option<u32> {
        self.bare.push(fresh);
        self.queue.pop_front()
    }

    /// Gives all slots that wait, for another shelf that has none.
    pub(crate) fn empty(&mut self) -> impl Iterator<Item = u32> {
        self.queue.drain(..)
    }
}

#[cfg(all(test, not(any(loom, shuttle))))]
mod tests {
    use super::*;

    #[test]
    fn slots_come_back_in_the_order_in_which_they_went() {
        let (depot, mut shelf) = (Depot::default(), Shelf::default());
        let used: Vec<u32> = (0..200).map(|_| shelf.pop(&depot, u32::MAX).unwrap()).collect();
        used.iter().for_each(|index| shelf.push(&depot, *index));
        let fresh = 200..256;
        let again: Vec<u32> =
            (0..128).map(|_| shelf.pop(&depot, u32::MAX).unwrap()).filter(|i| !fresh.contains(i)).collect();
        let mut sorted = again.clone();
        sorted.sort_unstable();
        assert!(again.len() > 60 && again == sorted, "{again:?}");
    }

    /// However often: as few slots as have to wait, and these evenly.
    #[test]
    fn one_slot_after_another_wears_as_many_as_wait_and_one_more() {
        let (depot, mut shelf) = (Depot::default(), Shelf::default());
        let mut uses = vec![0; 4 * BATCH];
        for _ in 0..100 * (BATCH + 1) {
            let index = shelf.pop(&depot, u32::MAX).unwrap();
            uses[index as usize] += 1;
            shelf.push(&depot, index);
        }
        let used: Vec<i32> = uses.into_iter().filter(|uses| *uses > 0).collect();
        assert_eq!(used.len(), BATCH + 1);
        assert!(used.iter().all(|uses| (99..=101).contains(uses)), "{used:?}");
    }

    #[test]
    fn a_full_arena_gives_what_is_in_the_queue_and_then_nothing() {
        let (depot, mut shelf) = (Depot::default(), Shelf::default());
        assert_eq!((0..3).map(|_| shelf.pop(&depot, 3)).collect::<Vec<_>>(), [Some(0), Some(1), Some(2)]);
        assert_eq!(shelf.pop(&depot, 3), None);
        shelf.push(&depot, 1);
        assert_eq!((shelf.pop(&depot, 3), shelf.pop(&depot, 3)), (Some(1), None));
    }

    #[test]
    fn where_there_is_no_memory_for_a_fresh_slot_one_that_waits_is_used() {
        let (depot, mut shelf) = (Depot::default(), Shelf::default());
        assert_eq!((shelf.pop(&depot, 9), shelf.pop(&depot, 9)), (Some(0), Some(1)));
        shelf.push(&depot, 0);
        assert_eq!(shelf.pop(&depot, 9), Some(2));
        assert_eq!(shelf.exchange(2), Some(0));
        assert_eq!(shelf.pop(&depot, 9), Some(2));
    }

    #[test]
    fn a_slot_without_memory_that_comes_back_late_brings_no_other_back() {
        let (depot, mut shelf) = (Depot::default(), Shelf::default());
        let taken: Vec<u32> = (0..3).map(|_| shelf.pop(&depot, 9).unwrap()).collect();
        assert_eq!(shelf.exchange(taken[0]), None);
        let again: Vec<u32> = std::iter::from_fn(|| shelf.pop(&depot, 9)).collect();
        assert!(again.contains(&taken[0]) && !again.contains(&taken[1]) && !again.contains(&taken[2]), "{again:?}");
    }

    #[test]
    fn what_one_shelf_gives_back_another_uses_again() {
        let depot = Depot::default();
        let (mut taker, mut giver) = (Shelf::default(), Shelf::default());
        for _ in 0..10_000 {
            let index = taker.pop(&depot, u32::MAX).unwrap();
            giver.push(&depot, index);
        }
        assert!(depot.fresh() <= 8 * BATCH as u32, "{} slots for one at a time", depot.fresh());
    }
}
