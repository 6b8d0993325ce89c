//! Everything at once, drawn by lot: no part of an object is used when it is gone, and each goes once.

use std::sync::Arc;
use std::time::Instant;

use enodev_handles::sync::{Mutex, thread};
use enodev_handles::{Arena, Domain, Handle, Label, RemoveError, Strategy};
use shuttle::rand::{Rng, thread_rng};

use crate::check;
use crate::common::{Disk, Payload, Witness, payload};

/// Both parts are payloads of the models': the store part is used by who is pinned.
type Disks = Arena<Disk, Payload, Payload>;

const THREADS: usize = 4;
const STEPS: usize = 8;
const OBJECTS: usize = 3;

/// An object, and its parts' witnesses.
#[derive(Clone)]
struct Known {
    disk: Handle<Disk>,
    store: Arc<Witness>,
    payload: Arc<Witness>,
}

impl Known {
    /// Uses the payload of what has been entered, which is to be this object's.
    fn visit(&self, payload: &Payload) {
        assert!(payload.is_of(&self.payload), "another object");
        payload.visit();
    }
}

struct Storm {
    disks: Disks,
    known: Mutex<Vec<Known>>,
    witnesses: Mutex<Vec<Arc<Witness>>>,
}

impl Storm {
    fn new() -> Self {
        let domain = Domain::with_strategy(Strategy::Fence).unwrap();
        let (known, witnesses) = (Mutex::default(), Mutex::default());
        let storm = Self { disks: Arena::new(&domain).unwrap(), known, witnesses };
        (0..OBJECTS).for_each(|_| storm.plug());
        storm
    }

    /// An object in the place of one that may have left, or not.
    fn plug(&self) {
        let ((first, store), (second, payload)) = (payload(), payload());
        let disk = self.disks.insert(first, second).unwrap();
        self.witnesses.lock().extend([Arc::clone(&store), Arc::clone(&payload)]);
        let mut known = self.known.lock();
        let one = Known { disk, store, payload };
        if known.len() < 2 * OBJECTS {
            known.push(one);
        } else {
            let at = thread_rng().gen_range(0..known.len());
            known[at] = one;
        }
    }

    fn any(&self) -> Known {
        let known = self.known.lock();
        known[thread_rng().gen_range(0..known.len())].clone()
    }

    fn step(&self) {
        let one = self.any();
        match thread_rng().gen_range(0..12) {
            0 | 1 => {
                if let Ok(guard) = self.disks.enter(one.disk) {
                    one.visit(&guard);
                }
            }
            2 => self.visit_two(),
            3 => {
                let pin = self.disks.domain().pin();
                if let Ok(store) = self.disks.get_leaving(&pin, one.disk) {
                    assert!(store.is_of(&one.store), "another object");
                    store.visit();
                }
            }
            4 => {
                if let Ok(owned) = self.disks.enter_owned(one.disk, Label::NONE) {
                    one.visit(&owned);
                }
            }
            5 => {
                let mut session = self.disks.session();
                for one in [one, self.any()] {
                    if let Ok(visit) = session.enter(one.disk) {
                        one.visit(&visit);
                    }
                }
            }
            6 => self.remove(),
            7 => self.remove_several(),
            8 => self.remove_from_inside(),
            9 => drop(self.disks.reserve().map(drop)),
            10 => self.plug(),
            _ => {
                self.disks.reap();
                self.disks.flush();
            }
        }
    }

    /// Two at once, which are left in the order in which they were entered; from the one, the other is removed now and then.
    fn visit_two(&self) {
        let two = [self.any(), self.any()];
        let guards = two.each_ref().map(|one| self.disks.enter(one.disk));
        if thread_rng().gen_bool(0.3) {
            match self.disks.remove(self.any().disk) {
                Ok(payload) => drop(payload),
                Err(RemoveError::Stale(_) | RemoveError::Leaving | RemoveError::Deadlock | RemoveError::Inside) => {}
                Err(error) => panic!("{error}"),
            }
        }
        for (one, guard) in two.iter().zip(guards) {
            if let Ok(guard) = guard {
                one.visit(&guard);
            }
        }
    }

    fn remove(&self) {
        match self.disks.remove(self.any().disk) {
            Ok(payload) => drop(payload),
            Err(RemoveError::Stale(_) | RemoveError::Leaving | RemoveError::Deadlock) => {}
            Err(error) => panic!("{error}"),
        }
    }

    /// Waits, or gives up what it finds somebody in.
    fn remove_several(&self) {
        let mut leaving = self.disks.leave();
        for _ in 0..2 {
            // It may be stale, or leaving.
            let _ = leaving.mark(self.any().disk);
        }
        let drained = if thread_rng().gen_bool(0.5) { leaving.drain() } else { leaving.drain_until(Instant::now()) };
        match drained {
            Ok(quiet) => drop(quiet),
            Err((_, RemoveError::TimedOut | RemoveError::Deadlock)) => {}
            Err((_, error)) => panic!("{error}"),
        }
    }

    fn remove_from_inside(&self) {
        let disk = self.any().disk;
        let Ok(guard) = self.disks.enter(disk) else { return };
        let mut leaving = self.disks.leave();
        let marked = leaving.mark(disk).is_ok();
        // Another one beside it.
        let _ = leaving.mark(self.any().disk);
        leaving.defer(|quiet| drop(quiet));
        guard.visit();
        drop(guard);
        assert!(!marked || !self.disks.contains(disk));
    }
}

/// S0-3, S2-7: what a removal, a reaper, a deferral or the arena's end drops is dropped once, and used by nobody from then on.
#[test]
fn each_part_of_each_object_goes_once_and_after_its_last_use() {
    check(|| {
        let storm = Arc::new(Storm::new());
        let threads: Vec<_> = (0..THREADS)
            .map(|_| {
                let storm = Arc::clone(&storm);
                thread::spawn(move || (0..STEPS).for_each(|_| storm.step()))
            })
            .collect();
        threads.into_iter().for_each(|thread| thread.join().unwrap());
        let storm = Arc::into_inner(storm).expect("all threads have ended");
        let witnesses = storm.witnesses.into_inner();
        drop(storm.disks);
        witnesses.iter().for_each(|witness| witness.assert_gone());
    });
}
