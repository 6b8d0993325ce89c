//! Open files: a position, a snapshot, and nothing that keeps an object alive.

use std::fmt;
use std::io::SeekFrom;

use bitflags::bitflags;
use enodev_handles::{Biased, LockError};

#[cfg(feature = "fault-points")]
use crate::fault::{self, Point};
use crate::state::State;
use crate::{Errno, Mode, Result, Seen, Target};

bitflags! {
    /// What a file is opened for.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
    pub struct Access: u8 {
        /// To read.
        const READ = 1;
        /// To write.
        const WRITE = 2;
    }
}

/// The state of an open attribute.
///
/// It refers to nothing: each operation is told its [`Target`] anew, which must be the same one every
/// time. So an open file keeps no object alive and delays no removal, however long it stays open.
///
/// # Text
///
/// A *pass* is one `show` and the reads that follow it: they read one snapshot of the text. A read at
/// offset 0 begins a pass. A read where the pass stands continues it, without a `show`. A read anywhere
/// else begins a pass and skips to its offset, so two `pread`s may see two states of the attribute.
///
/// A write is one `store`, whatever its offset: text is never put together from several writes. It moves
/// the position by its length and leaves the snapshot alone; seek to 0 to read the text anew.
///
/// # Order
///
/// An operation first checks the access (`EBADF`), then takes the lock of the file, then enters the
/// target (`ENODEV`), then looks at everything else. So operations on one file are serialised, and one
/// that waits for another holds no reference to the target. A callback that uses the very file through
/// which it was called gets `EDEADLK`.
///
/// Where Linux differs: it lets the unread rest of a snapshot be read after the object is gone, and tells
/// an invalid offset or too long a text before a missing object.
///
/// # Examples
///
/// ```
/// use std::cell::Cell;
/// use enodev_attrs::{Access, Errno, Mode, OpenFile, Page, Result, Seen, Target};
///
/// /// A text that can go away.
/// struct Text(Cell<Option<&'static str>>);
///
/// impl Target for Text {
///     fn alive(&self) -> Result {
///         self.0.get().map(|_| ()).ok_or(Errno::ENODEV)
///     }
///     fn show(&self, page: &mut Page, _: &Seen) -> Result {
///         page.line(self.0.get().ok_or(Errno::ENODEV)?)
///     }
///     // …
/// #   fn store(&self, _: &[u8]) -> Result { Err(Errno::EIO) }
/// #   fn read_at(&self, _: u64, _: &mut [u8], _: &Seen) -> Result<usize> { Err(Errno::EIO) }
/// #   fn write_at(&self, _: u64, _: &[u8]) -> Result<usize> { Err(Errno::EIO) }
/// #   fn is_binary(&self) -> bool { false }
/// #   fn size(&self) -> u64 { 4096 }
/// }
///
/// let text = Text(Cell::new(Some("running")));
/// let file = OpenFile::new(Mode::RO, Access::READ, true, false)?;
///
/// let mut buf = [0; 4];
/// assert_eq!(file.read(&text, &mut buf), Ok(4));
/// text.0.set(None);
/// assert_eq!(file.read(&text, &mut buf), Err(Errno::ENODEV));
/// # Ok::<(), Errno>(())
/// ```
pub struct OpenFile {
    access: Access,
    /// Outside the lock: a poll does not wait for a read that is stuck.
    seen: Seen,
    /// Mostly one thread reads a file, and pays for no lock then.
    state: Biased<State>,
}

impl OpenFile {
    /// Opens an attribute of this mode, with a callback to read and to write with or without one.
    ///
    /// # Errors
    ///
    /// - `EINVAL`: `access` is empty.
    /// - `EACCES`: `access` asks for what no bit of the mode allows or no callback can do. There is no
    ///   exception for root. Whose bit it is, is not looked at: a file system does that.
    pub fn new(mode: Mode, access: Access, has_read: bool, has_write: bool) -> Result<OpenFile> {
        if access.is_empty() {
            return Err(Errno::EINVAL);
        }
        let may_read = mode.readable() && has_read;
        let may_write = mode.writable() && has_write;
        if access.contains(Access::READ) && !may_read || access.contains(Access::WRITE) && !may_write {
            return Err(Errno::EACCES);
        }
        Ok(OpenFile { access, seen: Seen::new(), state: Biased::new(State::new()) })
    }

