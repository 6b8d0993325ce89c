//! The threads' parts in a domain's collector.
//!
//! They belong to the domain, not to the threads, so that a domain that is dropped leaves no garbage behind in threads
//! that live on; a thread keeps only where its own part is.
//!
//! Pins nest in the part, and the collector is asked for the outermost one only.

#![expect(unsafe_code, reason = "a thread finds its part of the domain's list by address")]

use std::cell::{Cell, RefCell};
use std::mem::{self, ManuallyDrop};
use std::ptr::{self, NonNull};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::thread::{self, ThreadId};

use crossbeam_epoch::{Collector, Guard, LocalHandle};

use crate::sync::{Mutex, thread_local};

use crate::garbage::{Clock, NEVER};

/// What others may read of a part.
pub(crate) struct Note {
    /// The tick of the domain's clock at which the thread pinned itself, [`NEVER`] while it is not pinned.
    tick: AtomicU64,
    pub(crate) thread: ThreadId,
    /// A copy: it is read when the thread may have ended.
    pub(crate) name: Option<Box<str>>,
}

impl Note {
    fn of_this_thread() -> Self {
        let thread = thread::current();
        Self { tick: AtomicU64::new(NEVER), thread: thread.id(), name: thread.name().map(Box::from) }
    }

    pub(crate) fn tick(&self) -> u64 {
        // Relaxed: for people, and for a flush that wants to know whether to go on; pairs with `set`.
        self.tick.load(Ordering::Relaxed)
    }

    #[inline]
    fn set(&self, tick: u64) {
        // Relaxed: pairs with `tick`, which concludes nothing about memory from it. What keeps memory is the collector's epoch.
        self.tick.store(tick, Ordering::Relaxed);
    }
}

/// A thread's part. Each has its cache lines to itself: its owner writes there at every pin.
///
/// # Invariants
///
/// But for `note`, it is used by its own thread only, as long as it is in the list.
#[repr(align(128))]
struct Participant {
    note: Note,
    /// The thread's pins. It is counted before the collector is asked, which may run what is due to be reclaimed then:
    /// that runs under a pin.
    depth: Cell<usize>,
    /// The outermost pin.
    guard: Cell<Option<Guard>>,
    /// The thread's destructors are running: the part goes with the outermost pin.
    ends: Cell<bool>,
    local: LocalHandle,
}

/// The calling thread's part, as far as the caller has counted a pin in it. Stays on its thread.
///
/// # Invariants
///
/// The part is in its domain's list.
#[derive(Clone, Copy)]
pub(crate) struct Pinned(NonNull<Participant>);

impl Pinned {
    #[inline]
    fn part(&self) -> &Participant {
        // SAFETY: the part is in the list, which keeps it from being freed.
        unsafe { self.0.as_ref() }
    }

    /// A guard of the collector's, within the pin.
    pub(crate) fn guard(&self) -> Guard {
        self.part().local.pin()
    }

    /// Whether the pin can be renewed, and it makes a difference: it is the only one, and garbage has been handed over, or flushed,
    /// since it was made or renewed. If not, it holds up nothing that came later.
    #[inline]
    pub(crate) fn is_old(&self, clock: &Clock) -> bool {
        let part = self.part();
        part.note.tick() != clock.now() && part.depth.get() == 1
    }

    /// Renews the pin, which is the only one.
    pub(crate) fn repin(&self, clock: &Clock) {
        let part = self.part();
        // None while the collector is still at this very pin.
        let Some(mut guard) = part.guard.take() else { return };
        part.note.set(clock.now());
        guard.repin();
        part.guard.set(Some(guard));
    }
}

/// The list's share of a part: it frees it.
struct Owned(NonNull<Participant>);

// SAFETY: a `LocalHandle` is bound to a thread only in that two threads must not use it at once (its counts are plain
// cells), and so is all else in the part but the note, which is `Sync`. The thread that registered it is the only one to pin
// through it; it is dropped either by that thread as it ends, or with the domain, when no reference to the domain is left
// through which it could be in use. Both happen after it was taken out of the list, and reclamation itself is `Send`: what a
// `LocalHandle` holds is what `Guard::defer` accepted.
unsafe impl Send for Owned {}

