//! An arena for which no more memory is to be had, in a process of its own: its allocator gives out no large piece.

#![expect(unsafe_code, reason = "an allocator is an unsafe trait")]

use std::alloc::{GlobalAlloc, Layout, System};

/// The system's allocator, for pieces up to a size.
struct Limited;

const LIMIT: usize = 6 << 20;

// SAFETY: all is the system's allocator, but that it refuses some layouts, which any allocator may.
unsafe impl GlobalAlloc for Limited {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if layout.size() > LIMIT {
            return std::ptr::null_mut();
        }
        // SAFETY: the caller's promise is what `System` asks for.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        // SAFETY: as above; what was not refused came from `System`.
        unsafe { System.dealloc(memory, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Limited = Limited;

// `cfg(test)` tells clippy that the helpers are tests too.
#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use enodev_handles::{Arena, Domain, Full, Kind};

    enum Disk {}
    impl Kind for Disk {
        const NAME: &'static str = "Disk";
    }

    /// The first chunk, of 64 slots, is within the limit, the second is beyond it.
    const SLOTS: usize = 64;
    const LARGE: usize = super::LIMIT / SLOTS - 64;
    type Large = [u8; LARGE];

    fn arena<P: Send + Sync + 'static>() -> Arena<Disk, (), P> {
        Arena::new(&Domain::new().unwrap()).unwrap()
    }

    /// An arena without memory for further slots is full while all it has are taken, and not any more when one of them has come
    /// free: however often, and although few slots wait to be used again.
    #[test]
    fn an_arena_that_cannot_grow_goes_on_with_the_slots_it_has() {
        let arena = arena::<Large>();
        let taken: Vec<_> = (0..SLOTS).map(|_| arena.reserve().unwrap()).collect();
        let mut handles: HashSet<_> = taken.iter().map(|reservation| reservation.handle()).collect();
        assert_eq!(arena.reserve().err(), Some(Full));
        assert_eq!(arena.insert((), [1; LARGE]).err(), Some(Full));
        drop(taken);
        for round in 0..1000 {
            let reservation = arena.reserve().map_err(|Full| round).unwrap();
            assert!(handles.insert(reservation.handle()), "a handle has come back");
        }
        let handle = arena.insert((), [7; LARGE]).unwrap();
        assert!(arena.enter(handle).unwrap().iter().all(|byte| *byte == 7));
        let taken: Vec<_> = (1..SLOTS).map(|_| arena.reserve().unwrap()).collect();
        assert_eq!(arena.reserve().err(), Some(Full));
        assert!(arena.remove(handle).is_ok());
        assert_eq!(arena.flush(), 0);
        assert_eq!(taken.len() + 1, SLOTS);
        assert!(arena.reserve().is_ok());
    }

    /// The same with objects that come and go one at a time.
    #[test]
    fn one_object_after_another_finds_a_slot() {
        let arena = arena::<Large>();
        for round in 0..200_u8 {
            let handle = arena.insert((), [round; LARGE]).map_err(|Full| round).unwrap();
            assert_eq!(arena.remove(handle).unwrap()[0], round);
            assert_eq!(arena.flush(), 0);
        }
    }

    /// Where not even one slot can be had, be it that there is no memory or that no memory could be so large, the arena is full
    /// from the beginning.
    #[test]
    fn an_arena_without_room_for_one_slot_is_full() {
        for _ in 0..3 {
            let (large, huge) = (arena::<[u8; super::LIMIT]>(), arena::<[u8; 1 << 57]>());
            for _ in 0..100 {
                assert_eq!((large.reserve().err(), huge.reserve().err()), (Some(Full), Some(Full)));
            }
            assert_eq!((large.len(), huge.len()), (0, 0));
        }
    }
}
