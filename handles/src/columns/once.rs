#![expect(unsafe_code, reason = "a value is lent under a pin")]

use std::fmt;

use crate::columns::base::Base;
use crate::columns::error::SetError;
use crate::columns::row::ValueRow;
use crate::domain::Pin;
use crate::error::Stale;
use crate::handle::{Handle, Kind};

/// Values that are set once for an object, and read where they are.
///
/// Their type has no drop glue, and they are never dropped: the next object in the slot has its own in their place, once no
/// pin is left under which the former one can be seen. To be set again and again, a value can be an atomic.
///
/// As in a [`Column`](crate::Column), values leave with their objects, and nobody waits for anybody.
///
/// ```
/// use std::sync::atomic::{AtomicU32, Ordering};
///
/// use enodev_handles::{Arena, Density, Domain, Kind, SetError};
///
/// enum Disk {}
/// impl Kind for Disk {
///     const NAME: &'static str = "Disk";
/// }
///
/// let domain = Domain::new()?;
/// let disks: Arena<Disk, &str, ()> = Arena::new(&domain)?;
/// let faults = disks.once_column::<AtomicU32>(Density::Sparse);
///
/// let sda = disks.insert("sda", ())?;
/// let pin = domain.pin();
/// faults.set(&pin, sda, AtomicU32::new(0))?;
/// assert!(matches!(faults.set(&pin, sda, AtomicU32::new(9)), Err(SetError::Occupied)));
/// faults.get(&pin, sda)?.unwrap().fetch_add(1, Ordering::Relaxed);
/// assert_eq!(faults.get(&pin, sda)?.unwrap().load(Ordering::Relaxed), 1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// A type with drop glue does not compile:
///
/// ```compile_fail
/// # use enodev_handles::{Arena, Density, Domain, Kind};
/// # enum Disk {}
/// # impl Kind for Disk {
/// #     const NAME: &'static str = "Disk";
/// # }
/// # let disks: Arena<Disk, (), ()> = Arena::new(&Domain::new().unwrap()).unwrap();
/// let names = disks.once_column::<String>(Density::Dense);
/// ```
pub struct OnceColumn<K, T: Send + Sync + 'static> {
    pub(crate) base: Base<K, ValueRow<T>>,
}

impl<K: Kind, T: Send + Sync + 'static> OnceColumn<K, T> {
    /// The value of an object, `None` if none has been set.
    ///
    /// # Errors
    ///
    /// [`Stale`].
    ///
    /// # Panics
    ///
    /// If the pin is of another domain.
    #[inline]
    pub fn get<'a>(&'a self, pin: &'a Pin<'_>, handle: Handle<K>) -> Result<Option<&'a T>, Stale> {
        let (version, row) = self.base.look_up(pin, handle)?;
        // SAFETY: the object has just been seen alive under the pin, which outlives the reference.
        Ok(row.and_then(|row| unsafe { row.get(version) }))
    }

    /// Sets the value of an object that has none.
    ///
    /// # Errors
    ///
    /// [`SetError::Stale`]; [`SetError::Occupied`] if the object has a value; [`SetError::Full`] where there is no memory for a row.
    ///
    /// # Panics
    ///
    /// If the pin is of another domain.
    pub fn set(&self, pin: &Pin<'_>, handle: Handle<K>, value: T) -> Result<(), SetError> {
        let (version, row) = self.base.seat(pin, handle)?;
        // SAFETY: the object has just been seen alive under the pin, which stays meanwhile.
        unsafe { row.put(version, value) }.map_err(|_| SetError::Occupied)
    }

    /// How many bytes the column takes for its rows.
    pub fn memory(&self) -> usize {
        self.base.rows.memory()
    }
}

impl<K: Kind, T: Send + Sync + 'static> fmt::Debug for OnceColumn<K, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.base.fmt(f)
    }
}
