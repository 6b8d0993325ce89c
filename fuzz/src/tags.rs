//! Domains for the worlds, so that a new one has a tag that was used before.

use std::sync::{Mutex, OnceLock, PoisonError};

use enodev_handles::{Domain, DomainError};

/// Domains that hold the tags that nobody is to get.
static HELD_BACK: OnceLock<Mutex<Vec<Domain>>> = OnceLock::new();

/// A domain from `make`, with a tag that an earlier one has given back, if there is any such tag.
///
/// All tags are taken at the first call, and one is let go whenever none is free: so only as many go
/// round as there are worlds at once. It takes thousands of millions of generations until all are used up.
///
/// # Errors
///
/// As `make`.
pub(crate) fn domain(make: impl Fn() -> Result<Domain, DomainError>) -> Result<Domain, DomainError> {
    let held_back = HELD_BACK.get_or_init(|| Mutex::new(std::iter::from_fn(|| Domain::new().ok()).collect()));
    loop {
        match make() {
            Err(DomainError::Tags) => {
                let freed = held_back.lock().unwrap_or_else(PoisonError::into_inner).pop();
                if freed.is_none() {
                    return Err(DomainError::Tags);
                }
            }
            made => return made,
        }
    }
}
