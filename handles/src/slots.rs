//! The storage of an arena: slots in chunks that double and never move, and the way of a slot from vacant to vacant.
//!
//! This is what deferred reclamation keeps alive when the arena itself has gone, so it knows no domain.

#![expect(unsafe_code, reason = "slots are uninitialised memory that a version word speaks for")]

use std::alloc::{Layout, alloc_zeroed, dealloc};
use std::cell::UnsafeCell;
use std::marker::PhantomData;
use std::mem::MaybeUninit;
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr::{self, NonNull};
use std::sync::atomic::{AtomicPtr, AtomicU32, AtomicUsize, Ordering};

use parking_lot::Mutex;

use crate::error::{Full, Stale};
use crate::fences::Fences;
use crate::free::FreeSlots;
use crate::tags::Tag;
use crate::version::{GENERATION_LAST, Version};

/// Slots of the first chunk; each further one has twice as many as the one before.
const FIRST: u32 = 64;
/// Chunks are known by the exponent of their size. The first few stay empty, and so do those that would hold the last `FIRST`
/// indices, which are never handed out, or indices that a handle cannot have.
const CHUNKS: usize = u64::BITS as usize;
const CAPACITY: u32 = u32::MAX - FIRST;

/// The chunk that holds a slot, and the slot's offset in it. Any index has a place.
#[inline]
fn place(index: u32) -> (usize, usize) {
    let n = u64::from(index) + u64::from(FIRST);
    let chunk = log2(n);
    (chunk, (n ^ (1 << chunk)) as usize)
}

/// The position of the highest bit that is set in `n`, which is not 0.
#[inline]
fn log2(n: u64) -> usize {
    #[cfg(all(target_arch = "x86_64", not(miri)))]
    {
        let log: u64;
        // The instruction that the compiler chooses for `ilog2` depends on what its result register held before. Where that is
        // what another look-up is still waiting for, look-ups come one after the other instead of overlapping (seen: five times
        // the time). Clearing the register first ends the dependency.
        // SAFETY: only registers are touched.
        unsafe {
            std::arch::asm!("xor {log:e}, {log:e}", "bsr {log}, {n}", n = in(reg) n, log = out(reg) log, options(pure, nomem, nostack));
        }
        // SAFETY: a bit of a word stands below 64.
        unsafe { std::hint::assert_unchecked(log < 64) };
        log as usize
    }
    #[cfg(not(all(target_arch = "x86_64", not(miri))))]
    {
        n.ilog2() as usize
    }
}

const fn chunk_len(chunk: usize) -> usize {
    1 << chunk
}

/// # Invariants
///
/// `version` says what of the slot is initialised and whose it is: see [`Version`]. All zero bytes are a slot that was
/// never used.
#[derive(Debug)]
pub(crate) struct Slot<S, P> {
    version: AtomicU32,
    store: UnsafeCell<MaybeUninit<S>>,
    payload: UnsafeCell<MaybeUninit<P>>,
}

impl<S, P> Slot<S, P> {
    #[inline]
    pub(crate) fn version(&self) -> Version {
        // Acquire: pairs with the Release of `publish`; who sees a live word sees both parts.
        Version::from_bits(self.version.load(Ordering::Acquire))
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
    pub(crate) fn mark(&self, live: Version) -> bool {
        let (old, new) = (live.bits(), live.leaving().bits());
        // AcqRel: Release gives the next reader of the word what the remover knew; Acquire pairs with `publish`, the
        // remover will take the payload. The race with readers is decided by the barrier that follows, not here.
        // Relaxed: a remover that came too late uses nothing of what it read.
        self.version.compare_exchange(old, new, Ordering::AcqRel, Ordering::Relaxed).is_ok()
    }
}

/// Where a slot is.
///
/// # Invariants
///
/// `offset` is that of a slot in `chunk`, which lives as long as `'a`.
pub(crate) struct Found<'a, S, P> {
    chunk: NonNull<Slot<S, P>>,
    offset: usize,
    slots: PhantomData<&'a Slots<S, P>>,
}

impl<'a, S, P> Found<'a, S, P> {
    #[inline]
    pub(crate) fn slot(self) -> &'a Slot<S, P> {
        // SAFETY: by the invariants the slot is in the chunk.
        let slot = unsafe { self.chunk.add(self.offset) };
        // SAFETY: it lives as long as `'a`, and all bit patterns that a slot takes are valid (`Slot`).
        unsafe { slot.as_ref() }
    }
}

/// The unlikely answer: the compiler keeps it out of the way of the likely one.
#[cold]
pub(crate) fn stale<T>() -> Result<T, Stale> {
    Err(Stale)
}

/// The slots of one arena.
pub(crate) struct Slots<S, P> {
    chunks: [AtomicPtr<Slot<S, P>>; CHUNKS],
    tag: u8,
    first_generation: u32,
    last_generation: u32,
    pub(crate) fences: Fences,
    free: Mutex<FreeSlots>,
    /// Slots that have been retired, their store parts waiting for an epoch. Not yet handed to the collector.
    limbo: Mutex<Vec<u32>>,
    /// Slots in limbo or with the collector.
    garbage: AtomicUsize,
    live: AtomicUsize,
}

