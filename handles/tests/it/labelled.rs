//! Waiting for those who do one thing inside an object that stays.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc;
use std::thread::{self, Scope};
use std::time::Instant;

use enodev_handles::{Active, Arena, Handle, Label, RemoveError, Strategy};

use crate::common::{Disk, Random, STRATEGIES, dawdle, disks, index, linger, until};

type Disks = Arena<Disk, (), u32>;

fn labels() -> [Label; 3] {
    ["it-show", "it-store", "it-probe"].map(Label::new)
}

/// A drain that finds somebody does not wait for him.
fn at_once() -> Option<Instant> {
    Some(Instant::now())
}

/// Somebody who is inside, in a thread of his own, until he is told to leave.
struct Visitor {
    _leave: mpsc::Sender<()>,
}

impl Visitor {
    fn enter<'scope>(
        scope: &'scope Scope<'scope, '_>,
        enter: impl FnOnce() -> Active<'scope, u32> + Send + 'scope,
    ) -> Self {
        let (_leave, left) = mpsc::channel();
        let (inside, came) = mpsc::channel();
        scope.spawn(move || {
            let guard = enter();
            inside.send(()).unwrap();
            // The other end is dropped.
            let _: Result<(), _> = left.recv();
            assert_eq!(*guard, 7);
        });
        came.recv().unwrap();
        Self { _leave }
    }

    fn under<'scope>(scope: &'scope Scope<'scope, '_>, arena: &'scope Disks, disk: Handle<Disk>, label: Label) -> Self {
        Self::enter(scope, move || arena.enter_labelled(disk, label).unwrap())
    }
}

/// Those under the label are waited for; the one under another label and the one under none stay inside all the while, and so
/// does the object.
#[test]
fn a_drain_waits_for_those_under_its_label_and_for_nobody_else() {
    for strategy in STRATEGIES {
        let arena: Disks = disks(strategy);
        let disk = arena.insert((), 7).unwrap();
        let [show, store, _] = labels();
        let left = AtomicBool::new(false);
        thread::scope(|scope| {
            let _others = [
                Visitor::under(scope, &arena, disk, store),
                Visitor::under(scope, &arena, disk, Label::NONE),
                Visitor::enter(scope, || arena.enter(disk).unwrap()),
            ];
            let shows = [(); 2].map(|()| Visitor::under(scope, &arena, disk, show));
            let drain = scope.spawn(|| {
                assert_eq!(arena.drain_labelled(disk, &[show], None), Ok(()));
                assert!(left.load(Ordering::SeqCst), "the drain has overtaken those inside");
            });
            let [first, second] = shows;
            drop(first);
            linger();
            assert!(!drain.is_finished());
            left.store(true, Ordering::SeqCst);
            drop(second);
            drain.join().unwrap();
            assert!(arena.enter_labelled(disk, show).is_ok(), "nobody is kept out");
        });
        assert_eq!(arena.remove(disk), Ok(7));
    }
}

#[test]
fn a_drain_of_several_labels_waits_for_each_and_one_of_none_for_nobody() {
    for strategy in STRATEGIES {
        let arena: Disks = disks(strategy);
        let disk = arena.insert((), 7).unwrap();
        let [show, store, probe] = labels();
        thread::scope(|scope| {
            let _unlabelled = Visitor::under(scope, &arena, disk, Label::NONE);
            for label in [show, store] {
                let visitor = Visitor::under(scope, &arena, disk, label);
                let drain = |labels: &[Label]| arena.drain_labelled(disk, labels, at_once());
                assert_eq!(drain(&[show, store]), Err(RemoveError::TimedOut));
                assert_eq!([drain(&[]), drain(&[Label::NONE]), drain(&[probe])], [Ok(()); 3]);
                drop(visitor);
                assert_eq!(arena.drain_labelled(disk, &[probe, show, store], None), Ok(()));
            }
        });
    }
}

/// E.g. a part of a neighbour that has the same name.
#[test]
fn a_drain_waits_for_nobody_in_another_object() {
    for strategy in STRATEGIES {
        let (arena, others): (Disks, Disks) = (disks(strategy), disks(strategy));
        let [disk, neighbour] = [(); 2].map(|()| arena.insert((), 7).unwrap());
        let other = others.insert((), 7).unwrap();
        let [show, ..] = labels();
        thread::scope(|scope| {
            let _inside = [Visitor::under(scope, &arena, neighbour, show), Visitor::under(scope, &others, other, show)];
            assert_eq!(arena.drain_labelled(disk, &[show], None), Ok(()));
        });
    }
}

