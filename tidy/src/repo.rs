//! The files of the repository.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::Source;

/// Folders that hold no file of ours; they matter only where git is not there to say so.
const SKIPPED: [&str; 5] = ["target", ".git", "corpus", "artifacts", "coverage"];

/// The files that a clone holds, together with those that are about to be added.
///
/// Paths are relative to the root and use `/`.
#[derive(Debug)]
pub struct Repo {
    root: PathBuf,
    files: BTreeSet<String>,
}

impl Repo {
    /// The repository that this crate stands in.
    ///
    /// # Errors
    ///
    /// The root cannot be read.
    pub fn here() -> io::Result<Self> {
        let crate_root = Path::new(env!("CARGO_MANIFEST_DIR"));
        Self::at(crate_root.parent().unwrap_or(crate_root))
    }

    /// The repository at `root`: what git lists there (tracked, or untracked and not ignored), or a
    /// plain walk where git lists nothing.
    ///
    /// # Errors
    ///
    /// The root cannot be read.
    pub fn at(root: &Path) -> io::Result<Self> {
        let mut files = listed_by_git(root);
        if files.is_empty() {
            walk(root, "", &mut files)?;
        }
        // Git also lists what is tracked and deleted; a symbolic link is read where it leads.
        files.retain(|file| root.join(file).symlink_metadata().is_ok_and(|found| found.is_file()));
        Ok(Self { root: root.to_path_buf(), files })
    }

    /// The folder that all paths are relative to.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// All files, sorted.
    pub fn files(&self) -> impl Iterator<Item = &str> {
        self.files.iter().map(String::as_str)
    }

    /// The files whose name ends with `suffix`, sorted.
    pub fn ending(&self, suffix: &str) -> impl Iterator<Item = &str> {
        self.files().filter(move |file| file.ends_with(suffix))
    }

    /// Whether `path` is a file here, or a folder that holds one.
    #[must_use]
    pub fn holds(&self, path: &str) -> bool {
        let path = path.trim_end_matches('/');
        if path.is_empty() || self.files.contains(path) {
            return true;
        }
        let folder = format!("{path}/");
        self.files().any(|file| file.starts_with(&folder))
    }

    /// The text of a file; `None` where the file is gone or is not UTF-8.
    ///
    /// # Errors
    ///
    /// The file is there and cannot be read.
    pub fn text(&self, path: &str) -> io::Result<Option<String>> {
        match fs::read(self.root.join(path)) {
            Ok(bytes) => Ok(String::from_utf8(bytes).ok()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// All files of Rust, sorted by path.
    ///
    /// # Errors
    ///
    /// A file cannot be read.
    pub fn sources(&self) -> io::Result<Vec<Source>> {
        let mut sources = Vec::new();
        for path in self.ending(".rs") {
            if let Some(text) = self.text(path)? {
                sources.push(Source::new(path, &text));
            }
        }
        Ok(sources)
    }
}

/// What git lists; empty where there is no git, or no repository.
fn listed_by_git(root: &Path) -> BTreeSet<String> {
    let listed = Command::new("git")
        .arg("-C")
        .arg(root)
        .args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"])
        .output();
    match listed {
        Ok(output) if output.status.success() => String::from_utf8_lossy(&output.stdout)
            .split('\0')
            .filter(|file| !file.is_empty())
            .map(str::to_owned)
            .collect(),
        _ => BTreeSet::new(),
    }
}

fn walk(root: &Path, folder: &str, files: &mut BTreeSet<String>) -> io::Result<()> {
    for entry in fs::read_dir(root.join(folder))? {
        let entry = entry?;
        let Ok(name) = entry.file_name().into_string() else {
            continue;
        };
        let path = if folder.is_empty() { name.clone() } else { format!("{folder}/{name}") };
        let kind = entry.file_type()?;
        if kind.is_dir() && !SKIPPED.contains(&name.as_str()) {
            walk(root, &path, files)?;
        } else if kind.is_file() {
            files.insert(path);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::path::Path;

    use super::{Repo, walk};

    #[test]
    fn this_crate_is_among_the_files() {
        let repo = Repo::here().expect("the repository can be read");
        assert!(repo.files().any(|file| file == "tidy/src/repo.rs"));
        assert!(repo.holds("tidy/src/repo.rs"));
        assert!(repo.holds("tidy/src/"));
        assert!(repo.holds("tidy"));
        assert!(!repo.holds("tidy/sr"));
        assert!(!repo.holds("tidy/src/none.rs"));
    }

    #[test]
    fn the_walk_without_git_finds_the_same_sources() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let mut files = BTreeSet::new();
        walk(root, "", &mut files).expect("this crate can be read");
        assert!(files.contains("Cargo.toml"));
        assert!(files.contains("src/repo.rs"));
        assert!(!files.iter().any(|file| file.starts_with("target/")));
    }

    #[test]
    fn a_missing_file_has_no_text() {
        let repo = Repo::here().expect("the repository can be read");
        assert_eq!(repo.text("none.md").expect("absence is not an error"), None);
    }
}
