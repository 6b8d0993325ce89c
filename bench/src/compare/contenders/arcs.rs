//! References that count.

use std::sync::{Arc, Weak};

use arc_swap::ArcSwapOption;

use crate::compare::get::Get;
use crate::compare::object::payloads;
use crate::compare::{Payload, Result};

/// A `Weak` of each object, upgraded for each get. The owner has the `Arc`s.
pub(crate) struct WeakUpgrade {
    _owner: Vec<Arc<Payload>>,
}

impl Get for WeakUpgrade {
    type Handle = Weak<Payload>;
    type Thread<'a> = ();

    fn build(objects: usize) -> Result<(Self, Vec<Weak<Payload>>)> {
        let owner: Vec<_> = payloads(objects).map(Arc::new).collect();
        let weak = owner.iter().map(Arc::downgrade).collect();
        Ok((Self { _owner: owner }, weak))
    }

    fn thread(&self) {}

    #[inline]
    fn get(&self, (): &mut (), weak: &Weak<Payload>) -> u64 {
        weak.upgrade().map_or(0, |payload| payload.word())
    }
}

/// An `Arc` of each object, cloned for each get: nobody can take the object away, but it is counted.
pub(crate) struct ArcClone;

impl Get for ArcClone {
    type Handle = Arc<Payload>;
    type Thread<'a> = ();

    fn build(objects: usize) -> Result<(Self, Vec<Arc<Payload>>)> {
        Ok((Self, payloads(objects).map(Arc::new).collect()))
    }

    fn thread(&self) {}

    #[inline]
    fn get(&self, (): &mut (), payload: &Arc<Payload>) -> u64 {
        Arc::clone(payload).word()
    }
}

/// A table of `arc_swap` cells, each of which may be emptied; a guard for each get.
pub(crate) struct ArcSwap(Box<[ArcSwapOption<Payload>]>);

impl Get for ArcSwap {
    type Handle = usize;
    type Thread<'a> = ();

    fn build(objects: usize) -> Result<(Self, Vec<usize>)> {
        let cells = payloads(objects).map(ArcSwapOption::from_pointee);
        Ok((Self(cells.collect()), (0..objects).collect()))
    }

    fn thread(&self) {}

    #[inline]
    fn get(&self, (): &mut (), index: &usize) -> u64 {
        let Some(cell) = self.0.get(*index) else { return 0 };
        cell.load().as_ref().map_or(0, |payload| payload.word())
    }
}
