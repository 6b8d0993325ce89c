//! Removals that have begun and that nobody is at.

use std::collections::VecDeque;

use enodev_handles::RemoveError;

use super::{Model, Stamp};
use crate::tally::Situation;

/// Handles of objects that were marked together, in that order.
pub(crate) type Batch = Vec<u64>;

#[derive(Debug, Default)]
pub(super) struct Unfinished {
    /// In the order in which they were given up.
    given_up: Vec<Batch>,
    /// In the order in which that was asked for.
    deferred: Vec<Batch>,
    /// What is being reaped, by reaps inside one another: batches with nobody in the way, in order. The first one's payloads
    /// are being dropped.
    reaping: Vec<VecDeque<Batch>>,
}

impl Model {
    /// Nobody is at the batch any more.
    pub(crate) fn give_up(&mut self, batch: Batch) {
        if !batch.is_empty() {
            self.unfinished.given_up.push(batch);
        }
    }

    pub(crate) fn has_given_up(&self) -> bool {
        !self.unfinished.given_up.is_empty()
    }

    pub(crate) fn take_given_up(&mut self) -> Vec<Batch> {
        std::mem::take(&mut self.unfinished.given_up)
    }

    /// Whether this thread is inside one of the objects.
    pub(crate) fn is_inside_any(&self, batch: &[u64]) -> bool {
        self.stamps(batch).any(|stamp| self.is_inside(stamp))
    }

    /// Whether there is an owned reference to one of the objects.
    pub(crate) fn is_stayed_in_any(&self, batch: &[u64]) -> bool {
        self.stamps(batch).any(|stamp| self.is_stayed_in(stamp))
    }

    fn stamps<'b>(&self, batch: &'b [u64]) -> impl Iterator<Item = Stamp> + use<'_, 'b> {
        batch.iter().filter_map(|bits| self.readable(*bits).ok())
    }

    /// A reap begins. Returns how many objects will go. The payload of one of them may be wanted: then it is handed out.
    pub(crate) fn begin_reap(&mut self, by: Situation, wanted: Option<u64>) -> usize {
        let mut quiet = VecDeque::new();
        if self.pins == 0 {
            for batch in self.take_given_up() {
                if self.is_inside_any(&batch) || self.is_stayed_in_any(&batch) {
                    self.tally.note(Situation::ReapBlocked);
                    self.unfinished.given_up.push(batch);
                } else {
                    quiet.push_back(batch);
                }
            }
        }
        for bits in quiet.iter().flatten() {
            self.tally.note(by);
            let Ok(stamp) = self.readable(*bits) else { continue };
            self.store_due(stamp);
            if Some(*bits) == wanted {
                self.payload_taken(stamp);
            } else {
                self.payload_due(stamp);
            }
        }
        let count = quiet.iter().map(Vec::len).sum();
        self.unfinished.reaping.push(quiet);
        count
    }

    pub(crate) fn end_reap(&mut self) {
        let reaped = self.unfinished.reaping.pop();
        reaped.into_iter().flatten().flatten().for_each(|bits| self.gone(bits));
    }

    /// A payload is dropped: if that is a reap's doing, the batches before its own have gone.
    pub(super) fn reap_on(&mut self, bits: u64) {
        let holds = |batch: &Batch| batch.contains(&bits);
        let Some(depth) = self.unfinished.reaping.iter().position(|reap| reap.iter().any(holds)) else { return };
        while !self.unfinished.reaping[depth].front().is_none_or(holds) {
            let Some(batch) = self.unfinished.reaping[depth].pop_front() else { return };
            for bits in batch {
                if self.readable(bits).is_ok_and(|stamp| self.is_payload_due(stamp)) {
                    self.complain(format!("{bits:#x} of an earlier batch is not reaped before a later one"));
                }
                self.gone(bits);
            }
        }
    }

    /// The batch is to be finished by a leave, or at once.
    pub(crate) fn defer(&mut self, batch: Batch) {
        self.unfinished.deferred.push(batch);
    }

    /// No leave will finish them.
    pub(super) fn give_up_deferred(&mut self) {
        let Unfinished { given_up, deferred, .. } = &mut self.unfinished;
        given_up.append(deferred);
    }

    pub(crate) fn is_deferred(&self, batch: &Batch) -> bool {
        self.unfinished.deferred.contains(batch)
    }

    /// The batches that a leave of the object finishes, which has just been made.
    pub(crate) fn deferred_until(&self, stamp: Stamp) -> Vec<Batch> {
        let bits = self.objects[stamp].bits;
        let is_due = |batch: &&Batch| batch.contains(&bits) && !self.is_inside_any(batch);
        self.unfinished.deferred.iter().filter(is_due).cloned().collect()
    }

    /// The store finishes a deferred batch. Returns what draining it comes to.
    pub(crate) fn begin_deferred(&mut self, batch: &Batch) -> Result<(), RemoveError> {
        match self.unfinished.deferred.iter().position(|deferred| deferred == batch) {
            Some(place) => drop(self.unfinished.deferred.remove(place)),
            None => self.complain(format!("{batch:x?} is finished, and was not deferred")),
        }
        self.draining(batch)
    }

    /// The world's end takes it all.
    pub(super) fn close_unfinished(&mut self) {
        self.unfinished.given_up.drain(..).for_each(|_| self.tally.note(Situation::GivenUpAtEnd));
        self.unfinished.deferred.drain(..).for_each(|_| self.tally.note(Situation::DeferredAtEnd));
    }
}
