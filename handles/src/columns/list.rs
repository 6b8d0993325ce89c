//! The columns of an arena that want to know when an object leaves.

use std::cell::Cell;
use std::sync::Arc;

use crate::quiet::FirstPanic;
use crate::sync::atomic::{AtomicUsize, Ordering};
use crate::sync::{Condvar, Mutex, thread_local};
use crate::version::Version;

/// The rows of one column, as the arena sees them.
pub(crate) trait Rows: Send + Sync {
    /// Drops the values of objects that have been drained, on the remover's thread. Those that have been dropped before are
    /// passed over.
    fn left(&self, objects: &[(u32, Version)], panic: &mut FirstPanic);

    /// Gives the row of a slot free that is about to be used again. No pin can see it any more. Runs no foreign code.
    fn reclaimed(&self, index: u32);

    /// Drops all values: the arena is going, and nobody is inside an object or will be.
    fn cleared(&self, panic: &mut FirstPanic);
}

/// What a column wants to be told.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Wants {
    /// [`Rows::left`] and [`Rows::cleared`].
    pub(crate) leaving: bool,
    /// [`Rows::reclaimed`].
    pub(crate) reclaiming: bool,
}

struct Entry {
    id: u64,
    rows: Arc<dyn Rows>,
    wants: Wants,
    /// Threads that are dropping values of the column for removals.
    busy: usize,
}

#[derive(Default)]
struct List {
    entries: Vec<Entry>,
    last_id: u64,
    /// The arena has gone. Rows stay where they are from then on: with no arena to borrow, pins do not keep them.
    closed: bool,
}

impl List {
    fn entry(&mut self, id: u64) -> Option<&mut Entry> {
        self.entries.iter_mut().find(|entry| entry.id == id)
    }
}

thread_local! {
    /// How many removals the calling thread is in the middle of dropping values for. It must not wait for another thread that
    /// does the same, which may be waiting for this one.
    static DROPPING: Cell<u32> = const { Cell::new(0) };
}

/// The columns of one arena. Those that want nothing are not in the list, and cost a removal nothing.
#[derive(Default)]
pub(crate) struct Columns {
    leaving: AtomicUsize,
    reclaiming: AtomicUsize,
    list: Mutex<List>,
    changed: Condvar,
}

impl Columns {
    /// Enters a column in the list; the answer is for [`detach`](Self::detach).
    pub(crate) fn attach(&self, rows: Arc<dyn Rows>, wants: Wants) -> u64 {
        let mut list = self.list.lock();
        // Relaxed: a removal finds the column here if a value was set in its object. Who sets one does so inside the object,
        // or under a pin; the drain, or the epochs, order that before the removal looks (see `is_none`).
        self.leaving.fetch_add(usize::from(wants.leaving), Ordering::Relaxed);
        // Relaxed: as above.
        self.reclaiming.fetch_add(usize::from(wants.reclaiming), Ordering::Relaxed);
        list.last_id += 1;
        let id = list.last_id;
        list.entries.push(Entry { id, rows, wants, busy: 0 });
        id
    }

    /// Takes a column out of the list. When this returns, no removal is or will be in the code of its values, unless the caller is
    /// itself in the middle of one.
    pub(crate) fn detach(&self, id: u64) {
        let mut list = self.list.lock();
        while DROPPING.get() == 0 && list.entry(id).is_some_and(|entry| entry.busy > 0) {
            self.changed.wait(&mut list);
        }
        let Some(at) = list.entries.iter().position(|entry| entry.id == id) else { return };
        let entry = list.entries.swap_remove(at);
        // Relaxed: as in `attach`; a removal that still sees the column looks into the list.
        self.leaving.fetch_sub(usize::from(entry.wants.leaving), Ordering::Relaxed);
        // Relaxed: as above.
        self.reclaiming.fetch_sub(usize::from(entry.wants.reclaiming), Ordering::Relaxed);
    }

    /// Whether no column wants this.
    #[inline]
    fn is_none(count: &AtomicUsize) -> bool {
        // Relaxed: pairs with `attach`. A column that is missed here has no value of the objects in question: it would have
        // been set before the drain or the epoch that the caller comes from, and seen with it.
        count.load(Ordering::Relaxed) == 0
    }

    /// Drops what columns hold of objects that have been drained. To be called on the remover's thread, with no lock and no pin.
    pub(crate) fn left(&self, objects: impl Iterator<Item = (u32, Version)>, panic: &mut FirstPanic) {
        let objects: Vec<_> = objects.collect();
        self.each(|rows| rows.left(&objects, panic));
    }

    /// Whether [`left`](Self::left) has to be called: a removal that has no column to care for asks no more.
    #[inline]
    pub(crate) fn hear_of_leaving(&self) -> bool {
        !Self::is_none(&self.leaving)
    }

    /// Gives the rows of slots free. To be called when no pin of the time of their objects is left, before the slots are used again.
    pub(crate) fn reclaimed(&self, indices: &[u32]) {
        if Self::is_none(&self.reclaiming) {
            return;
        }
        let list = self.list.lock();
        for entry in list.entries.iter().filter(|entry| entry.wants.reclaiming && !list.closed) {
            indices.iter().for_each(|index| entry.rows.reclaimed(*index));
        }
    }

    /// The arena's end: drops what columns hold for their objects. To be called before the slots are cleared.
    pub(crate) fn end(&self, panic: &mut FirstPanic) {
        self.list.lock().closed = true;
        self.each(|rows| rows.cleared(panic));
    }

    /// Calls `run`, which must not unwind, for every column that wants to hear of leaving objects.
    fn each(&self, mut run: impl FnMut(&dyn Rows)) {
        let wanting = |list: &List| list.entries.iter().filter(|e| e.wants.leaving).map(|e| e.id).collect::<Vec<_>>();
        let ids = wanting(&self.list.lock());
        for id in ids {
            let begin = |entry: &mut Entry| {
                entry.busy += 1;
                Arc::clone(&entry.rows)
            };
            let Some(rows) = self.list.lock().entry(id).map(begin) else { continue };
            DROPPING.set(DROPPING.get() + 1);
            run(&*rows);
            // Not the last one, unless the column was dropped in `run`, by this very thread.
            drop(rows);
            DROPPING.set(DROPPING.get() - 1);
            if let Some(entry) = self.list.lock().entry(id) {
                entry.busy -= 1;
            }
            self.changed.notify_all();
        }
    }
}
