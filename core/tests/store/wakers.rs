//! Those who wait: woken once, for what is theirs, and by every removal as it begins.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::mpsc;
use std::task::Poll;
use std::thread;

use enodev::{AnyObject, AttrHandle, Changed, DeviceHandle, Error, Event, File, Group, Removal, Store, Visibility};
use parking_lot::Mutex;

use crate::events::{Calls, Meter, Meters, block_on, poll_with};

/// A task that waits for a file's next event.
fn wait_with<'a>(meters: &'a Meters, file: &'a File, calls: &Arc<Calls>) -> std::pin::Pin<Box<Changed<'a>>> {
    let mut changed = Box::pin(file.changed(&meters.store));
    assert_eq!(poll_with(changed.as_mut(), calls), Poll::Pending);
    changed
}

/// A waiter is called once, for its own attribute of its own object, and then forgotten until it asks again; of many, all are.
#[test]
fn each_waiter_is_called_once_and_for_its_own() {
    let meters = Meters::new();
    let ((a, _), (b, _)) = (meters.add("a"), meters.add("b"));
    let files =
        [(a, "level"), (a, "level"), (a, "other"), (b, "level")].map(|(object, name)| meters.open_read(object, name));
    let calls = [(); 4].map(|()| Arc::new(Calls::default()));
    let mut waits: Vec<_> = files.iter().zip(&calls).map(|(file, calls)| wait_with(&meters, file, calls)).collect();
    let counts = || [0, 1, 2, 3].map(|at: usize| calls[at].count());
    meters.notify(&files[0]);
    assert_eq!(counts(), [1, 1, 0, 0]);
    meters.notify(&files[0]);
    meters.notify(&files[2]);
    assert_eq!(counts(), [1, 1, 1, 0]);
    meters.notify(&files[3]);
    assert_eq!(counts(), [1, 1, 1, 1]);
    for (wait, calls) in waits.iter_mut().zip(&calls) {
        // Nothing is kept of a waiter that has been called.
        assert_eq!(Arc::strong_count(calls), 1);
        assert_eq!(poll_with(wait.as_mut(), calls), Poll::Ready(Event::Changed));
    }
    // They ask again, one after the other has read.
    meters.see(&files[0]);
    assert_eq!(poll_with(waits[0].as_mut(), &calls[0]), Poll::Pending);
    assert_eq!(poll_with(waits[1].as_mut(), &calls[1]), Poll::Ready(Event::Changed));
    meters.notify(&files[0]);
    assert_eq!(counts(), [2, 1, 1, 1]);
}

/// A task that is dropped is not called, and one that has moved to another executor is called there alone. One that was forgotten is
/// called by the next event, and by that alone.
#[test]
fn who_has_gone_is_not_called() {
    let meters = Meters::new();
    let (device, _) = meters.add("meter");
    let file = meters.open_read(device, "level");
    let (dropped, moved, here, forgotten) = <(Arc<Calls>, Arc<Calls>, Arc<Calls>, Arc<Calls>)>::default();
    let wait = wait_with(&meters, &file, &dropped);
    assert_eq!(Arc::strong_count(&dropped), 2);
    drop(wait);
    assert_eq!(Arc::strong_count(&dropped), 1);
    let mut wait = wait_with(&meters, &file, &moved);
    assert_eq!(poll_with(wait.as_mut(), &here), Poll::Pending);
    assert_eq!((Arc::strong_count(&moved), Arc::strong_count(&here)), (1, 2));
    std::mem::forget(wait_with(&meters, &file, &forgotten));
    for _ in 0..2 {
        meters.notify(&file);
        assert_eq!([&dropped, &moved, &here, &forgotten].map(|calls| calls.count()), [0, 0, 1, 1]);
        assert_eq!(Arc::strong_count(&forgotten), 1);
        meters.see(&file);
    }
    // One that is forgotten for good goes with the store.
    std::mem::forget(wait_with(&meters, &file, &forgotten));
    drop(wait);
    drop(meters);
    assert_eq!((forgotten.count(), Arc::strong_count(&forgotten)), (2, 1));
}

