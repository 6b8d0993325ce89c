//! The storm: what it finds of a store that keeps its promises, and what the command says of it.
//!
//! A store that does not check its handles is the subject of `unchecked.rs`.
#![cfg(not(enodev_unchecked))]
#![expect(clippy::unwrap_used, reason = "tests say what they expect by panicking")]

use std::ffi::OsStr;
use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use enodev_sysfs::storm::{Nanoseconds, Options, Report, SideReport, run};
use enodev_sysfs::{Content, Scanned, builtin};
use tempfile::TempDir;

fn storm(tree: &Scanned, readers: usize, progress: impl FnMut(f64)) -> Report {
    let options = Options { readers, duration: Duration::from_millis(300) };
    run(tree, options, progress).unwrap().unwrap()
}

/// What holds of both sides.
fn check_side(side: &SideReport) {
    assert!(side.unplugs > 0);
    assert_eq!(side.replugs, side.unplugs);
    assert!(side.reads_ok > 0);
    let reads = side.reads_ok + side.reads_enodev + side.reads_imported_errno + side.late;
    assert!(side.reads_per_second <= reads as f64 / 0.3, "{} per second of {reads}", side.reads_per_second);
    assert_eq!((side.wrong, side.unexpected), (0, 0));
    let Nanoseconds { p50, p99, max } = side.drain;
    assert!(0 < p50 && p50 <= p99 && p99 <= max, "{:?}", side.drain);
    assert!(0 < side.rss_1s && side.rss_1s <= side.rss_peak);
    assert!((1..=60).contains(&side.samples.len()));
    assert!(side.samples.iter().map(|sample| sample.unplugs).sum::<u64>() <= side.unplugs);
    assert!(side.samples.iter().map(|sample| sample.lingering).sum::<u64>() <= side.lingering);
}

/// S0-3, S2-1, S2-7, S3-1, S3-2: under unplugging, no read is answered by another device than was asked for, by another
/// incarnation of it, or by one whose removal has returned; and no payload outlives its removal.
#[test]
fn nothing_is_wrong_late_unexpected_or_lingering() {
    let tree = builtin();
    let report = storm(&tree, 2, |_| ());
    assert_eq!((report.objects, report.attributes), (tree.dirs.len() - 1, tree.attributes_len()));
    assert_eq!(report.links_left, 0);
    check_side(&report.enodev);
    check_side(&report.baseline);
    assert_eq!((report.enodev.late, report.enodev.lingering), (0, 0));
}

#[test]
fn progress_grows_to_the_end_of_both_sides() {
    let mut told = Vec::new();
    storm(&builtin(), 1, |part| told.push(part));
    assert!(told.is_sorted() && told[0] > 0.0, "{told:?}");
    assert!(told.contains(&0.5), "{told:?}");
    assert_eq!(told.last(), Some(&1.0));
}

/// The builtin tree as files; what answers with an error there is left out.
fn planted() -> TempDir {
    let temp = TempDir::new().unwrap();
    for dir in builtin().dirs {
        let at = temp.path().join("sys").join(&dir.path);
        fs::create_dir_all(&at).unwrap();
        for it in dir.attributes {
            let bytes = match &it.content {
                Content::Bytes(bytes) => &bytes[..],
                Content::Errno(_) => continue,
                Content::Unread(_) => b"",
            };
            fs::write(at.join(&it.name), bytes).unwrap();
            fs::set_permissions(at.join(&it.name), Permissions::from_mode(it.mode.into())).unwrap();
        }
        for link in dir.links {
            symlink(link.target, at.join(link.name)).unwrap();
        }
    }
    temp
}

