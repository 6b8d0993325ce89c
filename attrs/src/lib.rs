//! Attributes with the semantics of sysfs, for owners of any kind.
//!
//! An [`Attribute`] is a [`Name`], a [`Mode`] and the callbacks behind them. It is defined once for a type
//! of [`Owner`], and each operation is given the owner it is about. Text attributes fill a [`Page`]
//! (`show`) and take one write whole (`store`); binary ones are read and written at an offset. An
//! [`OpenFile`] is the state of an attribute that somebody has open; it refers to nothing, so it keeps
//! nothing alive. A [`Group`] is attributes that come and go together; [`parse`] and [`Value`] make values of
//! text. Failures are an [`Errno`], as in Linux; where ours differ from Linux's, the item says so.
//!
//! ```
//! use std::sync::atomic::{AtomicU32, Ordering};
//! use enodev_attrs::{Attribute, Errno, Owner, Page, parse};
//!
//! struct Disk { queue_depth: AtomicU32 }
//! impl Owner for Disk {
//!     type Ref<'a> = &'a Disk;
//! }
//!
//! let queue_depth = Attribute::<Disk>::rw(
//!     "queue_depth",
//!     |disk, page| page.int(disk.queue_depth.load(Ordering::Relaxed)),
//!     |disk, data| Ok(disk.queue_depth.store(parse::integer(data)?, Ordering::Relaxed)),
//! )?;
//!
//! let disk = Disk { queue_depth: AtomicU32::new(32) };
//! let mut page = Page::new();
//! queue_depth.store(&disk, b"64\n")?;
//! queue_depth.show(&disk, &mut page)?;
//! assert_eq!(page.as_bytes(), b"64\n");
//! assert_eq!(queue_depth.store(&disk, b"many\n"), Err(Errno::EINVAL));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! The crate knows no store, no device and no path. Where an object may leave while somebody is at its
//! attributes, the crate above enters it for each operation, and `ENODEV` comes from there: from a
//! [`Stale`](enodev_handles::Stale) handle, and from nothing else. For what is in an arena of one's own, a [`Thing`]
//! does that.

#![forbid(unsafe_code)]

mod attribute;
mod group;
mod define;
mod value;
pub mod parse;
mod page;
mod integer;
mod open;
mod state;
mod spare;
mod seen;
mod target;
mod thing;
mod mode;
mod name;
mod errno;
pub mod contain;
#[cfg(feature = "fault-points")]
pub mod fault;

pub use attribute::{Attribute, Owner};
pub use define::DefineError;
pub use enodev_handles::Plain;
pub use errno::{Errno, Result};
pub use group::{Group, Parts, Visibility, Visible};
pub use mode::Mode;
pub use name::{InvalidName, Name};
pub use open::{Access, OpenFile, Sole};
pub use page::{PAGE_SIZE, Page};
pub use seen::Seen;
pub use target::Target;
pub use thing::Thing;
#[doc(hidden)]
pub use value::__are_choices;
pub use value::Value;
