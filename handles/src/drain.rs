//! Waiting until nobody is inside a set of objects that have been marked.

use std::task::Waker;
use std::time::Instant;

use crate::cells::Occupant;
use crate::counts::{Tally, Waiting};
use crate::error::RemoveError;
use crate::fences::{self, Fences};
use crate::label::Label;
use crate::owned::Stays;
use crate::records;
use crate::waits::{self, Duty};

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
    /// Where it is counted that a drain waits; those of gates are not.
    pub(crate) tally: Option<&'a Tally>,
}

/// Somebody who was seen inside, and when first.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Seen {
    pub(crate) occupant: Occupant,
    pub(crate) since: Instant,
}

/// What a look has found: nobody, or who was inside. That may be nobody, too, where there are owned references.
pub(crate) type Looked = Result<Option<Vec<Occupant>>, RemoveError>;

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

    /// As [`occupants`](Self::occupants), but for those who leave while one looks on for a moment: whoever looks up what is
    /// marked is in its cell for as long as it takes to be refused, and holds nothing up.
    pub(crate) fn visitors(&self) -> Result<Vec<Occupant>, RemoveError> {
        self.occupants().map(those_who_stay)
    }

    /// Waits until all who are inside have left. The caller is not.
    ///
    /// The cost is two barriers at the most, however many objects: one before the cells are looked at, one more if the drain has
    /// to sleep. Each occupant is waited for once. `note` is told of those who are left. `fenced` is called after the
    /// first fence: who sleeps inside can be told then.
    pub(crate) fn drain(
        &self,
        deadline: Option<Instant>,
        note: impl FnOnce(&[Occupant]),
        fenced: impl FnOnce(),
    ) -> Result<(), RemoveError> {
        match self.look(fenced)? {
            None => Ok(()),
            Some(inside) => self.wait(inside, deadline, note),
        }
    }

    /// The first half of a drain, by a caller that is not inside.
    #[inline]
    pub(crate) fn look(&self, fenced: impl FnOnce()) -> Looked {
        fences::full();
        let is_plain = records::are_elsewhere(|address| self.is_one(address));
        let inside = if is_plain { Vec::new() } else { self.occupants()? };
        fenced();
        Ok(if inside.is_empty() && self.stays.is_none() { None } else { Some(inside) })
    }

    /// The second half, where the first has found somebody.
    pub(crate) fn wait(
        &self,
        inside: Vec<Occupant>,
        deadline: Option<Instant>,
        note: impl FnOnce(&[Occupant]),
    ) -> Result<(), RemoveError> {
        let inside = those_who_stay(inside);
        let count = || self.begin_wait(&inside, deadline);
        let _counted = if inside.is_empty() {
            count()
        } else {
            note(&inside);
            sleep(self.fences, self.addresses, &inside, deadline, count)?
        };
        if self.stays.wait(self.addresses, deadline) { Ok(()) } else { Err(RemoveError::TimedOut) }
    }

    /// Counts the caller among those who wait, if it is going to: somebody is inside, and the deadline is still to come.
    pub(crate) fn begin_wait(&self, inside: &[Occupant], deadline: Option<Instant>) -> Option<Waiting<'_>> {
        let must_wait = !inside.is_empty() || !self.stays.is_none();
        self.tally.filter(|_| must_wait)?.begin(deadline)
    }

    /// Has the waker called when one of those who are inside leaves; true if there is nobody.
    pub(crate) fn poll(&self, waker: &Waker, note: impl FnOnce(&[Occupant])) -> Result<bool, RemoveError> {
        let inside = self.occupants()?;
        note(&inside);
        let raised: Vec<u32> = inside.iter().map(Occupant::raise_alarm).collect();
        self.fences.heavy(|| !inside.iter().all(Occupant::is_fenced))?;
        // One that is left is enough to come back for.
        if inside.iter().zip(raised).any(|(occupant, report)| occupant.wake(report, waker)) {
            return Ok(false);
        }
        Ok(!self.stays.wake(self.addresses, waker))
    }
}

