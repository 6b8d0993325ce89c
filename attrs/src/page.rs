//! The buffer that a `show` fills.

use std::fmt::{self, Display, Write};

use crate::integer::{self, Integer};
use crate::{Errno, Result};

/// The most bytes that one `show` may give and one `store` is given.
///
/// It is the page size of x86-64 Linux, and stays that on hosts whose own pages are larger.
pub const PAGE_SIZE: usize = 4096;

/// What a `show` writes into: at most [`PAGE_SIZE`] bytes.
///
/// Its memory is allocated once. [`clear`](Self::clear) and refilling neither allocate nor zero it.
///
/// Nothing is ever cut silently. What does not fit is `E2BIG`, and from then on the page takes nothing
/// more until it is cleared: also a `show` that ignores the error fails as a whole. Linux cuts such text
/// and warns in its log, and it does so at `PAGE_SIZE - 1` bytes; here [`PAGE_SIZE`] bytes fit.
///
/// # Examples
///
/// ```
/// use std::fmt::Write;
/// use enodev_attrs::{PAGE_SIZE, Page, Result};
///
/// fn show(page: &mut Page) -> Result {
///     page.put("eth")?;
///     page.line(0)?;
///     write!(page, "{:#06x}", 0x8086)?;
///     Ok(())
/// }
///
/// let mut page = Page::new();
/// show(&mut page)?;
/// assert_eq!(page.as_bytes(), b"eth0\n0x8086");
/// assert_eq!(page.remaining(), PAGE_SIZE - 11);
/// # Ok::<(), enodev_attrs::Errno>(())
/// ```
pub struct Page {
    /// Capacity is at least `PAGE_SIZE` from the start, length never more: it never grows.
    bytes: Vec<u8>,
    /// Something did not fit since the last `clear`.
    overflowed: bool,
}

impl Page {
    /// An empty page. The only place that allocates.
    pub fn new() -> Page {
        Page { bytes: Vec::with_capacity(PAGE_SIZE), overflowed: false }
    }

    /// Appends `value` as it displays.
    ///
    /// # Errors
    ///
    /// - `E2BIG`: it does not fit, or something before it did not.
    /// - `EIO`: it refused to display.
    pub fn put(&mut self, value: impl Display) -> Result {
        self.put_fmt(format_args!("{value}"))
    }

    /// Appends `value` as it displays, and a newline.
    ///
    /// # Errors
    ///
    /// Those of [`put`](Self::put).
    pub fn line(&mut self, value: impl Display) -> Result {
        self.put_fmt(format_args!("{value}\n"))
    }

    /// Appends an integer in decimal, and a newline: as [`line`](Self::line) does, without the detour through `Display`.
    ///
    /// # Errors
    ///
    /// `E2BIG`: it does not fit, or something before it did not.
    #[inline]
    pub fn int<T: Integer>(&mut self, integer: T) -> Result {
        if self.overflowed || self.remaining() < integer::ROOM {
            return self.line(integer);
        }
        integer::line(&mut self.bytes, integer);
        Ok(())
    }

    /// Appends all the names, the one of index `current` in brackets, and a newline. An index that is none of theirs
    /// puts none in brackets.
    ///
    /// [`parse::choice`](crate::parse::choice) is the way back.
    ///
    /// ```
    /// # use enodev_attrs::Page;
    /// let mut page = Page::new();
    /// page.choice(&["none", "mq-deadline", "kyber"], 1)?;
    /// assert_eq!(page.as_bytes(), b"none [mq-deadline] kyber\n");
    /// # Ok::<(), enodev_attrs::Errno>(())
    /// ```
    ///
    /// # Errors
    ///
    /// `E2BIG`: they do not fit, or something before them did not.
    pub fn choice(&mut self, names: &[&str], current: usize) -> Result {
        for (index, name) in names.iter().enumerate() {
            if index != 0 {
                self.put_bytes(b" ")?;
            }
            let (open, close): (&[u8], &[u8]) = if index == current { (b"[", b"]") } else { (b"", b"") };
            self.put_bytes(open)?;
            self.put_bytes(name.as_bytes())?;
            self.put_bytes(close)?;
        }
        self.put_bytes(b"\n")
    }

