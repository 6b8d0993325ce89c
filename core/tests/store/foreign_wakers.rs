//! Wakers that do as they like: they use the store, panic, and remove what they were waiting for.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};

use enodev::{
    Access, AsKobject, AttrHandle, DeviceHandle, DeviceType, Error, Event, File, KobjectHandle, Removal, Store,
};
use parking_lot::Mutex;

use crate::common::GONE;
use crate::events::{Calls, Meter, Meters};

/// A waker, or a waker's drop, that runs foreign code.
struct Foreign {
    store: Arc<Store>,
    on_wake: Box<dyn Fn(&Store) + Send + Sync>,
    on_drop: Box<dyn Fn(&Store) + Send + Sync>,
    calls: Arc<Calls>,
}

impl Foreign {
    fn new(store: &Arc<Store>, calls: &Arc<Calls>, on_wake: impl Fn(&Store) + Send + Sync + 'static) -> Self {
        Self {
            store: Arc::clone(store),
            on_wake: Box::new(on_wake),
            on_drop: Box::new(|_| ()),
            calls: Arc::clone(calls),
        }
    }

    /// Waits with this for the next event of a file, once: nobody asks what has come of it.
    fn wait_for(self, file: &File) {
        let store = Arc::clone(&self.store);
        let waker = Waker::from(Arc::new(self));
        let mut changed = Box::pin(file.changed(&store));
        assert_eq!(changed.as_mut().poll(&mut Context::from_waker(&waker)), Poll::Pending);
        std::mem::forget(changed);
    }
}

impl Wake for Foreign {
    fn wake(self: Arc<Self>) {
        Arc::clone(&self.calls).wake();
        (self.on_wake)(&self.store);
    }
}

impl Drop for Foreign {
    fn drop(&mut self) {
        (self.on_drop)(&self.store);
    }
}

/// Uses everything of the store that takes a lock or a pin.
fn use_all(store: &Store, object: KobjectHandle, attr: AttrHandle) {
    store.notify(object, attr).ok();
    store.read(object, "level").ok();
    store.hide_attribute(object, attr).ok();
    store.show_attribute(object, attr).ok();
    let dir = store.create(store.root(), "by a waker").unwrap();
    store.link(dir, "link", store.root()).unwrap();
    store.rename(dir, "renamed").unwrap();
    store.list(store.root()).unwrap();
    store.path(dir).unwrap();
    assert_eq!(store.unregister_subtree(dir), Ok(Removal::Done(1)));
    store.flush();
}

fn shared() -> (Arc<Store>, DeviceHandle, File, Arc<Meter>) {
    let meters = Meters::new();
    let (device, meter) = meters.add("meter");
    let file = meters.open_read(device, "level");
    (Arc::new(meters.store), device, file, meter)
}

/// Wakers and their drops run under no lock, no pin and inside nothing: they may use the whole store.
#[test]
fn a_waker_may_use_the_store() {
    let (store, device, file, _) = shared();
    let (object, attr) = (device.kobject(), file.attribute());
    let calls = Arc::new(Calls::default());
    let user = || Foreign::new(&store, &calls, move |store| use_all(store, object, attr));
    user().wait_for(&file);
    store.notify(device, attr).unwrap();
    assert_eq!(calls.count(), 1);

    // Hidden and shown again by the waker, the attribute is another.
    let file = store.open(device, "level", Access::READ).unwrap();
    let look = || file.pread(&store, 0, &mut [0; 8]).unwrap();
    look();
    for _ in 0..2 {
        let mut by_drop = Foreign::new(&store, &calls, |_| ());
        by_drop.on_drop = Box::new(move |store| {
            store.notify(object, attr).unwrap();
            store.list(object).unwrap();
            store.create(store.root(), "dropped").and_then(|dir| store.unregister_subtree(dir)).unwrap();
        });
        let mut changed = pin!(file.changed(&store));
        let waker = Waker::from(Arc::new(by_drop));
        assert_eq!(changed.as_mut().poll(&mut Context::from_waker(&waker)), Poll::Pending);
        // The store has the only one now, and drops it.
        drop(waker);
        assert_eq!(changed.as_mut().poll(&mut Context::from_waker(Waker::noop())), Poll::Ready(Event::Changed));
        look();
    }
    user().wait_for(&file);
    assert_eq!(store.unregister_subtree(device), Ok(Removal::Done(1)));
    assert_eq!(calls.count(), 2);
    assert!(store.is_empty());
}

/// A waker that panics keeps no other from being called, and nothing from going on: neither a `notify` nor a removal.
#[test]
fn a_waker_that_panics_harms_nobody() {
    let (store, device, file, _) = shared();
    let calls = Arc::new(Calls::default());
    let wait = || {
        for _ in 0..3 {
            Foreign::new(&store, &calls, |_| std::panic::panic_any("a waker's own panic")).wait_for(&file);
        }
    };
    wait();
    assert_eq!(store.notify(device, file.attribute()), Ok(()));
    assert_eq!(calls.count(), 3);
    file.pread(&store, 0, &mut [0; 8]).unwrap();
    wait();
    assert_eq!(store.unregister_subtree(device), Ok(Removal::Done(1)));
    assert_eq!(calls.count(), 6);
    assert!(store.is_empty());
}

/// A waker may unregister the object: called by a `notify`, it is the remover; called by a removal, it is told that the object is gone
/// or leaving, and waits for nobody.
#[test]
fn a_waker_may_unregister_the_object() {
    let (store, device, file, meter) = shared();
    let calls = Arc::new(Calls::default());
    let answers = Arc::new(Mutex::new(Vec::new()));
    let unregister = |device: DeviceHandle| {
        let answers = Arc::clone(&answers);
        Foreign::new(&store, &calls, move |store| {
            answers.lock().push((store.unregister::<Arc<Meter>>(device).map(drop), store.unregister_subtree(device)));
        })
    };
    unregister(device).wait_for(&file);
    // By a callback of the object itself, which is inside.
    let attr = file.attribute();
    *meter.hook.lock() = Some(Box::new(move |store, object| {
        store.notify(object, attr).unwrap();
        assert_eq!(store.notify(object, attr), Err(GONE));
    }));
    store.write(device, "press", b"1").unwrap();
    assert_eq!(*answers.lock(), [(Err(Error::Inside), Ok(Removal::Begun(1)))]);
    assert!(store.is_empty() && file.poll(&store) == Some(Event::Gone));

    for by_notify in [true, false] {
        answers.lock().clear();
        let ty = store.define(DeviceType::shared::<Arc<Meter>>("meter").ro("level", |_, page| page.int(1))).unwrap();
        let device = store.register(store.root(), "meter", ty, Arc::default()).unwrap();
        let file = store.open(device, "level", Access::READ).unwrap();
        file.pread(&store, 0, &mut [0; 8]).unwrap();
        unregister(device).wait_for(&file);
        if by_notify {
            store.notify(device, file.attribute()).unwrap();
            assert_eq!(*answers.lock(), [(Ok(()), Err(GONE))]);
        } else {
            store.unregister::<Arc<Meter>>(device).unwrap();
            assert_eq!(*answers.lock(), [(Err(Error::Leaving), Err(Error::Leaving))]);
        }
        assert!(store.is_empty());
    }
    assert_eq!(calls.count(), 3);
}
