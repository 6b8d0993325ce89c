//! Checks of the code itself.
//!
//! Each check is a function over texts that returns what it found, so that its own tests can plant a
//! violation in a string. The tests in `tests/` run all of them over the files of the repository.
//! `cargo run -p enodev-tidy` rewrites `docs/scenarios.md`.

#![forbid(unsafe_code)]

mod finding;
mod repo;
mod source;

pub mod scenarios;

pub mod architecture;
pub mod habits;
pub mod layers;
pub mod links;
pub mod orderings;
pub mod readme;
pub mod unsafety;
pub mod words;

mod seeds;

pub use finding::{Finding, report};
pub use repo::Repo;
pub use source::Source;
