#![expect(unsafe_code, reason = "here a handle is turned into a reference")]

use std::any::TypeId;
use std::fmt;
use std::marker::PhantomData;
use std::ptr::NonNull;
use std::sync::Arc;

use crate::active::Active;
use crate::domain::{Domain, Pin};
use crate::error::{Full, KindTaken, RemoveError, Stale};
use crate::handle::{Handle, Kind};
use crate::leaving::{Departures, FirstPanic, Leaving};
use crate::records;
use crate::slots::{Slots, stale};
use crate::version::Version;

/// So many retired slots are handed to the collector at once: what it costs is shared, and removals keep it going.
const GARBAGE_BATCH: usize = if cfg!(miri) { 4 } else { 64 };

/// Rounds of [`Arena::flush`] without progress after which somebody must be pinned: an epoch lasts three.
const FLUSH_ROUNDS: u32 = 4;

/// Objects of one kind, addressed by [`Handle`]s, that can be added and removed while others use them.
///
/// Everything takes `&self`. Slots lie in chunks that double and never move; a slot is used again in the order in which
/// it came free, each time with the next generation, and never again when its generations are used up (some eight
/// million objects).
///
/// A store part is dropped by whichever thread finds that no pin can reach it any more, under a pin of that thread: it should
/// be plain data, and a panic in its drop goes nowhere.
///
/// Dropping the arena drops all payloads on the caller's thread, which should hold no pin of the domain. It waits for
/// nobody: that no guard is left is proved by the borrow, and one that was forgotten is past its lifetime. If payloads
/// panic as they are dropped, the first panic goes on when all is done.
pub struct Arena<K, S: 'static, P> {
    pub(crate) slots: Arc<Slots<S, P>>,
    pub(crate) domain: Domain,
    pub(crate) departures: Departures,
    kind: PhantomData<fn() -> K>,
}

