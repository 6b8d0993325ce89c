//! What all contenders store, and in which order it is read.

/// What every contender stores of an object: 32 bytes, of which a get reads 8.
#[derive(Clone, Copy, Debug)]
pub struct Payload {
    word: u64,
    _rest: [u64; 3],
}

const _: () = assert!(size_of::<Payload>() == 32);

impl Payload {
    /// The payload of the object with this number.
    #[must_use]
    pub const fn new(number: u64) -> Self {
        // Not 0, which stands for an object that was not found.
        Self { word: !number, _rest: [number; 3] }
    }

    /// The part that is read.
    #[inline]
    #[must_use]
    pub const fn word(&self) -> u64 {
        self.word
    }

    /// The object's number.
    #[inline]
    #[must_use]
    pub const fn number(&self) -> u64 {
        !self.word
    }
}

/// The payloads of a contender that begins with `objects` objects.
pub(crate) fn payloads(objects: usize) -> impl Iterator<Item = Payload> {
    (0..objects as u64).map(Payload::new)
}

/// Shuffles, and does the same to any two slices of the same length.
pub(crate) fn shuffle<T>(items: &mut [T]) {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    for last in (1..items.len()).rev() {
        // A step of xorshift64.
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        items.swap(last, (state % (last as u64 + 1)) as usize);
    }
}

#[cfg(test)]
mod tests {
    use super::shuffle;

    #[test]
    fn a_shuffle_loses_nothing_and_is_the_same_for_all() {
        let mut numbers: Vec<u32> = (0..1000).collect();
        let mut texts: Vec<String> = (0..1000).map(|n: u32| n.to_string()).collect();
        shuffle(&mut numbers);
        shuffle(&mut texts);
        assert!(numbers.iter().zip(&texts).all(|(number, text)| number.to_string() == *text));
        let in_place = (0..).zip(&numbers).filter(|(n, m)| n == *m).count();
        assert!(in_place < 20, "{in_place} of 1000 stayed where they were");
        numbers.sort_unstable();
        assert!(numbers.into_iter().eq(0..1000));
    }
}
