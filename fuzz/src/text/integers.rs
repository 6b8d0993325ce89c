//! Integers of each width in each radix.

use std::fmt::{Debug, Display};

use enodev_attrs::parse::{self, Integer};
use enodev_attrs::{Errno, Page};

use super::oracle::{self, Digits};
use super::{Meeting, same};
use crate::source::Source;
use crate::tally::Tally;

/// A type of integers.
pub(super) trait Width: Integer + Display + Debug + PartialEq {
    const HAS_MINUS: bool;
    /// How far the smallest and the largest are from 0.
    const REACH: [u128; 2];
    fn read(text: &str, radix: u32) -> Option<Self>;
    /// The lowest bits of a number.
    fn cut(number: u128) -> Self;
}

macro_rules! widths {
    ($($integer:ident)+) => {$(
        impl Width for $integer {
            const HAS_MINUS: bool = $integer::MIN != 0;
            const REACH: [u128; 2] =
                if Self::HAS_MINUS { [($integer::MAX as u128).wrapping_add(1), $integer::MAX as u128] } else { [0, $integer::MAX as u128] };

            fn read(text: &str, radix: u32) -> Option<Self> {
                $integer::from_str_radix(text, radix).ok()
            }

            fn cut(number: u128) -> Self {
                number as Self
            }
        }
    )+};
}

widths! { u8 i8 u16 i16 u32 i32 u64 i64 u128 i128 usize isize }

pub(super) fn try_one(source: &mut Source<'_>, tally: &mut Tally<Meeting>) {
    match source.byte() % 12 {
        0 => try_width::<u8>(source, tally),
        1 => try_width::<i8>(source, tally),
        2 => try_width::<u16>(source, tally),
        3 => try_width::<i16>(source, tally),
        4 => try_width::<u32>(source, tally),
        5 => try_width::<i32>(source, tally),
        6 => try_width::<u64>(source, tally),
        7 => try_width::<i64>(source, tally),
        8 => try_width::<u128>(source, tally),
        9 => try_width::<i128>(source, tally),
        10 => try_width::<usize>(source, tally),
        _ => try_width::<isize>(source, tally),
    }
}

fn try_width<T: Width>(source: &mut Source<'_>, tally: &mut Tally<Meeting>) {
    let radix = u32::from(source.byte() % 40);
    let text = if source.byte() % 2 == 0 { source.text() } else { near_the_end::<T>(source, radix) };
    let digits = oracle::digits(&text, 0, T::HAS_MINUS);
    compare::<T>(|| format!("integer {text:?}"), parse::integer(&text), digits, tally);
    // Radix 0 is for `integer`, and none for `integer_in`.
    let digits = if radix == 0 { None } else { oracle::digits(&text, radix, T::HAS_MINUS) };
    compare::<T>(|| format!("integer_in {radix} {text:?}"), parse::integer_in(&text, radix), digits, tally);
    there_and_back::<T>(source);
}

/// A number that the type just holds or just does not, as text.
fn near_the_end<T: Width>(source: &mut Source<'_>, radix: u32) -> Vec<u8> {
    let [side, by, shape] = source.array();
    let reach = T::REACH[usize::from(side % 2)].saturating_add_signed(i128::from(by as i8) / 16);
    let radix = if (2..=36).contains(&radix) { radix } else { [10, 16, 8][usize::from(shape % 3)] };
    let digits = oracle::printed(reach, radix);
    let sign = if side % 2 == 0 { "-" } else { ["", "+"][usize::from(shape % 2)] };
    let prefix = ["", "0x", "0X", "0"][usize::from(shape / 4 % 4)];
    let end = ["", "\n", "\n", "\n\n", " "][usize::from(shape / 16 % 5)];
    let zeros = "0".repeat(usize::from(by % 3));
    format!("{sign}{prefix}{zeros}{digits}{end}").into_bytes()
}

fn compare<T: Width>(
    what: impl FnOnce() -> String,
    got: Result<T, Errno>,
    digits: Option<Digits>,
    tally: &mut Tally<Meeting>,
) {
    let expected = oracle::expected(digits.as_ref(), T::REACH, T::read);
    match (&expected, &digits) {
        (Err(Errno::ERANGE), _) => tally.note(Meeting::TooLarge),
        (Err(_), _) => tally.note(Meeting::NoInteger),
        (Ok(_), Some(digits)) => {
            let reach = T::REACH[usize::from(!digits.negative)];
            if reach > 0 && !digits.is_at_most(reach - 1) {
                tally.note(Meeting::Outermost);
            }
            if digits.radix != 10 {
                tally.note(Meeting::OtherBase);
            }
        }
        _ => {}
    }
    same(what, got, expected);
}

fn there_and_back<T: Width>(source: &mut Source<'_>) {
    let bits = u128::from(source.number()) << 64 | u128::from(source.number());
    let integer = T::cut(bits >> (u32::from(source.byte()) % 128));
    let mut page = Page::new();
    let len = 4096 - usize::from(source.byte() % 80);
    // Whether there is room for all, for a slow way or for none.
    let filled = page.put_bytes(&vec![b'x'; len]);
    let room = 4096 - len;
    let text = format!("{integer}\n");
    let shown = filled.and_then(|()| page.int(integer));
    let expected = if text.len() <= room { Ok(()) } else { Err(Errno::E2BIG) };
    same(|| format!("{integer} in {room} bytes"), shown, expected);
    if shown.is_ok() {
        same(|| format!("{integer} as text"), &page.as_bytes()[len..], text.as_bytes());
        same(|| format!("{integer} and back"), parse::integer(&page.as_bytes()[len..]), Ok(integer));
    }
}
