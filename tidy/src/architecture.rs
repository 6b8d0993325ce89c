//! Every path that `ARCHITECTURE.md` names is there.

use crate::Finding;
use crate::links::prose;

/// The file that is read.
pub const FILE: &str = "ARCHITECTURE.md";

/// The folders at the root. They are written out so that the name of a folder that is gone still looks
/// like a path.
const FOLDERS: [&str; 11] =
    [".ci", "attrs", "bench", "ci", "core", "docs", "fuzz", "handles", "modules", "sysfs", "tidy"];
const ENDINGS: [&str; 5] = [".rs", ".toml", ".md", ".sh", ".lock"];

/// The paths in backticks that are not among `files`. A name without a folder is enough where some file
/// bears it.
#[must_use]
pub fn findings(text: &str, files: &[&str]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (line, prose) in prose(text) {
        for code in prose.split('`').skip(1).step_by(2) {
            let Some(path) = path_in(code) else {
                continue;
            };
            if !is_there(path, files) {
                let what = format!("`{path}` is not there");
                findings.push(Finding::at(FILE, line, what));
            }
        }
    }
    findings
}

/// The path of the repository that a piece of code is, without an item or a line after it.
fn path_in(code: &str) -> Option<&str> {
    let path = code.split("::").next().unwrap_or(code);
    let path = match path.rsplit_once(':') {
        Some((path, line)) if line.bytes().all(|byte| byte.is_ascii_digit()) => path,
        _ => path,
    };
    let odd = |c: char| c.is_whitespace() || "$<>(){}=,\"".contains(c);
    if path.starts_with('/') || path.contains(odd) {
        return None;
    }
    let first = path.split('/').next().unwrap_or(path);
    let in_folder = path.contains('/') && FOLDERS.contains(&first);
    let has_ending = ENDINGS.iter().any(|end| path.ends_with(end) && path != *end);
    (in_folder || has_ending).then_some(path)
}

fn is_there(path: &str, files: &[&str]) -> bool {
    // Of a pattern, the folder must be there.
    let path = match path.split_once('*') {
        Some((before, _)) => before.rsplit_once('/').map_or("", |(folder, _)| folder),
        None => path,
    };
    let path = path.trim_end_matches('/');
    files.iter().any(|file| match file.strip_prefix(path) {
        Some(rest) => path.is_empty() || rest.is_empty() || rest.starts_with('/'),
        None => !path.contains('/') && file.rsplit('/').next() == Some(path),
    })
}

#[cfg(test)]
mod tests {
    use super::findings;

    const FILES: [&str; 4] = ["Cargo.toml", "ci/storm", "handles/src/arena.rs", "handles/src/lib.rs"];

    #[test]
    fn a_path_that_is_gone_is_found() {
        for gone in [
            "`handles/src/gone.rs`",
            "`gone/src/lib.rs`",
            "`gone.rs`",
            "`fuzz/`",
            "`ci/gone`",
            "`handles/src/gone.rs::Slot`",
            "`handles/src/gone.rs:12`",
            "`handles/sr`",
            "`attrs/src/*.rs`",
        ] {
            let text = format!("fine\nsee {gone} there\n");
            let found = findings(&text, &FILES);
            assert_eq!(found.len(), 1, "{gone}");
            assert_eq!(found[0].line, 2);
        }
    }

    #[test]
    fn a_path_that_is_there_passes() {
        let text = "`handles/src/arena.rs`, `handles/`, `handles/src`, `arena.rs`, `ci/storm`, `Cargo.toml`, `handles/src/arena.rs::Arena`, `handles/src/*.rs`";
        assert_eq!(findings(text, &FILES), []);
    }

    #[test]
    fn other_code_is_no_path() {
        let text = "`/sys/class/net`, `devices/pci0000:00`, `core::fmt`, `a / b`, `enodev tree x.rs y`, `&T`, `.rs`";
        assert_eq!(findings(text, &FILES), []);
        let fenced = "```text\n`gone.rs`\n```\n";
        assert_eq!(findings(fenced, &FILES), []);
    }
}
