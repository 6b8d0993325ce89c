//! Values that know how they are written.

use enodev_handles::Plain;

use crate::parse::{self, Integer};
use crate::{Errno, Page, Result};

/// A plain value with one way to be shown and one to be parsed, each the other's reverse: what an attribute needs that
/// is nothing but a value.
///
/// Integers are so, `bool` (shown as `1` or `0`), `char`, arrays of integers (a space between two), and what
/// [`choices!`](crate::choices) defines.
///
/// # Examples
///
/// ```
/// use enodev_attrs::{Errno, Page, Value};
///
/// let mut page = Page::new();
/// [8_u16, 0x10].show(&mut page)?;
/// assert_eq!(page.as_bytes(), b"8 16\n");
/// assert_eq!(<[u16; 2]>::parse(b"8 0x10\n"), Ok([8, 16]));
/// assert_eq!(<[u16; 2]>::parse(b"8\n"), Err(Errno::EINVAL));
/// # Ok::<(), Errno>(())
/// ```
pub trait Value: Plain {
    /// Appends the value and a newline.
    ///
    /// # Errors
    ///
    /// `E2BIG`: it does not fit, or something before it did not.
    fn show(self, page: &mut Page) -> Result;

    /// The value that `data`, the whole of one write, says.
    ///
    /// # Errors
    ///
    /// `EINVAL`: none. `ERANGE`: an integer that is too large for its type.
    fn parse(data: &[u8]) -> Result<Self>;
}

macro_rules! integers {
    ($($integer:ty)+) => {$(
        /// As [`Page::int`] and [`parse::integer`].
        impl Value for $integer {
            #[inline]
            fn show(self, page: &mut Page) -> Result {
                page.int(self)
            }

            fn parse(data: &[u8]) -> Result<Self> {
                parse::integer(data)
            }
        }
    )+};
}

integers! { u8 i8 u16 i16 u32 i32 u64 i64 u128 i128 usize isize }

/// `1` or `0`; parsed as [`parse::boolean`].
impl Value for bool {
    #[inline]
    fn show(self, page: &mut Page) -> Result {
        page.put_bytes(if self { b"1\n" } else { b"0\n" })
    }

    fn parse(data: &[u8]) -> Result<Self> {
        parse::boolean(data)
    }
}

/// Itself, in UTF-8.
impl Value for char {
    fn show(self, page: &mut Page) -> Result {
        page.line(self)
    }

    fn parse(data: &[u8]) -> Result<Self> {
        let mut chars = parse::text(data)?.chars();
        match (chars.next(), chars.next()) {
            (Some(only), None) => Ok(only),
            _ => Err(Errno::EINVAL),
        }
    }
}

/// Exactly so many integers, one space between two.
impl<T: Integer + Plain, const N: usize> Value for [T; N] {
    fn show(self, page: &mut Page) -> Result {
        for (index, integer) in self.into_iter().enumerate() {
            if index != 0 {
                page.put_bytes(b" ")?;
            }
            page.put(integer)?;
        }
        page.put_bytes(b"\n")
    }

    fn parse(data: &[u8]) -> Result<Self> {
        let text = parse::text(data)?;
        let mut words = text.split(' ').filter(|_| N != 0 || !text.is_empty());
        let mut array = [T::default(); N];
        for integer in &mut array {
            *integer = word(words.next().ok_or(Errno::EINVAL)?)?;
        }
        if words.next().is_some() { Err(Errno::EINVAL) } else { Ok(array) }
    }
}

/// An integer with nothing behind it: the newline of the whole has gone already.
fn word<T: Integer>(text: &str) -> Result<T> {
    if text.ends_with('\n') { Err(Errno::EINVAL) } else { parse::integer(text.as_bytes()) }
}

