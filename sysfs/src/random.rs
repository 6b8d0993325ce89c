//! Numbers that look random, and are the same for the same seed.

/// What the generator adds for each number: 2^64 by the golden ratio.
const STEP: u64 = 0x9e37_79b9_7f4a_7c15;

/// A small generator: Steele, Lea and Flood's SplitMix64.
#[derive(Debug)]
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self(mix(seed))
    }

    pub(crate) fn bits(&mut self) -> u64 {
        let bits = mix(self.0);
        self.0 = self.0.wrapping_add(STEP);
        bits
    }

    pub(crate) fn below(&mut self, end: usize) -> usize {
        below(self.bits(), end)
    }
}

/// Spreads bits over all others. No two numbers give the same.
pub(crate) fn mix(bits: u64) -> u64 {
    let bits = bits.wrapping_add(STEP);
    let bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ (bits >> 31)
}

/// A number below `end` out of random bits, by the upper half of them.
pub(crate) fn below(bits: u64, end: usize) -> usize {
    (((bits >> 32) * end as u64) >> 32) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_numbers_are_those_of_splitmix() {
        // The first of the seed 0, as Vigna's reference code gives them.
        let mut random = Random(0);
        assert_eq!(
            [random.bits(), random.bits(), random.bits()],
            [0xe220_a839_7b1d_cdaf, 0x6e78_9e6a_a1b9_65f4, 0x06c4_5d18_8009_454f]
        );
    }

    #[test]
    fn numbers_are_below_their_end_and_reach_it() {
        let mut random = Random::new(7);
        let mut counts = [0; 10];
        (0..10_000).for_each(|_| counts[random.below(10)] += 1);
        assert!(counts.iter().all(|count| (800..1200).contains(count)), "{counts:?}");
        assert_eq!([below(0, 3), below(u64::MAX, 3), below(u64::MAX, 0)], [0, 2, 0]);
    }
}
