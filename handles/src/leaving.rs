#![expect(unsafe_code, reason = "a removal says that its objects have been drained")]

use std::fmt;
use std::future::Future;
use std::marker::PhantomData;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Instant;

use crate::arena::Arena;
use crate::batch::Batch;
use crate::blocker::Blocker;
use crate::cells::Occupant;
use crate::counts::Waiting;
use crate::domain::Domain;
use crate::drain::{Looked, Marked, Seen};
use crate::error::{RemoveError, Stale};
use crate::fences;
use crate::handle::{Handle, Kind};
use crate::quiet::{Quiet, take_over};
use crate::records;
use crate::slots::{Slot, Slots};
use crate::version::Version;
use crate::waits::Duty;

/// Objects that are being removed together: first all are marked, then those inside are waited for, once.
///
/// A marked object is stale for all; what has begun is not undone. Any thread can go on with it: wait, look whether it
/// is over, await it. Dropped before that, this neither waits nor frees: the objects go on leaving, and
/// [`Arena::given_up`](crate::Arena::given_up), [`Arena::reap`](crate::Arena::reap), the next
/// [`Arena::remove`](crate::Arena::remove) or the arena's drop finishes them. Forgotten (`mem::forget`), it leaks their payloads,
/// and who waits for one of them waits for ever.
///
/// A callback can remove its own object, with [`defer`](Self::defer):
///
/// ```
/// use enodev_handles::{Arena, Domain, Kind};
///
/// enum Disk {}
/// impl Kind for Disk {
///     const NAME: &'static str = "Disk";
/// }
///
/// fn eject(disks: &Arena<Disk, (), String>, disk: enodev_handles::Handle<Disk>) -> Result<(), Box<dyn std::error::Error>> {
///     let label = disks.enter(disk)?;
///     let mut leaving = disks.leave();
///     leaving.mark(disk)?;
///     leaving.defer(|quiet| drop(quiet));
///     assert!(disks.enter(disk).is_err()); // for all, from now on
///     assert_eq!(*label, "backup"); // it stays until this returns
///     Ok(())
/// }
///
/// let disks = Arena::new(&Domain::new()?)?;
/// let sda = disks.insert((), String::from("backup"))?;
/// eject(&disks, sda)?;
/// assert!(disks.is_empty());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use = "marked objects stay leaving until they are drained"]
pub struct Leaving<'a, K, S: 'static, P> {
    slots: &'a Arc<Slots<S, P>>,
    domain: &'a Domain,
    marked: Batch,
    /// The thread that is noted as the one that removes.
    remover: u32,
    seen: Vec<Seen>,
    kind: PhantomData<fn() -> K>,
}

