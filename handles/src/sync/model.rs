//! What a model checker has that needs no more than another name.

use super::{checker, locals};

pub(crate) use checker::lazy_static;

/// The checker's atomics and fence.
pub mod atomic {
    pub use super::checker::sync::atomic::{
        AtomicBool, AtomicPtr, AtomicU8, AtomicU32, AtomicU64, AtomicUsize, Ordering, fence,
    };
    /// Nothing to a checker, which reorders by its own rules.
    pub use std::sync::atomic::compiler_fence;
}

/// The checker's hints.
pub mod hint {
    /// Lets another thread go on: in a model nothing changes while one spins.
    pub use super::checker::hint::spin_loop;
}

/// The checker's threads.
pub mod thread {
    pub use super::checker::thread::{JoinHandle, Thread, ThreadId, current, panicking, yield_now};

    use super::body_once;

    /// Starts a thread of the model. Its thread-locals are destroyed before it can be joined, other than in a plain build.
    #[track_caller]
    pub fn spawn<T: Send + 'static>(run: impl FnOnce() -> T + Send + 'static) -> JoinHandle<T> {
        super::checker::thread::spawn(move || body_once(run))
    }
}

/// What a model runs, from what its first thread does: that thread's thread-locals are destroyed at its end, before the
/// checker takes the statics away.
pub fn body(run: impl Fn() + Send + Sync + 'static) -> impl Fn() + Send + Sync + 'static {
    move || body_once(&run)
}

fn body_once<T>(run: impl FnOnce() -> T) -> T {
    let value = run();
    // Not when `run` panics: the model has failed, and what runs now would hide why.
    locals::end();
    value
}