    /// A file of something in a domain of this [`Strategy`](enodev_handles::Strategy), from one that nobody has used yet: a second thread
    /// that comes to use it issues `membarrier` where removals may, and not where they do not.
    pub fn with_strategy(self, strategy: enodev_handles::Strategy) -> OpenFile {
        OpenFile { state: Biased::with_strategy(strategy, State::new()), ..self }
    }

    /// What the file was opened for.
    pub fn access(&self) -> Access {
        self.access
    }

    /// How many changes of the attribute were behind it when this file last began to read it, or `None` if it never
    /// has: see [`Seen`]. A read that continues a pass sees what the pass saw. Takes no lock.
    pub fn seen(&self) -> Option<u64> {
        self.seen.get()
    }

    /// The file for one who has it to himself: the same operations, without the lock.
    ///
    /// ```
    /// # use enodev_attrs::{Access, Attribute, Owner, Thing};
    /// # use enodev_handles::{Arena, Domain, Kind};
    /// # enum Disks {}
    /// # impl Kind for Disks { const NAME: &'static str = "Disk"; }
    /// # struct Disk;
    /// # impl Owner for Disk { type Ref<'a> = &'a Disk; }
    /// # let domain = Domain::new()?;
    /// # let disks: Arena<Disks, (), Disk> = Arena::new(&domain)?;
    /// # let sda = disks.insert((), Disk)?;
    /// # let size = Attribute::<Disk>::ro("size", |_, page| page.int(2048))?;
    /// let size_of_sda = Thing::new(&disks, sda, &size);
    /// let mut file = size_of_sda.open(Access::READ)?;
    /// let mut buf = [0; 5];
    /// assert_eq!(file.sole().read(&size_of_sda, &mut buf), Ok(5));
    /// assert_eq!(&buf, b"2048\n");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn sole(&mut self) -> Sole<'_> {
        Sole { access: self.access, seen: &self.seen, state: self.state.get_mut() }
    }

    /// Reads at the position into `buf` and moves the position; 0 is the end.
    ///
    /// # Errors
    ///
    /// - `EBADF`: not opened for reading.
    /// - `EDEADLK`: called from within an operation on this very file.
    /// - `ENODEV`: the target is gone, even if some of the snapshot is unread or `buf` is empty.
    /// - `EPERM`: another thread has used the file before, and the system refuses the memory barrier by which the lock is
    ///   taken from it.
    /// - Those of the target. Position and snapshot are then as they were.
    pub fn read<T: Target + ?Sized>(&self, target: &T, buf: &mut [u8]) -> Result<usize> {
        self.locked(Access::READ, |state| state.read(target, buf, &self.seen))
    }

    /// Reads at `offset` into `buf`; the position stays.
    ///
    /// # Errors
    ///
    /// Those of [`read`](Self::read), and `EINVAL` for an offset above `i64::MAX`.
    pub fn pread<T: Target + ?Sized>(&self, target: &T, offset: u64, buf: &mut [u8]) -> Result<usize> {
        self.locked(Access::READ, |state| state.pread(target, offset, buf, &self.seen))
    }

    /// Writes `data` at the position and moves the position. Text is taken whole, binary data perhaps in
    /// part.
    ///
    /// # Errors
    ///
    /// - `EBADF`: not opened for writing.
    /// - `EDEADLK`: called from within an operation on this very file.
    /// - `ENODEV`: the target is gone, even if `data` is empty or too long.
    /// - `EPERM`: as in [`read`](Self::read).
    /// - Those of the target. The position is then as it was.
    pub fn write<T: Target + ?Sized>(&self, target: &T, data: &[u8]) -> Result<usize> {
        self.locked(Access::WRITE, |state| state.write(target, data))
    }

    /// Writes `data` at `offset`; the position stays. For text the offset makes no difference.
    ///
    /// # Errors
    ///
    /// Those of [`write`](Self::write), and `EINVAL` for an offset above `i64::MAX`.
    pub fn pwrite<T: Target + ?Sized>(&self, target: &T, offset: u64, data: &[u8]) -> Result<usize> {
        self.locked(Access::WRITE, |state| state.pwrite(target, offset, data))
    }

    /// Moves the position and returns it, in bytes from the start. The end is the size that `stat` tells.
    ///
    /// # Errors
    ///
    /// - `EDEADLK`: called from within an operation on this very file.
    /// - `ENODEV`: the target is gone.
    /// - `EPERM`: as in [`read`](Self::read).
    /// - `EINVAL`: the position would be negative or above `i64::MAX`.
    pub fn seek<T: Target + ?Sized>(&self, target: &T, to: SeekFrom) -> Result<u64> {
        self.locked(Access::empty(), |state| state.seek(target, to))
    }

    /// Runs one operation that needs `access`, alone on this file.
    #[inline]
    fn locked<R>(&self, access: Access, operation: impl FnOnce(&mut State) -> Result<R>) -> Result<R> {
        #[cfg(feature = "fault-points")]
        fault::pass(Point::AtStart);
        if !self.access.contains(access) {
            return Err(Errno::EBADF);
        }
        #[cfg(feature = "fault-points")]
        fault::pass(Point::BeforeMutex);
        let mut state = self.state.lock().map_err(|error| match error {
            LockError::Deadlock => Errno::EDEADLK,
            _ => Errno::EPERM,
        })?;
        #[cfg(feature = "fault-points")]
        fault::pass(Point::AfterMutex);
        operation(&mut state)
    }
}

