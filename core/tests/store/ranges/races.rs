//! Address spaces that change while others look at them.

use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::thread;

use enodev::{DeviceType, Error, Removal, Shared, Store, Strategy, Type};

use super::{NOBODY, regions, rig};
use crate::common::{Disk, GONE, until};

/// Sets the flag when it goes, also where a test fails: it would hang otherwise.
struct Stop<'a>(&'a AtomicBool);

impl Drop for Stop<'_> {
    fn drop(&mut self) {
        self.0.store(true, SeqCst);
    }
}

/// While a range moves between places that have an address in common, that address always leads to the device, and a list shows
/// one place or the other.
#[test]
fn a_moving_range_is_always_at_one_of_its_places() {
    let (rig, space) = rig();
    let (store, sda) = (&rig.store, rig.add(rig.store.root(), "sda"));
    store.map(sda, space, 0..10).unwrap();
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            for _ in 0..2000 {
                store.remap(sda, space, 0, 5..15).unwrap();
                store.remap(sda, space, 5, 0..10).unwrap();
            }
            over.store(true, SeqCst);
        });
        let mut session = store.space_session(space).unwrap();
        while !over.load(SeqCst) {
            for found in
                [store.resolve(space, 7), session.resolve(7), session.enter::<Disk>(7).map(|(_, offset)| (sda, offset))]
            {
                assert!(matches!(found, Ok((device, 2 | 7)) if device == sda), "{found:?}");
            }
            let listed = regions(store, space);
            assert!(listed == [(0, 9, sda)] || listed == [(5, 14, sda)], "{listed:?}");
        }
    });
}

/// Of threads that want the same addresses at the same moment, one gets them.
#[test]
fn of_two_that_map_the_same_addresses_one_does() {
    let (rig, space) = rig();
    let (store, devices) = (&rig.store, ["sda", "sdb"].map(|name| rig.add(rig.store.root(), name)));
    for round in 0..200 {
        let start = Barrier::new(2);
        let base = round * 10;
        let done: Vec<_> = thread::scope(|scope| {
            let threads = [0, 1].map(|number: usize| {
                let (start, device) = (&start, devices[number]);
                scope.spawn(move || {
                    start.wait();
                    store.map(device, space, base + number as u64..base + 10)
                })
            });
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        assert!(done == [Ok(()), Err(Error::Overlap)] || done == [Err(Error::Overlap), Ok(())], "{done:?}");
    }
    assert_eq!(regions(store, space).len(), 200);
}

/// Of two threads that remove a space at the same moment, one does, and the other finds it gone.
#[test]
fn of_two_that_remove_a_space_one_does() {
    let (rig, _) = rig();
    let (store, sda) = (&rig.store, rig.add(rig.store.root(), "sda"));
    for _ in 0..200 {
        let (space, start) = (store.create_space("mmio").unwrap(), Barrier::new(2));
        store.map(sda, space, ..).unwrap();
        let remove = || {
            start.wait();
            store.remove_space(space)
        };
        let done = thread::scope(|scope| {
            let other = scope.spawn(remove);
            [remove(), other.join().unwrap()]
        });
        assert!(done == [Ok(()), Err(GONE)] || done == [Err(GONE), Ok(())], "{done:?}");
        assert_eq!(store.regions_of(sda), Ok(vec![]));
    }
}

/// A device that is mapped while another thread removes it is mapped first, and goes with its range, or is ENODEV; no range is left
/// behind. Who maps has to wait for a third thread, which changes a large space all the time, after it has seen that the device is there.
#[test]
fn a_range_that_is_mapped_while_its_device_goes_goes_too() {
    let (rig, space) = rig();
    let (store, busy) = (&rig.store, rig.add(rig.store.root(), "busy"));
    (1000..3000).for_each(|n| store.map(busy, space, n * 10..n * 10 + 10).unwrap());
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        let _stop = Stop(&over);
        scope.spawn(|| {
            while !over.load(SeqCst) {
                store.remap(busy, space, 10_000, 10_000..10_005).unwrap();
                store.remap(busy, space, 10_000, 10_000..10_010).unwrap();
            }
        });
        for round in 0..100 {
            let (device, start) = (rig.add(store.root(), "sda"), Barrier::new(2));
            let mapped = thread::scope(|scope| {
                let mapper = scope.spawn(|| {
                    start.wait();
                    let count = (0..8).take_while(|n| store.map(device, space, n * 10..n * 10 + 10).is_ok()).count();
                    (count, store.map(device, space, 100..110), store.unmap(device, space, 0))
                });
                start.wait();
                (0..round % 50).for_each(|_| std::hint::spin_loop());
                assert_eq!(store.unregister_subtree(device), Ok(Removal::Done(1)));
                mapper.join().unwrap()
            });
            assert!(mapped.0 == 8 || (mapped.1, mapped.2) == (Err(GONE), Err(GONE)), "{mapped:?}");
            let next = rig.add(store.root(), "next");
            assert_eq!(store.map(next, space, ..10_000), Ok(()));
            assert_eq!(store.unregister_subtree(next), Ok(Removal::Done(1)));
        }
    });
}

