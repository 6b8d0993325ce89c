//! Groups that are taken away from an object: by others, and as the object leaves.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::thread;

use enodev::{
    Access, AnyObject, AsKobject, Context, DeviceType, Errno, Error, Group, GroupHandle, KobjectHandle, Page, Removal,
    Store,
};

use crate::common::{GONE, Gate, all_in, linger, until};

/// A store with a group of `slow`, whose readers stop at the gate, and `fast`.
struct Rig {
    store: Store,
    group: GroupHandle,
    gate: Arc<Gate>,
    /// How many are in `slow`.
    inside: Arc<AtomicUsize>,
}

impl Rig {
    fn new() -> Self {
        let (store, gate, inside) = (Store::new().unwrap(), Arc::new(Gate::default()), Arc::new(AtomicUsize::new(0)));
        let (pass, count) = (Arc::clone(&gate), Arc::clone(&inside));
        let slow = move |_: Context<'_, ()>, page: &mut Page| {
            count.fetch_add(1, SeqCst);
            pass.pass();
            count.fetch_sub(1, SeqCst);
            page.line("slow")
        };
        let group = Group::<AnyObject>::named("group").ro("slow", slow).rw("fast", |_, _| Ok(()), |_, _| Ok(()));
        let group = store.define_group(group).unwrap();
        Self { store, group, gate, inside }
    }

    fn object(&self, name: &str) -> KobjectHandle {
        let object = self.store.create(self.store.root(), name).unwrap();
        self.store.add_group(object, self.group).unwrap();
        object
    }

    /// Removes the group, and tells how many were inside when that returned.
    fn remove(&self, object: KobjectHandle) -> (Result<Removal, Error>, usize) {
        let answer = self.store.remove_group(object, self.group);
        (answer, self.inside.load(SeqCst))
    }

    fn is_there(&self, object: KobjectHandle) -> bool {
        self.store.attribute(object, "group/fast").is_ok()
    }
}

/// S2-9, T41, T104: a group is gone for all from the moment that its removal begins, by whatever copy of a handle or file; the
/// remover waits for those who are inside, and for nobody in the same attributes of another object. The name is taken until then.
/// What was open stays dead when the group is given again.
#[test]
fn a_group_that_is_taken_away_is_gone_and_drained() {
    let rig = Rig::new();
    let store = &rig.store;
    let (object, other) = (rig.object("object"), rig.object("other"));
    let fast = store.attribute(object, "group/fast").unwrap();
    let files = [(); 2].map(|()| store.open(object, "group/fast", Access::READ | Access::WRITE).unwrap());
    let beside = store.open(other, "group/fast", Access::READ).unwrap();
    let assert_dead = || {
        for file in &files {
            assert_eq!(file.pread(store, 0, &mut [0]), Err(Errno::ENODEV));
            assert_eq!(file.write(store, b"x"), Err(Errno::ENODEV));
        }
    };
    thread::scope(|scope| {
        let shut = rig.gate.shut();
        scope.spawn(|| store.read(other, "group/slow"));
        rig.gate.wait_for(1);
        assert_eq!(store.remove_group(object, rig.group), Ok(Removal::Done(2)), "nobody is in it here");
        store.add_group(object, rig.group).unwrap();
        assert_dead();
        let reader = scope.spawn(|| store.read(object, "group/slow"));
        rig.gate.wait_for(2);
        let remover = scope.spawn(|| store.remove_group(object, rig.group));
        until(|| !rig.is_there(object));
        assert_dead();
        assert_eq!(store.show(object, fast, &mut Page::new()), Err(Errno::ENODEV));
        assert_eq!((all_in(store, object), store.list_group(object, rig.group)), (vec![], Err(Error::NotFound)));
        assert_eq!(store.create(object, "group"), Err(Error::Exists), "the name is taken while it leaves");
        assert_eq!(store.add_group(object, rig.group), Err(Error::Exists));
        assert_eq!(store.update_group(object, rig.group), Err(Error::NotFound));
        assert_eq!(store.hide_attribute(object, fast), Err(Error::NotFound));
        assert_eq!(store.groups(object), Ok(vec![rig.group]));
        linger();
        assert!(!remover.is_finished());
        assert_eq!(beside.pread(store, 0, &mut [0]), Ok(0));
        drop(shut);
        assert_eq!(remover.join().unwrap(), Ok(Removal::Done(2)));
        assert_eq!(reader.join().unwrap(), Ok(b"slow\n".to_vec()));
    });
    assert_eq!((store.groups(object), store.groups(other)), (Ok(vec![]), Ok(vec![rig.group])));
    let child = store.create(object, "group").unwrap();
    store.unregister_subtree(child).unwrap();
    store.add_group(object, rig.group).unwrap();
    assert_dead();
    assert_eq!(store.write(object, "group/fast", b"x"), Ok(()));
    assert_eq!(store.show(object, fast, &mut Page::new()), Ok(()));
}

