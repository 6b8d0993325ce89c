//! A thread that reads, and judges what it gets.

use std::sync::atomic::{AtomicBool, Ordering};

use enodev::Errno;

use super::era::{Era, Eras};
use super::plan::{Place, Plan};
use super::side::Side;
use super::stamp::take_stamp;
use crate::random::Random;

/// How many handles and open files a reader holds.
const HELD: usize = 64;

/// Two of so many, a handle and a file, rest between their reads: by then the slot of an object that has left may be another's.
const REST_EACH: usize = 8;
/// For so many rounds.
const REST: u64 = 128;

/// A held one is given back after so many reads, and another taken.
const READS_EACH: u32 = 256;

/// What an answer was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// The bytes that it should be.
    Right,
    /// The object was gone, or going.
    Gone,
    /// The error that it should be.
    ImportedErrno,
    /// None of these: other bytes, another error, or no answer of an object that was there all the time.
    Unexpected,
    /// Another object's or incarnation's, or one of a payload that had been dropped.
    Wrong,
    /// Of a payload whose removal had returned before it was asked.
    Late,
}

/// What a reader has seen.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Seen {
    /// By [`Verdict`].
    counts: [u64; 6],
}

impl Seen {
    fn count(&mut self, verdict: Verdict) {
        self.counts[verdict as usize] += 1;
    }

    pub(super) fn of(&self, verdict: Verdict) -> u64 {
        self.counts[verdict as usize]
    }

    pub(super) fn add(&mut self, other: &Self) {
        self.counts.iter_mut().zip(other.counts).for_each(|(count, other)| *count += other);
    }

    pub(super) fn reads(&self) -> u64 {
        self.counts.iter().sum()
    }
}

/// A place that a reader holds a handle or an open file of.
struct Held<T> {
    place: usize,
    as_file: bool,
    target: Option<T>,
    /// The incarnation that was in when this was opened; where one was just coming or going, the one that answered first.
    incarnation: Option<u64>,
    reads: u32,
}

pub(super) struct Reader<'a, S: Side> {
    side: &'a S,
    plan: &'a Plan<'a>,
    eras: &'a Eras,
    random: Random,
    buffer: S::Buffer,
    seen: Seen,
}

impl<'a, S: Side> Reader<'a, S> {
    pub(super) fn new(side: &'a S, plan: &'a Plan<'a>, eras: &'a Eras, seed: u64) -> Self {
        Self { side, plan, eras, random: Random::new(seed), buffer: S::Buffer::default(), seen: Seen::default() }
    }

    /// Reads until told to stop.
    pub(super) fn run(mut self, stop: &AtomicBool) -> Seen {
        let mut held: Vec<_> = (0..HELD).map(|n| self.pick(n % 2 == 1)).collect();
        // Relaxed: nothing else depends on when this is seen.
        for round in (0..).take_while(|_| !stop.load(Ordering::Relaxed)) {
            let resting = if round % REST == 0 { 0 } else { 2 };
            for held in held.chunks_mut(REST_EACH).flat_map(|held| &mut held[resting..]) {
                self.read(held);
            }
        }
        self.seen
    }

    fn pick(&mut self, as_file: bool) -> Held<S::Target> {
        let place = self.random.below(self.plan.places.len());
        Held { place, as_file, target: None, incarnation: None, reads: 0 }
    }

    fn read(&mut self, held: &mut Held<S::Target>) {
        let place = &self.plan.places[held.place];
        let before = self.eras.of(place.unit);
        let Some(target) = &held.target else {
            held.target = self.side.open(place, held.as_file);
            let after = self.eras.of(place.unit);
            held.incarnation = before.incarnation().filter(|_| before == after);
            if held.target.is_none() && held.incarnation.is_some() {
                self.seen.count(Verdict::Unexpected);
            }
            return;
        };
        let answer = self.side.read(target, &mut self.buffer);
        let verdict = judge(place, &mut held.incarnation, answer, before, || self.eras.of(place.unit));
        self.seen.count(verdict);
        held.reads += 1;
        if verdict == Verdict::Gone {
            held.target = None;
        } else if held.reads >= READS_EACH {
            *held = self.pick(held.as_file);
        }
    }
}

/// Says what an answer was that was asked for at the era `before`. Takes the stamp, so that there is none before the next read.
fn judge(
    place: &Place,
    incarnation: &mut Option<u64>,
    answer: Result<&[u8], Errno>,
    before: Era,
    after: impl FnOnce() -> Era,
) -> Verdict {
    let Some(stamp) = take_stamp() else {
        // No payload has been asked. An incarnation that is still in has been there all the time.
        let is_there = incarnation.is_some() && after().incarnation() == *incarnation;
        let is_gone = answer == Err(Errno::ENODEV) && !is_there;
        return if is_gone { Verdict::Gone } else { Verdict::Unexpected };
    };
    let asked = *incarnation.get_or_insert(stamp.incarnation);
    if stamp.poisoned || stamp.dir != place.dir || stamp.incarnation != asked {
        return Verdict::Wrong;
    }
    if before.is_after(stamp.incarnation) {
        return Verdict::Late;
    }
    match (answer, &place.expect) {
        (Ok(bytes), Ok(expect)) if *bytes == **expect => Verdict::Right,
        (Err(errno), Err(expect)) if errno == *expect => Verdict::ImportedErrno,
        _ => Verdict::Unexpected,
    }
}

#[cfg(test)]
mod tests;
