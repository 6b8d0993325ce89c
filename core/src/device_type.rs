use std::any::{Any, TypeId};
use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;

use enodev_attrs::{Attribute, DefineError, Mode, Name, Owner, Page, Result as AttrResult};
use enodev_handles::{Erased, Exclusive as Locked, Shape};

use crate::attribute::AnyAttribute;
use crate::context::Context;
use crate::handle::TypeHandle;
use crate::payload::{Form, Guarded, Payload, PayloadRef, Views, exclusive_view, shared_view};

/// Payloads that several threads are inside of at once: callbacks get `&T`.
#[derive(Debug)]
pub struct Shared<T>(PhantomData<fn() -> T>);

/// Payloads that one thread is inside of at a time: callbacks get `&mut T`.
#[derive(Debug)]
pub struct Exclusive<T>(PhantomData<fn() -> T>);

/// How the payloads of a type are entered: [`Shared`] or [`Exclusive`].
///
/// `O::Value` is the payload itself.
pub trait Sharing: private::Sealed + 'static {}

pub(crate) mod private {
    use super::{Form, Payload, PayloadRef, Views};
    use crate::context::Context;
    use enodev_attrs::Owner;

    pub trait Sealed: Owner {
        type Value: 'static;
        fn form(views: Views) -> Form;
        /// None where the form is not one that `form` has made.
        fn wrap(value: Self::Value, form: &Form) -> Option<Payload>;
        fn lend<'a>(context: Context<'a, PayloadRef<'a>>) -> Option<Self::Ref<'a>>;
    }
}

impl<T: Send + Sync + 'static> Owner for Shared<T> {
    type Ref<'a> = Context<'a, &'a T>;
}

impl<T: Send + Sync + 'static> Sharing for Shared<T> {}

impl<T: Send + Sync + 'static> private::Sealed for Shared<T> {
    type Value = T;

    fn form(views: Views) -> Form {
        Form::Shared(Arc::new(Shape::of::<T>(views)))
    }

    fn wrap(value: T, form: &Form) -> Option<Payload> {
        let Form::Shared(shape) = form else { return None };
        Erased::new(shape, value).ok().map(Payload::Shared)
    }

    fn lend<'a>(context: Context<'a, PayloadRef<'a>>) -> Option<Context<'a, &'a T>> {
        let Context { payload: PayloadRef::Shared(payload), store, object } = context else {
            return None;
        };
        Some(Context { payload: payload.get()?, store, object })
    }
}

impl<T: Send + 'static> Owner for Exclusive<T> {
    type Ref<'a> = Context<'a, &'a mut T>;
}

impl<T: Send + 'static> Sharing for Exclusive<T> {}

impl<T: Send + 'static> private::Sealed for Exclusive<T> {
    type Value = T;

    fn form(views: Views) -> Form {
        Form::Exclusive(Arc::new(views))
    }

    fn wrap(value: T, form: &Form) -> Option<Payload> {
        let Form::Exclusive(views) = form else { return None };
        let guarded = Guarded::new(Box::new(value), Arc::clone(views));
        Some(Payload::Exclusive(Box::new((Locked::new(guarded), TypeId::of::<T>()))))
    }

    fn lend<'a>(context: Context<'a, PayloadRef<'a>>) -> Option<Context<'a, &'a mut T>> {
        let Context { payload: PayloadRef::Exclusive(payload), store, object } = context else {
            return None;
        };
        Some(Context { payload: payload.downcast_mut()?, store, object })
    }
}

/// What devices of one type have in common: the type of their payload, how it is entered, as what it is published, and
/// the attributes. To be given to [`Store::define`](crate::Store::define).
///
/// An attribute is defined once and costs an object nothing. Callbacks run on the caller's thread under an active
/// reference to the object and one to the attribute, and under no lock of the store.
///
/// ```
/// use enodev::{DeviceType, Store};
///
/// struct Disk { sectors: u64 }
///
/// let store = Store::new()?;
/// let disk = store.define(DeviceType::shared::<Disk>("disk").ro("size", |disk, page| page.line(disk.sectors)))?;
/// let sda = store.register(store.root(), "sda", disk, Disk { sectors: 2048 })?;
/// assert_eq!(store.read(sda, "size")?, b"2048\n");
/// # Ok::<(), enodev::Error>(())
/// ```
pub struct DeviceType<O: Sharing> {
    pub(crate) name: String,
    pub(crate) views: Vec<(TypeId, Box<dyn Any + Send + Sync>)>,
    pub(crate) attributes: Vec<Attribute<O>>,
    pub(crate) error: Option<DefineError>,
}

impl DeviceType<Shared<()>> {
    /// A type whose payloads, `T`, are shared.
    pub fn shared<T: Send + Sync + 'static>(name: &str) -> DeviceType<Shared<T>> {
        DeviceType::new(name, Vec::new())
    }
}

impl<T: Send + Sync + 'static> DeviceType<Shared<T>> {
    /// Publishes the payloads as a `U` too, for [`Store::enter`](crate::Store::enter): usually a trait object.
    pub fn view<U: ?Sized + 'static>(mut self, view: fn(&T) -> &U) -> Self {
        self.views.push(shared_view(view));
        self
    }
}

