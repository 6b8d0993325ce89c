//! What the tests of scans share: trees made for the purpose, and a look into the results.

use std::fs;
use std::path::{Path, PathBuf};

use enodev_sysfs::{Content, Dir, ScanOptions, Scanned, ScannedAttribute, ScannedLink, scan};
use tempfile::TempDir;

pub(crate) fn temp() -> TempDir {
    TempDir::new().expect("a temporary directory")
}

pub(crate) fn write(root: &Path, path: &str, content: impl AsRef<[u8]>) -> PathBuf {
    let path = root.join(path);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(&path, content).unwrap();
    path
}

pub(crate) fn scan_with(source: &Path, options: &ScanOptions) -> Scanned {
    scan(source, options, &mut |_| ()).unwrap()
}

pub(crate) fn scanned(source: &Path) -> Scanned {
    scan_with(source, &ScanOptions::default())
}

pub(crate) fn dir<'a>(tree: &'a Scanned, path: &str) -> &'a Dir {
    tree.dirs.iter().find(|dir| dir.path == path).unwrap_or_else(|| panic!("no {path}"))
}

pub(crate) fn attribute<'a>(dir: &'a Dir, name: &str) -> &'a ScannedAttribute {
    dir.attributes.iter().find(|it| it.name == name).unwrap_or_else(|| panic!("no {name}"))
}

pub(crate) fn bytes(content: &[u8]) -> Content {
    Content::Bytes(content.into())
}

pub(crate) fn paths(tree: &Scanned) -> Vec<&str> {
    tree.dirs.iter().map(|dir| dir.path.as_str()).collect()
}

pub(crate) fn link<'a>(dir: &'a Dir, name: &str) -> &'a ScannedLink {
    dir.links.iter().find(|it| it.name == name).unwrap_or_else(|| panic!("no {name}"))
}
