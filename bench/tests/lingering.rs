//! What reference counts leave behind: each test holds a reader inside `show` while the object is
//! unregistered, and shows one fault of the shape. enodev is there to have none of them.

#![expect(clippy::unwrap_used, reason = "tests say what they expect by panicking")]

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread::{self, ScopedJoinHandle, ThreadId};

use enodev_bench::baseline::{ArcStore, Attribute, Attributes, Error};

/// The driver's data. It counts itself while it lives, and tells which thread drops it.
struct Payload {
    alive: Arc<AtomicUsize>,
    dropped_by: Sender<ThreadId>,
}

impl Drop for Payload {
    fn drop(&mut self) {
        self.alive.fetch_sub(1, Ordering::SeqCst);
        // Nobody listens at the end of a test.
        let _ = self.dropped_by.send(thread::current().id());
    }
}

struct Scene {
    store: ArcStore<Payload>,
    table: Attributes<Payload>,
    alive: Arc<AtomicUsize>,
    dropped_by: Sender<ThreadId>,
    /// Hears from each reader that has entered `slow`.
    entered: Receiver<()>,
    /// Lets one reader of `slow` go.
    leave: Sender<()>,
    drops: Receiver<ThreadId>,
}

impl Scene {
    fn new() -> Self {
        let (enter, entered) = channel();
        let (leave, may_leave) = channel();
        let (dropped_by, drops) = channel();
        let may_leave = Mutex::new(may_leave);
        let slow = Attribute::ro("slow", move |_: &Payload, page| {
            enter.send(()).map_err(|_| libc::EIO)?;
            may_leave.lock().unwrap().recv().map_err(|_| libc::EIO)?;
            page.extend_from_slice(b"done");
            Ok(())
        });
        let fast = Attribute::ro("fast", |_: &Payload, page| {
            page.extend_from_slice(b"still here");
            Ok(())
        });
        let table = Attributes::new(vec![slow, fast]).unwrap();
        let (store, alive) = (ArcStore::new(), Arc::default());
        Self { store, table, alive, dropped_by, entered, leave, drops }
    }

    fn plug(&self) {
        self.alive.fetch_add(1, Ordering::SeqCst);
        let payload = Payload { alive: Arc::clone(&self.alive), dropped_by: self.dropped_by.clone() };
        self.store.register("/", "disk0", payload, &self.table).unwrap();
    }

    fn alive(&self) -> usize {
        self.alive.load(Ordering::SeqCst)
    }
}

/// Starts a reader of `slow` and returns once it is inside.
fn enter<'scope>(
    scope: &'scope thread::Scope<'scope, '_>,
    scene: &Scene,
) -> ScopedJoinHandle<'scope, Result<usize, Error>> {
    let file = scene.store.open("/disk0", "slow").unwrap();
    let reader = scope.spawn(move || file.read(&mut [0; 16]));
    scene.entered.recv().unwrap();
    reader
}

#[test]
fn unregister_returns_while_a_reader_is_inside_and_the_reader_drops_the_payload() {
    let scene = Scene::new();
    scene.plug();
    thread::scope(|scope| {
        let reader = enter(scope, &scene);
        let thread = reader.thread().id();

        assert_eq!(scene.store.unregister("/disk0"), Ok(1));
        assert_eq!(scene.alive(), 1, "the driver has gone, its data has not");
        assert!(scene.drops.try_recv().is_err());

        scene.leave.send(()).unwrap();
        assert_eq!(reader.join().unwrap(), Ok(4));
        assert_eq!(scene.drops.try_recv(), Ok(thread), "release ran on the reader's thread");
    });
    assert_eq!(scene.alive(), 0);
}

#[test]
fn new_readers_enter_what_is_gone_while_one_is_inside() {
    let scene = Scene::new();
    scene.plug();
    let file = scene.store.open("/disk0", "fast").unwrap();
    thread::scope(|scope| {
        let reader = enter(scope, &scene);
        scene.store.unregister("/disk0").unwrap();
        assert_eq!(file.pread(0, &mut [0; 16]), Ok(10), "a callback begins after unregister returned");

        scene.leave.send(()).unwrap();
        reader.join().unwrap().unwrap();
        assert_eq!(file.pread(0, &mut [0; 16]), Err(Error::Gone));
    });
}

#[test]
fn a_successor_lives_beside_its_predecessor() {
    let scene = Scene::new();
    scene.plug();
    thread::scope(|scope| {
        let reader = enter(scope, &scene);
        scene.store.unregister("/disk0").unwrap();
        scene.plug();
        assert_eq!(scene.alive(), 2, "two drivers of one disk");

        scene.leave.send(()).unwrap();
        reader.join().unwrap().unwrap();
        assert_eq!(scene.alive(), 1);
    });
}
