//! What all columns are: rows for the objects of one arena.

#![expect(unsafe_code, reason = "values are dropped when nobody can reach them any more")]

use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;

use crate::arena::Arena;
use crate::columns::Density;
use crate::columns::error::SetError;
use crate::columns::home::Home;
use crate::columns::list::{Rows, Wants};
use crate::columns::row::Row;
use crate::columns::table::Table;
use crate::domain::{Domain, Pin};
use crate::error::Stale;
use crate::handle::{Handle, Kind};
use crate::quiet::FirstPanic;
use crate::version::Version;

pub(crate) struct Base<K, R: Row> {
    pub(crate) home: Home,
    pub(crate) domain: Domain,
    pub(crate) rows: Arc<Table<R>>,
    /// What the arena calls the column, if it has to be told anything.
    id: Option<u64>,
    kind: PhantomData<fn() -> K>,
}

impl<K: Kind, R: Row> Base<K, R> {
    pub(crate) fn new<S, P>(arena: &Arena<K, S, P>, density: Density) -> Self
    where
        S: Send + Sync + 'static,
        P: Send + Sync + 'static,
    {
        let home = Home::new(&arena.slots);
        let rows = Arc::new(Table::new(density));
        let wants = Wants { leaving: R::HAS_DROP, reclaiming: density == Density::Sparse };
        let attach = || home.columns().attach(Arc::<Table<R>>::clone(&rows), wants);
        let id = (wants.leaving || wants.reclaiming).then(attach);
        Self { home, domain: arena.domain().clone(), rows, id, kind: PhantomData }
    }

    /// The version of a handle whose object is alive, and its row, where it has one.
    #[inline]
    pub(crate) fn look_up(&self, pin: &Pin<'_>, handle: Handle<K>) -> Result<(Version, Option<&R>), Stale> {
        pin.check(&self.domain);
        let (index, version) = (handle.index(), handle.version());
        if !self.home.holds(index, version) {
            return Err(Stale);
        }
        Ok((version, self.rows.find(index)))
    }

    /// The version of a handle whose object is alive, and its row.
    #[inline]
    pub(crate) fn seat(&self, pin: &Pin<'_>, handle: Handle<K>) -> Result<(Version, &R), SetError> {
        let (version, row) = self.look_up(pin, handle)?;
        let row = match row {
            Some(row) => row,
            None => self.rows.seat(handle.index())?,
        };
        Ok((version, row))
    }
}

impl<K, R: Row> Drop for Base<K, R> {
    fn drop(&mut self) {
        let Some(id) = self.id else { return };
        self.home.columns().detach(id);
        if R::HAS_DROP {
            let mut panic = FirstPanic::default();
            // SAFETY: references to values borrow the column.
            self.rows.for_each(|row| unsafe { row.discard(None, &mut panic) });
            panic.resume();
        }
    }
}

impl<K: Kind, R: Row> fmt::Debug for Base<K, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let is_dense = self.rows.sparse().is_none();
        f.debug_struct("Column").field("of", &K::NAME).field("dense", &is_dense).finish_non_exhaustive()
    }
}

impl<R: Row> Rows for Table<R> {
    fn left(&self, objects: &[(u32, Version)], panic: &mut FirstPanic) {
        for (index, version) in objects {
            if let Some(row) = self.find(*index) {
                // SAFETY: a value with drop glue is reached from inside its object only, which has been drained.
                unsafe { row.discard(Some(*version), panic) };
            }
        }
    }

    fn reclaimed(&self, index: u32) {
        Table::reclaimed(self, index);
    }

    fn cleared(&self, panic: &mut FirstPanic) {
        // SAFETY: a value with drop glue is reached through a guard that borrows the arena, which is going.
        self.for_each(|row| unsafe { row.discard(None, panic) });
    }
}
