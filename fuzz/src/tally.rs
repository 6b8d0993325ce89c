use std::collections::BTreeMap;
use std::ops::AddAssign;

/// What a run can come to: whoever drives the interpreter sees whether the inputs reach all of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Situation {
    /// A handle was refused by all look-ups.
    Refused,
    /// A removal was refused because the thread was inside.
    Inside,
    /// A removal was refused because the thread held a pin.
    Pinned,
    /// A removal was refused because the object was leaving.
    Leaving,
    /// More guards were held at once than a block of cells takes.
    Spilled,
    /// A lock was refused, because another guard held it or it was asked for in a wrong way.
    Locked,
    /// A guard was forgotten.
    GuardForgotten,
    /// A reservation was forgotten.
    ReservationForgotten,
    /// A batch was given up before it was drained.
    Abandoned,
    /// A batch could not be drained because of a pin.
    DrainPinned,
    /// A payload's `Drop` removed another object.
    RemovedInDrop,
    /// A payload's `Drop` tried to remove an object of the batch that it was in itself.
    LeavingInDrop,
    /// A slot was used again.
    SlotReused,
    /// A slot retired.
    SlotRetired,
    /// A world got the tag of an earlier one.
    TagReused,
    /// A store part was read, its slot was given up, and it was still there because of the pin.
    KeptByPin,
    /// A pin let go of what it had seen without being dropped.
    Repinned,
}

impl Situation {
    /// All of them.
    pub const ALL: [Self; 17] = [
        Self::Refused,
        Self::Inside,
        Self::Pinned,
        Self::Leaving,
        Self::Spilled,
        Self::Locked,
        Self::GuardForgotten,
        Self::ReservationForgotten,
        Self::Abandoned,
        Self::DrainPinned,
        Self::RemovedInDrop,
        Self::LeavingInDrop,
        Self::SlotReused,
        Self::SlotRetired,
        Self::TagReused,
        Self::KeptByPin,
        Self::Repinned,
    ];
}

/// How often each [`Situation`] was met.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tally(BTreeMap<Situation, u64>);

impl Tally {
    /// How often `situation` was met.
    pub fn of(&self, situation: Situation) -> u64 {
        self.0.get(&situation).copied().unwrap_or(0)
    }

    pub(crate) fn note(&mut self, situation: Situation) {
        *self.0.entry(situation).or_default() += 1;
    }
}

impl AddAssign<&Tally> for Tally {
    fn add_assign(&mut self, other: &Tally) {
        for (situation, count) in &other.0 {
            *self.0.entry(*situation).or_default() += count;
        }
    }
}
