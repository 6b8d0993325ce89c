//! The state of a gate, and its way from open to closed and back.

use std::cell::UnsafeCell;
use std::mem::MaybeUninit;
use std::ptr::{self, NonNull};
use std::task::Waker;
use std::time::Instant;

use crate::bell::Bell;
use crate::blocker::Visitor;
use crate::cells::Occupant;
use crate::drain::{self, Marked, Seen};
use crate::error::{CloseError, RemoveError};
use crate::fences::{self, Fences};
use crate::owned::Stays;
use crate::quiet::is_dropping;
use crate::records;
use crate::sync::Mutex;
use crate::sync::atomic::{AtomicU64, Ordering};
use crate::version::{Version, Word};

/// The tag of a gate's versions while there is a value. Any but 0 would do: no handle carries it.
const TAG: u8 = 1;

/// A gate.
///
/// Its word is that of a slot: live while it is open, leaving while it is shut and has its value, with the closer's number or
/// given up while there is none, and vacant while it is closed. The generation goes up with each closing, and may wrap: nobody
/// but a closer that waits for another remembers one.
///
/// # Invariants
///
/// - The value is initialised while the word has a tag. It is shared then, but for the closer whose number is in the word,
///   once it has drained the gate.
/// - A vacant word is changed by the holder of the lock of `seen` only.
/// - Cells of blocks that take no fence hold the address only where the fences are asymmetric.
#[repr(C)]
pub(super) struct State<T> {
    word: AtomicU64,
    pub(super) fences: Fences,
    value: UnsafeCell<MaybeUninit<T>>,
    rare: Rare,
}

/// What those who enter and leave do not touch. On cache lines of its own.
#[derive(Default)]
#[repr(align(128))]
struct Rare {
    stays: Stays,
    bell: Bell,
    /// Who has been seen inside since the gate was shut.
    seen: Mutex<Vec<Seen>>,
}

// SAFETY: the value is shared by those inside (`T: Sync`), and dropped or taken by another thread (`T: Send`). Everything else
// is atomic or under a lock.
unsafe impl<T: Send + Sync> Send for State<T> {}
// SAFETY: as above.
unsafe impl<T: Send + Sync> Sync for State<T> {}

impl<T> State<T> {
    pub(super) fn new(fences: Fences, value: Option<T>) -> Self {
        let version = if value.is_some() { Version::live(TAG, 0) } else { Version::vacant(0) };
        let value = UnsafeCell::new(value.map_or(MaybeUninit::uninit(), MaybeUninit::new));
        Self { word: AtomicU64::new(Word::settled(version).bits()), fences, value, rare: Rare::default() }
    }

    /// What cells hold of this gate.
    #[inline]
    pub(super) fn address(&self) -> usize {
        ptr::from_ref(self).addr()
    }

    #[inline]
    pub(super) fn value(&self) -> NonNull<T> {
        // A `MaybeUninit<T>` has the layout of a `T`.
        NonNull::from(&self.value).cast()
    }

    pub(super) fn stays(&self) -> &Stays {
        &self.rare.stays
    }

    #[inline]
    fn word(&self) -> Word {
        // Acquire: pairs with the Release of `reopen`, so that who finds the gate open sees the value; and with the AcqRel of
        // closers, for who takes over from one.
        Word::from_bits(self.word.load(Ordering::Acquire))
    }

    pub(super) fn version(&self) -> Version {
        self.word().version()
    }

    #[inline]
    pub(super) fn is_open(&self) -> bool {
        self.version().is_live()
    }

