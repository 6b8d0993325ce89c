//! Objects on their way in and out: reservations, marked batches, drained batches.

use std::collections::VecDeque;
use std::fmt;
use std::time::Instant;

use enodev_handles::{Leaving, Quiet, RemoveError, Reservation};

use crate::object::{Payload, StorePart, Thing, ThingHandle, Victim};
use crate::op::Action;
use crate::open::place;
use crate::pool::Pool;
use crate::tally::Situation;
use crate::world::World;

/// Batches of one state that are open at once.
const BATCHES_MAX: usize = 4;
const RESERVATIONS_MAX: usize = 8;

struct Marked<'w> {
    leaving: Leaving<'w, Thing, StorePart, Payload>,
    bits: Vec<u64>,
}

struct Drained<'w> {
    quiet: Quiet<'w, Thing, StorePart, Payload>,
    bits: Vec<u64>,
    /// Those whose payloads are still there.
    left: VecDeque<u64>,
}

pub(crate) struct Batches<'w> {
    world: &'w World,
    reservations: Vec<Reservation<'w, Thing, StorePart, Payload>>,
    marked: Vec<Marked<'w>>,
    drained: Vec<Drained<'w>>,
}

impl<'w> Batches<'w> {
    pub(crate) fn new(world: &'w World) -> Self {
        Self { world, reservations: Vec::new(), marked: Vec::new(), drained: Vec::new() }
    }

    pub(crate) fn step(&mut self, action: Action, pool: &mut Pool) {
        let world = self.world;
        match action {
            Action::Insert { victim } => pool.keep(world.insert(pool.victim(victim))),
            Action::InsertMany { count } => (0..count % 96).for_each(|number| {
                let handle = world.insert(None);
                if number % 32 == 0 {
                    pool.keep(handle);
                }
            }),
            Action::Churn { count } => self.churn(count, pool),
            Action::Reserve => self.reserve(pool),
            Action::Publish { reservation, victim } => self.publish(reservation, pool.victim(victim)),
            Action::Cancel { reservation } => self.cancel(reservation),
            Action::ForgetReservation { reservation } => self.forget_reservation(reservation),
            Action::Remove { handle } => {
                let _ = world.remove(pool.draw(handle, world));
            }
            Action::RemoveMany { count, take } => self.remove_many(count, take),
            Action::Mark { batch, handle } => self.mark_in(batch, pool.draw(handle, world)),
            Action::Begin => self.begin(),
            Action::Drain { batch, by_deadline } => self.drain_nth(batch, by_deadline % 2 == 1),
            Action::Abandon { batch } => self.abandon(batch),
            Action::Take { batch } => self.with_drained(batch, Self::take),
            Action::DropPayloads { batch } => self.with_drained(batch, Self::drop_payloads),
            Action::Finish { batch } => {
                let drained = self.nth_drained(batch);
                drained.into_iter().for_each(|drained| finish(world, drained));
            }
            Action::FinishPinned { batch } => {
                let drained = self.nth_drained(batch);
                drained.into_iter().for_each(|drained| finish_pinned(world, drained));
            }
            _ => {}
        }
    }

    fn churn(&self, count: u8, pool: &mut Pool) {
        if self.world.model().is_pinned() {
            return;
        }
        for number in 0..count {
            let handle = self.world.insert(None);
            let _ = self.world.remove(handle);
            if number % 48 == 0 {
                self.world.flush();
                pool.keep(handle);
            }
        }
    }

    fn reserve(&mut self, pool: &mut Pool) {
        if self.reservations.len() == RESERVATIONS_MAX {
            return;
        }
        match self.world.arena.reserve() {
            Ok(reservation) => {
                self.world.model().reserve(reservation.handle().to_bits());
                pool.keep(reservation.handle());
                self.reservations.push(reservation);
            }
            Err(full) => self.world.model().complain(format!("reserve: {full}")),
        }
    }

    fn publish(&mut self, reservation: u8, victim: Option<Victim>) {
        let Some(place) = place(reservation, self.reservations.len()) else { return };
        let reservation = self.reservations.swap_remove(place);
        let promised = reservation.handle();
        let (stamp, store, payload) = self.world.parts(victim);
        let handle = reservation.publish(store, payload);
        self.world.model().publish(handle.to_bits(), stamp);
        self.world.same(|| "the handle of a reservation".into(), handle, promised);
    }

    fn cancel(&mut self, reservation: u8) {
        let Some(place) = place(reservation, self.reservations.len()) else { return };
        let reservation = self.reservations.swap_remove(place);
        let bits = reservation.handle().to_bits();
        drop(reservation);
        self.world.model().cancel(bits);
    }

    /// The slot stays taken for as long as the world lives.
    fn forget_reservation(&mut self, reservation: u8) {
        let Some(place) = place(reservation, self.reservations.len()) else { return };
        std::mem::forget(self.reservations.swap_remove(place));
        self.world.model().tally.note(Situation::ReservationForgotten);
    }

    fn begin(&mut self) {
        if self.marked.len() < BATCHES_MAX {
            self.marked.push(Marked { leaving: self.world.arena.leave(), bits: Vec::new() });
        }
    }

    fn mark_in(&mut self, batch: u8, handle: ThingHandle) {
        if self.marked.is_empty() {
            self.begin();
        }
        let Some(place) = place(batch, self.marked.len()) else { return };
        mark(self.world, &mut self.marked[place], handle);
    }

    fn drain_nth(&mut self, batch: u8, by_deadline: bool) {
        let Some(place) = place(batch, self.marked.len()) else { return };
        match drain(self.world, self.marked.swap_remove(place), by_deadline) {
            Ok(drained) => self.drained.push(drained),
            Err(marked) => self.marked.push(marked),
        }
        if self.drained.len() > BATCHES_MAX {
            finish(self.world, self.drained.remove(0));
        }
    }

