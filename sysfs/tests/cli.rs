//! The command, run as people run it.
#![expect(clippy::unwrap_used, reason = "tests say what they expect by panicking")]

use std::ffi::OsStr;
use std::fs::{self, File, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use tempfile::TempDir;

fn enodev<S: AsRef<OsStr>>(args: impl IntoIterator<Item = S>) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_enodev"));
    command.args(args).stdin(Stdio::null());
    command
}

fn run<S: AsRef<OsStr>>(args: impl IntoIterator<Item = S>) -> Output {
    enodev(args).output().unwrap()
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

/// A small tree: one attribute, one that can only be written, and a link.
fn tree() -> TempDir {
    let temp = TempDir::new().unwrap();
    let disk = temp.path().join("sys/devices/disk");
    fs::create_dir_all(&disk).unwrap();
    fs::write(disk.join("size"), b"8\0\xff\n").unwrap();
    fs::write(disk.join("reset"), b"").unwrap();
    fs::set_permissions(disk.join("reset"), Permissions::from_mode(0o200)).unwrap();
    fs::create_dir_all(temp.path().join("sys/class")).unwrap();
    symlink("../devices/disk", temp.path().join("sys/class/disk")).unwrap();
    temp
}

#[test]
fn tree_shows_everything_and_says_nothing_else() {
    let temp = tree();
    let output = run([OsStr::new("tree"), temp.path().as_os_str()]);
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(
        text(&output.stdout),
        "./
  class/
    disk -> /devices/disk
  devices/
    disk/
      reset  write-only
      size  4 bytes
"
    );
    assert_eq!(text(&output.stderr), "");
}

#[test]
fn tree_shows_the_part_that_a_path_names() {
    let temp = tree();
    let below_source = temp.path().canonicalize().unwrap().join("sys/devices/disk");
    for path in ["devices/disk", "class/disk", "/sys/devices/disk", below_source.to_str().unwrap()] {
        let output = run([OsStr::new("tree"), temp.path().as_os_str(), OsStr::new(path)]);
        assert_eq!(output.status.code(), Some(0));
        assert_eq!(text(&output.stdout), "disk/\n  reset  write-only\n  size  4 bytes\n");
    }
}

#[test]
fn tree_counts_what_it_leaves_out() {
    let temp = tree();
    fs::write(temp.path().join("sys/class/big"), vec![0; (8 << 20) + 1]).unwrap();
    let output = run([OsStr::new("tree"), temp.path().as_os_str()]);
    assert_eq!(output.status.code(), Some(0));
    assert!(text(&output.stdout).contains("    big  EACCES\n"));
    let note = "enodev: left out or left unread: 1 too large (class/big)\n";
    assert_eq!(text(&output.stderr), note);
    let output = run([OsStr::new("cat"), temp.path().as_os_str(), OsStr::new("class/big")]);
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(text(&output.stdout), "");
    assert_eq!(text(&output.stderr), format!("{note}enodev: class/big: Permission denied (os error 13)\n"));
}

#[test]
fn tree_counts_links_that_lead_to_no_directory_and_attributes_of_the_root() {
    let temp = tree();
    let sys = temp.path().join("sys");
    for (name, target) in [("gone", "../devices/tape"), ("size", "../devices/disk/size"), ("self", "self")] {
        symlink(target, sys.join("class").join(name)).unwrap();
    }
    fs::write(sys.join("version"), "1\n").unwrap();
    let output = run([OsStr::new("tree"), temp.path().as_os_str()]);
    assert_eq!(output.status.code(), Some(0));
    assert!(text(&output.stdout).starts_with("./\n  class/\n    disk -> /devices/disk\n  devices/\n"));
    assert_eq!(
        text(&output.stderr),
        "enodev: left out or left unread: links that lead to no directory: 3; attributes of the root itself: 1\n"
    );
    let output = run([OsStr::new("cat"), temp.path().as_os_str(), OsStr::new("version")]);
    assert_eq!(output.status.code(), Some(1));
    assert!(
        text(&output.stderr).ends_with("enodev: version: left out: the root of a store has no attributes\n"),
        "{}",
        text(&output.stderr)
    );
}

#[test]
fn cat_gives_the_very_bytes() {
    let temp = tree();
    let source = temp.path().as_os_str();
    for path in ["devices/disk/size", "class/disk/size"] {
        let output = run([OsStr::new("cat"), source, OsStr::new(path)]);
        assert_eq!(output.status.code(), Some(0));
        assert_eq!(output.stdout, b"8\0\xff\n");
        assert_eq!(text(&output.stderr), "");
    }
}

#[test]
fn a_failure_names_path_and_cause_and_has_status_1() {
    let temp = tree();
    let source = temp.path().to_str().unwrap();
    let file = temp.path().join("sys/devices/disk/size");
    let file = file.to_str().unwrap();
    let missing = "no such directory or attribute";
    for (args, message) in [
        (["tree", "/no/such", ""], "/no/such: no such file or directory".to_owned()),
        (["tree", file, ""], format!("{file}: not a directory")),
        (["tree", source, "class/tape"], format!("class/tape: {missing}")),
        (["cat", source, "class/tape"], format!("class/tape: {missing}")),
        (["cat", source, "devices/disk/size/x"], "devices/disk/size/x: not a directory".into()),
        (["cat", source, "class/disk"], "class/disk: is a directory".to_owned()),
        (["cat", source, "class/disk/reset"], "class/disk/reset: not read: write-only".to_owned()),
        (["cat", "/no/such", "x"], "/no/such: no such file or directory".to_owned()),
        (["cat", source, "a\u{1b}[2J"], format!(r"a\u{{1b}}[2J: {missing}")),
    ] {
        let output = run(args);
        assert_eq!(output.status.code(), Some(1), "{args:?}");
        assert_eq!(text(&output.stdout), "", "{args:?}");
        assert_eq!(text(&output.stderr), format!("enodev: {message}\n"), "{args:?}");
    }
}

#[test]
fn storm_fails_on_a_source_that_does_not_exist() {
    let output = run(["storm", "/no/such", "--seconds", "0.01"]);
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(text(&output.stderr), "enodev: /no/such: no such file or directory\n");
}

#[test]
fn wrong_use_has_status_2_and_prints_nothing_on_standard_output() {
    let wrong: [&[&str]; 15] = [
        &["frobnicate"],
        &["--frobnicate"],
        &["tree", "a", "b", "c"],
        &["cat"],
        &["cat", "/sys"],
        &["cat", "/sys", "x", "y"],
        &["storm", "a", "b"],
        &["storm", "--readers", "0"],
        &["storm", "--readers", "-1"],
        &["storm", "--readers", "many"],
        &["storm", "--seconds", "0"],
        &["storm", "--seconds", "-1"],
        &["storm", "--seconds", "nan"],
        &["storm", "--seconds", "inf"],
        &["storm", "--seconds"],
    ];
    for args in wrong {
        let output = run(args);
        assert_eq!(output.status.code(), Some(2), "{args:?}");
        assert_eq!(text(&output.stdout), "", "{args:?}");
        assert!(!output.stderr.is_empty(), "{args:?}");
    }
}

#[test]
fn help_and_version_are_no_failures() {
    for args in [["--help"], ["--version"], ["-h"], ["help"]] {
        let output = run(args);
        assert_eq!(output.status.code(), Some(0), "{args:?}");
        assert!(text(&output.stdout).contains("enodev"), "{args:?}");
    }
}

#[test]
fn a_reader_of_the_output_that_leaves_early_is_no_failure() {
    let temp = TempDir::new().unwrap();
    fs::create_dir(temp.path().join("devices")).unwrap();
    // More than a pipe holds, so that the command has to notice.
    for n in 0..1000 {
        fs::write(temp.path().join(format!("devices/{n:0>200}")), "").unwrap();
    }
    let mut command = enodev([OsStr::new("tree"), temp.path().as_os_str()]);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(text(&output.stderr), "");
}

#[test]
fn output_that_cannot_be_written_is_a_failure() {
    let Ok(full) = File::options().write(true).open("/dev/full") else {
        eprintln!("skipped: no /dev/full");
        return;
    };
    let temp = tree();
    let mut command = enodev([OsStr::new("tree"), temp.path().as_os_str()]);
    let output = command.stdout(full).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stderr).starts_with("enodev: standard output: "));
}

