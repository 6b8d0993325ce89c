//! Reading one attribute.

use std::os::fd::OwnedFd;
use std::sync::Arc;

use rustix::fs::{AtFlags, FileType, Mode, OFlags, Stat};
use rustix::io::Errno;

use super::live::is_window;
use super::root::{Place, exhausted};
use super::tree::{Content, Unread};
use super::{ScanOptions, SkipKind};

/// The longest text that an attribute can show, in bytes.
const TEXT_MAX: usize = 4096;

/// `NONBLOCK` and `NOCTTY` matter if the file is replaced by a FIFO or a terminal before it is
/// opened.
const OPEN_FILE: OFlags =
    OFlags::RDONLY.union(OFlags::NONBLOCK).union(OFlags::NOCTTY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

/// Reads attributes, one after the other into the same buffer.
pub(super) struct Reader<'a> {
    place: &'a Place,
    options: &'a ScanOptions,
    /// Never cleared: what lies behind the bytes last read is never looked at.
    buffer: Vec<u8>,
    /// How many bytes the scan may still keep.
    bytes_left: usize,
}

/// What came of an attribute.
pub(super) enum Outcome {
    /// It is part of the result.
    Attribute(Content, bool),
    /// It is not.
    Skipped(SkipKind),
}

impl<'a> Reader<'a> {
    pub(super) fn new(place: &'a Place, options: &'a ScanOptions) -> Self {
        Self { place, options, buffer: vec![0; 64 << 10], bytes_left: options.bytes_max }
    }

    /// Reads the file `name` of `dir`, where `stat` was found. An error means that the process is
    /// out of files or memory.
    pub(super) fn read(&mut self, dir: &OwnedFd, name: &str, stat: &Stat) -> Result<Outcome, Errno> {
        let size = u64::try_from(stat.st_size).unwrap_or(0);
        let sized = !self.place.live || size != self.place.page_size;
        let declared_binary = self.place.live && sized;
        let len_max = self.options.file_bytes_max.min(self.bytes_left);
        let content = if let Some(unread) = self.unreadable(name, mode(stat)) {
            Content::Unread(unread)
        } else if sized && usize::try_from(size).map_or(true, |size| size > len_max) {
            Content::Unread(Unread::TooLarge)
        } else {
            match self.open_and_fill(dir, name, len_max) {
                Ok(Ok(content)) => content,
                Ok(Err(kind)) => return Ok(Outcome::Skipped(kind)),
                Err(Errno::ACCESS | Errno::PERM) => Content::Unread(Unread::Refused),
                Err(errno) if exhausted(errno) => return Err(errno),
                Err(errno) => Content::Errno(errno.raw_os_error()),
            }
        };
        let len = if let Content::Bytes(bytes) = &content { bytes.len() } else { 0 };
        self.bytes_left -= len;
        Ok(Outcome::Attribute(content, declared_binary || len > TEXT_MAX))
    }

    /// Why a file of this mode is not even opened. Root could open one that is write-only, where
    /// it is a plain file, and the kernel would refuse it on sysfs; the mode decides for both.
    fn unreadable(&self, name: &str, mode: u16) -> Option<Unread> {
        let owner_only = mode & 0o044 == 0 && !self.options.private;
        if mode & 0o444 == 0 {
            let writable = mode & 0o222 != 0;
            Some(if writable { Unread::WriteOnly } else { Unread::Refused })
        } else if self.place.live && (owner_only || is_window(name)) {
            Some(Unread::Private)
        } else {
            None
        }
    }

    /// The content, or why there is no such attribute. The outer error is that of the open, for
    /// the caller to sort.
    fn open_and_fill(&mut self, dir: &OwnedFd, name: &str, len_max: usize) -> Result<Result<Content, SkipKind>, Errno> {
        let opened = retry(|| rustix::fs::openat(dir, name, OPEN_FILE, Mode::empty()));
        let file = match opened {
            Ok(file) => file,
            // With NOFOLLOW, ELOOP tells of a link that took the file's place.
            Err(Errno::NOENT | Errno::LOOP) => return Ok(Err(SkipKind::Vanished)),
            Err(errno) => return Err(errno),
        };
        // What was opened need not be what was looked at before.
        if !FileType::from_raw_mode(rustix::fs::fstat(&file)?.st_mode).is_file() {
            return Ok(Err(SkipKind::Special));
        }
        Ok(match self.fill(&file, len_max) {
            Ok(Some(len)) => Ok(Content::Bytes(Arc::from(&self.buffer[..len]))),
            Ok(None) => Ok(Content::Unread(Unread::TooLarge)),
            // ENODEV is what a removed attribute says, and what some say that are still there.
            Err(Errno::NODEV) if gone(dir, name) => Err(SkipKind::Vanished),
            Err(errno) => Ok(Content::Errno(errno.raw_os_error())),
        })
    }

    /// Reads to the end of the file, whatever size it claims to have, and says how many bytes are
    /// in the buffer. `None` where there are more than `len_max`.
    fn fill(&mut self, file: &OwnedFd, len_max: usize) -> Result<Option<usize>, Errno> {
        let mut len = 0;
        loop {
            if len == self.buffer.len() {
                // One byte more than allowed tells a file that is too long from one that fits.
                let grown = (2 * len).min(len_max.saturating_add(1)).max(len + 1);
                self.buffer.resize(grown, 0);
            }
            let rest = &mut self.buffer[len..];
            match retry(|| rustix::io::read(file, &mut *rest))? {
                0 => return Ok(Some(len)),
                n => len += n,
            }
            if len > len_max {
                return Ok(None);
            }
        }
    }
}

/// The nine permission bits.
pub(super) fn mode(stat: &Stat) -> u16 {
    u16::try_from(stat.st_mode & 0o777).unwrap_or(0)
}

fn gone(dir: &OwnedFd, name: &str) -> bool {
    let stat = rustix::fs::statat(dir, name, AtFlags::SYMLINK_NOFOLLOW);
    stat.is_err_and(|errno| errno == Errno::NOENT)
}

/// Calls again what a signal has interrupted.
fn retry<T>(mut call: impl FnMut() -> Result<T, Errno>) -> Result<T, Errno> {
    loop {
        match call() {
            Err(Errno::INTR) => {}
            result => return result,
        }
    }
}
