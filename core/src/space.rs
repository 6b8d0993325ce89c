use std::fmt;
use std::ops::RangeBounds;
use std::sync::Arc;

use enodev_attrs::Name;
use enodev_handles::{ActiveMut, Visit};

use crate::error::{Error, Result};
use crate::handle::{AsKobject, DeviceHandle, SpaceHandle};
use crate::node::Node;
use crate::ranges::{Hints, Published, Range, Ranges, Region, Seen};
use crate::session::Session;
use crate::store::Store;

/// What the store keeps of a space beside its regions.
#[derive(Debug)]
pub(crate) struct SpaceMeta {
    name: Name,
}

/// Address spaces: I/O ports, memory-mapped I/O, or whatever has addresses of 64 bits that devices answer at.
///
/// A device is mapped to any number of ranges, in any number of spaces; ranges of one space do not overlap. A look-up takes no lock and
/// waits for nobody; a change copies the space's table, of 40 bytes for each range.
///
/// A range goes with its device: as the device begins to leave, no look-up gives it any more, and as it has left, the range is
/// free to be mapped again. Nobody has to take it off a bus first.
///
/// ```
/// use enodev::{DeviceType, Error, Store};
///
/// let store = Store::new()?;
/// let uart_type = store.define(DeviceType::shared::<&'static str>("uart"))?;
/// let uart = store.register(store.root(), "uart0", uart_type, "16550")?;
///
/// let ports = store.create_space("ports")?;
/// store.map(uart, ports, 0x3f8..=0x3ff)?;
/// assert_eq!(store.resolve(ports, 0x3fd), Ok((uart, 5)));
/// assert_eq!(store.map(uart, ports, 0x3ff..0x400), Err(Error::Overlap));
///
/// store.unregister::<&'static str>(uart)?;
/// assert_eq!(store.resolve(ports, 0x3fd), Err(Error::NotFound));
/// # Ok::<(), Error>(())
/// ```
///
/// # Linux
///
/// `struct resource` and its trees, `request_region` and `release_region`; `/proc/ioports` and `/proc/iomem` list them. There a range is
/// a claim, not a way to the device: it has the name of whoever claimed it, ranges lie in each other, and a driver that forgets to release
/// one leaves it taken. An overlap is `EBUSY`, as here.
impl Store {
    /// Makes an address space. Its name is for people: several may have the same.
    ///
    /// # Errors
    ///
    /// [`Error::Name`], [`Error::Full`].
    pub fn create_space(&self, name: &str) -> Result<SpaceHandle> {
        let meta = SpaceMeta { name: Name::new(name)? };
        Ok(self.inner.spaces.insert(meta, Arc::default())?)
    }

    /// Removes an address space. The devices in it stay; their ranges there go.
    ///
    /// # Errors
    ///
    /// `ENODEV`. [`Error::Barrier`]: the space has gone, but the system refuses the barrier, so that its memory is kept.
    pub fn remove_space(&self, space: SpaceHandle) -> Result {
        let gone = self.inner.spaces.enter(space)?.close()?;
        self.inner.spaces.remove(space)?;
        let pin = self.inner.domain.pin();
        for region in gone.regions() {
            let node = self.inner.nodes.get_leaving(&pin, region.device.kobject());
            if let Some(more) = node.ok().and_then(Node::more) {
                more.regions.lock().retain(|region| region.space != space);
            }
        }
        Ok(())
    }

    /// The name of a space.
    ///
    /// # Errors
    ///
    /// `ENODEV`.
    pub fn space_name(&self, space: SpaceHandle) -> Result<Name> {
        Ok(self.inner.spaces.get(&self.inner.domain.pin(), space)?.name.clone())
    }

    /// Has a device answer at a range of addresses, `0x1000..0x2000` or `0x1000..=0x1fff`; `..` is all there are.
    ///
    /// # Errors
    ///
    /// - [`Error::Range`]: there is no address in the range.
    /// - `ENODEV`: the device or the space is not of this store, has left, or is leaving.
    /// - [`Error::WrongType`]: it is no device.
    /// - [`Error::Overlap`]: a device has one of the addresses, perhaps one that is still leaving; perhaps this one.
    pub fn map(&self, device: DeviceHandle, space: SpaceHandle, range: impl RangeBounds<u64>) -> Result {
        let Range { base, last } = Range::of(range)?;
        self.change_regions(device, space, |ranges, own| {
            let region = Region { base, last, device, space };
            ranges.change(|table| {
                let table = table.with(region)?;
                own.more_or_new().regions.lock().push(region);
                Ok(table)
            })
        })
    }