#[test]
fn too_few_open_files_are_a_failure_not_a_tree_with_holes() {
    let temp = TempDir::new().unwrap();
    fs::create_dir_all(temp.path().join(vec!["d"; 40].join("/"))).unwrap();
    let mut shell = Command::new("sh");
    shell.args(["-c", r#"ulimit -n 24; exec "$0" tree "$1""#]);
    shell.arg(env!("CARGO_BIN_EXE_enodev")).arg(temp.path());
    let output = shell.output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(text(&output.stdout), "");
    let stderr = text(&output.stderr);
    assert!(stderr.contains("/d/d/d") && stderr.contains("os error 24"), "{stderr}");
}

#[test]
fn a_directory_that_may_not_be_read_is_shown_empty_and_counted() {
    let temp = tree();
    let closed = temp.path().join("sys/devices/closed");
    fs::create_dir(&closed).unwrap();
    fs::write(closed.join("secret"), "x").unwrap();
    for below in ["", "sys", "sys/class", "sys/devices", "sys/devices/disk"] {
        mode(&temp.path().join(below), 0o755);
    }
    mode(&temp.path().join("sys/devices/disk/size"), 0o644);
    mode(&closed, 0o000);
    let mut command = enodev([OsStr::new("tree"), temp.path().as_os_str()]);
    if fs::metadata("/proc/self").unwrap().uid() == 0 {
        // Permission bits do not bind root; they bind nobody.
        let binary = Path::new(env!("CARGO_BIN_EXE_enodev"));
        if !open_to_all(temp.path()) || !open_to_all(binary) {
            eprintln!("skipped: nobody may not go where this test runs");
            return;
        }
        command.uid(65534).gid(65534);
    }
    let output = command.output().unwrap();
    mode(&closed, 0o700);
    assert_eq!(output.status.code(), Some(0));
    assert!(text(&output.stdout).contains("    closed/\n    disk/\n"));
    assert_eq!(text(&output.stderr), "enodev: left out or left unread: 1 refused (devices/closed)\n");
}

fn mode(path: &Path, mode: u32) {
    fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
}

/// Whether everybody may go to this path.
fn open_to_all(path: &Path) -> bool {
    path.ancestors().all(|it| fs::metadata(it).is_ok_and(|it| it.mode() & 0o001 != 0))
}
