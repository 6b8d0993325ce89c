use std::iter;
use std::mem;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::slice;
use std::sync::Arc;
use std::task::Waker;
use std::time::Instant;

use enodev_attrs::Errno;
use enodev_handles::{Pin, Stale};

use crate::bury::{Spots, keep_first};
use crate::entries::{Child, forget};
use crate::error::{Error, Result};
use crate::events::call;
use crate::handle::{AsKobject, DeviceHandle, KobjectHandle, kind};
use crate::node::Node;
use crate::payload::Body;
use crate::pending;
use crate::store::Store;
use crate::trace::{Removing, drain};

/// What has become of a removal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Removal {
    /// So many objects, or attributes of one, have gone. Nothing of their drivers is running on them, or ever will.
    Done(usize),
    /// So many objects, or attributes, are leaving: they are `ENODEV` for all. The caller is inside one of them, in a callback or with a guard; as
    /// it leaves the last of them, its thread waits for the others who are inside and drops the payloads.
    ///
    /// Where those wait for the caller in turn, it cannot: then the objects go on leaving, as after [`Error::Deadlock`], which the
    /// operation gives whose callback has returned. Who let go of a guard is told by nobody.
    Begun(usize),
}

impl Removal {
    /// How many objects, or attributes, it has to do with.
    pub fn count(self) -> usize {
        match self {
            Self::Done(count) | Self::Begun(count) => count,
        }
    }
}

/// Removing.
impl Store {
    /// Unregisters a device that has no children, and hands its payload back.
    ///
    /// New operations on it fail at once; those under way are waited for, with no lock held. When this returns, nothing of
    /// the driver is running on this device, or ever will; open files of it answer `ENODEV`.
    ///
    /// # Errors
    ///
    /// In all but the last two nothing has changed, but for removals that could not be finished before and can be now:
    ///
    /// - `ENODEV`: it had left. Where another thread is at it, this returns when that one is done.
    /// - [`Error::WrongType`]: the payload is no `T`.
    /// - [`Error::HasChildren`].
    /// - [`Error::Inside`]: the caller is in a callback of the device, or holds a guard of it, so that there is no payload to be
    ///   handed back yet; [`unregister_subtree`](Self::unregister_subtree) is for that.
    /// - [`Error::Leaving`]: another thread is at it, and the caller cannot wait for that one, being in a callback or a payload's
    ///   drop itself; or the removal was given up.
    /// - [`Error::Deadlock`]: those inside wait for the caller. The object goes on leaving. To call this again once they have left
    ///   hands the payload back; any other removal, [`reap`](Self::reap) and the store's drop finish it too, and drop the payload.
    /// - [`Error::Barrier`]: the system refuses the barrier. The object goes on leaving, as above.
    ///
    /// # Panics
    ///
    /// With the panic of the drop of a payload whose removal could not be finished before: this object is as it was then.
    #[track_caller]
    pub fn unregister<T: 'static>(&self, device: DeviceHandle) -> Result<T> {
        let told = Removing::begin(self, device.kobject());
        let answer = self.unregister_one(device.kobject());
        told.refused(&answer);
        answer
    }

    /// Unregisters an object and all below it, and drops the payloads, on the caller's thread, children before parents.
    ///
    /// All are marked before any is waited for, they are waited for together, and no payload is dropped before all are
    /// quiet. Nothing can be added below in the meantime. If a payload panics as it is dropped, all else is done all the
    /// same, and then the panic goes on.
    ///
    /// A callback may unregister its own object or one above it: then this returns at once, [`Removal::Begun`], and the rest is
    /// done as the callback returns: when the write that did it returns, all is gone. Others who are inside are told
    /// [`Error::Leaving`].
    ///
    /// # Errors
    ///
    /// As [`unregister`](Self::unregister), where [`Error::Leaving`] means any object of the subtree; and [`Error::Root`]. Where
    /// another thread had a part of the subtree and gives it up while this waits for it, that is [`Error::Leaving`] too, and what
    /// this has marked goes on leaving.
    ///
    /// # Panics
    ///
    /// With the first panic of a payload's drop.
    #[track_caller]
    pub fn unregister_subtree(&self, object: impl AsKobject) -> Result<Removal> {
        let object = object.kobject();
        if object == self.root() {
            return Err(Error::Root);
        }
        let told = Removing::begin(self, object);
        self.reap();
        let answer = self.unregister_below(object);
        told.over(&answer);
        answer
    }

    /// Finishes the removals that could not be finished ([`Error::Deadlock`], [`Error::Leaving`]) and that nobody is in the way
    /// of any more, those of drivers and of devices from drivers too. Waits for nobody. Returns how many objects have gone.
    ///
    /// Removals of objects do so by themselves, before anything else.
    ///
    /// # Panics
    ///
    /// With the first panic of a payload's or a driver's drop.
    pub fn reap(&self) -> usize {
        if !self.has_leftovers() {
            return 0;
        }
        let before = self.inner.nodes.len();
        self.reap_but(KobjectHandle::null());
        before.saturating_sub(self.inner.nodes.len())
    }
}

