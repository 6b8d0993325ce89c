//! What the code of a driver may do while it runs: in a callback, with a guard in hand, and as its payload is dropped.

use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Barrier, Mutex, OnceLock, Weak};
use std::thread;

use enodev::{AsKobject, DeviceHandle, DeviceType, Errno, Error, KobjectHandle, Removal, Store};

use crate::common::{Disk, GONE, Rig, linger, until};

/// S0-15, E-7: a callback unregisters what it is in. It is told so at once, everybody else finds it gone; when the write that did
/// it returns, the payloads have been dropped, children first, the names are free, and nothing is left.
#[test]
fn when_a_write_returns_that_removed_its_own_object_all_is_gone() {
    let rig = Rig::new();
    let store = &rig.store;
    let told = Arc::new(Mutex::new(Vec::new()));
    let tell = Arc::clone(&told);
    let ty = DeviceType::shared::<()>("suicidal").wo("delete", move |object, path| {
        let store = object.store();
        let top = store.lookup(std::str::from_utf8(path).map_err(|_| Errno::EINVAL)?)?;
        let first = store.unregister_subtree(top);
        let again = store.unregister_subtree(top);
        tell.lock().unwrap().push((first, again, store.contains(object.object()), store.lookup("/bus/self").is_ok()));
        Ok(())
    });
    let ty = store.define(ty).unwrap();
    for (path, count, expect) in [("/bus/self", 2, vec!["below"]), ("/bus", 3, vec!["below", "below", "bus"])] {
        let bus = store.lookup("/bus").unwrap_or_else(|_| rig.add(store.root(), "bus").kobject());
        let object = store.register(bus, "self", ty, ()).unwrap();
        rig.add(object, "below");
        assert_eq!(store.write(object, "delete", path.as_bytes()), Ok(()));
        assert_eq!(told.lock().unwrap().pop(), Some((Ok(Removal::Begun(count)), Err(Error::Leaving), false, false)));
        assert_eq!(rig.dropped(), expect);
        assert_eq!(store.unregister_subtree(object), Err(GONE));
        assert_eq!(store.lookup(path), Err(Error::NotFound));
    }
    assert!(store.is_empty());
}

/// As above with a guard; the typed form, which hands the payload back, is refused and changes nothing.
#[test]
fn what_one_holds_guards_of_goes_with_the_last_of_them() {
    let rig = Rig::new();
    let store = &rig.store;
    let bus = rig.add(store.root(), "bus");
    let disk = rig.add(bus, "disk");
    let guards = [disk, bus, disk].map(|device| store.enter::<Disk>(device).unwrap());
    assert_eq!(store.unregister::<Disk>(disk).err(), Some(Error::Inside));
    assert_eq!(Error::Inside.errno(), Errno::EDEADLK);
    rig.assert_holds(bus, &["disk"]);
    assert_eq!(store.unregister_subtree(bus), Ok(Removal::Begun(2)));
    assert_eq!(store.unregister::<Disk>(disk).err(), Some(Error::Leaving));
    let elsewhere = thread::scope(|scope| scope.spawn(|| store.enter::<Disk>(bus).err()).join().unwrap());
    assert_eq!(elsewhere, Some(GONE));
    for guard in guards {
        assert_eq!(rig.dropped(), [""; 0]);
        assert!(["disk", "bus"].contains(&&*guard.name));
    }
    assert_eq!(rig.dropped(), ["disk", "bus"]);
    assert!(store.is_empty());
}

/// E-8, T101: of many who are inside and unregister it, one is told that it did; the others are told at once that it is leaving, and
/// wait for nobody. It goes with the one that did it, after the others have left.
#[test]
fn of_all_who_remove_what_they_are_in_one_did_it() {
    const THREADS: usize = 4;
    for _ in 0..100 {
        let rig = Rig::new();
        let store = &rig.store;
        let disk = rig.add(store.root(), "disk");
        let inside = Barrier::new(THREADS);
        let answers = thread::scope(|scope| {
            let remove = || {
                let guard = store.enter::<Disk>(disk).unwrap();
                inside.wait();
                let answer = store.unregister_subtree(disk);
                assert_eq!(guard.name, "disk");
                drop(guard);
                if answer.is_ok() {
                    assert_eq!(rig.dropped(), ["disk"]);
                }
                answer
            };
            let threads: Vec<_> = (0..THREADS).map(|_| scope.spawn(remove)).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect::<Vec<_>>()
        });
        assert_eq!(answers.iter().filter(|answer| **answer == Ok(Removal::Begun(1))).count(), 1);
        assert_eq!(answers.iter().filter(|answer| **answer == Err(Error::Leaving)).count(), THREADS - 1);
        assert_eq!(store.unregister_subtree(disk), Err(GONE));
    }
}

