//! Handles that leave their process and come back.

use std::fmt;
use std::hash::{BuildHasher, Hash, RandomState};
use std::process;
use std::str::FromStr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::SystemTime;

use enodev_handles::{Handle, Kind};
use thiserror::Error;

use crate::error::{Error, Result};
use crate::store::Store;

/// A handle together with the store that gave it out: what is written to a file, or sent to another process. See [`Store::portable`].
///
/// As text, and for `serde` (feature `serde`), it is `Device:`, 32 hexadecimal digits that name the store, `:`, and the 16 of the handle:
///
/// ```
/// use enodev::{Error, KobjectHandle, Portable, Store, kind};
///
/// let store = Store::new()?;
/// let sda = store.create(store.root(), "sda")?;
/// let text = store.portable(sda).to_string();
///
/// let portable: Portable<kind::Kobject> = text.parse()?;
/// assert_eq!(store.recall(portable), Ok(sda));
///
/// let later = Store::new()?; // in this process or in another
/// later.create(later.root(), "sda")?;
/// assert_eq!(later.recall(portable), Err(Error::Foreign));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Portable<K> {
    store: u128,
    handle: Handle<K>,
}

// By hand: a kind need not be any of these.
impl<K> Clone for Portable<K> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<K> Copy for Portable<K> {}

impl<K> PartialEq for Portable<K> {
    fn eq(&self, other: &Self) -> bool {
        (self.store, self.handle) == (other.store, other.handle)
    }
}

impl<K> Eq for Portable<K> {}

impl<K> Hash for Portable<K> {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        (self.store, self.handle).hash(state);
    }
}

/// Why a text is no [`Portable`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Error)]
#[non_exhaustive]
pub enum InvalidPortable {
    /// It is not of the form `Kind:store:handle`, with 32 and 16 hexadecimal digits.
    #[error("this is no handle")]
    Form,
    /// It is the handle of something else.
    #[error("this is no handle of that kind")]
    Kind,
}

impl<K: Kind> fmt::Debug for Portable<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Portable({self})")
    }
}

impl<K: Kind> fmt::Display for Portable<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{:032x}:{:016x}", K::NAME, self.store, self.handle.to_bits())
    }
}

impl<K: Kind> FromStr for Portable<K> {
    type Err = InvalidPortable;

    fn from_str(text: &str) -> Result<Self, InvalidPortable> {
        let digits = |text: &str, count| text.len() == count && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        let mut parts = text.split(':');
        let (Some(kind), Some(store), Some(bits), None) = (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(InvalidPortable::Form);
        };
        if !digits(store, 32) || !digits(bits, 16) {
            return Err(InvalidPortable::Form);
        }
        if kind != K::NAME {
            return Err(InvalidPortable::Kind);
        }
        let store = u128::from_str_radix(store, 16).map_err(|_| InvalidPortable::Form)?;
        let bits = u64::from_str_radix(bits, 16).map_err(|_| InvalidPortable::Form)?;
        Ok(Self { store, handle: Handle::from_bits(bits) })
    }
}

#[cfg(feature = "serde")]
mod with_serde {
    use std::fmt;
    use std::marker::PhantomData;

    use enodev_handles::Kind;
    use serde::de::{Deserialize, Deserializer, Error, Visitor};
    use serde::ser::{Serialize, Serializer};

    use super::Portable;

    impl<K: Kind> Serialize for Portable<K> {
        fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            serializer.collect_str(self)
        }
    }

    impl<'de, K: Kind> Deserialize<'de> for Portable<K> {
        fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            deserializer.deserialize_str(Text(PhantomData))
        }
    }

    struct Text<K>(PhantomData<K>);

    impl<K: Kind> Visitor<'_> for Text<K> {
        type Value = Portable<K>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            write!(f, "a handle, as {}:store:handle", K::NAME)
        }

        fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
            text.parse().map_err(E::custom)
        }
    }
}

/// A number that no other store has, of this process or another, now or later.
///
/// It need not be a secret, only a number that does not come twice: so two outputs of the standard library's keyed hash are as good as
/// 128 random bits. Its key of 128 bits comes from the system, once for each thread; each use has the next one. What is hashed keeps those
/// apart that have the same key: a process that was forked has its own number, and what one process makes twice has another count. Only of
/// a process that is restored from an image of its memory, time and number included, two may be alike; their stores are.
pub(crate) fn nonce() -> u128 {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    // Relaxed: each gets another number.
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    let time = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |time| time.as_nanos());
    let state = RandomState::new();
    let half = |half: u8| state.hash_one((half, process::id(), time, count));
    u128::from(half(0)) << 64 | u128::from(half(1))
}

/// Handles for other processes, and for later.
impl Store {
    /// The handle together with what tells this store from all others, so that it can leave the process: 128 bits that are made with the
    /// store. The bits of a handle alone mean something else in each store.
    ///
    /// It is a name, no permission: whoever knows one can make others. Whether the handle is stale, or even of this store, is not asked.
    pub fn portable<K: Kind>(&self, handle: Handle<K>) -> Portable<K> {
        Portable { store: self.inner.nonce, handle }
    }

    /// The handle that has come back. It may be stale, as any may.
    ///
    /// Handles do not outlive their store. What is to be found again in a store that was built anew, after a restart or from a snapshot,
    /// is found by its path ([`path`](Self::path), [`lookup`](Self::lookup)).
    ///
    /// # Errors
    ///
    /// [`Error::Foreign`]: it is another store's; that store may not be alive any more. `ENODEV` as number, as of all handles of other
    /// stores.
    pub fn recall<K: Kind>(&self, portable: Portable<K>) -> Result<Handle<K>> {
        if portable.store == self.inner.nonce { Ok(portable.handle) } else { Err(Error::Foreign) }
    }
}
