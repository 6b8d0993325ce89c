//! What a thread can do, and how often it does so.

use enodev::Result;

use super::acts;
use super::drivers;
use super::places::{self, From, How};
use super::scene::{FAMILY, Field, Tenant};
use super::walker::Kept;
use crate::random::{below, mix};

/// What a thread does in one operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names say it")]
pub enum Kind {
    Read,
    Write,
    ReadFile,
    Enter,
    Data,
    LookUp,
    Resolve,
    List,
    Walk,
    Links,
    Gone,
    Rename,
    Move,
    Remap,
    Bind,
    Unbind,
    Attach,
    Remove,
    RemoveHub,
    Eject,
    Add,
    Driver,
    Power,
}

/// How many sorts of operations there are.
const KINDS: usize = 23;

/// All of them, their names, and how often each is chosen.
const WEIGHTS: [(Kind, &str, u32); KINDS] = [
    (Kind::Read, "read", 1500),
    (Kind::Write, "write", 800),
    (Kind::ReadFile, "read_file", 1200),
    (Kind::Enter, "enter", 1200),
    (Kind::Data, "data", 800),
    (Kind::LookUp, "look_up", 900),
    (Kind::Resolve, "resolve", 1200),
    (Kind::List, "list", 80),
    (Kind::Walk, "walk", 40),
    (Kind::Links, "links", 600),
    (Kind::Gone, "gone", 400),
    (Kind::Rename, "rename", 150),
    (Kind::Move, "move", 50),
    (Kind::Remap, "remap", 60),
    (Kind::Bind, "bind", 150),
    (Kind::Unbind, "unbind", 150),
    (Kind::Attach, "attach", 100),
    (Kind::Remove, "remove", 250),
    (Kind::RemoveHub, "remove_hub", 2),
    (Kind::Eject, "eject", 40),
    (Kind::Add, "add", 450),
    (Kind::Driver, "driver", 2),
    (Kind::Power, "power", 5),
];

impl Kind {
    /// Chooses one.
    fn of(bits: u64) -> Self {
        const ALL: usize = {
            let (mut sum, mut n) = (0, 0);
            while n < KINDS {
                sum += WEIGHTS[n].2 as usize;
                n += 1;
            }
            sum
        };
        let mut left = below(bits, ALL) as u32;
        for (kind, _, weight) in WEIGHTS {
            if left < weight {
                return kind;
            }
            left -= weight;
        }
        Self::Read
    }

    /// Its name.
    pub fn name(self) -> &'static str {
        WEIGHTS[self as usize].1
    }
}

/// How often each was done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally([u64; KINDS]);

impl Tally {
    pub(super) fn count(&mut self, kind: Kind) {
        self.0[kind as usize] += 1;
    }

    pub(super) fn add(&mut self, other: &Self) {
        self.0.iter_mut().zip(other.0).for_each(|(count, other)| *count += other);
    }

    /// All of them, by name.
    pub fn each(&self) -> impl Iterator<Item = (&'static str, u64)> {
        WEIGHTS.iter().zip(self.0).map(|((_, name, _), count)| (*name, count))
    }

    /// How many there were.
    pub fn sum(&self) -> u64 {
        self.0.iter().sum()
    }
}

/// An operation that was chosen: what, and on what. It follows from the seed alone.
#[derive(Clone, Copy, Debug)]
pub(super) struct Step {
    pub(super) kind: Kind,
    pick: u64,
    bits: u64,
}

impl Step {
    pub(super) fn of(kind: u64, pick: u64, bits: u64) -> Self {
        Self { kind: Kind::of(kind), pick, bits }
    }

