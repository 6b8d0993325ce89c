//! What the models share: an arena whose payloads tell who uses them when nobody may.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize as Unmodelled, Ordering};

use enodev_handles::sync::{Condvar, Mutex};
use enodev_handles::{Arena, Domain, Handle, Kind, Strategy};

pub(crate) enum Disk {}
impl Kind for Disk {
    const NAME: &'static str = "Disk";
}

pub(crate) type Disks = Arena<Disk, (), Payload>;

/// An arena that readers enter with a fence, which is all that a checker knows.
pub(crate) fn disks() -> Arc<Disks> {
    Arc::new(Arena::new(&Domain::with_strategy(Strategy::Fence).unwrap()).unwrap())
}

/// What a payload leaves behind for the model to ask.
#[derive(Debug)]
pub(crate) struct Witness {
    /// loom's: a use of the payload that does not come before its end, by what the crate orders, is an error of loom's.
    #[cfg(loom)]
    body: loom::cell::UnsafeCell<()>,
    inside: Unmodelled,
    dropped: Unmodelled,
}

// SAFETY: loom's cell is an empty one, whose uses loom itself compares; the rest is atomic.
#[cfg(loom)]
#[expect(unsafe_code, reason = "loom's cell, which is there to be shared wrongly")]
unsafe impl Sync for Witness {}

impl Witness {
    fn new() -> Self {
        Self {
            #[cfg(loom)]
            body: loom::cell::UnsafeCell::new(()),
            inside: Unmodelled::new(0),
            dropped: Unmodelled::new(0),
        }
    }

    /// Notes the payload's end: by what the caller has waited for nobody uses it any more.
    #[track_caller]
    pub(crate) fn end(&self) {
        assert_eq!(self.inside.load(Ordering::Relaxed), 0, "somebody is inside");
        assert_eq!(self.dropped.fetch_add(1, Ordering::Relaxed), 0, "dropped twice");
        #[cfg(loom)]
        self.body.with_mut(|_| ());
    }

    /// What the caller has waited for came after the payload's end.
    #[track_caller]
    pub(crate) fn assert_gone(&self) {
        assert_eq!(self.dropped.load(Ordering::Relaxed), 1, "the payload is still there");
        #[cfg(loom)]
        self.body.with(|_| ());
    }

    #[track_caller]
    pub(crate) fn assert_there(&self) {
        assert_eq!(self.dropped.load(Ordering::Relaxed), 0, "the payload is gone");
    }
}

/// A payload that is used by whoever is inside, and by nobody else when it goes.
#[derive(Debug)]
pub(crate) struct Payload(Arc<Witness>);

impl Payload {
    /// Uses it, as a callback would: for a while, in which others have their turn.
    #[track_caller]
    pub(crate) fn visit(&self) {
        self.0.inside.fetch_add(1, Ordering::Relaxed);
        self.look();
        #[cfg(shuttle)]
        enodev_handles::sync::thread::yield_now();
        self.look();
        self.0.inside.fetch_sub(1, Ordering::Relaxed);
    }

    #[track_caller]
    fn look(&self) {
        self.0.assert_there();
        #[cfg(loom)]
        self.0.body.with(|_| ());
    }

    /// Whether it is the one that this is the witness of.
    pub(crate) fn is_of(&self, witness: &Arc<Witness>) -> bool {
        Arc::ptr_eq(&self.0, witness)
    }
}

impl Drop for Payload {
    fn drop(&mut self) {
        self.0.end();
    }
}

/// A payload, made by this thread. The witness outlives it, so that a use that comes too late is told apart from a crash.
pub(crate) fn payload() -> (Payload, Arc<Witness>) {
    let witness = Arc::new(Witness::new());
    #[cfg(loom)]
    witness.body.with_mut(|_| ());
    (Payload(Arc::clone(&witness)), witness)
}

/// Adds an object.
pub(crate) fn plug(disks: &Disks) -> (Handle<Disk>, Arc<Witness>) {
    let (payload, witness) = payload();
    (disks.insert((), payload).unwrap(), witness)
}

/// Enters an object, if it is there.
pub(crate) fn visit(disks: &Disks, disk: Handle<Disk>) -> bool {
    disks.enter(disk).map(|disk| disk.visit()).is_ok()
}

/// Removes objects together, those of them that are there; returns how many these are.
pub(crate) fn remove_all<const N: usize>(disks: &Disks, all: [Handle<Disk>; N]) -> usize {
    let mut leaving = disks.leave();
    for disk in all {
        // Another may be removing it.
        let _ = leaving.mark(disk);
    }
    let quiet = leaving.drain().unwrap();
    let gone = quiet.len();
    drop(quiet);
    gone
}

/// Where so many threads wait until all have come.
pub(crate) struct Meeting {
    missing: Mutex<usize>,
    complete: Condvar,
}

impl Meeting {
    pub(crate) fn of(threads: usize) -> Arc<Self> {
        Arc::new(Self { missing: Mutex::new(threads), complete: Condvar::new() })
    }

    pub(crate) fn come(&self) {
        let mut missing = self.missing.lock();
        *missing -= 1;
        self.complete.notify_all();
        while *missing > 0 {
            self.complete.wait(&mut missing);
        }
    }
}
