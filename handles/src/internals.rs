//! What models try by itself, since the whole does not show it to a checker.

use crate::error::RemoveError;
use crate::fences::{self, membarrier};

/// What stands for the system call, in this execution.
pub fn stand_in(call: impl FnMut() -> bool + Send + 'static) {
    membarrier::stand_in(call);
}

/// A remover's fence and its barrier, which is its own or another's.
///
/// # Errors
///
/// [`RemoveError::Barrier`] where what stands for the system call answers false.
pub fn barrier() -> Result<(), RemoveError> {
    fences::full();
    fences::barrier()
}
