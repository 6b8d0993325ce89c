//! Stores of slots with generations, as enodev's arenas are.

use concurrent_slotmap::{SlotId, SlotMap};
use idr_ebr::{EbrGuard, Idr, Key};
use sharded_slab::Slab;

use crate::compare::churn::{Churn, filled};
use crate::compare::get::Get;
use crate::compare::{Payload, Result};

/// `idr-ebr`, with a guard for each get.
pub(crate) struct IdrEbr(Idr<Payload>);

impl Churn for IdrEbr {
    type Handle = Key;

    fn empty(_: usize) -> Result<Self> {
        Ok(Self(Idr::new()))
    }

    #[inline]
    fn insert(&self, payload: Payload) -> Option<Key> {
        self.0.insert(payload)
    }

    #[inline]
    fn remove(&self, key: Key) -> bool {
        self.0.remove(key)
    }
}

impl Get for IdrEbr {
    type Handle = Key;
    type Thread<'a> = ();

    fn build(objects: usize) -> Result<(Self, Vec<Key>)> {
        filled(objects)
    }

    fn thread(&self) {}

    #[inline]
    fn get(&self, (): &mut (), key: &Key) -> u64 {
        self.0.get(*key, &EbrGuard::new()).map_or(0, |payload| payload.word())
    }
}

/// `concurrent-slotmap`, with a guard for each operation.
pub(crate) struct ConcurrentSlotmap(SlotMap<SlotId, Payload>);

impl Churn for ConcurrentSlotmap {
    type Handle = SlotId;

    fn empty(objects: usize) -> Result<Self> {
        // The capacity is fixed. What has been removed and not reclaimed yet takes room too.
        let capacity = objects.saturating_mul(4).max(1 << 16);
        Ok(Self(SlotMap::new(u32::try_from(capacity)?)))
    }

    #[inline]
    fn insert(&self, payload: Payload) -> Option<SlotId> {
        Some(self.0.insert(payload, &self.0.pin()))
    }

    #[inline]
    fn remove(&self, id: SlotId) -> bool {
        self.0.remove(id, &self.0.pin()).is_some()
    }
}

impl Get for ConcurrentSlotmap {
    type Handle = SlotId;
    type Thread<'a> = ();

    fn build(objects: usize) -> Result<(Self, Vec<SlotId>)> {
        filled(objects)
    }

    fn thread(&self) {}

    #[inline]
    fn get(&self, (): &mut (), id: &SlotId) -> u64 {
        self.0.get(*id, &self.0.pin()).map_or(0, Payload::word)
    }
}

/// `sharded-slab`, whose entries count references.
pub(crate) struct ShardedSlab(Slab<Payload>);

impl Churn for ShardedSlab {
    type Handle = usize;

    fn empty(_: usize) -> Result<Self> {
        Ok(Self(Slab::new()))
    }

    #[inline]
    fn insert(&self, payload: Payload) -> Option<usize> {
        self.0.insert(payload)
    }

    #[inline]
    fn remove(&self, key: usize) -> bool {
        self.0.remove(key)
    }
}

impl Get for ShardedSlab {
    type Handle = usize;
    type Thread<'a> = ();

    fn build(objects: usize) -> Result<(Self, Vec<usize>)> {
        filled(objects)
    }

    fn thread(&self) {}

    #[inline]
    fn get(&self, (): &mut (), key: &usize) -> u64 {
        self.0.get(*key).map_or(0, |payload| payload.word())
    }
}
