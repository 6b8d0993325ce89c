//! What the worlds are full of.

use std::fmt;
use std::sync::{Arc, Weak};

use enodev_handles::{Exclusive, Handle, Kind};

use crate::model::{Book, Stamp};
use crate::world::World;

/// The one kind: both worlds have it, so that their handles are of one type.
#[derive(Debug)]
pub(crate) enum Thing {}

impl Kind for Thing {
    const NAME: &'static str = "Thing";
}

pub(crate) type ThingHandle = Handle<Thing>;
pub(crate) type Arena = enodev_handles::Arena<Thing, StorePart, Payload>;

/// Another kind, for a world's end.
#[derive(Debug)]
pub(crate) enum Sweeping {}

impl Kind for Sweeping {
    const NAME: &'static str = "Sweeping";
}

pub(crate) type Sweepings = enodev_handles::Arena<Sweeping, (), ()>;

/// The store part of an object. It tells its world's model when it is dropped.
pub(crate) struct StorePart {
    /// On the heap, so that a tool that watches memory sees who comes too late.
    stamp: Box<Stamp>,
    book: Arc<Book>,
}

impl StorePart {
    pub(crate) fn new(stamp: Stamp, book: &Arc<Book>) -> Self {
        Self { stamp: Box::new(stamp), book: Arc::clone(book) }
    }

    pub(crate) fn stamp(&self) -> Stamp {
        *self.stamp
    }
}

impl Drop for StorePart {
    fn drop(&mut self) {
        self.book.model().store_dropped(*self.stamp);
    }
}

/// The payload of an object.
pub(crate) struct Payload {
    stamp: Box<Stamp>,
    /// How often it was locked.
    locked: Exclusive<u64>,
    victim: Option<Victim>,
    book: Arc<Book>,
}

impl Payload {
    pub(crate) fn new(stamp: Stamp, victim: Option<Victim>, book: &Arc<Book>) -> Self {
        Self { stamp: Box::new(stamp), locked: Exclusive::new(0), victim, book: Arc::clone(book) }
    }

    pub(crate) fn stamp(&self) -> &Stamp {
        &self.stamp
    }

    pub(crate) fn locked(&self) -> &Exclusive<u64> {
        &self.locked
    }
}

impl Drop for Payload {
    fn drop(&mut self) {
        self.book.model().payload_dropped(*self.stamp);
        if let Some(victim) = self.victim.take() {
            victim.remove();
        }
    }
}

/// An object that goes when another one's payload is dropped.
pub(crate) struct Victim {
    pub(crate) world: Weak<World>,
    pub(crate) handle: ThingHandle,
}

impl Victim {
    fn remove(self) {
        // A world that is ending cannot be reached any more.
        if let Some(world) = self.world.upgrade() {
            world.remove_in_drop(self.handle);
        }
    }
}

impl fmt::Debug for Victim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Victim").field(&self.handle).finish()
    }
}
