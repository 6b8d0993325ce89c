//! The order of devices' locks: parents before children.

use std::cell::RefCell;
use std::panic::Location;

use enodev_handles::Lock;

use crate::handle::KobjectHandle;
use crate::store::Store;
use crate::sync::thread_local;

thread_local! {
    /// The locks of devices that the thread has. Places of calls are kept for as long as their callers run.
    static HELD: RefCell<Vec<Taken>> = const { RefCell::new(Vec::new()) };
}

#[derive(Clone, Copy)]
struct Taken {
    store: usize,
    device: KobjectHandle,
    at: &'static Location<'static>,
}

/// The calling thread's turn with a device: it has the lock until this is dropped, or where it could not have it without waiting for
/// itself, it goes without.
#[derive(Debug)]
pub(crate) struct Turn {
    of: Option<(usize, KobjectHandle)>,
    /// Dropped last.
    _lock: Option<Lock>,
    not_send: std::marker::PhantomData<*const ()>,
}

impl Turn {
    #[track_caller]
    pub(crate) fn begin(store: &Store, device: KobjectHandle, lock: Lock) -> Self {
        let (store, at) = (id(store), Location::caller());
        let noted = HELD.try_with(|held| held.borrow_mut().push(Taken { store, device, at }));
        Self { of: noted.is_ok().then_some((store, device)), _lock: Some(lock), not_send: std::marker::PhantomData }
    }

    /// Where nobody else can come.
    pub(crate) fn without_lock() -> Self {
        Self { of: None, _lock: None, not_send: std::marker::PhantomData }
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        let Some((store, device)) = self.of else { return };
        // At the thread's end there is nothing to be noted any more.
        let _ = HELD.try_with(|held| {
            let mut held = held.borrow_mut();
            let at = held.iter().rposition(|taken| taken.store == store && taken.device == device);
            at.map(|at| held.swap_remove(at));
        });
    }
}

/// Whether the calling thread has the lock of this device.
pub(crate) fn is_held(store: &Store, device: KobjectHandle) -> bool {
    let store = id(store);
    HELD.try_with(|held| held.borrow().iter().any(|taken| taken.store == store && taken.device == device))
        .unwrap_or(false)
}

/// Whether the order is looked at, and the calling thread has a lock.
pub(crate) fn is_any_held() -> bool {
    cfg!(debug_assertions) && HELD.try_with(|held| !held.borrow().is_empty()).unwrap_or(false)
}

/// Says where the calling thread has taken the lock of a descendant, as it is about to wait for this one. Nothing in release builds,
/// where a circle is found as it closes.
#[track_caller]
pub(crate) fn check(store: &Store, device: KobjectHandle) {
    let taken = HELD.try_with(|held| held.borrow().clone()).unwrap_or_default();
    let below = taken.into_iter().find(|taken| taken.store == id(store) && store.is_above(device, taken.device));
    if let Some(below) = below {
        out_of_order(device, below);
    }
}

#[track_caller]
#[expect(clippy::panic, reason = "what a debug build is asked to say; see the docs of the operations")]
fn out_of_order(device: KobjectHandle, below: Taken) {
    let Taken { device: held, at, .. } = below;
    panic!(
        "the lock of {device:?} is wanted at {}, and that of {held:?}, which is below, was taken at {at}",
        Location::caller()
    );
}

fn id(store: &Store) -> usize {
    std::sync::Arc::as_ptr(&store.inner).addr()
}
