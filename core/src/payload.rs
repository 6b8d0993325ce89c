use std::any::{Any, TypeId};
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use enodev_handles::{Erased, Exclusive, Shape};

use crate::binding::Part;
use crate::handle::TypeHandle;
use crate::state::State;

/// What can be reached under an active reference only, and is dropped after the drain.
#[derive(Debug)]
pub(crate) struct Body {
    pub(crate) payload: Payload,
    pub(crate) state: State,
    /// Of devices that are on a bus or in a class.
    pub(crate) part: Option<Box<Part>>,
}

#[cfg(not(any(loom, shuttle)))]
const _: () = assert!(size_of::<Body>() <= 56, "a body and the word of its slot fill one cache line");

/// What the driver gave.
///
/// A plain directory's is [`NONE`](Self::NONE). That one is no variant of its own, as there is room for two beside no further word.
pub enum Payload {
    Shared(Erased<Views>),
    Exclusive(Option<Box<Locked>>),
}

/// An exclusive payload, and what can be asked of it without its lock.
pub struct Locked {
    pub(crate) guarded: Exclusive<Guarded>,
    pub(crate) value: TypeId,
    views: Arc<Views>,
}

/// What the lock of an exclusive payload guards.
pub struct Guarded {
    pub(crate) value: Box<dyn Any + Send>,
    views: Arc<Views>,
}

/// A payload lent to a callback.
#[derive(Debug)]
pub enum PayloadRef<'a> {
    /// There is none, or it is not asked for.
    None,
    Shared(&'a Erased<Views>),
    Exclusive(&'a mut Guarded),
}

impl<'a> PayloadRef<'a> {
    /// A payload as it is, or, where it is exclusive and its lock is held, what that guards.
    pub(crate) fn of(payload: &'a Payload, guarded: Option<&'a mut Guarded>) -> Self {
        match (payload, guarded) {
            (Payload::Shared(value), _) => Self::Shared(value),
            (_, Some(guarded)) => Self::Exclusive(guarded),
            _ => Self::None,
        }
    }

    /// Lends it for a shorter time.
    pub(crate) fn again(&mut self) -> PayloadRef<'_> {
        match self {
            Self::None => PayloadRef::None,
            Self::Shared(value) => PayloadRef::Shared(value),
            Self::Exclusive(guarded) => PayloadRef::Exclusive(guarded),
        }
    }
}

/// What the payloads of one type have in common. It belongs to the driver, as they do.
#[derive(Debug, Clone)]
pub enum Form {
    Shared(Shapes),
    Exclusive(Arc<Views>),
}

/// The shape of one type's payloads, several times: each payload counts itself in one, and threads that make and drop payloads at
/// once should not meet there.
#[derive(Debug, Clone)]
pub struct Shapes(Arc<[Arc<Shape<Views>>; SHAPES]>);

/// So many there are.
const SHAPES: usize = if cfg!(any(loom, shuttle)) { 2 } else { 8 };

impl Shapes {
    /// The one for payloads that the calling thread makes.
    pub(crate) fn own(&self) -> &Arc<Shape<Views>> {
        &self.0[turn() % SHAPES]
    }
}

/// Threads have numbers, in turn.
pub(crate) fn turn() -> usize {
    static TURNS: AtomicUsize = AtomicUsize::new(0);
    thread_local! {
        // Relaxed: a number alone; nothing comes with it.
        static TURN: usize = TURNS.fetch_add(1, Ordering::Relaxed);
    }
    TURN.try_with(|turn| *turn).unwrap_or(0)
}

/// The types as which a payload is published beside its own: the traits that its type names.
///
/// It is aligned so that what counts its users has cache lines of its own: see [`Shapes`].
#[repr(align(128))]
pub struct Views {
    /// The type whose payloads these are.
    pub(crate) ty: TypeHandle,
    views: Vec<View>,
}

/// One of them.
#[derive(Debug)]
pub(crate) enum View {
    Shared(enodev_handles::View),
    /// The type `U` that it gives, and an [`ExclusiveView<U>`].
    Exclusive(TypeId, Box<dyn Any + Send + Sync>),
}

type RefMut<U> = dyn Fn(&mut (dyn Any + Send)) -> Option<&mut U> + Send + Sync;

struct ExclusiveView<U: ?Sized>(Box<RefMut<U>>);

