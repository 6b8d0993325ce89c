//! Whose value a column shows.

use enodev_handles::{Density, Domain, Handle, SetError, Stale, Strategy};

use crate::common::{DENSITIES, Disk, Disks, disks, index, successor};

#[test]
fn a_value_is_that_of_its_object_and_can_be_set_again() {
    for density in DENSITIES {
        let disks = disks();
        let sectors = disks.column::<(u64, bool)>(density);
        let (sda, sdb) = (disks.insert(0, ()).unwrap(), disks.insert(1, ()).unwrap());
        let pin = disks.domain().pin();
        sectors.set(&pin, sda, (7, true)).unwrap();
        assert_eq!(sectors.get(&pin, sda), Ok(Some((7, true))));
        assert_eq!(sectors.get(&pin, sdb), Ok(None));
        sectors.set(&pin, sda, (8, false)).unwrap();
        sectors.update(&pin, sdb, |former| if former.is_none() { (1, true) } else { (0, false) }).unwrap();
        sectors.update(&pin, sdb, |former| former.map_or((0, false), |(n, b)| (n + 1, b))).unwrap();
        assert_eq!((sectors.get(&pin, sda), sectors.get(&pin, sdb)), (Ok(Some((8, false))), Ok(Some((2, true)))));
    }
}

#[test]
fn a_value_that_is_set_once_stays_where_it_is() {
    for density in DENSITIES {
        let disks = disks();
        let names = disks.once_column::<[u8; 3]>(density);
        let sda = disks.insert(0, ()).unwrap();
        let pin = disks.domain().pin();
        assert_eq!(names.get(&pin, sda), Ok(None));
        names.set(&pin, sda, *b"sda").unwrap();
        let name = names.get(&pin, sda).unwrap().unwrap();
        assert_eq!(names.set(&pin, sda, *b"sdb"), Err(SetError::Occupied));
        assert_eq!(name, b"sda");
        assert!(std::ptr::eq(name, names.get(&pin, sda).unwrap().unwrap()));
    }
}

/// Handles that name nothing in the arena: of an object that has left, of none, of another arena's object in a slot that has a
/// value here, and made up around such a slot.
fn strangers(disks: &Disks, has_value: Handle<Disk>, others: &Disks) -> Vec<Handle<Disk>> {
    let gone = disks.insert(0, ()).unwrap();
    disks.remove(gone).unwrap();
    let foreign =
        (0..1000).map(|_| others.insert(0, ()).unwrap()).find(|handle| index(*handle) == index(has_value)).unwrap();
    let bits = has_value.to_bits();
    let forged =
        [bits ^ 1 << 33, bits ^ 1 << 56, bits + 1, bits & !(0xff << 56), bits | 0xffff_ffff, 1 << 32, u64::MAX];
    let mut strangers = vec![gone, foreign, Handle::null()];
    strangers.extend(forged.map(Handle::from_bits));
    strangers
}

#[test]
fn a_handle_that_names_nothing_here_is_stale_in_every_column() {
    for density in DENSITIES {
        let (disks, others) = (disks(), disks());
        let sectors = disks.column::<u64>(density);
        let names = disks.once_column::<u64>(density);
        let labels = disks.payload_column::<String>(density);
        let sda = disks.insert(0, ()).unwrap();
        sectors.set(&disks.domain().pin(), sda, 1).unwrap();
        names.set(&disks.domain().pin(), sda, 1).unwrap();
        labels.insert(&disks, sda, "a".into()).unwrap();
        for stranger in strangers(&disks, sda, &others) {
            let pin = disks.domain().pin();
            assert_eq!(sectors.get(&pin, stranger), Err(Stale), "{stranger:?}");
            assert_eq!(sectors.set(&pin, stranger, 2), Err(SetError::Stale(Stale)));
            assert_eq!(sectors.update(&pin, stranger, |_| 2), Err(SetError::Stale(Stale)));
            assert_eq!(names.get(&pin, stranger), Err(Stale));
            assert_eq!(names.set(&pin, stranger, 2), Err(SetError::Stale(Stale)));
            assert!(labels.enter(&disks, stranger).is_err());
            let refused = labels.insert(&disks, stranger, "b".into()).unwrap_err();
            assert_eq!((refused.value.as_str(), refused.reason), ("b", SetError::Stale(Stale)));
        }
        assert_eq!(sectors.get(&disks.domain().pin(), sda), Ok(Some(1)));
    }
}

