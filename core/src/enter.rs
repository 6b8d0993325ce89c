use enodev_attrs::{Errno, Result as AttrResult, Seen};
use enodev_handles::{Active, ActiveMut, Label};

use crate::attribute::{AnyAttribute, AttrCode};
use crate::context::Context;
use crate::error::{Error, Result};
use crate::handle::{AsKobject, AttrHandle, KobjectHandle};
use crate::payload::{Body, Guarded, Payload, PayloadRef};
use crate::pending;
use crate::presence::Of;
use crate::state::Known;
use crate::store::Store;

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
        let active = self.inner.nodes.enter(object.kobject())?;
        active.try_map(|body| body.payload.shared()).map_err(|_| Error::WrongType)
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
        self.lock_labelled(object.kobject(), Label::NONE)?.try_map(Guarded::see).map_err(|_| Error::WrongType)
    }

    /// Enters an exclusive payload, whatever its type.
    pub(crate) fn lock_labelled(&self, object: KobjectHandle, label: Label) -> Result<ActiveMut<'_, Guarded>> {
        let exclusive = || {
            let body = self.inner.nodes.enter_labelled(object, label)?;
            body.try_map(|body| Some(&body.payload.locked()?.guarded)).map_err(|_| Error::WrongType)
        };
        let mut lock = match exclusive()?.try_lock() {
            Ok(payload) => return Ok(payload),
            Err(contended) => contended.lock(),
        };
        if self.inner.nodes.is_inside(object) {
            return Err(Error::Inside);
        }
        lock.acquire()?;
        // The same incarnation has the same lock.
        exclusive()?.lock_with(lock).map_err(|_| Error::WrongType)
    }

    /// As `lock_labelled`, if nobody is inside.
    pub(crate) fn try_lock_labelled(&self, object: KobjectHandle, label: Label) -> Result<ActiveMut<'_, Guarded>> {
        let body = self.inner.nodes.enter_labelled(object, label)?;
        let exclusive = body.try_map(|body| Some(&body.payload.locked()?.guarded)).map_err(|_| Error::WrongType)?;
        exclusive.try_lock().map_err(|_| Error::Inside)
    }

    /// Enters an object for one of its attributes, and the attribute, both or none, and runs the attribute's code. Says so where that
    /// has begun a removal which could not be finished as it returned.
    #[inline]
    pub(crate) fn visit<R>(
        &self,
        at: Visited<'_>,
        run: impl FnOnce(&dyn AnyAttribute, Context<'_, PayloadRef<'_>>) -> AttrResult<R>,
    ) -> AttrResult<R> {
        pending::begin();
        let answer = self.call(at, run);
        self.trace_panics(at.object);
        pending::settle()?;
        answer
    }

    fn call<R>(
        &self,
        at: Visited<'_>,
        run: impl FnOnce(&dyn AnyAttribute, Context<'_, PayloadRef<'_>>) -> AttrResult<R>,
    ) -> AttrResult<R> {
        let object = at.object;
        let attr = self.inner.attrs.enter(at.attr)?;
        let body = self.inner.nodes.enter_labelled(object, attr.label)?;
        let known = self.admit(&at, &attr, &body)?;
        let payload = match &body.payload {
            Payload::Shared(value) => PayloadRef::Shared(value),
            Payload::Exclusive(_) if attr.locks => {
                let label = attr.label;
                drop((body, attr));
                return self.call_locked(at, label, run);
            }
            _ => PayloadRef::None,
        };
        at.latch(known);
        run(&*attr.code, Context { payload, store: self, object })
    }

    /// As `call`, with the payload's lock, for which nobody waits while inside anything.
    fn call_locked<R>(
        &self,
        at: Visited<'_>,
        label: Label,
        run: impl FnOnce(&dyn AnyAttribute, Context<'_, PayloadRef<'_>>) -> AttrResult<R>,
    ) -> AttrResult<R> {
        let mut guarded = self.lock_labelled(at.object, label)?;
        let attr = self.inner.attrs.enter(at.attr)?;
        // While this waited, the attribute may have been taken away.
        let body = self.inner.nodes.enter(at.object)?;
        let known = self.admit(&at, &attr, &body)?;
        drop(body);
        at.latch(known);
        let payload = PayloadRef::Exclusive(&mut guarded);
        run(&*attr.code, Context { payload, store: self, object: at.object })
    }

    /// Whether the object shows the attribute, and still does so for a file that was opened before. The caller is inside the
    /// object under the attribute's label: who takes the attribute away either waits for the caller or is seen here.
    #[inline]
    fn admit(&self, at: &Visited<'_>, attr: &AttrCode, body: &Body) -> AttrResult<Known> {
        let known = body.state.get();
        let is_own = attr.ty == body.payload.ty();
        if known.is_changed() {
            self.admit_changed(at, attr, is_own)?;
        } else if !is_own {
            return Err(self.not_shown(attr));
        }
        Ok(known)
    }

    #[cold]
    fn admit_changed(&self, at: &Visited<'_>, attr: &AttrCode, is_own: bool) -> AttrResult {
        let pin = self.inner.domain.pin();
        let node = self.inner.nodes.get(&pin, at.object)?;
        let of = Of { attr: at.attr, group: attr.group, is_own, mode: enodev_attrs::Mode::empty() };
        let shown = node.more().and_then(|more| more.presence.read().of(of));
        match shown {
            Some(shown) if at.opened.is_none_or(|opened| shown.since <= opened) => Ok(()),
            None if !is_own => Err(self.not_shown(attr)),
            _ => Err(Errno::ENODEV),
        }
    }

    /// What to say of an attribute that an object of another type does not show.
    #[cold]
    fn not_shown(&self, attr: &AttrCode) -> Errno {
        if attr.ty == self.inner.untyped { Errno::ENODEV } else { Errno::EINVAL }
    }

    /// Whether an attribute of an object can be entered.
    pub(crate) fn alive(&self, at: Visited<'_>) -> AttrResult {
        let attr = self.inner.attrs.enter(at.attr)?;
        let body = self.inner.nodes.enter_labelled(at.object, attr.label)?;
        self.admit(&at, &attr, &body).map(drop)
    }

    /// Runs our own code inside an attribute of an object.
    pub(crate) fn within(
        &self,
        object: KobjectHandle,
        attr: AttrHandle,
        run: impl FnOnce() -> AttrResult,
    ) -> AttrResult {
        let at = Visited { object, attr, opened: None, seen: None };
        let attr = self.inner.attrs.enter(attr)?;
        let body = self.inner.nodes.enter_labelled(object, attr.label)?;
        self.admit(&at, &attr, &body)?;
        run()
    }
}

/// An attribute of an object that is to be entered.
#[derive(Clone, Copy)]
pub(crate) struct Visited<'a> {
    pub(crate) object: KobjectHandle,
    pub(crate) attr: AttrHandle,
    /// When the file was opened through which it is, in the object's own time.
    pub(crate) opened: Option<u64>,
    /// What is told how many changes there have been.
    pub(crate) seen: Option<&'a Seen>,
}

impl Visited<'_> {
    /// Of a file that reads, the changes that are known of count as seen: those that the callback does not see any more come after
    /// this. To be called where nothing keeps the callback from running, so that no change counts as seen that none has looked at.
    #[inline]
    fn latch(&self, known: Known) {
        if let Some(seen) = self.seen {
            seen.latch(known.events());
        }
    }
}
