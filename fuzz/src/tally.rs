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
    /// An object was marked by a thread that was inside it.
    MarkedInside,
    /// A batch could not be drained because the thread was inside.
    DrainInside,
    /// A batch could not be drained by its deadline, because of an owned reference.
    TimedOut,
    /// A removal that had been given up was finished by a reap.
    Reaped,
    /// A removal that had been given up was finished by another removal.
    ReapedInRemove,
    /// A removal took the payload of an object whose removal had been given up.
    GivenUpRemoved,
    /// A removal that had been given up was not finished, because somebody was in its way.
    ReapBlocked,
    /// A removal that had been given up was taken over and given up again.
    GivenUpAgain,
    /// A removal that had been given up was finished by the end of its world.
    GivenUpAtEnd,
    /// A removal was finished as the thread left the last of its objects.
    Deferred,
    /// A removal that was to be finished so was finished at once, as the thread was in none of its objects.
    DeferredAtOnce,
    /// A removal that was to be finished so was given up, because of a pin.
    DeferredPinned,
    /// A removal that was to be finished so never was, because a guard had been forgotten: the end of its world did it.
    DeferredAtEnd,
    /// A payload went with the last owned reference, after its world.
    OwnedLast,
    /// An owned reference outlived its world, and was not the last one.
    OwnedEarlier,
    /// A removal named who was in its way, by labels.
    Blocked,
    /// Several objects were entered at once.
    EnteredAll,
    /// Several objects were not entered, because one of them was stale, and another one was not.
    EnterAllRefused,
    /// An object was visited in a session.
    Visited,
    /// A visit was forgotten.
    VisitForgotten,
    /// Garbage was held up, and the thread that did it was named.
    GarbageHeld,
    /// A map with keys of both worlds lost the value of a handle to another one.
    KeyLost,
}

impl Situation {
    /// All of them.
    pub const ALL: [Self; 39] = [
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
        Self::MarkedInside,
        Self::DrainInside,
        Self::TimedOut,
        Self::Reaped,
        Self::ReapedInRemove,
        Self::GivenUpRemoved,
        Self::ReapBlocked,
        Self::GivenUpAgain,
        Self::GivenUpAtEnd,
        Self::Deferred,
        Self::DeferredAtOnce,
        Self::DeferredPinned,
        Self::DeferredAtEnd,
        Self::OwnedLast,
        Self::OwnedEarlier,
        Self::Blocked,
        Self::EnteredAll,
        Self::EnterAllRefused,
        Self::Visited,
        Self::VisitForgotten,
        Self::GarbageHeld,
        Self::KeyLost,
    ];
}

/// How often each [`Situation`] was met, or each of another interpreter's situations.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tally<S = Situation>(BTreeMap<S, u64>);

impl<S: Ord + Copy> Tally<S> {
    /// How often `situation` was met.
    pub fn of(&self, situation: S) -> u64 {
        self.0.get(&situation).copied().unwrap_or(0)
    }

    pub(crate) fn note(&mut self, situation: S) {
        *self.0.entry(situation).or_default() += 1;
    }
}

impl<S> Default for Tally<S> {
    fn default() -> Self {
        Self(BTreeMap::new())
    }
}

impl<S: Ord + Copy> AddAssign<&Self> for Tally<S> {
    fn add_assign(&mut self, other: &Self) {
        for (situation, count) in &other.0 {
            *self.0.entry(*situation).or_default() += count;
        }
    }
}
