//! A thread of the storm.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::acts::Opened;
use super::book::{At, Book};
use super::scene::{Field, Tenant};
use super::step::{Step, Tally};
use crate::random::{Random, below, mix};

/// So many files a thread keeps open.
const FILES: usize = 32;
/// So many devices a thread remembers that have gone.
const GONE: usize = 256;

/// What a thread keeps between its operations.
#[derive(Debug, Default)]
pub(super) struct Kept {
    files: Vec<Option<Opened>>,
    gone: VecDeque<Tenant>,
}

impl Kept {
    fn new() -> Self {
        Self { files: (0..FILES).map(|_| None).collect(), gone: VecDeque::new() }
    }

    pub(super) fn file(&mut self, bits: u64) -> &mut Option<Opened> {
        &mut self.files[below(mix(bits), FILES)]
    }

    pub(super) fn has_gone(&mut self, tenant: Option<Tenant>) {
        if self.gone.len() == GONE {
            self.gone.pop_front();
        }
        self.gone.extend(tenant);
    }

    /// One of those that have gone.
    pub(super) fn gone(&self, bits: u64) -> Option<Tenant> {
        self.gone.get(below(mix(bits), self.gone.len())).cloned()
    }
}

/// How far a thread is, for who looks on.
#[derive(Debug, Default)]
pub(super) struct Progress(AtomicU64);

impl Progress {
    fn set(&self, operations: u64) {
        // Relaxed: for people. What was done is seen by the lock of the pause.
        self.0.store(operations, Ordering::Relaxed);
    }

    pub(super) fn get(&self) -> u64 {
        // Relaxed: as in `set`.
        self.0.load(Ordering::Relaxed)
    }
}

/// What a thread has done.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Done {
    pub(super) tally: Tally,
    /// Of all choices and answers, in order.
    pub(super) digest: u64,
}

/// A thread of the storm.
#[derive(Debug)]
pub(super) struct Walker {
    number: usize,
    random: Random,
    kept: Kept,
    operations: u64,
    done: Done,
}

impl Walker {
    pub(super) fn new(seed: u64, number: usize) -> Self {
        let random = Random::new(seed ^ mix(number as u64));
        Self { number, random, kept: Kept::new(), operations: 0, done: Done::default() }
    }

    /// Goes on until so many operations have been done in all, or the book says that all are to stop.
    pub(super) fn go(&mut self, field: &Arc<Field>, until: u64, progress: &Progress) -> Done {
        while self.operations < until && !field.scene.book.stop.is_up() {
            let step = Step::of(self.random.bits(), self.random.bits(), self.random.bits());
            Book::at(At { thread: self.number, operation: self.operations, kind: step.kind.name() });
            let answer = step.take(field, &mut self.kept);
            let answer = answer.map_or_else(|error| error.errno().raw(), |()| 0);
            self.done.digest = mix(self.done.digest ^ mix(step.kind as u64) ^ answer as u64);
            self.done.tally.count(step.kind);
            self.operations += 1;
            progress.set(self.operations);
        }
        self.done
    }
}
