//! The removals of one arena that somebody waits for, or that nobody is at.
//!
//! Who removes what stands in the slots' words. Here is what is rare: those who wait for another's removal, and for their
//! object to begin to leave, and what has been marked and given up.

#![expect(unsafe_code, reason = "who waits lends what it waits for")]

use std::collections::{HashMap, HashSet};
use std::ptr::NonNull;
use std::time::Instant;

use crate::error::{Deadlock, RemoveError};
use crate::records;
use crate::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use crate::sync::{Condvar, Mutex};
use crate::version::{Version, Word};
use crate::waits::{self, On};

#[derive(Debug, Default)]
struct Unfinished {
    /// Marked, and neither drained nor being drained: their payloads are whole. By index.
    noted: HashMap<u32, Version>,
    /// Removals that were deferred to a leave, and that are under way: nothing borrows the arena for them.
    running: HashSet<u32>,
}

#[derive(Debug, Default)]
pub(crate) struct Removals {
    unfinished: Mutex<Unfinished>,
    /// How many of these nobody is at.
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

    /// Notes objects that are marked, and that nobody drains yet.
    pub(crate) fn begin(&self, objects: impl IntoIterator<Item = (u32, Version)>) {
        self.unfinished.lock().noted.extend(objects);
    }

    /// Takes the note of objects whose deferred removal goes on: those that are still noted. They are running then, until
    /// [`end_run`](Self::end_run).
    pub(crate) fn begin_run(&self, objects: Vec<(u32, Version)>) -> Vec<(u32, Version)> {
        let Unfinished { noted, running } = &mut *self.unfinished.lock();
        let is_noted = |(index, version): &(u32, Version)| noted.get(index) == Some(version);
        let taken: Vec<_> = objects.into_iter().filter(is_noted).collect();
        for (index, _) in &taken {
            noted.remove(index);
            running.insert(*index);
        }
        taken
    }

    pub(crate) fn end_run(&self, objects: &[(u32, Version)]) {
        let mut unfinished = self.unfinished.lock();
        unfinished.running.retain(|index| !objects.iter().any(|(of, _)| of == index));
    }

    /// Whether a deferred removal of the slot's object is under way.
    pub(crate) fn is_running(&self, index: u32) -> bool {
        self.unfinished.lock().running.contains(&index)
    }

    /// Takes the notes of all that is unfinished, for the arena's end.
    pub(crate) fn close(&self) -> HashMap<u32, Version> {
        std::mem::take(&mut self.unfinished.lock().noted)
    }

    pub(crate) fn give_up(&self, count: usize) {
        // Relaxed: a hint; the list stands under its lock.
        self.given_up.fetch_add(count, Ordering::Relaxed);
    }

    /// Whether there is something that nobody is at.
    pub(crate) fn has_given_up(&self) -> bool {
        // Relaxed: as in `give_up`.
        self.given_up.load(Ordering::Relaxed) != 0
    }

    /// Takes what nobody is at, of what `take_over` answers true for.
    pub(crate) fn take_given_up(&self, take_over: impl Fn(u32, Version) -> bool) -> Vec<(u32, Version)> {
        let mut unfinished = self.unfinished.lock();
        let mut taken = Vec::new();
        unfinished.noted.retain(|index, version| {
            let taking = take_over(*index, *version);
            if taking {
                taken.push((*index, *version));
            }
            !taking
        });
        // Relaxed: as in `give_up`.
        self.given_up.fetch_sub(taken.len(), Ordering::Relaxed);
        taken
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