type Finished<'a, K, S, P> = Result<Quiet<'a, K, S, P>, (Leaving<'a, K, S, P>, RemoveError)>;

impl<'a, K, S, P> Leaving<'a, K, S, P>
where
    K: Kind,
    S: Send + Sync + 'static,
    P: Send + Sync + 'static,
{
    pub(crate) fn new(slots: &'a Arc<Slots<S, P>>, domain: &'a Domain) -> Self {
        let remover = records::identity();
        Self { slots, domain, marked: Batch::default(), remover, seen: Vec::new(), kind: PhantomData }
    }

    /// A removal of objects that are marked as this thread's.
    pub(crate) fn of(slots: &'a Arc<Slots<S, P>>, domain: &'a Domain, objects: &[(u32, Version)]) -> Self {
        let mut this = Self::new(slots, domain);
        this.marked.extend(objects.iter().copied());
        this
    }

    /// Makes an object leave: from now on nobody gets in.
    ///
    /// The caller may be inside it; then it cannot drain it, but [`defer`](Self::defer) that.
    ///
    /// # Errors
    ///
    /// [`RemoveError::Stale`]; [`RemoveError::Leaving`] if it is being removed, or that has been given up;
    /// [`RemoveError::Pinned`]. In all of them the object is as it was.
    pub fn mark(&mut self, handle: Handle<K>) -> Result<(), RemoveError> {
        if self.domain.is_pinned() {
            return Err(RemoveError::Pinned);
        }
        self.mark_any(handle)
    }

    /// As [`mark`](Self::mark), by a caller that has found out under this pin what is to be marked, and lets go of it before it goes
    /// on: as long as it does not, all else fails with [`RemoveError::Pinned`].
    ///
    /// # Errors
    ///
    /// As `mark`, but for [`RemoveError::Pinned`].
    ///
    /// # Panics
    ///
    /// If the pin is of another domain.
    pub fn mark_under(&mut self, pin: &crate::domain::Pin<'_>, handle: Handle<K>) -> Result<(), RemoveError> {
        pin.check(self.domain);
        self.mark_any(handle)
    }

    fn mark_any(&mut self, handle: Handle<K>) -> Result<(), RemoveError> {
        let (index, version) = (handle.index(), handle.version());
        let slot = self.slots.slot(index)?;
        if version.tag() == 0 || !slot.mark(version, self.remover) {
            // A forged handle without a tag is not that of a slot which was never used.
            let is_same = version.tag() != 0 && slot.version() == version.leaving();
            return Err(if is_same { RemoveError::Leaving } else { RemoveError::Stale(Stale) });
        }
        self.slots.removals.bell.marked();
        self.marked.push((index, version));
        Ok(())
    }

    /// As [`Arena::join`](crate::Arena::join), where these objects are not to go on before that: for a parent whose child another
    /// thread removes. Who waits for these waits for that removal, too.
    ///
    /// # Errors
    ///
    /// As `Arena::join`.
    pub fn join(&self, arena: &Arena<K, S, P>, handle: Handle<K>) -> Result<(), RemoveError> {
        let _duty = Duty::begin(self.addresses().into_iter());
        arena.join(handle)
    }

    /// How many objects are marked.
    pub fn len(&self) -> usize {
        self.marked.len()
    }

    /// Whether none is marked.
    pub fn is_empty(&self) -> bool {
        self.marked.is_empty()
    }

    /// The objects, in the order in which they were marked.
    pub fn handles(&self) -> impl Iterator<Item = Handle<K>> {
        self.marked.iter().map(|(index, version)| Handle::new(index, version))
    }

    /// Whether the calling thread is inside one of the marked objects: then it cannot drain them, but [`defer`](Self::defer) that.
    pub fn is_inside(&self) -> bool {
        // Most often there is nothing that the thread is inside of, and this is not asked.
        let is_marked = |address, index| self.slots.slot(index).is_ok_and(|slot| slot.address() == address);
        records::is_inside(|address| self.marked.iter().any(|(index, _)| is_marked(address, index)))
    }

    /// Waits until nobody is inside any of the marked objects.
    ///
    /// # Errors
    ///
    /// This value comes back beside the error, and the objects go on leaving. [`RemoveError::Pinned`] and
    /// [`RemoveError::Inside`] if that is what the caller is; [`RemoveError::Deadlock`]; [`RemoveError::Barrier`].
    pub fn drain(self) -> Finished<'a, K, S, P> {
        self.finish(None)
    }

    /// As [`drain`](Self::drain), until the deadline at the latest; one that has passed only looks.
    ///
    /// # Errors
    ///
    /// As `drain`, and [`RemoveError::TimedOut`]: [`blockers`](Self::blockers) tells who is inside.
    ///
    /// ```
    /// # use std::time::Instant;
    /// # use enodev_handles::{Arena, Domain, Kind, Label, RemoveError};
    /// # enum Disk {}
    /// # impl Kind for Disk { const NAME: &'static str = "Disk"; }
    /// # let domain = Domain::new()?;
    /// # let disks: Arena<Disk, (), ()> = Arena::new(&domain)?;
    /// # let sda = disks.insert((), ())?;
    /// let request = disks.enter_owned(sda, Label::new("read"))?;
    ///
    /// let mut leaving = disks.leave();
    /// leaving.mark(sda)?;
    /// let (mut leaving, error) = leaving.drain_until(Instant::now()).unwrap_err();
    /// assert_eq!(error, RemoveError::TimedOut);
    /// let blockers = leaving.blockers();
    /// assert_eq!((blockers[0].object, blockers[0].label.text()), (sda, "read"));
    ///
    /// drop(request);
    /// let mut quiet = leaving.drain().map_err(|(_, error)| error)?;
    /// assert_eq!(quiet.take(), Some((sda, ())));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn drain_until(self, deadline: Instant) -> Finished<'a, K, S, P> {
        self.finish(Some(deadline))
    }

    /// Whether nobody is inside any of the marked objects any more: whether [`drain`](Self::drain) would not wait.
    ///
    /// # Errors
    ///
    /// [`RemoveError::Barrier`].
    pub fn is_quiet(&mut self) -> Result<bool, RemoveError> {
        let slots = self.slots;
        self.with_marked(|marked, seen| {
            let inside = marked.occupants()?;
            // Whoever asks again and again until it is so drains, too: those who sleep inside have to be told.
            slots.removals.bell.marked();
            crate::drain::note(seen, &inside);
            Ok(inside.is_empty() && marked.stays.wait(marked.addresses, Some(Instant::now())))
        })
    }

    /// Waits until nobody is inside, without keeping a thread.
    ///
    /// The future gives what [`drain`](Self::drain) gives, but for [`RemoveError::Deadlock`]: no thread waits. It may be dropped at any
    /// time, which is as dropping this.
    pub fn drained(self) -> Drained<'a, K, S, P> {
        Drained { leaving: Some(self), waiting: None }
    }

    /// Who is inside the marked objects, as far as drains have seen: with what label, which thread, since when.
    ///
    /// Looks anew; what has been seen before keeps its time.
    pub fn blockers(&mut self) -> Vec<Blocker<K>> {
        let slots = self.slots;
        self.with_marked(|marked, seen| {
            if let Ok(inside) = marked.visitors() {
                slots.removals.bell.marked();
                crate::drain::note(seen, &inside);
            }
        });
        Blocker::of(self.slots, &self.marked, &self.seen)
    }

    /// Goes on with the removal as the calling thread leaves the last of the objects: it drains them in the drop of its last guard
    /// of one of them, and calls `finish`, on this thread, with what [`drain`](Self::drain) gives. So a callback may remove its own
    /// object: when it has returned, all is gone. Where the thread is in none of the objects, that is at once, before this returns.
    ///
    /// Either drain has no deadline, and waits for [`Owned`](crate::Owned) references too, also for those that the same thread holds.
    /// What cannot be drained comes to `finish` as an error: the thread holds a pin as it leaves, would wait for itself, or the system
    /// refuses the barrier. Dropped there, the removal is given up (see [`Leaving`]).
    ///
    /// `finish` is dropped uncalled, and the removal given up, if the thread ends before it leaves, or is so near its end that its
    /// thread-local destructors run; and where the arena has come to its end first, a guard having been forgotten.
    ///
    /// # Panics
    ///
    /// With a panic of `finish`, or of a payload's drop: out of the guard's drop, where the removal was put off. If that drop is part
    /// of the unwinding of the callback, a panic that `finish` does not catch aborts the process; payloads' drops in a [`Quiet`]
    /// do not.
    ///
    /// # Linux
    ///
    /// `kernfs_remove_self`. There one of several callers is told that it is the one, and the others wait for the end of its whole
    /// operation; here [`mark`](Self::mark) tells the others [`RemoveError::Leaving`] at once, and they may return.
    /// `kernfs_break_active_protection` goes another way: the caller gives its own reference up for the rest of the operation, and
    /// must not touch what that protected any more. Here the guard stays good until it is dropped.
    pub fn defer(self, finish: impl FnOnce(Result<Quiet<'_, K, S, P>, (Leaving<'_, K, S, P>, RemoveError)>) + 'static) {
        let addresses = self.addresses();
        if !is_inside(&addresses) {
            finish(self.drain());
            return;
        }
        let this = std::mem::ManuallyDrop::new(self);
        let marked: Vec<_> = this.marked.iter().collect();
        let (slots, domain) = (Arc::clone(this.slots), this.domain.clone());
        // SAFETY: `this` is not dropped, and the batch is not used again.
        drop(unsafe { std::ptr::read(&this.marked) });
        // SAFETY: as above.
        drop(unsafe { std::ptr::read(&this.seen) });
        slots.removals.defer(marked.clone());
        // Those who sleep inside are told now: the caller may wait for them before it leaves.
        fences::full();
        slots.removals.bell.marked();
        let objects = Deferred { slots, domain, marked, kind: PhantomData::<fn() -> K> };
        records::defer(addresses, Box::new(move || objects.run(finish)));
    }

    pub(crate) fn addresses(&self) -> Vec<usize> {
        let address = |(index, _)| self.slots.slot(index).ok().map(|slot| slot.address());
        let mut addresses: Vec<usize> = self.marked.iter().filter_map(address).collect();
        // This one is quick where much is in order, as it is with objects that came together.
        addresses.sort();
        addresses
    }

    fn with_marked<R>(&mut self, run: impl FnOnce(&Marked<'_>, &mut Vec<Seen>) -> R) -> R {
        let one;
        let many;
        let addresses = match (self.marked.get(0), self.marked.len()) {
            (Some((index, _)), 1) => {
                one = self.slots.slot(index).map_or(0, |slot| slot.address());
                std::slice::from_ref(&one)
            }
            _ => {
                many = self.addresses();
                &many
            }
        };
        run(&look_at(self.slots, addresses), &mut self.seen)
    }

    fn finish(mut self, deadline: Option<Instant>) -> Finished<'a, K, S, P> {
        if let Err(error) = self.check().and_then(|()| {
            let slots = self.slots;
            self.with_marked(|marked, seen| {
                if is_inside(marked.addresses) {
                    return Err(RemoveError::Inside);
                }
                marked.drain(deadline, |inside| crate::drain::note(seen, inside), || slots.removals.bell.marked())
            })
        }) {
            return Err((self, error));
        }
        Ok(self.into_quiet())
    }

    /// As [`drain`](Self::drain), where the caller has looked and found somebody.
    fn wait(mut self, inside: Vec<Occupant>) -> Finished<'a, K, S, P> {
        match self.with_marked(|marked, seen| marked.wait(inside, None, |inside| crate::drain::note(seen, inside))) {
            Ok(()) => Ok(self.into_quiet()),
            Err(error) => Err((self, error)),
        }
    }

    /// The calling thread is to go on with the removal.
    fn check(&mut self) -> Result<(), RemoveError> {
        if self.domain.is_pinned() {
            return Err(RemoveError::Pinned);
        }
        if self.remover != records::identity() {
            self.take_over();
        }
        Ok(())
    }

    /// The calling thread is the one that removes from now on.
    pub(crate) fn take_over(&mut self) {
        self.remover = records::identity();
        take_over(self.slots, &self.marked, self.remover);
    }

    /// The objects have been drained.
    fn into_quiet(mut self) -> Quiet<'a, K, S, P> {
        let marked = std::mem::take(&mut self.marked);
        // SAFETY: the caller has drained them; nothing is left in `self`.
        unsafe { Quiet::new(self.slots, self.domain, marked, self.remover) }
    }
}

