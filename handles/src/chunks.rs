//! Memory that grows and never moves: chunks that double, found by index.
//!
//! Slots lie in such chunks, and so do the rows of columns. An index has the same place in all of them, so that walks over
//! several can go in step.

#![expect(unsafe_code, reason = "chunks are allocated as zeroes and found by address")]

use crate::error::Full;
use crate::sync::atomic::{AtomicPtr, Ordering};
use std::alloc::{Layout, alloc_zeroed, dealloc};
use std::marker::PhantomData;
use std::ops::Range;
use std::ptr::{self, NonNull};

/// Elements of the first chunk; each further one has twice as many as the one before.
const FIRST: u32 = if cfg!(any(loom, shuttle)) { 2 } else { 64 };
/// Chunks are known by the exponent of their size. The first few stay empty, and so do those that would hold the last `FIRST`
/// indices, which are never handed out, or indices that a handle cannot have.
pub(crate) const CHUNKS: usize = u64::BITS as usize;
/// Indices below this may be grown.
pub(crate) const CAPACITY: u32 = u32::MAX - FIRST;

/// The chunk that holds an element, and the element's offset in it. Any index has a place.
#[inline]
fn place(index: u32) -> (usize, usize) {
    let (chunk, n) = count(index);
    (chunk, n ^ chunk_len(chunk))
}

/// The chunk that holds an element, and how many elements there are before it where a chunk is counted for all that come before it
/// and for one more of the first one's size: as many as it has itself.
#[inline]
pub(crate) fn count(index: u32) -> (usize, usize) {
    let n = u64::from(index) + u64::from(FIRST);
    (log2(n), n as usize)
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

pub(crate) const fn chunk_len(chunk: usize) -> usize {
    1 << chunk
}

/// What lies in chunks: it begins as zeroes, and is not dropped with its chunk.
///
/// # Safety
///
/// All bytes zero are a valid value, and one that nobody has to drop. The type is not of size 0.
pub(crate) unsafe trait Zeroed: Sized {
    /// The value that stands for zeroes where the atomics are a model's, which are not made of bytes.
    #[cfg(any(loom, shuttle))]
    fn zeroed() -> Self;
}

type Links<T> = [AtomicPtr<T>; CHUNKS];

fn no_links<T>() -> Links<T> {
    std::array::from_fn(|_| AtomicPtr::new(ptr::null_mut()))
}

#[inline]
fn link<T>(links: &Links<T>, chunk: usize) -> *mut T {
    // Acquire: pairs with the Release of `grow`; the zeroed elements are seen.
    links[chunk].load(Ordering::Acquire)
}

/// Where an element is.
///
/// # Invariants
///
/// `offset` is that of an element in `chunk`, which lives as long as `'a`.
pub(crate) struct Found<'a, T> {
    chunk: NonNull<T>,
    offset: usize,
    chunks: PhantomData<&'a T>,
}

impl<'a, T> Found<'a, T> {
    #[inline]
    pub(crate) fn get(self) -> &'a T {
        // SAFETY: by the invariants the element is in the chunk.
        let element = unsafe { self.chunk.add(self.offset) };
        // SAFETY: it lives as long as `'a`, and has been valid from the start (`Zeroed`).
        unsafe { element.as_ref() }
    }
}

/// Elements by index.
///
/// # Invariants
///
/// A link is null, or leads to `chunk_len` elements that came from `allocate` and stay until `self` is dropped. A link of
/// `fast` is null or the same as in `all`.
pub(crate) struct Chunks<T> {
    /// What [`find`](Self::find) sees.
    fast: Links<T>,
    all: Links<T>,
    is_fast: bool,
}

impl<T: Zeroed> Chunks<T> {
    /// No memory yet. Unless `fast`, [`find`](Self::find) never finds anything: one test tells its caller both that there is no
    /// such element and that the long way has to be taken.
    pub(crate) fn new(fast: bool) -> Self {
        Self { fast: no_links(), all: no_links(), is_fast: fast }
    }

