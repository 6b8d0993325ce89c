//! What is done for objects that nobody is inside of any more, and that nobody will ever enter.

use std::any::Any;
use std::mem;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

use enodev_attrs::contain::contain;
use enodev_handles::Quiet;

use crate::binding::{OnBus, Part};
use crate::handle::{BindingHandle, DeviceHandle, DriverHandle, KobjectHandle, kind};
use crate::members::{Published, Seat};
use crate::node::Node;
use crate::observe::Phase;
use crate::order::Turn;
use crate::payload::{Body, PayloadRef};
use crate::scope::Where;
use crate::store::Store;

type Drained<'a> = Quiet<'a, kind::Kobject, Node, Body>;

impl Store {
    /// Has drivers let go of what leaves, tells the observers, and drops the payloads, children before parents. One payload is not
    /// dropped but handed back, if it is among them.
    ///
    /// # Panics
    ///
    /// With the first panic of a payload's or a driver's drop, after all have been dropped.
    pub(crate) fn bury(&self, quiet: &mut Drained<'_>, kept: KobjectHandle) -> Option<Body> {
        let is_observed = self.is_observed();
        let (mut found, mut panic, mut orphans) = (None, None, Vec::new());
        // What has been taken of those that follow.
        let mut queue = Vec::new();
        loop {
            let next = queue.pop().or_else(|| take(quiet, &mut panic));
            let Some((object, mut body)) = next else { break };
            if is_observed || body.part.is_some() {
                // A farewell may reach those above, which come later: the queue has the next one last.
                let mut rest: Vec<_> = std::iter::from_fn(|| take(quiet, &mut panic)).collect();
                rest.reverse();
                rest.append(&mut queue);
                queue = rest;
                orphans.extend(self.say_farewell(object, &mut body, &queue, &mut panic));
            }
            if object == kept {
                found = Some(body);
            } else if let Err(first) = catch_unwind(AssertUnwindSafe(|| drop(body))) {
                keep_first(&mut panic, first);
            }
        }
        for driver in orphans {
            if let Err(first) = catch_unwind(AssertUnwindSafe(|| self.drop_orphan(Some(driver)))) {
                keep_first(&mut panic, first);
            }
        }
        if let Some(panic) = panic {
            resume_unwind(panic);
        }
        found
    }

    /// Has the driver of a device let go of it, and takes the device off its bus and out of its class.
    fn say_farewell(
        &self,
        object: KobjectHandle,
        body: &mut Body,
        above: &[(KobjectHandle, Body)],
        panic: &mut Option<Box<dyn Any + Send>>,
    ) -> Option<DriverHandle> {
        let Body { payload, part, .. } = body;
        let bus = part.as_ref().and_then(|part| Some(part.bus.as_ref()?.bus));
        let is_device = self.inner.nodes.get_leaving(&self.inner.domain.pin(), object).is_ok_and(|node| node.is_device);
        if is_device {
            self.tell_of(Phase::Leaving, object, bus);
        }
        let bound = part.as_deref().and_then(|part| Some((part, part.binding()?)));
        let orphan =
            bound.and_then(|(part, binding)| self.unbind_leaving(object, payload.lend(), part, binding, above));
        if let Some(part) = part {
            // The bus stays for as long as it has a device: so its code is dropped first.
            let id = part.bus.as_mut().map(|on| mem::replace(&mut on.id, Box::new(())));
            if let Err(first) = catch_unwind(AssertUnwindSafe(|| drop(id))) {
                keep_first(panic, first);
            }
            self.leave_seats(part);
        }
        if is_device {
            self.tell_of(Phase::Removed, object, bus);
        }
        orphan
    }

    fn unbind_leaving(
        &self,
        object: KobjectHandle,
        payload: PayloadRef<'_>,
        part: &Part,
        binding: BindingHandle,
        above: &[(KobjectHandle, Body)],
    ) -> Option<DriverHandle> {
        let Ok(leaving) = self.leave_binding(binding) else { return None };
        // Who is inside a binding is inside the device, which is quiet: there is nobody to be waited for. Where the system refuses the
        // barrier, the driver keeps its data for as long as it lives.
        let quiet = leaving.drain().ok()?;
        let code = self.inner.driver_of(binding).and_then(|driver| self.inner.drivers.enter(driver).ok())?;
        let turn = Turn::without_lock();
        let call = Where { store: self, device: object, above, turn: &turn };
        self.let_go(quiet, &code, call, payload, part)
    }

    pub(crate) fn leave_seats(&self, part: &Part) {
        let pin = self.inner.domain.pin();
        let leave = |list: &Published<DeviceHandle>, seat: Seat| list.change(|list| list.remove(seat));
        if let Some(OnBus { bus, seat, .. }) = &part.bus {
            self.inner.buses.get(&pin, *bus).map(|meta| leave(&meta.devices, *seat)).unwrap_or_default();
        }
        if let Some((class, seat)) = &part.class {
            self.inner.classes.get(&pin, *class).map(|meta| leave(&meta.devices, *seat)).unwrap_or_default();
        }
    }
}

/// The next payload, whatever the drops of what columns hold do.
fn take(quiet: &mut Drained<'_>, panic: &mut Option<Box<dyn Any + Send>>) -> Option<(KobjectHandle, Body)> {
    loop {
        match catch_unwind(AssertUnwindSafe(|| quiet.take())) {
            Ok(taken) => return taken,
            // Only the first call panics.
            Err(first) => keep_first(panic, first),
        }
    }
}

fn keep_first(first: &mut Option<Box<dyn Any + Send>>, panic: Box<dyn Any + Send>) {
    match first {
        None => *first = Some(panic),
        // What a panic carries is foreign too.
        Some(_) => drop(contain(|| drop(panic))),
    }
}
