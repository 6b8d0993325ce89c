//! Rewrites `docs/scenarios.md`.

#![forbid(unsafe_code)]

use std::error::Error;
use std::fs;

use enodev_tidy::{Repo, report, scenarios};

fn main() -> Result<(), Box<dyn Error>> {
    let repo = Repo::here()?;
    let (shown, findings) = scenarios::collect(&repo.sources()?);
    if !findings.is_empty() {
        return Err(report(&findings).into());
    }
    let file = repo.root().join(scenarios::FILE);
    if let Some(folder) = file.parent() {
        fs::create_dir_all(folder)?;
    }
    fs::write(file, scenarios::page(&shown))?;
    Ok(())
}
