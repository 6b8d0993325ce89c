//! `unsafe` lives in few folders, and every other library crate says so at its root.

use crate::source::whole_words;
use crate::{Finding, Source};

/// The folders whose crates may hold `unsafe`: the memory itself, and calls into loaded code.
const EXEMPT: [&str; 2] = ["handles/", "modules/"];

const FORBIDDEN: &str = "#![forbid(unsafe_code)]";

/// What breaks the rule in one file.
#[must_use]
pub fn findings(source: &Source) -> Vec<Finding> {
    if EXEMPT.iter().any(|folder| source.path.starts_with(folder)) {
        return Vec::new();
    }
    let mut findings: Vec<Finding> = whole_words(&source.code, "unsafe")
        .map(|at| {
            let what = format!("`unsafe` outside {}", EXEMPT.join(" and "));
            Finding::at(&source.path, source.line(at), what)
        })
        .collect();
    let compact: String = source.code.split_whitespace().collect();
    if source.path.ends_with("src/lib.rs") && !compact.contains(FORBIDDEN) {
        let what = format!("the root of a library crate says `{FORBIDDEN}`");
        findings.push(Finding::whole(&source.path, what));
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::findings;
    use crate::Source;

    #[test]
    fn unsafe_outside_its_folders_is_found() {
        let text = "fn f() {\n    unsafe { g() }\n}\n";
        let found = findings(&Source::new("core/src/store.rs", text));
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].line, 2);
        assert!(findings(&Source::new("handles/src/arena.rs", text)).is_empty());
    }

    #[test]
    fn unsafe_in_text_is_no_code() {
        let text = "// unsafe is not used here\nfn f() { g(\"unsafe\", unsafe_code); }\n";
        assert!(findings(&Source::new("core/src/store.rs", text)).is_empty());
    }

    #[test]
    fn a_library_root_without_the_attribute_is_found() {
        let found = findings(&Source::new("attrs/src/lib.rs", "//! Attributes.\n"));
        assert_eq!(found.len(), 1);
        let spoken = "//! It says #![forbid(unsafe_code)] here only.\n";
        assert_eq!(findings(&Source::new("attrs/src/lib.rs", spoken)).len(), 1);
        let good = "//! Attributes.\n#![forbid(unsafe_code)]\n";
        assert!(findings(&Source::new("attrs/src/lib.rs", good)).is_empty());
        assert!(findings(&Source::new("handles/src/lib.rs", "")).is_empty());
    }
}