    /// For people.
    pub(super) fn stage(&self) -> &'static str {
        match self.version() {
            version if version.is_live() => "open",
            version if has_value(version) => "shut",
            _ => "closed",
        }
    }

    pub(super) fn is_inside(&self) -> bool {
        records::is_inside(|address| address == self.address())
    }

    /// Changes the word as long as `change` answers with another one. Returns the word of before.
    fn change(&self, change: impl Fn(Word) -> Option<Word>) -> Option<Word> {
        let next = |bits| change(Word::from_bits(bits)).map(Word::bits);
        // AcqRel: the value and the rest of the closing are handed from one thread to the next with the word. The race of a
        // mark with those who enter is decided by the barrier that follows, not here.
        // Acquire: as above, where nothing is changed.
        self.word.fetch_update(Ordering::AcqRel, Ordering::Acquire, next).ok().map(Word::from_bits)
    }

    pub(super) fn shut(&self) -> bool {
        let shut = |word: Word| {
            let version = word.version();
            version.is_live().then(|| Word::leaving(version, 0).given_up())
        };
        let is_first = self.change(shut).is_some();
        if is_first {
            self.tell_sleepers();
        }
        is_first
    }

    /// The gate has been shut: whoever sleeps inside is told.
    fn tell_sleepers(&self) {
        fences::full();
        self.rare.bell.marked();
    }

    pub(super) fn close(&self, deadline: Option<Instant>) -> Result<T, CloseError> {
        if self.is_inside() {
            return Err(CloseError::Inside);
        }
        let closer = self.claim(deadline)?;
        self.drain(deadline).map_err(not_closed)?;
        Ok(closer.take())
    }

    /// Makes the calling thread the one that closes; waits for another that does.
    fn claim(&self, deadline: Option<Instant>) -> Result<Closer<'_, T>, CloseError> {
        let own = records::identity();
        loop {
            // Marks the gate where it is open.
            let claim = |word: Word| {
                let is_free = word.version().is_live() || word.is_given_up();
                is_free.then(|| word.taken_over(own))
            };
            if let Some(word) = self.change(claim) {
                return Ok(Closer { state: self, version: word.version() });
            }
            let word = self.word();
            if !has_value(word.version()) {
                return Err(CloseError::Closed);
            }
            if is_dropping() || records::is_inside(|_| true) || word.remover() == own {
                return Err(CloseError::Closing);
            }
            match self.rare.bell.join(&self.word, self.address(), word.version(), deadline) {
                Ok(()) => return Err(CloseError::Closed),
                // The other has failed.
                Err(RemoveError::Leaving) => {}
                Err(error) => return Err(not_closed(error)),
            }
        }
    }

    fn drain(&self, deadline: Option<Instant>) -> Result<(), RemoveError> {
        let note = |inside: &[Occupant]| drain::note(&mut self.rare.seen.lock(), inside);
        self.with_marked(|marked| marked.drain(deadline, note, || self.rare.bell.marked()))
    }

    fn with_marked<R>(&self, run: impl FnOnce(&Marked<'_>) -> R) -> R {
        run(&Marked { addresses: &[self.address()], fences: self.fences, stays: &self.rare.stays, tally: None })
    }

    /// Has the waker called when somebody leaves; true if nobody is inside, or that incarnation is over.
    pub(super) fn poll(&self, version: Version, waker: &Waker) -> Result<bool, CloseError> {
        if !has_value(version) || self.version() != version.leaving() {
            return Ok(true);
        }
        if self.is_inside() {
            return Err(CloseError::Inside);
        }
        let note = |inside: &[Occupant]| self.note(version, inside);
        let is_quiet = self.with_marked(|marked| marked.poll(waker, note)).map_err(not_closed)?;
        // Whom the look has found may be inside what came after.
        Ok(is_quiet || self.version() != version.leaving())
    }

    /// Notes who has been seen inside, if it is still that incarnation that is shut.
    fn note(&self, version: Version, inside: &[Occupant]) {
        let mut seen = self.rare.seen.lock();
        if self.version() == version.leaving() {
            drain::note(&mut seen, inside);
        }
    }

    pub(super) fn is_quiet(&self) -> bool {
        if self.is_open() {
            return false;
        }
        self.with_marked(|marked| {
            let is_empty = marked.visitors().is_ok_and(|inside| inside.is_empty());
            is_empty && marked.stays.wait(marked.addresses, Some(Instant::now()))
        })
    }

    pub(super) fn blockers(&self) -> Vec<Visitor> {
        let version = self.version();
        if version.is_live() || !has_value(version) {
            return Vec::new();
        }
        if let Ok(inside) = self.with_marked(|marked| marked.visitors()) {
            self.note(version, &inside);
        }
        let seen = self.rare.seen.lock().clone();
        Visitor::at(self.address(), &seen, &self.rare.stays)
    }

    pub(super) fn reopen(&self, value: T) -> Result<(), T> {
        let _seen = self.rare.seen.lock();
        let version = self.version();
        if version.is_live() || has_value(version) {
            return Err(value);
        }
        // SAFETY: there is no value, the word changes under the lock only, and who does not find it live touches nothing.
        unsafe { self.value().write(value) };
        let live = Word::settled(Version::live(TAG, version.generation()));
        // Release: pairs with the Acquire of `word`.
        self.word.store(live.bits(), Ordering::Release);
        Ok(())
    }

    pub(super) fn sleep(&self, deadline: Option<Instant>, is_over: impl FnMut() -> bool) -> bool {
        let version = self.version();
        !version.is_live() || self.rare.bell.sleep(&self.word, version, deadline, is_over)
    }

    pub(super) fn wake(&self) {
        self.rare.bell.ring();
    }

    pub(super) fn forget_passes(&self) {
        let address = self.address();
        records::forget(std::slice::from_ref(&(address..address + 1)));
    }

    /// Drops the value, or leaves it to the last of those who stay.
    ///
    /// # Safety
    ///
    /// The gate's owner drops it: nobody is inside but owned passes, and nobody closes.
    pub(super) unsafe fn end(&self) {
        let closed = Word::settled(Version::vacant(0));
        // AcqRel: Acquire, what the last closer or opener did comes before.
        let word = Word::from_bits(self.word.swap(closed.bits(), Ordering::AcqRel));
        if has_value(word.version()) && self.rare.stays.orphan().is_empty() {
            // SAFETY: by the word the value is there, and nobody reaches it any more.
            unsafe { self.value().drop_in_place() };
        }
    }
}

