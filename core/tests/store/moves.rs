//! Moving objects while others look: every answer is one of the tree as it was at some moment.

use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::thread;

use enodev::{AsKobject, DeviceHandle, Errno, Error, KobjectHandle, Store};

use crate::common::{Disk, GONE, Rig, names_in};

/// Runs `change` for `0..rounds` on one thread, and `look` on another until that is done and once after.
fn look_during(rounds: usize, change: impl Fn(usize), look: impl Fn() + Sync) {
    let (done, start) = (AtomicBool::new(false), Barrier::new(2));
    thread::scope(|scope| {
        scope.spawn(|| {
            start.wait();
            loop {
                let is_last = done.load(SeqCst);
                look();
                if is_last {
                    break;
                }
            }
        });
        start.wait();
        // Also where a change panics: the other thread would go on for ever.
        let _done = Done(&done);
        (0..rounds).for_each(change);
    });
}

struct Done<'a>(&'a AtomicBool);

impl Drop for Done<'_> {
    fn drop(&mut self) {
        self.0.store(true, SeqCst);
    }
}

/// T97: while an object gets a longer name and a shorter one in turn, its path and that of what is below it are always of one of
/// the two names, whole; its directory lists it once, under one of them.
#[test]
fn a_name_that_is_changed_is_read_whole() {
    let rig = Rig::new();
    let store = &rig.store;
    let bus = rig.add(store.root(), "bus");
    let disk = rig.add(bus, "s");
    let part = rig.add(disk, "part");
    let names = ["s".to_owned(), "l".repeat(255)];
    let paths = names.each_ref().map(|name| Ok(format!("/bus/{name}/part")));
    look_during(
        3000,
        |round| store.rename(disk, &names[(round + 1) % 2]).unwrap(),
        || {
            let path = store.path(part);
            assert!(paths.contains(&path), "{path:?}");
            let list = names_in(store, bus);
            assert!(list.len() == 1 && names.contains(&list[0]), "{list:?}");
            let device = store.path(disk).unwrap();
            assert!(names.iter().any(|name| device == format!("/bus/{name}")), "{device}");
        },
    );
}

/// T97: an object that goes from one directory to another is in one of them for whoever looks it up, and where its path or its parent
/// says that it is.
#[test]
fn an_object_that_is_moved_is_always_somewhere() {
    let rig = Rig::new();
    let store = &rig.store;
    let dirs = ["a", "b"].map(|name| store.create(store.root(), name).unwrap());
    let disk = rig.add(dirs[0], "x");
    let part = rig.add(disk, "part");
    let names = ["x", "y"];
    let paths = ["/a/x/part", "/b/y/part"];
    look_during(
        3000,
        |round| store.move_to(disk, dirs[(round + 1) % 2], names[(round + 1) % 2]).unwrap(),
        || {
            let path = store.path(part).unwrap();
            assert!(paths.contains(&path.as_str()), "{path}");
            for path in paths {
                let found = store.lookup(path);
                assert!([Ok(part.kobject()), Err(Error::NotFound)].contains(&found), "{found:?}");
            }
            for path in ["/a/y", "/b/x"] {
                assert_eq!(store.lookup(path), Err(Error::NotFound), "{path}");
            }
            // By a path that leads through the object and back, whichever directory it is in.
            let back = [store.lookup("/a/x/part/../.."), store.lookup("/b/y/part/../..")];
            for (found, dir) in back.into_iter().zip(dirs) {
                assert!([Ok(dir), Err(Error::NotFound)].contains(&found), "{found:?}");
            }
            assert!(dirs.contains(&store.parent(disk).unwrap()));
        },
    );
}

/// T97: who has seen a move by one way sees it by every other: the moves of an object are counted in its name, and no answer is of a
/// lower number than the one before.
#[test]
fn no_answer_goes_back_behind_another() {
    let rig = Rig::new();
    let store = &rig.store;
    let dirs = ["a", "b"].map(|name| store.create(store.root(), name).unwrap());
    let disk = rig.add(dirs[0], "0");
    let number = |path: &str| path.rsplit('/').next().unwrap().parse::<usize>().unwrap();
    let latest = AtomicUsize::new(0);
    let saw = |seen: usize| assert!(latest.fetch_max(seen, SeqCst) <= seen);
    look_during(
        5000,
        |round| store.move_to(disk, dirs[round / 3 % 2], &(round + 1).to_string()).unwrap(),
        || {
            saw(number(&store.path(disk).unwrap()));
            for dir in dirs {
                let names = names_in(store, dir);
                assert!(names.len() <= 1);
                names.iter().for_each(|name| saw(number(name)));
            }
        },
    );
}

