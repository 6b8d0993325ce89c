//! Every atomic operation of `handles` says why its ordering is enough, and with what it pairs.
//!
//! The comment begins with the ordering as a label, `Acquire: …`, and stands on the lines of the
//! operation, or reaches into the six lines above it. An operation with a second ordering for its
//! failure needs the label of the first only. Test modules are exempt.
//!
//! All of them stand in a table, too: see [`table`].

pub mod table;

use crate::source::{closing, is_word, whole_words};
use crate::{Finding, Source};

/// Where the rule holds.
const FOLDER: &str = "handles/src/";
const LINES_ABOVE: usize = 6;
const ORDERINGS: [&str; 5] = ["Relaxed", "Acquire", "Release", "AcqRel", "SeqCst"];

/// What breaks the rule in these files. Those outside `handles/src` are passed over.
#[must_use]
pub fn findings(sources: &[Source]) -> Vec<Finding> {
    sources_in(sources).flat_map(findings_in).collect()
}

/// The sources that the rule is for.
fn sources_in(sources: &[Source]) -> impl Iterator<Item = &Source> {
    let inside = || sources.iter().filter(|s| s.path.starts_with(FOLDER));
    let test_files: Vec<String> = inside().flat_map(Source::test_files).collect();
    inside().filter(move |source| {
        let is_test = |file: &String| match file.strip_suffix('/') {
            Some(_) => source.path.starts_with(file),
            None => source.path == *file,
        };
        !test_files.iter().any(is_test)
    })
}

fn findings_in(source: &Source) -> Vec<Finding> {
    let mut findings = Vec::new();
    for operation in operations(source) {
        let comment = comment_of(source, &operation);
        for ordering in &operation.orderings {
            let label = format!("{ordering}:");
            if !comment.contains(&label) {
                let what = format!("`{}` with {ordering} and no comment `{label}`", operation.name);
                findings.push(Finding::at(&source.path, operation.line, what));
            }
        }
    }
    findings
}

/// A call that takes an ordering.
struct Operation {
    name: String,
    /// Where its arguments begin.
    offset: usize,
    line: usize,
    line_last: usize,
    orderings: Vec<&'static str>,
}

/// Those of a source, but for its test modules.
fn operations(source: &Source) -> Vec<Operation> {
    let code = &source.code;
    let exempt = source.test_lines();
    let mut operations = Vec::new();
    for (open, _) in code.match_indices('(') {
        let name = name_before(code, open);
        if !is_atomic(name) || exempt.iter().any(|lines| lines.contains(&source.line(open))) {
            continue;
        }
        let Some(close) = closing(code, open) else {
            continue;
        };
        let mut orderings = orderings_in(&code[open + 1..close]);
        if name.starts_with("compare_exchange") || name == "fetch_update" {
            // The second one is the failure's; its reason is that of the first or none.
            orderings.truncate(1);
        }
        if !orderings.is_empty() {
            operations.push(Operation {
                name: name.to_owned(),
                offset: open,
                line: source.line(open),
                line_last: source.line(close),
                orderings,
            });
        }
    }
    operations
}

/// The name of what is called by the bracket at `open`, without type arguments.
fn name_before(code: &str, open: usize) -> &str {
    let before = code[..open].trim_end();
    let before = match before.strip_suffix('>') {
        Some(generic) => generic.rsplit_once("::<").map_or("", |(name, _)| name),
        None => before,
    };
    let start = before.char_indices().rev().take_while(|(_, c)| is_word(*c)).last();
    start.map_or("", |(start, _)| &before[start..])
}

fn is_atomic(name: &str) -> bool {
    ["load", "store", "swap"].contains(&name)
        || name.starts_with("compare_exchange")
        || name.starts_with("compare_and")
        || name.starts_with("fetch_")
        || name.ends_with("fence")
}

/// The orderings named in the arguments themselves, not in calls among them, in order.
fn orderings_in(arguments: &str) -> Vec<&'static str> {
    let mut flat = String::with_capacity(arguments.len());
    let mut depth = 0_usize;
    for c in arguments.chars() {
        match c {
            '(' => depth += 1,
            ')' => depth = depth.saturating_sub(1),
            _ if depth == 0 => flat.push(c),
            _ => {}
        }
    }
    let mut found: Vec<(usize, &'static str)> =
        ORDERINGS.iter().flat_map(|name| whole_words(&flat, name).map(|at| (at, *name))).collect();
    found.sort_unstable();
    found.into_iter().map(|(_, name)| name).collect()
}

