use std::sync::atomic::{AtomicU64, Ordering};

use enodev_handles::{Label, Pin};

use crate::context::Context;
use crate::error::{Error, Result};
use crate::group::{GroupCode, GroupMeta};
use crate::handle::{AsKobject, AttrHandle, GroupHandle, KobjectHandle};
use crate::node::Node;
use crate::payload::PayloadRef;
use crate::pending;
use crate::presence::{Decision, Leaving, Of};
use crate::revoke::Revoked;
use crate::store::Store;
use crate::unregister::Removal;

/// Changing which attributes one object has. Whoever reads, writes or lists sees each of these happen at once and as a whole; files
/// of what stays stay good.
///
/// Callbacks of a group ([`Group::is_visible`](crate::Group::is_visible)) run while the object is entered, and under no lock of the
/// store. Of two decisions for one object the one that was begun later counts.
impl Store {
    /// Gives an object a group of attributes, which must not have one of the names that the object's directory has.
    ///
    /// # Errors
    ///
    /// The object is as it was:
    ///
    /// - `ENODEV`: the object or the group.
    /// - [`Error::WrongType`]: the group is for other payloads.
    /// - [`Error::Exists`]: the object has the group, perhaps still leaving, or something of the group's name, or one of its attributes'.
    ///   What is hidden keeps its name.
    /// - What the group's callbacks fail with; [`Error::Inside`] and [`Error::Deadlock`] as [`enter_mut`](Self::enter_mut), where they need
    ///   an exclusive payload.
    pub fn add_group(&self, object: impl AsKobject, group: GroupHandle) -> Result {
        let object = object.kobject();
        let decision = self.decide(object, group, Self::may_add)?;
        let code = self.inner.groups.enter(group)?;
        // Entered, so that the object does not leave while it gets the group; it is not waited for.
        let body = self.inner.nodes.enter(object)?;
        let pin = self.inner.domain.pin();
        let (node, meta) = (self.inner.claim(&pin, object)?, self.inner.groups.get(&pin, group)?);
        self.may_add(&node, group, meta)?;
        match &meta.name {
            Some(name) => self.check_free(&node, name)?,
            None => meta.attrs.keys().try_for_each(|name| self.check_free(&node, name))?,
        }
        self.note_hidden(&code, &decision);
        let attrs = self.of_group(&pin, &node, group, meta);
        node.more_or_new().add_group(group, &decision, &attrs);
        body.state.set_changed();
        Ok(())
    }

    /// Takes a group away from an object. When this returns [`Removal::Done`], none of its callbacks runs for this object, or ever will;
    /// open files of it give `ENODEV` for ever, also after the object has been given the group again. Those who wait for a change are
    /// told that it is gone.
    ///
    /// A callback of the group may do this: it is told [`Removal::Begun`], and when the operation returns that it is the callback of, the
    /// group is gone. Other callbacks of the group that do it too are told [`Error::Leaving`] and wait for nobody.
    ///
    /// # Errors
    ///
    /// - `ENODEV`: the object or the group.
    /// - [`Error::NotFound`]: the object has not got the group, or it came with the object's type. Where another thread takes it away
    ///   just now, this returns when that is done.
    /// - [`Error::Leaving`]: another thread is at it, and the caller is inside one of the attributes.
    /// - [`Error::Deadlock`], [`Error::Barrier`]: the group goes on leaving; to call this again goes on with it.
    pub fn remove_group(&self, object: impl AsKobject, group: GroupHandle) -> Result<Removal> {
        let object = object.kobject();
        let (revoked, is_ours) = {
            let body = self.inner.nodes.enter(object)?;
            let pin = self.inner.domain.pin();
            let (node, meta) = (self.inner.claim(&pin, object)?, self.inner.groups.get(&pin, group)?);
            let attrs: Vec<_> = meta.attrs.values().copied().collect();
            let mut labels = self.labels(&pin, &attrs)?;
            // Callbacks that decide about the group are its callbacks too.
            labels.push(meta.label);
            let Some(more) = node.more() else { return Err(Error::NotFound) };
            let mut presence = more.presence.write();
            let (since, is_ours) = match presence.leaving(group) {
                None => return Err(Error::NotFound),
                Some(Some(Leaving::UnderWay)) => (presence.leaves_since(group), false),
                Some(_) => (presence.leave(group), true),
            };
            drop(presence);
            body.state.set_changed();
            (Revoked { object, attrs, labels, group: since.map(|since| (group, since)) }, is_ours)
        };
        if is_ours {
            return self.inner.revoke(revoked);
        }
        if self.inner.is_inside(&revoked) {
            return Err(Error::Leaving);
        }
        let is_ours = self.inner.join_revoked(&revoked)?;
        if is_ours { Ok(Removal::Done(revoked.attrs.len())) } else { Err(Error::NotFound) }
    }

