#![expect(unsafe_code, reason = "here a handle is turned into a reference")]

use std::fmt;
use std::marker::PhantomData;
use std::mem::ManuallyDrop;
use std::ops::Deref;
use std::ptr::NonNull;

use crate::error::Stale;
use crate::fences::Fences;
use crate::handle::{Handle, Kind};
use crate::records::{self, Ticket};
use crate::slots::{Slot, Slots};

/// A thread's way into the objects of an arena, one at a time, for loops. Made by [`Arena::session`](crate::Arena::session).
///
/// It holds a cell of the thread's, which it need not look for each time. It stays on its thread. Removals do not wait for a
/// session, but for its [`Visit`]s as for any guard.
///
/// ```
/// # use enodev_handles::{Arena, Domain, Kind};
/// # enum Disk {}
/// # impl Kind for Disk { const NAME: &'static str = "Disk"; }
/// # let domain = Domain::new()?;
/// # let disks: Arena<Disk, (), u64> = Arena::new(&domain)?;
/// # let all = [disks.insert((), 3)?, disks.insert((), 4)?];
/// let mut session = disks.session();
/// let sectors: u64 = all.iter().filter_map(|disk| Some(*session.enter(*disk).ok()?)).sum();
/// assert_eq!(sectors, 7);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
// INVARIANT: the ticket's cell is reserved for the session, and empty but while a `Visit` borrows it (or was forgotten).
#[must_use = "a session is made to enter objects with"]
pub struct Session<'a, K, S: 'static, P> {
    slots: &'a Slots<S, P>,
    ticket: Ticket,
    kind: PhantomData<fn() -> K>,
}

impl<'a, K: Kind, S, P> Session<'a, K, S, P> {
    pub(crate) fn new(slots: &'a Slots<S, P>) -> Self {
        Self { slots, ticket: records::reserve(slots.fences), kind: PhantomData }
    }

    /// Enters an object, as [`Arena::enter`](crate::Arena::enter).
    ///
    /// # Errors
    ///
    /// [`Stale`].
    #[inline]
    pub fn enter(&mut self, handle: Handle<K>) -> Result<Visit<'_, P>, Stale> {
        let Some(found) = self.slots.find(handle.index()) else { return self.enter_fenced(handle) };
        let slot = found.get();
        self.vacate();
        self.ticket.fill(slot.address());
        Fences::Asymmetric.light();
        self.admit(slot, handle)
    }

    #[cold]
    fn enter_fenced(&mut self, handle: Handle<K>) -> Result<Visit<'_, P>, Stale> {
        let slot = self.slots.look_up(handle.index())?;
        self.vacate();
        self.ticket.fill(slot.address());
        self.slots.fences.light();
        self.admit(slot, handle)
    }

    #[inline]
    fn admit(&self, slot: &'a Slot<S, P>, handle: Handle<K>) -> Result<Visit<'_, P>, Stale> {
        if !slot.word().answers_to(handle.version()) {
            self.ticket.leave();
            return Err(self.slots.stale());
        }
        // INVARIANT: the slot is live and its address was in the cell before the word was read.
        Ok(Visit { value: slot.payload(), ticket: self.ticket, session: PhantomData })
    }
}

impl<K, S, P> Session<'_, K, S, P> {
    /// Ends the stay of a visit that was forgotten: a removal may sleep for it.
    #[inline]
    fn vacate(&mut self) {
        if !self.ticket.is_free() {
            self.ticket.leave();
        }
    }
}

impl<K, S, P> Drop for Session<'_, K, S, P> {
    fn drop(&mut self) {
        // Also where a removal goes on as a forgotten visit ends, and panics.
        let _unreserve = Unreserve(self.ticket);
        self.vacate();
    }
}

struct Unreserve(Ticket);

impl Drop for Unreserve {
    fn drop(&mut self) {
        records::unreserve(self.0);
    }
}

impl<K: Kind, S, P> fmt::Debug for Session<'_, K, S, P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session").field("of", &K::NAME).finish_non_exhaustive()
    }
}

/// An active reference made by a [`Session`].
///
/// One that is forgotten holds its object until the session enters another one, or is dropped. Else it is as an [`Active`](crate::Active), also in what dropping it may do.
// INVARIANTS: `value` is the payload of the object whose slot's address is in the ticket's cell, as in `Active`. Nobody else fills
// the cell meanwhile, since the session is borrowed.
#[must_use = "the object stays for as long as the guard lives"]
pub struct Visit<'a, P: ?Sized> {
    value: NonNull<P>,
    ticket: Ticket,
    session: PhantomData<&'a P>,
}

impl<'a, P: ?Sized> Visit<'a, P> {
    /// The right to a part of the payload, in exchange for the right to the whole, where the payload has such a part.
    ///
    /// # Errors
    ///
    /// The guard itself, where `part` gives `None`.
    #[inline]
    pub fn try_map<U: ?Sized>(self, part: impl for<'r> FnOnce(&'r P) -> Option<&'r U>) -> Result<Visit<'a, U>, Self> {
        let Some(value) = part(&self).map(NonNull::from) else {
            return Err(self);
        };
        let this = ManuallyDrop::new(self);
        // INVARIANT: what a payload lends for as long as it is borrowed is in it, or lives as long.
        Ok(Visit { value, ticket: this.ticket, session: PhantomData })
    }
}

impl<P: ?Sized> Deref for Visit<'_, P> {
    type Target = P;

    #[inline]
    fn deref(&self) -> &P {
        // SAFETY: by the invariants the payload is there until the ticket leaves, in `drop`.
        unsafe { self.value.as_ref() }
    }
}

impl<P: ?Sized> Drop for Visit<'_, P> {
    #[inline]
    fn drop(&mut self) {
        self.ticket.leave();
    }
}

impl<P: ?Sized + fmt::Debug> fmt::Debug for Visit<'_, P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Visit").field(&&**self).finish()
    }
}