/// Sleeps until all of these have left. As long as that takes, nobody's removal ends who is at one of `duties`.
///
/// Counts the caller among those who wait when it has said for whom: whoever finds it counted, and makes it wait for itself, is told so.
fn sleep<'t>(
    fences: Fences,
    duties: &[usize],
    inside: &[Occupant],
    deadline: Option<Instant>,
    count: impl FnOnce() -> Option<Waiting<'t>>,
) -> Result<Option<Waiting<'t>>, RemoveError> {
    if deadline.is_some_and(|deadline| deadline <= Instant::now()) {
        // Who only looks waits for nobody: he closes no circle, and nobody has to wake him.
        return if inside.iter().any(Occupant::is_inside) { Err(RemoveError::TimedOut) } else { Ok(None) };
    }
    let raised: Vec<u32> = inside.iter().map(Occupant::raise_alarm).collect();
    fences.heavy(|| !inside.iter().all(Occupant::is_fenced))?;
    let _duty = Duty::begin(duties.iter().copied());
    let _waiting = waits::for_occupants(records::own_number(), inside)?;
    let counted = count();
    let has_left = |(occupant, report): (&Occupant, u32)| occupant.wait(report, deadline);
    if inside.iter().zip(raised).all(has_left) { Ok(counted) } else { Err(RemoveError::TimedOut) }
}

/// Those who were seen inside one object under some labels. The object stays and others come: each is waited for as long as
/// this one stay lasts.
#[derive(Debug)]
pub(crate) struct Under<'a> {
    address: usize,
    labels: &'a [Label],
    fences: Fences,
    stays: &'a Stays,
    inside: Vec<Occupant>,
    /// The number of the last owned reference.
    last: u64,
}

impl<'a> Under<'a> {
    /// Looks who is inside, by a caller that is not. Whoever enters under one of the labels and is not seen here will see what the
    /// caller did before: one in a cell by the fences, an owned reference by the lock of the stays.
    pub(crate) fn look(
        address: usize,
        labels: &'a [Label],
        fences: Fences,
        stays: &'a Stays,
    ) -> Result<Self, RemoveError> {
        fences.heavy(records::others_are_unfenced)?;
        let inside = records::occupants(|other| other == address);
        let inside = inside.into_iter().filter_map(|occupant| occupant.under(labels)).collect();
        Ok(Self { address, labels, fences, stays, inside, last: stays.last() })
    }

    /// Waits until they have left.
    pub(crate) fn wait(self, deadline: Option<Instant>, tally: Option<&Tally>) -> Result<(), RemoveError> {
        let inside = those_who_stay(self.inside);
        let must_wait = !inside.is_empty() || !self.stays.is_none();
        let count = || tally.filter(|_| must_wait).and_then(|tally| tally.begin(deadline));
        let _counted = if inside.is_empty() { count() } else { sleep(self.fences, &[], &inside, deadline, count)? };
        let stays = self.stays.wait_under(self.address, self.labels, self.last, deadline);
        if stays { Ok(()) } else { Err(RemoveError::TimedOut) }
    }
}

/// Looks on for a moment: some two microseconds at most.
fn those_who_stay(mut inside: Vec<Occupant>) -> Vec<Occupant> {
    for () in std::iter::repeat_n((), LOOKS) {
        inside.retain(Occupant::is_inside);
        if inside.is_empty() {
            break;
        }
        crate::sync::hint::spin_loop();
    }
    inside
}

/// Notes who is inside now, each with the time since when.
pub(crate) fn note(seen: &mut Vec<Seen>, inside: &[Occupant]) {
    let now = Instant::now();
    let since =
        |occupant: &Occupant| seen.iter().find(|seen| seen.occupant == *occupant).map_or(now, |seen| seen.since);
    *seen = inside.iter().map(|occupant| Seen { occupant: *occupant, since: since(occupant) }).collect();
}
