//! The seam between the storm and a store.

use enodev::Errno;

use super::plan::Place;
use crate::LoadError;

/// Why a store could not do its part: the path, and the cause.
#[derive(Debug, thiserror::Error)]
#[error("{path}: {cause}")]
pub struct SideError {
    /// Where.
    pub path: String,
    /// What the store said.
    pub cause: String,
}

impl From<LoadError> for SideError {
    fn from(error: LoadError) -> Self {
        Self { path: error.path, cause: error.cause.to_string() }
    }
}

/// A store in a storm.
pub(super) trait Side: Sync {
    /// What a reader keeps between two reads: a handle, or an open file.
    type Target;
    /// What a reader reads into.
    type Buffer: Default;

    /// Resolves a place by its path: to a handle, or to an open file. `None` where it is not there at the moment.
    fn open(&self, place: &Place, as_file: bool) -> Option<Self::Target>;

    /// Reads through what is kept. The slice is what came.
    fn read<'b>(&self, target: &Self::Target, buffer: &'b mut Self::Buffer) -> Result<&'b [u8], Errno>;

    /// Takes a unit out, returns when the store says that it is out.
    fn unplug(&self, unit: usize) -> Result<(), SideError>;

    /// Puts a unit that was taken out in again, as another incarnation.
    fn replug(&self, unit: usize, incarnation: u64) -> Result<(), SideError>;

    /// How many payloads of the last incarnation of a unit are alive.
    fn alive(&self, unit: usize) -> usize;
}
