use enodev_attrs::{Errno, Name};

use crate::entries::{Child, forget};
use crate::error::{Error, Result};
use crate::handle::{AsKobject, KobjectHandle};
use crate::store::Store;

/// Links: further names for objects. A link holds the handle of its target, not a path: it goes on leading there wherever the
/// target is moved to, and to nothing else ever.
///
/// As the target begins to leave, all links to it are gone for whoever looks; their names come free as it has left, or by
/// [`unlink`](Self::unlink). Until then they are taken, as the target's own name is.
impl Store {
    /// Makes a link to `target`, called `name`, in the directory `object`. It goes when either of the two goes.
    ///
    /// # Errors
    ///
    /// `ENODEV` for either; [`Error::Exists`]; [`Error::Name`].
    pub fn link(&self, object: impl AsKobject, name: &str, target: impl AsKobject) -> Result {
        let (object, target) = (object.kobject(), target.kobject());
        let name = Name::new(name)?;
        let pin = self.inner.domain.pin();
        let node = self.inner.claim(&pin, object)?;
        let aim = self.inner.nodes.get(&pin, target)?;
        self.check_free(&node, &name)?;
        // Locked until the entry is there too: who finds the link here finds it there.
        let mut links = aim.more_or_new().links_here.lock();
        // Whoever removes the target takes its links away after this, and then finds this one, or has marked it before.
        self.inner.nodes.get(&pin, target)?;
        node.insert(name.clone(), Child::Link(target));
        links.insert((object, name));
        Ok(())
    }

    /// Takes a link away.
    ///
    /// # Errors
    ///
    /// `ENODEV`: the directory has left. [`Error::NotFound`]: there is no link of that name.
    pub fn unlink(&self, object: impl AsKobject, name: &str) -> Result {
        let object = object.kobject();
        let pin = self.inner.domain.pin();
        let node = self.inner.claim(&pin, object)?;
        let Some(Child::Link(target)) = node.child(name) else {
            return Err(Error::NotFound);
        };
        let aim = self.inner.nodes.get_leaving(&pin, target).ok();
        let mut links = aim.and_then(|aim| aim.more()).map(|more| more.links_here.lock());
        let removed = node.remove(name, Child::Link(target));
        if let (Some(links), Some(name)) = (&mut links, removed) {
            forget(links, &(object, name));
        }
        Ok(())
    }

    /// The target of a link.
    ///
    /// ```
    /// use enodev::{Error, Store};
    ///
    /// let store = Store::new()?;
    /// let [devices, class] = ["devices", "class"].map(|name| store.create(store.root(), name));
    /// let (devices, class) = (devices?, class?);
    /// let sda = store.create(devices, "sda")?;
    /// store.link(class, "disk", sda)?;
    /// assert_eq!(store.readlink(class, "disk"), Ok(sda));
    ///
    /// store.unregister_subtree(sda)?;
    /// store.create(devices, "sda")?;
    /// assert_eq!(store.readlink(class, "disk"), Err(Error::NotFound));
    /// # Ok::<(), Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// `ENODEV`: the directory has left. [`Error::NotFound`]: there is nothing of that name, or the target is leaving. `EINVAL`: it is a
    /// child, an attribute or the directory of a group.
    pub fn readlink(&self, object: impl AsKobject, name: &str) -> Result<KobjectHandle> {
        let object = object.kobject();
        let pin = self.inner.domain.pin();
        let node = self.inner.nodes.get(&pin, object)?;
        match node.child(name) {
            Some(Child::Link(target)) if self.inner.nodes.contains(target) => Ok(target),
            Some(Child::Object(child)) if self.inner.nodes.contains(child) => Err(Errno::EINVAL.into()),
            // The children are not asked again: a link may have come to be among them.
            None if self.shows_beside_children(&pin, node, name) => Err(Errno::EINVAL.into()),
            _ => Err(Error::NotFound),
        }
    }

    /// The links to an object: the directory and the name of each, in the order of the directories' handles and by name.
    ///
    /// # Errors
    ///
    /// `ENODEV`.
    pub fn links_to(&self, object: impl AsKobject) -> Result<Vec<(KobjectHandle, Name)>> {
        let pin = self.inner.domain.pin();
        let Some(more) = self.inner.nodes.get(&pin, object.kobject())?.more() else {
            return Ok(Vec::new());
        };
        let mut links: Vec<_> = more.links_here.lock().iter().cloned().collect();
        links.retain(|(dir, _)| self.inner.nodes.contains(*dir));
        links.sort_unstable();
        Ok(links)
    }
}
