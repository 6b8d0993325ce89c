//! Taking attributes away from one object, for good or for a time.

use enodev_handles::Label;

use crate::error::{Error, Result};
use crate::handle::{AttrHandle, GroupHandle, KobjectHandle};
use crate::pending;
use crate::presence::Leaving;
use crate::store::Tree;
use crate::unregister::Removal;

/// Attributes of an object that nobody is let into any more, while some may still be inside.
#[derive(Debug)]
pub(crate) struct Revoked {
    pub(crate) object: KobjectHandle,
    pub(crate) attrs: Vec<AttrHandle>,
    /// How those are labelled who are inside.
    pub(crate) labels: Vec<Label>,
    /// The group that goes when nobody is inside any more, where one is to go.
    pub(crate) group: Option<GroupHandle>,
}

impl Tree {
    /// Waits until nobody is inside the attributes, or has that done as the calling thread leaves them.
    pub(crate) fn revoke(&self, revoked: Revoked) -> Result<Removal> {
        self.wake(revoked.object, &revoked.attrs);
        let count = revoked.attrs.len();
        if self.is_inside(&revoked) {
            pending::put_off(self, revoked);
            return Ok(Removal::Begun(count));
        }
        self.finish_revoked(&revoked)?;
        Ok(Removal::Done(count))
    }

    /// Whether the calling thread is inside one of the attributes.
    pub(crate) fn is_inside(&self, revoked: &Revoked) -> bool {
        self.nodes.is_inside_labelled(revoked.object, &revoked.labels)
    }

    /// Waits until nobody is inside, and lets the group go. The caller is not inside.
    pub(crate) fn finish_revoked(&self, revoked: &Revoked) -> Result {
        let drained = self.nodes.drain_labelled(revoked.object, &revoked.labels, None);
        let Some(group) = revoked.group else { return Ok(drained?) };
        let _topology = self.topology.lock();
        let pin = self.domain.pin();
        // The object may have left meanwhile, and the group with it.
        if let Ok(node) = self.nodes.get_leaving(&pin, revoked.object) {
            let mut presence = node.more_or_new().presence.write();
            match drained {
                Ok(()) => presence.remove(group, revoked.attrs.iter().copied()),
                Err(_) => presence.set_leaving(group, Leaving::GivenUp),
            }
        }
        drained.map_err(Error::from)
    }
}
