//! The storm: devices are unplugged and replugged while others read them, on enodev's store and on one made of `Arc`s.
//!
//! Every payload carries a [stamp](stamp): which directory it is, which incarnation of it, and whether it has been dropped. A
//! `show` yields the stamp beside its text. An answer that belongs to another directory or incarnation than the reader
//! asked, or to a payload that has been dropped, is *wrong*.

mod plan;
mod run;
mod reader;

mod side;
mod enodev_side;
mod arc_side;

mod stamp;
mod tally;

pub use run::{Options, Report, Sample, SideReport, run};
pub use side::SideError;
pub use tally::Nanoseconds;
