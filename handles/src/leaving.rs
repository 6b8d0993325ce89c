#![expect(unsafe_code, reason = "a removal takes payloads out of their slots")]

use std::any::Any;
use std::cell::Cell;
use std::collections::HashMap;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::thread::{self, ThreadId};
use std::time::Instant;

use parking_lot::{Condvar, Mutex};

use crate::arena::Arena;
use crate::drain::drain;
use crate::error::{RemoveError, Stale};
use crate::handle::{Handle, Kind};
use crate::records;
use crate::version::Version;

thread_local! {
    /// How many payloads the calling thread is in the middle of dropping for removals. It must not wait for another thread's
    /// removal meanwhile, which may be waiting for this one.
    static DROPPING: Cell<u32> = const { Cell::new(0) };
}

/// Who is removing what, in one arena.
#[derive(Debug, Default)]
pub(crate) struct Departures {
    leaving: Mutex<HashMap<u32, Departure>>,
    changed: Condvar,
}

#[derive(Debug)]
struct Departure {
    version: Version,
    remover: ThreadId,
    /// The removal was given up between mark and drain: the payload is still there.
    abandoned: bool,
}

impl Departure {
    /// Whether the calling thread can wait for its end: nobody can wait for the calling thread meanwhile, and somebody is at it.
    fn may_be_waited_for(&self) -> bool {
        let may_wait = !records::is_inside(|_| true) && DROPPING.get() == 0;
        may_wait && !self.abandoned && self.remover != thread::current().id()
    }
}

impl Departures {
    /// Runs `mark` and, if it says so, notes the departure; nobody sees the one without the other.
    fn begin(&self, index: u32, version: Version, mark: impl FnOnce() -> bool) -> Result<(), RemoveError> {
        let remover = thread::current().id();
        let mut leaving = self.leaving.lock();
        if mark() {
            leaving.insert(index, Departure { version, remover, abandoned: false });
            return Ok(());
        }
        let same = leaving.get(&index).is_some_and(|departure| departure.version == version);
        Err(if same { RemoveError::Leaving } else { RemoveError::Stale(Stale) })
    }

    /// Ends the notes of these incarnations. Their slots have been given up, so others may have notes there.
    fn end(&self, slots: &[(u32, Version)]) {
        let mut leaving = self.leaving.lock();
        for (index, version) in slots {
            if leaving.get(index).is_some_and(|departure| departure.version == *version) {
                leaving.remove(index);
            }
        }
        self.changed.notify_all();
    }

    fn abandon(&self, slots: &[(u32, Version)]) {
        self.change(slots, |departure| departure.abandoned = true);
        self.changed.notify_all();
    }

    /// Notes that the calling thread is the one that goes on with a removal.
    fn adopt(&self, slots: &[(u32, Version)]) {
        let remover = thread::current().id();
        self.change(slots, |departure| departure.remover = remover);
    }

    fn change(&self, slots: &[(u32, Version)], change: impl Fn(&mut Departure)) {
        let mut leaving = self.leaving.lock();
        for (index, version) in slots {
            if let Some(departure) = leaving.get_mut(index).filter(|departure| departure.version == *version) {
                change(departure);
            }
        }
    }

    pub(crate) fn may_join(&self, index: u32, version: Version) -> bool {
        let leaving = self.leaving.lock();
        let departure = leaving.get(&index).filter(|departure| departure.version == version);
        departure.is_none_or(Departure::may_be_waited_for)
    }

    pub(crate) fn join(&self, index: u32, version: Version) -> Result<(), RemoveError> {
        let mut leaving = self.leaving.lock();
        while let Some(departure) = leaving.get(&index).filter(|departure| departure.version == version) {
            if !departure.may_be_waited_for() {
                return Err(RemoveError::Leaving);
            }
            self.changed.wait(&mut leaving);
        }
        Ok(())
    }

    /// The removals that were given up, for the arena's end.
    pub(crate) fn abandoned(&self) -> Vec<(u32, Version)> {
        let leaving = self.leaving.lock();
        leaving.iter().filter(|(_, departure)| departure.abandoned).map(|(index, d)| (*index, d.version)).collect()
    }
}

