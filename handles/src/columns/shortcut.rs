//! The way to a row and to its slot's word at once, for where every instruction counts.

#![expect(unsafe_code, reason = "rows and words are found by address")]

use std::ptr::{self, NonNull};
use std::sync::Arc;

use crate::chunks::{CHUNKS, chunk_len, count};
use crate::columns::base::Base;
use crate::columns::home::{Home, Run};
use crate::columns::row::Row;
use crate::columns::table::Table;
use crate::handle::{Handle, Kind};
use crate::sync::atomic::{AtomicPtr, Ordering};

/// Where the chunks of a dense column's rows are, and those of its arena's slots.
///
/// # Invariants
///
/// A link is null, or leads to where the [counted](count) element 0 would be that stands before a chunk's: a row of `table`, or
/// the word of a slot in `home`, which is `stride` bytes before the next one's. Where there is a link to rows, the one to words
/// has been stored before.
pub(crate) struct Shortcut<R> {
    rows: [AtomicPtr<R>; CHUNKS],
    words: [AtomicPtr<u8>; CHUNKS],
    stride: usize,
    table: Arc<Table<R>>,
    home: Home,
}

impl<R: Row> Shortcut<R> {
    /// Leads nowhere yet.
    pub(crate) fn new<K: Kind>(base: &Base<K, R>) -> Box<Self> {
        let (table, home) = (Arc::clone(&base.rows), base.home.clone());
        Box::new(Self { rows: no_links(), words: no_links(), stride: home.stride(), table, home })
    }

    /// What `read` finds in the row of a handle, if the handle's object is alive afterwards and the shortcut leads there.
    ///
    /// Under no pin: the object may leave at any moment, and the next one in its slot take the row. The memory stays all the same.
    /// And what was read is the object's if that is alive now: who sets a later object's value has seen that one alive, and stores
    /// with Release what `read` loads with Acquire; so if there is any of that in the value, this finds a later word in the slot.
    #[inline]
    pub(crate) fn read<K, V>(&self, handle: Handle<K>, read: impl FnOnce(&R) -> Option<V>) -> Option<V> {
        let (chunk, n) = count(handle.index());
        // Acquire: pairs with the Release of `note`; the rows are seen, and the link to the words.
        let rows = NonNull::new(self.rows[chunk].load(Ordering::Acquire))?;
        // Acquire: as above; the words are seen.
        let words = self.words[chunk].load(Ordering::Acquire);
        let row = rows.as_ptr().wrapping_add(n);
        // SAFETY: by the invariants this is the row of the index, which has been valid from the start. `table` keeps it.
        let value = read(unsafe { &*row })?;
        let word = Run::new(words, self.stride).nth(n);
        // SAFETY: by the invariants it is the word of the index. `home` keeps it.
        let is_alive = unsafe { word.holds(handle.version()) };
        // Not `then_some`, from which the compiler makes a value that each caller has to test again.
        if is_alive { Some(value) } else { None }
    }

    /// Notes the chunks of an index, where there are both.
    pub(crate) fn note(&self, index: u32) {
        let Table::Dense(rows) = &*self.table else { return };
        let (chunk, n) = count(index);
        // Acquire: as in `read`. A link that is there is right: chunks stay where they are.
        if !self.rows[chunk].load(Ordering::Acquire).is_null() {
            return;
        }
        let first = index - (n - chunk_len(chunk)) as u32;
        if let (Some(rows), Some(words)) = (rows.run(first), self.home.run(first)) {
            let words = words.start().wrapping_sub(chunk_len(chunk) * self.stride);
            let rows = rows.as_ptr().wrapping_sub(chunk_len(chunk));
            // Release: pairs with the Acquire of `read`.
            self.words[chunk].store(words.cast_mut(), Ordering::Release);
            // Release: as above; the link to the words comes before.
            self.rows[chunk].store(rows.cast_mut(), Ordering::Release);
        }
    }
}

fn no_links<T>() -> [AtomicPtr<T>; CHUNKS] {
    std::array::from_fn(|_| AtomicPtr::new(ptr::null_mut()))
}
