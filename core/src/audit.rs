use std::collections::HashSet;
use std::fmt;

use enodev_handles::{Arena, Kind, Pin};

use crate::binding::Part;
use crate::crowd::Spot;
use crate::entries::Child;
use crate::handle::{AsKobject, DeviceHandle, KobjectHandle};
use crate::members::Published;
use crate::node::Node;
use crate::store::Store;

/// What an [audit](Store::audit) has found that should not be. The embedder can be the cause of
/// [`Leaving`](FindingKind::Leaving) and [`Other`](FindingKind::Other) alone: the rest is a mistake of the store's.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Finding {
    /// What sort of thing.
    pub kind: FindingKind,
    /// The object that it is about; it may have left. Null where it is about none.
    pub object: KobjectHandle,
    /// What it is, by name.
    pub text: String,
}

/// Sorts of findings.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum FindingKind {
    /// Somebody is inside an object that has left.
    Inside,
    /// An object is leaving: somebody removes it just now, or a removal was given up and is still to be finished ([`Store::reap`]).
    /// Where somebody is inside, the text tells who: a callback that does not return, or a guard that was forgotten.
    Leaving,
    /// An object is in no directory, or has a slot that nobody knows.
    Leaked,
    /// A link leads to what has left, or only one of its ends knows of it.
    Link,
    /// A device and a driver do not agree on whether they are bound.
    Binding,
    /// A list of a bus or a class, and its members, do not agree.
    Member,
    /// A range of addresses is a device's that has left.
    Range,
    /// A thing beside the store still has something of what has left.
    Other,
}

/// What an audit has found.
#[derive(Debug, Clone, Default)]
#[must_use]
pub struct Audit {
    findings: Vec<Finding>,
}

/// Something beside the store that keeps handles of its objects, such as a queue of what is to be done with them, and can say what it has
/// of objects that have left.
pub trait Audited {
    /// Adds what there is to be found.
    fn audit(&self, store: &Store, audit: &mut Audit);
}

impl Audit {
    /// What was found; nothing, where all is well.
    pub fn findings(&self) -> &[Finding] {
        &self.findings
    }

    /// Whether nothing was found.
    pub fn is_clean(&self) -> bool {
        self.findings.is_empty()
    }

    /// Adds a finding.
    pub fn add(&mut self, kind: FindingKind, object: impl AsKobject, text: impl Into<String>) {
        self.findings.push(Finding { kind, object: object.kobject(), text: text.into() });
    }

    /// Looks at something else too.
    pub fn also(mut self, store: &Store, other: &impl Audited) -> Self {
        other.audit(store, &mut self);
        self
    }
}

/// A line for each finding.
impl fmt::Display for Audit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_clean() {
            return f.write_str("nothing");
        }
        let mut lines = self.findings.iter();
        lines.try_for_each(|Finding { kind, object, text }| writeln!(f, "{kind:?} {object:?}: {text}"))
    }
}

/// The audit.
impl Store {
    /// Looks for what should not be: active references, links, bindings, members, ranges that are left of what has left, objects that
    /// nobody can find. After a subtree has been unregistered nothing of it is found.
    ///
    /// To be called while nothing else happens to the store: what is just being done is found half done. Takes as long as there are
    /// objects, and holds no lock for longer than one look.
    ///
    /// ```
    /// let store = enodev::Store::new()?;
    /// let disk = store.create(store.root(), "disk")?;
    /// store.link(store.root(), "boot", disk)?;
    /// store.unregister_subtree(disk)?;
    /// assert!(store.audit().is_clean());
    /// # Ok::<(), enodev::Error>(())
    /// ```
    pub fn audit(&self) -> Audit {
        let mut audit = Audit::default();
        {
            let pin = self.inner.domain.pin();
            self.audit_tree(&pin, &mut audit);
            self.audit_bindings(&pin, &mut audit);
            self.audit_members(&pin, &mut audit);
        }
        self.audit_ranges(&mut audit);
        self.audit_inside(&mut audit);
        audit
    }

