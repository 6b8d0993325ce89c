//! A row: the word that says whose its value is, and the value.
//!
//! ```text
//! 63                          32 31                           0
//! +-----------------------------+------------------------------+
//! | count, or state             | stamp: the object's version  |
//! +-----------------------------+------------------------------+
//! ```
//!
//! A value is there for a reader who knows that its object is alive and finds the object's version in the stamp. Nobody has to
//! take it away: the next object in the slot has another version. It is overwritten at the earliest by that object, which comes
//! after every pin has gone under which the former one was seen alive.

#![expect(unsafe_code, reason = "values are uninitialised memory that a word speaks for")]

use std::cell::UnsafeCell;
use std::fmt;
use std::mem::MaybeUninit;

use crate::chunks::Zeroed;
use crate::columns::plain::sealed::Bytes;
use crate::quiet::FirstPanic;
use crate::sync::atomic::{AtomicU64, Ordering};
use crate::sync::{hint, thread};
use crate::version::Version;

/// What tables are made of.
pub(crate) trait Row: Zeroed + Send + Sync + 'static {
    fn head(&self) -> &AtomicU64;

    /// The version in the stamp, which may be no object's.
    #[inline]
    fn stamp(&self) -> Version {
        // Acquire: pairs with the Release that ends a `set` or `put`, or resets a row.
        stamp(self.head().load(Ordering::Acquire))
    }

    /// Makes the row nobody's, so that another object can have it. Nobody else uses it meanwhile. False if it cannot be had.
    fn reset(&self) -> bool;

    /// Whether values are dropped with their objects.
    const HAS_DROP: bool = false;

    /// Drops the value that has this stamp, or any one, unless another thread does.
    ///
    /// # Safety
    ///
    /// Nobody has a reference to it, or will get one.
    unsafe fn discard(&self, _version: Option<Version>, _panic: &mut FirstPanic) {}
}

impl<B> fmt::Debug for PlainRow<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PlainRow").field("head", &self.head).finish_non_exhaustive()
    }
}

impl<T> fmt::Debug for ValueRow<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ValueRow").field("head", &self.head).finish_non_exhaustive()
    }
}

#[inline]
fn stamp(head: u64) -> Version {
    Version::from_bits(head as u32)
}

/// Waits for somebody who is in the middle of a few stores.
struct Patience(u32);

impl Patience {
    const SPINS: u32 = 64;

    #[cold]
    fn wait(&mut self) {
        self.0 += 1;
        if self.0 < Self::SPINS { hint::spin_loop() } else { thread::yield_now() }
    }
}

/// A plain value, which can be set again and again.
///
/// The upper half of its head counts; it is odd while somebody sets the value. Setters exclude each other so. A reader takes
/// the words one by one, and they are a value if the head is the same afterwards. One word alone cannot be torn, so its
/// readers never wait.
#[repr(C)]
pub struct PlainRow<B> {
    head: AtomicU64,
    words: Words<B>,
}

#[cfg(not(any(loom, shuttle)))]
type Words<B> = UnsafeCell<Buffer<B>>;

/// A model's atomics are not made of bytes.
#[cfg(any(loom, shuttle))]
type Words<B> = (Box<[AtomicU64]>, std::marker::PhantomData<B>);

/// Room for bytes, in whole words.
#[repr(C, align(8))]
struct Buffer<B>(MaybeUninit<B>);

/// One more in the upper half of a head: somebody sets the value.
const BUSY: u64 = 1 << 32;

// SAFETY: 0 is nobody's stamp; the words are atomics. It has a head.
unsafe impl<B: Bytes> Zeroed for PlainRow<B> {
    #[cfg(any(loom, shuttle))]
    fn zeroed() -> Self {
        let words = (0..Self::WORDS).map(|_| AtomicU64::new(0)).collect();
        Self { head: AtomicU64::new(0), words: (words, std::marker::PhantomData) }
    }
}

// SAFETY: the buffer is only ever used as atomic words.
unsafe impl<B: Bytes> Sync for PlainRow<B> {}

impl<B: Bytes> Row for PlainRow<B> {
    #[inline]
    fn head(&self) -> &AtomicU64 {
        &self.head
    }

    fn reset(&self) -> bool {
        let head = self.lock();
        self.unlock(head, Version::from_bits(0));
        true
    }
}

impl<B: Bytes> PlainRow<B> {
    const WORDS: usize = size_of::<Buffer<B>>() / size_of::<u64>();

    #[inline]
    fn words(&self) -> &[AtomicU64] {
        #[cfg(any(loom, shuttle))]
        return &self.words.0;
        // SAFETY: a buffer is aligned like a word and as large as so many, all initialised, since the row began as zeroes.
        // Nobody uses it otherwise.
        #[cfg(not(any(loom, shuttle)))]
        unsafe {
            std::slice::from_raw_parts(self.words.get().cast(), Self::WORDS)
        }
    }

