//! Those who sleep inside an object until it leaves.

use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use enodev_handles::{Arena, Handle, Strategy};

use crate::common::{Disk, STRATEGIES, disks, linger, until};

type Disks = Arena<Disk, (), u32>;

/// Sleeps inside an object until that leaves; `asked` counts how often it was asked whether that is over.
fn sleep_inside(arena: &Disks, handle: Handle<Disk>, asked: &AtomicUsize) -> bool {
    let _inside = arena.enter(handle).unwrap();
    arena.sleep(handle, None, || {
        asked.fetch_add(1, Ordering::SeqCst);
        false
    })
}

/// E-47: callbacks that sleep inside an object are woken by its removal, which would wait for ever else. A callback in another
/// object sleeps on.
#[test]
fn a_removal_wakes_those_who_sleep_inside() {
    for strategy in STRATEGIES {
        for _ in 0..100 {
            let arena = disks::<(), u32>(strategy);
            let [leaves, stays] = [1, 2].map(|payload| arena.insert((), payload).unwrap());
            let asked = AtomicUsize::new(0);
            thread::scope(|scope| {
                let sleepers = [(); 2].map(|()| scope.spawn(|| sleep_inside(&arena, leaves, &asked)));
                let other = scope.spawn(|| sleep_inside(&arena, stays, &asked));
                until(|| asked.load(Ordering::SeqCst) >= 3);
                assert_eq!(arena.remove(leaves), Ok(1));
                sleepers.into_iter().for_each(|sleeper| assert!(sleeper.join().unwrap()));
                assert!(arena.contains(stays) && !other.is_finished());
                assert_eq!(arena.remove(stays), Ok(2));
                assert!(other.join().unwrap());
            });
        }
    }
}

/// E-47: at whatever moment the removal comes, before the sleep, as it begins or later, it is noticed.
#[test]
fn a_removal_is_noticed_at_whatever_moment_it_comes() {
    for strategy in STRATEGIES {
        let arena = disks::<(), u32>(strategy);
        for _ in 0..2000 {
            let handle = arena.insert((), 1).unwrap();
            let both = Barrier::new(2);
            thread::scope(|scope| {
                scope.spawn(|| {
                    let _inside = arena.enter(handle).unwrap();
                    both.wait();
                    assert!(arena.sleep(handle, None, || false));
                    assert!(arena.is_leaving(handle));
                });
                both.wait();
                assert_eq!(arena.remove(handle), Ok(1));
            });
        }
    }
}

/// E-47: a running callback can ask whether its object is leaving, and sees it when that has begun.
#[test]
fn a_callback_can_ask_whether_its_object_leaves() {
    for strategy in STRATEGIES {
        let arena = disks::<(), u32>(strategy);
        let handle = arena.insert((), 1).unwrap();
        let inside = arena.enter(handle).unwrap();
        assert!(!arena.is_leaving(handle));
        thread::scope(|scope| {
            let remover = scope.spawn(|| arena.remove(handle));
            until(|| arena.is_leaving(handle));
            drop(inside);
            assert_eq!(remover.join().unwrap(), Ok(1));
        });
        assert!(!arena.is_leaving(handle));
        assert!(arena.sleep(handle, None, || false), "a stale handle is one whose object leaves");
    }
}

/// Who sleeps for something else is woken for that: by `wake`, and after it only.
#[test]
fn a_sleeper_looks_again_when_it_is_woken() {
    let arena = disks::<(), u32>(Strategy::Auto);
    let handle = arena.insert((), 1).unwrap();
    let (asked, over) = (AtomicUsize::new(0), AtomicBool::new(false));
    thread::scope(|scope| {
        let sleeper = scope.spawn(|| {
            let _inside = arena.enter(handle).unwrap();
            arena.sleep(handle, None, || {
                asked.fetch_add(1, Ordering::SeqCst);
                over.load(Ordering::SeqCst)
            })
        });
        until(|| asked.load(Ordering::SeqCst) == 1);
        linger();
        assert_eq!(asked.load(Ordering::SeqCst), 1);
        arena.wake();
        until(|| asked.load(Ordering::SeqCst) == 2);
        assert!(!sleeper.is_finished());
        over.store(true, Ordering::SeqCst);
        arena.wake();
        assert!(!sleeper.join().unwrap(), "the object stays");
    });
    assert!(arena.contains(handle));
}

/// A deadline ends a sleep; one that has passed lets it ask once. The answer says whether the object leaves.
#[test]
fn a_deadline_ends_a_sleep() {
    let arena = disks::<(), u32>(Strategy::Auto);
    let handle = arena.insert((), 1).unwrap();
    let _inside = arena.enter(handle).unwrap();
    let mut asked = 0;
    let ask = || {
        asked += 1;
        false
    };
    assert!(!arena.sleep(handle, Some(Instant::now()), ask));
    assert!(asked >= 1);
    assert!(!arena.sleep(handle, Some(Instant::now() + Duration::from_millis(2)), || false));
    let mut leaving = arena.leave();
    leaving.mark(handle).unwrap();
    assert!(arena.sleep(handle, Some(Instant::now()), || false));
    drop(leaving);
}

/// E-47: those who sleep inside are woken too where nobody drains: the removal is given up, is put off to a leave, is looked at
/// now and then, or is a future.
#[test]
fn sleepers_are_woken_however_the_removal_goes_on() {
    let ways: [fn(&Disks, Handle<Disk>); 4] = [
        |arena, handle| arena.leave().mark(handle).unwrap(),
        |arena, handle| {
            let _inside = arena.enter(handle).unwrap();
            let mut leaving = arena.leave();
            leaving.mark(handle).unwrap();
            leaving.defer(|quiet| drop(quiet));
        },
        |arena, handle| {
            let mut leaving = arena.leave();
            leaving.mark(handle).unwrap();
            while !leaving.is_quiet().unwrap() {
                thread::yield_now();
            }
        },
        |arena, handle| {
            let mut leaving = arena.leave();
            leaving.mark(handle).unwrap();
            assert!(super::futures::block_on(leaving.drained()).is_ok());
        },
    ];
    for (strategy, way) in STRATEGIES.into_iter().flat_map(|strategy| ways.map(|way| (strategy, way))) {
        for _ in 0..50 {
            let arena = disks::<(), u32>(strategy);
            let handle = arena.insert((), 1).unwrap();
            let asked = AtomicUsize::new(0);
            thread::scope(|scope| {
                let sleeper = scope.spawn(|| sleep_inside(&arena, handle, &asked));
                until(|| asked.load(Ordering::SeqCst) == 1);
                way(&arena, handle);
                assert!(sleeper.join().unwrap());
            });
            arena.reap();
            assert!(arena.is_empty());
        }
    }
}
