//! Seeing a tree in which objects are moved, without a lock.

use enodev_handles::Pin;

use crate::store::Inner;
use crate::sync::atomic::{AtomicU64, Ordering};
use crate::sync::hint;

/// So often a look that a move has come in between of is begun anew, before it shuts moves out.
const TRIES: usize = if cfg!(any(loom, shuttle)) { 2 } else { 8 };

/// Counts changes of place: odd while one is under way. Registrations and removals are none.
///
/// Whoever looks at several places, or at a place and at entries, does so between two looks at the count. If the two are alike and even,
/// say `n`, nothing was met but the places after the change that ended with `n`:
///
/// - All that this and earlier changes wrote is seen, as the first look's Acquire pairs with the Release at the end of the change.
/// - Nothing that a later change wrote is seen: who sees such a thing has taken a lock, or read a flag (`Node::place`), after the
///   changer did so and after it made the count odd. Then the second look sees that.
///
/// It has a cache line of its own, which moves alone write to.
#[derive(Debug, Default)]
#[repr(align(64))]
pub(crate) struct Moves(AtomicU64);

impl Moves {
    /// Changes places. The caller shuts out other moves.
    pub(crate) fn change(&self, change: impl FnOnce()) {
        // Relaxed: who writes shuts out others who do. Should a change ever unwind, the count stays odd until the next: then
        // readers take the lock.
        let odd = self.0.load(Ordering::Relaxed) | 1;
        // Relaxed: pairs with `is_still`; the locks and flags by which the change is seen carry it along.
        self.0.store(odd, Ordering::Relaxed);
        change();
        // Release: pairs with the Acquire of `begin`, which sees the change whole.
        self.0.store(odd + 1, Ordering::Release);
    }

    /// The count, if nothing is being moved.
    pub(crate) fn begin(&self) -> Option<u64> {
        // Acquire: pairs with the Release of `change`.
        let count = self.0.load(Ordering::Acquire);
        (count % 2 == 0).then_some(count)
    }

    /// Has `look` find something while nothing is being moved, whatever the caller holds; it may run several times. After some of these it
    /// has to do what it found last: for text alone.
    pub(crate) fn mostly_settled(&self, mut look: impl FnMut()) {
        for _ in 0..TRIES {
            let count = self.begin();
            look();
            if count.is_some_and(|count| self.is_still(count)) {
                return;
            }
        }
    }

    /// Whether nothing has been moved since `begin`.
    fn is_still(&self, count: u64) -> bool {
        // Relaxed: pairs with the odd count of `change`. What has been seen of a change was seen with Acquire, so this load comes
        // after it and finds the odd count, or a later one.
        self.0.load(Ordering::Relaxed) == count
    }
}

impl Inner {
    /// What `look` finds while nothing is being moved. It may run several times. The caller neither moves anything nor shuts moves out.
    pub(crate) fn settled<R>(&self, look: impl Fn(&Pin<'_>) -> R) -> R {
        let pin = self.domain.pin();
        for _ in 0..TRIES {
            if let Some(count) = self.moves.begin() {
                let found = look(&pin);
                if self.moves.is_still(count) {
                    return found;
                }
            }
            hint::spin_loop();
        }
        let _still = self.topology.still();
        look(&pin)
    }
}
