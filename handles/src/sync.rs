//! Where the crate takes its atomics, locks, threads, thread-locals and statics from.
//!
//! A plain build takes the standard library's and `parking_lot`'s as they are. With `--cfg loom` or `--cfg shuttle` a model
//! checker's stand in for them, under the same names and with the same signatures, so that the checker sees every
//! operation. Nothing outside this module knows which it is, but for what the checkers cannot do:
//!
//! - Their atomics are not made in constants: no `const` block holds one, and what all threads share is declared with
//!   `process_static!`.
//! - Their atomics are larger than an integer and are not made of zero bytes. They have no `get_mut`.
//! - They do not know `membarrier`: only `Strategy::Fence` means something in a model. `compiler_fence` is nothing to them.
//! - loom orders nothing by what it does not see. A count of the standard library's `Arc`, or an epoch, hands nothing over.
//! - shuttle takes every operation for `SeqCst`: it tells about schedules, never about orderings.

#[cfg(any(loom, shuttle))]
mod locals;
#[cfg(any(loom, shuttle))]
mod locks;
#[cfg(any(loom, shuttle))]
mod model;

#[cfg(all(loom, shuttle))]
compile_error!("a build is for one model checker");

#[cfg(loom)]
use loom as checker;
#[cfg(all(shuttle, not(loom)))]
use shuttle as checker;

#[cfg(not(any(loom, shuttle)))]
pub(crate) use {
    parking_lot::{Condvar, Mutex, RwLock},
    std::{hint, sync::atomic, thread, thread_local},
};

#[cfg(any(loom, shuttle))]
pub use {
    locals::{AccessError, LocalKey},
    locks::{Condvar, Mutex, MutexGuard, RwLock, RwLockReadGuard, RwLockWriteGuard, WaitTimeoutResult},
    model::{atomic, body, hint, thread},
};

#[cfg(any(loom, shuttle))]
pub(crate) use {locals::thread_local, model::lazy_static};

/// Declares statics that all threads of the process share. In a model each execution has its own.
///
/// Used as the thing itself through auto-dereference only, since a checker's static is a type of its own that
/// dereferences to the value.
#[cfg(not(any(loom, shuttle)))]
macro_rules! process_static {
    ($($(#[$meta:meta])* static $name:ident: $type:ty = $value:expr;)*) => {
        $($(#[$meta])* static $name: $type = $value;)*
    };
}

#[cfg(any(loom, shuttle))]
macro_rules! process_static {
    ($($(#[$meta:meta])* static $name:ident: $type:ty = $value:expr;)*) => {
        $crate::sync::lazy_static! { $($(#[$meta])* static ref $name: $type = $value;)* }
    };
}

pub(crate) use process_static;
