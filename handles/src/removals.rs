//! The removals of one arena that somebody waits for, or that nobody is at.
//!
//! Who removes what stands in the slots' words. Here is what is rare: the bell for those who wait, and what has been marked and
//! given up.

use std::collections::{HashMap, HashSet};

use crate::bell::Bell;
use crate::sync::Mutex;
use crate::sync::atomic::{AtomicUsize, Ordering};
use crate::version::Version;

#[derive(Debug, Default)]
struct Unfinished {
    /// Marked, and neither drained nor being drained: their payloads are whole. By index.
    noted: HashMap<u32, Version>,
    /// Removals that were deferred to a leave, and that are under way: nothing borrows the arena for them.
    running: HashSet<u32>,
}

#[derive(Debug, Default)]
pub(crate) struct Removals {
    unfinished: Mutex<Unfinished>,
    /// How many of these nobody is at.
    given_up: AtomicUsize,
    pub(crate) bell: Bell,
}

impl Removals {
    /// Notes objects that are marked, and that nobody drains yet.
    pub(crate) fn begin(&self, objects: impl IntoIterator<Item = (u32, Version)>) {
        self.unfinished.lock().noted.extend(objects);
    }

    /// Takes the note of objects whose deferred removal goes on: those that are still noted. They are running then, until
    /// [`end_run`](Self::end_run).
    pub(crate) fn begin_run(&self, objects: Vec<(u32, Version)>) -> Vec<(u32, Version)> {
        let Unfinished { noted, running } = &mut *self.unfinished.lock();
        let is_noted = |(index, version): &(u32, Version)| noted.get(index) == Some(version);
        let taken: Vec<_> = objects.into_iter().filter(is_noted).collect();
        for (index, _) in &taken {
            noted.remove(index);
            running.insert(*index);
        }
        taken
    }

    pub(crate) fn end_run(&self, objects: &[(u32, Version)]) {
        let mut unfinished = self.unfinished.lock();
        unfinished.running.retain(|index| !objects.iter().any(|(of, _)| of == index));
    }

    /// Whether a deferred removal of the slot's object is under way.
    pub(crate) fn is_running(&self, index: u32) -> bool {
        self.unfinished.lock().running.contains(&index)
    }

    /// Takes the notes of all that is unfinished, for the arena's end.
    pub(crate) fn close(&self) -> HashMap<u32, Version> {
        std::mem::take(&mut self.unfinished.lock().noted)
    }

    pub(crate) fn give_up(&self, count: usize) {
        // Relaxed: a hint; the list stands under its lock.
        self.given_up.fetch_add(count, Ordering::Relaxed);
    }

    /// Whether there is something that nobody is at.
    pub(crate) fn has_given_up(&self) -> bool {
        // Relaxed: as in `give_up`.
        self.given_up.load(Ordering::Relaxed) != 0
    }

    /// Takes what nobody is at, of what `take_over` answers true for.
    pub(crate) fn take_given_up(&self, take_over: impl Fn(u32, Version) -> bool) -> Vec<(u32, Version)> {
        let mut unfinished = self.unfinished.lock();
        let mut taken = Vec::new();
        unfinished.noted.retain(|index, version| {
            let taking = take_over(*index, *version);
            if taking {
                taken.push((*index, *version));
            }
            !taking
        });
        // Relaxed: as in `give_up`.
        self.given_up.fetch_sub(taken.len(), Ordering::Relaxed);
        taken
    }
}
