//! What the tests share.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use enodev_handles::{Arena, Density, Domain, Handle, Kind};

pub(crate) enum Disk {}
impl Kind for Disk {
    const NAME: &'static str = "Disk";
}

pub(crate) type Disks = Arena<Disk, u32, ()>;

pub(crate) const DENSITIES: [Density; 2] = [Density::Dense, Density::Sparse];

/// An arena in a domain of its own.
pub(crate) fn disks() -> Disks {
    Arena::new(&Domain::new().unwrap()).unwrap()
}

/// Where the slot of a handle lies in its arena.
pub(crate) fn index(handle: Handle<Disk>) -> u32 {
    handle.to_bits() as u32
}

/// An object in the slot that `former` had.
pub(crate) fn successor(disks: &Disks, former: Handle<Disk>) -> Handle<Disk> {
    for _ in 0..1000 {
        assert_eq!(disks.flush(), 0);
        let handle = disks.insert(0, ()).unwrap();
        if index(handle) == index(former) {
            return handle;
        }
        disks.remove(handle).unwrap();
    }
    panic!("the slot is not used again");
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

/// Tells the other threads of a test that it is over, also where it has failed.
pub(crate) struct Over<'a>(pub(crate) &'a AtomicBool);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}
