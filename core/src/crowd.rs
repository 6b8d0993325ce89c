//! The devices of a bus or a class: a list to which many threads come at once.

use std::array;
use std::sync::Arc;

use arc_swap::ArcSwap;

use crate::error::Result;
use crate::handle::{AsKobject, DeviceHandle};
use crate::members::{Members, Seat};
use crate::payload::turn;
use crate::sync::atomic::{AtomicU64, Ordering};
use crate::sync::{Mutex, MutexGuard};

/// So many rows there are.
const ROWS: usize = if cfg!(any(loom, shuttle)) { 2 } else { 8 };

/// Devices in the order in which they came, changed under locks, and read without one for as long as they have not changed since they
/// were last read.
///
/// Threads that add and remove devices at once do so in rows of their own, and meet at one number: each device is given the next one as
/// it comes. So who comes after another has a higher number than that one, whatever their rows; and the numbers in a row rise, as they are
/// given out under its lock.
///
/// A change is not published until somebody asks for the list: changes that nobody sees one by one copy nothing. All rows are locked
/// then, so that a snapshot is the list as it was at one moment.
#[derive(Debug)]
pub(crate) struct Crowd {
    /// Apart from what else there is of a bus or a class: who comes only reads that.
    rows: Box<Rows>,
    last: ArcSwap<Crowded>,
}

#[derive(Debug)]
struct Rows {
    rows: [Row; ROWS],
    came: Count,
}

/// How many have come. On cache lines of its own.
#[derive(Debug, Default)]
#[repr(align(128))]
struct Count(AtomicU64);

/// On cache lines of its own.
#[derive(Debug, Default)]
#[repr(align(128))]
struct Row {
    devices: Mutex<Members<Device>>,
    /// One more for each change. Changed under the lock.
    version: AtomicU64,
}

/// A device and its number.
type Device = (u64, DeviceHandle);

/// Where a device is in a crowd.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Spot {
    row: usize,
    seat: Seat,
}

/// A crowd as it was at one moment.
#[derive(Debug)]
pub(crate) struct Crowded {
    rows: [Members<Device>; ROWS],
    versions: [u64; ROWS],
}

impl Default for Crowd {
    fn default() -> Self {
        let nobody = Crowded { rows: array::from_fn(|_| Members::default()), versions: [0; ROWS] };
        let rows = Rows { rows: array::from_fn(|_| Row::default()), came: Count::default() };
        Self { rows: Box::new(rows), last: ArcSwap::from_pointee(nobody) }
    }
}

/// The row for devices that the calling thread adds. In a model, where threads are not numbered from run to run, it is the device's.
fn row_of(device: DeviceHandle) -> usize {
    let number = if cfg!(any(loom, shuttle)) { device.kobject().to_bits() as usize } else { turn() };
    number % ROWS
}

impl Crowd {
    /// Adds a device at the end, unless `may` says, under a lock of the list, that it may not be.
    pub(crate) fn enter(&self, device: DeviceHandle, may: impl FnOnce() -> Result) -> Result<Spot> {
        self.enter_row(row_of(device), device, may)
    }

    fn enter_row(&self, row: usize, device: DeviceHandle, may: impl FnOnce() -> Result) -> Result<Spot> {
        self.row(row).change(|devices| {
            may()?;
            // Relaxed: of two that come one after the other the second finds the number that the first has left, as all changes of one
            // word are in one order.
            let number = self.rows.came.0.fetch_add(1, Ordering::Relaxed);
            Ok(Spot { row, seat: devices.push((number, device)) })
        })
    }

    /// Takes out those that are there. Those that came from one thread one after the other are one change.
    pub(crate) fn leave<K>(&self, spots: &[(K, Spot)]) {
        for spots in spots.chunk_by(|one, next| one.1.row == next.1.row) {
            let Some((_, first)) = spots.first() else { continue };
            self.row(first.row).change(|devices| devices.remove_all(spots, |(_, spot)| spot.seat));
        }
    }

    /// Does what is to be done while nobody is there; nobody comes meanwhile.
    pub(crate) fn when_empty<R>(&self, act: impl FnOnce() -> R) -> Option<R> {
        let rows = self.lock();
        rows.iter().all(|row| row.len() == 0).then(act)
    }

    /// The devices as they are. With a fence before it, and one after a device came: either this has the device, or who brought it sees
    /// what this caller did before.
    pub(crate) fn load(&self) -> Arc<Crowded> {
        let last = self.last.load();
        let versions = array::from_fn(|row| self.row(row).version());
        if versions == last.versions {
            return Arc::clone(&last);
        }
        let mut rows = self.lock();
        // As they are under the locks.
        let versions = array::from_fn(|row| self.row(row).version());
        let mut shared = rows.iter_mut().map(|row| row.share());
        let now = Arc::new(Crowded { rows: array::from_fn(|_| shared.next().unwrap_or_default()), versions });
        self.last.store(Arc::clone(&now));
        now
    }

    fn row(&self, row: usize) -> &Row {
        // The number is one of a row: see `row_of`.
        &self.rows.rows[row % ROWS]
    }

    /// Locks all rows, the first one first.
    fn lock(&self) -> [MutexGuard<'_, Members<Device>>; ROWS] {
        array::from_fn(|row| self.row(row).devices.lock())
    }
}

