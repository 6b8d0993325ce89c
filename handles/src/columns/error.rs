use std::fmt;

use thiserror::Error;

use crate::error::{Full, Stale};

/// Why a value has not been set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Error)]
#[non_exhaustive]
pub enum SetError {
    /// The object has left or is leaving, or is none of the column's arena.
    #[error(transparent)]
    Stale(#[from] Stale),
    /// There is no memory for a row.
    #[error("there is no memory for a row")]
    Full(#[from] Full),
    /// The object has a value, and is to have one only.
    #[error("the object has a value")]
    Occupied,
}

/// A value that has not been inserted, and why.
pub struct InsertError<T> {
    /// The value.
    pub value: T,
    /// Why it has been refused.
    pub reason: SetError,
}

impl<T> fmt::Debug for InsertError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("InsertError").field("reason", &self.reason).finish_non_exhaustive()
    }
}

impl<T> fmt::Display for InsertError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.reason.fmt(f)
    }
}

impl<T> std::error::Error for InsertError<T> {}
