use std::fmt;

use enodev_handles::{Arena, Domain, Strategy};
use parking_lot::Mutex;

use crate::attribute::AttrMeta;
use crate::device_type::{AttrCode, TypeCode, TypeMeta};
use crate::error::{Error, Result};
use crate::handle::{KobjectHandle, kind};
use crate::node::Node;
use crate::payload::Payload;

/// A store of devices, kobjects and attributes.
///
/// Objects form a tree under [`root`](Self::root), each with a name, attributes of its type, links to other objects, and a
/// payload that belongs to the driver. They are addressed by handles; a handle whose object has left gives `ENODEV` in
/// every operation, for ever.
///
/// Everything takes `&self` and may be called from any thread.
///
/// | from | what may be called | who waits |
/// |---|---|---|
/// | anywhere | looking up, listing, entering shared payloads, adding, linking | nobody |
/// | anywhere | [`enter_mut`](Self::enter_mut), and attributes of exclusive payloads | for the one who is inside |
/// | outside | removing | for those inside, and for another thread's removal of the same |
/// | a callback, or with a guard | removing other objects | for those inside; never for another thread's removal ([`Error::Leaving`]) |
/// | a callback, or with a guard | removing the object itself | nobody: [`Error::Inside`] |
/// | a payload's drop | all of the above | never for another thread's removal |
///
/// # Panics
///
/// Dropping the store unregisters all that is left, children before parents, and waits for nobody. If payloads panic as they
/// are dropped, the first panic goes on at the end.
pub struct Store {
    // Fields are dropped in this order: objects before the code of their attributes.
    pub(crate) nodes: Arena<kind::Kobject, Node, Payload>,
    pub(crate) attrs: Arena<kind::Attr, AttrMeta, AttrCode>,
    pub(crate) types: Arena<kind::Type, TypeMeta, TypeCode>,
    pub(crate) domain: Domain,
    /// Held for a change of the tree: an addition, a link, the marking of a subtree, its removal from its parent. Never
    /// held while foreign code runs or anything is waited for.
    pub(crate) topology: Mutex<()>,
    root: KobjectHandle,
}

impl Store {
    /// An empty store: a root and nothing else.
    ///
    /// # Errors
    ///
    /// [`Error::Domain`] when 255 stores are alive, or when stores have been made and used so often that their tags are used up;
    /// [`Error::Full`] where there is no memory for one.
    pub fn new() -> Result<Self> {
        Self::with_strategy(Strategy::Auto)
    }

    /// An empty store whose removals use the given [`Strategy`].
    ///
    /// # Errors
    ///
    /// As [`new`](Self::new), and where the strategy is not to be had.
    pub fn with_strategy(strategy: Strategy) -> Result<Self> {
        let domain = Domain::with_strategy(strategy)?;
        // The domain is new, so no kind is taken.
        let taken = |_| Error::Full;
        let nodes = Arena::new(&domain).map_err(taken)?;
        let root = nodes.insert(Node::root(), Payload::None)?;
        Ok(Self {
            nodes,
            attrs: Arena::new(&domain).map_err(taken)?,
            types: Arena::new(&domain).map_err(taken)?,
            domain,
            topology: Mutex::new(()),
            root,
        })
    }

    /// The object that all paths start from.
    pub fn root(&self) -> KobjectHandle {
        self.root
    }

    /// How many objects there are, the root not counted; those that are leaving count.
    pub fn len(&self) -> usize {
        self.nodes.len().saturating_sub(1)
    }

    /// Whether there is nothing but the root.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Frees what the store kept of objects that have left, and tells of how many it could not, because a thread is
    /// reading the tree. It does so by itself as removals go on.
    pub fn flush(&self) -> usize {
        self.nodes.flush()
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        // Guards borrow the store: those that are left have been forgotten.
        self.nodes.forget_guards();
        // It fails only where the system refuses the barrier; then the arena drops the payloads, in no order.
        let _ = self.unregister_below(self.root);
    }
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Store").field("objects", &self.len()).finish_non_exhaustive()
    }
}
