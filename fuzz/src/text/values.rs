//! Values, shown and parsed.

use std::fmt::Debug;

use enodev_attrs::{Errno, Page, Value, choices};

use super::integers::Width;
use super::{Meeting, oracle, same};
use crate::source::Source;
use crate::tally::Tally;

choices! {
    /// Names of which some begin as others do.
    pub enum Power {
        /// Nothing runs.
        Off = "off",
        /// It runs.
        On = "on",
        /// It runs when it likes.
        OnDemand = "on-demand",
    }
}

pub(super) fn try_one(source: &mut Source<'_>, tally: &mut Tally<Meeting>) {
    match source.byte() % 8 {
        0 => array::<u8, 2>(source, tally),
        1 => array::<i64, 3>(source, tally),
        2 => array::<i128, 1>(source, tally),
        3 => array::<u32, 0>(source, tally),
        4 => array::<i8, 40>(source, tally),
        5 => {
            let bits = source.number() as u32;
            let letter = char::from_u32(bits).or_else(|| char::from_u32(bits % 0xd800)).unwrap_or('a');
            there_and_back(letter, &format!("{letter}\n"));
            let text = source.text();
            let one = std::str::from_utf8(text.strip_suffix(b"\n").unwrap_or(&text)).ok();
            let one = one.filter(|one| one.chars().count() == 1).and_then(|one| one.chars().last());
            same(|| format!("char {text:?}"), char::parse(&text), one.ok_or(Errno::EINVAL));
        }
        6 => {
            let yes = source.byte() % 2 == 1;
            there_and_back(yes, if yes { "1\n" } else { "0\n" });
        }
        _ => power(source),
    }
}

fn power(source: &mut Source<'_>) {
    let byte = source.byte();
    let power = Power::NAMES.iter().position(|name| name.len() == [3, 2, 9][usize::from(byte % 3)]);
    let value = <Power as enodev_attrs::Plain>::from_bytes([byte]);
    let expected = [Power::Off, Power::On, Power::OnDemand].into_iter().find(|one| *one as u8 == byte);
    same(|| format!("the choice of byte {byte}"), value, expected.unwrap_or(Power::Off));
    same(|| "the place of a name".into(), power, Some(usize::from(byte % 3)));
    there_and_back(value, &format!("{}\n", value.name()));
    let text = source.text();
    let known = Power::NAMES.iter().position(|name| text == name.as_bytes() || text == format!("{name}\n").as_bytes());
    let parsed = Power::parse(&text).map(|power| power as usize);
    same(|| format!("choice {text:?}"), parsed, known.ok_or(Errno::EINVAL));
}

fn there_and_back<T: Value + PartialEq + Debug>(value: T, text: &str) {
    let mut page = Page::new();
    same(|| format!("{value:?} is shown"), value.show(&mut page), Ok(()));
    same(|| format!("{value:?} as text"), page.as_bytes(), text.as_bytes());
    same(|| format!("{value:?} and back"), T::parse(text.as_bytes()), Ok(value));
}

fn array<T, const N: usize>(source: &mut Source<'_>, tally: &mut Tally<Meeting>)
where
    T: Width + enodev_attrs::Plain,
    [T; N]: Value + PartialEq + Debug,
{
    let array: [T; N] = std::array::from_fn(|_| T::cut(u128::from(source.number()) * u128::from(source.byte())));
    let words: Vec<String> = array.iter().map(T::to_string).collect();
    let mut text = format!("{}\n", words.join(" "));
    there_and_back(array, &text);
    // Spoilt here and there.
    for _ in 0..source.byte() % 3 {
        let at = usize::from(source.byte()) % (text.len() + 1);
        text.insert(at, source.pick(&[' ', '\n', '-', '9', 'x', '\t']));
    }
    let data = if source.byte() % 4 == 0 { source.text() } else { text.into_bytes() };
    let expected = parsed::<T>(&data, N);
    if expected.is_ok() && N > 1 {
        tally.note(Meeting::Array);
    }
    same(|| format!("array {data:?}"), <[T; N]>::parse(&data).map(Vec::from), expected);
}

/// The integers between spaces; of several errors the first word's counts, and a number of words that is wrong comes last.
fn parsed<T: Width>(data: &[u8], count: usize) -> Result<Vec<T>, Errno> {
    let text = String::from_utf8(data.to_vec()).map_err(|_| Errno::EINVAL)?;
    let text = text.strip_suffix('\n').unwrap_or(&text);
    if count == 0 {
        return if text.is_empty() { Ok(Vec::new()) } else { Err(Errno::EINVAL) };
    }
    let words: Vec<&str> = text.split(' ').collect();
    let mut array = Vec::new();
    for word in words.iter().take(count) {
        let digits = oracle::digits(word.as_bytes(), 0, T::HAS_MINUS).filter(|_| !word.ends_with('\n'));
        array.push(oracle::expected(digits.as_ref(), T::REACH, T::read)?);
    }
    if words.len() == count { Ok(array) } else { Err(Errno::EINVAL) }
}
