//! An object of the baseline.

use std::fmt;
use std::sync::Arc;

use super::attribute::Attributes;
use super::bus::Seat;
use super::error::{Error, Result};

/// An object: a payload, its path, its attributes.
///
/// It lives as long as anybody has an `Arc` of it, in the store or not.
pub struct Node<T> {
    pub(super) path: Arc<str>,
    pub(super) attributes: Attributes<T>,
    pub(super) payload: T,
    pub(super) seat: Option<Seat<T>>,
}

impl<T> Node<T> {
    /// The full path under which it was registered.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.path
    }

    /// The last component of its path.
    #[must_use]
    pub fn name(&self) -> &str {
        self.path.rsplit_once('/').map_or(&self.path, |(_, name)| name)
    }

    /// The table of its attributes.
    #[must_use]
    pub fn attributes(&self) -> &Attributes<T> {
        &self.attributes
    }

    /// What it says that it is, if it is on a bus.
    #[must_use]
    pub fn id(&self) -> Option<u64> {
        self.seat.as_ref().map(|seat| seat.id)
    }

    /// What its driver gave.
    #[must_use]
    pub fn payload(&self) -> &T {
        &self.payload
    }

    /// Replaces what `page` holds by the text of the attribute of this name.
    ///
    /// # Errors
    ///
    /// [`Error::NotFound`] if there is none, and what
    /// [`Attribute::show`](super::Attribute::show) fails with.
    pub fn show(&self, attribute: &str, page: &mut Vec<u8>) -> Result {
        self.attributes.find(attribute).ok_or(Error::NotFound)?.show(&self.payload, page)
    }

    /// Hands `data` to the attribute of this name.
    ///
    /// # Errors
    ///
    /// [`Error::NotFound`] if there is none, and what
    /// [`Attribute::store`](super::Attribute::store) fails with.
    pub fn store(&self, attribute: &str, data: &[u8]) -> Result {
        self.attributes.find(attribute).ok_or(Error::NotFound)?.store(&self.payload, data)
    }
}

impl<T> fmt::Debug for Node<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Node").field("path", &self.path).finish_non_exhaustive()
    }
}
