//! Rows of gets, and readers for the rows of removals.

use std::hint::black_box;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::thread;

use super::object::{payloads, shuffle};
use super::row::{Done, Measured, Pattern};
use super::{Payload, Result};
use crate::contest::race;

/// A way to objects: from a handle to 8 bytes of what it names.
pub(crate) trait Get: Send + Sync + Sized {
    /// What the user keeps of an object.
    type Handle: Send + Sync;

    /// What a thread keeps from get to get, such as a pin.
    type Thread<'a>
    where
        Self: 'a;

    /// One with the objects of [`payloads`], and their handles in the same order.
    fn build(objects: usize) -> Result<(Self, Vec<Self::Handle>)>;

    /// What a thread keeps. Called on that thread, outside the time that is taken.
    fn thread(&self) -> Self::Thread<'_>;

    /// Reads [`Payload::word`](super::Payload::word) of the object; 0 if it is not there. To be `#[inline]`.
    fn get<'a>(&'a self, thread: &mut Self::Thread<'a>, handle: &Self::Handle) -> u64;

    /// Whether a get meets the object with this payload. To be replaced where `get` gives something else than its word.
    fn meets<'a>(&'a self, thread: &mut Self::Thread<'a>, handle: &Self::Handle, payload: &Payload) -> bool {
        self.get(thread, handle) == payload.word()
    }
}

/// The most gets that warm a thread up: all the objects of a row that is not huge.
const WARM_UP: usize = 10_000;

/// How a thread goes from object to object.
pub(crate) struct Walk<'a, G: Get> {
    contender: &'a G,
    thread: G::Thread<'a>,
    handles: &'a [G::Handle],
}

impl<'a, G: Get> Walk<'a, G> {
    pub(crate) fn new(contender: &'a G, handles: &'a [G::Handle]) -> Self {
        Self { contender, thread: contender.thread(), handles }
    }

    /// Gets one object after the other, from `at` on and from the start again.
    #[inline(never)]
    pub(crate) fn spread(&mut self, at: usize, gets: u64) -> u64 {
        let (mut rest, mut left, mut sum) = (&self.handles[at..], gets, 0_u64);
        while left > 0 {
            let count = rest.len().min(usize::try_from(left).unwrap_or(usize::MAX));
            for handle in &rest[..count] {
                sum = sum.wrapping_add(self.contender.get(&mut self.thread, black_box(handle)));
            }
            left -= count as u64;
            rest = self.handles;
        }
        black_box(sum)
    }

    /// Gets the one in the middle, over and over.
    #[inline(never)]
    fn hot(&mut self, gets: u64) -> u64 {
        let handle = &self.handles[self.handles.len() / 2];
        let sum =
            (0..gets).fold(0_u64, |sum, _| sum.wrapping_add(self.contender.get(&mut self.thread, black_box(handle))));
        black_box(sum)
    }

    /// Gets one object after the other until the flag is set.
    pub(crate) fn until(&mut self, over: &AtomicBool) {
        let mut at = 0;
        // Relaxed: a flag alone.
        while !over.load(Ordering::Relaxed) {
            self.spread(at, 100);
            at = (at + 100) % self.handles.len();
        }
    }
}

/// Has the calling thread stay on one core, another one for each number. Only Linux is asked for that.
#[cfg(target_os = "linux")]
fn stay_on_a_core(number: usize) {
    use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

    let Ok(allowed) = sched_getaffinity(None) else { return };
    let cores: Vec<usize> = (0..CpuSet::MAX_CPU).filter(|core| allowed.is_set(*core)).collect();
    if let Some(core) = cores.get(number % cores.len().max(1)) {
        let mut set = CpuSet::new();
        set.set(*core);
        // The reader is a reader wherever it runs.
        let _ = sched_setaffinity(None, &set);
    }
}

#[cfg(not(target_os = "linux"))]
fn stay_on_a_core(_: usize) {}

/// Sets a flag when it goes, also where a panic passes.
pub(crate) struct Stop<'a>(pub(crate) &'a AtomicBool);

impl Drop for Stop<'_> {
    fn drop(&mut self) {
        // Relaxed: a flag alone.
        self.0.store(true, Ordering::Relaxed);
    }
}

/// A contender for gets, and the handles in the order in which they are used.
struct Reading<G: Get> {
    contender: G,
    handles: Vec<G::Handle>,
    /// Where the first thread of the next spread round starts: huge rows find nothing in the caches.
    at: usize,
}

/// A contender for gets. Each object is got once, and has to be the right one.
pub(crate) fn build<G: Get + 'static>(objects: usize) -> Result<Box<dyn Measured>> {
    let (contender, mut handles) = G::build(objects)?;
    if handles.len() != objects {
        return Err(format!("{} objects, not {objects}", handles.len()).into());
    }
    let mut thread = contender.thread();
    for (handle, payload) in handles.iter().zip(payloads(objects)) {
        if !contender.meets(&mut thread, handle, &payload) {
            return Err(format!("object {} is not what it should be", payload.number()).into());
        }
    }
    drop(thread);
    shuffle(&mut handles);
    Ok(Box::new(Reading { contender, handles, at: 0 }))
}

impl<G: Get> Measured for Reading<G> {
    fn round(&mut self, threads: usize, pattern: Pattern, gets: u64) -> Result<Done> {
        let (contender, handles, gets) = (&self.contender, &*self.handles, gets.max(1));
        let (objects, first) = (handles.len(), self.at);
        let warm_up = objects.min(WARM_UP);
        let race = race(threads, |number| {
            let at = (first + number * (objects / threads)) % objects;
            let mut walk = Walk::new(contender, handles);
            match pattern {
                // Up to where it will start, so that of many objects none is met twice.
                Pattern::Spread => walk.spread((at + objects - warm_up) % objects, warm_up as u64),
                _ => walk.hot(warm_up as u64 / 10),
            };
            move || match pattern {
                Pattern::Spread => walk.spread(at, gets),
                _ => walk.hot(gets),
            }
        });
        self.at = (first + (gets % objects as u64) as usize) % objects;
        Ok(Done::new(&race, gets))
    }
}

/// Does `work` while `readers` threads get one object after the other, each on a core of its own as far as there are as many.
/// All of them have begun before it.
pub(crate) fn beside_readers<G: Get, R>(
    contender: &G,
    handles: &[G::Handle],
    readers: usize,
    work: impl FnOnce() -> R,
) -> R {
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        let _stop = Stop(&over);
        let (begun, wait) = mpsc::channel();
        for number in 0..readers {
            let (begun, over) = (begun.clone(), &over);
            scope.spawn(move || {
                stay_on_a_core(number);
                let mut walk = Walk::new(contender, handles);
                walk.spread(0, handles.len() as u64);
                // The receiver is there: it waits for this.
                let _ = begun.send(());
                walk.until(over);
            });
        }
        wait.iter().take(readers).count();
        work()
    })
}