    /// Asks a group's callbacks again what of it is there for an object that has it. Open files of what stays stay good, where Linux
    /// makes all files anew; those of what goes give `ENODEV` for ever.
    ///
    /// Returns how many attributes have gone, as [`remove_group`](Self::remove_group). When this returns [`Removal::Done`], no callback
    /// runs for this object of what is hidden, be it by this or by an earlier decision.
    ///
    /// # Errors
    ///
    /// As [`add_group`](Self::add_group), and [`Error::NotFound`] where the object has not got the group. [`Error::Deadlock`],
    /// [`Error::Barrier`]: it is as the callbacks decided, and somebody may still be inside what has gone; to call this again waits
    /// again.
    pub fn update_group(&self, object: impl AsKobject, group: GroupHandle) -> Result<Removal> {
        let object = object.kobject();
        let decision = self.decide(object, group, Self::may_update)?;
        let revoked = {
            let code = self.inner.groups.enter(group)?;
            let body = self.inner.nodes.enter(object)?;
            let pin = self.inner.domain.pin();
            let (node, meta) = (self.inner.claim(&pin, object)?, self.inner.groups.get(&pin, group)?);
            self.may_update(&node, group, meta)?;
            self.note_hidden(&code, &decision);
            let all = self.of_group(&pin, &node, group, meta);
            let mut presence = node.more_or_new().presence.write();
            let attrs = presence.decide(group, &decision, &all);
            // Those whom an earlier decision has shut out may still be inside.
            let hidden: Vec<_> = all.iter().filter(|of| presence.of(**of).is_none()).map(|of| of.attr).collect();
            drop(presence);
            body.state.set_changed();
            Revoked { object, attrs, labels: self.labels(&pin, &hidden)?, group: None }
        };
        self.inner.revoke(revoked)
    }

    /// Gives an object an attribute that was defined alone. As [`add_group`](Self::add_group).
    ///
    /// # Errors
    ///
    /// As `add_group`; `EINVAL` for an attribute of a larger group, or of a type.
    pub fn add_attribute(&self, object: impl AsKobject, attr: AttrHandle) -> Result {
        self.add_group(object, self.alone(attr)?)
    }

    /// Takes an attribute away that the object was given. As [`remove_group`](Self::remove_group).
    ///
    /// # Errors
    ///
    /// As `remove_group`; `EINVAL` for an attribute of a larger group, or of a type: that can be [hidden](Self::hide_attribute).
    pub fn remove_attribute(&self, object: impl AsKobject, attr: AttrHandle) -> Result<Removal> {
        self.remove_group(object, self.alone(attr)?)
    }

    /// Hides an attribute of an object: it is not listed nor found, and its open files give `ENODEV`, for ever. Its name stays taken.
    /// When this returns [`Removal::Done`], no callback of it runs for this object. To hide what is hidden changes nothing.
    ///
    /// # Errors
    ///
    /// `ENODEV`: the object or the attribute. [`Error::NotFound`]: the object has no such attribute. [`Error::Deadlock`],
    /// [`Error::Barrier`]: it is hidden, and somebody may still be inside.
    pub fn hide_attribute(&self, object: impl AsKobject, attr: AttrHandle) -> Result<Removal> {
        let object = object.kobject();
        self.set_hidden(object, attr, true)?;
        let labels = self.labels(&self.inner.domain.pin(), &[attr])?;
        self.inner.revoke(Revoked { object, attrs: vec![attr], labels, group: None })
    }