    /// The way for where every instruction counts: the compiler tests for the missing chunk before it goes on to the element,
    /// instead of for an element that it has chosen to be null.
    #[inline]
    pub(crate) fn find(&self, index: u32) -> Option<Found<'_, T>> {
        Self::find_in(&self.fast, index)
    }

    /// As [`find`](Self::find), also where that is switched off.
    #[inline]
    pub(crate) fn find_any(&self, index: u32) -> Option<Found<'_, T>> {
        Self::find_in(&self.all, index)
    }

    #[inline]
    fn find_in(links: &Links<T>, index: u32) -> Option<Found<'_, T>> {
        let (chunk, offset) = place(index);
        let chunk = NonNull::new(link(links, chunk))?;
        // INVARIANT: a chunk holds `chunk_len` elements, and `place` gives an offset below that; it lives as long as `self`.
        Some(Found { chunk, offset, chunks: PhantomData })
    }

    /// The element of an index, where there is memory for it.
    #[inline]
    pub(crate) fn get(&self, index: u32) -> Option<&T> {
        self.find_any(index).map(Found::get)
    }

    /// The element of an index below [`CAPACITY`], for which memory is made where there is none.
    #[cold]
    pub(crate) fn grow(&self, index: u32) -> Result<&T, Full> {
        let (chunk, _) = place(index);
        if link(&self.all, chunk).is_null() {
            let memory = allocate::<T>(chunk);
            if memory.is_null() {
                // Perhaps another thread's was the last.
                return self.get(index).ok_or(Full);
            }
            let link = &self.all[chunk];
            // AcqRel: Release pairs with the Acquire of `link`, for whoever finds the elements there.
            // Acquire: another thread's chunk came first and is used from here.
            match link.compare_exchange(ptr::null_mut(), memory, Ordering::AcqRel, Ordering::Acquire) {
                // Release: as above.
                Ok(_) if self.is_fast => self.fast[chunk].store(memory, Ordering::Release),
                Ok(_) => {}
                // SAFETY: nobody else knows it.
                Err(_) => unsafe { free(memory, chunk) },
            }
        }
        self.get(index).ok_or(Full)
    }

    /// The elements from `index` to the end of its chunk, if that has memory.
    pub(crate) fn run(&self, index: u32) -> Option<&[T]> {
        let (chunk, offset) = place(index);
        let found = self.find_any(index)?;
        // SAFETY: the chunk has so many elements; see `Found::get`.
        let elements = unsafe { std::slice::from_raw_parts(found.chunk.as_ptr(), chunk_len(chunk)) };
        elements.get(offset..)
    }

    /// The elements below `end`, in runs that lie side by side, each with the index of its first. Those that have no memory are
    /// left out.
    pub(crate) fn runs(&self, end: u32) -> impl Iterator<Item = (u32, &[T])> {
        let mut next = 0;
        std::iter::from_fn(move || {
            while next < end {
                let (start, run) = (next, run_end(next).min(end));
                next = run;
                if let Some(elements) = self.run(start) {
                    return Some((start, &elements[..(run - start) as usize]));
                }
            }
            None
        })
    }

    /// Where the chunks lie.
    pub(crate) fn memory(&self) -> Vec<Range<usize>> {
        let range = |(chunk, start): (usize, *mut T)| start.addr()..start.addr() + chunk_len(chunk) * size_of::<T>();
        self.chunks().map(range).collect()
    }

    /// The same chunks, for who does not know what lies in them.
    pub(crate) fn erase(&self) -> Erased {
        Erased { links: NonNull::from(&self.all).cast(), stride: size_of::<T>() }
    }
}

impl<T> Chunks<T> {
    fn chunks(&self) -> impl Iterator<Item = (usize, *mut T)> {
        self.all
            .iter()
            .enumerate()
            .map(|(chunk, _)| (chunk, link(&self.all, chunk)))
            .filter(|(_, memory)| !memory.is_null())
    }
}

impl<T> Drop for Chunks<T> {
    fn drop(&mut self) {
        for (chunk, memory) in self.chunks() {
            // SAFETY: `self` is going, and with it all ways to the chunk.
            unsafe { free(memory, chunk) };
        }
    }
}

/// The first index after the chunk that holds `index`.
pub(crate) fn run_end(index: u32) -> u32 {
    let (chunk, _) = place(index);
    u32::try_from(2 * chunk_len(chunk) as u64 - u64::from(FIRST)).unwrap_or(u32::MAX)
}

fn layout<T>(chunk: usize) -> Option<Layout> {
    Layout::array::<T>(chunk_len(chunk)).ok()
}

/// Memory for a chunk, its elements zeroed; null where there is none.
#[cfg(not(any(loom, shuttle)))]
fn allocate<T: Zeroed>(chunk: usize) -> *mut T {
    match layout::<T>(chunk) {
        // SAFETY: the elements are not of size 0 (`Zeroed`).
        Some(layout) => unsafe { alloc_zeroed(layout) }.cast(),
        None => ptr::null_mut(),
    }
}

