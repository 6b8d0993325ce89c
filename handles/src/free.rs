//! Which slots are free: never used, or in the queue of those to be used again.

use std::collections::VecDeque;

/// Slots wait in the queue until so many are in it, so that even one object that comes and goes wears many slots.
const SPREAD: usize = 64;

/// The queue is first in, first out: reuse is spread evenly. It stands under a lock, so that a slot which was reserved
/// and then cancelled is pushed like any other and no push can meet a stale head.
#[derive(Debug, Default)]
pub(crate) struct FreeSlots {
    queue: VecDeque<u32>,
    /// The lowest index that was never used.
    fresh: u32,
    retired: usize,
}

impl FreeSlots {
    /// Takes a slot to be used again, or a fresh one below `capacity`.
    pub(crate) fn pop(&mut self, capacity: u32) -> Option<u32> {
        if self.queue.len() > SPREAD || self.fresh == capacity {
            return self.queue.pop_front();
        }
        self.fresh += 1;
        Some(self.fresh - 1)
    }

    pub(crate) fn push(&mut self, index: u32) {
        self.queue.push_back(index);
    }

    /// Counts a slot whose generations are used up: it is never used again.
    pub(crate) fn retire(&mut self) {
        self.retired += 1;
    }

    pub(crate) fn retired(&self) -> usize {
        self.retired
    }

    /// All slots below this index have been used.
    pub(crate) fn fresh(&self) -> u32 {
        self.fresh
    }

    /// Takes back a fresh slot for which no memory was to be had, and gives one that waits, if any does. Where another thread
    /// has taken the next fresh one meanwhile, this one is lost: it is one slot, of an arena that is out of memory.
    pub(crate) fn exchange(&mut self, fresh: u32) -> Option<u32> {
        if self.fresh == fresh + 1 {
            self.fresh = fresh;
        }
        self.queue.pop_front()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_come_back_in_the_order_in_which_they_went() {
        let mut free = FreeSlots::default();
        let used: Vec<u32> = (0..200).map(|_| free.pop(u32::MAX).unwrap()).collect();
        used.iter().for_each(|index| free.push(*index));
        let again: Vec<u32> = (0..100).map(|_| free.pop(u32::MAX).unwrap()).collect();
        assert_eq!(again, used[..100]);
    }

    #[test]
    fn a_full_arena_gives_what_is_in_the_queue_and_then_nothing() {
        let mut free = FreeSlots::default();
        assert_eq!((0..3).map(|_| free.pop(3)).collect::<Vec<_>>(), [Some(0), Some(1), Some(2)]);
        assert_eq!(free.pop(3), None);
        free.push(1);
        assert_eq!((free.pop(3), free.pop(3)), (Some(1), None));
    }

    #[test]
    fn where_there_is_no_memory_for_a_fresh_slot_one_that_waits_is_used() {
        let mut free = FreeSlots::default();
        assert_eq!((free.pop(9), free.pop(9)), (Some(0), Some(1)));
        free.push(0);
        assert_eq!(free.pop(9), Some(2));
        assert_eq!((free.exchange(2), free.exchange(2)), (Some(0), None));
        assert_eq!(free.fresh(), 2);
    }
}