    #[inline]
    fn load(&self) -> B {
        // Its evaluation proves that there is no padding.
        let mut buffer = Buffer(MaybeUninit::new(B::ZERO));
        let words = (&raw mut buffer).cast::<u64>();
        for (at, word) in self.words().iter().enumerate() {
            // SAFETY: a buffer has so many words.
            let to = unsafe { words.add(at) };
            // Acquire: pairs with the Release of `store`. Who has seen one word of a setter sees in the head that it was set, or
            // that it is being.
            let word = word.load(Ordering::Acquire);
            // SAFETY: as above; a buffer is aligned like a word.
            unsafe { to.write(word) };
        }
        // SAFETY: it was initialised, then overwritten with other bytes, and any bytes are a value.
        unsafe { buffer.0.assume_init() }
    }

    #[inline]
    fn store(&self, bytes: B) {
        let mut buffer = MaybeUninit::<Buffer<B>>::zeroed();
        // SAFETY: a buffer begins with room for the bytes.
        unsafe { buffer.as_mut_ptr().cast::<B>().write(bytes) };
        for (at, word) in self.words().iter().enumerate() {
            // SAFETY: a buffer has so many words.
            let from = unsafe { buffer.as_ptr().cast::<u64>().add(at) };
            // SAFETY: as above. What is not the bytes, which have no padding, is still zero.
            let value = unsafe { from.read() };
            // Release: pairs with the Acquire of `load`; the setter's lock comes before.
            word.store(value, Ordering::Release);
        }
    }

    /// The value of the object, if it has one. The caller has seen it alive under a pin, or sees it so afterwards: without either
    /// this may be a later object's value, or parts of several.
    #[inline]
    pub(crate) fn read(&self, version: Version) -> Option<B> {
        // Acquire: pairs with the Release of `unlock`.
        let head = self.head.load(Ordering::Acquire);
        if Self::WORDS <= 1 {
            // Before the comparison: the two loads share their address.
            let bytes = self.load();
            return if stamp(head) == version { Some(bytes) } else { None };
        }
        if stamp(head) != version {
            return None;
        }
        self.read_whole(head).or_else(|| self.read_again(version))
    }

    /// The value under a head, unless somebody is setting it.
    #[inline]
    fn read_whole(&self, head: u64) -> Option<B> {
        let bytes = self.load();
        // Relaxed: the words were loaded with Acquire, so this comes after them (see `load`).
        let same = self.head.load(Ordering::Relaxed) == head;
        (same && head & BUSY == 0).then_some(bytes)
    }

    #[cold]
    #[inline(never)]
    fn read_again(&self, version: Version) -> Option<B> {
        let mut patience = Patience(0);
        loop {
            // Acquire: as in `read`.
            let head = self.head.load(Ordering::Acquire);
            if stamp(head) != version {
                return None;
            }
            let bytes = self.read_whole(head);
            if bytes.is_some() {
                return bytes;
            }
            patience.wait();
        }
    }

    /// Excludes other setters. The head as it was.
    fn lock(&self) -> u64 {
        let mut patience = Patience(0);
        loop {
            // Relaxed: only to be compared.
            let head = self.head.load(Ordering::Relaxed);
            if self.try_lock(head) {
                return head;
            }
            patience.wait();
        }
    }

    #[inline]
    fn try_lock(&self, head: u64) -> bool {
        let free = head & BUSY == 0;
        // Acquire: pairs with the Release of `unlock`. Readers are told by the Release of `store`, which comes after.
        // Relaxed: a setter that has not got the lock looks again.
        free && self.head.compare_exchange(head, head | BUSY, Ordering::Acquire, Ordering::Relaxed).is_ok()
    }

    #[inline]
    fn unlock(&self, head: u64, version: Version) {
        let count = head.wrapping_add(2 * BUSY) >> 32 << 32;
        // Release: pairs with the Acquire of `read` and of `try_lock`.
        self.head.store(count | u64::from(version.bits()), Ordering::Release);
    }

    /// Sets the value of an object that the caller has seen alive under a pin.
    pub(crate) fn set(&self, version: Version, bytes: B) {
        let head = self.lock();
        self.store(bytes);
        self.unlock(head, version);
    }

    /// Sets the value to what `change` makes of it. Runs `change` outside the lock, and again where another setter came between.
    pub(crate) fn update(&self, version: Version, mut change: impl FnMut(Option<B>) -> B) {
        let mut patience = Patience(0);
        loop {
            // Acquire: as in `read`.
            let head = self.head.load(Ordering::Acquire);
            let bytes = if stamp(head) == version { self.read_whole(head) } else { None };
            if head & BUSY == 0 && bytes.is_some() == (stamp(head) == version) {
                let bytes = change(bytes);
                if self.try_lock(head) {
                    self.store(bytes);
                    return self.unlock(head, version);
                }
            }
            patience.wait();
        }
    }
}

