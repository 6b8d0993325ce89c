//! Walks over several columns.

use std::collections::BTreeMap;
use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use enodev_handles::{Density, Handle, join};

use crate::common::{DENSITIES, Disk, Over, disks, successor};

const ROUNDS: usize = if cfg!(miri) { 3 } else { 200 };

#[test]
fn a_walk_meets_those_that_have_a_value_in_every_column() {
    for (one, two, three) in [(0, 0, 0), (0, 0, 1), (0, 1, 0), (1, 0, 0), (1, 1, 0), (1, 1, 1)]
        .map(|(a, b, c)| (DENSITIES[a], DENSITIES[b], DENSITIES[c]))
    {
        let disks = disks();
        let sectors = disks.column::<u64>(one);
        let names = disks.once_column::<u32>(two);
        let power = disks.column::<(u64, bool)>(three);
        let handles: Vec<_> = (0..1000).map(|n| disks.insert(n, ()).unwrap()).collect();
        let pin = disks.domain().pin();
        let (mut ones, mut twos, mut threes) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
        for (n, handle) in (0..).zip(&handles) {
            if n % 2 == 0 {
                sectors.set(&pin, *handle, n).unwrap();
                ones.insert(*handle, (n,));
            }
            if n % 3 == 0 {
                names.set(&pin, *handle, n as u32).unwrap();
            }
            if n % 5 == 0 {
                power.set(&pin, *handle, (n, true)).unwrap();
            }
            if n % 6 == 0 {
                twos.insert(*handle, (n as u32, n));
            }
            if n % 30 == 0 {
                threes.insert(*handle, (n, n as u32, (n, true)));
            }
        }
        let met: Vec<_> = join(&pin, (&sectors,)).collect();
        assert_eq!((met.len(), met.into_iter().collect()), (500, ones));
        let met: Vec<_> = join(&pin, (&names, &sectors)).map(|(h, (a, b))| (h, (*a, b))).collect();
        assert_eq!((met.len(), met.into_iter().collect()), (167, twos));
        let walk = join(&pin, (&sectors, &names, &power));
        let mut stepped = Vec::new();
        for (handle, (a, b, c)) in walk {
            stepped.push((handle, (a, *b, c)));
        }
        assert_eq!((stepped.len(), stepped.into_iter().collect()), (34, threes));
    }
}

#[test]
fn a_walk_that_has_been_begun_goes_on_the_same_in_one_go() {
    for density in DENSITIES {
        let disks = disks();
        let sectors = disks.column::<u64>(density);
        let handles: Vec<_> = (0..300).map(|n| disks.insert(n, ()).unwrap()).collect();
        let pin = disks.domain().pin();
        handles.iter().for_each(|handle| sectors.set(&pin, *handle, 1).unwrap());
        for begun in [0, 1, 63, 64, 65, 299, 300] {
            let mut walk = join(&pin, (&sectors,));
            assert_eq!(walk.by_ref().take(begun).count(), begun);
            assert_eq!(walk.fold(0, |sum, (_, (one,))| sum + one), 300 - begun as u64);
        }
    }
}

/// G-9: between two steps of a walk, another thread removes objects that have not been met yet, for good. It is not held up, and the
/// walk does not meet them.
#[test]
fn an_object_that_has_been_removed_between_two_steps_is_not_met() {
    for (one, two) in [(0, 0), (0, 1), (1, 0), (1, 1)].map(|(a, b)| (DENSITIES[a], DENSITIES[b])) {
        let disks = disks();
        let (sectors, names) = (disks.column::<[u64; 2]>(one), disks.once_column::<u64>(two));
        let handles: Vec<_> = (0..200).map(|n| disks.insert(n, ()).unwrap()).collect();
        for handle in &handles {
            sectors.set(&disks.domain().pin(), *handle, [1; 2]).unwrap();
            names.set(&disks.domain().pin(), *handle, 1).unwrap();
        }
        let pin = disks.domain().pin();
        let walk = join(&pin, (&sectors, &names));
        let mut left = handles.clone();
        let mut met = 0;
        for (handle, _) in walk {
            met += 1;
            left.retain(|other| *other != handle);
            // The one that would be next, and one far off.
            let mut gone: Vec<Handle<Disk>> = left.first().into_iter().chain(left.last()).copied().collect();
            gone.dedup();
            thread::scope(|scope| {
                scope.spawn(|| gone.iter().for_each(|handle| disks.remove(*handle).unwrap()));
            });
            assert!(!disks.contains(gone.first().copied().unwrap_or(Handle::null())));
            left.retain(|other| !gone.contains(other));
        }
        assert!(left.is_empty(), "those that were there all the time have been met");
        assert!((60..=100).contains(&met), "{met}");
    }
}

