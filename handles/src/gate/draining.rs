use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use super::state::State;
use crate::error::CloseError;
use crate::version::Version;

/// The drain of a gate as a future. See [`Gate::drained`](crate::Gate::drained).
///
/// The gate is shut, whether this is polled or not. It fails with [`CloseError::Inside`] where the thread that polls is inside, and
/// with [`CloseError::Barrier`]. Polled again after it was ready, it looks again.
#[must_use = "nothing is waited for until the future is polled"]
pub struct Draining<'a, T> {
    state: &'a State<T>,
    /// The incarnation that is waited for.
    version: Version,
}

impl<'a, T> Draining<'a, T> {
    pub(super) fn new(state: &'a State<T>) -> Self {
        Self { state, version: state.version() }
    }
}

impl<T> Unpin for Draining<'_, T> {}

impl<T> Future for Draining<'_, T> {
    type Output = Result<(), CloseError>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        match this.state.poll(this.version, context.waker()) {
            Ok(true) => Poll::Ready(Ok(())),
            Ok(false) => Poll::Pending,
            Err(error) => Poll::Ready(Err(error)),
        }
    }
}

impl<T> fmt::Debug for Draining<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Draining").field("version", &self.version).finish_non_exhaustive()
    }
}
