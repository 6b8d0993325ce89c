//! Integers by their digits alone: whether they fit is told by comparing texts.

use enodev_attrs::Errno;

/// The digits of an integer, as far as an integer type has anything to say of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Digits {
    pub(super) negative: bool,
    pub(super) radix: u32,
    /// Lower case, without zeros in front.
    pub(super) text: String,
}

/// What a text says, `None` being junk. A radix of 0 is told by the prefix.
pub(super) fn digits(text: &[u8], radix: u32, signed: bool) -> Option<Digits> {
    let mut text = String::from_utf8(text.to_vec()).ok()?;
    if text.ends_with('\n') {
        text.pop();
    }
    let negative = text.starts_with('-');
    if negative && !signed {
        return None;
    }
    if negative || text.starts_with('+') {
        text.remove(0);
    }
    let has_x = text.to_ascii_lowercase().starts_with("0x");
    let radix = match radix {
        0 if has_x => 16,
        0 if text.starts_with('0') => 8,
        0 => 10,
        2..=36 => radix,
        _ => return None,
    };
    if has_x && radix == 16 {
        text.replace_range(..2, "");
    }
    if text.is_empty() || !text.chars().all(|digit| digit.is_digit(radix)) {
        return None;
    }
    let text = text.trim_start_matches('0').to_ascii_lowercase();
    Some(Digits { negative, radix, text })
}

impl Digits {
    /// Whether the distance from 0 is at most this. Of texts without zeros in front the longer one is the larger number.
    pub(super) fn is_at_most(&self, most: u128) -> bool {
        let most = printed(most, self.radix);
        (self.text.len(), &self.text) <= (most.len(), &most)
    }

    /// As the standard library would read it.
    pub(super) fn to_std(&self) -> String {
        let sign = if self.negative { "-" } else { "" };
        format!("{sign}0{}", self.text)
    }
}

/// A number in a radix, without zeros in front: 0 is no digit at all.
pub(super) fn printed(mut number: u128, radix: u32) -> String {
    let mut digits = Vec::new();
    while number > 0 {
        digits.extend(char::from_digit((number % u128::from(radix)) as u32, radix));
        number /= u128::from(radix);
    }
    digits.iter().rev().collect()
}

/// The integer that a text says in a type whose smallest and largest are as far from 0 as is said.
pub(super) fn expected<T>(
    digits: Option<&Digits>,
    [least, most]: [u128; 2],
    read: impl FnOnce(&str, u32) -> Option<T>,
) -> Result<T, Errno> {
    let digits = digits.ok_or(Errno::EINVAL)?;
    if !digits.is_at_most(if digits.negative { least } else { most }) {
        return Err(Errno::ERANGE);
    }
    read(&digits.to_std(), digits.radix).ok_or(Errno::EIO)
}
