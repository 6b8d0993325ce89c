//! Models for shuttle, which draws schedules by lot and takes every atomic operation for `SeqCst`. Run by `ci/shuttle`;
//! empty in any other build.
#![cfg(shuttle)]

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
mod crowd;
#[cfg(test)]
#[path = "../models/enter.rs"]
mod enter;
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
mod storm;
#[cfg(test)]
#[path = "../models/tags.rs"]
mod tags;
#[cfg(test)]
#[path = "../models/threads.rs"]
mod threads;

/// How many schedules each of the two ways to draw one gets, where `SHUTTLE_SCHEDULES` does not say.
#[cfg(test)]
const SCHEDULES: usize = 1000;
/// How many changes of priority a schedule has that is drawn by priorities.
#[cfg(test)]
const DEPTH: usize = 3;

/// Tries executions of a model: with each step drawn by lot, and with a few steps drawn where the priorities change. Or the one that
/// `SHUTTLE_REPLAY` says, which has been printed by a failure.
#[cfg(test)]
fn check(model: impl Fn() + Send + Sync + 'static) {
    use shuttle::scheduler::{PctScheduler, RandomScheduler, ReplayScheduler};

    let schedules = std::env::var("SHUTTLE_SCHEDULES").map_or(SCHEDULES, |number| number.parse().unwrap());
    let model = std::sync::Arc::new(enodev_handles::sync::body(model));
    let mut config = shuttle::Config::new();
    // The library drops statics at an execution's end as loom does; it has been told.
    config.silence_warnings = true;
    config.stack_size = 1 << 18;
    if let Ok(schedule) = std::env::var("SHUTTLE_REPLAY") {
        shuttle::Runner::new(ReplayScheduler::new_from_encoded(schedule.trim()), config).run(move || model());
        return;
    }
    let run = std::sync::Arc::clone(&model);
    shuttle::Runner::new(RandomScheduler::new(schedules), config.clone()).run(move || run());
    shuttle::Runner::new(PctScheduler::new(DEPTH, schedules), config).run(move || model());
}
