//! Names of attributes, and of whatever else is an entry of a directory.

use std::borrow::Borrow;
use std::fmt;
use std::ops::Deref;

use smol_str::SmolStr;
use thiserror::Error;

use crate::Errno;

/// The name of a directory entry. One of up to 23 bytes needs no memory of its own; clones of a longer one share the text.
///
/// # Invariants
///
/// 1 to [`Name::LEN_MAX`] bytes, no `/`, no NUL, neither `.` nor `..`: a name can always stand as one
/// component of a path.
///
/// # Examples
///
/// ```
/// use enodev_attrs::{InvalidName, Name};
///
/// let name = Name::new("queue_depth")?;
/// assert_eq!(&*name, "queue_depth");
/// assert_eq!(Name::new("../secret"), Err(InvalidName::Slash));
/// # Ok::<(), InvalidName>(())
/// ```
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Name(SmolStr);

// Few names are longer, and devices come and go with theirs.
const _: () = assert!(size_of::<Option<Name>>() == 24, "a name is as large as a `String`, and there may be none");

/// Why a text is not a [`Name`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Error)]
pub enum InvalidName {
    /// There is no text.
    #[error("the name is empty")]
    Empty,
    /// The text has more than [`Name::LEN_MAX`] bytes.
    #[error("the name is longer than {} bytes", Name::LEN_MAX)]
    TooLong,
    /// The text has a `/` in it.
    #[error("the name has a slash in it")]
    Slash,
    /// The text has a NUL byte in it.
    #[error("the name has a NUL byte in it")]
    Nul,
    /// The text is `.` or `..`, which every directory has already.
    #[error("the name is one of the dots")]
    Dots,
}

impl Name {
    /// The most bytes a name may have (`NAME_MAX` of Linux).
    pub const LEN_MAX: usize = 255;

    /// Copies `text` into a name.
    ///
    /// # Errors
    ///
    /// [`InvalidName`], where `text` breaks one of the invariants.
    pub fn new(text: &str) -> Result<Name, InvalidName> {
        if text.is_empty() {
            return Err(InvalidName::Empty);
        }
        if text.len() > Self::LEN_MAX {
            return Err(InvalidName::TooLong);
        }
        if text == "." || text == ".." {
            return Err(InvalidName::Dots);
        }
        match text.bytes().find(|byte| matches!(byte, b'/' | b'\0')) {
            Some(b'/') => Err(InvalidName::Slash),
            Some(_) => Err(InvalidName::Nul),
            None => Ok(Name(SmolStr::new(text))),
        }
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl InvalidName {
    /// `ENAMETOOLONG` for [`TooLong`](Self::TooLong), else `EINVAL`.
    pub const fn errno(self) -> Errno {
        match self {
            InvalidName::TooLong => Errno::ENAMETOOLONG,
            InvalidName::Empty | InvalidName::Slash | InvalidName::Nul | InvalidName::Dots => Errno::EINVAL,
        }
    }
}

impl From<InvalidName> for Errno {
    fn from(invalid: InvalidName) -> Errno {
        invalid.errno()
    }
}

impl Deref for Name {
    type Target = str;

    fn deref(&self) -> &str {
        self.as_str()
    }
}

impl AsRef<str> for Name {
    fn as_ref(&self) -> &str {
        self.as_str()
    }
}

// The derived `Eq`, `Ord` and `Hash` are those of `str`, as `Borrow` demands.
impl Borrow<str> for Name {
    fn borrow(&self) -> &str {
        self.as_str()
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self.as_str(), f)
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeSet, HashSet};

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn each_fault_is_told_apart() {
        let too_long = "n".repeat(256);
        for (text, fault, errno) in [
            ("", InvalidName::Empty, Errno::EINVAL),
            (too_long.as_str(), InvalidName::TooLong, Errno::ENAMETOOLONG),
            ("a/b", InvalidName::Slash, Errno::EINVAL),
            ("/", InvalidName::Slash, Errno::EINVAL),
            ("a\0", InvalidName::Nul, Errno::EINVAL),
            (".", InvalidName::Dots, Errno::EINVAL),
            ("..", InvalidName::Dots, Errno::EINVAL),
        ] {
            assert_eq!(Name::new(text), Err(fault), "{text:?}");
            assert_eq!(fault.errno(), errno);
            assert_eq!(Errno::from(fault), errno);
        }
    }

    #[test]
    fn the_limit_counts_bytes() {
        assert!(Name::new(&"n".repeat(255)).is_ok());
        assert!(Name::new(&"é".repeat(127)).is_ok());
        assert_eq!(Name::new(&"é".repeat(128)), Err(InvalidName::TooLong));
    }

    #[test]
    fn dots_and_spaces_among_other_letters_are_plain() {
        for text in ["...", ".hidden", "a b", "pci0000:00", "1-1.4:1.0", "Ω"] {
            assert_eq!(Name::new(text).unwrap().as_str(), text);
        }
    }

    #[test]
    fn a_clone_shares_the_text_unless_it_is_short() {
        for (len, is_shared) in [(1, false), (23, false), (24, true), (255, true)] {
            let name = Name::new(&"n".repeat(len)).unwrap();
            let clone = name.clone();
            assert_eq!((std::ptr::eq(name.as_str(), clone.as_str()), clone.len()), (is_shared, len));
        }
    }

    #[test]
    fn collections_of_names_are_searched_by_text() {
        let names = ["ro", "removable", "size"].map(|text| Name::new(text).unwrap());
        let hashed: HashSet<Name> = names.iter().cloned().collect();
        let ordered: BTreeSet<Name> = names.into_iter().collect();
        assert!(hashed.contains("size") && ordered.contains("size"));
        assert!(!hashed.contains("sizes") && !ordered.contains("sizes"));
        assert_eq!(ordered.first().map(|name| format!("{name:>10}{name:?}")), Some(r#" removable"removable""#.into()));
    }

    proptest! {
        /// A name is refused for a reason that can be found in the text, and for no other.
        #[test]
        fn a_text_is_a_name_exactly_if_it_is_one_component(text in "[a./\0é]{0,6}|[ab]{250,260}") {
            let component = !text.is_empty()
                && text.len() <= 255
                && !text.contains(['/', '\0'])
                && text != "."
                && text != "..";
            prop_assert_eq!(Name::new(&text).is_ok(), component);
        }
    }
}
