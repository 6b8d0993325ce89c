//! The store as its users see it. Each file is about one topic; `common` is what they share.

#![expect(clippy::unwrap_used, clippy::panic, reason = "tests say what they expect by panicking")]

mod common;

mod unplug;
mod operations;
mod faults;
mod values;
mod locks;
mod consumers;
mod entries;
mod again;
mod drain;
mod subtree;
mod removers;
mod inside;
mod payloads;
mod exclusive;
mod links;
mod attributes;
mod events;
mod wakers;
mod stores;
mod ending;
mod regressions;
mod paths;
mod rename;
mod moves;
mod model;
mod stress;