// SAFETY: a store part is shared by threads that hold pins (`S: Sync`) and dropped by whichever thread reclaims
// (`S: Send`); a payload is shared by those inside (`P: Sync`) and taken by the remover's thread (`P: Send`).
// Everything else is atomic or under a lock.
unsafe impl<S: Send + Sync, P: Send + Sync> Send for Slots<S, P> {}
// SAFETY: as above.
unsafe impl<S: Send + Sync, P: Send + Sync> Sync for Slots<S, P> {}

impl<S, P> Slots<S, P> {
    pub(crate) fn new(tag: &Tag, last_generation: u32, fences: Fences) -> Self {
        Self {
            chunks: [const { AtomicPtr::new(ptr::null_mut()) }; CHUNKS],
            tag: tag.value(),
            first_generation: tag.first(),
            last_generation: last_generation.clamp(tag.first(), GENERATION_LAST),
            fences,
            free: Mutex::default(),
            limbo: Mutex::default(),
            garbage: AtomicUsize::new(0),
            live: AtomicUsize::new(0),
        }
    }

    #[inline]
    fn chunk(&self, chunk: usize) -> *mut Slot<S, P> {
        // Acquire: pairs with the Release of `grow`; the zeroed slots are seen.
        self.chunks[chunk].load(Ordering::Acquire)
    }

    /// The slot of an index, where there is memory for it.
    #[inline]
    pub(crate) fn slot(&self, index: u32) -> Result<&Slot<S, P>, Stale> {
        self.find(index).map(Found::slot).ok_or(Stale)
    }

