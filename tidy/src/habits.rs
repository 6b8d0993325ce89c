//! Small habits: files stay short, nothing is left for later, nothing is switched off.

use crate::source::whole_words;
use crate::{Finding, Source};

/// The most lines that a file of code may have.
const LINES_MAX: usize = 600;
/// Macros and attributes that no code of ours holds.
const CODE: [&str; 5] = ["todo!", "unimplemented!", "#[ignore", "#[allow(", "#![allow("];
/// Marks of unfinished work, in code and comments alike.
const MARKS: [&str; 2] = ["FIXME", "XXX"];

/// Whether the length of this file counts: code, manifests and scripts. Text may be as long as it needs
/// to be, and what is generated is not read.
#[must_use]
pub fn is_measured(path: &str) -> bool {
    let name = path.rsplit('/').next().unwrap_or(path);
    let script = !name.contains('.') && (path.starts_with("ci/") || path.starts_with(".ci/"));
    [".rs", ".toml", ".sh"].iter().any(|end| name.ends_with(end)) || script
}

/// What is found where a measured file is too long.
#[must_use]
pub fn length(path: &str, text: &str) -> Option<Finding> {
    let lines = text.lines().count();
    let what = format!("{lines} lines; the most is {LINES_MAX}");
    (is_measured(path) && lines > LINES_MAX).then(|| Finding::whole(path, what))
}

/// What is left for later, or switched off, in a file of Rust.
#[must_use]
pub fn findings(source: &Source) -> Vec<Finding> {
    let in_code = CODE.iter().flat_map(|what| {
        let places = source.code.match_indices(what);
        places.map(move |(at, _)| (at, *what))
    });
    let marks = MARKS.iter().flat_map(|what| {
        let code = whole_words(&source.code, what);
        let places = code.chain(whole_words(&source.comments, what));
        places.map(move |at| (at, *what))
    });
    let mut findings: Vec<Finding> = in_code
        .chain(marks)
        .map(|(at, what)| Finding::at(&source.path, source.line(at), format!("`{what}`")))
        .collect();
    findings.sort_unstable();
    findings
}

#[cfg(test)]
mod tests {
    use super::{findings, length};
    use crate::Source;

    #[test]
    fn what_is_left_for_later_is_found() {
        for planted in [
            "fn f() { todo!() }",
            "fn f() { unimplemented!(\"later\") }",
            "#[ignore] fn f() {}",
            "#[ignore = \"slow\"] fn f() {}",
            "#[allow(dead_code)] fn f() {}",
            "#![allow(dead_code)]",
            "// FIXME: later",
            "/* XXX */",
        ] {
            let found = findings(&Source::new("a.rs", planted));
            assert_eq!(found.len(), 1, "{planted}");
        }
    }

    #[test]
    fn words_in_strings_and_in_longer_words_are_not() {
        let text = "#[expect(dead_code, reason = \"todo!\")]\nfn f() { g(\"FIXME\", XXXL); }\n";
        assert!(findings(&Source::new("a.rs", text)).is_empty());
    }

    #[test]
    fn a_file_over_the_length_is_found() {
        let short = "a\n".repeat(600);
        let long = "a\n".repeat(601);
        for path in ["a/b.rs", "ci/storm", ".ci/run", "Cargo.toml"] {
            assert_eq!(length(path, &short), None);
            assert!(length(path, &long).is_some(), "{path}");
        }
        assert_eq!(length("Cargo.lock", &long), None);
        assert_eq!(length("docs/scenarios.md", &long), None);
    }
}
