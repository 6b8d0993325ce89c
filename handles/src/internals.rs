//! What models try by itself, since the whole does not show it to a checker.

use crate::biased::Biased;
use crate::error::RemoveError;
use crate::fences::{self, Fences, membarrier};

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

/// A value whose first thread enters without a fence: who takes it back calls what stands for the system call.
pub fn unfenced<T>(value: T) -> Biased<T> {
    Biased::with_fences(Fences::Asymmetric, value)
}
