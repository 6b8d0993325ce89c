use std::collections::HashMap;
use std::fmt;

use crate::sync::{Mutex, process_static};

/// What a caller does inside an object, for the report of who holds up a removal.
///
/// Labels are kept by the process, each text once and for ever: make them of operations (`show`, `probe`), not of objects. A
/// label is a number, copied freely.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Label(u32);

#[derive(Default)]
struct Texts {
    texts: Vec<&'static str>,
    numbers: HashMap<&'static str, u32>,
}

process_static! {
    static TEXTS: Mutex<Option<Texts>> = Mutex::new(None);
}

impl Label {
    /// The label that says nothing.
    pub const NONE: Self = Self(0);

    /// The label with this text, which is copied.
    pub fn new(text: &str) -> Self {
        if text.is_empty() {
            return Self::NONE;
        }
        let mut texts = TEXTS.lock();
        let texts = texts.get_or_insert_with(Texts::default);
        if let Some(number) = texts.numbers.get(text) {
            return Self(*number);
        }
        let text: &'static str = Box::leak(text.into());
        texts.texts.push(text);
        // More texts than a `u32` counts do not fit any memory.
        let number = u32::try_from(texts.texts.len()).unwrap_or(0);
        texts.numbers.insert(text, number);
        Self(number)
    }

    /// The text; empty for [`NONE`](Self::NONE).
    pub fn text(self) -> &'static str {
        let texts = TEXTS.lock();
        let at = (self.0 as usize).checked_sub(1);
        at.and_then(|at| texts.as_ref()?.texts.get(at).copied()).unwrap_or_default()
    }

    pub(crate) fn number(self) -> u32 {
        self.0
    }

    pub(crate) fn from_number(number: u32) -> Self {
        Self(number)
    }

    /// Whether it is one of these. [`NONE`](Self::NONE) never is.
    pub(crate) fn is_among(self, labels: &[Self]) -> bool {
        self != Self::NONE && labels.contains(&self)
    }
}

impl fmt::Debug for Label {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Label({:?})", self.text())
    }
}

#[cfg(all(test, not(any(loom, shuttle))))]
mod tests {
    use super::*;

    #[test]
    fn a_text_has_one_label_and_a_label_its_text() {
        let (show, store) = (Label::new("label-show"), Label::new("label-store"));
        assert_ne!(show, store);
        assert_eq!(Label::new(&String::from("label-show")), show);
        assert_eq!((show.text(), store.text()), ("label-show", "label-store"));
        assert_eq!((Label::new(""), Label::NONE.text()), (Label::NONE, ""));
    }
}
