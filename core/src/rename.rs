use enodev_attrs::{Errno, Name};
use enodev_handles::Pin;

use crate::entries::Child;
use crate::error::{Error, Result};
use crate::handle::{AsKobject, KobjectHandle};
use crate::node::{Node, Place};
use crate::store::{Inner, Store};

/// Moving. An object keeps its handle, and with it all that goes by the handle: open files, guards, links, its children.
///
/// Whoever looks up a path, lists a directory or asks for a path meanwhile sees the tree as it is before the move or as it is after it:
/// the object in one place, and no path that never was. The cost depends neither on what is below the object nor on how
/// many stand beside it; to be moved for the first time takes some memory.
///
/// # Linux
///
/// `kernfs_rename_ns` for `kobject_rename`, `kobject_move` and their like. Symbolic links need not be renamed with what they lead to, so
/// that nothing can be left half done; and it is no error of the caller to do this twice at once: one comes after the other.
impl Store {
    /// Gives an object another name.
    ///
    /// ```
    /// # let store = enodev::Store::new()?;
    /// let eth = store.create(store.root(), "eth0")?;
    /// store.rename(eth, "lan0")?;
    /// assert_eq!(store.path(eth)?, "/lan0");
    /// # Ok::<(), enodev::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`move_to`](Self::move_to).
    pub fn rename(&self, object: impl AsKobject, name: &str) -> Result {
        self.relocate(object.kobject(), None, name)
    }

    /// Moves an object, with all below it, into the directory of `parent`, under the name `name`. Nothing happens where that is its
    /// place already.
    ///
    /// ```
    /// # let store = enodev::Store::new()?;
    /// let [slot1, slot2] = ["slot1", "slot2"].map(|name| store.create(store.root(), name));
    /// let card = store.create(slot1?, "card")?;
    /// let port = store.create(card, "port")?;
    /// store.move_to(card, slot2?, "card0")?;
    /// assert_eq!(store.path(port)?, "/slot2/card0/port");
    /// # Ok::<(), enodev::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// Nothing has changed:
    ///
    /// - `EINVAL`: the object is the root, or `parent` is the object itself or below it.
    /// - `ENODEV`: the object has left or is leaving.
    /// - [`Error::NotFound`]: `parent` has left or is leaving.
    /// - [`Error::Exists`]: the new parent has a child, a link or an attribute of that name.
    /// - [`Error::Name`].
    pub fn move_to(&self, object: impl AsKobject, parent: impl AsKobject, name: &str) -> Result {
        self.relocate(object.kobject(), Some(parent.kobject()), name)
    }

    fn relocate(&self, object: KobjectHandle, parent: Option<KobjectHandle>, name: &str) -> Result {
        let name = Name::new(name)?;
        let inner = &*self.inner;
        if object == inner.root {
            return Err(Errno::EINVAL.into());
        }
        // Shuts out whoever removes a subtree: what is moved goes with the one or with the other.
        let _moving = inner.topology.moving();
        let pin = inner.domain.pin();
        let node = inner.nodes.get(&pin, object)?;
        let old = node.place().into_owned();
        let to = parent.unwrap_or(old.parent);
        if !inner.nodes.contains(to) {
            return Err(Error::NotFound);
        }
        if inner.is_at_or_below(&pin, to, object) {
            return Err(Errno::EINVAL.into());
        }
        let new = Place { name: Some(name.clone()), parent: to };
        if new == old {
            return Ok(());
        }
        // It is not the object itself, nor below it.
        let dir = inner.claim(&pin, to).map_err(|_| Error::NotFound)?;
        let node = inner.claim(&pin, object)?;
        self.check_free(&dir, &name)?;
        // An object that is not leaving has a parent that is not.
        let from = inner.nodes.get(&pin, old.parent)?;
        inner.moves.change(|| change_place(object, &node, from, &dir, old, new));
        Ok(())
    }
}

impl Store {
    /// Whether an object is a proper ancestor of another.
    pub(crate) fn is_above(&self, object: KobjectHandle, below: KobjectHandle) -> bool {
        object != below && self.inner.settled(|pin| self.inner.is_at_or_below(pin, below, object))
    }
}

impl Inner {
    /// Whether an object is `top` or somewhere below it. Nothing else is moved.
    fn is_at_or_below(&self, pin: &Pin<'_>, object: KobjectHandle, top: KobjectHandle) -> bool {
        let mut at = object;
        while at != top {
            match self.nodes.get_leaving(pin, at) {
                Ok(node) if at != self.root => at = node.parent_of(at),
                _ => return false,
            }
        }
        true
    }
}

/// Changes the place and the entries of an object, under the locks of both directories: who is told the new place finds the object there.
fn change_place(object: KobjectHandle, node: &Node, from: &Node, to: &Node, old: Place, new: Place) {
    let child = Child::Object(object);
    let (Some(old_name), Some(new_name)) = (&old.name, new.name.clone()) else { return };
    let (source, target) = (&from.more_or_new().entries, &to.more_or_new().entries);
    if old.parent == new.parent {
        let mut entries = source.write();
        node.set_place(new);
        entries.insert(new_name, child);
        entries.remove(old_name, child);
        return;
    }
    // In the order of the handles. Only one thread at a time has two such locks, the one that moves; an order that is always the same
    // needs no such argument.
    let is_first = old.parent < new.parent;
    let first = if is_first { source } else { target }.write();
    let second = if is_first { target } else { source }.write();
    let (mut source, mut target) = if is_first { (first, second) } else { (second, first) };
    node.set_place(new);
    target.insert(new_name, child);
    source.remove(old_name, child);
}
