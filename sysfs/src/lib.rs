//! Reading device trees in the form of `/sys`.
//!
//! [`scan`] reads a directory tree, a live sysfs or a recording of one, into plain data: a
//! [`Scanned`] holds names, modes, contents and links, and no reference to the file system that
//! they came from. [`load`] puts it into a [`Store`](enodev::Store). [`builtin`] is a small invented
//! tree for machines that have no `/sys`. [`storm`] unplugs devices of a tree while others read them;
//! [`model`] does everything at once to an invented one, and has it audited.
//!
//! ```
//! use enodev::Store;
//! use enodev_sysfs::{Imported, load};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let store = Store::new()?;
//! load(&store, &enodev_sysfs::builtin(), |_, dir| Imported::new(dir))?;
//! // The path leads through a link: `class/net/weir0` stands for the device under `devices`.
//! let nic = store.lookup("class/net/weir0")?;
//! assert_eq!(store.read(nic, "mtu")?, b"1500\n");
//! # Ok(())
//! # }
//! ```
#![forbid(unsafe_code)]

mod scan;

mod builtin;

mod load;

pub mod storm;

pub mod model;

mod random;

pub use builtin::builtin;
pub use load::{Answers, Imported, Link, LoadError, Loaded, load};
pub use scan::{
    Content, DEPTH_MAX, Dir, ENTRIES_MAX, Progress, ScanError, ScanOptions, Scanned, ScannedAttribute, ScannedLink,
    SkipKind, Skipped, Tally, Unread, scan,
};
