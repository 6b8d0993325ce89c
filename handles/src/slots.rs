//! The slots of an arena, and the way of a slot from vacant to vacant.
//!
//! This is what deferred reclamation and owned references keep alive when the arena itself has gone, so it knows no domain.

#![expect(unsafe_code, reason = "slots are uninitialised memory that a word speaks for")]

use std::cell::UnsafeCell;
use std::mem::MaybeUninit;
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr::{self, NonNull};
use std::sync::Arc;

use crate::chunks::{CAPACITY, Chunks, Erased, Found, Zeroed};
use crate::columns::Columns;
use crate::counts::Tally;
use crate::error::{Full, Stale};
use crate::fences::Fences;
use crate::free::{Depot, Limbo, Shelf};
use crate::owned::Stays;
use crate::records;
use crate::removals::Removals;
use crate::sync::Mutex;
use crate::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use crate::tags::Tag;
use crate::version::{GENERATION_LAST, Version, Word};

/// # Invariants
///
/// `word` says what of the slot is initialised and whose it is: see [`Version`]. All zero bytes are a slot that was
/// never used. The word stands beside both parts: who looks one up reads a part's nearest bytes at the cost of the word's.
#[derive(Debug)]
#[repr(C)]
pub(crate) struct Slot<S, P> {
    store: UnsafeCell<MaybeUninit<S>>,
    word: AtomicU64,
    payload: UnsafeCell<MaybeUninit<P>>,
}

// SAFETY: a word of 0 is that of a slot that was never used, whose parts are uninitialised. It is not of size 0.
unsafe impl<S, P> Zeroed for Slot<S, P> {
    #[cfg(any(loom, shuttle))]
    fn zeroed() -> Self {
        let (store, payload) = (UnsafeCell::new(MaybeUninit::uninit()), UnsafeCell::new(MaybeUninit::uninit()));
        Self { word: AtomicU64::new(0), store, payload }
    }
}

impl<S, P> Slot<S, P> {
    #[inline]
    pub(crate) fn word(&self) -> Word {
        // Acquire: pairs with the Release of `publish`; who sees a live word sees both parts.
        Word::from_bits(self.word.load(Ordering::Acquire))
    }

    #[inline]
    pub(crate) fn version(&self) -> Version {
        self.word().version()
    }

    /// The word itself, to wait for its change.
    pub(crate) fn word_ref(&self) -> &AtomicU64 {
        &self.word
    }

    /// What cells hold of this slot.
    #[inline]
    pub(crate) fn address(&self) -> usize {
        ptr::from_ref(self).addr()
    }

    pub(crate) fn store_part(&self) -> NonNull<S> {
        // A `MaybeUninit<S>` has the layout of an `S`.
        NonNull::from(&self.store).cast()
    }

    #[inline]
    pub(crate) fn payload(&self) -> NonNull<P> {
        NonNull::from(&self.payload).cast()
    }

    /// Turns the live word into the leaving one; false if the slot does not hold this incarnation alive. Of several
    /// removers one is told true.
    pub(crate) fn mark(&self, live: Version, remover: u32) -> bool {
        self.mark_as(live, Word::leaving(live, remover))
    }

    /// As `mark`, of a removal that nobody is at.
    pub(crate) fn mark_given_up(&self, live: Version, remover: u32) -> bool {
        self.mark_as(live, Word::leaving(live, remover).given_up())
    }

    fn mark_as(&self, live: Version, new: Word) -> bool {
        let old = Word::settled(live);
        // SeqCst: Release gives the next reader of the word what the remover knew; Acquire pairs with `publish`, the
        // remover will take the payload; and it comes before the look for sleepers (`Bell::marked`). The race with readers is
        // decided by the barrier that follows, not here.
        // Relaxed: a remover that came too late uses nothing of what it read.
        self.word.compare_exchange(old.bits(), new.bits(), Ordering::SeqCst, Ordering::Relaxed).is_ok()
    }

    /// Changes the word of an incarnation that is leaving, as long as it is; `change` may refuse. Returns the word of before.
    pub(crate) fn change(&self, version: Version, change: impl Fn(Word) -> Option<Word>) -> Option<Word> {
        let next = |bits| {
            let word = Some(Word::from_bits(bits)).filter(|word| word.version() == version.leaving())?;
            change(word).map(Word::bits)
        };
        // AcqRel: the payload and the rest of the removal are handed from one thread to the next with the word.
        // Acquire: as above, where nothing is changed.
        self.word.fetch_update(Ordering::AcqRel, Ordering::Acquire, next).ok().map(Word::from_bits)
    }
}

