//! What the tests share: gates under both strategies, values that tell when they are dropped, and ways to wait without sleeping.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use enodev_handles::{Gate, Strategy};

/// Every race is run under both: where `membarrier` is to be had, `Auto` is the asymmetric one.
pub(crate) const STRATEGIES: [Strategy; 2] = [Strategy::Fence, Strategy::Auto];

pub(crate) fn gate<T: Send + Sync>(strategy: Strategy, value: T) -> Gate<T> {
    Gate::with_strategy(value, strategy).unwrap()
}

/// A deadline that has passed.
pub(crate) fn past() -> Instant {
    Instant::now()
}

/// A deadline that does not come in a test that does what it is to do.
pub(crate) fn never() -> Instant {
    Instant::now() + Duration::from_secs(3600)
}

/// How many of its tokens have been dropped.
#[derive(Debug, Clone, Default)]
pub(crate) struct Drops(Arc<AtomicUsize>);

impl Drops {
    pub(crate) fn token(&self) -> Token {
        Token(self.clone())
    }

    pub(crate) fn count(&self) -> usize {
        self.0.load(Ordering::SeqCst)
    }
}

/// Counts its own drop.
#[derive(Debug)]
pub(crate) struct Token(Drops);

impl Drop for Token {
    fn drop(&mut self) {
        self.0.0.fetch_add(1, Ordering::SeqCst);
    }
}

/// Waits until another thread has done its part: looks on for a moment, then gives the processor away.
pub(crate) fn until(done: impl Fn() -> bool) {
    for _ in 0..200 {
        if done() {
            return;
        }
        std::hint::spin_loop();
    }
    while !done() {
        thread::yield_now();
    }
}

/// Gives the others the time to do what they must not do: a closer that does not wait returns meanwhile, one that does has
/// gone to sleep afterwards.
pub(crate) fn linger() {
    for _ in 0..1000 {
        thread::yield_now();
    }
}
