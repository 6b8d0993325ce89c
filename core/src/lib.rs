#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

/// Further documents.
pub mod docs {
    #[doc = include_str!("../docs/errno.md")]
    pub mod errno {}
}

mod store;
mod handle;
mod device_type;
mod context;
mod error;

mod register;
mod unregister;
mod links;
mod rename;
mod enter;
mod attribute;
mod file;
mod lookup;
mod group;
mod attach;
mod revoke;
mod pending;
mod presence;
mod events;
mod plain;

mod node;
mod entries;
mod moves;
mod payload;
mod state;
mod sync;

pub use context::Context;
pub use device_type::{AnyObject, DeviceType, Exclusive, Lending, Shared, Sharing, Type};
pub use error::{Error, Result};
pub use events::{Changed, Event};
pub use file::{File, Sole};
pub use handle::{AsKobject, AttrHandle, DeviceHandle, GroupHandle, KobjectHandle, TypeHandle, kind};
pub use lookup::{Entry, EntryKind};
pub use plain::PlainAttr;
pub use store::Store;
pub use unregister::Removal;

#[cfg(feature = "fault-points")]
#[doc(inline)]
pub use enodev_attrs::fault;
#[doc(inline)]
pub use enodev_attrs::{
    Access, Attribute, DefineError, Errno, Group, InvalidName, Mode, Name, Owner, PAGE_SIZE, Page, Plain, Value,
    Visibility, choices, parse,
};
#[doc(inline)]
pub use enodev_handles::{
    Active, ActiveMut, CloseError, Closed, Deadlock, DomainError, Exclusion, ExclusionGuard, Gate, Handle, Kind, Label,
    OwnedPass, Pass, Stale, Strategy, Visitor,
};
