#![expect(unsafe_code, reason = "a removal takes payloads out of their slots")]

use std::any::Any;
use std::cell::Cell;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;
use std::thread;

use crate::arena::retire;
use crate::batch::Batch;
use crate::domain::Domain;
use crate::error::{RemoveError, Stale};
use crate::handle::{Handle, Kind};
use crate::records;
use crate::slots::Slots;
use crate::sync::thread_local;
use crate::waits::Duty;

thread_local! {
    /// How many payloads the calling thread is in the middle of dropping for removals. It must not wait for another thread's
    /// removal meanwhile, which may be waiting for this one.
    static DROPPING: Cell<u32> = const { Cell::new(0) };
}

/// Whether the calling thread is dropping a payload for a removal.
pub(crate) fn is_dropping() -> bool {
    DROPPING.get() != 0
}

/// The calling thread is in the middle of a removal's foreign code.
struct Attending;

impl Attending {
    fn begin() -> Self {
        DROPPING.set(DROPPING.get() + 1);
        Self
    }
}

impl Drop for Attending {
    fn drop(&mut self) {
        DROPPING.set(DROPPING.get() - 1);
    }
}

/// Objects that have been drained: nobody is inside, and nobody will ever be.
///
/// Their payloads are the caller's, one by one, in the order in which the objects were marked. Their store parts can still
/// be read under a pin ([`Arena::get_leaving`](crate::Arena::get_leaving)), and their slots are taken. When this is dropped,
/// the payloads that are left are dropped, on the caller's thread, and then all the slots are given up. If payloads panic as
/// they are dropped, the others are dropped all the same, and the first panic goes on afterwards.
///
/// Forgotten (`mem::forget`), it leaks the payloads that are left and the slots, and who [`join`](crate::Arena::join)s the removal
/// of one of its objects waits for ever.
// INVARIANT: the payloads from `taken` on are initialised and this one's alone.
pub struct Quiet<'a, K, S, P>
where
    K: Kind,
    S: Send + Sync + 'static,
    P: Send + Sync + 'static,
{
    slots: &'a Arc<Slots<S, P>>,
    domain: &'a Domain,
    marked: Batch,
    taken: usize,
    /// Columns have dropped what they held of the objects.
    is_alone: bool,
    /// The thread that is noted as the one that removes.
    remover: u32,
    kind: std::marker::PhantomData<fn() -> K>,
}

