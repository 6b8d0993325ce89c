//! The document that tells what operations answer, as tables.

const DOCUMENT: &str = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/errno.md"));

pub(super) struct Table {
    /// The headings of the columns, but for the first.
    pub(super) columns: Vec<String>,
    pub(super) rows: Vec<(String, Vec<String>)>,
}

/// The table under a heading; cells without the numbers of their notes.
pub(super) fn table(heading: &str) -> Table {
    let section = DOCUMENT.split("\n# ").find(|section| section.lines().next() == Some(heading)).unwrap();
    let mut rows = section.lines().filter(|line| line.starts_with('|') && !line.starts_with("|-")).map(cells);
    let columns = rows.next().unwrap().1;
    Table { columns, rows: rows.collect() }
}

fn cells(line: &str) -> (String, Vec<String>) {
    let line = line.trim().trim_matches('|').replace('`', "");
    let mut cells = line.split('|').map(|cell| without_notes(cell.trim()));
    (cells.next().unwrap(), cells.collect())
}

/// The numbers of the notes that a text refers to: (3) is one.
fn notes(text: &str) -> Vec<usize> {
    text.split('(').skip(1).filter_map(|rest| rest.split_once(')')?.0.parse().ok()).collect()
}

fn without_notes(cell: &str) -> String {
    notes(cell).iter().fold(cell.to_owned(), |cell, note| cell.replace(&format!("({note})"), "")).trim().into()
}

/// Each note is referred to, and each reference has its note.
#[test]
fn every_note_is_referred_to() {
    let (tables, told) = DOCUMENT.split_once("\n# Where Linux answers otherwise").unwrap();
    let mut referred: Vec<_> = tables.lines().filter(|line| line.starts_with('|')).flat_map(notes).collect();
    referred.sort_unstable();
    referred.dedup();
    let numbered = |line: &str| line.split_once(". ")?.0.parse().ok();
    let told: Vec<usize> = told.lines().filter_map(numbered).collect();
    assert!(!told.is_empty());
    assert_eq!(referred, told);
}