fn command(source: &Path, args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_enodev"));
    command.args([OsStr::new("storm"), source.as_os_str()]).args(args);
    command.stdin(Stdio::null()).output().unwrap()
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

#[test]
fn the_command_prints_one_json_object_and_no_progress_in_a_pipe() {
    let source = planted();
    let output = command(source.path(), &["--seconds", "0.3", "--readers", "2", "--json"]);
    assert_eq!(text(&output.stderr), "");
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stdout));
    let value: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let number = |key: &str| value[key].as_f64().unwrap_or_else(|| panic!("no number {key} in {value}"));
    for key in ["objects", "attributes", "reads_ok", "unplugs", "replugs", "rss_1s", "rss_peak"] {
        assert!(number(key) > 0.0, "{key}");
    }
    for key in ["reads_per_second", "baseline_reads_per_second", "baseline_unplugs"] {
        assert!(number(key) > 0.0, "{key}");
    }
    for key in ["wrong", "late", "unexpected", "lingering", "reads_imported_errno", "links_left"] {
        assert_eq!(number(key), 0.0, "{key}");
    }
    for key in ["reads_enodev", "baseline_lingering", "baseline_late"] {
        assert!(number(key) >= 0.0, "{key}");
    }
    for key in ["baseline_wrong", "baseline_unexpected"] {
        assert_eq!(number(key), 0.0, "{key}");
    }
    for times in ["drain_ns", "baseline_drain_ns"] {
        let [p50, p99, max] = ["p50", "p99", "max"].map(|key| value[times][key].as_u64().unwrap());
        assert!(p50 <= p99 && p99 <= max, "{times}");
    }
    assert_eq!(text(&output.stdout).lines().count(), 1);
}

#[test]
fn the_command_prints_both_stores_side_by_side_and_their_courses() {
    let source = planted();
    let output = command(source.path(), &["--seconds", "0.3", "--readers", "1"]);
    assert_eq!(text(&output.stderr), "");
    assert_eq!(output.status.code(), Some(0));
    let lines: Vec<Vec<&str>> = text(&output.stdout).lines().map(|line| line.split_whitespace().collect()).collect();
    let heads = |words: &[&str]| lines.iter().filter(|line| line.starts_with(words)).collect::<Vec<_>>();
    assert!(lines[0].ends_with(&["1", "readers,", "300ms", "each", "side"]), "{:?}", lines[0]);
    assert!(lines.contains(&vec!["enodev", "Arc", "baseline"]));
    for (row, words) in [("reads per second", 3), ("right", 1), ("ENODEV", 1), ("wrong", 1), ("late", 1)] {
        let [line] = heads(&row.split(' ').collect::<Vec<_>>())[..] else { panic!("one row {row}") };
        assert_eq!(line.len(), words + 2, "{row} has a number for each store");
        assert!(line[words..].iter().all(|number| number.parse::<f64>().is_ok()), "{line:?}");
    }
    for name in [&["enodev"][..], &["Arc", "baseline"]] {
        let is_chart = |bars: &&str| bars.chars().all(|bar| "_▁▂▃▄▅▆▇█".contains(bar));
        let charts = heads(name).into_iter().filter(|line| line.get(name.len()).is_some_and(is_chart));
        assert_eq!(charts.count(), 1, "{name:?}");
    }
}

#[test]
fn a_tree_with_nothing_to_unplug_is_a_failure_that_says_so() {
    let temp = TempDir::new().unwrap();
    fs::create_dir_all(temp.path().join("sys/class/disk")).unwrap();
    fs::write(temp.path().join("sys/class/disk/size"), "8\n").unwrap();
    for args in [&["--seconds", "0.1"][..], &["--seconds", "0.1", "--json"]] {
        let output = command(temp.path(), args);
        assert_eq!(output.status.code(), Some(1));
        assert_eq!(text(&output.stdout), "");
        assert_eq!(text(&output.stderr), "enodev: the tree has no device with an attribute that can be read\n");
    }
}

#[test]
fn a_storm_is_over_in_time_however_short() {
    let source = planted();
    let output = command(source.path(), &["--seconds", "0.000001", "--readers", "1", "--json"]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let value: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(value["wrong"], 0);
}
