//! How names are hashed.

use std::hash::{BuildHasher, RandomState};
use std::sync::LazyLock;

use foldhash::SharedSeed;
use foldhash::fast::FoldHasher;

/// Names come from outside: their hashes are keyed, by 128 bits from the system, so that nobody can choose names that collide. The key is
/// one for the process, and maps do not carry it.
///
/// The hash is no cryptographic one. Names from outside meet it because nobody is told a hash, nor an order that follows from
/// hashes: whatever lists the entries of a map puts them into an order of its own. Who can measure look-ups of names of his choice well
/// enough may still find some that collide, which makes one directory slow.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Keyed;

static KEY: LazyLock<(u64, SharedSeed)> = LazyLock::new(|| {
    // A schedule is to be replayed in another process.
    let random = |fixed| if cfg!(any(loom, shuttle)) { fixed } else { RandomState::new().hash_one(fixed) };
    (random(1), SharedSeed::from_u64(random(2)))
});

impl BuildHasher for Keyed {
    type Hasher = FoldHasher<'static>;

    #[inline]
    fn build_hasher(&self) -> FoldHasher<'static> {
        let (own, shared) = &*KEY;
        FoldHasher::with_seed(*own, shared)
    }
}
