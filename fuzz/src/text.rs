//! What attributes say and take, against oracles that are written otherwise: names, modes, values as text, pages, and the
//! offsets and lengths of files.
//!
//! The input is a row of cases, each a byte that says what is tried and bytes that say with what. A case stands alone.
//!
//! ```
//! use enodev_fuzz::text::{Meeting, run};
//!
//! // A name of no letters.
//! assert_eq!(run(&[0, 0, 0]).of(Meeting::BadName), 1);
//! ```

mod files;
mod integers;
mod modes;
mod names;
mod oracle;
mod pages;
mod values;
mod words;

use std::fmt;

use crate::source::Source;
use crate::tally::Tally;

/// Cases of one run at the most.
const CASES_MAX: usize = 64;

/// What a case can come to: whoever drives the interpreter sees whether the inputs reach all of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Meeting {
    /// A name was refused.
    BadName,
    /// A name was refused for its length alone.
    LongName,
    /// A mode was refused.
    BadMode,
    /// Two attributes of a group had one name.
    Twice,
    /// A group's callback answered with a mode that was refused.
    BadVisibility,
    /// A text was no integer.
    NoInteger,
    /// An integer was too large for its type.
    TooLarge,
    /// An integer was the largest or the smallest of its type.
    Outermost,
    /// An integer was written in another base than ten.
    OtherBase,
    /// A boolean was told from a text.
    Boolean,
    /// A choice was told from a text.
    Choice,
    /// A text was not UTF-8.
    NoText,
    /// An array was told from a text.
    Array,
    /// A page was filled to its last byte.
    FullPage,
    /// What was put in a page did not fit.
    FullerPage,
    /// A read continued a pass.
    Continued,
    /// A read skipped into a text.
    Skipped,
    /// A read or a write was cut at the end of the attribute or of a page.
    Cut,
    /// A write was past the end.
    PastEnd,
    /// A text was too long to be stored.
    TooLong,
    /// An offset was one that Linux could not hold.
    BadOffset,
    /// An access was not what the file was opened for.
    BadAccess,
    /// The owner had left.
    Gone,
    /// A callback failed.
    Failed,
    /// A callback panicked.
    Panicked,
    /// A callback claimed more than it was given.
    Lied,
}

impl Meeting {
    /// All of them.
    pub const ALL: [Self; 26] = [
        Self::BadName,
        Self::LongName,
        Self::BadMode,
        Self::Twice,
        Self::BadVisibility,
        Self::NoInteger,
        Self::TooLarge,
        Self::Outermost,
        Self::OtherBase,
        Self::Boolean,
        Self::Choice,
        Self::NoText,
        Self::Array,
        Self::FullPage,
        Self::FullerPage,
        Self::Continued,
        Self::Skipped,
        Self::Cut,
        Self::PastEnd,
        Self::TooLong,
        Self::BadOffset,
        Self::BadAccess,
        Self::Gone,
        Self::Failed,
        Self::Panicked,
        Self::Lied,
    ];
}

/// Interprets a string of bytes. Returns how often each situation was met.
///
/// # Panics
///
/// If an answer is not the oracle's. The message says to what.
pub fn run(bytes: &[u8]) -> Tally<Meeting> {
    let (mut source, mut tally) = (Source::new(bytes), Tally::default());
    for _ in 0..CASES_MAX {
        if source.is_empty() {
            break;
        }
        match source.byte() % 10 {
            0 => names::try_one(&mut source, &mut tally),
            1 => modes::try_one(&mut source, &mut tally),
            2..=3 => integers::try_one(&mut source, &mut tally),
            4 => words::try_one(&mut source, &mut tally),
            5 => values::try_one(&mut source, &mut tally),
            6 => pages::try_one(&mut source, &mut tally),
            _ => files::try_some(&mut source, &mut tally),
        }
    }
    tally
}

/// Complains unless the answer is the oracle's.
#[expect(clippy::panic, reason = "it is how an interpreter of tests says that something is wrong")]
fn same<A: PartialEq + fmt::Debug>(what: impl FnOnce() -> String, got: A, expected: A) {
    if got != expected {
        panic!("{}: {got:?}, where {expected:?} should be", what());
    }
}