/// A value that is set once for an object and stays where it is.
///
/// The upper half of its head is a state.
///
/// # Invariants
///
/// The value is initialised while the state is `SET`. Who makes the state `WRITING` is the only one to touch the value until
/// it makes it `SET`; who makes it `TAKEN` has the value.
#[repr(C)]
pub struct ValueRow<T> {
    head: AtomicU64,
    value: UnsafeCell<MaybeUninit<T>>,
}

const WRITING: u64 = 1 << 32;
const SET: u64 = 2 << 32;
const TAKEN: u64 = 3 << 32;

// SAFETY: the state 0 says that the value is not initialised. It has a head.
unsafe impl<T> Zeroed for ValueRow<T> {
    #[cfg(any(loom, shuttle))]
    fn zeroed() -> Self {
        Self { head: AtomicU64::new(0), value: UnsafeCell::new(MaybeUninit::uninit()) }
    }
}

// SAFETY: the value is shared (`T: Sync`), and handed from the thread that set it to the one that takes it (`T: Send`).
unsafe impl<T: Send + Sync> Sync for ValueRow<T> {}

impl<T: Send + Sync + 'static> Row for ValueRow<T> {
    #[inline]
    fn head(&self) -> &AtomicU64 {
        &self.head
    }

    fn reset(&self) -> bool {
        // Relaxed: nobody else uses the row; whoever had it before is ordered by the epochs.
        let head = self.head.load(Ordering::Relaxed);
        let is_free = head >> 32 << 32 != SET || !Self::HAS_DROP;
        if is_free {
            // Release: pairs with the Acquire of `Row::stamp`, for walks that come past.
            self.head.store(0, Ordering::Release);
        }
        is_free
    }

    const HAS_DROP: bool = std::mem::needs_drop::<T>();

    unsafe fn discard(&self, version: Option<Version>, panic: &mut FirstPanic) {
        // SAFETY: passed on to the caller.
        if let Some(value) = unsafe { self.take(version) } {
            panic.catch(|| drop(value));
        }
    }
}

impl<T> ValueRow<T> {
    /// The value of the object, if it has one.
    ///
    /// # Safety
    ///
    /// The caller has seen the object alive, under a pin or from the inside, and keeps that up as long as the reference.
    #[inline]
    pub(crate) unsafe fn get(&self, version: Version) -> Option<&T> {
        // Acquire: pairs with the Release of `put`; the value is seen.
        let head = self.head.load(Ordering::Acquire);
        if head != SET | u64::from(version.bits()) {
            return None;
        }
        // SAFETY: it is shared from now on: the row is written again for a later object only, which does not come while
        // the caller keeps this one's slot, and taken by the object's remover only, after the drain or without drop glue.
        let value = unsafe { &*self.value.get() };
        // SAFETY: by the invariants it is initialised.
        Some(unsafe { value.assume_init_ref() })
    }

    /// Sets the value of an object that has none, or gives it back.
    ///
    /// # Safety
    ///
    /// The caller has seen the object alive, under a pin or from the inside, and keeps that up.
    pub(crate) unsafe fn put(&self, version: Version, value: T) -> Result<(), T> {
        let mut patience = Patience(0);
        loop {
            // Relaxed: only to be compared.
            let head = self.head.load(Ordering::Relaxed);
            if head >> 32 << 32 == WRITING {
                patience.wait();
                continue;
            }
            if stamp(head) == version {
                return Err(value);
            }
            let writing = WRITING | u64::from(version.bits());
            // Acquire: pairs with the Release of a `take`, or of another `put`; they are over.
            // Relaxed: looked at anew.
            if self.head.compare_exchange(head, writing, Ordering::Acquire, Ordering::Relaxed).is_ok() {
                break;
            }
        }
        // SAFETY: the state is `WRITING`, so this thread alone touches the value. The one of a former object is nobody's
        // any more: its slot has been used again, so all pins of its time have gone.
        unsafe { (*self.value.get()).write(value) };
        // Release: pairs with the Acquire of `get` and of `take`.
        self.head.store(SET | u64::from(version.bits()), Ordering::Release);
        Ok(())
    }

    /// Takes the value that has this head's stamp, or any one. Of several takers one gets it.
    ///
    /// # Safety
    ///
    /// Nobody has a reference to it, or will get one.
    pub(crate) unsafe fn take(&self, version: Option<Version>) -> Option<T> {
        // Relaxed: only to be compared.
        let head = self.head.load(Ordering::Relaxed);
        let is_this = version.is_none_or(|version| stamp(head) == version);
        if !is_this || head >> 32 << 32 != SET {
            return None;
        }
        // AcqRel: Acquire pairs with the Release of `put`, the value is seen; Release with the Acquire of the next `put`.
        // Relaxed: another has taken it.
        self.head.compare_exchange(head, head | TAKEN, Ordering::AcqRel, Ordering::Relaxed).ok()?;
        // SAFETY: by the invariants it was initialised and is this thread's.
        Some(unsafe { self.value.get().cast::<T>().read() })
    }
}
