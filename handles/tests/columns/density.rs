//! What columns take for their rows.

use enodev_handles::Density;

use crate::common::{Disks, disks, index};

fn set_all(disks: &Disks, column: &enodev_handles::Column<crate::common::Disk, [u64; 4]>, count: u32) {
    let handles: Vec<_> = (0..count).map(|n| disks.insert(n, ()).unwrap()).collect();
    for handle in &handles {
        column.set(&disks.domain().pin(), *handle, [u64::from(index(*handle)); 4]).unwrap();
    }
    for handle in &handles {
        assert_eq!(column.get(&disks.domain().pin(), *handle), Ok(Some([u64::from(index(*handle)); 4])));
    }
    handles.into_iter().for_each(|handle| disks.remove(handle).unwrap());
    assert_eq!(disks.flush(), 0);
}

#[test]
fn a_sparse_column_takes_memory_for_the_objects_with_a_value_whatever_the_arena_holds() {
    let disks = disks();
    let sparse = disks.column::<[u64; 4]>(Density::Sparse);
    let dense = disks.column::<[u64; 4]>(Density::Dense);
    assert_eq!((sparse.memory(), dense.memory()), (0, 0));
    let handles: Vec<_> = (0..20_000).map(|n| disks.insert(n, ()).unwrap()).collect();
    for handle in handles.iter().step_by(1000) {
        let pin = disks.domain().pin();
        sparse.set(&pin, *handle, [1; 4]).unwrap();
        dense.set(&pin, *handle, [1; 4]).unwrap();
    }
    assert!(sparse.memory() < 16 << 10, "{}", sparse.memory());
    assert!(dense.memory() > 20_000 * 40, "{}", dense.memory());
}

#[test]
fn rows_of_objects_that_have_left_are_used_again() {
    let disks = disks();
    let column = disks.column::<[u64; 4]>(Density::Sparse);
    set_all(&disks, &column, 500);
    let memory = column.memory();
    (0..5).for_each(|_| set_all(&disks, &column, 500));
    // In other slots than those before: each batch holds its own until it goes.
    let others: Vec<_> = (0..10_000).map(|n| disks.insert(n, ()).unwrap()).collect();
    for batch in others.chunks(500) {
        batch.iter().for_each(|handle| column.set(&disks.domain().pin(), *handle, [1; 4]).unwrap());
        batch.iter().for_each(|handle| disks.remove(*handle).unwrap());
        assert_eq!(disks.flush(), 0);
    }
    assert!(column.memory() < 2 * memory, "{memory} and then {}", column.memory());
}

/// A row is given free when no pin can see it, not when its object leaves.
#[test]
fn a_row_that_a_pin_can_see_is_not_used_again() {
    let disks = disks();
    let column = disks.once_column::<u64>(Density::Sparse);
    let sda = disks.insert(0, ()).unwrap();
    column.set(&disks.domain().pin(), sda, 1).unwrap();
    let pin = disks.domain().pin();
    let value = column.get(&pin, sda).unwrap().unwrap();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            disks.remove(sda).unwrap();
            disks.flush();
            let sdb = disks.insert(0, ()).unwrap();
            column.set(&disks.domain().pin(), sdb, 2).unwrap();
        });
    });
    assert_eq!(*value, 1);
}
