//! The end of arenas and of columns.

use std::sync::{Arc, Weak};

use enodev_handles::{SetError, Stale, join};

use crate::common::{DENSITIES, Drops, Token, disks};

/// S0-3: when the arena has gone, a column of it knows none of its objects, and holds no value that has to be dropped.
#[test]
fn in_a_column_that_outlives_its_arena_every_handle_is_stale() {
    for density in DENSITIES {
        let (disks, drops) = (disks(), Drops::default());
        let domain = disks.domain().clone();
        let sectors = disks.column::<u64>(density);
        let names = disks.once_column::<u64>(density);
        let labels = disks.payload_column::<Token>(density);
        let handles: Vec<_> = (0..200).map(|n| disks.insert(n, ()).unwrap()).collect();
        for handle in &handles {
            sectors.set(&domain.pin(), *handle, 1).unwrap();
            names.set(&domain.pin(), *handle, 2).unwrap();
            labels.insert(&disks, *handle, drops.token()).unwrap();
        }
        let pin = domain.pin();
        let name = names.get(&pin, handles[0]).unwrap().unwrap();
        drop(disks);
        assert_eq!((drops.count(), *name), (200, 2));
        for handle in handles {
            assert_eq!((sectors.get(&pin, handle), names.get(&pin, handle)), (Err(Stale), Err(Stale)));
            assert_eq!(sectors.set(&pin, handle, 3), Err(SetError::Stale(Stale)));
        }
        assert_eq!(join(&pin, (&sectors, &names)).count(), 0);
        drop(labels);
        assert_eq!(drops.count(), 200);
    }
}

#[test]
fn an_arena_that_is_dropped_with_a_removal_given_up_drops_the_value_once() {
    for density in DENSITIES {
        let (disks, drops) = (disks(), Drops::default());
        let labels = disks.payload_column::<Token>(density);
        let sda = disks.insert(0, ()).unwrap();
        labels.insert(&disks, sda, drops.token()).unwrap();
        let mut leaving = disks.leave();
        leaving.mark(sda).unwrap();
        drop(leaving);
        assert_eq!(drops.count(), 0);
        drop(disks);
        assert_eq!(drops.count(), 1);
    }
}

#[test]
fn a_guard_that_was_forgotten_does_not_keep_a_columns_end_from_dropping_the_value() {
    for density in DENSITIES {
        let (disks, drops) = (disks(), Drops::default());
        let labels = disks.payload_column::<Token>(density);
        let sda = disks.insert(0, ()).unwrap();
        labels.insert(&disks, sda, drops.token()).unwrap();
        std::mem::forget(labels.enter(&disks, sda).unwrap());
        drop(labels);
        assert_eq!(drops.count(), 1);
    }
}

/// The arena's memory is kept by its columns, and goes with the last of them: a store part tells.
#[test]
fn nothing_is_left_when_arena_and_columns_have_gone() {
    for density in DENSITIES {
        let disks = disks();
        let labels = disks.payload_column::<Arc<()>>(density);
        let sectors = disks.column::<u64>(density);
        let sda = disks.insert(0, ()).unwrap();
        let value = Arc::new(());
        let left: Weak<()> = Arc::downgrade(&value);
        labels.insert(&disks, sda, value).unwrap();
        assert_eq!(left.strong_count(), 1);
        drop(disks);
        assert_eq!(left.strong_count(), 0);
        drop((labels, sectors));
    }
}
