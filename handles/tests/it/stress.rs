//! Races, many rounds of each, under both strategies. What goes wrong here shows as a foreign stamp, as a payload used
//! after its drop, or as a removal that never returns.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize, Ordering};
use std::thread;

use enodev_handles::{Arena, Handle, RemoveError, Stale, Strategy};

use crate::common::{Disk, Random, STRATEGIES, Slow, dawdle, disks, until};

/// What a payload says of itself, also after it has been dropped: the memory is shared with the test.
#[derive(Debug)]
struct Life {
    handle: Handle<Disk>,
    dropped: AtomicBool,
}

#[derive(Debug)]
struct Stamped(Arc<Life>);

impl Drop for Stamped {
    fn drop(&mut self) {
        self.0.dropped.store(true, Ordering::SeqCst);
    }
}

type Disks = Arena<Disk, Arc<Life>, Stamped>;

/// Publishes an object that knows its own handle. Its life is kept, so that looking at a dropped one is no crime.
fn publish(arena: &Disks, lives: &mut Vec<Arc<Life>>) -> Handle<Disk> {
    let reservation = arena.reserve().unwrap();
    let life = Arc::new(Life { handle: reservation.handle(), dropped: AtomicBool::new(false) });
    lives.push(Arc::clone(&life));
    reservation.publish(Arc::clone(&life), Stamped(life))
}

/// Enters, and looks at the payload until it leaves. Whether there was an object.
fn visit(arena: &Disks, handle: Handle<Disk>, random: &mut Random) -> bool {
    let Ok(guard) = arena.enter(handle) else {
        return false;
    };
    for _ in 0..3 {
        assert_eq!(guard.0.handle, handle, "another object's payload");
        assert!(!guard.0.dropped.load(Ordering::SeqCst), "a dropped payload");
        dawdle(random);
    }
    assert!(!guard.0.dropped.load(Ordering::SeqCst), "dropped under its reader");
    true
}

/// Handles that all threads can see, replaced as their objects are.
struct Board([AtomicU64; 8]);

impl Board {
    fn new() -> Self {
        Self([const { AtomicU64::new(0) }; 8])
    }

    fn read(&self, random: &mut Random) -> Handle<Disk> {
        Handle::from_bits(self.0[random.below(8) as usize].load(Ordering::Relaxed))
    }
}

/// Counts a thread down as it ends, also if it panics: nobody is left waiting for it.
struct Busy<'a>(&'a AtomicU64);

impl Drop for Busy<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

/// Readers go through the board while `replace` removes and publishes, until each of them has made its visits and enough of
/// these were let in, and enough objects have been replaced.
fn race(strategy: Strategy, visits: u32, replace: impl Fn(&Disks, &Board, &mut Vec<Arc<Life>>, &mut Random)) {
    const READERS: u64 = 2;
    let (arena, board, mut lives) = (disks(strategy), Board::new(), Vec::new());
    for place in &board.0 {
        place.store(publish(&arena, &mut lives).to_bits(), Ordering::Relaxed);
    }
    let (reading, replaced) = (AtomicU64::new(READERS), AtomicU32::new(0));
    let read = |reader| {
        let (_busy, mut random) = (Busy(&reading), Random::new(reader));
        let (mut knocked, mut entered) = (0, 0);
        while knocked < visits || entered < visits / 4 || replaced.load(Ordering::Relaxed) < visits / 30 {
            let handle = board.read(&mut random);
            if let Ok(life) = arena.get(&arena.domain().pin(), handle) {
                assert_eq!(life.handle, handle);
            }
            knocked += 1;
            entered += u32::from(visit(&arena, handle, &mut random));
        }
    };
    let read = &read;
    thread::scope(|scope| {
        (1..=READERS).for_each(|reader| drop(scope.spawn(move || read(reader))));
        let mut random = Random::new(99);
        while reading.load(Ordering::SeqCst) > 0 {
            replace(&arena, &board, &mut lives, &mut random);
            replaced.fetch_add(1, Ordering::Relaxed);
        }
    });
    drop(arena);
    assert!(lives.iter().all(|life| life.dropped.load(Ordering::SeqCst)));
}

/// S3-1, S3-2, S2-7: readers that go through handles while the objects are removed and others put in their place never see
/// another object's payload nor one that has been dropped.
#[test]
fn readers_never_meet_a_foreign_or_a_dropped_payload() {
    for strategy in STRATEGIES {
        race(strategy, 1500, |arena, board, lives, random| {
            let place = &board.0[random.below(8) as usize];
            let old = Handle::from_bits(place.load(Ordering::Relaxed));
            if random.below(2) == 0 {
                // The new object is there before the old one has gone.
                place.store(publish(arena, lives).to_bits(), Ordering::Relaxed);
                drop(arena.remove(old).unwrap());
            } else {
                drop(arena.remove(old).unwrap());
                place.store(publish(arena, lives).to_bits(), Ordering::Relaxed);
            }
        });
    }
}

