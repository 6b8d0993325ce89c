use std::any::TypeId;
use std::collections::HashSet;
use std::fmt;
use std::ptr;
use std::sync::Arc;
use std::thread;

use parking_lot::Mutex;

use crate::counts::{Counts, Tally};
use crate::error::{DomainError, KindTaken, RemoveError};
use crate::fences::{self, Fences, Strategy};
use crate::garbage::{Garbage, PinnedThread, Waiting};
use crate::participants::{Participants, Pinned};
use crate::tags::Tag;
use crate::version::GENERATION_LAST;

/// Rounds in which a flush, or a removal that helps along, tries to move the epoch on while somebody is in its way. Garbage
/// that nobody holds up is due after three.
const ROUNDS: u32 = 4;

/// Rounds of a flush without progress while nobody is seen to be pinned: a thread that is ending may be in the way, or may be
/// reclaiming, and each thread that has ended may have left an empty bag in the collector's queue, of which a round takes some.
const ROUNDS_UNSEEN: u32 = if cfg!(any(loom, shuttle)) {
    8
} else if cfg!(miri) {
    1 << 8
} else {
    1 << 14
};

/// So many rounds of those pass from one yield to the next.
const ROUNDS_PER_YIELD: u32 = 64;

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
    /// Has an owner of its own, since what is with the collector must not keep the collector.
    waiting: Arc<Waiting>,
    tally: Arc<Tally>,
    tag: Tag,
    fences: Fences,
    generation_last: u32,
    kinds: Mutex<HashSet<TypeId>>,
}

impl Shared {
    fn fmt(&self, name: &str, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct(name).field("tag", &self.tag.value()).field("fences", &self.fences).finish()
    }
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

