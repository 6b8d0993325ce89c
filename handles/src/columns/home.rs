//! The arena that a column belongs to, whatever the parts of its objects are.

#![expect(unsafe_code, reason = "a version word is found by its address")]

use std::sync::Arc;

use crate::chunks::Erased;
use crate::columns::list::Columns;
use crate::slots::Slots;
use crate::sync::atomic::{AtomicU64, Ordering};
use crate::version::{Version, Word};

/// The slots of an arena.
pub(crate) trait AnySlots: Send + Sync {
    fn columns(&self) -> &Columns;

    /// All slots below this index have been used.
    fn fresh(&self) -> u32;
}

impl<S: Send + Sync, P: Send + Sync> AnySlots for Slots<S, P> {
    fn columns(&self) -> &Columns {
        &self.columns
    }

    fn fresh(&self) -> u32 {
        Slots::fresh(self)
    }
}

/// # Invariants
///
/// `words` are the chunks of `slots`, and each slot has its version word `offset` bytes from its start.
#[derive(Clone)]
pub(crate) struct Home {
    slots: Arc<dyn AnySlots>,
    words: Erased,
    offset: usize,
}

/// The one place where columns read a slot's word.
#[inline]
fn load(word: &AtomicU64) -> Word {
    // Acquire: pairs with the Release of `Slots::publish`; what was done with the slot's former objects is seen.
    Word::from_bits(word.load(Ordering::Acquire))
}

impl Home {
    pub(crate) fn new<S, P>(slots: &Arc<Slots<S, P>>) -> Self
    where
        S: Send + Sync + 'static,
        P: Send + Sync + 'static,
    {
        let (words, offset) = slots.words();
        Self { slots: Arc::<Slots<S, P>>::clone(slots), words, offset }
    }

    pub(crate) fn is<S, P>(&self, slots: &Arc<Slots<S, P>>) -> bool {
        std::ptr::addr_eq(Arc::as_ptr(&self.slots), Arc::as_ptr(slots))
    }

    pub(crate) fn columns(&self) -> &Columns {
        self.slots.columns()
    }

    pub(crate) fn fresh(&self) -> u32 {
        self.slots.fresh()
    }

    /// Whether the object of this version is in the slot, and alive.
    #[inline]
    pub(crate) fn holds(&self, index: u32, version: Version) -> bool {
        // SAFETY: `slots` keeps the chunks.
        let slot = unsafe { self.words.find(index) };
        if slot.is_null() {
            return false;
        }
        // SAFETY: by the invariants there is a word.
        let word = load(unsafe { &*slot.wrapping_add(self.offset).cast() });
        // A version that is not a live one's is no object's.
        version.is_live() && word.answers_to(version)
    }

    /// How far the words of a chunk's slots are apart, in bytes.
    pub(crate) fn stride(&self) -> usize {
        self.words.stride()
    }

    /// The version word of a slot, which stands before those of the next slots of its chunk.
    pub(crate) fn run(&self, index: u32) -> Option<Run> {
        // SAFETY: `slots` keeps the chunks.
        let slot = unsafe { self.words.find(index) };
        // The words of a chunk's slots are as far apart as the slots.
        (!slot.is_null()).then(|| Run { word: slot.wrapping_add(self.offset), stride: self.words.stride() })
    }
}

/// A version word in a chunk: others lie before and after it at equal distances.
#[derive(Clone, Copy)]
pub(crate) struct Run {
    word: *const u8,
    stride: usize,
}

impl Run {
    /// No word.
    pub(crate) const NONE: Self = Self { word: std::ptr::null(), stride: 0 };

    #[inline]
    pub(crate) fn new(word: *const u8, stride: usize) -> Self {
        Self { word, stride }
    }

    pub(crate) fn start(self) -> *const u8 {
        self.word
    }

    /// The word so many after this one.
    #[inline]
    pub(crate) fn nth(self, n: usize) -> Self {
        Self { word: self.word.wrapping_add(n * self.stride), stride: self.stride }
    }

    /// Whether the object of this version, which is that of a handle, is alive in the slot.
    ///
    /// # Safety
    ///
    /// As in [`alive`](Self::alive).
    #[inline]
    pub(crate) unsafe fn holds(self, version: Version) -> bool {
        // SAFETY: the caller says so.
        load(unsafe { &*self.word.cast() }).answers_to(version)
    }

    /// The word after this one.
    #[inline]
    pub(crate) fn next(self) -> Self {
        Self { word: self.word.wrapping_add(self.stride), stride: self.stride }
    }

    /// The version of the object that is alive in the slot.
    ///
    /// # Safety
    ///
    /// The word is one of a chunk, and the home that it is of lives.
    #[inline]
    pub(crate) unsafe fn alive(self) -> Option<Version> {
        // SAFETY: the caller says so.
        let version = load(unsafe { &*self.word.cast() }).version();
        version.is_live().then_some(version)
    }
}