    /// Moves a device's range that begins at `base` to other addresses, as a guest does that writes to a base address register: every
    /// look-up finds it at the one place or at the other. The new range may overlap the old one, and be of another length.
    ///
    /// # Errors
    ///
    /// As [`map`](Self::map), and [`Error::NotFound`]: the device has no range that begins there. Then the old range stays.
    pub fn remap(&self, device: DeviceHandle, space: SpaceHandle, base: u64, range: impl RangeBounds<u64>) -> Result {
        let to = Range::of(range)?;
        self.change_regions(device, space, |ranges, own| {
            let new = Region { base: to.base, last: to.last, device, space };
            ranges.change(|table| {
                let table = table.moved(base, new)?;
                let mut regions = own.more_or_new().regions.lock();
                let old = regions.iter_mut().find(|region| region.space == space && region.base == base);
                old.map(|old| *old = new).ok_or(Error::NotFound)?;
                Ok(table)
            })
        })
    }

    /// Has a device answer no more at its range that begins at `base`. Who has looked an address up before may still be inside the
    /// device, or enter it.
    ///
    /// # Errors
    ///
    /// `ENODEV` for either; [`Error::NotFound`]: the device has no range that begins there.
    pub fn unmap(&self, device: DeviceHandle, space: SpaceHandle, base: u64) -> Result {
        self.change_regions(device, space, |ranges, own| {
            ranges.change(|table| {
                let table = table.without(base, device)?;
                own.more_or_new().regions.lock().retain(|region| region.space != space || region.base != base);
                Ok(table)
            })
        })
    }

    /// Which device answers at an address, and how far the address lies behind the base of the range.
    ///
    /// Never waits. Threads that do this all the time have a [`space_session`](Self::space_session) for it.
    ///
    /// # Errors
    ///
    /// `ENODEV`: the space has gone. [`Error::NotFound`]: no device answers there, or it is leaving.
    pub fn resolve(&self, space: SpaceHandle, address: u64) -> Result<(DeviceHandle, u64)> {
        let ranges = self.inner.spaces.enter(space)?;
        let table = ranges.load();
        match table.find(address) {
            Some((device, offset)) if self.inner.nodes.contains(device.kobject()) => Ok((device, offset)),
            _ => Err(table.nobody()),
        }
    }

    /// The calling thread's way into the devices of a space, for loops.
    ///
    /// # Errors
    ///
    /// `ENODEV`.
    pub fn space_session(&self, space: SpaceHandle) -> Result<SpaceSession<'_>> {
        let ranges = Arc::clone(&*self.inner.spaces.enter(space)?);
        Ok(SpaceSession { seen: Seen::new(Published(ranges)), hints: Hints::default(), session: self.session() })
    }

    /// All ranges of a space, by address; those of devices that are leaving left out.
    ///
    /// # Errors
    ///
    /// `ENODEV`.
    pub fn regions(&self, space: SpaceHandle) -> Result<Vec<Region>> {
        let ranges = self.inner.spaces.enter(space)?;
        let table = ranges.load();
        let is_there = |region: &&Region| self.inner.nodes.contains(region.device.kobject());
        Ok(table.regions().iter().filter(is_there).copied().collect())
    }

    /// All ranges of a device, in the order in which they were mapped.
    ///
    /// # Errors
    ///
    /// `ENODEV`.
    pub fn regions_of(&self, device: DeviceHandle) -> Result<Vec<Region>> {
        let pin = self.inner.domain.pin();
        let more = self.inner.nodes.get(&pin, device.kobject())?.more();
        Ok(more.map_or_else(Vec::new, |more| more.regions.lock().clone()))
    }

    /// Gives ranges free whose devices are leaving and have been drained; publishes each space once.
    pub(crate) fn release(&self, mut gone: Vec<Region>) {
        gone.sort_unstable_by_key(|region| (region.space, region.base));
        for regions in gone.chunk_by(|a, b| a.space == b.space) {
            // A space that has gone has taken its ranges along.
            let space = regions.first().and_then(|region| self.inner.spaces.enter(region.space).ok());
            if let Some(ranges) = space {
                ranges.release(regions);
            }
        }
    }

    /// Changes what ranges a device has. The device stays for so long: whoever removes it takes its ranges away after that.
    fn change_regions(
        &self,
        device: DeviceHandle,
        space: SpaceHandle,
        change: impl FnOnce(&Ranges, &Node) -> Result,
    ) -> Result {
        // To leave it may run foreign code: that comes after all else has been let go.
        let _inside = self.inner.nodes.enter(device.kobject())?;
        let ranges = self.inner.spaces.enter(space)?;
        let pin = self.inner.domain.pin();
        let node = self.inner.nodes.get(&pin, device.kobject())?;
        if !node.is_device {
            return Err(Error::WrongType);
        }
        change(&ranges, node)
    }
}

