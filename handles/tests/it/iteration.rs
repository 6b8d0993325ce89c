//! Walks over an arena while objects come and go.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use enodev_handles::{Arena, Handle, Stale, Strategy};

use crate::common::{Disk, Random, STRATEGIES, disks};

/// A walk meets every object once, with its handle and its store part, also far beyond what one piece of memory holds.
#[test]
fn a_walk_meets_every_object_once() {
    let arena = disks::<usize, ()>(Strategy::Auto);
    let mut expected: HashMap<Handle<Disk>, usize> =
        (0..1500).map(|name| (arena.insert(name, ()).unwrap(), name)).collect();
    let gone: Vec<_> = expected.keys().copied().filter(|handle| expected[handle] % 3 == 0).collect();
    for handle in gone {
        arena.remove(handle).unwrap();
        expected.remove(&handle);
    }
    let pin = arena.domain().pin();
    let met: Vec<_> = arena.iter(&pin).map(|(handle, name)| (handle, *name)).collect();
    assert_eq!(met.len(), expected.len());
    assert_eq!(met.into_iter().collect::<HashMap<_, _>>(), expected);
}

/// What is reserved, leaving or gone is not met.
#[test]
fn a_walk_meets_only_what_is_alive() {
    let arena = disks::<u32, ()>(Strategy::Auto);
    let handles = [0, 1, 2, 3].map(|name| arena.insert(name, ()).unwrap());
    let _reserved = arena.reserve().unwrap();
    arena.remove(handles[0]).unwrap();
    let mut leaving = arena.leave();
    leaving.mark(handles[1]).unwrap();
    let met = || arena.iter(&arena.domain().pin()).map(|(handle, name)| (handle, *name)).collect::<Vec<_>>();
    assert_eq!(met(), [(handles[2], 2), (handles[3], 3)]);
    let quiet = leaving.drain().unwrap();
    assert_eq!(met(), [(handles[2], 2), (handles[3], 3)]);
    drop(quiet);
    assert_eq!(met(), [(handles[2], 2), (handles[3], 3)]);
}

/// T102, G-9: between two steps of a walk, another thread removes objects that were met and objects that were not, and adds one.
/// The remover waits for nobody; the walk skips no survivor and meets none of the dead.
#[test]
fn a_walk_under_change_skips_no_survivor_and_meets_no_dead() {
    for strategy in STRATEGIES {
        let arena = disks::<u32, ()>(strategy);
        let handles: Vec<_> = (0..10).map(|name| arena.insert(name, ()).unwrap()).collect();
        let pin = arena.domain().pin();
        let mut walk = arena.iter(&pin).map(|(_, name)| *name);
        assert_eq!((walk.next(), walk.next(), walk.next()), (Some(0), Some(1), Some(2)));
        let change = || {
            for gone in [1, 2, 3, 5] {
                arena.remove(handles[gone]).unwrap();
            }
            arena.insert(10, ()).unwrap();
            arena.flush();
        };
        thread::scope(|scope| scope.spawn(change).join().unwrap());
        let rest: Vec<_> = walk.filter(|name| *name != 10).collect();
        assert_eq!(rest, [4, 6, 7, 8, 9]);
    }
}

/// When an object was gone by, on a clock that counts removals; 0 while nobody has said that it is.
#[derive(Debug, Default)]
struct Gone(AtomicU64);

/// An object's store part: survivors are numbered.
type Part = (Option<usize>, Arc<Gone>);

fn churn(arena: &Arena<Disk, Part, ()>, clock: &AtomicU64, seed: u64) {
    let mut random = Random::new(seed);
    let mut mine = Vec::new();
    for _ in 0..2500 {
        let gone = Arc::<Gone>::default();
        mine.push((arena.insert((None, Arc::clone(&gone)), ()).unwrap(), gone));
        if mine.len() > 20 {
            let (handle, gone) = mine.swap_remove(random.below(20) as usize);
            arena.remove(handle).unwrap();
            gone.0.store(clock.fetch_add(1, Ordering::SeqCst), Ordering::SeqCst);
        }
    }
}

/// T102, G-9: while other threads add and remove without pause, every walk meets each survivor exactly once, and no step of a
/// walk yields an object whose removal was over before that step.
#[test]
fn walks_under_churn_meet_each_survivor_once_and_nobody_dead() {
    for strategy in STRATEGIES {
        let (arena, clock) = (disks::<Part, ()>(strategy), AtomicU64::new(1));
        // Some survivors lie among slots that are used again and again.
        let mut survivors = Vec::new();
        for number in 0..100 {
            let passing = arena.insert((None, Arc::default()), ()).unwrap();
            survivors.push(arena.insert((Some(number), Arc::default()), ()).unwrap());
            arena.remove(passing).unwrap();
        }
        let churning = AtomicU64::new(2);
        let mut walks = 0;
        thread::scope(|scope| {
            for seed in 1..=2 {
                let (arena, clock, churning) = (&arena, &clock, &churning);
                scope.spawn(move || {
                    churn(arena, clock, seed);
                    churning.fetch_sub(1, Ordering::SeqCst);
                });
            }
            while churning.load(Ordering::SeqCst) > 0 {
                let mut met = [0; 100];
                let pin = arena.domain().pin();
                let mut walk = arena.iter(&pin);
                loop {
                    let now = clock.load(Ordering::SeqCst);
                    let Some((handle, (survivor, gone))) = walk.next() else {
                        break;
                    };
                    let at = gone.0.load(Ordering::SeqCst);
                    assert!(at == 0 || at >= now, "{handle:?} was gone at {at}, and has been met after {now}");
                    survivor.iter().for_each(|number| met[*number] += 1);
                }
                assert_eq!(met, [1; 100]);
                walks += 1;
            }
        });
        assert!(walks > 0);
        assert!(survivors.iter().all(|handle| arena.contains(*handle)));
    }
}

/// S3-2: an object met by a walk that has left since is stale, and does not stand for the next one in its slot.
#[test]
fn what_a_walk_has_met_may_be_stale_by_then() {
    let arena = disks::<u32, u32>(Strategy::Auto);
    thread::scope(|scope| {
        let writer = scope.spawn(|| {
            for name in 0..3000 {
                let handle = arena.insert(name, name).unwrap();
                assert_eq!(arena.remove(handle), Ok(name));
            }
        });
        while !writer.is_finished() {
            let pin = arena.domain().pin();
            for (handle, name) in arena.iter(&pin) {
                let entered = arena.enter(handle).map(|payload| *payload);
                assert!(entered == Ok(*name) || entered == Err(Stale));
            }
        }
    });
}
