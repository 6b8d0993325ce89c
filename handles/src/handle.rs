use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::marker::PhantomData;
use std::num::NonZeroU64;

use slotmap::KeyData;

use crate::version::Version;

/// A kind of object: it makes the handles of one arena a type of their own.
pub trait Kind: 'static {
    /// What `Debug` calls a handle of this kind.
    const NAME: &'static str;
}

/// Names one incarnation of one object in one arena.
///
/// The generation counts the objects that a slot has held. When an object leaves, its handle is
/// [`Stale`](crate::Stale) for ever: looking up again makes no sense, the name of the object has to be looked up
/// anew. Handles are plain values, 8 bytes, freely copied, shared and kept; an `Option` of one costs nothing. They
/// are `slotmap` keys, so a `slotmap::SecondaryMap<Handle<K>, T>` of the user's own works; use one map per store,
/// since two stores' handles share its index space.
///
/// Any 64-bit pattern is a safe handle. A forged one whose bits equal a live one's *is* that handle.
///
/// `Debug` prints kind, index and generation: `Device(3v5)`, or `Device(null)`.
#[repr(transparent)]
pub struct Handle<K> {
    /// The version word above the index: the number that `slotmap` gives out for a key.
    bits: NonZeroU64,
    kind: PhantomData<fn() -> K>,
}

/// `slotmap` sets this bit in every key.
const LIVE: u64 = 1 << 32;

impl<K> Handle<K> {
    pub(crate) fn new(index: u32, version: Version) -> Self {
        Self::from_bits(u64::from(version.bits()) << 32 | u64::from(index))
    }

    /// The handle that names nothing, in any store.
    pub fn null() -> Self {
        Self::from(KeyData::default())
    }

    /// Whether this is [`null`](Self::null).
    pub fn is_null(self) -> bool {
        self == Self::null()
    }

    /// The handle as an opaque number, for a foreign interface or a message.
    pub const fn to_bits(self) -> u64 {
        self.bits.get()
    }

    /// The handle of a number from [`to_bits`](Self::to_bits).
    ///
    /// Any other number gives a handle too, and it is as safe as any (bit 32 counts as set).
    pub fn from_bits(bits: u64) -> Self {
        // Never 0, so the alternative is never taken.
        let bits = NonZeroU64::new(bits | LIVE).unwrap_or(NonZeroU64::MAX);
        Self { bits, kind: PhantomData }
    }

    /// The same bits as a handle of another kind: where one arena holds what its users know as several kinds.
    ///
    /// It names the object only in an arena of that kind; anywhere else it is as stale as any other forged handle.
    #[inline]
    pub const fn cast<L>(self) -> Handle<L> {
        Handle { bits: self.bits, kind: PhantomData }
    }

    #[inline]
    pub(crate) fn index(self) -> u32 {
        self.bits.get() as u32
    }

    #[inline]
    pub(crate) fn version(self) -> Version {
        Version::from_bits((self.bits.get() >> 32) as u32)
    }
}

impl<K> From<KeyData> for Handle<K> {
    fn from(key: KeyData) -> Self {
        Self::from_bits(key.as_ffi())
    }
}

impl<K> Clone for Handle<K> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<K> Copy for Handle<K> {}

impl<K> Default for Handle<K> {
    fn default() -> Self {
        Self::null()
    }
}

impl<K> PartialEq for Handle<K> {
    fn eq(&self, other: &Self) -> bool {
        self.bits == other.bits
    }
}

impl<K> Eq for Handle<K> {}

impl<K> PartialOrd for Handle<K> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<K> Ord for Handle<K> {
    fn cmp(&self, other: &Self) -> Ordering {
        self.bits.cmp(&other.bits)
    }
}

impl<K> Hash for Handle<K> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.bits.hash(state);
    }
}

impl<K: Kind> fmt::Debug for Handle<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_null() {
            return write!(f, "{}(null)", K::NAME);
        }
        write!(f, "{}({}v{})", K::NAME, self.index(), self.version().generation())
    }
}

mod key {
    #![expect(unsafe_code, reason = "`slotmap::Key` is an unsafe trait")]

    use super::{Handle, Kind};
    use slotmap::{Key, KeyData};

    // SAFETY: the contract is that every method behaves as those of `slotmap`'s own keys: `data` returns what
    // `from` was given, and the provided methods are left alone.
    unsafe impl<K: Kind> Key for Handle<K> {
        fn data(&self) -> KeyData {
            KeyData::from_ffi(self.to_bits())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    enum Disk {}
    impl Kind for Disk {
        const NAME: &'static str = "Disk";
    }

    #[test]
    fn a_handle_is_eight_bytes_and_its_option_costs_nothing() {
        assert_eq!(size_of::<Handle<Disk>>(), 8);
        assert_eq!(size_of::<Option<Handle<Disk>>>(), 8);
    }

    #[test]
    fn debug_prints_kind_index_and_generation() {
        assert_eq!(format!("{:?}", Handle::<Disk>::new(3, Version::live(9, 5))), "Disk(3v5)");
        assert_eq!(format!("{:?}", Handle::<Disk>::null()), "Disk(null)");
    }

    #[test]
    fn bits_come_back_as_they_went_in() {
        let handle = Handle::<Disk>::new(u32::MAX - 1, Version::live(255, 77));
        assert_eq!(Handle::from_bits(handle.to_bits()), handle);
    }

    #[test]
    fn a_handle_is_a_key_of_a_secondary_map() {
        let (a, b) = (Handle::<Disk>::new(1, Version::live(1, 1)), Handle::new(1, Version::live(1, 2)));
        let mut map = slotmap::SecondaryMap::new();
        map.insert(a, "a");
        map.insert(b, "b");
        assert_eq!((map.get(a), map.get(b)), (None, Some(&"b")));
    }
}