    /// For tests: a domain whose slots retire after `generations` objects each, so that they can see it happen.
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
        let (waiting, tally, kinds) = (Arc::default(), Arc::default(), Mutex::default());
        let shared = Shared { participants, waiting, tally, tag, fences, generation_last, kinds };
        Ok(Self { shared: Arc::new(shared) })
    }

    /// What has been settled: `Membarrier` or `Fence`.
    pub fn strategy(&self) -> Strategy {
        match self.shared.fences {
            Fences::Asymmetric => Strategy::Membarrier,
            Fences::Symmetric => Strategy::Fence,
        }
    }

    /// Pins the calling thread: until the pin is dropped, the store parts that it can reach are not freed.
    ///
    /// Pins nest, block nobody, and are for short sections: while one lives, no store part that has left since is
    /// reclaimed, in any arena of the domain. Its thread cannot remove meanwhile. [`garbage`](Self::garbage) tells who is pinned
    /// for too long.
    #[inline]
    pub fn pin(&self) -> Pin<'_> {
        Pin { pinned: self.shared.participants.pin(), shared: &self.shared }
    }

    /// Whether the calling thread holds a pin of this domain.
    pub fn is_pinned(&self) -> bool {
        self.shared.participants.is_pinned()
    }

    /// Issues the memory barrier of a removal, alone: what a removal pays at most twice, however many objects leave with it.
    ///
    /// A removal does not issue it where no other thread has entered objects often. It is lent so that its price can be
    /// measured; the caller needs it for nothing.
    ///
    /// ```
    /// let domain = enodev_handles::Domain::new()?;
    /// let start = std::time::Instant::now();
    /// domain.barrier()?;
    /// println!("a removal pays {:?} at most twice", start.elapsed());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`RemoveError::Barrier`], as a removal's.
    pub fn barrier(&self) -> Result<(), RemoveError> {
        match self.shared.fences {
            Fences::Asymmetric => fences::barrier(),
            Fences::Symmetric => {
                fences::full();
                Ok(())
            }
        }
    }

    /// For tests, and for who plans memory: so many objects may wait for an epoch before removals help. One that hands over a
    /// batch while more are waiting moves the epoch on, if nobody is in its way, and drops the store parts of up to 32 batches
    /// that are due.
    pub const GARBAGE_BOUND: usize = if cfg!(miri) { 64 } else { 1024 };

    /// What waits for an epoch, and which threads hold it up.
    ///
    /// Removals never wait for pins, so that a thread that stays pinned makes garbage grow without bound. This names it:
    ///
    /// ```
    /// # use enodev_handles::{Arena, Domain, Kind};
    /// # enum Disk {}
    /// # impl Kind for Disk { const NAME: &'static str = "Disk"; }
    /// let domain = Domain::new()?;
    /// let disks: Arena<Disk, &'static str, ()> = Arena::new(&domain)?;
    /// let sda = disks.insert("sda", ())?;
    ///
    /// let pin = domain.pin();
    /// std::thread::scope(|scope| {
    ///     scope.spawn(|| disks.remove(sda).map(|()| disks.flush()));
    /// });
    /// let garbage = domain.garbage();
    /// assert_eq!(garbage.objects, 1);
    /// assert_eq!(garbage.pinned[0].thread, std::thread::current().id());
    ///
    /// drop(pin);
    /// assert_eq!((disks.flush(), domain.garbage().objects), (0, 0));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// A pin is known to the batch: a thread is named when it has been pinned since before the last batch was handed over, or the
    /// last flush began. A pin that is younger may hold up the last batch too, as epochs go; the next batch or flush shows it.
    /// A thread is also named while it is itself reclaiming. One that has ended is not, unless it has forgotten a pin
    /// (`mem::forget`): that goes on holding garbage up, until the domain is dropped.
    ///
    /// Takes two locks for as long as it takes to look at each thread that uses the domain.
    pub fn garbage(&self) -> Garbage {
        let objects = self.shared.waiting.objects();
        if objects == 0 {
            return Garbage::default();
        }
        let participants = &self.shared.participants;
        let clock = &participants.clock;
        let mut pinned = participants.pinned_before(clock.now(), |note| (note.tick(), note.thread, note.name.clone()));
        pinned.sort_by_key(|(tick, ..)| *tick);
        let named = |(tick, thread, name): (u64, _, Option<Box<str>>)| {
            clock.after(tick).map(|since| PinnedThread { thread, name: name.map(String::from), since })
        };
        Garbage { objects, pinned: pinned.into_iter().filter_map(named).collect() }
    }

    /// Reclaims what can be reclaimed of what has been handed to the collector, by whichever arena and thread, and tells how
    /// many objects are left.
    ///
    /// Nothing is left of what was there at the call if nobody is pinned, the caller included: short pins that come and go are not in
    /// the way, nor are threads that end. While a pin is held, returns soon, with what is left.
    ///
    /// An arena gathers what has left and hands it over in batches; [`Arena::flush`](crate::Arena::flush) hands over the rest
    /// of its own first.
    pub fn flush(&self) -> usize {
        self.advance();
        self.shared.waiting.objects()
    }

    /// What has been counted in all arenas of the domain.
    ///
    /// ```
    /// # use enodev_handles::{Arena, Domain, Kind};
    /// # enum Disk {}
    /// # impl Kind for Disk { const NAME: &'static str = "Disk"; }
    /// let domain = Domain::new()?;
    /// let disks: Arena<Disk, (), ()> = Arena::new(&domain)?;
    /// let sda = disks.insert((), ())?;
    /// disks.remove(sda)?; // nobody is inside, so nothing waits
    /// assert!(disks.enter(sda).is_err());
    /// let counts = domain.counts();
    /// assert_eq!((counts.stale, counts.drains, counts.drains_now), (1, 0, 0));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn counts(&self) -> Counts {
        self.shared.tally.counts()
    }

    pub(crate) fn tally(&self) -> &Arc<Tally> {
        &self.shared.tally
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

    /// Has `reclaim` called when every pin of now is gone, by whichever thread finds that out. It reclaims this many objects.
    ///
    /// Helps along if too much is waiting: a bounded amount of work.
    pub(crate) fn defer(&self, objects: usize, reclaim: impl FnOnce() + Send + 'static) {
        let waiting = &self.shared.waiting;
        waiting.hand_over(objects);
        self.shared.participants.clock.advance();
        let counts = Arc::clone(waiting);
        let pin = self.pin();
        let guard = pin.pinned.guard();
        guard.defer(move || {
            reclaim();
            counts.reclaim(objects);
        });
        // A thread's own bag is invisible to the others until it is flushed.
        guard.flush();
        drop(guard);
        drop(pin);
        let mut rounds = 0..ROUNDS;
        while waiting.objects() > Self::GARBAGE_BOUND && rounds.next().is_some() {
            self.collect();
        }
    }

    /// Lets the epoch advance and runs what has become due, until all is reclaimed that waits now, or a pin that is held
    /// is in the way.
    pub(crate) fn advance(&self) {
        let Shared { participants, waiting, .. } = &*self.shared;
        let due = waiting.handed();
        let (mut held, mut idle) = (0, 0);
        loop {
            let before = waiting.reclaimed();
            if before >= due {
                return;
            }
            // Whoever pins himself from now on is not taken for one who was pinned before.
            let tick = participants.clock.advance();
            self.collect();
            if waiting.reclaimed() != before {
                (held, idle) = (0, 0);
                continue;
            }
            let is_held = !participants.pinned_before(tick, |_| ()).is_empty();
            (held, idle) = (if is_held { held + 1 } else { 0 }, idle + 1);
            if held == ROUNDS || idle == ROUNDS_UNSEEN {
                return;
            }
            if is_held || idle % ROUNDS_PER_YIELD == 0 {
                thread::yield_now();
            }
        }
    }

    /// One step of the epoch, if nobody is in its way, and some of what is due.
    fn collect(&self) {
        self.pin().pinned.guard().flush();
    }
}

impl fmt::Debug for Domain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.shared.fmt("Domain", f)
    }
}

/// Keeps what its thread reads of the store parts from being freed. Made by [`Domain::pin`].
#[must_use = "a pin protects for as long as it lives"]
pub struct Pin<'d> {
    pinned: Pinned,
    /// The domain's, without the detour: look-ups ask for it.
    shared: &'d Shared,
}

impl Pin<'_> {
    /// Lets go of all that was reached so far and pins anew, so that a long walk does not hold up reclamation.
    ///
    /// Has no effect while the thread holds another pin of the domain. Costs next to nothing while no garbage comes.
    #[inline]
    pub fn repin(&mut self) {
        if self.pinned.is_old(&self.shared.participants.clock) {
            self.renew();
        }
    }

    #[cold]
    fn renew(&self) {
        self.pinned.repin(&self.shared.participants.clock);
        // The collector's own `repin` lets a look-up of before it be satisfied after it on weakly ordered machines.
        fences::full();
    }

    /// # Panics
    ///
    /// If the pin is not of `domain`.
    #[inline]
    pub(crate) fn check(&self, domain: &Domain) {
        assert!(ptr::eq(self.shared, &*domain.shared), "a pin of another domain");
    }
}

impl Drop for Pin<'_> {
    #[inline]
    fn drop(&mut self) {
        self.shared.participants.unpin(self.pinned);
    }
}

impl fmt::Debug for Pin<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.shared.fmt("Pin", f)
    }
}