/// A thread's way into the devices of a space, for loops: it has looked up once what need not be looked up for each access. Made by
/// [`Store::space_session`].
///
/// Changes of the space are seen as soon as they have been made. It keeps no device; removals wait for its
/// [`Visit`]s only, as for any guard. It stays on its thread.
///
/// ```
/// use enodev::{DeviceType, Error, Store};
///
/// let store = Store::new()?;
/// let rom_type = store.define(DeviceType::shared::<Vec<u8>>("rom").view::<[u8]>(|rom| rom))?;
/// let rom = store.register(store.root(), "rom", rom_type, b"\x55\xaa".to_vec())?;
/// let memory = store.create_space("memory")?;
/// store.map(rom, memory, 0xc0000..0xc0002)?;
///
/// let mut vcpu = store.space_session(memory)?;
/// let mut read = |address| match vcpu.enter::<[u8]>(address) {
///     Ok((bytes, offset)) => Ok(bytes[offset as usize]),
///     Err(Error::NotFound) => Ok(0xff), // as on a bus where nobody answers
///     Err(error) => Err(error),
/// };
/// assert_eq!([read(0xc0000)?, read(0xc0001)?, read(0xc0002)?], [0x55, 0xaa, 0xff]);
/// # Ok::<(), Error>(())
/// ```
#[must_use = "a session is made to enter devices with"]
pub struct SpaceSession<'a> {
    seen: Seen,
    hints: Hints,
    session: Session<'a>,
}

impl SpaceSession<'_> {
    /// As [`Store::resolve`].
    ///
    /// # Errors
    ///
    /// As [`Store::resolve`].
    #[inline]
    pub fn resolve(&mut self, address: u64) -> Result<(DeviceHandle, u64)> {
        let table = self.seen.load();
        match table.find_near(&mut self.hints, address) {
            Some((device, offset)) if self.session.contains(device) => Ok((device, offset)),
            _ => Err(table.nobody()),
        }
    }

    /// Enters the device that answers at an address, whose payload is shared, as a `U`; and tells how far the address lies behind the
    /// base of the range. As [`Store::enter`] otherwise.
    ///
    /// # Errors
    ///
    /// `ENODEV`: the space has gone. [`Error::NotFound`]: no device answers there, or it is leaving. [`Error::WrongType`].
    #[inline]
    pub fn enter<U: ?Sized + 'static>(&mut self, address: u64) -> Result<(Visit<'_, U>, u64)> {
        let table = self.seen.load();
        let Some((device, offset)) = table.find_near(&mut self.hints, address) else { return Err(table.nobody()) };
        match self.session.visit(device.kobject()) {
            Ok(payload) => Ok((payload.try_map(|body| body.payload.shared()).map_err(|_| Error::WrongType)?, offset)),
            Err(_) => Err(table.nobody()),
        }
    }

    /// Enters the device that answers at an address, whose payload is exclusive, as a `U`; waits while another thread is inside. As
    /// [`Store::enter_mut`] otherwise.
    ///
    /// # Errors
    ///
    /// As [`enter`](Self::enter), and as [`Store::enter_mut`].
    pub fn enter_mut<U: ?Sized + 'static>(&mut self, address: u64) -> Result<(ActiveMut<'_, U>, u64)> {
        let table = self.seen.load();
        let Some((device, offset)) = table.find_near(&mut self.hints, address) else { return Err(table.nobody()) };
        match self.session.store().enter_mut(device) {
            Ok(payload) => Ok((payload, offset)),
            Err(Error::Errno(_)) => Err(table.nobody()),
            Err(error) => Err(error),
        }
    }
}

impl fmt::Debug for SpaceSession<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SpaceSession").finish_non_exhaustive()
    }
}