impl Row {
    fn change<R>(&self, change: impl FnOnce(&mut Members<Device>) -> R) -> R {
        let mut devices = self.devices.lock();
        let result = change(&mut devices);
        // Relaxed: changed under the lock.
        let version = self.version.load(Ordering::Relaxed);
        // Release: pairs with the Acquire of `version`: who finds this number finds, under the lock, the devices that it is of.
        self.version.store(version + 1, Ordering::Release);
        result
    }

    fn version(&self) -> u64 {
        // Acquire: pairs with the Release of `change`.
        self.version.load(Ordering::Acquire)
    }
}

impl Crowded {
    /// The devices, in the order in which they came.
    pub(crate) fn iter(&self) -> impl Iterator<Item = DeviceHandle> + use<> {
        self.spots().map(|(_, device)| device)
    }

    /// As [`iter`](Self::iter), each with where it is.
    pub(crate) fn spots(&self) -> impl Iterator<Item = (Spot, DeviceHandle)> + use<> {
        let rows = self.rows.iter().enumerate().filter(|(_, row)| row.len() != 0);
        let mut rows: Vec<_> = rows.map(|(row, devices)| (row, devices.behind(None).peekable())).collect();
        std::iter::from_fn(move || {
            let first = rows.iter_mut().filter_map(|(row, devices)| {
                let number = devices.peek()?.1.0;
                Some((number, *row, devices))
            });
            let (_, row, devices) = first.min_by_key(|(number, ..)| *number)?;
            let (seat, (_, device)) = devices.next()?;
            Some((Spot { row, seat }, device))
        })
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Barrier;
    use std::thread;

    use crate::handle::{KobjectHandle, device};

    use super::*;

    fn devices(count: u64) -> Vec<DeviceHandle> {
        let store = crate::Store::new().unwrap();
        (0..count).map(|n| device(store.create(store.root(), &n.to_string()).unwrap())).collect()
    }

    /// S1-12, T73, T77: whichever threads bring devices and take them away, they are listed in the order in which they came, each once;
    /// and a list that was read stays as it was.
    #[test]
    fn devices_are_in_the_order_in_which_they_came_whoever_brought_them() {
        let (crowd, devices) = (Crowd::default(), devices(120));
        let spots: Vec<Spot> = devices
            .iter()
            .map(|device| {
                thread::scope(|scope| scope.spawn(|| crowd.enter(*device, || Ok(()))).join().unwrap().unwrap())
            })
            .collect();
        assert!(spots.iter().any(|spot| spot.row != spots[0].row), "all in one row: this shows nothing");
        let all = crowd.load();
        assert_eq!(all.iter().collect::<Vec<_>>(), devices);
        assert!(all.spots().map(|(spot, _)| spot).eq(spots.iter().copied()));
        assert!(Arc::ptr_eq(&all, &crowd.load()), "nothing has changed");

        let (gone, left): (Vec<_>, Vec<_>) =
            spots.into_iter().zip(devices.iter().copied()).partition(|(_, device)| device.kobject().to_bits() % 3 == 0);
        let spots: Vec<_> = gone.iter().map(|(spot, _)| ((), *spot)).collect();
        crowd.leave(&spots);
        assert!(crowd.load().iter().eq(left.iter().map(|(_, device)| *device)));
        assert_eq!(all.iter().count(), devices.len());
        assert_eq!(crowd.when_empty(|| ()), None);
        crowd.leave(&left.iter().map(|(spot, _)| ((), *spot)).collect::<Vec<_>>());
        assert_eq!((crowd.when_empty(|| ()), crowd.load().iter().count()), (Some(()), 0));
        let refused = crowd.enter(devices[0], || Err(crate::Error::InUse));
        assert_eq!((refused, crowd.load().iter().count()), (Err(crate::Error::InUse), 0));
    }

    /// S1-12: a device that came after another is never listed without that one, while both are there.
    #[test]
    fn a_list_that_is_read_is_of_one_moment() {
        let (crowd, devices, barrier) = (Crowd::default(), devices(400), Barrier::new(3));
        let turn = AtomicU64::new(0);
        thread::scope(|scope| {
            for own in 0..2 {
                let (crowd, devices, barrier, turn) = (&crowd, &devices, &barrier, &turn);
                scope.spawn(move || {
                    barrier.wait();
                    for (n, device) in devices.iter().enumerate().filter(|(n, _)| n % 2 == own) {
                        // Acquire: pairs with the Release below: this device comes after the other thread's.
                        while turn.load(Ordering::Acquire) != n as u64 {
                            std::hint::spin_loop();
                        }
                        crowd.enter_row(own, *device, || Ok(())).unwrap();
                        // Release: as above.
                        turn.store(n as u64 + 1, Ordering::Release);
                    }
                });
            }
            barrier.wait();
            loop {
                let seen: Vec<KobjectHandle> = crowd.load().iter().map(|device| device.kobject()).collect();
                assert!(
                    seen.iter().eq(devices[..seen.len()]
                        .iter()
                        .map(|device| device.kobject())
                        .collect::<Vec<_>>()
                        .iter())
                );
                if seen.len() == devices.len() {
                    break;
                }
            }
        });
    }
}