pub(crate) fn exclusive_view<T, U>(view: fn(&mut T) -> &mut U) -> View
where
    T: Send + 'static,
    U: ?Sized + 'static,
{
    let view: Box<RefMut<U>> = Box::new(move |payload| payload.downcast_mut().map(view));
    View::Exclusive(TypeId::of::<U>(), Box::new(ExclusiveView(view)))
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

    /// The shapes of shared payloads that are `T`s. They have the views.
    pub(crate) fn into_shapes<T: Send + Sync + 'static>(self) -> Shapes {
        let shape = |_| {
            let shape = Shape::of::<T>(Self { ty: self.ty, views: Vec::new() });
            Arc::new(self.views.iter().fold(shape, |shape, view| match view {
                View::Shared(view) => shape.view(*view),
                View::Exclusive(..) => shape,
            }))
        };
        Shapes(Arc::new(std::array::from_fn(shape)))
    }

    /// The view of exclusive payloads as a `U`.
    fn find<U: ?Sized + 'static>(&self) -> Option<&ExclusiveView<U>> {
        self.views.iter().find_map(|view| match view {
            View::Exclusive(to, view) if *to == TypeId::of::<U>() => view.downcast_ref(),
            _ => None,
        })
    }
}

/// A shared payload as a `U`, where it is published as one.
#[inline]
pub(crate) fn see<U: ?Sized + 'static>(value: &Erased<Views>) -> Option<&U> {
    value.get().or_else(|| value.view())
}

impl Payload {
    pub(crate) const NONE: Self = Self::Exclusive(None);

    /// The payload as a `U`, where it is shared and is published as one.
    #[inline]
    pub(crate) fn shared<U: ?Sized + 'static>(&self) -> Option<&U> {
        let Self::Shared(value) = self else { return None };
        see(value)
    }

    pub(crate) fn locked(&self) -> Option<&Locked> {
        match self {
            Self::Exclusive(value) => value.as_deref(),
            _ => None,
        }
    }

    /// The type of an object; the null handle for a plain directory.
    #[inline]
    pub(crate) fn ty(&self) -> TypeHandle {
        match self {
            Self::Shared(value) => value.beside().ty,
            Self::Exclusive(Some(value)) => value.views.ty,
            Self::Exclusive(None) => TypeHandle::null(),
        }
    }

    /// Whether [`into_value`](Self::into_value) gives a `T`.
    pub(crate) fn is<T: 'static>(&self) -> bool {
        match self {
            Self::Exclusive(None) => false,
            Self::Shared(value) => value.is::<T>(),
            Self::Exclusive(Some(value)) => value.value == TypeId::of::<T>(),
        }
    }

    pub(crate) fn into_value<T: 'static>(self) -> Option<T> {
        match self {
            Self::Exclusive(None) => None,
            Self::Shared(value) => value.into_value().ok(),
            Self::Exclusive(Some(value)) => value.guarded.into_inner().value.downcast::<T>().ok().map(|value| *value),
        }
    }

    /// The payload of an object that nobody knows yet.
    pub(crate) fn lend(&mut self) -> PayloadRef<'_> {
        match self {
            Self::Exclusive(None) => PayloadRef::None,
            Self::Shared(value) => PayloadRef::Shared(value),
            Self::Exclusive(Some(value)) => PayloadRef::Exclusive(value.guarded.get_mut()),
        }
    }
}

impl Locked {
    pub(crate) fn new<T: Send + 'static>(value: T, views: &Arc<Views>) -> Self {
        let guarded = Guarded { value: Box::new(value), views: Arc::clone(views) };
        Self { guarded: Exclusive::new(guarded), value: TypeId::of::<T>(), views: Arc::clone(views) }
    }

    /// Whether the payload is published as a `U`.
    pub(crate) fn is_seen_as<U: ?Sized + 'static>(&self) -> bool {
        self.views.find::<U>().is_some()
    }
}

impl Guarded {
    /// The payload as a `U`, where it is published as one.
    pub(crate) fn see<U: ?Sized + 'static>(&mut self) -> Option<&mut U> {
        (self.views.find::<U>()?.0)(&mut *self.value)
    }
}

impl fmt::Debug for Locked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.views.fmt(f)
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
            Self::Exclusive(None) => "None",
            Self::Shared(..) => "Shared",
            Self::Exclusive(..) => "Exclusive",
        })
    }
}
