//! Where the tree comes from.

use std::fs;
use std::io::{self, IsTerminal};
use std::path::Path;

use indicatif::{ProgressBar, ProgressStyle};

use enodev_sysfs::{ScanError, ScanOptions, Scanned, builtin, scan};

/// Where a running kernel shows its devices.
const SYS: &str = "/sys";

/// The tree at `source`. Without one, that of the machine, or where it has none the builtin one.
pub(crate) fn read(source: Option<&Path>) -> Result<Scanned, ScanError> {
    match source.or_else(|| machine(Path::new(SYS))) {
        Some(source) => read_from(source),
        None => Ok(builtin()),
    }
}

/// `sys`, unless it is no directory, or an empty one, as in a container that mounts nothing there.
fn machine(sys: &Path) -> Option<&Path> {
    let empty = fs::read_dir(sys).is_ok_and(|mut entries| entries.next().is_none());
    (sys.is_dir() && !empty).then_some(sys)
}

/// Reads with a line of progress, on a terminal only.
fn read_from(source: &Path) -> Result<Scanned, ScanError> {
    let options = ScanOptions::default();
    if !io::stderr().is_terminal() {
        return scan(source, &options, &mut |_| ());
    }
    let spinner = ProgressBar::new_spinner();
    if let Ok(style) = ProgressStyle::with_template("{spinner} {msg}") {
        spinner.set_style(style);
    }
    let scanned = scan(source, &options, &mut |so_far| {
        spinner.set_message(format!(
            "{} directories, {} attributes, {} links",
            so_far.dirs, so_far.attributes, so_far.links
        ));
        spinner.tick();
    });
    spinner.finish_and_clear();
    scanned
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_machine_without_a_tree_has_none_to_read() {
        let temp = tempfile::tempdir().unwrap();
        assert_eq!(machine(&temp.path().join("sys")), None);
        assert_eq!(machine(temp.path()), None);
        fs::write(temp.path().join("file"), "").unwrap();
        assert_eq!(machine(&temp.path().join("file")), None);
        assert_eq!(machine(temp.path()), Some(temp.path()));
    }
}
