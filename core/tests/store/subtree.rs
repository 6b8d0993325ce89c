//! Removing a whole subtree.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::thread;

use enodev::{AsKobject, DeviceHandle, DeviceType, Errno, Error, Removal};

use crate::common::{GONE, Rig, linger, panic_of, until};

/// `pci0`, in it `ata1` and `ata2`, in `ata1` the disks `sda` and `sdb`, in `sda` the partition `sda1`.
fn computer(rig: &Rig) -> Vec<DeviceHandle> {
    let pci = rig.add(rig.store.root(), "pci0");
    let [ata1, ata2] = ["ata1", "ata2"].map(|name| rig.add(pci, name));
    let [sda, sdb] = ["sda", "sdb"].map(|name| rig.add(ata1, name));
    vec![pci, ata1, ata2, sda, sdb, rig.add(sda, "sda1")]
}

/// Whether all children were dropped before their parents.
fn children_first(dropped: &[String]) -> bool {
    let at = |name: &str| dropped.iter().position(|other| other == name).unwrap();
    let pairs = [("sda1", "sda"), ("sda", "ata1"), ("sdb", "ata1"), ("ata1", "pci0"), ("ata2", "pci0")];
    pairs.iter().all(|(child, parent)| at(child) < at(parent))
}

/// S4-4: a subtree goes as one: all payloads are dropped when the call returns, on the caller's thread, children before
/// parents; the count tells how many objects went, directories included, and what stands beside it stays.
#[test]
fn a_subtree_is_dropped_children_first_on_the_callers_thread() {
    let rig = Rig::new();
    let store = &rig.store;
    let all = computer(&rig);
    let beside = rig.add(store.root(), "pci1");
    let plain = store.create(all[2], "empty").unwrap();
    store.link(all[3], "out", beside).unwrap();
    assert_eq!(store.unregister_subtree(all[0]), Ok(Removal::Done(7)));
    assert!(rig.world.dropped_here() && rig.dropped().len() == 6);
    assert!(children_first(&rig.dropped()), "{:?}", rig.dropped());
    assert!(all.iter().all(|gone| !store.contains(*gone)) && !store.contains(plain));
    rig.assert_holds(store.root(), &["pci1"]);
    assert_eq!((store.len(), rig.read(beside, "name")), (1, Ok("pci1\n".into())));
    assert_eq!(store.unregister_subtree(beside), Ok(Removal::Done(1)));
}

/// E-4, E-25: all of a subtree is marked before any of it is waited for. While one callback holds the removal up, wherever
/// in the tree that callback is, every other object answers ENODEV already, nothing can be added anywhere below, no
/// name is found, and no payload is dropped.
#[test]
fn all_is_marked_before_any_is_waited_for() {
    for busy in 0..6 {
        let rig = Rig::new();
        let store = &rig.store;
        let all = computer(&rig);
        let paths: Vec<_> = all.iter().map(|object| store.path(*object).unwrap()).collect();
        thread::scope(|scope| {
            let shut = rig.world.gate.shut();
            let inside = scope.spawn(|| rig.read(all[busy], "slow"));
            rig.world.gate.wait_for(1);
            let remover = scope.spawn(|| store.unregister_subtree(all[0]));
            until(|| !store.contains(all[0]));
            for (object, path) in all.iter().zip(&paths) {
                assert_eq!(rig.read(*object, "name"), Err(GONE), "{path}");
                assert_eq!(rig.try_add(*object, "new"), Err(GONE), "{path}");
                assert_eq!(store.create(*object, "new"), Err(GONE), "{path}");
                assert_eq!(store.link(*object, "new", store.root()), Err(GONE), "{path}");
                assert_eq!(store.lookup(path), Err(Error::NotFound), "{path}");
            }
            linger();
            assert!(!remover.is_finished());
            assert!(rig.dropped().iter().all(|name| name == "new"), "{:?}", rig.dropped());
            drop(shut);
            assert!(inside.join().unwrap().is_ok());
            assert_eq!(remover.join().unwrap(), Ok(Removal::Done(6)));
        });
        assert!(children_first(&rig.dropped()) && store.is_empty());
    }
}

