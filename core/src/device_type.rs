use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;

use enodev_attrs::{Attribute, DefineError, Group, Mode, Owner, Page, Result as AttrResult, Value, Visibility};
use enodev_handles::Erased;

use crate::context::Context;
use crate::handle::{KobjectHandle, TypeHandle};
use crate::payload::{Form, Locked, Payload, PayloadRef, View, Views, exclusive_view, see};
use crate::plain::AnyPlain;

/// Payloads that several threads are inside of at once: callbacks get `&T`.
///
/// A [`Group`] may name a trait in `T`'s place: it fits all objects whose types publish them as one ([`DeviceType::view`]).
#[derive(Debug)]
pub struct Shared<T: ?Sized>(PhantomData<fn(&T)>);

/// Payloads that one thread is inside of at a time: callbacks get `&mut T`.
///
/// A [`Group`] may name a trait in `T`'s place, as with [`Shared`].
#[derive(Debug)]
pub struct Exclusive<T: ?Sized>(PhantomData<fn(&T)>);

/// Any object, plain directories included: callbacks learn which one it is and do not get at its payload.
#[derive(Debug)]
pub struct AnyObject(());

/// What the callbacks of a [`Group`] are given: [`Shared`], [`Exclusive`] or [`AnyObject`].
pub trait Lending: private::Lend + 'static {}

/// How the payloads of a type are entered: [`Shared`] or [`Exclusive`].
///
/// `O::Value` is the payload itself.
pub trait Sharing: Lending + private::Sealed {}

pub(crate) mod private {
    use super::{Form, Payload, PayloadRef, Views};
    use crate::context::Context;
    use crate::handle::KobjectHandle;
    use enodev_attrs::Owner;

    pub trait Lend: Owner {
        /// Whether the callbacks need an exclusive payload's lock.
        const LOCKS: bool;
        /// Whether `lend` will not fail.
        fn fits(payload: &Payload) -> bool;
        fn lend<'a>(context: Context<'a, PayloadRef<'a>>) -> Option<Self::Ref<'a>>;
        fn object(owner: &Self::Ref<'_>) -> KobjectHandle;
    }

    pub trait Sealed: Lend {
        type Value: 'static;
        fn form(views: Views) -> Form;
        /// None where the form is not one that `form` has made.
        fn wrap(value: Self::Value, form: &Form) -> Option<Payload>;
    }
}

impl<T: ?Sized + Send + Sync + 'static> Owner for Shared<T> {
    type Ref<'a> = Context<'a, &'a T>;
}

impl<T: ?Sized + Send + Sync + 'static> Lending for Shared<T> {}

impl<T: ?Sized + Send + Sync + 'static> private::Lend for Shared<T> {
    const LOCKS: bool = false;

    fn fits(payload: &Payload) -> bool {
        payload.shared::<T>().is_some()
    }

    #[inline]
    fn lend<'a>(context: Context<'a, PayloadRef<'a>>) -> Option<Context<'a, &'a T>> {
        let Context { payload: PayloadRef::Shared(payload), store, object } = context else {
            return None;
        };
        Some(Context { payload: see(payload)?, store, object })
    }

    fn object(owner: &Self::Ref<'_>) -> KobjectHandle {
        owner.object
    }
}

impl<T: Send + Sync + 'static> Sharing for Shared<T> {}

impl<T: Send + Sync + 'static> private::Sealed for Shared<T> {
    type Value = T;

    fn form(views: Views) -> Form {
        Form::Shared(views.into_shapes::<T>())
    }

    fn wrap(value: T, form: &Form) -> Option<Payload> {
        let Form::Shared(shapes) = form else { return None };
        Erased::new(shapes.own(), value).ok().map(Payload::Shared)
    }
}

impl<T: ?Sized + Send + 'static> Owner for Exclusive<T> {
    type Ref<'a> = Context<'a, &'a mut T>;
}

impl<T: ?Sized + Send + 'static> Lending for Exclusive<T> {}

impl<T: ?Sized + Send + 'static> private::Lend for Exclusive<T> {
    const LOCKS: bool = true;

    fn fits(payload: &Payload) -> bool {
        payload.locked().is_some_and(Locked::is_seen_as::<T>)
    }

    fn lend<'a>(context: Context<'a, PayloadRef<'a>>) -> Option<Context<'a, &'a mut T>> {
        let Context { payload: PayloadRef::Exclusive(payload), store, object } = context else {
            return None;
        };
        Some(Context { payload: payload.see()?, store, object })
    }

    fn object(owner: &Self::Ref<'_>) -> KobjectHandle {
        owner.object
    }
}

impl<T: Send + 'static> Sharing for Exclusive<T> {}

impl<T: Send + 'static> private::Sealed for Exclusive<T> {
    type Value = T;

    fn form(views: Views) -> Form {
        Form::Exclusive(Arc::new(views))
    }

    fn wrap(value: T, form: &Form) -> Option<Payload> {
        let Form::Exclusive(views) = form else { return None };
        Some(Payload::Exclusive(Some(Box::new(Locked::new(value, views)))))
    }
}

impl Owner for AnyObject {
    type Ref<'a> = Context<'a, ()>;
}

impl Lending for AnyObject {}

impl private::Lend for AnyObject {
    const LOCKS: bool = false;

    fn fits(_: &Payload) -> bool {
        true
    }

