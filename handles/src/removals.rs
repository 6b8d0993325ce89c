//! The removals of one arena that somebody waits for, or that nobody is at.
//!
//! Who removes what stands in the slots' words. Here is what is rare: the bell for those who wait, and what has been marked and
//! given up.

use std::collections::{HashSet, VecDeque};

use crate::bell::Bell;
use crate::sync::Mutex;
use crate::sync::atomic::{AtomicUsize, Ordering};
use crate::version::Version;

/// Objects that were marked together, in that order.
type Objects = Vec<(u32, Version)>;

#[derive(Debug, Default)]
struct Unfinished {
    /// Marked, and nobody is at it, in the order in which they were given up.
    given_up: VecDeque<Objects>,
    /// Marked, and their removal goes on as a thread leaves one of them.
    deferred: Vec<Objects>,
}

#[derive(Debug, Default)]
pub(crate) struct Removals {
    unfinished: Mutex<Unfinished>,
    /// How many of these are given up.
    given_up: AtomicUsize,
    pub(crate) bell: Bell,
}

impl Removals {
    /// Notes objects whose removal is to go on as a thread leaves them.
    pub(crate) fn defer(&self, objects: Objects) {
        self.unfinished.lock().deferred.push(objects);
    }

    /// Takes the note of objects whose deferred removal goes on now, or never will; false if it has been taken before.
    pub(crate) fn undefer(&self, objects: &[(u32, Version)]) -> bool {
        let mut unfinished = self.unfinished.lock();
        let at = unfinished.deferred.iter().position(|noted| noted == objects);
        at.map(|at| unfinished.deferred.swap_remove(at)).is_some()
    }

    /// Takes the notes of all that is deferred.
    pub(crate) fn take_deferred(&self) -> Vec<Objects> {
        std::mem::take(&mut self.unfinished.lock().deferred)
    }

    /// Notes objects whose removal nobody is at, where `say` has their words say so: who looks for them here meanwhile waits.
    pub(crate) fn give_up(&self, objects: Objects, say: impl FnOnce(&[(u32, Version)]) -> bool) -> bool {
        let mut unfinished = self.unfinished.lock();
        if !say(&objects) {
            return false;
        }
        unfinished.given_up.push_back(objects);
        // Relaxed: a hint; the list stands under its lock.
        self.given_up.fetch_add(1, Ordering::Relaxed);
        true
    }

    /// Whether there is something that nobody is at.
    pub(crate) fn has_given_up(&self) -> bool {
        // Relaxed: as in `give_up`.
        self.given_up.load(Ordering::Relaxed) != 0
    }

    /// Of each removal that nobody is at the first object.
    pub(crate) fn all_given_up(&self) -> Vec<(u32, Version)> {
        self.unfinished.lock().given_up.iter().filter_map(|objects| objects.first().copied()).collect()
    }

    /// Takes what nobody is at and was marked together with this object; `say` has their words say that somebody is, as in `give_up`.
    pub(crate) fn take_given_up_with(
        &self,
        object: (u32, Version),
        say: impl FnOnce(&[(u32, Version)]),
    ) -> Option<Objects> {
        let mut unfinished = self.unfinished.lock();
        let at = unfinished.given_up.iter().position(|objects| objects.contains(&object))?;
        let objects = unfinished.given_up.remove(at)?;
        say(&objects);
        // Relaxed: as in `give_up`.
        self.given_up.fetch_sub(1, Ordering::Relaxed);
        Some(objects)
    }

    /// Whether nobody is at the removal of this object.
    pub(crate) fn is_given_up(&self, object: (u32, Version)) -> bool {
        self.unfinished.lock().given_up.iter().any(|objects| objects.contains(&object))
    }

    /// Takes the notes of all that is unfinished, for the arena's end.
    pub(crate) fn close(&self) -> HashSet<u32> {
        let mut unfinished = self.unfinished.lock();
        let given_up = std::mem::take(&mut unfinished.given_up);
        let deferred = std::mem::take(&mut unfinished.deferred);
        given_up.into_iter().chain(deferred).flatten().map(|(index, _)| index).collect()
    }
}
