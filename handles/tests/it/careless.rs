//! Store parts that panic as they are dropped, and reservations that are forgotten: neither is worth the slot, the tag or the
//! removal of somebody else.

use std::mem;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::thread;

use enodev_handles::{Handle, RemoveError, Stale, Strategy};

use crate::common::{Disk, Drops, Token, disks, index};

/// Enough domains, one after another, for every tag to come back.
const DOMAINS: usize = 600;

/// A store part that counts its drop, and panics in it if it is armed.
struct Part {
    _token: Token,
    is_armed: bool,
}

impl Part {
    fn new(drops: &Drops, is_armed: bool) -> Self {
        Self { _token: drops.token(), is_armed }
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        if self.is_armed {
            // Without a word on the terminal.
            resume_unwind(Box::new("a store part"));
        }
    }
}

fn panics(run: impl FnOnce()) -> bool {
    catch_unwind(AssertUnwindSafe(run)).is_err()
}

/// S3-1: an arena whose store parts panic as it is dropped tells its tag all the same how far its generations went: no
/// handle of it is good in a later domain. All parts are dropped, and the panics go nowhere.
#[test]
fn the_tag_is_told_although_a_store_part_panics() {
    let drops = Drops::default();
    let mut handles: Vec<Handle<Disk>> = Vec::new();
    for _ in 0..DOMAINS {
        let arena = disks::<Part, ()>(Strategy::Auto);
        let objects = [(); 2].map(|()| arena.insert(Part::new(&drops, true), ()).unwrap());
        assert!(!handles.iter().any(|handle| arena.contains(*handle)), "a handle of a domain that has gone");
        handles.extend(objects);
        assert!(!panics(|| drop(arena)));
    }
    assert_eq!(drops.count(), 2 * DOMAINS);
}

/// S3-1: the handle of a reservation that was forgotten is good in no later domain, although its slot was never used.
#[test]
fn the_handle_of_a_forgotten_reservation_is_never_good() {
    let mut handles: Vec<Handle<Disk>> = Vec::new();
    for _ in 0..DOMAINS {
        let arena = disks::<(), ()>(Strategy::Auto);
        let reservation = arena.reserve().unwrap();
        handles.push(reservation.handle());
        mem::forget(reservation);
        assert!(!arena.contains(handles[handles.len() - 1]));
        drop(arena);

        let later = disks::<(), ()>(Strategy::Auto);
        later.insert((), ()).unwrap();
        assert!(!handles.iter().any(|handle| later.contains(*handle) || later.enter(*handle).is_ok()));
    }
}

/// Of store parts that are reclaimed together, those that panic keep the others from nothing: all are dropped, once, and all
/// slots come back.
#[test]
fn reclamation_goes_on_although_a_store_part_panics() {
    let drops = Drops::default();
    let arena = disks::<Part, ()>(Strategy::Auto);
    for round in 0..10 {
        let handles: Vec<_> = (0..40).map(|n| arena.insert(Part::new(&drops, n % 3 == 1), ()).unwrap()).collect();
        assert!(handles.iter().all(|handle| index(*handle) < 200), "slots do not come back");
        handles.iter().for_each(|handle| arena.remove(*handle).unwrap());
        assert_eq!((arena.flush(), arena.garbage()), (0, 0));
        assert_eq!(drops.count(), 40 * (round + 1));
    }
}

/// E-6: a removal that happens to drop the store part of an object that has long left does its own work all the same: it
/// returns as ever, and so do those who wait for it.
#[test]
fn a_removal_is_not_undone_by_another_object_s_store_part() {
    let drops = Drops::default();
    let arena = disks::<Part, ()>(Strategy::Auto);
    for _ in 0..500 {
        let handle = arena.insert(Part::new(&drops, true), ()).unwrap();
        let remove = || {
            let mut leaving = arena.leave();
            leaving.mark(handle).unwrap();
            drop(leaving.drain().unwrap());
        };
        assert!(!panics(remove));
        assert_eq!(arena.remove(handle), Err(RemoveError::Stale(Stale)));
        assert_eq!(thread::scope(|scope| scope.spawn(|| arena.join(handle)).join().unwrap()), Ok(()));
    }
    assert!(drops.count() > 0, "none was reclaimed by a removal");
    assert_eq!((arena.flush(), drops.count()), (0, 500));
}