/// Goes on with the removal of one object that the caller has marked, with the number `remover`. It is not inside, nor pinned.
///
/// Where nobody is in the way, this is all there is to a removal: so it makes no [`Leaving`] until somebody is.
#[inline]
pub(crate) fn take_one<K, S, P>(
    arena: &Arena<K, S, P>,
    slot: &Slot<S, P>,
    object: (u32, Version),
    remover: u32,
) -> Result<P, RemoveError>
where
    K: Kind,
    S: Send + Sync + 'static,
    P: Send + Sync + 'static,
{
    let (slots, domain) = (&arena.slots, &arena.domain);
    let addresses = [slot.address()];
    let marked = look_at(slots, &addresses);
    match marked.look(|| slots.removals.bell.marked()) {
        Ok(None) => {
            // SAFETY: the object has been marked by the caller, and then nobody was inside.
            let mut quiet: Quiet<'_, K, S, P> = unsafe { Quiet::new(slots, domain, Batch::one(object), remover) };
            quiet.take_only()
        }
        looked => wait_for_one(Leaving::<K, S, P>::of(slots, domain, &[object]), looked),
    }
}

/// The rest of it. What fails is given up as it is dropped.
#[cold]
fn wait_for_one<K, S, P>(leaving: Leaving<'_, K, S, P>, looked: Looked) -> Result<P, RemoveError>
where
    K: Kind,
    S: Send + Sync + 'static,
    P: Send + Sync + 'static,
{
    leaving.wait(looked?.unwrap_or_default()).map_err(|(_, error)| error)?.take_only()
}

fn look_at<'a, S, P>(slots: &'a Slots<S, P>, addresses: &'a [usize]) -> Marked<'a> {
    Marked { addresses, fences: slots.fences, stays: &slots.stays, tally: Some(&slots.tally) }
}

fn is_inside(addresses: &[usize]) -> bool {
    records::is_inside(|address| addresses.binary_search(&address).is_ok())
}

/// A removal that goes on when its thread has left.
struct Deferred<K, S: 'static, P> {
    slots: Arc<Slots<S, P>>,
    domain: Domain,
    marked: Vec<(u32, Version)>,
    kind: PhantomData<fn() -> K>,
}

