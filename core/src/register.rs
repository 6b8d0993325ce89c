use std::sync::atomic::{Ordering, fence};

use enodev_attrs::Name;
use enodev_handles::{Pin, Stale};

use crate::binding::{OnBus, Part};
use crate::device_type::{Sharing, Type};
use crate::entries::Child;
use crate::error::{Error, Result};
use crate::group::GroupCode;
use crate::handle::{AsKobject, DeviceHandle, GroupHandle, KobjectHandle, TypeHandle, device};
use crate::members::Published;
use crate::new_device::{Begin, NewLink};
use crate::node::Node;
use crate::observe::Phase;
use crate::payload::{Body, Payload};
use crate::presence::Decision;
use crate::state::State;
use crate::store::Store;
use crate::topology::Claim;

/// Adding.
impl Store {
    /// Registers a device under `parent`. From the moment when it can be found all its attributes can be read.
    ///
    /// Before that the callbacks of the type's groups decide what is there. They are given the payload and the handle that the device
    /// is going to have, with which nothing can be done yet: it is `ENODEV`.
    ///
    /// # Errors
    ///
    /// The payload is dropped, and the store is as it was:
    ///
    /// - `ENODEV`: `parent` or the type is not of this store, has left, or is leaving.
    /// - [`Error::Exists`]: the parent has a child, a link or an attribute of that name.
    /// - [`Error::Name`], [`Error::Full`].
    /// - What the callbacks of the type's groups fail with: `EIO` where one panics, `EINVAL` for a mode that no callback keeps.
    pub fn register<O: Sharing>(
        &self,
        parent: impl AsKobject,
        name: &str,
        ty: Type<O>,
        payload: O::Value,
    ) -> Result<DeviceHandle> {
        self.new_device(parent, name, ty, payload).register()
    }

    /// Registers an object that is no device, with attributes and a payload. As [`register`](Self::register) otherwise.
    ///
    /// # Errors
    ///
    /// As [`register`](Self::register).
    pub fn register_kobject<O: Sharing>(
        &self,
        parent: impl AsKobject,
        name: &str,
        ty: Type<O>,
        payload: O::Value,
    ) -> Result<KobjectHandle> {
        let (name, payload) = self.draft(name, ty, payload)?;
        let (mut begin, mut payload) = (Begin::plain(Some(ty.handle()), false), Some(payload));
        self.insert(parent.kobject(), name, &mut begin, &mut payload)
    }

    /// Adds a plain directory: an object without attributes or payload.
    ///
    /// # Errors
    ///
    /// As [`register`](Self::register).
    pub fn create(&self, parent: impl AsKobject, name: &str) -> Result<KobjectHandle> {
        let name = Name::new(name)?;
        self.insert(parent.kobject(), name, &mut Begin::plain(None, false), &mut Some(Payload::NONE))
    }

    /// Puts an object into the tree. What it does not use of its arguments is left to the caller to drop, outside all locks.
    pub(crate) fn insert(
        &self,
        parent: KobjectHandle,
        name: Name,
        begin: &mut Begin,
        payload: &mut Option<Payload>,
    ) -> Result<KobjectHandle> {
        let slot = self.inner.nodes.reserve()?;
        let object = slot.handle();
        let node = Node::new(name.clone(), parent, begin.ty, begin.is_device);
        let state = State::default();
        if let Some(class) = begin.class {
            let pin = self.inner.domain.pin();
            begin.groups.extend(&self.inner.classes.get(&pin, class)?.groups);
        }
        // Foreign code, so before the lock.
        let decisions = self.decide_all(object, begin.ty, payload)?;
        let added = self.decide_added(object, &begin.groups, payload)?;
        // Who claims several objects shuts out all who do.
        let moving = (!begin.links.is_empty()).then(|| self.inner.topology.moving());
        let pin = self.inner.domain.pin();
        let dir = self.inner.claim(&pin, parent)?;
        let _linked = self.claim_linked(&pin, parent, &begin.links)?;
        self.check_free(&dir, &name)?;
        for (group, decision) in &decisions {
            let meta = self.inner.groups.get(&pin, *group)?;
            let mut presence = node.more_or_new().presence.write();
            presence.decide(*group, decision, &self.of_group(&pin, &node, *group, meta));
            state.set_changed();
        }
        for (group, decision) in &added {
            self.give_group(&pin, &node, *group, decision)?;
            state.set_changed();
        }
        self.link_new(&pin, object, &node, (parent, &name), &begin.links)?;
        let part = self.take_seats(&pin, object, begin)?;
        // Nothing fails from here on. Who finds one of the entries finds nobody until the slot is published: all appear at once.
        for link in &begin.links {
            self.put_link(&pin, object, &node, link);
        }
        dir.insert(name, Child::Object(object));
        slot.publish(node, Body { payload: payload.take().unwrap_or(Payload::NONE), state, part });
        drop((dir, moving));
        Ok(object)
    }

