//! The store as its users see it. Each file is about one topic; `common` is what they share.

#![expect(clippy::unwrap_used, clippy::panic, reason = "tests say what they expect by panicking")]

mod again;
mod attributes;
mod common;
mod decisions;
mod drain;
mod ending;
mod events;
mod exclusive;
mod foreign_wakers;
mod groups;
mod hidden;
mod inside;
mod links;
mod model;
mod moves;
mod operations;
mod own_end;
mod paths;
mod payloads;
mod plain;
mod regressions;
mod removers;
mod rename;
mod stores;
mod stress;
mod subtree;
mod taken;
mod unplug;
mod wakers;