    /// Takes back what [`hide_attribute`](Self::hide_attribute) did: the attribute is shown again, unless the callbacks of its group hide
    /// it. Files that were open before stay dead.
    ///
    /// # Errors
    ///
    /// `ENODEV`: the object or the attribute. [`Error::NotFound`]: the object has no such attribute.
    pub fn show_attribute(&self, object: impl AsKobject, attr: AttrHandle) -> Result {
        self.set_hidden(object.kobject(), attr, false)
    }

    /// The groups of an object, shown or not: those of its type, and those that it was given. The first of a type's has the attributes
    /// that are in no other, even if there are none.
    ///
    /// # Errors
    ///
    /// `ENODEV`.
    pub fn groups(&self, object: impl AsKobject) -> Result<Vec<GroupHandle>> {
        let pin = self.inner.domain.pin();
        let node = self.inner.nodes.get(&pin, object.kobject())?;
        let mut groups =
            node.ty.map_or(Ok(Vec::new()), |ty| self.inner.types.get(&pin, ty).map(|ty| ty.groups.clone()))?;
        if let Some(more) = node.more() {
            groups.extend(more.presence.read().added());
        }
        Ok(groups)
    }

    fn set_hidden(&self, object: KobjectHandle, attr: AttrHandle, is_hidden: bool) -> Result {
        let body = self.inner.nodes.enter(object)?;
        let pin = self.inner.domain.pin();
        let node = self.inner.claim(&pin, object)?;
        let meta = self.attr_meta(&pin, attr)?;
        let group = self.inner.groups.get(&pin, meta.group)?;
        self.may_update(&node, meta.group, group)?;
        if is_hidden {
            self.inner.attrs.enter(attr)?.plain.iter().for_each(|plain| plain.hide());
        }
        node.more_or_new().presence.write().hide(attr, is_hidden);
        body.state.set_changed();
        Ok(())
    }

    /// Whether the object can be given the group, as far as it has it already.
    pub(crate) fn may_add(&self, node: &Node, group: GroupHandle, meta: &GroupMeta) -> Result {
        if Some(meta.ty) == node.ty || node.more().is_some_and(|more| more.presence.read().leaving(group).is_some()) {
            return Err(Error::Exists);
        }
        if meta.ty == self.inner.untyped { Ok(()) } else { Err(Error::WrongType) }
    }

    /// Whether the object has the group, and it is not leaving.
    fn may_update(&self, node: &Node, group: GroupHandle, meta: &GroupMeta) -> Result {
        let is_added = || node.more().is_some_and(|more| more.presence.read().leaving(group) == Some(None));
        if Some(meta.ty) == node.ty || is_added() { Ok(()) } else { Err(Error::NotFound) }
    }

    /// Asks a group's callbacks what of it is there for an object, where they may be asked at all.
    fn decide(
        &self,
        object: KobjectHandle,
        group: GroupHandle,
        may: impl Fn(&Self, &Node, GroupHandle, &GroupMeta) -> Result,
    ) -> Result<Decision> {
        pending::begin();
        let decision = self.decide_inside(object, group, may);
        self.trace_panics(object);
        pending::settle()?;
        decision
    }

    fn decide_inside(
        &self,
        object: KobjectHandle,
        group: GroupHandle,
        may: impl Fn(&Self, &Node, GroupHandle, &GroupMeta) -> Result,
    ) -> Result<Decision> {
        let code = self.inner.groups.enter(group)?;
        let number = Self::number();
        let label = code.label;
        let body = self.inner.nodes.enter_labelled(object, label)?;
        {
            let pin = self.inner.domain.pin();
            may(self, self.inner.nodes.get(&pin, object)?, group, self.inner.groups.get(&pin, group)?)?;
        }
        if !code.code.fits(&body.payload) {
            return Err(Error::WrongType);
        }
        if code.code.is_plain() || !code.locks {
            let payload = match &body.payload {
                crate::payload::Payload::Shared(value) => PayloadRef::Shared(value),
                _ => PayloadRef::None,
            };
            return self.ask(number, object, &code, payload);
        }
        drop((body, code));
        // Nobody waits for a payload's lock while inside anything.
        let mut guarded = self.lock_labelled(object, label)?;
        let code = self.inner.groups.enter(group)?;
        {
            // While this waited, the group may have been taken away.
            let pin = self.inner.domain.pin();
            may(self, self.inner.nodes.get(&pin, object)?, group, self.inner.groups.get(&pin, group)?)?;
        }
        self.ask(number, object, &code, PayloadRef::Exclusive(&mut guarded))
    }