/// A card in a slot of a bus; wiped when the driver has it back.
struct Card {
    slot: u64,
    is_wiped: AtomicBool,
}

const SLOTS: u64 = 4;
const WINDOW: u64 = 0x100;

/// What the address leads to is, for as long as it is entered, a card that was mapped there.
fn is_right(address: u64, card: &Card, offset: u64) -> bool {
    card.slot == address / WINDOW && offset == address % WINDOW && !card.is_wiped.load(SeqCst)
}

fn storm(strategy: Strategy) {
    let store = Store::with_strategy(strategy).unwrap();
    let ty: Type<Shared<Card>> = store.define(DeviceType::shared::<Card>("card")).unwrap();
    let space = store.create_space("mmio").unwrap();
    let (over, met) = (AtomicBool::new(false), AtomicU64::new(0));
    let plug = |slot: u64| {
        let card = Card { slot, is_wiped: AtomicBool::new(false) };
        let device = store.register(store.root(), &format!("card{slot}"), ty, card).unwrap();
        // Its place is free, as its predecessor's removal has returned.
        store.map(device, space, slot * WINDOW..(slot + 1) * WINDOW).unwrap();
        device
    };
    let mut devices: Vec<_> = (0..SLOTS).map(plug).collect();
    thread::scope(|scope| {
        let _stop = Stop(&over);
        let readers = [0, 1].map(|reader| {
            let (store, over, met) = (&store, &over, &met);
            scope.spawn(move || {
                let mut session = store.space_session(space).unwrap();
                for n in (reader..).take_while(|_| !over.load(SeqCst)) {
                    let address = n * 0x61 % ((SLOTS + 1) * WINDOW);
                    match session.enter::<Card>(address) {
                        Ok((card, offset)) => {
                            assert!(is_right(address, &card, offset));
                            thread::yield_now();
                            assert!(is_right(address, &card, offset));
                            met.fetch_add(1, SeqCst);
                        }
                        Err(error) => assert_eq!(error, NOBODY),
                    }
                    let found =
                        store.resolve(space, address).and_then(|(device, at)| Ok((store.enter::<Card>(device)?, at)));
                    match found {
                        Ok((card, offset)) => assert!(is_right(address, &card, offset)),
                        Err(error) => assert!([NOBODY, GONE].contains(&error)),
                    }
                }
            })
        });
        for round in 0..1000 {
            let slot = round % SLOTS;
            let card: Card = store.unregister(devices[slot as usize]).unwrap();
            card.is_wiped.store(true, SeqCst);
            assert_eq!(store.resolve(space, slot * WINDOW), Err(NOBODY));
            devices[slot as usize] = plug(slot);
            let next = devices[((slot + 1) % SLOTS) as usize];
            let base = (slot + 1) % SLOTS * WINDOW;
            store.unmap(next, space, base).unwrap();
            store.map(next, space, base..base + WINDOW).unwrap();
        }
        until(|| met.load(SeqCst) > 0 || readers.iter().any(|reader| reader.is_finished()));
    });
    assert_eq!(regions(&store, space).len() as u64, SLOTS);
}

/// S2-1, S2-7, S3-1: cards are unplugged and others put into their place while readers come by address; nobody ever meets a card that has been
/// taken back, or one that was not mapped at the address.
#[test]
fn who_comes_by_address_meets_who_is_there() {
    storm(Strategy::Auto);
}

/// The same where readers fence.
#[test]
fn who_comes_by_address_meets_who_is_there_with_fences() {
    storm(Strategy::Fence);
}
