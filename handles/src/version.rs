//! The bits of a version and of a slot's word, declared once.
//!
//! ```text
//! 31        24 23                        1   0
//! +-----------+---------------------------+------+
//! |    tag    |        generation         | live |
//! +-----------+---------------------------+------+
//! ```
//!
//! A handle carries the version that its slot has while its object is alive, so one compare refuses all that
//! is not alive here: another generation, another store's tag, the null handle (tag 0), a vacant slot.
//! `live` is the bit that `slotmap` forces to 1 in every key, and it takes the higher version as the newer:
//! hence the generation stands below the tag.

use std::fmt;

const LIVE_BITS: u32 = 1;
const GENERATION_BITS: u32 = 23;
const TAG_BITS: u32 = 8;
const GENERATION_SHIFT: u32 = LIVE_BITS;
const TAG_SHIFT: u32 = LIVE_BITS + GENERATION_BITS;
const GENERATION_MASK: u32 = (1 << GENERATION_BITS) - 1;

const _: () = assert!(LIVE_BITS + GENERATION_BITS + TAG_BITS == u32::BITS);

/// The last generation that a slot can have: the one after it still fits the word of the vacant slot.
pub(crate) const GENERATION_LAST: u32 = GENERATION_MASK - 1;
/// Tags are `1..=TAG_MAX`; 0 marks what belongs to no store.
pub(crate) const TAG_MAX: u8 = u8::MAX;

/// A slot's version word.
///
/// # Invariants
///
/// | word | state | store part | payload |
/// |---|---|---|---|
/// | `0` | never used | uninitialised | uninitialised |
/// | `(tag, g, 1)` | live | initialised | initialised |
/// | `(tag, g, 0)` | leaving | initialised | the remover's |
/// | `(0, g, 0)`, `g` the next generation | vacant | the reclaimer's until it is in the free list | uninitialised |
///
/// A word `(tag, g, _)` with a tag other than 0 never comes back once the slot has left it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Version(u32);

impl Version {
    pub(crate) const fn from_bits(bits: u32) -> Self {
        Self(bits)
    }

    pub(crate) const fn bits(self) -> u32 {
        self.0
    }

    pub(crate) const fn live(tag: u8, generation: u32) -> Self {
        Self((tag as u32) << TAG_SHIFT | (generation & GENERATION_MASK) << GENERATION_SHIFT | 1)
    }

    pub(crate) const fn vacant(generation: u32) -> Self {
        Self((generation & GENERATION_MASK) << GENERATION_SHIFT)
    }

    /// The word of the same incarnation while it leaves.
    pub(crate) const fn leaving(self) -> Self {
        Self(self.0 & !1)
    }

    pub(crate) const fn is_live(self) -> bool {
        self.0 & 1 == 1
    }

    pub(crate) const fn tag(self) -> u8 {
        (self.0 >> TAG_SHIFT) as u8
    }

    pub(crate) const fn generation(self) -> u32 {
        self.0 >> GENERATION_SHIFT & GENERATION_MASK
    }
}

/// The bits of a slot's word above the version.
const GIVEN_UP: u64 = 1 << 63;
const AWAITED: u64 = 1 << 62;
const REMOVER_SHIFT: u32 = u32::BITS;
const REMOVER_MASK: u64 = (1 << 30) - 1;

/// A slot's whole word: its version, and who removes it.
///
/// ```text
/// 63         62        61         32 31        0
/// +----------+---------+------------+-----------+
/// | given up | awaited |  remover   |  version  |
/// +----------+---------+------------+-----------+
/// ```
///
/// The upper half is 0 unless the slot is leaving: so one compare of the whole word with a handle's version answers a look-up,
/// and one exchange tells who marks, who removes and who has to be told when that is over.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Word(u64);

impl Word {
    #[inline]
    pub(crate) const fn from_bits(bits: u64) -> Self {
        Self(bits)
    }

    pub(crate) const fn bits(self) -> u64 {
        self.0
    }

    /// The word of a slot that nobody removes.
    #[inline]
    pub(crate) const fn settled(version: Version) -> Self {
        Self(version.0 as u64)
    }

    /// The word of an incarnation that the thread with the number `remover` removes.
    pub(crate) const fn leaving(version: Version, remover: u32) -> Self {
        Self(version.leaving().0 as u64 | (remover as u64 & REMOVER_MASK) << REMOVER_SHIFT)
    }

    pub(crate) const fn version(self) -> Version {
        Version(self.0 as u32)
    }

    /// The number of the thread that removes.
    pub(crate) const fn remover(self) -> u32 {
        (self.0 >> REMOVER_SHIFT & REMOVER_MASK) as u32
    }

    /// The removal was begun, and nobody is at it.
    pub(crate) const fn is_given_up(self) -> bool {
        self.0 & GIVEN_UP != 0
    }