/// E-6: of several who remove one group one did it; the others are told that it is not there, and not before nobody is inside any
/// more and the group and its names are free. None waits for who is in the same attribute of another object.
#[test]
fn a_second_remover_returns_when_the_group_has_gone() {
    for round in 0..30 {
        let rig = Rig::new();
        let store = &rig.store;
        let (object, other) = (rig.object("object"), rig.object("other"));
        thread::scope(|scope| {
            let other_shut = rig.gate.shut();
            scope.spawn(|| store.read(object, "group/slow"));
            rig.gate.wait_for(1);
            let remove = || {
                let (answer, inside) = rig.remove(object);
                assert_eq!(inside, 0);
                let groups = store.groups(object).unwrap();
                assert!(groups.is_empty(), "told {answer:?}, but {groups:?}");
                answer
            };
            let removers = [(); 3].map(|()| scope.spawn(remove));
            until(|| !rig.is_there(object));
            if round < 5 {
                linger();
            }
            assert!(rig.is_there(other));
            drop(other_shut);
            let mut answers = removers.map(|remover| remover.join().unwrap());
            answers.sort_by_key(Result::is_err);
            assert_eq!(answers, [Ok(Removal::Done(2)), Err(Error::NotFound), Err(Error::NotFound)]);
        });
        assert_eq!(store.add_group(object, rig.group), Ok(()));
        assert_eq!(store.read(object, "group/slow"), Ok(b"slow\n".to_vec()));
    }
}

/// Removers, adders and readers on many threads: of each time that the group was given one removal is told that it did it.
#[test]
fn each_addition_is_removed_once() {
    let rig = Rig::new();
    let store = &rig.store;
    let object = store.create(store.root(), "object").unwrap();
    let (added, removed) = (AtomicUsize::new(0), AtomicUsize::new(0));
    thread::scope(|scope| {
        for thread in 0..4 {
            let (rig, added, removed) = (&rig, &added, &removed);
            scope.spawn(move || {
                for _ in 0..300 {
                    if thread == 0 {
                        assert!(matches!(store.read(object, "group/slow"), Ok(_) | Err(Error::NotFound | GONE)));
                    }
                    match store.add_group(object, rig.group) {
                        Ok(()) => drop(added.fetch_add(1, SeqCst)),
                        Err(error) => assert_eq!(error, Error::Exists),
                    }
                    match store.remove_group(object, rig.group) {
                        Ok(removal) => {
                            assert_eq!(removal, Removal::Done(2));
                            removed.fetch_add(1, SeqCst);
                        }
                        Err(error) => assert_eq!(error, Error::NotFound),
                    }
                }
            });
        }
    });
    let left = usize::from(store.remove_group(object, rig.group).is_ok());
    assert_eq!(added.into_inner(), removed.into_inner() + left);
    assert_eq!((store.groups(object), store.list(object)), (Ok(vec![]), Ok(vec![])));
}