    fn abandon(&mut self, batch: u8) {
        let Some(place) = place(batch, self.marked.len()) else { return };
        let Marked { leaving, bits } = self.marked.swap_remove(place);
        if !bits.is_empty() {
            self.world.model().tally.note(Situation::Abandoned);
        }
        drop(leaving);
    }

    fn nth_drained(&mut self, batch: u8) -> Option<Drained<'w>> {
        Some(self.drained.swap_remove(place(batch, self.drained.len())?))
    }

    fn with_drained(&mut self, batch: u8, change: impl FnOnce(&World, &mut Drained<'w>)) {
        let Some(place) = place(batch, self.drained.len()) else { return };
        change(self.world, &mut self.drained[place]);
    }

    fn take(world: &World, drained: &mut Drained<'w>) {
        let expected = drained.left.pop_front();
        let expected = expected.and_then(|bits| {
            let mut model = world.model();
            let stamp = model.readable(bits).ok()?;
            model.payload_taken(stamp);
            Some((ThingHandle::from_bits(bits), stamp))
        });
        let got = drained.quiet.take();
        let named = got.as_ref().map(|(handle, payload)| (*handle, *payload.stamp()));
        world.same(|| "take".into(), named, expected);
        drop(got);
    }

    fn drop_payloads(world: &World, drained: &mut Drained<'w>) {
        let left = std::mem::take(&mut drained.left);
        payloads_due(world, left);
        drained.quiet.drop_payloads();
    }

    /// Marks, drains, takes some, drops the rest.
    fn remove_many(&mut self, count: u8, take: u8) {
        let world = self.world;
        let mut marked = Marked { leaving: world.arena.leave(), bits: Vec::new() };
        let live: Vec<u64> = world.model().live_all().keys().copied().take(usize::from(count % 96)).collect();
        live.into_iter().for_each(|bits| mark(world, &mut marked, ThingHandle::from_bits(bits)));
        let Ok(mut drained) = drain(world, marked, false) else { return };
        (0..take % 8).for_each(|_| Self::take(world, &mut drained));
        finish(world, drained);
    }

    pub(crate) fn close(&mut self) {
        (0..self.reservations.len()).for_each(|_| self.cancel(0));
        (0..self.marked.len()).for_each(|_| self.abandon(0));
        std::mem::take(&mut self.drained).into_iter().for_each(|drained| finish(self.world, drained));
    }
}

fn mark(world: &World, marked: &mut Marked<'_>, handle: ThingHandle) {
    let bits = handle.to_bits();
    let expected = world.model().removal(bits).map(drop);
    let got = marked.leaving.mark(handle);
    world.same(|| format!("mark {handle:?}"), got, expected);
    if got.is_ok() {
        world.model().mark(bits);
        marked.bits.push(bits);
        world.look_up(handle);
    }
}

/// Where it fails, the batch comes back, and its objects go on leaving.
fn drain<'w>(
    world: &World,
    Marked { leaving, bits }: Marked<'w>,
    by_deadline: bool,
) -> Result<Drained<'w>, Marked<'w>> {
    let pinned = world.model().is_pinned();
    // Nobody is inside what has been marked, so that the deadline makes no difference.
    let got = if by_deadline { leaving.drain_until(Instant::now()) } else { leaving.drain() };
    let expected = if pinned { Err(RemoveError::Pinned) } else { Ok(()) };
    world.same(|| "drain".into(), got.as_ref().map(drop).map_err(|(_, error)| *error), expected);
    if pinned {
        world.model().tally.note(Situation::DrainPinned);
    }
    match got {
        Ok(quiet) => Ok(Drained { quiet, left: bits.iter().copied().collect(), bits }),
        Err((leaving, _)) => Err(Marked { leaving, bits }),
    }
}

fn payloads_due(world: &World, left: impl IntoIterator<Item = u64>) {
    let mut model = world.model();
    for bits in left {
        if let Ok(stamp) = model.readable(bits) {
            model.payload_due(stamp);
        }
    }
}

fn finish(world: &World, Drained { quiet, bits, left }: Drained<'_>) {
    payloads_due(world, left);
    {
        let mut model = world.model();
        for &bits in &bits {
            if let Ok(stamp) = model.readable(bits) {
                model.store_due(stamp);
            }
        }
    }
    drop(quiet);
    let mut model = world.model();
    bits.iter().for_each(|bits| model.gone(*bits));
}

/// As [`finish`], while the store parts are being read.
fn finish_pinned(world: &World, drained: Drained<'_>) {
    let pin = world.domain.pin();
    world.model().pinned();
    let handles: Vec<ThingHandle> = drained.bits.iter().map(|bits| ThingHandle::from_bits(*bits)).collect();
    let mut seen = Vec::new();
    for handle in handles {
        let expected = world.model().readable(handle.to_bits());
        let got = world.arena.get_leaving(&pin, handle);
        world.same(|| format!("get_leaving {handle:?}"), got.map(StorePart::stamp), expected);
        if let (Ok(store), Ok(stamp)) = (got, expected) {
            world.model().see(stamp);
            seen.push((store, stamp));
        }
    }
    finish(world, drained);
    world.flush();
    for (store, stamp) in seen {
        world.same(|| "a store part read under a pin".into(), store.stamp(), stamp);
        world.model().unsee(stamp);
    }
    world.model().unpinned();
    drop(pin);
}

impl fmt::Debug for Batches<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (marked, drained) = (self.marked.len(), self.drained.len());
        f.debug_struct("Batches").field("marked", &marked).field("drained", &drained).finish_non_exhaustive()
    }
}
