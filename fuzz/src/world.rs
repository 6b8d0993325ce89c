//! A store beside its model: every call is made on both, and what they say is compared.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, MutexGuard};
use std::thread::{self, ThreadId};
use std::time::Instant;

use enodev_handles::{Domain, DomainError, Label, RemoveError, Stale};

use crate::model::{Book, Issued, Model, Stamp};
use crate::object::{Arena, Payload, StorePart, Sweepings, ThingHandle, Victim};
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
        self.book.same(what, got, expected);
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

    /// Removes an object, or tries to. First the store finishes what was given up; this object may be among that.
    pub(crate) fn remove(&self, handle: ThingHandle) -> Result<Stamp, RemoveError> {
        let bits = handle.to_bits();
        let there = self.model().readable(bits).ok();
        if there.is_some_and(|stamp| self.model().is_stayed_in(stamp)) {
            return self.begin_removal(handle);
        }
        let reaped = {
            let mut model = self.model();
            let was_taken = there.is_some_and(|stamp| model.is_payload_taken(stamp));
            model.begin_reap(Situation::ReapedInRemove, Some(bits));
            there.into_iter().for_each(|stamp| model.let_go(stamp, true));
            there.filter(|stamp| !was_taken && model.is_payload_taken(*stamp))
        };
        let payload = self.arena.remove(handle);
        let got = payload.as_ref().map(|payload| *payload.stamp()).map_err(|error| *error);
        let expected = {
            let mut model = self.model();
            model.end_reap();
            there.into_iter().for_each(|stamp| model.let_go(stamp, false));
            // What was reaped may have removed it, if it was not among that.
            reaped.map_or_else(|| model.remove(bits), Ok)
        };
        if reaped.is_some() {
            self.model().tally.note(Situation::GivenUpRemoved);
        }
        self.same(|| format!("remove {handle:?}"), got, expected);
        // It may remove others in turn.
        drop(payload);
        got
    }

    /// A removal that does not wait for owned references, and so is given up.
    fn begin_removal(&self, handle: ThingHandle) -> Result<Stamp, RemoveError> {
        let bits = handle.to_bits();
        let mut leaving = self.arena.leave();
        let expected = self.model().marking(bits);
        let got = leaving.mark(handle);
        self.same(|| format!("mark {handle:?}"), got, expected.map(drop));
        expected?;
        self.model().mark(bits);
        let expected = self.model().draining(&[bits]);
        let got = leaving.drain_until(Instant::now()).map(drop).map_err(|(_, error)| error);
        self.same(|| format!("drain_until {handle:?}"), got, expected);
        self.model().give_up(vec![bits]);
        Err(expected.err().unwrap_or(RemoveError::TimedOut))
    }

    /// Finishes what was given up.
    pub(crate) fn reap(&self) {
        let expected = self.model().begin_reap(Situation::Reaped, None);
        let got = self.arena.reap();
        self.model().end_reap();
        self.same(|| "reap".into(), got, expected);
    }

    /// A guard goes, by `leave`, and with it what was to be finished then.
    pub(crate) fn leave(&self, stamp: Stamp, label: Label, leave: impl FnOnce()) {
        let due = {
            let mut model = self.model();
            model.leave(stamp, label);
            model.deferred_until(stamp)
        };
        leave();
        for batch in due {
            let is_deferred = self.model().is_deferred(&batch);
            self.same(|| format!("a leave has not finished {batch:x?}"), is_deferred, false);
        }
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
        let (live, readable, inside, leaving) = {
            let model = self.model();
            let readable = model.readable(bits);
            let inside = readable.is_ok_and(|stamp| model.is_inside(stamp));
            (model.live(bits), readable, inside, model.is_leaving(bits))
        };
        let arena = &self.arena;
        self.same(|| format!("contains {handle:?}"), arena.contains(handle), live.is_ok());
        self.same(|| format!("is_leaving {handle:?}"), arena.is_leaving(handle), leaving);
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

    /// Asks everything about an object that this thread is inside.
    pub(crate) fn probe_inside(&self, handle: ThingHandle) {
        self.look_up(handle);
        // What it comes to has been compared.
        let _ = self.remove(handle);
    }

    /// Asks everything about a handle, and tries to remove what it names unless that is alive. Not if that would finish what was
    /// given up.
    pub(crate) fn probe(&self, handle: ThingHandle) {
        self.look_up(handle);
        let is_due = {
            let model = self.model();
            model.live(handle.to_bits()).is_err() && !model.has_given_up()
        };
        if is_due {
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

    /// Reclaims what the collector has, and asks who is in the way.
    pub(crate) fn collect(&self) {
        let left = self.domain.flush();
        let pinned = self.model().is_pinned();
        if !pinned {
            self.same(|| "flush of the domain".into(), left, 0);
        }
        // Now the collector has all.
        self.flush();
        let garbage = self.domain.garbage();
        let threads: Vec<ThreadId> = garbage.pinned.iter().map(|pinned| pinned.thread).collect();
        let due = self.model().stores_due();
        self.same(|| "garbage of the domain".into(), garbage.objects, due);
        let expected = if due > 0 { vec![thread::current().id()] } else { Vec::new() };
        if due > 0 {
            self.model().tally.note(Situation::GarbageHeld);
        }
        self.same(|| "who holds garbage up".into(), threads, expected);
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
        let given_up = self.model().has_given_up();
        self.same(|| "has_given_up".into(), self.arena.has_given_up(), given_up);
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
        sweep(&domain, &book);
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

/// A removal that was to go on with the leave of a guard that has been forgotten keeps its domain, until the thread leaves
/// another object with which a removal goes on.
fn sweep(domain: &Domain, book: &Book) {
    let Ok(arena) = Sweepings::new(domain) else {
        return book.model().complain("the domain has an arena of the sweepings' kind".into());
    };
    let done = Arc::new(AtomicBool::new(false));
    if let Ok(handle) = arena.insert((), ()) {
        let inside = arena.enter(handle);
        let mut leaving = arena.leave();
        book.same(|| "mark inside".into(), leaving.mark(handle), Ok(()));
        let note = Arc::clone(&done);
        leaving.defer(move |_| note.store(true, Ordering::Relaxed));
        book.same(|| "deferred too early".into(), done.load(Ordering::Relaxed), false);
        drop(inside);
    }
    book.same(|| "deferred".into(), (done.load(Ordering::Relaxed), arena.len()), (true, 0));
}

impl fmt::Debug for World {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("World").field("arena", &self.arena).finish_non_exhaustive()
    }
}
