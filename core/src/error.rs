use enodev_attrs::{DefineError, Errno, InvalidName};
use enodev_handles::{Deadlock, DomainError, Full, RemoveError, Stale};
use thiserror::Error;

/// Why an operation on the store failed. It has left no trace, unless the variant says otherwise.
///
/// Compare by [`errno`](Self::errno) where what a callback returned counts too: it comes as an [`Errno`](Self::Errno),
/// whatever it began as.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Error)]
#[non_exhaustive]
pub enum Error {
    /// `ENODEV` if the object has left or is leaving, or is another store's; otherwise what a callback returned.
    #[error(transparent)]
    Errno(#[from] Errno),
    /// The portable handle is another store's. `ENODEV`.
    #[error("the handle is another store's")]
    Foreign,
    /// The name is not one. `ENAMETOOLONG` or `EINVAL`.
    #[error(transparent)]
    Name(#[from] InvalidName),
    /// The attribute cannot be as it was defined. `EINVAL` or as [`Name`](Self::Name).
    #[error(transparent)]
    Define(#[from] DefineError),
    /// There is something of that name already, perhaps still leaving. `EEXIST`.
    #[error("something of that name exists")]
    Exists,
    /// There is nothing of that name, or the object has not got that group or attribute, or no device answers at that address.
    /// `ENOENT`.
    #[error("there is no such thing")]
    NotFound,
    /// The object has children. `ENOTEMPTY`.
    #[error("the object has children")]
    HasChildren,
    /// What was asked for is of another type: the payload, which is shared where exclusive was asked for or the other way round, or is
    /// not there, or is not what a group is for; a driver's data; the values of an attribute; an object that is no device, or a device on
    /// no bus where it takes one. `EINVAL`.
    #[error("it is of another type")]
    WrongType,
    /// The root cannot be removed. `EPERM`.
    #[error("the root stays")]
    Root,
    /// The caller is inside the object: it would wait for itself. `EDEADLK`.
    #[error("the caller is inside the object")]
    Inside,
    /// Those for whom the caller would wait wait, each or through others, for the caller. Of those who close such a circle one
    /// is told. What was to be removed, an object or a group, is leaving and stays so, and what was to be hidden is hidden; else
    /// nothing has changed. `EDEADLK`.
    #[error("the caller would wait for itself")]
    Deadlock,
    /// The object or the group is leaving, and the caller cannot wait for that: it is inside, or in a payload's drop; or the
    /// removal was given up. `EBUSY`.
    #[error("it is leaving")]
    Leaving,
    /// The barrier that a removal depends on is refused by the system. What was to be removed is leaving and stays so, and what was to be
    /// hidden is hidden. `EPERM`.
    #[error("the system refuses the memory barrier")]
    Barrier,
    /// The device has a driver already: [`Store::bind`](crate::Store::bind). `EBUSY`.
    #[error("the device is bound")]
    Bound,
    /// The device is not bound to that driver. `EINVAL`.
    #[error("the device is not bound to it")]
    NotBound,
    /// The driver does not serve such devices, says the bus. `EINVAL`.
    #[error("the driver does not serve such devices")]
    NoMatch,
    /// The lock that the caller holds is another device's than the parent's: see
    /// [`register_in`](crate::NewDevice::register_in). `EINVAL`.
    #[error("the lock is another device's")]
    NotHeld,
    /// The bus has devices or drivers, or the class devices. `EBUSY`.
    #[error("it is in use")]
    InUse,
    /// The range has no address. `EINVAL`.
    #[error("the range is empty")]
    Range,
    /// A device has some of the addresses, perhaps one that is still leaving. `EBUSY`.
    #[error("the range overlaps another")]
    Overlap,
    /// The index space or the memory is exhausted. `ENOMEM`.
    #[error("the store is full")]
    Full,
    /// The store cannot be made: too many are alive or have been, `EAGAIN`; or the strategy is not to be had, `EOPNOTSUPP`.
    #[error(transparent)]
    Domain(#[from] DomainError),
}

/// What operations on the store return.
pub type Result<T = (), E = Error> = std::result::Result<T, E>;

impl Error {
    /// The number that a system call would return for this.
    pub const fn errno(self) -> Errno {
        match self {
            Self::Errno(errno) => errno,
            Self::Foreign => Errno::ENODEV,
            Self::Name(error) => error.errno(),
            Self::Define(error) => error.errno(),
            Self::Exists => Errno::EEXIST,
            Self::NotFound => Errno::ENOENT,
            Self::HasChildren => Errno::ENOTEMPTY,
            Self::WrongType | Self::NotBound | Self::NoMatch | Self::NotHeld | Self::Range => Errno::EINVAL,
            Self::Root | Self::Barrier => Errno::EPERM,
            Self::Inside | Self::Deadlock => Errno::EDEADLK,
            Self::Leaving | Self::Bound | Self::InUse | Self::Overlap => Errno::EBUSY,
            Self::Full => Errno::ENOMEM,
            Self::Domain(DomainError::Membarrier) => Errno::EOPNOTSUPP,
            Self::Domain(_) => Errno::EAGAIN,
        }
    }
}

impl From<Error> for Errno {
    fn from(error: Error) -> Self {
        error.errno()
    }
}

impl From<Error> for std::io::Error {
    fn from(error: Error) -> Self {
        Self::from_raw_os_error(error.errno().raw())
    }
}

impl From<Stale> for Error {
    fn from(stale: Stale) -> Self {
        Self::Errno(stale.into())
    }
}

impl From<Deadlock> for Error {
    fn from(_: Deadlock) -> Self {
        Self::Deadlock
    }
}

impl From<Full> for Error {
    fn from(_: Full) -> Self {
        Self::Full
    }
}

impl From<RemoveError> for Error {
    fn from(error: RemoveError) -> Self {
        match error {
            RemoveError::Stale(stale) => stale.into(),
            RemoveError::Barrier => Self::Barrier,
            RemoveError::Leaving => Self::Leaving,
            RemoveError::Deadlock => Self::Deadlock,
            // The store gives no pins away, so `Pinned` is not met; it would be a wait for oneself as well.
            _ => Self::Inside,
        }
    }
}
