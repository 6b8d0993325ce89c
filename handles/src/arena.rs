#![expect(unsafe_code, reason = "here a handle is turned into a reference")]

use std::any::TypeId;
use std::fmt;
use std::marker::PhantomData;
use std::ptr::NonNull;
use std::sync::Arc;

use crate::active::Active;
use crate::domain::{Domain, Pin};
use crate::error::{Full, KindTaken, Stale};
use crate::fences::Fences;
use crate::free::Limbo;
use crate::handle::{Handle, Kind};
use crate::label::Label;
use crate::leaving::give_up;
use crate::owned::Owned;
use crate::quiet::FirstPanic;
use crate::records::{self, Ticket};
use crate::session::Session;
use crate::slots::{Slot, Slots};
use crate::version::{Version, Word};

/// So many retired slots are handed to the collector at once: what it costs is shared, and removals keep it going.
const GARBAGE_BATCH: usize = if cfg!(any(loom, shuttle)) {
    1
} else if cfg!(miri) {
    4
} else {
    64
};

/// Objects of one kind, addressed by [`Handle`]s, that can be added and removed while others use them.
///
/// Everything takes `&self`. Slots lie in chunks that double and never move; a slot is used again in the order in which
/// it came free, each time with the next generation, and never again when its generations are used up (some eight
/// million objects).
///
/// A store part is dropped by whichever thread finds that no pin can reach it any more, under a pin of that thread: it should
/// be plain data, and a panic in its drop goes nowhere.
///
/// Dropping the arena drops all payloads on the caller's thread. It waits for nobody: that no guard is left is proved by the borrow,
/// and one that was forgotten is past its lifetime. If payloads panic as they are dropped, the first panic goes on when all is
/// done. The caller should hold no pin of the domain: foreign code would run under that pin, and garbage wait for as long. Nothing
/// worse comes of it.
pub struct Arena<K, S: 'static, P> {
    pub(crate) slots: Arc<Slots<S, P>>,
    pub(crate) domain: Domain,
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
        let slots = Arc::new(Slots::new(domain.tag(), domain.generation_last(), domain.fences(), domain.tally()));
        Ok(Self { slots, domain: domain.clone(), kind: PhantomData })
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
        self.read(pin, handle, |word| word.answers_to(handle.version())).ok_or_else(|| self.slots.stale())
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
        self.read(pin, handle, |word| word.answers_to(version) || is_leaving(word, version)).ok_or(Stale)
    }

    #[inline]
    fn read<'a>(&'a self, pin: &'a Pin<'_>, handle: Handle<K>, is_there: impl FnOnce(Word) -> bool) -> Option<&'a S> {
        pin.check(&self.domain);
        let slot = self.slots.slot(handle.index()).ok()?;
        if !is_there(slot.word()) {
            return None;
        }
        // SAFETY: the word was one of a live or leaving incarnation, so the part was initialised. It is dropped by the
        // collector, after every pin has gone that is as old as the moment when the word was taken away; this
        // pin saw the word, so it is one of them, and the reference does not outlive it. The arena is borrowed
        // too, so the slot stays.
        Some(unsafe { slot.store_part().as_ref() })
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
        let Some(found) = self.slots.find(handle.index()) else { return self.enter_fenced(handle) };
        let slot = found.get();
        let ticket = records::enter(slot.address());
        self.admit(slot, ticket, handle)
    }

    /// Where readers fence, and where there is no such slot.
    #[cold]
    fn enter_fenced(&self, handle: Handle<K>) -> Result<Active<'_, P>, Stale> {
        let slot = self.slots.look_up(handle.index())?;
        let ticket = match self.slots.fences {
            Fences::Asymmetric => records::enter(slot.address()),
            Fences::Symmetric => records::enter_fenced(slot.address()),
        };
        self.admit(slot, ticket, handle)
    }

    /// As [`enter`](Self::enter), saying what for: a removal that has to wait is told ([`Blocker`](crate::Blocker)), and those who do
    /// one thing inside can be waited for alone ([`drain_labelled`](Self::drain_labelled)).
    ///
    /// # Errors
    ///
    /// [`Stale`].
    #[inline]
    pub fn enter_labelled(&self, handle: Handle<K>, label: Label) -> Result<Active<'_, P>, Stale> {
        let Some(found) = self.slots.find(handle.index()) else { return self.enter_labelled_fenced(handle, label) };
        let slot = found.get();
        let ticket = records::enter_labelled(slot.address(), label.number());
        self.admit(slot, ticket, handle)
    }

    #[cold]
    fn enter_labelled_fenced(&self, handle: Handle<K>, label: Label) -> Result<Active<'_, P>, Stale> {
        let slot = self.slots.look_up(handle.index())?;
        let ticket = match self.slots.fences {
            Fences::Asymmetric => records::enter_labelled(slot.address(), label.number()),
            Fences::Symmetric => records::enter_labelled_fenced(slot.address(), label.number()),
        };
        self.admit(slot, ticket, handle)
    }

    /// Looks whether the object is there, after its address was stored in the ticket's cell and a fence.
    #[inline]
    fn admit<'a>(&'a self, slot: &'a Slot<S, P>, ticket: Ticket, handle: Handle<K>) -> Result<Active<'a, P>, Stale> {
        if !slot.word().answers_to(handle.version()) {
            ticket.leave();
            return Err(self.slots.stale());
        }
        // SAFETY: the slot is live and its address was in the cell before the word was read (`enter` fences in
        // between): a remover whose mark this read did not see sees the cell, and waits for the ticket.
        Ok(unsafe { Active::new(slot.payload(), ticket) })
    }

    /// Enters several objects: all of them or none.
    ///
    /// An object may be among them twice. More than one guard at once costs more than one after the other.
    ///
    /// # Errors
    ///
    /// [`Stale`] if one of them is; then none is entered.
    pub fn enter_all<const N: usize>(&self, handles: [Handle<K>; N]) -> Result<[Active<'_, P>; N], Stale> {
        let mut entered = Vec::with_capacity(N);
        for handle in handles {
            entered.push(self.enter(handle)?);
        }
        entered.try_into().map_err(|_| Stale)
    }

    /// Enters an object with a reference that is `Send`: for a request that completes on another thread.
    ///
    /// ```
    /// # use enodev_handles::{Arena, Domain, Kind, Label};
    /// # enum Disk {}
    /// # impl Kind for Disk { const NAME: &'static str = "Disk"; }
    /// # let domain = Domain::new()?;
    /// # let disks: Arena<Disk, (), Vec<u8>> = Arena::new(&domain)?;
    /// # let sda = disks.insert((), vec![0xeb, 0x3c])?;
    /// let request = disks.enter_owned(sda, Label::new("read"))?;
    /// let completion = std::thread::spawn(move || request.len());
    ///
    /// assert_eq!(disks.remove(sda)?, [0xeb, 0x3c]); // waits for the request
    /// assert_eq!(completion.join().unwrap(), 2);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Stale`].
    pub fn enter_owned(&self, handle: Handle<K>, label: Label) -> Result<Owned<S, P>, Stale> {
        let active = self.enter(handle)?;
        let slot = self.slots.slot(handle.index())?;
        // SAFETY: `active` is inside the object.
        let owned = unsafe { Owned::new(Arc::clone(&self.slots), slot.payload(), slot.address(), label) };
        drop(active);
        Ok(owned)
    }

    /// The calling thread's way in, for loops: it has looked up once what [`enter`](Self::enter) looks up each time.
    pub fn session(&self) -> Session<'_, K, S, P> {
        Session::new(&self.slots)
    }

    /// Whether the object has neither left nor begun to. It may do so at any moment.
    pub fn contains(&self, handle: Handle<K>) -> bool {
        self.slots.slot(handle.index()).is_ok_and(|slot| slot.word().answers_to(handle.version()))
    }

    /// Whether the object has begun to leave and has not left: what a callback that runs inside it may ask, to return soon then.
    /// [`sleep`](Self::sleep) wakes one that rests.
    ///
    /// # Linux
    ///
    /// The opposite of `kernfs_active`, which kernfs asks for itself: a callback of a node has nothing of the kind, and a removal waits
    /// for as long as it takes.
    pub fn is_leaving(&self, handle: Handle<K>) -> bool {
        self.slots.slot(handle.index()).is_ok_and(|slot| is_leaving(slot.word(), handle.version()))
    }

    /// Whether the calling thread is inside the object, which may be leaving meanwhile.
    ///
    /// [`Owned`] references are nobody's in this sense.
    pub fn is_inside(&self, handle: Handle<K>) -> bool {
        self.address_of(handle).is_some_and(|one| records::is_inside(|address| address == one))
    }

    /// Ends the stay of guards that have been forgotten (`mem::forget`), so that removals do not wait for them any more: the
    /// exclusive borrow proves that their lifetimes are over.
    ///
    /// What such a thread has put off ([`Leaving::defer`](crate::Leaving::defer)) is given up.
    pub fn forget_guards(&mut self) {
        forget_guards(&self.slots);
    }

    /// How many slots are taken: by objects alive or leaving, and by reservations.
    pub fn len(&self) -> usize {
        self.slots.held()
    }

    /// Whether no slot is taken.
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
        self.slots.limbo().for_each(|limbo| hand_over(&self.slots, &self.domain, limbo));
        self.domain.advance();
        self.garbage()
    }
}