impl<K, S, P> Arena<K, S, P>
where
    K: Kind,
    S: Send + Sync + 'static,
    P: Send + Sync + 'static,
{
    /// An empty arena.
    ///
    /// # Errors
    ///
    /// [`KindTaken`] if the domain has, or had, an arena of this kind.
    pub fn new(domain: &Domain) -> Result<Self, KindTaken> {
        domain.claim(TypeId::of::<K>())?;
        let slots = Arc::new(Slots::new(domain.tag(), domain.generation_last(), domain.fences()));
        Ok(Self { slots, domain: domain.clone(), departures: Departures::default(), kind: PhantomData })
    }

    /// The domain that the arena belongs to.
    pub fn domain(&self) -> &Domain {
        &self.domain
    }

    /// Adds an object.
    ///
    /// # Errors
    ///
    /// [`Full`] when the index space or the memory is exhausted; the two parts are dropped. See
    /// [`reserve`](Self::reserve) for a way to keep them.
    pub fn insert(&self, store: S, payload: P) -> Result<Handle<K>, Full> {
        Ok(self.reserve()?.publish(store, payload))
    }

    /// Takes a slot for an object that is still to be made, so that the object can know its own handle.
    ///
    /// # Errors
    ///
    /// As [`insert`](Self::insert).
    pub fn reserve(&self) -> Result<Reservation<'_, K, S, P>, Full> {
        let (index, version) = self.slots.reserve()?;
        Ok(Reservation { arena: self, index, version })
    }

    /// Reads the store part of an object that has not begun to leave.
    ///
    /// # Errors
    ///
    /// [`Stale`].
    ///
    /// # Panics
    ///
    /// If the pin is of another domain.
    #[inline]
    pub fn get<'a>(&'a self, pin: &'a Pin<'_>, handle: Handle<K>) -> Result<&'a S, Stale> {
        self.read(pin, handle, |word| word.answers_to(handle.version()))
    }

    /// Reads the store part of an object that may be leaving: it can be read until its slot is given up, which is after its
    /// payload has been dropped.
    ///
    /// # Errors
    ///
    /// [`Stale`].
    ///
    /// # Panics
    ///
    /// If the pin is of another domain.
    pub fn get_leaving<'a>(&'a self, pin: &'a Pin<'_>, handle: Handle<K>) -> Result<&'a S, Stale> {
        let version = handle.version();
        self.read(pin, handle, |word| word.answers_to(version) || (version.tag() != 0 && word == version.leaving()))
    }

    #[inline]
    fn read<'a>(
        &'a self,
        pin: &'a Pin<'_>,
        handle: Handle<K>,
        is_there: impl FnOnce(Version) -> bool,
    ) -> Result<&'a S, Stale> {
        pin.check(&self.domain);
        let slot = self.slots.slot(handle.index())?;
        if !is_there(slot.version()) {
            return Err(Stale);
        }
        // SAFETY: the word was one of a live or leaving incarnation, so the part was initialised. It is dropped by the
        // collector, after every pin has gone that is as old as the moment when the word was taken away; this
        // pin saw the word, so it is one of them, and the reference does not outlive it. The arena is borrowed
        // too, so the slot stays.
        Ok(unsafe { slot.store_part().as_ref() })
    }

    /// Enters an object: until the guard is dropped, its payload stays and a removal waits.
    ///
    /// Never waits.
    ///
    /// # Errors
    ///
    /// [`Stale`], also as soon as a removal has begun.
    #[inline]
    pub fn enter(&self, handle: Handle<K>) -> Result<Active<'_, P>, Stale> {
        let Some(found) = self.slots.find(handle.index()) else { return stale() };
        let slot = found.slot();
        let ticket = records::current().enter(slot.address(), self.slots.fences);
        if !slot.version().answers_to(handle.version()) {
            ticket.leave();
            return stale();
        }
        // SAFETY: the slot is live and its address was in the cell before the version was read (`enter` fences in
        // between): a remover whose mark this read did not see sees the cell, and waits for the ticket.
        Ok(unsafe { Active::new(slot.payload(), ticket) })
    }

    /// Whether the object has neither left nor begun to. It may do so at any moment.
    pub fn contains(&self, handle: Handle<K>) -> bool {
        self.slots.slot(handle.index()).is_ok_and(|slot| slot.version().answers_to(handle.version()))
    }

    /// Whether the calling thread is inside the object, which may be leaving meanwhile.
    pub fn is_inside(&self, handle: Handle<K>) -> bool {
        let Ok(slot) = self.slots.slot(handle.index()) else { return false };
        let (word, version) = (slot.version(), handle.version());
        let is_this = word.answers_to(version) || word == version.leaving();
        is_this && records::is_inside(|address| address == slot.address())
    }

    /// Removes an object: nobody gets in any more, those inside are waited for, and the payload is handed back.
    ///
    /// # Errors
    ///
    /// - [`RemoveError::Stale`] if it had left. Where another thread is removing it, this returns when that removal and the
    ///   drop of the payload are over, unless the caller is itself inside an object, or in that very drop:
    ///   [`RemoveError::Leaving`].
    /// - [`RemoveError::Pinned`], [`RemoveError::Inside`]: nothing has changed.
    /// - [`RemoveError::Barrier`]: see there.
    pub fn remove(&self, handle: Handle<K>) -> Result<P, RemoveError> {
        let mut leaving = self.leave();
        match leaving.mark(handle) {
            Ok(()) => {}
            Err(RemoveError::Leaving) => {
                self.join(handle)?;
                return Err(RemoveError::Stale(Stale));
            }
            Err(error) => return Err(error),
        }
        let mut quiet = leaving.drain().map_err(|(_, error)| error)?;
        let payload = quiet.take();
        payload.map(|(_, payload)| payload).ok_or(RemoveError::Stale(Stale))
    }

    /// Begins a removal of several objects, in steps.
    pub fn leave(&self) -> Leaving<'_, K, S, P> {
        Leaving::new(self)
    }

    /// Whether [`join`](Self::join) would wait for the object, or not have to. Neither may be so any more a moment later.
    pub fn may_join(&self, handle: Handle<K>) -> bool {
        !self.domain.is_pinned() && self.departures.may_join(handle.index(), handle.version())
    }

    /// Waits until an object that another thread is removing has gone, payload and all. Returns at once if it is not
    /// leaving.
    ///
    /// # Errors
    ///
    /// [`RemoveError::Leaving`] if the caller cannot wait: it is inside an object, it is dropping a payload for a removal, it
    /// is the one that removes, or the removal was given up. [`RemoveError::Pinned`] if it holds a pin.
    pub fn join(&self, handle: Handle<K>) -> Result<(), RemoveError> {
        if self.domain.is_pinned() {
            return Err(RemoveError::Pinned);
        }
        self.departures.join(handle.index(), handle.version())
    }

    /// Ends the stay of guards that have been forgotten (`mem::forget`), so that removals do not wait for them any more: the
    /// exclusive borrow proves that their lifetimes are over.
    pub fn forget_guards(&mut self) {
        records::forget(&self.slots.memory());
    }

    /// The objects alive, each with its store part.
    ///
    /// Neither blocks anybody nor is blocked. An object that is there during the whole walk is met exactly once; one that
    /// comes or leaves meanwhile, once or not at all. What is yielded was alive when it was met.
    ///
    /// # Panics
    ///
    /// If the pin is of another domain.
    pub fn iter<'a>(&'a self, pin: &'a Pin<'_>) -> Iter<'a, K, S, P> {
        pin.check(&self.domain);
        Iter { arena: self, pin, indices: 0..self.slots.fresh() }
    }

    /// How many objects hold a slot, alive or leaving.
    pub fn len(&self) -> usize {
        self.slots.live()
    }

    /// Whether no object holds a slot.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many slots have been given up because their generations are used up.
    pub fn retired(&self) -> usize {
        self.slots.retired()
    }

    /// How many objects that have left still wait for an epoch: their store parts are not dropped yet.
    pub fn garbage(&self) -> usize {
        self.slots.garbage()
    }

    /// Reclaims what can be reclaimed and tells how much is left: nothing, unless some thread is pinned.
    pub fn flush(&self) -> usize {
        self.collect(self.slots.retire([], 0));
        let (mut left, mut idle) = (self.garbage(), 0);
        while left > 0 && idle < FLUSH_ROUNDS {
            self.domain.advance();
            idle = if self.garbage() < left { 0 } else { idle + 1 };
            left = self.garbage();
        }
        left
    }

    /// Gives leaving slots up. Their payloads have been taken.
    pub(crate) fn retire(&self, slots: impl IntoIterator<Item = (u32, Version)>) {
        self.collect(self.slots.retire(slots, GARBAGE_BATCH));
    }

    fn collect(&self, indices: Option<Vec<u32>>) {
        if let Some(indices) = indices.filter(|indices| !indices.is_empty()) {
            let slots = Arc::clone(&self.slots);
            self.domain.defer(move || slots.reclaim(&indices));
        }
    }
}

