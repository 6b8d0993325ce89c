//! What a scan left out, and how often.

use std::collections::BTreeMap;
use std::fmt;

/// How many paths of each kind are kept as examples.
const EXAMPLES_MAX: usize = 4;

/// Counts of what a scan left out, by kind.
///
/// Attributes that can only be written are not among them: they have no content to leave out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Skipped {
    tallies: BTreeMap<SkipKind, Tally>,
}

impl Skipped {
    /// Whether the result is the whole tree.
    pub fn is_empty(&self) -> bool {
        self.tallies.is_empty()
    }

    /// How many entries of this kind were left out.
    pub fn count(&self, kind: SkipKind) -> u64 {
        self.tallies.get(&kind).map_or(0, |tally| tally.count)
    }

    /// The first few paths of this kind, relative to the root. Bytes that are no UTF-8 are
    /// replaced by U+FFFD.
    pub fn examples(&self, kind: SkipKind) -> &[String] {
        self.tallies.get(&kind).map_or(&[], |tally| &tally.examples)
    }

    /// The kinds that occurred, in the order of [`SkipKind`].
    pub fn iter(&self) -> impl Iterator<Item = (SkipKind, &Tally)> {
        self.tallies.iter().map(|(kind, tally)| (*kind, tally))
    }

    pub(super) fn add(&mut self, kind: SkipKind, path: String) {
        let tally = self.tallies.entry(kind).or_default();
        tally.count += 1;
        if tally.examples.len() < EXAMPLES_MAX {
            tally.examples.push(path);
        }
    }
}

/// One line for people: `2 special (a, b); 1 private (c)`; empty where nothing was left out.
/// Control characters in the paths are escaped.
impl fmt::Display for Skipped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut separator = "";
        for (kind, Tally { count, examples }) in self.iter() {
            let paths = examples.iter().map(|path| path.escape_debug().to_string());
            let mut paths = paths.collect::<Vec<_>>().join(", ");
            if *count > examples.len() as u64 {
                paths.push_str(", …");
            }
            write!(f, "{separator}{count} {kind} ({paths})")?;
            separator = "; ";
        }
        Ok(())
    }
}

/// How often something was left out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// How often.
    pub count: u64,
    /// The first few paths, relative to the root; the root itself is the empty path.
    pub examples: Vec<String>,
}

/// Why something was left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum SkipKind {
    /// Part of a live sysfs where a read has effects or waits for long. Absent from the result.
    Denied,
    /// On another file system than the root: a mount point. Absent from the result.
    OtherFileSystem,
    /// A FIFO, socket or device node. Never opened; absent from the result.
    Special,
    /// The name is not UTF-8. Absent from the result, a directory with all below it.
    NameNotUtf8,
    /// A link whose target is not UTF-8. Absent from the result.
    TargetNotUtf8,
    /// Went away, or became something else, between being listed and being read. A directory
    /// that goes while it is listed stays in the result, with what was seen of it.
    Vanished,
    /// A directory deeper than the limit. Absent from the result, with all below it.
    TooDeep,
    /// A directory not listed to its end because the scan had seen as many entries as it may. It
    /// stays in the result, with the entries seen.
    TooMany,
    /// The system refused access (EACCES, EPERM). A directory stays in the result, empty, and an
    /// attribute without content ([`Unread::Refused`](super::Unread::Refused)); an entry that may
    /// not even be looked at is absent.
    Refused,
    /// The system failed in another way on a directory or a link. A directory stays in the result
    /// as far as it was listed; a link is absent. (An attribute that fails is kept with its error
    /// number: [`Content::Errno`](super::Content::Errno).)
    Failed,
    /// An attribute of a live sysfs that only its owner may read. It stays in the result, without
    /// content ([`Unread::Private`](super::Unread::Private)).
    Private,
    /// An attribute longer than the limits. It stays in the result, without content
    /// ([`Unread::TooLarge`](super::Unread::TooLarge)).
    TooLarge,
}

/// A word or two, fit to stand after a number.
impl fmt::Display for SkipKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Denied => "unsafe to read",
            Self::OtherFileSystem => "on other file systems",
            Self::Special => "special",
            Self::NameNotUtf8 => "with a name not in UTF-8",
            Self::TargetNotUtf8 => "with a target not in UTF-8",
            Self::Vanished => "vanished",
            Self::TooDeep => "too deep",
            Self::TooMany => "with too many entries",
            Self::Refused => "refused",
            Self::Failed => "failed",
            Self::Private => "private",
            Self::TooLarge => "too large",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_entry_is_counted_and_only_the_first_are_kept() {
        let mut skipped = Skipped::default();
        assert!(skipped.is_empty());
        for n in 0..9 {
            skipped.add(SkipKind::Special, format!("fifo{n}"));
        }
        skipped.add(SkipKind::Denied, "kernel/btf".to_owned());
        assert_eq!(skipped.count(SkipKind::Special), 9);
        assert_eq!(skipped.examples(SkipKind::Special), ["fifo0", "fifo1", "fifo2", "fifo3"]);
        assert_eq!(skipped.count(SkipKind::TooDeep), 0);
        assert!(skipped.examples(SkipKind::TooDeep).is_empty());
        assert_eq!(skipped.to_string(), "1 unsafe to read (kernel/btf); 9 special (fifo0, fifo1, fifo2, fifo3, …)");
    }

    #[test]
    fn a_path_cannot_smuggle_control_characters_into_the_summary() {
        let mut skipped = Skipped::default();
        skipped.add(SkipKind::Special, "a\n\u{1b}[2J".to_owned());
        assert_eq!(skipped.to_string(), r"1 special (a\n\u{1b}[2J)");
    }
}
