//! Who goes before whom: of those whose subtrees overlap, who came first.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use enodev_attrs::Name;

use crate::handle::KobjectHandle;
use crate::store::Store;

/// What a request is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Subject {
    /// An object and all below it.
    Subtree(KobjectHandle),
    /// What is to come under a name in a directory.
    Newcomer(KobjectHandle, Name),
}

/// A place where two may meet.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Place {
    Object(KobjectHandle),
    Name(KobjectHandle, Name),
}

/// How much of a place one needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    /// Something below it: those who need no more go side by side.
    Below,
    Whole,
}

/// Those at one place.
#[derive(Debug, Default)]
struct Line {
    members: BTreeMap<u64, Part>,
    wholes: usize,
}

impl Line {
    /// Puts one at the end; true if somebody is in the way there.
    fn join(&mut self, number: u64, part: Part) -> bool {
        let is_blocked = self.wholes != 0 || part == Part::Whole && !self.members.is_empty();
        self.wholes += usize::from(part == Part::Whole);
        self.members.insert(number, part);
        is_blocked
    }

    /// Takes one out in whose way nobody was. Those in whose way nobody is any more come with it.
    fn leave(&mut self, number: u64) -> Vec<u64> {
        let Some(part) = self.members.remove(&number) else { return Vec::new() };
        self.wholes -= usize::from(part == Part::Whole);
        let mut members = self.members.iter();
        match members.next() {
            Some((first, Part::Whole)) => vec![*first],
            // The others of those that need a part went beside it.
            Some((first, Part::Below)) if part == Part::Whole => {
                let beside = members.take_while(|(_, part)| **part == Part::Below).map(|(number, _)| *number);
                [*first].into_iter().chain(beside).collect()
            }
            _ => Vec::new(),
        }
    }
}

/// What is to be done, in order, and what of it is being done.
///
/// # Invariants
///
/// - A number is in the line of each of its places, from when it comes to when it ends.
/// - `blocked` is in how many of these lines somebody is in its way: somebody before it, and one of the two needs the whole place.
/// - Those that are blocked nowhere and have not begun are `ready`.
#[derive(Debug)]
pub(crate) struct Turns<J> {
    number: u64,
    entries: HashMap<u64, Entry<J>>,
    lines: HashMap<Place, Line>,
    ready: BTreeSet<u64>,
}

#[derive(Debug)]
struct Entry<J> {
    places: Vec<Place>,
    blocked: usize,
    /// None once it has begun.
    job: Option<J>,
}

impl<J> Default for Turns<J> {
    fn default() -> Self {
        Self { number: 0, entries: HashMap::new(), lines: HashMap::new(), ready: BTreeSet::new() }
    }
}

impl<J> Turns<J> {
    /// Puts something behind all that it overlaps with, as the tree is now.
    pub(crate) fn push(&mut self, store: &Store, subject: &Subject, job: J) {
        self.number += 1;
        let number = self.number;
        let mut blocked = 0;
        let mut places = Vec::new();
        for (place, part) in places_of(store, subject) {
            let line = self.lines.entry(place.clone()).or_default();
            blocked += usize::from(line.join(number, part));
            places.push(place);
        }
        if blocked == 0 {
            self.ready.insert(number);
        }
        self.entries.insert(number, Entry { places, blocked, job: Some(job) });
    }

    /// What is to be begun next: of that in whose way nobody is, what came first.
    pub(crate) fn begin(&mut self) -> Option<(u64, J)> {
        let number = self.ready.pop_first()?;
        Some((number, self.entries.get_mut(&number)?.job.take()?))
    }

    /// Notes that something is over. Returns how much can be begun now that could not before.
    pub(crate) fn end(&mut self, number: u64) -> usize {
        let Some(entry) = self.entries.remove(&number) else { return 0 };
        let before = self.ready.len();
        for place in entry.places {
            let Some(line) = self.lines.get_mut(&place) else { continue };
            for next in line.leave(number) {
                let Some(entry) = self.entries.get_mut(&next) else { continue };
                entry.blocked -= 1;
                if entry.blocked == 0 {
                    self.ready.insert(next);
                }
            }
            if line.members.is_empty() {
                self.lines.remove(&place);
            }
        }
        self.ready.len() - before
    }

