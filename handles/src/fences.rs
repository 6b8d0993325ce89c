//! The one module that fences.
//!
//! Two races of the store-then-load kind decide whether a drain is right (see `records` and `drain`; those of `biased` are like them):
//!
//! - *enter against mark*: a reader stores its cell, then loads the version; a remover stores the version, then
//!   loads the cells. One of the two must see the other's store.
//! - *leave against park*: a reader clears its cell, then loads the alarm; a remover raises the alarm, then loads
//!   the cell. Again one of the two must see the other's store.
//!
//! The reader's side calls [`Fences::light`] between its two accesses, the remover's [`Fences::heavy`]. With
//! [`Fences::Symmetric`] both are `fence(SeqCst)`, and the total order of such fences decides the race. With
//! [`Fences::Asymmetric`] the light one only keeps the compiler from reordering, and the heavy one makes every
//! running thread of the process execute a full barrier: that barrier falls before the reader's store, between
//! its two accesses, or after its load. In the first case the reader's load sees the remover's store; in the two
//! others the remover's load sees the reader's.

#![cfg_attr(not(any(loom, shuttle)), expect(unsafe_code, reason = "membarrier(2) is a system call without a wrapper"))]

use crate::error::{DomainError, RemoveError};
use crate::sync::atomic::{AtomicBool, AtomicUsize, Ordering, compiler_fence, fence};
use crate::sync::{Mutex, process_static};

/// How a removal learns who is inside. Settled when a [`Domain`](crate::Domain), or a [`Gate`](crate::Gate), is built.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum Strategy {
    /// `Membarrier` where the system has it, else `Fence`.
    #[default]
    Auto,
    /// Readers pay nothing, but that a thread's first few hundred entries fence; a removal calls `membarrier(2)`, private and
    /// expedited, where it meets a thread that has entered more often. A system-call filter that is installed later must
    /// allow it: from then on, removals fail where it is refused.
    Membarrier,
    /// Readers and removals pay a fence each. For other systems, and for tools that do not know `membarrier`.
    Fence,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fences {
    Asymmetric,
    Symmetric,
}

impl Fences {
    pub(crate) fn settle(strategy: Strategy) -> Result<Self, DomainError> {
        match strategy {
            Strategy::Fence => Ok(Self::Symmetric),
            Strategy::Membarrier => Self::settle_asymmetric().ok_or(DomainError::Membarrier),
            Strategy::Auto => Ok(Self::settle_asymmetric().unwrap_or(Self::Symmetric)),
        }
    }

    /// What some domain or gate of the process has settled on before: for what is made too often to ask the system each time, and is
    /// not to make a call that nobody has chosen.
    pub(crate) fn known() -> Self {
        // Acquire: pairs with the Release of `settle_asymmetric`: the process is registered.
        if REGISTERED.load(Ordering::Acquire) { Self::Asymmetric } else { Self::Symmetric }
    }

    /// The barrier, if the system has it.
    fn settle_asymmetric() -> Option<Self> {
        if !membarrier::register() {
            return None;
        }
        // Release: pairs with the Acquire of `known`.
        REGISTERED.store(true, Ordering::Release);
        Some(Self::Asymmetric)
    }

    /// The reader's side.
    ///
    /// Built with `--cfg enodev_unfenced`, neither this nor the barrier orders the processor: the tests that are to notice a lost
    /// race are tried on that build.
    #[inline]
    pub(crate) fn light(self) {
        match self {
            // SeqCst: pairs with the fence of `heavy`; the later of the two sees what stands before the earlier.
            Self::Symmetric if !cfg!(enodev_unfenced) => fence(Ordering::SeqCst),
            // SeqCst: for the compiler only; the other side's `membarrier` orders the processor.
            Self::Asymmetric | Self::Symmetric => compiler_fence(Ordering::SeqCst),
        }
    }

    /// The remover's side. `unfenced` answers, after a full fence, whether the other side may be a reader that only kept the
    /// compiler from reordering.
    pub(crate) fn heavy(self, unfenced: impl FnOnce() -> bool) -> Result<(), RemoveError> {
        full();
        if self == Self::Asymmetric && unfenced() { barrier() } else { Ok(()) }
    }
}

