//! What is held in one world, as other threads might hold it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use enodev_handles::{Active, ActiveMut, Exclusive, Pin};

use crate::batches::Batches;
use crate::model::Stamp;
use crate::object::{Payload, StorePart, ThingHandle};
use crate::op::Action;
use crate::pool::Pool;
use crate::tally::Situation;
use crate::world::World;

/// Guards that a block of cells takes. Who holds more has several blocks.
const CELLS: usize = 7;
/// What is garbage now is reclaimed when a pin has been made anew so often.
const EPOCHS: u32 = 4;
/// Guards held at once: removals look at as many cells as were ever filled at once.
const INSIDE_MAX: usize = 30;

enum Guard<'w> {
    Whole(Active<'w, Payload>),
    Part(Active<'w, Stamp>),
    Locked(ActiveMut<'w, u64>, u64),
}

struct Inside<'w> {
    stamp: Stamp,
    guard: Guard<'w>,
}

struct Pinned<'w> {
    pin: Pin<'w>,
    seen: BTreeSet<Stamp>,
}

/// Everything held in one world.
pub(crate) struct Open<'w> {
    world: &'w World,
    inside: Vec<Inside<'w>>,
    pins: Vec<Pinned<'w>>,
    batches: Batches<'w>,
}

/// The place in a list of `len` that a number chooses.
pub(crate) fn place(number: u8, len: usize) -> Option<usize> {
    usize::from(number).checked_rem(len)
}

impl<'w> Open<'w> {
    pub(crate) fn new(world: &'w World) -> Self {
        Self { world, inside: Vec::new(), pins: Vec::new(), batches: Batches::new(world) }
    }

    pub(crate) fn world(&self) -> &'w World {
        self.world
    }

    pub(crate) fn step(&mut self, action: Action, pool: &mut Pool) {
        let world = self.world;
        match action {
            Action::Enter { handle, part } => self.enter(pool.draw(handle, world), part),
            Action::EnterMany { handle, count } => {
                (0..count % 24).for_each(|number| self.enter(pool.draw(handle, world), number));
            }
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
            Action::Forge { handle, how, by } => pool.forge(pool.draw(handle, world), how, by),
            other => self.batches.step(other, pool),
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

    fn hold(&mut self, stamp: Stamp, guard: Guard<'w>) {
        self.inside.push(Inside { stamp, guard });
        let mut model = self.world.model();
        model.enter(stamp);
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
        self.hold(stamp, guard);
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
        self.hold(stamp, Guard::Locked(locked, count));
    }

    fn leave(&mut self, guard: u8) {
        let Some(place) = place(guard, self.inside.len()) else { return };
        let Inside { stamp, guard } = self.inside.swap_remove(place);
        let was_locked = matches!(guard, Guard::Locked(..));
        drop(guard);
        let mut model = self.world.model();
        model.leave(stamp);
        if was_locked {
            model.unlock(stamp);
        }
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
        for Inside { stamp, guard } in &self.inside {
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
        self.batches.close();
        (0..self.pins.len()).for_each(|_| self.unpin(last));
        self.check();
    }
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
