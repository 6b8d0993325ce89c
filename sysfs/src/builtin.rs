//! A small invented machine, for hosts that have no `/sys`.
//!
//! It has one disk with two partitions and one network interface with four queues, both on a
//! PCI-like bus, and of every kind of thing that a real tree has at least one: attributes that
//! answer with an error number, some that can only be written, a binary one, links of devices to
//! their class, bus and driver, and links back.

use std::sync::Arc;

use rustix::io::Errno;

use crate::scan::{Content, Draft, Scanned, Unread};
use machine::{DISK, FAILING, LINKS, NET, TEXTS, WRITE_ONLY, config};

mod machine;

/// The tree that the command takes where there is no `/sys`: two PCI-like devices and what hangs
/// on them, some 120 attributes in all. It is the same on each call.
///
/// ```
/// let tree = enodev_sysfs::builtin();
/// assert!(tree.dirs.iter().any(|dir| dir.path == "devices/pci0000:00/0000:00:02.0"));
/// ```
pub fn builtin() -> Scanned {
    let mut draft = Draft::default();
    for (dir, mode, texts) in TEXTS {
        for (name, text) in *texts {
            draft.text(dir, name, *mode, text);
        }
    }
    for queue in ["rx-0", "rx-1"] {
        let dir = format!("{NET}/queues/{queue}");
        draft.text(&dir, "rps_cpus", 0o644, "0\n");
        draft.text(&dir, "rps_flow_cnt", 0o644, "0\n");
    }
    for queue in ["tx-0", "tx-1"] {
        let dir = format!("{NET}/queues/{queue}");
        draft.text(&dir, "tx_timeout", 0o444, "0\n");
        draft.text(&dir, "xps_cpus", 0o644, "3\n");
        draft.text(&format!("{dir}/byte_queue_limits"), "limit", 0o644, "0\n");
        let refused = Content::Errno(Errno::OPNOTSUPP.raw_os_error());
        draft.attribute(&dir, "traffic_class", 0o444, refused, false);
    }
    for (dir, name, errno) in FAILING {
        draft.attribute(dir, name, 0o444, Content::Errno(errno.raw_os_error()), false);
    }
    for (dir, name) in WRITE_ONLY {
        draft.attribute(dir, name, 0o200, Content::Unread(Unread::WriteOnly), false);
    }
    let config = Content::Bytes(Arc::from(config()));
    draft.attribute(DISK, "config", 0o644, config, true);
    for (dir, name, target) in LINKS {
        draft.link(dir, name, target);
    }
    draft.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_link_arrives() {
        let tree = builtin();
        assert_eq!(tree.links_len(), LINKS.len());
        for dir in &tree.dirs {
            for link in &dir.links {
                assert!(link.resolved.is_some(), "{}/{}", dir.path, link.name);
            }
        }
    }

    #[test]
    fn it_has_something_of_every_kind() {
        let tree = builtin();
        let all: Vec<_> = tree.dirs.iter().flat_map(|dir| &dir.attributes).collect();
        assert!((110..=140).contains(&all.len()), "{} attributes", all.len());
        assert!(all.iter().any(|it| matches!(it.content, Content::Errno(_))));
        assert!(all.iter().any(|it| it.content == Content::Unread(Unread::WriteOnly)));
        let binary: Vec<_> = all.iter().filter(|it| it.binary).collect();
        assert_eq!(binary.len(), 1);
        assert!(matches!(&binary[0].content, Content::Bytes(bytes) if bytes.len() == 256));
    }

    #[test]
    fn directories_are_in_pre_order_and_each_knows_its_parent() {
        let tree = builtin();
        for (index, dir) in tree.dirs.iter().enumerate().skip(1) {
            let parent = dir.parent.unwrap();
            assert!(parent < index);
            let above = &tree.dirs[parent].path;
            let path = if above.is_empty() { dir.name.clone() } else { format!("{above}/{}", dir.name) };
            assert_eq!(dir.path, path);
            assert!(index < parent + tree.subtree_len(parent));
        }
    }
}