/// What is behind it.
impl Store {
    #[track_caller]
    fn unregister_one<T: 'static>(&self, object: KobjectHandle) -> Result<T> {
        let nodes = &self.inner.nodes;
        if let Some(payload) = self.reap_but(object).and_then(|body| body.payload.into_value()) {
            return Ok(payload);
        }
        if nodes.is_inside(object) {
            return Err(if nodes.contains(object) { Error::Inside } else { Error::Leaving });
        }
        let is_one = nodes.enter(object).map(|body| body.payload.is::<T>());
        if !is_one.map_err(|_| self.gone(object))? {
            return Err(Error::WrongType);
        }
        let mut leaving = nodes.leave();
        match self.mark_leaf(&mut leaving, object) {
            Ok(wakers) => call(wakers),
            // Another thread has been quicker.
            Err(Error::Errno(Errno::ENODEV) | Error::Leaving) => return Err(self.gone(object)),
            Err(error) => return Err(error),
        }
        let quiet = drain(leaving)?;
        let (_, body) = self.finish(quiet, object);
        body.and_then(|body| body.payload.into_value()).ok_or(Error::WrongType)
    }

    /// Whether there may be something to be finished that was given up. Asked before each removal: it takes no lock.
    fn has_leftovers(&self) -> bool {
        self.inner.nodes.has_given_up() || self.has_driver_leftovers()
    }

    /// Finishes what was given up. The payload of one object is handed back, if it is among them.
    fn reap_but(&self, kept: KobjectHandle) -> Option<Body> {
        let mut found = None;
        let mut panic = catch_unwind(AssertUnwindSafe(|| self.reap_drivers())).err();
        if !self.inner.nodes.has_given_up() {
            return panic.and_then(|panic| resume_unwind(panic));
        }
        for leaving in self.inner.nodes.given_up() {
            let Ok(quiet) = leaving.drain_until(Instant::now()) else { continue };
            match catch_unwind(AssertUnwindSafe(|| self.finish(quiet, kept))) {
                Ok((_, payload)) => found = payload.or(found),
                Err(first) => keep_first(&mut panic, first),
            }
        }
        if let Some(panic) = panic {
            resume_unwind(panic);
        }
        found
    }

    /// Removes all that is not leaving yet, for the store's end: there is nobody to be waited for.
    pub(crate) fn end(&self) -> Result {
        let mut leaving = self.inner.nodes.leave();
        let objects = self.subtree(&self.inner.domain.pin(), self.inner.root);
        objects
            .into_iter()
            .filter(|object| self.inner.nodes.contains(*object))
            .try_for_each(|object| leaving.mark(object))?;
        self.inner.wake_all(leaving.handles());
        let quiet = leaving.drain().map_err(|(_, error)| error)?;
        self.finish(quiet, KobjectHandle::null());
        Ok(())
    }

    #[track_caller]
    fn unregister_below(&self, top: KobjectHandle) -> Result<Removal> {
        let mut leaving = self.inner.nodes.leave();
        let Marked { ours, others, wakers } = self.mark_subtree(&mut leaving, top)?;
        call(wakers);
        if ours == 0 {
            return Err(self.gone(top));
        }
        if leaving.is_inside() {
            // None of the `others` is left to be joined: who is inside an object may not, so `mark_subtree` has refused where
            // there is one.
            let later = Arc::clone(&self.inner.later);
            leaving.defer(move |drained| match drained {
                // Where the store has gone, what has been marked goes with it.
                Ok(quiet) => {
                    if let Some(store) = Store::again(&later) {
                        store.finish(quiet, KobjectHandle::null());
                    }
                }
                Err((_, error)) => pending::unfinished(error.into()),
            });
            return Ok(Removal::Begun(ours));
        }
        // Children before parents, also where another thread has the children.
        others.into_iter().try_for_each(|other| leaving.join(&self.inner.nodes, other))?;
        let quiet = drain(leaving)?;
        let (gone, _) = self.finish(quiet, KobjectHandle::null());
        Ok(Removal::Done(gone))
    }

    /// Has drivers let go of objects that have been drained, drops the payloads, takes the objects out of the tree and gives them up.
    /// Returns how many there were, and the one payload that is not to be dropped, if it is among them.
    fn finish(&self, quiet: Drained<'_>, kept: KobjectHandle) -> (usize, Option<Body>) {
        // Dropped last, also where a payload's drop panics: what it has drivers asked is no part of the removal.
        let mut later = Vec::new();
        let mut quiet = quiet;
        let (first, count) = (quiet.handles().next(), quiet.len());
        let (one, many): (_, Vec<_>);
        let objects: &[KobjectHandle] = match first {
            Some(first) if count == 1 => {
                one = first;
                slice::from_ref(&one)
            }
            _ => {
                many = quiet.handles().collect();
                &many
            }
        };
        let mut finish = Finish { store: self, objects, spots: Spots::default() };
        let payload = quiet.attend(|quiet| self.bury(quiet, kept, &mut finish.spots, &mut later));
        drop(finish);
        drop(quiet);
        (count, payload)
    }

    #[track_caller]
    fn mark_leaf(&self, leaving: &mut Leaving<'_>, object: KobjectHandle) -> Result<Vec<Waker>> {
        let pin = self.inner.domain.pin();
        let claim = self.inner.claim(&pin, object)?;
        if claim.has_children() {
            return Err(Error::HasChildren);
        }
        self.inner.remember(&pin, iter::once(object));
        leaving.mark_under(&pin, object)?;
        let mut wakers = Vec::new();
        claim.take_waiters(&mut wakers);
        Ok(wakers)
    }

    /// Marks all or nothing. What another thread has marked before is its, with the whole of that subtree.
    #[track_caller]
    fn mark_subtree(&self, leaving: &mut Leaving<'_>, top: KobjectHandle) -> Result<Marked> {
        // Asked about only where it is there, so that one that has gone is one `ENODEV`.
        if self.inner.nodes.contains(top) {
            if let Ok(wakers) = self.mark_leaf(leaving, top) {
                return Ok(Marked { ours: 1, others: Vec::new(), wakers });
            }
        }
        let _still = self.inner.topology.still();
        let pin = self.inner.domain.pin();
        let (mut ours, mut others) = (Vec::new(), Vec::new());
        let (mut found, mut next) = (vec![top], 0);
        while let Some(&object) = found.get(next) {
            match self.inner.claim(&pin, object) {
                Ok(claim) => {
                    claim.add_children(&mut found);
                    ours.push((object, claim));
                }
                Err(_) => {
                    // Read only where it is there, so that one that has gone is one `ENODEV`.
                    let node = self.inner.nodes.is_leaving(object).then(|| self.inner.nodes.get_leaving(&pin, object));
                    node.into_iter().flatten().for_each(|node| node.add_children(&mut found));
                    others.push(object);
                }
            }
            next += 1;
        }
        others.reverse();
        if !others.iter().all(|other| self.inner.nodes.may_join_after(&pin, *other)) {
            return Err(Error::Leaving);
        }
        self.inner.remember(&pin, ours.iter().map(|(object, _)| *object));
        ours.iter().rev().try_for_each(|(object, _)| leaving.mark_under(&pin, *object))?;
        let mut wakers = Vec::new();
        ours.iter().for_each(|(_, claim)| claim.take_waiters(&mut wakers));
        Ok(Marked { ours: ours.len(), others, wakers })
    }

    /// The object and all below it, children before parents. What is already leaving is among them.
    pub(crate) fn subtree(&self, pin: &Pin<'_>, top: KobjectHandle) -> Vec<KobjectHandle> {
        let (mut found, mut next) = (Vec::new(), 0);
        found.push(top);
        while let Some(object) = found.get(next) {
            if let Ok(node) = self.inner.nodes.get_leaving(pin, *object) {
                node.add_children(&mut found);
            }
            next += 1;
        }
        found.reverse();
        found
    }

    /// Takes objects that are leaving out of their directories, and the links from and to them away, and
    /// their ranges of addresses.
    fn detach(&self, objects: &[KobjectHandle], spots: &Spots) {
        let pin = self.inner.domain.pin();
        spots.leave(self, &pin);
        let mut regions = Vec::new();
        // Parents before children: in a directory that has gone with all its entries none has to be looked for.
        for &object in objects.iter().rev() {
            let Ok(node) = self.inner.nodes.get_leaving(&pin, object) else {
                continue;
            };
            let place = node.place();
            let parent = self.inner.nodes.get_leaving(&pin, place.parent);
            if let (Ok(parent), Some(name)) = (parent, &place.name) {
                parent.remove(name, Child::Object(object));
            }
            let Some(more) = node.more() else { continue };
            regions.append(&mut more.regions.lock());
            for (dir, link) in mem::take(&mut *more.links_here.lock()) {
                if let Ok(dir) = self.inner.nodes.get_leaving(&pin, dir) {
                    dir.remove(&link, Child::Link(object));
                }
            }
            for (name, target) in more.take_entries().into_links() {
                let target = self.inner.nodes.get_leaving(&pin, target);
                if let Some(more) = target.ok().and_then(Node::more) {
                    forget(&mut more.links_here.lock(), &(object, name));
                }
            }
        }
        self.release(regions);
    }

    /// What to answer for an object that cannot be removed any more: waits for whoever is at it.
    fn gone(&self, object: KobjectHandle) -> Error {
        match self.inner.nodes.join(object) {
            Ok(()) => Stale.into(),
            Err(error) => error.into(),
        }
    }
}

pub(crate) type Leaving<'a> = enodev_handles::Leaving<'a, kind::Kobject, Node, Body>;
pub(crate) type Drained<'a> = enodev_handles::Quiet<'a, kind::Kobject, Node, Body>;

/// A subtree that is leaving.
struct Marked {
    /// How many objects this removal has marked, children before parents.
    ours: usize,
    /// Those that others had.
    others: Vec<KobjectHandle>,
    /// Of those who waited for attributes of ours. To be called when nothing is held.
    wakers: Vec<Waker>,
}

/// Detaches the objects, also when a payload's drop panics.
struct Finish<'a> {
    store: &'a Store,
    objects: &'a [KobjectHandle],
    /// What they have left of buses and classes.
    spots: Spots,
}

impl Drop for Finish<'_> {
    fn drop(&mut self) {
        self.store.detach(self.objects, &self.spots);
    }
}
