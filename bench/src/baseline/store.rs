//! The store of the baseline.

use std::fmt;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard, Weak};

use super::attribute::{Attributes, check_name};
use super::bus::{ArcBus, Seat};
use super::error::{Error, Result};
use super::file::OpenFile;
use super::node::Node;
use super::tree::{DirEntry, Tree};

/// A store of objects with payloads of type `T`, each at a path, made of `Arc` and one `RwLock`.
///
/// Paths are taken from the root, `/`, and may lead through links and end in one. The root is a
/// directory without an object. Objects of several types are one enum, or a boxed trait.
///
/// Dropping the store unregisters all, children before parents.
///
/// No method calls foreign code under the lock, so a callback and a payload's `Drop` may use the store.
pub struct ArcStore<T> {
    tree: RwLock<Tree<T>>,
}

impl<T: Send + Sync> ArcStore<T> {
    /// A store that holds the root only.
    #[must_use]
    pub fn new() -> Self {
        Self { tree: RwLock::new(Tree::new()) }
    }

    /// Adds an object `name` under the one at `parent`, and returns what to keep of it.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidName`]; [`Error::NotFound`] or [`Error::Gone`] if `parent` leads nowhere;
    /// [`Error::Exists`] if an object, a link or an attribute there has the name. The payload is
    /// dropped then.
    pub fn register(&self, parent: &str, name: &str, payload: T, attributes: &Attributes<T>) -> Result<Weak<Node<T>>> {
        self.add(None, parent, name, payload, attributes)
    }

    /// As [`register`](Self::register), on a bus, where the object says that it is an `id`.
    ///
    /// # Errors
    ///
    /// As `register`.
    pub fn register_on(
        &self,
        bus: &Arc<ArcBus<T>>,
        id: u64,
        parent: &str,
        name: &str,
        payload: T,
        attributes: &Attributes<T>,
    ) -> Result<Weak<Node<T>>> {
        self.add(Some(bus.reserve(id)), parent, name, payload, attributes)
    }

    fn add(
        &self,
        seat: Option<Seat<T>>,
        parent: &str,
        name: &str,
        payload: T,
        attributes: &Attributes<T>,
    ) -> Result<Weak<Node<T>>> {
        check_name(name)?;
        // A guard is dropped before the arguments are, so a refused payload drops outside the lock.
        let mut tree = self.write();
        let path = tree.vacancy(parent, name)?;
        let attributes = attributes.clone();
        let node = Arc::new(Node { path: Arc::clone(&path), attributes, payload, seat });
        let handle = Arc::downgrade(&node);
        // Under the lock of the tree: who finds the object in one of the two finds it in the other.
        if let Some(seat) = &node.seat {
            seat.take(Weak::clone(&handle));
        }
        tree.insert_node(path, node);
        Ok(handle)
    }

    /// Removes the object at `path` with all under it, and returns how many left.
    ///
    /// The names are free at once. The store's references are dropped before this returns, children
    /// before parents; an object that somebody else is using lives on until they let go of it.
    /// Links from elsewhere stay, and lead nowhere.
    ///
    /// # Errors
    ///
    /// [`Error::NotFound`] or [`Error::Gone`] if `path` leads nowhere, [`Error::Root`] for the root.
    pub fn unregister(&self, path: &str) -> Result<usize> {
        // The guard is gone at the end of the statement, before any payload is dropped.
        let removed = {
            let mut tree = self.write();
            let removed = tree.remove(path)?;
            removed.iter().filter_map(|dir| dir.object()?.seat.as_ref()).for_each(Seat::leave);
            removed
        };
        Ok(removed.len())
    }

    /// A reference to the object at `path` that does not keep it alive, or `None`.
    #[must_use]
    pub fn lookup(&self, path: &str) -> Option<Weak<Node<T>>> {
        self.read().node(path).ok().map(Arc::downgrade)
    }

    /// The object at `path` for use at once, or `None`. It stays alive until this is dropped.
    #[must_use]
    pub fn get(&self, path: &str) -> Option<Arc<Node<T>>> {
        self.read().node(path).ok().cloned()
    }

    /// Opens an attribute of the object at `path`.
    ///
    /// # Errors
    ///
    /// [`Error::NotFound`] or [`Error::Gone`] if `path` leads nowhere or has no such attribute,
    /// [`Error::Root`] for the root.
    pub fn open(&self, path: &str, attribute: &str) -> Result<OpenFile<T>> {
        let tree = self.read();
        let node = tree.node(path)?;
        let index = node.attributes().position(attribute).ok_or(Error::NotFound)?;
        Ok(OpenFile::new(node, index))
    }

    /// The names in the directory at `path`: attributes, then objects and links, each in order.
    ///
    /// # Errors
    ///
    /// [`Error::NotFound`] or [`Error::Gone`] if `path` leads nowhere.
    pub fn list(&self, path: &str) -> Result<Vec<DirEntry>> {
        Ok(self.read().dir(path)?.list())
    }

    /// Adds to the object at `dir` (or the root) a link `name` to the object at `target`.
    ///
    /// The link is to that very object: one that is registered at its path later is not reached.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidName`]; [`Error::NotFound`] or [`Error::Gone`] if a path leads nowhere;
    /// [`Error::Root`] if `target` is the root; [`Error::Exists`] if the name is taken.
    pub fn link(&self, dir: &str, name: &str, target: &str) -> Result {
        check_name(name)?;
        let mut tree = self.write();
        let path = tree.vacancy(dir, name)?;
        let target = Arc::clone(tree.node(target)?);
        tree.insert_link(&path, &target);
        Ok(())
    }

    /// Removes the link `name` from the directory at `dir`, whether its target lives or not.
    ///
    /// # Errors
    ///
    /// [`Error::NotFound`] or [`Error::Gone`] if `dir` leads nowhere or holds no such link.
    pub fn unlink(&self, dir: &str, name: &str) -> Result {
        self.write().remove_link(dir, name)
    }

    /// All objects at this moment, in no order.
    #[must_use]
    pub fn nodes(&self) -> Vec<Weak<Node<T>>> {
        self.read().nodes().map(Arc::downgrade).collect()
    }

    /// The number of objects.
    #[must_use]
    pub fn len(&self) -> usize {
        self.read().len()
    }

    /// Whether there is no object.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    // Only our own code runs under the lock, and none of it leaves the tree half changed.
    fn read(&self) -> RwLockReadGuard<'_, Tree<T>> {
        self.tree.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Tree<T>> {
        self.tree.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T: Send + Sync> Default for ArcStore<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T> Drop for ArcStore<T> {
    fn drop(&mut self) {
        drop(self.tree.get_mut().unwrap_or_else(PoisonError::into_inner).clear());
    }
}

impl<T: Send + Sync> fmt::Debug for ArcStore<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ArcStore").field("len", &self.len()).finish_non_exhaustive()
    }
}
