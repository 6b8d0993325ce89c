use std::any::{Any, TypeId};
use std::fmt;
use std::sync::Arc;

use enodev_handles::{Erased, Exclusive, Shape};

use crate::handle::TypeHandle;

/// What the driver gave: readable under an active reference only, dropped after the drain.
pub enum Payload {
    /// A plain directory's.
    None,
    Shared(Erased<Views>),
    /// And the type of the value, which can be asked for without the lock.
    Exclusive(Box<(Exclusive<Guarded>, TypeId)>),
}

/// What the lock of an exclusive payload guards.
pub struct Guarded {
    pub(crate) value: Box<dyn Any + Send>,
    views: Arc<Views>,
}

/// A payload lent to a callback.
#[derive(Debug)]
pub enum PayloadRef<'a> {
    Shared(&'a Erased<Views>),
    Exclusive(&'a mut (dyn Any + Send)),
}

/// What the payloads of one type have in common. It belongs to the driver, as they do.
#[derive(Debug, Clone)]
pub enum Form {
    Shared(Arc<Shape<Views>>),
    Exclusive(Arc<Views>),
}

/// The types as which a payload is published beside its own: the traits that its type names.
pub struct Views {
    /// The type whose payloads these are.
    pub(crate) ty: TypeHandle,
    views: Vec<View>,
}

/// The type `U` that a view gives, and a [`SharedView<U>`] or an [`ExclusiveView<U>`].
type View = (TypeId, Box<dyn Any + Send + Sync>);

type Ref<U> = dyn Fn(&Erased<Views>) -> Option<&U> + Send + Sync;
type RefMut<U> = dyn Fn(&mut (dyn Any + Send)) -> Option<&mut U> + Send + Sync;

struct SharedView<U: ?Sized>(Box<Ref<U>>);
struct ExclusiveView<U: ?Sized>(Box<RefMut<U>>);

pub(crate) fn shared_view<T, U>(view: fn(&T) -> &U) -> View
where
    T: Send + Sync + 'static,
    U: ?Sized + 'static,
{
    let view: Box<Ref<U>> = Box::new(move |payload| payload.get().map(view));
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
        write!(f, "Views({:?}, {})", self.ty, self.views.len())
    }
}

impl Views {
    pub(crate) fn new(ty: TypeHandle, views: Vec<View>) -> Self {
        Self { ty, views }
    }

    fn find<V: 'static>(&self, ty: TypeId) -> Option<&V> {
        let (_, view) = self.views.iter().find(|(of, _)| *of == ty)?;
        view.downcast_ref()
    }
}

impl Payload {
    /// The payload as a `U`, where it is shared and is published as one.
    #[inline]
    pub(crate) fn shared<U: ?Sized + 'static>(&self) -> Option<&U> {
        let Self::Shared(value) = self else { return None };
        match value.get() {
            Some(value) => Some(value),
            None => Self::view(value),
        }
    }

    /// Kept apart, so that the way of those who ask for the payload's own type stays short.
    #[inline(never)]
    fn view<U: ?Sized + 'static>(value: &Erased<Views>) -> Option<&U> {
        (value.beside().find::<SharedView<U>>(TypeId::of::<U>())?.0)(value)
    }

    pub(crate) fn exclusive(&self) -> Option<&Exclusive<Guarded>> {
        match self {
            Self::Exclusive(value) => Some(&value.0),
            _ => None,
        }
    }

    /// The type of an object whose payload is shared; the null handle for a plain directory.
    pub(crate) fn ty(&self) -> TypeHandle {
        match self {
            Self::Shared(value) => value.beside().ty,
            _ => TypeHandle::null(),
        }
    }

    /// Whether [`into_value`](Self::into_value) gives a `T`.
    pub(crate) fn is<T: 'static>(&self) -> bool {
        match self {
            Self::None => false,
            Self::Shared(value) => value.is::<T>(),
            Self::Exclusive(value) => value.1 == TypeId::of::<T>(),
        }
    }

    pub(crate) fn into_value<T: 'static>(self) -> Option<T> {
        match self {
            Self::None => None,
            Self::Shared(value) => value.into_value().ok(),
            Self::Exclusive(value) => value.0.into_inner().value.downcast::<T>().ok().map(|value| *value),
        }
    }
}

impl Guarded {
    pub(crate) fn new(value: Box<dyn Any + Send>, views: Arc<Views>) -> Self {
        Self { value, views }
    }

    /// The type of the object.
    pub(crate) fn ty(&self) -> TypeHandle {
        self.views.ty
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
