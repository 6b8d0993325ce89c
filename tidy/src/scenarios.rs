//! Which test shows which scenario.
//!
//! The doc comment of a test begins with the ids of what it shows and a colon, then says it in words:
//!
//! ```text
//! /// S2-1, E-13: a read through a file that was open before the unplug fails with ENODEV.
//! #[test]
//! fn a_read_after_the_unplug_fails() { … }
//! ```
//!
//! From these, [`page`] makes `docs/scenarios.md`.

mod id;
mod page;
mod shown;

pub use id::{Id, Kind};
pub use page::page;
pub use shown::{Shown, collect};

/// The generated file.
pub const FILE: &str = "docs/scenarios.md";
