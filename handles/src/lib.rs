//! Typed generational handles over slot arenas, for objects that leave while others are using them.
//!
//! An [`Arena`] hands out [`Handle`]s: 8 bytes, `Copy`, good for ever. A handle whose object has left is
//! [`Stale`]; it never dangles and never reaches what took the slot. Each slot has two parts, and the
//! types say which is which:
//!
//! - the *store part* `S`, read under a [`Pin`]. A pin is cheap and blocks nobody; it may show an object
//!   that is just leaving, never freed memory. Epochs reclaim this part.
//! - the *payload* `P`, entered through an *active reference* ([`Active`]), held for one operation. A
//!   removal makes new ones fail, waits for those inside (the *drain*), and returns the payload or drops
//!   it on its own thread. When it has returned, nobody is inside and nobody will ever be.
//!
//! ```
//! use enodev_handles::{Arena, Domain, Kind, Stale};
//!
//! enum Disk {}
//! impl Kind for Disk {
//!     const NAME: &'static str = "Disk";
//! }
//!
//! let domain = Domain::new()?;
//! let disks: Arena<Disk, &'static str, Vec<u8>> = Arena::new(&domain)?;
//!
//! let sda = disks.insert("sda", vec![0xeb, 0x3c])?;
//! assert_eq!(disks.get(&domain.pin(), sda), Ok(&"sda"));
//! assert_eq!(disks.enter(sda).unwrap()[0], 0xeb);
//!
//! let payload = disks.remove(sda)?; // waits for those inside
//! assert_eq!(payload, [0xeb, 0x3c]);
//! assert!(matches!(disks.enter(sda), Err(Stale)));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! What there is beside:
//!
//! - Other ways in: a [`Session`] for loops, an [`Owned`] reference that is `Send`, an [`Exclusive`] payload, entered by one thread at a
//!   time.
//! - Other ways out: [`Leaving`] removes several objects together, in steps, with a deadline, as a future, or from inside. Who is in
//!   the way is told ([`Blocker`]), and who rests inside ([`Arena::sleep`]) is woken.
//! - A [`Gate`] is the same drain for one value outside any arena.
//! - An [`Exclusion`] is a lock that takes part in the search for deadlocks. A [`Biased`] one costs its first thread next to nothing, until
//!   another comes.
//! - Columns hold further data of objects, by handle: a [`Column`] plain data, a [`OnceColumn`] what is set once, a [`PayloadColumn`]
//!   further payloads; [`join`] goes over several.
//!
//! The crate knows no device. The semantics follow the active references of Linux's kernfs; where they
//! differ, the item says so. Not to be used in a signal handler, nor in a forked child that inherited
//! references of other threads.
//!
//! # Who waits, and whose code runs
//!
//! Waits of less than some microseconds are left out, for inner locks and for others' stores. *Payloads* are the objects' own and those
//! of payload columns. A *store part* may be dropped by any call that pins or hands garbage over, under a pin.
//!
//! | call | may wait for | foreign code that it runs | errors | after an error |
//! |---|---|---|---|---|
//! | [`Arena::enter`] | nobody | none | [`Stale`] | nothing has changed |
//! | the drop of an [`Active`] | nobody; where it takes up a deferred removal, the others inside | wakers; then `finish`, and drops of payloads | none | a removal that cannot be finished is given up |
//! | [`Arena::remove`] | those inside; or another's removal of the object | drops of a column's payloads, and of what was given up | [`RemoveError`], but `TimedOut` | `Deadlock`, `Barrier`: the object is leaving; else nothing has changed |
//! | [`Leaving::mark`] | nobody | none | `Stale`, `Leaving`, `Pinned` | nothing has changed |
//! | [`Leaving::drain`] | those inside | none; drops of payloads as its [`Quiet`] is dropped | `Pinned`, `Inside`, `Deadlock`, `Barrier` | the `Leaving` comes back, its objects are leaving |
//! | [`Leaving::drain_until`] | the same, until the deadline | the same | and `TimedOut` | the same |
//! | [`Leaving::is_quiet`] | nobody | none | `Barrier` | its objects are leaving |
//! | [`Leaving::defer`] | nobody if the caller is inside; else as `drain` | none; else `finish` | none | what cannot be drained is given up |
//! | [`Arena::drain_labelled`] | those inside under the labels | none | [`RemoveError`], but `Stale`, `Leaving` | it can be called again |
//! | [`Arena::join`] | another's removal, drops of payloads included | none | `Leaving`, `Deadlock`, `Pinned` | nothing has changed |
//! | [`Arena::reap`] | nobody | drops of payloads | none | what is not quiet stays given up |
//! | [`Arena::given_up`] | nobody | none | none | |
//! | [`Arena::sleep`] | the object's removal, its own condition, the deadline | the condition, under a lock | none | |
//! | [`Gate::close`] | those inside; another closer | none | [`CloseError`], but `TimedOut` | `Inside`: nothing has changed; else the gate is shut, with its value or without |
//! | [`Exclusion::lock`], [`Lock::acquire`] | who holds it | none | [`Deadlock`] | nothing has changed |
//! | [`Biased::lock`] | who has the value | none | [`LockError`] | nothing has changed |
//! | [`Column::set`], [`OnceColumn::set`] | nobody | none | [`SetError`] | nothing has changed |
//! | [`PayloadColumn::insert`] | nobody | as the drop of an `Active` | [`InsertError`], with the value | nothing has changed |
//! | the drop of a [`PayloadColumn`] | removals that are dropping its values | drops of its values | none | |
//! | [`Arena::flush`], [`Domain::flush`] | nobody | drops of store parts, under a pin | none | what a pin holds up stays |
//! | the drop of an [`Arena`] | nobody | drops of payloads and of store parts | none | |

