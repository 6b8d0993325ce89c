#![expect(unsafe_code, reason = "a lock gives exclusive references to what is shared")]

use std::cell::UnsafeCell;
use std::fmt;
use std::marker::PhantomData;
use std::ops::{Deref, DerefMut};

use crate::cells::plainly_const;
use crate::error::Deadlock;
use crate::lock::RawLock;

/// A lock of the embedder's that takes part in the search for deadlocks.
///
/// A drain waits for those inside an object; if one of them waits for a lock that the remover holds, neither goes on. Where
/// the lock is an ordinary one, nobody sees that, and only the drain's deadline ends it. An exclusion is declared: a circle of drains,
/// second removers, exclusive payloads and exclusions, in any mixture and across domains, is found as it closes, and the one who
/// closes it is told [`Deadlock`] in place of waiting for itself. Not seen is what no thread is at: an owned reference, a future, a
/// [`Leaving`](crate::Leaving) or [`Quiet`](crate::Quiet) that is held while its thread waits for something else.
///
/// Its price is that of any small lock: one exchange to lock, one to unlock, while nobody else wants it. It is neither fair nor
/// poisoned by a panic. A guard stays on its thread; one that is forgotten holds the lock for ever.
///
/// ```
/// use enodev_handles::{Deadlock, Exclusion};
///
/// static TABLE: Exclusion<Vec<u32>> = Exclusion::new(Vec::new());
///
/// let mut table = TABLE.lock()?;
/// table.push(7);
/// assert_eq!(TABLE.lock().err(), Some(Deadlock)); // its own
/// drop(table);
/// assert_eq!(*TABLE.lock()?, [7]);
/// # Ok::<(), Deadlock>(())
/// ```
#[derive(Default)]
pub struct Exclusion<T: ?Sized = ()> {
    lock: RawLock,
    value: UnsafeCell<T>,
}

// SAFETY: the value is reached through `&mut self`, by value, or by the one thread that holds the lock; so it is handed
// from thread to thread (`T: Send`) and never shared.
unsafe impl<T: ?Sized + Send> Sync for Exclusion<T> {}

impl<T> Exclusion<T> {
    plainly_const! {
        /// An exclusion that nobody holds, and what it guards: `()` where that is elsewhere.
        pub fn new(value: T) -> Self {
            Self { lock: RawLock::new(), value: UnsafeCell::new(value) }
        }
    }

    /// The value.
    pub fn into_inner(self) -> T {
        self.value.into_inner()
    }
}

impl<T: ?Sized> Exclusion<T> {
    /// Takes the exclusion; waits while another thread holds it. May be called inside objects.
    ///
    /// # Errors
    ///
    /// [`Deadlock`] if the caller would wait for itself: it holds the exclusion, or the holder waits for the caller, through
    /// any number of others. Of those who close such a circle one is told.
    pub fn lock(&self) -> Result<ExclusionGuard<'_, T>, Deadlock> {
        self.lock.lock()?;
        // INVARIANT: the lock has just been taken.
        Ok(ExclusionGuard { exclusion: self, kind: PhantomData })
    }

    /// Takes the exclusion if nobody holds it.
    pub fn try_lock(&self) -> Option<ExclusionGuard<'_, T>> {
        // INVARIANT: the lock has just been taken.
        self.lock.try_lock().then(|| ExclusionGuard { exclusion: self, kind: PhantomData })
    }

    /// The value: that the exclusion is borrowed exclusively proves that nobody holds it.
    pub fn get_mut(&mut self) -> &mut T {
        self.value.get_mut()
    }
}

impl<T: ?Sized> fmt::Debug for Exclusion<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Exclusion").field("locked", &self.lock.is_locked()).finish_non_exhaustive()
    }
}

/// An [`Exclusion`] that the calling thread holds, until this is dropped.
// INVARIANT: the thread that this is on holds the exclusion's lock.
#[must_use = "the exclusion is held for as long as the guard lives"]
pub struct ExclusionGuard<'a, T: ?Sized = ()> {
    exclusion: &'a Exclusion<T>,
    /// `Sync` where a `T` is, and not `Send`: the lock's word holds this thread's number.
    kind: PhantomData<std::sync::MutexGuard<'a, T>>,
}

impl<T: ?Sized> Deref for ExclusionGuard<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        // SAFETY: the lock is held, so the only references are those that borrow this guard.
        unsafe { &*self.exclusion.value.get() }
    }
}

impl<T: ?Sized> DerefMut for ExclusionGuard<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: as above, and `&mut self` borrows it exclusively.
        unsafe { &mut *self.exclusion.value.get() }
    }
}

impl<T: ?Sized> Drop for ExclusionGuard<'_, T> {
    fn drop(&mut self) {
        // SAFETY: by the invariants this thread holds it.
        unsafe { self.exclusion.lock.unlock() };
    }
}

impl<T: ?Sized + fmt::Debug> fmt::Debug for ExclusionGuard<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ExclusionGuard").field(&&**self).finish()
    }
}
