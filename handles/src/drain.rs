//! Waiting until nobody is inside a set of objects that have been marked.

use std::time::Instant;

use crate::error::RemoveError;
use crate::fences::Fences;
use crate::records::{self, Occupant};

/// How often a drain looks at the cells before it goes to sleep: some two microseconds, the length of an ordinary
/// visit. Sleeping and being woken costs more than that.
const LOOKS: u32 = 64;

/// Waits until all who are inside one of `addresses` (sorted) have left; false if the deadline came first.
///
/// The versions of the slots have been marked. The cost is two barriers at the most, however many objects: one
/// before the cells are looked at, one more if the drain has to sleep.
pub(crate) fn drain(fences: Fences, addresses: &[usize], deadline: Option<Instant>) -> Result<bool, RemoveError> {
    fences.heavy()?;
    let mut inside = records::occupants(|address| addresses.binary_search(&address).is_ok());
    for _ in 0..LOOKS {
        inside.retain(Occupant::is_inside);
        if inside.is_empty() {
            return Ok(true);
        }
        std::hint::spin_loop();
    }
    let alarm = Alarm::raise(&inside);
    fences.heavy()?;
    Ok(alarm.0.iter().all(|occupant| occupant.wait(deadline)))
}

/// The alarms of all occupants, lowered when this goes.
struct Alarm<'a>(&'a [Occupant]);

impl<'a> Alarm<'a> {
    fn raise(occupants: &'a [Occupant]) -> Self {
        occupants.iter().for_each(Occupant::raise_alarm);
        Self(occupants)
    }
}

impl Drop for Alarm<'_> {
    fn drop(&mut self) {
        self.0.iter().for_each(Occupant::lower_alarm);
    }
}
