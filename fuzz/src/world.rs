//! A store beside its model: every call is made on both, and what they say is compared.

use std::fmt;
use std::sync::{Arc, MutexGuard};

use enodev_handles::{Domain, DomainError, RemoveError, Stale};

use crate::model::{Book, Issued, Model, Stamp};
use crate::object::{Arena, Payload, StorePart, ThingHandle, Victim};
use crate::tags;
use crate::tally::Situation;

pub(crate) struct World {
    pub(crate) domain: Domain,
    pub(crate) arena: Arena,
    book: Arc<Book>,
}

impl World {
    /// A world whose slots hold `generations` objects each, or as many as there can be.
    ///
    /// # Errors
    ///
    /// [`DomainError`], if the tags of the process are used up.
    pub(crate) fn new(generations: Option<u32>, issued: &Issued) -> Result<Arc<Self>, DomainError> {
        let domain = tags::domain(|| generations.map_or_else(Domain::new, Domain::with_few_generations))?;
        let book = Arc::new(Book::new(generations.unwrap_or(u32::MAX), issued));
        // The domain has no arena of the kind yet.
        let arena = Arena::new(&domain).map_err(|_| DomainError::Tags)?;
        let world = Arc::new(Self { domain, arena, book });
        world.same(|| "a second arena of the kind".into(), Arena::new(&world.domain).is_err(), true);
        Ok(world)
    }

    pub(crate) fn book(&self) -> &Arc<Book> {
        &self.book
    }