/// E-4, S2-7: the same with batches; as long as one object of a batch is being read, none of it has been dropped.
#[test]
fn readers_never_meet_a_dropped_payload_of_a_batch() {
    for strategy in STRATEGIES {
        race(strategy, 1500, |arena, board, lives, _| {
            let old = board.0.each_ref().map(|place| Handle::from_bits(place.load(Ordering::Relaxed)));
            let batch = lives[lives.len() - board.0.len()..].to_vec();
            let mut leaving = arena.leave();
            old.iter().for_each(|handle| leaving.mark(*handle).unwrap());
            let quiet = leaving.drain().unwrap();
            assert!(batch.iter().all(|life| !life.dropped.load(Ordering::SeqCst)));
            drop(quiet);
            assert!(batch.iter().all(|life| life.dropped.load(Ordering::SeqCst)));
            for place in &board.0 {
                place.store(publish(arena, lives).to_bits(), Ordering::Relaxed);
            }
        });
    }
}

/// A word with a cache line to itself.
#[repr(align(128))]
#[derive(Default)]
struct Line(AtomicU64);

/// S2-4, S2-6: entering against marking. A reader and a remover that set off at about the same moment, again and again:
/// either the reader is refused, or the remover waits for it.
#[test]
fn of_a_reader_and_a_remover_at_the_same_moment_one_gives_way() {
    const ROUNDS: u32 = 10_000;
    for strategy in STRATEGIES {
        let arena = disks::<(), ()>(strategy);
        let [board, arrived, drained]: [Line; 3] = Default::default();
        thread::scope(|scope| {
            let reader = scope.spawn(|| {
                let (mut last, mut slow) = (0, Slow::new());
                for _ in 0..ROUNDS {
                    until(|| board.0.load(Ordering::Acquire) != last);
                    last = board.0.load(Ordering::Acquire);
                    arrived.0.store(last, Ordering::Release);
                    slow.store();
                    if let Ok(_guard) = arena.enter(Handle::from_bits(last)) {
                        for _ in 0..400 {
                            assert_ne!(drained.0.load(Ordering::Relaxed), last, "the remover has not waited");
                        }
                    }
                }
            });
            let mut random = Random::new(7);
            for _ in 0..ROUNDS {
                let handle = arena.insert((), ()).unwrap();
                board.0.store(handle.to_bits(), Ordering::Release);
                until(|| arrived.0.load(Ordering::Acquire) == handle.to_bits() || reader.is_finished());
                (0..random.below(64)).for_each(|_| std::hint::spin_loop());
                let mut leaving = arena.leave();
                leaving.mark(handle).unwrap();
                let quiet = leaving.drain().unwrap();
                drained.0.store(handle.to_bits(), Ordering::Relaxed);
                drop(quiet);
            }
        });
    }
}

/// S2-6: leaving against going to sleep. A reader that stays just about as long as a remover looks on before it sleeps,
/// again and again: every remover wakes.
#[test]
fn no_remover_sleeps_through_the_last_leave() {
    const ROUNDS: u32 = 6000;
    for strategy in STRATEGIES {
        let arena = disks::<(), u32>(strategy);
        let (board, inside, removed) = (AtomicU64::new(0), AtomicU32::new(0), AtomicU32::new(0));
        thread::scope(|scope| {
            let reader = scope.spawn(|| {
                let mut random = Random::new(3);
                for round in 1..=ROUNDS {
                    until(|| removed.load(Ordering::Acquire) == round - 1 && board.load(Ordering::Acquire) != 0);
                    let guard = arena.enter(Handle::from_bits(board.swap(0, Ordering::AcqRel))).unwrap();
                    inside.store(round, Ordering::Release);
                    match random.below(8) {
                        0 => dawdle(&mut random),
                        _ => (0..random.below(400)).for_each(|_| std::hint::spin_loop()),
                    }
                    assert_eq!(*guard, round);
                }
            });
            for round in 1..=ROUNDS {
                let handle = arena.insert((), round).unwrap();
                board.store(handle.to_bits(), Ordering::Release);
                until(|| inside.load(Ordering::Acquire) == round || reader.is_finished());
                assert_eq!(arena.remove(handle), Ok(round));
                removed.store(round, Ordering::Release);
            }
        });
    }
}

