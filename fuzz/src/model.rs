//! What must be true of one world, kept in plain maps.

mod issued;
mod parts;
mod unfinished;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};

use enodev_handles::{RemoveError, Stale};

use crate::tally::{Situation, Tally};

pub(crate) use issued::Issued;
use issued::Slots;
use parts::Object;
pub(crate) use unfinished::Batch;
use unfinished::Unfinished;

/// The number of an object in its world. Both of its parts carry it.
pub(crate) type Stamp = usize;

/// The model, where the parts of objects find it as they are dropped.
#[derive(Debug)]
pub(crate) struct Book(Mutex<Model>);

impl Book {
    pub(crate) fn new(generations: u32, issued: &Issued) -> Self {
        Self(Mutex::new(Model::new(generations, issued.clone())))
    }

    /// Not to be held across a call of the store: what it drops asks for it too.
    pub(crate) fn model(&self) -> MutexGuard<'_, Model> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Complains unless the store's answer is the model's.
    pub(crate) fn same<A: PartialEq + fmt::Debug>(&self, what: impl FnOnce() -> String, got: A, expected: A) {
        if got != expected {
            self.model().complain(format!("{}: {got:?}, and not {expected:?}", what()));
        }
    }
}

#[derive(Debug)]
pub(crate) struct Model {
    objects: Vec<Object>,
    live: BTreeMap<u64, Stamp>,
    /// Marked, and still with a slot.
    leaving: BTreeMap<u64, Stamp>,
    unfinished: Unfinished,
    /// Also those that were forgotten.
    reserved: BTreeSet<u64>,
    /// Handles that were good, or might have become so, and never will be.
    dead: Vec<u64>,
    slots: Slots,
    pins: usize,
    /// Payloads whose objects have left. None, when an operation is over.
    payloads_due: usize,
    /// Store parts whose objects have left.
    stores_due: usize,
    /// Removals inside payloads' drops, nested.
    depth: usize,
    complaints: Vec<String>,
    pub(crate) tally: Tally,
}

impl Model {
    fn new(generations: u32, issued: Issued) -> Self {
        Self {
            objects: Vec::new(),
            live: BTreeMap::new(),
            leaving: BTreeMap::new(),
            unfinished: Unfinished::default(),
            reserved: BTreeSet::new(),
            dead: Vec::new(),
            slots: Slots::new(generations, issued),
            pins: 0,
            payloads_due: 0,
            stores_due: 0,
            depth: 0,
            complaints: Vec::new(),
            tally: Tally::default(),
        }
    }

    pub(crate) fn complain(&mut self, complaint: String) {
        self.complaints.push(complaint);
    }

    pub(crate) fn complaints(&self) -> &[String] {
        &self.complaints
    }

    /// The object that a handle names, if it is alive.
    pub(crate) fn live(&self, bits: u64) -> Result<Stamp, Stale> {
        self.live.get(&bits).copied().ok_or(Stale)
    }

    /// The object that a handle names, alive or leaving.
    pub(crate) fn readable(&self, bits: u64) -> Result<Stamp, Stale> {
        self.live(bits).or_else(|Stale| self.leaving.get(&bits).copied().ok_or(Stale))
    }

    /// What marking an object comes to.
    pub(crate) fn marking(&mut self, bits: u64) -> Result<Stamp, RemoveError> {
        let refused = match self.live(bits) {
            _ if self.pins > 0 => RemoveError::Pinned,
            Ok(stamp) => return Ok(stamp),
            Err(Stale) if self.is_leaving(bits) => RemoveError::Leaving,
            Err(Stale) => RemoveError::Stale(Stale),
        };
        self.note_refusal(refused);
        Err(refused)
    }

    /// What a removal comes to, when that which had been given up is done with.
    fn removal(&mut self, bits: u64) -> Result<Stamp, RemoveError> {
        if !self.readable(bits).is_ok_and(|stamp| self.is_inside(stamp)) {
            return self.marking(bits);
        }
        let refused = if self.is_leaving(bits) { RemoveError::Leaving } else { RemoveError::Inside };
        self.note_refusal(refused);
        Err(refused)
    }

    /// Removes an object, and hands its payload out, if it can be removed.
    pub(crate) fn remove(&mut self, bits: u64) -> Result<Stamp, RemoveError> {
        let stamp = self.removal(bits)?;
        self.mark(bits);
        self.payload_taken(stamp);
        self.store_due(stamp);
        self.gone(bits);
        Ok(stamp)
    }

