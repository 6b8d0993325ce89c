//! Values that are nothing but bytes.

use crate::handle::Handle;

/// A value that can be taken apart into bytes and put together again: what a [`Column`](crate::Column) holds.
///
/// It is moved as bytes of its own choice, never as its memory: padding does not matter, and no implementation is unsafe.
/// Numbers, `bool`, `char`, [`Handle`]s, arrays and `Option`s of plain values, and tuples of up to six are plain. Another type
/// is made so by naming a plain one that stands for it:
///
/// ```
/// use enodev_handles::Plain;
///
/// #[derive(Clone, Copy, Debug, PartialEq)]
/// enum Power { Off, On { milliwatts: u32 } }
///
/// impl Plain for Power {
///     type Bytes = <Option<u32> as Plain>::Bytes;
///
///     fn to_bytes(self) -> Self::Bytes {
///         match self {
///             Power::Off => None,
///             Power::On { milliwatts } => Some(milliwatts),
///         }
///         .to_bytes()
///     }
///
///     fn from_bytes(bytes: Self::Bytes) -> Self {
///         Option::from_bytes(bytes).map_or(Power::Off, |milliwatts| Power::On { milliwatts })
///     }
/// }
///
/// assert_eq!(Power::SIZE, 5);
/// assert_eq!(Power::from_bytes(Power::On { milliwatts: 7 }.to_bytes()), Power::On { milliwatts: 7 });
/// ```
pub trait Plain: Copy + 'static {
    /// The bytes: `[u8; N]`, or those of another plain type.
    type Bytes: Bytes;

    /// How many bytes.
    const SIZE: usize = size_of::<Self::Bytes>();

    /// Takes the value apart.
    fn to_bytes(self) -> Self::Bytes;

    /// Puts it together again. Bytes that did not come from [`to_bytes`](Self::to_bytes) give some value, whatever it may be.
    fn from_bytes(bytes: Self::Bytes) -> Self;
}

/// Bytes and nothing else: arrays and tuples of `u8`. Cannot be implemented outside this crate.
pub trait Bytes: sealed::Bytes {}

impl<B: sealed::Bytes> Bytes for B {}

pub(crate) mod sealed {
    #![expect(unsafe_code, reason = "says of a type that it is made of bytes")]

    /// # Safety
    ///
    /// Any bytes are a valid value, and all bytes of a value are initialised: there is no padding.
    pub unsafe trait Bytes: Copy + Send + Sync + 'static {
        /// All bytes zero.
        const ZERO: Self;
    }

    // SAFETY: it is a byte.
    unsafe impl Bytes for u8 {
        const ZERO: Self = 0;
    }

    // SAFETY: an array has no padding between its elements.
    unsafe impl<B: Bytes, const N: usize> Bytes for [B; N] {
        const ZERO: Self = [B::ZERO; N];
    }

    // SAFETY: it has no bytes.
    unsafe impl Bytes for () {
        const ZERO: Self = ();
    }

    macro_rules! tuples {
        ($(($($B:ident),+))+) => {$(
            // SAFETY: the elements are made of bytes, and the assertion leaves no room for others.
            unsafe impl<$($B: Bytes),+> Bytes for ($($B,)+) {
                const ZERO: Self = {
                    assert!(size_of::<Self>() == 0 $(+ size_of::<$B>())+, "a tuple of bytes has padding");
                    ($($B::ZERO,)+)
                };
            }
        )+};
    }

    tuples! { (A) (A, B) (A, B, C) (A, B, C, D) (A, B, C, D, E) (A, B, C, D, E, F) }
}

macro_rules! numbers {
    ($($number:ty)+) => {$(
        impl Plain for $number {
            type Bytes = [u8; size_of::<$number>()];

            #[inline]
            fn to_bytes(self) -> Self::Bytes {
                self.to_ne_bytes()
            }

            #[inline]
            fn from_bytes(bytes: Self::Bytes) -> Self {
                Self::from_ne_bytes(bytes)
            }
        }
    )+};
}

