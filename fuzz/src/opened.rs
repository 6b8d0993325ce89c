//! What a file that is open should do: the model, in numbers without a bound.

use std::io::SeekFrom;

use enodev_attrs::{Access, Errno, Result};

const OFFSET_MAX: i128 = i64::MAX as i128;
pub(crate) const PAGE: i128 = 4096;

/// What the file is one of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sort {
    Text,
    /// Of so many bytes; 0 is any number.
    Binary(u64),
}

/// What an operation has to do with its attribute.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Need {
    /// Nothing: that comes before all that is about the attribute.
    Refused(Errno),
    /// It has to be there; the rest of a pass is read.
    Rest,
    /// It has to be there.
    There(Result<u64>),
    /// It is entered, and none of its code runs.
    Entered(Result<u64>),
    /// Its code runs, for so many bytes at an offset.
    Code { offset: u64, len: usize },
}

/// What of the attribute an operation moves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    Read,
    Write,
}

#[derive(Debug, Clone)]
pub(crate) struct Opened {
    access: Access,
    sort: Sort,
    position: i128,
    /// Where the pass stands, and its text.
    pass: Option<(i128, Vec<u8>)>,
}

impl Opened {
    pub(crate) fn new(access: Access, sort: Sort) -> Self {
        Self { access, sort, position: 0, pass: None }
    }

    pub(crate) fn sort(&self) -> Sort {
        self.sort
    }

    pub(crate) fn is_for(&self, way: Way) -> bool {
        self.access.contains(if way == Way::Read { Access::READ } else { Access::WRITE })
    }

    fn offset(&self, at: Option<u64>) -> i128 {
        at.map_or(self.position, i128::from)
    }

    /// `at` is where, if not at the position.
    pub(crate) fn need(&self, way: Way, at: Option<u64>, len: usize) -> Need {
        let offset = self.offset(at);
        if !self.is_for(way) {
            return Need::Refused(Errno::EBADF);
        }
        if offset > OFFSET_MAX {
            return Need::There(Err(Errno::EINVAL));
        }
        match (self.sort, way) {
            (Sort::Text, Way::Read) if len == 0 => Need::There(Ok(0)),
            (Sort::Text, Way::Read) if self.goes_on(offset) => Need::Rest,
            (Sort::Text, Way::Read) => Need::Code { offset: 0, len },
            (Sort::Text, Way::Write) => need_text(len),
            (Sort::Binary(size), way) => need_binary(size, way, offset, len),
        }
    }

    /// Whether a read is of the text that was shown before.
    fn goes_on(&self, offset: i128) -> bool {
        offset > 0 && self.pass.as_ref().is_some_and(|(at, _)| *at == offset)
    }

    /// The text has been shown for a read.
    pub(crate) fn shown(&mut self, at: Option<u64>, text: Vec<u8>) {
        self.pass = Some((self.offset(at), text));
    }

    /// What a read of text gives, from what was shown. The position moves if it is read at.
    pub(crate) fn read_text(&mut self, at: Option<u64>, len: usize) -> Vec<u8> {
        let offset = self.offset(at);
        let Some((stands, text)) = &mut self.pass else { return Vec::new() };
        let read: Vec<u8> = match usize::try_from(offset) {
            Ok(skipped) => text.iter().skip(skipped).take(len).copied().collect(),
            Err(_) => Vec::new(),
        };
        *stands = offset + read.len() as i128;
        self.moved(at, read.len() as u64);
        read
    }

    /// So many bytes have been moved.
    pub(crate) fn moved(&mut self, at: Option<u64>, count: u64) {
        if at.is_none() {
            self.position = (self.position + i128::from(count)).min(OFFSET_MAX);
        }
    }

    /// The attribute is there.
    pub(crate) fn seek(&mut self, to: SeekFrom) -> Result<u64> {
        let size = match self.sort {
            Sort::Text => PAGE,
            Sort::Binary(size) => i128::from(size),
        };
        let position = match to {
            SeekFrom::Start(offset) => i128::from(offset),
            SeekFrom::Current(by) => self.position + i128::from(by),
            SeekFrom::End(by) => size + i128::from(by),
        };
        if !(0..=OFFSET_MAX).contains(&position) {
            return Err(Errno::EINVAL);
        }
        self.position = position;
        Ok(position as u64)
    }
}

pub(crate) fn need_text(len: usize) -> Need {
    match len as i128 {
        0 => Need::Entered(Ok(0)),
        1..=PAGE => Need::Code { offset: 0, len },
        _ => Need::Entered(Err(Errno::E2BIG)),
    }
}

pub(crate) fn need_binary(size: u64, way: Way, offset: i128, len: usize) -> Need {
    let end = if size == 0 { i128::MAX } else { i128::from(size) };
    if way == Way::Write && offset >= end {
        return Need::Entered(Err(Errno::EFBIG));
    }
    match (end - offset).min(PAGE).min(len as i128) {
        len @ 1.. => Need::Code { offset: offset as u64, len: len as usize },
        _ => Need::Entered(Ok(0)),
    }
}
