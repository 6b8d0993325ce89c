//! The walk through the directories.

use std::os::fd::OwnedFd;
use std::vec;

use rustix::fs::{AtFlags, FileType, Mode, OFlags, RawDir};
use rustix::io::Errno;

use super::live::is_denied;
use super::read::{Outcome, Reader, mode};
use super::root::{OPEN_DIR, Place, exhausted};
use super::tree::{Content, Dir, ScannedAttribute, ScannedLink, Unread, join};
use super::{DEPTH_MAX, ENTRIES_MAX, Progress, ScanError, ScanOptions, SkipKind, Skipped};

/// `progress` is called whenever so many more entries have been found.
const PROGRESS_STEP: usize = 256;

/// A walk under way.
pub(super) struct Walker<'a> {
    place: &'a Place,
    reader: Reader<'a>,
    depth_max: usize,
    /// How many more names may be taken from listings.
    entries_left: usize,
    dirs: Vec<Dir>,
    skipped: Skipped,
    found: Progress,
    progress: &'a mut dyn FnMut(Progress),
}

/// A directory whose subdirectories are being walked through.
struct Frame {
    fd: OwnedFd,
    index: usize,
    /// Levels below the root.
    depth: usize,
    subdirs: vec::IntoIter<String>,
}

impl<'a> Walker<'a> {
    pub(super) fn new(place: &'a Place, options: &'a ScanOptions, progress: &'a mut dyn FnMut(Progress)) -> Self {
        Self {
            place,
            reader: Reader::new(place, options),
            depth_max: options.depth_max.min(DEPTH_MAX),
            entries_left: options.entries_max.min(ENTRIES_MAX),
            dirs: Vec::new(),
            skipped: Skipped::default(),
            found: Progress::default(),
            progress,
        }
    }

    /// Walks through the tree whose root is `fd`. Subdirectories come after all else in their
    /// directory, which makes the result pre-order.
    pub(super) fn walk(mut self, fd: OwnedFd) -> Result<(Vec<Dir>, Skipped), ScanError> {
        let mut stack = vec![self.enter(fd, None, String::new(), 0)?];
        while let Some(frame) = stack.last_mut() {
            let Some(name) = frame.subdirs.next() else {
                stack.pop();
                continue;
            };
            let (parent, depth) = (frame.index, frame.depth + 1);
            if depth > self.depth_max {
                self.skip(SkipKind::TooDeep, parent, &name);
                continue;
            }
            let flags = OPEN_DIR | OFlags::NOFOLLOW;
            match rustix::fs::openat(&frame.fd, &name, flags, Mode::empty()) {
                Ok(fd) => stack.push(self.enter(fd, Some(parent), name, depth)?),
                Err(errno) if exhausted(errno) => {
                    return Err(self.exhausted_at(parent, &name, errno));
                }
                Err(errno) => self.unopened(parent, name, errno),
            }
        }
        (self.progress)(self.found);
        Ok((self.dirs, self.skipped))
    }

    /// A directory that could not be opened: it stays in the result if it is still there.
    fn unopened(&mut self, parent: usize, name: String, errno: Errno) {
        let kind = kind_of(errno);
        self.skip(kind, parent, &name);
        if kind != SkipKind::Vanished {
            self.push_dir(Some(parent), name);
        }
    }

    fn push_dir(&mut self, parent: Option<usize>, name: String) -> usize {
        let path = parent.map_or_else(String::new, |parent| join(&self.dirs[parent].path, &name));
        let (attributes, links) = (Vec::new(), Vec::new());
        self.dirs.push(Dir { path, parent, name, attributes, links });
        self.found.dirs += 1;
        self.report();
        self.dirs.len() - 1
    }

    /// Takes a directory into the result, with all in it but its subdirectories.
    fn enter(&mut self, fd: OwnedFd, parent: Option<usize>, name: String, depth: usize) -> Result<Frame, ScanError> {
        let index = self.push_dir(parent, name);
        let mut subdirs = Vec::new();
        for name in self.list(&fd, index)? {
            match String::from_utf8(name) {
                Ok(name) if self.entry(&fd, index, &name)? => subdirs.push(name),
                Ok(_) => {}
                Err(error) => {
                    let name = String::from_utf8_lossy(error.as_bytes());
                    self.skip(SkipKind::NameNotUtf8, index, &name);
                }
            }
        }
        Ok(Frame { fd, index, depth, subdirs: subdirs.into_iter() })
    }

    /// The names in a directory, in order.
    fn list(&mut self, fd: &OwnedFd, index: usize) -> Result<Vec<Vec<u8>>, ScanError> {
        let mut names = Vec::new();
        let mut buffer = Vec::with_capacity(32 << 10);
        let mut entries = RawDir::new(fd, buffer.spare_capacity_mut());
        while let Some(entry) = entries.next() {
            let name = match &entry {
                Ok(entry) => entry.file_name().to_bytes(),
                Err(Errno::INTR) => continue,
                Err(errno) if exhausted(*errno) => {
                    return Err(self.exhausted_at(index, "", *errno));
                }
                Err(errno) if index == 0 => {
                    let (path, cause) = (self.place.path.clone(), (*errno).into());
                    return Err(ScanError::Unreadable { path, cause });
                }
                Err(errno) => {
                    self.skip(kind_of(*errno), index, "");
                    break;
                }
            };
            if matches!(name, b"." | b"..") {
                continue;
            }
            if self.entries_left == 0 {
                self.skip(SkipKind::TooMany, index, "");
                break;
            }
            self.entries_left -= 1;
            names.push(name.to_vec());
        }
        names.sort_unstable();
        // A directory that changes while it is listed may give a name twice.
        names.dedup();
        Ok(names)
    }

