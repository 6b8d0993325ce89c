//! What a scan yields: plain data.

use std::path::PathBuf;
use std::sync::Arc;

use super::Skipped;
use super::find::below;

/// A directory tree as a scan found it.
#[derive(Clone, Debug)]
pub struct Scanned {
    /// The absolute path of the tree's root; empty for a tree that was not read from files.
    pub root: PathBuf,
    /// Whether the tree was read from a live sysfs, not from a recording of one.
    pub live: bool,
    /// All directories: each after its parent, its whole subtree right behind it, siblings in
    /// order of their names (by bytes). The first one is the root; there is always one.
    pub dirs: Vec<Dir>,
    /// What was left out.
    pub skipped: Skipped,
}

impl Scanned {
    /// The number of attributes in the whole tree.
    pub fn attributes_len(&self) -> usize {
        self.dirs.iter().map(|dir| dir.attributes.len()).sum()
    }

    /// The number of links in the whole tree.
    pub fn links_len(&self) -> usize {
        self.dirs.iter().map(|dir| dir.links.len()).sum()
    }

    /// How many directories the one at `index` and all below it are: they lie one after the other in [`Scanned::dirs`].
    pub(crate) fn subtree_len(&self, index: usize) -> usize {
        let Some(rest) = self.dirs.get(index..) else {
            return 0;
        };
        // The subtree ends at the first directory whose parent lies before it.
        let below = rest.iter().skip(1);
        let below = below.take_while(|dir| dir.parent.is_some_and(|parent| parent >= index));
        rest.len().min(1 + below.count())
    }

    /// A path without what stands for the tree's root in it: an absolute path may be written as it is on the machine that has
    /// the tree, with [`Scanned::root`] in front, or `/sys` where the tree is not live.
    ///
    /// ```
    /// assert_eq!(enodev_sysfs::builtin().below_root("/sys/class/net"), "/class/net");
    /// ```
    pub fn below_root<'p>(&self, path: &'p str) -> &'p str {
        let root = self.root.to_str().filter(|root| !root.is_empty());
        let recorded = (!self.live).then_some("/sys");
        root.into_iter().chain(recorded).find_map(|prefix| below(prefix, path)).unwrap_or(path)
    }
}

/// A directory: in sysfs, a kobject or a named group of attributes.
#[derive(Clone, Debug)]
pub struct Dir {
    /// Path relative to the root of the tree, such as `devices/pci0000:00`; empty for the root.
    pub path: String,
    /// Index of the directory that holds this one; `None` for the root.
    pub parent: Option<usize>,
    /// The last component of [`Dir::path`].
    pub name: String,
    /// Its files, in order of their names (by bytes).
    pub attributes: Vec<ScannedAttribute>,
    /// Its symbolic links, in order of their names (by bytes).
    pub links: Vec<ScannedLink>,
}

/// A file of the tree: in sysfs, an attribute.
#[derive(Clone, Debug)]
pub struct ScannedAttribute {
    /// Name within its directory; at most 255 bytes.
    pub name: String,
    /// The nine permission bits.
    pub mode: u16,
    /// What a read of it gave.
    pub content: Content,
    /// Whether it has to be a binary attribute: its content is longer than the 4096 bytes that a
    /// text attribute can show, or the live sysfs says so (by a size other than a page).
    pub binary: bool,
}

/// What a read of an attribute gave.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Content {
    /// All its bytes; they need not be text.
    Bytes(Arc<[u8]>),
    /// It exists and answers with this error number.
    Errno(i32),
    /// It was not read.
    Unread(Unread),
}

/// Why an attribute was not read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Unread {
    /// Its mode lets it be written only.
    WriteOnly,
    /// It belongs to a live sysfs and its mode lets only its owner read it, which was not asked
    /// for ([`ScanOptions::private`](super::ScanOptions::private)).
    Private,
    /// Its mode lets nobody read or write it, or the system refused to open it (EACCES, EPERM).
    Refused,
    /// It is longer than the scan may keep.
    TooLarge,
}

/// A symbolic link.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScannedLink {
    /// Name within its directory.
    pub name: String,
    /// The target as written.
    pub target: String,
    /// Path, relative to the root, of the directory or attribute at which the target arrives,
    /// further links followed. `None` where it dangles, leads out of the tree, or goes round in a
    /// circle.
    pub resolved: Option<String>,
}

/// `name` in the directory `dir`, as a path; the other one where either is empty.
pub(super) fn join(dir: &str, name: &str) -> String {
    match (dir, name) {
        ("", path) | (path, "") => path.to_owned(),
        _ => format!("{dir}/{name}"),
    }
}