#[inline]
pub(crate) fn is_leaving(word: Word, version: Version) -> bool {
    version.tag() != 0 && version.is_live() && word.version() == version.leaving()
}

/// Ends the stay of guards, all of which have been forgotten, as the caller has proved.
///
/// So have those been that a deferred removal waits for: nobody leaves for it to go on. It is given up first, since from then on
/// the cells may be others'.
fn forget_guards<S, P>(slots: &Slots<S, P>) {
    slots.removals.take_deferred().into_iter().for_each(|objects| give_up(slots, objects));
    records::forget(&slots.memory());
}

/// Gives leaving slots up, whose payloads have been taken.
pub(crate) fn retire<S, P>(slots: &Arc<Slots<S, P>>, domain: &Domain, retired: impl IntoIterator<Item = (u32, Version)>)
where
    S: Send + Sync + 'static,
    P: Send + Sync + 'static,
{
    if let Some(limbo) = slots.retire(retired, GARBAGE_BATCH) {
        hand_over(slots, domain, limbo);
    }
}

/// Hands retired slots to the collector.
fn hand_over<S, P>(slots: &Arc<Slots<S, P>>, domain: &Domain, limbo: Limbo)
where
    S: Send + Sync + 'static,
    P: Send + Sync + 'static,
{
    if limbo.indices.is_empty() {
        return;
    }
    let (slots, count) = (Arc::clone(slots), limbo.indices.len());
    slots.hand_over(count);
    domain.defer(count, move || {
        slots.reclaim(&limbo);
        slots.handed_back(count);
    });
}

impl<K, S, P> Drop for Arena<K, S, P> {
    fn drop(&mut self) {
        // Guards borrow the arena, so those whose addresses are still in cells have been forgotten.
        forget_guards(&self.slots);
        let mut panic = FirstPanic::default();
        self.slots.columns.end(&mut panic);
        let drop_payload = |payload: NonNull<P>| {
            // SAFETY: `self` is borrowed for good, so nobody is inside; the payload is initialised and is not dropped
            // again: `clear` meets each slot once.
            panic.catch(|| unsafe { payload.drop_in_place() });
        };
        // SAFETY: `&mut self`, and store parts and guards borrow the arena. `drop_payload` does not unwind.
        let above = unsafe { self.slots.clear(drop_payload) };
        self.domain.tag().used(above);
        panic.resume();
    }
}

impl<K, S, P> fmt::Debug for Arena<K, S, P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Arena").field("domain", &self.domain).field("len", &self.slots.held()).finish_non_exhaustive()
    }
}

/// A slot taken for an object that is still to be made. Dropping it gives the slot back, and its handle is stale for ever.
#[must_use = "a reservation that is dropped gives its slot back"]
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
