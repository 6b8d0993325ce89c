//! What an open file remembers, and what its operations do with it. Whoever has it is alone with it.

use std::io::SeekFrom;

use crate::{Errno, Page, Result, Seen, Target};

/// The highest offset, as Linux's `loff_t` is signed.
const OFFSET_MAX: u64 = i64::MAX as u64;

/// The state of an open file. The operations are those of [`OpenFile`](crate::OpenFile), where they are described.
pub(crate) struct State {
    /// Where `read` and `write` are, at most `OFFSET_MAX`.
    position: u64,
    /// Where the pass stands, once there has been one.
    pass: Option<u64>,
    /// Two, so that a `show` that fails leaves the snapshot as it is. Allocated by the first `show`.
    pages: Option<[Page; 2]>,
    /// Which of them is the text of the pass. The other is what the next `show` fills.
    snapshot: usize,
}

impl State {
    pub(crate) fn new() -> State {
        State { position: 0, pass: None, pages: None, snapshot: 0 }
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
        let pages = self.pages.get_or_insert_with(|| [Page::new(), Page::new()]);
        if offset != 0 && self.pass == Some(offset) {
            target.alive()?;
        } else {
            let next = self.snapshot ^ 1;
            pages[next].fill(|page| target.show(page, seen))?;
            self.snapshot = next;
        }
        let text = pages[self.snapshot].as_bytes();
        let unread = usize::try_from(offset).ok().and_then(|from| text.get(from..)).unwrap_or_default();
        let count = unread.len().min(buf.len());
        buf[..count].copy_from_slice(&unread[..count]);
        self.pass = Some(offset + count as u64);
        Ok(count)
    }

    /// Moves the position on by what an operation has moved.
    fn advance(&mut self, count: usize) {
        self.position = self.position.saturating_add(count as u64).min(OFFSET_MAX);
    }
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

    fn pages(state: &State) -> Option<[*const u8; 2]> {
        let pages = state.pages.as_ref()?;
        let mut memory = pages.each_ref().map(|page| page.as_bytes().as_ptr());
        memory.sort();
        Some(memory)
    }

    #[test]
    fn memory_is_taken_by_the_first_show_and_kept() {
        let (mut state, seen) = (State::new(), Seen::new());
        state.read(&Text(1), &mut [], &seen).unwrap();
        assert_eq!(pages(&state), None);

        let mut buf = [0; crate::PAGE_SIZE];
        state.pread(&Text(1), 0, &mut buf, &seen).unwrap();
        let memory = pages(&state);
        assert!(memory.is_some());
        for len in [crate::PAGE_SIZE, 3, crate::PAGE_SIZE + 1] {
            let read = state.pread(&Text(len), 0, &mut buf, &seen);
            assert_eq!(read, if len > crate::PAGE_SIZE { Err(Errno::E2BIG) } else { Ok(len) });
            assert_eq!(pages(&state), memory);
        }
    }

    #[test]
    fn the_position_stops_at_the_highest_offset() {
        let mut state = State { position: OFFSET_MAX - 1, ..State::new() };
        state.advance(3);
        assert_eq!(state.position, OFFSET_MAX);
    }
}
