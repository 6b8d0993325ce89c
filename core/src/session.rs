use std::fmt;

use enodev_handles::{Stale, Visit};

use crate::error::{Error, Result};
use crate::handle::{AsKobject, KobjectHandle, kind};
use crate::node::Node;
use crate::payload::Body;
use crate::store::Store;

/// A thread's way into the objects of a store, one at a time, for loops: it has looked up once what [`Store::enter`] looks up each
/// time. Made by [`Store::session`].
///
/// It keeps no object; removals wait for its [`Visit`]s only, as for any guard. It stays on its thread.
#[must_use = "a session is made to enter objects with"]
pub struct Session<'a> {
    store: &'a Store,
    visits: enodev_handles::Session<'a, kind::Kobject, Node, Body>,
}

impl Store {
    /// The calling thread's way into the objects, for loops.
    ///
    /// ```
    /// # use enodev::{DeviceType, Store};
    /// # let store = Store::new()?;
    /// # let ty = store.define(DeviceType::shared::<u64>("disk"))?;
    /// # let disks = [store.register(store.root(), "sda", ty, 3)?, store.register(store.root(), "sdb", ty, 4)?];
    /// let mut session = store.session();
    /// let sectors: u64 = disks.iter().filter_map(|disk| Some(*session.enter::<u64>(*disk).ok()?)).sum();
    /// assert_eq!(sectors, 7);
    /// # Ok::<(), enodev::Error>(())
    /// ```
    pub fn session(&self) -> Session<'_> {
        Session { store: self, visits: self.inner.nodes.session() }
    }
}

impl<'a> Session<'a> {
    /// Enters an object whose payload is shared, as [`Store::enter`].
    ///
    /// # Errors
    ///
    /// `ENODEV`; [`Error::WrongType`].
    #[inline]
    pub fn enter<U: ?Sized + 'static>(&mut self, object: impl AsKobject) -> Result<Visit<'_, U>> {
        self.visit(object.kobject())?.try_map(|body| body.payload.shared()).map_err(|_| Error::WrongType)
    }

    #[inline]
    pub(crate) fn visit(&mut self, object: KobjectHandle) -> Result<Visit<'_, Body>, Stale> {
        self.visits.enter(object)
    }

    #[inline]
    pub(crate) fn contains(&self, object: impl AsKobject) -> bool {
        self.store.inner.nodes.contains(object.kobject())
    }

    pub(crate) fn store(&self) -> &'a Store {
        self.store
    }
}

impl fmt::Debug for Session<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session").field("store", self.store).finish_non_exhaustive()
    }
}
