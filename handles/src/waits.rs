//! Who waits for whom: the threads that sleep in a drain, in another's removal or before a lock of ours.
//!
//! A thread that is about to sleep says what for, and looks whether it would wait for itself, through any number of others.
//! Both happen under one lock, so of those who close a circle exactly one is told.
//!
//! What a sleeper waits for may be over before the sleeper knows. So each wait is asked anew, whenever somebody looks, whom it
//! is for. What a sleeper did before it slept is known to whoever holds the lock, and what the looker did is known to
//! itself: a circle that is found is there. That holds for numbers too, although the records that they belong to are used again:
//! who is inside an object or holds a lock keeps its record, and a removal is waited for through those who have a duty to
//! end it (see [`Duty`]), never through the number in the slot's word, which is of whoever had it last in his hands.
//!
//! Whom a wait is for changes only to somebody who is awake: who takes a lock, goes on with a removal. He looks in turn before
//! he sleeps. So it is enough that those look who fall asleep, and a circle is found as it closes. A deadline changes
//! nothing of this: until it has come, who waits with one waits like any other.

#![expect(unsafe_code, reason = "sleepers lend what they wait for")]

use std::cell::RefCell;
use std::ptr::NonNull;

use crate::cells::Occupant;
use crate::error::{Deadlock, RemoveError};
use crate::quiet::is_dropping;
use crate::records;
use crate::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use crate::sync::{Mutex, process_static, thread_local};
use crate::version::{Version, Word};

/// What a thread waits for.
#[derive(Debug, Clone)]
pub(crate) enum On {
    /// That these leave.
    Occupants(Vec<Occupant>),
    /// The end of a removal of the incarnation, in the slot or gate with this word and at this address.
    Removal(NonNull<AtomicU64>, usize, Version),
    /// A lock whose word holds its holder's number.
    Lock(NonNull<AtomicU32>),
}

/// Somebody who waits.
#[derive(Debug)]
struct Wait {
    thread: u32,
    on: On,
    /// The slots, and gates, whose removals do not end before this wait does: their addresses.
    duties: Vec<usize>,
}

// SAFETY: the pointers are followed under the lock of `WAITS` only, where the thread that lends them is in `begin` or holds
// its `Waiting`.
unsafe impl Send for Wait {}

impl Wait {
    /// Calls `on` with the number of each thread that the wait is for now.
    fn each(&self, waits: &[Self], mut on: impl FnMut(u32)) {
        match &self.on {
            On::Occupants(occupants) => occupants.iter().filter(|o| o.is_inside()).for_each(|o| on(o.thread())),
            On::Removal(word, address, version) => {
                // SAFETY: see `Send`.
                let word = unsafe { word.as_ref() };
                // Acquire: pairs with the AcqRel of whoever changed the word last.
                let word = Word::from_bits(word.load(Ordering::Acquire));
                if word.version() == version.leaving() && !word.is_given_up() {
                    waits.iter().filter(|wait| wait.duties.contains(address)).for_each(|wait| on(wait.thread));
                }
            }
            On::Lock(word) => {
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
    static WAITS: Mutex<Vec<Wait>> = Mutex::new(Vec::new());
}

/// Whether others may wait for the calling thread, as far as this crate knows: it is inside an object or a gate, holds an exclusive
/// payload, an [`Exclusion`](crate::Exclusion) or another [`Lock`](crate::Lock), or is in the middle of a removal.
///
/// For those who make threads wait by means of their own, of which the search for deadlocks knows nothing: a thread of which this is
/// false may wait for any other that waits in this crate alone.
///
/// ```
/// # use enodev_handles::{Arena, Domain, Kind, is_awaited};
/// # enum Disk {}
/// # impl Kind for Disk { const NAME: &'static str = "Disk"; }
/// # let domain = Domain::new()?;
/// # let disks: Arena<Disk, (), ()> = Arena::new(&domain)?;
/// # let sda = disks.insert((), ())?;
/// let inside = disks.enter(sda)?;
/// assert!(is_awaited()); // by whoever removes the disk
/// drop(inside);
/// assert!(!is_awaited());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn is_awaited() -> bool {
    let has_duties = || DUTIES.try_with(|duties| !duties.borrow().is_empty()).unwrap_or(false);
    records::is_busy() || is_dropping() || has_duties()
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
    let wait = Wait { thread, on, duties: duties() };
    let mut waits = WAITS.lock();
    waits.push(wait);
    if closes_circle(&waits, thread) {
        waits.pop();
        return Err(Deadlock);
    }
    Ok(Waiting { thread })
}

/// Whether the thread waits for itself.
fn closes_circle(waits: &[Wait], thread: u32) -> bool {
    let (mut met, mut next) = (Vec::new(), Some(thread));
    for at in 0.. {
        let Some(waiter) = next else { return false };
        for wait in waits.iter().filter(|wait| wait.thread == waiter) {
            wait.each(waits, |other| {
                if !met.contains(&other) {
                    met.push(other);
                }
            });
        }
        if met.contains(&thread) {
            return true;
        }
        next = met.get(at).copied();
    }
    false
}

/// A thread waits, until this is dropped.
#[derive(Debug)]
pub(crate) struct Waiting {
    thread: u32,
}

impl Drop for Waiting {
    fn drop(&mut self) {
        let mut waits = WAITS.lock();
        if let Some(at) = waits.iter().rposition(|wait| wait.thread == self.thread) {
            waits.remove(at);
        }
    }
}

thread_local! {
    /// The slots of the calling thread's duties, the innermost duty's last.
    static DUTIES: RefCell<Vec<usize>> = const { RefCell::new(Vec::new()) };
}

/// Removals that the calling thread has to end, until this is dropped: it has them in its hands, so that they cannot go on
/// elsewhere, and does nothing else before. Who waits for one of them waits for the thread, whatever that waits for meanwhile.
#[derive(Debug)]
pub(crate) struct Duty {
    /// How many slots there were before.
    before: usize,
}

impl Duty {
    /// A duty to end the removals of the objects in these slots. Duties end in the order opposite to that in which they began.
    pub(crate) fn begin(addresses: impl Iterator<Item = usize>) -> Self {
        // A thread that ends has none; circles through it are missed.
        let before = DUTIES.try_with(|duties| {
            let mut duties = duties.borrow_mut();
            let before = duties.len();
            duties.extend(addresses);
            before
        });
        Self { before: before.unwrap_or(0) }
    }
}

impl Drop for Duty {
    fn drop(&mut self) {
        let _ = DUTIES.try_with(|duties| duties.borrow_mut().truncate(self.before));
    }
}

/// The slots of all removals that do not end before the calling thread goes on.
fn duties() -> Vec<usize> {
    let mut all = DUTIES.try_with(|duties| duties.borrow().clone()).unwrap_or_default();
    records::deferred(&mut all);
    all
}