/// A group that hides, as asked, one of its attributes or itself.
struct Shows(Arc<(AtomicBool, AtomicBool)>);

impl Shows {
    fn group(&self, name: Option<&str>) -> Group<AnyObject> {
        let group = name.map_or_else(Group::new, Group::named);
        let (attr, whole) = (Arc::clone(&self.0), Arc::clone(&self.0));
        group
            .ro("one", |_, page| page.int(1))
            .ro("two", |_, page| page.int(2))
            .is_visible(move |_, attribute| {
                let is_shown = attr.0.load(SeqCst) || &**attribute.name() != "one";
                if is_shown { Visibility::AsDefined } else { Visibility::Hidden }
            })
            .is_shown(move |_| whole.1.load(SeqCst))
    }
}

/// T106, E-10: whatever takes an attribute away wakes who waits for it, once, and tells that it is gone, for good. Who waits for
/// another attribute hears nothing. Linux wakes nobody.
#[test]
fn whatever_takes_an_attribute_away_wakes_those_who_wait() {
    type Take =
        fn(&Store, DeviceHandle, &dyn Fn(bool, bool) -> Result<Removal, Error>, AttrHandle) -> Result<Removal, Error>;
    let takes: [(&str, bool, Take); 5] = [
        ("the group is removed", true, |store, device, _, _| {
            let group = *store.groups(device).unwrap().last().unwrap();
            store.remove_group(device, group)
        }),
        ("the attribute is hidden by hand", false, |store, device, _, attr| store.hide_attribute(device, attr)),
        ("the group hides the attribute", false, |_, _, update, _| update(false, true)),
        ("the group hides itself", true, |_, _, update, _| update(true, false)),
        ("the device is removed", true, |store, device, _, _| store.unregister_subtree(device)),
    ];
    for (what, takes_two, take) in takes {
        for dir in [None, Some("dir")] {
            let meters = Meters::new();
            let (device, _) = meters.add("meter");
            let shows = Shows(Arc::new((AtomicBool::new(true), AtomicBool::new(true))));
            let group = meters.store.define_group(shows.group(dir)).unwrap();
            meters.store.add_group(device, group).unwrap();
            let path = |name: &str| dir.map_or_else(|| name.into(), |dir| format!("{dir}/{name}"));
            let files = [path("one"), path("two"), "level".into()].map(|name| meters.open_read(device, &name));
            let calls = [(); 3].map(|()| Arc::new(Calls::default()));
            let mut waits: Vec<_> =
                files.iter().zip(&calls).map(|(file, calls)| wait_with(&meters, file, calls)).collect();
            let update = |one, whole| {
                shows.0.0.store(one, SeqCst);
                shows.0.1.store(whole, SeqCst);
                meters.store.update_group(device, group)
            };
            let is_device = what.contains("device");
            let count = if is_device { 1 } else { 1 + usize::from(takes_two) };
            assert_eq!(take(&meters.store, device, &update, files[0].attribute()), Ok(Removal::Done(count)), "{what}");
            let is_gone = [true, takes_two, is_device];
            for at in 0..3 {
                assert_eq!(calls[at].count(), usize::from(is_gone[at]), "{what} {at}");
                let (poll, event) =
                    if is_gone[at] { (Poll::Ready(Event::Gone), Some(Event::Gone)) } else { (Poll::Pending, None) };
                assert_eq!(poll_with(waits[at].as_mut(), &calls[at]), poll, "{what} {at}");
                assert_eq!(meters.poll(&files[at]), event, "{what} {at}");
            }
            if is_device {
                continue;
            }
            // What is shown again is another.
            update(true, true).ok();
            meters.store.add_group(device, group).ok();
            meters.store.show_attribute(device, files[0].attribute()).unwrap();
            assert_eq!(meters.poll(&meters.open(device, &path("one"))), Some(Event::Changed), "{what}");
            meters.notify(&files[0]);
            assert_eq!(meters.poll(&files[0]), Some(Event::Gone), "{what}");
            assert_eq!(files[0].wait(&meters.store, None), Some(Event::Gone), "{what}");
        }
    }
}

