//! The two parts of every object: where they are, and when they may be dropped.

use enodev_handles::Label;

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
    /// What the guards say that are held or forgotten.
    guards: Vec<Label>,
    /// The same of owned references.
    stays: Vec<Label>,
    /// The world has ended, and owned references have not.
    is_orphan: bool,
    /// The store is asked to remove it.
    may_go: bool,
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
        let (guards, stays) = (Vec::new(), Vec::new());
        let (is_orphan, may_go, is_locked) = (false, false, false);
        self.objects.push(Object {
            bits: 0,
            guards,
            stays,
            is_orphan,
            may_go,
            is_locked,
            locked: 0,
            seen: 0,
            payload,
            store,
        });
        self.objects.len() - 1
    }

    pub(crate) fn is_inside(&self, stamp: Stamp) -> bool {
        !self.objects[stamp].guards.is_empty()
    }

    pub(crate) fn enter(&mut self, stamp: Stamp, label: Label) {
        self.objects[stamp].guards.push(label);
    }

    pub(crate) fn leave(&mut self, stamp: Stamp, label: Label) {
        let guards = &mut self.objects[stamp].guards;
        if let Some(place) = guards.iter().position(|guard| *guard == label) {
            guards.swap_remove(place);
        }
    }

    /// No guard is held, and those that were forgotten do not count any more. What waits for them is given up.
    pub(crate) fn forget_guards(&mut self) {
        self.give_up_deferred();
        self.objects.iter_mut().for_each(|object| object.guards.clear());
    }

    pub(crate) fn is_stayed_in(&self, stamp: Stamp) -> bool {
        !self.objects[stamp].stays.is_empty()
    }

    pub(crate) fn stay(&mut self, stamp: Stamp, label: Label) {
        self.objects[stamp].stays.push(label);
    }

    /// An owned reference is about to go. True if its world has ended.
    pub(crate) fn end_stay(&mut self, stamp: Stamp, label: Label) -> bool {
        let object = &mut self.objects[stamp];
        if let Some(place) = object.stays.iter().position(|stay| *stay == label) {
            object.stays.swap_remove(place);
        }
        let is_orphan = object.is_orphan;
        if is_orphan && object.stays.is_empty() {
            self.payload_due(stamp);
        }
        is_orphan
    }

    /// The world ends: whether the object is left to its owned references.
    pub(super) fn orphan(&mut self, stamp: Stamp) -> bool {
        let object = &mut self.objects[stamp];
        object.is_orphan = !object.stays.is_empty();
        object.is_orphan
    }

    /// Who is inside these objects: which one, with what label, and whether with an owned reference. Sorted.
    pub(crate) fn blockers(&self, batch: &[u64]) -> Vec<(u64, &'static str, bool)> {
        let mut all = Vec::new();
        for &bits in batch {
            let Ok(stamp) = self.readable(bits) else { continue };
            let Object { guards, stays, .. } = &self.objects[stamp];
            all.extend(guards.iter().map(|label| (bits, label.text(), false)));
            all.extend(stays.iter().map(|label| (bits, label.text(), true)));
        }
        all.sort_unstable();
        all
    }

    pub(super) fn is_payload_due(&self, stamp: Stamp) -> bool {
        self.objects[stamp].payload == Part::Due
    }

    pub(crate) fn is_payload_taken(&self, stamp: Stamp) -> bool {
        self.objects[stamp].payload == Part::Taken
    }

    /// The store is asked to remove the object, if it is there, and what it comes to is known afterwards.
    pub(crate) fn let_go(&mut self, stamp: Stamp, may_go: bool) {
        self.objects[stamp].may_go = may_go;
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
        let (bits, guards, stays) = (object.bits, object.guards.len(), object.stays.len());
        self.reap_on(bits);
        match was {
            Part::Due | Part::Taken => self.payloads_due -= 1,
            Part::InPlace => self.complain(format!(
                "payload {stamp} was dropped in place, {guards} guards and {stays} owned references inside"
            )),
            Part::Dropped => self.complain(format!("payload {stamp} was dropped twice")),
        }
    }

    pub(crate) fn store_dropped(&mut self, stamp: Stamp) {
        let Some(object) = self.objects.get_mut(stamp) else {
            return self.complain(format!("a store part with the stamp {stamp} was dropped, and never made"));
        };
        let was = std::mem::replace(&mut object.store, Part::Dropped);
        let Object { bits, seen, payload, is_orphan, may_go, .. } = *object;
        if !is_orphan && !may_go && !matches!(payload, Part::Taken | Part::Dropped) {
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
            // Its removal is not over, but for that.
            Part::InPlace if may_go => self.slots.give_back(bits, &mut self.tally),
            Part::InPlace | Part::Taken => self.complain(format!("store part {stamp} was dropped in place")),
            Part::Dropped => self.complain(format!("store part {stamp} was dropped twice")),
        }
    }
}
