//! Waiting for those who do one thing inside an object that stays.

use std::time::Instant;

use crate::arena::{Arena, is_leaving};
use crate::drain::Under;
use crate::error::RemoveError;
use crate::handle::{Handle, Kind};
use crate::label::Label;
use crate::records;

impl<K, S, P> Arena<K, S, P>
where
    K: Kind,
    S: Send + Sync + 'static,
    P: Send + Sync + 'static,
{
    /// Waits until those have left who are inside an object under one of these labels ([`enter_labelled`](Self::enter_labelled),
    /// [`enter_owned`](Self::enter_owned)). The object stays and others come and go: those who are inside under other labels or
    /// under none are not waited for, nor those who enter meanwhile, be it under these, be it the same threads again. Nobody is
    /// kept out: that is the caller's.
    ///
    /// With it a part of an object is revoked alone. The caller first stores, by an atomic operation of any order, that the part is
    /// gone, and then calls this. Who enters under the label loads that, by any atomic operation, *after* it has entered, and turns
    /// back if the part is gone. Then nobody uses the part when this has returned, or ever will; what was done in it is seen. That
    /// holds because entering and this fence as a removal does: the one sees the store, or the other sees who is inside.
    ///
    /// Returns at once where the object has left. One that is leaving is waited for in the same way. [`Label::NONE`] is nobody's.
    /// An [`Owned`](crate::Owned) reference is waited for whoever holds it, be it the caller.
    ///
    /// ```
    /// use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
    /// use enodev_handles::{Arena, Domain, Kind, Label, RemoveError};
    ///
    /// enum Disk {}
    /// impl Kind for Disk {
    ///     const NAME: &'static str = "Disk";
    /// }
    /// struct Parts {
    ///     tray_is_gone: AtomicBool,
    /// }
    ///
    /// let disks: Arena<Disk, (), Parts> = Arena::new(&Domain::new()?)?;
    /// let (tray, head) = (Label::new("tray"), Label::new("head"));
    /// let sr0 = disks.insert((), Parts { tray_is_gone: AtomicBool::new(false) })?;
    ///
    /// let seeking = disks.enter_labelled(sr0, head)?;
    /// let opening = disks.enter_labelled(sr0, tray)?;
    /// assert!(!opening.tray_is_gone.load(Relaxed)); // so it may be used
    /// drop(opening);
    ///
    /// disks.enter(sr0)?.tray_is_gone.store(true, Relaxed);
    /// disks.drain_labelled(sr0, &[tray], None)?; // who is seeking does not matter
    /// drop(seeking);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`RemoveError::Inside`]: the caller is inside under one of the labels. [`RemoveError::Pinned`]; [`RemoveError::Deadlock`];
    /// [`RemoveError::Barrier`]; [`RemoveError::TimedOut`]: the deadline came first. The object is not leaving for any of them, and
    /// the wait can be begun again: then it is for those who are inside at that time.
    pub fn drain_labelled(
        &self,
        handle: Handle<K>,
        labels: &[Label],
        deadline: Option<Instant>,
    ) -> Result<(), RemoveError> {
        if self.domain.is_pinned() {
            return Err(RemoveError::Pinned);
        }
        let Some(address) = self.address_of(handle) else { return Ok(()) };
        if records::is_inside_under(address, labels) {
            return Err(RemoveError::Inside);
        }
        let seen = Under::look(address, labels, self.slots.fences, &self.slots.stays)?;
        // Those who were seen may be inside a later object in the slot. They had its handle before they filled their cells, and the
        // handle was made after the slot was vacated: so that is known by now, and all who were inside have been waited for. Where
        // the handle was guessed this waits for a stranger, no worse.
        if self.address_of(handle).is_none() {
            return Ok(());
        }
        seen.wait(deadline, Some(&self.slots.tally))
    }

    /// Whether the calling thread is inside the object under one of these labels.
    ///
    /// [`Owned`](crate::Owned) references are nobody's in this sense.
    pub fn is_inside_labelled(&self, handle: Handle<K>, labels: &[Label]) -> bool {
        self.address_of(handle).is_some_and(|address| records::is_inside_under(address, labels))
    }

    /// Where an object is that has not left.
    pub(crate) fn address_of(&self, handle: Handle<K>) -> Option<usize> {
        let slot = self.slots.slot(handle.index()).ok()?;
        let (word, version) = (slot.word(), handle.version());
        (word.answers_to(version) || is_leaving(word, version)).then(|| slot.address())
    }
}
