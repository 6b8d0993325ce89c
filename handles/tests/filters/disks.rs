//! What the tests store, and what they do with it under any filter.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Barrier};
use std::thread;

use enodev_handles::{Arena, Domain, Exclusive, Handle, Kind, Stale};

pub(crate) enum Disk {}
impl Kind for Disk {
    const NAME: &'static str = "Disk";
}

/// The store part is the disk's number.
pub(crate) type Disks = Arena<Disk, usize, Payload>;

/// Tells of its end.
pub(crate) struct Payload {
    pub(crate) number: usize,
    pub(crate) writes: Exclusive<usize>,
    dropped: Arc<AtomicUsize>,
}

impl Drop for Payload {
    fn drop(&mut self) {
        self.dropped.fetch_add(1, Ordering::SeqCst);
    }
}

pub(crate) fn arena(domain: &Domain) -> Disks {
    Arena::new(domain).unwrap()
}

/// Disks with the numbers from 0, and how many payloads have been dropped.
pub(crate) fn filled(arena: &Disks, count: usize) -> (Vec<Handle<Disk>>, Arc<AtomicUsize>) {
    let dropped = Arc::<AtomicUsize>::default();
    let payload = |number| Payload { number, writes: Exclusive::new(0), dropped: Arc::clone(&dropped) };
    ((0..count).map(|number| arena.insert(number, payload(number)).unwrap()).collect(), dropped)
}

/// Disks come and go while threads enter them and look them up: what is found is right, what has gone stays away, and each
/// payload is dropped once.
pub(crate) fn come_and_go(arena: &Disks) {
    const COUNT: usize = 100;
    let (handles, dropped) = filled(arena, COUNT);
    let inside = Barrier::new(2);
    let read = || {
        while handles.iter().enumerate().fold(false, |any, (number, handle)| {
            let name = arena.get(&arena.domain().pin(), *handle).copied();
            assert!(name.is_err() || name == Ok(number));
            let entered = arena.enter(*handle).ok().map(|disk| assert_eq!(disk.number, number));
            entered.is_some() || any
        }) {}
    };
    // Who is inside the first disk leaves when its removal has begun.
    let stay = || {
        let disk = arena.enter(handles[0]).unwrap();
        inside.wait();
        while arena.contains(handles[0]) {
            thread::yield_now();
        }
        assert_eq!((disk.number, dropped.load(Ordering::SeqCst)), (0, 0));
    };
    thread::scope(|scope| {
        scope.spawn(read);
        scope.spawn(read);
        scope.spawn(stay);
        inside.wait();
        for (number, handle) in handles.iter().enumerate() {
            assert_eq!(arena.remove(*handle).map(|disk| disk.number), Ok(number));
            assert!(matches!(arena.enter(*handle), Err(Stale)));
        }
    });
    assert!(arena.is_empty());
    assert_eq!((arena.flush(), dropped.load(Ordering::SeqCst)), (0, COUNT));
}
