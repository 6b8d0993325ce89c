//! How an object comes into the tree: at once, with all that it begins with.

use std::iter;

use enodev_attrs::{Errno, Name};
use enodev_handles::Pin;

use crate::binding::{OnBus, Part};
use crate::entries::{Child, forget};
use crate::error::{Error, Result};
use crate::handle::{GroupHandle, KobjectHandle, device};
use crate::new_device::{Begin, NewLink};
use crate::node::Node;
use crate::observe::Phase;
use crate::payload::{Body, Payload};
use crate::presence::Decision;
use crate::state::State;
use crate::store::Store;
use crate::sync::atomic::{Ordering, fence};
use crate::topology::Claim;

/// The directories into which a new object gives names, claimed.
struct Claims<'a> {
    parent: (KobjectHandle, Claim<'a>),
    linked: Vec<(KobjectHandle, Claim<'a>)>,
}

impl Claims<'_> {
    fn dir(&self, dir: KobjectHandle) -> Result<&Node> {
        let found = iter::once(&self.parent).chain(&self.linked).find(|(object, _)| *object == dir);
        found.map(|(_, claim)| &**claim).ok_or(Errno::ENODEV.into())
    }
}

/// What the callbacks of groups have decided about an object: of those of its type, and of those that it is given.
#[derive(Default)]
struct Decisions {
    own: Vec<(GroupHandle, Decision)>,
    added: Vec<(GroupHandle, Decision)>,
}

/// What is to be done for a new device once no lock is held.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Next {
    Nothing,
    /// And then ask drivers.
    TellObservers,
    AskDrivers,
}

/// An object that nobody knows yet.
#[derive(Clone, Copy)]
struct Newcomer<'a> {
    object: KobjectHandle,
    node: &'a Node,
}

impl Store {
    /// Puts an object into the tree. What it does not use of its arguments is left to the caller to drop, outside all locks.
    pub(crate) fn insert(
        &self,
        parent: KobjectHandle,
        name: Name,
        begin: &mut Begin,
        payload: &mut Option<Payload>,
    ) -> Result<(KobjectHandle, Next)> {
        let slot = self.inner.nodes.reserve()?;
        let object = slot.handle();
        let node = Node::new(name.clone(), parent, begin.ty, begin.is_device);
        let state = State::default();
        if begin.is_device && self.is_observed() {
            state.set_untold();
        }
        let decisions = self.decide_new(object, begin, payload)?;
        let is_linked = begin.links().iter().any(|link| link.dir.is_some());
        // Who claims several directories shuts out everybody else who does.
        let _moving = is_linked.then(|| self.inner.topology.moving());
        let pin = self.inner.domain.pin();
        let dir = self.inner.claim(&pin, parent)?;
        self.check_no_attribute(&pin, &dir, &name)?;
        // Who finds one of the entries finds nobody until the slot is published, and then all of it. This one comes first, as it may be
        // one too many; and as the handle becomes good, another thread may know it, and remove the object.
        if !dir.insert(name.clone(), Child::Object(object)) {
            return Err(Error::Exists);
        }
        let mut claims = Claims { parent: (parent, dir), linked: Vec::new() };
        let newcomer = Newcomer { object, node: &node };
        let part = self.fit_out(&pin, &mut claims, newcomer, begin, &decisions).inspect_err(|_| {
            claims.parent.1.remove(&name, Child::Object(object));
        })?;
        if !decisions.own.is_empty() || !decisions.added.is_empty() {
            state.set_changed();
        }
        slot.publish(node, Body { payload: payload.take().unwrap_or(Payload::NONE), state, part });
        drop(claims);
        // Under the same pin, as that costs less than one more.
        let next = match begin.is_device {
            true if self.is_observed() => Next::TellObservers,
            true if self.has_drivers(object) => Next::AskDrivers,
            _ => Next::Nothing,
        };
        Ok((object, next))
    }

    /// Asks the callbacks of groups about a new object. They are foreign code, so before any lock.
    fn decide_new(&self, object: KobjectHandle, begin: &mut Begin, payload: &mut Option<Payload>) -> Result<Decisions> {
        if let Some((more, class)) = begin.more.as_mut().and_then(|more| more.class.map(|class| (more, class))) {
            let pin = self.inner.domain.pin();
            more.groups.extend(&self.inner.classes.get(&pin, class)?.groups);
        }
        let own = self.decide_all(object, begin, payload)?;
        let added = self.decide_added(object, begin.groups(), payload)?;
        Ok(Decisions { own, added })
    }

