//! What a scan makes of a tree that is as it should be.
#![expect(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests say what they expect by panicking")]

mod common;

use std::fs;
use std::os::unix::fs::symlink;

use common::{attribute, bytes, dir, link, paths, scanned, temp, write};
use enodev_sysfs::{Progress, ScanOptions, scan};

#[test]
fn a_folder_that_holds_sys_stands_for_the_tree_in_it() {
    let temp = temp();
    write(temp.path(), "sys/devices/disk/size", "8\n");
    write(temp.path(), "proc/cpuinfo", "");
    let above = scanned(temp.path());
    let itself = scanned(&temp.path().join("sys"));
    assert_eq!(paths(&above), ["", "devices", "devices/disk"]);
    assert_eq!(paths(&above), paths(&itself));
    assert_eq!(above.root, temp.path().join("sys").canonicalize().unwrap());
    assert!(!above.live);
}

#[test]
fn a_sys_that_is_no_tree_or_only_a_link_is_an_entry_like_any_other() {
    let temp = temp();
    write(temp.path(), "a/sys/version", "1\n");
    assert_eq!(paths(&scanned(&temp.path().join("a"))), ["", "sys"]);
    write(temp.path(), "elsewhere/devices/x", "");
    fs::create_dir(temp.path().join("b")).unwrap();
    symlink("../elsewhere", temp.path().join("b/sys")).unwrap();
    let tree = scanned(&temp.path().join("b"));
    assert_eq!(paths(&tree), [""]);
    assert_eq!(tree.dirs[0].links.len(), 1);
}

#[test]
fn the_source_itself_may_be_a_link() {
    let temp = temp();
    write(temp.path(), "tree/devices/x", "1");
    symlink("tree", temp.path().join("link")).unwrap();
    assert_eq!(paths(&scanned(&temp.path().join("link"))), ["", "devices"]);
}

#[test]
fn the_result_is_pre_order_by_name_and_the_same_each_time() {
    let temp = temp();
    for path in ["b/z/1", "b/a/1", "a/1", "a-b/1", "a.b/x/1", "Z/1", "b/9", "b/10"] {
        write(temp.path(), path, path);
    }
    let tree = scanned(temp.path());
    assert_eq!(paths(&tree), ["", "Z", "a", "a-b", "a.b", "a.b/x", "b", "b/a", "b/z"]);
    let names: Vec<_> = dir(&tree, "b").attributes.iter().map(|it| it.name.as_str()).collect();
    assert_eq!(names, ["10", "9"]);
    for (index, dir) in tree.dirs.iter().enumerate() {
        let parent = dir.parent.map(|parent| tree.dirs[parent].path.as_str());
        let above = dir.path.rsplit_once('/').map(|(above, _)| above);
        assert_eq!(parent, if index == 0 { None } else { Some(above.unwrap_or("")) });
        assert_eq!(dir.name, dir.path.rsplit('/').next().unwrap());
    }
    assert_eq!(format!("{tree:?}"), format!("{:?}", scanned(temp.path())));
    assert!(tree.skipped.is_empty());
}

#[test]
fn contents_are_kept_byte_for_byte() {
    let temp = temp();
    let every: Vec<u8> = (0..=255).collect();
    write(temp.path(), "every", &every);
    write(temp.path(), "nul", "text\0\0\0");
    write(temp.path(), "empty", "");
    write(temp.path(), "name with blanks:,;", "x");
    let tree = scanned(temp.path());
    let root = &tree.dirs[0];
    assert_eq!(attribute(root, "every").content, bytes(&every));
    assert_eq!(attribute(root, "nul").content, bytes(b"text\0\0\0"));
    assert_eq!(attribute(root, "empty").content, bytes(b""));
    assert_eq!(attribute(root, "name with blanks:,;").content, bytes(b"x"));
}

#[test]
fn an_attribute_is_binary_from_4097_bytes_on() {
    let temp = temp();
    write(temp.path(), "text", vec![b'x'; 4096]);
    write(temp.path(), "binary", vec![b'x'; 4097]);
    let tree = scanned(temp.path());
    assert!(!attribute(&tree.dirs[0], "text").binary);
    assert!(attribute(&tree.dirs[0], "binary").binary);
}

#[test]
fn a_file_of_six_megabytes_is_kept_whole() {
    let temp = temp();
    let big: Vec<u8> = (0..6_000_000_u32).map(|n| n.to_le_bytes()[(n % 3) as usize]).collect();
    write(temp.path(), "big", &big);
    let tree = scanned(temp.path());
    assert!(attribute(&tree.dirs[0], "big").content == bytes(&big));
    assert!(tree.skipped.is_empty());
}

#[test]
fn links_are_never_walked_through_and_arrive_where_they_lead() {
    let temp = temp();
    write(temp.path(), "devices/disk/size", "8\n");
    let class = temp.path().join("class");
    fs::create_dir(&class).unwrap();
    let absolute = temp.path().join("devices/disk");
    for (name, target) in [
        ("disk", "../devices/disk"),
        ("again", "disk"),
        ("size", "again/size"),
        ("up", ".."),
        ("self", "self"),
        ("ping", "pong"),
        ("pong", "ping"),
        ("gone", "../devices/tape"),
        ("out", "../../../../../../../../etc/passwd"),
        ("away", "/etc/passwd"),
        ("recorded", "/sys/devices/disk"),
        ("rooted", absolute.to_str().unwrap()),
    ] {
        symlink(target, class.join(name)).unwrap();
    }
    let tree = scanned(temp.path());
    assert_eq!(paths(&tree), ["", "class", "devices", "devices/disk"]);
    assert_eq!(tree.attributes_len(), 1);
    let class = dir(&tree, "class");
    let resolved = |name| link(class, name).resolved.as_deref();
    for name in ["disk", "again", "recorded", "rooted"] {
        assert_eq!(resolved(name), Some("devices/disk"), "{name}");
    }
    assert_eq!(resolved("size"), Some("devices/disk/size"));
    assert_eq!(resolved("up"), Some(""));
    for name in ["self", "ping", "pong", "gone", "out", "away"] {
        assert_eq!(resolved(name), None, "{name}");
    }
    assert_eq!(link(class, "gone").target, "../devices/tape");
    assert!(tree.skipped.is_empty());
}

#[test]
fn a_chain_of_40_links_arrives_and_one_of_41_does_not() {
    let temp = temp();
    write(temp.path(), "end", "x");
    symlink("end", temp.path().join("link1")).unwrap();
    for n in 2..=41 {
        symlink(format!("link{}", n - 1), temp.path().join(format!("link{n}"))).unwrap();
    }
    let tree = scanned(temp.path());
    let resolved = |name| link(&tree.dirs[0], name).resolved.as_deref();
    assert_eq!(resolved("link40"), Some("end"));
    assert_eq!(resolved("link41"), None);
    // The kernel says the same.
    assert!(fs::metadata(temp.path().join("link40")).is_ok());
    assert!(fs::metadata(temp.path().join("link41")).is_err());
}

#[test]
fn progress_grows_to_the_whole_and_is_told_on_the_way() {
    let temp = temp();
    for n in 0..1000 {
        write(temp.path(), &format!("{}/{n}", n % 10), "");
    }
    let mut told: Vec<Progress> = Vec::new();
    scan(temp.path(), &ScanOptions::default(), &mut |it| told.push(it)).unwrap();
    assert!(told.len() >= 4, "{told:?}");
    assert!(told.is_sorted_by_key(|it| it.dirs + it.attributes + it.links));
    assert_eq!(*told.last().unwrap(), Progress { dirs: 11, attributes: 1000, links: 0 });
}
