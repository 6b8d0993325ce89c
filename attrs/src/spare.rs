//! A page for each thread, so that a read neither allocates one nor touches more memory than the last.

use std::cell::RefCell;

use crate::{Errno, Page, Result};

thread_local! {
    static SPARE: RefCell<Page> = RefCell::new(Page::new());
}

/// Runs `with` on an unused page, of whatever contents.
///
/// What it finds out is left in what it captures: a result with a number in it is moved in pieces, which stalls a short read.
#[inline]
pub(crate) fn with(with: impl FnOnce(&mut Page) -> Result) -> Result {
    let mut with = Some(with);
    let done = SPARE.try_with(|spare| {
        // It stays where it is, for the same reason.
        let mut page = spare.try_borrow_mut().ok()?;
        with.take().map(|with| with(&mut page))
    });
    match done {
        Ok(Some(result)) => result,
        // A read within a `show`, or in a thread's last moments.
        _ => apart(with),
    }
}

#[cold]
fn apart(with: Option<impl FnOnce(&mut Page) -> Result>) -> Result {
    with.map_or(Err(Errno::EIO), |with| with(&mut Page::new()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_within_another_is_not_the_same() {
        let mut memory = [std::ptr::null(); 2];
        let shown = with(|outer| {
            outer.clear();
            outer.put("outer")?;
            with(|inner| {
                assert!(inner.is_empty());
                inner.put("inner")
            })?;
            assert_eq!(outer.as_bytes(), b"outer");
            memory[0] = outer.as_bytes().as_ptr();
            Ok(())
        });
        let again = with(|page| {
            memory[1] = page.as_bytes().as_ptr();
            Err(Errno::ENODATA)
        });
        assert_eq!((shown, again), (Ok(()), Err(Errno::ENODATA)));
        assert_eq!(memory[0], memory[1]);
    }
}
