//! Values that are loaded and stored without a pin of the caller's.

use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use enodev_handles::{Column, Density, Domain, Handle, Plain, SetError, Stale, Strategy};

use crate::common::{DENSITIES, Disk, Disks, disks, index, successor};

/// In slots of several chunks.
#[test]
fn a_value_is_loaded_as_it_is_got() {
    for density in DENSITIES {
        let disks = disks();
        let column = disks.column::<(u64, bool)>(density);
        let all: Vec<_> = (0..1000).map(|n| disks.insert(n, ()).unwrap()).collect();
        let agrees = |disk: Handle<Disk>, value| {
            let got = column.get(&disks.domain().pin(), disk);
            assert_eq!([column.load(disk), column.load(disk)], [got; 2]);
            assert_eq!(got, value);
        };
        all.iter().for_each(|disk| agrees(*disk, Ok(None)));
        for disk in all.iter().skip(1).step_by(2) {
            column.store(*disk, (u64::from(index(*disk)), true)).unwrap();
        }
        for (at, disk) in all.iter().enumerate() {
            agrees(*disk, Ok((at % 2 == 1).then_some((u64::from(index(*disk)), true))));
        }
        column.store(all[1], (0, false)).unwrap();
        agrees(all[1], Ok(Some((0, false))));
    }
}

#[test]
fn what_is_not_alive_here_is_stale_to_load_and_to_store() {
    for density in DENSITIES {
        let disks = disks();
        let column = disks.column::<u64>(density);
        let [sda, sdb, sdc] = [1, 2, 3].map(|value| {
            let disk = disks.insert(0, ()).unwrap();
            column.store(disk, value).unwrap();
            assert_eq!(column.load(disk), Ok(Some(value)));
            disk
        });
        let refuses = |disk: Handle<Disk>| {
            assert_eq!(
                (column.load(disk), column.store(disk, 9)),
                (Err(Stale), Err(SetError::Stale(Stale))),
                "{disk:?}"
            );
        };
        let bits = sda.to_bits();
        let forged = [bits ^ 1 << 33, bits ^ 1 << 56, bits & !(0xff << 56), bits | 0xffff_ffff, 1 << 32, u64::MAX];
        forged.into_iter().for_each(|bits| refuses(Handle::from_bits(bits)));
        refuses(Handle::null());
        assert_eq!(column.load(sda), Ok(Some(1)), "a stranger has set it");
        disks.remove(sda).unwrap();
        refuses(sda);
        let next = successor(&disks, sda);
        refuses(sda);
        assert_eq!(column.load(next), Ok(None), "the value of the one before");
        column.store(next, 4).unwrap();
        refuses(sda);
        let mut leaving = disks.leave();
        leaving.mark(sdb).unwrap();
        refuses(sdb);
        drop(leaving.drain().unwrap());
        drop(disks);
        // The column is left, and what it leads to.
        [sda, sdb, sdc, next].into_iter().for_each(refuses);
    }
}

#[test]
fn a_value_is_loaded_and_stored_under_a_pin_inside_an_object_and_where_readers_fence() {
    for (density, strategy) in
        DENSITIES.into_iter().flat_map(|density| [Strategy::Auto, Strategy::Fence].map(|s| (density, s)))
    {
        let disks = Disks::new(&Domain::with_strategy(strategy).unwrap()).unwrap();
        let column = disks.column::<u64>(density);
        let sda = disks.insert(0, ()).unwrap();
        let _inside = disks.enter(sda).unwrap();
        let _pin = disks.domain().pin();
        column.store(sda, 1).unwrap();
        assert_eq!(column.load(sda), Ok(Some(1)));
    }
}

/// Where `get` needs a pin, `load` leaves none: what has left is reclaimed while a value is being made of what was loaded.
#[test]
fn nothing_is_pinned_while_a_value_of_a_dense_column_is_made() {
    thread_local! {
        static DISKS: std::cell::RefCell<Option<Disks>> = const { std::cell::RefCell::new(None) };
    }
    #[derive(Clone, Copy)]
    struct Flushes(usize);
    impl Plain for Flushes {
        type Bytes = <u8 as Plain>::Bytes;

        fn to_bytes(self) -> Self::Bytes {
            0_u8.to_bytes()
        }

        fn from_bytes(_: Self::Bytes) -> Self {
            DISKS.with_borrow(|disks| Self(disks.as_ref().unwrap().flush()))
        }
    }
    let column = DISKS.with_borrow_mut(|slot| slot.insert(disks()).column::<Flushes>(Density::Dense));
    let sda = DISKS.with_borrow(|disks| {
        let disks = disks.as_ref().unwrap();
        disks.remove(disks.insert(0, ()).unwrap()).unwrap();
        disks.insert(0, ()).unwrap()
    });
    column.store(sda, Flushes(0)).unwrap();
    assert_eq!(column.load(sda).unwrap().unwrap().0, 0);
    let pin = DISKS.with_borrow(|disks| {
        let disks = disks.as_ref().unwrap();
        disks.remove(disks.insert(0, ()).unwrap()).unwrap();
        disks.domain().clone()
    });
    assert_ne!(column.get(&pin.pin(), sda).unwrap().unwrap().0, 0, "a pin keeps nothing");
}

const ROUNDS: u64 = if cfg!(miri) { 20 } else { 10_000 };

/// Objects come and go in a few slots, each with a value that names it, while two threads load under the handles of those that are
/// going: they find that value or that it has left, never the next object's and never parts of both.
fn values_are_never_anothers<T: Plain + PartialEq + std::fmt::Debug + Send + Sync>(of: fn(u64) -> T) {
    let disks = disks();
    let column: Column<Disk, T> = disks.column(Density::Dense);
    let plug = || {
        let disk = disks.insert(0, ()).unwrap();
        column.store(disk, of(disk.to_bits())).unwrap();
        disk
    };
    let current = AtomicU64::new(plug().to_bits());
    thread::scope(|scope| {
        let reader = || {
            loop {
                let bits = current.load(Ordering::Relaxed);
                if bits == 0 {
                    return;
                }
                for _ in 0..8 {
                    let found = column.load(Handle::from_bits(bits));
                    assert!([Ok(Some(of(bits))), Err(Stale)].contains(&found), "{found:?} of {bits:#x}");
                }
            }
        };
        let readers = [scope.spawn(reader), scope.spawn(reader)];
        for _ in 0..ROUNDS {
            let former = Handle::from_bits(current.load(Ordering::Relaxed));
            disks.remove(former).unwrap();
            disks.flush();
            current.store(plug().to_bits(), Ordering::Relaxed);
        }
        let last = Handle::from_bits(current.swap(0, Ordering::Relaxed));
        readers.into_iter().for_each(|reader| reader.join().unwrap());
        assert_eq!(column.load(last), Ok(Some(of(last.to_bits()))));
    });
}

/// S3-1: one word.
#[test]
fn a_word_is_never_that_of_another_object_while_slots_are_used_again() {
    values_are_never_anothers::<u64>(|bits| bits);
}

/// S3-1: several.
#[test]
fn words_are_never_those_of_another_object_while_slots_are_used_again() {
    values_are_never_anothers::<(u64, [u32; 5], u64)>(|bits| (bits, [bits as u32; 5], !bits));
}
