use std::fmt;
use std::time::Duration;

use enodev_handles::{Arena, Kind};

use crate::store::Store;

/// What a store has come to: see [`Store::stats`].
///
/// The numbers are read one after the other while the store is in use: each is right, and they need not fit each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Stats {
    /// Objects in the tree, the root not counted. Those that are leaving count.
    pub live: usize,
    /// Slots that have been given up, since their generations are used up: the store never uses them again.
    pub retired: usize,
    /// What has left and is not freed yet, because some thread may be reading the tree ([`Store::flush`]).
    pub garbage: usize,
    /// How often `ENODEV` was the answer to a stale handle. One operation may ask more than once.
    pub enodev: u64,
    /// How often a removal, of an object or of an attribute from one, has found somebody inside who stayed, and has waited.
    pub drains: u64,
    /// How many wait now.
    pub drains_now: u64,
    /// The longest such wait that is over.
    pub longest_drain: Duration,
    /// How many callbacks have panicked, whoever's: of attributes, groups, buses, drivers and observers.
    pub panics: u64,
}

/// "12 live, 0 retired, 3 garbage; 7 ENODEV; 2 drains, 1 now, longest 1.5ms; 0 panics".
impl fmt::Display for Stats {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { live, retired, garbage, enodev, drains, drains_now, longest_drain, panics } = self;
        write!(f, "{live} live, {retired} retired, {garbage} garbage; {enodev} ENODEV; ")?;
        write!(f, "{drains} drains, {drains_now} now, longest {longest_drain:.1?}; {panics} panics")
    }
}

/// What there is to be known of a store as a whole.
impl Store {
    /// What the store has come to.
    ///
    /// Those who look objects up, read attributes and remove objects that nobody is inside of pay nothing for it. The call itself looks
    /// at each attribute that has been defined: it is made to be asked every now and then.
    ///
    /// ```
    /// # let store = enodev::Store::new()?;
    /// let sda = store.create(store.root(), "sda")?;
    /// store.unregister_subtree(sda)?;
    /// assert!(store.path(sda).is_err());
    /// let stats = store.stats();
    /// assert_eq!((stats.live, stats.enodev, stats.drains), (0, 1, 0));
    /// println!("{stats}");
    /// # Ok::<(), enodev::Error>(())
    /// ```
    pub fn stats(&self) -> Stats {
        let inner = &*self.inner;
        let arenas = [
            of(&inner.nodes),
            of(&inner.attrs),
            of(&inner.groups),
            of(&inner.types),
            of(&inner.bindings),
            of(&inner.drivers),
            of(&inner.buses),
            of(&inner.spaces),
            of(&inner.classes),
            of(&inner.observers),
        ];
        let counts = inner.domain.counts();
        Stats {
            live: self.len(),
            retired: arenas.iter().map(|(retired, _)| retired).sum(),
            garbage: arenas.iter().map(|(_, garbage)| garbage).sum(),
            enodev: counts.stale,
            drains: counts.drains,
            drains_now: counts.drains_now,
            longest_drain: counts.longest_drain,
            panics: self.all_panics(),
        }
    }

    fn all_panics(&self) -> u64 {
        let inner = &*self.inner;
        let pin = inner.domain.pin();
        let attrs: Vec<_> = inner.attrs.iter(&pin).map(|(attr, _)| attr).collect();
        let groups: Vec<_> = inner.groups.iter(&pin).map(|(group, _)| group).collect();
        drop(pin);
        let attrs = attrs.into_iter().filter_map(|attr| Some(inner.attrs.enter(attr).ok()?.code.panics()));
        let groups = groups.into_iter().filter_map(|group| Some(inner.groups.enter(group).ok()?.code.panics()));
        attrs.chain(groups).sum::<u64>() + self.noted_panics()
    }
}

/// How many slots of an arena have been given up, and how many wait to be freed.
fn of<K, S, P>(arena: &Arena<K, S, P>) -> (usize, usize)
where
    K: Kind,
    S: Send + Sync + 'static,
    P: Send + Sync + 'static,
{
    (arena.retired(), arena.garbage())
}
