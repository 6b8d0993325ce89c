use enodev_attrs::Errno;
use enodev_handles::{Leaving, Pin, Stale};

use crate::error::{Error, Result};
use crate::handle::{AsKobject, DeviceHandle, KobjectHandle, kind};
use crate::node::{Child, Node};
use crate::payload::Payload;
use crate::store::Store;

/// Removing. All of these wait until nobody is inside what they remove.
impl Store {
    /// Unregisters a device that has no children, and hands its payload back.
    ///
    /// New operations on it fail at once; those under way are waited for, with no lock held. When this returns, nothing of
    /// the driver is running on this device, or ever will; open files of it answer `ENODEV`.
    ///
    /// # Errors
    ///
    /// In all but the last nothing has changed:
    ///
    /// - `ENODEV`: it had left. Where another thread is at it, this returns when that one is done.
    /// - [`Error::WrongType`]: the payload is no `T`.
    /// - [`Error::HasChildren`].
    /// - [`Error::Inside`]: the caller is in a callback of the device, or holds a guard of it.
    /// - [`Error::Leaving`]: another thread is at it, and the caller cannot wait for that one, being in a callback or a payload's
    ///   drop itself; or the removal was given up.
    /// - [`Error::Barrier`]: see there. The object goes on leaving.
    pub fn unregister<T: 'static>(&self, device: DeviceHandle) -> Result<T> {
        let object = device.kobject();
        let is_one = self.nodes.enter(object).map(|payload| payload.is::<T>());
        if !is_one.map_err(|_| self.gone(object))? {
            return Err(Error::WrongType);
        }
        let mut leaving = self.nodes.leave();
        match self.mark_leaf(&mut leaving, object) {
            Ok(()) => {}
            // Another thread has been quicker.
            Err(Error::Errno(Errno::ENODEV) | Error::Leaving) => return Err(self.gone(object)),
            Err(error) => return Err(error),
        }
        let mut quiet = leaving.drain().map_err(|(_, error)| error)?;
        let payload = quiet.take();
        self.detach(&[object]);
        drop(quiet);
        payload.and_then(|(_, payload)| payload.into_value()).ok_or(Error::WrongType)
    }

    /// Unregisters an object and all below it, and drops the payloads, on the caller's thread, children before parents.
    ///
    /// All are marked before any is waited for, they are waited for together, and no payload is dropped before all are
    /// quiet. Nothing can be added below in the meantime. If a payload panics as it is dropped, all else is done all the
    /// same, and then the panic goes on. Returns how many objects have gone.
    ///
    /// # Errors
    ///
    /// As [`unregister`](Self::unregister), where [`Error::Inside`] and [`Error::Leaving`] mean any object of the subtree; and
    /// [`Error::Root`]. Where another thread had a part of the subtree and gives it up while this waits for it, that is
    /// [`Error::Leaving`] too, and what this has marked goes on leaving.
    ///
    /// # Panics
    ///
    /// With the first panic of a payload's drop.
    pub fn unregister_subtree(&self, object: impl AsKobject) -> Result<usize> {
        let object = object.kobject();
        if object == self.root() {
            return Err(Error::Root);
        }
        self.unregister_below(object)
    }

    pub(crate) fn unregister_below(&self, top: KobjectHandle) -> Result<usize> {
        let mut leaving = self.nodes.leave();
        let Marked { ours, others } = self.mark_subtree(&mut leaving, top)?;
        if ours.is_empty() {
            return Err(self.gone(top));
        }
        // Children before parents, also where another thread has the children.
        others.into_iter().try_for_each(|other| self.nodes.join(other))?;
        let mut quiet = leaving.drain().map_err(|(_, error)| error)?;
        let finish = Finish { store: self, objects: &ours };
        quiet.drop_payloads();
        drop(finish);
        drop(quiet);
        Ok(ours.len())
    }

    fn mark_leaf(&self, leaving: &mut Removal<'_>, object: KobjectHandle) -> Result {
        let _topology = self.topology.lock();
        let is_leaf = self.nodes.get(&self.domain.pin(), object)?.children().is_empty();
        if is_leaf { Ok(leaving.mark(object)?) } else { Err(Error::HasChildren) }
    }

    /// Marks all or nothing. What another thread has marked before is its, with the whole of that subtree.
    fn mark_subtree(&self, leaving: &mut Removal<'_>, top: KobjectHandle) -> Result<Marked> {
        let _topology = self.topology.lock();
        let subtree = self.subtree(&self.domain.pin(), top);
        let (ours, others): (Vec<_>, Vec<_>) = subtree.into_iter().partition(|object| self.nodes.contains(*object));
        if ours.iter().any(|object| self.nodes.is_inside(*object)) {
            return Err(Error::Inside);
        }
        if !others.iter().all(|other| self.nodes.may_join(*other)) {
            return Err(Error::Leaving);
        }
        ours.iter().try_for_each(|object| leaving.mark(*object))?;
        Ok(Marked { ours, others })
    }

    /// The object and all below it, children before parents. What is already leaving is among them.
    fn subtree(&self, pin: &Pin<'_>, top: KobjectHandle) -> Vec<KobjectHandle> {
        let (mut found, mut next) = (Vec::new(), 0);
        found.push(top);
        while let Some(object) = found.get(next) {
            if let Ok(node) = self.nodes.get_leaving(pin, *object) {
                found.extend(node.children());
            }
            next += 1;
        }
        found.reverse();
        found
    }

    /// Takes objects that are leaving out of their directories, and the links from and to them away.
    fn detach(&self, objects: &[KobjectHandle]) {
        let _topology = self.topology.lock();
        let pin = self.domain.pin();
        for &object in objects {
            let Ok(node) = self.nodes.get_leaving(&pin, object) else {
                continue;
            };
            for (dir, link) in node.links_here.lock().drain(..) {
                if let Ok(dir) = self.nodes.get_leaving(&pin, dir) {
                    dir.remove(&link, Child::Link(object));
                }
            }
            for (_, child) in std::mem::take(&mut *node.entries.write()) {
                let Child::Link(target) = child else { continue };
                if let Ok(target) = self.nodes.get_leaving(&pin, target) {
                    target.links_here.lock().retain(|(dir, _)| *dir != object);
                }
            }
            let parent = self.nodes.get_leaving(&pin, node.parent);
            if let (Ok(parent), Some(name)) = (parent, &node.name) {
                parent.remove(name, Child::Object(object));
            }
        }
    }

    /// What to answer for an object that cannot be removed any more: waits for whoever is at it.
    fn gone(&self, object: KobjectHandle) -> Error {
        match self.nodes.join(object) {
            Ok(()) => Stale.into(),
            Err(error) => error.into(),
        }
    }
}

type Removal<'a> = Leaving<'a, kind::Kobject, Node, Payload>;

/// A subtree that is leaving, children before parents.
struct Marked {
    /// What this removal has marked.
    ours: Vec<KobjectHandle>,
    /// What others had.
    others: Vec<KobjectHandle>,
}

/// Detaches the objects, also when a payload's drop panics.
struct Finish<'a> {
    store: &'a Store,
    objects: &'a [KobjectHandle],
}

impl Drop for Finish<'_> {
    fn drop(&mut self) {
        self.store.detach(self.objects);
    }
}
