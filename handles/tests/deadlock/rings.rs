//! Rings of all kinds of waiting, drawn by lot.

use std::sync::{Arc, Barrier, Mutex};
use std::thread;

use enodev_handles::{Arena, Biased, Deadlock, Exclusion, Exclusive, Handle, LockError, RemoveError, Strategy};

use crate::common::{Disk, OnDrop, Random, STRATEGIES, dawdle, disks};

/// How a thread holds its place, so that the one before waits for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// Is inside an object, which the other removes.
    Inside,
    /// Is inside an exclusive object, which the other removes.
    Locked,
    /// Is inside an exclusive object, whose lock the other wants.
    Wanted,
    /// Holds an exclusion.
    Declared,
    /// Uses a value that it has reserved, and the other takes that back.
    Reserved,
    /// Drops the payload of an object, whose removal the other waits for.
    Dropped,
}

struct Stage {
    shared: Arena<Disk, (), OnDrop>,
    exclusive: Arena<Disk, (), Exclusive<u32>>,
}

struct Place {
    kind: Kind,
    shared: Handle<Disk>,
    exclusive: Handle<Disk>,
    exclusion: Exclusion,
    biased: Biased<()>,
}

type Told = Result<(), Deadlock>;
/// What the one who is about to drop a payload does then.
type Drops = Arc<Mutex<Option<Box<dyn FnOnce() + Send>>>>;

fn told<T>(result: Result<T, RemoveError>) -> Told {
    match result {
        Ok(_) => Ok(()),
        Err(RemoveError::Deadlock) => Err(Deadlock),
        Err(error) => panic!("{error}"),
    }
}

impl Stage {
    fn hold(&self, place: &Place, drops: &Drops, run: impl FnOnce() -> Told + Send + 'static) -> Told {
        match place.kind {
            Kind::Inside => {
                let _inside = self.shared.enter(place.shared).unwrap();
                run()
            }
            Kind::Locked | Kind::Wanted => {
                let _inside = self.exclusive.enter(place.exclusive).unwrap().try_lock().unwrap();
                run()
            }
            Kind::Declared => {
                let _held = place.exclusion.lock().unwrap();
                run()
            }
            Kind::Reserved => {
                let _held = place.biased.lock().unwrap();
                run()
            }
            Kind::Dropped => {
                let answer = Arc::new(Mutex::new(None));
                let to = Arc::clone(&answer);
                *drops.lock().unwrap() = Some(Box::new(move || *to.lock().unwrap() = Some(run())));
                let mut leaving = self.shared.leave();
                leaving.mark(place.shared).unwrap();
                drop(leaving.drain().unwrap());
                answer.lock().unwrap().take().unwrap()
            }
        }
    }

    fn want(&self, place: &Place) -> Told {
        match place.kind {
            Kind::Inside => told(self.shared.remove(place.shared)),
            Kind::Locked => told(self.exclusive.remove(place.exclusive)),
            Kind::Wanted => self.exclusive.enter(place.exclusive).unwrap().lock().acquire(),
            Kind::Declared => place.exclusion.lock().map(drop),
            Kind::Reserved => match place.biased.lock() {
                Ok(_) => Ok(()),
                Err(LockError::Deadlock) => Err(Deadlock),
                Err(error) => panic!("{error}"),
            },
            Kind::Dropped => told(self.shared.join(place.shared)),
        }
    }
}

/// Who waits for a payload's drop must be inside no object, nor in a drop itself: it holds an exclusion.
fn draw(random: &mut Random) -> Vec<Kind> {
    use Kind::*;
    let size = 2 + random.below(3) as usize;
    let mut kinds: Vec<Kind> =
        (0..size).map(|_| [Inside, Locked, Wanted, Declared, Reserved, Dropped][random.below(6) as usize]).collect();
    for at in 0..size {
        if kinds[(at + 1) % size] == Dropped {
            kinds[at] = Declared;
        }
    }
    kinds
}

/// Each thread holds its place, and when all do, each wants the next one's. How many are told that they would wait for
/// themselves.
fn ring(stage: &'static Stage, kinds: &[Kind], seed: u64) -> usize {
    let drops: Vec<Drops> = kinds.iter().map(|_| Drops::default()).collect();
    let place = |(kind, drops): (&Kind, &Drops)| {
        let drops = Arc::clone(drops);
        let payload = OnDrop::new(move || {
            let run = drops.lock().unwrap().take();
            run.into_iter().for_each(|run| run());
        });
        Place {
            kind: *kind,
            shared: stage.shared.insert((), payload).unwrap(),
            exclusive: stage.exclusive.insert((), Exclusive::new(0)).unwrap(),
            exclusion: Exclusion::new(()),
            biased: Biased::new(()),
        }
    };
    let places: Arc<Vec<Place>> = Arc::new(kinds.iter().zip(&drops).map(place).collect());
    let all = Arc::new(Barrier::new(kinds.len()));
    let threads: Vec<_> = (0..kinds.len())
        .map(|at| {
            let (places, all, drops) = (Arc::clone(&places), Arc::clone(&all), Arc::clone(&drops[at]));
            thread::spawn(move || {
                let next = Arc::clone(&places);
                stage.hold(&places[at], &drops, move || {
                    all.wait();
                    dawdle(&mut Random::new(seed + at as u64));
                    stage.want(&next[(at + 1) % next.len()])
                })
            })
        })
        .collect();
    threads.into_iter().map(|thread| thread.join().unwrap()).filter(Result::is_err).count()
}

fn draw_rings(strategy: Strategy, seed: u64, rounds: u64) {
    let stage: &'static Stage = Box::leak(Box::new(Stage { shared: disks(strategy), exclusive: disks(strategy) }));
    let mut random = Random::new(seed);
    for round in 0..rounds {
        let kinds = draw(&mut random);
        assert_eq!(ring(stage, &kinds, seed ^ round << 8), 1, "{kinds:?}");
    }
}

/// D-1: whatever a circle is made of, one of those in it is told, and all the others get what they wait for. Circles that close at
/// the same time in other arenas do not disturb that.
#[test]
fn of_every_circle_one_is_told() {
    const ROUNDS: u64 = 700;
    thread::scope(|scope| {
        for (seed, strategy) in (1..).zip(STRATEGIES.into_iter().cycle()).take(4) {
            scope.spawn(move || draw_rings(strategy, seed, ROUNDS));
        }
    });
}
