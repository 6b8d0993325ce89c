//! Which texts are names.

use std::path::{Component, Path};

use enodev_attrs::{Attribute, DefineError, Errno, Group, InvalidName, Name};

use super::{Meeting, same};
use crate::source::Source;
use crate::tally::Tally;
use crate::text::files::Disk;

/// All that is wrong with a text, told by the rules of paths.
fn faults(text: &str) -> Vec<InvalidName> {
    let mut faults = Vec::new();
    if text.chars().next().is_none() {
        faults.push(InvalidName::Empty);
    }
    if text.as_bytes().get(255).is_some() {
        faults.push(InvalidName::TooLong);
    }
    if text.split('/').count() != 1 {
        faults.push(InvalidName::Slash);
    }
    if std::ffi::CString::new(text).is_err() {
        faults.push(InvalidName::Nul);
    }
    if matches!(text, "." | "..") {
        faults.push(InvalidName::Dots);
    }
    let mut components = Path::new(text).components();
    let is_component = components.next() == Some(Component::Normal(text.as_ref())) && components.next().is_none();
    let is_one = is_component && !text.contains('\0') && text.len() < 256;
    same(|| format!("the rules for {text:?}"), faults.is_empty(), is_one);
    faults
}

pub(super) fn try_one(source: &mut Source<'_>, tally: &mut Tally<Meeting>) {
    let mut bytes = source.text();
    if source.byte() >= 192 {
        bytes.resize(250 + usize::from(source.byte() % 12), b'n');
    }
    let text = &*String::from_utf8_lossy(&bytes);
    let faults = faults(text);
    let got = Name::new(text);
    same(|| format!("{text:?} as a name"), got.is_ok(), faults.is_empty());
    let fault = got.as_ref().err().copied();
    same(|| format!("what is wrong with {text:?}"), fault.is_none_or(|fault| faults.contains(&fault)), true);
    if faults.contains(&InvalidName::TooLong) {
        same(|| "the errno of too long a name".into(), fault.map(Errno::from), Some(Errno::ENAMETOOLONG));
        tally.note(Meeting::LongName);
    }
    if let Ok(name) = &got {
        same(|| "the text of a name".into(), (name.as_str(), &*name.to_string()), (text, text));
    } else {
        tally.note(Meeting::BadName);
    }
    let defined = Attribute::<Disk>::wo(text, |_, _| Ok(())).map(|attribute| attribute.name().clone());
    let expected = got.clone().map_err(DefineError::from);
    same(|| "an attribute of that name".into(), defined, expected.clone());
    let group = Group::<Disk>::named(text).into_parts().map(|parts| parts.name);
    same(|| "a group of that name".into(), group, expected.map(Some));
}
