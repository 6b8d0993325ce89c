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
use crate::fences::{Fences, Strategy};
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
/// it is a lock like others, whose waiters sleep and take part in the search for deadlocks. It is neither fair nor poisoned by a panic.
/// A guard stays on its thread; one that is forgotten keeps the value for ever.
///
/// The barrier is `membarrier(2)`, where a [`Domain`](crate::Domain) or a [`Gate`](crate::Gate) of the process that was built before
/// the value has settled on that. Otherwise the one thread pays for fences.
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
// - Before it is `SHARED`, the value is used by nobody but the thread in `inside` that has found it reserved for itself since it stored
//   there. After that it is used by who holds `raw`; that thread does, if it was inside.
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
    /// Another thread has it reserved, and the system refuses the memory barrier that it takes to change that: by a filter that was
    /// installed after the value was made. That thread goes on as before.
    #[error("the system refuses the memory barrier")]
    Barrier,
}

// SAFETY: the lock hands the value from thread to thread (`T: Send`), and never to two at once.
unsafe impl<T: Send> Sync for Biased<T> {}

impl<T> Biased<T> {
    /// Wraps a value. Makes no system call.
    pub fn new(value: T) -> Self {
        Self::with_fences(Fences::known(), value)
    }

    /// Wraps a value that goes with a [`Domain`](crate::Domain) of this [`Strategy`]: with `Fence` each taking of it fences, and `membarrier`
    /// is never called.
    pub fn with_strategy(strategy: Strategy, value: T) -> Self {
        let fences = if strategy == Strategy::Fence { Fences::Symmetric } else { Fences::known() };
        Self::with_fences(fences, value)
    }

    /// As [`new`](Self::new), with fences that both sides know.
    pub(crate) fn with_fences(fences: Fences, value: T) -> Self {
        Self {
            reserved: AtomicU32::new(NOBODY),
            inside: AtomicU32::new(0),
            raw: RawLock::new(),
            fences,
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
        self.enter().unwrap_or_else(|| self.lock_slowly())
    }

    /// Enters by a store, where the caller has the lock reserved; the answer is `None` where it has not.
    #[inline]
    fn enter(&self) -> Option<Result<BiasedGuard<'_, T>, LockError>> {
        let record = records::current();
        let me = record.number();
        // Relaxed: who finds his own number has put it there, or had it from the registry's lock with the number; the second look decides.
        if self.reserved.load(Ordering::Relaxed) != me {
            return None;
        }
        // Relaxed: the caller's own store.
        if self.inside.load(Ordering::Relaxed) != 0 {
            return Some(Err(LockError::Deadlock));
        }
        record.hold();
        // Release: pairs with the Acquire of `revoke`: what the caller did inside before is seen with this number, too.
        self.inside.store(me, Ordering::Release);
        self.fences.light();
        // Relaxed: the fences decide. Either a revocation is seen here, or it sees the caller inside.
        if self.reserved.load(Ordering::Relaxed) != me {
            self.leave(me);
            return None;
        }
        // INVARIANT: whoever takes the reservation back from now on finds the caller inside.
        Some(Ok(BiasedGuard { lock: self, me, kind: PhantomData }))
    }

    #[cold]
    #[inline(never)]
    fn lock_slowly(&self) -> Result<BiasedGuard<'_, T>, LockError> {
        loop {
            // Each time anew: a thread at its end gives its record back as it leaves, and its number with it.
            let me = records::current().number();
            if !self.reserve(me) && self.revoke(me).map_err(|_| refused(LockError::Barrier))? {
                break;
            }
            // It is the caller's, and remains so unless another comes.
            if let Some(answer) = self.enter() {
                return answer;
            }
        }
        // The holder may be the caller, made so where it was inside.
        self.raw.lock().map_err(|Deadlock| LockError::Deadlock)?;
        // INVARIANT: the ordinary lock has just been taken, and nothing else counts.
        Ok(BiasedGuard { lock: self, me: 0, kind: PhantomData })
    }

    /// Reserves the lock for the thread with this number, if nobody has come before.
    fn reserve(&self, me: u32) -> bool {
        // Relaxed: nothing is concluded from it. It saves those who share the lock a locked instruction.
        self.reserved.load(Ordering::Relaxed) == NOBODY
            // Relaxed: the number is all that is handed over: nobody has used the value through the lock.
            && self.reserved.compare_exchange(NOBODY, me, Ordering::Relaxed, Ordering::Relaxed).is_ok()
    }

    /// Takes the reservation back, if there is still one, and it is not that of the caller, which has this number. True if there is
    /// none any more.
    fn revoke(&self, me: u32) -> Result<bool, RemoveError> {
        // Acquire: pairs with the Release below; the ordinary lock has its holder.
        if self.reserved.load(Ordering::Acquire) == SHARED {
            return Ok(true);
        }
        let _revocations = REVOCATIONS.lock();
        // Relaxed: changed under the lock only, once it is a number.
        let reserved = self.reserved.load(Ordering::Relaxed);
        if reserved == SHARED || reserved == me {
            // The caller's own: another has tried to take it back meanwhile, and could not.
            return Ok(reserved == SHARED);
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
        Ok(true)
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

/// A thread that is at its end may have got a record for nothing.
fn refused(error: LockError) -> LockError {
    records::release_transient();
    error
}

impl<T> fmt::Debug for Biased<T> {
    /// Does not look inside.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Biased").finish_non_exhaustive()
    }
}

/// The right to a [`Biased`] value, until it is dropped.
// INVARIANT: the thread that this is on has entered under the number `me`, or, where that is 0, holds `raw`.
#[must_use = "the value is given back when the guard is dropped"]
pub struct BiasedGuard<'a, T> {
    lock: &'a Biased<T>,
    /// The number under which the value was entered by a store; 0 where the ordinary lock is held.
    me: u32,
    /// `Sync` where a `T` is, and not `Send`: it is given up by the thread that has taken it.
    kind: PhantomData<std::sync::MutexGuard<'a, T>>,
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

#[cfg(test)]
mod tests;
