//! Where the crate takes its atomics, locks, threads and thread-locals from: in a plain build the standard library's and
//! `parking_lot`'s, in a model a checker's, which `handles` has ready (`handles/src/sync.rs`).
//!
//! What stays the standard library's in a model too is nothing to the checker: `Arc`, whose counts hand over nothing that a lock does
//! not; `OnceLock` and `LazyLock`, which are settled without a scheduling point inside; a counter of the process; and what
//! `attrs` has, which are counters, and a spare page that another thread of a model finds taken.

#[cfg(any(loom, shuttle))]
pub(crate) use {
    enodev_handles::sync::{Condvar, Mutex, MutexGuard, RwLock, atomic, hint, thread},
    local as thread_local,
};
#[cfg(not(any(loom, shuttle)))]
pub(crate) use {
    parking_lot::{Condvar, Mutex, MutexGuard, RwLock},
    std::{hint, sync::atomic, thread, thread_local},
};

/// As `std::thread_local!`, for the threads of a model.
#[cfg(any(loom, shuttle))]
macro_rules! local {
    ($($(#[$meta:meta])* static $name:ident: $type:ty = $value:expr;)*) => {
        $(
            $(#[$meta])*
            static $name: enodev_handles::sync::LocalKey<$type> = enodev_handles::sync::LocalKey::new(|| $value);
        )*
    };
}

#[cfg(any(loom, shuttle))]
pub(crate) use local;