    /// Takes out all that has not begun, in order.
    pub(crate) fn cancel(&mut self) -> Vec<J> {
        let mut waiting: Vec<_> = self.entries.iter().filter(|(_, e)| e.job.is_some()).map(|(n, _)| *n).collect();
        waiting.sort_unstable();
        self.ready.clear();
        let mut jobs = Vec::new();
        for number in waiting {
            let Some(entry) = self.entries.remove(&number) else { continue };
            for place in entry.places {
                // Who comes free by this is taken out too, or has begun.
                let is_empty = self.lines.get_mut(&place).is_some_and(|line| {
                    line.leave(number);
                    line.members.is_empty()
                });
                if is_empty {
                    self.lines.remove(&place);
                }
            }
            jobs.extend(entry.job);
        }
        jobs
    }

    /// How much there is at an object or below it, what has begun included.
    pub(crate) fn count_below(&self, object: KobjectHandle) -> usize {
        self.lines.get(&Place::Object(object)).map_or(0, |line| line.members.len())
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }
}

/// Where one stands in line: at its object, and at that one's name, which may be given to another; and with less at all that is above.
fn places_of(store: &Store, subject: &Subject) -> Vec<(Place, Part)> {
    let (object, newcomer) = match subject {
        Subject::Subtree(object) => (*object, None),
        Subject::Newcomer(dir, name) => (*dir, Some(Place::Name(*dir, name.clone()))),
    };
    let part = if newcomer.is_some() { Part::Below } else { Part::Whole };
    let mut places = vec![(Place::Object(object), part)];
    let (place, above) = store.place_and_ancestors(object);
    // A newcomer's directory is not taken away from anybody.
    let name = newcomer.or_else(|| place.map(|(dir, name)| Place::Name(dir, name)));
    places.extend(name.map(|name| (name, Part::Whole)));
    places.extend(above.into_iter().map(|object| (Place::Object(object), Part::Below)));
    places
}

impl Store {
    /// Where an object stands, and all that is above it; also of one that is leaving. Nothing of one that has left.
    fn place_and_ancestors(&self, object: KobjectHandle) -> (Option<(KobjectHandle, Name)>, Vec<KobjectHandle>) {
        self.inner.settled(|pin| {
            let mut above = Vec::new();
            let Ok(node) = self.inner.nodes.get_leaving(pin, object) else { return (None, above) };
            let place = node.place();
            let name = place.name.clone().map(|name| (place.parent, name));
            let (mut at, mut parent) = (object, node.parent_of(object));
            while parent != at {
                above.push(parent);
                at = parent;
                parent = self.inner.nodes.get_leaving(pin, at).map_or(at, |node| node.parent_of(at));
            }
            (name, above)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::{Line, Part};

    /// Of those in a line, those who need a part of the place only go side by side; who needs all of it goes alone.
    #[test]
    fn a_line_lets_parts_go_side_by_side_and_wholes_alone() {
        let mut line = Line::default();
        assert!(!line.join(1, Part::Below));
        assert!(!line.join(2, Part::Below));
        assert!(line.join(3, Part::Whole));
        assert!(line.join(4, Part::Below));
        assert!(line.join(5, Part::Below));
        assert!(line.join(6, Part::Whole));
        assert_eq!(line.leave(2), [0; 0]);
        assert_eq!(line.leave(1), [3]);
        assert_eq!(line.leave(3), [4, 5]);
        assert!(line.join(7, Part::Below));
        assert_eq!(line.leave(5), [0; 0]);
        assert_eq!(line.leave(4), [6]);
        assert_eq!(line.leave(6), [7]);
        assert_eq!(line.leave(7), [0; 0]);
        assert!(!line.join(8, Part::Whole));
    }
}
