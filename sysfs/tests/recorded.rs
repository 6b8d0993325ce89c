//! Scans of real trees: recordings of machines, and the machine that the test runs on.
//!
//! What a scan says of a recording is compared with what the standard library reads from the same
//! files.
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "tests say what they expect by panicking")]

mod recordings;

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use enodev_sysfs::{Content, Scanned, ScannedLink, SkipKind, Unread};
use recordings::scanned;

/// One entry of a tree, in a form that both sides can give.
#[derive(Debug, PartialEq)]
enum Entry {
    Dir,
    Link { target: String, resolved: Option<String> },
    File { mode: u32, bytes: Option<Vec<u8>> },
}

/// What the standard library reads below `dir`.
fn read_plainly(root: &Path, dir: &Path, into: &mut BTreeMap<String, Entry>) {
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        let meta = path.symlink_metadata().unwrap();
        let entry = if meta.is_dir() {
            read_plainly(root, &path, into);
            Entry::Dir
        } else if meta.is_symlink() {
            read_link_plainly(root, &path)
        } else {
            let mode = meta.permissions().mode() & 0o777;
            let bytes = (mode & 0o444 != 0).then(|| fs::read(&path).unwrap());
            Entry::File { mode, bytes }
        };
        into.insert(below(root, &path), entry);
    }
}

fn read_link_plainly(root: &Path, path: &Path) -> Entry {
    let target = fs::read_link(path).unwrap();
    // In a recording `/sys` means its own root, not this machine's.
    let meant = match target.strip_prefix("/sys") {
        Ok(rest) => root.join(rest),
        Err(_) => path.parent().unwrap().join(&target),
    };
    let arrives = meant.canonicalize().ok().filter(|it| it.starts_with(root));
    let resolved = arrives.map(|it| below(root, &it));
    Entry::Link { target: target.to_str().unwrap().to_owned(), resolved }
}

fn below(root: &Path, path: &Path) -> String {
    path.strip_prefix(root).unwrap().to_str().unwrap().to_owned()
}

/// The same from a scan.
fn entries(tree: Scanned) -> BTreeMap<String, Entry> {
    let mut all = BTreeMap::new();
    for dir in tree.dirs {
        let below = |name: &str| format!("{}/{name}", dir.path).trim_start_matches('/').to_owned();
        for ScannedLink { name, target, resolved } in dir.links {
            all.insert(below(&name), Entry::Link { target, resolved });
        }
        for it in dir.attributes {
            let bytes = if let Content::Bytes(bytes) = it.content { Some(bytes.to_vec()) } else { None };
            all.insert(below(&it.name), Entry::File { mode: it.mode.into(), bytes });
        }
        all.insert(dir.path, Entry::Dir);
    }
    all.remove("");
    all
}

#[test]
fn a_recorded_machine_is_read_as_its_files_are() {
    recordings::each(|archive, tree| {
        assert!(tree.skipped.is_empty(), "{archive}: {}", tree.skipped);
        assert!(tree.attributes_len() > 0, "{archive}");
        let mut plain = BTreeMap::new();
        read_plainly(&tree.root, &tree.root, &mut plain);
        for (path, entry) in entries(tree) {
            let expected = plain.remove(&path);
            assert_eq!(Some(entry), expected, "{archive}: {path}");
        }
        assert_eq!(plain, BTreeMap::new(), "{archive}: not found");
    });
}

#[test]
fn the_machine_itself_is_read_with_care() {
    let sys = Path::new("/sys");
    if !sys.join("kernel").is_dir() {
        eprintln!("skipped: live tree: no /sys");
        return;
    }
    let tree = scanned(sys);
    assert!(tree.attributes_len() > 100, "{} attributes", tree.attributes_len());
    if !tree.live {
        eprintln!("skipped: the rest: /sys is no sysfs");
        return;
    }
    for denied in ["kernel/debug", "kernel/tracing", "kernel/btf", "fs/cgroup", "fs/bpf"] {
        assert!(tree.dirs.iter().all(|dir| dir.path != denied), "{denied}");
    }
    let mut private = 0;
    for dir in &tree.dirs {
        for it in &dir.attributes {
            let path = format!("{}/{}", dir.path, it.name);
            assert_ne!(it.name, "hot_add", "{path}");
            if it.mode & 0o044 == 0 {
                let unread = matches!(it.content, Content::Unread(_));
                assert!(unread, "{path} has mode {:o}", it.mode);
                private += u64::from(it.content == Content::Unread(Unread::Private));
            }
            if it.mode & 0o444 == 0 && it.mode & 0o222 != 0 {
                assert_eq!(it.content, Content::Unread(Unread::WriteOnly), "{path}");
            }
        }
    }
    assert_eq!(tree.skipped.count(SkipKind::Private), private);
}

#[test]
fn part_of_the_machine_keeps_the_deny_list() {
    let kernel = Path::new("/sys/kernel");
    if !kernel.is_dir() {
        eprintln!("skipped: live tree: no /sys/kernel");
        return;
    }
    let tree = scanned(kernel);
    if !tree.live {
        eprintln!("skipped: /sys is no sysfs");
        return;
    }
    for denied in ["debug", "tracing", "btf"] {
        assert!(tree.dirs.iter().all(|dir| dir.path != denied), "{denied}");
    }
    assert!(tree.attributes_len() > 0);
}