    /// Does it.
    pub(super) fn take(self, field: &Field, kept: &mut Kept) -> Result {
        let (store, scene, bits) = (&field.store, &field.scene, self.bits);
        let place = below(self.pick, scene.places.len());
        let slot = below(mix(bits), scene.slots.len());
        match self.kind {
            Kind::Read => acts::read(store, scene, place, bits),
            Kind::Write => acts::write(store, scene, place, bits),
            Kind::ReadFile => self.read_file(field, kept, place),
            Kind::Enter => acts::enter(store, scene, place, bits),
            Kind::Data => drivers::data(store, scene, place, bits),
            Kind::LookUp => acts::look_up(store, scene, place),
            Kind::Resolve => acts::resolve(store, scene, place, bits),
            Kind::List => acts::list(store, scene, place),
            Kind::Walk => acts::walk(store, scene, bits),
            Kind::Links => acts::links(store, scene, place, bits),
            Kind::Gone => match kept.gone(bits >> 8) {
                Some(tenant) => acts::ask_for_gone(store, scene, &tenant, bits),
                None => Ok(()),
            },
            Kind::Rename => places::rename(store, scene, place, bits),
            Kind::Move => {
                let hub = below(mix(bits), scene.places.len()) / FAMILY * FAMILY;
                places::move_to(store, scene, place, hub, bits)
            }
            Kind::Remap => places::remap(store, scene, place, bits),
            Kind::Bind => drivers::bind(store, scene, place, slot),
            Kind::Unbind => drivers::unbind(store, scene, place, From::Outside),
            Kind::Attach => drivers::attach(store, scene, place, From::Outside),
            Kind::Remove => self.remove(field, kept, place, How::of(bits)),
            Kind::RemoveHub => self.remove(field, kept, place / FAMILY * FAMILY, How::Subtree),
            Kind::Eject => places::eject(store, scene, place),
            Kind::Add => add(field),
            Kind::Driver => self.replace_driver(field, slot),
            Kind::Power => acts::power(store, scene, place, bits),
        }
    }

    fn read_file(self, field: &Field, kept: &mut Kept, place: usize) -> Result {
        let (store, scene) = (&field.store, &field.scene);
        let file = kept.file(self.bits);
        match file {
            Some(opened) if self.bits >> 32 & 63 != 0 => {
                acts::read_file(store, scene, opened).inspect_err(|_| *file = None)
            }
            _ => {
                *file = acts::open(store, scene, place)?;
                Ok(())
            }
        }
    }

    fn remove(self, field: &Field, kept: &mut Kept, place: usize, how: How) -> Result {
        let tenant = field.scene.tenant(place);
        places::unplug(&field.store, &field.scene, place, how, From::Outside)?;
        kept.has_gone(tenant.filter(|Tenant { record, .. }| record.dropped.is_up()));
        Ok(())
    }

    fn replace_driver(self, field: &Field, slot: usize) -> Result {
        let (store, scene) = (&field.store, &field.scene);
        if self.bits % 4 != 0 {
            drivers::leave(store, scene, slot, From::Outside)?;
        }
        drivers::come(store, scene, slot)
    }
}

/// Registers a device at the place that has had none for longest.
fn add(field: &Field) -> Result {
    let scene = &field.scene;
    let Some(place) = scene.vacant.lock().pop_front() else { return Ok(()) };
    scene.places[place].is_vacant.lower();
    places::plug(&field.store, scene, place)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Random;

    #[test]
    fn every_sort_is_chosen_as_often_as_its_weight_says() {
        let all: u32 = WEIGHTS.iter().map(|(_, _, weight)| weight).sum();
        let mut random = Random::new(3);
        let mut tally = Tally::default();
        let many = 200 * u64::from(all);
        (0..many).for_each(|_| tally.count(Kind::of(random.bits())));
        for (place, ((kind, name, weight), (other, count))) in WEIGHTS.iter().zip(tally.each()).enumerate() {
            assert_eq!((*kind as usize, *name, kind.name()), (place, other, *name));
            let share = count as f64 / (200.0 * f64::from(*weight));
            assert!((0.7..1.3).contains(&share), "{name}: {share}");
        }
        assert_eq!(tally.sum(), many);
    }
}