    /// Claims the directories and the targets of a new object's links, but for its parent, which the caller has claimed.
    fn claim_linked<'a>(
        &'a self,
        pin: &'a Pin<'_>,
        parent: KobjectHandle,
        links: &[NewLink],
    ) -> Result<Vec<Claim<'a>>> {
        let mut linked: Vec<_> = links.iter().flat_map(|link| [link.dir, link.target]).flatten().collect();
        linked.retain(|object| *object != parent);
        linked.sort_unstable();
        linked.dedup();
        linked.into_iter().map(|object| self.inner.claim(pin, object)).collect()
    }

    /// Gives a group to an object that nobody knows yet.
    fn give_group(&self, pin: &Pin<'_>, node: &Node, group: GroupHandle, decision: &Decision) -> Result {
        let meta = self.inner.groups.get(pin, group)?;
        self.may_add(node, group, meta)?;
        match &meta.name {
            Some(name) => self.check_free(node, name)?,
            None => meta.attrs.keys().try_for_each(|name| self.check_free(node, name))?,
        }
        let attrs = self.of_group(pin, node, group, meta);
        node.more_or_new().presence.write().add(group, decision, &attrs);
        Ok(())
    }

    /// Whether links can be made as a new object is put into a directory under a name.
    fn link_new(
        &self,
        pin: &Pin<'_>,
        object: KobjectHandle,
        node: &Node,
        place: (KobjectHandle, &Name),
        links: &[NewLink],
    ) -> Result {
        let mut taken = vec![(place.0, place.1)];
        for link in links {
            let name = link.name.as_ref().map_err(|error| *error)?;
            match link.dir {
                None => self.check_free(node, name)?,
                Some(dir) => self.check_free(self.inner.nodes.get(pin, dir)?, name)?,
            }
            let place = (link.dir.unwrap_or(object), name);
            if taken.contains(&place) {
                return Err(Error::Exists);
            }
            taken.push(place);
            if let Some(target) = link.target {
                self.inner.nodes.get(pin, target)?;
            }
        }
        Ok(())
    }

    /// Makes a link of which it is known that it can be made.
    fn put_link(&self, pin: &Pin<'_>, object: KobjectHandle, node: &Node, link: &NewLink) {
        let find = |other: Option<KobjectHandle>| match other {
            None => Ok(node),
            Some(other) => self.inner.nodes.get_leaving(pin, other),
        };
        let (Ok(dir), Ok(aim), Ok(name)) = (find(link.dir), find(link.target), &link.name) else { return };
        let mut links = aim.more_or_new().links_here.lock();
        dir.insert(name.clone(), Child::Link(link.target.unwrap_or(object)));
        links.insert((link.dir.unwrap_or(object), name.clone()));
    }

    /// Puts an object on its bus and into its class: on both or on neither.
    fn take_seats(&self, pin: &Pin<'_>, object: KobjectHandle, begin: &mut Begin) -> Result<Option<Box<Part>>> {
        if begin.bus.is_none() && begin.class.is_none() {
            return Ok(None);
        }
        // Who removes a bus or a class marks it under the lock of its list, which is empty then.
        let seat = |list: &Published<DeviceHandle>, is_there: &dyn Fn() -> bool| {
            list.change(|list| is_there().then(|| list.push(device(object)))).ok_or(Stale)
        };
        let mut class = None;
        if let Some(handle) = begin.class {
            let list = &self.inner.classes.get(pin, handle)?.devices;
            class = Some((handle, seat(list, &|| self.inner.classes.contains(handle))?, list));
        }
        let mut bus = None;
        if let Some((handle, _)) = &begin.bus {
            let list = self.inner.buses.get(pin, *handle).map(|meta| &meta.devices);
            match list.and_then(|list| seat(list, &|| self.inner.buses.contains(*handle))) {
                Ok(seat) => bus = Some(seat),
                Err(stale) => {
                    if let Some((_, seat, list)) = class {
                        list.change(|list| list.remove(seat));
                    }
                    return Err(stale.into());
                }
            }
        }
        let bus = begin.bus.take().zip(bus).map(|((bus, id), seat)| OnBus { bus, seat, id });
        let part = Part::new(bus, class.map(|(class, seat, _)| (class, seat)));
        if !self.is_observed() {
            part.set_ready();
        }
        Ok(Some(Box::new(part)))
    }

    /// Tells of a device that has been put into the tree, and has it find a driver.
    pub(crate) fn announce(&self, object: KobjectHandle) {
        if self.is_observed() {
            let bus = self.bus_of(device(object)).unwrap_or_default();
            self.tell_of(Phase::Added, object, bus);
        }
        {
            let Ok(body) = self.inner.nodes.enter(object) else { return };
            let Some(part) = body.part.as_ref().filter(|part| part.bus.is_some()) else { return };
            part.set_ready();
            // Between the device and the look for drivers, as there is one between a new driver and its look for devices
            // (`register_driver`): either the driver finds the device, or it is found below.
            fence(Ordering::SeqCst);
        }
        let Ok(_parent) = self.hold_parent(object) else { return };
        if let Ok(Some(held)) = self.hold(object) {
            let _ = self.find_driver(&held, object);
        }
    }

    /// Asks the groups of a type what of them is there for an object that is still to be made. Those that say nothing special are left
    /// out.
    fn decide_all(
        &self,
        object: KobjectHandle,
        ty: Option<TypeHandle>,
        payload: &mut Option<Payload>,
    ) -> Result<Vec<(GroupHandle, Decision)>> {
        let (Some(ty), Some(payload)) = (ty, payload) else { return Ok(Vec::new()) };
        let deciding = {
            let pin = self.inner.domain.pin();
            let ty = self.inner.types.get(&pin, ty)?;
            if ty.deciding.is_empty() {
                return Ok(Vec::new());
            }
            ty.deciding.clone()
        };
        let mut decisions = Vec::new();
        for group in deciding {
            let code = self.inner.groups.enter(group)?;
            let decision = self.ask(Self::number(), object, &code, payload.lend())?;
            if self.is_special(&code, &decision) {
                self.note_hidden(&code, &decision);
                decisions.push((group, decision));
            }
        }
        Ok(decisions)
    }

    /// Asks the groups that an object is to be given.
    fn decide_added(
        &self,
        object: KobjectHandle,
        groups: &[GroupHandle],
        payload: &mut Option<Payload>,
    ) -> Result<Vec<(GroupHandle, Decision)>> {
        let mut decisions = Vec::new();
        for group in groups {
            let code = self.inner.groups.enter(*group)?;
            let Some(payload) = payload.as_mut().filter(|payload| code.code.fits(payload)) else {
                return Err(Error::WrongType);
            };
            let decision = self.ask(Self::number(), object, &code, payload.lend())?;
            self.note_hidden(&code, &decision);
            decisions.push((*group, decision));
        }
        Ok(decisions)
    }

    /// Whether not everything is as it was defined.
    fn is_special(&self, group: &GroupCode, decision: &Decision) -> bool {
        let pin = self.inner.domain.pin();
        let as_defined =
            |(attr, mode): &(_, Option<_>)| self.attr_meta(&pin, *attr).is_ok_and(|meta| Some(meta.mode) == *mode);
        !decision.is_shown || decision.modes.len() != group.attrs.len() || !decision.modes.iter().all(as_defined)
    }
}