/// Objects that are being removed together: first all are marked, then those inside are waited for, once.
///
/// A marked object is stale for all; what has begun is not undone. Dropped before it was drained, this leaves the marked
/// objects leaving for as long as the arena lives: their payloads and slots are given free with it. Forgotten
/// (`mem::forget`), it leaks their payloads, and who waits for one of them waits for ever.
///
/// Who holds one of these, or a [`Quiet`], should not remove or join what another thread may be removing: that one may be
/// doing the same. A `Leaving` that has come from another thread is this one's as soon as it drains it.
#[must_use = "marked objects stay leaving until they are drained"]
pub struct Leaving<'a, K, S: 'static, P> {
    arena: &'a Arena<K, S, P>,
    marked: Vec<(u32, Version)>,
}

impl<'a, K, S, P> Leaving<'a, K, S, P>
where
    K: Kind,
    S: Send + Sync + 'static,
    P: Send + Sync + 'static,
{
    pub(crate) fn new(arena: &'a Arena<K, S, P>) -> Self {
        Self { arena, marked: Vec::new() }
    }

    /// Makes an object leave: from now on nobody gets in.
    ///
    /// # Errors
    ///
    /// [`RemoveError::Stale`]; [`RemoveError::Leaving`] if another is removing it, or has given that up; [`RemoveError::Pinned`],
    /// [`RemoveError::Inside`]. In all of them the object is as it was.
    pub fn mark(&mut self, handle: Handle<K>) -> Result<(), RemoveError> {
        if self.arena.domain.is_pinned() {
            return Err(RemoveError::Pinned);
        }
        if self.arena.contains(handle) && self.arena.is_inside(handle) {
            return Err(RemoveError::Inside);
        }
        let (index, version) = (handle.index(), handle.version());
        let slot = self.arena.slots.slot(index)?;
        let mark = || version.tag() != 0 && slot.mark(version);
        self.arena.departures.begin(index, version, mark)?;
        self.marked.push((index, version));
        Ok(())
    }

    /// Waits until nobody is inside any of the marked objects. Any thread can do so.
    ///
    /// # Errors
    ///
    /// This value comes back beside the error, and the objects go on leaving. [`RemoveError::Pinned`] and
    /// [`RemoveError::Inside`] if that is what the caller is; [`RemoveError::Barrier`].
    pub fn drain(self) -> Result<Quiet<'a, K, S, P>, (Self, RemoveError)> {
        self.finish(None)
    }

    /// As [`drain`](Self::drain), until the deadline at the latest.
    ///
    /// # Errors
    ///
    /// As `drain`, and [`RemoveError::TimedOut`].
    pub fn drain_until(self, deadline: Instant) -> Result<Quiet<'a, K, S, P>, (Self, RemoveError)> {
        self.finish(Some(deadline))
    }

    fn finish(mut self, deadline: Option<Instant>) -> Result<Quiet<'a, K, S, P>, (Self, RemoveError)> {
        if let Err(error) = self.wait(deadline) {
            return Err((self, error));
        }
        let marked = std::mem::take(&mut self.marked);
        Ok(Quiet { arena: self.arena, marked, taken: 0, remover: thread::current().id() })
    }

    fn wait(&self, deadline: Option<Instant>) -> Result<(), RemoveError> {
        if self.arena.domain.is_pinned() {
            return Err(RemoveError::Pinned);
        }
        let slot = |(index, _): &(u32, Version)| self.arena.slots.slot(*index).ok();
        let mut addresses: Vec<usize> = self.marked.iter().filter_map(slot).map(|slot| slot.address()).collect();
        addresses.sort_unstable();
        if records::is_inside(|address| addresses.binary_search(&address).is_ok()) {
            return Err(RemoveError::Inside);
        }
        self.arena.departures.adopt(&self.marked);
        match drain(self.arena.slots.fences, &addresses, deadline)? {
            true => Ok(()),
            false => Err(RemoveError::TimedOut),
        }
    }
}

impl<K, S, P> Drop for Leaving<'_, K, S, P> {
    fn drop(&mut self) {
        if !self.marked.is_empty() {
            self.arena.departures.abandon(&self.marked);
        }
    }
}

