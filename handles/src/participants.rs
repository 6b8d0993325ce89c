//! The threads' parts in a domain's collector.
//!
//! They belong to the domain, not to the threads, so that a domain that is dropped leaves no garbage behind in threads
//! that live on; a thread keeps only where its own part is.

#![expect(unsafe_code, reason = "a thread finds its part of the domain's list by address")]

use std::cell::{Cell, RefCell};
use std::ptr::{self, NonNull};
use std::sync::{Arc, Weak};

use crossbeam_epoch::{Collector, Guard, LocalHandle};

use crate::sync::{Mutex, thread_local};

struct Participant(LocalHandle);

/// The list's share of a part: it frees it.
struct Owned(NonNull<Participant>);

// SAFETY: a `LocalHandle` is bound to a thread only in that two threads must not use it at once (its counts are plain
// cells). The thread that registered it is the only one to pin through it; it is dropped either by that thread as it ends,
// or with the domain, when no reference to the domain is left through which it could be in use. Both happen after it was taken
// out of the list, and reclamation itself is `Send`: what a `LocalHandle` holds is what `Guard::defer` accepted.
unsafe impl Send for Owned {}

impl Drop for Owned {
    fn drop(&mut self) {
        // SAFETY: made by `Box::leak` in `register`, and freed here only; no reference to it is in use (see `Send`).
        drop(unsafe { Box::from_raw(self.0.as_ptr()) });
    }
}

/// # Invariants
///
/// A part is in the list from its registration until its thread ends or [`clear`](Self::clear) is called.
pub(crate) struct Participants {
    list: Mutex<Vec<Owned>>,
    collector: Collector,
}

impl Participants {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self { list: Mutex::default(), collector: Collector::new() })
    }

    /// Pins the calling thread.
    pub(crate) fn pin(self: &Arc<Self>) -> Guard {
        match HERE.try_with(|here| here.find_or_register(self)) {
            // SAFETY: the part is in the list: this thread has not ended, and `self` has not been cleared, since
            // `clear` needs the last reference to the domain and the caller came through one.
            Ok(part) => unsafe { part.as_ref() }.0.pin(),
            // The thread's destructors are running: a part for this pin alone.
            Err(_) => self.collector.register().pin(),
        }
    }

    /// Whether the calling thread is pinned. While its destructors run, pins of other domains count too.
    pub(crate) fn is_pinned(self: &Arc<Self>) -> bool {
        match HERE.try_with(|here| here.find(self)) {
            // SAFETY: as in `pin`.
            Ok(part) => part.is_some_and(|part| unsafe { part.as_ref() }.0.is_pinned()),
            Err(_) => PINS.get() > 0,
        }
    }

    fn register(&self) -> NonNull<Participant> {
        let part = NonNull::from(Box::leak(Box::new(Participant(self.collector.register()))));
        self.list.lock().push(Owned(part));
        part
    }

    fn unregister(&self, part: NonNull<Participant>) {
        // A part that goes may run what is due to be reclaimed: not under the lock.
        let gone = {
            let mut list = self.list.lock();
            let at = list.iter().position(|owned| owned.0 == part);
            at.map(|at| list.swap_remove(at))
        };
        drop(gone);
    }

    /// Drops all parts; what they had deferred goes to the collector. For the domain's end.
    pub(crate) fn clear(&self) {
        let gone = std::mem::take(&mut *self.list.lock());
        drop(gone);
    }
}

/// Where the parts of one thread are.
#[derive(Default)]
struct Here(RefCell<Vec<(Weak<Participants>, NonNull<Participant>)>>);

impl Here {
    fn find(&self, domain: &Arc<Participants>) -> Option<NonNull<Participant>> {
        let parts = self.0.borrow();
        // A weak reference keeps the address from being used again.
        parts.iter().find(|(of, _)| ptr::eq(of.as_ptr(), Arc::as_ptr(domain))).map(|(_, part)| *part)
    }

    fn find_or_register(&self, domain: &Arc<Participants>) -> NonNull<Participant> {
        self.find(domain).unwrap_or_else(|| {
            let mut parts = self.0.borrow_mut();
            parts.retain(|(of, _)| of.strong_count() > 0);
            let part = domain.register();
            parts.push((Arc::downgrade(domain), part));
            part
        })
    }
}

impl Drop for Here {
    fn drop(&mut self) {
        for (domain, part) in self.0.get_mut().drain(..) {
            if let Some(domain) = domain.upgrade() {
                domain.unregister(part);
            }
        }
    }
}

thread_local! {
    static HERE: Here = Here::default();
    /// The pins that the thread holds, of any domain. Outlives `HERE`.
    static PINS: Cell<usize> = const { Cell::new(0) };
}

pub(crate) fn count_pin() {
    PINS.set(PINS.get() + 1);
}

pub(crate) fn uncount_pin() {
    PINS.set(PINS.get().saturating_sub(1));
}