/// S1-9: a callback adds objects below its own and removes them, and removes objects elsewhere.
#[test]
fn a_callback_may_add_and_remove_other_objects() {
    let rig = Rig::new();
    let store = &rig.store;
    let (disk_type, world) = (rig.disk, Arc::clone(&rig.world));
    let payload = Arc::new(move |name: &str| Rig::payload_in(&world, name));
    let ty = DeviceType::shared::<()>("adapter")
        .wo("scan", move |adapter, data| {
            let name = std::str::from_utf8(data).map_err(|_| Errno::EINVAL)?;
            let child = adapter.store().register(adapter.object(), name, disk_type, payload(name))?;
            adapter.store().link(adapter.object(), "latest", child)?;
            assert_eq!(adapter.store().read(child, "name")?, [data, b"\n"].concat());
            Ok(())
        })
        .wo("delete", |adapter, data| {
            let path = std::str::from_utf8(data).map_err(|_| Errno::EINVAL)?;
            let found = adapter.store().lookup(path)?;
            adapter.store().unregister_subtree(found).map(drop)?;
            Ok(())
        });
    let ty = store.define(ty).unwrap();
    let adapter = store.register(store.root(), "scsi0", ty, ()).unwrap();
    let beside = rig.add(store.root(), "beside");

    assert_eq!(store.write(adapter, "scan", b"sda"), Ok(()));
    rig.assert_holds(adapter, &["latest", "sda"]);
    assert_eq!(store.write(adapter, "scan", b"sda"), Err(Errno::EEXIST.into()));
    assert_eq!(store.write(adapter, "scan", b"a/b"), Err(Errno::EINVAL.into()));
    let sda = store.lookup("/scsi0/latest").unwrap();
    assert_eq!(store.write(adapter, "delete", b"/scsi0/sda"), Ok(()));
    assert_eq!(store.write(adapter, "delete", b"/scsi0/sda"), Err(Errno::ENOENT.into()));
    assert_eq!(store.write(adapter, "delete", b"/beside"), Ok(()));
    assert!(!store.contains(sda) && !store.contains(beside));
    rig.assert_holds(adapter, &[]);
    assert_eq!(rig.dropped(), ["sda", "a/b", "sda", "beside"]);
}

/// E-6: who is inside any object does not wait for another thread's removal: it would hold that thread up if it is waited
/// for itself. It is told EBUSY, and ENODEV once that removal is over.
#[test]
fn who_is_inside_does_not_wait_for_another_removal() {
    let rig = Rig::new();
    let store = &rig.store;
    let [stuck, other] = ["stuck", "other"].map(|name| rig.add(store.root(), name));
    thread::scope(|scope| {
        let shut = rig.world.gate.shut();
        scope.spawn(|| rig.read(stuck, "slow"));
        rig.world.gate.wait_for(1);
        let remover = scope.spawn(|| store.unregister_subtree(stuck));
        until(|| !store.contains(stuck));
        let guard = store.enter::<Disk>(other).unwrap();
        assert_eq!(store.unregister_subtree(stuck), Err(Error::Leaving));
        assert_eq!(store.unregister::<Disk>(stuck).err(), Some(Error::Leaving));
        assert_eq!(Error::Leaving.errno(), Errno::EBUSY);
        drop(shut);
        assert_eq!(remover.join().unwrap(), Ok(Removal::Done(1)));
        assert_eq!(store.unregister_subtree(stuck), Err(GONE));
        drop(guard);
    });
}

/// In its drop, uses the store.
struct Last {
    store: Weak<Store>,
    own: Arc<OnceLock<DeviceHandle>>,
    beside: KobjectHandle,
    seen: Arc<AtomicUsize>,
}

impl Drop for Last {
    fn drop(&mut self) {
        let Some(store) = self.store.upgrade() else { return };
        let own = *self.own.get().unwrap();
        assert_eq!(store.unregister_subtree(own), Err(Error::Leaving));
        assert_eq!(store.unregister::<Last>(own).err(), Some(Error::Leaving));
        assert_eq!(store.create(own, "below"), Err(GONE));
        assert_eq!(store.unregister_subtree(self.beside), Ok(Removal::Done(1)));
        store.create(store.root(), "epitaph").unwrap();
        self.seen.fetch_add(1, SeqCst);
    }
}

/// S1-9: a payload that is dropped by a removal may itself add and remove objects; of its own object it is told at once that
/// it is leaving.
#[test]
fn a_payload_may_use_the_store_as_it_is_dropped() {
    let store = Arc::new(Store::new().unwrap());
    let ty = store.define(DeviceType::shared::<Last>("last")).unwrap();
    let (own, seen) = (Arc::new(OnceLock::new()), Arc::new(AtomicUsize::new(0)));
    let payload = Last {
        store: Arc::downgrade(&store),
        own: Arc::clone(&own),
        beside: store.create(store.root(), "beside").unwrap(),
        seen: Arc::clone(&seen),
    };
    let object = store.register(store.root(), "last", ty, payload).unwrap();
    own.set(object).unwrap();
    assert_eq!(store.unregister_subtree(object), Ok(Removal::Done(1)));
    assert_eq!(seen.load(SeqCst), 1);
    assert_eq!(crate::common::names_in(&store, store.root()), ["epitaph"]);
}

