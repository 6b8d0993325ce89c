//! Changes of the tree that overlap: additions, links, moves, and removals of subtrees that are within each other.

use std::collections::HashSet;
use std::sync::Barrier;
use std::thread;

use enodev::{AsKobject, EntryKind, Error, KobjectHandle, Removal, Store};
use parking_lot::Mutex;

use crate::common::{GONE, Rig};

/// The next number of a thread's own row (xorshift64), below `below`.
fn next(state: &mut u64, below: usize) -> usize {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    (*state % below as u64) as usize
}

/// What the threads know: handles of objects that are there, or were.
struct Known(Mutex<Vec<KobjectHandle>>);

impl Known {
    /// Any of them, the root among them.
    fn any(&self, store: &Store, state: &mut u64) -> KobjectHandle {
        let known = self.0.lock();
        known.get(next(state, known.len() + 1)).copied().unwrap_or(store.root())
    }

    fn add(&self, object: KobjectHandle) {
        let mut known = self.0.lock();
        if known.len() >= 64 {
            known.remove(0);
        }
        known.push(object);
    }
}

const NAMES: [&str; 4] = ["a", "b", "c", "d"];

/// One change, of whatever comes.
fn change(rig: &Rig, known: &Known, state: &mut u64) {
    let store = &rig.store;
    let (one, other) = (known.any(store, state), known.any(store, state));
    let name = NAMES[next(state, NAMES.len())];
    let link = NAMES[next(state, NAMES.len())];
    let expected = match next(state, 9) {
        0..=2 => store.create(one, name).map(|object| known.add(object)),
        // Claims two directories and more.
        3 => store
            .new_device(one, name, rig.disk, rig.payload(name))
            .link(link, other)
            .linked_from(other, link)
            .register()
            .map(|device| known.add(device.kobject())),
        4 => store.move_to(one, other, name),
        5 => store.link(one, name, other),
        6 => store.unlink(one, name),
        _ => store.unregister_subtree(one).map(drop),
    };
    match expected {
        Ok(()) | Err(GONE | Error::Exists | Error::NotFound | Error::Root) => {}
        // Of the root, or into itself.
        Err(Error::Errno(enodev::Errno::EINVAL)) => {}
        Err(error) => panic!("{error:?}"),
    }
}

/// All objects that can be reached from one, which is among them.
fn reachable(store: &Store, top: KobjectHandle) -> HashSet<KobjectHandle> {
    let (mut found, mut next) = (vec![top], 0);
    while let Some(object) = found.get(next).copied() {
        for entry in store.list(object).unwrap() {
            match entry.kind {
                EntryKind::Object(child) => {
                    assert_eq!(store.parent(child), Ok(object));
                    found.push(child);
                }
                EntryKind::Link(target) => {
                    assert!(store.links_to(target).unwrap().contains(&(object, entry.name)), "a link at one end only");
                }
                _ => {}
            }
        }
        next += 1;
    }
    let set: HashSet<_> = found.iter().copied().collect();
    assert_eq!(set.len(), found.len(), "something stands in two places");
    set
}

/// T27, T98, T105: however additions, links, moves and removals of subtrees overlap, none waits for another in a circle, and what is left
/// is a tree: each object in its parent's directory, each link at both of its ends, and nothing that cannot be found.
#[test]
fn overlapping_changes_leave_a_tree() {
    let rig = Rig::new();
    let known = Known(Mutex::new(Vec::new()));
    for round in 0..20_u64 {
        let barrier = Barrier::new(4);
        thread::scope(|scope| {
            for thread in 0..4 {
                let (rig, known, barrier) = (&rig, &known, &barrier);
                scope.spawn(move || {
                    let mut state = 0x9e37_79b9_7f4a_7c15_u64.wrapping_mul(4 * round + thread + 1);
                    barrier.wait();
                    (0..400).for_each(|_| change(rig, known, &mut state));
                });
            }
        });
        let found = reachable(&rig.store, rig.store.root());
        assert_eq!(found.len(), rig.store.len() + 1, "something is there that cannot be found");
        for object in &found {
            assert_eq!(rig.store.lookup(&rig.store.path(*object).unwrap()), Ok(*object));
            for (dir, name) in rig.store.links_to(*object).unwrap() {
                assert_eq!(rig.store.readlink(dir, &name), Ok(*object));
            }
        }
    }
}

/// T98: each of several threads removes one level of a chain of directories, and all below: each object goes once, and when a removal
/// returns, what it was asked for is gone.
#[test]
fn removals_within_each_other_take_each_object_once() {
    let rig = Rig::new();
    for _ in 0..200 {
        let mut chain = vec![rig.store.root()];
        for level in 0..6 {
            let dir = rig.store.create(chain[level], "dir").unwrap();
            (0..3).for_each(|leaf| _ = rig.add(dir, &format!("leaf{leaf}")));
            chain.push(dir);
        }
        let barrier = Barrier::new(3);
        let removed: usize = thread::scope(|scope| {
            let remove = |level: usize| {
                let (store, dir, barrier) = (&rig.store, chain[level], &barrier);
                scope.spawn(move || {
                    barrier.wait();
                    let removed = match store.unregister_subtree(dir) {
                        Ok(Removal::Done(count)) => count,
                        Err(GONE) => 0,
                        other => panic!("{other:?}"),
                    };
                    assert!(!store.contains(dir));
                    removed
                })
            };
            [5, 1, 3].map(remove).into_iter().map(|thread| thread.join().unwrap()).sum()
        });
        assert_eq!((removed, rig.store.len()), (6 * 4, 0));
        assert_eq!(rig.world.dropped_since(), 18);
    }
}