/// E-25: an object and its group, removed at the same time or one after the other, in each order: whoever comes after the object began
/// to leave is told ENODEV; a removal of the group that has begun is told that it is done, and neither waits for anything but who
/// is inside.
#[test]
fn a_group_goes_with_its_object() {
    for group_first in [true, false] {
        let rig = Rig::new();
        let store = &rig.store;
        let object = rig.object("object");
        thread::scope(|scope| {
            let shut = rig.gate.shut();
            scope.spawn(|| store.read(object, "group/slow"));
            rig.gate.wait_for(1);
            let of_group = group_first.then(|| scope.spawn(|| rig.remove(object)));
            until(|| !group_first || !rig.is_there(object));
            let of_object = scope.spawn(|| {
                let answer = store.unregister_subtree(object);
                (answer, rig.inside.load(SeqCst))
            });
            until(|| !store.contains(object));
            assert_eq!(rig.remove(object), (Err(GONE), 1));
            assert_eq!(store.update_group(object, rig.group), Err(GONE));
            assert_eq!(store.add_group(object, rig.group), Err(GONE));
            linger();
            drop(shut);
            assert_eq!(of_object.join().unwrap(), (Ok(Removal::Done(1)), 0));
            assert!(of_group.is_none_or(|remover| remover.join().unwrap() == (Ok(Removal::Done(2)), 0)));
        });
        assert_eq!(rig.remove(object), (Err(GONE), 0));
        assert!(store.is_empty());
        assert!(rig.is_there(rig.object("object")));
    }
}

/// The object leaves while its group does, and another takes its slot: the removal of the group is the former's alone.
#[test]
fn a_removal_of_a_group_does_nothing_to_the_next_in_the_slot() {
    let rig = Rig::new();
    let store = &rig.store;
    let (is_done, current) = (&AtomicBool::new(false), &parking_lot::Mutex::new(rig.object("object")));
    thread::scope(|scope| {
        for _ in 0..2 {
            let rig = &rig;
            scope.spawn(move || {
                while !is_done.load(SeqCst) {
                    let object = *current.lock();
                    let answer = rig.remove(object).0;
                    assert!(matches!(answer, Ok(Removal::Done(2)) | Err(GONE | Error::NotFound)), "{answer:?}");
                }
            });
        }
        for _ in 0..500 {
            let object = *current.lock();
            store.unregister_subtree(object).unwrap();
            // Only the one that the removers know may have lost its group.
            let quiet = rig.object("quiet");
            *current.lock() = rig.object("object");
            assert!(rig.is_there(quiet));
            store.unregister_subtree(quiet).unwrap();
        }
        is_done.store(true, SeqCst);
    });
}

/// S2-9: with an exclusive payload, which a reader of another attribute has all the time: a group for any object comes and goes; one
/// for the payload goes too, as nobody is in it, and who waits for the payload in order to read it is told that it is gone.
#[test]
fn an_exclusive_payload_that_is_held_delays_no_removal() {
    let rig = Rig::new();
    let store = &rig.store;
    let pass = Arc::new(Gate::default());
    let stop = Arc::clone(&pass);
    let ty = DeviceType::exclusive::<u64>("ty").ro("hold", move |_, _| {
        stop.pass();
        Ok(())
    });
    let object = store.register(store.root(), "object", store.define(ty).unwrap(), 5).unwrap();
    let locking = Group::<enodev::Exclusive<u64>>::named("locking").ro("value", |value, page| page.int(*value));
    let locking = store.define_group(locking).unwrap();
    store.add_group(object, locking).unwrap();
    assert_eq!(store.read(object, "locking/value"), Ok(b"5\n".to_vec()));
    thread::scope(|scope| {
        let shut = pass.shut();
        scope.spawn(|| store.read(object, "hold"));
        pass.wait_for(1);
        store.add_group(object, rig.group).unwrap();
        assert_eq!(store.read(object, "group/slow"), Ok(b"slow\n".to_vec()));
        assert_eq!(rig.remove(object.kobject()), (Ok(Removal::Done(2)), 0));
        let file = store.open(object, "locking/value", Access::READ).unwrap();
        let reader = scope.spawn(move || file.read(store, &mut [0; 8]));
        linger();
        assert_eq!(store.remove_group(object, locking), Ok(Removal::Done(1)));
        drop(shut);
        assert_eq!(reader.join().unwrap(), Err(Errno::ENODEV));
    });
    store.add_group(object, locking).unwrap();
    assert_eq!(store.read(object, "locking/value"), Ok(b"5\n".to_vec()));
    assert_eq!(store.unregister::<u64>(object), Ok(5));
}
