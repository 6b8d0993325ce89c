//! The devices: what is known of each incarnation, its payload, and the buses.

use std::sync::Arc;
use std::thread;

use enodev::{Bus, BusType, DeviceHandle, DeviceType, Errno, Error, Exclusive, Lending, Page, Scope, Shared, Store};

use super::book::Book;
use super::count::{Count, Flag};

/// What is known of one incarnation of a device.
#[derive(Debug)]
pub(super) struct Record {
    pub(super) serial: u64,
    /// Where it belongs, see [`Place`](super::scene::Place); of a port that of its hub.
    pub(super) place: usize,
    pub(super) is_port: bool,
    /// That under which it was registered.
    pub(super) parent: Option<Arc<Record>>,
    /// The bits of its handle, as soon as somebody knows it.
    pub(super) handle: Count,
    /// The serial number of the driver that it is bound to, or 0.
    pub(super) driver: Count,
    /// How often a driver was asked about it.
    pub(super) probes: Count,
    /// A driver's callback is running on it.
    pub(super) busy: Flag,
    /// Somebody has begun to remove it, or is about to.
    pub(super) leaving: Flag,
    /// Its payload is handed back to who removes it.
    pub(super) handed_back: Flag,
    /// Its payload has been dropped.
    pub(super) dropped: Flag,
    /// It has, or may have, another name than at first.
    pub(super) renamed: Flag,
    /// It has, or may have, another parent than at first.
    pub(super) moved: Flag,
    /// Its addresses have been mapped.
    pub(super) mapped: Flag,
    /// And may have been taken away again.
    pub(super) remapped: Flag,
    /// How often one of its attributes was entered.
    looks: Count,
    /// What was written to it last.
    written: Count,
}

impl Record {
    pub(super) fn new(book: &Book, place: usize, is_port: bool, parent: Option<Arc<Record>>) -> Arc<Self> {
        Arc::new(Self {
            serial: book.serial(),
            place,
            is_port,
            parent,
            handle: Count::default(),
            driver: Count::default(),
            probes: Count::default(),
            busy: Flag::default(),
            leaving: Flag::default(),
            handed_back: Flag::default(),
            dropped: Flag::default(),
            renamed: Flag::default(),
            moved: Flag::default(),
            mapped: Flag::default(),
            remapped: Flag::default(),
            looks: Count::default(),
            written: Count::default(),
        })
    }

    /// Whether it may be gone: somebody removes it, or what it is part of.
    pub(super) fn may_be_gone(&self) -> bool {
        let above = self.parent.as_ref();
        self.leaving.is_up() || self.moved.is_up() || above.is_some_and(|parent| parent.may_be_gone())
    }

    /// Notes its handle, or compares.
    pub(super) fn is(&self, book: &Book, handle: DeviceHandle) {
        let known = self.handle.set(handle.to_bits());
        book.claim(known == 0 || known == handle.to_bits(), || {
            format!("device {} is {handle:?} and also {:?}", self.serial, DeviceHandle::from_bits(known))
        });
    }
}

/// The payload of a device.
#[derive(Debug)]
pub(super) struct Chip {
    pub(super) record: Arc<Record>,
    book: Arc<Book>,
}

impl Chip {
    pub(super) fn new(book: &Arc<Book>, record: &Arc<Record>) -> Self {
        book.payloads.made.add(1);
        Self { record: Arc::clone(record), book: Arc::clone(book) }
    }

    /// Stays inside for longer, now and then.
    fn linger(&self) {
        if self.record.looks.add(1) % 16 == 0 {
            thread::yield_now();
        }
    }

    /// Who is inside finds the payload whole.
    pub(super) fn check(&self, when: &str) {
        self.book.claim(!self.record.dropped.is_up(), || format!("device {} was dropped {when}", self.record.serial));
    }

    fn show_id(&self, page: &mut Page) -> Result<(), Errno> {
        self.check("before a show");
        page.int(self.record.serial)?;
        self.linger();
        self.check("during a show");
        Ok(())
    }

    /// What is shown is the device's own, whoever wrote it.
    fn show_value(&self, page: &mut Page) -> Result<(), Errno> {
        self.check("before a show");
        page.line(format_args!("{} {}", self.record.serial, self.record.written.get()))
    }