/// A drain that came to its deadline has changed nothing, and can be begun again.
#[test]
fn a_drain_that_timed_out_is_begun_again() {
    for strategy in STRATEGIES {
        let arena: Disks = disks(strategy);
        let disk = arena.insert((), 7).unwrap();
        let [show, ..] = labels();
        thread::scope(|scope| {
            let visitor = Visitor::under(scope, &arena, disk, show);
            for _ in 0..3 {
                assert_eq!(arena.drain_labelled(disk, &[show], at_once()), Err(RemoveError::TimedOut));
                assert!(arena.contains(disk) && arena.enter_labelled(disk, show).is_ok());
            }
            drop(visitor);
            assert_eq!(arena.drain_labelled(disk, &[show], None), Ok(()));
            assert_eq!(arena.drain_labelled(disk, &[show], at_once()), Ok(()));
        });
    }
}

/// The same object is entered by one thread under two labels, one stay within the other.
#[test]
fn who_is_inside_under_the_label_himself_is_told() {
    for strategy in STRATEGIES {
        let arena: Disks = disks(strategy);
        let disk = arena.insert((), 7).unwrap();
        let [show, store, probe] = labels();
        let drain = |label| arena.drain_labelled(disk, &[label], None);
        let outer = arena.enter_labelled(disk, show).unwrap();
        assert_eq!([drain(show), drain(store)], [Err(RemoveError::Inside), Ok(())]);
        let inner = arena.enter_labelled(disk, store).unwrap();
        let _unlabelled = arena.enter(disk).unwrap();
        assert_eq!(
            [drain(show), drain(store), drain(probe)],
            [Err(RemoveError::Inside), Err(RemoveError::Inside), Ok(())]
        );
        assert_eq!(arena.drain_labelled(disk, &[probe, store], None), Err(RemoveError::Inside));
        drop(outer);
        assert_eq!([drain(show), drain(store)], [Ok(()), Err(RemoveError::Inside)]);
        thread::scope(|scope| {
            let other = || arena.drain_labelled(disk, &[store], at_once());
            assert_eq!(scope.spawn(other).join().unwrap(), Err(RemoveError::TimedOut), "another one waits");
        });
        drop(inner);
        assert_eq!(drain(store), Ok(()));
    }
}

#[test]
fn a_thread_is_told_whether_it_is_inside_under_a_label() {
    for strategy in STRATEGIES {
        let arena: Disks = disks(strategy);
        let (disk, neighbour) = (arena.insert((), 7).unwrap(), arena.insert((), 7).unwrap());
        let [show, store, probe] = labels();
        let is_inside = |labels: &[Label]| arena.is_inside_labelled(disk, labels);
        let _elsewhere = arena.enter_labelled(neighbour, show).unwrap();
        let _unlabelled = (arena.enter(disk).unwrap(), arena.enter_labelled(disk, Label::NONE).unwrap());
        let owned = arena.enter_owned(disk, show).unwrap();
        assert!(!is_inside(&[show, store, probe, Label::NONE]) && !is_inside(&[]));
        drop(owned);
        let guards = [show, store].map(|label| arena.enter_labelled(disk, label).unwrap());
        assert!(is_inside(&[show]) && is_inside(&[probe, store]) && !is_inside(&[probe]));
        thread::scope(|scope| assert!(!scope.spawn(|| is_inside(&[show, store])).join().unwrap()));
        let [first, second] = guards;
        drop(first);
        assert!(!is_inside(&[show]) && is_inside(&[store]));
        let mut leaving = arena.leave();
        leaving.mark(disk).unwrap();
        assert!(is_inside(&[store]), "the object is leaving, and the thread is inside");
        drop((second, leaving));
        assert!(!is_inside(&[store]));
        assert!(!arena.is_inside_labelled(Handle::null(), &[store]));
    }
}

#[test]
fn who_holds_a_pin_is_refused() {
    let arena: Disks = disks(Strategy::Auto);
    let disk = arena.insert((), 7).unwrap();
    let [show, ..] = labels();
    let pin = arena.domain().pin();
    assert_eq!(arena.drain_labelled(disk, &[show], None), Err(RemoveError::Pinned));
    drop(pin);
    assert_eq!(arena.drain_labelled(disk, &[show], None), Ok(()));
}

