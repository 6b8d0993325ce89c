//! The store as its users see it. Each file is about one topic; `common` is what they share.

#![expect(clippy::unwrap_used, clippy::panic, reason = "tests say what they expect by panicking")]

mod again;
mod attributes;
mod binding;
mod chips;
mod common;
mod consumers;
mod decisions;
mod drain;
mod drivers;
mod ending;
mod entries;
mod events;
mod exclusive;
mod faults;
mod foreign_wakers;
mod groups;
mod hidden;
mod inside;
mod links;
mod locks;
mod model;
mod moves;
mod obituaries;
mod operations;
mod own_end;
mod paths;
mod payloads;
mod plain;
mod ranges;
mod regressions;
mod removers;
mod rename;
mod stats;
mod stores;
mod stress;
mod subtree;
mod taken;
mod types;
mod unplug;
mod values;
mod wakers;
mod walks;
