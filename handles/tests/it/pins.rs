//! Pins keep what they can reach, hold up nobody, and leave nothing behind.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Barrier, mpsc};
use std::thread;

use enodev_handles::{Arena, Domain, RemoveError, Stale, Strategy};

use crate::common::{Bus, Disk, Drops, OnDrop, Token, disks, until};

/// A store part read under a pin stays until the pin goes, though its object has been removed by another thread, which
/// waited for nobody, and the slots around it have been used again many times over.
#[test]
fn a_pinned_reader_keeps_what_it_has_reached() {
    let drops = Drops::default();
    let arena = disks::<(u32, Option<Token>), u32>(Strategy::Auto);
    let handle = arena.insert((41, Some(drops.token())), 1).unwrap();
    let pin = arena.domain().pin();
    let part = arena.get(&pin, handle).unwrap();
    let other = || {
        assert_eq!(arena.remove(handle), Ok(1));
        for name in 0..2000 {
            let handle = arena.insert((name, None), name).unwrap();
            assert_eq!(arena.remove(handle), Ok(name));
        }
        arena.flush()
    };
    let left = thread::scope(|scope| scope.spawn(other).join().unwrap());
    assert!(left > 0, "what may be in use has been reclaimed");
    assert_eq!((part.0, drops.count()), (41, 0));
    assert!(arena.get(&pin, handle).is_err());
    drop(pin);
    assert_eq!((arena.flush(), arena.garbage(), drops.count()), (0, 0, 1));
}

/// Whatever the object is doing: it is alive, leaving or gone.
#[test]
fn who_is_pinned_is_told_that_it_may_not_join() {
    let arena = disks::<(), ()>(Strategy::Auto);
    let handle = arena.insert((), ()).unwrap();
    let ask = |may_join, joined| {
        assert_eq!((arena.may_join(handle), arena.join(handle)), (may_join, joined));
        let _pin = arena.domain().pin();
        assert_eq!((arena.may_join(handle), arena.join(handle)), (false, Err(RemoveError::Pinned)));
    };
    ask(true, Ok(()));
    let mut leaving = arena.leave();
    leaving.mark(handle).unwrap();
    ask(false, Err(RemoveError::Leaving));
    drop(leaving.drain().unwrap());
    ask(true, Ok(()));
}

/// S3-2: what a pinned reader sees is the object that it asked for or nothing, never the one that took its place.
#[test]
fn a_pinned_reader_never_sees_the_next_object() {
    let arena = disks::<Vec<u64>, ()>(Strategy::Auto);
    let (sender, receiver) = mpsc::channel();
    thread::scope(|scope| {
        let writer = scope.spawn(|| {
            let mut last = None;
            for stamp in 0..6000_u64 {
                let handle = arena.insert(vec![stamp; 4], ()).unwrap();
                sender.send((handle, stamp)).unwrap();
                last.replace(handle).into_iter().for_each(|handle| arena.remove(handle).unwrap());
            }
        });
        while !writer.is_finished() {
            let mut pin = arena.domain().pin();
            for (handle, stamp) in receiver.try_iter().take(50) {
                let part = arena.get(&pin, handle);
                std::hint::spin_loop();
                assert!(part.is_ok_and(|part| *part == [stamp; 4]) || part == Err(Stale));
                pin.repin();
            }
        }
        // A thread that is ending may be pinned once more, until it has been joined.
        writer.join().unwrap();
    });
    assert_eq!(arena.flush(), 0);
}

/// While nobody is pinned, `flush` leaves nothing, also of what was removed by other threads that live on and have nothing
/// to do with the store any more.
#[test]
fn flush_reclaims_what_other_threads_have_removed() {
    const THREADS: usize = 3;
    let drops = Drops::default();
    let arena = disks(Strategy::Auto);
    let (removed, checked) = (Barrier::new(THREADS + 1), Barrier::new(THREADS + 1));
    thread::scope(|scope| {
        for count in [1, 63, 200] {
            let (arena, drops, removed, checked) = (&arena, &drops, &removed, &checked);
            scope.spawn(move || {
                for _ in 0..count {
                    let handle = arena.insert(drops.token(), ()).unwrap();
                    arena.remove(handle).unwrap();
                }
                removed.wait();
                checked.wait();
            });
        }
        removed.wait();
        let (garbage, dropped) = (arena.garbage(), drops.count());
        assert_eq!(garbage + dropped, 264);
        assert_eq!((arena.flush(), arena.garbage(), drops.count()), (0, 0, 264));
        checked.wait();
    });
}

