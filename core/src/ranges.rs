//! Which device answers at which address: one space's regions, sorted, and published anew with every change.

use std::ops::{Bound, Deref, RangeBounds, RangeInclusive};
use std::sync::Arc;

use arc_swap::ArcSwap;
use arc_swap::cache::Cache;
use enodev_attrs::Errno;

use crate::error::{Error, Result};
use crate::handle::{DeviceHandle, SpaceHandle};
use crate::sync::Mutex;

/// Addresses of a space at which one device answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Region {
    /// The first address.
    pub base: u64,
    /// The last address; never less than the first.
    pub last: u64,
    /// Who answers.
    pub device: DeviceHandle,
    /// Where the addresses are.
    pub space: SpaceHandle,
}

impl Region {
    /// The addresses.
    pub fn range(&self) -> RangeInclusive<u64> {
        self.base..=self.last
    }

    /// The device, and how far an address of the region lies behind the base.
    #[inline]
    fn find(&self, address: u64) -> Option<(DeviceHandle, u64)> {
        (self.base <= address && address <= self.last).then(|| (self.device, address.wrapping_sub(self.base)))
    }
}

/// The first and the last of some addresses.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Range {
    pub(crate) base: u64,
    pub(crate) last: u64,
}

impl Range {
    pub(crate) fn of(range: impl RangeBounds<u64>) -> Result<Self> {
        let base = match range.start_bound() {
            Bound::Included(base) => Some(*base),
            Bound::Excluded(before) => before.checked_add(1),
            Bound::Unbounded => Some(0),
        };
        let last = match range.end_bound() {
            Bound::Included(last) => Some(*last),
            Bound::Excluded(end) => end.checked_sub(1),
            Bound::Unbounded => Some(u64::MAX),
        };
        base.zip(last).filter(|(base, last)| base <= last).map(|(base, last)| Self { base, last }).ok_or(Error::Range)
    }
}

/// Where in a table the regions were that were met before. Whether it is still so is seen from the region that is there now.
#[derive(Debug)]
pub(crate) struct Hints([usize; 1 << Self::BITS]);

impl Hints {
    const BITS: u32 = 6;

    /// The hint for the addresses that have this number, and for those of others.
    #[inline]
    fn of(&mut self, grain: u64) -> &mut usize {
        // 2^64 by the golden ratio: numbers near each other fall far apart.
        let place = grain.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> (u64::BITS - Self::BITS);
        &mut self.0[place as usize]
    }
}

impl Default for Hints {
    fn default() -> Self {
        Self([0; 1 << Self::BITS])
    }
}

/// The regions of a space as they were at one moment. Nothing of a driver is in it: who has it keeps our memory, and no device.
///
/// # Invariants
///
/// Regions are sorted and do not overlap.
#[derive(Debug, Default)]
pub(crate) struct Table {
    /// The bases of the regions, close together: all that a search reads but for the region that it finds.
    bases: Box<[u64]>,
    regions: Box<[Region]>,
    /// So many low bits are 0 in every base, and in what follows every last address: addresses that differ in these alone are in
    /// one region, or in none.
    grain: u32,
    /// The space has gone. There are no regions any more, and there never will be.
    is_closed: bool,
}

impl Table {
    fn new(regions: Vec<Region>) -> Self {
        let bases = regions.iter().map(|region| region.base).collect();
        let ends = regions.iter().fold(0, |bits, region| bits | region.base | region.last.wrapping_add(1));
        Self { bases, regions: regions.into(), grain: ends.trailing_zeros() % u64::BITS, is_closed: false }
    }

    pub(crate) fn regions(&self) -> &[Region] {
        &self.regions
    }

    /// Whose an address is, and how far behind the base of the region. The device may have left.
    pub(crate) fn find(&self, address: u64) -> Option<(DeviceHandle, u64)> {
        self.regions.get(self.last_before(address))?.find(address)
    }

    /// As [`find`](Self::find), for who looks again and again.
    #[inline]
    pub(crate) fn find_near(&self, hints: &mut Hints, address: u64) -> Option<(DeviceHandle, u64)> {
        let hint = hints.of(address >> self.grain);
        match self.regions.get(*hint).and_then(|region| region.find(address)) {
            None => self.find_anew(hint, address),
            found => found,
        }
    }

    /// Kept apart, so that the way of those who are near stays short.
    #[inline(never)]
    fn find_anew(&self, hint: &mut usize, address: u64) -> Option<(DeviceHandle, u64)> {
        *hint = self.last_before(address);
        self.regions.get(*hint)?.find(address)
    }

    /// The place of the last region that does not begin after an address; one that none has, where there is no such region.
    fn last_before(&self, address: u64) -> usize {
        self.bases.partition_point(|base| *base <= address).wrapping_sub(1)
    }

    /// What to say of an address where no device answers.
    #[cold]
    pub(crate) fn nobody(&self) -> Error {
        if self.is_closed { Errno::ENODEV.into() } else { Error::NotFound }
    }

    /// The region of a device that begins at `base`.
    fn place(&self, base: u64, device: DeviceHandle) -> Result<usize> {
        let at = self.bases.binary_search(&base).map_err(|_| self.nobody())?;
        match self.regions.get(at) {
            Some(region) if region.device == device => Ok(at),
            _ => Err(self.nobody()),
        }
    }

    /// Adds a region, in the place of one of the device's own, if any is given.
    fn put(&self, region: Region, instead: Option<usize>) -> Result<Self> {
        if self.is_closed {
            return Err(self.nobody());
        }
        let mut regions = self.regions.to_vec();
        if let Some(old) = instead {
            regions.remove(old);
        }
        let at = regions.partition_point(|other| other.last < region.base);
        if regions.get(at).is_some_and(|next| next.base <= region.last) {
            return Err(Error::Overlap);
        }
        regions.insert(at, region);
        Ok(Self::new(regions))
    }

