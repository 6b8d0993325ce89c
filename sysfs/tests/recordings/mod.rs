//! Recordings of machines, from the folder that `ENODEV_INPUTS` names.
#![expect(clippy::print_stderr, reason = "a test that is skipped says why")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use enodev_sysfs::{ScanOptions, Scanned, scan};
use tempfile::TempDir;

pub(crate) fn scanned(source: &Path) -> Scanned {
    scan(source, &ScanOptions::default(), &mut |_| ()).unwrap()
}

/// Unpacks one recording after the other, and shows each with its name while its files are there. Where there are no
/// recordings, says so.
pub(crate) fn each(mut show: impl FnMut(&str, Scanned)) {
    let Some(inputs) = std::env::var_os("ENODEV_INPUTS") else {
        eprintln!("skipped: recorded trees: ENODEV_INPUTS is not set");
        return;
    };
    let archives = archives(Path::new(&inputs));
    assert!(archives.len() > 30, "{} archives", archives.len());
    for archive in archives {
        // In memory where there is such a place: these are 70,000 small files.
        let temp = TempDir::new_in("/dev/shm").or_else(|_| TempDir::new()).unwrap();
        let mut tar = Command::new("tar");
        tar.arg("-xf").arg(&archive).arg("-C").arg(temp.path());
        assert!(tar.status().unwrap().success(), "{}", archive.display());
        show(&archive.display().to_string(), scanned(&source(temp.path())));
    }
}

/// All archives below `folder`.
fn archives(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(archives(&path));
        } else if path.file_name().is_some_and(|name| name.to_string_lossy().contains(".tar.")) {
            found.push(path);
        }
    }
    found.sort();
    found
}

/// The folder in which an archive unpacked into `temp` has its `sys`.
fn source(temp: &Path) -> PathBuf {
    if temp.join("sys").is_dir() {
        return temp.to_owned();
    }
    let top = fs::read_dir(temp).unwrap().map(|entry| entry.unwrap().path());
    top.into_iter().find(|path| path.join("sys").is_dir()).expect("a folder with sys in it")
}
