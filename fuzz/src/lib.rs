//! Misuse of handles: an interpreter of random operations on two stores, compared with a model after each one.
//!
//! The input is a string of bytes, four for one operation ([`Op`]). The operations run on two worlds, each a domain
//! with one arena of the same kind, so that a handle of the one is foreign to the other. Handles are drawn from a pool
//! of live, dead, foreign, reserved, null and forged ones. The second world lies inside the first and can end while things of the
//! first are held; where a world ends, the next one gets its tag, so that old handles meet new objects under the same
//! tag. The slots of the second retire after eight objects.
//!
//! One thread does it all, and the outcome depends on the bytes alone, but for the values of tags and generations. What
//! other threads would hold is held by the interpreter: guards, pins, owned references, sessions, reservations and batches in
//! any number and order. What another thread would wait for is never waited for: owned references have deadlines instead.
//!
//! ```
//! let tally = enodev_fuzz::run(&[0, 0, 0, 0]);
//! assert_eq!(tally.of(enodev_fuzz::Situation::SlotReused), 0);
//! ```

#![forbid(unsafe_code)]

#[cfg(feature = "store")]
pub mod files;
#[cfg(feature = "store")]
pub mod text;

#[cfg(feature = "store")]
mod opened;
#[cfg(feature = "store")]
mod source;

mod op;
mod tally;
mod ways;

mod machine;
mod open;
mod batches;
mod drained;
mod world;
mod common;
mod pool;
mod refs;
mod names;
mod model;
mod object;
mod bits;
mod tags;

pub use op::{Action, Op};
pub use tally::{Situation, Tally};
pub use ways::ways;

use machine::Machine;

/// Operations of one run at the most: the rest of an input is not read, so that a run stays short.
pub const OPS_MAX: usize = 256;

/// Interprets a string of bytes; an incomplete operation at its end does nothing.
///
/// Returns how often each situation was met.
///
/// # Panics
///
/// If the store's answer differs from the model's, or something is dropped too early, twice or never. The message names the
/// operation.
pub fn run(bytes: &[u8]) -> Tally {
    let ops: Vec<Op> = bytes.chunks_exact(4).map(|op| Op::decode([op[0], op[1], op[2], op[3]])).collect();
    run_ops(&ops)
}

/// Interprets operations.
///
/// # Panics
///
/// As [`run`].
pub fn run_ops(ops: &[Op]) -> Tally {
    Machine::new(&ops[..ops.len().min(OPS_MAX)]).run()
}