impl DeviceType<Exclusive<()>> {
    /// A type whose payloads, `T`, are exclusive: they need not be `Sync`.
    pub fn exclusive<T: Send + 'static>(name: &str) -> DeviceType<Exclusive<T>> {
        DeviceType::new(name, vec![exclusive_view::<T, T>(|payload| payload)])
    }
}

impl<T: Send + 'static> DeviceType<Exclusive<T>> {
    /// Publishes the payloads as a `U` too, for [`Store::enter_mut`](crate::Store::enter_mut): usually a trait object.
    pub fn view_mut<U: ?Sized + 'static>(mut self, view: fn(&mut T) -> &mut U) -> Self {
        self.views.push(exclusive_view(view));
        self
    }
}

/// Attributes. What is wrong with one is told by [`Store::define`](crate::Store::define).
impl<O: Sharing> DeviceType<O> {
    fn new(name: &str, views: Vec<(TypeId, Box<dyn Any + Send + Sync>)>) -> Self {
        Self { name: name.into(), views, attributes: Vec::new(), error: None }
    }

    /// Adds a text attribute that can be read: see [`Attribute::ro`].
    pub fn ro<S>(self, name: &str, show: S) -> Self
    where
        S: Fn(O::Ref<'_>, &mut Page) -> AttrResult + Send + Sync + 'static,
    {
        self.attribute(Attribute::ro(name, show))
    }

    /// Adds a text attribute that can be written: see [`Attribute::wo`].
    pub fn wo<T>(self, name: &str, store: T) -> Self
    where
        T: Fn(O::Ref<'_>, &[u8]) -> AttrResult + Send + Sync + 'static,
    {
        self.attribute(Attribute::wo(name, store))
    }

    /// Adds a text attribute that can be read and written: see [`Attribute::rw`].
    pub fn rw<S, T>(self, name: &str, show: S, store: T) -> Self
    where
        S: Fn(O::Ref<'_>, &mut Page) -> AttrResult + Send + Sync + 'static,
        T: Fn(O::Ref<'_>, &[u8]) -> AttrResult + Send + Sync + 'static,
    {
        self.attribute(Attribute::rw(name, show, store))
    }

    /// Adds a binary attribute that can be read: see [`Attribute::bin_ro`].
    pub fn bin_ro<R>(self, name: &str, size: u64, read_at: R) -> Self
    where
        R: Fn(O::Ref<'_>, u64, &mut [u8]) -> AttrResult<usize> + Send + Sync + 'static,
    {
        self.attribute(Attribute::bin_ro(name, size, read_at))
    }

    /// Adds a binary attribute that can be written: see [`Attribute::bin_wo`].
    pub fn bin_wo<W>(self, name: &str, size: u64, write_at: W) -> Self
    where
        W: Fn(O::Ref<'_>, u64, &[u8]) -> AttrResult<usize> + Send + Sync + 'static,
    {
        self.attribute(Attribute::bin_wo(name, size, write_at))
    }

    /// Adds a binary attribute that can be read and written: see [`Attribute::bin_rw`].
    pub fn bin_rw<R, W>(self, name: &str, size: u64, read_at: R, write_at: W) -> Self
    where
        R: Fn(O::Ref<'_>, u64, &mut [u8]) -> AttrResult<usize> + Send + Sync + 'static,
        W: Fn(O::Ref<'_>, u64, &[u8]) -> AttrResult<usize> + Send + Sync + 'static,
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
}

impl<O: Sharing> fmt::Debug for DeviceType<O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DeviceType")
            .field("name", &self.name)
            .field("attributes", &self.attributes.len())
            .finish_non_exhaustive()
    }
}

/// A type of devices, defined in a store: a [`TypeHandle`] that knows the payload.
pub struct Type<O> {
    handle: TypeHandle,
    sharing: PhantomData<fn() -> O>,
}

impl<O> Type<O> {
    pub(crate) fn new(handle: TypeHandle) -> Self {
        Self { handle, sharing: PhantomData }
    }

    /// The handle alone.
    pub fn handle(self) -> TypeHandle {
        self.handle
    }
}

impl<O> PartialEq for Type<O> {
    fn eq(&self, other: &Self) -> bool {
        self.handle == other.handle
    }
}

impl<O> Eq for Type<O> {}

impl<O> std::hash::Hash for Type<O> {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.handle.hash(state);
    }
}

impl<O> Clone for Type<O> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<O> Copy for Type<O> {}

impl<O> fmt::Debug for Type<O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.handle.fmt(f)
    }
}

/// What the store keeps of a type.
#[derive(Debug)]
pub(crate) struct TypeMeta {
    pub(crate) name: String,
    pub(crate) attributes: std::collections::BTreeMap<Name, crate::handle::AttrHandle>,
}

/// What the driver gave of a type.
#[derive(Debug)]
pub(crate) struct TypeCode {
    pub(crate) form: Form,
}

/// What the driver gave of an attribute.
pub(crate) struct AttrCode {
    /// The type that the attribute is one of.
    pub(crate) ty: TypeHandle,
    pub(crate) code: Box<dyn AnyAttribute>,
}
