//! The model of who is inside what, and of what goes as its callbacks return.

use std::collections::BTreeSet;

use enodev::{Error, KobjectHandle, Removal};

use crate::files::defs::ATTRS;
use crate::files::model::{Life, Model, ROOT};

/// What the thread is inside of, and what waits for it to leave.
#[derive(Debug, Default)]
pub(crate) struct Leaving {
    /// Objects and attributes whose callbacks run, the innermost last.
    pub(crate) frames: Vec<(usize, usize)>,
    batches: Vec<BTreeSet<usize>>,
    revoked: Vec<Revoked>,
}

#[derive(Debug, Clone)]
struct Revoked {
    object: usize,
    attrs: Vec<usize>,
    group: Option<usize>,
}

impl Leaving {
    fn is_inside(&self, object: usize) -> bool {
        self.frames.iter().any(|(inside, _)| *inside == object)
    }

    fn is_inside_any(&self, object: usize, attrs: &[usize]) -> bool {
        self.frames.iter().any(|(inside, attr)| *inside == object && attrs.contains(attr))
    }

    /// Whether the lock of an object's payload is held.
    pub(crate) fn has_lock(&self, object: usize) -> bool {
        self.frames.iter().any(|(inside, attr)| *inside == object && ATTRS[*attr].locks())
    }

    /// So many attributes go from an object, which nobody may be inside of when that is done, nor of others that have gone.
    pub(crate) fn revoke(&mut self, object: usize, attrs: Vec<usize>, count: usize, group: Option<usize>) -> Removal {
        if !self.is_inside_any(object, &attrs) {
            return Removal::Done(count);
        }
        self.revoked.push(Revoked { object, attrs, group });
        Removal::Begun(count)
    }
}

impl Model {
    /// The innermost callback has returned. Returns the batches of objects that have gone with that.
    pub(crate) fn end_frame(&mut self) -> Vec<BTreeSet<usize>> {
        self.leaving.frames.pop();
        let (over, left) = std::mem::take(&mut self.leaving.batches)
            .into_iter()
            .partition(|batch: &BTreeSet<usize>| !batch.iter().any(|object| self.leaving.is_inside(*object)));
        self.leaving.batches = left;
        let over: Vec<BTreeSet<usize>> = over;
        over.iter().for_each(|batch| self.bury(batch));
        let revoked = std::mem::take(&mut self.leaving.revoked);
        for revoked in revoked {
            if self.leaving.is_inside_any(revoked.object, &revoked.attrs) {
                self.leaving.revoked.push(revoked);
            } else if let Some(group) = revoked.group {
                self.forget_group(revoked.object, group);
            }
        }
        over
    }

    fn bury(&mut self, batch: &BTreeSet<usize>) {
        for object in batch {
            self.objects[*object].life = Life::Gone;
            self.objects[*object].links.clear();
        }
        for object in &mut self.objects {
            object.links.retain(|_, target| !batch.contains(target));
        }
    }

    /// Whether an object can be removed, and its payload handed back as one of this type's.
    pub(crate) fn unregister(&mut self, object: KobjectHandle, ty: usize) -> Result<usize, Error> {
        let object = self.get_leaving(object)?;
        if !self.is_here(object) {
            return Err(Error::Leaving);
        }
        if self.leaving.is_inside(object) {
            return Err(Error::Inside);
        }
        if self.objects[object].ty != Some(ty) {
            return Err(Error::WrongType);
        }
        if self.children(object).next().is_some() {
            return Err(Error::HasChildren);
        }
        self.bury(&BTreeSet::from([object]));
        Ok(object)
    }

    /// Returns the batch that has gone as well.
    pub(crate) fn unregister_subtree(
        &mut self,
        object: KobjectHandle,
    ) -> Result<(Removal, Option<BTreeSet<usize>>), Error> {
        if object == self.objects[ROOT].handle {
            return Err(Error::Root);
        }
        let batch = self.subtree(self.get_leaving(object)?);
        if !batch.iter().all(|object| self.is_here(*object)) {
            return Err(Error::Leaving);
        }
        let count = batch.len();
        if batch.iter().any(|object| self.leaving.is_inside(*object)) {
            batch.iter().for_each(|object| self.objects[*object].life = Life::Leaving);
            self.leaving.batches.push(batch);
            return Ok((Removal::Begun(count), None));
        }
        self.bury(&batch);
        Ok((Removal::Done(count), Some(batch)))
    }
}
