//! Callbacks that take away the group that they are of, or one that another callback is of.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Barrier, mpsc};
use std::thread;

use enodev::{
    Access, AsKobject, Context, DeviceHandle, DeviceType, Errno, Error, Exclusive, Group, GroupHandle, Removal, Shared,
    Store, Type,
};
use parking_lot::Mutex;

use crate::common::{GONE, Gate, linger, until};

type Code = dyn Fn(&Store, DeviceHandle) -> Result<(), Errno> + Send + Sync;

/// What a write to an object does.
struct Act {
    act: Box<Code>,
    dropped: Arc<AtomicUsize>,
}

impl Drop for Act {
    fn drop(&mut self) {
        self.dropped.fetch_add(1, SeqCst);
    }
}

/// A store of objects that have a group of `act` and `slow`, one with shared payloads and one with exclusive ones.
struct Rig {
    store: Store,
    shared: Type<Shared<Act>>,
    exclusive: Type<Exclusive<Act>>,
    group: GroupHandle,
    locking: GroupHandle,
    /// Stops those who read `slow`.
    gate: Arc<Gate>,
    dropped: Arc<AtomicUsize>,
}

impl Rig {
    fn new() -> Self {
        let (store, gate) = (Store::new().unwrap(), Arc::new(Gate::default()));
        let pass = Arc::clone(&gate);
        let run = |at: Context<'_, &Act>, _: &[u8]| {
            let device = at.store().device(at.object())?;
            (at.act)(at.store(), device)
        };
        let group = Group::<Shared<Act>>::new().wo("act", run).ro("slow", move |_, _| {
            pass.pass();
            Ok(())
        });
        let run = |at: Context<'_, &mut Act>, _: &[u8]| {
            let device = at.store().device(at.object())?;
            (at.act)(at.store(), device)
        };
        let locking = Group::<Exclusive<Act>>::new().wo("act", run).ro("slow", |_, _| Ok(()));
        Self {
            shared: store.define(DeviceType::shared::<Act>("shared")).unwrap(),
            exclusive: store.define(DeviceType::exclusive::<Act>("exclusive")).unwrap(),
            group: store.define_group(group).unwrap(),
            locking: store.define_group(locking).unwrap(),
            store,
            gate,
            dropped: Arc::default(),
        }
    }

    fn act<A: Fn(&Store, DeviceHandle) -> Result<(), Errno> + Send + Sync + 'static>(&self, act: A) -> Act {
        Act { act: Box::new(act), dropped: Arc::clone(&self.dropped) }
    }

    fn add<A>(&self, name: &str, act: A) -> DeviceHandle
    where
        A: Fn(&Store, DeviceHandle) -> Result<(), Errno> + Send + Sync + 'static,
    {
        let device = self.store.register(self.store.root(), name, self.shared, self.act(act)).unwrap();
        self.store.add_group(device, self.group).unwrap();
        device
    }

    fn add_exclusive<A>(&self, name: &str, act: A) -> DeviceHandle
    where
        A: Fn(&Store, DeviceHandle) -> Result<(), Errno> + Send + Sync + 'static,
    {
        let device = self.store.register(self.store.root(), name, self.exclusive, self.act(act)).unwrap();
        self.store.add_group(device, self.locking).unwrap();
        device
    }

    /// Whether the object has the group, be it that it is leaving.
    fn has_group(&self, device: DeviceHandle) -> bool {
        self.store.groups(device).unwrap().iter().any(|group| [self.group, self.locking].contains(group))
    }
}

fn act(store: &Store, device: DeviceHandle) -> Result<(), Error> {
    store.write(device, "act", b"1")
}