    fn lend<'a>(Context { store, object, .. }: Context<'a, PayloadRef<'a>>) -> Option<Context<'a, ()>> {
        Some(Context { payload: (), store, object })
    }

    fn object(owner: &Self::Ref<'_>) -> KobjectHandle {
        owner.object
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
    pub(crate) views: Vec<View>,
    /// Beside the object's children; then those that the driver has made groups of.
    pub(crate) own: Group<O>,
    pub(crate) groups: Vec<Group<O>>,
    /// Those of `own` whose values the store keeps, by their places.
    pub(crate) plain: Vec<(usize, Arc<dyn AnyPlain>)>,
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
        self.views.push(View::Shared(enodev_handles::View::new(view)));
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
    fn new(name: &str, views: Vec<View>) -> Self {
        Self { name: name.into(), views, own: Group::new(), groups: Vec::new(), plain: Vec::new() }
    }

    /// Adds a text attribute that can be read: see [`Attribute::ro`].
    pub fn ro<S>(self, name: &str, show: S) -> Self
    where
        S: Fn(O::Ref<'_>, &mut Page) -> AttrResult + Send + Sync + 'static,
    {
        Self { own: self.own.ro(name, show), ..self }
    }

    /// Adds a text attribute that can be written: see [`Attribute::wo`].
    pub fn wo<T>(self, name: &str, store: T) -> Self
    where
        T: Fn(O::Ref<'_>, &[u8]) -> AttrResult + Send + Sync + 'static,
    {
        Self { own: self.own.wo(name, store), ..self }
    }

    /// Adds a text attribute that can be read and written: see [`Attribute::rw`].
    pub fn rw<S, T>(self, name: &str, show: S, store: T) -> Self
    where
        S: Fn(O::Ref<'_>, &mut Page) -> AttrResult + Send + Sync + 'static,
        T: Fn(O::Ref<'_>, &[u8]) -> AttrResult + Send + Sync + 'static,
    {
        Self { own: self.own.rw(name, show, store), ..self }
    }

    /// Adds a binary attribute that can be read: see [`Attribute::bin_ro`].
    pub fn bin_ro<R>(self, name: &str, size: u64, read_at: R) -> Self
    where
        R: Fn(O::Ref<'_>, u64, &mut [u8]) -> AttrResult<usize> + Send + Sync + 'static,
    {
        Self { own: self.own.bin_ro(name, size, read_at), ..self }
    }

    /// Adds a binary attribute that can be written: see [`Attribute::bin_wo`].
    pub fn bin_wo<W>(self, name: &str, size: u64, write_at: W) -> Self
    where
        W: Fn(O::Ref<'_>, u64, &[u8]) -> AttrResult<usize> + Send + Sync + 'static,
    {
        Self { own: self.own.bin_wo(name, size, write_at), ..self }
    }

    /// Adds a binary attribute that can be read and written: see [`Attribute::bin_rw`].
    pub fn bin_rw<R, W>(self, name: &str, size: u64, read_at: R, write_at: W) -> Self
    where
        R: Fn(O::Ref<'_>, u64, &mut [u8]) -> AttrResult<usize> + Send + Sync + 'static,
        W: Fn(O::Ref<'_>, u64, &[u8]) -> AttrResult<usize> + Send + Sync + 'static,
    {
        Self { own: self.own.bin_rw(name, size, read_at, write_at), ..self }
    }

    /// Adds any attribute.
    pub fn attribute(self, attribute: AttrResult<Attribute<O>, DefineError>) -> Self {
        Self { own: self.own.attribute(attribute), ..self }
    }

    /// Adds an attribute whose value the store keeps: an integer, an array of integers, a boolean, a character, one of
    /// [`choices!`](crate::choices), or any other [`Value`]. It is shown and stored as text like any other; as a value it is read and
    /// written through [`Store::plain`], without entering the object. Objects begin with `initial`.
    ///
    /// Each object that has been asked for its value takes a few bytes. The mode is [`Mode::RW`], unless another is given.
    ///
    /// [`Store::plain`]: crate::Store::plain
    pub fn plain<T: Value + Send + Sync>(mut self, name: &str, initial: T) -> Self {
        let (attribute, plain) = crate::plain::attribute(name, initial);
        if attribute.is_ok() {
            self.plain.push((self.own.attributes().len(), plain));
        }
        self.attribute(attribute)
    }

    /// Gives the attribute that was added last another mode: see [`Attribute::with_mode`].
    pub fn mode(self, mode: Mode) -> Self {
        Self { own: self.own.mode(mode), ..self }
    }

    /// Adds a group of attributes that all objects of the type have from the start, as far as the group's callbacks show them
    /// for one: a directory, if the group has a name. See [`Group`].
    pub fn group(mut self, group: Group<O>) -> Self {
        self.groups.push(group);
        self
    }

    /// Decides for each object which of the attributes that are in no group are there: see [`Group::is_visible`]. To have that decided
    /// anew, update the first of the object's [`groups`](crate::Store::groups).
    pub fn is_visible<V>(self, decide: V) -> Self
    where
        V: Fn(O::Ref<'_>, &Attribute<O>) -> Visibility + Send + Sync + 'static,
    {
        Self { own: self.own.is_visible(decide), ..self }
    }
}

impl<O: Sharing> fmt::Debug for DeviceType<O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DeviceType")
            .field("name", &self.name)
            .field("attributes", &self.own.attributes().len())
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