impl<K, S, P> Deferred<K, S, P>
where
    K: Kind,
    S: Send + Sync + 'static,
    P: Send + Sync + 'static,
{
    fn run(self, finish: impl FnOnce(Result<Quiet<'_, K, S, P>, (Leaving<'_, K, S, P>, RemoveError)>)) {
        // Guards that were forgotten may have been given up since, or the arena with them.
        if self.slots.removals.undefer(&self.marked) {
            finish(Leaving::of(&self.slots, &self.domain, &self.marked).drain());
        }
    }
}

impl<K, S: 'static, P> Drop for Deferred<K, S, P> {
    /// Where it has not run, its thread has ended before it could.
    fn drop(&mut self) {
        if self.slots.removals.undefer(&self.marked) {
            give_up(&self.slots, std::mem::take(&mut self.marked));
        }
    }
}

impl<K, S, P> Drop for Leaving<'_, K, S, P> {
    fn drop(&mut self) {
        if !self.marked.is_empty() {
            give_up(self.slots, self.marked.iter().collect());
        }
    }
}

/// Leaves the removal of objects that were marked together to whoever takes it up.
pub(crate) fn give_up<S, P>(slots: &Slots<S, P>, objects: Vec<(u32, Version)>) {
    let mut awaited = false;
    slots.removals.give_up(objects, |objects| {
        for &(index, version) in objects {
            if let Ok(slot) = slots.slot(index) {
                let before = slot.change(version, |word| Some(word.given_up()));
                awaited |= before.is_some_and(|word| word.is_awaited());
            }
        }
        true
    });
    // Those who sleep inside have to be told, too.
    fences::full();
    slots.removals.bell.marked();
    if awaited {
        slots.removals.bell.ring();
    }
}

