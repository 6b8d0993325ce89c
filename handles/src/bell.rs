//! Waiting for the end of another's removal, and, inside an object, for its beginning.
//!
//! Who removes what stands in the words of slots and gates. The bell is rung when such a word has changed and somebody may have
//! been waiting for that.

#![expect(unsafe_code, reason = "who waits lends what it waits for")]

use std::ptr::NonNull;
use std::time::Instant;

use crate::error::{Deadlock, RemoveError};
use crate::records;
use crate::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use crate::sync::{Condvar, Mutex};
use crate::version::{Version, Word};
use crate::waits::{self, On};

/// Rung when a removal that somebody waits for ends or is given up, and when an object in which somebody sleeps leaves.
#[derive(Debug, Default)]
pub(crate) struct Bell {
    lock: Mutex<()>,
    rung: Condvar,
    sleepers: AtomicUsize,
}

impl Bell {
    /// Wakes all who wait, so that they look again.
    pub(crate) fn ring(&self) {
        drop(self.lock.lock());
        self.rung.notify_all();
    }

    /// An object has begun to leave: its word was exchanged with `SeqCst`, or the caller has fenced since.
    pub(crate) fn marked(&self) {
        // SeqCst: after the mark in the one order of such operations, in which the sleeper's fence stands too: it decides which of
        // the two sees the other.
        if self.sleepers.load(Ordering::SeqCst) != 0 {
            self.ring();
        }
    }

    /// Waits until another's removal of the incarnation is over, or the deadline has come.
    ///
    /// `address` is what cells hold of the object. Answers [`RemoveError::Leaving`] where the removal was given up, or is the caller's own.
    pub(crate) fn join(
        &self,
        word: &AtomicU64,
        address: usize,
        version: Version,
        deadline: Option<Instant>,
    ) -> Result<(), RemoveError> {
        let leaving = |word: Word| word.version() == version.leaving();
        // Acquire: pairs with the AcqRel of whoever changes the word.
        let now = || Word::from_bits(word.load(Ordering::Acquire));
        let (caller, waiter) = (records::identity(), records::own_number());
        let mut bell = self.lock.lock();
        let mut late = false;
        loop {
            let seen = now();
            if !leaving(seen) {
                return Ok(());
            }
            if seen.is_given_up() || seen.remover() == caller {
                return Err(RemoveError::Leaving);
            }
            if late {
                return Err(RemoveError::TimedOut);
            }
            let (old, new) = (seen.bits(), seen.awaited().bits());
            // AcqRel: pairs with the swap of who ends the removal: either it sees this, or the word has changed.
            // Relaxed: the word is read again.
            if word.compare_exchange(old, new, Ordering::AcqRel, Ordering::Relaxed).is_err() {
                continue;
            }
            // SAFETY: the word is borrowed until the wait is over.
            let waiting = unsafe { waits::begin(waiter, On::Removal(NonNull::from(word), address, version)) };
            let _waiting = waiting.map_err(|Deadlock| RemoveError::Deadlock)?;
            if now() == Word::from_bits(new) {
                match deadline {
                    None => self.rung.wait(&mut bell),
                    Some(deadline) => late = self.rung.wait_until(&mut bell, deadline).timed_out(),
                }
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
        let mut bell = self.lock.lock();
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
}

/// Somebody sleeps inside an object, until this is dropped.
struct Sleeper<'a>(&'a Bell);

impl<'a> Sleeper<'a> {
    fn new(bell: &'a Bell) -> Self {
        // Relaxed: the fence orders it before the look at the word, as the remover's does the mark before its look.
        bell.sleepers.fetch_add(1, Ordering::Relaxed);
        crate::fences::full();
        Self(bell)
    }
}

impl Drop for Sleeper<'_> {
    fn drop(&mut self) {
        // Relaxed: a remover that still sees it rings for nobody.
        self.0.sleepers.fetch_sub(1, Ordering::Relaxed);
    }
}
