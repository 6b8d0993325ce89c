//! Which handles have been handed out, and what that makes of the slots.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};

use crate::bits;
use crate::tally::{Situation, Tally};

/// All handles of a run, of all its worlds: none is ever handed out twice.
#[derive(Debug, Clone, Default)]
pub(crate) struct Issued(Arc<Mutex<BTreeSet<u64>>>);

impl Issued {
    /// Whether the handle is new, and whether its tag is.
    fn insert(&self, bits: u64) -> (bool, bool) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let tag = bits & !(u64::MAX >> 8);
        let new_tag = all.range(tag..=tag | u64::MAX >> 8).next().is_none();
        (all.insert(bits), new_tag)
    }
}

#[derive(Debug)]
struct Slot {
    uses: u32,
    /// The handle of the last use.
    last: u64,
    /// Something is in it, or will be.
    taken: bool,
}

/// The slots of one world.
#[derive(Debug)]
pub(super) struct Slots {
    slots: BTreeMap<u32, Slot>,
    issued: Issued,
    /// The first handle of all.
    first: Option<u64>,
    generations: u32,
    retired: usize,
}

impl Slots {
    pub(super) fn new(generations: u32, issued: Issued) -> Self {
        Self { slots: BTreeMap::new(), issued, first: None, generations, retired: 0 }
    }

    pub(super) fn retired(&self) -> usize {
        self.retired
    }

    /// How many objects a slot can hold. A tag that was used long enough has fewer generations left.
    fn uses_max(&self) -> u32 {
        let first = self.first.map_or(0, bits::generation);
        self.generations.min(bits::GENERATION_LAST - first + 1)
    }

    /// A handle is handed out.
    pub(super) fn issue(&mut self, handle: u64, tally: &mut Tally) -> Result<(), String> {
        let (new, new_tag) = self.issued.insert(handle);
        if self.first.is_none() && !new_tag {
            tally.note(Situation::TagReused);
        }
        let first = *self.first.get_or_insert(handle);
        let uses_max = self.uses_max();
        let slot = Slot { uses: 0, last: 0, taken: false };
        let slot = self.slots.entry(bits::index(handle)).or_insert(slot);
        let generation = bits::generation(first) + slot.uses;
        let wrong = [
            (!new, "it was handed out before"),
            (slot.taken, "its slot is taken"),
            (slot.uses >= uses_max, "its slot's generations were used up"),
            (bits::tag(handle) != bits::tag(first), "its tag is not the world's"),
            (bits::generation(handle) != generation, "its generation is not the next one"),
            (slot.uses > 0 && handle <= slot.last, "an earlier handle of the slot is higher"),
        ];
        if slot.uses > 0 {
            tally.note(Situation::SlotReused);
        }
        *slot = Slot { uses: slot.uses + 1, last: handle, taken: true };
        let wrong: Vec<&str> = wrong.iter().filter(|(is_wrong, _)| *is_wrong).map(|(_, what)| *what).collect();
        if wrong.is_empty() { Ok(()) } else { Err(format!("handle {handle:#x} handed out: {}", wrong.join(", "))) }
    }

    /// Nothing is in the slot any more.
    pub(super) fn give_back(&mut self, handle: u64, tally: &mut Tally) {
        let uses_max = self.uses_max();
        let Some(slot) = self.slots.get_mut(&bits::index(handle)) else { return };
        slot.taken = false;
        if slot.uses == uses_max {
            self.retired += 1;
            tally.note(Situation::SlotRetired);
        }
    }
}
