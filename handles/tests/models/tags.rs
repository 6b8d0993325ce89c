//! A domain that goes gives its tag to the next, which another thread builds at the same time.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize as Unmodelled, Ordering};

use enodev_handles::sync::thread;
use enodev_handles::{Arena, Domain, DomainError, Handle, Kind, Strategy};

use crate::check;

enum Disk {}
impl Kind for Disk {
    const NAME: &'static str = "Disk";
}

fn domain() -> Result<Domain, DomainError> {
    Domain::with_strategy(Strategy::Fence)
}

/// An arena with one object.
fn disk(domain: &Domain) -> (Arena<Disk, (), ()>, Handle<Disk>) {
    let disks = Arena::new(domain).unwrap();
    let handle = disks.insert((), ()).unwrap();
    (disks, handle)
}

/// The domain comes too early for the tag, or gets it; then the handle from before is none of its own.
#[test]
fn a_handle_does_not_come_back_with_its_tag() {
    let seen = Arc::new([const { Unmodelled::new(0) }; 2]);
    check({
        let seen = Arc::clone(&seen);
        move || {
            let others: Vec<Domain> = (0..254).map(|_| domain().unwrap()).collect();
            let last = domain().unwrap();
            let (disks, old) = disk(&last);
            drop(last);
            let dropper = thread::spawn(move || drop(disks));
            let next = domain();
            seen[usize::from(next.is_ok())].fetch_add(1, Ordering::Relaxed);
            if let Ok(next) = next {
                let (disks, new) = disk(&next);
                assert_ne!(new, old, "a handle is back");
                assert!(!disks.contains(old), "a handle from before is good");
            }
            dropper.join().unwrap();
            drop(others);
        }
    });
    assert!(seen.iter().all(|times| times.load(Ordering::Relaxed) > 0), "{seen:?}");
}

#[test]
fn domains_that_are_built_at_once_have_different_tags() {
    check(|| {
        let other = thread::spawn(|| domain().unwrap());
        let mine = domain().unwrap();
        let other = other.join().unwrap();
        let (_mine, my_handle) = disk(&mine);
        let (_other, other_handle) = disk(&other);
        assert_ne!(my_handle, other_handle);
    });
}