    /// Appends all of `bytes`, whatever their values.
    ///
    /// # Errors
    ///
    /// `E2BIG`: they do not fit, or something before them did not. None of them is appended.
    #[inline]
    pub fn put_bytes(&mut self, bytes: &[u8]) -> Result {
        if self.overflowed || bytes.len() > self.remaining() {
            self.overflowed = true;
            return Err(Errno::E2BIG);
        }
        self.bytes.extend_from_slice(bytes);
        Ok(())
    }

    /// What has been put so far.
    #[inline]
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Number of bytes put so far.
    #[inline]
    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Whether nothing has been put.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// Number of bytes that still fit.
    #[inline]
    pub fn remaining(&self) -> usize {
        PAGE_SIZE - self.bytes.len()
    }

    /// Empties the page, also of an overflow. Keeps its memory.
    #[inline]
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.overflowed = false;
    }

    /// Runs one whole `show`: from an empty page to what it gave, or to an empty page and an error.
    #[inline]
    pub(crate) fn fill(&mut self, show: impl FnOnce(&mut Page) -> Result) -> Result {
        self.clear();
        let shown = match show(self) {
            Ok(()) if self.overflowed => Err(Errno::E2BIG),
            shown => shown,
        };
        if shown.is_err() {
            self.clear();
        }
        shown
    }

    /// Tells a full page from a `Display` that fails by itself, which `fmt::Error` does not.
    fn put_fmt(&mut self, text: fmt::Arguments<'_>) -> Result {
        match self.write_fmt(text) {
            Ok(()) => Ok(()),
            Err(fmt::Error) if self.overflowed => Err(Errno::E2BIG),
            Err(fmt::Error) => Err(Errno::EIO),
        }
    }
}

impl Default for Page {
    fn default() -> Page {
        Page::new()
    }
}

/// Fails when the page is full; [`Errno`] makes `E2BIG` of that.
impl Write for Page {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.put_bytes(text.as_bytes()).map_err(|_full| fmt::Error)
    }
}

impl fmt::Debug for Page {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Page").field("len", &self.len()).field("overflowed", &self.overflowed).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    struct Refuses;

