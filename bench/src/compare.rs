//! enodev beside its peers: the same objects, the same order, one table.
//!
//! What takes part is in [`ROWS`]. A row is added with one implementation of a trait in `contenders` and
//! one line in the table; a row that fits none of the traits there implements [`Measured`] itself.
//!
//! # What is the same for all
//!
//! - Objects with a payload of 32 bytes, of which every get reads the same 8. Of ours the store part, 16
//!   bytes, lies beside the payload; the rows that read under a pin read 8 bytes of that instead.
//! - The order: the threads walk over the handles, which were shuffled after the objects had been made one
//!   after the other. Each row keeps what its user would: an index, a key, an address, a `Weak`.
//! - The loop: the compiler is kept from knowing which handle is next, and has to use what was read.
//! - The noise: all rows are measured in turn, a short round each, many times over; the median counts.
//!   Before the clock starts, each thread has walked over all objects once. A round in which a thread
//!   lost its core to another process, or started late, is made again some time later: with two threads
//!   one after the other, nothing would be learnt of two at once.
//!
//! # What is not
//!
//! - `raw_index` and `slotmap` protect nothing: their objects cannot leave while they are read. They are
//!   the floor. `raw_index` is safe indexing, bounds check and all.
//! - The two buses resolve an address. That is what a virtual machine monitor has in its hand; a handle has
//!   to come from somewhere too.
//! - What waits on the heap lies there in the order in which it was made, as after a fresh start. Longer use
//!   would spread it.
//! - A removal of ours waits until nobody is inside and hands the payload back. That of an epoch-based peer
//!   only makes the object unreachable, and frees it some time later.
//! - The hash maps hash with what they come with.

mod object;
mod row;
mod get;
mod churn;
mod remove;
mod join;
mod contenders;
mod table;

mod measure;
mod removal;
mod report;
mod glob;

pub use measure::{Plan, run};
pub use object::Payload;
pub use removal::{Barriers, Drain};
pub use report::{Figure, Report};
pub use row::{Done, Measured, Pattern, Row};
pub use table::ROWS;

/// What a comparison fails with: an object that cannot be made, found or removed.
pub type Error = Box<dyn std::error::Error + Send + Sync>;

/// A result whose failure ends the comparison.
pub type Result<T> = std::result::Result<T, Error>;
