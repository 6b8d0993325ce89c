//! Setters and readers of one row at once.

use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use enodev_handles::Plain;

use crate::common::{DENSITIES, Over, disks};

const ROUNDS: u64 = if cfg!(miri) { 40 } else { 20_000 };

/// A value whose words all say the same.
fn whole(n: u64) -> [u64; 5] {
    std::array::from_fn(|at| n.wrapping_mul(at as u64 + 1))
}

#[test]
fn no_reader_sees_parts_of_two_values_of_two_setters() {
    for density in DENSITIES {
        let disks = disks();
        let column = disks.column::<[u64; 5]>(density);
        let sda = disks.insert(0, ()).unwrap();
        column.set(&disks.domain().pin(), sda, whole(0)).unwrap();
        let (start, over) = (Barrier::new(4), AtomicBool::new(false));
        thread::scope(|scope| {
            let setter = |first: u64| {
                let (start, column, domain) = (&start, &column, disks.domain());
                move || {
                    start.wait();
                    (0..ROUNDS).for_each(|n| column.set(&domain.pin(), sda, whole(2 * n + first)).unwrap());
                }
            };
            let _over = Over(&over);
            let setters = [scope.spawn(setter(0)), scope.spawn(setter(1))];
            for _ in 0..2 {
                scope.spawn(|| {
                    start.wait();
                    while !over.load(Ordering::Relaxed) {
                        let value = column.get(&disks.domain().pin(), sda).unwrap().unwrap();
                        assert_eq!(value, whole(value[0]));
                    }
                });
            }
            setters.into_iter().for_each(|setter| setter.join().unwrap());
        });
    }
}

/// A setter's words come one after the other, so that the last of two setters wins with all of them or with none.
#[test]
fn setters_of_one_row_come_one_after_the_other() {
    for density in DENSITIES {
        let disks = disks();
        let column = disks.column::<[u64; 5]>(density);
        let sda = disks.insert(0, ()).unwrap();
        thread::scope(|scope| {
            for _ in 0..3 {
                scope.spawn(|| {
                    for _ in 0..ROUNDS {
                        let next = |value: Option<[u64; 5]>| whole(value.map_or(1, |value| value[0] + 1));
                        column.update(&disks.domain().pin(), sda, next).unwrap();
                    }
                });
            }
        });
        assert_eq!(column.get(&disks.domain().pin(), sda), Ok(Some(whole(3 * ROUNDS))));
    }
}

/// S3-1: objects that come and go in the same few slots, each with a value that names it: whoever finds a value under a handle finds
/// that of the handle's object, whole.
#[test]
fn a_value_is_never_that_of_another_object_while_slots_are_used_again() {
    for density in DENSITIES {
        let disks = disks();
        let column = disks.column::<(u64, [u32; 4], u64)>(density);
        let of = |bits: u64| (bits, [bits as u32; 4], !bits);
        let (sender, receiver) = std::sync::mpsc::channel();
        thread::scope(|scope| {
            let reader = scope.spawn(|| {
                let receiver = receiver;
                let mut met = 0_u64;
                for handle in receiver {
                    for _ in 0..4 {
                        if let Ok(Some(value)) = column.get(&disks.domain().pin(), handle) {
                            assert_eq!(value, of(handle.to_bits()));
                            met += 1;
                        }
                    }
                }
                met
            });
            for _ in 0..ROUNDS / 4 {
                let handle = disks.insert(0, ()).unwrap();
                column.set(&disks.domain().pin(), handle, of(handle.to_bits())).unwrap();
                sender.send(handle).unwrap();
                disks.remove(handle).unwrap();
            }
            // The reader is sure to find the last one.
            let last = disks.insert(0, ()).unwrap();
            column.set(&disks.domain().pin(), last, of(last.to_bits())).unwrap();
            sender.send(last).unwrap();
            drop(sender);
            assert!(reader.join().unwrap() > 0);
        });
    }
}

/// A value that is made of two halves which have to agree, by hand.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Twice(u64);

impl Plain for Twice {
    type Bytes = <(u64, u64) as Plain>::Bytes;

    fn to_bytes(self) -> Self::Bytes {
        (self.0, self.0).to_bytes()
    }

    fn from_bytes(bytes: Self::Bytes) -> Self {
        let (one, other) = Plain::from_bytes(bytes);
        assert_eq!(one, other, "parts of two values have been put together");
        Self(one)
    }
}

#[test]
fn a_type_of_the_users_own_is_put_together_from_whole_values_only() {
    let disks = disks();
    let column = disks.column::<Twice>(enodev_handles::Density::Dense);
    let sda = disks.insert(0, ()).unwrap();
    column.set(&disks.domain().pin(), sda, Twice(0)).unwrap();
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                for _ in 0..ROUNDS {
                    let next = |value: Option<Twice>| Twice(value.map_or(0, |value| value.0) + 1);
                    column.update(&disks.domain().pin(), sda, next).unwrap();
                }
            });
        }
        for _ in 0..ROUNDS {
            column.get(&disks.domain().pin(), sda).unwrap().unwrap();
        }
    });
    assert_eq!(column.get(&disks.domain().pin(), sda), Ok(Some(Twice(2 * ROUNDS))));
}