impl<K, S, P> Drop for Arena<K, S, P> {
    fn drop(&mut self) {
        // Guards borrow the arena, so those whose addresses are still in cells have been forgotten.
        records::forget(&self.slots.memory());
        let mut panic = FirstPanic::default();
        let mut drop_payload = |payload: NonNull<P>| {
            // SAFETY: `self` is borrowed for good, so nobody is inside; the payload is initialised and is not dropped
            // again: `clear` meets each live slot once, and an abandoned one is not live.
            panic.catch(|| unsafe { payload.drop_in_place() });
        };
        for (index, _) in self.departures.abandoned() {
            if let Ok(slot) = self.slots.slot(index) {
                drop_payload(slot.payload());
            }
        }
        // SAFETY: `&mut self`, and store parts and guards borrow the arena. `drop_payload` does not unwind.
        let above = unsafe { self.slots.clear(drop_payload) };
        self.domain.tag().used(above);
        panic.resume();
    }
}

impl<K, S, P> fmt::Debug for Arena<K, S, P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Arena").field("domain", &self.domain).field("len", &self.slots.live()).finish_non_exhaustive()
    }
}

/// A slot taken for an object that is still to be made. Dropping it gives the slot back, and its handle is stale for ever.
pub struct Reservation<'a, K, S: 'static, P> {
    arena: &'a Arena<K, S, P>,
    index: u32,
    version: Version,
}

impl<K, S, P> Reservation<'_, K, S, P> {
    /// The handle that the object will have. Stale until it is published.
    pub fn handle(&self) -> Handle<K> {
        Handle::new(self.index, self.version)
    }

    /// Makes the object: from now on its handle is good.
    pub fn publish(self, store: S, payload: P) -> Handle<K> {
        let this = std::mem::ManuallyDrop::new(self);
        this.arena.slots.publish(this.index, this.version, store, payload);
        this.handle()
    }
}

impl<K, S, P> Drop for Reservation<'_, K, S, P> {
    fn drop(&mut self) {
        self.arena.slots.cancel(self.index, self.version);
    }
}

impl<K: Kind, S, P> fmt::Debug for Reservation<'_, K, S, P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Reservation").field(&self.handle()).finish()
    }
}

/// A walk over an arena. See [`Arena::iter`].
pub struct Iter<'a, K, S: 'static, P> {
    arena: &'a Arena<K, S, P>,
    pin: &'a Pin<'a>,
    indices: std::ops::Range<u32>,
}

impl<'a, K, S, P> Iterator for Iter<'a, K, S, P>
where
    K: Kind,
    S: Send + Sync + 'static,
    P: Send + Sync + 'static,
{
    type Item = (Handle<K>, &'a S);

    fn next(&mut self) -> Option<Self::Item> {
        let arena = self.arena;
        self.indices.by_ref().find_map(|index| {
            let word = arena.slots.slot(index).ok()?.version();
            let handle = Handle::new(index, word);
            word.is_live().then(|| arena.get(self.pin, handle).ok().map(|store| (handle, store)))?
        })
    }
}

impl<K, S, P> fmt::Debug for Iter<'_, K, S, P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Iter").field("left", &self.indices).finish_non_exhaustive()
    }
}