/// Memory for a chunk, its elements made one by one: a model's atomics are not made of bytes.
#[cfg(any(loom, shuttle))]
fn allocate<T: Zeroed>(chunk: usize) -> *mut T {
    let Some(layout) = layout::<T>(chunk) else { return ptr::null_mut() };
    // SAFETY: the elements are not of size 0 (`Zeroed`).
    let memory = unsafe { alloc_zeroed(layout) }.cast::<T>();
    for at in 0..if memory.is_null() { 0 } else { chunk_len(chunk) } {
        // SAFETY: the chunk has so many elements.
        let element = unsafe { memory.add(at) };
        // SAFETY: nobody else knows the chunk.
        unsafe { element.write(T::zeroed()) };
    }
    memory
}

/// A model's atomics are left to the model.
///
/// # Safety
///
/// `memory` came from `allocate(chunk)`, and nobody uses it any more.
unsafe fn free<T>(memory: *mut T, chunk: usize) {
    if let Some(layout) = layout::<T>(chunk) {
        // SAFETY: it was allocated with this layout.
        unsafe { dealloc(memory.cast(), layout) };
    }
}

/// Chunks whose elements' type has been forgotten. Whoever has this sees to it that the chunks live.
#[derive(Clone, Copy)]
pub(crate) struct Erased {
    links: NonNull<Links<u8>>,
    stride: usize,
}

// SAFETY: a link is an atomic; what it leads to is reached in `unsafe` only, where the caller answers for it.
unsafe impl Send for Erased {}
// SAFETY: as above.
unsafe impl Sync for Erased {}

impl Erased {
    /// Where the element of an index lies, or null where it has no memory.
    ///
    /// # Safety
    ///
    /// The chunks live.
    #[inline]
    pub(crate) unsafe fn find(self, index: u32) -> *const u8 {
        let (chunk, offset) = place(index);
        // SAFETY: the caller says that the links live. `AtomicPtr`s of all sized types have one layout.
        let chunk = link(unsafe { self.links.as_ref() }, chunk);
        if chunk.is_null() { chunk } else { chunk.wrapping_add(offset * self.stride) }
    }

    /// How far the elements of a chunk are apart, in bytes.
    pub(crate) fn stride(self) -> usize {
        self.stride
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::AtomicU32;

    // SAFETY: any bytes are a number.
    unsafe impl Zeroed for AtomicU32 {
        #[cfg(any(loom, shuttle))]
        fn zeroed() -> Self {
            Self::new(0)
        }
    }

    fn grown(fast: bool, indices: &[u32]) -> Chunks<AtomicU32> {
        let chunks: Chunks<AtomicU32> = Chunks::new(fast);
        for index in indices {
            // Relaxed: one thread.
            chunks.grow(*index).unwrap().store(*index, Ordering::Relaxed);
        }
        chunks
    }

    #[test]
    fn every_index_has_a_place_of_its_own() {
        let indices: Vec<u32> = (0..1000).collect();
        let chunks = grown(true, &indices);
        for index in indices {
            // Relaxed: one thread.
            let value = |found: Found<'_, AtomicU32>| found.get().load(Ordering::Relaxed);
            assert_eq!(chunks.find(index).map(value), Some(index));
            assert_eq!(chunks.find_any(index).map(value), Some(index));
        }
        assert!(chunks.get(960 + 1024).is_none() && chunks.get(u32::MAX).is_none());
    }

    #[test]
    fn the_fast_way_is_shut_where_it_is_not_wanted() {
        let chunks = grown(false, &[5]);
        assert!(chunks.find(5).is_none());
        assert!(chunks.find_any(5).is_some());
    }

    #[test]
    fn runs_meet_every_element_that_has_memory_once() {
        let chunks = grown(true, &[0, 200, 201]);
        let met: Vec<(u32, usize)> = chunks.runs(300).map(|(start, run)| (start, run.len())).collect();
        assert_eq!(met, [(0, 64), (192, 108)]);
        assert_eq!(chunks.memory().iter().map(Range::len).sum::<usize>(), (64 + 256) * 4);
    }

    #[test]
    fn a_run_ends_where_the_next_chunk_begins() {
        for (index, end) in [(0, 64), (63, 64), (64, 192), (191, 192), (192, 448), (u32::MAX, u32::MAX)] {
            assert_eq!(run_end(index), end);
        }
    }

    #[test]
    fn who_has_forgotten_the_type_finds_the_same_elements() {
        let chunks = grown(true, &[3, 100]);
        let erased = chunks.erase();
        for index in [0, 3, 64, 100, 191, 192] {
            // SAFETY: the chunks live.
            let found = unsafe { erased.find(index) };
            assert_eq!(found.addr(), chunks.get(index).map_or(0, |element| ptr::from_ref(element).addr()));
        }
    }
}