impl<K, S, P> fmt::Debug for Leaving<'_, K, S, P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Leaving").field("marked", &self.marked.len()).finish_non_exhaustive()
    }
}

/// A drain as a future. See [`Leaving::drained`].
///
/// The objects are leaving, whether it is polled or not. Polled again after it was ready, it is pending for ever.
///
/// Where it is dropped while it waits, its waker is kept, and called, until somebody leaves.
#[must_use = "nothing is waited for until the future is polled"]
pub struct Drained<'a, K, S: 'static, P> {
    leaving: Option<Leaving<'a, K, S, P>>,
    /// From the first poll that has found somebody.
    waiting: Option<Waiting<'a>>,
}

impl<K, S, P> Unpin for Drained<'_, K, S, P> {}

impl<'a, K, S, P> Future for Drained<'a, K, S, P>
where
    K: Kind,
    S: Send + Sync + 'static,
    P: Send + Sync + 'static,
{
    type Output = Finished<'a, K, S, P>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        let Some(mut leaving) = this.leaving.take() else { return Poll::Pending };
        let looked = leaving.check().and_then(|()| {
            let slots = leaving.slots;
            leaving.with_marked(|marked, seen| {
                if is_inside(marked.addresses) {
                    return Err(RemoveError::Inside);
                }
                let quiet = marked.poll(context.waker(), |inside| crate::drain::note(seen, inside));
                slots.removals.bell.marked();
                quiet
            })
        });
        if !matches!(looked, Ok(false)) {
            this.waiting = None;
        }
        match looked {
            Ok(true) => Poll::Ready(Ok(leaving.into_quiet())),
            Err(error) => Poll::Ready(Err((leaving, error))),
            Ok(false) => {
                if this.waiting.is_none() {
                    this.waiting = leaving.slots.tally.begin(None);
                }
                this.leaving = Some(leaving);
                Poll::Pending
            }
        }
    }
}

impl<K, S, P> fmt::Debug for Drained<'_, K, S, P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Drained").field(&self.leaving).finish()
    }
}