    pub(crate) fn number() -> u64 {
        static NUMBERS: AtomicU64 = AtomicU64::new(1);
        // AcqRel: pairs with itself. What came before an earlier decision is seen by the callbacks that are asked for a later one: so
        // nothing is lost where the earlier is dropped.
        NUMBERS.fetch_add(1, Ordering::AcqRel)
    }

    /// Asks a group's callbacks about an object, perhaps one that nobody knows yet.
    pub(crate) fn ask(
        &self,
        number: u64,
        object: KobjectHandle,
        group: &GroupCode,
        mut payload: PayloadRef<'_>,
    ) -> Result<Decision> {
        if group.code.is_plain() {
            let modes = group.attrs.iter().map(|attr| Ok((*attr, Some(self.mode(*attr)?)))).collect::<Result<_>>()?;
            return Ok(Decision { number, is_shown: true, modes });
        }
        let is_shown = group.code.is_shown(Context { payload: payload.again(), store: self, object })?;
        let mut modes = Vec::with_capacity(group.attrs.len());
        for attr in group.attrs.iter().filter(|_| is_shown) {
            let code = self.inner.attrs.enter(*attr)?;
            let owner = Context { payload: payload.again(), store: self, object };
            modes.push((*attr, group.code.mode(owner, &*code.code)?));
        }
        Ok(Decision { number, is_shown, modes })
    }

    fn mode(&self, attr: AttrHandle) -> Result<enodev_attrs::Mode> {
        Ok(self.attr_meta(&self.inner.domain.pin(), attr)?.mode)
    }

    /// The attributes of a group, as [`Presence`](crate::presence::Presence) wants to know them.
    pub(crate) fn of_group(&self, pin: &Pin<'_>, node: &Node, group: GroupHandle, meta: &GroupMeta) -> Vec<Of> {
        let of = |attr: &AttrHandle| {
            let mode = self.attr_meta(pin, *attr).map_or(enodev_attrs::Mode::empty(), |meta| meta.mode);
            Of { attr: *attr, group, is_own: Some(meta.ty) == node.ty, mode }
        };
        meta.attrs.values().map(of).collect()
    }

    /// Plain attributes that are hidden on some object are read the longer way on all.
    pub(crate) fn note_hidden(&self, group: &GroupCode, decision: &Decision) {
        let hidden = group.attrs.iter().filter(|attr| {
            let shown = decision.modes.iter().any(|(shown, mode)| shown == *attr && mode.is_some());
            !shown
        });
        for attr in hidden {
            if let Ok(code) = self.inner.attrs.enter(*attr) {
                code.plain.iter().for_each(|plain| plain.hide());
            }
        }
    }

    fn labels(&self, pin: &Pin<'_>, attrs: &[AttrHandle]) -> Result<Vec<Label>> {
        attrs.iter().map(|attr| Ok(self.attr_meta(pin, *attr)?.label)).collect()
    }

    /// The group of an attribute that was defined alone.
    fn alone(&self, attr: AttrHandle) -> Result<GroupHandle> {
        let pin = self.inner.domain.pin();
        let group = self.attr_meta(&pin, attr)?.group;
        let meta = self.inner.groups.get(&pin, group)?;
        let is_alone = meta.ty == self.inner.untyped && meta.name.is_none() && meta.attrs.len() == 1;
        if is_alone { Ok(group) } else { Err(enodev_attrs::Errno::EINVAL.into()) }
    }
}
