//! Which modes an attribute can have.

use enodev_attrs::{Attribute, DefineError, Errno, Group, Mode, Visibility};

use super::{Meeting, same};
use crate::source::Source;
use crate::tally::Tally;
use crate::text::files::Disk;

/// An attribute of one of six sorts, and whether it can be read and written.
fn attribute(sort: u8, name: &str) -> (Result<Attribute<Disk>, DefineError>, bool, bool) {
    match sort % 6 {
        0 => (Attribute::ro(name, |_, _| Ok(())), true, false),
        1 => (Attribute::wo(name, |_, _| Ok(())), false, true),
        2 => (Attribute::rw(name, |_, _| Ok(()), |_, _| Ok(())), true, true),
        3 => (Attribute::bin_ro(name, 0, |_, _, _| Ok(0)), true, false),
        4 => (Attribute::bin_wo(name, 1, |_, _, _| Ok(0)), false, true),
        _ => (Attribute::bin_rw(name, u64::MAX, |_, _, _| Ok(0), |_, _, _| Ok(0)), true, true),
    }
}

/// What a mode comes to for an attribute, told by the digits as they are printed.
fn fits(mode: Mode, reads: bool, writes: bool) -> Result<(), DefineError> {
    let printed = mode.to_string();
    let digits: Vec<u32> = printed.chars().filter_map(|digit| digit.to_digit(8)).collect();
    same(|| format!("the digits of {printed}"), (digits.len(), digits.first()), (4, Some(&0)));
    let number = digits.iter().fold(0, |number, digit| number * 8 + digit);
    same(|| format!("the number of {printed}"), number, u32::from(mode.bits()));
    let has = |what: u32| digits.iter().any(|digit| digit / what % 2 == 1);
    match (has(1), has(4) && !reads, has(2) && !writes) {
        (true, ..) => Err(DefineError::Executable(mode)),
        (_, true, _) => Err(DefineError::Unreadable(mode)),
        (_, _, true) => Err(DefineError::Unwritable(mode)),
        _ => Ok(()),
    }
}

pub(super) fn try_one(source: &mut Source<'_>, tally: &mut Tally<Meeting>) {
    let [sort, low, high, other, twice] = source.array();
    let bits = u16::from_le_bytes([low, high]);
    let mode = Mode::from_bits_truncate(bits);
    same(|| format!("the mode of {bits:o}"), Mode::from_bits(bits).is_some(), bits <= 0o777);
    let (defined, reads, writes) = attribute(sort, "one");
    let own = defined.as_ref().map_or(Mode::empty(), Attribute::mode);
    same(|| "the mode of a definition".into(), fits(own, reads, writes), Ok(()));
    same(|| "both can be done".into(), (own.readable(), own.writable()), (reads, writes));
    let expected = fits(mode, reads, writes);
    let given = defined.and_then(|attribute| attribute.with_mode(mode)).map(|attribute| attribute.mode());
    same(|| format!("{mode} for sort {sort}"), given, expected.map(|()| mode));
    if expected.is_err() {
        tally.note(Meeting::BadMode);
    }
    visibility(sort, mode, expected, tally);
    group([sort, other], mode, twice % 2 == 1, tally);
}

/// The mode as the answer of a group's callback.
fn visibility(sort: u8, mode: Mode, fits: Result<(), DefineError>, tally: &mut Tally<Meeting>) {
    let group = Group::<Disk>::new().attribute(attribute(sort, "one").0);
    let parts = group.is_visible(move |_, _| Visibility::Mode(mode)).into_parts();
    let Ok(parts) = parts else { return same(|| "a group of one".into(), false, true) };
    let expected = match fits {
        _ if mode.is_empty() => Ok(None),
        Ok(()) => Ok(Some(mode)),
        Err(_) => Err(Errno::EINVAL),
    };
    if expected.is_err() {
        tally.note(Meeting::BadVisibility);
    }
    let got = parts.attributes.first().map(|attribute| parts.visible.mode(&Disk::default(), attribute));
    same(|| format!("{mode} as a callback's answer"), got, Some(expected));
}

/// A group tells the first error that it met; then whether two attributes have one name.
fn group(sorts: [u8; 2], mode: Mode, twice: bool, tally: &mut Tally<Meeting>) {
    let (first, reads, writes) = attribute(sorts[0], "one");
    let (second, ..) = attribute(sorts[1], if twice { "one" } else { "two" });
    let got = Group::<Disk>::new().attribute(first).mode(mode).attribute(second).into_parts();
    let expected = match fits(mode, reads, writes) {
        Err(error) => Err(error),
        Ok(()) if twice => Err(DefineError::Twice(1)),
        Ok(()) => Ok(2),
    };
    if expected == Err(DefineError::Twice(1)) {
        tally.note(Meeting::Twice);
    }
    same(|| "a group of two".into(), got.map(|parts| parts.attributes.len()), expected);
    let none = Group::<Disk>::new().mode(mode).into_parts().map(|parts| parts.attributes.len());
    same(|| "a mode for nothing".into(), none, Err(DefineError::NoAttribute(mode)));
}