/// One that is leaving is waited for as any, and one that has left is not.
#[test]
fn an_object_may_be_leaving_or_have_left() {
    for strategy in STRATEGIES {
        let arena: Disks = disks(strategy);
        let disk = arena.insert((), 7).unwrap();
        let [show, store, _] = labels();
        let drain = |label| arena.drain_labelled(disk, &[label], at_once());
        thread::scope(|scope| {
            let shows = Visitor::under(scope, &arena, disk, show);
            let stores = Visitor::under(scope, &arena, disk, store);
            let remover = scope.spawn(|| assert_eq!(arena.remove(disk), Ok(7)));
            until(|| !arena.contains(disk));
            assert_eq!([drain(show), drain(store)], [Err(RemoveError::TimedOut); 2]);
            drop(shows);
            assert_eq!(arena.drain_labelled(disk, &[show], None), Ok(()));
            assert_eq!(drain(store), Err(RemoveError::TimedOut));
            drop(stores);
            assert_eq!(arena.drain_labelled(disk, &[store], None), Ok(()));
            remover.join().unwrap();
        });
        assert_eq!([drain(show), drain(store)], [Ok(()); 2]);
        let null = arena.drain_labelled(Handle::null(), &[show], None);
        assert_eq!([null, arena.drain_labelled(Handle::from_bits(u64::MAX), &[show], None)], [Ok(()); 2]);
    }
}

/// Who is inside the next object in the slot is not waited for under the handle of the one before.
#[test]
fn a_drain_of_what_has_left_waits_for_nobody_in_its_slot() {
    for strategy in STRATEGIES {
        let arena: Disks = disks(strategy);
        let disk = arena.insert((), 7).unwrap();
        let [show, ..] = labels();
        arena.remove(disk).unwrap();
        let next = loop {
            assert_eq!(arena.flush(), 0);
            let next = arena.insert((), 7).unwrap();
            if index(next) == index(disk) {
                break next;
            }
            arena.remove(next).unwrap();
        };
        thread::scope(|scope| {
            let _cell = Visitor::under(scope, &arena, next, show);
            let _owned = arena.enter_owned(next, show).unwrap();
            assert_eq!(arena.drain_labelled(next, &[show], at_once()), Err(RemoveError::TimedOut));
            assert_eq!(arena.drain_labelled(disk, &[show], None), Ok(()));
        });
    }
}

/// An owned reference counts under its label, whoever holds it; those under others and under none may stay.
#[test]
fn owned_references_are_waited_for_under_their_labels() {
    for strategy in STRATEGIES {
        let arena: Disks = disks(strategy);
        let disk = arena.insert((), 7).unwrap();
        let [show, store, probe] = labels();
        let drain = |label| arena.drain_labelled(disk, &[label], at_once());
        let _others = [store, Label::NONE].map(|label| arena.enter_owned(disk, label).unwrap());
        let owned = [(); 2].map(|()| arena.enter_owned(disk, show).unwrap());
        assert_eq!([drain(show), drain(store)], [Err(RemoveError::TimedOut); 2]);
        assert_eq!([drain(probe), drain(Label::NONE)], [Ok(()); 2]);
        let left = AtomicBool::new(false);
        thread::scope(|scope| {
            let waits = scope.spawn(|| {
                assert_eq!(arena.drain_labelled(disk, &[probe, show], None), Ok(()));
                assert!(left.load(Ordering::SeqCst), "the drain has overtaken an owned reference");
            });
            let [first, second] = owned;
            drop(first);
            linger();
            assert!(!waits.is_finished());
            left.store(true, Ordering::SeqCst);
            // Of the object's, and of the arena's, it is not the last.
            drop(second);
        });
        assert_eq!([drain(show), drain(store)], [Ok(()), Err(RemoveError::TimedOut)]);
    }
}

