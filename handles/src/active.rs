#![expect(unsafe_code, reason = "a guard that stands for the right to a reference holds a pointer")]

use std::fmt;
use std::marker::PhantomData;
use std::mem::ManuallyDrop;
use std::ops::Deref;
use std::ptr::NonNull;

use crate::records::Ticket;

/// An active reference: the right to be inside one object, or one [`Gate`](crate::Gate), for one operation.
///
/// A removal of the object, or a closer of the gate, waits until it is dropped. It stays on its thread, whose guards may be dropped
/// in any order. Any number may be held at once: the first is the fastest to take, and each one held makes the next a little slower,
/// without bound. One that is forgotten holds its object for ever, or until [`Arena::forget_guards`](crate::Arena::forget_guards)
/// or [`Gate::forget_passes`](crate::Gate::forget_passes).
///
/// To drop it waits for nobody, unless its thread has put a removal of the object off ([`Leaving::defer`](crate::Leaving::defer)):
/// the last guard's drop then waits for the others who are inside, runs `finish` and payloads' drops, and panics as these do.
// INVARIANTS: `value` points into the payload of the object whose slot's address is in the ticket's cell, and the slot's version
// was that of a live object after the address was stored there; or the same of a gate and its value. So no remover takes the
// payload before the ticket leaves.
#[must_use = "the object stays for as long as the guard lives"]
pub struct Active<'a, T: ?Sized> {
    value: NonNull<T>,
    ticket: Ticket,
    /// The arena, or the gate, is borrowed. (`NonNull` makes the guard stay on its thread, where its cell is.)
    arena: PhantomData<&'a T>,
}

impl<'a, T: ?Sized> Active<'a, T> {
    /// # Safety
    ///
    /// The invariants of the type hold.
    #[inline]
    pub(crate) unsafe fn new(value: NonNull<T>, ticket: Ticket) -> Self {
        Self { value, ticket, arena: PhantomData }
    }

    /// The right to a part of the payload, in exchange for the right to the whole.
    pub fn map<U: ?Sized>(self, part: impl for<'r> FnOnce(&'r T) -> &'r U) -> Active<'a, U> {
        let value = NonNull::from(part(&self));
        let (_, ticket) = self.into_parts();
        // INVARIANT: what a payload lends for as long as it is borrowed is in it, or lives as long.
        Active { value, ticket, arena: PhantomData }
    }

    /// As [`map`](Self::map), where the payload may not have such a part.
    ///
    /// # Errors
    ///
    /// The guard itself, where `part` gives `None`.
    pub fn try_map<U: ?Sized>(self, part: impl for<'r> FnOnce(&'r T) -> Option<&'r U>) -> Result<Active<'a, U>, Self> {
        let Some(value) = part(&self).map(NonNull::from) else {
            return Err(self);
        };
        let (_, ticket) = self.into_parts();
        // INVARIANT: as in `map`.
        Ok(Active { value, ticket, arena: PhantomData })
    }

    /// Takes the guard apart without leaving.
    pub(crate) fn into_parts(self) -> (NonNull<T>, Ticket) {
        let this = ManuallyDrop::new(self);
        (this.value, this.ticket)
    }
}

impl<T: ?Sized> Deref for Active<'_, T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        // SAFETY: by the invariants the payload is there and is not taken before the ticket leaves, which it does in
        // `drop`. Payloads are `Sync` (a bound of every arena and gate), and only shared references to them are made until then.
        unsafe { self.value.as_ref() }
    }
}

impl<T: ?Sized> Drop for Active<'_, T> {
    #[inline]
    fn drop(&mut self) {
        self.ticket.leave();
    }
}

impl<T: ?Sized + fmt::Debug> fmt::Debug for Active<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Active").field(&&**self).finish()
    }
}