/// T106: `unregister` wakes those who wait, `unregister_subtree` those below, too, and the store's end those that are left.
#[test]
fn removals_of_objects_wake_those_who_wait() {
    let meters = Meters::new();
    let (a, _) = meters.add("a");
    let (b, _) = meters.add("b");
    let below = meters.store.register(b, "below", meters.ty, Arc::default()).unwrap();
    let (left, _) = meters.add("left");
    let objects = [a, b, below, left];
    let files = objects.map(|object| meters.open_read(object, "level"));
    let calls = [(); 4].map(|()| Arc::new(Calls::default()));
    for (file, calls) in files.iter().zip(&calls) {
        std::mem::forget(wait_with(&meters, file, calls));
    }
    let counts = || [0, 1, 2, 3].map(|at: usize| calls[at].count());
    meters.store.unregister::<Arc<Meter>>(a).unwrap();
    assert_eq!(counts(), [1, 0, 0, 0]);
    assert_eq!(meters.store.unregister::<Arc<Meter>>(b).map(drop), Err(Error::HasChildren));
    assert_eq!(counts(), [1, 0, 0, 0]);
    assert_eq!(meters.store.unregister_subtree(b), Ok(Removal::Done(2)));
    assert_eq!(counts(), [1, 1, 1, 0]);
    drop(meters);
    assert_eq!(counts(), [1; 4]);
    assert!(calls.iter().all(|calls| Arc::strong_count(calls) == 1));
}

/// T106: those who wait are woken as the removal begins. It need not come to its end for that, which waits for others who are
/// inside; and if it waits for them themselves, in callbacks of that very object, they leave.
#[test]
fn a_removal_wakes_before_it_waits() {
    for in_a_callback in [false, true] {
        let meters = Meters::new();
        let (device, meter) = meters.add("meter");
        let (told, is_told) = mpsc::channel();
        let (begins, has_begun) = mpsc::channel();
        let (file, stuck) = (meters.open_read(device, "level"), meters.open(device, "slow"));
        let tell = move |store: &Store, file: File| {
            begins.send(()).unwrap();
            told.send(file.wait(store, None)).unwrap();
        };
        thread::scope(|scope| {
            let shut = meter.gate.shut();
            let reader = scope.spawn(|| meters.see(&stuck));
            meter.gate.wait_for(1);
            let store = &meters.store;
            let waiter = if in_a_callback {
                let mut waits = Some((tell, file));
                *meter.hook.lock() = Some(Box::new(move |store, _| {
                    let (tell, file) = waits.take().unwrap();
                    tell(store, file);
                }));
                scope.spawn(move || store.write(device, "press", b"1").unwrap())
            } else {
                scope.spawn(move || tell(store, file))
            };
            has_begun.recv().unwrap();
            let has_gone = AtomicBool::new(false);
            let has_gone = &has_gone;
            let remover = thread::scope(|scope| {
                let remover = scope.spawn(move || {
                    let payload = store.unregister::<Arc<Meter>>(device);
                    has_gone.store(true, SeqCst);
                    payload.map(drop)
                });
                assert_eq!(is_told.recv(), Ok(Some(Event::Gone)));
                // The reader is at the gate still.
                assert!(!has_gone.load(SeqCst));
                drop(shut);
                remover.join().unwrap()
            });
            assert_eq!(remover, Ok(()));
            reader.join().unwrap();
            waiter.join().unwrap();
        });
    }
}