/// E-4: whoever registers below a subtree while it is removed is removed with it or gets ENODEV; no object is left behind.
#[test]
fn a_newcomer_is_in_the_batch_or_is_refused() {
    let rig = Rig::new();
    let store = &rig.store;
    for round in 0..50 {
        let top = rig.add(store.root(), "top");
        let below = rig.add(top, "below");
        let started = AtomicUsize::new(0);
        let (added, gone) = thread::scope(|scope| {
            let adders: Vec<_> = (0..2)
                .map(|thread| {
                    let (rig, started) = (&rig, &started);
                    scope.spawn(move || {
                        let mut added = Vec::new();
                        let mut parents = vec![top, below];
                        loop {
                            let n = added.len();
                            let name = format!("{thread}-{n}");
                            match rig.try_add(parents[n % parents.len()], &name) {
                                Ok(new) => {
                                    added.push(new);
                                    parents.push(new);
                                    started.fetch_add(1, SeqCst);
                                    thread::yield_now();
                                }
                                Err(error) => {
                                    assert_eq!(error, GONE);
                                    return added;
                                }
                            }
                        }
                    })
                })
                .collect();
            until(|| started.load(SeqCst) > round % 7);
            let gone = store.unregister_subtree(top).unwrap().count();
            let added: Vec<_> = adders.into_iter().flat_map(|adder| adder.join().unwrap()).collect();
            (added, gone)
        });
        assert_eq!(gone, 2 + added.len());
        assert!(added.iter().all(|new| !store.contains(*new)) && store.is_empty());
        // Each adder was refused once.
        assert_eq!(rig.world.dropped_since(), gone + 2);
    }
}

/// Says its name as it panics in its drop.
struct Mine(&'static str, Arc<AtomicUsize>);

impl Drop for Mine {
    fn drop(&mut self) {
        self.1.fetch_add(1, SeqCst);
        if self.0 != "quiet" {
            std::panic::panic_any(self.0);
        }
    }
}

/// Payloads that panic as they are dropped change nothing for the others: all are dropped, the tree is consistent, the names
/// are free, and the first panic goes on.
#[test]
fn a_payload_that_panics_in_its_drop_holds_nothing_up() {
    let rig = Rig::new();
    let store = &rig.store;
    let mine = store.define(DeviceType::shared::<Mine>("mine")).unwrap();
    let drops = Arc::new(AtomicUsize::new(0));
    let top = rig.add(store.root(), "top");
    let lay = |parent: DeviceHandle, name: &'static str| {
        let payload = Mine(name, Arc::clone(&drops));
        store.register(parent, name, mine, payload).unwrap()
    };
    let later = lay(top, "later");
    let first = lay(later, "first");
    let quiet = lay(top, "quiet");
    let outside = rig.add(store.root(), "outside");
    store.link(outside, "mined", first).unwrap();

    assert_eq!(panic_of(|| store.unregister_subtree(top)), "first");
    assert_eq!((drops.load(SeqCst), rig.dropped()), (3, vec!["top".into()]));
    for gone in [top, later, first, quiet] {
        assert_eq!(store.path(gone), Err(GONE));
        assert_eq!(store.unregister_subtree(gone), Err(GONE));
    }
    rig.assert_holds(store.root(), &["outside"]);
    rig.assert_holds(outside, &[]);
    assert_eq!((store.len(), store.flush()), (1, 0));
    let top = rig.add(store.root(), "top");
    assert_eq!(rig.read(top, "name"), Ok("top\n".into()));
}

#[test]
fn the_root_stays() {
    let rig = Rig::new();
    let store = &rig.store;
    computer(&rig);
    assert_eq!(store.unregister_subtree(store.root()), Err(Error::Root));
    assert_eq!(Error::Root.errno(), Errno::EPERM);
    let root = DeviceHandle::from_bits(store.root().to_bits());
    assert_eq!(root.kobject(), store.root());
    assert!(store.unregister::<()>(root).is_err());
    assert_eq!((store.len(), rig.dropped().len()), (6, 0));
}
