//! Values whose type has been forgotten.

#![expect(unsafe_code, reason = "the type of a value is known by its number")]

use std::any::{TypeId, type_name};
use std::cell::UnsafeCell;
use std::fmt;
use std::mem::{ManuallyDrop, MaybeUninit, transmute, transmute_copy};
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
///
/// It begins a cache line: the counts of an `Arc` of it, which change as values come and go, lie in another than what is read as one is
/// entered.
// INVARIANTS: `is_inline`, `drop` and `name` are those of the type that `ty` is the number of, which is `Send`, `Sync` and has a size;
// the views are of that type.
#[repr(align(64))]
pub struct Shape<E> {
    ty: TypeId,
    /// Whether values lie in [`Erased`] itself.
    is_inline: bool,
    drop: unsafe fn(NonNull<()>),
    name: fn() -> &'static str,
    views: Vec<View>,
    beside: E,
}

impl<E> Shape<E> {
    /// The shape of values of type `T`.
    pub fn of<T: Send + Sync + 'static>(beside: E) -> Self {
        let (ty, is_inline, views) = (TypeId::of::<T>(), is_inline::<T>(), Vec::new());
        Self { ty, is_inline, drop: drop_value::<T>, name: type_name::<T>, views, beside }
    }

    /// Has values of this shape be seen through this too. A view of another type changes nothing. Of several that give the same the
    /// first counts.
    #[must_use]
    pub fn view(mut self, view: View) -> Self {
        if view.of == self.ty {
            self.views.push(view);
        }
        self
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

/// A way to see values of one type as something else, usually a trait object; which types these are has been forgotten. See
/// [`Erased::view`].
// INVARIANT: with `T` the type that `of` is the number of, and `U` that of `to`, `see` was a `fn(&T) -> &U`, and `T` has a size.
#[derive(Clone, Copy)]
pub struct View {
    of: TypeId,
    to: TypeId,
    see: fn(),
}

impl View {
    /// A view of `T`s as `U`s.
    pub fn new<T: 'static, U: ?Sized + 'static>(see: fn(&T) -> &U) -> Self {
        // SAFETY: pointers to functions have one layout. It is not called as what it is made here.
        let see = unsafe { transmute::<fn(&T) -> &U, fn()>(see) };
        Self { of: TypeId::of::<T>(), to: TypeId::of::<U>(), see }
    }
}

impl fmt::Debug for View {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("View").finish_non_exhaustive()
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

    /// The value as a `U`, where its shape has such a [`View`].
    ///
    /// ```
    /// # use std::fmt::Display;
    /// # use std::sync::Arc;
    /// # use enodev_handles::{Erased, Shape, View};
    /// let numbers = Arc::new(Shape::of::<u32>(()).view(View::new::<u32, dyn Display>(|number| number)));
    /// let value = Erased::new(&numbers, 7_u32).unwrap();
    /// assert_eq!(value.view::<dyn Display>().map(ToString::to_string).as_deref(), Some("7"));
    /// assert!(value.view::<str>().is_none());
    /// ```
    #[inline]
    pub fn view<U: ?Sized + 'static>(&self) -> Option<&U> {
        let view = self.shape.views.iter().find(|view| view.to == TypeId::of::<U>())?;
        // SAFETY: by the invariants it was a `fn(&T) -> &U`, `T` being the value's type. The two agree in how they are called: pointers
        // to types with a size are passed alike, whatever the type, and references as pointers.
        let see: unsafe fn(NonNull<()>) -> NonNull<U> = unsafe { transmute(view.see) };
        // SAFETY: by the invariants there is a `T`, which `see` has borrowed with `self`, as in `get`.
        let seen = unsafe { see(self.value()) };
        // SAFETY: it was a reference, good for as long as the value is borrowed.
        Some(unsafe { seen.as_ref() })
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

#[cfg(test)]
mod tests {
    use super::*;

    trait Length: Send + Sync {
        fn length(&self) -> usize;
    }

    impl<const N: usize> Length for [u8; N] {
        fn length(&self) -> usize {
            self.iter().map(|byte| usize::from(*byte)).sum()
        }
    }

    /// A value of every size is seen as a trait, a slice and a part of itself: one that has no size, one that lies inside, one that does
    /// not.
    fn is_seen<const N: usize>() {
        let shape = Shape::of::<[u8; N]>(())
            .view(View::new::<[u8; N], dyn Length>(|value| value))
            .view(View::new::<[u8; N], [u8]>(|value| value))
            .view(View::new::<[u8; N], ()>(|_| &()));
        let value = Erased::new(&Arc::new(shape), [1_u8; N]).ok();
        let value = value.as_ref();
        assert_eq!(value.and_then(Erased::view::<dyn Length>).map(Length::length), Some(N));
        assert_eq!(value.and_then(Erased::view::<[u8]>), Some(&[1_u8; N][..]));
        assert_eq!(value.and_then(Erased::view::<()>), Some(&()));
        assert!(value.and_then(Erased::view::<str>).is_none());
        assert!(value.and_then(Erased::view::<[u8; N]>).is_none(), "what it is itself is no view");
    }

    #[test]
    fn values_of_all_sizes_are_seen() {
        is_seen::<0>();
        is_seen::<1>();
        is_seen::<INLINE>();
        is_seen::<{ INLINE + 1 }>();
        is_seen::<1000>();
    }

    #[test]
    fn a_view_of_another_type_is_none() {
        let shape = Shape::of::<u64>(()).view(View::new::<u8, dyn fmt::Display>(|value| value));
        let value = Erased::new(&Arc::new(shape), 7_u64).ok();
        assert!(value.as_ref().and_then(Erased::view::<dyn fmt::Display>).is_none());
    }

    #[test]
    fn of_two_views_of_one_type_the_first_counts() {
        let first = View::new::<(u8, u8), u8>(|value| &value.0);
        let second = View::new::<(u8, u8), u8>(|value| &value.1);
        let value = Erased::new(&Arc::new(Shape::of::<(u8, u8)>(()).view(first).view(second)), (1_u8, 2_u8)).ok();
        assert_eq!(value.as_ref().and_then(Erased::view::<u8>), Some(&1));
    }
}
