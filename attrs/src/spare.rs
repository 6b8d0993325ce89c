//! A page for each thread, so that a read neither allocates one nor touches more memory than the last.

use std::cell::Cell;

use crate::Page;

thread_local! {
    /// Nothing while somebody has it.
    static SPARE: Cell<Option<Page>> = const { Cell::new(None) };
}

/// Runs `with` on an unused page, of whatever contents.
#[inline]
pub(crate) fn with<R>(with: impl FnOnce(&mut Page) -> R) -> R {
    // A read within a `show`, or in a thread's last moments, gets a page of its own.
    let mut page = SPARE.try_with(Cell::take).ok().flatten().unwrap_or_default();
    let result = with(&mut page);
    // The thread may be at its end meanwhile: then the page is dropped.
    let _ = SPARE.try_with(|spare| spare.set(Some(page)));
    result
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_within_another_is_not_the_same() {
        let memory = with(|outer| {
            outer.put("outer").unwrap();
            with(|inner| {
                assert!(inner.is_empty());
                inner.put("inner").unwrap();
            });
            assert_eq!(outer.as_bytes(), b"outer");
            outer.as_bytes().as_ptr()
        });
        assert_eq!(with(|page| page.as_bytes().as_ptr()), memory);
    }
}
