//! The fields of a handle's bits: `tag:8 generation:23 1 index:32`.
//!
//! The numbers are opaque to users. Forging them well takes knowing them.

const GENERATION_SHIFT: u32 = 33;
const GENERATION_MASK: u32 = (1 << 23) - 1;
const TAG_SHIFT: u32 = 56;

/// The last generation that a slot can have.
pub(crate) const GENERATION_LAST: u32 = GENERATION_MASK - 1;

pub(crate) fn index(bits: u64) -> u32 {
    bits as u32
}

pub(crate) fn generation(bits: u64) -> u32 {
    (bits >> GENERATION_SHIFT) as u32 & GENERATION_MASK
}

pub(crate) fn tag(bits: u64) -> u8 {
    (bits >> TAG_SHIFT) as u8
}

fn with(tag: u8, generation: u32, index: u32) -> u64 {
    u64::from(tag) << TAG_SHIFT
        | u64::from(generation & GENERATION_MASK) << GENERATION_SHIFT
        | 1 << 32
        | u64::from(index)
}

/// Bits that differ from `bits` in one field or in several.
pub(crate) fn forge(bits: u64, how: u8, by: u8) -> u64 {
    let (tag, generation, index) = (tag(bits), generation(bits), index(bits));
    let small = by & 7;
    match how % 12 {
        0 => with(tag, generation + 1, index),
        1 => with(tag, generation.wrapping_sub(1), index),
        2 => with(tag, generation ^ (1 << (by % 23)), index),
        3 => with(tag.wrapping_add(small), generation, index),
        // What a vacant slot's word would be, were it a handle's.
        4 => with(0, generation + u32::from(by & 1), index),
        5 => with(tag, generation, index.wrapping_add(u32::from(small))),
        6 => with(tag, generation, index ^ (1 << (by % 32))),
        7 => with(tag, generation, u32::MAX - u32::from(by)),
        8 => with(by, generation, index),
        9 => bits ^ (1 << (by % 64)),
        10 => bits.swap_bytes().wrapping_add(u64::from(by)),
        _ => u64::from_le_bytes([how, by, small, by, how, small, how ^ by, by]),
    }
}