/// F25: as long as an object is moved once at most, whoever misses it where it comes from finds it where it goes to, and whoever finds
/// it there misses it where it came from, by its entries and by its parent: it is in one place at any time.
#[test]
fn an_object_is_in_one_place_at_any_time() {
    let rig = Rig::new();
    let store = &rig.store;
    let dirs = ["a", "b"].map(|name| store.create(store.root(), name).unwrap());
    let x = store.create(dirs[0], "x").unwrap();
    // How many moves have begun. An odd one goes from the first directory to the second.
    let begun = AtomicUsize::new(0);
    look_during(
        20_000,
        |round| {
            begun.store(round + 1, SeqCst);
            store.move_to(x, dirs[(round + 1) % 2], "x").unwrap();
            // The time for a look that nothing else comes in between of.
            (0..round % 300).for_each(|_| std::hint::spin_loop());
        },
        || {
            let before = begun.load(SeqCst);
            let (from, to) = (dirs[(before + 1) % 2], dirs[before % 2]);
            let is_in = |dir| !names_in(store, dir).is_empty();
            let is_parent = |dir| store.parent(x) == Ok(dir);
            let missed = [(!is_in(from), is_in(to)), (!is_in(from), is_parent(to)), (!is_parent(from), is_in(to))];
            let found = [(is_in(to), !is_in(from)), (is_in(to), is_parent(to)), (is_parent(to), !is_in(from))];
            if begun.load(SeqCst) == before {
                for (first, then) in missed.into_iter().chain(found) {
                    assert!(!first || then, "{missed:?} {found:?}");
                }
            }
        },
    );
}

/// `a0`, in it 30 plain directories one in the other, in the innermost `b0`, in that `x`.
struct Tower {
    a: KobjectHandle,
    b: KobjectHandle,
    x: KobjectHandle,
    between: String,
}

impl Tower {
    fn new(store: &Store) -> Self {
        let a = store.create(store.root(), "a0").unwrap();
        let between = "/d".repeat(30);
        let inner = (0..30).fold(a, |dir, _| store.create(dir, "d").unwrap());
        let b = store.create(inner, "b0").unwrap();
        Self { a, b, x: store.create(b, "x").unwrap(), between }
    }

    fn path(&self, a: usize, b: usize) -> String {
        format!("/a{a}{}/b{b}/x", self.between)
    }
}

/// T97: two ancestors are renamed in turn, so that their numbers are alike or the upper one is one ahead. No path says otherwise, and
/// nothing is found by a path that never was, though each of its names was there at some time.
#[test]
fn no_path_is_met_that_never_was() {
    let rig = Rig::new();
    let store = &rig.store;
    let tower = Tower::new(store);
    let latest = AtomicUsize::new(0);
    look_during(
        4000,
        |round| {
            store.rename(tower.a, &format!("a{}", round + 1)).unwrap();
            store.rename(tower.b, &format!("b{}", round + 1)).unwrap();
            latest.store(round + 1, SeqCst);
        },
        || {
            let path = store.path(tower.x).unwrap();
            let number = |letter: char| {
                let name = path.split('/').find(|name| name.starts_with(letter)).unwrap();
                name[1..].parse::<usize>().unwrap()
            };
            let (a, b) = (number('a'), number('b'));
            assert!(a == b || a == b + 1, "{path}");
            let now = latest.load(SeqCst);
            for (a, b) in [(now, now + 1), (now + 1, now + 2), (now + 2, now)] {
                assert_eq!(store.lookup(&tower.path(a, b)), Err(Error::NotFound), "a{a} b{b}");
            }
        },
    );
    assert_eq!(store.lookup(&tower.path(4000, 4000)), Ok(tower.x));
}

/// A name that is there all the time is found all the time, though a directory on the way is moved from under one parent to another and
/// back: the path leads through links.
#[test]
fn what_is_there_all_the_time_is_always_found() {
    let rig = Rig::new();
    let store = &rig.store;
    let tower = Tower::new(store);
    let other = store.create(store.root(), "other").unwrap();
    store.link(store.root(), "short", tower.b).unwrap();
    let inner = store.parent(tower.b).unwrap();
    look_during(
        3000,
        |round| store.move_to(tower.b, [other, inner][round % 2], "b0").unwrap(),
        || {
            assert_eq!(store.lookup("/short/x"), Ok(tower.x));
            assert_eq!(store.lookup("/short/x/.."), Ok(tower.b));
            assert_eq!(store.links_to(tower.b).unwrap().len(), 1);
            assert_eq!(store.readlink(store.root(), "short"), Ok(tower.b));
        },
    );
}

/// F25: two threads move each of two directories into the other, at once: one of them is told that its directory would be below itself,
/// and there is no circle that no path leads to.
#[test]
fn two_moves_make_no_circle() {
    let rig = Rig::new();
    let store = &rig.store;
    let [a, b] = ["a", "b"].map(|name| store.create(store.root(), name).unwrap());
    let barrier = Barrier::new(2);
    for _ in 0..300 {
        let (one, other) = thread::scope(|scope| {
            let other = scope.spawn(|| {
                barrier.wait();
                store.move_to(b, a, "b")
            });
            barrier.wait();
            (store.move_to(a, b, "a"), other.join().unwrap())
        });
        let refused = Err(Errno::EINVAL.into());
        let (is_b_above, paths) = (one.is_ok(), [a, b].map(|object| store.path(object).unwrap()));
        assert_eq!((one, other), if is_b_above { (Ok(()), refused) } else { (refused, Ok(())) });
        assert_eq!(paths, if is_b_above { ["/b/a", "/b"] } else { ["/a", "/a/b"] });
        store.move_to(a, store.root(), "a").unwrap();
        store.move_to(b, store.root(), "b").unwrap();
    }
}

