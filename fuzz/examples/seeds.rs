//! Writes what a fuzz target starts from, a file for each situation: `seeds TARGET FOLDER`.

use std::error::Error;
use std::fmt::Debug;
use std::path::PathBuf;

use enodev_fuzz::files::{self, Scene};
use enodev_fuzz::text::{self, Meeting};
use enodev_fuzz::{Op, ways};

/// Bytes tried for each situation that no way is known to.
const LEN: usize = 512;
const TRIES: u64 = 100_000;

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args_os().skip(1);
    let (target, folder) = arguments.next().zip(arguments.next()).ok_or("seeds TARGET FOLDER")?;
    let seeds = match target.to_str() {
        Some("handle_misuse") => of_handles()?,
        Some("attribute_text") => search(&Meeting::ALL, |bytes, meeting| text::run(bytes).of(meeting))?,
        Some("open_files") => search(Scene::ALL, |bytes, scene| files::run(bytes).of(scene))?,
        _ => return Err(format!("{target:?} is no target").into()),
    };
    let folder = PathBuf::from(folder);
    std::fs::create_dir_all(&folder)?;
    for (name, bytes) in seeds {
        std::fs::write(folder.join(name), bytes)?;
    }
    Ok(())
}

type Seeds = Vec<(String, Vec<u8>)>;

fn of_handles() -> Result<Seeds, Box<dyn Error>> {
    let encode = |(situation, way): (_, Vec<Op>)| {
        let bytes: Option<Vec<[u8; 4]>> = way.into_iter().map(Op::encode).collect();
        let bytes = bytes.ok_or_else(|| format!("{situation:?}: an operation that no bytes mean"))?;
        Ok((format!("{situation:?}"), bytes.concat()))
    };
    ways().into_iter().map(encode).collect()
}

/// For each situation the first of a row of random inputs that comes to it; the same ones each time.
fn search<S: Copy + Debug>(all: &[S], count: impl Fn(&[u8], S) -> u64) -> Result<Seeds, Box<dyn Error>> {
    let seed = |situation: &S| {
        let found = (1..TRIES).map(random).find(|bytes| count(bytes, *situation) > 0);
        let found = found.ok_or_else(|| format!("{situation:?}: no input found"))?;
        Ok((format!("{situation:?}"), found))
    };
    all.iter().map(seed).collect()
}

/// By xorshift.
fn random(number: u64) -> Vec<u8> {
    let mut state = number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let byte = |_| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 24) as u8
    };
    let mut bytes: Vec<u8> = (0..LEN).map(byte).collect();
    // Few kinds of operations lead further with each, where a byte of four says which it is.
    for at in (32..LEN).step_by(4).filter(|_| number % 2 == 1) {
        bytes[at] = bytes[usize::from(bytes[at] % 8) * 4];
    }
    bytes
}
