//! Attributes whose values the store keeps.

use std::any::Any;
use std::fmt;
use std::sync::{Arc, OnceLock};

use enodev_attrs::{Attribute, DefineError, Errno, Page, Result as AttrResult, Value};
use enodev_handles::{Column, Density, SetError};

use crate::device_type::{Lending, Type};
use crate::error::{Error, Result};
use crate::handle::{AsKobject, AttrHandle, KobjectHandle, kind};
use crate::store::{Nodes, Store};
use crate::sync::atomic::{AtomicBool, Ordering};

/// The values of one plain attribute.
pub(crate) struct PlainCell<T: Value> {
    /// Made with the type.
    column: OnceLock<Column<kind::Kobject, T>>,
    /// The value of an object that has none yet.
    initial: T,
    /// Whether the attribute is hidden on some object, or was. Never taken back.
    is_hidden: AtomicBool,
}

/// A [`PlainCell`] whose type is not known.
pub(crate) trait AnyPlain: Send + Sync {
    /// Makes room for values.
    fn settle(&self, nodes: &Nodes);
    /// Notes that the attribute is about to be hidden on some object.
    fn hide(&self);
    fn into_any(self: Arc<Self>) -> Arc<dyn Any + Send + Sync>;
}

impl<T: Value + Send + Sync> AnyPlain for PlainCell<T> {
    fn settle(&self, nodes: &Nodes) {
        self.column.get_or_init(|| nodes.column(Density::Dense));
    }

    fn hide(&self) {
        // Relaxed: who reads a value at this very moment may still get it; who learns of the hiding afterwards, from whatever tells
        // him, finds this too.
        self.is_hidden.store(true, Ordering::Relaxed);
    }

    fn into_any(self: Arc<Self>) -> Arc<dyn Any + Send + Sync> {
        self
    }
}

impl<T: Value> PlainCell<T> {
    /// Before the type is defined there is nobody to ask.
    fn column(&self) -> Result<&Column<kind::Kobject, T>, Errno> {
        self.column.get().ok_or(Errno::ENODEV)
    }

    fn get(&self, object: KobjectHandle) -> AttrResult<T> {
        Ok(self.column()?.load(object)?.unwrap_or(self.initial))
    }

    /// As `get`. From now on `load` finds the value of this object, whose initial one it is if it has none.
    fn get_settled(&self, object: KobjectHandle) -> AttrResult<T> {
        match self.column()?.load_or_store(object, self.initial) {
            Ok(value) => Ok(value),
            Err(SetError::Stale(stale)) => Err(stale.into()),
            // Without memory for it the value is what it is all the same.
            Err(_) => self.get(object),
        }
    }

    fn set(&self, object: KobjectHandle, value: T) -> AttrResult {
        self.column()?.store(object, value).map_err(|error| match error {
            SetError::Stale(stale) => stale.into(),
            _ => Errno::ENOMEM,
        })
    }
}

/// A plain attribute of a type that is being described, and where its values will be.
pub(crate) fn attribute<O: Lending, T: Value + Send + Sync>(
    name: &str,
    initial: T,
) -> (AttrResult<Attribute<O>, DefineError>, Arc<dyn AnyPlain>) {
    let cell = Arc::new(PlainCell { column: OnceLock::new(), initial, is_hidden: AtomicBool::new(false) });
    let (shown, stored) = (Arc::clone(&cell), Arc::clone(&cell));
    let show = move |owner: O::Ref<'_>, page: &mut Page| shown.get(O::object(&owner))?.show(page);
    let store = move |owner: O::Ref<'_>, data: &[u8]| stored.set(O::object(&owner), T::parse(data)?);
    (Attribute::rw(name, show, store), cell)
}

