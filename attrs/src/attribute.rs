//! Attributes: a name, a mode, and the code behind them.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::contain::{self, contain};
#[cfg(feature = "fault-points")]
use crate::fault;
use crate::{Access, DefineError, Errno, Mode, Name, OpenFile, PAGE_SIZE, Page, Result};

/// What attributes hang on.
///
/// # Examples
///
/// ```
/// use enodev_attrs::Owner;
///
/// struct Disk { sectors: u64 }
///
/// impl Owner for Disk {
///     type Ref<'a> = &'a Disk;
/// }
/// ```
pub trait Owner {
    /// What a callback is given for the length of one operation, such as a reference to the payload.
    type Ref<'a>;
}

type Show<O> = Box<dyn Fn(<O as Owner>::Ref<'_>, &mut Page) -> Result + Send + Sync>;
type Store<O> = Box<dyn Fn(<O as Owner>::Ref<'_>, &[u8]) -> Result + Send + Sync>;
type ReadAt<O> = Box<dyn Fn(<O as Owner>::Ref<'_>, u64, &mut [u8]) -> Result<usize> + Send + Sync>;
type WriteAt<O> = Box<dyn Fn(<O as Owner>::Ref<'_>, u64, &[u8]) -> Result<usize> + Send + Sync>;

/// An attribute of owners of type `O`: defined once, used on any number of them.
///
/// There are two sorts, as in sysfs:
///
/// - A *text* attribute is shown and stored whole. `show` fills a [`Page`]; `store` is given what one
///   `write` wrote, at most [`PAGE_SIZE`] bytes, and takes all of it or fails.
/// - A *binary* attribute is read and written at an offset, at most [`PAGE_SIZE`] bytes at a time. Its
///   size is declared; a size of 0 is no bound, not emptiness.
///
/// The callbacks run on the caller's thread, under no lock of this crate but that of the [`OpenFile`],
/// if there is one. They may run on several threads at once. One that panics gives `EIO` to its caller
/// and is counted in [`panics`](Self::panics), provided that panics unwind.
///
/// Dropping an attribute drops its callbacks and what they captured.
///
/// # Examples
///
/// ```
/// use enodev_attrs::{Attribute, Mode, Owner, Page};
///
/// struct Disk { sectors: u64, firmware: [u8; 8] }
/// impl Owner for Disk {
///     type Ref<'a> = &'a Disk;
/// }
///
/// let size = Attribute::<Disk>::ro("size", |disk, page| page.line(disk.sectors))?;
/// let firmware = Attribute::<Disk>::bin_ro("firmware", 8, |disk, offset, buf| {
///     let from = offset as usize;
///     buf.copy_from_slice(&disk.firmware[from..from + buf.len()]);
///     Ok(buf.len())
/// })?
/// .with_mode(Mode::RUSR)?;
///
/// let disk = Disk { sectors: 2048, firmware: *b"v1.0\0\0\0\0" };
/// let mut page = Page::new();
/// size.show(&disk, &mut page)?;
/// assert_eq!(page.as_bytes(), b"2048\n");
///
/// let mut buf = [0; 16];
/// assert_eq!(firmware.read_at(&disk, 6, &mut buf), Ok(2));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Attribute<O: Owner> {
    name: Name,
    mode: Mode,
    body: Body<O>,
    panics: AtomicU64,
}

/// The code of an attribute. A callback that is `None` is one the attribute has not.
enum Body<O: Owner> {
    Text { show: Option<Show<O>>, store: Option<Store<O>> },
    Binary { size: u64, read_at: Option<ReadAt<O>>, write_at: Option<WriteAt<O>> },
}

/// Definition. Every constructor fails with [`DefineError::Name`], and only so.
impl<O: Owner> Attribute<O> {
    /// A text attribute that can be read; its mode is [`Mode::RO`].
    pub fn ro<S>(name: &str, show: S) -> Result<Self, DefineError>
    where
        S: Fn(O::Ref<'_>, &mut Page) -> Result + Send + Sync + 'static,
    {
        let body = Body::Text { show: Some(Box::new(show)), store: None };
        Self::define(name, Mode::RO, body)
    }

    /// A text attribute that can be written; its mode is [`Mode::WO`].
    pub fn wo<T>(name: &str, store: T) -> Result<Self, DefineError>
    where
        T: Fn(O::Ref<'_>, &[u8]) -> Result + Send + Sync + 'static,
    {
        let body = Body::Text { show: None, store: Some(Box::new(store)) };
        Self::define(name, Mode::WO, body)
    }

    /// A text attribute that can be read and written; its mode is [`Mode::RW`].
    pub fn rw<S, T>(name: &str, show: S, store: T) -> Result<Self, DefineError>
    where
        S: Fn(O::Ref<'_>, &mut Page) -> Result + Send + Sync + 'static,
        T: Fn(O::Ref<'_>, &[u8]) -> Result + Send + Sync + 'static,
    {
        let body = Body::Text { show: Some(Box::new(show)), store: Some(Box::new(store)) };
        Self::define(name, Mode::RW, body)
    }

    /// A binary attribute of `size` bytes (0: unbounded) that can be read; its mode is [`Mode::RO`].
    ///
    /// `read_at` fills the beginning of the buffer from an offset and says how many bytes that were.
    pub fn bin_ro<R>(name: &str, size: u64, read_at: R) -> Result<Self, DefineError>
    where
        R: Fn(O::Ref<'_>, u64, &mut [u8]) -> Result<usize> + Send + Sync + 'static,
    {
        let body = Body::Binary { size, read_at: Some(Box::new(read_at)), write_at: None };
        Self::define(name, Mode::RO, body)
    }

    /// A binary attribute of `size` bytes (0: unbounded) that can be written; its mode is [`Mode::WO`].
    ///
    /// `write_at` takes the beginning of the data to an offset and says how many bytes that were.
    pub fn bin_wo<W>(name: &str, size: u64, write_at: W) -> Result<Self, DefineError>
    where
        W: Fn(O::Ref<'_>, u64, &[u8]) -> Result<usize> + Send + Sync + 'static,
    {
        let body = Body::Binary { size, read_at: None, write_at: Some(Box::new(write_at)) };
        Self::define(name, Mode::WO, body)
    }

    /// A binary attribute of `size` bytes (0: unbounded) that can be read and written; its mode is
    /// [`Mode::RW`].
    pub fn bin_rw<R, W>(name: &str, size: u64, read_at: R, write_at: W) -> Result<Self, DefineError>
    where
        R: Fn(O::Ref<'_>, u64, &mut [u8]) -> Result<usize> + Send + Sync + 'static,
        W: Fn(O::Ref<'_>, u64, &[u8]) -> Result<usize> + Send + Sync + 'static,
    {
        let (read_at, write_at) = (Some(Box::new(read_at) as _), Some(Box::new(write_at) as _));
        Self::define(name, Mode::RW, Body::Binary { size, read_at, write_at })
    }

    /// The same attribute with another mode, which may promise less than the callbacks can do.
    ///
    /// # Errors
    ///
    /// [`DefineError`] `Unreadable`, `Unwritable` or `Executable`: the mode promises what no callback
    /// keeps. Linux accepts such a mode and fails each operation instead.
    pub fn with_mode(mut self, mode: Mode) -> Result<Self, DefineError> {
        self.keeps(mode)?;
        self.mode = mode;
        Ok(self)
    }

    /// Fails where `mode` promises what no callback keeps.
    pub(crate) fn keeps(&self, mode: Mode) -> Result<(), DefineError> {
        if mode.executable() {
            return Err(DefineError::Executable(mode));
        }
        if mode.readable() && !self.has_read() {
            return Err(DefineError::Unreadable(mode));
        }
        if mode.writable() && !self.has_write() {
            return Err(DefineError::Unwritable(mode));
        }
        Ok(())
    }

    fn define(name: &str, mode: Mode, body: Body<O>) -> Result<Self, DefineError> {
        Ok(Attribute { name: Name::new(name)?, mode, body, panics: AtomicU64::new(0) })
    }
}

/// What an attribute is.
impl<O: Owner> Attribute<O> {
    /// Its name.
    pub fn name(&self) -> &Name {
        &self.name
    }

    /// Its permission bits.
    pub fn mode(&self) -> Mode {
        self.mode
    }

    /// Its size in bytes as `stat` tells it: the declared one of a binary attribute, [`PAGE_SIZE`] for
    /// text, however long the text is.
    pub fn size(&self) -> u64 {
        match self.body {
            Body::Text { .. } => PAGE_SIZE as u64,
            Body::Binary { size, .. } => size,
        }
    }

    /// Whether it is read and written at an offset.
    pub fn is_binary(&self) -> bool {
        matches!(self.body, Body::Binary { .. })
    }

    /// Whether it has a callback to read with.
    pub fn has_read(&self) -> bool {
        match &self.body {
            Body::Text { show, .. } => show.is_some(),
            Body::Binary { read_at, .. } => read_at.is_some(),
        }
    }

    /// Whether it has a callback to write with.
    pub fn has_write(&self) -> bool {
        match &self.body {
            Body::Text { store, .. } => store.is_some(),
            Body::Binary { write_at, .. } => write_at.is_some(),
        }
    }

    /// How many of its callbacks have panicked so far.
    pub fn panics(&self) -> u64 {
        // Relaxed: a statistic; it orders nothing.
        self.panics.load(Ordering::Relaxed)
    }

    /// Opens it. The file holds no reference to it, nor to any owner.
    ///
    /// # Errors
    ///
    /// Those of [`OpenFile::new`].
    pub fn open(&self, access: Access) -> Result<OpenFile> {
        OpenFile::new(self.mode, access, self.has_read(), self.has_write())
    }
}

/// Operations. They look at the callbacks, not at the mode: permission is decided when a file is opened.
impl<O: Owner> Attribute<O> {
    /// Fills `page` with the text. After an error the page is empty.
    ///
    /// # Errors
    ///
    /// - `EIO`: there is no `show`, or it panicked.
    /// - `E2BIG`: what it put did not fit in the page, even if it ignored that.
    /// - Whatever `show` returns.
    pub fn show(&self, owner: O::Ref<'_>, page: &mut Page) -> Result {
        page.fill(|page| match &self.body {
            Body::Text { show: Some(show), .. } => self.run(|| show(owner, page)),
            _ => Err(Errno::EIO),
        })
    }

    /// Hands `data` to `store`, unless it is empty: then nothing is called.
    ///
    /// # Errors
    ///
    /// - `E2BIG`: `data` is longer than [`PAGE_SIZE`]; nothing is called. Linux stores the first page of
    ///   it and reports a short write.
    /// - `EIO`: there is no `store`, or it panicked.
    /// - Whatever `store` returns.
    pub fn store(&self, owner: O::Ref<'_>, data: &[u8]) -> Result {
        if data.len() > PAGE_SIZE {
            return Err(Errno::E2BIG);
        }
        if data.is_empty() {
            return Ok(());
        }
        match &self.body {
            Body::Text { store: Some(store), .. } => self.run(|| store(owner, data)),
            _ => Err(Errno::EIO),
        }
    }

    /// Reads at `offset` into `buf`, and says how many bytes: 0 at the end and past it.
    ///
    /// The callback sees a buffer that ends where the attribute does, of 1 to [`PAGE_SIZE`] bytes; what is
    /// longer is a short read.
    ///
    /// # Errors
    ///
    /// - `EIO`: there is no `read_at`, or it panicked, or claims more bytes than the buffer has.
    /// - Whatever `read_at` returns.
    pub fn read_at(&self, owner: O::Ref<'_>, offset: u64, buf: &mut [u8]) -> Result<usize> {
        let len = buf.len().min(self.room(offset));
        let buf = &mut buf[..len];
        if buf.is_empty() {
            return Ok(0);
        }
        match &self.body {
            Body::Binary { read_at: Some(read_at), .. } => {
                self.run(|| read_at(owner, offset, buf)).and_then(|count| at_most(count, len))
            }
            _ => Err(Errno::EIO),
        }
    }

    /// Writes the beginning of `data` at `offset`, and says how many bytes.
    ///
    /// The callback sees data that end where the attribute does, of 1 to [`PAGE_SIZE`] bytes; what is longer
    /// is a short write. For no data nothing is called.
    ///
    /// # Errors
    ///
    /// - `EFBIG`: `offset` is at the end or past it, also for no data.
    /// - `EIO`: there is no `write_at`, or it panicked, or claims more bytes than it was given.
    /// - Whatever `write_at` returns.
    pub fn write_at(&self, owner: O::Ref<'_>, offset: u64, data: &[u8]) -> Result<usize> {
        let room = self.room(offset);
        if room == 0 {
            return Err(Errno::EFBIG);
        }
        let len = data.len().min(room);
        let data = &data[..len];
        if data.is_empty() {
            return Ok(0);
        }
        match &self.body {
            Body::Binary { write_at: Some(write_at), .. } => {
                self.run(|| write_at(owner, offset, data)).and_then(|count| at_most(count, len))
            }
            _ => Err(Errno::EIO),
        }
    }

    /// How many bytes one operation at `offset` may move.
    fn room(&self, offset: u64) -> usize {
        match self.body {
            Body::Binary { size, .. } if size != 0 => {
                let left = size.saturating_sub(offset);
                usize::try_from(left).map_or(PAGE_SIZE, |left| left.min(PAGE_SIZE))
            }
            _ => PAGE_SIZE,
        }
    }

    /// Runs one callback. `Page` and buffers are usable after any half of it.
    #[inline]
    fn run<T>(&self, callback: impl FnOnce() -> Result<T>) -> Result<T> {
        #[cfg(feature = "fault-points")]
        fault::pass(fault::Point::AfterActive);
        contain(callback).unwrap_or_else(|| {
            contain::note();
            // Relaxed: a statistic; it orders nothing.
            self.panics.fetch_add(1, Ordering::Relaxed);
            Err(Errno::EIO)
        })
    }
}

/// A count that a callback claims, believed only if it can be true.
fn at_most(count: usize, len: usize) -> Result<usize> {
    if count > len { Err(Errno::EIO) } else { Ok(count) }
}

impl<O: Owner> fmt::Debug for Attribute<O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Attribute")
            .field("name", &self.name)
            .field("mode", &format_args!("{}", self.mode))
            .field("binary", &self.is_binary())
            .field("size", &self.size())
            .finish_non_exhaustive()
    }
}
