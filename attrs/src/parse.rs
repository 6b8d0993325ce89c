//! What a `store` makes of the bytes that it is given.
//!
//! The rules are those of the functions that drivers of Linux call. All take one newline at the end, as `echo` puts it
//! there, for no part of the value. No function passes over other white space, nor stops at a NUL: both are junk, but to
//! [`boolean`], which does not look so far.
//!
//! ```
//! use enodev_attrs::{Errno, parse};
//!
//! assert_eq!(parse::integer::<u16>(b"0x1f\n"), Ok(31));
//! assert_eq!(parse::integer::<u8>(b"256\n"), Err(Errno::ERANGE));
//! assert_eq!(parse::boolean(b"on\n"), Ok(true));
//! assert_eq!(parse::choice(b"auto\n", &["on", "auto"]), Ok(1));
//! assert_eq!(parse::text(b"two lines\n\n"), Ok("two lines\n"));
//! ```

pub use crate::integer::Integer;
use crate::{Errno, Result};

/// The text without the newline at the end.
///
/// # Errors
///
/// `EINVAL`: it is not UTF-8.
pub fn text(data: &[u8]) -> Result<&str> {
    std::str::from_utf8(chomped(data)).map_err(|_not_utf8| Errno::EINVAL)
}

/// An integer as a programmer writes it: after the sign `0x` for base 16, another `0` for base 8, else base 10.
///
/// A `+` may stand in front, for the signed types a `-` too. As `kstrtol(…, 0, …)` and its likes.
///
/// # Errors
///
/// - `EINVAL`: there is no digit, or something else than digits, however large the number before it is. (Linux tells
///   the overflow of its largest type first.)
/// - `ERANGE`: the type is too small.
pub fn integer<T: Integer>(data: &[u8]) -> Result<T> {
    let (negative, digits) = sign::<T>(data);
    match digits {
        [b'0', b'x' | b'X', digits @ ..] => number(digits, 16, negative),
        // The leading 0 is a digit of its own, so that a 0 alone is one.
        [b'0', ..] => number(digits, 8, negative),
        digits => number(digits, 10, negative),
    }
}

/// An integer in a given radix, without a prefix; `0x` may stand in front of one in radix 16.
///
/// A `+` may stand in front, for the signed types a `-` too. As `kstrtol` and its likes with a base that is not 0.
///
/// # Errors
///
/// Those of [`integer`], and `EINVAL` for a radix outside `2..=36`.
pub fn integer_in<T: Integer>(data: &[u8], radix: u32) -> Result<T> {
    let (negative, digits) = sign::<T>(data);
    let radix = u8::try_from(radix).ok().filter(|radix| (2..=36).contains(radix)).ok_or(Errno::EINVAL)?;
    match digits {
        [b'0', b'x' | b'X', digits @ ..] if radix == 16 => number(digits, 16, negative),
        digits => number(digits, radix, negative),
    }
}

/// Yes or no, decided by how the text begins: `y`, `t`, `1` and `on` are true, `n`, `f`, `0` and `of` are false, in
/// either case. What follows makes no difference. As `kstrtobool`, which in newer kernels takes `e` and `d` too.
///
/// # Errors
///
/// `EINVAL`: it begins otherwise.
pub fn boolean(data: &[u8]) -> Result<bool> {
    match data {
        [b'y' | b'Y' | b't' | b'T' | b'1', ..] | [b'o' | b'O', b'n' | b'N', ..] => Ok(true),
        [b'n' | b'N' | b'f' | b'F' | b'0', ..] | [b'o' | b'O', b'f' | b'F', ..] => Ok(false),
        _ => Err(Errno::EINVAL),
    }
}

/// The index of the first of these names that the text is, whole and in the same case. As `sysfs_match_string`.
///
/// # Errors
///
/// `EINVAL`: it is none of them.
pub fn choice(data: &[u8], names: &[&str]) -> Result<usize> {
    let chosen = chomped(data);
    names.iter().position(|name| name.as_bytes() == chosen).ok_or(Errno::EINVAL)
}

/// All but one newline at the end.
fn chomped(data: &[u8]) -> &[u8] {
    data.strip_suffix(b"\n").unwrap_or(data)
}

/// Whether the number is negative, and what comes after its sign.
fn sign<T: Integer>(data: &[u8]) -> (bool, &[u8]) {
    match chomped(data) {
        [b'-', digits @ ..] if T::SIGNED => (true, digits),
        [b'+', digits @ ..] => (false, digits),
        digits => (false, digits),
    }
}

fn number<T: Integer>(digits: &[u8], radix: u8, negative: bool) -> Result<T> {
    if digits.is_empty() {
        return Err(Errno::EINVAL);
    }
    // None: too large. What comes then is looked at all the same.
    let mut number = Some(T::default());
    for &digit in digits {
        let digit = value(digit).filter(|&digit| digit < radix).ok_or(Errno::EINVAL)?;
        number = number.and_then(|number| number.push(digit, radix, negative));
    }
    number.ok_or(Errno::ERANGE)
}

