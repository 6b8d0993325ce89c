//! What is unplugged, and what is read.

use enodev::{Errno, PAGE_SIZE};

use super::stamp;
use crate::load::{Link, bytes};
use crate::{Content, Scanned};
use std::sync::Arc;

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
    pub(super) binary: bool,
    pub(super) expect: Result<Arc<[u8]>, Errno>,
}

impl<'t> Plan<'t> {
    /// A plan for a tree; `None` if there is nothing in it to unplug or to read.
    pub(super) fn new(tree: &'t Scanned, links: &[Link]) -> Option<Self> {
        let contents = tree.dirs.iter().map(stamp::contents).collect();
        let units: Vec<Unit> = tops(tree).map(|(top, len)| unit(top, len, links)).collect();
        let mut places = Vec::new();
        for (dir, at) in tree.dirs.iter().enumerate().skip(1) {
            let readable = at.attributes.iter().enumerate().filter(|(_, a)| a.mode & 0o444 != 0);
            places.extend(readable.filter_map(|(attribute, a)| {
                let expect = bytes(&a.content).cloned();
                let fits = expect.as_ref().is_ok_and(|bytes| bytes.len() <= PAGE_SIZE);
                let answers = fits || matches!(a.content, Content::Errno(_));
                answers.then_some(Place { dir, attribute, binary: a.binary, expect })
            }));
        }
        (!units.is_empty() && !places.is_empty()).then_some(Self { tree, contents, units, places })
    }
}

/// The largest subtrees of devices that are not too large, and their sizes.
fn tops(tree: &Scanned) -> impl Iterator<Item = (usize, usize)> {
    let mut next = 1;
    (1..tree.dirs.len()).filter_map(move |index| {
        let len = tree.subtree_len(index);
        if index < next || len > UNIT_MAX || !tree.dirs[index].path.starts_with("devices/") {
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
