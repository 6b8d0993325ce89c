//! The ids of scenarios.

use std::fmt;
use std::str::FromStr;

use crate::seeds::SEEDS;

/// Where a scenario comes from; in the order of the page.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// `S0-8`: the seed documents.
    Seed,
    /// `T31`: the test suites of Linux and its relatives.
    Test,
    /// `F11`: what Linux offers.
    Feature,
    /// `D-1`: what its users and maintainers complain of.
    Complaint,
    /// `E-13`: what is easily got wrong.
    Subtlety,
    /// `G-4`: what no system offers.
    Gap,
}

impl Kind {
    /// All of them, in order.
    pub const ALL: [Self; 6] = [Self::Seed, Self::Test, Self::Feature, Self::Complaint, Self::Subtlety, Self::Gap];

    const fn letter(self) -> char {
        match self {
            Self::Seed => 'S',
            Self::Test => 'T',
            Self::Feature => 'F',
            Self::Complaint => 'D',
            Self::Subtlety => 'E',
            Self::Gap => 'G',
        }
    }

    /// The highest number, for the kinds whose numbers have no gap.
    const fn last(self) -> u16 {
        match self {
            Self::Seed => 0,
            Self::Test => 106,
            Self::Feature => 51,
            Self::Complaint => 20,
            Self::Subtlety => 50,
            Self::Gap => 10,
        }
    }
}

/// The id of one scenario.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Id {
    /// Where it comes from.
    pub kind: Kind,
    document: u16,
    number: u16,
}

impl Id {
    /// The id of a seed scenario, whether there is one or not.
    pub(crate) const fn seed(document: u16, number: u16) -> Self {
        Self { kind: Kind::Seed, document, number }
    }

    fn is_known(self) -> bool {
        match self.kind {
            Kind::Seed => SEEDS.iter().any(|seed| (seed.document, seed.number) == (self.document, self.number)),
            kind => (1..=kind.last()).contains(&self.number),
        }
    }

    /// Whether a word has the outline of an id, right or wrong: a letter of ours, perhaps a hyphen, and
    /// digits. `E2BIG` has not.
    pub(crate) fn resembles(word: &str) -> bool {
        let mut rest = word.chars();
        let letter = rest.next();
        let ours = Kind::ALL.iter().any(|kind| Some(kind.letter()) == letter);
        let rest = rest.as_str();
        ours && rest.chars().any(|c| c.is_ascii_digit()) && rest.chars().all(|c| c.is_ascii_digit() || c == '-')
    }
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let letter = self.kind.letter();
        match self.kind {
            Kind::Seed => write!(f, "{letter}{}-{}", self.document, self.number),
            Kind::Test | Kind::Feature => write!(f, "{letter}{}", self.number),
            _ => write!(f, "{letter}-{}", self.number),
        }
    }
}

impl FromStr for Id {
    type Err = String;

    fn from_str(word: &str) -> Result<Self, String> {
        let malformed = || format!("`{word}` is no id of a scenario");
        let letter = word.chars().next().ok_or_else(malformed)?;
        let kind = Kind::ALL.into_iter().find(|kind| kind.letter() == letter).ok_or_else(malformed)?;
        let (document, number) = match (kind, word[1..].split_once('-')) {
            (Kind::Seed, Some((document, number))) => (document, number),
            (Kind::Test | Kind::Feature, None) => ("0", &word[1..]),
            (Kind::Complaint | Kind::Subtlety | Kind::Gap, Some(("", number))) => ("0", number),
            _ => return Err(malformed()),
        };
        let id = Self {
            kind,
            document: document.parse().map_err(|_| malformed())?,
            number: number.parse().map_err(|_| malformed())?,
        };
        // One scenario, one spelling: no leading zeros, no signs.
        if id.to_string() != word {
            return Err(malformed());
        }
        if !id.is_known() {
            return Err(format!("there is no scenario `{word}`"));
        }
        Ok(id)
    }
}

#[cfg(test)]
mod tests {
    use super::Id;

    #[test]
    fn ids_of_every_kind_are_read_and_written_alike() {
        for word in ["S0-8", "T31", "F11", "D-1", "E-13", "G-4"] {
            let id: Id = word.parse().expect(word);
            assert_eq!(id.to_string(), word);
        }
    }

    #[test]
    fn malformed_ids_are_refused() {
        for word in ["", "S0", "S0-", "S-1", "T-31", "E13", "E-013", "E-+1", "X-1", "S0-1-1"] {
            assert!(word.parse::<Id>().is_err(), "{word}");
        }
    }

    #[test]
    fn unknown_scenarios_are_refused() {
        for word in ["S0-17", "S5-1", "T0", "T107", "F52", "D-21", "E-51", "G-11"] {
            assert!(word.parse::<Id>().is_err(), "{word}");
        }
    }

    #[test]
    fn ids_are_ordered_by_kind_and_number() {
        let words = ["S0-2", "S0-10", "S1-1", "T9", "T10", "F1", "D-1", "E-2", "G-1"];
        let ids: Vec<Id> = words.iter().map(|word| word.parse().expect(word)).collect();
        assert!(ids.is_sorted());
    }

    #[test]
    fn an_errno_does_not_resemble_an_id() {
        assert!(!Id::resembles("E2BIG") && !Id::resembles("EIO") && !Id::resembles("A-1"));
        assert!(Id::resembles("E13") && Id::resembles("S9-99") && Id::resembles("T-1"));
    }
}