impl Owned {
    fn note(&self) -> &Note {
        let part = self.0.as_ptr().cast_const();
        // SAFETY: the part is allocated, so its field is within it. No reference to all of the part is made, whose owner may
        // be using the other fields.
        let note = unsafe { &raw const (*part).note };
        // SAFETY: the note is shared and `Sync`; it lives as long as `self`.
        unsafe { &*note }
    }
}

impl Drop for Owned {
    fn drop(&mut self) {
        // SAFETY: made by `Box::leak` in `register`, and freed here only; no reference to it is in use (see `Send`).
        drop(unsafe { Box::from_raw(self.0.as_ptr()) });
    }
}

/// # Invariants
///
/// A part is in the list from its registration until its thread ends and holds no pin of it, or [`clear`](Self::clear) is
/// called.
pub(crate) struct Participants {
    pub(crate) clock: Clock,
    list: Mutex<Vec<Owned>>,
    collector: Collector,
}

impl Participants {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self { clock: Clock::new(), list: Mutex::default(), collector: Collector::new() })
    }

    /// Pins the calling thread, until [`unpin`](Self::unpin) is called with what this returns.
    #[inline]
    pub(crate) fn pin(self: &Arc<Self>) -> Pinned {
        let part = last(self).unwrap_or_else(|| self.find_or_register());
        // INVARIANT: by that of `LAST`, it is the part that this thread has in the list: the caller came through a reference to
        // the domain, so `clear` has not been called, and a part that ends goes when it is not pinned.
        let pinned = Pinned(part);
        let part = pinned.part();
        let depth = part.depth.get();
        part.depth.set(depth + 1);
        if depth == 0 {
            // Noted first, so that no garbage is held up from before the tick that is named.
            part.note.set(self.clock.now());
            part.guard.set(Some(part.local.pin()));
        }
        pinned
    }

    /// Ends a pin of the calling thread's.
    #[inline]
    pub(crate) fn unpin(&self, pinned: Pinned) {
        let part = pinned.part();
        let depth = part.depth.get() - 1;
        part.depth.set(depth);
        if depth == 0 {
            drop(part.guard.take());
            part.note.set(NEVER);
            if part.ends.get() {
                self.end(pinned.0);
            }
        }
    }

    /// Whether the calling thread is pinned.
    pub(crate) fn is_pinned(self: &Arc<Self>) -> bool {
        // SAFETY: as in `pin`.
        last(self).or_else(|| find(self)).is_some_and(|part| unsafe { part.as_ref() }.depth.get() > 0)
    }

    /// A thread that goes from domain to domain comes here each time, so that this is not cold.
    #[inline(never)]
    fn find_or_register(self: &Arc<Self>) -> NonNull<Participant> {
        let part = find(self).unwrap_or_else(|| self.register());
        LAST.set((Arc::as_ptr(self), Some(part)));
        part
    }

    fn register(self: &Arc<Self>) -> NonNull<Participant> {
        // Fails when the thread's destructors have come to it.
        let ends = EXIT.try_with(|_| ()).is_err();
        let part = NonNull::from(Box::leak(Box::new(Participant {
            note: Note::of_this_thread(),
            depth: Cell::new(0),
            guard: Cell::new(None),
            ends: Cell::new(ends),
            local: self.collector.register(),
        })));
        self.list.lock().push(Owned(part));
        LAST.set((ptr::null(), None));
        PARTS.with_borrow_mut(|parts| {
            parts.retain(|entry| entry.domain.strong_count() > 0);
            parts.push(Entry { domain: Arc::downgrade(self), part });
        });
        part
    }

    /// Drops the part of a thread that is ending and has dropped its last pin.
    #[cold]
    fn end(&self, part: NonNull<Participant>) {
        LAST.set((ptr::null(), None));
        PARTS.with_borrow_mut(|parts| {
            parts.retain(|entry| entry.part != part);
            if parts.is_empty() {
                // Nobody drops what is in there.
                drop(mem::take(&mut **parts));
            }
        });
        // It may run what is due to be reclaimed, so not under the lock.
        let gone = self.take(part);
        drop(gone);
    }

    /// Takes a part of the calling thread's out of the list. While it is pinned it stays there, and goes with the pin.
    fn take(&self, part: NonNull<Participant>) -> Option<Owned> {
        let mut list = self.list.lock();
        let at = list.iter().position(|owned| owned.0 == part)?;
        // SAFETY: the part is in the list, which is locked, and it is this thread's own.
        let own = unsafe { part.as_ref() };
        if own.depth.get() > 0 {
            own.ends.set(true);
            return None;
        }
        Some(list.swap_remove(at))
    }

    fn holds(&self, part: NonNull<Participant>) -> bool {
        self.list.lock().iter().any(|owned| owned.0 == part)
    }

    /// Drops all parts; what they had deferred goes to the collector. For the domain's end.
    pub(crate) fn clear(&self) {
        let gone = mem::take(&mut *self.list.lock());
        drop(gone);
    }

    /// What the threads have noted that have been pinned since before this tick, as told by `tell`.
    pub(crate) fn pinned_before<T>(&self, tick: u64, tell: impl FnMut(&Note) -> T) -> Vec<T> {
        let list = self.list.lock();
        let notes = list.iter().map(Owned::note);
        notes.filter(|note| (NEVER + 1..tick).contains(&note.tick())).map(tell).collect()
    }
}

