//! Integers, digit by digit.

/// The integers: `u8` to `u128`, `i8` to `i128`, `usize` and `isize`. Cannot be implemented outside this crate.
pub trait Integer: sealed::Integer {}

impl<T: sealed::Integer> Integer for T {}

pub(crate) mod sealed {
    #![expect(clippy::unnecessary_cast, reason = "one of the types is the one that is cast to")]

    pub trait Integer: Copy + Default {
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

/// The most bytes that an integer has in decimal, its sign included.
const DECIMAL_MAX: usize = 40;

/// An integer in decimal, and a newline.
pub(crate) struct Line {
    /// The text stands at the end.
    bytes: [u8; DECIMAL_MAX + 1],
    start: usize,
}

/// "00", "01" and so on to "99".
const PAIRS: [[u8; 2]; 100] = {
    let mut pairs = [[b'0'; 2]; 100];
    let mut number = 0;
    while number < 100 {
        pairs[number] = [b'0' + number as u8 / 10, b'0' + number as u8 % 10];
        number += 1;
    }
    pairs
};

impl Line {
    #[inline]
    pub(crate) fn of<T: Integer>(integer: T) -> Line {
        let mut line = Line { bytes: [b'0'; DECIMAL_MAX + 1], start: DECIMAL_MAX };
        line.bytes[DECIMAL_MAX] = b'\n';
        let (negative, mut distance) = integer.parts();
        // The most powers of ten that fit in 64 bits, whose divisions are far cheaper.
        const LOW: u128 = 10_u128.pow(19);
        while distance > u128::from(u64::MAX) {
            let before = line.start;
            line.digits((distance % LOW) as u64);
            // Zeros in front of what is not the front.
            line.start = before - 19;
            distance /= LOW;
        }
        line.digits(distance as u64);
        if negative {
            line.start -= 1;
            line.bytes[line.start] = b'-';
        }
        line
    }

    /// Puts a number in front, two digits at a time.
    #[inline]
    fn digits(&mut self, mut number: u64) {
        while number >= 100 {
            self.pair((number % 100) as usize);
            number /= 100;
        }
        if number >= 10 {
            self.pair(number as usize);
        } else {
            self.start -= 1;
            self.bytes[self.start] = b'0' + number as u8;
        }
    }

    #[inline]
    fn pair(&mut self, number: usize) {
        self.start -= 2;
        self.bytes[self.start..self.start + 2].copy_from_slice(&PAIRS[number]);
    }

    #[inline]
    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.bytes[self.start..]
    }
}
