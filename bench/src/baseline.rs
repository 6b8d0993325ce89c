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
//! It is the fastest of those that the `shape` benchmark compares. One look-up among 1,061 objects at
//! depths of 1 to 10 took, in ns (two cores of a Xeon at 2 GHz under KVM, Rust 1.95, best of seven):
//!
//! | map                                     | 1 thread | 2 threads | 2 threads, one object |
//! |-----------------------------------------|---------:|----------:|----------------------:|
//! | `RwLock<HashMap<path, Arc>>`, this one  |       59 |       184 |                   283 |
//! | the same, lock of `parking_lot`         |       58 |       228 |                   276 |
//! | `RwLock<BTreeMap<path, Arc>>`           |      105 |       264 |                   281 |
//! | `RwLock` over a tree of `BTreeMap`s     |      162 |       412 |                   302 |
//! | `RwLock<BTreeMap>` in each directory    |      279 |       732 |                   832 |
//!
//! A lock in each directory lets writers of different directories run at once, and makes every reader
//! pay two atomic operations for each component of the path. `parking_lot` wins nothing that lasts from
//! run to run, so the lock is the standard library's.
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
mod error;
mod node;
mod store;
mod tree;
mod file;

pub use attribute::{Attribute, Attributes};
pub use error::{Error, Result};
pub use file::OpenFile;
pub use node::Node;
pub use store::ArcStore;
pub use tree::{DirEntry, Kind};
