//! What an interpreter takes from the bytes of its input. Where those are at their end, it goes on with zeros.

/// Numbers beside which something changes: sizes of pages, of types, of what Linux can hold.
const EDGES: [u64; 16] = [
    0,
    8,
    64,
    127,
    255,
    4096,
    8192,
    1 << 16,
    1 << 31,
    1 << 32,
    1 << 48,
    1 << 62,
    i64::MAX as u64,
    1 << 63,
    u64::MAX - 4096,
    u64::MAX,
];

#[derive(Debug, Clone)]
pub(crate) struct Source<'a>(&'a [u8]);

impl<'a> Source<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn byte(&mut self) -> u8 {
        let Some((first, rest)) = self.0.split_first() else { return 0 };
        self.0 = rest;
        *first
    }

    /// As many bytes, or what is left.
    pub(crate) fn bytes(&mut self, len: usize) -> &'a [u8] {
        let (taken, rest) = self.0.split_at(len.min(self.0.len()));
        self.0 = rest;
        taken
    }

    pub(crate) fn array<const N: usize>(&mut self) -> [u8; N] {
        std::array::from_fn(|_| self.byte())
    }

    /// One of several.
    pub(crate) fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[usize::from(self.byte()) % from.len()]
    }

    /// Any number, most often one beside an edge.
    pub(crate) fn number(&mut self) -> u64 {
        let code = self.byte();
        match code {
            0..=15 => u64::from(code),
            16..=239 => {
                let by = i64::from(self.byte() as i8) / 8;
                EDGES[usize::from(code % 16)].wrapping_add_signed(by)
            }
            _ => u64::from_le_bytes(self.array()),
        }
    }

    /// How many bytes an operation asks for: few, about a page, or more.
    pub(crate) fn len(&mut self) -> usize {
        match self.byte() {
            small @ 0..=191 => usize::from(small % 24),
            large => 4096 - 16 + usize::from(large % 32),
        }
    }

    /// Some text: what stands in the input, or a digit or the like for each byte of it; perhaps again and again.
    pub(crate) fn text(&mut self) -> Vec<u8> {
        const LETTERS: &[u8; 32] = b"0123456789abcdefxXzyYnNoO+-\n ./\0";
        let shape = self.byte();
        let len = usize::from(self.byte() % 48);
        let bytes = self.bytes(len);
        let mut text: Vec<u8> = match shape % 4 {
            0 => bytes.to_vec(),
            1 => bytes.iter().map(|byte| b'0' + byte % 10).collect(),
            _ => bytes.iter().map(|byte| LETTERS[usize::from(byte % 32)]).collect(),
        };
        if shape >= 224 {
            text = text.repeat(usize::from(shape - 223) * 4);
        }
        text
    }
}