    /// What draining a batch comes to, by a deadline if there are owned references: the thread would wait for its own.
    pub(crate) fn draining(&mut self, batch: &[u64]) -> Result<(), RemoveError> {
        let refused = if self.pins > 0 {
            RemoveError::Pinned
        } else if self.is_inside_any(batch) {
            RemoveError::Inside
        } else if self.is_stayed_in_any(batch) {
            RemoveError::TimedOut
        } else {
            return Ok(());
        };
        let situation = match refused {
            RemoveError::Pinned => Situation::DrainPinned,
            RemoveError::Inside => Situation::DrainInside,
            _ => Situation::TimedOut,
        };
        self.tally.note(situation);
        Err(refused)
    }

    fn note_refusal(&mut self, refused: RemoveError) {
        match refused {
            RemoveError::Inside => self.tally.note(Situation::Inside),
            RemoveError::Pinned => self.tally.note(Situation::Pinned),
            RemoveError::Leaving => self.tally.note(Situation::Leaving),
            _ => {}
        }
    }

    /// What waiting for an object's end comes to: it is this thread itself that removes, or nobody does any more.
    pub(crate) fn joining(&self, bits: u64) -> Result<(), RemoveError> {
        if self.pins > 0 {
            return Err(RemoveError::Pinned);
        }
        if self.is_leaving(bits) { Err(RemoveError::Leaving) } else { Ok(()) }
    }

    pub(crate) fn is_live(&self, stamp: Stamp) -> bool {
        self.live.contains_key(&self.objects[stamp].bits)
    }

    pub(crate) fn is_leaving(&self, bits: u64) -> bool {
        self.leaving.contains_key(&bits)
    }

    pub(crate) fn live_all(&self) -> &BTreeMap<u64, Stamp> {
        &self.live
    }

    pub(crate) fn nth_live(&self, number: usize) -> Option<u64> {
        let number = number.checked_rem(self.live.len())?;
        self.live.keys().nth(number).copied()
    }

    pub(crate) fn nth_dead(&self, number: usize) -> Option<u64> {
        self.dead.get(number.checked_rem(self.dead.len())?).copied()
    }

    pub(crate) fn dead(&self) -> &[u64] {
        &self.dead
    }

    /// Slots that are taken.
    pub(crate) fn len(&self) -> usize {
        self.live.len() + self.leaving.len() + self.reserved.len()
    }

    pub(crate) fn retired(&self) -> usize {
        self.slots.retired()
    }

    pub(crate) fn is_pinned(&self) -> bool {
        self.pins > 0
    }

    pub(crate) fn payloads_due(&self) -> usize {
        self.payloads_due
    }

    pub(crate) fn stores_due(&self) -> usize {
        self.stores_due
    }

    /// A slot has been taken for a handle.
    pub(crate) fn reserve(&mut self, bits: u64) {
        if let Err(complaint) = self.slots.issue(bits, &mut self.tally) {
            self.complain(complaint);
        }
        self.reserved.insert(bits);
    }

    pub(crate) fn cancel(&mut self, bits: u64) {
        self.reserved.remove(&bits);
        self.dead.push(bits);
        self.slots.give_back(bits, &mut self.tally);
    }

    pub(crate) fn publish(&mut self, bits: u64, stamp: Stamp) {
        self.reserved.remove(&bits);
        self.live.insert(bits, stamp);
        self.objects[stamp].bits = bits;
    }

    pub(crate) fn mark(&mut self, bits: u64) {
        if let Some(stamp) = self.live.remove(&bits) {
            if self.is_inside(stamp) {
                self.tally.note(Situation::MarkedInside);
            }
            self.leaving.insert(bits, stamp);
        }
    }

    /// A marked object has given up its slot, or is just about to.
    pub(crate) fn gone(&mut self, bits: u64) {
        self.leaving.remove(&bits);
        self.dead.push(bits);
    }

    /// The world ends: nothing is looked up any more, and all that is in place may go, but for payloads to which there are owned
    /// references.
    pub(crate) fn close(&mut self) {
        self.close_unfinished();
        let (live, leaving) = (std::mem::take(&mut self.live), std::mem::take(&mut self.leaving));
        let reserved = std::mem::take(&mut self.reserved);
        self.dead.extend(live.into_keys().chain(leaving.into_keys()).chain(reserved));
        for stamp in 0..self.objects.len() {
            self.store_due(stamp);
            if !self.orphan(stamp) {
                self.payload_due(stamp);
            }
        }
    }

    pub(crate) fn pinned(&mut self) {
        self.pins += 1;
    }

    pub(crate) fn unpinned(&mut self) {
        self.pins -= 1;
    }

    /// Removals nested in drops go so deep, and no deeper.
    pub(crate) fn descend(&mut self) -> bool {
        const DEPTH_MAX: usize = 12;
        self.depth += 1;
        self.depth <= DEPTH_MAX
    }

    pub(crate) fn ascend(&mut self) {
        self.depth -= 1;
    }
}
