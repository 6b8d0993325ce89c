//! The rules for text, over the files of the repository.

use enodev_tidy::{Finding, Repo, architecture, links, readme, report, scenarios, words};

#[test]
fn the_scenarios_page_is_up_to_date() {
    let repo = Repo::here().expect("a repository");
    let (shown, found) = scenarios::collect(&repo.sources().expect("files"));
    assert!(found.is_empty(), "{}", report(&found));
    let there = repo.text(scenarios::FILE).expect("a file");
    assert!(
        there.as_ref() == Some(&scenarios::page(&shown)),
        "{} is old: run `cargo run -p enodev-tidy`",
        scenarios::FILE
    );
}

#[test]
fn every_path_in_the_architecture_is_there() {
    let repo = Repo::here().expect("a repository");
    let files: Vec<&str> = repo.files().collect();
    let found = match repo.text(architecture::FILE).expect("a file") {
        Some(text) => architecture::findings(&text, &files),
        None => vec![Finding::whole(architecture::FILE, "is missing")],
    };
    assert!(found.is_empty(), "{}", report(&found));
}

#[test]
fn the_readme_shows_the_two_commands() {
    let repo = Repo::here().expect("a repository");
    let text = repo.text(readme::FILE).expect("a file");
    let found = readme::findings(text.as_deref());
    assert!(found.is_empty(), "{}", report(&found));
}

#[test]
fn every_link_to_a_file_leads_to_one() {
    let repo = Repo::here().expect("a repository");
    let mut found = Vec::new();
    for path in repo.ending(".md") {
        if let Some(text) = repo.text(path).expect("a file") {
            found.extend(links::findings(path, &text, |path| repo.holds(path)));
        }
    }
    assert!(found.is_empty(), "{}", report(&found));
}

#[test]
fn no_text_speaks_of_how_it_was_made() {
    let repo = Repo::here().expect("a repository");
    let mut found = Vec::new();
    for path in repo.files().filter(|path| words::is_ours(path)) {
        if let Some(text) = repo.text(path).expect("a file") {
            found.extend(words::findings(path, &text));
        }
    }
    assert!(found.is_empty(), "{}", report(&found));
}
