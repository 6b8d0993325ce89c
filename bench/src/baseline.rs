//! The Arc baseline: a device store of `Arc`, `Weak` and one `RwLock`.
//!
//! # Shape
//!
//! The store owns each object by an [`Arc`](std::sync::Arc) in one map from full path to object, under
//! one [`RwLock`](std::sync::RwLock). Whoever looks an object up and keeps the result keeps a
//! [`Weak`](std::sync::Weak), and upgrades it for each access, as the buses of virtual machine monitors
//! do. No lock is held while a callback or a payload's `Drop` runs.
//!
//! # Why this shape
//!
//! The `shape` benchmark compares the maps that come to mind: one look-up of a path, with the `Arc`
//! cloned out, among 1,061 objects at depths of 1 to 10. In ns, the median of five runs, or of nine
//! for the flat maps with two threads (November 2026, two virtual cores of a Xeon at 2 GHz, shared
//! with other work, Rust 1.95):
//!
//! | map                                    | 1 thread | 2 threads | 2 threads, one object |
//! |----------------------------------------|---------:|----------:|----------------------:|
//! | `RwLock<HashMap<path, Arc>>`, this one |       58 |       294 |                   392 |
//! | the same, with the lock of parking_lot |       59 |       288 |                   366 |
//! | `RwLock<BTreeMap<path, Arc>>`          |      109 |       300 |                   328 |
//! | `RwLock` around a tree of `BTreeMap`s  |      229 |       531 |                   645 |
//! | an `RwLock<BTreeMap>` per directory    |      247 |       592 |                   989 |
//!
//! With two threads the lock's cache line decides, single runs differ by a factor of two, and the three
//! flat maps cannot be told apart; with one thread the hash map wins. The two locks cannot be told
//! apart at all, so it is the one that costs no dependency. A lock per directory lets writers of
//! different directories run at once, and charges every reader two atomic operations for each
//! component of the path.
//!
//! The owner's `Arc` and the map are one: a second map of `Weak`s beside it, as the buses have because
//! they do not own, would make each look-up an upgrade and each registration two insertions.
//!
//! # What it cannot do
//!
//! These are the faults of the shape and not of this writing of it; `tests/lingering.rs` shows each.
//!
//! - [`ArcStore::unregister`] returns while others are still inside the object's callbacks.
//! - While one of them is inside, an upgrade succeeds, so new readers go on entering what is gone.
//! - The payload is dropped by whoever leaves last, on that thread, at that time.
//! - A successor under the same name may live beside its predecessor, and both drive one hardware.

mod attribute;
mod bus;
mod error;
mod node;
mod store;
mod tree;
mod file;

pub use attribute::{Attribute, Attributes};
pub use bus::ArcBus;
pub use error::{Error, Result};
pub use file::OpenFile;
pub use node::Node;
pub use store::ArcStore;
pub use tree::{DirEntry, Kind};
