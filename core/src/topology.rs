//! Who may change the tree at the same time as whom.

use std::ops::Deref;

use crate::sync::{MutexGuard, RwLock};
use enodev_handles::Pin;

use crate::error::Result;
use crate::handle::KobjectHandle;
use crate::node::Node;
use crate::store::Inner;

/// The one lock of a store's tree as a whole; all else is done under the locks of single objects ([`Claim`]).
///
/// # Invariants
///
/// A live object is *claimed* by who gives its directory a name (an addition, a link, a move into it, a group of attributes), who moves
/// it, who begins to wait for a change of one of its attributes, and who marks it. So none of these meets another at one object, and:
///
/// - *A newcomer is in the batch or gets an error.* Who removes a subtree claims an object before it lists its children, and until all
///   of the batch is marked. An addition that claimed the directory before that is in the list; one that comes later finds it leaving.
/// - *All or nothing.* Who removes a subtree marks nothing before it has claimed all that is alive there: none of that can begin to leave by
///   itself, so what has been found to be another's then is all that is another's. It marks children before parents: below what another
///   has marked all is marked, too, and it stays so, as there is no way into a directory that is leaving.
/// - *No removal overtakes an addition.* What is added stands in its directory before its handle is good.
///
/// Who claims several objects claims a parent before its children, and is kept from meeting another kind: who removes a subtree shuts out
/// moves ([`still`](Self::still)), who moves shuts out both ([`moving`](Self::moving)). Everybody else claims one object, and waits for
/// nothing meanwhile. So nobody waits in a circle: it would be one of removals of subtrees. Each of them waits for an object whose
/// parent is its own; who has that object cannot have come to it from the parent, so it is the top of the other's subtree, which is
/// below that of the one who waits. Around the circle each top would be below the one before.
#[derive(Debug, Default)]
pub(crate) struct Topology {
    moves: RwLock<()>,
}

impl Topology {
    /// Nothing is moved until this is dropped. To be taken before any object is claimed.
    pub(crate) fn still(&self) -> impl Sized {
        self.moves.read()
    }

    /// Nothing else is moved, and nobody but the caller claims more than one object, until this is dropped. To be taken before
    /// any object is claimed.
    pub(crate) fn moving(&self) -> impl Sized {
        self.moves.write()
    }
}

/// A live object, claimed: until this is dropped it does not begin to leave, does not move, and no name comes into its directory,
/// but by who has this. Names may go.
///
/// Nothing is waited for, and no foreign code runs, while this lives. Whoever wants two reads [`Topology`] first.
#[must_use = "the object is claimed for as long as this lives"]
pub(crate) struct Claim<'a> {
    node: &'a Node,
    _lock: MutexGuard<'a, ()>,
}

impl Deref for Claim<'_> {
    type Target = Node;

    fn deref(&self) -> &Node {
        self.node
    }
}

impl Inner {
    /// Claims an object, unless it has left or is leaving.
    pub(crate) fn claim<'a>(&'a self, pin: &'a Pin<'_>, object: KobjectHandle) -> Result<Claim<'a>> {
        let node = self.nodes.get(pin, object)?;
        let lock = node.lock.lock();
        // Who marks it claims it: as it is now it stays.
        self.nodes.get(pin, object)?;
        Ok(Claim { node, _lock: lock })
    }
}
