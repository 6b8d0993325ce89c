//! Rows of insertions and removals.

use std::ops::RangeFrom;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use super::get::{Get, Stop, Walk};
use super::object::payloads;
use super::row::{Done, Measured, Pattern};
use super::{Payload, Result};
use crate::contest::{Race, race};

/// A store that several threads change at once.
pub(crate) trait Churn: Send + Sync + Sized {
    /// What the user keeps of an object.
    type Handle;

    /// An empty one, for some `objects` at a time.
    fn empty(objects: usize) -> Result<Self>;

    /// Makes an object. No two that are there have the same number. To be `#[inline]`.
    fn insert(&self, payload: Payload) -> Option<Self::Handle>;

    /// Takes an object away, and tells whether it was there. To be `#[inline]`.
    fn remove(&self, handle: Self::Handle) -> bool;
}

/// A store with the objects of [`payloads`], and their handles in the same order.
pub(crate) fn filled<C: Churn>(objects: usize) -> Result<(C, Vec<C::Handle>)> {
    let contender = C::empty(objects)?;
    let handles: Option<_> = payloads(objects).map(|payload| contender.insert(payload)).collect();
    Ok((contender, handles.ok_or("an object cannot be made")?))
}

/// The objects of one thread, which are removed when this is dropped.
struct Ring<'a, C: Churn> {
    contender: &'a C,
    handles: Vec<Option<C::Handle>>,
    /// Where the oldest is.
    oldest: usize,
    numbers: RangeFrom<u64>,
    failures: u64,
    all_failures: &'a AtomicU64,
}

impl<'a, C: Churn> Ring<'a, C> {
    /// So far apart are the numbers of two rings, and those of objects that are in none.
    const APART: u64 = 1 << 48;

    fn new(contender: &'a C, ring: usize, objects: usize, all_failures: &'a AtomicU64) -> Self {
        let numbers = (ring as u64 + 1) * Self::APART..;
        let mut ring = Self { contender, handles: Vec::new(), oldest: 0, numbers, failures: 0, all_failures };
        ring.handles = (0..objects).map(|_| ring.insert()).collect();
        ring
    }

    #[inline]
    fn insert(&mut self) -> Option<C::Handle> {
        let handle = self.numbers.next().and_then(|number| self.contender.insert(Payload::new(number)));
        self.failures += u64::from(handle.is_none());
        handle
    }

    #[inline]
    fn remove(&mut self, handle: Option<C::Handle>) {
        let removed = handle.is_some_and(|handle| self.contender.remove(handle));
        self.failures += u64::from(!removed);
    }

    /// Removes the oldest and makes a new one, so many times.
    #[inline(never)]
    fn turn(&mut self, pairs: u64) {
        for _ in 0..pairs {
            let oldest = self.handles[self.oldest].take();
            self.remove(oldest);
            self.handles[self.oldest] = self.insert();
            self.oldest += 1;
            if self.oldest == self.handles.len() {
                self.oldest = 0;
            }
        }
    }
}

impl<C: Churn> Drop for Ring<'_, C> {
    fn drop(&mut self) {
        for handle in std::mem::take(&mut self.handles) {
            self.remove(handle);
        }
        // Relaxed: read after the threads have been joined.
        self.all_failures.fetch_add(self.failures, Ordering::Relaxed);
    }
}

/// What came of a round, unless operations failed.
fn done<R>(race: &Race<R>, pairs: u64, failures: AtomicU64) -> Result<Done> {
    match failures.into_inner() {
        0 => Ok(Done::new(race, pairs)),
        failures => Err(format!("{failures} insertions or removals failed").into()),
    }
}

struct Churning<C> {
    contender: C,
    objects: usize,
}

pub(crate) fn build<C: Churn + 'static>(objects: usize) -> Result<Box<dyn Measured>> {
    Ok(Box::new(Churning { contender: C::empty(objects)?, objects }))
}

impl<C: Churn> Measured for Churning<C> {
    fn round(&mut self, threads: usize, _: Pattern, pairs: u64) -> Result<Done> {
        let (pairs, failures, each) = (pairs.max(1), AtomicU64::new(0), self.objects.div_ceil(threads));
        let race = race(threads, |number| {
            let mut ring = Ring::new(&self.contender, number, each, &failures);
            // Warm, and past what a store does for its first removals.
            ring.turn(each as u64);
            move || ring.turn(pairs)
        });
        done(&race, pairs, failures)
    }
}

struct BesideReader<C: Get> {
    contender: C,
    handles: Vec<C::Handle>,
}

pub(crate) fn build_beside_reader<C: Churn + Get + 'static>(objects: usize) -> Result<Box<dyn Measured>> {
    let (contender, handles) = <C as Get>::build(objects)?;
    Ok(Box::new(BesideReader { contender, handles }))
}

impl<C: Churn + Get> Measured for BesideReader<C> {
    fn round(&mut self, _: usize, _: Pattern, pairs: u64) -> Result<Done> {
        let (contender, handles, objects) = (&self.contender, &*self.handles, self.handles.len());
        let (pairs, failures, over) = (pairs.max(1), AtomicU64::new(0), &AtomicBool::new(false));
        // The reader takes part in the race: a round in which it did not run does not count.
        let race = race(2, |number| {
            let mut ring = (number == 0).then(|| Ring::new(contender, 0, objects, &failures));
            let mut walk = Walk::new(contender, handles);
            match &mut ring {
                Some(ring) => ring.turn(objects as u64),
                None => drop(walk.spread(0, objects as u64)),
            }
            move || match &mut ring {
                Some(ring) => {
                    let _stop = Stop(over);
                    ring.turn(pairs);
                }
                None => walk.until(over),
            }
        });
        done(&race, pairs, failures)
    }
}
