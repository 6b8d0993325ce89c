//! Reading device trees in the form of `/sys`.
//!
//! [`scan`] reads a directory tree, a live sysfs or a recording of one, into plain data: a
//! [`Scanned`] holds names, modes, contents and links, and no reference to the file system that
//! they came from. [`load`] puts it into a [`Store`](enodev::Store). [`builtin`] is a small invented tree for machines that have no `/sys`.
//!
//! ```
//! use enodev_sysfs::{Content, Found};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let tree = enodev_sysfs::builtin();
//! // The path leads through a link: `class/net/weir0` stands for the device under `devices`.
//! let Found::Attribute { dir, attribute } = tree.find("class/net/weir0/mtu")? else {
//!     return Err("mtu is an attribute".into());
//! };
//! let mtu = &tree.dirs[dir].attributes[attribute];
//! assert!(matches!(&mtu.content, Content::Bytes(bytes) if **bytes == *b"1500\n"));
//! # Ok(())
//! # }
//! ```
#![forbid(unsafe_code)]

mod scan;

mod builtin;

mod load;

pub mod storm;

pub use builtin::builtin;
pub use load::{Answers, Imported, Link, Loaded, Loader, load};
pub use scan::{
    Content, DEPTH_MAX, Dir, ENTRIES_MAX, FindError, Found, Progress, ScanError, ScanOptions, Scanned,
    ScannedAttribute, ScannedLink, SkipKind, Skipped, Tally, Unread, scan,
};
