#![expect(unsafe_code, reason = "a value is lent from inside its object")]

use std::fmt;
use std::ptr::NonNull;

use crate::active::Active;
use crate::arena::Arena;
use crate::columns::base::Base;
use crate::columns::error::{InsertError, SetError};
use crate::columns::row::ValueRow;
use crate::error::Stale;
use crate::handle::{Handle, Kind};

/// Further payloads of objects: what a second driver, a filter or a user of an object keeps with it.
///
/// A value belongs to its object like the object's own payload. It is entered through an active reference to the *object*, for which
/// a removal of the object waits. It is dropped by the removal: after the drain, on the remover's thread, before the object's own
/// payload, and never under a pin, under a lock of this crate or by a reclaimer. If values panic as they are dropped, everything
/// else is dropped all the same, and the first panic goes on afterwards.
///
/// A value stays as long as its object: it cannot be taken out, which would need a drain of its own, and another one is refused. What
/// has to be exchanged is an [`Exclusive`](crate::Exclusive), or has a lock of its own.
///
/// Dropping the column drops all values, on the caller's thread. It waits for removals that are dropping values of the column, unless
/// it happens in such a drop; afterwards no code of theirs runs. A removal does not wait for it. This wait is no part of the search
/// for deadlocks: drop a column where you hold nothing that a value's drop may want. The caller should hold no pin of the
/// domain: foreign code would run under that pin, and garbage wait for as long. Nothing worse comes of it.
///
/// ```
/// use enodev_handles::{Arena, Density, Domain, Kind};
///
/// enum Disk {}
/// impl Kind for Disk {
///     const NAME: &'static str = "Disk";
/// }
///
/// let domain = Domain::new()?;
/// let disks: Arena<Disk, &str, ()> = Arena::new(&domain)?;
/// let labels = disks.payload_column::<String>(Density::Sparse);
///
/// let sda = disks.insert("sda", ())?;
/// assert!(labels.enter(&disks, sda)?.is_none());
/// labels.insert(&disks, sda, "backup".into())?;
/// assert_eq!(*labels.enter(&disks, sda)?.unwrap(), "backup");
/// let refused = labels.insert(&disks, sda, "scratch".into()).unwrap_err();
/// assert_eq!(refused.value, "scratch");
///
/// disks.remove(sda)?; // drops the label
/// assert!(labels.enter(&disks, sda).is_err());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct PayloadColumn<K, T: Send + Sync + 'static> {
    pub(crate) base: Base<K, ValueRow<T>>,
}

impl<K: Kind, T: Send + Sync + 'static> PayloadColumn<K, T> {
    /// Gives an object that has none a value.
    ///
    /// Never waits, but for another `insert` of the same row that is in the middle of moving its value.
    ///
    /// # Errors
    ///
    /// The value comes back beside [`SetError::Stale`], also if the arena is not the column's; beside [`SetError::Occupied`] if the
    /// object has a value; beside [`SetError::Full`] where there is no memory for a row.
    pub fn insert<S, P>(&self, arena: &Arena<K, S, P>, handle: Handle<K>, value: T) -> Result<(), InsertError<T>>
    where
        S: Send + Sync + 'static,
        P: Send + Sync + 'static,
    {
        let refuse = |value, reason| Err(InsertError { value, reason });
        let Ok(inside) = self.go_in(arena, handle) else { return refuse(value, SetError::Stale(Stale)) };
        let row = match self.base.rows.seat(handle.index()) {
            Ok(row) => row,
            Err(full) => return refuse(value, SetError::Full(full)),
        };
        // SAFETY: the guard keeps the object until the value is there. So a removal, which waits for the guard, finds it.
        let put = unsafe { row.put(handle.version(), value) };
        drop(inside);
        put.or_else(|value| refuse(value, SetError::Occupied))
    }

    /// Enters an object: until the guard is dropped, its value stays and a removal waits. `None` if it has no value.
    ///
    /// Never waits.
    ///
    /// # Errors
    ///
    /// [`Stale`], also as soon as a removal has begun, and if the arena is not the column's.
    #[inline]
    pub fn enter<'a, S, P>(
        &'a self,
        arena: &'a Arena<K, S, P>,
        handle: Handle<K>,
    ) -> Result<Option<Active<'a, T>>, Stale>
    where
        S: Send + Sync + 'static,
        P: Send + Sync + 'static,
    {
        let inside = self.go_in(arena, handle)?;
        // SAFETY: the guard keeps the object, and the reference does not leave this function.
        let value = self.base.rows.find(handle.index()).and_then(|row| unsafe { row.get(handle.version()) });
        let Some(value) = value.map(NonNull::from) else { return Ok(None) };
        let (_, ticket) = inside.into_parts();
        // SAFETY: the ticket is that of the object, which is alive; a remover drops the value after it has waited for the ticket.
        // The column and the arena drop values too; the guard borrows both.
        Ok(Some(unsafe { Active::new(value, ticket) }))
    }

    #[inline]
    fn go_in<'a, S, P>(&self, arena: &'a Arena<K, S, P>, handle: Handle<K>) -> Result<Active<'a, P>, Stale>
    where
        S: Send + Sync + 'static,
        P: Send + Sync + 'static,
    {
        if self.base.home.is(&arena.slots) { arena.enter(handle) } else { Err(Stale) }
    }

    /// How many bytes the column takes for its rows, without what the values own.
    pub fn memory(&self) -> usize {
        self.base.rows.memory()
    }
}

impl<K: Kind, T: Send + Sync + 'static> fmt::Debug for PayloadColumn<K, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.base.fmt(f)
    }
}
