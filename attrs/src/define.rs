//! What can be wrong with a definition.

use thiserror::Error;

use crate::{Errno, InvalidName, Mode};

/// Why an attribute, or a [`Group`](crate::Group) of them, cannot be as it was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Error)]
#[non_exhaustive]
pub enum DefineError {
    /// The name is not one.
    #[error(transparent)]
    Name(#[from] InvalidName),
    /// The mode lets somebody read, and there is no callback to read with.
    #[error("mode {0} promises reading, and nothing can be read")]
    Unreadable(Mode),
    /// The mode lets somebody write, and there is no callback to write with.
    #[error("mode {0} promises writing, and nothing can be written")]
    Unwritable(Mode),
    /// The mode is given to an attribute, and there is none.
    #[error("mode {0} is given to no attribute")]
    NoAttribute(Mode),
    /// The mode lets somebody execute, which no attribute can keep.
    #[error("mode {0} promises execution, and an attribute is no program")]
    Executable(Mode),
    /// The attribute of this index, counted from 0, has the name of one before it.
    #[error("attribute {0} has the name of one before it")]
    Twice(usize),
}

impl DefineError {
    /// That of the [`InvalidName`]; `EEXIST` for [`Twice`](Self::Twice); else `EINVAL`.
    pub const fn errno(self) -> Errno {
        match self {
            DefineError::Name(invalid) => invalid.errno(),
            DefineError::Twice(_) => Errno::EEXIST,
            DefineError::NoAttribute(_)
            | DefineError::Unreadable(_)
            | DefineError::Unwritable(_)
            | DefineError::Executable(_) => Errno::EINVAL,
        }
    }
}

impl From<DefineError> for Errno {
    fn from(error: DefineError) -> Errno {
        error.errno()
    }
}
