//! Integers, digit by digit.

/// The integers: `u8` to `u128`, `i8` to `i128`, `usize` and `isize`. Cannot be implemented outside this crate.
pub trait Integer: sealed::Integer {}

impl<T: sealed::Integer> Integer for T {}

pub(crate) mod sealed {
    #![expect(clippy::unnecessary_cast, reason = "one of the types is the one that is cast to")]

    use std::fmt::Display;

    pub trait Integer: Copy + Default + Display {
        /// Whether there are negative ones.
        const SIGNED: bool;

        /// `self * radix + digit`, or `- digit` in a negative number. `None` where the type is too small for that.
        fn push(self, digit: u8, radix: u8, negative: bool) -> Option<Self>;

        /// Whether it is negative, and how far it is from 0.
        fn parts(self) -> (bool, u128);
    }

    macro_rules! integers {
        ($signed:literal, $negative:expr, $($integer:ty)+) => {$(
            impl Integer for $integer {
                const SIGNED: bool = $signed;

                #[inline]
                fn push(self, digit: u8, radix: u8, negative: bool) -> Option<Self> {
                    // Radix and digit are below 37, which fits the smallest type.
                    let (digit, shifted) = (digit as Self, self.checked_mul(radix as Self)?);
                    if negative { shifted.checked_sub(digit) } else { shifted.checked_add(digit) }
                }

                #[inline]
                fn parts(self) -> (bool, u128) {
                    $negative(self)
                }
            }
        )+};
    }

    integers! { false, |number| (false, number as u128), u8 u16 u32 u64 u128 usize }
    integers! { true, |number: Self| (number < 0, number.unsigned_abs() as u128), i8 i16 i32 i64 i128 isize }
}

/// The most bytes by which [`line`] lengthens its text meanwhile: a sign, 39 digits, and what is put too much.
pub(crate) const ROOM: usize = 64;

/// What one group of digits counts up to.
const GROUP: u64 = 100_000_000;

/// Appends an integer in decimal, and a newline.
#[inline]
pub(crate) fn line<T: Integer>(text: &mut Vec<u8>, integer: T) {
    match integer.parts() {
        (false, distance) if distance < u128::from(GROUP) => front(text, distance as u64, 1),
        (negative, distance) => {
            if negative {
                text.push(b'-');
            }
            match u64::try_from(distance) {
                Ok(distance) => narrow(text, distance),
                Err(_) => wide(text, distance),
            }
            text.push(b'\n');
        }
    }
}

/// Splits off two groups at a time as long as the rest does not fit in 64 bits, whose divisions are far cheaper.
fn wide(text: &mut Vec<u8>, number: u128) {
    const GROUPS: u128 = (GROUP * GROUP) as u128;
    let rest = (number % GROUPS) as u64;
    match u64::try_from(number / GROUPS) {
        Ok(number) => narrow(text, number),
        Err(_) => wide(text, number / GROUPS),
    }
    text.extend_from_slice(&group(rest / GROUP).to_le_bytes());
    text.extend_from_slice(&group(rest % GROUP).to_le_bytes());
}

fn narrow(text: &mut Vec<u8>, number: u64) {
    if number < GROUP {
        return front(text, number, 0);
    }
    narrow(text, number / GROUP);
    text.extend_from_slice(&group(number % GROUP).to_le_bytes());
}

/// Appends the digits of a number below `GROUP`, and `newlines`, at most one. What is appended is made in a register,
/// and its length is known to the compiler: both make it fast.
#[inline]
fn front(text: &mut Vec<u8>, number: u64, newlines: usize) {
    let digits = group(number);
    // The first digit is the lowest byte. One 0 stays where there is nothing else.
    let zeros = ((digits ^ 0x3030_3030_3030_3030) | 1 << 56).trailing_zeros() / 8;
    let line = (u128::from(digits) | u128::from(b'\n') << 64) >> (8 * zeros);
    let len = text.len() + 8 - zeros as usize + newlines;
    text.extend_from_slice(&line.to_le_bytes());
    text.truncate(len);
}

/// The eight digits of a number below `GROUP`, the first of them in the lowest byte.
#[inline]
fn group(number: u64) -> u64 {
    let [high, low] = [number / 10_000, number % 10_000].map(|four| {
        let ([a, b], [c, d]) = (PAIRS[(four / 100) as usize], PAIRS[(four % 100) as usize]);
        u64::from(u32::from_le_bytes([a, b, c, d]))
    });
    high | low << 32
}

/// "00", "01" and so on to "99".
const PAIRS: [[u8; 2]; 100] = {
    let mut pairs = [[0; 2]; 100];
    let mut number = 0;
    while number < 100 {
        pairs[number] = [b'0' + number as u8 / 10, b'0' + number as u8 % 10];
        number += 1;
    }
    pairs
};
