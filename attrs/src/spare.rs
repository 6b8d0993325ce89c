//! A page for each thread, so that a read neither allocates one nor touches more memory than the last.

use std::cell::RefCell;

use crate::{Errno, Page, Result};

thread_local! {
    static SPARE: RefCell<Page> = RefCell::new(Page::new());
}

/// Runs `with` on an unused page, of whatever contents.
#[inline]
pub(crate) fn with<R>(with: impl FnOnce(&mut Page) -> Result<R>) -> Result<R> {
    let mut with = Some(with);
    let done = SPARE.try_with(|spare| {
        // It stays where it is: to move it out and in again costs more than the rest of a short read.
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
fn apart<R>(with: Option<impl FnOnce(&mut Page) -> Result<R>>) -> Result<R> {
    with.map_or(Err(Errno::EIO), |with| with(&mut Page::new()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_within_another_is_not_the_same() {
        let memory = with(|outer| {
            outer.clear();
            outer.put("outer")?;
            with(|inner| {
                assert!(inner.is_empty());
                inner.put("inner")
            })?;
            assert_eq!(outer.as_bytes(), b"outer");
            Ok(outer.as_bytes().as_ptr())
        });
        assert_eq!(with(|page| Ok(page.as_bytes().as_ptr())), memory);
    }
}