    pub(crate) fn model(&self) -> MutexGuard<'_, Model> {
        self.book.model()
    }

    /// Complains unless the store's answer is the model's.
    pub(crate) fn same<A: PartialEq + fmt::Debug>(&self, what: impl FnOnce() -> String, got: A, expected: A) {
        if got != expected {
            self.model().complain(format!("{}: {got:?}, and not {expected:?}", what()));
        }
    }

    /// The two parts of a new object.
    pub(crate) fn parts(&self, victim: Option<Victim>) -> (Stamp, StorePart, Payload) {
        let stamp = self.model().object();
        (stamp, StorePart::new(stamp, &self.book), Payload::new(stamp, victim, &self.book))
    }

    pub(crate) fn insert(&self, victim: Option<Victim>) -> ThingHandle {
        let (stamp, store, payload) = self.parts(victim);
        match self.arena.insert(store, payload) {
            Ok(handle) => {
                let mut model = self.model();
                model.reserve(handle.to_bits());
                model.publish(handle.to_bits(), stamp);
                handle
            }
            Err(full) => {
                self.model().complain(format!("insert: {full}"));
                ThingHandle::null()
            }
        }
    }

    /// Removes an object, or tries to.
    pub(crate) fn remove(&self, handle: ThingHandle) -> Result<Stamp, RemoveError> {
        let bits = handle.to_bits();
        let expected = {
            let mut model = self.model();
            let expected = model.removal(bits);
            if let Ok(stamp) = expected {
                model.mark(bits);
                model.payload_taken(stamp);
                model.store_due(stamp);
            }
            expected
        };
        let payload = self.arena.remove(handle);
        let got = payload.as_ref().map(|payload| *payload.stamp()).map_err(|error| *error);
        self.same(|| format!("remove {handle:?}"), got, expected);
        if expected.is_ok() {
            self.model().gone(bits);
        }
        // It may remove others in turn.
        drop(payload);
        got
    }

    /// Removes an object because a payload is being dropped, perhaps one of this very world.
    pub(crate) fn remove_in_drop(&self, handle: ThingHandle) {
        if self.model().descend() {
            let removed = self.remove(handle);
            let situation = match removed {
                Ok(_) => Some(Situation::RemovedInDrop),
                Err(RemoveError::Leaving) => Some(Situation::LeavingInDrop),
                Err(_) => None,
            };
            situation.into_iter().for_each(|situation| self.model().tally.note(situation));
            self.look_up(handle);
        }
        self.model().ascend();
    }

    /// Asks everything about a handle that changes nothing.
    pub(crate) fn look_up(&self, handle: ThingHandle) {
        let bits = handle.to_bits();
        let (live, readable, inside) = {
            let model = self.model();
            let live = model.live(bits);
            let inside = live.is_ok_and(|stamp| model.is_inside(stamp));
            (live, model.readable(bits), inside)
        };
        let arena = &self.arena;
        self.same(|| format!("contains {handle:?}"), arena.contains(handle), live.is_ok());
        self.same(|| format!("is_inside {handle:?}"), arena.is_inside(handle), inside);
        self.same(|| format!("enter {handle:?}"), arena.enter(handle).map(|guard| *guard.stamp()), live);
        let pin = self.domain.pin();
        self.same(|| format!("get {handle:?}"), arena.get(&pin, handle).map(StorePart::stamp), live);
        let got = arena.get_leaving(&pin, handle).map(StorePart::stamp);
        self.same(|| format!("get_leaving {handle:?}"), got, readable);
        drop(pin);
        match (live, readable) {
            (_, Err(Stale)) => self.model().tally.note(Situation::Refused),
            (Err(Stale), Ok(_)) => self.join(handle),
            _ => {}
        }
    }

    /// Waits for an object's end, or is told why not.
    pub(crate) fn join(&self, handle: ThingHandle) {
        let expected = self.model().joining(handle.to_bits());
        self.same(|| format!("join {handle:?}"), self.arena.join(handle), expected);
        self.same(|| format!("may_join {handle:?}"), self.arena.may_join(handle), expected.is_ok());
    }

    /// Asks everything about a handle, and tries to remove what it names unless that is alive.
    pub(crate) fn probe(&self, handle: ThingHandle) {
        self.look_up(handle);
        let live = self.model().live(handle.to_bits());
        if live.is_err() {
            // What it comes to has been compared.
            let _ = self.remove(handle);
        }
    }

    pub(crate) fn flush(&self) {
        let left = self.arena.flush();
        let (due, pinned) = {
            let model = self.model();
            (model.stores_due(), model.is_pinned())
        };
        self.same(|| "flush".into(), left, if pinned { due } else { 0 });
        self.same(|| "store parts left after the flush".into(), due, left);
    }

    /// Compares the store's counts with the model's.
    pub(crate) fn check(&self) {
        let (due, len, retired, garbage, pinned) = {
            let model = self.model();
            (model.payloads_due(), model.len(), model.retired(), model.stores_due(), model.is_pinned())
        };
        self.same(|| "payloads that have left and are not dropped".into(), due, 0);
        self.same(|| "len".into(), self.arena.len(), len);
        self.same(|| "is_empty".into(), self.arena.is_empty(), len == 0);
        self.same(|| "retired".into(), self.arena.retired(), retired);
        self.same(|| "garbage".into(), self.arena.garbage(), garbage);
        self.same(|| "is_pinned".into(), self.domain.is_pinned(), pinned);
    }

    /// Ends the world: afterwards everything has been dropped, and once.
    pub(crate) fn end(self: Arc<Self>, how: u8) {
        let book = Arc::clone(&self.book);
        let Some(mut world) = Arc::into_inner(self) else {
            return book.model().complain("the world was still in use at its end".into());
        };
        if how & 8 == 0 {
            world.flush();
        }
        if how & 16 == 0 {
            world.empty();
        }
        let Self { domain, arena, .. } = world;
        book.model().close();
        let check = |what: &str, left: usize| {
            if left > 0 {
                book.model().complain(format!("{left} {what} left at the world's end"));
            }
        };
        let pin = (how & 1 == 1).then(|| domain.pin());
        drop(arena);
        let payloads = book.model().payloads_due();
        check("payloads", payloads);
        drop(pin);
        drop(domain);
        let stores = book.model().stores_due();
        check("store parts", stores);
    }

    /// Removes everything, also what forgotten guards are inside: only what was given up while leaving stays.
    fn empty(&mut self) {
        self.arena.forget_guards();
        self.model().forget_guards();
        let live: Vec<u64> = self.model().live_all().keys().copied().collect();
        for bits in live {
            let _ = self.remove(ThingHandle::from_bits(bits));
        }
        self.flush();
        self.check();
    }
}

impl fmt::Debug for World {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("World").field("arena", &self.arena).finish_non_exhaustive()
    }
}
