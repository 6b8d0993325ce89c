//! Writes what `handle_misuse` starts from, a file for each situation: `seeds FOLDER`.

use std::error::Error;
use std::path::PathBuf;

use enodev_fuzz::{Op, ways};

fn main() -> Result<(), Box<dyn Error>> {
    let folder: PathBuf = std::env::args_os().nth(1).ok_or("seeds FOLDER")?.into();
    std::fs::create_dir_all(&folder)?;
    for (situation, way) in ways() {
        let bytes: Option<Vec<[u8; 4]>> = way.into_iter().map(Op::encode).collect();
        let bytes = bytes.ok_or_else(|| format!("{situation:?}: an operation that no bytes mean"))?;
        std::fs::write(folder.join(format!("{situation:?}")), bytes.concat())?;
    }
    Ok(())
}
