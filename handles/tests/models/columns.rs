//! Values that are loaded without a pin, against everything that may happen to their rows meanwhile.

use std::fmt::Debug;
use std::sync::Arc;

use enodev_handles::sync::thread;
use enodev_handles::{Arena, Column, Density, Domain, Handle, Kind, Plain, Stale, Strategy};

use crate::check;

enum Disk {}
impl Kind for Disk {
    const NAME: &'static str = "Disk";
}

type Disks = Arena<Disk, (), ()>;

struct Model<T: Plain> {
    disks: Disks,
    column: Column<Disk, T>,
    first: Handle<Disk>,
}

impl<T: Plain> Model<T> {
    /// An object whose value the calling thread has loaded before: it has the shortest way to it.
    fn new(value: T) -> Arc<Self> {
        let disks = Disks::new(&Domain::with_strategy(Strategy::Fence).unwrap()).unwrap();
        let column = disks.column(Density::Dense);
        let first = disks.insert((), ()).unwrap();
        column.store(first, value).unwrap();
        column.load(first).unwrap();
        Arc::new(Self { disks, column, first })
    }

    /// Has another object take the place of the first, which leaves.
    fn replug(&self) -> Handle<Disk> {
        let slot = |disk: Handle<Disk>| disk.to_bits() as u32;
        self.disks.remove(self.first).unwrap();
        loop {
            assert_eq!(self.disks.flush(), 0, "nobody is pinned");
            let next = self.disks.insert((), ()).unwrap();
            if slot(next) == slot(self.first) {
                return next;
            }
            self.disks.remove(next).unwrap();
        }
    }
}

/// The object's own value is found, or that it has left; never what the next one in its slot is given, nor a part of it.
fn is_not_the_next_ones<T: Plain + Debug + PartialEq + Send + Sync>(values: [T; 2]) {
    check(move || {
        let model = Model::new(values[0]);
        let reader = thread::spawn({
            let model = Arc::clone(&model);
            move || {
                for _ in 0..2 {
                    let found = model.column.load(model.first);
                    assert!([Ok(Some(values[0])), Err(Stale)].contains(&found), "{found:?}");
                }
            }
        });
        let next = model.replug();
        assert_eq!(model.column.load(next), Ok(None));
        model.column.store(next, values[1]).unwrap();
        assert_eq!(model.column.load(model.first), Err(Stale));
        assert_eq!(model.column.load(next), Ok(Some(values[1])));
        reader.join().unwrap();
    });
}

#[test]
fn a_word_that_is_loaded_without_a_pin_is_not_the_next_object_s() {
    is_not_the_next_ones([1_u64, 2]);
}

#[test]
fn words_that_are_loaded_without_a_pin_are_not_the_next_object_s() {
    is_not_the_next_ones([[1_u64, 1], [2, 2]]);
}

/// Of two words that are set together both are found, or neither.
#[test]
fn words_that_are_loaded_without_a_pin_are_of_one_value() {
    check(|| {
        let model = Model::new([1_u64, 1]);
        let setter = thread::spawn({
            let model = Arc::clone(&model);
            move || model.column.store(model.first, [2, 2]).unwrap()
        });
        let found = model.column.load(model.first).unwrap().unwrap();
        assert!(found == [1, 1] || found == [2, 2], "{found:?}");
        setter.join().unwrap();
        assert_eq!(model.column.load(model.first), Ok(Some([2, 2])));
    });
}

/// Whoever finds the object alive through a shortcut that another thread has just noted finds it whole.
#[test]
fn a_way_that_another_thread_has_noted_leads_there() {
    check(|| {
        let disks = Disks::new(&Domain::with_strategy(Strategy::Fence).unwrap()).unwrap();
        let column = disks.column::<u64>(Density::Dense);
        let first = disks.insert((), ()).unwrap();
        let model = Arc::new(Model { disks, column, first });
        let reader = |model: Arc<Model<u64>>| {
            move || {
                for _ in 0..2 {
                    let found = model.column.load(model.first).unwrap();
                    assert!([None, Some(7)].contains(&found), "{found:?}");
                }
            }
        };
        let other = thread::spawn(reader(Arc::clone(&model)));
        model.column.store(first, 7).unwrap();
        reader(Arc::clone(&model))();
        other.join().unwrap();
    });
}