/// S2-9: a callback takes away the group that it is of. It is told so at once, and everybody finds it gone; as the write returns, the
/// other callbacks have ended, and the group can be given again. With a payload that is shared, and one that is exclusive.
#[test]
fn when_a_write_returns_that_removed_its_own_group_it_is_gone() {
    let rig = Rig::new();
    let store = &rig.store;
    let remove = |group| {
        move |store: &Store, device: DeviceHandle| {
            assert_eq!(store.remove_group(device, group), Ok(Removal::Begun(2)));
            assert_eq!(store.attribute(device, "slow"), Err(Error::NotFound));
            assert_eq!(store.remove_group(device, group), Err(Error::Leaving));
            assert_eq!(store.add_group(device, group), Err(Error::Exists));
            assert_eq!(store.create(device, "slow"), Err(Error::Exists));
            Ok(())
        }
    };
    let devices = [
        (rig.add("shared", remove(rig.group)), rig.group),
        (rig.add_exclusive("exclusive", remove(rig.locking)), rig.locking),
    ];
    for (device, group) in devices {
        for _ in 0..2 {
            let file = store.open(device, "slow", Access::READ).unwrap();
            assert_eq!(act(store, device), Ok(()));
            assert!(!rig.has_group(device));
            assert_eq!(store.remove_group(device, group), Err(Error::NotFound));
            assert_eq!(store.add_group(device, group), Ok(()));
            assert_eq!(file.read(store, &mut [0]), Err(Errno::ENODEV));
        }
    }
    let (device, _) = devices[0];
    thread::scope(|scope| {
        let shut = rig.gate.shut();
        let has_left = Arc::new(AtomicBool::new(false));
        let leave = Arc::clone(&has_left);
        let reader = scope.spawn(|| store.read(device, "slow"));
        rig.gate.wait_for(1);
        let writer = scope.spawn(move || {
            let answer = act(store, device);
            assert!(leave.load(SeqCst), "another callback is running still");
            answer
        });
        until(|| store.attribute(device, "slow").is_err());
        // E-6: whoever else removes it waits too, and is told that it is not there when it is not.
        let other = scope.spawn(|| (store.remove_group(device, rig.group), rig.has_group(device)));
        linger();
        assert!(!other.is_finished());
        has_left.store(true, SeqCst);
        drop(shut);
        assert_eq!((writer.join().unwrap(), reader.join().unwrap()), (Ok(()), Ok(vec![])));
        assert_eq!(other.join().unwrap(), (Err(Error::NotFound), false));
    });
    assert!(!rig.has_group(device));
}

/// T101: of k callbacks that take their group away at the same time one is told that it did, the others that it is leaving; nobody
/// waits inside, and all writes return, that of the first after all others have left.
#[test]
fn of_many_writers_one_removes_the_group() {
    const WRITERS: usize = 4;
    let rig = Rig::new();
    let store = &rig.store;
    let (inside, told) = (Arc::new(Barrier::new(WRITERS)), Arc::new(Mutex::new(Vec::new())));
    let (meet, tell, group) = (Arc::clone(&inside), Arc::clone(&told), rig.group);
    let device = rig.add("device", move |store, device| {
        meet.wait();
        let answer = store.remove_group(device, group);
        // All have been told before one leaves: nobody waits for another inside.
        meet.wait();
        tell.lock().push(answer);
        if answer.is_ok() { Ok(()) } else { Err(Errno::EBUSY) }
    });
    for _ in 0..50 {
        let answers = thread::scope(|scope| {
            let write = || {
                let answer = act(store, device);
                if answer.is_ok() {
                    assert_eq!(told.lock().len(), WRITERS);
                    assert!(!rig.has_group(device));
                }
                answer
            };
            let writers = [(); WRITERS].map(|()| scope.spawn(write));
            writers.map(|writer| writer.join().unwrap())
        });
        let mut told = std::mem::take(&mut *told.lock());
        told.sort_by_key(Result::is_err);
        assert_eq!(told[0], Ok(Removal::Begun(2)));
        assert_eq!(told[1..], [Err(Error::Leaving); WRITERS - 1]);
        assert_eq!(answers.iter().filter(|answer| answer.is_ok()).count(), 1);
        store.add_group(device, group).unwrap();
    }
}

/// A callback that is in no hurry to leave is told that its group is leaving, where a thread from outside removes it, which waits.
#[test]
fn a_callback_does_not_wait_for_the_remover_that_waits_for_it() {
    let rig = Rig::new();
    let store = &rig.store;
    let (group, told) = (rig.group, Arc::new(Mutex::new(None)));
    let tell = Arc::clone(&told);
    let device = rig.add("device", move |store, device| {
        until(|| store.attribute(device, "slow").is_err());
        *tell.lock() = Some(store.remove_group(device, group));
        Ok(())
    });
    thread::scope(|scope| {
        let file = store.open(device, "act", Access::WRITE).unwrap();
        let (begin, begun) = mpsc::channel();
        let writer = scope.spawn(move || {
            begin.send(()).unwrap();
            file.write(store, b"1")
        });
        begun.recv().unwrap();
        let removed = store.remove_group(device, group);
        assert_eq!(removed, Ok(Removal::Done(2)));
        // It may have come too late to be inside.
        let written = writer.join().unwrap();
        match *told.lock() {
            None => assert_eq!(written, Err(Errno::ENODEV)),
            told => assert_eq!((told, written), (Some(Err(Error::Leaving)), Ok(1))),
        }
    });
}

