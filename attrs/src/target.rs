//! What open files work on.

use crate::{Page, Result, Seen};

/// What an open file is a file of: one attribute on one owner, wherever that is by now.
///
/// Each method takes what reference it needs, for its own length only. Where the owner or the attribute
/// is gone it returns `ENODEV`, before anything else that it might find wrong.
///
/// A target whose changes are counted latches the count in the [`Seen`] that it is given: when it has entered the
/// owner, and before it runs the callback, however that ends.
pub trait Target {
    /// Whether an operation could begin now.
    ///
    /// # Errors
    ///
    /// `ENODEV`: the target is gone.
    fn alive(&self) -> Result;

    /// See [`Attribute::show`](crate::Attribute::show). Latches the count of changes first.
    ///
    /// # Errors
    ///
    /// `ENODEV`: the target is gone. Otherwise those of `Attribute::show`.
    fn show(&self, page: &mut Page, seen: &Seen) -> Result;

    /// See [`Attribute::store`](crate::Attribute::store).
    ///
    /// # Errors
    ///
    /// `ENODEV`: the target is gone, also where `data` is empty or too long. Otherwise those of
    /// `Attribute::store`.
    fn store(&self, data: &[u8]) -> Result;

    /// See [`Attribute::read_at`](crate::Attribute::read_at). Never more than `buf.len()`. Latches the count of changes
    /// first.
    ///
    /// # Errors
    ///
    /// `ENODEV`: the target is gone, also where `buf` is empty. Otherwise those of `Attribute::read_at`.
    fn read_at(&self, offset: u64, buf: &mut [u8], seen: &Seen) -> Result<usize>;

    /// See [`Attribute::write_at`](crate::Attribute::write_at). Never more than `data.len()`.
    ///
    /// # Errors
    ///
    /// `ENODEV`: the target is gone, also where `data` is empty. Otherwise those of
    /// `Attribute::write_at`.
    fn write_at(&self, offset: u64, data: &[u8]) -> Result<usize>;

    /// See [`Attribute::is_binary`](crate::Attribute::is_binary). A target that is gone may say anything.
    fn is_binary(&self) -> bool;

    /// See [`Attribute::size`](crate::Attribute::size). A target that is gone may say anything.
    fn size(&self) -> u64;
}