/// Whoever waits at the same time waits for what is his.
#[test]
fn two_drains_and_a_removal_each_end_when_theirs_have_left() {
    for strategy in STRATEGIES {
        let arena: Disks = disks(strategy);
        let disk = arena.insert((), 7).unwrap();
        let [show, store, _] = labels();
        thread::scope(|scope| {
            let shows = Visitor::under(scope, &arena, disk, show);
            let stores = Visitor::under(scope, &arena, disk, store);
            let owned = arena.enter_owned(disk, store).unwrap();
            let of_shows = scope.spawn(|| arena.drain_labelled(disk, &[show], None));
            let of_stores = scope.spawn(|| arena.drain_labelled(disk, &[store], None));
            let remover = scope.spawn(|| arena.remove(disk));
            until(|| !arena.contains(disk));
            linger();
            drop(shows);
            assert_eq!(of_shows.join().unwrap(), Ok(()));
            assert!(!of_stores.is_finished() && !remover.is_finished());
            drop(stores);
            linger();
            assert!(!of_stores.is_finished() && !remover.is_finished());
            drop(owned);
            assert_eq!(of_stores.join().unwrap(), Ok(()));
            assert_eq!(remover.join().unwrap(), Ok(7));
        });
    }
}

const ROUNDS: usize = if cfg!(miri) { 5 } else { 500 };

/// Others who never stop coming, under the label too, hold no drain up: each is waited for as long as that one stay lasts.
#[test]
fn a_drain_ends_though_others_keep_coming() {
    for strategy in STRATEGIES {
        let arena: Disks = disks(strategy);
        let disk = arena.insert((), 7).unwrap();
        let [show, store, _] = labels();
        let over = AtomicBool::new(false);
        thread::scope(|scope| {
            for label in [show, store] {
                let (arena, over) = (&arena, &over);
                scope.spawn(move || {
                    let mut random = Random::new(u64::from(label == show));
                    while !over.load(Ordering::Relaxed) {
                        let guard = arena.enter_labelled(disk, label).unwrap();
                        dawdle(&mut random);
                        drop(guard);
                        drop(arena.enter_owned(disk, label).unwrap());
                    }
                });
            }
            (0..ROUNDS).for_each(|_| assert_eq!(arena.drain_labelled(disk, &[show], None), Ok(())));
            over.store(true, Ordering::Relaxed);
        });
    }
}

/// What the whole is for: a part that is marked as gone and drained is used by nobody any more, while others go on in the rest of
/// the object.
#[test]
fn nobody_uses_a_part_that_has_been_revoked() {
    struct Parts {
        is_gone: AtomicBool,
        used: AtomicUsize,
        is_drained: AtomicBool,
    }
    for strategy in STRATEGIES {
        let arena = disks::<(), Parts>(strategy);
        let [show, store, _] = labels();
        let round = |seed: u64, is_owned: bool| {
            let parts = Parts { is_gone: false.into(), used: 0.into(), is_drained: false.into() };
            let disk = arena.insert((), parts).unwrap();
            let visit = |label, mut random: Random| {
                loop {
                    let guard = arena.enter_labelled(disk, label).unwrap();
                    let owned = is_owned.then(|| arena.enter_owned(disk, label).unwrap());
                    let guard = if is_owned {
                        drop(guard);
                        None
                    } else {
                        Some(guard)
                    };
                    let parts: &Parts = guard.as_deref().or(owned.as_deref()).unwrap();
                    // Relaxed: what the drain is to make enough.
                    if label == show && parts.is_gone.load(Ordering::Relaxed) {
                        return;
                    }
                    parts.used.fetch_add(usize::from(label == show), Ordering::Relaxed);
                    dawdle(&mut random);
                    let is_drained = parts.is_drained.load(Ordering::SeqCst);
                    assert!(label != show || !is_drained, "somebody is in a part that has been drained");
                    if is_drained {
                        return;
                    }
                }
            };
            thread::scope(|scope| {
                for (at, label) in [show, show, store].into_iter().enumerate() {
                    scope.spawn(move || visit(label, Random::new(seed * 3 + at as u64)));
                }
                dawdle(&mut Random::new(seed));
                let parts = arena.enter(disk).unwrap();
                parts.is_gone.store(true, Ordering::Relaxed);
                assert_eq!(arena.drain_labelled(disk, &[show], None), Ok(()));
                parts.is_drained.store(true, Ordering::SeqCst);
                let used = parts.used.load(Ordering::Relaxed);
                linger();
                assert_eq!(parts.used.load(Ordering::Relaxed), used);
            });
            assert!(arena.remove(disk).is_ok());
        };
        (0..ROUNDS as u64).for_each(|seed| round(seed, seed % 4 == 0));
    }
}
