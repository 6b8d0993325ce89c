//! Locks that take part in the search for deadlocks.
//!
//! A lock's word says who holds it, by the number of the thread's record. Whoever has to sleep says so in `waits` first, where it
//! is told if it would wait for itself. A thread that holds a lock keeps its record, so the number is nobody else's.

#![expect(unsafe_code, reason = "who waits lends the lock's word, and who unlocks says that it holds the lock")]

use std::ptr::NonNull;

use crate::cells::plainly_const;
use crate::error::Deadlock;
use crate::records;
use crate::sync::atomic::{AtomicU32, Ordering};
use crate::sync::{Condvar, Mutex, hint};
use crate::waits::{self, HOLDER, On};

/// Somebody may sleep until the lock is free.
const AWAITED: u32 = !HOLDER;

/// How often the lock is looked at before one goes to sleep: some two microseconds.
const LOOKS: u32 = if cfg!(any(loom, shuttle)) { 1 } else { 64 };

/// A lock alone. Who comes while somebody sleeps may be quicker: it is not fair.
///
/// # Invariants
///
/// - The word is 0 while nobody holds the lock; else the holder's number stands in the bits of `HOLDER`.
/// - `AWAITED` is set whenever the lock is held and somebody sleeps whom nobody has woken.
#[derive(Debug, Default)]
pub(crate) struct RawLock {
    word: AtomicU32,
    /// How many sleep.
    sleepers: Mutex<u32>,
    freed: Condvar,
}

impl RawLock {
    plainly_const! {
        pub(crate) fn new() -> Self {
            Self { word: AtomicU32::new(0), sleepers: Mutex::new(0), freed: Condvar::new() }
        }
    }

    /// Takes the lock if it is free.
    #[inline]
    pub(crate) fn try_lock(&self) -> bool {
        let record = records::current();
        let is_taken = self.take(record.number());
        if is_taken {
            record.hold()
        } else {
            records::release_transient()
        }
        is_taken
    }

    /// Takes the lock; waits until it is free.
    #[inline]
    pub(crate) fn lock(&self) -> Result<(), Deadlock> {
        let record = records::current();
        if !self.take(record.number()) {
            self.wait(record.number()).inspect_err(|_| records::release_transient())?;
        }
        record.hold();
        Ok(())
    }

    /// Gives the lock up.
    ///
    /// # Safety
    ///
    /// The calling thread holds it.
    #[inline]
    pub(crate) unsafe fn unlock(&self) {
        // Release: what was done under the lock comes before; pairs with the Acquire of the next `take_as`. Whoever set
        // `AWAITED` in the word that this ends is seen.
        if self.word.swap(0, Ordering::Release) & AWAITED != 0 {
            self.wake();
        }
        records::let_go();
    }

    /// Makes the thread with this number the holder of a lock that nobody has taken, and that nobody else can take meanwhile. The thread
    /// has noted that it holds a lock.
    pub(crate) fn hand_to(&self, holder: u32) {
        // Relaxed: whoever takes the lock has been told of it afterwards.
        self.word.store(holder & HOLDER, Ordering::Relaxed);
    }

    /// Whether the caller, which has this number, is the holder.
    pub(crate) fn is_held_by(&self, holder: u32) -> bool {
        // Relaxed: a number that is the caller's own was put there by itself, or before something that it has waited for.
        self.word.load(Ordering::Relaxed) & HOLDER == holder & HOLDER
    }

    pub(crate) fn is_locked(&self) -> bool {
        // Relaxed: an answer for people, of a moment.
        self.word.load(Ordering::Relaxed) != 0
    }

    #[inline]
    fn take(&self, holder: u32) -> bool {
        self.take_as(holder & HOLDER)
    }

    #[inline]
    fn take_as(&self, word: u32) -> bool {
        // Acquire: pairs with the Release of `unlock`. Nothing is given to whoever reads the number: who looks for circles
        // and finds its thread asleep has it from the lock of `waits`.
        // Relaxed: a lock that is not had gives nothing.
        self.word.compare_exchange(0, word, Ordering::Acquire, Ordering::Relaxed).is_ok()
    }

    #[cold]
    fn wake(&self) {
        // Whoever set `AWAITED` holds this until it sleeps.
        drop(self.sleepers.lock());
        self.freed.notify_one();
    }

    #[cold]
    fn wait(&self, waiter: u32) -> Result<(), Deadlock> {
        for _ in 0..LOOKS {
            if self.take(waiter) {
                return Ok(());
            }
            hint::spin_loop();
        }
        let mut sleepers = self.sleepers.lock();
        loop {
            // Who leaves sleepers behind takes over to have them woken.
            let others = if *sleepers == 0 { 0 } else { AWAITED };
            if self.take_as(waiter & HOLDER | others) {
                return Ok(());
            }
            if !self.ask_for_call() {
                continue;
            }
            // SAFETY: the lock is borrowed until the wait is over.
            let _waiting = unsafe { waits::begin(waiter, On::Lock(NonNull::from(&self.word))) }?;
            *sleepers += 1;
            self.freed.wait(&mut sleepers);
            *sleepers -= 1;
        }
    }

    /// Has whoever holds the lock call when it gives it up; false if nobody holds it. Under the lock of `sleepers`, which the
    /// caller keeps until it sleeps.
    fn ask_for_call(&self) -> bool {
        let ask = |word| (word != 0).then_some(word | AWAITED);
        // Relaxed: nothing is handed over. The swap of `unlock` comes later in the order of the word's changes, sees the bit,
        // and takes the lock of `sleepers` before it calls.
        self.word.fetch_update(Ordering::Relaxed, Ordering::Relaxed, ask).is_ok()
    }
}
