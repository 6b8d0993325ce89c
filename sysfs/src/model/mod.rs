//! The model storm: threads do everything that a store lets them do to an invented tree of devices and drivers, and at every pause
//! an auditor compares the store with a book that was kept beside it.
//!
//! What each thread chooses follows from the seed alone, so that a failure can be brought about again: exactly where there is one
//! thread; where there are more, in another interleaving.

mod run;
mod pause;
mod walker;
mod step;

mod scene;
mod setup;
mod acts;
mod places;
mod drivers;

mod driver;
mod chip;

mod audit;
mod tree_audit;

mod book;
mod count;

pub use run::{Bound, Options, Report, run};
pub use step::{Kind, Tally};
