//! Who takes part: one small type each, named as its row.

mod floor;
mod arena;
mod store;
mod slots;
mod maps;
mod arcs;
mod buses;
mod ranges;
mod columns;
mod texts;
mod values;

pub(crate) use arcs::{ArcClone, ArcSwap, WeakUpgrade};
pub(crate) use arena::{Enodev, InSession, Object, PinEach, PinHeld};
pub(crate) use buses::{LockedBtreeArc, Register, VmmBtreeWeak, range};
pub(crate) use columns::{ColumnJoin, HecsJoin};
pub(crate) use floor::{RawIndex, Slotmap};
pub(crate) use maps::{Dashmap, Papaya};
pub(crate) use ranges::{RangeActive, RangeSession};
pub(crate) use slots::{ConcurrentSlotmap, IdrEbr, ShardedSlab};
pub(crate) use store::{StoreEnter, StoreEnterDyn};
pub(crate) use texts::{ArcAttribute, Attribute, KernelAttribute, Text};
pub(crate) use values::PlainAttribute;
