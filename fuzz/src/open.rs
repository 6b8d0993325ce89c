//! What is held in one world, as other threads might hold it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use enodev_handles::{Active, ActiveMut, Exclusive, Label, Pin, Session, Stale};

use crate::batches::Batches;
use crate::common::Common;
use crate::model::Stamp;
use crate::object::{Payload, StorePart, Thing, ThingHandle};
use crate::op::Action;
use crate::tally::Situation;
use crate::world::World;

/// Guards that a block of cells takes. Who holds more has several blocks.
const CELLS: usize = 4;
/// What is garbage now is reclaimed when a pin has been made anew so often.
const EPOCHS: u32 = 4;
/// Guards held at once: removals look at as many cells as were ever filled at once.
const INSIDE_MAX: usize = 30;
const SESSIONS_MAX: usize = 2;
/// What guards and owned references say.
const LABELS: [&str; 3] = ["", "show", "store"];

enum Guard<'w> {
    Whole(Active<'w, Payload>),
    Part(Active<'w, Stamp>),
    Locked(ActiveMut<'w, u64>, u64),
}

struct Inside<'w> {
    stamp: Stamp,
    label: Label,
    guard: Guard<'w>,
}

struct Pinned<'w> {
    pin: Pin<'w>,
    seen: BTreeSet<Stamp>,
}

struct Visiting<'w> {
    session: Session<'w, Thing, StorePart, Payload>,
    /// The object of a visit that was forgotten.
    inside: Option<Stamp>,
}

/// Everything held in one world.
pub(crate) struct Open<'w> {
    world: &'w World,
    inside: Vec<Inside<'w>>,
    pins: Vec<Pinned<'w>>,
    sessions: Vec<Visiting<'w>>,
    batches: Batches<'w>,
}

/// The place in a list of `len` that a number chooses.
pub(crate) fn place(number: u8, len: usize) -> Option<usize> {
    usize::from(number).checked_rem(len)
}

impl<'w> Open<'w> {
    pub(crate) fn new(world: &'w World) -> Self {
        let (inside, pins, sessions) = (Vec::new(), Vec::new(), Vec::new());
        Self { world, inside, pins, sessions, batches: Batches::new(world) }
    }

