//! The root of a tree: where it is, and what kind of file system it is on.

use std::fs;
use std::os::fd::OwnedFd;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, CWD, FileType, Mode, OFlags};
use rustix::io::Errno;

use super::ScanError;

/// What makes a directory of the name `sys` a tree: one of these directories in it.
const MARKERS: [&str; 7] = ["block", "bus", "class", "devices", "firmware", "kernel", "module"];

/// `SYSFS_MAGIC` of the kernel.
const SYSFS_MAGIC: u32 = 0x6265_6572;

/// How a directory is opened. Nothing else than a directory is opened by it, not even a FIFO.
pub(super) const OPEN_DIR: OFlags =
    OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC).union(OFlags::NONBLOCK);

/// What is known about the tree as a whole.
pub(super) struct Place {
    /// The root, absolute and without links.
    pub(super) path: PathBuf,
    /// The root as the caller wrote it, made absolute.
    given: PathBuf,
    /// Whether this is a sysfs of the running kernel.
    pub(super) live: bool,
    /// `st_dev` of the root: the file system to stay in.
    pub(super) device: u64,
    /// The size that a live sysfs gives to text attributes.
    pub(super) page_size: u64,
    /// Path of the root within its mount, for the deny list; empty for a recorded tree.
    pub(super) mount_path: String,
}

impl Place {
    /// Absolute paths that mean the root when a link's target begins with one. A recording was
    /// taken at `/sys`; a live tree that is only a part of sysfs is not `/sys`.
    pub(super) fn link_prefixes(&self) -> Vec<&str> {
        let own = [&self.path, &self.given].into_iter().filter_map(|path| path.to_str());
        let recorded = (!self.live).then_some("/sys");
        own.chain(recorded).filter(|prefix| *prefix != "/" && !prefix.is_empty()).collect()
    }
}

/// Opens the tree at `source`, or in the `sys` that it holds.
pub(super) fn open(source: &Path) -> Result<(OwnedFd, Place), ScanError> {
    let fd = rustix::fs::openat(CWD, source, OPEN_DIR, Mode::empty()).map_err(|errno| error(source, errno))?;
    let (fd, path) = match open_sys(&fd) {
        Ok(Some(sys)) => (sys, source.join("sys")),
        Ok(None) => (fd, source.to_owned()),
        Err(errno) => return Err(error(&source.join("sys"), errno)),
    };
    let stat = rustix::fs::fstat(&fd).map_err(|errno| error(&path, errno))?;
    let fs = rustix::fs::fstatfs(&fd).map_err(|errno| error(&path, errno))?;
    let live = u32::try_from(fs.f_type).is_ok_and(|magic| magic == SYSFS_MAGIC);
    let real = fs::canonicalize(&path).map_err(|cause| ScanError::Unreadable { path: path.clone(), cause })?;
    let given = std::path::absolute(&path).unwrap_or_else(|_| real.clone());
    let mount_path = if live { mount_path(&real, stat.st_dev) } else { String::new() };
    let page_size = u64::try_from(fs.f_bsize).unwrap_or(4096);
    Ok((fd, Place { path: real, given, live, device: stat.st_dev, page_size, mount_path }))
}

/// The directory `sys` in `source`, if it looks like a tree.
fn open_sys(source: &OwnedFd) -> Result<Option<OwnedFd>, Errno> {
    let sys = match rustix::fs::openat(source, "sys", OPEN_DIR | OFlags::NOFOLLOW, Mode::empty()) {
        Ok(sys) => sys,
        Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => return Ok(None),
        Err(errno) => return Err(errno),
    };
    let is_tree = MARKERS.iter().any(|marker| {
        rustix::fs::statat(&sys, *marker, AtFlags::SYMLINK_NOFOLLOW)
            .is_ok_and(|stat| FileType::from_raw_mode(stat.st_mode).is_dir())
    });
    Ok(is_tree.then_some(sys))
}

/// The path of `root` within the mount that it belongs to.
fn mount_path(root: &Path, device: u64) -> String {
    let mount = root
        .ancestors()
        .take_while(|path| fs::metadata(path).is_ok_and(|it| it.dev() == device))
        .last()
        .unwrap_or(root);
    let below = root.strip_prefix(mount).unwrap_or(Path::new(""));
    below.to_string_lossy().into_owned()
}

fn error(path: &Path, errno: Errno) -> ScanError {
    let path = path.to_owned();
    match errno {
        Errno::NOENT => ScanError::Missing { path },
        Errno::NOTDIR => ScanError::NotADirectory { path },
        _ if exhausted(errno) => ScanError::Exhausted { path, cause: errno.into() },
        _ => ScanError::Unreadable { path, cause: errno.into() },
    }
}

/// Whether the error tells about this process or the system, not about the entry.
pub(super) fn exhausted(errno: Errno) -> bool {
    matches!(errno, Errno::MFILE | Errno::NFILE | Errno::NOMEM)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn part_of_a_live_sysfs_knows_its_place_in_the_mount() {
        let sys = Path::new("/sys/kernel");
        let Ok(meta) = fs::metadata(sys) else {
            eprintln!("skipped: no /sys/kernel");
            return;
        };
        assert_eq!(mount_path(sys, meta.dev()), "kernel");
        assert_eq!(mount_path(Path::new("/sys"), meta.dev()), "");
    }
}