/// The same of attributes: to hide one, or to remove its group, wakes before it waits.
#[test]
fn to_take_an_attribute_away_wakes_before_it_waits() {
    let meters = Meters::new();
    for hides in [true, false] {
        let (device, meter) = meters.add(if hides { "hides" } else { "removes" });
        let gated = Arc::clone(&meter);
        let gated = Group::<AnyObject>::new().ro("gated", move |_, page| {
            gated.gate.pass();
            page.int(1)
        });
        let group = meters.store.define_group(gated).unwrap();
        meters.store.add_group(device, group).unwrap();
        let file = meters.open_read(device, "gated");
        let stuck = meters.open(device, "gated");
        thread::scope(|scope| {
            let shut = meter.gate.shut();
            let reader = scope.spawn(|| meters.see(&stuck));
            meter.gate.wait_for(1);
            let waiter = scope.spawn(|| file.wait(&meters.store, None));
            let remover = scope.spawn(|| {
                if hides {
                    meters.store.hide_attribute(device, file.attribute())
                } else {
                    meters.store.remove_group(device, group)
                }
            });
            assert_eq!(waiter.join().unwrap(), Some(Event::Gone));
            assert!(!remover.is_finished());
            drop(shut);
            assert_eq!(remover.join().unwrap(), Ok(Removal::Done(1)));
            reader.join().unwrap();
        });
    }
}

/// A callback that removes its own object or its own group wakes those who wait at once, and not when it returns.
#[test]
fn a_removal_from_the_inside_wakes_at_once() {
    let meters = Meters::new();
    for removes_all in [true, false] {
        let (device, _) = meters.add(if removes_all { "all" } else { "group" });
        let calls = Arc::new(Calls::default());
        let (seen, group) = (Arc::clone(&calls), Arc::new(Mutex::new(None)));
        let own = Arc::clone(&group);
        let remove = Group::<AnyObject>::new().ro("state", |_, page| page.int(1)).wo("remove", move |this, _| {
            let (store, object) = (this.store(), this.object());
            let removal = if removes_all {
                store.unregister_subtree(object)?
            } else {
                store.remove_group(object, own.lock().unwrap())?
            };
            assert_eq!(removal, Removal::Begun(if removes_all { 1 } else { 2 }));
            assert_eq!(seen.count(), 1);
            Ok(())
        });
        *group.lock() = Some(meters.store.define_group(remove).unwrap());
        meters.store.add_group(device, group.lock().unwrap()).unwrap();
        let file = meters.open_read(device, "state");
        let mut wait = wait_with(&meters, &file, &calls);
        assert_eq!(meters.store.write(device, "remove", b"1"), Ok(()));
        assert_eq!(calls.count(), 1);
        assert_eq!(poll_with(wait.as_mut(), &calls), Poll::Ready(Event::Gone));
    }
}

/// Threads and tasks wait for events of attributes that come and go, and of objects that do: each is told at last that its own is gone.
#[test]
fn nobody_sleeps_over_an_end() {
    const ROUNDS: usize = 300;
    let meters = Meters::new();
    let group = meters.store.define_group(Group::<AnyObject>::new().ro("extra", |_, page| page.int(1))).unwrap();
    for round in 0..ROUNDS {
        let (device, _) = meters.add("meter");
        meters.store.add_group(device, group).unwrap();
        let [level, extra] = ["level", "extra"].map(|name| meters.open(device, name));
        thread::scope(|scope| {
            for (at, file) in [&level, &level, &extra, &extra].into_iter().enumerate() {
                let store = &meters.store;
                scope.spawn(move || {
                    loop {
                        let event =
                            if at % 2 == 0 { file.wait(store, None) } else { Some(block_on(file.changed(store))) };
                        if event == Some(Event::Gone) {
                            return;
                        }
                        file.pread(store, 0, &mut [0; 8]).ok();
                    }
                });
            }
            scope.spawn(|| {
                [&level, &extra].into_iter().map(|file| meters.store.notify(device, file.attribute())).for_each(drop)
            });
            match round % 3 {
                0 => assert!(meters.store.remove_group(device, group).is_ok()),
                1 => assert!(meters.store.hide_attribute(device, extra.attribute()).is_ok()),
                _ => {}
            }
            assert_eq!(meters.store.unregister_subtree(device), Ok(Removal::Done(1)));
        });
    }
}