    impl Display for Refuses {
        fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
            Err(fmt::Error)
        }
    }

    /// E-16: exactly a page fits, one byte more is E2BIG; Linux cuts both, silently for the program.
    #[test]
    fn exactly_a_page_fits() {
        let mut page = Page::new();
        assert_eq!(page.fill(|page| page.put_bytes(&[b'x'; PAGE_SIZE])), Ok(()));
        assert_eq!((page.len(), page.remaining()), (PAGE_SIZE, 0));
        assert_eq!(page.put_bytes(b""), Ok(()));
        assert_eq!(page.put_bytes(b"x"), Err(Errno::E2BIG));
        assert_eq!(page.fill(|page| page.line("x".repeat(PAGE_SIZE))), Err(Errno::E2BIG));
        assert!(page.is_empty());
    }

    #[test]
    fn a_show_that_ignores_an_overflow_fails_all_the_same() {
        let mut page = Page::new();
        let shown = page.fill(|page| {
            page.put("x".repeat(PAGE_SIZE + 1)).ok();
            page.put("short").ok();
            Ok(())
        });
        assert_eq!(shown, Err(Errno::E2BIG));
        assert!(page.is_empty());
        assert_eq!(page.fill(|page| page.put("short")), Ok(()));
    }

    #[test]
    fn a_full_page_and_a_value_that_refuses_are_told_apart() {
        let mut page = Page::new();
        assert_eq!(page.put(Refuses), Err(Errno::EIO));
        page.put_bytes(&[0; PAGE_SIZE]).unwrap();
        assert_eq!(page.line(""), Err(Errno::E2BIG));
        assert_eq!(write!(page, "x").map_err(Errno::from), Err(Errno::E2BIG));
    }

    #[test]
    fn an_error_of_the_show_goes_through_and_leaves_nothing() {
        let mut page = Page::new();
        let shown = page.fill(|page| {
            page.put("half")?;
            Err(Errno::ENODATA)
        });
        assert_eq!((shown, page.as_bytes()), (Err(Errno::ENODATA), &b""[..]));
    }

    #[test]
    fn refilling_stays_in_the_same_memory() {
        let mut page = Page::new();
        let memory = page.as_bytes().as_ptr();
        for len in [1, PAGE_SIZE, PAGE_SIZE + 1, 7] {
            let shown = page.fill(|page| page.put_bytes(&vec![1; len]));
            assert_eq!(shown.is_ok(), len <= PAGE_SIZE);
            assert_eq!(page.as_bytes().as_ptr(), memory);
        }
    }

    #[test]
    fn the_brackets_are_around_the_current_choice_alone() {
        let chosen = |names: &[&str], current| {
            let mut page = Page::new();
            page.choice(names, current).map(|()| page.as_bytes().to_vec())
        };
        assert_eq!(chosen(&["on", "auto"], 0), Ok(b"[on] auto\n".to_vec()));
        assert_eq!(chosen(&["on", "auto"], 1), Ok(b"on [auto]\n".to_vec()));
        assert_eq!(chosen(&["on", "auto"], 2), Ok(b"on auto\n".to_vec()));
        assert_eq!(chosen(&[], 0), Ok(b"\n".to_vec()));
        assert_eq!(chosen(&[&"x".repeat(PAGE_SIZE - 2)], 1).map(|text| text.len()), Ok(PAGE_SIZE - 1));
        assert_eq!(chosen(&[&"x".repeat(PAGE_SIZE - 2)], 0), Err(Errno::E2BIG));
    }

    #[test]
    fn an_integer_is_put_whole_to_the_end_of_the_page() {
        let mut page = Page::new();
        for room in 0..100 {
            for (integer, text) in [(1, "1\n"), (-12_345, "-12345\n"), (i128::MIN, &format!("{}\n", i128::MIN))] {
                page.clear();
                page.put_bytes(&vec![b'x'; PAGE_SIZE - room]).unwrap();
                let memory = page.as_bytes().as_ptr();
                let put = page.int(integer);
                assert_eq!(put, if text.len() <= room { Ok(()) } else { Err(Errno::E2BIG) });
                assert_eq!(put.is_ok(), page.as_bytes().ends_with(text.as_bytes()));
                assert_eq!(page.int(1).is_ok(), text.len() + 2 <= room);
                assert_eq!(page.as_bytes().as_ptr(), memory);
            }
        }
    }

    /// As `line` shows it, which the standard library formats.
    fn as_line<T: Integer + Display>(integer: T) -> [Vec<u8>; 2] {
        let mut pages = [Page::new(), Page::new()];
        pages[0].int(integer).ok();
        pages[1].line(integer).ok();
        pages.map(|page| page.as_bytes().to_vec())
    }

    #[test]
    fn every_length_of_an_integer_is_shown_as_it_displays() {
        let same = |[ours, theirs]: [Vec<u8>; 2]| assert_eq!(ours, theirs);
        for power in 0..39 {
            let power = 10_u128.pow(power);
            for number in [power - 1, power, power + 1, 3 * power, power ^ 0x5555] {
                same(as_line(number));
                same(as_line(number as u64));
                same(as_line(number as i8));
                same(as_line(number as i128));
                same(as_line((number as i128).wrapping_neg()));
            }
        }
        same(as_line(u64::MAX));
        same(as_line(u128::from(u64::MAX) + 1));
        same(as_line(u128::MAX));
        same(as_line(i128::MAX));
        same(as_line(i128::MIN));
        same(as_line(isize::MIN));
        same(as_line(usize::MAX));
    }

    proptest! {
        #[test]
        fn any_integer_is_shown_as_it_displays(a: u8, b: i16, c: u32, d: i64, e: u64, f: u128, g: i128) {
            for [ours, theirs] in [
                as_line(a), as_line(b), as_line(c), as_line(d), as_line(e), as_line(f), as_line(g),
            ] {
                prop_assert_eq!(ours, theirs);
            }
        }

        /// Whatever is put in pieces is there whole and in order, or the page says that it is not.
        #[test]
        fn pieces_are_kept_whole_up_to_the_first_that_does_not_fit(
            pieces in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..2000), 0..6)
        ) {
            let mut page = Page::new();
            let mut fitted = Vec::new();
            let mut overflowed = false;
            for piece in pieces {
                overflowed |= fitted.len() + piece.len() > PAGE_SIZE;
                prop_assert_eq!(page.put_bytes(&piece).is_err(), overflowed);
                if !overflowed {
                    fitted.extend(piece);
                }
                prop_assert_eq!(page.as_bytes(), &fitted[..]);
            }
        }
    }
}
