use std::convert::Infallible;
use std::io::SeekFrom;

use enodev_attrs::{Access, Errno, OpenFile, Page, Result as AttrResult, Seen, Target};

use crate::enter::Visited;
use crate::error::Result;
use crate::handle::{AsKobject, AttrHandle, KobjectHandle};
use crate::presence::Shown;
use crate::store::Store;

/// An open attribute of an object. It refers to nothing: it keeps nothing alive and delays no removal.
///
/// Every operation is told the store, and enters the object for its own length only. When the object has left, all of them
/// give `ENODEV`, also after another has taken its name or its slot. See [`OpenFile`](enodev_attrs::OpenFile) for what reads and
/// writes do.
// Two cache lines, and not parts of three.
#[derive(Debug)]
#[repr(align(64))]
pub struct File {
    at: Opened,
    state: OpenFile,
}

/// What a file was opened of.
#[derive(Debug, Clone, Copy)]
struct Opened {
    object: KobjectHandle,
    attr: AttrHandle,
    /// When, in the object's own time.
    opened: u64,
    is_binary: bool,
    size: u64,
}

impl Opened {
    #[inline]
    fn visited(&self) -> Visited<'_> {
        Visited { object: self.object, attr: self.attr, opened: Some(self.opened), seen: None }
    }
}

impl File {
    pub(crate) fn seen(&self) -> Option<u64> {
        self.state.seen()
    }

    /// Whether the object shows the attribute as it did when this was opened.
    pub(crate) fn is_shown_by(&self, shown: Option<Shown>) -> bool {
        shown.is_some_and(|shown| shown.since <= self.at.opened)
    }

    /// The file for one who has it to himself: the same operations, without the lock that keeps two threads apart.
    ///
    /// ```
    /// use enodev::{Access, DeviceType, Store};
    ///
    /// let store = Store::new()?;
    /// let mouse_type = store.define(DeviceType::shared::<u32>("mouse").ro("dpi", |dpi, page| page.int(*dpi)))?;
    /// let mouse = store.register(store.root(), "mouse0", mouse_type, 800)?;
    /// let mut file = store.open(mouse, "dpi", Access::READ)?;
    /// let mut buf = [0; 16];
    /// assert_eq!(file.sole().read(&store, &mut buf)?, 4);
    /// # Ok::<(), enodev::Error>(())
    /// ```
    #[inline]
    pub fn sole(&mut self) -> Sole<'_> {
        Sole { at: &self.at, state: self.state.sole() }
    }

    /// The object.
    pub fn object(&self) -> KobjectHandle {
        self.at.object
    }

    /// The attribute.
    pub fn attribute(&self) -> AttrHandle {
        self.at.attr
    }

    /// Reads at the position, and moves it.
    ///
    /// # Errors
    ///
    /// `ENODEV`; `EBADF`; `EDEADLK` from within an operation on this very file, or on an object whose payload is exclusive and
    /// which the caller is inside of; `EPERM` where another thread has used the file before and the system refuses the memory barrier
    /// by which the lock is taken from it; what the callback returns.
    pub fn read(&self, store: &Store, buf: &mut [u8]) -> AttrResult<usize> {
        self.state.read(&At { at: &self.at, store }, buf)
    }

    /// Reads at an offset.
    ///
    /// # Errors
    ///
    /// As [`read`](Self::read), and `EINVAL` for an offset above `i64::MAX`.
    pub fn pread(&self, store: &Store, offset: u64, buf: &mut [u8]) -> AttrResult<usize> {
        self.state.pread(&At { at: &self.at, store }, offset, buf)
    }

    /// Writes at the position, and moves it. A text attribute takes all or nothing.
    ///
    /// # Errors
    ///
    /// As [`read`](Self::read); `E2BIG` for text of more than a page, `EFBIG` past the end of a binary attribute.
    pub fn write(&self, store: &Store, data: &[u8]) -> AttrResult<usize> {
        self.state.write(&At { at: &self.at, store }, data)
    }

    /// Writes at an offset.
    ///
    /// # Errors
    ///
    /// As [`write`](Self::write), and `EINVAL` for an offset above `i64::MAX`.
    pub fn pwrite(&self, store: &Store, offset: u64, data: &[u8]) -> AttrResult<usize> {
        self.state.pwrite(&At { at: &self.at, store }, offset, data)
    }

    /// Moves the position; from 0 the attribute is shown anew.
    ///
    /// # Errors
    ///
    /// `ENODEV`; `EINVAL` where the position would be negative or above `i64::MAX`.
    pub fn seek(&self, store: &Store, to: SeekFrom) -> AttrResult<u64> {
        self.state.seek(&At { at: &self.at, store }, to)
    }

    /// Refused: there is nothing of an attribute that could be mapped into memory and taken back by a removal. Linux says the same of files
    /// whose driver has no `mmap`.
    ///
    /// # Errors
    ///
    /// `ENODEV`, whatever the file was opened for and whether its object is there or not.
    pub fn mmap(&self, _store: &Store) -> AttrResult<Infallible> {
        Err(Errno::ENODEV)
    }
}

