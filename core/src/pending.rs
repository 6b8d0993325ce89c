//! What a callback has begun and its thread ends as the callback returns.

use std::cell::{Cell, RefCell};

use crate::error::{Error, Result};
use crate::handle::{BindingHandle, DeviceHandle};
use crate::revoke::Revoked;
use crate::store::{Inner, Later, Store};
use crate::sync::thread_local;

thread_local! {
    /// Whether there is anything of the following.
    static PENDING: Cell<bool> = const { Cell::new(false) };
    /// Why a removal could not be finished as the callback returned that had begun it.
    static UNFINISHED: Cell<Option<Error>> = const { Cell::new(None) };
    /// Devices that are to be unbound, and whose bindings the thread was inside of.
    static UNBINDINGS: RefCell<PutOff> = const { RefCell::new(PutOff(Vec::new())) };
    /// Attributes that are not shown any more, and which the thread was inside of.
    static REVOKED: RefCell<Vec<(Later, Revoked)>> = const { RefCell::new(Vec::new()) };
}

/// Unbindings, which are left to the next removal where the thread comes to its end before it leaves what it is inside of.
struct PutOff(Vec<(Later, DeviceHandle, BindingHandle)>);

impl Drop for PutOff {
    fn drop(&mut self) {
        for (later, device, binding) in self.0.drain(..) {
            let inner = later.lock().upgrade();
            if let Some(inner) = inner {
                inner.leftovers.note(device, binding);
            }
        }
    }
}

/// What stays put off is given back as this is dropped, also where foreign code that ran in between has panicked.
struct Kept<T> {
    kept: Vec<T>,
    give_back: fn(&mut Vec<T>),
}

impl<T> Kept<T> {
    fn new(give_back: fn(&mut Vec<T>)) -> Self {
        Self { kept: Vec::new(), give_back }
    }
}

impl<T> Drop for Kept<T> {
    fn drop(&mut self) {
        if !self.kept.is_empty() {
            PENDING.set(true);
            // If the thread's memory of it is gone, it was gone before, and there is nothing to keep.
            (self.give_back)(&mut self.kept);
        }
    }
}

/// Notes that a removal which the calling thread had put off could not be finished.
pub(crate) fn unfinished(error: Error) {
    UNFINISHED.set(Some(error));
    PENDING.set(true);
}

/// To be called before an attribute is entered. What could not be finished before that, as a guard was let go of, is none of that
/// operation's business.
#[inline]
pub(crate) fn begin() {
    if PENDING.get() {
        UNFINISHED.set(None);
    }
}

/// Has the removal of attributes finished as the calling thread leaves the last of them. Where that thread is at its end and cannot
/// remember it, it comes back.
pub(crate) fn put_off(inner: &Inner, revoked: Revoked) -> Result<(), Revoked> {
    let mut revoked = Some(revoked);
    let noted = REVOKED.try_with(|all| {
        let revoked = revoked.take().map(|revoked| (Later::clone(&inner.later), revoked));
        all.borrow_mut().extend(revoked);
        PENDING.set(true);
    });
    match (noted, revoked) {
        (Err(_), Some(revoked)) => Err(revoked),
        _ => Ok(()),
    }
}

/// Ends what the calling thread has put off and can end now, having left an attribute. Says so if it could not.
#[inline]
pub(crate) fn settle() -> Result {
    if PENDING.get() { settle_all() } else { Ok(()) }
}

#[cold]
fn settle_all() -> Result {
    // Whatever runs in here may put off something itself.
    let mut revoked_later = Kept::new(|kept| _ = REVOKED.try_with(|all| all.borrow_mut().append(kept)));
    let next = || REVOKED.try_with(|all| all.borrow_mut().pop()).ok().flatten();
    while let Some((later, revoked)) = next() {
        // Where the store has gone, so have the objects.
        let Some(inner) = later.lock().upgrade() else { continue };
        if inner.is_inside(&revoked) {
            revoked_later.kept.push((later, revoked));
        } else if let Err(error) = inner.finish_revoked(&revoked) {
            UNFINISHED.set(Some(error));
        }
    }
    settle_unbindings();
    PENDING.set(UNBINDINGS.try_with(|all| !all.borrow().0.is_empty()).unwrap_or(false));
    drop(revoked_later);
    UNFINISHED.take().map_or(Ok(()), Err)
}

/// Has a device unbound as the calling thread leaves what its driver keeps of it. Where that thread is at its end, it is left to the next
/// removal.
pub(crate) fn put_off_unbinding(inner: &Inner, device: DeviceHandle, binding: BindingHandle) {
    let noted = UNBINDINGS.try_with(|all| all.borrow_mut().0.push((Later::clone(&inner.later), device, binding)));
    match noted {
        Ok(()) => PENDING.set(true),
        Err(_) => inner.leftovers.note(device, binding),
    }
}

/// Unbinds what the calling thread has put off and can unbind now.
#[inline]
pub(crate) fn settle_unbindings() {
    if PENDING.get() {
        settle_all_unbindings();
    }
}

#[cold]
fn settle_all_unbindings() {
    let mut later_still = Kept::new(|kept| _ = UNBINDINGS.try_with(|all| all.borrow_mut().0.append(kept)));
    let next = || UNBINDINGS.try_with(|all| all.borrow_mut().0.pop()).ok().flatten();
    while let Some((later, device, binding)) = next() {
        let Some(store) = Store::again(&later) else { continue };
        if store.inner.bindings.is_inside(binding) {
            later_still.kept.push((later, device, binding));
        } else {
            match store.end_binding(device, binding) {
                // Another thread is at it by now.
                Ok(_) | Err(Error::Leaving) => {}
                // It still has the payload, in an attribute that is about to return.
                Err(Error::Inside) => later_still.kept.push((later, device, binding)),
                Err(error) => {
                    store.inner.leftovers.note(device, binding);
                    unfinished(error);
                }
            }
        }
    }
}
