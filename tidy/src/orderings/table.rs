//! The table of the atomic operations of `handles`: each function that has one stands in it, with the orderings that it
//! uses, and nothing else does.
//!
//! A row begins with the file and the function, `` `slots.rs: mark` ``; the orderings are named in its second cell. A function
//! may have several rows.

use std::collections::{BTreeMap, BTreeSet};

use super::{FOLDER, ORDERINGS, operations, sources_in};
use crate::source::whole_words;
use crate::{Finding, Source};

/// The file that has the table.
pub const FILE: &str = "handles/docs/orderings.md";
/// The models' stand-ins are not in it.
const STAND_INS: &str = "handles/src/sync/";

/// Orderings by file and function, with the line where each function is first met.
type Sites = BTreeMap<String, (usize, BTreeSet<&'static str>)>;

/// Where the table and the sources differ.
#[must_use]
pub fn findings(text: &str, sources: &[Source]) -> Vec<Finding> {
    let (used, listed) = (used(sources), listed(text));
    let names = |orderings: &BTreeSet<&str>| orderings.iter().copied().collect::<Vec<_>>().join(", ");
    let mut findings = Vec::new();
    for (site, (_, orderings)) in &used {
        match listed.get(site) {
            None => findings.push(Finding::whole(FILE, format!("lacks `{site}`, with {}", names(orderings)))),
            Some((line, named)) if named != orderings => {
                let what = format!("`{site}` has {}, not {}", names(orderings), names(named));
                findings.push(Finding::at(FILE, *line, what));
            }
            Some(_) => {}
        }
    }
    for (site, (line, _)) in &listed {
        if !used.contains_key(site) {
            findings.push(Finding::at(FILE, *line, format!("`{site}` has no atomic operation")));
        }
    }
    findings
}

fn used(sources: &[Source]) -> Sites {
    let mut sites = Sites::new();
    for source in sources_in(sources).filter(|source| !source.path.starts_with(STAND_INS)) {
        let file = source.path.strip_prefix(FOLDER).unwrap_or(&source.path);
        for operation in operations(source) {
            let site = format!("{file}: {}", function_at(&source.code, operation.offset));
            let (_, orderings) = sites.entry(site).or_insert_with(|| (operation.line, BTreeSet::new()));
            orderings.extend(operation.orderings);
        }
    }
    sites
}

/// The function that was begun last before `offset`.
fn function_at(code: &str, offset: usize) -> &str {
    let before = &code[..offset];
    let Some(at) = whole_words(before, "fn").last() else { return "" };
    let name = before[at + "fn".len()..].trim_start();
    let end = name.find(|c: char| !crate::source::is_word(c)).unwrap_or(name.len());
    &name[..end]
}

fn listed(text: &str) -> Sites {
    let mut sites = Sites::new();
    for (nth, line) in text.lines().enumerate() {
        let Some((site, rest)) = line.strip_prefix("| `").and_then(|row| row.split_once('`')) else { continue };
        let cell = rest.split('|').nth(1).unwrap_or_default();
        let (_, orderings) = sites.entry(site.to_owned()).or_insert_with(|| (nth + 1, BTreeSet::new()));
        orderings.extend(ORDERINGS.into_iter().filter(|name| whole_words(cell, name).next().is_some()));
    }
    sites
}

#[cfg(test)]
mod tests {
    use super::findings;
    use crate::Source;

    const SOURCE: &str = "fn a() { x.load(Acquire); }\nfn b(c: C) {\n    x.compare_exchange(0, 1, AcqRel, Relaxed);\n    fence(SeqCst);\n}\n#[cfg(test)]\nmod tests { fn t() { x.load(SeqCst); } }\n";
    const TABLE: &str = "| site | ordering |\n|---|---|\n| `cells.rs: a` | Acquire | why |\n| `cells.rs: b` | AcqRel | why |\n| `cells.rs: b` | SeqCst | why |\n";

    fn found(path: &str, text: &str) -> Vec<String> {
        findings(text, &[Source::new(path, SOURCE)]).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_table_that_names_all_and_nothing_else_passes() {
        assert!(found("handles/src/cells.rs", TABLE).is_empty());
    }

    #[test]
    fn what_the_table_lacks_is_found() {
        let lacking = TABLE.replace("| `cells.rs: a` | Acquire | why |\n", "");
        assert_eq!(found("handles/src/cells.rs", &lacking).len(), 1);
        let without_fence = TABLE.replace("| `cells.rs: b` | SeqCst | why |\n", "");
        assert_eq!(found("handles/src/cells.rs", &without_fence).len(), 1);
    }

    #[test]
    fn another_ordering_than_the_code_has_is_found() {
        assert_eq!(found("handles/src/cells.rs", &TABLE.replace("Acquire", "Relaxed")).len(), 1);
        assert_eq!(found("handles/src/cells.rs", &TABLE.replace("| Acquire |", "| | Acquire |")).len(), 1);
    }

    #[test]
    fn what_the_code_does_not_have_is_found() {
        let more = format!("{TABLE}| `cells.rs: c` | Acquire | why |\n");
        assert_eq!(found("handles/src/cells.rs", &more).len(), 1);
        assert_eq!(found("handles/src/slots.rs", TABLE).len(), 4);
    }

    #[test]
    fn stand_ins_and_other_crates_are_left_out() {
        assert!(found("handles/src/sync/locks.rs", "").is_empty());
        assert!(found("core/src/cells.rs", "").is_empty());
    }
}
