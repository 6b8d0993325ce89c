//! Keeps a panic of somebody else's code from spreading.

use std::cell::Cell;
use std::mem;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Runs `callback`; `None` means that it panicked.
///
/// What the panic carried is dropped in here: it may be the driver's own type, whose code may be
/// unmapped once the operation is over. If that drop panics too, what the second panic carries is
/// leaked. Nobody will follow a pointer to it, while a further drop may panic again, without end.
///
/// The asserted unwind safety is the caller's to keep: what `callback` shares with the caller must be
/// usable after any half of it has run.
#[inline]
pub fn contain<T>(callback: impl FnOnce() -> T) -> Option<T> {
    match catch_unwind(AssertUnwindSafe(callback)) {
        Ok(value) => Some(value),
        Err(carried) => {
            if let Err(again) = catch_unwind(AssertUnwindSafe(|| drop(carried))) {
                mem::forget(again);
            }
            None
        }
    }
}

thread_local! {
    /// Callbacks of attributes and groups that have panicked on this thread, and of which nobody has asked.
    static PANICS: Cell<u32> = const { Cell::new(0) };
}

/// Notes that a callback of an attribute or of a group has panicked.
#[cold]
pub(crate) fn note() {
    PANICS.set(PANICS.get().saturating_add(1));
}

/// How many callbacks of attributes and groups have panicked on the calling thread since this was last asked.
pub fn take_panics() -> u32 {
    PANICS.take()
}

#[cfg(test)]
mod tests {
    use std::panic::panic_any;
    use std::sync::Arc;

    use super::*;

    /// Panics when dropped, and carries another of itself, for ever.
    struct Spiteful(Arc<()>);

    impl Drop for Spiteful {
        fn drop(&mut self) {
            panic_any(Spiteful(Arc::clone(&self.0)));
        }
    }

    #[test]
    fn a_value_goes_through() {
        assert_eq!(contain(|| 7), Some(7));
    }

    #[test]
    fn what_a_panic_carried_is_dropped_inside() {
        let carried = Arc::new(());
        let inner = Arc::clone(&carried);
        assert_eq!(contain(|| panic_any(inner)), None::<()>);
        assert_eq!(Arc::strong_count(&carried), 1);
    }

    #[test]
    fn a_drop_that_panics_without_end_is_cut_short() {
        let carried = Arc::new(());
        let inner = Spiteful(Arc::clone(&carried));
        assert_eq!(contain(|| panic_any(inner)), None::<()>);
        // The first was dropped, the second leaked.
        assert_eq!(Arc::strong_count(&carried), 2);
    }
}
