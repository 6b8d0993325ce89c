//! Open files: a position, a snapshot, and nothing that keeps an object alive.

use std::cell::RefCell;
use std::fmt;
use std::io::SeekFrom;
use std::mem;

use bitflags::bitflags;
use parking_lot::ReentrantMutex;

#[cfg(feature = "fault-points")]
use crate::fault::{self, Point};
use crate::{Errno, Mode, Page, Result, Seen, Target};

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

/// The highest offset, as Linux's `loff_t` is signed.
const OFFSET_MAX: u64 = i64::MAX as u64;

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
    /// The lock finds its own thread, which the cell then refuses.
    state: ReentrantMutex<RefCell<State>>,
}

struct State {
    /// Where `read` and `write` are, at most `OFFSET_MAX`.
    position: u64,
    /// Where the pass stands, once there has been one.
    pass: Option<u64>,
    /// Allocated by the first `show`.
    pages: Option<Pages>,
}

/// Two pages, so that a `show` that fails leaves the snapshot as it is.
struct Pages {
    /// The text of the pass.
    snapshot: Page,
    /// What the next `show` fills.
    next: Page,
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
        let state = State { position: 0, pass: None, pages: None };
        Ok(OpenFile { access, seen: Seen::new(), state: ReentrantMutex::new(RefCell::new(state)) })
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

    /// Reads at the position into `buf` and moves the position; 0 is the end.
    ///
    /// # Errors
    ///
    /// - `EBADF`: not opened for reading.
    /// - `EDEADLK`: called from within an operation on this very file.
    /// - `ENODEV`: the target is gone, even if some of the snapshot is unread or `buf` is empty.
    /// - Those of the target. Position and snapshot are then as they were.
    pub fn read<T: Target + ?Sized>(&self, target: &T, buf: &mut [u8]) -> Result<usize> {
        self.locked(Access::READ, |state| {
            let count = state.read(target, state.position, buf, &self.seen)?;
            state.advance(count);
            Ok(count)
        })
    }

    /// Reads at `offset` into `buf`; the position stays.
    ///
    /// # Errors
    ///
    /// Those of [`read`](Self::read), and `EINVAL` for an offset above `i64::MAX`.
    pub fn pread<T: Target + ?Sized>(&self, target: &T, offset: u64, buf: &mut [u8]) -> Result<usize> {
        self.locked(Access::READ, |state| {
            check_offset(target, offset)?;
            state.read(target, offset, buf, &self.seen)
        })
    }

    /// Writes `data` at the position and moves the position. Text is taken whole, binary data perhaps in
    /// part.
    ///
    /// # Errors
    ///
    /// - `EBADF`: not opened for writing.
    /// - `EDEADLK`: called from within an operation on this very file.
    /// - `ENODEV`: the target is gone, even if `data` is empty or too long.
    /// - Those of the target. The position is then as it was.
    pub fn write<T: Target + ?Sized>(&self, target: &T, data: &[u8]) -> Result<usize> {
        self.locked(Access::WRITE, |state| {
            let count = write(target, state.position, data)?;
            state.advance(count);
            Ok(count)
        })
    }

    /// Writes `data` at `offset`; the position stays. For text the offset makes no difference.
    ///
    /// # Errors
    ///
    /// Those of [`write`](Self::write), and `EINVAL` for an offset above `i64::MAX`.
    pub fn pwrite<T: Target + ?Sized>(&self, target: &T, offset: u64, data: &[u8]) -> Result<usize> {
        self.locked(Access::WRITE, |_state| {
            check_offset(target, offset)?;
            write(target, offset, data)
        })
    }

    /// Moves the position and returns it, in bytes from the start. The end is the size that `stat` tells.
    ///
    /// # Errors
    ///
    /// - `EDEADLK`: called from within an operation on this very file.
    /// - `ENODEV`: the target is gone.
    /// - `EINVAL`: the position would be negative or above `i64::MAX`.
    pub fn seek<T: Target + ?Sized>(&self, target: &T, to: SeekFrom) -> Result<u64> {
        self.locked(Access::empty(), |state| {
            target.alive()?;
            let position = match to {
                SeekFrom::Start(offset) => Some(offset),
                SeekFrom::Current(by) => state.position.checked_add_signed(by),
                SeekFrom::End(by) => target.size().checked_add_signed(by),
            };
            state.position = position.filter(|&position| position <= OFFSET_MAX).ok_or(Errno::EINVAL)?;
            Ok(state.position)
        })
    }

