//! What protects nothing: nobody can take an object away, for the store is borrowed.

use slotmap::{DefaultKey, SlotMap};

use crate::compare::get::Get;
use crate::compare::object::payloads;
use crate::compare::{Payload, Result};

/// A slice, indexed. The bounds are checked.
pub(crate) struct RawIndex(Box<[Payload]>);

impl Get for RawIndex {
    type Handle = usize;
    type Thread<'a> = ();

    fn build(objects: usize) -> Result<(Self, Vec<usize>)> {
        Ok((Self(payloads(objects).collect()), (0..objects).collect()))
    }

    fn thread(&self) {}

    #[inline]
    fn get(&self, (): &mut (), index: &usize) -> u64 {
        self.0.get(*index).map_or(0, Payload::word)
    }
}

/// `slotmap`: the index, and a generation to compare.
pub(crate) struct Slotmap(SlotMap<DefaultKey, Payload>);

impl Get for Slotmap {
    type Handle = DefaultKey;
    type Thread<'a> = ();

    fn build(objects: usize) -> Result<(Self, Vec<DefaultKey>)> {
        let mut map = SlotMap::with_capacity(objects);
        let keys = payloads(objects).map(|payload| map.insert(payload)).collect();
        Ok((Self(map), keys))
    }

    fn thread(&self) {}

    #[inline]
    fn get(&self, (): &mut (), key: &DefaultKey) -> u64 {
        self.0.get(*key).map_or(0, Payload::word)
    }
}