    /// Takes one entry into the result. True for a directory, which is to be entered later.
    fn entry(&mut self, fd: &OwnedFd, dir: usize, name: &str) -> Result<bool, ScanError> {
        // Before anything touches it: a look at a mount point can mount it.
        if self.place.live && is_denied(&self.path_in_mount(dir, name)) {
            self.skip(SkipKind::Denied, dir, name);
            return Ok(false);
        }
        let flags = AtFlags::SYMLINK_NOFOLLOW | AtFlags::NO_AUTOMOUNT;
        let stat = match rustix::fs::statat(fd, name, flags) {
            Ok(stat) => stat,
            Err(errno) => {
                self.skip(kind_of(errno), dir, name);
                return Ok(false);
            }
        };
        // An overlay may report another device for files than for directories, so that only a
        // live tree, which is never part of one, is asked about files too.
        let foreign = stat.st_dev != self.place.device;
        match FileType::from_raw_mode(stat.st_mode) {
            FileType::Directory if !foreign => return Ok(true),
            FileType::Symlink => self.link(fd, dir, name),
            FileType::RegularFile if !(foreign && self.place.live) => {
                let outcome = self.reader.read(fd, name, &stat);
                let outcome = outcome.map_err(|errno| self.exhausted_at(dir, name, errno))?;
                self.attribute(dir, name, mode(&stat), outcome);
            }
            FileType::Directory | FileType::RegularFile => {
                self.skip(SkipKind::OtherFileSystem, dir, name);
            }
            _ => self.skip(SkipKind::Special, dir, name),
        }
        Ok(false)
    }

    fn attribute(&mut self, dir: usize, name: &str, mode: u16, outcome: Outcome) {
        let (content, binary) = match outcome {
            Outcome::Attribute(content, binary) => (content, binary),
            Outcome::Skipped(kind) => return self.skip(kind, dir, name),
        };
        match content {
            Content::Unread(Unread::Private) => self.skip(SkipKind::Private, dir, name),
            Content::Unread(Unread::Refused) => self.skip(SkipKind::Refused, dir, name),
            Content::Unread(Unread::TooLarge) => self.skip(SkipKind::TooLarge, dir, name),
            Content::Unread(Unread::WriteOnly) | Content::Bytes(_) | Content::Errno(_) => {}
        }
        let name = name.to_owned();
        self.dirs[dir].attributes.push(ScannedAttribute { name, mode, content, binary });
        self.found.attributes += 1;
        self.report();
    }

    fn link(&mut self, fd: &OwnedFd, dir: usize, name: &str) {
        let target = match rustix::fs::readlinkat(fd, name, Vec::new()) {
            Ok(target) => target,
            // EINVAL: something else than a link has taken its place.
            Err(Errno::INVAL) => return self.skip(SkipKind::Vanished, dir, name),
            Err(errno) => return self.skip(kind_of(errno), dir, name),
        };
        let Ok(target) = target.into_string() else {
            return self.skip(SkipKind::TargetNotUtf8, dir, name);
        };
        let link = ScannedLink { name: name.to_owned(), target, resolved: None };
        self.dirs[dir].links.push(link);
        self.found.links += 1;
        self.report();
    }

    fn report(&mut self) {
        let Progress { dirs, attributes, links } = self.found;
        if (dirs + attributes + links) % PROGRESS_STEP == 0 {
            (self.progress)(self.found);
        }
    }

    /// Counts an entry of `dir` as left out; the directory itself where `name` is empty.
    fn skip(&mut self, kind: SkipKind, dir: usize, name: &str) {
        self.skipped.add(kind, self.path(dir, name));
    }

    /// The path of an entry of `dir`; that of the directory itself where `name` is empty.
    fn path(&self, dir: usize, name: &str) -> String {
        join(&self.dirs[dir].path, name)
    }

    fn path_in_mount(&self, dir: usize, name: &str) -> String {
        join(&self.place.mount_path, &self.path(dir, name))
    }

    fn exhausted_at(&self, dir: usize, name: &str, errno: Errno) -> ScanError {
        let path = self.place.path.join(self.path(dir, name));
        ScanError::Exhausted { path, cause: errno.into() }
    }
}

/// The kind of skip that an error on a directory or a link amounts to.
fn kind_of(errno: Errno) -> SkipKind {
    match errno {
        // With NOFOLLOW, the last two tell of something else in the place of a directory.
        Errno::NOENT | Errno::NOTDIR | Errno::LOOP => SkipKind::Vanished,
        Errno::ACCESS | Errno::PERM => SkipKind::Refused,
        _ => SkipKind::Failed,
    }
}