    /// As [`slot`](Self::slot), but for where every instruction counts: the compiler tests for the missing chunk before it goes
    /// on to the slot, instead of for a slot that it has chosen to be null.
    #[inline]
    pub(crate) fn find(&self, index: u32) -> Option<Found<'_, S, P>> {
        let (chunk, offset) = place(index);
        let chunk = NonNull::new(self.chunk(chunk))?;
        // INVARIANT: a chunk holds `chunk_len` slots, and `place` gives an offset below that; it lives as long as `self`.
        Some(Found { chunk, offset, slots: PhantomData })
    }

    /// Takes a vacant slot; the version is the one that it will have when it is published.
    pub(crate) fn reserve(&self) -> Result<(u32, Version), Full> {
        let index = self.free.lock().pop(CAPACITY).ok_or(Full)?;
        let (index, slot) = match self.slot(index) {
            Ok(slot) => (index, slot),
            Err(Stale) => self.grow(index)?,
        };
        let word = slot.version();
        let generation = if word.bits() == 0 { self.first_generation } else { word.generation() };
        Ok((index, Version::live(self.tag, generation)))
    }

    /// Allocates the chunk of a fresh slot; where there is no memory for it, a slot that waits to be used again will do.
    #[cold]
    fn grow(&self, index: u32) -> Result<(u32, &Slot<S, P>), Full> {
        let (chunk, _) = place(index);
        let memory = self.allocate(chunk);
        if memory.is_null() {
            let index = self.free.lock().exchange(index).ok_or(Full)?;
            return self.slot(index).map(|slot| (index, slot)).map_err(|Stale| Full);
        }
        let link = &self.chunks[chunk];
        // AcqRel: Release pairs with the Acquire of `chunk`, for whoever finds the slots there.
        // Acquire: another thread's chunk came first and is used from here.
        if link.compare_exchange(ptr::null_mut(), memory, Ordering::AcqRel, Ordering::Acquire).is_err() {
            Self::free_chunk(memory, chunk);
        }
        self.slot(index).map(|slot| (index, slot)).map_err(|Stale| Full)
    }

    fn allocate(&self, chunk: usize) -> *mut Slot<S, P> {
        match Self::chunk_layout(chunk) {
            // SAFETY: a slot holds a version, so the layout is not of size 0.
            Some(layout) => unsafe { alloc_zeroed(layout) }.cast(),
            None => ptr::null_mut(),
        }
    }

    fn chunk_layout(chunk: usize) -> Option<Layout> {
        Layout::array::<Slot<S, P>>(chunk_len(chunk)).ok()
    }

    fn free_chunk(memory: *mut Slot<S, P>, chunk: usize) {
        if let Some(layout) = Self::chunk_layout(chunk) {
            // SAFETY: `memory` came from `allocate(chunk)`, and the caller is the only one who knows it.
            unsafe { dealloc(memory.cast(), layout) };
        }
    }

    /// Fills a reserved slot and makes it live.
    pub(crate) fn publish(&self, index: u32, version: Version, store: S, payload: P) {
        let Ok(slot) = self.slot(index) else { return };
        // SAFETY: the slot is vacant and out of the free list, so this thread alone may touch the part.
        unsafe { slot.store_part().write(store) };
        // SAFETY: as above.
        unsafe { slot.payload().write(payload) };
        // Relaxed: a count for people.
        self.live.fetch_add(1, Ordering::Relaxed);
        // Release: pairs with the Acquire of `Slot::version`.
        slot.version.store(version.bits(), Ordering::Release);
    }

    /// Gives back a reserved slot. Its handle may be known, so it is used up like any other.
    pub(crate) fn cancel(&self, index: u32, version: Version) {
        self.vacate(index, version);
        self.free(&[index]);
    }

    /// Makes the slot vacant, for the next generation.
    fn vacate(&self, index: u32, version: Version) {
        if let Ok(slot) = self.slot(index) {
            let next = Version::vacant(version.generation() + 1);
            // Release: what was done with the incarnation comes before its slot is used again.
            slot.version.store(next.bits(), Ordering::Release);
        }
    }

    /// Gives vacant slots free, but for those whose generations are used up.
    fn free(&self, indices: &[u32]) {
        let usable = |index| self.slot(index).is_ok_and(|slot| slot.version().generation() <= self.last_generation);
        let mut free = self.free.lock();
        for &index in indices {
            if usable(index) { free.push(index) } else { free.retire() }
        }
    }

    /// Ends a leaving incarnation whose payload has been taken. The store part is left to the epochs: whoever pins
    /// from now on does not find it.
    ///
    /// Returns the indices that are to be handed to the collector, once there are `bound` of them.
    pub(crate) fn retire(&self, retired: impl IntoIterator<Item = (u32, Version)>, bound: usize) -> Option<Vec<u32>> {
        let mut limbo = self.limbo.lock();
        for (index, version) in retired {
            self.vacate(index, version);
            // Relaxed: counts for people.
            self.garbage.fetch_add(1, Ordering::Relaxed);
            self.live.fetch_sub(1, Ordering::Relaxed);
            limbo.push(index);
        }
        (limbo.len() >= bound.max(1)).then(|| std::mem::take(&mut *limbo))
    }

    /// Drops the store parts of retired slots and gives the slots free. Called once for each, when no pin of the time
    /// of its retirement is left.
    pub(crate) fn reclaim(&self, indices: &[u32]) {
        for &index in indices {
            let Ok(slot) = self.slot(index) else { continue };
            let part = slot.store_part().as_ptr();
            // SAFETY: the slot is vacant and not in the free list: nobody else reads or writes the part. It was
            // initialised when the incarnation was published, and is dropped here only.
            let dropped = catch_unwind(AssertUnwindSafe(|| unsafe { ptr::drop_in_place(part) }));
            // This may be any thread, in the middle of anything: a panic has nobody to go to, and must not keep the others
            // from being reclaimed. Its own payload might panic in turn.
            dropped.unwrap_or_else(std::mem::forget);
        }
        self.free(indices);
        // Relaxed: a count for people.
        self.garbage.fetch_sub(indices.len(), Ordering::Relaxed);
    }

    pub(crate) fn retired(&self) -> usize {
        self.free.lock().retired()
    }

    /// All slots below this index have been used.
    pub(crate) fn fresh(&self) -> u32 {
        self.free.lock().fresh()
    }

    pub(crate) fn live(&self) -> usize {
        // Relaxed: a count for people.
        self.live.load(Ordering::Relaxed)
    }

    pub(crate) fn garbage(&self) -> usize {
        // Relaxed: a count for people.
        self.garbage.load(Ordering::Relaxed)
    }

    /// Where the chunks lie.
    pub(crate) fn memory(&self) -> Vec<Range<usize>> {
        let chunks = (0..CHUNKS).map(|chunk| (self.chunk(chunk).addr(), chunk));
        let sized = chunks.filter(|(start, _)| *start != 0);
        sized.map(|(start, chunk)| start..start + chunk_len(chunk) * size_of::<Slot<S, P>>()).collect()
    }

    /// Empties the arena, but for what is with the collector: the payloads of live objects go through `drop_payload`,
    /// which must not unwind. Returns a generation above all that have been handed out.
    ///
    /// # Safety
    ///
    /// Nobody holds, or can get, a reference into the arena, except the collector's deferred calls of `reclaim`.
    pub(crate) unsafe fn clear(&self, mut drop_payload: impl FnMut(NonNull<P>)) -> u32 {
        let mut above = self.first_generation;
        for index in 0..self.fresh() {
            let Ok(slot) = self.slot(index) else { continue };
            let word = slot.version();
            // A vacant slot's generation may have been handed out too, with a reservation that was forgotten.
            above = above.max(word.generation().max(self.first_generation) + 1);
            if word.is_live() {
                drop_payload(slot.payload());
            }
            if word.tag() != 0 {
                self.retire([(index, word)], usize::MAX);
            }
        }
        let limbo = std::mem::take(&mut *self.limbo.lock());
        self.reclaim(&limbo);
        above
    }
}

impl<S, P> Drop for Slots<S, P> {
    fn drop(&mut self) {
        for (chunk, link) in self.chunks.iter_mut().enumerate() {
            let memory = *link.get_mut();
            if !memory.is_null() {
                Self::free_chunk(memory, chunk);
            }
        }
    }
}
