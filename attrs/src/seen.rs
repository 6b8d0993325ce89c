//! How far an open file has seen the changes of its attribute.

use std::sync::atomic::{AtomicU64, Ordering};

/// The count of an attribute's changes as it was when a file last read the attribute; a state of its own for a file
/// that never has.
///
/// It belongs to an [`OpenFile`](crate::OpenFile), which hands it to its [`Target`](crate::Target). Whoever polls
/// compares [`get`](Self::get) with the count of today: if they differ, there is something to read. A count of `u64::MAX`
/// is taken for never.
///
/// A change is made first and counted then. The target latches the count *before* it runs the callback: what changes
/// while the callback runs makes the two differ, perhaps once too often, if the callback has seen the change already.
/// Latched afterwards, a change that the callback has not seen would count as seen.
///
/// # Examples
///
/// ```
/// use enodev_attrs::Seen;
///
/// let seen = Seen::new();
/// assert_eq!(seen.get(), None);
/// seen.latch(0);
/// assert_eq!(seen.get(), Some(0));
/// ```
pub struct Seen(AtomicU64);

/// Said of a file that never read; above all counts.
const NEVER: u64 = u64::MAX;

impl Seen {
    /// That of a file that never read.
    pub const fn new() -> Seen {
        Seen(AtomicU64::new(NEVER))
    }

    /// Notes that the attribute is about to be read, with `count` changes behind it.
    #[inline]
    pub fn latch(&self, count: u64) {
        // Release: pairs with the load in `get`. Who finds this count finds the attribute's at this one or a later,
        // not at one before, which would look like a change.
        self.0.store(count, Ordering::Release);
    }

    /// The count that was latched last, or `None` if none was.
    #[inline]
    pub fn get(&self) -> Option<u64> {
        // Acquire: pairs with the store in `latch`: the attribute's count, read after this, is not older than the one
        // found here.
        Some(self.0.load(Ordering::Acquire)).filter(|count| *count != NEVER)
    }
}

impl Default for Seen {
    fn default() -> Seen {
        Seen::new()
    }
}

impl std::fmt::Debug for Seen {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Seen").field(&self.get()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// E-10: never to have read is none of the counts, the lowest and the highest included.
    #[test]
    fn never_is_no_count() {
        let seen = Seen::default();
        assert_eq!((seen.get(), format!("{seen:?}")), (None, "Seen(None)".into()));
        for count in [u64::MAX - 1, 0, 1] {
            seen.latch(count);
            assert_eq!(seen.get(), Some(count));
        }
    }
}
