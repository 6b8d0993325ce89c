//! A device that can be unplugged, with one attribute that files are opened on.

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::SeqCst};

use enodev_attrs::{Access, Attribute, Errno, OpenFile, Owner, Page, Result, Seen, Target};
use enodev_handles::Stale;
use parking_lot::Mutex;

/// What the driver has.
#[derive(Debug)]
pub(crate) struct Payload {
    /// What `show` shows, or fails with.
    pub(crate) text: Mutex<Result<String>>,
    /// How often it has been shown.
    pub(crate) shows: AtomicUsize,
    /// What has been stored, write by write.
    pub(crate) stored: Mutex<Vec<Vec<u8>>>,
    /// What binary files read and write.
    pub(crate) blob: Mutex<[u8; 8]>,
    /// How often text or blob have changed.
    pub(crate) changes: AtomicU64,
}

impl Owner for Payload {
    type Ref<'a> = &'a Payload;
}

/// A payload that is entered for each operation and can leave, and how often that happened.
#[derive(Debug)]
pub(crate) struct Device {
    attribute: Attribute<Payload>,
    pub(crate) payload: Payload,
    unplugged: AtomicBool,
    inside: AtomicUsize,
    /// The most that were ever inside at once.
    pub(crate) inside_max: AtomicUsize,
}

impl Device {
    pub(crate) fn new(attribute: Attribute<Payload>) -> Device {
        Device {
            attribute,
            payload: Payload {
                text: Mutex::new(Ok(String::new())),
                shows: AtomicUsize::new(0),
                stored: Mutex::new(Vec::new()),
                blob: Mutex::new([0; 8]),
                changes: AtomicU64::new(0),
            },
            unplugged: AtomicBool::new(false),
            inside: AtomicUsize::new(0),
            inside_max: AtomicUsize::new(0),
        }
    }

    /// A device whose attribute is text that says `text`.
    pub(crate) fn text(text: &str) -> Result<Device> {
        let show = |payload: &Payload, page: &mut Page| {
            payload.shows.fetch_add(1, SeqCst);
            match &*payload.text.lock() {
                Ok(text) => page.put(text),
                Err(errno) => page.put("half").and(Err(*errno)),
            }
        };
        let store = |payload: &Payload, data: &[u8]| {
            payload.stored.lock().push(data.to_vec());
            Ok(())
        };
        let device = Device::new(Attribute::rw("text", show, store)?);
        device.says(text);
        Ok(device)
    }

    /// A device whose attribute is 8 bytes of binary data.
    pub(crate) fn binary(blob: [u8; 8]) -> Result<Device> {
        let read = |payload: &Payload, offset: u64, buf: &mut [u8]| {
            let from = offset as usize;
            buf.copy_from_slice(&payload.blob.lock()[from..from + buf.len()]);
            Ok(buf.len())
        };
        let write = |payload: &Payload, offset: u64, data: &[u8]| {
            let from = offset as usize;
            payload.blob.lock()[from..from + data.len()].copy_from_slice(data);
            Ok(data.len())
        };
        let device = Device::new(Attribute::bin_rw("binary", 8, read, write)?);
        *device.payload.blob.lock() = blob;
        Ok(device)
    }

    /// Changes the text.
    pub(crate) fn says(&self, text: &str) {
        *self.payload.text.lock() = Ok(text.to_owned());
        self.payload.changes.fetch_add(1, SeqCst);
    }

    pub(crate) fn shows(&self) -> usize {
        self.payload.shows.load(SeqCst)
    }

    pub(crate) fn stored(&self) -> Vec<Vec<u8>> {
        self.payload.stored.lock().clone()
    }

    pub(crate) fn open(&self, access: Access) -> Result<OpenFile> {
        self.attribute.open(access)
    }

    /// From here on nobody enters. Does not wait for those inside.
    pub(crate) fn unplug(&self) {
        self.unplugged.store(true, SeqCst);
    }

    fn enter<R>(&self, operation: impl FnOnce(&Payload) -> Result<R>) -> Result<R> {
        if self.unplugged.load(SeqCst) {
            return Err(Errno::from(Stale));
        }
        let inside = self.inside.fetch_add(1, SeqCst) + 1;
        self.inside_max.fetch_max(inside, SeqCst);
        let result = operation(&self.payload);
        self.inside.fetch_sub(1, SeqCst);
        result
    }
}

impl Target for Device {
    fn alive(&self) -> Result {
        self.enter(|_| Ok(()))
    }

    fn show(&self, page: &mut Page, seen: &Seen) -> Result {
        self.enter(|payload| {
            seen.latch(payload.changes.load(SeqCst));
            self.attribute.show(payload, page)
        })
    }

    fn store(&self, data: &[u8]) -> Result {
        self.enter(|payload| self.attribute.store(payload, data))
    }

    fn read_at(&self, offset: u64, buf: &mut [u8], seen: &Seen) -> Result<usize> {
        self.enter(|payload| {
            seen.latch(payload.changes.load(SeqCst));
            self.attribute.read_at(payload, offset, buf)
        })
    }

    fn write_at(&self, offset: u64, data: &[u8]) -> Result<usize> {
        self.enter(|payload| self.attribute.write_at(payload, offset, data))
    }

    fn is_binary(&self) -> bool {
        self.attribute.is_binary()
    }

    fn size(&self) -> u64 {
        self.attribute.size()
    }
}
