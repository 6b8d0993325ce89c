//! A user's map beside two stores, with keys of both.

use std::collections::BTreeSet;

use slotmap::SecondaryMap;

use crate::object::ThingHandle;

/// A map of the library whose keys handles are. The keys of two stores share its index space, so that one may take the place of
/// another; but none ever has another's value.
#[derive(Debug, Default)]
pub(crate) struct Names {
    /// Each value is its key.
    map: SecondaryMap<ThingHandle, u64>,
    put: BTreeSet<u64>,
}

impl Names {
    /// Gives a handle its value.
    pub(crate) fn put(&mut self, handle: ThingHandle) {
        if self.put.insert(handle.to_bits()) {
            self.map.insert(handle, handle.to_bits());
        }
    }

    /// Takes the value of a handle away.
    pub(crate) fn take(&mut self, handle: ThingHandle) -> Option<u64> {
        self.put.remove(&handle.to_bits());
        self.map.remove(handle)
    }

    /// The value of a handle, and whether it had one that was lost to another handle.
    pub(crate) fn get(&self, handle: ThingHandle) -> (Option<u64>, bool) {
        let value = self.map.get(handle).copied();
        (value, value.is_none() && self.put.contains(&handle.to_bits()))
    }
}
