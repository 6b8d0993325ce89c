//! Where the rows of a column lie.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};
use std::ops::Range;

use crate::chunks::{CAPACITY, Chunks, Zeroed};
use crate::columns::Density;
use crate::columns::row::Row;
use crate::error::Full;
use crate::sync::atomic::{AtomicU32, Ordering};
use crate::sync::{Mutex, RwLock};
use crate::version::Version;

#[expect(clippy::large_enum_variant, reason = "a dense table is a single step away from its links")]
pub(crate) enum Table<R> {
    /// A row for each slot.
    Dense(Chunks<R>),
    Sparse(Box<Sparse<R>>),
}

impl<R: Row> Table<R> {
    pub(crate) fn new(density: Density) -> Self {
        match density {
            Density::Dense => Self::Dense(Chunks::new(true)),
            Density::Sparse => Self::Sparse(Box::new(Sparse::new())),
        }
    }

    /// The row of a slot, where it has one.
    #[inline]
    pub(crate) fn find(&self, index: u32) -> Option<&R> {
        match self {
            Self::Dense(rows) => Some(rows.find(index)?.get()),
            Self::Sparse(rows) => rows.find(index),
        }
    }

    /// The row of a slot that is in use, made where it has none.
    #[inline]
    pub(crate) fn seat(&self, index: u32) -> Result<&R, Full> {
        match self {
            Self::Dense(rows) => match rows.find(index) {
                Some(found) => Ok(found.get()),
                None => rows.grow(index),
            },
            Self::Sparse(rows) => rows.find(index).map_or_else(|| rows.seat(index), Ok),
        }
    }

    /// Gives a row free. Nobody uses it any more.
    pub(crate) fn reclaimed(&self, index: u32) {
        if let Self::Sparse(rows) = self {
            rows.unseat(index);
        }
    }

    pub(crate) fn sparse(&self) -> Option<&Sparse<R>> {
        match self {
            Self::Dense(_) => None,
            Self::Sparse(rows) => Some(rows),
        }
    }

    /// Calls `visit` for every row that there is memory for.
    pub(crate) fn for_each(&self, mut visit: impl FnMut(&R)) {
        match self {
            Self::Dense(rows) => rows.runs(CAPACITY).for_each(|(_, run)| run.iter().for_each(&mut visit)),
            Self::Sparse(rows) => rows.seats.runs(rows.len()).for_each(|(_, run)| {
                run.iter().for_each(|seat| visit(&seat.row));
            }),
        }
    }

    /// How many bytes the rows take.
    pub(crate) fn memory(&self) -> usize {
        let bytes = |chunks: Vec<Range<usize>>| chunks.iter().map(Range::len).sum();
        match self {
            Self::Dense(rows) => bytes(rows.memory()),
            Self::Sparse(rows) => {
                let entry = size_of::<(u32, u32)>() + 1;
                let maps: usize = rows.shards.iter().map(|shard| shard.read().capacity() * entry).sum();
                bytes(rows.seats.memory()) + maps
            }
        }
    }
}

const SHARDS: usize = 16;
/// A map that has room for more than this, and four times as much as it needs, becomes smaller.
const ROOM: usize = 64;

/// Rows for those slots that have one, one after the other.
///
/// # Invariants
///
/// A seat is in one map, as that of its owner, or free. Its owner changes only between two incarnations of slots: it is made
/// free when no pin can see the object that had it.
pub(crate) struct Sparse<R> {
    shards: [RwLock<HashMap<u32, u32, BuildHasherDefault<Spread>>>; SHARDS],
    seats: Chunks<Seat<R>>,
    free: Mutex<FreeSeats>,
}

#[derive(Default)]
struct FreeSeats {
    seats: Vec<u32>,
    fresh: u32,
}

#[repr(C)]
struct Seat<R> {
    row: R,
    owner: AtomicU32,
}

mod zeroed {
    #![expect(unsafe_code, reason = "says of seats that they may begin as zeroes")]

    use super::{Row, Seat, Zeroed};

    // SAFETY: so may the row, and an owner is a number.
    unsafe impl<R: Row> Zeroed for Seat<R> {
        #[cfg(any(loom, shuttle))]
        fn zeroed() -> Self {
            Self { row: R::zeroed(), owner: super::AtomicU32::new(0) }
        }
    }
}

impl<R: Row> Seat<R> {
    fn owner(&self) -> u32 {
        // Acquire: pairs with the Release of `Sparse::seat`; the row has been made nobody's before.
        self.owner.load(Ordering::Acquire)
    }
}

impl<R: Row> Sparse<R> {
    fn new() -> Self {
        Self { shards: Default::default(), seats: Chunks::new(true), free: Mutex::default() }
    }

    fn find(&self, index: u32) -> Option<&R> {
        let shard = self.shards[index as usize % SHARDS].read();
        let seat = *shard.get(&index)?;
        drop(shard);
        Some(&self.seats.get(seat)?.row)
    }

    fn seat(&self, index: u32) -> Result<&R, Full> {
        let mut shard = self.shards[index as usize % SHARDS].write();
        if let Some(seat) = shard.get(&index).and_then(|at| self.seats.get(*at)) {
            return Ok(&seat.row);
        }
        let (at, seat) = self.take()?;
        // Release: pairs with the Acquire of `owner`.
        seat.owner.store(index, Ordering::Release);
        shard.insert(index, at);
        Ok(&seat.row)
    }

    fn take(&self) -> Result<(u32, &Seat<R>), Full> {
        let mut free = self.free.lock();
        if let Some(at) = free.seats.pop() {
            return Ok((at, self.seats.get(at).ok_or(Full)?));
        }
        let at = free.fresh;
        if at == CAPACITY {
            return Err(Full);
        }
        let seat = self.seats.get(at).map_or_else(|| self.seats.grow(at), Ok)?;
        free.fresh += 1;
        Ok((at, seat))
    }

    fn unseat(&self, index: u32) {
        let mut shard = self.shards[index as usize % SHARDS].write();
        let Some(at) = shard.remove(&index) else { return };
        if shard.capacity() > ROOM.max(4 * shard.len()) {
            let len = shard.len();
            shard.shrink_to(2 * len);
        }
        drop(shard);
        if self.seats.get(at).is_some_and(|seat| seat.row.reset()) {
            self.free.lock().seats.push(at);
        }
    }

    /// All seats below this have been used.
    pub(crate) fn len(&self) -> u32 {
        self.free.lock().fresh
    }

    /// The slot that has a seat, and the version in the seat's row: they belong together if that version is alive in the slot.
    pub(crate) fn sitter(&self, at: u32) -> Option<(u32, Version)> {
        let seat = self.seats.get(at)?;
        let owner = seat.owner();
        let version = seat.row.stamp();
        // While a pin lasts a seat has two owners at the most: the second one keeps it until the pin has gone. So an owner that
        // is the same before and after had the seat between.
        (version.is_live() && seat.owner() == owner).then_some((owner, version))
    }
}

/// Spreads indices over a map: they are dense, and nobody outside chooses them.
#[derive(Default)]
pub(crate) struct Spread(u64);

impl Hasher for Spread {
    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|byte| self.write_u32(u32::from(*byte)));
    }

    fn write_u32(&mut self, number: u32) {
        self.0 = (self.0.rotate_left(5) ^ u64::from(number)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }

    fn finish(&self) -> u64 {
        // The lowest bits of the product are those that the indices of a shard have in common.
        self.0 ^ self.0 >> 32
    }
}
