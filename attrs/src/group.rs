//! Groups: attributes that come and go together.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::contain::{self, contain};
use crate::{Attribute, DefineError, Errno, Mode, Name, Owner, Page, Result};

/// Attributes that an object gets together and loses together.
///
/// A group with a name is a directory of that name; one without puts its attributes beside the object's
/// own. The builder keeps the first error, and [`into_parts`](Self::into_parts) tells it.
///
/// Two callbacks may decide anew for each owner. [`is_shown`](Self::is_shown) answers for the group as a whole: a
/// named one that is not shown has no directory. [`is_visible`](Self::is_visible) answers for one attribute: a group
/// all of whose attributes are hidden is an empty directory.
///
/// # Examples
///
/// ```
/// use enodev_attrs::{Group, Mode, Owner, Visibility};
///
/// struct Disk { rotates: bool, sleeps: bool }
/// impl Owner for Disk {
///     type Ref<'a> = &'a Disk;
/// }
///
/// let power = Group::<Disk>::named("power")
///     .ro("state", |_, page| page.line("active"))
///     .wo("spin_down", |_, _| Ok(()))
///     .is_shown(|disk| disk.sleeps)
///     .is_visible(|disk, attribute| match attribute.name().as_str() {
///         "spin_down" if !disk.rotates => Visibility::Hidden,
///         _ => Visibility::AsDefined,
///     })
///     .into_parts()?;
///
/// let ssd = Disk { rotates: false, sleeps: true };
/// let [state, spin_down] = &power.attributes[..] else { unreachable!() };
/// assert_eq!(power.visible.is_shown(&ssd), Ok(true));
/// assert_eq!(power.visible.mode(&ssd, state), Ok(Some(Mode::RO)));
/// assert_eq!(power.visible.mode(&ssd, spin_down), Ok(None));
/// # Ok::<(), enodev_attrs::DefineError>(())
/// ```
pub struct Group<O: Owner> {
    name: Option<Name>,
    attributes: Vec<Attribute<O>>,
    visible: Visible<O>,
    /// The first thing that is wrong.
    error: Option<DefineError>,
}

/// Whether an attribute is there for one owner, and with which mode.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Visibility {
    /// It is there with the mode that it was defined with, even if that has no bits.
    AsDefined,
    /// It is there with this mode; without any bits it is hidden, as in sysfs.
    Mode(Mode),
    /// It is not there.
    Hidden,
}

/// What a [`Group`] is made of. No two attributes have one name.
pub struct Parts<O: Owner> {
    /// The name of the directory, or `None` for the object's own.
    pub name: Option<Name>,
    /// The attributes, in the order in which they were added.
    pub attributes: Vec<Attribute<O>>,
    /// What decides which of them are there.
    pub visible: Visible<O>,
}