/// S3-1, S3-2: an object that takes a slot has none of the values of the one that had it before, in any column, and what it is
/// given is not to be had with the former one's handle.
#[test]
fn the_next_object_in_a_slot_begins_without_values() {
    for density in DENSITIES {
        let disks = disks();
        let sectors = disks.column::<[u64; 3]>(density);
        let names = disks.once_column::<u64>(density);
        let labels = disks.payload_column::<String>(density);
        let mut former = disks.insert(0, ()).unwrap();
        for round in 0..5 {
            sectors.set(&disks.domain().pin(), former, [round; 3]).unwrap();
            names.set(&disks.domain().pin(), former, round).unwrap();
            labels.insert(&disks, former, round.to_string()).unwrap();
            disks.remove(former).unwrap();
            let next = successor(&disks, former);
            let pin = disks.domain().pin();
            assert_eq!((sectors.get(&pin, next), names.get(&pin, next)), (Ok(None), Ok(None)));
            assert!(labels.enter(&disks, next).unwrap().is_none());
            assert_eq!((sectors.get(&pin, former), names.get(&pin, former)), (Err(Stale), Err(Stale)));
            former = next;
        }
    }
}

#[test]
fn an_object_that_is_leaving_is_stale_although_its_removal_is_not_over() {
    for density in DENSITIES {
        let disks = disks();
        let sectors = disks.column::<u64>(density);
        let sda = disks.insert(0, ()).unwrap();
        sectors.set(&disks.domain().pin(), sda, 1).unwrap();
        let mut leaving = disks.leave();
        leaving.mark(sda).unwrap();
        assert_eq!(sectors.get(&disks.domain().pin(), sda), Err(Stale));
        assert_eq!(sectors.set(&disks.domain().pin(), sda, 2), Err(SetError::Stale(Stale)));
        drop(leaving.drain().unwrap());
    }
}

/// S3-2: a value that has been found under a pin stays what it was until the pin goes, although its object leaves and everything
/// that can be reclaimed is.
#[test]
fn a_reference_under_a_pin_outlasts_its_object() {
    for density in DENSITIES {
        let disks = disks();
        let names = disks.once_column::<u64>(density);
        let sda = disks.insert(0, ()).unwrap();
        names.set(&disks.domain().pin(), sda, 7).unwrap();
        let pin = disks.domain().pin();
        let name = names.get(&pin, sda).unwrap().unwrap();
        std::thread::scope(|scope| {
            scope.spawn(|| {
                disks.remove(sda).unwrap();
                disks.flush();
                for _ in 0..300 {
                    let other = disks.insert(0, ()).unwrap();
                    names.set(&disks.domain().pin(), other, 9).unwrap();
                }
            });
        });
        assert_eq!(*name, 7);
    }
}

#[test]
fn what_a_column_holds_works_where_readers_fence() {
    let domain = Domain::with_strategy(Strategy::Fence).unwrap();
    let disks = Disks::new(&domain).unwrap();
    let (sectors, labels) = (disks.column::<u64>(Density::Dense), disks.payload_column::<String>(Density::Sparse));
    let sda = disks.insert(0, ()).unwrap();
    sectors.set(&domain.pin(), sda, 1).unwrap();
    labels.insert(&disks, sda, "a".into()).unwrap();
    assert_eq!(sectors.get(&domain.pin(), sda), Ok(Some(1)));
    assert_eq!(*labels.enter(&disks, sda).unwrap().unwrap(), "a");
    disks.remove(sda).unwrap();
    assert_eq!(sectors.get(&domain.pin(), sda), Err(Stale));
}

#[test]
#[should_panic(expected = "a pin of another domain")]
fn a_pin_of_another_domain_is_refused() {
    let disks = disks();
    let sectors = disks.column::<u64>(Density::Dense);
    let sda = disks.insert(0, ()).unwrap();
    let _ = sectors.get(&Domain::new().unwrap().pin(), sda);
}
