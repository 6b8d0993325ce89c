use std::ops::{Deref, DerefMut};

use crate::handle::KobjectHandle;
use crate::store::Store;

/// What a callback gets for the length of one operation: the payload, to which it dereferences, and where it is.
#[derive(Debug)]
pub struct Context<'a, P> {
    pub(crate) payload: P,
    pub(crate) store: &'a Store,
    pub(crate) object: KobjectHandle,
}

impl<'a, P> Context<'a, P> {
    /// The store that the object is in.
    pub fn store(&self) -> &'a Store {
        self.store
    }

    /// The object.
    pub fn object(&self) -> KobjectHandle {
        self.object
    }
}

impl<P: Deref> Deref for Context<'_, P> {
    type Target = P::Target;

    fn deref(&self) -> &P::Target {
        &self.payload
    }
}

impl<P: DerefMut> DerefMut for Context<'_, P> {
    fn deref_mut(&mut self) -> &mut P::Target {
        &mut self.payload
    }
}