    fn audit_tree(&self, pin: &Pin<'_>, audit: &mut Audit) {
        let nodes = &self.inner.nodes;
        let mut known = HashSet::from([self.root()]);
        for (dir, node) in nodes.iter(pin) {
            let Some(more) = node.more() else { continue };
            let mut entries: Vec<_> = more.entries.read().iter().map(|(name, child)| (name.clone(), child)).collect();
            entries.sort_unstable_by(|one, other| one.0.cmp(&other.0));
            for (name, child) in entries {
                match child {
                    Child::Object(object) => match nodes.get_leaving(pin, object) {
                        Ok(node) if node.place().name.as_ref() == Some(&name) && node.parent_of(object) == dir => {
                            known.insert(object);
                        }
                        _ => audit.add(
                            FindingKind::Leaked,
                            object,
                            format!("the entry '{name}' of {dir:?} is not its own"),
                        ),
                    },
                    Child::Link(target) => {
                        let knows = |more: &crate::node::More| more.links_here.lock().contains(&(dir, name.clone()));
                        if !nodes.get_leaving(pin, target).is_ok_and(|node| node.more().is_some_and(knows)) {
                            audit.add(FindingKind::Link, dir, format!("the link '{name}' leads to {target:?}"));
                        }
                    }
                }
            }
            let mut links: Vec<_> = more.links_here.lock().iter().cloned().collect();
            links.sort_unstable();
            for (from, name) in links {
                let has = |node: &Node| node.child(&name) == Some(Child::Link(dir));
                if !nodes.get_leaving(pin, from).is_ok_and(has) {
                    audit.add(FindingKind::Link, dir, format!("no link '{name}' leads here from {from:?}"));
                }
            }
        }
        let leaving = nodes.leaving();
        for object in nodes.iter(pin).map(|(object, _)| object).filter(|object| !known.contains(object)) {
            audit.add(FindingKind::Leaked, object, "it is in no directory");
        }
        let alive = nodes.iter(pin).count() + leaving.len();
        if alive != nodes.len() {
            let text = format!("{} slots are taken, and there are {alive} objects", nodes.len());
            audit.add(FindingKind::Leaked, KobjectHandle::null(), text);
        }
        for object in leaving {
            let path = self.path_of(object).unwrap_or_default();
            audit.add(FindingKind::Leaving, object, format!("'{path}' is leaving"));
        }
    }

    fn audit_bindings(&self, pin: &Pin<'_>, audit: &mut Audit) {
        for (binding, meta) in self.inner.bindings.iter(pin) {
            let (device, driver) = (meta.device, meta.driver);
            let has = |part: &Part| part.binding() == Some(binding);
            let is_bound = self.part_of(device.kobject(), has).unwrap_or(false);
            let lists = |bound: &Published<_>| bound.load().members.iter().any(|one| one == (device, binding));
            let is_served = self.inner.drivers.get(pin, driver).is_ok_and(|meta| lists(&meta.bound));
            if (!is_bound || !is_served) && !self.is_leaving(device) {
                let text = format!("{driver:?} has it: {is_served}; it has the driver: {is_bound}");
                audit.add(FindingKind::Binding, device, text);
            }
        }
        for binding in self.inner.bindings.leaving() {
            let device = self
                .inner
                .bindings
                .get_leaving(pin, binding)
                .map_or(KobjectHandle::null(), |meta| meta.device.kobject());
            audit.add(FindingKind::Leaving, device, "it is being unbound");
        }
        for (object, _) in self.inner.nodes.iter(pin) {
            let binding = self.part_of(object, Part::binding).flatten();
            if binding.is_some_and(|binding| !self.inner.bindings.contains(binding)) {
                audit.add(FindingKind::Binding, object, "it is bound to what has left");
            }
        }
        for (driver, meta) in self.inner.drivers.iter(pin) {
            for (device, binding) in meta.bound.load().members.iter() {
                if !self.inner.bindings.contains(binding) {
                    audit.add(FindingKind::Binding, device, format!("{driver:?} lists it, and is not bound to it"));
                }
            }
        }
    }

