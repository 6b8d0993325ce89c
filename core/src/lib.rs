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

mod new_device;
mod register;
mod appear;
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
mod session;
mod space;
mod audit;
mod obituary;
mod portable;
mod stats;
mod trace;

mod bus;
mod driver;
mod class;
mod bind;
mod bury;
mod binding;
mod leftovers;
mod sought;
mod power;
mod scope;
mod observe;

mod queue;
mod ticket;
mod turns;

mod members;
mod crowd;
mod order;
mod node;
mod entries;
mod keyed;
mod interned;
mod ranges;
mod moves;
mod topology;
mod payload;
mod state;
mod sync;

pub use audit::{Audit, Audited, Finding, FindingKind};
pub use binding::Bound;
pub use bus::{Bus, BusType};
pub use context::Context;
pub use device_type::{AnyObject, DeviceType, Exclusive, Lending, Shared, Sharing, Type};
pub use driver::Driver;
pub use error::{Error, Result};
pub use events::{Changed, Event};
pub use file::{File, Sole};
pub use handle::{
    AsKobject, AttrHandle, BusHandle, ClassHandle, DeviceHandle, DriverHandle, GroupHandle, KobjectHandle,
    ObserverHandle, SpaceHandle, TypeHandle, kind,
};
pub use lookup::{Entry, EntryKind};
pub use new_device::NewDevice;
pub use obituary::Obituary;
pub use observe::{Notice, Phase};
pub use plain::PlainAttr;
pub use portable::{InvalidPortable, Portable};
pub use queue::Queue;
pub use ranges::Region;
pub use scope::{Held, Holds, Reached, Scope};
pub use session::Session;
pub use space::SpaceSession;
pub use stats::Stats;
pub use store::Store;
pub use ticket::{QueueError, Ticket};
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
    OwnedPass, Pass, Stale, Strategy, Visit, Visitor,
};
