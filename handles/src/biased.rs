//! A lock for what one thread uses, as a rule.
//!
//! The first thread that takes it has it *reserved*: it enters by a store and a load and leaves the same way, as one enters an object
//! (see `cells`). Another thread that comes takes the reservation back, once and for all: it says so, issues the barrier, and looks
//! whether the first is inside. If so, that one is made the holder of an ordinary lock, which it gives up as it leaves. From then on the
//! ordinary lock is all that counts.

#![expect(unsafe_code, reason = "the lock is what makes a reference to the value the only one")]

use std::cell::UnsafeCell;
use std::fmt;
use std::marker::PhantomData;
use std::ops::{Deref, DerefMut};

use crate::error::{Deadlock, RemoveError};
use crate::fences::Fences;
use crate::lock::RawLock;
use crate::records;
use crate::sync::atomic::{AtomicU32, Ordering};
use crate::sync::{Mutex, process_static};

/// Nobody has it reserved yet.
const NOBODY: u32 = 0;
/// The reservation is being taken back.
const REVOKING: u32 = u32::MAX - 1;
/// There is none any more. No record has this number, or the one above.
const SHARED: u32 = u32::MAX;

process_static! {
    /// Held by who takes a reservation back, and by who leaves and finds his own taken back.
    static REVOCATIONS: Mutex<()> = Mutex::new(());
}

/// A value that is used by one thread at a time, and mostly by the same.
///
/// As long as one thread alone takes it, that costs no locked instruction. The first other thread to come pays a memory barrier; then
/// it is a lock like others, whose waiters sleep and take part in the search for deadlocks.
///
/// ```
/// use enodev_handles::{Biased, LockError};
///
/// let position = Biased::new(0_u64);
/// *position.lock()? += 512;
/// let held = position.lock()?;
/// assert_eq!(position.lock().err(), Some(LockError::Deadlock));
/// drop(held);
/// std::thread::scope(|scope| scope.spawn(|| position.lock().map(|mut position| *position += 512)).join().unwrap())?;
/// assert_eq!(*position.lock()?, 1024);
/// # Ok::<(), LockError>(())
/// ```
// INVARIANTS:
// - `reserved` is `NOBODY`, then a thread's number, then `REVOKING`, then `SHARED`; only a revocation that fails goes back.
// - `inside` is the number of a thread from before that looks whether it has the lock reserved until it has left. Only that one
//   stores there.
// - The value is used by the thread in `inside` while the reservation is its own, or was when it entered and `raw` has not been
//   taken by another since; and by who holds `raw` while `reserved` is `SHARED`.
pub struct Biased<T> {
    reserved: AtomicU32,
    inside: AtomicU32,
    raw: RawLock,
    fences: Fences,
    value: UnsafeCell<T>,
}

/// Why a [`Biased`] value cannot be had.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum LockError {
    /// The caller has it, or whoever has it waits for the caller.
    #[error("the caller would wait for itself")]
    Deadlock,
    /// Another thread has it reserved, and the system refuses the memory barrier that it takes to change that.
    #[error("the system refuses the memory barrier")]
    Barrier,
}

// SAFETY: the lock hands the value from thread to thread (`T: Send`), and never to two at once.
unsafe impl<T: Send> Sync for Biased<T> {}

impl<T> Biased<T> {
    /// Wraps a value.
    pub fn new(value: T) -> Self {
        Self {
            reserved: AtomicU32::new(NOBODY),
            inside: AtomicU32::new(0),
            raw: RawLock::new(),
            fences: Fences::auto(),
            value: UnsafeCell::new(value),
        }
    }

    /// The value, where it is nobody else's.
    pub fn get_mut(&mut self) -> &mut T {
        self.value.get_mut()
    }