    fn audit_members(&self, pin: &Pin<'_>, audit: &mut Audit) {
        let mut spots = HashSet::new();
        for (bus, meta) in self.inner.buses.iter(pin) {
            for (spot, device) in meta.devices.load().spots() {
                spots.insert((device.kobject(), spot, true));
                let sits = |part: &Part| part.bus.as_ref().is_some_and(|on| (on.bus, on.spot) == (bus, spot));
                if !self.part_of(device.kobject(), sits).unwrap_or(false) && !self.is_leaving(device) {
                    audit.add(FindingKind::Member, device, format!("bus '{}' lists it", meta.name));
                }
            }
            for driver in meta.drivers.load().members.iter().filter(|driver| !self.inner.drivers.contains(*driver)) {
                audit.add(FindingKind::Member, KobjectHandle::null(), format!("bus '{}' lists {driver:?}", meta.name));
            }
        }
        for (class, meta) in self.inner.classes.iter(pin) {
            for (spot, device) in meta.devices.load().spots() {
                spots.insert((device.kobject(), spot, false));
                let sits = self.part_of(device.kobject(), |part| part.class) == Some(Some((class, spot)));
                if !sits && !self.is_leaving(device) {
                    audit.add(FindingKind::Member, device, format!("class '{}' lists it", meta.name));
                }
            }
        }
        for (object, _) in self.inner.nodes.iter(pin) {
            let own =
                self.part_of(object, |part| (part.bus.as_ref().map(|on| on.spot), part.class.map(|(_, spot)| spot)));
            let (bus, class) = own.unwrap_or_default();
            let is_lost =
                |spot: Option<Spot>, is_bus| spot.is_some_and(|spot| !spots.contains(&(object, spot, is_bus)));
            if is_lost(bus, true) || is_lost(class, false) {
                audit.add(FindingKind::Member, object, "its bus or its class does not list it");
            }
        }
    }

    fn audit_ranges(&self, audit: &mut Audit) {
        let spaces: Vec<_> = self.inner.spaces.iter(&self.inner.domain.pin()).map(|(space, _)| space).collect();
        for space in spaces {
            let Ok(ranges) = self.inner.spaces.enter(space) else { continue };
            for region in ranges.load().regions() {
                let is_known = self.regions_of(region.device).is_ok_and(|regions| regions.contains(region));
                if !is_known && !self.is_leaving(region.device) {
                    audit.add(FindingKind::Range, region.device, format!("{region:?} is taken"));
                }
            }
        }
    }

    /// Who is inside what is not alive.
    fn audit_inside(&self, audit: &mut Audit) {
        audit_arena(&self.inner.nodes, audit, |object| object);
        audit_arena(&self.inner.bindings, audit, |_| KobjectHandle::null());
        audit_arena(&self.inner.drivers, audit, |_| KobjectHandle::null());
        audit_arena(&self.inner.buses, audit, |_| KobjectHandle::null());
        audit_arena(&self.inner.attrs, audit, |_| KobjectHandle::null());
        audit_arena(&self.inner.groups, audit, |_| KobjectHandle::null());
        audit_arena(&self.inner.observers, audit, |_| KobjectHandle::null());
    }

    /// What is leaving is told of once.
    fn is_leaving(&self, device: DeviceHandle) -> bool {
        self.inner.nodes.is_leaving(device.kobject())
    }

    /// What a device's part says.
    fn part_of<R>(&self, object: KobjectHandle, ask: impl FnOnce(&Part) -> R) -> Option<R> {
        self.inner.nodes.enter(object).ok()?.part.as_deref().map(ask)
    }
}

fn audit_arena<K, S, P>(
    arena: &Arena<K, S, P>,
    audit: &mut Audit,
    object: impl Fn(enodev_handles::Handle<K>) -> KobjectHandle,
) where
    K: Kind,
    S: Send + Sync + 'static,
    P: Send + Sync + 'static,
{
    let visitors = arena.visitors().unwrap_or_default();
    for blocker in visitors.into_iter().filter(|blocker| !arena.contains(blocker.object)) {
        let is_leaving = arena.is_leaving(blocker.object);
        let kind = if is_leaving { FindingKind::Leaving } else { FindingKind::Inside };
        audit.add(kind, object(blocker.object), blocker.to_string());
    }
}

#[cfg(test)]
mod tests;