    /// Gives a new object what it begins with, all or nothing.
    fn fit_out<'a>(
        &'a self,
        pin: &'a Pin<'_>,
        claims: &mut Claims<'a>,
        newcomer: Newcomer<'_>,
        begin: &mut Begin,
        decisions: &Decisions,
    ) -> Result<Option<Box<Part>>> {
        let node = newcomer.node;
        for (group, decision) in &decisions.own {
            let meta = self.inner.groups.get(pin, *group)?;
            let mut presence = node.more_or_new().presence.write();
            presence.decide(*group, decision, &self.of_group(pin, node, *group, meta));
        }
        for (group, decision) in &decisions.added {
            self.give_group(pin, node, *group, decision)?;
        }
        self.make_links(pin, claims, newcomer, begin.links())?;
        self.take_places(pin, newcomer.object, begin).inspect_err(|_| {
            begin.links().iter().for_each(|link| self.take_link(pin, claims, newcomer, link));
        })
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
        node.more_or_new().add_group(group, decision, &attrs);
        Ok(())
    }

    /// Makes the links with which an object begins, all or none. It stands in its parent's directory, which is claimed.
    fn make_links<'a>(
        &'a self,
        pin: &'a Pin<'_>,
        claims: &mut Claims<'a>,
        newcomer: Newcomer<'_>,
        links: &[NewLink],
    ) -> Result {
        for dir in links.iter().filter_map(|link| link.dir) {
            if claims.dir(dir).is_err() {
                claims.linked.push((dir, self.inner.claim(pin, dir)?));
            }
        }
        for (done, link) in links.iter().enumerate() {
            let made = match &link.name {
                Ok(name) => self.make_link(pin, claims, newcomer, link, name),
                Err(error) => Err(*error),
            };
            if let Err(error) = made {
                links[..done].iter().for_each(|link| self.take_link(pin, claims, newcomer, link));
                return Err(error);
            }
        }
        Ok(())
    }

    fn make_link(
        &self,
        pin: &Pin<'_>,
        claims: &Claims<'_>,
        newcomer: Newcomer<'_>,
        link: &NewLink,
        name: &Name,
    ) -> Result {
        let dir = link.dir.map_or(Ok(newcomer.node), |dir| claims.dir(dir))?;
        self.check_free(dir, name)?;
        let at = (link.dir.unwrap_or(newcomer.object), name.clone());
        let Some(target) = link.target else {
            newcomer.node.more_or_new().links_here.lock().insert(at);
            dir.insert(name.clone(), Child::Link(newcomer.object));
            return Ok(());
        };
        let mut links = self.inner.nodes.get(pin, target)?.more_or_new().links_here.lock();
        // Who removes the target takes its links away after this, and then finds this one, or has marked it before.
        self.inner.nodes.get(pin, target)?;
        dir.insert(name.clone(), Child::Link(target));
        links.insert(at);
        Ok(())
    }

    /// Takes a link away again that has been made for an object which does not appear.
    fn take_link(&self, pin: &Pin<'_>, claims: &Claims<'_>, newcomer: Newcomer<'_>, link: &NewLink) {
        let (dir, Ok(name)) = (link.dir.map_or(Ok(newcomer.node), |dir| claims.dir(dir)), &link.name) else { return };
        if let Some(more) = link.target.and_then(|target| self.inner.nodes.get_leaving(pin, target).ok()?.more()) {
            forget(&mut more.links_here.lock(), &(link.dir.unwrap_or(newcomer.object), name.clone()));
        }
        if let Ok(dir) = dir {
            dir.remove(name, Child::Link(link.target.unwrap_or(newcomer.object)));
        }
    }

    /// Puts an object on its bus and into its class, both or neither.
    fn take_places(&self, pin: &Pin<'_>, object: KobjectHandle, begin: &mut Begin) -> Result<Option<Box<Part>>> {
        if begin.bus.is_none() && begin.class().is_none() {
            return Ok(None);
        }
        let device = device(object);
        let class = match begin.class() {
            None => None,
            Some(class) => {
                let devices = &self.inner.classes.get(pin, class)?.devices;
                // As long as it has a member it stays.
                Some((class, devices.enter(device, || Ok(self.inner.classes.get(pin, class).map(drop)?))?))
            }
        };
        let on_bus = begin.bus.as_ref().map(|(bus, _)| {
            let devices = &self.inner.buses.get(pin, *bus)?.devices;
            devices.enter(device, || Ok(self.inner.buses.get(pin, *bus).map(drop)?))
        });
        let spot = on_bus.transpose().inspect_err(|_| self.leave_lists(pin, &[], class.as_slice()))?;
        let bus = begin.bus.take().zip(spot).map(|((bus, id), spot)| OnBus { bus, spot, id });
        Ok(Some(Box::new(Part::new(bus, class))))
    }

    /// Tells of a device that has been put into the tree, and has it find a driver.
    pub(crate) fn announce(&self, object: KobjectHandle, next: Next) {
        let has_drivers = match next {
            Next::Nothing => false,
            Next::AskDrivers => true,
            Next::TellObservers => {
                // Inside, so that nobody is told of its leaving before this is over. One that leaves already is not told of, neither as
                // new nor as leaving.
                let Ok(body) = self.inner.nodes.enter(object) else { return };
                body.state.set_told();
                let bus = body.part.as_ref().and_then(|part| Some(part.bus.as_ref()?.bus));
                self.tell_of(Phase::Added, object, bus);
                self.has_drivers(object)
            }
        };
        if has_drivers {
            self.seek_drivers(object);
        }
    }

    /// Whether there are drivers on the bus of a new device, which seeks one then. Who adds one from now on asks it about the device.
    fn has_drivers(&self, object: KobjectHandle) -> bool {
        let has_drivers = || {
            let body = self.inner.nodes.enter(object).ok()?;
            let part = body.part.as_ref()?;
            let pin = self.inner.domain.pin();
            let drivers = &self.inner.buses.get(&pin, part.bus.as_ref()?.bus).ok()?.drivers;
            if drivers.is_empty() {
                // Who adds a driver finds this, or is found: there is a fence in `register_driver`, too.
                part.set_ready();
                fence(Ordering::SeqCst);
                if drivers.is_empty() {
                    return None;
                }
            }
            // As above, by the lock.
            drivers.between(|| part.set_ready());
            let is_seeking = drivers.load().members.len() != 0;
            part.seek(is_seeking);
            is_seeking.then_some(())
        };
        has_drivers().is_some()
    }
}
