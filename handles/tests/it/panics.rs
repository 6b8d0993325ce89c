//! Panics of foreign code: nothing is lost by one, and nothing is held by one.

use std::panic::{AssertUnwindSafe, catch_unwind, panic_any};
use std::thread;

use enodev_handles::{Arena, Domain, RemoveError, Stale, Strategy};

use crate::common::{Disk, Drops, OnDrop, STRATEGIES, disks};

/// What `run` panicked with.
fn panic_of(run: impl FnOnce()) -> Option<u32> {
    let panic = catch_unwind(AssertUnwindSafe(run)).err()?;
    Some(*panic.downcast::<u32>().unwrap())
}

/// A payload that counts its drop, and panics in it where `panic` says with what.
fn payload(drops: &Drops, panic: Option<u32>) -> OnDrop {
    let token = drops.token();
    OnDrop::new(move || {
        drop(token);
        if let Some(panic) = panic {
            panic_any(panic);
        }
    })
}

/// A reader that panics inside an object leaves it like any other, whatever it was doing with its guard.
#[test]
fn a_reader_that_panics_leaves_the_object() {
    for strategy in STRATEGIES {
        let arena = disks::<(), u32>(strategy);
        for round in 0..20 {
            let handle = arena.insert((), round).unwrap();
            assert_eq!(panic_of(|| panic_any(*arena.enter(handle).unwrap())), Some(round));
            let panics_in_map = || drop(arena.enter(handle).unwrap().map(|value| -> &u32 { panic_any(*value) }));
            assert_eq!(panic_of(panics_in_map), Some(round));
            let panics_in_try =
                || drop(arena.enter(handle).unwrap().try_map(|value| -> Option<&u32> { panic_any(*value) }));
            assert_eq!(panic_of(panics_in_try), Some(round));
            assert!(!arena.is_inside(handle));
            let removed = thread::scope(|scope| scope.spawn(|| arena.remove(handle)).join().unwrap());
            assert_eq!(removed, Ok(round));
        }
    }
}

/// If payloads of a batch panic as they are dropped, the others are dropped all the same, all slots are given up, and the
/// first panic goes on.
#[test]
fn a_batch_goes_although_payloads_panic() {
    let drops = Drops::default();
    let arena = disks(Strategy::Auto);
    let panics = [None, Some(7), None, Some(8), None];
    let handles = panics.map(|panic| arena.insert((), payload(&drops, panic)).unwrap());
    let mut leaving = arena.leave();
    handles.iter().for_each(|handle| leaving.mark(*handle).unwrap());
    let quiet = leaving.drain().unwrap();
    assert_eq!(panic_of(|| drop(quiet)), Some(7));
    assert_eq!((drops.count(), arena.len()), (5, 0));
    for handle in handles {
        assert_eq!(arena.join(handle), Ok(()));
        assert_eq!(arena.remove(handle).err(), Some(RemoveError::Stale(Stale)));
        assert_eq!(arena.get_leaving(&arena.domain().pin(), handle), Err(Stale));
    }
    assert_eq!(arena.flush(), 0);
}

/// The same where the payloads are dropped in a step of their own, and the rest of the removal is left to the unwinding.
#[test]
fn a_batch_goes_although_dropping_its_payloads_panics() {
    let drops = Drops::default();
    let arena = disks(Strategy::Auto);
    let handles = [Some(1), Some(2), None].map(|panic| arena.insert((), payload(&drops, panic)).unwrap());
    let mut leaving = arena.leave();
    handles.iter().for_each(|handle| leaving.mark(*handle).unwrap());
    let mut quiet = leaving.drain().unwrap();
    let drop_payloads = || {
        quiet.drop_payloads();
        unreachable!("the panic was lost");
    };
    assert_eq!(panic_of(drop_payloads), Some(1));
    assert_eq!((drops.count(), arena.len()), (3, 3));
    drop(quiet);
    assert_eq!((drops.count(), arena.len()), (3, 0));
}

/// A batch that is dropped because its remover panics goes too; the panic that is under way is the one that goes on.
#[test]
fn a_batch_goes_although_its_remover_panics() {
    let drops = Drops::default();
    let arena = disks(Strategy::Auto);
    let handles = [Some(1), None, Some(2)].map(|panic| arena.insert((), payload(&drops, panic)).unwrap());
    let remover = || {
        let mut leaving = arena.leave();
        handles.iter().for_each(|handle| leaving.mark(*handle).unwrap());
        let _quiet = leaving.drain().unwrap();
        panic_any(3_u32);
    };
    assert_eq!(panic_of(remover), Some(3));
    assert_eq!((drops.count(), arena.len()), (3, 0));
    assert!(handles.iter().all(|handle| arena.join(*handle) == Ok(())));
}

/// A second remover is not left waiting by a payload that panics in its drop.
#[test]
fn a_second_remover_returns_although_the_payload_panics() {
    let drops = Drops::default();
    let arena = disks(Strategy::Auto);
    let handle = arena.insert((), payload(&drops, Some(4))).unwrap();
    let mut leaving = arena.leave();
    leaving.mark(handle).unwrap();
    thread::scope(|scope| {
        let second = scope.spawn(|| (arena.remove(handle).err(), drops.count()));
        assert_eq!(panic_of(|| drop(leaving.drain().unwrap())), Some(4));
        assert_eq!(second.join().unwrap(), (Some(RemoveError::Stale(Stale)), 1));
    });
}

/// Dropping an arena drops all payloads, and all store parts, although some payloads panic.
#[test]
fn an_arena_goes_although_payloads_panic() {
    let (drops, parts) = (Drops::default(), Drops::default());
    let arena = disks(Strategy::Auto);
    for panic in [None, Some(5), None, Some(6), None] {
        arena.insert(parts.token(), payload(&drops, panic)).unwrap();
    }
    let mut leaving = arena.leave();
    leaving.mark(arena.insert(parts.token(), payload(&drops, Some(5))).unwrap()).unwrap();
    drop(leaving);
    assert_eq!(panic_of(|| drop(arena)), Some(5));
    assert_eq!((drops.count(), parts.count()), (6, 6));
}

/// A panic between reservation and publication gives the slot back: it is used up like any other, not lost.
#[test]
fn a_panic_before_publication_gives_the_slot_back() {
    let domain = Domain::with_few_generations(1).unwrap();
    let arena: Arena<Disk, (), u32> = Arena::new(&domain).unwrap();
    let panics_before = |value: u32| {
        let reservation = arena.reserve().unwrap();
        let payload = if reservation.handle().is_null() { 0 } else { panic_any(value) };
        reservation.publish((), payload);
    };
    for round in 0..10 {
        assert_eq!(panic_of(|| panics_before(round)), Some(round));
        assert_eq!((arena.retired(), arena.len()), (round as usize + 1, 0));
    }
    assert_eq!(arena.iter(&domain.pin()).count(), 0);
    drop(arena.reserve().unwrap());
    assert_eq!(arena.retired(), 11);
}