/// An [`OpenFile`] that is borrowed as one's own: nobody else can be at it, so there is no lock, no wait, no `EDEADLK` and
/// no `EPERM`.
///
/// Its operations are those of the same name there, to the rest.
pub struct Sole<'a> {
    access: Access,
    seen: &'a Seen,
    state: &'a mut State,
}

impl Sole<'_> {
    /// See [`OpenFile::read`].
    ///
    /// # Errors
    ///
    /// Those of `OpenFile::read`, but `EDEADLK` and `EPERM`.
    pub fn read<T: Target + ?Sized>(&mut self, target: &T, buf: &mut [u8]) -> Result<usize> {
        self.check(Access::READ)?;
        self.state.read(target, buf, self.seen)
    }

    /// See [`OpenFile::pread`].
    ///
    /// # Errors
    ///
    /// Those of `OpenFile::pread`, but `EDEADLK` and `EPERM`.
    pub fn pread<T: Target + ?Sized>(&mut self, target: &T, offset: u64, buf: &mut [u8]) -> Result<usize> {
        self.check(Access::READ)?;
        self.state.pread(target, offset, buf, self.seen)
    }

    /// See [`OpenFile::write`].
    ///
    /// # Errors
    ///
    /// Those of `OpenFile::write`, but `EDEADLK` and `EPERM`.
    pub fn write<T: Target + ?Sized>(&mut self, target: &T, data: &[u8]) -> Result<usize> {
        self.check(Access::WRITE)?;
        self.state.write(target, data)
    }

    /// See [`OpenFile::pwrite`].
    ///
    /// # Errors
    ///
    /// Those of `OpenFile::pwrite`, but `EDEADLK` and `EPERM`.
    pub fn pwrite<T: Target + ?Sized>(&mut self, target: &T, offset: u64, data: &[u8]) -> Result<usize> {
        self.check(Access::WRITE)?;
        self.state.pwrite(target, offset, data)
    }

    /// See [`OpenFile::seek`].
    ///
    /// # Errors
    ///
    /// Those of `OpenFile::seek`, but `EDEADLK` and `EPERM`.
    pub fn seek<T: Target + ?Sized>(&mut self, target: &T, to: SeekFrom) -> Result<u64> {
        self.check(Access::empty())?;
        self.state.seek(target, to)
    }

    #[inline]
    fn check(&self, access: Access) -> Result {
        #[cfg(feature = "fault-points")]
        fault::pass(Point::AtStart);
        if !self.access.contains(access) {
            return Err(Errno::EBADF);
        }
        #[cfg(feature = "fault-points")]
        fault::pass(Point::AfterMutex);
        Ok(())
    }
}

/// Does not look inside, where an operation may be under way.
impl fmt::Debug for OpenFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OpenFile").field("access", &self.access).finish_non_exhaustive()
    }
}

impl fmt::Debug for Sole<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sole").field("access", &self.access).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_open_file_refers_to_nothing_and_may_be_shared() {
        fn check<T: Send + Sync + 'static>() {}
        check::<OpenFile>();
    }
}