process_static! {
    /// Whether the process has registered for the barrier.
    static REGISTERED: AtomicBool = AtomicBool::new(false);
    /// Held by whoever issues a barrier.
    static ISSUING: Mutex<()> = Mutex::new(());
    static BEGUN: AtomicUsize = AtomicUsize::new(0);
    static DONE: AtomicUsize = AtomicUsize::new(0);
}

/// The barrier, or another thread's that has begun since the call: removers that wait at the same time share one. The
/// caller has fenced.
pub(crate) fn barrier() -> Result<(), RemoveError> {
    #[cfg(test)]
    tests::count();
    // Acquire: the barrier that has this number was begun before; any later one begins after the call.
    let before = BEGUN.load(Ordering::Acquire);
    let _issuing = ISSUING.lock();
    // Relaxed: written under the lock.
    if DONE.load(Ordering::Relaxed) > before {
        return Ok(());
    }
    // AcqRel: a remover that reads the new number cannot use this barrier, one that reads the old one can: what it did
    // before came before this, and so before the system call. The fences of both stand between.
    let this = BEGUN.fetch_add(1, Ordering::AcqRel) + 1;
    full();
    if !membarrier::barrier() {
        return Err(RemoveError::Barrier);
    }
    // Relaxed: read under the lock.
    DONE.store(this, Ordering::Relaxed);
    Ok(())
}

/// A full fence.
pub(crate) fn full() {
    // SeqCst: pairs with another thread's; what stands before the earlier of the two is seen after the later.
    fence(Ordering::SeqCst);
}

#[cfg(all(target_os = "linux", not(any(miri, loom, shuttle))))]
mod membarrier {
    use std::ffi::{c_int, c_long};

    const REGISTER_PRIVATE_EXPEDITED: c_int = 1 << 4;
    const PRIVATE_EXPEDITED: c_int = 1 << 3;

    fn call(command: c_int) -> bool {
        let (flags, cpu): (c_int, c_int) = (0, 0);
        // SAFETY: `membarrier` takes three integers and touches no memory of ours.
        let answer: c_long = unsafe { libc::syscall(libc::SYS_membarrier, command, flags, cpu) };
        answer == 0
    }

    /// Registers the process; to do it again is harmless.
    pub(super) fn register() -> bool {
        call(REGISTER_PRIVATE_EXPEDITED) && call(PRIVATE_EXPEDITED)
    }

    pub(super) fn barrier() -> bool {
        cfg!(enodev_unfenced) || call(PRIVATE_EXPEDITED)
    }
}

/// A model knows no such call. What stands for it is the model's own, to try how removers share it.
#[cfg(any(loom, shuttle))]
pub(crate) mod membarrier {
    use crate::sync::{Mutex, process_static};

    type Call = Box<dyn FnMut() -> bool + Send>;

    process_static! {
        static CALL: Mutex<Option<Call>> = Mutex::new(None);
    }

    pub(super) fn register() -> bool {
        false
    }

    pub(super) fn barrier() -> bool {
        CALL.lock().as_mut().is_some_and(|call| call())
    }

    /// Has `call` called for each barrier.
    pub(crate) fn stand_in(call: impl FnMut() -> bool + Send + 'static) {
        *CALL.lock() = Some(Box::new(call));
    }
}

#[cfg(all(not(any(loom, shuttle)), any(not(target_os = "linux"), miri)))]
mod membarrier {
    pub(super) fn register() -> bool {
        false
    }

    pub(super) fn barrier() -> bool {
        false
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use std::cell::Cell;

    thread_local! {
        static BARRIERS: Cell<usize> = const { Cell::new(0) };
    }

    /// Called for every barrier.
    pub(super) fn count() {
        BARRIERS.set(BARRIERS.get() + 1);
    }

    /// How many barriers the calling thread has asked for in `run`.
    pub(crate) fn barriers(run: impl FnOnce()) -> usize {
        let before = BARRIERS.get();
        run();
        BARRIERS.get() - before
    }
}