    /// Somebody waits for the end of the removal.
    pub(crate) const fn is_awaited(self) -> bool {
        self.0 & AWAITED != 0
    }

    pub(crate) const fn given_up(self) -> Self {
        Self(self.0 | GIVEN_UP)
    }

    pub(crate) const fn awaited(self) -> Self {
        Self(self.0 | AWAITED)
    }

    /// The word where another thread goes on with the removal.
    pub(crate) const fn taken_over(self, remover: u32) -> Self {
        Self(self.0 & AWAITED | Self::leaving(self.version(), remover).0)
    }

    /// Whether a slot with this word holds the live object that a handle with the version `handle` names.
    ///
    /// Built with `--cfg enodev_unchecked`, tag and generation are ignored: the tests that are to notice a
    /// wrong answer are tried on that build.
    #[inline]
    pub(crate) const fn answers_to(self, handle: Version) -> bool {
        if cfg!(enodev_unchecked) { self.version().is_live() } else { self.0 == handle.0 as u64 }
    }
}

impl fmt::Debug for Word {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.version())?;
        if self.version().is_live() || self.remover() == 0 { Ok(()) } else { write!(f, " by {}", self.remover()) }
    }
}

impl fmt::Debug for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}{}", self.tag(), self.generation(), if self.is_live() { "" } else { "-" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_come_back_as_they_went_in() {
        for (tag, generation) in [(1, 0), (TAG_MAX, GENERATION_LAST), (7, 1), (1, GENERATION_LAST)] {
            let version = Version::live(tag, generation);
            assert!(version.is_live());
            assert_eq!((version.tag(), version.generation()), (tag, generation));
            let leaving = version.leaving();
            assert!(!leaving.is_live());
            assert_eq!((leaving.tag(), leaving.generation()), (tag, generation));
        }
    }

    #[test]
    fn a_later_generation_of_a_tag_is_the_higher_word() {
        assert!(Version::live(3, 8).bits() > Version::live(3, 7).bits());
    }

    #[test]
    fn a_vacant_word_is_no_incarnation_of_any_store() {
        for generation in [0, 1, GENERATION_LAST] {
            assert_eq!(Version::vacant(generation).tag(), 0);
            assert!(!Version::vacant(generation).is_live());
        }
    }

    #[test]
    fn the_generation_after_the_last_one_fits_a_vacant_word() {
        assert_eq!(Version::vacant(GENERATION_LAST + 1).generation(), GENERATION_LAST + 1);
    }

    const REMOVERS: [u32; 4] = [1, 2, 0x1555_5555, REMOVER_MASK as u32];

    /// A slot that holds something, or nothing, says nothing of removals: one compare with a handle is enough.
    #[test]
    fn a_settled_word_is_its_version_and_nothing_else() {
        for version in [Version::live(255, GENERATION_LAST), Version::vacant(7)] {
            let word = Word::settled(version);
            assert_eq!((word.bits(), word.version(), word.remover()), (u64::from(version.bits()), version, 0));
            assert!(!word.is_given_up() && !word.is_awaited());
        }
    }

    #[test]
    fn a_leaving_word_tells_its_incarnation_and_its_remover() {
        let version = Version::live(255, GENERATION_LAST);
        for remover in REMOVERS {
            let word = Word::leaving(version, remover);
            assert_eq!((word.version(), word.remover()), (version.leaving(), remover));
            assert!(!word.is_given_up() && !word.is_awaited());
            assert!(!word.answers_to(version.leaving()) && !word.answers_to(version));
        }
    }

    /// What is said of a removal is said beside the rest, and once more makes no difference.
    #[test]
    fn a_removal_is_given_up_and_awaited_beside_what_else_is_known_of_it() {
        let version = Version::live(1, 5);
        for remover in REMOVERS {
            let word = Word::leaving(version, remover);
            let (given_up, awaited) = (word.given_up(), word.awaited());
            assert_eq!((given_up.is_given_up(), given_up.is_awaited()), (true, false));
            assert_eq!((awaited.is_given_up(), awaited.is_awaited()), (false, true));
            assert_eq!((given_up.given_up(), awaited.awaited()), (given_up, awaited));
            for word in [given_up, awaited, given_up.awaited()] {
                assert_eq!((word.version(), word.remover()), (version.leaving(), remover));
            }
        }
    }

    /// Whoever waits goes on waiting; the removal is somebody's again.
    #[test]
    fn a_removal_that_is_taken_over_is_still_awaited_and_not_given_up() {
        let version = Version::live(1, 5);
        for (former, remover) in REMOVERS.into_iter().zip(REMOVERS.into_iter().rev()) {
            let word = Word::leaving(version, former).given_up();
            assert_eq!(word.taken_over(remover), Word::leaving(version, remover));
            assert_eq!(word.awaited().taken_over(remover), Word::leaving(version, remover).awaited());
        }
    }
}