mod handle;
mod error;
mod domain;
mod counts;
mod arena;
mod active;
mod session;
mod owned;
mod exclusive;
mod biased;
mod erased;
mod exclusion;
mod label;
mod labelled;
mod removal;
mod leaving;
mod quiet;
mod blocker;
mod walk;
mod gate;
mod columns;

#[cfg(any(loom, shuttle))]
#[doc(hidden)]
pub mod internals;
#[cfg(any(loom, shuttle))]
#[doc(hidden)]
pub mod sync;
#[cfg(not(any(loom, shuttle)))]
mod sync;

/// What is worth knowing and belongs to no item.
pub mod docs {
    #[doc = include_str!("../docs/syscalls.md")]
    pub mod syscalls {}

    #[doc = include_str!("../docs/orderings.md")]
    pub mod orderings {}
}

mod version;
mod tags;
mod chunks;
mod slots;
mod free;
mod fences;
mod cells;
mod records;
mod batch;
mod removals;
mod bell;
mod drain;
mod waits;
mod lock;
mod participants;
mod garbage;

#[cfg(doctest)]
mod compile_fail;

pub use active::Active;
pub use arena::{Arena, Reservation};
pub use biased::{Biased, BiasedGuard, LockError};
pub use blocker::{Blocker, Visitor};
pub use columns::{
    Bytes, Column, Density, InsertError, Join, Joined, Member, OnceColumn, PayloadColumn, Plain, SetError, join,
};
pub use counts::Counts;
pub use domain::{Domain, Pin};
pub use erased::{Erased, Shape, View};
pub use error::{CloseError, Closed, Deadlock, DomainError, Full, KindTaken, RemoveError, Stale};
pub use exclusion::{Exclusion, ExclusionGuard};
pub use exclusive::{ActiveMut, Exclusive, Lock};
pub use fences::Strategy;
pub use garbage::{Garbage, PinnedThread};
pub use gate::{Draining, Gate, OwnedPass, Pass};
pub use handle::{Handle, Kind};
pub use label::Label;
pub use leaving::{Drained, Leaving};
pub use owned::Owned;
pub use quiet::Quiet;
pub use session::{Session, Visit};
pub use waits::is_awaited;
pub use walk::Iter;