/// A [`File`] that is borrowed as one's own: nobody else can be at it. See [`File::sole`].
///
/// The operations are those of the same name there, and have their errors, but for `EDEADLK` from within an operation on this very
/// file and `EPERM`.
#[derive(Debug)]
pub struct Sole<'a> {
    at: &'a Opened,
    state: enodev_attrs::Sole<'a>,
}

impl Sole<'_> {
    /// See [`File::read`].
    ///
    /// # Errors
    ///
    /// As there.
    #[inline]
    pub fn read(&mut self, store: &Store, buf: &mut [u8]) -> AttrResult<usize> {
        self.state.read(&At { at: self.at, store }, buf)
    }

    /// See [`File::pread`].
    ///
    /// # Errors
    ///
    /// As there.
    #[inline]
    pub fn pread(&mut self, store: &Store, offset: u64, buf: &mut [u8]) -> AttrResult<usize> {
        self.state.pread(&At { at: self.at, store }, offset, buf)
    }

    /// See [`File::write`].
    ///
    /// # Errors
    ///
    /// As there.
    #[inline]
    pub fn write(&mut self, store: &Store, data: &[u8]) -> AttrResult<usize> {
        self.state.write(&At { at: self.at, store }, data)
    }

    /// See [`File::pwrite`].
    ///
    /// # Errors
    ///
    /// As there.
    #[inline]
    pub fn pwrite(&mut self, store: &Store, offset: u64, data: &[u8]) -> AttrResult<usize> {
        self.state.pwrite(&At { at: self.at, store }, offset, data)
    }

    /// See [`File::seek`].
    ///
    /// # Errors
    ///
    /// As there.
    pub fn seek(&mut self, store: &Store, to: SeekFrom) -> AttrResult<u64> {
        self.state.seek(&At { at: self.at, store }, to)
    }
}

/// What a file was opened of, and the store to which it is applied.
struct At<'a> {
    at: &'a Opened,
    store: &'a Store,
}

impl Target for At<'_> {
    fn alive(&self) -> AttrResult {
        self.store.alive(self.at.visited())
    }

    #[inline]
    fn show(&self, page: &mut Page, seen: &Seen) -> AttrResult {
        let at = Visited { seen: Some(seen), ..self.at.visited() };
        self.store.visit(at, |code, owner| code.show(owner, page))
    }

    fn store(&self, data: &[u8]) -> AttrResult {
        self.store.visit(self.at.visited(), |code, owner| code.store(owner, data))
    }

    #[inline]
    fn read_at(&self, offset: u64, buf: &mut [u8], seen: &Seen) -> AttrResult<usize> {
        let at = Visited { seen: Some(seen), ..self.at.visited() };
        self.store.visit(at, |code, owner| code.read_at(owner, offset, buf))
    }

    fn write_at(&self, offset: u64, data: &[u8]) -> AttrResult<usize> {
        self.store.visit(self.at.visited(), |code, owner| code.write_at(owner, offset, data))
    }

    fn is_binary(&self) -> bool {
        self.at.is_binary
    }

    fn size(&self) -> u64 {
        self.at.size
    }
}

