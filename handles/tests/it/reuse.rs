//! Slots are used again, handles never.

use std::collections::{HashMap, HashSet};
use std::thread;

use enodev_handles::{Arena, Domain, Handle, RemoveError, Stale, Strategy};

use crate::common::{Disk, disks, index};

/// How often one object is registered anew: 2^14.
const TIMES: usize = 1 << 14;

/// S3-1, T92: of 2^14 incarnations of one object that comes and goes, each is refused as soon as it has left, no two
/// share a handle, and none is good again at the end, although a few hundred slots served them all.
#[test]
fn no_handle_of_an_earlier_incarnation_is_ever_good_again() {
    let arena = disks::<usize, usize>(Strategy::Auto);
    let mut handles: Vec<Handle<Disk>> = Vec::new();
    for incarnation in 0..TIMES {
        let handle = arena.insert(incarnation, incarnation).unwrap();
        assert_eq!(*arena.enter(handle).unwrap(), incarnation);
        if let Some(before) = handles.last() {
            assert!(matches!(arena.enter(*before), Err(Stale)));
        }
        handles.push(handle);
        assert_eq!(arena.remove(handle), Ok(incarnation));
    }
    let last = arena.insert(TIMES, TIMES).unwrap();

    let different: HashSet<_> = handles.iter().collect();
    assert_eq!(different.len(), TIMES);
    let slots: HashSet<_> = handles.iter().map(|handle| index(*handle)).collect();
    assert!(slots.len() < 500, "{} slots: none has been used again", slots.len());
    let pin = arena.domain().pin();
    for handle in handles {
        assert!(matches!(arena.enter(handle), Err(Stale)));
        assert_eq!(arena.get(&pin, handle), Err(Stale));
        assert_eq!(arena.get_leaving(&pin, handle), Err(Stale));
        assert!(!arena.contains(handle));
    }
    assert_eq!(*arena.enter(last).unwrap(), TIMES);
}

/// S3-1: the generations of many slots are worn evenly, even by one object that comes and goes alone.
#[test]
fn reuse_is_spread_over_many_slots() {
    let arena = disks::<(), ()>(Strategy::Fence);
    let mut uses: HashMap<u32, usize> = HashMap::new();
    for _ in 0..TIMES {
        let handle = arena.insert((), ()).unwrap();
        *uses.entry(index(handle)).or_default() += 1;
        arena.remove(handle).unwrap();
    }
    let most = *uses.values().max().unwrap();
    assert!(uses.len() >= 64 && uses.len() < 500, "{} slots", uses.len());
    assert!(most <= TIMES / 64, "one slot has served {most} times");
}

/// T92: a slot serves as many objects as it has generations, then it is retired, counted, and never used again.
#[test]
fn a_slot_whose_generations_are_used_up_is_retired() {
    const GENERATIONS: usize = 3;
    let domain = Domain::with_few_generations(GENERATIONS as u32).unwrap();
    let arena: Arena<Disk, (), usize> = Arena::new(&domain).unwrap();
    let mut handles = Vec::new();
    for object in 0..2000 {
        let handle = arena.insert((), object).unwrap();
        assert_eq!(*arena.enter(handle).unwrap(), object, "the last generation is as good as any");
        assert_eq!(arena.remove(handle), Ok(object));
        assert_eq!(arena.flush(), 0);
        handles.push(handle);
    }
    let mut uses: HashMap<u32, usize> = HashMap::new();
    handles.iter().for_each(|handle| *uses.entry(index(*handle)).or_default() += 1);
    assert_eq!(*uses.values().max().unwrap(), GENERATIONS);
    assert_eq!(arena.retired(), uses.values().filter(|uses| **uses == GENERATIONS).count());
    assert!(arena.retired() > 100);
    assert_eq!(handles.iter().collect::<HashSet<_>>().len(), handles.len());
    assert!(handles.iter().all(|handle| !arena.contains(*handle)));
}

/// T104, T34: copies of a handle that were made before the removal fail after it, in whatever form and on whatever thread they
/// were kept.
#[test]
fn a_copy_made_before_the_removal_fails_after_it() {
    let arena = disks::<u32, u32>(Strategy::Auto);
    let handle = arena.insert(1, 2).unwrap();
    let (copy, number) = (handle, handle.to_bits());
    let is_there = |handle| (arena.enter(handle).is_ok(), arena.get(&arena.domain().pin(), handle).is_ok());
    assert_eq!((is_there(copy), is_there(Handle::from_bits(number))), ((true, true), (true, true)));

    assert_eq!(arena.remove(handle), Ok(2));
    assert_eq!((is_there(copy), is_there(Handle::from_bits(number))), ((false, false), (false, false)));
    let elsewhere = thread::scope(|scope| scope.spawn(|| is_there(copy)).join().unwrap());
    assert_eq!(elsewhere, (false, false));
}

