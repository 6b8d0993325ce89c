//! The map under the store's lock. Nothing here calls foreign code.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Weak};

use super::error::{Error, Result};
use super::node::Node;

const ROOT: &str = "/";

/// Every directory by its full path. A path without links costs one hash and one probe.
pub(super) struct Tree<T> {
    dirs: HashMap<Arc<str>, Dir<T>>,
}

/// An object and the names under it. The root is a directory without an object.
pub(super) struct Dir<T> {
    node: Option<Arc<Node<T>>>,
    entries: BTreeMap<Box<str>, Entry<T>>,
}

enum Entry<T> {
    Node,
    /// A link knows its target by path and by identity, so it never leads to a successor of the same
    /// path. The `Weak` keeps the address from being used again.
    Link {
        path: Arc<str>,
        target: Weak<Node<T>>,
    },
}

/// A name in a directory.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct DirEntry {
    /// The name.
    pub name: Box<str>,
    /// What bears it.
    pub kind: Kind,
}

/// What a name in a directory stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Kind {
    /// An attribute of the directory's object.
    Attribute,
    /// An object under the directory's object.
    Node,
    /// A link to an object elsewhere.
    Link,
}

impl<T> Tree<T> {
    pub(super) fn new() -> Self {
        let root = Dir { node: None, entries: BTreeMap::new() };
        Self { dirs: HashMap::from([(ROOT.into(), root)]) }
    }

    /// The number of objects.
    pub(super) fn len(&self) -> usize {
        self.dirs.len().saturating_sub(1)
    }

    pub(super) fn nodes(&self) -> impl Iterator<Item = &Arc<Node<T>>> {
        self.dirs.values().filter_map(|dir| dir.node.as_ref())
    }

    /// The directory at `path`, also through links.
    ///
    /// A link to what has left the store is [`Error::Gone`].
    pub(super) fn dir(&self, path: &str) -> Result<&Dir<T>> {
        match self.dirs.get(path) {
            Some(dir) => Ok(dir),
            None => self.walk(path),
        }
    }

    fn walk(&self, path: &str) -> Result<&Dir<T>> {
        let mut dir = self.dirs.get(ROOT).ok_or(Error::NotFound)?;
        for name in path.split('/').filter(|name| !name.is_empty()) {
            dir = match dir.entries.get(name).ok_or(Error::NotFound)? {
                Entry::Node => self.dirs.get(&*join(dir.path(), name)).ok_or(Error::NotFound)?,
                Entry::Link { path, target } => self.follow(path, target)?,
            };
        }
        Ok(dir)
    }

    fn follow(&self, path: &str, target: &Weak<Node<T>>) -> Result<&Dir<T>> {
        let is_target = |node: &Arc<Node<T>>| Arc::as_ptr(node) == target.as_ptr();
        let dir = self.dirs.get(path).ok_or(Error::Gone)?;
        if dir.node.as_ref().is_some_and(is_target) { Ok(dir) } else { Err(Error::Gone) }
    }

    /// The object at `path`, also through links.
    pub(super) fn node(&self, path: &str) -> Result<&Arc<Node<T>>> {
        self.dir(path)?.node.as_ref().ok_or(Error::Root)
    }

    /// The path that a new object `name` under `parent` has.
    pub(super) fn vacancy(&self, parent: &str, name: &str) -> Result<Arc<str>> {
        let parent = self.dir(parent)?;
        let is_attribute = |node: &Arc<Node<T>>| node.attributes.find(name).is_some();
        if parent.entries.contains_key(name) || parent.node.as_ref().is_some_and(is_attribute) {
            return Err(Error::Exists);
        }
        Ok(join(parent.path(), name))
    }

    /// Adds an object at a path that [`Tree::vacancy`] gave.
    pub(super) fn insert_node(&mut self, path: Arc<str>, node: Arc<Node<T>>) {
        self.insert_entry(&path, Entry::Node);
        self.dirs.insert(path, Dir { node: Some(node), entries: BTreeMap::new() });
    }

    /// Adds a link to `target` at a path that [`Tree::vacancy`] gave.
    pub(super) fn insert_link(&mut self, path: &str, target: &Arc<Node<T>>) {
        let link = Entry::Link { path: Arc::clone(&target.path), target: Arc::downgrade(target) };
        self.insert_entry(path, link);
    }

    fn insert_entry(&mut self, path: &str, entry: Entry<T>) {
        let (parent, name) = split(path);
        if let Some(parent) = self.dirs.get_mut(parent) {
            parent.entries.insert(name.into(), entry);
        }
    }

    /// Takes out the link `name` of the directory at `path`.
    pub(super) fn remove_link(&mut self, path: &str, name: &str) -> Result {
        let path: Box<str> = self.dir(path)?.path().into();
        let dir = self.dirs.get_mut(&*path).ok_or(Error::NotFound)?;
        match dir.entries.get(name) {
            Some(Entry::Link { .. }) => dir.entries.remove(name),
            _ => return Err(Error::NotFound),
        };
        Ok(())
    }

    /// Takes out the object at `path` and all under it, children before parents.
    pub(super) fn remove(&mut self, path: &str) -> Result<Vec<Dir<T>>> {
        let path = Arc::clone(&self.node(path)?.path);
        let (parent, name) = split(&path);
        if let Some(parent) = self.dirs.get_mut(parent) {
            parent.entries.remove(name);
        }
        Ok(self.remove_all(path))
    }

    /// Takes out everything, the root too, children before parents.
    pub(super) fn clear(&mut self) -> Vec<Dir<T>> {
        self.remove_all(ROOT.into())
    }

    /// Works through a list rather than by recursion, so that depth costs no stack.
    fn remove_all(&mut self, top: Arc<str>) -> Vec<Dir<T>> {
        let mut removed = Vec::new();
        let mut pending = vec![top];
        while let Some(path) = pending.pop() {
            let Some(dir) = self.dirs.remove(&path) else {
                continue;
            };
            let nodes = dir.entries.iter().filter(|(_, entry)| matches!(entry, Entry::Node));
            pending.extend(nodes.map(|(name, _)| join(&path, name)));
            removed.push(dir);
        }
        removed.reverse();
        removed
    }
}

impl<T> Dir<T> {
    pub(super) fn object(&self) -> Option<&Node<T>> {
        self.node.as_deref()
    }

    /// The names here: the attributes, then objects and links, each in order.
    pub(super) fn list(&self) -> Vec<DirEntry> {
        let attributes = self.node.iter().flat_map(|node| &node.attributes);
        let attributes = attributes.map(|attribute| (attribute.name(), Kind::Attribute));
        let entries = self.entries.iter().map(|(name, entry)| match entry {
            Entry::Node => (&**name, Kind::Node),
            Entry::Link { .. } => (&**name, Kind::Link),
        });
        attributes.chain(entries).map(|(name, kind)| DirEntry { name: name.into(), kind }).collect()
    }

    fn path(&self) -> &str {
        self.node.as_ref().map_or(ROOT, |node| &node.path)
    }
}

/// The path of `name` in the directory `parent`.
fn join(parent: &str, name: &str) -> Arc<str> {
    let parent = parent.strip_suffix('/').unwrap_or(parent);
    format!("{parent}/{name}").into()
}

/// The path of the directory that holds `path`, and the name there.
fn split(path: &str) -> (&str, &str) {
    match path.rsplit_once('/') {
        Some(("", name)) => (ROOT, name),
        Some(pair) => pair,
        None => (ROOT, path),
    }
}