/// Attributes.
impl Store {
    /// The attribute that an object shows under this name; one of a group that is a directory as `group/name`.
    ///
    /// # Errors
    ///
    /// `ENODEV`; [`Error::NotFound`](crate::Error::NotFound).
    pub fn attribute(&self, object: impl AsKobject, name: &str) -> Result<AttrHandle> {
        let pin = self.inner.domain.pin();
        let node = self.inner.nodes.get(&pin, object.kobject())?;
        Ok(self.find(&pin, node, name)?.0)
    }

    /// Opens an attribute of an object; one of a group that is a directory as `group/name`.
    ///
    /// # Errors
    ///
    /// `ENODEV`; [`Error::NotFound`](crate::Error::NotFound); `EACCES` where the mode that the object shows it with or the callbacks do
    /// not allow the access, also for root; `EINVAL` where the access is empty.
    pub fn open(&self, object: impl AsKobject, name: &str, access: Access) -> Result<File> {
        let object = object.kobject();
        let pin = self.inner.domain.pin();
        let node = self.inner.nodes.get(&pin, object)?;
        // Before the look at what is shown: what is taken away and shown again after it gives a new time.
        let opened = node.more().map_or(0, |more| more.presence.read().now());
        let (attr, shown) = self.find(&pin, node, name)?;
        let meta = self.attr_meta(&pin, attr)?;
        let state = OpenFile::new(shown.mode, access, meta.has_read, meta.has_write)?;
        let state = state.with_strategy(self.inner.domain.strategy());
        if access.contains(Access::READ) {
            self.inner.nodes.enter(object)?.state.set_watched();
        }
        let opened = opened.max(shown.since);
        Ok(File { at: Opened { object, attr, opened, is_binary: meta.is_binary, size: meta.size }, state })
    }

    /// Shows an attribute that is held by its handle.
    ///
    /// # Errors
    ///
    /// `ENODEV`, also where the object does not show the attribute; `EINVAL` where it is of another type than the object; `EIO` where it
    /// cannot be read or panics; `EDEADLK` as [`File::read`]; what the callback returns. The page is then empty. The mode is not asked: it
    /// counts where a file is opened.
    pub fn show(&self, object: impl AsKobject, attr: AttrHandle, page: &mut Page) -> AttrResult {
        page.clear();
        let at = Visited { object: object.kobject(), attr, opened: None, seen: None };
        self.visit(at, |code, owner| code.show(owner, page))
    }

    /// Reads an attribute from beginning to end: text with one `show`, a binary one page by page until a read gives nothing.
    /// One without a bound (size 0) may never end.
    ///
    /// # Errors
    ///
    /// As [`open`](Self::open) and [`File::read`].
    pub fn read(&self, object: impl AsKobject, name: &str) -> Result<Vec<u8>> {
        let mut file = self.open(object, name, Access::READ)?;
        let (mut data, mut buf) = (Vec::new(), [0; enodev_attrs::PAGE_SIZE]);
        loop {
            let count = file.sole().read(self, &mut buf)?;
            data.extend_from_slice(&buf[..count]);
            if count == 0 || !file.at.is_binary {
                return Ok(data);
            }
        }
    }

    /// Writes an attribute: text with one `store`, a binary one page by page.
    ///
    /// # Errors
    ///
    /// As [`open`](Self::open) and [`File::write`]. Pages of a binary attribute that were written before the error stay; `EIO`
    /// where it takes nothing more.
    pub fn write(&self, object: impl AsKobject, name: &str, data: &[u8]) -> Result {
        let mut file = self.open(object, name, Access::WRITE)?;
        let mut left = data;
        loop {
            let count = file.sole().write(self, left)?;
            left = left.get(count..).unwrap_or_default();
            if left.is_empty() {
                return Ok(());
            }
            if count == 0 {
                return Err(Errno::EIO.into());
            }
        }
    }
}
