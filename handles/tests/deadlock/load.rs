//! Much waiting that is no circle.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::thread;

use enodev_handles::{Arena, Exclusion, Exclusive, Handle, RemoveError, Strategy};

use crate::common::{Disk, Random, STRATEGIES, dawdle, disks};

const LEVELS: u64 = 6;
const STEPS: u64 = 6_000;

struct World {
    arena: Arena<Disk, (), Exclusive<u64>>,
    /// Which object is at a level, as bits of its handle.
    objects: Vec<AtomicU64>,
    exclusions: Vec<Exclusion>,
    removed: AtomicUsize,
    waited: AtomicUsize,
}

impl World {
    fn new(strategy: Strategy) -> Self {
        let arena = disks(strategy);
        let insert = |level| AtomicU64::new(arena.insert((), Exclusive::new(level)).unwrap().to_bits());
        let objects = (0..LEVELS).map(insert).collect();
        let exclusions = (0..LEVELS).map(|_| Exclusion::new(())).collect();
        Self { arena, objects, exclusions, removed: AtomicUsize::new(0), waited: AtomicUsize::new(0) }
    }

    fn object(&self, level: u64) -> Handle<Disk> {
        Handle::from_bits(self.objects[level as usize].load(Ordering::Acquire))
    }

    /// Removes the object of a level and puts another one there; or waits for who does.
    fn replace(&self, level: u64) {
        let old = self.object(level);
        match self.arena.remove(old) {
            Ok(_) => {
                let new = self.arena.insert((), Exclusive::new(level)).unwrap();
                self.objects[level as usize].store(new.to_bits(), Ordering::Release);
                self.removed.fetch_add(1, Ordering::Relaxed);
            }
            Err(RemoveError::Stale(_) | RemoveError::Leaving) => {}
            Err(error) => panic!("{error}, and there is no circle"),
        }
    }

    /// Waits for the lock of a level's object and enters with it, if it is still there; then goes on further up.
    fn lock(&self, level: u64, random: &mut Random) {
        let Ok(contended) = self.arena.enter(self.object(level)) else { return };
        let mut lock = contended.lock();
        drop(contended);
        lock.acquire().unwrap();
        self.waited.fetch_add(1, Ordering::Relaxed);
        if let Ok(Ok(_locked)) = self.arena.enter(self.object(level)).map(|inside| inside.lock_with(lock)) {
            self.climb(level + 1, random);
        }
    }

    /// Waits for things of this level and above only, whatever is held below.
    fn climb(&self, level: u64, random: &mut Random) {
        dawdle(random);
        if level >= LEVELS {
            return;
        }
        let level = level + random.below(LEVELS - level);
        match random.below(4) {
            0 => self.replace(level),
            1 => self.lock(level, random),
            2 => {
                let inside = self.arena.enter(self.object(level));
                self.climb(level + 1, random);
                drop(inside);
            }
            _ => {}
        }
    }

    /// Exclusions are below all objects.
    fn step(&self, random: &mut Random) {
        let (low, high) = (random.below(LEVELS), random.below(LEVELS));
        let held = (low < high).then(|| [low, high].map(|level| self.exclusions[level as usize].lock().unwrap()));
        self.climb(0, random);
        drop(held);
    }
}

/// Where everybody waits upwards only, nobody is ever told of a circle, however many wait and for whatever.
#[test]
fn nobody_is_told_of_a_circle_that_is_not_there() {
    for strategy in STRATEGIES {
        let world = World::new(strategy);
        thread::scope(|scope| {
            for seed in 1..=5 {
                let world = &world;
                scope.spawn(move || {
                    let mut random = Random::new(seed);
                    (0..STEPS).for_each(|_| world.step(&mut random));
                });
            }
        });
        assert!(world.removed.into_inner() > 500 && world.waited.into_inner() > 500);
    }
}
