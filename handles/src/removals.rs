//! The removals of one arena that somebody waits for, or that nobody is at.
//!
//! Who removes what stands in the slots' words. Here is what is rare: those who wait for another's removal, and for their
//! object to begin to leave, and what has been marked and given up.

#![expect(unsafe_code, reason = "who waits lends what it waits for")]

use std::collections::HashSet;
use std::ptr::NonNull;
use std::time::Instant;

use crate::error::{Deadlock, RemoveError};
use crate::records;
use crate::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use crate::sync::{Condvar, Mutex};
use crate::version::{Version, Word};
use crate::waits::{self, On};

/// Objects that were marked together, in that order.
type Objects = Vec<(u32, Version)>;

#[derive(Debug, Default)]
struct Unfinished {
    /// Marked, and nobody is at it.
    given_up: Vec<Objects>,
    /// Marked, and their removal goes on as a thread leaves one of them.
    deferred: Vec<Objects>,
    /// Such a removal is under way: nothing borrows the arena for it.
    running: HashSet<u32>,
}

impl Unfinished {
    fn undefer(&mut self, objects: &[(u32, Version)]) -> bool {
        let at = self.deferred.iter().position(|noted| noted == objects);
        at.map(|at| self.deferred.swap_remove(at)).is_some()
    }
}

#[derive(Debug, Default)]
pub(crate) struct Removals {
    unfinished: Mutex<Unfinished>,
    /// How many of these are given up.
    given_up: AtomicUsize,
    /// Rung when a removal that somebody waits for ends or is given up, and when an object in which somebody sleeps leaves.
    bell: Mutex<()>,
    rung: Condvar,
    sleepers: AtomicUsize,
}

impl Removals {
    /// Removals that were awaited are over, or are not any more this thread's.
    pub(crate) fn ended(&self) {
        drop(self.bell.lock());
        self.rung.notify_all();
    }

    /// Some objects have begun to leave, and the caller has fenced since.
    pub(crate) fn marked(&self) {
        // Relaxed: the caller's fence and the sleeper's decide which of the two sees the other.
        if self.sleepers.load(Ordering::Relaxed) != 0 {
            self.ended();
        }
    }

    /// Waits until another's removal of the incarnation is over.
    pub(crate) fn join(&self, word: &AtomicU64, version: Version) -> Result<(), RemoveError> {
        let leaving = |word: Word| word.version() == version.leaving();
        // Acquire: pairs with the AcqRel of whoever changes the word.
        let now = || Word::from_bits(word.load(Ordering::Acquire));
        let caller = records::own_number();
        let mut bell = self.bell.lock();
        loop {
            let seen = now();
            if !leaving(seen) {
                return Ok(());
            }
            if seen.is_given_up() || seen.remover() == caller {
                return Err(RemoveError::Leaving);
            }
            let (old, new) = (seen.bits(), seen.awaited().bits());
            // AcqRel: pairs with the swap of `vacate`: whoever ends the removal sees it, or the word has changed.
            // Relaxed: the word is read again.
            if word.compare_exchange(old, new, Ordering::AcqRel, Ordering::Relaxed).is_err() {
                continue;
            }
            // SAFETY: the word is borrowed until the wait is over.
            let waiting = unsafe { waits::begin(caller, On::Removal(NonNull::from(word), version)) };
            let _waiting = waiting.map_err(|Deadlock| RemoveError::Deadlock)?;
            if now() == Word::from_bits(new) {
                self.rung.wait(&mut bell);
            }
        }
    }

    /// Sleeps until the incarnation leaves, `is_over` answers true or the deadline has come; true in the first case. The bell
    /// has to be rung for the second.
    pub(crate) fn sleep(
        &self,
        word: &AtomicU64,
        version: Version,
        deadline: Option<Instant>,
        mut is_over: impl FnMut() -> bool,
    ) -> bool {
        // Acquire: pairs with the AcqRel of the mark.
        let is_leaving = || Word::from_bits(word.load(Ordering::Acquire)) != Word::settled(version);
        let _sleeper = Sleeper::new(self);
        let mut bell = self.bell.lock();
        loop {
            if is_leaving() {
                return true;
            }
            if is_over() {
                return false;
            }
            match deadline {
                None => self.rung.wait(&mut bell),
                Some(deadline) if self.rung.wait_until(&mut bell, deadline).timed_out() => return is_leaving(),
                Some(_) => {}
            }
        }
    }

    /// Notes objects whose removal is to go on as a thread leaves them.
    pub(crate) fn defer(&self, objects: Objects) {
        self.unfinished.lock().deferred.push(objects);
    }

    /// Takes the note of objects whose deferred removal goes on, if the arena has not taken it at its end. They are running then,
    /// until [`end_run`](Self::end_run).
    pub(crate) fn begin_run(&self, objects: &[(u32, Version)]) -> bool {
        let mut unfinished = self.unfinished.lock();
        let is_noted = unfinished.undefer(objects);
        if is_noted {
            unfinished.running.extend(objects.iter().map(|(index, _)| index));
        }
        is_noted
    }

    /// Takes the note of objects whose deferred removal will not go on; false if it has, or the arena has taken the note.
    pub(crate) fn undefer(&self, objects: &[(u32, Version)]) -> bool {
        self.unfinished.lock().undefer(objects)
    }

    pub(crate) fn end_run(&self, objects: &[(u32, Version)]) {
        let mut unfinished = self.unfinished.lock();
        for (index, _) in objects {
            unfinished.running.remove(index);
        }
    }

    /// Whether a deferred removal of the slot's object is under way.
    pub(crate) fn is_running(&self, index: u32) -> bool {
        self.unfinished.lock().running.contains(&index)
    }

    /// Notes objects whose removal nobody is at. Their words say so.
    pub(crate) fn give_up(&self, objects: Objects) {
        self.unfinished.lock().given_up.push(objects);
        // Relaxed: a hint; the list stands under its lock.
        self.given_up.fetch_add(1, Ordering::Relaxed);
    }

    /// Whether there is something that nobody is at.
    pub(crate) fn has_given_up(&self) -> bool {
        // Relaxed: as in `give_up`.
        self.given_up.load(Ordering::Relaxed) != 0
    }

    /// Takes what nobody is at.
    pub(crate) fn take_given_up(&self) -> Vec<Objects> {
        let taken = std::mem::take(&mut self.unfinished.lock().given_up);
        // Relaxed: as in `give_up`.
        self.given_up.fetch_sub(taken.len(), Ordering::Relaxed);
        taken
    }

    /// Takes the notes of all that is unfinished, for the arena's end.
    pub(crate) fn close(&self) -> HashSet<u32> {
        let mut unfinished = self.unfinished.lock();
        let given_up = std::mem::take(&mut unfinished.given_up);
        let deferred = std::mem::take(&mut unfinished.deferred);
        given_up.into_iter().chain(deferred).flatten().map(|(index, _)| index).collect()
    }
}

/// Somebody sleeps inside an object, until this is dropped.
struct Sleeper<'a>(&'a Removals);

impl<'a> Sleeper<'a> {
    fn new(removals: &'a Removals) -> Self {
        // Relaxed: the fence orders it before the look at the word, as the remover's does the mark before its look.
        removals.sleepers.fetch_add(1, Ordering::Relaxed);
        crate::fences::full();
        Self(removals)
    }
}

impl Drop for Sleeper<'_> {
    fn drop(&mut self) {
        // Relaxed: a remover that still sees it rings for nobody.
        self.0.sleepers.fetch_sub(1, Ordering::Relaxed);
    }
}
