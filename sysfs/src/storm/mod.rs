//! The storm: devices are unplugged and replugged while others read them, on enodev's store and on one made of `Arc`s.
//!
//! Every payload carries a stamp: which directory it is, which incarnation of it, and whether it has been dropped. A
//! `show` yields the stamp beside its text. An answer that belongs to another directory or incarnation than the reader
//! asked, or to a payload that has been dropped, is *wrong*. One of a payload whose removal had returned before it was asked
//! is *late*: whoever removed it had been told that it is no longer used. `ENODEV` of an object that was there all the time is
//! *unexpected*.

mod plan;
mod run;
mod reader;
mod era;

mod side;
mod enodev_side;
mod arc_side;

mod stamp;
mod tally;

pub use run::{Options, Report, Sample, SideReport, run};
pub use side::SideError;
pub use tally::Nanoseconds;