    /// Runs one operation that needs `access`, alone on this file.
    fn locked<R>(&self, access: Access, operation: impl FnOnce(&mut State) -> Result<R>) -> Result<R> {
        #[cfg(feature = "fault-points")]
        fault::pass(Point::AtStart);
        if !self.access.contains(access) {
            return Err(Errno::EBADF);
        }
        #[cfg(feature = "fault-points")]
        fault::pass(Point::BeforeMutex);
        let state = self.state.lock();
        let mut state = state.try_borrow_mut().map_err(|_inside| Errno::EDEADLK)?;
        #[cfg(feature = "fault-points")]
        fault::pass(Point::AfterMutex);
        operation(&mut state)
    }
}

impl State {
    fn read<T: Target + ?Sized>(&mut self, target: &T, offset: u64, buf: &mut [u8], seen: &Seen) -> Result<usize> {
        if target.is_binary() { target.read_at(offset, buf, seen) } else { self.read_text(target, offset, buf, seen) }
    }

    fn read_text<T: Target + ?Sized>(&mut self, target: &T, offset: u64, buf: &mut [u8], seen: &Seen) -> Result<usize> {
        if buf.is_empty() {
            target.alive()?;
            return Ok(0);
        }
        let pages = self.pages.get_or_insert_with(|| Pages { snapshot: Page::new(), next: Page::new() });
        if offset != 0 && self.pass == Some(offset) {
            target.alive()?;
        } else {
            pages.next.fill(|page| target.show(page, seen))?;
            mem::swap(&mut pages.snapshot, &mut pages.next);
        }
        let text = pages.snapshot.as_bytes();
        let unread = usize::try_from(offset).ok().and_then(|from| text.get(from..)).unwrap_or_default();
        let count = unread.len().min(buf.len());
        buf[..count].copy_from_slice(&unread[..count]);
        self.pass = Some(offset + count as u64);
        Ok(count)
    }

    /// Moves the position on by what an operation has moved.
    fn advance(&mut self, count: usize) {
        self.position = self.position.saturating_add(count as u64).min(OFFSET_MAX);
    }
}

fn write<T: Target + ?Sized>(target: &T, offset: u64, data: &[u8]) -> Result<usize> {
    if target.is_binary() { target.write_at(offset, data) } else { target.store(data).map(|()| data.len()) }
}

/// Refuses an offset that Linux could not hold, of a target that is there.
fn check_offset<T: Target + ?Sized>(target: &T, offset: u64) -> Result {
    if offset > OFFSET_MAX {
        target.alive()?;
        return Err(Errno::EINVAL);
    }
    Ok(())
}

/// Does not look inside, where an operation may be under way.
impl fmt::Debug for OpenFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OpenFile").field("access", &self.access).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Answers with as many bytes as the test asks for.
    struct Text(usize);

    impl Target for Text {
        fn alive(&self) -> Result {
            Ok(())
        }

        fn show(&self, page: &mut Page, _: &Seen) -> Result {
            page.put_bytes(&vec![b'x'; self.0])
        }

        fn store(&self, _: &[u8]) -> Result {
            Err(Errno::EIO)
        }

        fn read_at(&self, _: u64, _: &mut [u8], _: &Seen) -> Result<usize> {
            Err(Errno::EIO)
        }

        fn write_at(&self, _: u64, _: &[u8]) -> Result<usize> {
            Err(Errno::EIO)
        }

        fn is_binary(&self) -> bool {
            false
        }

        fn size(&self) -> u64 {
            0
        }
    }

    fn pages(file: &OpenFile) -> Option<[*const u8; 2]> {
        let state = file.state.lock();
        let state = state.borrow();
        let pages = state.pages.as_ref()?;
        let mut memory = [&pages.snapshot, &pages.next].map(|page| page.as_bytes().as_ptr());
        memory.sort();
        Some(memory)
    }

    #[test]
    fn memory_is_taken_by_the_first_show_and_kept() {
        let file = OpenFile::new(Mode::RO, Access::READ, true, false).unwrap();
        file.read(&Text(1), &mut []).unwrap();
        assert_eq!(pages(&file), None);

        let mut buf = [0; crate::PAGE_SIZE];
        file.pread(&Text(1), 0, &mut buf).unwrap();
        let memory = pages(&file);
        assert!(memory.is_some());
        for len in [crate::PAGE_SIZE, 3, crate::PAGE_SIZE + 1] {
            let read = file.pread(&Text(len), 0, &mut buf);
            assert_eq!(read, if len > crate::PAGE_SIZE { Err(Errno::E2BIG) } else { Ok(len) });
            assert_eq!(pages(&file), memory);
        }
    }

    #[test]
    fn the_position_stops_at_the_highest_offset() {
        let mut state = State { position: OFFSET_MAX - 1, pass: None, pages: None };
        state.advance(3);
        assert_eq!(state.position, OFFSET_MAX);
    }

    #[test]
    fn an_open_file_refers_to_nothing_and_may_be_shared() {
        fn check<T: Send + Sync + 'static>() {}
        check::<OpenFile>();
    }
}
