//! Models of a store for shuttle, which draws schedules by lot and takes every atomic operation for `SeqCst`. Run by `ci/shuttle`; empty in
//! any other build.
//!
//! A schedule that breaks a model is printed, a long number between quotes, beside the name of the test. To see it again, with a backtrace
//! or with prints:
//!
//! ```text
//! SHUTTLE_REPLAY=91018a… ci/shuttle name_of_the_test
//! ```
//!
//! Nothing in a model depends on time, on addresses or on the hasher's key, so the same schedule is the same execution in another process,
//! as long as the code is the same.
#![cfg(shuttle)]

// `cfg(test)` on the modules tells clippy that their helpers are tests too.
#[cfg(test)]
mod bridges;
#[cfg(test)]
mod changes;
#[cfg(test)]
mod common;
#[cfg(test)]
mod driver;
#[cfg(test)]
mod listing;
#[cfg(test)]
mod places;
#[cfg(test)]
mod probing;
#[cfg(test)]
mod queue;
#[cfg(test)]
mod removals;
#[cfg(test)]
mod storm;
#[cfg(test)]
mod unbinding;

/// How many schedules each of the two ways to draw one gets, where `SHUTTLE_SCHEDULES` does not say.
#[cfg(test)]
const SCHEDULES: usize = 2000;
/// How many changes of priority a schedule has that is drawn by priorities.
#[cfg(test)]
const DEPTH: usize = 3;

/// Tries executions of a model: with each step drawn by lot, and with a few steps drawn where the priorities change. Or the one that
/// `SHUTTLE_REPLAY` says.
#[cfg(test)]
fn check(model: impl Fn() + Send + Sync + 'static) {
    use shuttle::Runner;
    use shuttle::scheduler::{PctScheduler, RandomScheduler, ReplayScheduler};

    let schedules = std::env::var("SHUTTLE_SCHEDULES").map_or(SCHEDULES, |number| number.parse().unwrap());
    let model = std::sync::Arc::new(enodev_handles::sync::body(model));
    let mut config = shuttle::Config::new();
    // The library drops statics at an execution's end as shuttle does; it has been told.
    config.silence_warnings = true;
    config.stack_size = 1 << 18;
    if let Ok(schedule) = std::env::var("SHUTTLE_REPLAY") {
        Runner::new(ReplayScheduler::new_from_encoded(schedule.trim()), config).run(move || model());
        return;
    }
    let run = std::sync::Arc::clone(&model);
    Runner::new(RandomScheduler::new(schedules), config.clone()).run(move || run());
    Runner::new(PctScheduler::new(DEPTH, schedules), config).run(move || model());
}
