//! What a scan makes of sources that are none, and of what may lie about in a tree.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    reason = "tests say what they expect by panicking, and why they are skipped"
)]

mod common;

use std::ffi::OsStr;
use std::fs::{self, Permissions};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use common::{attribute, bytes, dir, link, paths, scan_with, scanned, temp, write};
use enodev_sysfs::{Content, DEPTH_MAX, ScanError, ScanOptions, SkipKind, Unread, scan};

fn mode(path: &Path, mode: u32) {
    fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
}

fn failure(source: &Path) -> ScanError {
    scan(source, &ScanOptions::default(), &mut |_| ()).unwrap_err()
}

/// Whether permission bits bind this process; root may do anything.
fn permissions_bind(what: &str) -> bool {
    let root = fs::metadata("/proc/self").is_ok_and(|it| it.uid() == 0);
    if root {
        eprintln!("skipped: {what}: permission bits do not bind root");
    }
    !root
}

fn make_fifo(path: &Path) {
    use rustix::fs::{CWD, FileType, Mode, mknodat};
    mknodat(CWD, path, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
}

#[test]
fn a_source_that_does_not_exist_is_named() {
    let temp = temp();
    let source = temp.path().join("nowhere");
    let error = failure(&source);
    assert!(matches!(&error, ScanError::Missing { path } if *path == source));
    assert_eq!(error.to_string(), format!("{}: no such file or directory", source.display()));
}

#[test]
fn a_source_that_is_no_directory_is_named_and_not_opened() {
    let temp = temp();
    let file = write(temp.path(), "file", "x");
    let fifo = temp.path().join("fifo");
    make_fifo(&fifo);
    // An open of the FIFO for reading would wait for a writer for ever.
    for source in [&file, &fifo, &file.join("below")] {
        let error = failure(source);
        assert!(matches!(&error, ScanError::NotADirectory { path } if path == source), "{error}");
    }
}

#[test]
fn a_source_that_may_not_be_read_is_an_error() {
    if !permissions_bind("unreadable source") {
        return;
    }
    let temp = temp();
    write(temp.path(), "x", "");
    mode(temp.path(), 0o300);
    let error = failure(temp.path());
    mode(temp.path(), 0o700);
    assert!(matches!(error, ScanError::Unreadable { .. }), "{error}");
}

#[test]
fn a_file_above_the_limit_is_counted_and_kept_without_content() {
    let temp = temp();
    write(temp.path(), "fits", [7; 1000]);
    write(temp.path(), "large", [7; 1001]);
    let huge = write(temp.path(), "huge", "");
    // A hole of a terabyte: nothing of it may be read.
    fs::File::options().write(true).open(huge).unwrap().set_len(1 << 40).unwrap();
    let options = ScanOptions { file_bytes_max: 1000, ..ScanOptions::default() };
    let tree = scan_with(temp.path(), &options);
    assert_eq!(attribute(&tree.dirs[0], "fits").content, bytes(&[7; 1000]));
    for name in ["large", "huge"] {
        assert_eq!(attribute(&tree.dirs[0], name).content, Content::Unread(Unread::TooLarge));
    }
    assert_eq!(tree.skipped.count(SkipKind::TooLarge), 2);
    assert_eq!(tree.skipped.examples(SkipKind::TooLarge), ["huge", "large"]);
}

#[test]
fn all_contents_together_stay_within_their_limit() {
    let temp = temp();
    for name in ["a", "b", "c"] {
        write(temp.path(), name, [7; 400]);
    }
    write(temp.path(), "d", [7; 200]);
    let options = ScanOptions { bytes_max: 1000, ..ScanOptions::default() };
    let tree = scan_with(temp.path(), &options);
    let kept = |name| matches!(attribute(&tree.dirs[0], name).content, Content::Bytes(_));
    assert_eq!(["a", "b", "c", "d"].map(kept), [true, true, false, true]);
}

#[test]
fn a_name_of_255_bytes_is_kept() {
    let temp = temp();
    let name = "n".repeat(255);
    write(temp.path(), &format!("{name}/{name}"), "deep\n");
    symlink(&name, temp.path().join("l".repeat(255))).unwrap();
    let tree = scanned(temp.path());
    assert_eq!(attribute(dir(&tree, &name), &name).content, bytes(b"deep\n"));
    assert_eq!(tree.dirs[0].links[0].resolved.as_deref(), Some(name.as_str()));
}

#[test]
fn a_path_longer_than_the_system_allows_at_once_is_walked() {
    let temp = temp();
    let name = "d".repeat(200);
    // Made from the inside out: 40 levels are 8 kB of path, twice what one call accepts.
    let mut inner = temp.path().join("0");
    fs::create_dir(&inner).unwrap();
    write(&inner, "leaf", "found");
    for level in 1..=40 {
        let outer = temp.path().join(level.to_string());
        fs::create_dir(&outer).unwrap();
        fs::rename(&inner, outer.join(&name)).unwrap();
        inner = outer;
    }
    let tree = scanned(&inner);
    let deepest = tree.dirs.last().unwrap();
    assert!(deepest.path.len() > 8000);
    assert_eq!(attribute(deepest, "leaf").content, bytes(b"found"));
}

#[test]
fn special_files_are_counted_and_never_waited_for() {
    let temp = temp();
    write(temp.path(), "devices/x", "1");
    make_fifo(&temp.path().join("devices/fifo"));
    let _listener = UnixListener::bind(temp.path().join("devices/socket")).unwrap();
    // A link to a FIFO is a link.
    symlink("fifo", temp.path().join("devices/link")).unwrap();
    let tree = scanned(temp.path());
    assert_eq!(tree.attributes_len(), 1);
    assert_eq!(link(dir(&tree, "devices"), "link").resolved, None);
    assert_eq!(tree.skipped.count(SkipKind::Special), 2);
    assert_eq!(tree.skipped.examples(SkipKind::Special), ["devices/fifo", "devices/socket"]);
}

#[test]
fn other_file_systems_are_counted_and_not_entered() {
    let device = |path| fs::metadata(path).map(|it| it.dev()).ok();
    if device("/dev/shm").is_none() || device("/dev/shm") == device("/dev") {
        eprintln!("skipped: /dev/shm is no mount point");
        return;
    }
    let options = ScanOptions { depth_max: 1, ..ScanOptions::default() };
    let tree = scan_with(Path::new("/dev"), &options);
    assert!(!paths(&tree).contains(&"shm"));
    assert!(tree.skipped.count(SkipKind::OtherFileSystem) > 0);
    // `null`, `zero` and the like are there too, and were not read.
    assert!(tree.skipped.count(SkipKind::Special) > 0);
}

#[test]
fn names_and_targets_that_are_not_utf8_are_counted() {
    let temp = temp();
    let bad = OsStr::from_bytes(b"bad\xff");
    write(temp.path(), "good", "1");
    fs::write(temp.path().join(bad), "x").unwrap();
    let below = temp.path().join(OsStr::from_bytes(b"\xc3"));
    write(&below, "lost", "x");
    symlink(bad, temp.path().join("link")).unwrap();
    let tree = scanned(temp.path());
    assert_eq!(tree.attributes_len(), 1);
    assert_eq!(tree.links_len(), 0);
    assert_eq!(tree.skipped.count(SkipKind::NameNotUtf8), 2);
    assert_eq!(tree.skipped.examples(SkipKind::NameNotUtf8), ["bad\u{fffd}", "\u{fffd}"]);
    assert_eq!(tree.skipped.count(SkipKind::TargetNotUtf8), 1);
    assert_eq!(tree.skipped.examples(SkipKind::TargetNotUtf8), ["link"]);
}

#[test]
fn the_mode_decides_what_is_read_even_for_root() {
    let temp = temp();
    for (name, bits) in [("write", 0o200), ("none", 0o000), ("owner", 0o600), ("all", 0o444)] {
        mode(&write(temp.path(), name, "x"), bits);
    }
    let tree = scanned(temp.path());
    let root = &tree.dirs[0];
    assert_eq!(attribute(root, "write").content, Content::Unread(Unread::WriteOnly));
    assert_eq!(attribute(root, "none").content, Content::Unread(Unread::Refused));
    // This is a recording, not a live tree: its private files are as harmless as the others.
    assert_eq!(attribute(root, "owner").content, bytes(b"x"));
    assert_eq!(attribute(root, "all").content, bytes(b"x"));
    let modes: Vec<u16> = root.attributes.iter().map(|it| it.mode).collect();
    assert_eq!(modes, [0o444, 0o000, 0o600, 0o200]);
    assert_eq!(tree.skipped.count(SkipKind::Refused), 1);
}

#[test]
fn a_directory_that_may_not_be_read_stays_empty_and_the_rest_is_read() {
    if !permissions_bind("unreadable directory") {
        return;
    }
    let temp = temp();
    write(temp.path(), "closed/x", "1");
    write(temp.path(), "open/x", "1");
    mode(&temp.path().join("closed"), 0o000);
    let tree = scanned(temp.path());
    mode(&temp.path().join("closed"), 0o700);
    assert_eq!(paths(&tree), ["", "closed", "open"]);
    assert!(dir(&tree, "closed").attributes.is_empty());
    assert_eq!(dir(&tree, "open").attributes.len(), 1);
    assert_eq!(tree.skipped.examples(SkipKind::Refused), ["closed"]);
}

#[test]
fn directories_below_the_deepest_level_are_counted() {
    let temp = temp();
    let deep = vec!["d"; DEPTH_MAX + 1].join("/");
    write(temp.path(), &format!("{deep}/below"), "x");
    write(temp.path(), &format!("{}/on", &deep[2..]), "x");
    // A limit above the hard one changes nothing.
    let options = ScanOptions { depth_max: usize::MAX, ..ScanOptions::default() };
    for options in [options, ScanOptions::default()] {
        let tree = scan_with(temp.path(), &options);
        assert_eq!(tree.dirs.len(), 1 + DEPTH_MAX);
        assert_eq!(attribute(tree.dirs.last().unwrap(), "on").content, bytes(b"x"));
        assert_eq!(tree.skipped.examples(SkipKind::TooDeep), [deep.as_str()]);
    }
    let options = ScanOptions { depth_max: 0, ..ScanOptions::default() };
    assert_eq!(paths(&scan_with(temp.path(), &options)), [""]);
}

#[test]
fn a_scan_ends_at_its_number_of_entries() {
    let temp = temp();
    for n in 0..300 {
        write(temp.path(), &format!("{n}/x"), "");
    }
    let options = ScanOptions { entries_max: 310, ..ScanOptions::default() };
    let tree = scan_with(temp.path(), &options);
    // The root's 300 directories, and the one attribute in ten of them.
    assert_eq!(tree.dirs.len(), 301);
    assert_eq!(tree.attributes_len(), 10);
    assert_eq!(tree.skipped.count(SkipKind::TooMany), 290);
}

#[test]
fn entries_that_come_and_go_do_not_disturb_the_others() {
    let temp = temp();
    write(temp.path(), "still/x", "1");
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            let churn = temp.path().join("churn");
            while !over.load(Ordering::Relaxed) {
                for n in 0..20 {
                    write(&churn, &format!("{n}/a/b"), "x");
                    symlink("a", churn.join(format!("{n}/link"))).unwrap();
                }
                fs::remove_dir_all(&churn).unwrap();
                // The same name as something else.
                symlink("still", &churn).unwrap();
                fs::remove_file(&churn).unwrap();
            }
        });
        for _ in 0..300 {
            let tree = scanned(temp.path());
            assert_eq!(attribute(dir(&tree, "still"), "x").content, bytes(b"1"));
            let others = tree.skipped.iter().find(|(kind, _)| *kind != SkipKind::Vanished);
            assert_eq!(others, None);
        }
        over.store(true, Ordering::Relaxed);
    });
}
