//! What is unplugged, and what is read.

use std::sync::Arc;

use enodev::{Errno, PAGE_SIZE};

use super::stamp;
use crate::load::{Link, bytes};
use crate::{Content, Scanned, ScannedAttribute};

/// The most objects that are unplugged at once.
const UNIT_MAX: usize = 64;

/// What the storm does on any store.
#[derive(Debug)]
pub(super) struct Plan<'t> {
    pub(super) tree: &'t Scanned,
    /// By place in the tree.
    pub(super) contents: Vec<Arc<[Content]>>,
    pub(super) units: Vec<Unit>,
    pub(super) places: Vec<Place>,
}

/// A subtree that is unplugged as a whole. No two overlap.
#[derive(Debug)]
pub(super) struct Unit {
    /// The place of its top in the tree; the subtree follows.
    pub(super) top: usize,
    pub(super) len: usize,
    /// The links that go with it, from it or to it.
    pub(super) links: Vec<Link>,
}

impl Unit {
    pub(super) fn dirs(&self) -> std::ops::Range<usize> {
        self.top..self.top + self.len
    }
}

/// An attribute that is read.
#[derive(Clone, Debug)]
pub(super) struct Place {
    pub(super) dir: usize,
    pub(super) attribute: usize,
    /// As [`Plan::unit_of`] gives it.
    pub(super) unit: usize,
    pub(super) binary: bool,
    pub(super) expect: Result<Arc<[u8]>, Errno>,
}

impl<'t> Plan<'t> {
    /// A plan for a tree; `None` if there is nothing to be read in anything that can be unplugged.
    pub(super) fn new(tree: &'t Scanned, links: &[Link]) -> Option<Self> {
        let contents = tree.dirs.iter().map(stamp::contents).collect();
        let units = tops(tree).map(|(top, len)| unit(top, len, links)).collect();
        let mut plan = Self { tree, contents, units, places: Vec::new() };
        plan.places = (1..tree.dirs.len()).flat_map(|dir| plan.places_in(dir)).collect();
        plan.places.iter().any(|place| place.unit < plan.units.len()).then_some(plan)
    }

    /// The attributes of a directory that give one page at most, or an error of their own.
    fn places_in(&self, dir: usize) -> impl Iterator<Item = Place> {
        let unit = self.unit_of(dir);
        let attributes = self.tree.dirs[dir].attributes.iter().enumerate();
        let readable = attributes.filter(|(_, attribute)| attribute.mode & 0o444 != 0);
        readable.filter_map(move |(attribute, ScannedAttribute { content, binary, .. })| {
            let expect = bytes(content).cloned();
            let fits = expect.as_ref().is_ok_and(|bytes| bytes.len() <= PAGE_SIZE);
            let answers = fits || matches!(content, Content::Errno(_));
            answers.then_some(Place { dir, attribute, unit, binary: *binary, expect })
        })
    }

    /// The place of the unit that a directory belongs to; beyond all units if to none.
    pub(super) fn unit_of(&self, dir: usize) -> usize {
        let unit = self.units.partition_point(|unit| unit.dirs().end <= dir);
        let is_in = self.units.get(unit).is_some_and(|unit| unit.dirs().contains(&dir));
        if is_in { unit } else { self.units.len() }
    }
}

/// The largest subtrees of devices that are not too large, and their sizes.
fn tops(tree: &Scanned) -> impl Iterator<Item = (usize, usize)> {
    let mut next = 1;
    (1..tree.dirs.len()).filter_map(move |index| {
        if index < next || !tree.dirs[index].path.starts_with("devices/") {
            return None;
        }
        let len = tree.subtree_len(index);
        if len > UNIT_MAX {
            return None;
        }
        next = index + len;
        Some((index, len))
    })
}

fn unit(top: usize, len: usize, links: &[Link]) -> Unit {
    let dirs = top..top + len;
    let touches = |link: &&Link| dirs.contains(&link.dir) || dirs.contains(&link.target);
    Unit { top, len, links: links.iter().filter(touches).cloned().collect() }
}

#[cfg(test)]
pub(super) mod tests;
