//! What is told to `tracing` (feature `tracing`): registrations and removals, those that were refused, removals that wait and for whom, and
//! callbacks that panicked. Without the feature all of this is nothing.
//!
//! A subscriber is foreign code. It is called under no pin and under no lock of the store, and inside no object but those that the caller
//! of the operation is inside of; a panic of an attribute's callback is told while the file is in use through which it was called. The
//! places that are told to `tracing` are this module's own, in functions that are not generic: `tracing` keeps pointers to them, and a
//! generic function may be compiled into a module that is unloaded.

use crate::error::Result;
use crate::handle::KobjectHandle;
use crate::store::Store;
use crate::unregister::{Drained, Leaving, Removal};

type Finished<'a> = Result<Drained<'a>>;

#[cfg(not(feature = "tracing"))]
mod quiet {
    use super::*;

    /// A removal.
    #[derive(Debug)]
    pub(crate) struct Removing;

    impl Removing {
        #[inline]
        pub(crate) fn begin(_: &Store, _: KobjectHandle) -> Self {
            Self
        }

        #[inline]
        pub(crate) fn refused<T>(self, _: &Result<T>) {}

        #[inline]
        pub(crate) fn over(self, _: &Result<Removal>) {}
    }

    /// Waits until nobody is inside.
    #[inline]
    pub(crate) fn drain(leaving: Leaving<'_>) -> Finished<'_> {
        leaving.drain().map_err(|(_, error)| error.into())
    }

    impl Store {
        #[inline]
        pub(crate) fn trace_registered(&self, _: KobjectHandle, _: Result<KobjectHandle>) {}

        #[inline]
        pub(crate) fn trace_panics(&self, _: KobjectHandle) {}

        #[inline]
        pub(crate) fn trace_panic(&self) {}
    }
}

#[cfg(feature = "tracing")]
mod told {
    use std::time::Instant;

    use enodev_attrs::contain::take_panics;
    use enodev_handles::RemoveError;
    use tracing::span::EnteredSpan;
    use tracing::{Level, debug, debug_span, enabled, warn};

    use super::*;

    /// A removal: a span, which is left last of all.
    #[derive(Debug)]
    pub(crate) struct Removing(EnteredSpan);

    impl Removing {
        pub(crate) fn begin(store: &Store, object: KobjectHandle) -> Self {
            let path = if enabled!(Level::DEBUG) { store.path_of(object).unwrap_or_default() } else { String::new() };
            Self(debug_span!("unregister", ?object, path).entered())
        }

        /// Of a removal of one object.
        pub(crate) fn refused<T>(self, answer: &Result<T>) {
            self.tell(answer.as_ref().map(|_| Removal::Done(1)).map_err(|error| *error));
        }

        pub(crate) fn over(self, answer: &Result<Removal>) {
            self.tell(*answer);
        }

        fn tell(self, answer: Result<Removal>) {
            match answer {
                Ok(Removal::Done(objects)) => debug!(objects, "unregistered"),
                Ok(Removal::Begun(objects)) => debug!(objects, "leaving"),
                Err(error) => debug!(%error, "refused"),
            }
            drop(self.0);
        }
    }

    /// Waits until nobody is inside, and says for whom if it has to.
    pub(crate) fn drain(leaving: Leaving<'_>) -> Finished<'_> {
        let gave_up = |(_, error): (Leaving<'_>, RemoveError)| error.into();
        if !enabled!(Level::DEBUG) {
            return leaving.drain().map_err(gave_up);
        }
        let start = Instant::now();
        let mut leaving = match leaving.drain_until(start) {
            Ok(quiet) => return Ok(quiet),
            Err((leaving, RemoveError::TimedOut)) => leaving,
            Err(failed) => return Err(gave_up(failed)),
        };
        for blocker in leaving.blockers() {
            let thread = blocker.name.as_deref().unwrap_or("?");
            debug!(object = ?blocker.object, label = blocker.label.text(), thread, "waits");
        }
        let drained = leaving.drain().map_err(gave_up);
        debug!(waited = ?start.elapsed(), "has waited");
        drained
    }

    impl Store {
        /// An object has come into the directory `parent`, or not.
        pub(crate) fn trace_registered(&self, parent: KobjectHandle, answer: Result<KobjectHandle>) {
            self.trace_panics(parent);
            if !enabled!(Level::DEBUG) {
                return;
            }
            match answer {
                Ok(object) => debug!(?object, path = self.path_of(object).unwrap_or_default(), "registered"),
                Err(error) => debug!(?parent, %error, "refused"),
            }
        }

        /// To be called when an operation is over that runs callbacks of attributes or groups.
        pub(crate) fn trace_panics(&self, object: KobjectHandle) {
            if take_panics() != 0 {
                warn!(?object, path = self.path_of(object).unwrap_or_default(), "an attribute's callback panicked");
            }
        }

        /// A callback has panicked that is no attribute's.
        pub(crate) fn trace_panic(&self) {
            warn!("a callback panicked");
        }
    }
}

#[cfg(not(feature = "tracing"))]
pub(crate) use quiet::{Removing, drain};
#[cfg(feature = "tracing")]
pub(crate) use told::{Removing, drain};
