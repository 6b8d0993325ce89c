//! Waiting until nobody is inside a set of objects that have been marked.

use std::task::Waker;
use std::time::Instant;

use crate::cells::Occupant;
use crate::error::RemoveError;
use crate::fences::Fences;
use crate::owned::Stays;
use crate::records;
use crate::waits;

/// How often a drain looks at the cells before it goes to sleep: some two microseconds, the length of an ordinary
/// visit. Sleeping and being woken costs more than that. In a model each way into the sleep is to be tried, and a look lets
/// the others go first.
const LOOKS: usize = if cfg!(any(loom, shuttle)) { 0 } else { 64 };

/// Marked objects, all of one arena or gate.
///
/// # Invariants
///
/// The addresses are sorted.
pub(crate) struct Marked<'a> {
    pub(crate) addresses: &'a [usize],
    pub(crate) fences: Fences,
    pub(crate) stays: &'a Stays,
}

/// Somebody who was seen inside, and when first.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Seen {
    pub(crate) occupant: Occupant,
    pub(crate) since: Instant,
}

impl Marked<'_> {
    fn is_one(&self, address: usize) -> bool {
        match self.addresses {
            [one] => *one == address,
            many => many.binary_search(&address).is_ok(),
        }
    }

    /// Those who are inside. Whoever is not among them is not, and will not be let in.
    pub(crate) fn occupants(&self) -> Result<Vec<Occupant>, RemoveError> {
        self.fences.heavy(records::others_are_unfenced)?;
        Ok(records::occupants(|address| self.is_one(address)))
    }

    /// Waits until all who are inside have left.
    ///
    /// The cost is two barriers at the most, however many objects: one before the cells are looked at, one more if the drain has
    /// to sleep. Each occupant is waited for once. Those who are left are noted in `seen`. `fenced` is called after the
    /// first fence: who sleeps inside can be told then.
    pub(crate) fn drain(
        &self,
        deadline: Option<Instant>,
        seen: &mut Vec<Seen>,
        fenced: impl FnOnce(),
    ) -> Result<(), RemoveError> {
        let mut inside = self.occupants()?;
        fenced();
        for () in std::iter::repeat_n((), LOOKS) {
            inside.retain(Occupant::is_inside);
            if inside.is_empty() {
                break;
            }
            crate::sync::hint::spin_loop();
        }
        if !inside.is_empty() {
            self.sleep(&inside, deadline, seen)?;
        }
        if self.stays.wait(self.addresses, deadline) { Ok(()) } else { Err(RemoveError::TimedOut) }
    }

    fn sleep(&self, inside: &[Occupant], deadline: Option<Instant>, seen: &mut Vec<Seen>) -> Result<(), RemoveError> {
        note(seen, inside);
        let _alarm = Alarm::raise(inside);
        self.fences.heavy(|| !inside.iter().all(Occupant::is_fenced))?;
        let _waiting = waits::for_occupants(records::own_number(), inside)?;
        if inside.iter().all(|occupant| occupant.wait(deadline)) { Ok(()) } else { Err(RemoveError::TimedOut) }
    }

    /// Has the waker called when one of those who are inside leaves; true if there is nobody.
    pub(crate) fn poll(
        &self,
        waker: &Waker,
        seen: &mut Vec<Seen>,
        alarm: &mut Option<Alarm>,
    ) -> Result<bool, RemoveError> {
        let inside = self.occupants()?;
        note(seen, &inside);
        // The former alarm goes when this one is up.
        *alarm = Some(Alarm::raise(&inside));
        self.fences.heavy(|| !inside.iter().all(Occupant::is_fenced))?;
        // One that is left is enough to come back for.
        if inside.iter().any(|occupant| occupant.wake(waker)) {
            return Ok(false);
        }
        Ok(!self.stays.wake(self.addresses, waker))
    }
}

/// Notes who is inside now, each with the time since when.
pub(crate) fn note(seen: &mut Vec<Seen>, inside: &[Occupant]) {
    let now = Instant::now();
    let since =
        |occupant: &Occupant| seen.iter().find(|seen| seen.occupant == *occupant).map_or(now, |seen| seen.since);
    *seen = inside.iter().map(|occupant| Seen { occupant: *occupant, since: since(occupant) }).collect();
}

/// The alarms of all occupants, lowered when this goes.
#[derive(Debug)]
pub(crate) struct Alarm(Vec<Occupant>);

impl Alarm {
    fn raise(occupants: &[Occupant]) -> Self {
        occupants.iter().for_each(Occupant::raise_alarm);
        Self(occupants.to_vec())
    }
}

impl Drop for Alarm {
    fn drop(&mut self) {
        self.0.iter().for_each(Occupant::lower_alarm);
    }
}