/// A callback writes an attribute of another object, whose callback takes the first one's group away: that goes as the first write
/// returns, and not before; where it takes its own, it is gone as the second write returns.
#[test]
fn a_group_goes_as_the_thread_leaves_the_last_of_it() {
    for own in [false, true] {
        let rig = Rig::new();
        let store = &rig.store;
        let group = rig.group;
        let inner = rig.add("inner", move |store, inner| {
            let device = if own { inner } else { store.device(store.lookup("/outer")?)? };
            assert_eq!(store.remove_group(device, group), Ok(Removal::Begun(2)));
            Ok(())
        });
        let outer = rig.add("outer", move |store, outer| {
            let inner = store.device(store.lookup("/inner")?)?;
            assert_eq!(act(store, inner), Ok(()));
            let leaving = if own { inner } else { outer };
            let has_group = || store.groups(leaving).is_ok_and(|groups| groups.contains(&group));
            assert_eq!(has_group(), !own);
            assert!(store.attribute(leaving, "act").is_err());
            if !own {
                // What is put off stays so through whatever else is done.
                store.add_group(leaving, group).unwrap_err();
                assert_eq!(act(store, outer), Err(Error::NotFound));
                assert_eq!(store.read(inner, "slow"), Ok(vec![]));
                assert!(has_group());
            }
            Ok(())
        });
        assert_eq!(act(store, outer), Ok(()));
        assert_eq!((rig.has_group(outer), rig.has_group(inner)), (own, !own));
        assert_eq!(store.add_group(if own { inner } else { outer }, group), Ok(()));
    }
}

/// A callback takes away its own group and then its own device, or first the device: then there is no group any more that could be
/// taken away. As the write returns, both are gone and the payload has been dropped; a remover from outside has waited for that.
#[test]
fn a_callback_may_remove_its_group_and_its_device() {
    for (group_first, exclusive) in [(true, false), (false, false), (true, true), (false, true)] {
        let rig = Rig::new();
        let store = &rig.store;
        let group = if exclusive { rig.locking } else { rig.group };
        let begun = Arc::new(Gate::default());
        let pass = Arc::clone(&begun);
        let end = move |store: &Store, device: DeviceHandle| {
            let of_group = |expect| assert_eq!(store.remove_group(device, group), expect);
            if group_first {
                of_group(Ok(Removal::Begun(2)));
                pass.pass();
            }
            assert_eq!(store.unregister_subtree(device), Ok(Removal::Begun(1)));
            of_group(Err(GONE));
            Ok(())
        };
        let device = if exclusive { rig.add_exclusive("device", end) } else { rig.add("device", end) };
        thread::scope(|scope| {
            let shut = begun.shut();
            let writer = scope.spawn(|| (act(store, device), rig.dropped.load(SeqCst)));
            if group_first {
                begun.wait_for(1);
                let other = scope.spawn(|| store.remove_group(device, group));
                linger();
                assert!(!other.is_finished());
                drop(shut);
                // It is told what it finds when the group is gone, or the object with it.
                assert!(matches!(other.join().unwrap(), Err(Error::NotFound | GONE)));
            } else {
                drop(shut);
            }
            assert_eq!(writer.join().unwrap(), (Ok(()), 1));
        });
        assert_eq!(store.remove_group(device, group), Err(GONE));
        assert!(store.is_empty());
    }
}

/// A callback unregisters its device while a thread from outside removes its group: that one is told that it did, when nobody is inside.
#[test]
fn a_device_goes_while_its_group_does() {
    let rig = Rig::new();
    let store = &rig.store;
    let device = rig.add("device", move |store, device| {
        until(|| store.attribute(device, "slow").is_err());
        assert_eq!(store.unregister_subtree(device), Ok(Removal::Begun(1)));
        Ok(())
    });
    thread::scope(|scope| {
        let shut = rig.gate.shut();
        scope.spawn(|| store.read(device, "slow"));
        rig.gate.wait_for(1);
        let file = store.open(device, "act", Access::WRITE).unwrap();
        let writer = scope.spawn(move || file.write(store, b"1"));
        let remover = scope.spawn(|| store.remove_group(device, rig.group));
        until(|| remover.is_finished() || !store.contains(device) || writer.is_finished());
        drop(shut);
        assert_eq!(remover.join().unwrap(), Ok(Removal::Done(2)));
        // The write may have come after the removal had begun.
        let written = writer.join().unwrap();
        assert_eq!(store.contains(device), written == Err(Errno::ENODEV));
        assert!(written == Err(Errno::ENODEV) || written == Ok(1));
    });
}