/// `flush` tells how much is left while somebody is pinned. It is nothing again once he has gone or has pinned himself anew,
/// but a pin within another is no new one.
#[test]
fn garbage_waits_for_the_oldest_pin() {
    let drops = Drops::default();
    let arena = disks(Strategy::Auto);
    let remove_one = || {
        let handle = arena.insert(drops.token(), ()).unwrap();
        let remove = || arena.remove(handle).unwrap();
        thread::scope(|scope| scope.spawn(remove).join().unwrap());
    };
    let mut pin = arena.domain().pin();
    remove_one();
    assert_eq!((arena.flush(), drops.count()), (1, 0));
    {
        let mut inner = arena.domain().pin();
        inner.repin();
        assert_eq!((arena.flush(), drops.count()), (1, 0));
    }
    // One's own pin is in the way of one's own flush, so that another thread has to try.
    let flush_elsewhere = || thread::scope(|scope| scope.spawn(|| arena.flush()).join().unwrap());
    assert_eq!((flush_elsewhere(), drops.count()), (1, 0));
    pin.repin();
    flush_elsewhere();
    pin.repin();
    assert_eq!((flush_elsewhere(), drops.count()), (0, 1));
    remove_one();
    drop(pin);
    assert_eq!((arena.flush(), drops.count()), (0, 2));
}

/// Removals keep reclamation going by themselves: garbage does not grow without bound while nobody is pinned.
#[test]
fn garbage_does_not_grow_while_nobody_is_pinned() {
    let arena = disks::<(), ()>(Strategy::Fence);
    for _ in 0..5000 {
        let handle = arena.insert((), ()).unwrap();
        arena.remove(handle).unwrap();
        assert!(arena.garbage() < 500);
    }
}

/// E-50: who is pinned can remove nothing in that domain: he is told so, however deep he is pinned, and nothing has
/// changed. A pin of another domain is no obstacle.
#[test]
fn a_removal_under_one_s_own_pin_changes_nothing() {
    let (arena, elsewhere) = (disks::<(), u32>(Strategy::Auto), disks::<(), u32>(Strategy::Auto));
    let (handle, late, other) =
        (arena.insert((), 1).unwrap(), arena.insert((), 2).unwrap(), elsewhere.insert((), 3).unwrap());
    let mut leaving = arena.leave();
    leaving.mark(late).unwrap();
    let pin = arena.domain().pin();
    let inner = arena.domain().pin();
    drop(pin);
    assert!(arena.domain().is_pinned());
    assert_eq!(arena.remove(handle), Err(RemoveError::Pinned));
    assert_eq!(arena.leave().mark(handle), Err(RemoveError::Pinned));
    assert_eq!(arena.join(handle), Err(RemoveError::Pinned));
    assert_eq!(leaving.drain().err().map(|(_, error)| error), Some(RemoveError::Pinned));
    assert_eq!(*arena.enter(handle).unwrap(), 1);
    assert_eq!(elsewhere.remove(other), Ok(3));
    drop(inner);
    assert!(!arena.domain().is_pinned());
    assert_eq!(arena.remove(handle), Ok(1));
}

/// The store part of an object that leaves can be read until its slot is given up, which is after its payload has been
/// dropped; by plain `get`, no longer than until the removal begins.
#[test]
fn the_store_part_can_be_read_until_the_slot_is_given_up() {
    let drops = Drops::default();
    let arena = disks(Strategy::Auto);
    let (handle, other) = (arena.insert("sda", drops.token()).unwrap(), arena.insert("sdb", drops.token()).unwrap());
    let read = || {
        let pin = arena.domain().pin();
        (arena.get(&pin, handle).copied(), arena.get_leaving(&pin, handle).copied())
    };
    assert_eq!(read(), (Ok("sda"), Ok("sda")));
    let mut leaving = arena.leave();
    leaving.mark(handle).unwrap();
    assert_eq!(read(), (Err(Stale), Ok("sda")));
    leaving.mark(other).unwrap();
    let mut quiet = leaving.drain().unwrap();
    assert_eq!(read(), (Err(Stale), Ok("sda")));
    drop(quiet.take());
    assert_eq!(read(), (Err(Stale), Ok("sda")));
    quiet.drop_payloads();
    assert_eq!((drops.count(), read(), arena.len()), (2, (Err(Stale), Ok("sda")), 2));
    drop(quiet);
    assert_eq!((read(), arena.len()), ((Err(Stale), Err(Stale)), 0));
}

