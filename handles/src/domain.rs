use std::any::TypeId;
use std::collections::HashSet;
use std::fmt;
use std::ptr;
use std::sync::Arc;

use crossbeam_epoch::Guard;
use parking_lot::Mutex;

use crate::error::{DomainError, KindTaken};
use crate::fences::{self, Fences, Strategy};
use crate::participants::{self, Participants};
use crate::tags::Tag;
use crate::version::GENERATION_LAST;

/// What the arenas of one store share: a tag that tells their handles from other stores', an epoch collector of their
/// own, and the way in which removals find out who is inside.
///
/// Clones are the same domain. At most 255 domains are alive at once.
#[derive(Clone)]
pub struct Domain {
    shared: Arc<Shared>,
}

struct Shared {
    participants: Arc<Participants>,
    tag: Tag,
    fences: Fences,
    generation_last: u32,
    kinds: Mutex<HashSet<TypeId>>,
}

impl Drop for Shared {
    fn drop(&mut self) {
        self.participants.clear();
    }
}

impl Domain {
    /// A domain with [`Strategy::Auto`].
    ///
    /// # Errors
    ///
    /// [`DomainError::Tags`] when 255 domains are alive, or so many removals have been made in all that the tags are
    /// used up.
    pub fn new() -> Result<Self, DomainError> {
        Self::with_strategy(Strategy::Auto)
    }

    /// A domain with the strategy of the caller's choice.
    ///
    /// # Errors
    ///
    /// As [`new`](Self::new); [`DomainError::Membarrier`] where it was asked for and is not to be had.
    pub fn with_strategy(strategy: Strategy) -> Result<Self, DomainError> {
        Self::build(strategy, GENERATION_LAST)
    }

    /// A domain whose slots retire after `generations` objects each, for tests that want to see it happen.
    ///
    /// # Errors
    ///
    /// As [`new`](Self::new).
    pub fn with_few_generations(generations: u32) -> Result<Self, DomainError> {
        Self::build(Strategy::Auto, generations)
    }

    fn build(strategy: Strategy, generations: u32) -> Result<Self, DomainError> {
        let fences = Fences::settle(strategy)?;
        let tag = Tag::take()?;
        let generation_last = tag.first().saturating_add(generations.max(1) - 1).min(GENERATION_LAST);
        let participants = Participants::new();
        let shared = Shared { participants, tag, fences, generation_last, kinds: Mutex::default() };
        Ok(Self { shared: Arc::new(shared) })
    }

    /// Pins the calling thread: until the pin is dropped, the store parts that it can reach are not freed.
    ///
    /// Pins nest, block nobody, and are for short sections: while one lives, no store part that has left since is
    /// reclaimed, in any arena of the domain. Its thread cannot remove meanwhile.
    pub fn pin(&self) -> Pin<'_> {
        participants::count_pin();
        Pin { guard: self.shared.participants.pin(), domain: self }
    }

    /// Whether the calling thread holds a pin of this domain.
    pub fn is_pinned(&self) -> bool {
        self.shared.participants.is_pinned()
    }

    pub(crate) fn claim(&self, kind: TypeId) -> Result<(), KindTaken> {
        if self.shared.kinds.lock().insert(kind) { Ok(()) } else { Err(KindTaken) }
    }

    pub(crate) fn tag(&self) -> &Tag {
        &self.shared.tag
    }

    pub(crate) fn fences(&self) -> Fences {
        self.shared.fences
    }

    pub(crate) fn generation_last(&self) -> u32 {
        self.shared.generation_last
    }

    /// Has `reclaim` called when every pin of now is gone, by whichever thread finds that out.
    pub(crate) fn defer(&self, reclaim: impl FnOnce() + Send + 'static) {
        let guard = self.shared.participants.pin();
        guard.defer(reclaim);
        // A thread's own bag is invisible to the others until it is flushed.
        guard.flush();
    }

    /// Lets the epoch advance and runs what has become due.
    pub(crate) fn advance(&self) {
        self.shared.participants.pin().flush();
    }
}

impl fmt::Debug for Domain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Domain").field("tag", &self.tag().value()).field("fences", &self.fences()).finish()
    }
}

/// Keeps what its thread reads of the store parts from being freed. Made by [`Domain::pin`].
#[must_use = "a pin protects for as long as it lives"]
pub struct Pin<'d> {
    guard: Guard,
    domain: &'d Domain,
}

impl Pin<'_> {
    /// Lets go of all that was reached so far and pins anew, so that a long walk does not hold up reclamation.
    ///
    /// Has no effect while the thread holds another pin of the domain.
    pub fn repin(&mut self) {
        self.guard.repin();
        // The collector's own `repin` lets a look-up of before it be satisfied after it on weakly ordered machines.
        fences::full();
    }

    /// # Panics
    ///
    /// If the pin is not of `domain`.
    #[inline]
    pub(crate) fn check(&self, domain: &Domain) {
        assert!(ptr::eq(&*self.domain.shared, &*domain.shared), "a pin of another domain");
    }
}

impl Drop for Pin<'_> {
    fn drop(&mut self) {
        participants::uncount_pin();
    }
}

impl fmt::Debug for Pin<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pin").field("domain", self.domain).finish()
    }
}
