//! Pages: all that was put, or nothing.

use std::fmt::Write;

use enodev_attrs::{Attribute, Errno, Page, Result};

use super::{Meeting, same};
use crate::source::Source;
use crate::tally::Tally;
use crate::text::files::Disk;

/// Something that a `show` puts.
#[derive(Debug, Clone)]
enum Piece {
    Bytes(Vec<u8>),
    Put(String),
    Line(i64),
    Int(i64),
    Choice(u8),
    Written(u64),
    Clear,
}

const NAMES: [&str; 3] = ["none", "mq-deadline", "kyber"];

impl Piece {
    /// `put` is how much has been put already.
    fn from(source: &mut Source<'_>, put: usize) -> Self {
        match source.byte() % 17 {
            0..=3 => Self::Bytes(source.text()),
            4 => Self::Bytes(vec![b'x'; source.len()]),
            5..=7 => Self::Put(String::from_utf8_lossy(&source.text()).into_owned()),
            8 => Self::Line(source.number() as i64),
            9..=11 => Self::Int(source.number() as i64),
            12 => Self::Choice(source.byte()),
            13..=14 => Self::Written(source.number()),
            // To the last byte, or about so.
            15 => Self::Bytes(vec![b'z'; (4096 + 1_usize).saturating_sub(put + usize::from(source.byte() % 4))]),
            _ => Self::Clear,
        }
    }

    fn put(&self, page: &mut Page) -> Result {
        match self {
            Self::Bytes(bytes) => page.put_bytes(bytes),
            Self::Put(text) => page.put(text),
            Self::Line(number) => page.line(number),
            Self::Int(number) => page.int(*number),
            Self::Choice(current) => page.choice(&NAMES, usize::from(*current)),
            Self::Written(number) => Ok(write!(page, "{number:#x}={number:>30}")?),
            Self::Clear => {
                page.clear();
                Ok(())
            }
        }
    }

    fn text(&self) -> Vec<u8> {
        match self {
            Self::Bytes(bytes) => bytes.clone(),
            Self::Put(text) => text.clone().into_bytes(),
            Self::Line(number) | Self::Int(number) => format!("{number}\n").into_bytes(),
            Self::Choice(current) => {
                let names = NAMES.iter().enumerate();
                let names = names
                    .map(|(at, name)| if at == usize::from(*current) { format!("[{name}]") } else { (*name).into() });
                format!("{}\n", names.collect::<Vec<String>>().join(" ")).into_bytes()
            }
            Self::Written(number) => format!("{number:#x}={number:>30}").into_bytes(),
            Self::Clear => Vec::new(),
        }
    }
}

pub(super) fn try_one(source: &mut Source<'_>, tally: &mut Tally<Meeting>) {
    let ignores = source.byte() % 2 == 1;
    let (mut pieces, mut put) = (Vec::new(), 0);
    for _ in 0..1 + source.byte() % 12 {
        let piece = Piece::from(source, put);
        put += piece.text().len();
        pieces.push(piece);
    }
    let mut text: Option<Vec<u8>> = Some(Vec::new());
    let mut answers = Vec::new();
    for piece in &pieces {
        if let Piece::Clear = piece {
            text = Some(Vec::new());
        }
        text = text.map(|text| [text, piece.text()].concat()).filter(|text| text.len() <= 4096);
        answers.push(if text.is_some() { Ok(()) } else { Err(Errno::E2BIG) });
    }
    let mut page = Page::new();
    for (piece, expected) in pieces.iter().zip(&answers) {
        // To display nothing is no failure, also where nothing fits any more.
        if !(expected.is_err() && matches!(piece, Piece::Put(text) if text.is_empty())) {
            same(|| format!("{piece:?} of {pieces:?}"), piece.put(&mut page), *expected);
        }
        same(|| "the length of a page".into(), page.len() + page.remaining(), 4096);
    }
    let show = move |_: &Disk, page: &mut Page| {
        for piece in &pieces {
            let put = piece.put(page);
            if !ignores {
                put?;
            }
        }
        Ok(())
    };
    let failed = answers.iter().any(Result::is_err) && !ignores;
    let expected = text.filter(|_| !failed);
    let Ok(attribute) = Attribute::<Disk>::ro("page", show) else { return };
    let got = attribute.show(&Disk::default(), &mut page);
    same(|| "a show".into(), got, expected.as_ref().map(drop).ok_or(Errno::E2BIG));
    same(|| "what was shown".into(), page.as_bytes(), expected.as_deref().unwrap_or_default());
    match expected {
        None => tally.note(Meeting::FullerPage),
        Some(text) if text.len() == 4096 => tally.note(Meeting::FullPage),
        Some(_) => {}
    }
}