/// A pin of one domain says nothing about another's memory: to read with it panics, whatever is read.
#[test]
fn reading_with_a_pin_of_another_domain_panics() {
    let (arena, elsewhere) = (disks::<u32, ()>(Strategy::Auto), disks::<u32, ()>(Strategy::Auto));
    let handle = arena.insert(1, ()).unwrap();
    let pin = elsewhere.domain().pin();
    let panics = |read: &dyn Fn()| std::panic::catch_unwind(std::panic::AssertUnwindSafe(read)).is_err();
    assert!(panics(&|| _ = arena.get(&pin, handle)));
    assert!(panics(&|| _ = arena.get_leaving(&pin, handle)));
    assert!(panics(&|| _ = arena.iter(&pin).next()));
    let clone = arena.domain().clone();
    assert_eq!(arena.get(&clone.pin(), handle), Ok(&1), "a clone is the same domain");
}

/// The arenas of a domain share its pins.
#[test]
fn a_pin_serves_all_arenas_of_its_domain() {
    let domain = Domain::new().unwrap();
    let disks: Arena<Disk, u32, ()> = Arena::new(&domain).unwrap();
    let buses: Arena<Bus, u32, ()> = Arena::new(&domain).unwrap();
    let (disk, bus) = (disks.insert(1, ()).unwrap(), buses.insert(2, ()).unwrap());
    let pin = domain.pin();
    let parts = (disks.get(&pin, disk).unwrap(), buses.get(&pin, bus).unwrap());
    let remove = || (disks.remove(disk).unwrap(), buses.remove(bus).unwrap(), disks.flush(), buses.flush());
    assert_eq!(thread::scope(|scope| scope.spawn(remove).join().unwrap()), ((), (), 1, 1));
    assert_eq!(parts, (&1, &2));
}

/// S0-3: an arena and a domain that have been dropped leave nothing behind, at once, although a thread that pinned and
/// removed there lives on.
#[test]
fn a_dropped_domain_leaves_nothing_in_threads_that_live_on() {
    let (parts, payloads) = (Drops::default(), Drops::default());
    let arena = Arc::new(disks(Strategy::Auto));
    for _ in 0..10 {
        arena.insert(parts.token(), payloads.token()).unwrap();
    }
    let done = Arc::new(AtomicBool::new(false));
    let (sender, receiver) = mpsc::channel();
    let lives_on = {
        let (arena, done, parts, payloads) = (Arc::clone(&arena), Arc::clone(&done), parts.clone(), payloads.clone());
        thread::spawn(move || {
            for _ in 0..100 {
                let handle = arena.insert(parts.token(), payloads.token()).unwrap();
                assert!(arena.get(&arena.domain().pin(), handle).is_ok());
                drop(arena.enter(handle).unwrap());
                drop(arena.remove(handle).unwrap());
            }
            drop(arena);
            sender.send(()).unwrap();
            until(|| done.load(Ordering::SeqCst));
        })
    };
    receiver.recv().unwrap();
    assert!(parts.count() < 100, "nothing was left to reclaim");
    drop(Arc::into_inner(arena).unwrap());
    assert_eq!((parts.count(), payloads.count()), (110, 110));
    done.store(true, Ordering::SeqCst);
    lives_on.join().unwrap();
}

/// The same for a domain that outlives its arena: what is left of the arena goes as soon as the domain is flushed or dropped.
#[test]
fn a_dropped_arena_s_garbage_goes_with_its_domain() {
    let parts = Drops::default();
    let domain = Domain::new().unwrap();
    let disks: Arena<Disk, Token, ()> = Arena::new(&domain).unwrap();
    for _ in 0..300 {
        let handle = disks.insert(parts.token(), ()).unwrap();
        disks.remove(handle).unwrap();
    }
    disks.insert(parts.token(), ()).unwrap();
    drop(disks);
    drop(domain);
    assert_eq!(parts.count(), 301);
}

/// A store part may use the store as it is reclaimed.
#[test]
fn a_store_part_s_drop_may_use_the_store() {
    let arena: Arc<Arena<Disk, OnDrop, ()>> = Arc::new(disks(Strategy::Auto));
    let added = Drops::default();
    for _ in 0..200 {
        let (store, token) = (Arc::downgrade(&arena), added.token());
        let part = OnDrop::new(move || {
            let Some(arena) = store.upgrade() else { return };
            let late = arena.insert(OnDrop::new(|| drop(token)), ()).unwrap();
            assert!(arena.get(&arena.domain().pin(), late).is_ok());
        });
        let handle = arena.insert(part, ()).unwrap();
        arena.remove(handle).unwrap();
    }
    assert_eq!(arena.flush(), 0);
    assert_eq!((arena.len(), added.count()), (200, 0));
    drop(arena);
    assert_eq!(added.count(), 200);
}