    /// Adds a region. No other may have any of its addresses.
    pub(crate) fn with(&self, region: Region) -> Result<Self> {
        self.put(region, None)
    }

    /// Puts a region in the place of the one of the same device that begins at `base`.
    pub(crate) fn moved(&self, base: u64, region: Region) -> Result<Self> {
        self.put(region, Some(self.place(base, region.device)?))
    }

    /// Takes the region of a device away that begins at `base`.
    pub(crate) fn without(&self, base: u64, device: DeviceHandle) -> Result<Self> {
        let at = self.place(base, device)?;
        let mut regions = self.regions.to_vec();
        regions.remove(at);
        Ok(Self::new(regions))
    }

    /// Takes regions away, which are sorted, and of which some may have gone already. None where there is nothing to be done.
    fn without_all(&self, gone: &[Region]) -> Option<Self> {
        let is_gone = |region: &Region| {
            let at = gone.binary_search_by_key(&region.base, |gone| gone.base);
            at.is_ok_and(|at| gone.get(at).is_some_and(|gone| gone.device == region.device))
        };
        let left: Vec<_> = self.regions.iter().filter(|region| !is_gone(region)).copied().collect();
        (left.len() < self.regions.len()).then(|| Self::new(left))
    }
}

/// The regions of a space. Who looks an address up takes no lock: it sees them before a change or after it.
#[derive(Debug, Default)]
pub(crate) struct Ranges {
    now: ArcSwap<Table>,
    /// Held by who changes them, from the first look to the publication.
    change: Mutex<()>,
}

impl Ranges {
    pub(crate) fn load(&self) -> impl Deref<Target = Arc<Table>> {
        self.now.load()
    }

    /// Publishes what `change` makes of the regions, if anything. It runs under the lock.
    pub(crate) fn change(&self, change: impl FnOnce(&Table) -> Result<Table>) -> Result {
        let _change = self.change.lock();
        let next = change(&self.now.load())?;
        self.now.store(Arc::new(next));
        Ok(())
    }

    /// Takes regions away, which are sorted, and of which some may have gone already.
    pub(crate) fn release(&self, gone: &[Region]) {
        let _change = self.change.lock();
        if let Some(next) = self.now.load().without_all(gone) {
            self.now.store(Arc::new(next));
        }
    }

    /// Ends the space, and returns what was in it. `ENODEV` if another thread has been quicker.
    pub(crate) fn close(&self) -> Result<Arc<Table>> {
        let _change = self.change.lock();
        let last = self.now.load_full();
        if last.is_closed {
            return Err(last.nobody());
        }
        self.now.store(Arc::new(Table { is_closed: true, ..Table::default() }));
        Ok(last)
    }
}

/// The regions of a space for who looks again and again: the last table that was seen, and whether it is still the one.
pub(crate) type Seen = Cache<Published, Arc<Table>>;

/// Keeps the memory of a space's regions.
#[derive(Debug, Clone)]
pub(crate) struct Published(pub(crate) Arc<Ranges>);

impl Deref for Published {
    type Target = ArcSwap<Table>;

    #[inline]
    fn deref(&self) -> &ArcSwap<Table> {
        &self.0.now
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn region(base: u64, last: u64) -> Region {
        Region { base, last, device: DeviceHandle::from_bits(base), space: SpaceHandle::null() }
    }

    fn table(ranges: &[(u64, u64)]) -> Table {
        let put = |table: Table, (base, last): &(u64, u64)| table.with(region(*base, *last));
        ranges.iter().try_fold(Table::default(), put).unwrap_or_default()
    }

    #[test]
    fn the_grain_is_of_what_all_ranges_are_multiples() {
        for (ranges, grain) in [
            (&[(0x1000, 0x1fff), (0x4000, 0x7fff)][..], 12),
            (&[(0x1000, 0x1fff), (0x3f8, 0x3ff)], 3),
            (&[(0x1000, 0x1ffe)], 0),
            (&[(1, 1)], 0),
            (&[(1 << 63, u64::MAX)], 63),
        ] {
            assert_eq!(table(ranges).grain, grain, "{ranges:x?}");
        }
        // A number of bits that a shift can have, although no bit is set.
        assert!(table(&[(0, u64::MAX)]).grain < u64::BITS && table(&[]).grain < u64::BITS);
    }

    /// Hints of another table, hints that many addresses share, and hints without meaning change no answer.
    #[test]
    fn hints_change_no_answer() {
        let many: Vec<_> = (0..500).map(|n| (n * 24, n * 24 + 15)).collect();
        let tables = [table(&many), table(&[(0, u64::MAX)]), table(&[]), table(&many[20..40]), table(&[(8, 8)])];
        let mut hints = Hints([usize::MAX; 1 << Hints::BITS]);
        for round in 0..3 {
            for table in &tables {
                for address in (0..13_000).step_by(5 + round).chain([u64::MAX]) {
                    let found = table.find(address);
                    assert_eq!(table.find_near(&mut hints, address), found, "{address}");
                    assert_eq!(table.find_near(&mut hints, address), found, "{address}");
                }
            }
        }
    }

    #[test]
    fn regions_are_released_that_are_still_there() {
        let three = table(&[(0, 9), (10, 19), (20, 29)]);
        let other = Region { device: DeviceHandle::null(), ..region(10, 19) };
        assert!(three.without_all(&[]).is_none() && three.without_all(&[other, region(30, 39)]).is_none());
        let left = three.without_all(&[region(0, 9), region(5, 6), region(20, 29)]);
        assert_eq!(left.map(|left| left.regions.to_vec()), Some(vec![region(10, 19)]));
    }
}
