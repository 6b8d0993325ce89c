//! enodev beside its peers: the same objects, the same order, one table.
//!
//! What takes part is in [`ROWS`]. A row is added with one implementation of a trait in `contenders` and
//! one line in the table; a row that fits none of the traits there implements [`Measured`] itself.
//!
//! # The rows
//!
//! - `enodev_*` are enodev's arenas: `active` enters an object, `session` does so from a session, `pin_each` and `pin_held`
//!   read the store part under a pin. `store_enter` and `store_enter_dyn` enter a device of a store.
//! - `raw_index`, `slotmap`, `idr_ebr`, `concurrent_slotmap`, `sharded_slab`, `papaya`, `dashmap`, `arc_swap`, `weak_upgrade`,
//!   `arc_clone` and the two buses, `vmm_*`, are the peers, in gets as the rows above. `*_10m`: among ten million objects.
//! - `*_churn`: pairs of an insertion and a removal. `*_remove*`: all objects leave. `*_join`: a walk over two columns.
//! - `attr_read`: a number of the payload, read as text through an open file into the caller's buffer, an open file for each
//!   device; `attr_read_arc`: the same of the [baseline](crate::baseline). `attr_read_plain`: a number that the store keeps, read
//!   as a value: nothing is entered, and there is no text. `kernel_pread`: a `pread` of the kernel's own sysfs,
//!   of a number that nobody changes, through one open file. Left out where there is no short file below
//!   `/sys/devices/system`; the report then says so.
//! - `unregister_0_open`, `unregister_10k_open`: one device of a store leaves, without open files and with ten thousand.
//! - `register_unregister_*`: one device of a store leaves, the oldest, and comes again, in directories of a hundred; `*_1k` and `*_1m`
//!   by how many there are, `*_arc` the baseline with a thousand. `register_subtree_100` and its `*_arc`: a device with 99 below it
//!   comes, one by one, and goes as a whole; each thread has a directory of its own. `register_children_*`: so many come into one
//!   directory, and go one by one. An operation is one device that comes and goes.
//! - `hotplug_direct`: one device is added to a store and removed again; `hotplug_queued`: by one worker of a queue, for whose answers the
//!   caller waits; `hotplug_queued_batch`: the same, 64 at a time.
//! - `drain` and `barrier_ns` are no rows: see [`Drain`] and [`Barriers`]. Neither is `memory`: see [`Memory`].
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
//! - The files of `kernel_pread` are of one attribute, opened as often as there are objects: its data are in the caches all the time.
//!   What a file keeps of its text it has from a read before: it is opened, and read once, outside the time.

use std::fmt;

mod object;
mod row;
mod get;
mod churn;
mod remove;
mod unregister;
mod hotplug;
mod register;
mod join;
mod contenders;
mod table;

mod measure;
mod removal;
mod memory;
mod report;
mod glob;

pub use measure::{Plan, run};
pub use memory::Memory;
pub use object::Payload;
pub use removal::{Barriers, Drain};
pub use report::{Figure, LeftOut, Report};
pub use row::{Done, Measured, Pattern, Row};
pub use table::ROWS;

/// What a row is left out for: this system lacks something that the row is about. Tells what.
#[derive(Clone, Debug)]
pub struct Unavailable(String);

impl fmt::Display for Unavailable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Unavailable {}

/// What a comparison fails with: an object that cannot be made, found or removed.
pub type Error = Box<dyn std::error::Error + Send + Sync>;

/// A result whose failure ends the comparison.
pub type Result<T> = std::result::Result<T, Error>;
