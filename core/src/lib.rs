#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

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

mod node;
mod entries;
mod moves;
mod payload;

pub use context::Context;
pub use device_type::{DeviceType, Exclusive, Shared, Sharing, Type};
pub use error::{Error, Result};
pub use file::File;
pub use handle::{AsKobject, AttrHandle, DeviceHandle, KobjectHandle, TypeHandle, kind};
pub use lookup::{Entry, EntryKind};
pub use store::Store;
pub use unregister::Removal;

#[doc(inline)]
pub use enodev_attrs::{Access, Attribute, DefineError, Errno, InvalidName, Mode, Name, Owner, PAGE_SIZE, Page};
#[doc(inline)]
pub use enodev_handles::{
    Active, ActiveMut, CloseError, Closed, Deadlock, DomainError, Exclusion, ExclusionGuard, Gate, Handle, Kind, Label,
    OwnedPass, Pass, Stale, Strategy, Visitor,
};