/// Two callbacks take away the group of the other each: one is told that they would wait for each other, the other's removal is done;
/// what was given up is gone for all, and whoever removes it next finishes it.
#[test]
fn of_two_callbacks_that_remove_each_other_s_groups_one_is_told() {
    for round in 0..20 {
        let rig = Rig::new();
        let store = &rig.store;
        let (group, locking) = (rig.group, rig.locking);
        let (inside, told) = (Arc::new(Barrier::new(2)), Arc::new(Mutex::new(Vec::new())));
        let remove = |other: &'static str, group| {
            let (inside, told) = (Arc::clone(&inside), Arc::clone(&told));
            move |store: &Store, _: DeviceHandle| {
                inside.wait();
                let other = store.device(store.lookup(other)?)?;
                let answer = store.remove_group(other, group);
                told.lock().push((answer, other, group));
                Ok(())
            }
        };
        let first = rig.add("first", remove("/second", if round % 2 == 0 { group } else { locking }));
        let second = remove("/first", group);
        let second = if round % 2 == 0 { rig.add("second", second) } else { rig.add_exclusive("second", second) };
        thread::scope(|scope| {
            let writers = [first, second].map(|device| scope.spawn(move || act(store, device)));
            assert_eq!(writers.map(|writer| writer.join().unwrap()), [Ok(()), Ok(())]);
        });
        let mut told = std::mem::take(&mut *told.lock());
        told.sort_by_key(|(answer, ..)| answer.is_err());
        let [(done, gone, _), (deadlock, given_up, group)] = told[..] else { unreachable!() };
        assert_eq!((done, deadlock), (Ok(Removal::Done(2)), Err(Error::Deadlock)));
        assert!(!rig.has_group(gone) && rig.has_group(given_up));
        assert!(store.attribute(given_up, "act").is_err());
        assert_eq!(store.add_group(given_up, group), Err(Error::Exists));
        assert_eq!(store.remove_group(given_up, group), Ok(Removal::Done(2)));
        assert_eq!(store.remove_group(given_up, group), Err(Error::NotFound));
        assert_eq!(store.add_group(given_up, group), Ok(()));
    }
}

/// As a callback returns that has taken its group away, its thread would wait for another that waits for it: the write is told so,
/// and the group goes on leaving until somebody comes back to it. Nothing else that the thread does is told so.
#[test]
fn a_write_tells_that_its_removal_was_given_up() {
    let rig = Rig::new();
    let store = &rig.store;
    let (group, told, inside) = (rig.group, Arc::new(Mutex::new(Vec::new())), Arc::new(Barrier::new(2)));
    let inner = rig.add("inner", move |store, inner| {
        // The waiter comes first, and waits for the one who does the rest.
        match store.lookup("/waits") {
            Ok(waits) => act(store, store.device(waits)?)?,
            Err(_) => assert_eq!(store.remove_group(inner, group), Ok(Removal::Begun(2))),
        }
        Ok(())
    });
    let (tell, meet) = (Arc::clone(&told), Arc::clone(&inside));
    let outer = rig.add("outer", move |store, outer| {
        meet.wait();
        until(|| store.attribute(outer, "slow").is_err());
        let unrelated = store.device(store.lookup("/unrelated")?)?;
        tell.lock().extend([act(store, inner), act(store, unrelated)]);
        Ok(())
    });
    rig.add("unrelated", |_, _| Ok(()));
    let waits = rig.add("waits", move |store, waits| {
        inside.wait();
        assert_eq!(store.rename(waits, "waited"), Ok(()));
        assert_eq!(store.remove_group(outer, group), Ok(Removal::Done(2)));
        Ok(())
    });
    thread::scope(|scope| {
        let threads = [inner, outer].map(|device| scope.spawn(move || act(store, device)));
        assert_eq!(threads.map(|thread| thread.join().unwrap()), [Ok(()), Ok(())]);
    });
    assert_eq!(*told.lock(), [Err(Errno::EDEADLK.into()), Ok(())]);
    assert!(rig.has_group(inner) && rig.has_group(waits) && !rig.has_group(outer));
    assert_eq!(store.attribute(inner, "act"), Err(Error::NotFound));
    assert_eq!(store.remove_group(inner, group), Ok(Removal::Done(2)));
    assert_eq!(store.add_group(inner, group), Ok(()));
}

/// Who has a guard of an object, which is not to be inside an attribute, waits for those who are, and takes its group away at once.
#[test]
fn a_guard_is_no_callback() {
    let rig = Rig::new();
    let store = &rig.store;
    let device = rig.add("device", |_, _| Ok(()));
    let _guard = store.enter::<Act>(device).unwrap();
    assert_eq!(store.remove_group(device, rig.group), Ok(Removal::Done(2)));
    assert_eq!(store.add_group(device, rig.group), Ok(()));
    thread::scope(|scope| {
        let shut = rig.gate.shut();
        scope.spawn(|| store.read(device, "slow"));
        rig.gate.wait_for(1);
        let remover = scope.spawn(|| {
            let _guard = store.enter::<Act>(device.kobject()).unwrap();
            store.remove_group(device, rig.group)
        });
        until(|| store.attribute(device, "slow").is_err());
        linger();
        assert!(!remover.is_finished());
        drop(shut);
        assert_eq!(remover.join().unwrap(), Ok(Removal::Done(2)));
    });
}
