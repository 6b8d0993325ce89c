//! Store tags: no two domains alive at once share one, and no handle of a domain's tag ever comes back under
//! a later domain with the same tag.

use crate::error::DomainError;
use crate::sync::{Mutex, process_static};
use crate::version::{GENERATION_LAST, TAG_MAX};

const TAGS: usize = TAG_MAX as usize + 1;

#[derive(Clone, Copy)]
struct State {
    taken: bool,
    /// The generation at which the tag's next domain starts: above all that have been handed out.
    next: u32,
}

process_static! {
    static STATES: Mutex<[State; TAGS]> = Mutex::new([State { taken: false, next: 0 }; TAGS]);
}

/// A tag, held by one domain.
#[derive(Debug)]
pub(crate) struct Tag {
    value: u8,
    first: u32,
}

impl Tag {
    /// Takes the free tag that has been used least.
    pub(crate) fn take() -> Result<Self, DomainError> {
        let mut states = STATES.lock();
        let free = states.iter_mut().enumerate().skip(1).filter(|(_, s)| !s.taken && s.next <= GENERATION_LAST);
        let (value, state) = free.min_by_key(|(_, state)| state.next).ok_or(DomainError::Tags)?;
        state.taken = true;
        Ok(Self { value: value as u8, first: state.next })
    }

    pub(crate) fn value(&self) -> u8 {
        self.value
    }

    /// The generation of the first handle of every slot.
    pub(crate) fn first(&self) -> u32 {
        self.first
    }

    /// Says that generations below `above` have been handed out.
    pub(crate) fn used(&self, above: u32) {
        let mut states = STATES.lock();
        let state = &mut states[usize::from(self.value)];
        state.next = state.next.max(above);
    }
}

impl Drop for Tag {
    fn drop(&mut self) {
        STATES.lock()[usize::from(self.value)].taken = false;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_taken_again_starts_above_its_last_generation() {
        let tag = Tag::take().unwrap();
        let (value, above) = (tag.value(), tag.first() + 42);
        tag.used(above);
        drop(tag);
        // Other tests take tags too, so take until this one comes.
        let mut held = Vec::new();
        while let Ok(tag) = Tag::take() {
            if tag.value() == value {
                assert!(tag.first() >= above);
                return;
            }
            held.push(tag);
        }
    }
}
