//! What is known of the store from outside: how much of everything there should be, and what was found to be wrong.

use std::cell::Cell;

use enodev::{Errno, Error};
use parking_lot::Mutex;

use super::count::{Count, Flag};

/// So many violations are told in words. All are counted.
const TOLD: usize = 16;

/// How many there were of a sort, and how many have gone.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    pub(super) made: Count,
    pub(super) gone: Count,
}

impl Ledger {
    /// How many there should be. To be asked at a pause.
    pub(super) fn left(&self) -> u64 {
        self.made.get().wrapping_sub(self.gone.get())
    }
}

/// The book.
#[derive(Debug, Default)]
pub(super) struct Book {
    pub(super) payloads: Ledger,
    /// What drivers keep of devices.
    pub(super) data: Ledger,
    pub(super) drivers: Ledger,
    /// Phases that an observer was told: devices added and removed.
    pub(super) observed: Ledger,
    /// The same: bindings made and ended.
    pub(super) observed_bindings: Ledger,
    /// Removals that ended with `EDEADLK` or `EBUSY`.
    pub(super) given_up: Count,
    /// There is one thread only, so nobody is ever in its way.
    pub(super) is_alone: bool,
    /// All are to stop: the time is over, or something is wrong.
    pub(super) stop: Flag,
    serials: Count,
    violations: Count,
    told: Mutex<Vec<String>>,
}

/// What the calling thread is doing.
#[derive(Debug, Clone, Copy)]
pub(super) struct At {
    pub(super) thread: usize,
    pub(super) operation: u64,
    pub(super) kind: &'static str,
}

thread_local! {
    static AT: Cell<Option<At>> = const { Cell::new(None) };
}

impl Book {
    pub(super) fn new(is_alone: bool) -> Self {
        Self { is_alone, ..Self::default() }
    }

    /// A number that nothing else has. 0 is nobody's.
    pub(super) fn serial(&self) -> u64 {
        self.serials.add(1) + 1
    }

    /// The calling thread begins an operation, which is named where something is wrong.
    pub(super) fn at(at: At) {
        AT.set(Some(at));
    }

    /// Something is wrong. All threads stop at their next step.
    #[cold]
    pub(super) fn violation(&self, what: &str) {
        self.violations.add(1);
        self.stop.raise();
        let mut told = self.told.lock();
        if told.len() < TOLD {
            told.push(match AT.get() {
                Some(At { thread, operation, kind }) => {
                    format!("thread {thread}, operation {operation} ({kind}): {what}")
                }
                None => what.to_owned(),
            });
        }
    }

    /// Says so where a claim does not hold.
    #[inline]
    pub(super) fn claim(&self, holds: bool, what: impl FnOnce() -> String) {
        if !holds {
            self.violation(&what());
        }
    }

    /// Says so where an operation has failed as it may not.
    pub(super) fn may_fail(&self, error: Error, allowed: &[Errno], what: impl FnOnce() -> String) {
        self.claim(allowed.contains(&error.errno()), || format!("{}: {error} ({:?})", what(), error.errno()));
    }

    /// As [`may_fail`](Self::may_fail), of an operation that may wait for others, and is told where those wait for it.
    pub(super) fn may_be_refused(&self, error: Error, allowed: &[Errno], what: impl FnOnce() -> String) {
        let is_refused = matches!(error.errno(), Errno::EDEADLK | Errno::EBUSY);
        if is_refused && !self.is_alone {
            self.given_up.add(1);
        } else {
            self.may_fail(error, allowed, what);
        }
    }

    pub(super) fn violations(&self) -> u64 {
        self.violations.get()
    }

    /// The first of them, in words.
    pub(super) fn told(&self) -> Vec<String> {
        self.told.lock().clone()
    }
}