/// On cache lines of its own.
#[derive(Default)]
#[repr(align(128))]
struct Padded<T>(T);

/// So many shelves an arena has. A power of two.
const SHELVES: usize = if cfg!(any(loom, shuttle)) { 1 } else { 8 };

/// The slots of one arena.
pub(crate) struct Slots<S, P> {
    chunks: Chunks<Slot<S, P>>,
    tag: u8,
    first_generation: u32,
    last_generation: u32,
    pub(crate) fences: Fences,
    pub(crate) stays: Stays,
    pub(crate) removals: Removals,
    pub(crate) columns: Columns,
    pub(crate) tally: Arc<Tally>,
    shelves: [Padded<Mutex<Shelf>>; SHELVES],
    depot: Depot,
    /// Slots in a limbo or with the collector, rather more than fewer while some come or go.
    garbage: AtomicUsize,
}

// SAFETY: a store part is shared by threads that hold pins (`S: Sync`) and dropped by whichever thread reclaims
// (`S: Send`); a payload is shared by those inside (`P: Sync`) and taken by the remover's thread (`P: Send`).
// Everything else is atomic or under a lock.
unsafe impl<S: Send + Sync, P: Send + Sync> Send for Slots<S, P> {}
// SAFETY: as above.
unsafe impl<S: Send + Sync, P: Send + Sync> Sync for Slots<S, P> {}

impl<S, P> Slots<S, P> {
    pub(crate) fn new(tag: &Tag, last_generation: u32, fences: Fences, tally: &Arc<Tally>) -> Self {
        Self {
            // Who finds no slot on the fast way takes the long one, which fences.
            chunks: Chunks::new(fences == Fences::Asymmetric),
            tag: tag.value(),
            first_generation: tag.first(),
            last_generation: last_generation.clamp(tag.first(), GENERATION_LAST),
            fences,
            stays: Stays::default(),
            removals: Removals::default(),
            columns: Columns::default(),
            tally: Arc::clone(tally),
            shelves: std::array::from_fn(|_| Padded::default()),
            depot: Depot::default(),
            garbage: AtomicUsize::new(0),
        }
    }

    /// The slot of an index, where there is memory for it.
    #[inline]
    pub(crate) fn slot(&self, index: u32) -> Result<&Slot<S, P>, Stale> {
        self.chunks.get(index).ok_or(Stale)
    }

    /// As [`slot`](Self::slot), where that there is none is told to who looks something up.
    #[inline]
    pub(crate) fn look_up(&self, index: u32) -> Result<&Slot<S, P>, Stale> {
        self.chunks.get(index).ok_or_else(|| self.stale())
    }

    /// The unlikely answer: the compiler keeps it out of the way of the likely one.
    #[cold]
    pub(crate) fn stale(&self) -> Stale {
        self.tally.stale();
        Stale
    }