/// E-43, S4-8: no part of a handle is a wildcard. With one bit changed (but for the one that all handles have) it names
/// nothing, nor does the null handle, and to remove what is not there is a harmless error.
#[test]
fn a_handle_with_one_bit_changed_names_nothing() {
    let arena = disks::<(), ()>(Strategy::Auto);
    let handle = arena.insert((), ()).unwrap();
    let changed = (0..u64::BITS).map(|bit| Handle::<Disk>::from_bits(handle.to_bits() ^ 1 << bit));
    let mut forged: Vec<_> = changed.filter(|forged| *forged != handle).collect();
    assert_eq!(forged.len(), 63);
    forged.extend([Handle::null(), Handle::from_bits(0), Handle::from_bits(u64::MAX)]);
    let pin = arena.domain().pin();
    for handle in &forged {
        assert!(matches!(arena.enter(*handle), Err(Stale)), "{handle:?}");
        assert_eq!(arena.get(&pin, *handle), Err(Stale));
        assert_eq!(arena.get_leaving(&pin, *handle), Err(Stale));
        assert!(!arena.contains(*handle) && !arena.is_inside(*handle));
    }
    drop(pin);
    for handle in forged {
        assert_eq!(arena.remove(handle), Err(RemoveError::Stale(Stale)));
        assert_eq!(arena.join(handle), Ok(()));
    }
    assert!(arena.contains(handle));
    assert_eq!(arena.len(), 1);
}

/// E-43: nor does a handle that has a vacant slot's own word, generation for generation.
#[test]
fn a_vacant_slot_answers_to_no_handle() {
    let arena = disks::<(), ()>(Strategy::Auto);
    let handle = arena.insert((), ()).unwrap();
    arena.remove(handle).unwrap();
    let (slot, tag_shift) = (u64::from(index(handle)), 56);
    let tag = handle.to_bits() >> tag_shift;
    for generation in 0..1000_u64 {
        for tag in [0, tag] {
            let forged = Handle::<Disk>::from_bits(tag << tag_shift | generation << 33 | slot);
            assert!(arena.enter(forged).is_err() && !arena.contains(forged), "{forged:?}");
            assert_eq!(arena.get_leaving(&arena.domain().pin(), forged), Err(Stale));
        }
    }
}

/// An object can know its own handle, which is stale until the object is published.
#[test]
fn a_reservation_is_good_from_its_publication_on() {
    let arena = disks::<Handle<Disk>, Handle<Disk>>(Strategy::Auto);
    let reservation = arena.reserve().unwrap();
    let handle = reservation.handle();
    assert!(matches!(arena.enter(handle), Err(Stale)));
    assert_eq!(arena.get_leaving(&arena.domain().pin(), handle), Err(Stale));
    assert_eq!(arena.remove(handle), Err(RemoveError::Stale(Stale)));
    assert_eq!(arena.iter(&arena.domain().pin()).count(), 0);
    assert_eq!(arena.len(), 1, "the slot is taken");

    assert_eq!(reservation.publish(handle, handle), handle);
    assert_eq!(*arena.enter(handle).unwrap(), handle);
    assert_eq!(arena.get(&arena.domain().pin(), handle), Ok(&handle));
    assert_eq!(arena.len(), 1);
}

/// S3-1, E-43: a reservation that is given up has used its generation up: its handle is never good, also when its slot
/// serves again.
#[test]
fn the_handle_of_a_cancelled_reservation_is_never_good() {
    let arena = disks::<(), ()>(Strategy::Auto);
    let cancelled: Vec<_> = (0..1000).map(|_| arena.reserve().unwrap().handle()).collect();
    assert_eq!(cancelled.iter().collect::<HashSet<_>>().len(), cancelled.len());
    let slots: HashSet<_> = cancelled.iter().map(|handle| index(*handle)).collect();
    assert!(slots.len() < 200, "{} slots: cancelled ones do not come back", slots.len());

    let published: Vec<_> = (0..500).map(|_| arena.insert((), ()).unwrap()).collect();
    assert!(published.iter().any(|handle| slots.contains(&index(*handle))), "no slot has been used again");
    assert!(cancelled.iter().all(|handle| !arena.contains(*handle) && arena.enter(*handle).is_err()));
    assert!(published.iter().all(|handle| arena.contains(*handle)));
}

/// S3-1: slots that are reserved and cancelled by several threads at once while others are published never serve two
/// objects at a time.
#[test]
fn reserving_and_cancelling_at_once_never_gives_a_slot_twice() {
    let arena = disks::<(), u64>(Strategy::Fence);
    let work = &|thread: u64| {
        for round in 0..3000_u64 {
            let kept = arena.reserve().unwrap();
            drop(arena.reserve().unwrap());
            let stamp = thread << 32 | round;
            let handle = kept.publish((), stamp);
            drop(arena.reserve().unwrap());
            assert_eq!(arena.remove(handle), Ok(stamp));
        }
    };
    thread::scope(|scope| (0..3).for_each(|thread| drop(scope.spawn(move || work(thread)))));
    assert_eq!(arena.len(), 0);
}