impl<'a, K, S, P> Quiet<'a, K, S, P>
where
    K: Kind,
    S: Send + Sync + 'static,
    P: Send + Sync + 'static,
{
    /// # Safety
    ///
    /// The caller removes the objects, which have been drained, and their payloads have not been taken.
    pub(crate) unsafe fn new(slots: &'a Arc<Slots<S, P>>, domain: &'a Domain, marked: Batch, remover: u32) -> Self {
        Self { slots, domain, marked, taken: 0, is_alone: false, remover, kind: std::marker::PhantomData }
    }

    /// The payload of the next object.
    ///
    /// # Panics
    ///
    /// The first call, with the first panic of a drop of what columns hold of the objects
    /// ([`PayloadColumn`](crate::PayloadColumn)): all of that goes before any payload.
    pub fn take(&mut self) -> Option<(Handle<K>, P)> {
        if !self.is_alone {
            let mut panic = FirstPanic::default();
            self.leave_columns(&mut panic);
            panic.resume();
        }
        let (index, version) = self.marked.get(self.taken)?;
        self.adopt();
        let slot = self.slots.slot(index).ok()?;
        self.taken += 1;
        // SAFETY: the object has been marked and drained, so by the protocol of `records` no reference to the payload is
        // left or will be made. By the invariant it is initialised; `taken` has moved past it.
        let payload = unsafe { slot.payload().read() };
        Some((Handle::new(index, version), payload))
    }

    /// The payload, where there is one object.
    #[inline]
    pub(crate) fn take_only(&mut self) -> Result<P, RemoveError> {
        self.take().map(|(_, payload)| payload).ok_or(RemoveError::Stale(Stale))
    }

    /// How many objects were marked. Those whose payloads have been taken count.
    pub fn len(&self) -> usize {
        self.marked.len()
    }

    /// Whether none was marked: then the drain had nothing to do. Not whether all payloads have been taken.
    pub fn is_empty(&self) -> bool {
        self.marked.is_empty()
    }

    /// The objects, in the order in which they were marked.
    pub fn handles(&self) -> impl Iterator<Item = Handle<K>> {
        self.marked.iter().map(|(index, version)| Handle::new(index, version))
    }

    /// The calling thread goes on with the removal: a payload's drop that asks for its own object is not to wait for it.
    fn adopt(&mut self) {
        let caller = records::identity();
        if self.remover != caller {
            self.remover = caller;
            take_over(self.slots, &self.marked, caller);
        }
    }

    /// Drops what columns hold of the objects, once.
    #[inline]
    fn leave_columns(&mut self, panic: &mut FirstPanic) {
        if !self.is_alone {
            self.is_alone = true;
            if self.slots.columns.hear_of_leaving() {
                self.attend(|quiet| quiet.slots.columns.left(quiet.marked.iter(), panic));
            }
        }
    }

    /// Foreign code is about to run that may wait for who waits for this removal.
    fn duty(&self) -> Duty {
        let address = |(index, _)| self.slots.slot(index).ok().map(|slot| slot.address());
        Duty::begin(self.marked.iter().filter_map(address))
    }

    /// Drops what columns hold of the objects, and the payloads that are left. Afterwards their objects' store parts can still be read.
    ///
    /// # Panics
    ///
    /// With the first panic of a drop, after all have been dropped.
    pub fn drop_payloads(&mut self) {
        let mut panic = FirstPanic::default();
        self.leave_columns(&mut panic);
        if std::mem::needs_drop::<P>() {
            self.drop_but(None, &mut panic);
        }
        self.taken = self.marked.len();
        panic.resume();
    }

    /// As [`drop_payloads`](Self::drop_payloads), but for the payload of one object, which is handed back if it is among them.
    ///
    /// # Panics
    ///
    /// As there; that payload is dropped too.
    pub fn drop_payloads_but(&mut self, kept: Handle<K>) -> Option<P> {
        let mut panic = FirstPanic::default();
        self.leave_columns(&mut panic);
        let payload = self.drop_but(Some(kept), &mut panic);
        panic.resume();
        payload
    }

    fn drop_but(&mut self, kept: Option<Handle<K>>, panic: &mut FirstPanic) -> Option<P> {
        self.attend(|quiet| {
            let mut found = None;
            while let Some((object, payload)) = quiet.take() {
                if Some(object) == kept { found = Some(payload) } else { panic.catch(|| drop(payload)) }
            }
            found
        })
    }

    /// Runs foreign code that is part of the removal: callbacks that say farewell to the objects, drops of payloads that have been
    /// [taken](Self::take). Who waits for the removal waits for that too; so what `run` calls never waits for another thread's removal
    /// ([`RemoveError::Leaving`]), and what else it waits for is part of the search for circles.
    pub fn attend<R>(&mut self, run: impl FnOnce(&mut Self) -> R) -> R {
        self.adopt();
        let _duty = self.duty();
        let _attending = Attending::begin();
        run(self)
    }
}

/// Has the words of objects that are leaving say that the thread with the number `remover` is at it.
pub(crate) fn take_over<S, P>(slots: &Slots<S, P>, marked: &Batch, remover: u32) {
    for (index, version) in marked.iter() {
        if let Ok(slot) = slots.slot(index) {
            slot.change(version, |word| Some(word.taken_over(remover)));
        }
    }
    // Who waits for the removal waits for another thread from now on.
    slots.removals.bell.ring();
}

impl<K, S, P> Drop for Quiet<'_, K, S, P>
where
    K: Kind,
    S: Send + Sync + 'static,
    P: Send + Sync + 'static,
{
    fn drop(&mut self) {
        let mut panic = FirstPanic::default();
        if !self.is_alone || self.taken < self.marked.len() {
            panic.catch(|| self.drop_payloads());
        }
        retire(self.slots, self.domain, self.marked.iter());
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
