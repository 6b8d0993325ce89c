//! Texts, booleans and choices.

use enodev_attrs::{Errno, Page, parse};

use super::{Meeting, same};
use crate::source::Source;
use crate::tally::Tally;

const NAMES: [&[&str]; 3] = [&["on", "off", "auto"], &["a", "", "a\n", "A", "a"], &[]];

pub(super) fn try_one(source: &mut Source<'_>, tally: &mut Tally<Meeting>) {
    let names = source.pick(&NAMES);
    let mut data = source.text();
    if source.byte() % 2 == 1 {
        let name = names.get(usize::from(source.byte() % 8)).copied().unwrap_or("yes");
        let end = source.pick(&["", "\n", "\n\n", "\0", "x"]);
        data = format!("{name}{end}").into_bytes();
    }
    let text = String::from_utf8(data.clone());
    let expected = text.map(|text| text.strip_suffix('\n').map_or(text.clone(), str::to_owned));
    if expected.is_err() {
        tally.note(Meeting::NoText);
    }
    let got = parse::text(&data).map(str::to_owned);
    same(|| format!("text {data:?}"), got, expected.map_err(|_| Errno::EINVAL));
    boolean(&data, tally);
    choice(&data, names, tally);
}

/// `kstrtobool`, by what the text begins with.
fn boolean(data: &[u8], tally: &mut Tally<Meeting>) {
    let start: String = data.iter().take(2).map(|byte| char::from(*byte).to_ascii_lowercase()).collect();
    let begins = |with: &[&str]| with.iter().any(|with| start.starts_with(with));
    let expected = match (begins(&["y", "t", "1", "on"]), begins(&["n", "f", "0", "of"])) {
        (true, _) => Ok(true),
        (_, true) => Ok(false),
        _ => Err(Errno::EINVAL),
    };
    if expected.is_ok() {
        tally.note(Meeting::Boolean);
    }
    same(|| format!("boolean {data:?}"), parse::boolean(data), expected);
}

fn choice(data: &[u8], names: &[&str], tally: &mut Tally<Meeting>) {
    let mut expected = Err(Errno::EINVAL);
    for (index, name) in names.iter().enumerate().rev() {
        // The newline is taken off once, whatever is before it.
        let whole = [name.as_bytes(), b"\n"].concat();
        if data == whole || data == name.as_bytes() && !name.ends_with('\n') {
            expected = Ok(index);
        }
    }
    if let Ok(index) = expected {
        tally.note(Meeting::Choice);
        let mut page = Page::new();
        same(|| "choices are shown".into(), page.choice(names, index), Ok(()));
        let mut words: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        words[index] = format!("[{}]", names[index]);
        same(|| "choices as text".into(), page.as_bytes(), format!("{}\n", words.join(" ")).as_bytes());
    }
    same(|| format!("choice {data:?} of {names:?}"), parse::choice(data, names), expected);
}