impl<K, S, P> fmt::Debug for Leaving<'_, K, S, P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Leaving").field("marked", &self.marked.len()).finish_non_exhaustive()
    }
}

/// Objects that have been drained: nobody is inside, and nobody will ever be.
///
/// Their payloads are the caller's, one by one, in the order in which the objects were marked. Their store parts can still
/// be read under a pin ([`Arena::get_leaving`]), and their slots are taken. When this is dropped, the payloads that are
/// left are dropped, on the caller's thread, and then all the slots are given up. If payloads panic as they are
/// dropped, the others are dropped all the same, and the first panic goes on afterwards.
///
/// # Invariants
///
/// The payloads of `marked[taken..]` are initialised and this one's alone.
pub struct Quiet<'a, K, S, P>
where
    K: Kind,
    S: Send + Sync + 'static,
    P: Send + Sync + 'static,
{
    arena: &'a Arena<K, S, P>,
    marked: Vec<(u32, Version)>,
    taken: usize,
    /// The thread that is noted as the one that removes.
    remover: ThreadId,
}

impl<K, S, P> Quiet<'_, K, S, P>
where
    K: Kind,
    S: Send + Sync + 'static,
    P: Send + Sync + 'static,
{
    /// The payload of the next object.
    pub fn take(&mut self) -> Option<(Handle<K>, P)> {
        self.adopt();
        let (index, version) = *self.marked.get(self.taken)?;
        let slot = self.arena.slots.slot(index).ok()?;
        self.taken += 1;
        // SAFETY: the object has been marked and drained, so by the protocol of `records` no reference to the payload is
        // left or will be made. By the invariant it is initialised; `taken` has moved past it.
        let payload = unsafe { slot.payload().read() };
        Some((Handle::new(index, version), payload))
    }

    /// The calling thread goes on with the removal: a payload's drop that asks for its own object is not to wait for it.
    fn adopt(&mut self) {
        let caller = thread::current().id();
        if self.remover != caller {
            self.remover = caller;
            self.arena.departures.adopt(&self.marked);
        }
    }

    /// Drops the payloads that are left. Afterwards their objects' store parts can still be read.
    ///
    /// # Panics
    ///
    /// With the first panic of a payload's drop, after all have been dropped.
    pub fn drop_payloads(&mut self) {
        let mut panic = FirstPanic::default();
        DROPPING.set(DROPPING.get() + 1);
        while let Some((_, payload)) = self.take() {
            panic.catch(|| drop(payload));
        }
        DROPPING.set(DROPPING.get() - 1);
        panic.resume();
    }
}

impl<K, S, P> Drop for Quiet<'_, K, S, P>
where
    K: Kind,
    S: Send + Sync + 'static,
    P: Send + Sync + 'static,
{
    fn drop(&mut self) {
        let mut panic = FirstPanic::default();
        panic.catch(|| self.drop_payloads());
        self.arena.retire(self.marked.iter().copied());
        self.arena.departures.end(&self.marked);
        panic.resume();
    }
}

impl<K, S, P> fmt::Debug for Quiet<'_, K, S, P>
where
    K: Kind,
    S: Send + Sync + 'static,
    P: Send + Sync + 'static,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Quiet").field("left", &(self.marked.len() - self.taken)).finish_non_exhaustive()
    }
}

/// Runs foreign code that may panic, several times, and lets the first panic go on at the end.
#[derive(Default)]
pub(crate) struct FirstPanic(Option<Box<dyn Any + Send>>);

impl FirstPanic {
    pub(crate) fn catch(&mut self, run: impl FnOnce()) {
        if let Err(panic) = catch_unwind(AssertUnwindSafe(run)) {
            match self.0 {
                None => self.0 = Some(panic),
                // A panic's payload is foreign too, and its drop may panic in turn.
                Some(_) => std::mem::forget(panic),
            }
        }
    }

    pub(crate) fn resume(self) {
        match self.0 {
            Some(panic) if !thread::panicking() => resume_unwind(panic),
            panic => std::mem::forget(panic),
        }
    }
}

#[cfg(test)]
mod tests;
