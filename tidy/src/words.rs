//! Words that belong to how the project is made, not to the project.
//!
//! They are put together from pieces here, so that this file passes its own check.

use crate::Finding;
use crate::source::whole_words;

/// Parts of paths and of addresses, found wherever they stand.
const PARTS: [&str; 6] = [
    concat!("/wo", "rk/"),
    concat!("/tmp/", "brief"),
    concat!("/tmp/", "target"),
    concat!("crates", ".io"),
    concat!("pypi", ".org"),
    concat!("deb.deb", "ian.org"),
];

/// Words and phrases, in small letters; found as whole words whatever their case.
const PHRASES: [&str; 16] = [
    concat!("this ", "session"),
    concat!("last ", "session"),
    concat!("next ", "session"),
    concat!("earlier ", "session"),
    concat!("previous ", "session"),
    concat!("sub", "agent"),
    concat!("sub-", "agent"),
    concat!("coding ", "agent"),
    concat!("ai ", "assistant"),
    concat!("language ", "model"),
    concat!("ll", "m"),
    concat!("cla", "ude"),
    concat!("anth", "ropic"),
    concat!("open", "ai"),
    concat!("chat", "gpt"),
    concat!("co", "pilot"),
];

/// A mark that stands before a number of the tracker.
const ISSUE: &str = concat!("iss", "ue #");

/// Whether the words of this file count. Lock files name the registry by its address.
#[must_use]
pub fn is_ours(path: &str) -> bool {
    !path.ends_with(".lock")
}

/// The banned words in one text.
#[must_use]
pub fn findings(path: &str, text: &str) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let small = line.to_ascii_lowercase();
        let parts = PARTS.iter().filter(|part| line.contains(**part));
        let phrases = PHRASES.iter().filter(|phrase| whole_words(&small, phrase).next().is_some());
        let issue = small.contains(ISSUE).then_some(&ISSUE);
        for word in parts.chain(phrases).chain(issue) {
            findings.push(Finding::at(path, index + 1, format!("the words `{word}`")));
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::{ISSUE, PARTS, PHRASES, findings, is_ours};

    #[test]
    fn every_banned_word_is_found_on_its_line() {
        for word in PARTS.iter().chain(&PHRASES).chain([&ISSUE]) {
            let found = findings("a.md", &format!("fine\nsee {word}.\n"));
            assert_eq!(found.len(), 1, "{word}");
            assert_eq!(found[0].line, 2);
        }
    }

    #[test]
    fn case_does_not_hide_a_phrase() {
        for phrase in PHRASES {
            assert_eq!(findings("a.md", &phrase.to_ascii_uppercase()).len(), 1);
        }
    }

    #[test]
    fn plain_words_pass() {
        let text = "A session per thread; a session's end. network/works, GPT partition, issue 5.\n";
        assert!(findings("a.md", text).is_empty());
    }

    #[test]
    fn lock_files_are_not_ours() {
        assert!(!is_ours("Cargo.lock") && !is_ours("fuzz/Cargo.lock"));
        assert!(is_ours("Cargo.toml"));
    }
}