/// An attribute of a type whose value the store keeps, as a value: read and written without entering the object. See
/// [`DeviceType::plain`](crate::DeviceType::plain).
///
/// ```
/// use enodev::{DeviceType, Errno, Store};
///
/// let store = Store::new()?;
/// let mouse_type = store.define(DeviceType::shared::<()>("mouse").plain("dpi", 800_u32))?;
/// let dpi = store.plain::<u32>(mouse_type, "dpi")?;
///
/// let mouse = store.register(store.root(), "mouse0", mouse_type, ())?;
/// store.write(mouse, "dpi", b"1600\n")?;
/// assert_eq!(dpi.load(&store, mouse)?, 1600);
/// dpi.store(&store, mouse, 400)?;
/// assert_eq!(store.read(mouse, "dpi")?, b"400\n");
///
/// store.unregister::<()>(mouse)?;
/// assert_eq!(dpi.load(&store, mouse), Err(Errno::ENODEV.into()));
/// # Ok::<(), enodev::Error>(())
/// ```
pub struct PlainAttr<T: Value> {
    attr: AttrHandle,
    /// The address of what the store is made of: while the values' objects are alive, so is that store, and no other has the address.
    tree: usize,
    cell: Arc<PlainCell<T>>,
}

impl<T: Value + Send + Sync> PlainAttr<T> {
    /// The handle of the attribute, for [`Store::show`], [`Store::notify`] and the like.
    pub fn handle(&self) -> AttrHandle {
        self.attr
    }

    /// The value that an object has. Nothing is entered, so no removal waits for this; it waits for nobody but, with a value of more
    /// than eight bytes, for the few stores of another thread that sets the same one.
    ///
    /// The first time that an object is asked, this enters the object; so it does each time once the attribute has been hidden on any
    /// object.
    ///
    /// # Errors
    ///
    /// `ENODEV`: the object, or the attribute is hidden on it, or either is of another store; `EINVAL`: the object is of another type.
    #[inline]
    pub fn load(&self, store: &Store, object: impl AsKobject) -> Result<T> {
        let object = object.kobject();
        if let Some(column) = self.cell.column.get() {
            // Relaxed: see `hide`.
            let is_hidden = self.cell.is_hidden.load(Ordering::Relaxed);
            if !is_hidden && self.tree == address(store) {
                if let Some(value) = column.load(object)? {
                    return Ok(value);
                }
            }
        }
        self.load_slowly(store, object)
    }

    #[cold]
    fn load_slowly(&self, store: &Store, object: KobjectHandle) -> Result<T> {
        let mut value = Err(Errno::ENODEV);
        store.within(object, self.attr, || {
            value = self.cell.get_settled(object);
            Ok(())
        })?;
        Ok(value?)
    }

    /// Sets the value of an object. The mode counts for text alone, and nobody is told of the change: see [`Store::notify`].
    ///
    /// # Errors
    ///
    /// As [`load`](Self::load), and `ENOMEM`. Nothing has changed then.
    pub fn store(&self, store: &Store, object: impl AsKobject, value: T) -> Result {
        let object = object.kobject();
        store.within(object, self.attr, || self.cell.set(object, value))?;
        Ok(())
    }
}

fn address(store: &Store) -> usize {
    Arc::as_ptr(&store.inner).addr()
}

impl<T: Value> Clone for PlainAttr<T> {
    fn clone(&self) -> Self {
        Self { attr: self.attr, tree: self.tree, cell: Arc::clone(&self.cell) }
    }
}

impl<T: Value> fmt::Debug for PlainAttr<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("PlainAttr").field(&self.attr).finish()
    }
}

impl Store {
    /// The attribute of a type whose value the store keeps, by name.
    ///
    /// # Errors
    ///
    /// `ENODEV`: the type; [`Error::NotFound`]: it has no attribute of that name, or has it in a group; [`Error::WrongType`]: that is no
    /// plain attribute, or its values are no `T`.
    pub fn plain<T: Value + Send + Sync>(&self, ty: Type<impl Lending>, name: &str) -> Result<PlainAttr<T>> {
        let attr = {
            let pin = self.inner.domain.pin();
            self.inner.types.get(&pin, ty.handle())?.own.get(name).copied().ok_or(Error::NotFound)?
        };
        let code = self.inner.attrs.enter(attr)?;
        let cell = code.plain.clone().and_then(|plain| plain.into_any().downcast().ok());
        Ok(PlainAttr { attr, tree: address(self), cell: cell.ok_or(Error::WrongType)? })
    }
}