/// G-9, S3-2: while other threads remove objects and put others in their slots, which get a value in one of two columns only, or values
/// that name them in both: what is met is whole and its own, and those that stay are met once in every walk.
#[test]
fn walks_race_removals_and_the_use_of_slots_again() {
    for (one, two) in [(0, 0), (0, 1), (1, 1)].map(|(a, b)| (DENSITIES[a], DENSITIES[b])) {
        let disks = disks();
        let (names, sums) = (disks.column::<u64>(one), disks.column::<[u64; 2]>(two));
        let give = |handle: Handle<Disk>, both: bool| {
            let pin = disks.domain().pin();
            names.set(&pin, handle, handle.to_bits()).unwrap();
            if both {
                sums.set(&pin, handle, [handle.to_bits(), !handle.to_bits()]).unwrap();
            }
        };
        let stay: Vec<_> = (0..100).map(|n| disks.insert(n, ()).unwrap()).collect();
        stay.iter().for_each(|handle| give(*handle, true));
        let (start, over) = (Barrier::new(3), AtomicBool::new(false));
        thread::scope(|scope| {
            for odd in [false, true] {
                let (start, over, disks, give) = (&start, &over, &disks, &give);
                scope.spawn(move || {
                    start.wait();
                    while !over.load(Ordering::Relaxed) {
                        let come: Vec<_> = (0..30).map(|n| disks.insert(n, ()).unwrap()).collect();
                        (0..).zip(&come).for_each(|(n, handle)| give(*handle, (n % 2 == 0) == odd));
                        come.into_iter().for_each(|handle| disks.remove(handle).unwrap());
                        disks.flush();
                    }
                });
            }
            let _over = Over(&over);
            start.wait();
            for _ in 0..ROUNDS {
                let pin = disks.domain().pin();
                let mut met = Vec::new();
                for (handle, (name, sum)) in join(&pin, (&names, &sums)) {
                    assert_eq!((name, sum), (handle.to_bits(), [handle.to_bits(), !handle.to_bits()]));
                    met.push(handle);
                }
                let here = met.iter().filter(|handle| stay.contains(handle)).count();
                assert_eq!(here, stay.len());
                met.sort_unstable();
                met.dedup_by_key(|handle| handle.to_bits() as u32);
                assert!(met.len() >= stay.len());
            }
        });
    }
}

#[test]
fn a_row_of_a_former_object_is_not_met_under_the_next_one() {
    for density in DENSITIES {
        let disks = disks();
        let (sectors, names) = (disks.column::<u64>(density), disks.once_column::<u64>(density));
        let sda = disks.insert(0, ()).unwrap();
        sectors.set(&disks.domain().pin(), sda, 1).unwrap();
        names.set(&disks.domain().pin(), sda, 1).unwrap();
        disks.remove(sda).unwrap();
        let next = successor(&disks, sda);
        let pin = disks.domain().pin();
        names.set(&pin, next, 2).unwrap();
        assert_eq!(join(&pin, (&sectors, &names)).count(), 0);
        assert_eq!(join(&pin, (&names,)).map(|(handle, (name,))| (handle, *name)).collect::<Vec<_>>(), [(next, 2)]);
    }
}

#[test]
#[should_panic(expected = "a pin of another domain")]
fn columns_of_two_arenas_are_not_joined() {
    let (one, other) = (disks(), disks());
    let (column, foreign) = (one.column::<u64>(Density::Dense), other.column::<u64>(Density::Dense));
    let _ = join(&one.domain().pin(), (&column, &foreign)).count();
}
