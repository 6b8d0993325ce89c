//! Values whose type has been forgotten.

#![expect(unsafe_code, reason = "the type of a value is known by its number")]

use std::any::{TypeId, type_name};
use std::cell::UnsafeCell;
use std::fmt;
use std::mem::{ManuallyDrop, MaybeUninit, transmute_copy};
use std::ptr::NonNull;
use std::sync::Arc;

/// Values of this size, or smaller, need no memory of their own.
const INLINE: usize = 32;

type Space = MaybeUninit<[usize; INLINE / size_of::<usize>()]>;

/// Whether values of the type lie in [`Erased`] itself.
const fn is_inline<T>() -> bool {
    size_of::<T>() <= size_of::<Space>() && align_of::<T>() <= align_of::<Space>()
}

/// For the payloads of a store whose types differ: what those of one type have in common, that is, which type, and what their
/// owner wants to know beside it. See [`Erased`].
// INVARIANTS: `is_inline`, `drop` and `name` are those of the type that `ty` is the number of, which is `Send`, `Sync` and has a size.
pub struct Shape<E> {
    ty: TypeId,
    /// Whether values lie in [`Erased`] itself.
    is_inline: bool,
    drop: unsafe fn(NonNull<()>),
    name: fn() -> &'static str,
    beside: E,
}

impl<E> Shape<E> {
    /// The shape of values of type `T`.
    pub fn of<T: Send + Sync + 'static>(beside: E) -> Self {
        Self { ty: TypeId::of::<T>(), is_inline: is_inline::<T>(), drop: drop_value::<T>, name: type_name::<T>, beside }
    }

    /// What was given beside the type.
    pub fn beside(&self) -> &E {
        &self.beside
    }

    /// Whether values of this shape are `T`s.
    #[inline]
    pub fn is<T: ?Sized + 'static>(&self) -> bool {
        self.ty == TypeId::of::<T>()
    }
}

impl<E: fmt::Debug> fmt::Debug for Shape<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shape").field("of", &(self.name)()).field("beside", &self.beside).finish()
    }
}

/// For the payloads of a store whose types differ: a value of some type that can be shared and sent.
///
/// As a `Box<dyn Any + Send + Sync>`, but made for many that are looked at often: the type stands in a [`Shape`] that values have in
/// common, so that asking for it is a compare and no call, and a small value lies in this itself.
///
/// ```
/// # use std::sync::Arc;
/// # use enodev_handles::{Erased, Shape};
/// let strings = Arc::new(Shape::of::<String>("strings"));
/// let value = Erased::new(&strings, String::from("sda")).unwrap();
/// assert_eq!(value.get::<String>().map(String::as_str), Some("sda"));
/// assert!(value.get::<u32>().is_none());
/// assert!(Erased::new(&strings, 7_u32).is_err());
/// assert_eq!(value.into_value::<String>().ok().as_deref(), Some("sda"));
/// ```
// INVARIANT: with `T` the type of the shape, `space` holds a `T`, where that is small, else a pointer to one that came out of a
// `Box<T>`. It is this one's alone.
pub struct Erased<E> {
    shape: Arc<Shape<E>>,
    space: UnsafeCell<Space>,
}

// SAFETY: the value is `Send` (see `Shape`), and the shape is shared.
unsafe impl<E: Send + Sync> Send for Erased<E> {}
// SAFETY: the value is `Sync`, and so is the shape.
unsafe impl<E: Send + Sync> Sync for Erased<E> {}

impl<E> Erased<E> {
    /// Forgets the type of a value.
    ///
    /// # Errors
    ///
    /// The value, if it is not of the shape's type.
    pub fn new<T: Send + Sync + 'static>(shape: &Arc<Shape<E>>, value: T) -> Result<Self, T> {
        if !shape.is::<T>() {
            return Err(value);
        }
        let mut space = Space::uninit();
        if is_inline::<T>() {
            // SAFETY: it is large enough, and aligned.
            unsafe { space.as_mut_ptr().cast::<T>().write(value) };
        } else {
            // SAFETY: it is large enough for a pointer, and aligned.
            unsafe { space.as_mut_ptr().cast::<*mut T>().write(Box::into_raw(Box::new(value))) };
        }
        Ok(Self { shape: Arc::clone(shape), space: UnsafeCell::new(space) })
    }

    /// What the shape has beside the type.
    #[inline]
    pub fn beside(&self) -> &E {
        &self.shape.beside
    }

    /// Whether the value is a `T`.
    #[inline]
    pub fn is<T: ?Sized + 'static>(&self) -> bool {
        self.shape.is::<T>()
    }

    /// Where the value lies.
    #[inline]
    fn value(&self) -> NonNull<()> {
        let space: NonNull<()> = NonNull::from(&self.space).cast();
        if self.shape.is_inline {
            return space;
        }
        // SAFETY: by the invariants the space holds a pointer.
        unsafe { space.cast().read() }
    }

    /// The value, if it is a `T`; a type without a size is no value's.
    #[inline]
    pub fn get<T: ?Sized + 'static>(&self) -> Option<&T> {
        // A pointer to a type without a size is wider.
        if size_of::<NonNull<T>>() != size_of::<NonNull<()>>() || !self.is::<T>() {
            return None;
        }
        // SAFETY: pointers to types with a size have one layout.
        let value: NonNull<T> = unsafe { transmute_copy(&self.value()) };
        // SAFETY: by the invariants there is a `T`, borrowed with `self`; nobody writes to it but through an `UnsafeCell` of its own.
        Some(unsafe { value.as_ref() })
    }

    /// The value by itself.
    ///
    /// # Errors
    ///
    /// This, if the value is no `T`.
    pub fn into_value<T: 'static>(self) -> Result<T, Self> {
        if !self.is::<T>() {
            return Err(self);
        }
        let this = ManuallyDrop::new(self);
        let value: NonNull<T> = this.value().cast();
        let value = if is_inline::<T>() {
            // SAFETY: by the invariants there is a `T`, which nobody uses again.
            unsafe { value.read() }
        } else {
            // SAFETY: as above; it is not in the space, so it came out of a box.
            *unsafe { Box::from_raw(value.as_ptr()) }
        };
        // SAFETY: `this` is not dropped, nor is its shape used again.
        drop(unsafe { std::ptr::read(&this.shape) });
        Ok(value)
    }
}

/// # Safety
///
/// `value` is where a `T` of an [`Erased`] lies, which is not used again.
unsafe fn drop_value<T>(value: NonNull<()>) {
    let value = value.cast::<T>().as_ptr();
    if is_inline::<T>() {
        // SAFETY: the caller says so.
        unsafe { value.drop_in_place() };
    } else {
        // SAFETY: it is not in the space, so it came out of a box.
        drop(unsafe { Box::from_raw(value) });
    }
}

impl<E> Drop for Erased<E> {
    fn drop(&mut self) {
        // SAFETY: by the invariants the shape is that of the value, which is not used again.
        unsafe { (self.shape.drop)(self.value()) };
    }
}

impl<E> fmt::Debug for Erased<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Erased({})", (self.shape.name)())
    }
}
