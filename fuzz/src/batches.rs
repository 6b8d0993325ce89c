//! Objects on their way in and out: reservations, marked batches, drained batches.

use std::fmt;
use std::sync::Arc;
use std::thread;
use std::time::Instant;

use enodev_handles::{Leaving, RemoveError, Reservation};

use crate::common::Common;
use crate::drained::{Drained, finish_deferred};
use crate::model::Batch;
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
    bits: Batch,
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

    pub(crate) fn step(&mut self, action: Action, Common { pool, .. }: &mut Common) {
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
            Action::Wear { count } => self.wear(count, pool),
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
            Action::Defer { batch, take } => self.defer(batch, take),
            Action::Blockers { batch } => self.blockers(batch),
            Action::Reap => world.reap(),
            Action::GivenUp { batch, how } => self.given_up(batch, how),
            Action::Take { batch } => self.with_drained(batch, |drained| drained.take(world.book())),
            Action::DropPayloads { batch } => self.with_drained(batch, |drained| drained.drop_payloads(world.book())),
            Action::Finish { batch } => {
                let drained = self.nth_drained(batch);
                drained.into_iter().for_each(|drained| drained.finish(world.book()));
            }
            Action::FinishPinned { batch } => {
                let drained = self.nth_drained(batch);
                drained.into_iter().for_each(|drained| drained.finish_pinned(world));
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

    /// The handles of reservations that are dropped are used up like any other.
    fn wear(&self, count: u8, pool: &mut Pool) {
        for number in 0..usize::from(count) * 8 {
            let Ok(reservation) = self.world.arena.reserve() else {
                return self.world.model().complain("reserve: full".into());
            };
            let handle = reservation.handle();
            self.world.model().reserve(handle.to_bits());
            drop(reservation);
            self.world.model().cancel(handle.to_bits());
            if number % 512 == 0 {
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
        let marked = self.marked.swap_remove(place);
        self.drain(marked, by_deadline);
    }

    fn drain(&mut self, marked: Marked<'w>, by_deadline: bool) {
        match drain(self.world, marked, by_deadline) {
            Ok(drained) => self.drained.push(drained),
            Err(marked) => self.marked.push(marked),
        }
        if self.drained.len() > BATCHES_MAX {
            self.drained.remove(0).finish(self.world.book());
        }
    }

    fn abandon(&mut self, batch: u8) {
        let Some(place) = place(batch, self.marked.len()) else { return };
        let marked = self.marked.swap_remove(place);
        if !marked.bits.is_empty() {
            self.world.model().tally.note(Situation::Abandoned);
        }
        give_up(self.world, marked);
    }

    /// Not where the store would wait for an owned reference of this thread's.
    fn defer(&mut self, batch: u8, take: u8) {
        let (world, Some(place)) = (self.world, place(batch, self.marked.len())) else { return };
        if world.model().is_stayed_in_any(&self.marked[place].bits) {
            return;
        }
        let Marked { leaving, bits } = self.marked.swap_remove(place);
        let is_inside = world.model().is_inside_any(&bits);
        world.same(|| "is_inside of a batch".into(), leaving.is_inside(), is_inside);
        world.model().defer(bits.clone());
        let situation = if is_inside { Situation::Deferred } else { Situation::DeferredAtOnce };
        let (book, batch) = (Arc::clone(world.book()), bits.clone());
        leaving.defer(move |finished| finish_deferred(finished, batch, take, &book, situation));
        let is_deferred = world.model().is_deferred(&bits);
        world.same(|| "a batch waits for a leave".into(), is_deferred, is_inside);
    }

    /// Who is in the way of a batch: this thread, by guards and by owned references.
    fn blockers(&mut self, batch: u8) {
        let (world, Some(place)) = (self.world, place(batch, self.marked.len())) else { return };
        let Marked { leaving, bits } = &mut self.marked[place];
        let expected = world.model().blockers(bits);
        let first = bits.first().map_or(ThingHandle::null(), |bits| ThingHandle::from_bits(*bits));
        let joining = world.model().joining(first.to_bits());
        world.same(|| "join beside a batch".into(), leaving.join(&world.arena, first), joining);
        world.same(|| "is_quiet".into(), leaving.is_quiet(), Ok(expected.is_empty()));
        let blockers = leaving.blockers();
        let own = thread::current().id();
        let strangers = blockers.iter().filter(|blocker| blocker.thread != Some(own)).count();
        world.same(|| "blockers of other threads".into(), strangers, 0);
        let mut got: Vec<(u64, &str, bool)> =
            blockers.iter().map(|by| (by.object.to_bits(), by.label.text(), by.is_owned)).collect();
        got.sort_unstable();
        if expected.iter().any(|(_, label, _)| !label.is_empty()) {
            world.model().tally.note(Situation::Blocked);
        }
        world.same(|| "blockers".into(), got, expected);
    }

    fn given_up(&mut self, batch: u8, how: u8) {
        let world = self.world;
        let expected = world.model().take_given_up();
        let got: Vec<_> = world.arena.given_up().collect();
        let named: Vec<Batch> =
            got.iter().map(|leaving| leaving.handles().map(ThingHandle::to_bits).collect()).collect();
        world.same(|| "given up".into(), &named, &expected);
        let chosen = place(batch, got.len());
        for (number, (leaving, bits)) in got.into_iter().zip(named).enumerate() {
            let marked = Marked { leaving, bits };
            match how % 3 {
                1 if Some(number) == chosen && self.marked.len() < BATCHES_MAX => self.drain(marked, true),
                2 if Some(number) == chosen && self.marked.len() < BATCHES_MAX => self.marked.push(marked),
                _ => {
                    world.model().tally.note(Situation::GivenUpAgain);
                    give_up(world, marked);
                }
            }
        }
    }

    fn nth_drained(&mut self, batch: u8) -> Option<Drained<'w>> {
        Some(self.drained.swap_remove(place(batch, self.drained.len())?))
    }

    fn with_drained(&mut self, batch: u8, change: impl FnOnce(&mut Drained<'w>)) {
        let Some(place) = place(batch, self.drained.len()) else { return };
        change(&mut self.drained[place]);
    }

    /// Marks, drains, takes some, drops the rest.
    fn remove_many(&mut self, count: u8, take: u8) {
        let world = self.world;
        let mut marked = Marked { leaving: world.arena.leave(), bits: Vec::new() };
        let live: Vec<u64> = world.model().live_all().keys().copied().take(usize::from(count % 96)).collect();
        live.into_iter().for_each(|bits| mark(world, &mut marked, ThingHandle::from_bits(bits)));
        match drain(world, marked, false) {
            Ok(mut drained) => {
                (0..take % 8).for_each(|_| drained.take(world.book()));
                drained.finish(world.book());
            }
            Err(marked) => give_up(world, marked),
        }
    }

    pub(crate) fn close(&mut self) {
        (0..self.reservations.len()).for_each(|_| self.cancel(0));
        (0..self.marked.len()).for_each(|_| self.abandon(0));
        std::mem::take(&mut self.drained).into_iter().for_each(|drained| drained.finish(self.world.book()));
    }
}

fn mark(world: &World, marked: &mut Marked<'_>, handle: ThingHandle) {
    let bits = handle.to_bits();
    let expected = world.model().marking(bits).map(drop);
    let got = marked.leaving.mark(handle);
    world.same(|| format!("mark {handle:?}"), got, expected);
    if got.is_ok() {
        world.model().mark(bits);
        marked.bits.push(bits);
        world.look_up(handle);
    }
    let (len, is_empty) = (marked.leaving.len(), marked.leaving.is_empty());
    world.same(|| "objects marked".into(), (len, is_empty), (marked.bits.len(), marked.bits.is_empty()));
}

fn give_up(world: &World, Marked { leaving, bits }: Marked<'_>) {
    drop(leaving);
    world.model().give_up(bits);
}

/// Where it fails, the batch comes back, and its objects go on leaving.
fn drain<'w>(
    world: &World,
    Marked { leaving, bits }: Marked<'w>,
    by_deadline: bool,
) -> Result<Drained<'w>, Marked<'w>> {
    let expected = world.model().draining(&bits);
    // The thread would wait for its own owned references.
    let by_deadline = by_deadline || expected == Err(RemoveError::TimedOut);
    let got = if by_deadline { leaving.drain_until(Instant::now()) } else { leaving.drain() };
    world.same(|| "drain".into(), got.as_ref().map(drop).map_err(|(_, error)| *error), expected);
    match got {
        Ok(quiet) => Ok(Drained::new(quiet, bits, world.book())),
        Err((leaving, _)) => Err(Marked { leaving, bits }),
    }
}

impl fmt::Debug for Batches<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (marked, drained) = (self.marked.len(), self.drained.len());
        f.debug_struct("Batches").field("marked", &marked).field("drained", &drained).finish_non_exhaustive()
    }
}