type IsVisible<O> = Box<dyn Fn(<O as Owner>::Ref<'_>, &Attribute<O>) -> Visibility + Send + Sync>;
type IsShown<O> = Box<dyn Fn(<O as Owner>::Ref<'_>) -> bool + Send + Sync>;

/// The callbacks of a [`Group`] that decide for each owner what is there.
///
/// They run on the caller's thread. One that panics gives `EIO` and is counted in [`panics`](Self::panics), provided
/// that panics unwind.
pub struct Visible<O: Owner> {
    is_visible: Option<IsVisible<O>>,
    is_shown: Option<IsShown<O>>,
    panics: AtomicU64,
}

/// Definition.
impl<O: Owner> Group<O> {
    /// A group whose attributes stand in the object's own directory.
    pub fn new() -> Self {
        let visible = Visible { is_visible: None, is_shown: None, panics: AtomicU64::new(0) };
        Group { name: None, attributes: Vec::new(), visible, error: None }
    }

    /// A group whose attributes stand in a directory of this name.
    pub fn named(name: &str) -> Self {
        let group = Group::new();
        match Name::new(name) {
            Ok(name) => Group { name: Some(name), ..group },
            Err(invalid) => Group { error: Some(invalid.into()), ..group },
        }
    }

    /// Adds a text attribute that can be read: see [`Attribute::ro`].
    pub fn ro<S>(self, name: &str, show: S) -> Self
    where
        S: Fn(O::Ref<'_>, &mut Page) -> Result + Send + Sync + 'static,
    {
        self.attribute(Attribute::ro(name, show))
    }

    /// Adds a text attribute that can be written: see [`Attribute::wo`].
    pub fn wo<T>(self, name: &str, store: T) -> Self
    where
        T: Fn(O::Ref<'_>, &[u8]) -> Result + Send + Sync + 'static,
    {
        self.attribute(Attribute::wo(name, store))
    }

    /// Adds a text attribute that can be read and written: see [`Attribute::rw`].
    pub fn rw<S, T>(self, name: &str, show: S, store: T) -> Self
    where
        S: Fn(O::Ref<'_>, &mut Page) -> Result + Send + Sync + 'static,
        T: Fn(O::Ref<'_>, &[u8]) -> Result + Send + Sync + 'static,
    {
        self.attribute(Attribute::rw(name, show, store))
    }

    /// Adds a binary attribute that can be read: see [`Attribute::bin_ro`].
    pub fn bin_ro<R>(self, name: &str, size: u64, read_at: R) -> Self
    where
        R: Fn(O::Ref<'_>, u64, &mut [u8]) -> Result<usize> + Send + Sync + 'static,
    {
        self.attribute(Attribute::bin_ro(name, size, read_at))
    }

    /// Adds a binary attribute that can be written: see [`Attribute::bin_wo`].
    pub fn bin_wo<W>(self, name: &str, size: u64, write_at: W) -> Self
    where
        W: Fn(O::Ref<'_>, u64, &[u8]) -> Result<usize> + Send + Sync + 'static,
    {
        self.attribute(Attribute::bin_wo(name, size, write_at))
    }

    /// Adds a binary attribute that can be read and written: see [`Attribute::bin_rw`].
    pub fn bin_rw<R, W>(self, name: &str, size: u64, read_at: R, write_at: W) -> Self
    where
        R: Fn(O::Ref<'_>, u64, &mut [u8]) -> Result<usize> + Send + Sync + 'static,
        W: Fn(O::Ref<'_>, u64, &[u8]) -> Result<usize> + Send + Sync + 'static,
    {
        self.attribute(Attribute::bin_rw(name, size, read_at, write_at))
    }

    /// Adds any attribute.
    pub fn attribute(mut self, attribute: Result<Attribute<O>, DefineError>) -> Self {
        match attribute {
            Ok(attribute) => self.attributes.push(attribute),
            Err(error) => self.error = self.error.or(Some(error)),
        }
        self
    }

    /// Gives the attribute that was added last another mode: see [`Attribute::with_mode`].
    pub fn mode(mut self, mode: Mode) -> Self {
        match self.attributes.pop() {
            Some(attribute) => self.attribute(attribute.with_mode(mode)),
            None => self.attribute(Err(DefineError::NoAttribute(mode))),
        }
    }

    /// Asks `decide` once for each attribute whether it is there for an owner. The last such callback counts.
    pub fn is_visible<V>(mut self, decide: V) -> Self
    where
        V: Fn(O::Ref<'_>, &Attribute<O>) -> Visibility + Send + Sync + 'static,
    {
        self.visible.is_visible = Some(Box::new(decide));
        self
    }

    /// Asks `decide` whether there is anything of the group for an owner: of a named group not even the
    /// directory, if not. The last such callback counts.
    pub fn is_shown<V>(mut self, decide: V) -> Self
    where
        V: Fn(O::Ref<'_>) -> bool + Send + Sync + 'static,
    {
        self.visible.is_shown = Some(Box::new(decide));
        self
    }

    /// The name, the attributes and the callbacks.
    ///
    /// # Errors
    ///
    /// The first [`DefineError`] that the builder has met; [`DefineError::Twice`] where two attributes have
    /// one name.
    pub fn into_parts(self) -> Result<Parts<O>, DefineError> {
        let Group { name, attributes, visible, error } = self;
        if let Some(error) = error {
            return Err(error);
        }
        let mut names = BTreeSet::new();
        if let Some(twice) = attributes.iter().position(|attribute| !names.insert(attribute.name().as_str())) {
            return Err(DefineError::Twice(twice));
        }
        Ok(Parts { name, attributes, visible })
    }
}

/// What has been defined so far.
impl<O: Owner> Group<O> {
    /// The name of the directory, or `None` for the object's own.
    pub fn name(&self) -> Option<&Name> {
        self.name.as_ref()
    }

    /// The attributes, in the order in which they were added.
    pub fn attributes(&self) -> &[Attribute<O>] {
        &self.attributes
    }
}

impl<O: Owner> Visible<O> {
    /// Whether there are no callbacks: the group is shown to every owner, with all its attributes as defined.
    pub fn is_plain(&self) -> bool {
        self.is_visible.is_none() && self.is_shown.is_none()
    }

    /// The mode that `attribute` has for this owner, or `None` where it is hidden.
    ///
    /// # Errors
    ///
    /// - `EINVAL`: the callback answered with a mode that promises what the attribute has no callback for.
    ///   Linux masks some such bits and lets the operations fail for the others.
    /// - `EIO`: it panicked.
    pub fn mode(&self, owner: O::Ref<'_>, attribute: &Attribute<O>) -> Result<Option<Mode>> {
        let Some(is_visible) = &self.is_visible else { return Ok(Some(attribute.mode())) };
        match self.run(|| is_visible(owner, attribute))? {
            Visibility::AsDefined => Ok(Some(attribute.mode())),
            Visibility::Hidden => Ok(None),
            Visibility::Mode(mode) if mode.is_empty() => Ok(None),
            Visibility::Mode(mode) => {
                attribute.keeps(mode)?;
                Ok(Some(mode))
            }
        }
    }

    /// Whether there is anything of the group for this owner.
    ///
    /// # Errors
    ///
    /// `EIO`: the callback panicked.
    pub fn is_shown(&self, owner: O::Ref<'_>) -> Result<bool> {
        self.is_shown.as_ref().map_or(Ok(true), |is_shown| self.run(|| is_shown(owner)))
    }

    /// How many of the callbacks have panicked so far.
    pub fn panics(&self) -> u64 {
        // Relaxed: a statistic; it orders nothing.
        self.panics.load(Ordering::Relaxed)
    }

    /// Runs one callback.
    fn run<T>(&self, callback: impl FnOnce() -> T) -> Result<T> {
        contain(callback).ok_or_else(|| {
            contain::note();
            // Relaxed: a statistic; it orders nothing.
            self.panics.fetch_add(1, Ordering::Relaxed);
            Errno::EIO
        })
    }
}

impl<O: Owner> Default for Group<O> {
    fn default() -> Self {
        Group::new()
    }
}

impl<O: Owner> fmt::Debug for Group<O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Group")
            .field("name", &self.name)
            .field("attributes", &self.attributes)
            .field("visible", &self.visible)
            .field("error", &self.error)
            .finish()
    }
}

impl<O: Owner> fmt::Debug for Parts<O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Parts")
            .field("name", &self.name)
            .field("attributes", &self.attributes)
            .field("visible", &self.visible)
            .finish()
    }
}

impl<O: Owner> fmt::Debug for Visible<O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Visible")
            .field("is_visible", &self.is_visible.is_some())
            .field("is_shown", &self.is_shown.is_some())
            .finish_non_exhaustive()
    }
}
