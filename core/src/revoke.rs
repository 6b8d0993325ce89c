//! Taking attributes away from one object, for good or for a time.

use enodev_handles::Label;

use crate::error::Result;
use crate::handle::{AttrHandle, GroupHandle, KobjectHandle};
use crate::pending;
use crate::presence::{Leaving, Presence};
use crate::store::Inner;
use crate::unregister::Removal;

/// Attributes of an object that nobody is let into any more, while some may still be inside.
#[derive(Debug)]
pub(crate) struct Revoked {
    pub(crate) object: KobjectHandle,
    pub(crate) attrs: Vec<AttrHandle>,
    /// How those are labelled who may be inside.
    pub(crate) labels: Vec<Label>,
    /// The group that goes when nobody is inside any more, where one is to go, and since when the object has had it.
    pub(crate) group: Option<(GroupHandle, u64)>,
}

impl Inner {
    /// Waits until nobody is inside the attributes, or has that done as the calling thread leaves them.
    pub(crate) fn revoke(&self, revoked: Revoked) -> Result<Removal> {
        self.wake(revoked.object, &revoked.attrs);
        let count = revoked.attrs.len();
        if self.is_inside(&revoked) {
            if let Err(revoked) = pending::put_off(self, revoked) {
                self.give_up_revoked(&revoked);
            }
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
        let drained = self.drain_revoked(revoked);
        match drained {
            Ok(()) => drop(self.forget_group(revoked)),
            Err(_) => self.give_up_revoked(revoked),
        }
        drained
    }

    /// Leaves it to whoever removes the group next.
    fn give_up_revoked(&self, revoked: &Revoked) {
        self.change_group(revoked, |presence, group, since| presence.give_up(group, since)).unwrap_or(());
    }

    /// As `finish_revoked`, for a removal that another thread has begun, and which ends with the first of the two that finds nobody
    /// inside. True if the other has given it up.
    pub(crate) fn join_revoked(&self, revoked: &Revoked) -> Result<bool> {
        self.drain_revoked(revoked)?;
        Ok(self.forget_group(revoked) == Some(Leaving::GivenUp))
    }

    fn drain_revoked(&self, revoked: &Revoked) -> Result {
        if revoked.labels.is_empty() {
            return Ok(());
        }
        Ok(self.nodes.drain_labelled(revoked.object, &revoked.labels, None)?)
    }

    fn forget_group(&self, revoked: &Revoked) -> Option<Leaving> {
        let attrs = || revoked.attrs.iter().copied();
        self.change_group(revoked, |presence, group, since| presence.remove(group, since, attrs())).flatten()
    }

    /// `None` where there is no group, or the object has left meanwhile, and the group with it.
    fn change_group<R>(
        &self,
        revoked: &Revoked,
        change: impl FnOnce(&mut Presence, GroupHandle, u64) -> R,
    ) -> Option<R> {
        let (group, since) = revoked.group?;
        let pin = self.domain.pin();
        let node = self.nodes.get_leaving(&pin, revoked.object).ok()?;
        let _lock = node.lock.lock();
        Some(change(&mut node.more()?.presence.write(), group, since))
    }
}