    fn store_value(&self, data: &[u8]) -> Result<(), Errno> {
        self.check("before a store");
        let number = std::str::from_utf8(data).ok().and_then(|text| text.trim_end().parse().ok());
        self.linger();
        self.record.written.set(number.ok_or(Errno::EINVAL)?);
        self.check("during a store");
        Ok(())
    }
}

impl Drop for Chip {
    fn drop(&mut self) {
        let Record { serial, driver, busy, dropped, .. } = &*self.record;
        self.book.claim(!dropped.raise(), || format!("device {serial} was dropped twice"));
        self.book
            .claim(driver.get() == 0, || format!("device {serial} was dropped while driver {} had it", driver.get()));
        self.book.claim(!busy.is_up(), || format!("device {serial} was dropped during a driver's callback"));
        self.book.payloads.gone.add(1);
    }
}

/// The payload of a device in a driver's callback.
pub(super) trait Chipped: Lending {
    fn chip<'a>(scope: &'a Scope<'_, Self>) -> &'a Chip
    where
        Self: Sized;
}

impl Chipped for Shared<Chip> {
    fn chip<'a>(scope: &'a Scope<'_, Self>) -> &'a Chip {
        scope
    }
}

impl Chipped for Exclusive<Chip> {
    fn chip<'a>(scope: &'a Scope<'_, Self>) -> &'a Chip {
        scope
    }
}

/// Removes a device from inside an attribute of its own.
fn eject(store: &Store, device: impl enodev::AsKobject, chip: &Chip) -> Result<(), Errno> {
    chip.record.leaving.raise();
    match store.unregister_subtree(device) {
        Ok(enodev::Removal::Begun(_)) => Ok(()),
        Ok(done) => {
            chip.book
                .violation(&format!("device {} has removed itself while it is inside: {done:?}", chip.record.serial));
            Ok(())
        }
        Err(error) => {
            chip.book
                .may_be_refused(error, &[Errno::ENODEV], || format!("device {} removing itself", chip.record.serial));
            Err(error.into())
        }
    }
}

/// The type of devices that several are inside of at once.
pub(super) fn shared_type() -> DeviceType<Shared<Chip>> {
    DeviceType::shared::<Chip>("shared")
        .ro("id", |chip, page| chip.show_id(page))
        .rw("value", |chip, page| chip.show_value(page), |chip, data| chip.store_value(data))
        .wo("eject", |chip, _| eject(chip.store(), chip.object(), &chip))
        .plain("plain", 0_u64)
}

/// The type of devices that one is inside of at a time.
pub(super) fn exclusive_type() -> DeviceType<Exclusive<Chip>> {
    DeviceType::exclusive::<Chip>("exclusive")
        .ro("id", |chip, page| chip.show_id(page))
        .rw("value", |chip, page| chip.show_value(page), |chip, data| chip.store_value(data))
        .wo("eject", |chip, _| eject(chip.store(), chip.object(), &chip))
        .plain("plain", 0_u64)
}

/// Models of devices.
pub(super) const MODELS: u32 = 8;

/// A bus: drivers say which models they serve, by a bit each.
#[derive(Debug)]
pub(super) struct Wire<const LOCKS_PARENT: bool>;

impl<const LOCKS_PARENT: bool> BusType for Wire<LOCKS_PARENT> {
    type Id = u32;
    type IdTable = u32;
    const LOCKS_PARENT: bool = LOCKS_PARENT;

    fn matches(&self, model: &u32, table: &u32) -> bool {
        table >> model & 1 == 1
    }
}

/// A bus of either sort.
#[derive(Debug, Clone, Copy)]
pub(super) enum AnyBus {
    Plain(Bus<Wire<false>>),
    LocksParent(Bus<Wire<true>>),
}

impl AnyBus {
    pub(super) fn handle(self) -> enodev::BusHandle {
        match self {
            Self::Plain(bus) => bus.handle(),
            Self::LocksParent(bus) => bus.handle(),
        }
    }
}

/// Looks at the payload of a device, whatever its type.
pub(super) fn look<R>(store: &Store, device: DeviceHandle, look: impl FnOnce(&Chip) -> R) -> Result<R, Error> {
    match store.enter::<Chip>(device) {
        Ok(chip) => Ok(look(&chip)),
        Err(Error::WrongType) => Ok(look(&*store.enter_mut::<Chip>(device)?)),
        Err(error) => Err(error),
    }
}