numbers! { u8 i8 u16 i16 u32 i32 u64 i64 u128 i128 usize isize f32 f64 }

impl Plain for bool {
    type Bytes = [u8; 1];

    #[inline]
    fn to_bytes(self) -> [u8; 1] {
        [u8::from(self)]
    }

    #[inline]
    fn from_bytes([byte]: [u8; 1]) -> Self {
        byte != 0
    }
}

impl Plain for char {
    type Bytes = [u8; 4];

    #[inline]
    fn to_bytes(self) -> [u8; 4] {
        u32::from(self).to_ne_bytes()
    }

    #[inline]
    fn from_bytes(bytes: [u8; 4]) -> Self {
        Self::from_u32(u32::from_ne_bytes(bytes)).unwrap_or(Self::REPLACEMENT_CHARACTER)
    }
}

impl<K: 'static> Plain for Handle<K> {
    type Bytes = [u8; 8];

    #[inline]
    fn to_bytes(self) -> [u8; 8] {
        self.to_bits().to_ne_bytes()
    }

    #[inline]
    fn from_bytes(bytes: [u8; 8]) -> Self {
        Self::from_bits(u64::from_ne_bytes(bytes))
    }
}

impl<T: Plain, const N: usize> Plain for [T; N] {
    type Bytes = [T::Bytes; N];

    #[inline]
    fn to_bytes(self) -> Self::Bytes {
        self.map(T::to_bytes)
    }

    #[inline]
    fn from_bytes(bytes: Self::Bytes) -> Self {
        bytes.map(T::from_bytes)
    }
}

impl<T: Plain> Plain for Option<T> {
    type Bytes = (u8, T::Bytes);

    #[inline]
    fn to_bytes(self) -> Self::Bytes {
        self.map_or((0, sealed::Bytes::ZERO), |value| (1, value.to_bytes()))
    }

    #[inline]
    fn from_bytes((is_some, bytes): Self::Bytes) -> Self {
        (is_some != 0).then(|| T::from_bytes(bytes))
    }
}

impl Plain for () {
    type Bytes = ();

    #[inline]
    fn to_bytes(self) {}

    #[inline]
    fn from_bytes((): ()) {}
}

macro_rules! tuples {
    ($(($($T:ident $value:ident),+))+) => {$(
        impl<$($T: Plain),+> Plain for ($($T,)+) {
            type Bytes = ($($T::Bytes,)+);

            #[inline]
            fn to_bytes(self) -> Self::Bytes {
                let ($($value,)+) = self;
                ($($value.to_bytes(),)+)
            }

            #[inline]
            fn from_bytes(bytes: Self::Bytes) -> Self {
                let ($($value,)+) = bytes;
                ($($T::from_bytes($value),)+)
            }
        }
    )+};
}

tuples! {
    (A a)
    (A a, B b)
    (A a, B b, C c)
    (A a, B b, C c, D d)
    (A a, B b, C c, D d, E e)
    (A a, B b, C c, D d, E e, F f)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn there_and_back<T: Plain + PartialEq + std::fmt::Debug>(value: T, size: usize) {
        assert_eq!(T::SIZE, size);
        assert_eq!(T::from_bytes(value.to_bytes()), value);
    }

    #[test]
    fn values_come_back_as_they_went_in() {
        there_and_back((1_u8, -2_i16, 3_u32, f64::MIN, 'é', true), 1 + 2 + 4 + 8 + 4 + 1);
        there_and_back([Some(7_u32), None], 10);
        there_and_back((Some((u128::MAX, i8::MIN)), ()), 18);
        there_and_back([[9_u16; 3]; 2], 12);
        there_and_back((Handle::<u8>::from_bits(77).to_bits(), Some(usize::MAX), [0_i64; 0]), 17);
    }
}