    /// Takes the value; waits until nobody has it.
    ///
    /// # Errors
    ///
    /// [`LockError`]. Nothing has changed.
    #[inline]
    pub fn lock(&self) -> Result<BiasedGuard<'_, T>, LockError> {
        let record = records::current();
        let me = record.number();
        // Relaxed: who finds his own number has put it there; the second look decides.
        if self.reserved.load(Ordering::Relaxed) == me {
            // Relaxed: the caller's own store.
            if self.inside.load(Ordering::Relaxed) != 0 {
                return Err(LockError::Deadlock);
            }
            record.hold();
            // Release: pairs with the Acquire of `revoke`, as any entry.
            self.inside.store(me, Ordering::Release);
            self.fences.light();
            // Relaxed: the fences decide. Either a revocation is seen here, or it sees the caller inside.
            if self.reserved.load(Ordering::Relaxed) == me {
                return Ok(BiasedGuard { lock: self, me, not_send: PhantomData });
            }
            self.leave(me);
        }
        self.lock_slowly(me)
    }

    #[cold]
    #[inline(never)]
    fn lock_slowly(&self, me: u32) -> Result<BiasedGuard<'_, T>, LockError> {
        // Relaxed: the caller's own store, if it is its number.
        if self.inside.load(Ordering::Relaxed) == me {
            return Err(LockError::Deadlock);
        }
        // Relaxed: the number is all that is handed over. What another did before with the value he did as its only owner.
        let reserve = self.reserved.compare_exchange(NOBODY, me, Ordering::Relaxed, Ordering::Relaxed);
        // It may be the caller's own: another has tried to take it back, and could not.
        if reserve.is_ok() || reserve == Err(me) {
            return self.lock();
        }
        self.revoke().map_err(|_| self.refused(LockError::Barrier))?;
        self.raw.lock().map_err(|Deadlock| LockError::Deadlock)?;
        Ok(BiasedGuard { lock: self, me: 0, not_send: PhantomData })
    }

    /// A thread that is at its end may have got a record for nothing.
    fn refused(&self, error: LockError) -> LockError {
        records::release_transient();
        error
    }

    /// Takes the reservation back, if there is still one.
    fn revoke(&self) -> Result<(), RemoveError> {
        // Acquire: pairs with the Release below; the ordinary lock has its holder.
        if self.reserved.load(Ordering::Acquire) == SHARED {
            return Ok(());
        }
        let _revocations = REVOCATIONS.lock();
        // Relaxed: changed under the lock only, once it is a number.
        let reserved = self.reserved.load(Ordering::Relaxed);
        if reserved == SHARED {
            return Ok(());
        }
        // Relaxed: the fence that follows orders it before the look.
        self.reserved.store(REVOKING, Ordering::Relaxed);
        if let Err(refused) = self.fences.heavy(|| true) {
            // Relaxed: as if nothing had been. Who has seen it goes the long way and finds the number again.
            self.reserved.store(reserved, Ordering::Relaxed);
            return Err(refused);
        }
        // Acquire: pairs with the Release of `leave`: what was done inside comes before.
        let inside = self.inside.load(Ordering::Acquire);
        if inside != 0 {
            // It will find the reservation gone as it leaves, wait for the lock that is held here, and give this one up.
            self.raw.hand_to(inside);
        }
        // Release: pairs with the Acquire above.
        self.reserved.store(SHARED, Ordering::Release);
        Ok(())
    }

    /// Leaves, having entered by a store.
    #[inline]
    fn leave(&self, me: u32) {
        // Release: what was done inside comes before; pairs with the Acquire of `revoke`.
        self.inside.store(0, Ordering::Release);
        self.fences.light();
        // Relaxed: the fences decide. Either a revocation is seen here, or it sees that the caller has left.
        if self.reserved.load(Ordering::Relaxed) == me { records::let_go() } else { self.leave_revoked(me) }
    }

    #[cold]
    fn leave_revoked(&self, me: u32) {
        // A revocation that is under way may still make the caller the holder.
        drop(REVOCATIONS.lock());
        if self.raw.is_held_by(me) {
            // SAFETY: the caller is the holder: nobody takes a lock in its name but itself, and it is here.
            unsafe { self.raw.unlock() }
        } else {
            records::let_go();
        }
    }
}

impl<T: fmt::Debug> fmt::Debug for Biased<T> {
    /// Does not look inside.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Biased").finish_non_exhaustive()
    }
}

/// The right to a [`Biased`] value, until it is dropped.
#[must_use = "the value is given back when the guard is dropped"]
pub struct BiasedGuard<'a, T> {
    lock: &'a Biased<T>,
    /// The number under which the value was entered by a store; 0 where the ordinary lock is held.
    me: u32,
    /// It is given up by the thread that has taken it.
    not_send: PhantomData<std::sync::MutexGuard<'static, ()>>,
}

impl<T> Deref for BiasedGuard<'_, T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        // SAFETY: by the invariants of the lock this thread alone uses the value until the guard is dropped.
        unsafe { &*self.lock.value.get() }
    }
}

impl<T> DerefMut for BiasedGuard<'_, T> {
    #[inline]
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: as above; and `&mut self` is the only use of this way.
        unsafe { &mut *self.lock.value.get() }
    }
}

impl<T> Drop for BiasedGuard<'_, T> {
    #[inline]
    fn drop(&mut self) {
        if self.me != 0 {
            self.lock.leave(self.me);
        } else {
            // SAFETY: this holds it.
            unsafe { self.lock.raw.unlock() };
        }
    }
}

impl<T: fmt::Debug> fmt::Debug for BiasedGuard<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("BiasedGuard").field(&**self).finish()
    }
}
