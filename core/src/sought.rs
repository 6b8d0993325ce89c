//! Drivers that are to be asked about a device as somebody lets go of a lock.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::thread;

use enodev_attrs::contain::contain;

use crate::bury::keep_first;
use crate::error::Error;
use crate::handle::{DriverHandle, KobjectHandle, device};
use crate::payload::Body;
use crate::scope::Held;
use crate::store::Store;
use crate::sync::Mutex;
use crate::sync::atomic::{AtomicUsize, Ordering};

/// What could not be asked, as who has a lock is the one who meant to ask, or waits for him.
///
/// Who has the lock comes upon it as he lets go of that: what was noted, was so before he could.
#[derive(Debug, Default)]
pub(crate) struct Sought {
    list: Mutex<Vec<Wanted>>,
    /// How many these are. Changed under the lock.
    count: AtomicUsize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Wanted {
    /// Whose lock it is.
    lock: KobjectHandle,
    device: KobjectHandle,
    /// None where the device is to go through all drivers, if it still seeks one.
    driver: Option<DriverHandle>,
}

impl Sought {
    fn is_any(&self) -> bool {
        // Relaxed: who waited for the noter has been woken by him since, or is himself.
        self.count.load(Ordering::Relaxed) != 0
    }

    fn change<R>(&self, change: impl FnOnce(&mut Vec<Wanted>) -> R) -> R {
        let mut list = self.list.lock();
        let result = change(&mut list);
        // Relaxed: as in `is_any`.
        self.count.store(list.len(), Ordering::Relaxed);
        result
    }

    fn note(&self, wanted: Wanted) {
        self.change(|list| {
            if !list.contains(&wanted) {
                list.push(wanted);
            }
        });
    }

    fn take(&self, lock: KobjectHandle) -> Vec<Wanted> {
        self.change(|list| {
            let (taken, left) = list.iter().partition(|wanted| wanted.lock == lock);
            *list = left;
            taken
        })
    }

    /// The device is about to go through all drivers that there are.
    pub(crate) fn forget(&self, device: KobjectHandle) {
        if self.is_any() {
            self.change(|list| list.retain(|wanted| wanted.device != device));
        }
    }
}

/// Whoever lets go of a lock: has drivers asked, as this is dropped, for which nobody could wait. To be dropped after the lock, inside
/// nothing.
pub(crate) struct LetGo<'a> {
    store: &'a Store,
    lock: KobjectHandle,
}

impl<'a> LetGo<'a> {
    pub(crate) fn new(store: &'a Store, lock: KobjectHandle) -> Self {
        Self { store, lock }
    }
}

impl Drop for LetGo<'_> {
    fn drop(&mut self) {
        if self.store.inner.sought.is_any() {
            self.store.go_on_seeking(self.lock);
        }
    }
}

impl Store {
    #[cold]
    fn go_on_seeking(&self, lock: KobjectHandle) {
        let mut panic = None;
        // All at once: who asks for one takes the lock, too, and is not to come upon the others as he lets go of that, one within the other.
        for wanted in self.inner.sought.take(lock) {
            let ask = || match wanted.driver {
                Some(driver) => self.offer(device(wanted.device), driver),
                None => self.seek_drivers(wanted.device),
            };
            if let Err(first) = catch_unwind(AssertUnwindSafe(ask)) {
                keep_first(&mut panic, first);
            }
        }
        match panic {
            Some(panic) if !thread::panicking() => resume_unwind(panic),
            // This is part of another panic's unwinding, and must not abort the process. What the panic carries is foreign.
            Some(panic) => drop(contain(|| drop(panic))),
            None => {}
        }
    }

    /// Has a device go through the drivers of its bus that has been announced, if nobody has had it do so since.
    pub(crate) fn seek_drivers(&self, object: KobjectHandle) {
        let Some((_parent, held)) = self.hold_to_ask(object, None) else { return };
        // Who had the lock before may have gone through the drivers for it.
        let is_seeking = |body: &Body| body.part.as_ref().is_some_and(|part| part.is_seeking());
        if self.inner.nodes.enter(object).is_ok_and(|body| is_seeking(&body)) {
            let _ = self.find_driver(&held, object, Vec::new());
        }
    }

    /// The locks with which a driver is asked about a device. Where one cannot be waited for, that is left to who has it.
    pub(crate) fn hold_to_ask(
        &self,
        object: KobjectHandle,
        driver: Option<DriverHandle>,
    ) -> Option<(Option<Held<'_>>, Held<'_>)> {
        let hold = |lock| match self.hold(lock) {
            Ok(held) => Some(held),
            Err(Error::Inside | Error::Deadlock) => {
                self.inner.sought.note(Wanted { lock, device: object, driver });
                None
            }
            Err(_) => None,
        };
        let parent = match self.parent_to_hold(object).ok()? {
            Some(parent) => hold(parent)?,
            None => None,
        };
        Some((parent, hold(object)??))
    }
}
