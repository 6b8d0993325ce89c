//! What is done for objects that nobody is inside of any more, and that nobody will ever enter.

use std::any::Any;
use std::mem;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

use enodev_attrs::contain::contain;
use enodev_handles::{Pin, Quiet};

use crate::binding::Part;
use crate::crowd::Spot;
use crate::handle::{BindingHandle, BusHandle, ClassHandle, DriverHandle, KobjectHandle, kind};
use crate::node::Node;
use crate::observe::Phase;
use crate::order::Turn;
use crate::payload::{Body, PayloadRef};
use crate::scope::{Held, Where};
use crate::sought::LetGo;
use crate::store::Store;

type Drained<'a> = Quiet<'a, kind::Kobject, Node, Body>;

impl Store {
    /// Has drivers let go of what leaves, tells the observers, and drops the payloads, children before parents. One payload is not
    /// dropped but handed back, if it is among them. The places on buses and in classes that they still have then
    /// are left to the caller, and so is what is to be asked as the locks of their parents are given up: to be dropped when the removal is over.
    ///
    /// # Panics
    ///
    /// With the first panic of a payload's or a driver's drop, after all have been dropped.
    pub(crate) fn bury<'a>(
        &'a self,
        quiet: &mut Drained<'_>,
        kept: KobjectHandle,
        spots: &mut Spots,
        later: &mut Vec<LetGo<'a>>,
    ) -> Option<Body> {
        let is_observed = self.is_observed();
        // Where nobody is told of one after the other, they leave together.
        let mut spots = (!is_observed).then_some(spots);
        let (mut found, mut panic, mut orphans) = (None, None, Vec::new());
        // Those that follow, where they have been taken, the next one last.
        let (mut queue, mut all_taken) = (Vec::new(), false);
        loop {
            let next = queue.pop().or_else(|| take(quiet, &mut panic));
            let Some((object, mut body)) = next else { break };
            if is_observed || body.part.is_some() {
                // A farewell may reach those above, which come later.
                if !mem::replace(&mut all_taken, true) {
                    queue.extend(std::iter::from_fn(|| take(quiet, &mut panic)));
                    queue.reverse();
                }
                orphans.extend(self.say_farewell(object, &mut body, &queue, spots.as_deref_mut(), later, &mut panic));
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
    fn say_farewell<'a>(
        &'a self,
        object: KobjectHandle,
        body: &mut Body,
        above: &[(KobjectHandle, Body)],
        spots: Option<&mut Spots>,
        later: &mut Vec<LetGo<'a>>,
        panic: &mut Option<Box<dyn Any + Send>>,
    ) -> Option<DriverHandle> {
        let Body { payload, part, state } = body;
        let bus = part.as_ref().and_then(|part| Some(part.bus.as_ref()?.bus));
        let is_told = spots.is_none() && !state.is_untold() && {
            let pin = self.inner.domain.pin();
            self.inner.nodes.get_leaving(&pin, object).is_ok_and(|node| node.is_device)
        };
        if is_told {
            self.tell_of(Phase::Leaving, object, bus);
        }
        let bound = part.as_deref().and_then(|part| Some((part, part.binding()?)));
        let orphan =
            bound.and_then(|(part, binding)| self.unbind_leaving(object, payload.lend(), part, binding, above, later));
        if let Some(part) = part {
            // The bus stays for as long as it has a device: so its code is dropped first.
            let id = part.bus.as_mut().map(|on| mem::replace(&mut on.id, Box::new(())));
            if let Err(first) = catch_unwind(AssertUnwindSafe(|| drop(id))) {
                keep_first(panic, first);
            }
            match spots {
                Some(spots) => spots.add(part),
                None => {
                    let pin = self.inner.domain.pin();
                    self.leave_lists(&pin, part.spot_on_bus().as_slice(), part.class.as_slice());
                }
            }
        }
        if is_told {
            self.tell_of(Phase::Removed, object, bus);
        }
        orphan
    }

    fn unbind_leaving<'a>(
        &'a self,
        object: KobjectHandle,
        payload: PayloadRef<'_>,
        part: &Part,
        binding: BindingHandle,
        above: &[(KobjectHandle, Body)],
        later: &mut Vec<LetGo<'a>>,
    ) -> Option<DriverHandle> {
        let parent = part.bus.as_ref().and_then(|on| self.hold_parent_on(on.bus, object).ok()?);
        let (_parent, let_go) = parent.map(Held::into_turn).unzip();
        later.extend(let_go.flatten());
        let Ok(leaving) = self.leave_binding(binding) else { return None };
        // Who is inside a binding is inside the device, which is quiet: there is nobody to be waited for. Where the system refuses the
        // barrier, the driver keeps its data for as long as it lives.
        let quiet = leaving.drain().ok()?;
        let code = self.inner.driver_of(binding).and_then(|driver| self.inner.drivers.enter(driver).ok())?;
        let turn = Turn::without_lock();
        let call = Where { store: self, device: object, above, turn: &turn };
        self.let_go(quiet, &code, call, payload, part)
    }

    /// Takes devices off their buses and out of their classes: those that sit on one, one after the other, in one change.
    pub(crate) fn leave_lists(
        &self,
        pin: &Pin<'_>,
        on_buses: &[(BusHandle, Spot)],
        in_classes: &[(ClassHandle, Spot)],
    ) {
        for spots in on_buses.chunk_by(|one, next| one.0 == next.0) {
            let meta = spots.first().and_then(|(bus, _)| self.inner.buses.get(pin, *bus).ok());
            meta.into_iter().for_each(|meta| meta.devices.leave(spots));
        }
        for spots in in_classes.chunk_by(|one, next| one.0 == next.0) {
            let meta = spots.first().and_then(|(class, _)| self.inner.classes.get(pin, *class).ok());
            meta.into_iter().for_each(|meta| meta.devices.leave(spots));
        }
    }
}

/// Where devices are that leave together. Most often it is one device: that one needs no memory.
#[derive(Default)]
pub(crate) struct Spots {
    bus: Option<(BusHandle, Spot)>,
    class: Option<(ClassHandle, Spot)>,
    on_buses: Vec<(BusHandle, Spot)>,
    in_classes: Vec<(ClassHandle, Spot)>,
}

impl Spots {
    fn add(&mut self, part: &Part) {
        match self.bus {
            None => self.bus = part.spot_on_bus(),
            Some(_) => self.on_buses.extend(part.spot_on_bus()),
        }
        match self.class {
            None => self.class = part.class,
            Some(_) => self.in_classes.extend(part.class),
        }
    }

    /// Takes all of them away.
    pub(crate) fn leave(&self, store: &Store, pin: &Pin<'_>) {
        store.leave_lists(pin, self.bus.as_slice(), self.class.as_slice());
        store.leave_lists(pin, &self.on_buses, &self.in_classes);
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

/// Keeps the first of several panics, to let it go on when all is done.
pub(crate) fn keep_first(first: &mut Option<Box<dyn Any + Send>>, panic: Box<dyn Any + Send>) {
    match first {
        None => *first = Some(panic),
        // What a panic carries is foreign too.
        Some(_) => drop(contain(|| drop(panic))),
    }
}
