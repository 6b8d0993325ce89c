//! Models for loom, which tries all schedules up to a bound and all values that an ordering lets a load return. Run by
//! `ci/loom`; empty in any other build.
#![cfg(loom)]

// `cfg(test)` on the modules tells clippy that their helpers are tests too.
#[cfg(test)]
#[path = "../models/awaited.rs"]
mod awaited;
#[cfg(test)]
#[path = "../models/barriers.rs"]
mod barriers;
#[cfg(test)]
#[path = "../models/batch.rs"]
mod batch;
#[cfg(test)]
#[path = "../models/biased.rs"]
mod biased;
#[cfg(test)]
#[path = "../models/circles.rs"]
mod circles;
#[cfg(test)]
#[path = "../models/columns.rs"]
mod columns;
#[cfg(test)]
#[path = "../models/common.rs"]
mod common;
#[cfg(test)]
#[path = "../models/enter.rs"]
mod enter;
#[cfg(test)]
mod fences;
#[cfg(test)]
#[path = "../models/inside.rs"]
mod inside;
#[cfg(test)]
#[path = "../models/labelled.rs"]
mod labelled;
#[cfg(test)]
#[path = "../models/locks.rs"]
mod locks;
#[cfg(test)]
#[path = "../models/owned.rs"]
mod owned;
#[cfg(test)]
#[path = "../models/removers.rs"]
mod removers;
#[cfg(test)]
#[path = "../models/reuse.rs"]
mod reuse;
#[cfg(test)]
#[path = "../models/seam.rs"]
mod seam;
#[cfg(test)]
#[path = "../models/session.rs"]
mod session;
#[cfg(test)]
#[path = "../models/sleep.rs"]
mod sleep;
#[cfg(test)]
#[path = "../models/tags.rs"]
mod tags;
#[cfg(test)]
#[path = "../models/threads.rs"]
mod threads;

/// Tries a model's executions.
#[cfg(test)]
fn check(model: impl Fn() + Send + Sync + 'static) {
    let mut checker = loom::model::Builder::new();
    // Some models begin with much that only one thread does, and each step of it counts.
    checker.max_branches = 20_000;
    checker.check(enodev_handles::sync::body(model));
}
