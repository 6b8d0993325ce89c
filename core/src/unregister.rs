use enodev_handles::{Pin, Stale};

use crate::error::{Error, Result};
use crate::handle::{AsKobject, DeviceHandle, KobjectHandle};
use crate::node::Child;
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
    /// In all but the last two nothing has changed:
    ///
    /// - `ENODEV`: it had left. Where another thread is at it, this returns when that one is done.
    /// - [`Error::WrongType`]: the payload is no `T`.
    /// - [`Error::HasChildren`].
    /// - [`Error::Inside`]: the caller is in a callback of the device, or holds a guard of it.
    /// - [`Error::Leaving`]: another thread is at it, and the caller is in a callback itself.
    /// - [`Error::Barrier`]: see there.
    pub fn unregister<T: 'static>(&self, device: DeviceHandle) -> Result<T> {
        let object = device.kobject();
        if !self.nodes.enter(object).map_err(|stale| self.gone(object, stale))?.is::<T>() {
            return Err(Error::WrongType);
        }
        let mut leaving = self.nodes.leave();
        {
            let _topology = self.topology.lock();
            let pin = self.domain.pin();
            if !self.nodes.get(&pin, object)?.children().is_empty() {
                return Err(Error::HasChildren);
            }
            drop(pin);
            leaving.mark(object)?;
        }
        let mut quiet = leaving.drain()?;
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
    /// As [`unregister`](Self::unregister), where [`Error::Inside`] means any object of the subtree; and [`Error::Root`].
    pub fn unregister_subtree(&self, object: impl AsKobject) -> Result<usize> {
        let object = object.kobject();
        if object == self.root() {
            return Err(Error::Root);
        }
        self.unregister_below(object)
    }

    pub(crate) fn unregister_below(&self, top: KobjectHandle) -> Result<usize> {
        let mut leaving = self.nodes.leave();
        let (mut marked, mut others) = (Vec::new(), Vec::new());
        {
            let _topology = self.topology.lock();
            let subtree = self.subtree(&self.domain.pin(), top);
            if subtree.iter().any(|object| self.nodes.is_inside(*object)) {
                return Err(Error::Inside);
            }
            for object in subtree {
                // What another thread has marked before is its; the whole of that subtree.
                match leaving.mark(object) {
                    Ok(()) => marked.push(object),
                    Err(_) => others.push(object),
                }
            }
        }
        if marked.is_empty() {
            return Err(self.gone(top, Stale));
        }
        let mut quiet = leaving.drain()?;
        let joined = others.into_iter().try_for_each(|other| self.nodes.join(other));
        let finish = Finish { store: self, objects: &marked };
        quiet.drop_payloads();
        drop(finish);
        drop(quiet);
        joined?;
        Ok(marked.len())
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
    fn gone(&self, object: KobjectHandle, stale: Stale) -> Error {
        match self.nodes.join(object) {
            Ok(()) => stale.into(),
            Err(error) => error.into(),
        }
    }
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
