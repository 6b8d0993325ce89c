use std::fmt;

use crate::columns::base::Base;
use crate::columns::error::SetError;
use crate::columns::plain::Plain;
use crate::columns::row::PlainRow;
use crate::columns::shortcut::Shortcut;
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
    pub(crate) shortcut: Box<Shortcut<PlainRow<T::Bytes>>>,
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

    /// The value of an object, `None` if none has been set, as [`get`](Self::get) but without a pin: the fastest way to a single
    /// value.
    ///
    /// In a dense column nothing is written, not even what a pin takes, and a removal hears nothing of it. A sparse one pins inside,
    /// so for several values there `get` under one pin is better. The object was alive when its value had been read, where with
    /// `get` it was so before.
    ///
    /// ```
    /// # use enodev_handles::{Arena, Density, Domain, Kind};
    /// # enum Disk {}
    /// # impl Kind for Disk { const NAME: &'static str = "Disk"; }
    /// # let disks: Arena<Disk, (), ()> = Arena::new(&Domain::new()?)?;
    /// let sectors = disks.column::<u64>(Density::Dense);
    /// let sda = disks.insert((), ())?;
    /// sectors.store(sda, 2048)?;
    /// assert_eq!(sectors.load(sda)?, Some(2048));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Stale`].
    #[inline]
    pub fn load(&self, handle: Handle<K>) -> Result<Option<T>, Stale> {
        if let Some(bytes) = self.shortcut.read(handle, |row| row.read(handle.version())) {
            return Ok(Some(T::from_bytes(bytes)));
        }
        // Taken apart and put together again, so that callers need not test what the fast way has settled.
        match self.load_slowly(handle) {
            Ok(Some(value)) => Ok(Some(value)),
            Ok(None) => Ok(None),
            Err(Stale) => Err(Stale),
        }
    }

    /// As [`load`](Self::load), where there is no value, or no shortcut to it.
    #[cold]
    #[inline(never)]
    fn load_slowly(&self, handle: Handle<K>) -> Result<Option<T>, Stale> {
        if self.base.rows.sparse().is_some() {
            // Seats change their owners, which a pin keeps them from.
            return self.get(&self.base.domain.pin(), handle);
        }
        let (index, version) = (handle.index(), handle.version());
        self.shortcut.note(index);
        let bytes = self.base.rows.find(index).and_then(|row| row.read(version));
        // Afterwards, for the reason that `Shortcut::read` has. Where the row has another stamp it is a later object's, and this
        // finds that too, or the object has no value.
        if !self.base.home.holds(index, version) {
            return Err(Stale);
        }
        Ok(bytes.map(T::from_bytes))
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

    /// Sets the value of an object, as [`set`](Self::set) under a pin of its own.
    ///
    /// # Errors
    ///
    /// As there.
    pub fn store(&self, handle: Handle<K>, value: T) -> Result<(), SetError> {
        // The value's own code, so before the pin.
        let bytes = value.to_bytes();
        let pin = self.base.domain.pin();
        let (version, row) = self.base.seat(&pin, handle)?;
        row.set(version, bytes);
        Ok(())
    }

    /// The value of an object, which becomes `initial` if it has none. As [`load`](Self::load) otherwise, under a pin of its own.
    ///
    /// # Errors
    ///
    /// As [`set`](Self::set).
    pub fn load_or_store(&self, handle: Handle<K>, initial: T) -> Result<T, SetError> {
        // The value's own code runs before and after the pin.
        let mut bytes = initial.to_bytes();
        {
            let pin = self.base.domain.pin();
            let (version, row) = self.base.seat(&pin, handle)?;
            let initial = bytes;
            row.update(version, |set| {
                bytes = set.unwrap_or(initial);
                bytes
            });
        }
        Ok(T::from_bytes(bytes))
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
