//! Attributes: a table for each type of object, shared by all objects of that type.

use std::fmt;
use std::sync::Arc;

use super::error::{Error, Result};

type Show<T> = Box<dyn Fn(&T, &mut Vec<u8>) -> Result<(), i32> + Send + Sync>;
type Store<T> = Box<dyn Fn(&T, &[u8]) -> Result<(), i32> + Send + Sync>;

const READ: u16 = 0o444;
const WRITE: u16 = 0o222;

/// A named value of an object: a mode, and what produces and takes its text.
///
/// A callback gets the payload; `show` appends to an empty buffer, `store` gets one whole write. They
/// fail with a positive errno, which reaches the caller as [`Error::Callback`].
pub struct Attribute<T> {
    name: Box<str>,
    mode: u16,
    show: Option<Show<T>>,
    store: Option<Store<T>>,
}

impl<T> Attribute<T> {
    /// An attribute that is read only, mode 0444.
    pub fn ro(name: &str, show: impl Fn(&T, &mut Vec<u8>) -> Result<(), i32> + Send + Sync + 'static) -> Self {
        Self { name: name.into(), mode: 0o444, show: Some(Box::new(show)), store: None }
    }

    /// An attribute that is written only, mode 0200.
    pub fn wo(name: &str, store: impl Fn(&T, &[u8]) -> Result<(), i32> + Send + Sync + 'static) -> Self {
        Self { name: name.into(), mode: 0o200, show: None, store: Some(Box::new(store)) }
    }

    /// An attribute that is read and written, mode 0644.
    pub fn rw(
        name: &str,
        show: impl Fn(&T, &mut Vec<u8>) -> Result<(), i32> + Send + Sync + 'static,
        store: impl Fn(&T, &[u8]) -> Result<(), i32> + Send + Sync + 'static,
    ) -> Self {
        Self { name: name.into(), mode: 0o644, show: Some(Box::new(show)), store: Some(Box::new(store)) }
    }

    /// The same attribute with these permission bits; bits above 0777 are dropped.
    ///
    /// A bit without its callback allows nothing.
    #[must_use]
    pub fn with_mode(self, mode: u16) -> Self {
        Self { mode: mode & 0o777, ..self }
    }

    /// The name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The permission bits.
    #[must_use]
    pub fn mode(&self) -> u16 {
        self.mode
    }

    /// Replaces what `page` holds by the attribute's text, made from `payload`.
    ///
    /// # Errors
    ///
    /// [`Error::Access`] if the attribute cannot be read, [`Error::Callback`] if `show` fails.
    pub fn show(&self, payload: &T, page: &mut Vec<u8>) -> Result {
        let show = self.show.as_ref().filter(|_| self.mode & READ != 0).ok_or(Error::Access)?;
        page.clear();
        show(payload, page).map_err(Error::Callback)
    }

    /// Hands `data` to the attribute of `payload`.
    ///
    /// # Errors
    ///
    /// [`Error::Access`] if the attribute cannot be written, [`Error::Callback`] if `store` fails.
    pub fn store(&self, payload: &T, data: &[u8]) -> Result {
        let store = self.store.as_ref().filter(|_| self.mode & WRITE != 0).ok_or(Error::Access)?;
        store(payload, data).map_err(Error::Callback)
    }
}

impl<T> fmt::Debug for Attribute<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Attribute({} {:04o})", self.name, self.mode)
    }
}

/// The attributes of one type of object, in the order of their names.
///
/// A clone is the same table: a thousand disks share one.
pub struct Attributes<T>(Arc<[Attribute<T>]>);

impl<T> Attributes<T> {
    /// A table of these attributes.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidName`] if a name is not valid, [`Error::Exists`] if two are equal.
    pub fn new(mut attributes: Vec<Attribute<T>>) -> Result<Self> {
        for attribute in &attributes {
            check_name(&attribute.name)?;
        }
        attributes.sort_by(|a, b| a.name.cmp(&b.name));
        if attributes.windows(2).any(|pair| pair[0].name == pair[1].name) {
            return Err(Error::Exists);
        }
        Ok(Self(attributes.into()))
    }

