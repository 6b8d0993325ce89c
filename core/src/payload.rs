use std::any::{Any, TypeId};
use std::fmt;
use std::sync::Arc;

use enodev_handles::Exclusive;

use crate::handle::TypeHandle;

/// What the driver gave: readable under an active reference only, dropped after the drain.
pub enum Payload {
    /// A plain directory's.
    None,
    Shared(Box<dyn Any + Send + Sync>, Views),
    /// And the type of the value, which can be asked for without the lock.
    Exclusive(Exclusive<Guarded>, TypeId),
}

/// What the lock of an exclusive payload guards.
pub struct Guarded {
    pub(crate) value: Box<dyn Any + Send>,
    views: Views,
}

/// A payload lent to a callback.
#[derive(Debug)]
pub enum PayloadRef<'a> {
    Shared(&'a (dyn Any + Send + Sync)),
    Exclusive(&'a mut (dyn Any + Send)),
}

/// The types as which a payload is published: its own, and the traits that its type names.
///
/// The functions in it belong to the driver, so it is part of payloads, and of the driver's part of a type.
#[derive(Clone)]
pub struct Views(Arc<Table>);

struct Table {
    /// The type whose payloads these are.
    ty: TypeHandle,
    views: Vec<View>,
}

/// The type `U` that a view gives, and a [`SharedView<U>`] or an [`ExclusiveView<U>`].
type View = (TypeId, Box<dyn Any + Send + Sync>);

type Ref<U> = dyn Fn(&(dyn Any + Send + Sync)) -> Option<&U> + Send + Sync;
type RefMut<U> = dyn Fn(&mut (dyn Any + Send)) -> Option<&mut U> + Send + Sync;

struct SharedView<U: ?Sized>(Box<Ref<U>>);
struct ExclusiveView<U: ?Sized>(Box<RefMut<U>>);

pub(crate) fn shared_view<T, U>(view: fn(&T) -> &U) -> View
where
    T: Send + Sync + 'static,
    U: ?Sized + 'static,
{
    let view: Box<Ref<U>> = Box::new(move |payload| payload.downcast_ref().map(view));
    (TypeId::of::<U>(), Box::new(SharedView(view)))
}

pub(crate) fn exclusive_view<T, U>(view: fn(&mut T) -> &mut U) -> View
where
    T: Send + 'static,
    U: ?Sized + 'static,
{
    let view: Box<RefMut<U>> = Box::new(move |payload| payload.downcast_mut().map(view));
    (TypeId::of::<U>(), Box::new(ExclusiveView(view)))
}

impl fmt::Debug for Views {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Views({:?}, {})", self.0.ty, self.0.views.len())
    }
}

impl Views {
    pub(crate) fn new(ty: TypeHandle, views: Vec<View>) -> Self {
        Self(Arc::new(Table { ty, views }))
    }

    fn find<V: 'static>(&self, ty: TypeId) -> Option<&V> {
        let (_, view) = self.0.views.iter().find(|(of, _)| *of == ty)?;
        view.downcast_ref()
    }
}

impl Payload {
    /// The payload as a `U`, where it is shared and is published as one.
    pub(crate) fn shared<U: ?Sized + 'static>(&self) -> Option<&U> {
        match self {
            Self::Shared(value, views) => (views.find::<SharedView<U>>(TypeId::of::<U>())?.0)(&**value),
            _ => None,
        }
    }

    pub(crate) fn exclusive(&self) -> Option<&Exclusive<Guarded>> {
        match self {
            Self::Exclusive(value, _) => Some(value),
            _ => None,
        }
    }

    /// The type of an object whose payload is shared; the null handle for a plain directory.
    pub(crate) fn ty(&self) -> TypeHandle {
        match self {
            Self::Shared(_, views) => views.0.ty,
            _ => TypeHandle::null(),
        }
    }

    /// Whether [`into_value`](Self::into_value) gives a `T`.
    pub(crate) fn is<T: 'static>(&self) -> bool {
        match self {
            Self::None => false,
            Self::Shared(value, _) => value.is::<T>(),
            Self::Exclusive(_, of) => *of == TypeId::of::<T>(),
        }
    }

    pub(crate) fn into_value<T: 'static>(self) -> Option<T> {
        let value = match self {
            Self::None => None,
            Self::Shared(value, _) => value.downcast::<T>().ok(),
            Self::Exclusive(value, _) => value.into_inner().value.downcast::<T>().ok(),
        };
        value.map(|value| *value)
    }
}

impl Guarded {
    pub(crate) fn new(value: Box<dyn Any + Send>, views: Views) -> Self {
        Self { value, views }
    }

    /// The type of the object.
    pub(crate) fn ty(&self) -> TypeHandle {
        self.views.0.ty
    }

    /// The payload as a `U`, where it is published as one.
    pub(crate) fn see<U: ?Sized + 'static>(&mut self) -> Option<&mut U> {
        (self.views.find::<ExclusiveView<U>>(TypeId::of::<U>())?.0)(&mut *self.value)
    }
}

impl fmt::Debug for Guarded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.views.fmt(f)
    }
}

impl fmt::Debug for Payload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::None => "None",
            Self::Shared(..) => "Shared",
            Self::Exclusive(..) => "Exclusive",
        })
    }
}
