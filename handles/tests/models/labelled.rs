//! Drains of those who are inside under a label, of an object that stays.

use std::mem::ManuallyDrop;
use std::sync::Arc;

use enodev_handles::sync::atomic::{AtomicBool, Ordering};
use enodev_handles::sync::thread;
use enodev_handles::{Arena, Domain, Handle, Kind, Label, Strategy};

use crate::check;
use crate::common::{Meeting, Payload, Witness, payload};

enum Part {}
impl Kind for Part {
    const NAME: &'static str = "Part";
}

/// An object of which a part can be revoked.
struct Parts {
    is_gone: AtomicBool,
    /// Its end is not the object's.
    part: ManuallyDrop<Payload>,
}

type Arenas = Arena<Part, (), Parts>;

struct Model {
    arena: Arc<Arenas>,
    object: Handle<Part>,
    /// Of the part.
    witness: Arc<Witness>,
    show: Label,
    store: Label,
}

impl Clone for Model {
    fn clone(&self) -> Self {
        Self { arena: Arc::clone(&self.arena), witness: Arc::clone(&self.witness), ..*self }
    }
}

impl Model {
    fn new() -> Self {
        let arena = Arc::new(Arena::new(&Domain::with_strategy(Strategy::Fence).unwrap()).unwrap());
        let (part, witness) = payload();
        let object =
            arena.insert((), Parts { is_gone: AtomicBool::new(false), part: ManuallyDrop::new(part) }).unwrap();
        Self { arena, object, witness, show: Label::new("show"), store: Label::new("store") }
    }

    /// Puts another object where the one was that has left.
    fn replug(&self) -> Handle<Part> {
        let slot = |object: Handle<Part>| object.to_bits() as u32;
        loop {
            assert_eq!(self.arena.flush(), 0, "nobody is pinned");
            let parts = Parts { is_gone: AtomicBool::new(false), part: ManuallyDrop::new(payload().0) };
            let next = self.arena.insert((), parts).unwrap();
            if slot(next) == slot(self.object) {
                return next;
            }
            assert!(self.arena.remove(next).is_ok());
        }
    }

    /// Enters under the label of the part, and uses it if it is there.
    fn show(&self) {
        let guard = self.arena.enter_labelled(self.object, self.show).unwrap();
        // Relaxed: what the drain is to make enough.
        if !guard.is_gone.load(Ordering::Relaxed) {
            guard.part.visit();
        }
    }

    fn show_owned(&self) {
        let owned = self.arena.enter_owned(self.object, self.show).unwrap();
        // Relaxed: as in `show`.
        if !owned.is_gone.load(Ordering::Relaxed) {
            owned.part.visit();
        }
    }

    /// Enters under another label.
    fn store(&self) {
        drop(self.arena.enter_labelled(self.object, self.store).unwrap());
    }

    /// Revokes the part: from then on it is not used, as its end would not allow.
    fn revoke(&self) {
        // Relaxed: as in `show`.
        self.arena.enter(self.object).unwrap().is_gone.store(true, Ordering::Relaxed);
        self.arena.drain_labelled(self.object, &[self.show], None).unwrap();
        self.witness.end();
    }
}

/// The visitor is seen, or sees that it came too late.
#[test]
fn who_is_let_in_under_the_label_is_waited_for() {
    check(|| {
        let model = Model::new();
        let visitor = thread::spawn({
            let model = model.clone();
            move || model.show()
        });
        model.revoke();
        model.show();
        visitor.join().unwrap();
    });
}

/// So it is where stays under another label come before and after in the same cell: the drain finds any of them, and its label or the
/// next one's.
#[test]
fn who_is_let_in_between_stays_under_another_label_is_waited_for() {
    check(|| {
        let model = Model::new();
        let visitor = thread::spawn({
            let model = model.clone();
            move || {
                model.store();
                model.show();
                model.store();
            }
        });
        model.revoke();
        visitor.join().unwrap();
    });
}

/// Who is under another label while the drain looks holds it up not a bit, though he has been under its own before: he waits for the
/// drain, inside.
#[test]
fn who_has_changed_his_label_is_not_waited_for() {
    check(|| {
        let model = Model::new();
        let drained = Meeting::of(2);
        let visitor = thread::spawn({
            let (model, drained) = (model.clone(), Arc::clone(&drained));
            move || {
                model.show();
                let guard = model.arena.enter_labelled(model.object, model.store).unwrap();
                drained.come();
                drop(guard);
            }
        });
        model.revoke();
        drained.come();
        visitor.join().unwrap();
    });
}

/// Two stays under the label, of which the drain may find either.
#[test]
fn who_comes_back_under_the_label_is_waited_for_each_time() {
    check(|| {
        let model = Model::new();
        let visitor = thread::spawn({
            let model = model.clone();
            move || {
                model.show();
                model.show();
            }
        });
        model.revoke();
        visitor.join().unwrap();
    });
}

/// A drain that sleeps is woken: of the leave and the last look before the sleep one sees the other.
#[test]
fn a_drain_of_a_label_that_sleeps_is_woken() {
    check(|| {
        let model = Model::new();
        let guard = model.arena.enter_labelled(model.object, model.show).unwrap();
        let drain = thread::spawn({
            let model = model.clone();
            move || model.revoke()
        });
        guard.part.visit();
        drop(guard);
        // Perhaps the same cell is full again when the drain looks.
        model.store();
        drain.join().unwrap();
    });
}

/// The lock of the stays decides the same race for owned references.
#[test]
fn who_makes_an_owned_reference_under_the_label_is_waited_for() {
    check(|| {
        let model = Model::new();
        let visitor = thread::spawn({
            let model = model.clone();
            move || model.show_owned()
        });
        model.revoke();
        visitor.join().unwrap();
    });
}

/// The reference under the label is neither the first to go nor the last.
#[test]
fn an_owned_reference_wakes_the_drain_of_its_label() {
    check(|| {
        let model = Model::new();
        let owned = model.arena.enter_owned(model.object, model.show).unwrap();
        let other = model.arena.enter_owned(model.object, model.store).unwrap();
        let drain = thread::spawn({
            let model = model.clone();
            move || model.revoke()
        });
        owned.part.visit();
        drop(owned);
        drain.join().unwrap();
        drop(other);
    });
}

/// Who is inside the next object in the slot is not waited for under the handle of the one before, at whatever moment the drain looks.
#[test]
fn who_is_inside_the_next_object_is_not_waited_for() {
    check(|| {
        let model = Model::new();
        let drained = Meeting::of(2);
        let other = thread::spawn({
            let (model, drained) = (model.clone(), Arc::clone(&drained));
            move || {
                assert!(model.arena.remove(model.object).is_ok());
                let next = model.replug();
                let guard = model.arena.enter_labelled(next, model.show).unwrap();
                drained.come();
                drop(guard);
            }
        });
        model.arena.drain_labelled(model.object, &[model.show], None).unwrap();
        drained.come();
        other.join().unwrap();
    });
}
