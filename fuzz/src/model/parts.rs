//! The two parts of every object: where they are, and when they may be dropped.

use super::{Model, Stamp};
use crate::tally::Situation;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    /// In its slot, and must stay.
    InPlace,
    /// The slot's owner drops it, now or later.
    Due,
    /// Handed to the interpreter, which drops it.
    Taken,
    Dropped,
}

#[derive(Debug)]
pub(super) struct Object {
    pub(super) bits: u64,
    /// Guards held or forgotten.
    pub(super) guards: usize,
    is_locked: bool,
    /// How often the lock was taken.
    locked: u64,
    /// Pins held that have seen the store part.
    seen: usize,
    payload: Part,
    store: Part,
}

impl Model {
    /// Makes up an object that is not in any slot yet.
    pub(crate) fn object(&mut self) -> Stamp {
        let (payload, store) = (Part::InPlace, Part::InPlace);
        self.objects.push(Object { bits: 0, guards: 0, is_locked: false, locked: 0, seen: 0, payload, store });
        self.objects.len() - 1
    }

    pub(crate) fn is_inside(&self, stamp: Stamp) -> bool {
        self.objects[stamp].guards > 0
    }

    pub(crate) fn enter(&mut self, stamp: Stamp) {
        self.objects[stamp].guards += 1;
    }

    pub(crate) fn leave(&mut self, stamp: Stamp) {
        self.objects[stamp].guards -= 1;
    }

    /// No guard is held, and those that were forgotten do not count any more.
    pub(crate) fn forget_guards(&mut self) {
        self.objects.iter_mut().for_each(|object| object.guards = 0);
    }

    pub(crate) fn is_locked(&self, stamp: Stamp) -> bool {
        self.objects[stamp].is_locked
    }

    /// Takes the lock; the number of times that it was taken.
    pub(crate) fn lock(&mut self, stamp: Stamp) -> u64 {
        let object = &mut self.objects[stamp];
        object.is_locked = true;
        object.locked += 1;
        object.locked
    }

    pub(crate) fn unlock(&mut self, stamp: Stamp) {
        self.objects[stamp].is_locked = false;
    }

    /// A pin that is held has read the store part.
    pub(crate) fn see(&mut self, stamp: Stamp) {
        self.objects[stamp].seen += 1;
    }

    /// A pin that had read the store part lets it go.
    pub(crate) fn unsee(&mut self, stamp: Stamp) {
        let object = &mut self.objects[stamp];
        object.seen -= 1;
        if object.store == Part::Due {
            self.tally.note(Situation::KeptByPin);
        }
    }

    /// The payload may be dropped by the store.
    pub(crate) fn payload_due(&mut self, stamp: Stamp) {
        self.move_payload(stamp, Part::Due);
    }

    /// The payload is handed out.
    pub(crate) fn payload_taken(&mut self, stamp: Stamp) {
        self.move_payload(stamp, Part::Taken);
    }

    fn move_payload(&mut self, stamp: Stamp, to: Part) {
        let payload = &mut self.objects[stamp].payload;
        if *payload == Part::InPlace {
            *payload = to;
            self.payloads_due += 1;
        }
    }

    /// The store part may be dropped, once no pin that saw it is left.
    pub(crate) fn store_due(&mut self, stamp: Stamp) {
        let store = &mut self.objects[stamp].store;
        if *store == Part::InPlace {
            *store = Part::Due;
            self.stores_due += 1;
        }
    }

    pub(crate) fn payload_dropped(&mut self, stamp: Stamp) {
        let Some(object) = self.objects.get_mut(stamp) else {
            return self.complain(format!("a payload with the stamp {stamp} was dropped, and never made"));
        };
        let was = std::mem::replace(&mut object.payload, Part::Dropped);
        let guards = object.guards;
        match was {
            Part::Due | Part::Taken => self.payloads_due -= 1,
            Part::InPlace => self.complain(format!("payload {stamp} was dropped in place, {guards} guards inside")),
            Part::Dropped => self.complain(format!("payload {stamp} was dropped twice")),
        }
    }

    pub(crate) fn store_dropped(&mut self, stamp: Stamp) {
        let Some(object) = self.objects.get_mut(stamp) else {
            return self.complain(format!("a store part with the stamp {stamp} was dropped, and never made"));
        };
        let was = std::mem::replace(&mut object.store, Part::Dropped);
        let (bits, seen, payload) = (object.bits, object.seen, object.payload);
        if !matches!(payload, Part::Taken | Part::Dropped) {
            self.complain(format!("store part {stamp} was dropped before its payload"));
        }
        if seen > 0 {
            self.complain(format!("store part {stamp} was dropped under {seen} pins that had seen it"));
        }
        match was {
            Part::Due => {
                self.stores_due -= 1;
                self.slots.give_back(bits, &mut self.tally);
            }
            Part::InPlace | Part::Taken => self.complain(format!("store part {stamp} was dropped in place")),
            Part::Dropped => self.complain(format!("store part {stamp} was dropped twice")),
        }
    }
}
