//! Models for loom, which tries all schedules up to a bound and all values that an ordering lets a load return. Run by
//! `ci/loom`; empty in any other build.
#![cfg(loom)]

// `cfg(test)` on the modules tells clippy that their helpers are tests too.
#[cfg(test)]
mod fences;
#[cfg(test)]
#[path = "../models/seam.rs"]
mod seam;
#[cfg(test)]
#[path = "../models/tags.rs"]
mod tags;

/// Tries a model's executions.
#[cfg(test)]
fn check(model: impl Fn() + Send + Sync + 'static) {
    let mut checker = loom::model::Builder::new();
    // Some models begin with much that only one thread does, and each step of it counts.
    checker.max_branches = 20_000;
    checker.check(enodev_handles::sync::body(model));
}
