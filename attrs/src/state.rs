//! What an open file remembers, and what its operations do with it. Whoever has it is alone with it.

use std::io::SeekFrom;

use crate::{Errno, Result, Seen, Target, spare};

/// The highest offset, as Linux's `loff_t` is signed.
const OFFSET_MAX: u64 = i64::MAX as u64;

/// The state of an open file. The operations are those of [`OpenFile`](crate::OpenFile), where they are described.
pub(crate) struct State {
    /// Where `read` and `write` are, at most `OFFSET_MAX`.
    position: u64,
    /// Where the pass stands; `NO_PASS` before the first.
    pass: u64,
    /// The text of a pass that does not stand at its end. Few files have one: most reads take the whole text.
    #[expect(clippy::box_collection, reason = "most files have none, and all are smaller for it")]
    snapshot: Option<Box<Vec<u8>>>,
    /// Whether the pass stands at the end of the text. If it does not, there is a snapshot.
    is_at_end: bool,
}

/// No offset is as high.
const NO_PASS: u64 = u64::MAX;

impl State {
    pub(crate) fn new() -> State {
        State { position: 0, pass: NO_PASS, snapshot: None, is_at_end: true }
    }

    #[inline]
    pub(crate) fn read<T: Target + ?Sized>(&mut self, target: &T, buf: &mut [u8], seen: &Seen) -> Result<usize> {
        let count = self.read_at(target, self.position, buf, seen)?;
        self.advance(count);
        Ok(count)
    }

    #[inline]
    pub(crate) fn pread<T: Target + ?Sized>(
        &mut self,
        target: &T,
        offset: u64,
        buf: &mut [u8],
        seen: &Seen,
    ) -> Result<usize> {
        check_offset(target, offset)?;
        self.read_at(target, offset, buf, seen)
    }

    #[inline]
    pub(crate) fn write<T: Target + ?Sized>(&mut self, target: &T, data: &[u8]) -> Result<usize> {
        let count = write_at(target, self.position, data)?;
        self.advance(count);
        Ok(count)
    }

    #[inline]
    pub(crate) fn pwrite<T: Target + ?Sized>(&mut self, target: &T, offset: u64, data: &[u8]) -> Result<usize> {
        check_offset(target, offset)?;
        write_at(target, offset, data)
    }

    pub(crate) fn seek<T: Target + ?Sized>(&mut self, target: &T, to: SeekFrom) -> Result<u64> {
        target.alive()?;
        let position = match to {
            SeekFrom::Start(offset) => Some(offset),
            SeekFrom::Current(by) => self.position.checked_add_signed(by),
            SeekFrom::End(by) => target.size().checked_add_signed(by),
        };
        self.position = position.filter(|&position| position <= OFFSET_MAX).ok_or(Errno::EINVAL)?;
        Ok(self.position)
    }

    fn read_at<T: Target + ?Sized>(&mut self, target: &T, offset: u64, buf: &mut [u8], seen: &Seen) -> Result<usize> {
        if target.is_binary() { target.read_at(offset, buf, seen) } else { self.read_text(target, offset, buf, seen) }
    }

    fn read_text<T: Target + ?Sized>(&mut self, target: &T, offset: u64, buf: &mut [u8], seen: &Seen) -> Result<usize> {
        if buf.is_empty() {
            target.alive()?;
            return Ok(0);
        }
        if offset != 0 && self.pass == offset {
            target.alive()?;
            let text = self.snapshot.as_ref().filter(|_| !self.is_at_end).map_or(&[][..], |text| text);
            let (count, is_at_end) = copy(text, offset, buf);
            self.is_at_end |= is_at_end;
            self.pass = offset + count as u64;
            return Ok(count);
        }
        let mut count = 0;
        // A `show` that fails leaves the pass as it is.
        spare::with(|page| {
            page.fill(|page| target.show(page, seen))?;
            let (copied, is_at_end) = copy(page.as_bytes(), offset, buf);
            if !is_at_end {
                let snapshot = self.snapshot.get_or_insert_default();
                snapshot.clear();
                snapshot.extend_from_slice(page.as_bytes());
            }
            self.is_at_end = is_at_end;
            self.pass = offset + copied as u64;
            count = copied;
            Ok(())
        })?;
        Ok(count)
    }

    /// Moves the position on by what an operation has moved.
    fn advance(&mut self, count: usize) {
        self.position = self.position.saturating_add(count as u64).min(OFFSET_MAX);
    }
}

/// Copies what stands at an offset, and says how much that was and whether it was the last.
fn copy(text: &[u8], offset: u64, buf: &mut [u8]) -> (usize, bool) {
    let unread = usize::try_from(offset).ok().and_then(|from| text.get(from..)).unwrap_or_default();
    let count = unread.len().min(buf.len());
    buf[..count].copy_from_slice(&unread[..count]);
    (count, count == unread.len())
}

fn write_at<T: Target + ?Sized>(target: &T, offset: u64, data: &[u8]) -> Result<usize> {
    if target.is_binary() { target.write_at(offset, data) } else { target.store(data).map(|()| data.len()) }
}

/// Refuses an offset that Linux could not hold, of a target that is there.
fn check_offset<T: Target + ?Sized>(target: &T, offset: u64) -> Result {
    if offset > OFFSET_MAX {
        target.alive()?;
        return Err(Errno::EINVAL);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Page;

    /// Answers with as many bytes as the test asks for.
    struct Text(usize);

    impl Target for Text {
        fn alive(&self) -> Result {
            Ok(())
        }

        fn show(&self, page: &mut Page, _: &Seen) -> Result {
            page.put_bytes(&vec![b'x'; self.0])
        }

        fn store(&self, _: &[u8]) -> Result {
            Err(Errno::EIO)
        }

        fn read_at(&self, _: u64, _: &mut [u8], _: &Seen) -> Result<usize> {
            Err(Errno::EIO)
        }

        fn write_at(&self, _: u64, _: &[u8]) -> Result<usize> {
            Err(Errno::EIO)
        }

        fn is_binary(&self) -> bool {
            false
        }

        fn size(&self) -> u64 {
            0
        }
    }

    #[test]
    fn only_a_text_that_is_read_in_pieces_is_kept_and_in_the_same_memory() {
        let (mut state, seen) = (State::new(), Seen::new());
        let mut buf = [0; crate::PAGE_SIZE];
        for len in [1, crate::PAGE_SIZE] {
            assert_eq!(state.pread(&Text(len), 0, &mut buf, &seen), Ok(len));
            assert_eq!(state.snapshot, None);
        }
        assert_eq!(state.pread(&Text(crate::PAGE_SIZE), 0, &mut buf[1..], &seen), Ok(crate::PAGE_SIZE - 1));
        let memory = state.snapshot.as_ref().map(|text| text.as_ptr());
        for len in [crate::PAGE_SIZE, 3, crate::PAGE_SIZE + 1] {
            let read = state.pread(&Text(len), 0, &mut buf[..2], &seen);
            assert_eq!(read, if len > crate::PAGE_SIZE { Err(Errno::E2BIG) } else { Ok(2) });
            assert_eq!(state.snapshot.as_ref().map(|text| text.as_ptr()), memory);
        }
    }

    #[test]
    fn the_position_stops_at_the_highest_offset() {
        let mut state = State { position: OFFSET_MAX - 1, ..State::new() };
        state.advance(3);
        assert_eq!(state.position, OFFSET_MAX);
    }
}