/// Where a part of this thread is.
struct Entry {
    /// Keeps the address from being used again.
    domain: Weak<Participants>,
    part: NonNull<Participant>,
}

thread_local! {
    /// The part that was used last, and the address of its domain: that of an entry of `PARTS`, or none.
    static LAST: Cell<(*const Participants, Option<NonNull<Participant>>)> = const { Cell::new((ptr::null(), None)) };
    /// One entry for each domain; also those of domains that have gone, until the next one is added. It is there as long as the
    /// thread is, also for destructors that run after `EXIT`'s: nothing drops it.
    static PARTS: RefCell<ManuallyDrop<Vec<Entry>>> = const { RefCell::new(ManuallyDrop::new(Vec::new())) };
    static EXIT: Exit = const { Exit };
}

/// The part of the calling thread, if it was the last that the thread used.
#[inline]
fn last(domain: &Arc<Participants>) -> Option<NonNull<Participant>> {
    let (of, part) = LAST.get();
    part.filter(|_| ptr::eq(of, Arc::as_ptr(domain)))
}

/// The part of the calling thread, if it has one. It is in the domain's list.
fn find(domain: &Arc<Participants>) -> Option<NonNull<Participant>> {
    PARTS.with_borrow(|parts| {
        let own = parts.iter().find(|entry| ptr::eq(entry.domain.as_ptr(), Arc::as_ptr(domain)));
        own.map(|entry| entry.part)
    })
}

/// Drops the thread's parts when it ends. One that is pinned goes with its last pin, which is dropped by a destructor that
/// runs after this one, or has been forgotten.
struct Exit;

impl Drop for Exit {
    fn drop(&mut self) {
        LAST.set((ptr::null(), None));
        let mut gone = Vec::new();
        PARTS.with_borrow_mut(|parts| {
            let mut entries = mem::take(&mut **parts);
            entries.retain(|entry| {
                let Some(domain) = entry.domain.upgrade() else { return false };
                let part = domain.take(entry.part);
                let stays = part.is_none() && domain.holds(entry.part);
                gone.push((part, domain));
                stays
            });
            if !entries.is_empty() {
                **parts = entries;
            }
        });
        // It may run what is due to be reclaimed, so not while the entries are borrowed.
        drop(gone);
    }
}