/// A callback that goes on to read other attributes of its object, and of another, does so; none of that is left when its
/// object is removed.
#[test]
fn a_callback_may_use_attributes_of_its_own_and_other_objects() {
    let rig = Rig::new();
    let store = &rig.store;
    let ty = DeviceType::shared::<KobjectHandle>("summary")
        .ro("about", |other, page| {
            let name = other.store().read(*other, "name")?;
            page.put_bytes(&name)
        })
        .ro("all", |other, page| {
            let about = other.store().read(other.object(), "about")?;
            page.put("about ")?;
            page.put_bytes(&about)
        });
    let ty = store.define(ty).unwrap();
    let disk = rig.add(store.root(), "sda");
    let disk_object = store.lookup("/sda").unwrap();
    let summary = store.register(store.root(), "summary", ty, disk_object).unwrap();
    assert_eq!(rig.read(summary, "all"), Ok("about sda\n".into()));
    drop(store.unregister::<Disk>(disk).unwrap());
    assert_eq!(rig.read(summary, "all"), Err(GONE));
    assert_eq!(store.unregister::<KobjectHandle>(summary), Ok(disk_object));
}

/// E-7: a callback removes its own object while somebody else inside it waits for the callback's thread. As the callback returns,
/// one of the two has to give way: the write is told EDEADLK, the object goes on leaving, and is reaped when all have left.
#[test]
fn a_write_whose_removal_would_wait_for_itself_is_edeadlk() {
    let store = Arc::new(Store::new().unwrap());
    let inside = Arc::new(Barrier::new(2));
    let meet = Arc::clone(&inside);
    let ty = DeviceType::shared::<()>("suicidal").wo("delete", move |object, _| {
        let other = object.store().lookup("/other")?;
        meet.wait();
        // The other thread is inside this object, and waits, or is about to, for those inside the second: for this thread.
        until(|| !object.store().contains(other));
        object.store().unregister_subtree(object.object()).map(drop)?;
        Ok(())
    });
    let ty = store.define(ty).unwrap();
    let object = store.register(store.root(), "self", ty, ()).unwrap();
    let other = store.register(store.root(), "other", ty, ()).unwrap();
    thread::scope(|scope| {
        let remover = scope.spawn(|| {
            let _guard = store.enter::<()>(object).unwrap();
            inside.wait();
            store.unregister_subtree(other)
        });
        // Inside of what the other thread removes, and removing what that is inside of.
        let guard = store.enter::<()>(other).unwrap();
        let write = store.write(object, "delete", b"1");
        drop(guard);
        let removed = remover.join().unwrap();
        let edeadlk = Err(Error::Errno(Errno::EDEADLK));
        let told = [write == edeadlk, removed == Err(Error::Deadlock)];
        assert_eq!(told.iter().filter(|told| **told).count(), 1, "{write:?} {removed:?}");
    });
    store.reap();
    assert!(store.is_empty());
    assert_eq!(store.unregister_subtree(object), Err(GONE));
}

/// Of a removal that went on as its thread let go of a guard, and could not be finished, nobody is told: not who reads something else
/// on that thread next.
#[test]
fn what_a_guard_could_not_finish_is_no_other_operation_s_error() {
    let rig = Rig::new();
    let store = &rig.store;
    let [held, other, unrelated] = ["held", "other", "unrelated"].map(|name| rig.add(store.root(), name));
    let inside = Barrier::new(2);
    thread::scope(|scope| {
        let waiter = scope.spawn(|| {
            let _guard = store.enter::<Disk>(held).unwrap();
            inside.wait();
            store.unregister_subtree(other)
        });
        let guards = [held, other].map(|device| store.enter::<Disk>(device).unwrap());
        inside.wait();
        until(|| !store.contains(other));
        let [held_guard, other_guard] = guards;
        assert_eq!(store.unregister_subtree(held), Ok(Removal::Begun(1)));
        linger();
        // It would wait for the waiter, who waits for this thread.
        drop(held_guard);
        assert_eq!(rig.read(unrelated, "name").as_deref(), Ok("unrelated\n"));
        drop(other_guard);
        assert_eq!(waiter.join().unwrap(), Ok(Removal::Done(1)));
    });
    assert_eq!(store.unregister_subtree(held).err(), Some(GONE), "finished by whoever came next");
    assert_eq!(store.len(), 1);
}
