use std::fmt;

use crate::columns::base::Base;
use crate::columns::error::SetError;
use crate::columns::plain::Plain;
use crate::columns::row::PlainRow;
use crate::domain::Pin;
use crate::error::Stale;
use crate::handle::{Handle, Kind};

/// Plain data of objects: a value for each, which can be read by copy and set again and again, by any thread.
///
/// A reader never sees parts of two values. Where a value has more than eight bytes, a reader that meets a setter of the same row
/// waits for it, for a few stores; so does a setter. Nobody else waits, and removals for nobody. What a thread did before it set a
/// value is seen by those who read the value.
///
/// A value leaves with its object: as soon as a removal has begun, the handle is stale here too, and the next object in the slot has
/// none. The column may outlive the arena, whose handles are all stale then.
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
/// let sectors = disks.column::<u64>(Density::Dense);
///
/// let sda = disks.insert("sda", ())?;
/// assert_eq!(sectors.get(&domain.pin(), sda)?, None);
/// sectors.set(&domain.pin(), sda, 2048)?;
/// assert_eq!(sectors.get(&domain.pin(), sda)?, Some(2048));
///
/// disks.remove(sda)?;
/// assert!(sectors.get(&domain.pin(), sda).is_err());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Column<K, T: Plain> {
    pub(crate) base: Base<K, PlainRow<T::Bytes>>,
}

impl<K: Kind, T: Plain> Column<K, T> {
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
    pub fn get(&self, pin: &Pin<'_>, handle: Handle<K>) -> Result<Option<T>, Stale> {
        let (version, row) = self.base.look_up(pin, handle)?;
        Ok(row.and_then(|row| row.read(version)).map(T::from_bytes))
    }

    /// Sets the value of an object.
    ///
    /// Of two that set it at once one comes after the other. The object may begin to leave at any moment: then the value leaves with
    /// it.
    ///
    /// # Errors
    ///
    /// [`SetError::Stale`]; [`SetError::Full`] where there is no memory for a row.
    ///
    /// # Panics
    ///
    /// If the pin is of another domain.
    pub fn set(&self, pin: &Pin<'_>, handle: Handle<K>, value: T) -> Result<(), SetError> {
        let bytes = value.to_bytes();
        let (version, row) = self.base.seat(pin, handle)?;
        row.set(version, bytes);
        Ok(())
    }

    /// Sets the value of an object to what `change` makes of the value that it has. No other value comes between.
    ///
    /// `change` runs under the caller's pin and under no lock; it runs again where another thread was faster.
    ///
    /// # Errors
    ///
    /// As [`set`](Self::set).
    ///
    /// # Panics
    ///
    /// If the pin is of another domain.
    pub fn update(
        &self,
        pin: &Pin<'_>,
        handle: Handle<K>,
        mut change: impl FnMut(Option<T>) -> T,
    ) -> Result<(), SetError> {
        let (version, row) = self.base.seat(pin, handle)?;
        row.update(version, |bytes| change(bytes.map(T::from_bytes)).to_bytes());
        Ok(())
    }

    /// How many bytes the column takes for its rows.
    pub fn memory(&self) -> usize {
        self.base.rows.memory()
    }
}

impl<K: Kind, T: Plain> fmt::Debug for Column<K, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.base.fmt(f)
    }
}