/// S2-4, S2-6: those who knock with a stale handle of the very slot, without end, neither keep a removal waiting nor are
/// waited for, also when somebody else is inside for so long that the remover sleeps meanwhile.
#[test]
fn those_who_are_refused_keep_no_removal_waiting() {
    for strategy in STRATEGIES {
        let arena = &disks::<(), u32>(strategy);
        let (board, refused, over) = (AtomicU64::new(0), AtomicUsize::new(0), AtomicBool::new(false));
        let knock = || {
            while !over.load(Ordering::Relaxed) {
                let stale = Handle::from_bits(board.load(Ordering::Relaxed));
                (0..100).for_each(|_| assert!(matches!(arena.enter(stale), Err(Stale))));
                refused.fetch_add(100, Ordering::Relaxed);
            }
        };
        thread::scope(|scope| {
            let knocking = [scope.spawn(knock), scope.spawn(knock)];
            let until_more_are_refused = || {
                let before = refused.load(Ordering::Relaxed);
                let failed = || knocking.iter().any(|thread| thread.is_finished());
                until(|| refused.load(Ordering::Relaxed) > before + 400 || failed());
            };
            for round in 0..30 {
                let handle = arena.insert((), round).unwrap();
                let other_generation = handle.to_bits() ^ 1 << 40;
                board.store(other_generation, Ordering::Relaxed);
                until_more_are_refused();
                let guard = (round % 2 == 0).then(|| arena.enter(handle).unwrap());
                let remover = scope.spawn(move || arena.remove(handle));
                if let Some(guard) = guard {
                    until(|| !arena.contains(handle));
                    until_more_are_refused();
                    drop(guard);
                }
                assert_eq!(remover.join().unwrap(), Ok(round));
            }
            over.store(true, Ordering::Relaxed);
        });
    }
}

/// S2-6: threads that have only just begun are seen: each enters an object that is being removed at that moment.
#[test]
fn a_removal_sees_threads_that_have_just_begun() {
    for strategy in STRATEGIES {
        let (arena, mut lives): (Disks, _) = (disks(strategy), Vec::new());
        for round in 0..1000 {
            let handle = publish(&arena, &mut lives);
            let begun = AtomicBool::new(false);
            thread::scope(|scope| {
                let (arena, begun) = (&arena, &begun);
                scope.spawn(move || {
                    begun.store(true, Ordering::Relaxed);
                    visit(arena, handle, &mut Random::new(round))
                });
                until(|| begun.load(Ordering::Relaxed));
                (0..round % 256).for_each(|_| std::hint::spin_loop());
                drop(arena.remove(handle).unwrap());
            });
        }
    }
}

/// Removes some of what is on the board, whoever put it there. What others were removing is awaited.
fn remove_some(arena: &Disks, board: &Board, random: &mut Random) -> usize {
    let mut leaving = arena.leave();
    let (mut mine, mut theirs) = (0, Vec::new());
    for _ in 0..random.below(4) {
        let handle = board.read(random);
        let life = arena.get_leaving(&arena.domain().pin(), handle).map(Arc::clone);
        match leaving.mark(handle) {
            Ok(()) => mine += 1,
            Err(error) => theirs.push((handle, life, error)),
        }
    }
    drop(leaving.drain().unwrap());
    for (handle, life, error) in theirs {
        assert!(matches!(error, RemoveError::Leaving | RemoveError::Stale(Stale)));
        assert!(error == RemoveError::Leaving || arena.remove(handle).is_err());
        assert_eq!(arena.join(handle), Ok(()));
        assert!(!life.is_ok_and(|life| !life.dropped.load(Ordering::SeqCst)), "its removal is not over");
    }
    mine
}

/// E-6: several who remove in batches what all of them publish: each object goes once, and nobody whom another has forestalled
/// goes on while it is still being dropped.
#[test]
fn each_object_is_removed_once_by_many_removers() {
    for strategy in STRATEGIES {
        let (arena, board) = (disks(strategy), Board::new());
        let (published, removed) = (AtomicUsize::new(0), AtomicUsize::new(0));
        let work = |seed| {
            let mut random = Random::new(seed);
            let mut lives = Vec::new();
            for _ in 0..2500 {
                let place = &board.0[random.below(8) as usize];
                place.store(publish(&arena, &mut lives).to_bits(), Ordering::SeqCst);
                published.fetch_add(1, Ordering::SeqCst);
                removed.fetch_add(remove_some(&arena, &board, &mut random), Ordering::SeqCst);
            }
        };
        let work = &work;
        thread::scope(|scope| (1..=3).for_each(|seed| drop(scope.spawn(move || work(seed)))));
        assert_eq!(published.into_inner() - removed.into_inner(), arena.len());
    }
}
