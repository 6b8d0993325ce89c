//! The rules for code, over the files of the repository.

use enodev_tidy::{Repo, habits, layers, orderings, report, unsafety};

#[test]
fn unsafe_stays_in_its_folders() {
    let sources = Repo::here().expect("a repository").sources().expect("files");
    let found: Vec<_> = sources.iter().flat_map(unsafety::findings).collect();
    assert!(found.is_empty(), "{}", report(&found));
}

#[test]
fn every_atomic_operation_says_why_its_ordering_is_enough() {
    let sources = Repo::here().expect("a repository").sources().expect("files");
    let found = orderings::findings(&sources);
    assert!(found.is_empty(), "{}", report(&found));
}

#[test]
fn every_atomic_operation_stands_in_the_table_of_orderings() {
    let repo = Repo::here().expect("a repository");
    let text = repo.text(orderings::table::FILE).expect("a file").unwrap_or_default();
    let found = orderings::table::findings(&text, &repo.sources().expect("files"));
    assert!(found.is_empty(), "{}", report(&found));
}

#[test]
fn nothing_is_left_for_later_or_switched_off() {
    let sources = Repo::here().expect("a repository").sources().expect("files");
    let found: Vec<_> = sources.iter().flat_map(habits::findings).collect();
    assert!(found.is_empty(), "{}", report(&found));
}

#[test]
fn files_stay_short() {
    let repo = Repo::here().expect("a repository");
    let mut found = Vec::new();
    for path in repo.files() {
        if let Some(text) = repo.text(path).expect("a file") {
            found.extend(habits::length(path, &text));
        }
    }
    assert!(found.is_empty(), "{}", report(&found));
}

#[test]
fn arrows_between_the_crates_point_down_only() {
    let repo = Repo::here().expect("a repository");
    let metadata = layers::metadata(repo.root()).expect("cargo metadata");
    let found = layers::findings(&metadata);
    assert!(found.is_empty(), "{}", report(&found));
}
