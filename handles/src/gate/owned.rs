use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

use super::state::State;
use crate::label::Label;
use crate::owned::{Home, Staying, Stays};

/// A pass that can be sent, and that does not borrow its [`Gate`](crate::Gate): for a request that completes on another thread or
/// across an `.await`.
///
/// A closer waits for it like for a [`Pass`](crate::Pass) and names it like one. It costs a lock at either end. Where the gate is
/// dropped first, the value is dropped with the last of these.
///
/// A thread that holds one is not known to be inside: if it closes the gate, it waits for itself, and is not told so.
#[must_use = "the value stays for as long as the pass lives"]
pub struct OwnedPass<T>(Staying<State<T>, T>);

impl<T> Home for State<T> {
    fn stays(&self) -> &Stays {
        self.stays()
    }
}

impl<T> OwnedPass<T> {
    /// # Safety
    ///
    /// The caller is inside.
    pub(super) unsafe fn new(state: Arc<State<T>>, label: Label) -> Self {
        let (value, address) = (state.value(), state.address());
        // SAFETY: the caller's promise; the value is the one of the gate with this address.
        Self(unsafe { Staying::new(state, value, address, label) })
    }
}

impl<T> Deref for OwnedPass<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

impl<T: fmt::Debug> fmt::Debug for OwnedPass<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("OwnedPass").field(&**self).finish()
    }
}
