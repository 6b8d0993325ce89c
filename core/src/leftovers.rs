//! Unbindings and ends of drivers that were given up, and who goes on with them.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::time::Instant;

use enodev_handles::{Label, Lock};

use crate::bury::keep_first;
use crate::handle::{AsKobject, BindingHandle, DeviceHandle, DriverHandle, KobjectHandle};
use crate::order::{self, Turn};
use crate::payload::PayloadRef;
use crate::scope::{Held, Where};
use crate::store::Store;
use crate::sync::Mutex;
use crate::sync::atomic::{AtomicBool, Ordering};

/// Unbindings that have begun, and that nobody is at nor will come back to.
#[derive(Debug, Default)]
pub(crate) struct Leftovers {
    unbindings: Mutex<Vec<(DeviceHandle, BindingHandle)>>,
    is_any: AtomicBool,
}

/// What has come of a look at an unbinding.
enum Looked {
    /// Somebody is in the way.
    InTheWay,
    /// It is over, or somebody else is at it.
    Over,
    /// It is over, and so is this driver, whose last device that was.
    Orphan(DriverHandle),
}

impl Leftovers {
    /// Leaves an unbinding to the next removal.
    pub(crate) fn note(&self, device: DeviceHandle, binding: BindingHandle) {
        let mut unbindings = self.unbindings.lock();
        if !unbindings.contains(&(device, binding)) {
            unbindings.push((device, binding));
        }
        // Relaxed: a hint; the list stands under its lock.
        self.is_any.store(true, Ordering::Relaxed);
    }

    fn all(&self) -> Vec<(DeviceHandle, BindingHandle)> {
        self.unbindings.lock().clone()
    }

    fn is_any(&self) -> bool {
        // Relaxed: as in `note`.
        self.is_any.load(Ordering::Relaxed)
    }

    /// Takes one of them; false if somebody else has.
    fn take(&self, unbinding: (DeviceHandle, BindingHandle)) -> bool {
        let mut unbindings = self.unbindings.lock();
        let at = unbindings.iter().position(|noted| *noted == unbinding);
        at.map(|at| unbindings.remove(at));
        // Relaxed: as in `note`.
        self.is_any.store(!unbindings.is_empty(), Ordering::Relaxed);
        at.is_some()
    }
}

impl Store {
    /// Whether there may be something for `reap_drivers` to do.
    pub(crate) fn has_driver_leftovers(&self) -> bool {
        self.inner.leftovers.is_any() || self.inner.drivers.has_given_up()
    }

    /// Ends unbindings and removals of drivers that were given up, where nobody is in the way. Waits for nobody.
    ///
    /// # Panics
    ///
    /// With the first panic of a driver's drop, when all else has been done.
    pub(crate) fn reap_drivers(&self) {
        let mut panic = None;
        let unbindings = if self.inner.leftovers.is_any() { self.inner.leftovers.all() } else { Vec::new() };
        for (device, binding) in unbindings {
            // One at a time: whoever else looks meanwhile finds the others.
            if !self.inner.leftovers.take((device, binding)) {
                continue;
            }
            match catch_unwind(AssertUnwindSafe(|| self.try_end_binding(device, binding))) {
                Ok(Looked::InTheWay) => self.inner.leftovers.note(device, binding),
                Ok(Looked::Over) => {}
                // Where it is leaving already, somebody is at it.
                Ok(Looked::Orphan(driver)) => drop(self.inner.drivers.abandon(driver)),
                Err(first) => keep_first(&mut panic, first),
            }
        }
        if self.inner.drivers.has_given_up() {
            for leaving in self.inner.drivers.given_up() {
                let Ok(mut quiet) = leaving.drain_until(Instant::now()) else { continue };
                if let Err(first) = catch_unwind(AssertUnwindSafe(|| quiet.drop_payloads())) {
                    keep_first(&mut panic, first);
                }
            }
        }
        if let Some(panic) = panic {
            resume_unwind(panic);
        }
    }

    /// As `end_binding`, of a binding that was given up, where that needs not wait for anybody.
    fn try_end_binding(&self, device: DeviceHandle, binding: BindingHandle) -> Looked {
        let object = device.kobject();
        let Some(driver) = self.inner.driver_of(binding) else { return Looked::Over };
        let (bus, lock) = {
            let Ok(body) = self.inner.nodes.enter(object) else { return Looked::Over };
            let Some(part) = &body.part else { return Looked::Over };
            (part.bus.as_ref().map(|on| on.bus), part.lock())
        };
        // Before the rest, as who gives them up is to be inside nothing.
        let Some(parent) = bus.map_or(Some(None), |bus| self.try_hold_parent(bus, object)) else {
            return Looked::InTheWay;
        };
        let Some(held) = self.try_hold(object, lock) else { return Looked::InTheWay };
        let Ok(code) = self.inner.drivers.enter(driver) else { return Looked::Over };
        // One that leaves takes its binding along. Who is inside it keeps the binding from being met by its removal.
        let Ok(body) = self.inner.nodes.enter(object) else { return Looked::Over };
        let Some(part) = &body.part else { return Looked::Over };
        let locked = code.code.locks().then(|| self.try_lock_labelled(object, Label::new("remove")));
        let Ok(mut guarded) = locked.transpose() else { return Looked::InTheWay };
        let Some(leaving) = self.inner.bindings.take_up(binding) else { return Looked::Over };
        let Ok(quiet) = leaving.drain_until(Instant::now()) else { return Looked::InTheWay };
        let (turn, let_go) = held.into_turn();
        let call = Where { store: self, device: object, above: &[], turn: &turn };
        let payload = PayloadRef::of(&body.payload, guarded.as_deref_mut());
        let orphan = self.let_go(quiet, &code, call, payload, part);
        drop((turn, guarded, code));
        drop((body, parent, let_go));
        orphan.map_or(Looked::Over, Looked::Orphan)
    }

    /// As `hold_with`, if nobody has the lock.
    fn try_hold(&self, object: KobjectHandle, mut lock: Lock) -> Option<Held<'_>> {
        lock.try_acquire().then(|| Held::new(self, object, Turn::begin(self, object, lock)))
    }

    /// As `hold_parent_on`, if nobody else has the lock.
    fn try_hold_parent(&self, bus: crate::handle::BusHandle, object: KobjectHandle) -> Option<Option<Held<'_>>> {
        if !self.inner.buses.enter(bus).is_ok_and(|bus| bus.locks_parent) {
            return Some(None);
        }
        let parent = self.inner.nodes.get_leaving(&self.inner.domain.pin(), object).ok()?.parent_of(object);
        if order::is_held(self, parent) {
            return Some(None);
        }
        match self.inner.nodes.enter(parent).ok().and_then(|body| Some(body.part.as_ref()?.lock())) {
            Some(lock) => self.try_hold(parent, lock).map(Some),
            None => Some(None),
        }
    }
}
