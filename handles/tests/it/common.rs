//! What the tests share: kinds of objects, parts that tell when they are dropped, and ways to wait without sleeping.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use enodev_handles::{Arena, Domain, Handle, Kind, Strategy};

pub(crate) enum Disk {}
impl Kind for Disk {
    const NAME: &'static str = "Disk";
}

pub(crate) enum Bus {}
impl Kind for Bus {
    const NAME: &'static str = "Bus";
}

/// Every race is run under both: where `membarrier` is to be had, `Auto` is the asymmetric one.
pub(crate) const STRATEGIES: [Strategy; 2] = [Strategy::Fence, Strategy::Auto];

/// An arena in a domain of its own.
pub(crate) fn disks<S, P>(strategy: Strategy) -> Arena<Disk, S, P>
where
    S: Send + Sync + 'static,
    P: Send + Sync + 'static,
{
    Arena::new(&Domain::with_strategy(strategy).unwrap()).unwrap()
}

/// Where the slot of a handle lies in its arena.
pub(crate) fn index<K>(handle: Handle<K>) -> u32 {
    handle.to_bits() as u32
}

/// How many of its tokens have been dropped.
#[derive(Debug, Clone, Default)]
pub(crate) struct Drops(Arc<AtomicUsize>);

impl Drops {
    pub(crate) fn token(&self) -> Token {
        Token(self.clone())
    }

    pub(crate) fn count(&self) -> usize {
        self.0.load(Ordering::SeqCst)
    }
}

/// Counts its own drop.
#[derive(Debug)]
pub(crate) struct Token(Drops);

impl Drop for Token {
    fn drop(&mut self) {
        self.0.0.fetch_add(1, Ordering::SeqCst);
    }
}

/// Runs a closure when it is dropped.
pub(crate) struct OnDrop(Option<Box<dyn FnOnce() + Send + Sync>>);

impl OnDrop {
    pub(crate) fn new(run: impl FnOnce() + Send + Sync + 'static) -> Self {
        Self(Some(Box::new(run)))
    }
}

impl Drop for OnDrop {
    fn drop(&mut self) {
        if let Some(run) = self.0.take() {
            run();
        }
    }
}

/// Waits until another thread has done its part: looks on for a moment, then gives the processor away.
pub(crate) fn until(done: impl Fn() -> bool) {
    for _ in 0..200 {
        if done() {
            return;
        }
        std::hint::spin_loop();
    }
    while !done() {
        thread::yield_now();
    }
}

/// Gives the others the time to do what they must not do: a remover that does not wait returns meanwhile, one that
/// does has gone to sleep afterwards.
pub(crate) fn linger() {
    for _ in 0..1000 {
        thread::yield_now();
    }
}

/// Keeps the caller busy for a random while: from nothing to several times as long as a drain looks on before it
/// sleeps.
pub(crate) fn dawdle(random: &mut Random) {
    match random.below(16) {
        0 => (0..random.below(4)).for_each(|_| thread::yield_now()),
        1..=4 => (0..random.below(800)).for_each(|_| std::hint::spin_loop()),
        5..=10 => (0..random.below(64)).for_each(|_| std::hint::spin_loop()),
        _ => {}
    }
}

/// Pseudo-random numbers (xorshift), the same in every run.
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) % bound
    }
}

/// Memory that is in no near cache: what a thread writes there keeps its next stores waiting for a microsecond or so, in
/// which it goes on loading. Without that, stores are seen so early that a missing fence is hardly ever missed.
pub(crate) struct Slow {
    bytes: Vec<u8>,
    next: usize,
}

impl Slow {
    pub(crate) fn new() -> Self {
        Self { bytes: vec![1; 16 << 20], next: 0 }
    }

    pub(crate) fn store(&mut self) {
        for _ in 0..4 {
            self.bytes[self.next..][..1500].fill(self.next as u8);
            self.next = (self.next + 8192) % (self.bytes.len() - 8192);
        }
        std::hint::black_box(&mut self.bytes);
    }
}