fn has_value(version: Version) -> bool {
    version.tag() != 0
}

/// A drain's error. Those that a gate does not know are of pins, and of others' removals.
fn not_closed(error: RemoveError) -> CloseError {
    match error {
        RemoveError::Inside => CloseError::Inside,
        RemoveError::Deadlock => CloseError::Deadlock,
        RemoveError::TimedOut => CloseError::TimedOut,
        RemoveError::Barrier => CloseError::Barrier,
        RemoveError::Stale(_) | RemoveError::Pinned | RemoveError::Leaving => CloseError::Closing,
    }
}

/// The one that closes. Dropped before it has taken the value, it gives up: the gate stays shut.
struct Closer<'a, T> {
    state: &'a State<T>,
    version: Version,
}

impl<T> Closer<'_, T> {
    /// Takes the value, after the drain.
    fn take(self) -> T {
        let this = std::mem::ManuallyDrop::new(self);
        // SAFETY: the gate has been shut and drained since by this thread, which is the closer: by the protocol of `records` no
        // reference to the value is left or will be made. The word says from now on that it is gone.
        let value = unsafe { this.state.value().read() };
        let mut seen = this.state.rare.seen.lock();
        seen.clear();
        let vacant = Word::settled(Version::vacant(this.version.generation() + 1));
        // AcqRel: Release, the value has been read before another is written. Acquire: pairs with whoever said that it waits.
        let former = Word::from_bits(this.state.word.swap(vacant.bits(), Ordering::AcqRel));
        drop(seen);
        if former.is_awaited() {
            this.state.rare.bell.ring();
        }
        value
    }
}

impl<T> Drop for Closer<'_, T> {
    fn drop(&mut self) {
        let former = self.state.change(|word| Some(word.given_up()));
        self.state.tell_sleepers();
        if former.is_some_and(Word::is_awaited) {
            self.state.rare.bell.ring();
        }
    }
}