    /// As [`slot`](Self::slot), but for where every instruction counts, and only where readers need no fence.
    #[inline]
    pub(crate) fn find(&self, index: u32) -> Option<Found<'_, Slot<S, P>>> {
        self.chunks.find(index)
    }

    /// The number of the calling thread's shelf.
    fn own_shelf(&self) -> usize {
        records::own_number() as usize % self.shelves.len()
    }

    /// The shelf of the calling thread.
    fn shelf(&self) -> &Mutex<Shelf> {
        &self.shelves[self.own_shelf()].0
    }

    /// Takes a vacant slot; the version is the one that it will have when it is published.
    pub(crate) fn reserve(&self) -> Result<(u32, Version), Full> {
        let mut shelf = self.shelf().lock();
        let popped = shelf.pop(&self.depot, CAPACITY);
        shelf.held += isize::from(popped.is_some());
        drop(shelf);
        let index = match popped {
            Some(index) => index,
            None => self.steal().ok_or(Full)?,
        };
        let (index, slot) = match self.chunks.find_any(index) {
            Some(found) => (index, found.get()),
            None => self.grow(index)?,
        };
        let word = slot.word();
        let generation = if word.bits() == 0 { self.first_generation } else { word.version().generation() };
        Ok((index, Version::live(self.tag, generation)))
    }

    /// Takes a slot off another thread's shelf, where the index space is exhausted.
    #[cold]
    fn steal(&self) -> Option<u32> {
        self.shelves.iter().find_map(|shelf| {
            let mut shelf = shelf.0.lock();
            let index = shelf.pop(&self.depot, CAPACITY)?;
            shelf.held += 1;
            Some(index)
        })
    }

    /// Allocates the chunk of a fresh slot; where there is no memory for it, a slot that waits to be used again will do.
    #[cold]
    fn grow(&self, index: u32) -> Result<(u32, &Slot<S, P>), Full> {
        if let Ok(slot) = self.chunks.grow(index) {
            return Ok((index, slot));
        }
        let mut shelf = self.shelf().lock();
        let other = shelf.exchange(index);
        shelf.held -= isize::from(other.is_none());
        drop(shelf);
        let other = other.or_else(|| self.shelves.iter().find_map(|shelf| self.used(&mut shelf.0.lock())));
        let index = other.ok_or(Full)?;
        self.slot(index).map(|slot| (index, slot)).map_err(|Stale| Full)
    }

    /// A slot of the shelf that has been used before.
    fn used(&self, shelf: &mut Shelf) -> Option<u32> {
        let mut waiting: Vec<u32> = shelf.empty().collect();
        let index = waiting.pop();
        waiting.into_iter().for_each(|index| shelf.push(&self.depot, index));
        shelf.held += isize::from(index.is_some());
        index
    }

    /// Fills a reserved slot and makes it live.
    pub(crate) fn publish(&self, index: u32, version: Version, store: S, payload: P) {
        let Some(found) = self.chunks.find_any(index) else { return };
        let slot = found.get();
        // SAFETY: the slot is vacant and out of the free list, so this thread alone may touch the part.
        unsafe { slot.store_part().write(store) };
        // SAFETY: as above.
        unsafe { slot.payload().write(payload) };
        // Release: pairs with the Acquire of `Slot::word`.
        slot.word.store(Word::settled(version).bits(), Ordering::Release);
    }

    /// Gives back a reserved slot. Its handle may be known, so it is used up like any other.
    pub(crate) fn cancel(&self, index: u32, version: Version) {
        self.vacate(index, version);
        let mut shelf = self.shelf().lock();
        shelf.held -= 1;
        self.free(&mut shelf, &[index], true);
    }

    /// Makes the slot vacant, for the next generation. True if somebody waits for that.
    fn vacate(&self, index: u32, version: Version) -> bool {
        let next = Word::settled(Version::vacant(version.generation() + 1));
        // AcqRel: Release, what was done with the incarnation comes before its slot is used again, and before who waits
        // goes on. Acquire: pairs with whoever said that he waits.
        let former = |slot: &Slot<S, P>| slot.word.swap(next.bits(), Ordering::AcqRel);
        self.chunks.find_any(index).is_some_and(|found| Word::from_bits(former(found.get())).is_awaited())
    }

    /// Gives vacant slots free, but for those whose generations are used up, where there may be such.
    fn free(&self, shelf: &mut Shelf, indices: &[u32], may_be_worn: bool) {
        for &index in indices {
            let is_usable = |slot: &Slot<S, P>| slot.version().generation() <= self.last_generation;
            if !may_be_worn || self.slot(index).is_ok_and(is_usable) {
                shelf.push(&self.depot, index)
            } else {
                self.depot.retire()
            }
        }
    }

    /// Ends leaving incarnations whose payloads have been taken. The store parts are left to the epochs: whoever pins
    /// from now on does not find them.
    ///
    /// Returns what is to be handed to the collector, once there are `bound` of them.
    pub(crate) fn retire(&self, retired: impl IntoIterator<Item = (u32, Version)>, bound: usize) -> Option<Limbo> {
        let number = self.own_shelf();
        let mut shelf = self.shelves[number].0.lock();
        let limbo = &mut shelf.limbo;
        let (before, mut awaited) = (limbo.indices.len(), false);
        for (index, version) in retired {
            awaited |= self.vacate(index, version);
            limbo.indices.push(index);
            limbo.has_worn |= version.generation() >= self.last_generation;
        }
        let (count, full) = (limbo.indices.len() - before, limbo.indices.len() >= bound.max(1));
        let batch = if full { Some(limbo.take(number)) } else { None };
        shelf.held -= count as isize;
        drop(shelf);
        if awaited {
            self.removals.bell.ring();
        }
        batch
    }

    /// Everything in limbo, for the collector.
    pub(crate) fn limbo(&self) -> impl Iterator<Item = Limbo> {
        self.shelves.iter().enumerate().map(|(number, shelf)| shelf.0.lock().limbo.take(number))
    }

    /// Counts what is with the collector.
    pub(crate) fn hand_over(&self, count: usize) {
        // Relaxed: a count for people.
        self.garbage.fetch_add(count, Ordering::Relaxed);
    }

    /// Drops the store parts of retired slots and gives the slots free. Called once for each, when no pin of the time
    /// of its retirement is left.
    pub(crate) fn reclaim(&self, limbo: &Limbo) {
        let indices = &*limbo.indices;
        let droppable = if std::mem::needs_drop::<S>() { indices } else { &[] };
        for &index in droppable {
            let Ok(slot) = self.slot(index) else { continue };
            let part = slot.store_part().as_ptr();
            // SAFETY: the slot is vacant and not in the free list: nobody else reads or writes the part. It was
            // initialised when the incarnation was published, and is dropped here only.
            let dropped = catch_unwind(AssertUnwindSafe(|| unsafe { ptr::drop_in_place(part) }));
            // This may be any thread, in the middle of anything: a panic has nobody to go to, and must not keep the others
            // from being reclaimed. Its own payload might panic in turn.
            dropped.unwrap_or_else(std::mem::forget);
        }
        self.columns.reclaimed(indices);
        self.free(&mut self.shelves[limbo.shelf].0.lock(), indices, limbo.has_worn);
    }

    /// Counts what was with the collector and has been reclaimed.
    pub(crate) fn handed_back(&self, count: usize) {
        // Relaxed: a count for people.
        self.garbage.fetch_sub(count, Ordering::Relaxed);
    }

    pub(crate) fn retired(&self) -> usize {
        self.depot.retired()
    }

    /// All slots that have been used stand below this index.
    pub(crate) fn fresh(&self) -> u32 {
        self.depot.fresh()
    }

    /// How many slots are held.
    pub(crate) fn held(&self) -> usize {
        let held: isize = self.shelves.iter().map(|shelf| shelf.0.lock().held).sum();
        usize::try_from(held).unwrap_or(0)
    }

    pub(crate) fn garbage(&self) -> usize {
        let limbo: usize = self.shelves.iter().map(|shelf| shelf.0.lock().limbo.indices.len()).sum();
        // Relaxed: a count for people.
        limbo + self.garbage.load(Ordering::Relaxed)
    }

    /// The slots for who does not know the types of their parts, and where in each its word is.
    pub(crate) fn words(&self) -> (Erased, usize) {
        (self.chunks.erase(), std::mem::offset_of!(Slot<S, P>, word))
    }

    /// Where the chunks lie.
    pub(crate) fn memory(&self) -> Vec<Range<usize>> {
        self.chunks.memory()
    }

    /// Empties the arena, but for what is with the collector: the payloads of live and of unfinished objects go through
    /// `drop_payload`, which must not unwind; those in which somebody stays are left to the last who does. Returns a generation
    /// above all that have been handed out.
    ///
    /// # Safety
    ///
    /// Nobody holds, or can get, a reference into the arena, except the collector's deferred calls of `reclaim` and
    /// owned references.
    pub(crate) unsafe fn clear(&self, mut drop_payload: impl FnMut(NonNull<P>)) -> u32 {
        let stayed_in = self.stays.orphan();
        let unfinished = self.removals.close();
        let mut above = self.first_generation;
        for index in 0..self.fresh() {
            let Ok(slot) = self.slot(index) else { continue };
            let version = slot.version();
            // A vacant slot's generation may have been handed out too, with a reservation that was forgotten.
            above = above.max(version.generation().max(self.first_generation) + 1);
            let is_whole = version.is_live() || unfinished.contains(&index);
            if is_whole && stayed_in.binary_search(&slot.address()).is_err() {
                drop_payload(slot.payload());
            }
            if version.tag() != 0 {
                self.retire([(index, version)], usize::MAX);
            }
        }
        self.limbo().for_each(|limbo| self.reclaim(&limbo));
        above
    }
}