/// What a digit of base 36 is worth.
fn value(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'z' => Some(digit - b'a' + 10),
        b'A'..=b'Z' => Some(digit - b'A' + 10),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::num::IntErrorKind;

    use proptest::prelude::*;

    use super::*;

    const EINVAL: Errno = Errno::EINVAL;
    const ERANGE: Errno = Errno::ERANGE;

    #[test]
    fn one_newline_is_no_part_of_a_text() {
        assert_eq!(text(b"on\n"), Ok("on"));
        assert_eq!(text(b"on"), Ok("on"));
        assert_eq!(text(b"\n"), Ok(""));
        assert_eq!(text(b""), Ok(""));
        assert_eq!(text(b" on \r\n\n"), Ok(" on \r\n"));
        assert_eq!(text("\u{e9}".as_bytes()), Ok("\u{e9}"));
        assert_eq!(text(b"on\xff"), Err(EINVAL));
    }

    #[test]
    fn the_prefix_says_the_base() {
        for (data, number) in [
            ("0", 0),
            ("-0", 0),
            ("+7\n", 7),
            ("-7\n", -7),
            ("010", 8),
            ("-0777\n", -511),
            ("00", 0),
            ("0x10", 16),
            ("0XfF\n", 255),
            ("+0xAb", 171),
            ("-0x80000000", -0x8000_0000),
            ("2147483647", 0x7fff_ffff),
        ] {
            assert_eq!(integer::<i32>(data.as_bytes()), Ok(number), "{data}");
        }
    }

    #[test]
    fn junk_is_einval_and_too_large_a_number_erange() {
        for data in [
            "",
            "\n",
            "+",
            "-",
            "--1",
            "+-1",
            "-+1",
            "++1",
            " 1",
            "1 ",
            "1\n\n",
            "\n1",
            "1\0",
            "1.0",
            "1_000",
            "08",
            "0x",
            "0xg",
            "0x0x1",
            "x1",
            "0b1",
            "a",
            "1a",
            "\u{661}",
            "99999999999999999999999999999999999999999x",
        ] {
            assert_eq!(integer::<i64>(data.as_bytes()), Err(EINVAL), "{data:?}");
        }
        assert_eq!(integer::<u8>(b"-1"), Err(EINVAL));
        assert_eq!(integer::<u8>(b"-0"), Err(EINVAL));
        assert_eq!(integer::<u8>(b"256x"), Err(EINVAL));
        assert_eq!(integer::<u8>(b"256"), Err(ERANGE));
        assert_eq!(integer::<u8>(b"0400"), Err(ERANGE));
        assert_eq!(integer::<u8>(b"0x100"), Err(ERANGE));
        assert_eq!(integer::<i8>(b"128"), Err(ERANGE));
        assert_eq!(integer::<i8>(b"-129"), Err(ERANGE));
        assert_eq!(integer::<i8>(b"-128"), Ok(-128));
        assert_eq!(integer::<u8>(b"1000"), Err(ERANGE));
        assert_eq!(integer::<u8>(&[b"+".as_slice(), &[b'0'; 4000], b"377"].concat()), Ok(255));
    }

    #[test]
    fn a_radix_that_is_given_leaves_no_prefix_but_that_of_16() {
        assert_eq!(integer_in::<u32>(b"010", 10), Ok(10));
        assert_eq!(integer_in::<u32>(b"10", 8), Ok(8));
        assert_eq!(integer_in::<u32>(b"+0xff\n", 16), Ok(255));
        assert_eq!(integer_in::<u32>(b"ff", 16), Ok(255));
        assert_eq!(integer_in::<i32>(b"-101", 2), Ok(-5));
        assert_eq!(integer_in::<u32>(b"zZ", 36), Ok(35 * 37));
        for (data, radix) in
            [("0x1", 10), ("0x", 16), ("8", 8), ("2", 2), ("z", 35), ("1", 0), ("1", 1), ("1", 37), ("0", 258)]
        {
            assert_eq!(integer_in::<u32>(data.as_bytes(), radix), Err(EINVAL), "{data} {radix}");
        }
        // In a radix above 33 an x is a digit.
        assert_eq!(integer_in::<u32>(b"0x1", 36), Ok(33 * 36 + 1));
    }

    /// The first letter decides, or two that begin with an o; nothing else is looked at.
    #[test]
    fn a_boolean_is_decided_by_how_it_begins() {
        for first in 0..=255_u8 {
            for second in 0..=255_u8 {
                let told = match (first.to_ascii_lowercase(), second.to_ascii_lowercase()) {
                    (b'y' | b't' | b'1', _) | (b'o', b'n') => Ok(true),
                    (b'n' | b'f' | b'0', _) | (b'o', b'f') => Ok(false),
                    _ => Err(EINVAL),
                };
                assert_eq!(boolean(&[first, second]), told);
                assert_eq!(boolean(&[first, second, b'x', b'\n']), told);
            }
            let alone = if first.eq_ignore_ascii_case(&b'o') { Err(EINVAL) } else { boolean(&[first, 0]) };
            assert_eq!(boolean(&[first]), alone);
        }
        assert_eq!(boolean(b""), Err(EINVAL));
    }

    #[test]
    fn a_choice_is_one_name_whole() {
        let names = ["on", "auto", "on", ""];
        assert_eq!(choice(b"auto\n", &names), Ok(1));
        assert_eq!(choice(b"on", &names), Ok(0));
        assert_eq!(choice(b"\n", &names), Ok(3));
        for junk in ["o", "onn", "On", " on", "on ", "auto\n\n", "auto\0"] {
            assert_eq!(choice(junk.as_bytes(), &names), Err(EINVAL), "{junk:?}");
        }
        assert_eq!(choice(b"on", &[]), Err(EINVAL));
    }

    /// What the standard library makes of the same text.
    fn theirs<T>(parsed: Result<T, std::num::ParseIntError>) -> Result<T> {
        parsed.map_err(|error| match error.kind() {
            IntErrorKind::PosOverflow | IntErrorKind::NegOverflow => ERANGE,
            _ => EINVAL,
        })
    }

    macro_rules! against_std {
        ($($integer:ident)+) => {$(
            mod $integer {
                use super::*;

                proptest! {
                    /// In each radix: any text of digits, of roughly the length at which the type overflows.
                    #[test]
                    fn digits_are_read_as_std_reads_them(
                        radix in 2_u32..=36,
                        sign in "[+-]?",
                        digits in proptest::collection::vec(0_u32..36, 0..140),
                        len in 0_usize..140,
                    ) {
                        let digits = digits.iter().filter_map(|digit| char::from_digit(digit % radix, radix)).take(len);
                        let text = sign + &digits.collect::<String>();
                        let ours = integer_in::<$integer>(text.as_bytes(), radix);
                        // Only they take an overflow for one before they have met junk; here there is none.
                        prop_assert_eq!(ours, theirs($integer::from_str_radix(&text, radix)));
                    }

                    #[test]
                    fn any_number_comes_back_in_every_notation(number: $integer) {
                        let [plain, plus] = [format!("{number}\n"), format!("{number:+}\n")];
                        prop_assert_eq!(integer(plain.as_bytes()), Ok(number));
                        prop_assert_eq!(integer_in(plus.as_bytes(), 10), Ok(number));
                        let negative = plain.starts_with('-');
                        let (sign, far) = if negative { ("-", number.wrapping_neg()) } else { ("", number) };
                        prop_assert_eq!(integer(format!("{sign}{far:#x}").as_bytes()), Ok(number));
                        prop_assert_eq!(integer(format!("{sign}0{far:o}\n").as_bytes()), Ok(number));
                        prop_assert_eq!(integer_in(format!("{sign}{far:X}\n").as_bytes(), 16), Ok(number));
                    }

                    /// Near the end of the type, where the last digit decides.
                    #[test]
                    fn the_bounds_are_those_of_the_type(beyond in 0_u8..20, radix in 2_u32..=36) {
                        let max = format!("{}", $integer::MAX);
                        // The last digit of a MAX is 5 or 7.
                        let (front, last) = max.split_at(max.len() - 1);
                        let near = format!("{front}{}", (last.as_bytes()[0] - b'0' + beyond) % 10);
                        for near in [format!("-{near}"), near] {
                            prop_assert_eq!(integer::<$integer>(near.as_bytes()), theirs(near.parse()));
                        }
                        let more = format!("{max}{}", char::from_digit(beyond.into(), 36).unwrap());
                        let is_number = more.chars().all(|digit| digit.is_digit(radix));
                        let told = if is_number { theirs($integer::from_str_radix(&more, radix)) } else { Err(EINVAL) };
                        prop_assert_eq!(integer_in::<$integer>(more.as_bytes(), radix), told);
                    }
                }
            }
        )+};
    }

    against_std! { u8 i8 u16 i16 u32 i32 u64 i64 u128 i128 usize isize }

    proptest! {
        /// Anything at all gives a value or one of two errors; what is taken is what std takes.
        #[test]
        fn no_bytes_are_too_odd(
            data in proptest::collection::vec(any::<u8>(), 0..8),
            like in "[+-]?(0x|0)?[0-9a-g]{0,4}\n?\n?",
        ) {
            for data in [&data[..], like.as_bytes()] {
                let ours = integer_in::<i16>(data, 10);
                let std = std::str::from_utf8(chomped(data)).map_or(Err(EINVAL), |text| theirs(text.parse::<i16>()));
                prop_assert_eq!(ours.ok(), std.ok());
                prop_assert!(matches!(integer::<i16>(data), Ok(_) | Err(EINVAL | ERANGE)));
            }
        }
    }
}
