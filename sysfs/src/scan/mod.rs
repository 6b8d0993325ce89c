//! Reading a directory tree in the form of `/sys`.
//!
//! The walk holds one open directory per level and reaches every entry relative to it, so that a
//! directory which is moved or replaced meanwhile cannot lead it elsewhere. It never follows a
//! link, never writes, and opens nothing but directories and regular files.

mod tree;
pub use tree::{Content, Dir, Scanned, ScannedAttribute, ScannedLink, Unread};

mod skipped;
pub use skipped::{SkipKind, Skipped, Tally};

mod find;

mod root;

mod live;

mod walk;

mod read;

mod draft;
pub(crate) use draft::Draft;

use std::io;
use std::path::{Path, PathBuf};

/// The deepest level that a scan reaches, whatever [`ScanOptions::depth_max`] says; the root is
/// level 0. Each level costs an open file while the walk is below it.
pub const DEPTH_MAX: usize = 64;

/// The most entries that a scan looks at, whatever [`ScanOptions::entries_max`] says.
pub const ENTRIES_MAX: usize = 4_000_000;

/// What a scan may read, and how much.
///
/// ```
/// let careful = enodev_sysfs::ScanOptions { file_bytes_max: 4096, ..Default::default() };
/// assert!(!careful.private);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScanOptions {
    /// Whether files of a live sysfs that only their owner may read (0400, 0600) are read too.
    /// The files of a recorded tree are always read. The PCI windows `resource0`, `resource1` and
    /// so on are never read from a live sysfs: a read there reaches the device's registers.
    pub private: bool,
    /// The longest content that is kept, in bytes; 8 MiB unless told otherwise. A longer one is
    /// not cut but left unread ([`Unread::TooLarge`]).
    pub file_bytes_max: usize,
    /// The most bytes of content kept in all; 1 GiB unless told otherwise. What does not fit into
    /// the rest is left unread ([`Unread::TooLarge`]).
    pub bytes_max: usize,
    /// The deepest level that is read; at most, and unless told otherwise, [`DEPTH_MAX`].
    pub depth_max: usize,
    /// The most entries (directories, attributes, links and others) that are looked at; at most,
    /// and unless told otherwise, [`ENTRIES_MAX`].
    pub entries_max: usize,
}

impl Default for ScanOptions {
    fn default() -> Self {
        Self {
            private: false,
            file_bytes_max: 8 << 20,
            bytes_max: 1 << 30,
            depth_max: DEPTH_MAX,
            entries_max: ENTRIES_MAX,
        }
    }
}

/// How far a scan has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// Directories entered.
    pub dirs: usize,
    /// Attributes found, with content or without.
    pub attributes: usize,
    /// Links found.
    pub links: usize,
}

/// Why there is no result at all. Trouble with single entries is no error: see [`Skipped`].
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ScanError {
    /// The source does not exist (ENOENT).
    #[error("{}: no such file or directory", path.display())]
    Missing {
        /// The source as given.
        path: PathBuf,
    },
    /// The source is something else than a directory (ENOTDIR).
    #[error("{}: not a directory", path.display())]
    NotADirectory {
        /// The source as given.
        path: PathBuf,
    },
    /// The source cannot be opened or listed, for example for lack of permission (EACCES).
    #[error("{}: {cause}", path.display())]
    Unreadable {
        /// The source, or the `sys` in it.
        path: PathBuf,
        /// What the system answered.
        cause: io::Error,
    },
    /// The process or the system ran out of open files or memory on the way (EMFILE, ENFILE,
    /// ENOMEM). A result with holes of that origin would say nothing about the tree.
    #[error("{}: {cause}", path.display())]
    Exhausted {
        /// The entry at which it happened.
        path: PathBuf,
        /// What the system answered.
        cause: io::Error,
    },
}

/// Reads the tree at `source`.
///
/// `source` is either the tree itself or a folder that holds it under the name `sys`. It is the
/// latter if its `sys` is a directory (not a link to one) with a directory `block`, `bus`,
/// `class`, `devices`, `firmware`, `kernel` or `module` in it. So `/`, `/sys`, `/sys/class` and
/// an unpacked recording are all taken as one would expect. A link is followed for `source`
/// alone.
///
/// `progress` is called about every 256 entries, and once at the end.
///
/// On a live sysfs a read can have effects, or wait for long. There the scan leaves out what is
/// known for that (`hot_add` anywhere, `kernel/debug`, `kernel/tracing`, `kernel/btf`,
/// `fs/cgroup`, `fs/bpf`, `power/wakeup_count`) and reads no private file unless asked. On any
/// tree it stays within the file system that the root belongs to.
///
/// The result is in order of names (by bytes), hence the same for the same tree.
///
/// # Errors
///
/// [`ScanError::Missing`], [`ScanError::NotADirectory`] and [`ScanError::Unreadable`] concern
/// the source as a whole; [`ScanError::Exhausted`] says that the process has too few files or too
/// little memory left to go on. Whatever else goes wrong concerns one entry, which is counted in
/// [`Scanned::skipped`].
///
/// ```no_run
/// use std::path::Path;
///
/// # fn main() -> Result<(), enodev_sysfs::ScanError> {
/// let options = enodev_sysfs::ScanOptions::default();
/// let tree = enodev_sysfs::scan(Path::new("/sys"), &options, &mut |_| ())?;
/// assert_eq!(tree.dirs[0].path, "");
/// # Ok(())
/// # }
/// ```
pub fn scan(source: &Path, options: &ScanOptions, progress: &mut dyn FnMut(Progress)) -> Result<Scanned, ScanError> {
    let (fd, place) = root::open(source)?;
    let (mut dirs, skipped) = walk::Walker::new(&place, options, progress).walk(fd)?;
    find::resolve_links(&mut dirs, &place.link_prefixes());
    Ok(Scanned { root: place.path, live: place.live, dirs, skipped })
}
