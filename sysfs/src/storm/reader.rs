//! A thread that reads, and judges what it gets.

use std::sync::atomic::{AtomicBool, Ordering};

use enodev::Errno;

use super::plan::{Place, Plan};
use super::side::Side;
use super::stamp::take_stamp;

/// How many handles and open files a reader holds.
const HELD: usize = 64;

/// A held one is given back after so many reads, and another taken.
const READS_EACH: u32 = 256;

/// What a reader has seen.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Seen {
    pub(super) ok: u64,
    pub(super) enodev: u64,
    pub(super) imported_errno: u64,
    pub(super) unexpected: u64,
    pub(super) wrong: u64,
}

impl Seen {
    pub(super) fn add(&mut self, other: Self) {
        self.ok += other.ok;
        self.enodev += other.enodev;
        self.imported_errno += other.imported_errno;
        self.unexpected += other.unexpected;
        self.wrong += other.wrong;
    }

    pub(super) fn reads(&self) -> u64 {
        self.ok + self.enodev + self.imported_errno + self.unexpected + self.wrong
    }
}

/// A place that a reader holds a handle or an open file of.
struct Held<T> {
    place: usize,
    as_file: bool,
    target: Option<T>,
    /// The incarnation that answered first.
    incarnation: Option<u64>,
    reads: u32,
}

pub(super) struct Reader<'a, S: Side> {
    side: &'a S,
    plan: &'a Plan<'a>,
    random: Random,
    buffer: S::Buffer,
    seen: Seen,
}

impl<'a, S: Side> Reader<'a, S> {
    pub(super) fn new(side: &'a S, plan: &'a Plan<'a>, seed: u64) -> Self {
        Self { side, plan, random: Random::new(seed), buffer: S::Buffer::default(), seen: Seen::default() }
    }

    /// Reads until told to stop.
    pub(super) fn run(mut self, stop: &AtomicBool) -> Seen {
        let mut held: Vec<_> = (0..HELD).map(|n| self.pick(n % 2 == 1)).collect();
        // Relaxed: nothing else depends on when this is seen.
        while !stop.load(Ordering::Relaxed) {
            for held in &mut held {
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
        let Some(target) = &held.target else {
            held.target = self.side.open(place, held.as_file);
            held.incarnation = None;
            return;
        };
        take_stamp();
        let answer = self.side.read(target, &mut self.buffer);
        let is_gone = answer == Err(Errno::ENODEV) && place.expect != Err(Errno::ENODEV);
        judge(place, &mut held.incarnation, answer, &mut self.seen);
        held.reads += 1;
        if is_gone {
            held.target = None;
        } else if held.reads >= READS_EACH {
            *held = self.pick(held.as_file);
        }
    }
}

/// Counts an answer as what it is.
fn judge(place: &Place, incarnation: &mut Option<u64>, answer: Result<&[u8], Errno>, seen: &mut Seen) {
    let stamp = take_stamp();
    if let Some(stamp) = stamp {
        let first = *incarnation.get_or_insert(stamp.incarnation);
        if stamp.poisoned || stamp.dir != place.dir || stamp.incarnation != first {
            seen.wrong += 1;
            return;
        }
    }
    match (answer, &place.expect) {
        (Err(Errno::ENODEV), _) if stamp.is_none() => seen.enodev += 1,
        (Ok(bytes), Ok(expect)) if *bytes == **expect && stamp.is_some() => seen.ok += 1,
        (Err(errno), Err(expect)) if errno == *expect && stamp.is_some() => seen.imported_errno += 1,
        _ => seen.unexpected += 1,
    }
}

/// A small generator of numbers that look random.
#[derive(Debug)]
pub(super) struct Random(u64);

impl Random {
    pub(super) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    pub(super) fn below(&mut self, end: usize) -> usize {
        // Marsaglia's xorshift with the multiplication of Vigna's xorshift64*.
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        ((self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 32) as usize * end) >> 32
    }
}

#[cfg(test)]
mod tests;
