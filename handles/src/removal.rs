use std::time::Instant;

use crate::arena::Arena;
use crate::domain::Pin;
use crate::error::{RemoveError, Stale};
use crate::fences;
use crate::handle::{Handle, Kind};
use crate::leaving::{Leaving, take_one};
use crate::quiet::{FirstPanic, is_dropping};
use crate::records;
use crate::version::Version;
use crate::waits::Duty;

/// Removing.
impl<K, S, P> Arena<K, S, P>
where
    K: Kind,
    S: Send + Sync + 'static,
    P: Send + Sync + 'static,
{
    /// Removes an object: nobody gets in any more, those inside are waited for, and the payload is handed back.
    ///
    /// Removals that were given up are finished first, if nobody is in their way. If this object's is among them, its payload is
    /// handed back.
    ///
    /// # Errors
    ///
    /// - [`RemoveError::Stale`] if it had left. Where another thread is removing it, this returns when that removal and the
    ///   drop of the payload are over, unless the caller cannot wait: [`RemoveError::Leaving`], see [`join`](Self::join).
    /// - [`RemoveError::Pinned`], [`RemoveError::Inside`]: nothing has changed.
    /// - [`RemoveError::Deadlock`], [`RemoveError::Barrier`]: the object goes on leaving. If this call had begun that, it is given up
    ///   now ([`given_up`](Self::given_up)); if another thread removes the object, that thread goes on.
    ///
    /// # Linux
    ///
    /// `kernfs_remove`, of one node: what is below it is the caller's affair, who can [`leave`](Self::leave) with all of it at once.
    /// The wait of `kernfs_remove` has no deadline and cannot be interrupted; [`Leaving::drain_until`] has one. Called inside the
    /// object, `kernfs_remove` would wait for its caller; here that is [`RemoveError::Inside`]. There, too, a second remover
    /// returns after the first one's drain; here it waits for the drop of the payload as well.
    ///
    /// # Panics
    ///
    /// With the panic of a payload's drop, of a removal that had been given up.
    pub fn remove(&self, handle: Handle<K>) -> Result<P, RemoveError> {
        if self.has_given_up() && !self.domain.is_pinned() {
            if let (_, Some(payload)) = self.reap_but(handle) {
                return Ok(payload);
            }
        }
        if self.is_inside(handle) {
            return Err(if self.is_leaving(handle) { RemoveError::Leaving } else { RemoveError::Inside });
        }
        if self.domain.is_pinned() {
            return Err(RemoveError::Pinned);
        }
        let (slot, remover) = (self.slots.slot(handle.index())?, records::identity());
        if slot.mark(handle.version(), remover) {
            take_one(self, slot, (handle.index(), handle.version()), remover)
        } else {
            Err(self.join_leaving(handle))
        }
    }

    /// Why an object could not be marked; another's removal of it is waited for.
    #[cold]
    fn join_leaving(&self, handle: Handle<K>) -> RemoveError {
        self.join(handle).err().unwrap_or(RemoveError::Stale(Stale))
    }

    /// Begins a removal of several objects, in steps.
    pub fn leave(&self) -> Leaving<'_, K, S, P> {
        Leaving::new(&self.slots, &self.domain)
    }

    /// Whether [`join`](Self::join) would wait for the object, or not have to. Neither may be so any more a moment later.
    ///
    /// False where `join` would fail at once, but for [`RemoveError::Deadlock`], which only waiting shows.
    pub fn may_join(&self, handle: Handle<K>) -> bool {
        !self.domain.is_pinned() && self.may_join_any(handle)
    }

    /// As [`may_join`](Self::may_join), by a caller that lets go of its pins before it joins.
    ///
    /// # Panics
    ///
    /// If the pin is of another domain.
    pub fn may_join_after(&self, pin: &Pin<'_>, handle: Handle<K>) -> bool {
        pin.check(&self.domain);
        self.may_join_any(handle)
    }

    fn may_join_any(&self, handle: Handle<K>) -> bool {
        let Ok(slot) = self.slots.slot(handle.index()) else { return true };
        if !self.is_leaving(handle) {
            return true;
        }
        let word = slot.word();
        Self::may_wait().is_ok() && !word.is_given_up() && word.remover() != records::identity()
    }

    /// Waits until an object that another thread is removing has gone, payload and all. Returns at once if it is not
    /// leaving.
    ///
    /// # Errors
    ///
    /// [`RemoveError::Leaving`] if the caller cannot wait: it is inside an object of any arena, it is dropping a payload for a
    /// removal, it is the one that removes, or the removal was given up. [`RemoveError::Deadlock`] if it would wait for itself,
    /// [`RemoveError::Pinned`] if it holds a pin.
    pub fn join(&self, handle: Handle<K>) -> Result<(), RemoveError> {
        if self.domain.is_pinned() {
            return Err(RemoveError::Pinned);
        }
        if !self.is_leaving(handle) {
            return Ok(());
        }
        Self::may_wait()?;
        let slot = self.slots.slot(handle.index())?;
        self.slots.removals.bell.join(slot.word_ref(), slot.address(), handle.version(), None)
    }

    /// Whoever is inside an object, or dropping a payload, may be waited for by the one that it would wait for.
    fn may_wait() -> Result<(), RemoveError> {
        if is_dropping() || records::is_inside(|_| true) { Err(RemoveError::Leaving) } else { Ok(()) }
    }

    /// Whether there may be removals that were given up.
    pub fn has_given_up(&self) -> bool {
        self.slots.removals.has_given_up()
    }

    /// The removals that were given up, by any thread, each with the objects that were marked together: each becomes the caller's as it is
    /// come upon, and none before that. So nobody who waits for one of them waits for what the caller does with another. What is given up
    /// meanwhile is not among them, and what somebody else takes up is none any more.
    ///
    /// ```
    /// # use enodev_handles::{Arena, Domain, Kind, Label};
    /// # enum Disk {}
    /// # impl Kind for Disk { const NAME: &'static str = "Disk"; }
    /// # let domain = Domain::new()?;
    /// # let disks: Arena<Disk, (), ()> = Arena::new(&domain)?;
    /// # let sda = disks.insert((), ())?;
    /// let request = disks.enter_owned(sda, Label::new("read"))?;
    /// let mut leaving = disks.leave();
    /// leaving.mark(sda)?;
    /// drop(leaving); // nobody is at it any more
    ///
    /// for mut leaving in disks.given_up() {
    ///     let blockers = leaving.blockers();
    ///     assert_eq!(blockers[0].object, sda);
    ///     println!("{}", blockers[0]);
    /// } // dropped, and so given up again
    /// assert_eq!(disks.reap(), 0);
    ///
    /// drop(request);
    /// assert_eq!(disks.reap(), 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn given_up(&self) -> impl Iterator<Item = Leaving<'_, K, S, P>> {
        self.slots.removals.all_given_up().into_iter().filter_map(|object| self.take_up_with(object))
    }

    /// As [`given_up`](Self::given_up), but only the removal that the object is part of, if that was given up: nobody who looks for
    /// another's finds this one gone meanwhile.
    pub fn take_up(&self, handle: Handle<K>) -> Option<Leaving<'_, K, S, P>> {
        self.take_up_with((handle.index(), handle.version()))
    }

    fn take_up_with(&self, object: (u32, Version)) -> Option<Leaving<'_, K, S, P>> {
        let remover = records::identity();
        let take_over = |objects: &[(u32, Version)]| {
            for &(index, version) in objects {
                if let Ok(slot) = self.slots.slot(index) {
                    slot.change(version, |word| Some(word.taken_over(remover)));
                }
            }
        };
        let objects = self.slots.removals.take_given_up_with(object, take_over)?;
        Some(Leaving::of(&self.slots, &self.domain, &objects))
    }

    /// Makes an object leave, and gives its removal up at once: nobody finds it leaving and meets somebody who is at that.
    ///
    /// # Errors
    ///
    /// As [`Leaving::mark`]; the object is as it was.
    pub fn abandon(&self, handle: Handle<K>) -> Result<(), RemoveError> {
        if self.domain.is_pinned() {
            return Err(RemoveError::Pinned);
        }
        let (slot, version) = (self.slots.slot(handle.index())?, handle.version());
        // In one exchange: nobody meets a word that says that somebody is at it, and waits for him.
        let mark = |_: &[_]| version.tag() != 0 && slot.mark_given_up(version, records::identity());
        if !self.slots.removals.give_up(vec![(handle.index(), version)], mark) {
            let error = if self.is_leaving(handle) { RemoveError::Leaving } else { RemoveError::Stale(Stale) };
            return Err(error);
        }
        // Those who sleep inside have to be told.
        fences::full();
        self.slots.removals.bell.marked();
        Ok(())
    }

    /// Whether the removal of an object has begun, and nobody is at it.
    pub fn is_given_up(&self, handle: Handle<K>) -> bool {
        self.slots.removals.is_given_up((handle.index(), handle.version()))
    }

    /// Finishes the removals that were given up and that nobody is in the way of any more: drops their payloads, on the caller's
    /// thread. Waits for nobody. Returns how many objects have gone.
    ///
    /// Does nothing while the caller holds a pin of the domain. An example is at [`given_up`](Self::given_up).
    ///
    /// # Panics
    ///
    /// With the first panic of a payload's drop, after all have been dropped.
    pub fn reap(&self) -> usize {
        if self.domain.is_pinned() {
            return 0;
        }
        self.reap_but(Handle::null()).0
    }

    /// As [`reap`](Self::reap), but the payload of one object is handed back.
    fn reap_but(&self, kept: Handle<K>) -> (usize, Option<P>) {
        let mut panic = FirstPanic::default();
        let (mut gone, mut payload) = (0, None);
        // All of it is begun at once, and one after the other is finished: who waits for one of them waits for what the drops of others do.
        let all: Vec<_> = self.given_up().collect();
        // The first one's last, as it ends first: with its removal, after which another object may have the slot.
        let mut duties: Vec<_> = all.iter().rev().map(|leaving| Duty::begin(leaving.addresses().into_iter())).collect();
        for leaving in all {
            // What is not quiet is given up again, as it is dropped.
            if let Ok(mut quiet) = leaving.drain_until(Instant::now()) {
                gone += quiet.len();
                panic.catch(|| payload = quiet.drop_payloads_but(kept).or(payload.take()));
            }
            drop(duties.pop());
        }
        panic.resume();
        (gone, payload)
    }

    /// Sleeps inside an object until the object begins to leave, `is_over` answers true, or the deadline has come. True in the
    /// first case: then a callback should return soon.
    ///
    /// As long as the object is not leaving, `is_over` is asked: at once, after each [`wake`](Self::wake), and whenever this is woken
    /// for reasons of the arena's own. It runs under a lock, and must not call into the arena. A handle that is stale is one
    /// whose object leaves.
    ///
    /// To sleep is no part of the search for deadlocks: a drain that waits for a sleeper whom nobody wakes is not told.
    ///
    /// ```
    /// # use std::sync::mpsc;
    /// # use enodev_handles::{Arena, Domain, Kind};
    /// # enum Disk {}
    /// # impl Kind for Disk { const NAME: &'static str = "Disk"; }
    /// # let domain = Domain::new()?;
    /// # let disks: Arena<Disk, (), u32> = Arena::new(&domain)?;
    /// # let sda = disks.insert((), 512)?;
    /// std::thread::scope(|scope| {
    ///     let (entered, has_entered) = mpsc::channel();
    ///     let disks = &disks;
    ///     scope.spawn(move || {
    ///         let disk = disks.enter(sda).unwrap();
    ///         entered.send(*disk).unwrap();
    ///         while !disks.is_leaving(sda) {
    ///             // Poll the disk, then rest until somebody calls `wake`, or a removal does.
    ///             disks.sleep(sda, None, || false);
    ///         }
    ///     });
    ///     assert_eq!(has_entered.recv(), Ok(512));
    ///     assert_eq!(disks.remove(sda), Ok(512));
    /// });
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn sleep(&self, handle: Handle<K>, deadline: Option<Instant>, is_over: impl FnMut() -> bool) -> bool {
        let Ok(slot) = self.slots.slot(handle.index()) else { return true };
        self.slots.removals.bell.sleep(slot.word_ref(), handle.version(), deadline, is_over)
    }

    /// Has all who [`sleep`](Self::sleep) in objects of this arena look whether that is over.
    pub fn wake(&self) {
        self.slots.removals.bell.ring();
    }
}