/// The comments on the lines of the operation and up to six lines above. A comment that begins higher
/// and reaches into these lines counts as a whole.
fn comment_of(source: &Source, operation: &Operation) -> String {
    let comments: Vec<&str> = source.comments.lines().collect();
    let code: Vec<&str> = source.code.lines().collect();
    let is_comment = |line: usize| {
        let empty = |lines: &[&str]| lines.get(line).is_none_or(|text| text.trim().is_empty());
        empty(&code) && !empty(&comments)
    };
    // Lines are counted from 1, indices from 0.
    let mut first = operation.line.saturating_sub(1 + LINES_ABOVE);
    while first > 0 && is_comment(first) && is_comment(first - 1) {
        first -= 1;
    }
    let last = operation.line_last.min(comments.len());
    comments.get(first..last).unwrap_or_default().join("\n")
}

#[cfg(test)]
mod tests {
    use super::findings;
    use crate::Source;

    fn lines_found(text: &str) -> Vec<usize> {
        let source = Source::new("handles/src/slot.rs", text);
        findings(&[source]).iter().map(|f| f.line).collect()
    }

    #[test]
    fn an_operation_without_its_label_is_found() {
        assert_eq!(lines_found("let v = a.load(Ordering::Acquire);\n"), [1]);
        assert_eq!(lines_found("a.store(1, Release);\n"), [1]);
        assert_eq!(lines_found("a.swap(1, AcqRel);\n"), [1]);
        assert_eq!(lines_found("a.fetch_add(1, Relaxed);\n"), [1]);
        assert_eq!(lines_found("sync::fence(SeqCst);\n"), [1]);
        assert_eq!(lines_found("compiler_fence(Ordering::SeqCst);\n"), [1]);
        let spread =
            "a\n    .compare_exchange_weak(\n        0,\n        1,\n        AcqRel,\n        Relaxed,\n    )\n";
        assert_eq!(lines_found(spread), [2]);
    }

    #[test]
    fn an_operation_with_its_label_passes() {
        assert!(lines_found("a.load(Acquire); // Acquire: pairs with `publish`.\n").is_empty());
        let above = "// AcqRel: takes over what the last owner wrote.\nlet won = a\n    .compare_exchange(0, 1, AcqRel, Relaxed)\n    .is_ok();\n";
        assert!(lines_found(above).is_empty());
        let within = "a.store(\n    1,\n    // Release: after the payload.\n    Release,\n);\n";
        assert!(lines_found(within).is_empty());
    }

    #[test]
    fn the_label_of_another_ordering_does_not_do() {
        assert_eq!(lines_found("// Relaxed: a counter.\na.load(Acquire);\n"), [2]);
        let failure_only = "// Relaxed: on failure.\na.compare_exchange(0, 1, AcqRel, Relaxed);\n";
        assert_eq!(lines_found(failure_only), [2]);
    }

    #[test]
    fn a_label_too_far_above_does_not_do() {
        let far = format!("// Acquire: far away.\n{}a.load(Acquire);\n", "b();\n".repeat(7));
        assert_eq!(lines_found(&far), [9]);
        let near = format!("// Acquire: near.\n{}a.load(Acquire);\n", "b();\n".repeat(5));
        assert!(lines_found(&near).is_empty());
    }

    #[test]
    fn a_long_comment_counts_as_a_whole() {
        let text = format!("// Acquire: a long argument.\n{}a.load(Acquire);\n", "// and more of it\n".repeat(9));
        assert!(lines_found(&text).is_empty());
    }

    #[test]
    fn each_of_two_nested_operations_needs_its_own_label() {
        let text = "// Release: the outer one.\na.store(b.load(Relaxed), Release);\n";
        assert_eq!(lines_found(text), [2]);
    }

    #[test]
    fn a_label_in_a_string_is_no_comment() {
        assert_eq!(lines_found("f(\"Acquire: no\"); a.load(Acquire);\n"), [1]);
    }

    #[test]
    fn calls_without_an_ordering_are_passed_over() {
        assert!(lines_found("page.store(1); list.swap(0, 1); cell.load();\n").is_empty());
        assert!(lines_found("// not: a.load(Acquire)\n").is_empty());
    }

    #[test]
    fn type_arguments_do_not_hide_an_operation() {
        assert_eq!(lines_found("a.fetch_update::<_, _>(AcqRel, Relaxed, f);\n"), [1]);
    }

    #[test]
    fn test_modules_and_other_folders_are_exempt() {
        let text = "#[cfg(test)]\nmod tests {\n    fn f() { a.load(SeqCst); }\n}\na.load(Acquire);\n";
        assert_eq!(lines_found(text), [5]);
        let lib = Source::new("handles/src/lib.rs", "#[cfg(test)]\nmod races;\n");
        let races = Source::new("handles/src/races.rs", "a.load(SeqCst);\n");
        assert!(findings(&[lib, races]).is_empty());
        let elsewhere = Source::new("bench/src/lib.rs", "a.load(SeqCst);\n");
        assert!(findings(&[elsewhere]).is_empty());
    }
}