/// Defines an enum of variants without fields, each with the name under which it is shown and parsed.
///
/// It is `Copy`, [`Plain`] (of one byte; a byte that is no variant's gives the first) and a [`Value`], and has
///
/// - `NAMES`, the names of the variants in their order;
/// - `name(self)`, the name of this one.
///
/// There are 1 to 256 variants. No two may have one name; an empty name or one with a newline, a space or brackets
/// could not be told in the list that [`Page::choice`] shows. Neither compiles.
///
/// # Examples
///
/// ```
/// use enodev_attrs::{Page, Value, choices};
///
/// choices! {
///     /// Whether the device may sleep.
///     pub enum Control {
///         /// It may.
///         Auto = "auto",
///         /// It is kept awake.
///         On = "on",
///     }
/// }
///
/// assert_eq!(Control::parse(b"on\n"), Ok(Control::On));
/// let mut page = Page::new();
/// Control::On.show(&mut page)?;
/// page.choice(Control::NAMES, Control::On as usize)?;
/// assert_eq!(page.as_bytes(), b"on\nauto [on]\n");
/// # Ok::<(), enodev_attrs::Errno>(())
/// ```
///
/// ```compile_fail
/// enodev_attrs::choices! { enum Twice { A = "a", B = "b", C = "a" } }
/// ```
///
/// ```compile_fail
/// enodev_attrs::choices! { enum Blank { A = "on", B = "" } }
/// ```
#[macro_export]
macro_rules! choices {
    ($(#[$meta:meta])* $vis:vis enum $Enum:ident {
        $($(#[$variant_meta:meta])* $Variant:ident = $name:literal),+ $(,)?
    }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        $vis enum $Enum {
            $($(#[$variant_meta])* $Variant),+
        }

        impl $Enum {
            /// The names of the variants in their order.
            $vis const NAMES: &'static [&'static str] = {
                const NAMES: &[&str] = &[$($name),+];
                assert!($crate::__are_choices(NAMES), "no choices: too many, alike, or not words");
                NAMES
            };

            /// The name.
            $vis const fn name(self) -> &'static str {
                match self {
                    $($Enum::$Variant => $name),+
                }
            }

            const VARIANTS: &'static [$Enum] = &[$($Enum::$Variant),+];
        }

        impl $crate::Plain for $Enum {
            type Bytes = [u8; 1];

            fn to_bytes(self) -> [u8; 1] {
                [self as u8]
            }

            fn from_bytes([byte]: [u8; 1]) -> Self {
                $Enum::VARIANTS.get(usize::from(byte)).copied().unwrap_or($Enum::VARIANTS[0])
            }
        }

        impl $crate::Value for $Enum {
            fn show(self, page: &mut $crate::Page) -> $crate::Result {
                page.put_bytes(self.name().as_bytes())?;
                page.put_bytes(b"\n")
            }

            fn parse(data: &[u8]) -> $crate::Result<Self> {
                $crate::parse::choice(data, $Enum::NAMES).map(|index| $Enum::VARIANTS[index])
            }
        }
    };
}

/// Whether these can be the names of [`choices!`](crate::choices).
#[doc(hidden)]
pub const fn __are_choices(names: &[&str]) -> bool {
    let mut index = 0;
    while index < names.len() {
        let mut before = 0;
        while before < index {
            if same(names[before].as_bytes(), names[index].as_bytes()) {
                return false;
            }
            before += 1;
        }
        if !is_word(names[index].as_bytes()) {
            return false;
        }
        index += 1;
    }
    names.len() <= 256
}

const fn same(a: &[u8], b: &[u8]) -> bool {
    let mut at = 0;
    while at < a.len() && at < b.len() && a[at] == b[at] {
        at += 1;
    }
    at == a.len() && at == b.len()
}

const fn is_word(name: &[u8]) -> bool {
    let mut at = 0;
    while at < name.len() && !matches!(name[at], b' ' | b'\n' | b'[' | b']') {
        at += 1;
    }
    at == name.len() && at != 0
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;
    use std::fmt::Debug;

    use proptest::prelude::*;

    use super::*;

    choices! {
        /// How fast.
        #[derive(PartialOrd, Ord)]
        enum Speed {
            /// Not very.
            Low = "low-speed",
            Full = "full-speed",
            High = "high-speed"
        }
    }

    choices! { pub(crate) enum Only { One = "one", } }

    fn shown<T: Value>(value: T) -> Vec<u8> {
        let mut page = Page::new();
        value.show(&mut page).ok();
        page.as_bytes().to_vec()
    }

    fn there_and_back<T: Value + PartialEq + Debug>(value: T) {
        let text = shown(value);
        assert!(text.ends_with(b"\n"));
        assert_eq!(T::parse(&text), Ok(value));
        let chomped = &text[..text.len() - 1];
        // Only the char that is a newline itself needs one more.
        assert!(chomped == b"\n" || T::parse(chomped) == Ok(value));
        assert_eq!(T::from_bytes(value.to_bytes()), value);
    }

    #[test]
    fn values_are_shown_in_one_way() {
        assert_eq!(shown(-7_i8), b"-7\n");
        assert_eq!([shown(true), shown(false)], [b"1\n", b"0\n"]);
        assert_eq!(shown('\u{e9}'), "\u{e9}\n".as_bytes());
        assert_eq!(shown([1_i32, -2, 3]), b"1 -2 3\n");
        assert_eq!(shown([0_u8; 0]), b"\n");
        assert_eq!(shown(Speed::Full), b"full-speed\n");
    }

    #[test]
    fn a_value_that_does_not_fit_is_e2big() {
        let mut page = Page::new();
        page.put_bytes(&[b'x'; crate::PAGE_SIZE - 1]).unwrap();
        assert_eq!(true.show(&mut page), Err(Errno::E2BIG));
        assert_eq!([1_u8; 2000].show(&mut page), Err(Errno::E2BIG));
        page.clear();
        assert_eq!([1_u8; 2049].show(&mut page), Err(Errno::E2BIG));
        page.clear();
        assert_eq!([1_u8; 2048].show(&mut page), Ok(()));
    }

    #[test]
    fn an_array_is_parsed_from_exactly_its_integers() {
        assert_eq!(<[u8; 2]>::parse(b"1 0x2\n"), Ok([1, 2]));
        assert_eq!(<[u8; 0]>::parse(b""), Ok([]));
        for junk in ["", "1", "1 2 3", "1  2", " 1 2", "1 2 ", "1\t2", "1\n2", "1\n 2", "1 2\n\n", "1,2", "1 2\u{e9}"] {
            assert_eq!(<[u8; 2]>::parse(junk.as_bytes()), Err(Errno::EINVAL), "{junk:?}");
        }
        for junk in [" ", "1", "\n\n"] {
            assert_eq!(<[u8; 0]>::parse(junk.as_bytes()), Err(Errno::EINVAL), "{junk:?}");
        }
        assert_eq!(<[u8; 2]>::parse(b"1 256"), Err(Errno::ERANGE));
    }

    #[test]
    fn a_char_is_parsed_from_exactly_one() {
        for value in ['a', ' ', '\n', '\0', '\u{10ffff}'] {
            assert_eq!(char::parse(&shown(value)), Ok(value));
        }
        for junk in [&b""[..], b"\n", b"ab", b"a\n\n", b"\xff"] {
            assert_eq!(char::parse(junk), Err(Errno::EINVAL), "{junk:?}");
        }
    }

    #[test]
    fn choices_go_by_their_names() {
        assert_eq!(Speed::NAMES, ["low-speed", "full-speed", "high-speed"]);
        for (index, speed) in [Speed::Low, Speed::Full, Speed::High].into_iter().enumerate() {
            there_and_back(speed);
            assert_eq!((speed.name(), speed as usize), (Speed::NAMES[index], index));
            assert_eq!(speed.to_bytes(), [index as u8]);
        }
        assert_eq!(Speed::parse(b"high"), Err(Errno::EINVAL));
        assert_eq!(Speed::parse(b"1"), Err(Errno::EINVAL));
        assert!(Speed::Low < Speed::High);
        assert_eq!(HashSet::from([Speed::Low, Speed::Low, Speed::High]).len(), 2);
    }

    #[test]
    fn a_byte_that_is_no_variant_is_the_first() {
        assert_eq!(Speed::SIZE, 1);
        for byte in 3..=255 {
            assert_eq!(Speed::from_bytes([byte]), Speed::Low);
        }
        assert_eq!(Only::from_bytes([1]), Only::One);
    }

    #[test]
    fn names_of_choices_are_words_and_differ() {
        assert!(__are_choices(&["a", "ab", "b", "A"]));
        for names in [&["a", "b", "a"][..], &["a", ""], &["a b"], &["[a]"], &["a\n"], &["x"; 2]] {
            assert!(!__are_choices(names), "{names:?}");
        }
        let many: Vec<String> = (0..257).map(|number| number.to_string()).collect();
        let many: Vec<&str> = many.iter().map(String::as_str).collect();
        assert!(__are_choices(&many[..256]) && !__are_choices(&many));
    }

    proptest! {
        #[test]
        fn every_value_is_parsed_as_it_was_shown(
            a: i8, b: u128, c: bool, d: char, e: [i16; 5], f: [u64; 1], g: [i128; 2], h: usize
        ) {
            there_and_back(a);
            there_and_back(b);
            there_and_back(c);
            there_and_back(d);
            there_and_back(e);
            there_and_back(f);
            there_and_back(g);
            there_and_back(h);
            there_and_back([0_u8; 0]);
        }
    }
}
