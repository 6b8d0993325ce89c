//! A bus of the baseline.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock, Weak};

use super::node::Node;

/// The devices of one bus, in the order in which they came, and what each says that it is.
///
/// It does not own them. It is a map by number rather than a list, so that a device leaves it at the cost of one look-up, however many
/// there are.
pub struct ArcBus<T> {
    next: AtomicU64,
    devices: RwLock<BTreeMap<u64, Weak<Node<T>>>>,
}

/// Where a device sits on its bus.
pub(super) struct Seat<T> {
    bus: Arc<ArcBus<T>>,
    number: u64,
    pub(super) id: u64,
}

impl<T> ArcBus<T> {
    /// A bus without devices.
    #[must_use]
    pub fn new() -> Arc<Self> {
        Arc::new(Self { next: AtomicU64::new(0), devices: RwLock::new(BTreeMap::new()) })
    }

    pub(super) fn reserve(self: &Arc<Self>, id: u64) -> Seat<T> {
        // Relaxed: a number that nobody else has; the map stands under its lock.
        Seat { bus: Arc::clone(self), number: self.next.fetch_add(1, Ordering::Relaxed), id }
    }

    /// The devices at this moment.
    #[must_use]
    pub fn devices(&self) -> Vec<Weak<Node<T>>> {
        self.devices.read().unwrap_or_else(PoisonError::into_inner).values().cloned().collect()
    }
}

impl<T> Seat<T> {
    pub(super) fn take(&self, device: Weak<Node<T>>) {
        self.bus.devices.write().unwrap_or_else(PoisonError::into_inner).insert(self.number, device);
    }

    pub(super) fn leave(&self) {
        self.bus.devices.write().unwrap_or_else(PoisonError::into_inner).remove(&self.number);
    }
}

impl<T> fmt::Debug for ArcBus<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ArcBus").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::baseline::{ArcStore, Attributes};

    #[test]
    fn devices_are_on_their_bus_until_they_leave() {
        let (store, bus) = (ArcStore::new(), ArcBus::new());
        store.register("/", "card", (), &Attributes::default()).unwrap();
        for (name, id) in [("a", 7), ("b", 8), ("c", 9)] {
            store.register_on(&bus, id, "/card", name, (), &Attributes::default()).unwrap();
        }
        let ids = || bus.devices().iter().map(|device| device.upgrade().unwrap().id().unwrap()).collect::<Vec<_>>();
        assert_eq!(ids(), [7, 8, 9]);
        assert!(store.register_on(&bus, 1, "/card", "a", (), &Attributes::default()).is_err());
        store.unregister("/card/b").unwrap();
        assert_eq!(ids(), [7, 9]);
        store.unregister("/card").unwrap();
        assert!(bus.devices().is_empty());
    }
}