/// E-4, F25: a removal of a subtree and moves of an object into it and out of it, at once: the object goes with the subtree, or is outside
/// and stays whole. Whoever moves it is told which.
#[test]
fn a_moved_object_goes_with_the_one_or_stays_with_the_other() {
    let rig = Rig::new();
    let store = &rig.store;
    let (mut went, mut stayed) = (0, 0);
    for round in 0..200 {
        let [top, beside] = ["top", "beside"].map(|name| rig.add(store.root(), name));
        let x = rig.add(beside, "x");
        let below = rig.add(x, "below");
        let started = AtomicUsize::new(0);
        let (end, removed) = thread::scope(|scope| {
            let mover = scope.spawn(|| {
                for n in 0.. {
                    let moved = store.move_to(x, [top, beside][n % 2], "x");
                    started.fetch_add(1, SeqCst);
                    if let Err(error) = moved {
                        return error;
                    }
                }
                unreachable!("the subtree goes");
            });
            crate::common::until(|| started.load(SeqCst) > round % 5);
            let removed = store.unregister_subtree(top).unwrap().count();
            (mover.join().unwrap(), removed)
        });
        match end {
            GONE => {
                went += 1;
                assert_eq!((removed, store.contains(below)), (3, false));
                rig.assert_holds(beside, &[]);
            }
            Error::NotFound => {
                stayed += 1;
                assert_eq!((removed, store.path(below)), (1, Ok("/beside/x/below".into())));
            }
            other => unreachable!("{other:?}"),
        }
        store.unregister_subtree(beside).unwrap();
        assert!(store.is_empty());
        assert_eq!(rig.world.dropped_since(), 4);
    }
    assert_eq!(went + stayed, 200);
}

/// T105: a directory whose last child leaves while another child comes: it is refused its removal, or the newcomer is refused its
/// place; never does a child stand in a directory that has gone.
#[test]
fn a_directory_goes_or_gets_a_child_not_both() {
    let rig = Rig::new();
    let store = &rig.store;
    let barrier = Barrier::new(2);
    for round in 0..300 {
        let dir = rig.add(store.root(), "dir");
        let last = rig.add(dir, "last");
        let waiting = rig.add(store.root(), "waiting");
        let is_move = round % 2 == 0;
        let (came, refusal) = thread::scope(|scope| {
            let adder = scope.spawn(|| {
                barrier.wait();
                if is_move {
                    (store.move_to(waiting, dir, "new"), Error::NotFound)
                } else {
                    (rig.try_add(dir, "new").map(drop), GONE)
                }
            });
            barrier.wait();
            drop(store.unregister::<Disk>(last).unwrap());
            let went = store.unregister::<Disk>(dir).map(drop);
            let (came, refusal) = adder.join().unwrap();
            assert_eq!(went.err(), came.is_ok().then_some(Error::HasChildren));
            (came, refusal)
        });
        if came.is_ok() {
            rig.assert_holds(dir, &["new"]);
            store.unregister_subtree(dir).unwrap();
        } else {
            assert_eq!(came, Err(refusal));
        }
        if store.contains(waiting) {
            drop(store.unregister::<Disk>(waiting).unwrap());
        }
        assert!(store.is_empty());
    }
}

/// T102: a directory is listed while others come, go and change their names in it: no survivor is left out or listed twice, and nothing is
/// listed whose removal had returned.
#[test]
fn a_list_has_every_survivor_and_no_dead() {
    let rig = Rig::new();
    let store = &rig.store;
    let dir = rig.add(store.root(), "dir");
    let survivors: Vec<DeviceHandle> = (0..20).map(|n| rig.add(dir, &format!("s{n}"))).collect();
    // All with a lower number have gone.
    let gone = AtomicUsize::new(0);
    look_during(
        1500,
        |round| {
            let passer = rig.add(dir, &format!("p{round}"));
            let renamed = survivors[round % 20];
            store.rename(renamed, &format!("r{round}")).unwrap();
            drop(store.unregister::<Disk>(passer).unwrap());
            gone.store(round + 1, SeqCst);
        },
        || {
            let dead = gone.load(SeqCst);
            let list = store.list(dir).unwrap();
            for survivor in &survivors {
                let times = list.iter().filter(|e| e.kind == enodev::EntryKind::Object(survivor.kobject())).count();
                assert_eq!(times, 1, "{survivor:?}");
            }
            let passers = list.iter().filter_map(|entry| entry.name.strip_prefix('p'));
            assert!(passers.into_iter().all(|number| number.parse::<usize>().unwrap() >= dead));
        },
    );
}
