use enodev_attrs::{Errno, Result as AttrResult};
use enodev_handles::{Active, ActiveMut};

use crate::attribute::AnyAttribute;
use crate::context::Context;
use crate::error::{Error, Result};
use crate::handle::{AsKobject, AttrHandle, KobjectHandle};
use crate::payload::{Guarded, Payload, PayloadRef};
use crate::store::Store;
use crate::unregister::take_unfinished;

/// Entering. A guard is for one operation; while it lives, a removal of the object waits.
impl Store {
    /// Enters an object whose payload is shared, as a `U`: the payload's own type, or one that its type publishes it as.
    ///
    /// Never waits.
    ///
    /// # Errors
    ///
    /// `ENODEV`; [`Error::WrongType`].
    #[inline]
    pub fn enter<U: ?Sized + 'static>(&self, object: impl AsKobject) -> Result<Active<'_, U>> {
        let active = self.tree.nodes.enter(object.kobject())?;
        active.try_map(Payload::shared).map_err(|_| Error::WrongType)
    }

    /// Enters an object whose payload is exclusive, as a `U`; waits while another thread is inside.
    ///
    /// Who waits is not inside this object, and delays no removal of it. It may be inside another.
    ///
    /// # Errors
    ///
    /// `ENODEV`, also where the object leaves while this waits; [`Error::WrongType`]; [`Error::Inside`] where the caller
    /// itself is inside and would wait for itself; [`Error::Deadlock`] where whoever is inside waits for the caller, as of two
    /// threads that each are inside one of two exclusive objects and want the other: the one that comes last is told.
    pub fn enter_mut<U: ?Sized + 'static>(&self, object: impl AsKobject) -> Result<ActiveMut<'_, U>> {
        self.lock(object.kobject())?.try_map(Guarded::see).map_err(|_| Error::WrongType)
    }

    /// Enters an exclusive payload, whatever its type.
    fn lock(&self, object: KobjectHandle) -> Result<ActiveMut<'_, Guarded>> {
        let exclusive = || self.tree.nodes.enter(object)?.try_map(Payload::exclusive).map_err(|_| Error::WrongType);
        let mut lock = match exclusive()?.try_lock() {
            Ok(payload) => return Ok(payload),
            Err(contended) => contended.lock(),
        };
        if self.tree.nodes.is_inside(object) {
            return Err(Error::Inside);
        }
        lock.acquire()?;
        // The same incarnation has the same lock.
        exclusive()?.lock_with(lock).map_err(|_| Error::WrongType)
    }

    /// Enters an object and one of its attributes, both or none, and runs the attribute's code. Says so where that has begun a
    /// removal which could not be finished as it returned.
    pub(crate) fn visit<R>(
        &self,
        object: KobjectHandle,
        attr: AttrHandle,
        run: impl FnOnce(&dyn AnyAttribute, Context<'_, PayloadRef<'_>>) -> AttrResult<R>,
    ) -> AttrResult<R> {
        let answer = self.call(object, attr, run);
        take_unfinished()?;
        answer
    }

    fn call<R>(
        &self,
        object: KobjectHandle,
        attr: AttrHandle,
        run: impl FnOnce(&dyn AnyAttribute, Context<'_, PayloadRef<'_>>) -> AttrResult<R>,
    ) -> AttrResult<R> {
        let context = |payload| Context { payload, store: self, object };
        let owner = self.tree.nodes.enter(object)?;
        if matches!(*owner, Payload::Exclusive(..)) {
            drop(owner);
            let mut payload = self.lock(object)?;
            let attr = self.attrs.enter(attr)?;
            if attr.ty != payload.ty() {
                return Err(Errno::EINVAL);
            }
            return run(&*attr.code, context(PayloadRef::Exclusive(&mut *payload.value)));
        }
        let attr = self.attrs.enter(attr)?;
        match &*owner {
            Payload::Shared(value) if attr.ty == owner.ty() => run(&*attr.code, context(PayloadRef::Shared(value))),
            _ => Err(Errno::EINVAL),
        }
    }

    /// Whether an object and an attribute can both be entered.
    pub(crate) fn alive(&self, object: KobjectHandle, attr: AttrHandle) -> AttrResult {
        let _owner = self.tree.nodes.enter(object)?;
        let _attr = self.attrs.enter(attr)?;
        Ok(())
    }
}
