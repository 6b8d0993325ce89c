//! The generated page.

use super::{Id, Kind, Shown};
use crate::seeds::SEEDS;

/// The text of `docs/scenarios.md`. It follows from its argument alone.
#[must_use]
pub fn page(shown: &[Shown]) -> String {
    let mut page = String::from(
        "# Scenarios\n\n\
         Which test shows what. Generated from the doc comments of the tests by\n\
         `cargo run -p enodev-tidy`; edit those, not this.\n",
    );
    seeds(&mut page, shown);
    for kind in Kind::ALL {
        if kind != Kind::Seed {
            others(&mut page, kind, shown);
        }
    }
    page
}

fn seeds(page: &mut String, shown: &[Shown]) {
    heading(page, Kind::Seed, "| id | what it asks for | shown by |");
    let mut missing = Vec::new();
    for seed in &SEEDS {
        let id = Id::seed(seed.document, seed.number);
        let tests: Vec<String> = of(shown, id).map(name).collect();
        if tests.is_empty() {
            missing.push(id.to_string());
        } else {
            row(page, &[id.to_string(), cell(seed.text), tests.join(", ")]);
        }
    }
    let closing = if missing.is_empty() {
        "All of them are shown.".to_owned()
    } else {
        format!("Not shown yet: {}.", missing.join(", "))
    };
    line(page, "");
    line(page, &closing);
}

fn others(page: &mut String, kind: Kind, shown: &[Shown]) {
    let mut ids: Vec<Id> = shown.iter().flat_map(|shown| &shown.ids).filter(|id| id.kind == kind).copied().collect();
    ids.sort_unstable();
    ids.dedup();
    if ids.is_empty() {
        return;
    }
    heading(page, kind, "| id | test | what it shows |");
    for id in ids {
        for shown in of(shown, id) {
            row(page, &[id.to_string(), name(shown), cell(&shown.text)]);
        }
    }
}

const fn title(kind: Kind) -> &'static str {
    match kind {
        Kind::Seed => "Seed scenarios (S)",
        Kind::Test => "After tests of Linux and its relatives (T)",
        Kind::Feature => "Features of Linux (F)",
        Kind::Complaint => "Complaints of users and maintainers (D)",
        Kind::Subtlety => "Easily got wrong (E)",
        Kind::Gap => "Offered by no system before (G)",
    }
}

fn of(shown: &[Shown], id: Id) -> impl Iterator<Item = &Shown> {
    shown.iter().filter(move |shown| shown.ids.contains(&id))
}

fn name(shown: &Shown) -> String {
    format!("`{}::{}`", shown.path, shown.test)
}

/// A text that a cell of a table can hold.
fn cell(text: &str) -> String {
    text.replace('|', "\\|")
}

/// A section and the head of its table, which has three columns.
fn heading(page: &mut String, kind: Kind, columns: &str) {
    line(page, "");
    line(page, &format!("## {}", title(kind)));
    line(page, "");
    line(page, columns);
    line(page, "| --- | --- | --- |");
}

fn row(page: &mut String, cells: &[String; 3]) {
    line(page, &format!("| {} |", cells.join(" | ")));
}

fn line(page: &mut String, text: &str) {
    page.push_str(text);
    page.push('\n');
}

#[cfg(test)]
mod tests {
    use super::page;
    use crate::Source;
    use crate::scenarios::collect;

    fn page_of(text: &str) -> String {
        let (shown, findings) = collect(&[Source::new("core/tests/a.rs", text)]);
        assert_eq!(findings, []);
        page(&shown)
    }

    #[test]
    fn every_seed_is_in_the_table_or_in_the_closing_line() {
        let text = "/// S0-2, E-13: it | fails.\n#[test]\nfn a() {}\n";
        let page = page_of(text);
        assert!(page.contains("| S0-2 | An open attribute does"));
        assert!(page.contains("| `core/tests/a.rs::a` |"));
        assert!(page.contains("Not shown yet: S0-1, S0-3, "));
        assert!(!page.contains("| S0-1 |"));
        assert!(page.contains("| E-13 | `core/tests/a.rs::a` | it \\| fails. |"));
        assert!(!page.contains("(G)"), "a section without a test is left out");
    }

    #[test]
    fn a_changed_name_changes_the_page() {
        let page = |name: &str| page_of(&format!("/// T1: x.\n#[test]\nfn {name}() {{}}\n"));
        assert_ne!(page("a"), page("b"));
        assert_eq!(page("a"), page("a"));
    }
}
