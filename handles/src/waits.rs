//! Who waits for whom: the threads that sleep in a drain, in another's removal or before a lock of ours.
//!
//! A thread that is about to sleep says what for, and looks whether it would wait for itself, through any number of others.
//! Both happen under one lock, so of those who close a circle exactly one is told.
//!
//! What a sleeper waits for may be over before the sleeper knows. So each wait is asked anew, whenever somebody looks, whom it
//! is for. What a sleeper did before it slept is known to whoever holds the lock, and what the looker did is known to
//! itself: a circle that is found is there.

#![expect(unsafe_code, reason = "sleepers lend what they wait for")]

use std::ptr::NonNull;

use crate::cells::Occupant;
use crate::error::{Deadlock, RemoveError};
use crate::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use crate::sync::{Mutex, process_static};
use crate::version::{Version, Word};

/// What a thread waits for.
#[derive(Debug, Clone)]
pub(crate) enum On {
    /// That these leave.
    Occupants(Vec<Occupant>),
    /// The end of a removal of the incarnation.
    Removal(NonNull<AtomicU64>, Version),
    /// A lock whose word holds its holder's number.
    Lock(NonNull<AtomicU32>),
}

// SAFETY: the pointers are followed under the lock of `WAITS` only, where the thread that lends them is in `begin` or holds
// its `Waiting`.
unsafe impl Send for On {}

impl On {
    /// Calls `on` with the number of each thread that the wait is for now.
    fn each(&self, mut on: impl FnMut(u32)) {
        match self {
            Self::Occupants(occupants) => occupants.iter().filter(|o| o.is_inside()).for_each(|o| on(o.thread())),
            Self::Removal(word, version) => {
                // SAFETY: see `Send`.
                let word = unsafe { word.as_ref() };
                // Acquire: pairs with the AcqRel of whoever changed the word last.
                let word = Word::from_bits(word.load(Ordering::Acquire));
                if word.version() == version.leaving() && !word.is_given_up() {
                    on(word.remover());
                }
            }
            Self::Lock(word) => {
                // SAFETY: see `Send`.
                let word = unsafe { word.as_ref() };
                // Acquire: pairs with the Release of the holder's predecessor; a holder that sleeps stored it before.
                on(word.load(Ordering::Acquire) & HOLDER);
            }
        }
    }
}

/// The bits of a lock's word that number its holder.
pub(crate) const HOLDER: u32 = u32::MAX >> 1;

process_static! {
    static WAITS: Mutex<Vec<(u32, On)>> = Mutex::new(Vec::new());
}

/// Notes that the thread with this number waits for those who are inside.
pub(crate) fn for_occupants(thread: u32, occupants: &[Occupant]) -> Result<Waiting, RemoveError> {
    // SAFETY: nothing is lent; cells live for ever.
    unsafe { begin(thread, On::Occupants(occupants.to_vec())) }.map_err(|Deadlock| RemoveError::Deadlock)
}

/// Notes that the thread with this number waits.
///
/// # Safety
///
/// What `on` points to lives until the `Waiting` is dropped, which is not forgotten.
pub(crate) unsafe fn begin(thread: u32, on: On) -> Result<Waiting, Deadlock> {
    let mut waits = WAITS.lock();
    if closes_circle(&waits, thread, &on) {
        return Err(Deadlock);
    }
    waits.push((thread, on));
    Ok(Waiting { thread })
}

fn closes_circle(waits: &[(u32, On)], thread: u32, on: &On) -> bool {
    let (mut met, mut next) = (Vec::new(), 0);
    let meet = |met: &mut Vec<u32>, on: &On| {
        on.each(|other| {
            if !met.contains(&other) {
                met.push(other);
            }
        });
    };
    meet(&mut met, on);
    while let Some(&other) = met.get(next) {
        waits.iter().filter(|(sleeper, _)| *sleeper == other).for_each(|(_, on)| meet(&mut met, on));
        next += 1;
    }
    met.contains(&thread)
}

/// A thread waits, until this is dropped.
#[derive(Debug)]
pub(crate) struct Waiting {
    thread: u32,
}

impl Drop for Waiting {
    fn drop(&mut self) {
        let mut waits = WAITS.lock();
        if let Some(at) = waits.iter().rposition(|(thread, _)| *thread == self.thread) {
            waits.remove(at);
        }
    }
}