    /// Where the attribute of this name stands in the table.
    #[must_use]
    pub fn position(&self, name: &str) -> Option<usize> {
        self.0.binary_search_by(|attribute| (*attribute.name).cmp(name)).ok()
    }

    /// The attribute of this name.
    #[must_use]
    pub fn find(&self, name: &str) -> Option<&Attribute<T>> {
        self.position(name).and_then(|index| self.get(index))
    }

    /// The attribute that stands here.
    #[must_use]
    pub fn get(&self, index: usize) -> Option<&Attribute<T>> {
        self.0.get(index)
    }

    /// The attributes in order.
    pub fn iter(&self) -> std::slice::Iter<'_, Attribute<T>> {
        self.0.iter()
    }
}

impl<T> Clone for Attributes<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<T> Default for Attributes<T> {
    /// A table without attributes.
    fn default() -> Self {
        Self(Vec::new().into())
    }
}

impl<'a, T> IntoIterator for &'a Attributes<T> {
    type Item = &'a Attribute<T>;
    type IntoIter = std::slice::Iter<'a, Attribute<T>>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl<T> fmt::Debug for Attributes<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self).finish()
    }
}

/// Refuses what cannot be the name of an object, a link or an attribute.
pub(super) fn check_name(name: &str) -> Result {
    let fits = (1..=255).contains(&name.len());
    if !fits || name == "." || name == ".." || name.contains(['/', '\0']) {
        return Err(Error::InvalidName);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn size() -> Attribute<u64> {
        Attribute::ro("size", |size: &u64, page| {
            page.extend_from_slice(size.to_string().as_bytes());
            Ok(())
        })
    }

    #[test]
    fn a_show_replaces_what_the_page_held() {
        let mut page = b"old text".to_vec();
        size().show(&7, &mut page).unwrap();
        assert_eq!(page, b"7");
    }

    #[test]
    fn a_direction_needs_its_callback_and_its_mode_bit() {
        let mut page = Vec::new();
        assert_eq!(size().store(&7, b"8"), Err(Error::Access));
        assert_eq!(size().with_mode(0o666).store(&7, b"8"), Err(Error::Access));
        assert_eq!(size().with_mode(0o200).show(&7, &mut page), Err(Error::Access));

        let reset = Attribute::wo("reset", |_: &u64, _| Ok(()));
        assert_eq!(reset.store(&7, b"1"), Ok(()));
        assert_eq!(reset.with_mode(0o444).show(&7, &mut page), Err(Error::Access));
    }

    #[test]
    fn a_callback_fails_with_its_own_errno() {
        let broken = Attribute::rw("broken", |_: &u64, _| Err(5), |_, _| Err(22));
        assert_eq!(broken.show(&7, &mut Vec::new()), Err(Error::Callback(5)));
        assert_eq!(broken.store(&7, b"1"), Err(Error::Callback(22)));
    }

    #[test]
    fn a_table_finds_its_attributes_and_refuses_two_of_one_name() {
        let reset = || Attribute::wo("reset", |_: &u64, _| Ok(()));
        let table = Attributes::new(vec![size(), reset()]).unwrap();
        assert_eq!(table.find("size").map(Attribute::mode), Some(0o444));
        assert_eq!(table.find("reset").map(Attribute::mode), Some(0o200));
        assert!(table.find("absent").is_none());
        assert_eq!(table.iter().map(Attribute::name).collect::<Vec<_>>(), ["reset", "size"]);

        assert_eq!(Attributes::new(vec![reset(), size(), reset()]).err(), Some(Error::Exists));
        for name in ["", ".", "..", "a/b", "a\0b", &"x".repeat(256)] {
            let bad = Attribute::ro(name, |_: &u64, _| Ok(()));
            assert_eq!(Attributes::new(vec![bad]).err(), Some(Error::InvalidName), "{name:?}");
        }
    }
}