    pub(crate) fn world(&self) -> &'w World {
        self.world
    }

    pub(crate) fn step(&mut self, action: Action, common: &mut Common) {
        let (world, pool) = (self.world, &mut common.pool);
        match action {
            Action::Enter { handle, part } => self.enter(pool.draw(handle, world), part),
            Action::EnterMany { handle, count } => {
                (0..count % 24).for_each(|number| self.enter(pool.draw(handle, world), number));
            }
            Action::EnterLabelled { handle, label } => self.enter_labelled(pool.draw(handle, world), label),
            Action::EnterAll { first, second } => {
                self.enter_all([first, second, first.midpoint(second)].map(|handle| pool.draw(handle, world)));
            }
            Action::EnterOwned { handle, label } => {
                common.refs.enter(pool.draw(handle, world), self::label(label), world);
            }
            Action::Session => self.session(),
            Action::Visit { session, handle, how } => self.visit(session, pool.draw(handle, world), how),
            Action::EndSession { session } => self.end_session(session),
            Action::Lock { handle, how } => self.lock(pool.draw(handle, world), how),
            Action::Leave { guard } => self.leave(guard),
            Action::LeaveMany { count, guard } => (0..count % 24).for_each(|_| self.leave(guard)),
            Action::Forget { guard } => self.forget(guard),
            Action::Pin => self.pin(),
            Action::Get { pin, handle } => self.get(pin, pool.draw(handle, world)),
            Action::Iterate { pin } => self.iterate(pin),
            Action::Repin { pin } => self.repin(pin),
            Action::Unpin { pin } => self.unpin(pin),
            Action::UnpinAll => (0..self.pins.len()).for_each(|_| self.unpin(0)),
            Action::LookUp { handle } => world.look_up(pool.draw(handle, world)),
            Action::Join { handle } => world.join(pool.draw(handle, world)),
            Action::Flush => world.flush(),
            Action::Collect => world.collect(),
            Action::Forge { handle, how, by } => pool.forge(pool.draw(handle, world), how, by),
            other => self.batches.step(other, common),
        }
    }

    /// Enters, and compares; not if too many guards are held.
    fn guard(&self, handle: ThingHandle) -> Option<(Stamp, Active<'w, Payload>)> {
        if self.inside.len() == INSIDE_MAX {
            return None;
        }
        let expected = self.world.model().live(handle.to_bits());
        let got = self.world.arena.enter(handle);
        self.world.same(
            || format!("enter {handle:?}"),
            got.as_ref().map(|guard| *guard.stamp()).map_err(|e| *e),
            expected,
        );
        let guard = got.ok()?;
        Some((expected.ok()?, guard))
    }

    fn hold(&mut self, stamp: Stamp, label: Label, guard: Guard<'w>) {
        self.inside.push(Inside { stamp, label, guard });
        let mut model = self.world.model();
        model.enter(stamp, label);
        if self.inside.len() > CELLS {
            model.tally.note(Situation::Spilled);
        }
    }

    fn enter(&mut self, handle: ThingHandle, part: u8) {
        let Some((stamp, guard)) = self.guard(handle) else { return };
        let refused = guard.try_map(|_| None::<&Stamp>);
        let Err(guard) = refused else {
            return self.world.model().complain("try_map gave a part that is not there".into());
        };
        let guard = if part % 2 == 1 { Guard::Part(guard.map(Payload::stamp)) } else { Guard::Whole(guard) };
        self.hold(stamp, Label::NONE, guard);
    }

    fn enter_labelled(&mut self, handle: ThingHandle, label: u8) {
        if self.inside.len() == INSIDE_MAX {
            return;
        }
        let label = self::label(label);
        let expected = self.world.model().live(handle.to_bits());
        let got = self.world.arena.enter_labelled(handle, label);
        let stamp = got.as_ref().map(|guard| *guard.stamp()).map_err(|stale| *stale);
        self.world.same(|| format!("enter_labelled {handle:?}"), stamp, expected);
        if let (Ok(guard), Ok(stamp)) = (got, expected) {
            self.hold(stamp, label, Guard::Whole(guard));
        }
    }

    fn enter_all(&mut self, handles: [ThingHandle; 3]) {
        if self.inside.len() + handles.len() > INSIDE_MAX {
            return;
        }
        let each = handles.map(|handle| self.world.model().live(handle.to_bits()));
        let expected: Result<Vec<Stamp>, Stale> = each.iter().copied().collect();
        let got = self.world.arena.enter_all(handles);
        let stamps = got.as_ref().map(|guards| guards.iter().map(|guard| *guard.stamp()).collect());
        self.world.same(|| format!("enter_all {handles:?}"), stamps.map_err(|stale| *stale), expected.clone());
        let Ok(guards) = got else {
            if each.iter().any(Result::is_ok) {
                self.world.model().tally.note(Situation::EnterAllRefused);
            }
            return;
        };
        self.world.model().tally.note(Situation::EnteredAll);
        for (guard, stamp) in guards.into_iter().zip(expected.into_iter().flatten()) {
            self.hold(stamp, Label::NONE, Guard::Whole(guard));
        }
    }

    fn session(&mut self) {
        if self.sessions.len() < SESSIONS_MAX {
            self.sessions.push(Visiting { session: self.world.arena.session(), inside: None });
        }
    }

    /// If the last visit was forgotten, its object is left with the new one; with the session, where there is none, or a removal may
    /// go on with the leave.
    fn visit(&mut self, session: u8, handle: ThingHandle, how: u8) {
        let world = self.world;
        if self.sessions.is_empty() {
            self.session();
        }
        let Some(place) = place(session, self.sessions.len()) else { return };
        let expected = world.model().live(handle.to_bits());
        let stays = |stamp| expected.is_err() || !world.model().is_live(stamp);
        if self.sessions[place].inside.is_some_and(stays) {
            return self.end_session(session);
        }
        let Visiting { session, inside } = &mut self.sessions[place];
        if let Some(stamp) = inside.take() {
            world.model().leave(stamp, Label::NONE);
        }
        let got = session.enter(handle);
        let stamp = got.as_ref().map(|visit| *visit.stamp()).map_err(|stale| *stale);
        world.same(|| format!("visit {handle:?}"), stamp, expected);
        let (Ok(visit), Ok(stamp)) = (got, expected) else { return };
        world.model().enter(stamp, Label::NONE);
        world.probe_inside(handle);
        world.same(|| "a payload visited".into(), *visit.stamp(), stamp);
        if how % 2 == 1 {
            std::mem::forget(visit);
            *inside = Some(stamp);
            world.model().tally.note(Situation::VisitForgotten);
        } else {
            world.leave(stamp, Label::NONE, || drop(visit));
            world.model().tally.note(Situation::Visited);
        }
    }

    fn end_session(&mut self, session: u8) {
        let Some(place) = place(session, self.sessions.len()) else { return };
        let Visiting { session, inside } = self.sessions.swap_remove(place);
        match inside {
            Some(stamp) => self.world.leave(stamp, Label::NONE, || drop(session)),
            None => drop(session),
        }
    }

    fn lock(&mut self, handle: ThingHandle, how: u8) {
        let Some((stamp, guard)) = self.guard(handle) else { return };
        let is_free = !self.world.model().is_locked(stamp);
        let (locked, is_right) = match how % 4 {
            0 => (guard.map(Payload::locked).try_lock(), is_free),
            // Its own lock, waited for outside; refused where this thread itself holds it, which would take for ever.
            1 => {
                let mut lock = guard.locked().lock();
                drop(guard);
                self.world.same(|| format!("acquire {handle:?}"), lock.acquire().is_ok(), is_free);
                let Some((_, guard)) = self.guard(handle) else { return };
                (guard.map(Payload::locked).lock_with(lock), is_free)
            }
            2 => {
                let lock = guard.locked().lock();
                (guard.map(Payload::locked).lock_with(lock), false)
            }
            _ => {
                let mut lock = Exclusive::new(()).lock();
                self.world.same(|| "acquire".into(), lock.acquire(), Ok(()));
                (guard.map(Payload::locked).lock_with(lock), false)
            }
        };
        self.world.same(|| format!("lock {handle:?}"), locked.is_ok(), is_right);
        match locked {
            Ok(locked) if is_right => self.hold_locked(stamp, locked),
            _ => self.world.model().tally.note(Situation::Locked),
        }
    }

    fn hold_locked(&mut self, stamp: Stamp, mut locked: ActiveMut<'w, u64>) {
        *locked += 1;
        let count = self.world.model().lock(stamp);
        self.world.same(|| "times that a lock was taken".into(), *locked, count);
        self.hold(stamp, Label::NONE, Guard::Locked(locked, count));
    }

    fn leave(&mut self, guard: u8) {
        let Some(place) = place(guard, self.inside.len()) else { return };
        let Inside { stamp, label, guard } = self.inside.swap_remove(place);
        if matches!(guard, Guard::Locked(..)) {
            self.world.model().unlock(stamp);
        }
        self.world.leave(stamp, label, || drop(guard));
    }

    /// The object can never be removed by this thread: it goes with the world.
    fn forget(&mut self, guard: u8) {
        let Some(place) = place(guard, self.inside.len()) else { return };
        std::mem::forget(self.inside.swap_remove(place).guard);
        self.world.model().tally.note(Situation::GuardForgotten);
    }

    fn pin(&mut self) {
        self.pins.push(Pinned { pin: self.world.domain.pin(), seen: BTreeSet::new() });
        self.world.model().pinned();
    }

    /// The place of a pin, and whether it was made for the purpose.
    fn some_pin(&mut self, pin: u8) -> (usize, bool) {
        place(pin, self.pins.len()).map_or_else(
            || {
                self.pin();
                (0, true)
            },
            |place| (place, false),
        )
    }

    fn get(&mut self, pin: u8, handle: ThingHandle) {
        let (place, temporary) = self.some_pin(pin);
        let (world, Pinned { pin, seen }) = (self.world, &mut self.pins[place]);
        let (live, readable) = {
            let model = world.model();
            (model.live(handle.to_bits()), model.readable(handle.to_bits()))
        };
        let got = world.arena.get(pin, handle).map(StorePart::stamp);
        world.same(|| format!("get {handle:?}"), got, live);
        let got = world.arena.get_leaving(pin, handle).map(StorePart::stamp);
        world.same(|| format!("get_leaving {handle:?}"), got, readable);
        if let Ok(stamp) = readable {
            see(world, seen, stamp);
        }
        if temporary {
            self.unpin(0);
        }
    }

    /// What a walk meets is what is alive, each thing once.
    fn iterate(&mut self, pin: u8) {
        let (place, temporary) = self.some_pin(pin);
        let (world, Pinned { pin, seen }) = (self.world, &mut self.pins[place]);
        let met: Vec<(u64, Stamp)> =
            world.arena.iter(pin).map(|(handle, store)| (handle.to_bits(), store.stamp())).collect();
        let met_once: BTreeMap<u64, Stamp> = met.iter().copied().collect();
        let live = world.model().live_all().clone();
        world.same(|| "objects met twice".into(), met.len() - met_once.len(), 0);
        live.values().for_each(|stamp| see(world, seen, *stamp));
        world.same(|| "objects met".into(), met_once, live);
        if temporary {
            self.unpin(0);
        }
    }

    /// With another pin there it has no effect. Without, whoever goes on pinning anew holds nothing up.
    fn repin(&mut self, pin: u8) {
        let Some(place) = place(pin, self.pins.len()) else { return };
        if self.pins.len() > 1 {
            return self.pins[place].pin.repin();
        }
        self.let_go(place);
        for _ in 0..EPOCHS {
            self.pins[place].pin.repin();
            self.world.arena.flush();
        }
        self.world.same(|| "garbage left after a repin".into(), self.world.arena.garbage(), 0);
        self.world.model().tally.note(Situation::Repinned);
    }

    fn unpin(&mut self, pin: u8) {
        let Some(place) = place(pin, self.pins.len()) else { return };
        self.let_go(place);
        self.world.model().unpinned();
        drop(self.pins.swap_remove(place));
    }

    fn let_go(&mut self, place: usize) {
        let mut model = self.world.model();
        std::mem::take(&mut self.pins[place].seen).into_iter().for_each(|stamp| model.unsee(stamp));
    }

    /// Compares what can be seen through the guards, and the counts.
    pub(crate) fn check(&self) {
        for Inside { stamp, guard, .. } in &self.inside {
            match guard {
                Guard::Whole(payload) => self.world.same(|| "a payload inside".into(), payload.stamp(), stamp),
                Guard::Part(part) => self.world.same(|| "a part inside".into(), &**part, stamp),
                Guard::Locked(locked, count) => self.world.same(|| "a count inside".into(), &**locked, count),
            }
        }
        self.world.check();
    }

    /// Gives everything up, in one order or another.
    pub(crate) fn close(mut self, how: u8) {
        if how & 2 == 0 {
            (0..self.pins.len()).for_each(|_| self.unpin(0));
        }
        let last = if how & 4 == 0 { 0 } else { u8::MAX };
        (0..self.inside.len()).for_each(|_| self.leave(last));
        (0..self.sessions.len()).for_each(|_| self.end_session(last));
        self.batches.close();
        (0..self.pins.len()).for_each(|_| self.unpin(last));
        self.check();
    }
}

fn label(number: u8) -> Label {
    Label::new(LABELS[usize::from(number) % LABELS.len()])
}

fn see(world: &World, seen: &mut BTreeSet<Stamp>, stamp: Stamp) {
    if seen.insert(stamp) {
        world.model().see(stamp);
    }
}

impl fmt::Debug for Open<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Open")
            .field("guards", &self.inside.len())
            .field("pins", &self.pins.len())
            .finish_non_exhaustive()
    }
}
