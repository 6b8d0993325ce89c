//! Numbers and flags of the book, which any thread may change at any time.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering, fence};

/// A number.
#[derive(Debug, Default)]
pub(super) struct Count(AtomicU64);

impl Count {
    pub(super) fn get(&self) -> u64 {
        // Acquire: pairs with the Release of the changes: who sees one sees what was done before it.
        self.0.load(Ordering::Acquire)
    }

    /// Changes the number, and gives the one that it was.
    pub(super) fn set(&self, number: u64) -> u64 {
        // AcqRel: Release pairs with the Acquire of `get`, and Acquire with the Release of the change before.
        self.0.swap(number, Ordering::AcqRel)
    }

    /// Adds to the number, and gives the one that it was.
    pub(super) fn add(&self, more: u64) -> u64 {
        // AcqRel: as in `set`.
        self.0.fetch_add(more, Ordering::AcqRel)
    }
}

/// Something that has happened, or has not.
#[derive(Debug, Default)]
pub(super) struct Flag(AtomicBool);

impl Flag {
    /// Whether it is up, as far as the calling thread can know it: what the store has just told it included.
    pub(super) fn is_up(&self) -> bool {
        // Acquire: an answer of the store may have come by a load that is none; pairs with the Release of what it saw.
        fence(Ordering::Acquire);
        // Acquire: pairs with the Release of `raise` and `lower`.
        self.0.load(Ordering::Acquire)
    }

    /// Raises it, and says whether it was up.
    pub(super) fn raise(&self) -> bool {
        // AcqRel: Release pairs with the Acquire of `is_up`: who sees it up sees what was before. Acquire pairs with the Release of
        // who lowered it.
        self.0.swap(true, Ordering::AcqRel)
    }

    pub(super) fn lower(&self) {
        // Release: pairs with the Acquire of `raise` and `is_up`.
        self.0.store(false, Ordering::Release);
    }
}
