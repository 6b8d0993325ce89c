//! A tree in a store, and what a path names in it.

use std::path::Path;

use enodev::{Access, Errno, Error, KobjectHandle, Store};
use enodev_sysfs::{Imported, Scanned, load};

use super::{Failure, note, source};

/// A tree that has been read and put into a store.
pub(super) struct Import {
    tree: Scanned,
    store: Store,
    links_left: usize,
}

/// What a path names.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Found<'p> {
    Object(KobjectHandle),
    /// An attribute of an object, by its name.
    Attribute(KobjectHandle, &'p str),
}

impl Import {
    /// Reads the tree at `source`; see [`source::read`].
    pub(super) fn read(source: Option<&Path>) -> Result<Self, Failure> {
        Self::of(source::read(source)?)
    }

    pub(super) fn of(tree: Scanned) -> Result<Self, Failure> {
        let store = Store::new()?;
        let loaded = load(&store, &tree, |_, dir| Imported::new(dir))?;
        Ok(Self { tree, store, links_left: loaded.links_left })
    }

    pub(super) fn store(&self) -> &Store {
        &self.store
    }

    /// What `path` names. Links on the way and at its end are followed.
    pub(super) fn find<'p>(&self, path: &'p str) -> Result<Found<'p>, Failure> {
        let below = self.tree.below_root(path);
        let attribute = || {
            let mut names: Vec<&str> = below.split('/').filter(|name| !matches!(*name, "" | ".")).collect();
            let name = names.pop().unwrap_or_default();
            Ok(Found::Attribute(self.store.lookup(&names.join("/"))?, name))
        };
        let found = match self.store.lookup(below) {
            // The path ends at an attribute, unless there is one before its end.
            Err(Error::Errno(Errno::ENOTDIR)) => attribute(),
            found => found.map(Found::Object),
        };
        found.map_err(|error| {
            let cause = match error {
                Error::NotFound if self.is_of_root(below) => "left out: the root of a store has no attributes".into(),
                Error::NotFound => "no such directory or attribute".into(),
                Error::Errno(Errno::ENOTDIR) => "not a directory".into(),
                error => error.to_string(),
            };
            Failure::Path { path: path.into(), cause }
        })
    }

    /// Whether the path is that of an attribute of the tree's root.
    fn is_of_root(&self, below: &str) -> bool {
        let name = below.trim_start_matches('/');
        self.tree.dirs[0].attributes.iter().any(|attribute| attribute.name == name)
    }

    /// Says on standard error what of the tree is not in the store, or not as it was.
    pub(super) fn note_what_is_left(&self) {
        let of_root = self.tree.dirs[0].attributes.len();
        let left = [
            (!self.tree.skipped.is_empty()).then(|| self.tree.skipped.to_string()),
            (self.links_left > 0).then(|| format!("links that lead to no directory: {}", self.links_left)),
            (of_root > 0).then(|| format!("attributes of the root itself: {of_root}")),
        ];
        let left: Vec<String> = left.into_iter().flatten().collect();
        if !left.is_empty() {
            note(&format!("left out or left unread: {}", left.join("; ")));
        }
    }
}

/// Whether an attribute of an object can be written and not read.
pub(super) fn is_write_only(store: &Store, object: KobjectHandle, name: &str) -> bool {
    let opens = |access| store.open(object, name, access).is_ok();
    opens(Access::WRITE) && !opens(Access::READ)
}

#[cfg(test)]
mod tests {
    use super::*;
    use enodev_sysfs::builtin;

    const NIC: &str = "devices/pci0000:00/0000:00:05.0/net/weir0";

    #[test]
    fn an_attribute_is_found_in_every_way_of_writing_its_path() {
        let import = Import::of(builtin()).unwrap();
        let nic = import.store().lookup(NIC).unwrap();
        for path in [
            "devices/pci0000:00/0000:00:05.0/net/weir0/mtu",
            "/devices/pci0000:00/0000:00:05.0/net/weir0/mtu",
            "/sys/devices/pci0000:00/0000:00:05.0/net/weir0/mtu",
            "./devices//pci0000:00/../pci0000:00/0000:00:05.0/net/weir0/mtu/",
            "class/net/weir0/mtu",
            "bus/pci/drivers/weir/0000:00:05.0/net/weir0/mtu",
            "class/net/weir0/device/net/weir0/mtu",
        ] {
            assert_eq!(import.find(path).unwrap(), Found::Attribute(nic, "mtu"), "{path}");
        }
        for path in ["class/net/weir0", "/sys/class/net/weir0", "class/net/weir0/queues/.."] {
            assert_eq!(import.find(path).unwrap(), Found::Object(nic), "{path}");
        }
        for path in ["", "/", "/sys", "/sys/", "."] {
            assert_eq!(import.find(path).unwrap(), Found::Object(import.store().root()), "{path}");
        }
    }

    #[test]
    fn a_path_may_begin_with_the_place_where_the_tree_was_read() {
        let import = Import::of(Scanned { root: "/tmp/a/sys".into(), ..builtin() }).unwrap();
        let class = import.store().lookup("class").unwrap();
        for path in ["/tmp/a/sys/class", "/sys/class", "/class"] {
            assert_eq!(import.find(path).unwrap(), Found::Object(class), "{path}");
        }
        assert!(import.find("/tmp/a/class").is_err());
    }

    #[test]
    fn a_path_that_names_nothing_says_why() {
        let import = Import::of(builtin()).unwrap();
        let missing = "no such directory or attribute";
        for (path, cause) in [
            ("devices/tape", missing),
            ("/sysfoo/devices", missing),
            ("class/net/weir0/mtuu", missing),
            ("class/net/weir0/mtu/x", "not a directory"),
            ("class/net/weir0/mtu/..", "not a directory"),
        ] {
            assert_eq!(import.find(path).unwrap_err().to_string(), format!("{path}: {cause}"));
        }
    }
}
