//! Lists of members that are read as they were at one moment, while they change.

use std::array;
use std::iter;
use std::ops::Deref;
use std::sync::Arc;

use arc_swap::ArcSwap;

use crate::sync::Mutex;
use crate::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// How many branches a node of a list has, as a power of two.
const BITS: u32 = 5;
const WIDTH: usize = 1 << BITS;

/// A list in the order in which its members came. A copy costs what has changed since the last one; a change copies what the list
/// shares with a copy of the way to the place that changes, and nothing else.
///
/// # Invariants
///
/// A node below the root holds something. The seats of members are below `next`, and `next` is at most what the root's height spans.
#[derive(Debug, Clone)]
pub(crate) struct Members<T> {
    root: Option<Link<T>>,
    /// How many levels of branches are above the leaves.
    height: u32,
    next: u64,
    len: usize,
}

/// Where a member sits in a list. Nobody has a seat again that somebody had.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Seat(u64);

#[derive(Debug, Clone)]
#[expect(
    clippy::large_enum_variant,
    reason = "each node is allocated once, and leaves of handles are as large as branches"
)]
enum Trunk<T> {
    Branch { below: [Option<Link<T>>; WIDTH], used: usize },
    Leaf { members: [Option<T>; WIDTH], used: usize },
}

/// The way to a node. One that no copy of the list has is changed as it is: nobody has to be counted for that.
///
/// # Invariants
///
/// Below a node that copies have there are but such.
#[derive(Debug)]
enum Link<T> {
    Own(Box<Trunk<T>>),
    Shared(Arc<Trunk<T>>),
}

impl<T> Deref for Link<T> {
    type Target = Trunk<T>;

    fn deref(&self) -> &Trunk<T> {
        match self {
            Self::Own(trunk) => trunk,
            Self::Shared(trunk) => trunk,
        }
    }
}

impl<T: Clone> Clone for Link<T> {
    /// Copies what is not shared: see [`Members::share`].
    fn clone(&self) -> Self {
        Self::Shared(match self {
            Self::Own(trunk) => Arc::new(Trunk::clone(trunk)),
            Self::Shared(trunk) => Arc::clone(trunk),
        })
    }
}

impl<T: Clone> Link<T> {
    fn new(trunk: Trunk<T>) -> Self {
        Self::Own(Box::new(trunk))
    }

    /// The node, to be changed.
    fn own(&mut self) -> &mut Trunk<T> {
        if let Self::Shared(trunk) = self {
            *self = Self::new(Trunk::clone(trunk));
        }
        match self {
            Self::Own(trunk) => trunk,
            // It was made the list's own just now.
            Self::Shared(trunk) => Arc::make_mut(trunk),
        }
    }

    /// Has copies share the node, and those below it.
    fn share(self) -> Self {
        let Self::Own(trunk) = self else { return self };
        Self::Shared(Arc::new(match *trunk {
            Trunk::Branch { below, used } => Trunk::Branch { below: below.map(|link| link.map(Self::share)), used },
            leaf @ Trunk::Leaf { .. } => leaf,
        }))
    }
}

impl<T> Default for Members<T> {
    fn default() -> Self {
        Self { root: None, height: 0, next: 0, len: 0 }
    }
}

impl<T: Copy> Members<T> {
    /// A copy, with which the list shares what it consists of. Each node that has changed since the last copy is moved once for that.
    pub(crate) fn share(&mut self) -> Self {
        self.root = self.root.take().map(Link::share);
        self.clone()
    }

    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// Adds a member at the end.
    pub(crate) fn push(&mut self, member: T) -> Seat {
        let seat = self.next;
        self.next += 1;
        if self.root.is_none() {
            // Seats before this one are nobody's any more: the list begins with as many levels as the seat needs.
            self.height = levels(seat);
        }
        while levels(seat) > self.height {
            let root = self.root.take();
            let mut below: [_; WIDTH] = array::from_fn(|_| None);
            let used = usize::from(root.is_some());
            below[0] = root;
            self.root = Some(Link::new(Trunk::Branch { below, used }));
            self.height += 1;
        }
        insert(&mut self.root, self.height, seat, member);
        self.len += 1;
        Seat(seat)
    }

    /// Takes a member out, if it is there.
    pub(crate) fn remove(&mut self, seat: Seat) -> Option<T> {
        let mut removed = None;
        self.remove_each(&[seat], &|seat| *seat, &mut |member| removed = Some(member));
        removed
    }

    /// Takes members out, those that are there. The way to seats that follow each other is gone once.
    pub(crate) fn remove_all<S>(&mut self, seats: &[S], seat: impl Fn(&S) -> Seat) {
        self.remove_each(seats, &seat, &mut |_| ());
    }

    fn remove_each<S>(&mut self, mut seats: &[S], seat: &impl Fn(&S) -> Seat, each: &mut impl FnMut(T)) {
        let mut count = 0;
        while let Some(first) = seats.first() {
            if levels(seat(first).0) > self.height {
                seats = &seats[1..];
                continue;
            }
            remove(&mut self.root, self.height, &mut seats, seat, &mut |member| {
                count += 1;
                each(member);
            });
        }
        self.len -= count;
    }

    /// The first member that sits at `from` or behind it, and the seat behind it.
    fn from(&self, from: u64) -> Option<(Seat, T)> {
        if levels(from) > self.height {
            return None;
        }
        first(self.root.as_deref()?, self.height, from)
    }

    /// The members, in order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = T> + use<T> {
        self.behind(None).map(|(_, member)| member)
    }

    /// The members behind a seat, or all, in order, with their seats.
    pub(crate) fn behind(&self, seat: Option<Seat>) -> impl Iterator<Item = (Seat, T)> + use<T> {
        let (list, mut next) = (self.clone(), seat.map_or(0, |Seat(seat)| seat + 1));
        iter::from_fn(move || {
            let (seat, member) = list.from(next)?;
            next = seat.0 + 1;
            Some((seat, member))
        })
    }
}

/// How many levels of branches the way to a seat has at least.
fn levels(seat: u64) -> u32 {
    (64 - seat.leading_zeros()).div_ceil(BITS).saturating_sub(1)
}

/// The place of a seat among those of a node at this height.
fn place(seat: u64, height: u32) -> usize {
    (seat >> (height * BITS)) as usize % WIDTH
}

fn insert<T: Copy>(link: &mut Option<Link<T>>, height: u32, seat: u64, member: T) {
    let at = place(seat, height);
    match link.get_or_insert_with(|| Link::new(Trunk::empty(height))).own() {
        Trunk::Branch { below, used } => {
            *used += usize::from(below[at].is_none());
            insert(&mut below[at], height - 1, seat, member);
        }
        Trunk::Leaf { members, used } => {
            members[at] = Some(member);
            *used += 1;
        }
    }
}

/// Takes out the members of all next seats that are below this node, of which there is one at least.
fn remove<T: Copy, S>(
    link: &mut Option<Link<T>>,
    height: u32,
    seats: &mut &[S],
    seat: &impl Fn(&S) -> Seat,
    each: &mut impl FnMut(T),
) {
    // What the seats below the node have in common; the root's have nothing.
    let above = |seat: u64| seat.checked_shr((height + 1) * BITS).unwrap_or(0);
    let Some(common) = seats.first().map(|first| above(seat(first).0)) else { return };
    let next = |seats: &[S]| seats.first().map(|first| seat(first).0).filter(|seat| above(*seat) == common);
    let Some(trunk) = link else {
        while next(seats).is_some() {
            *seats = &seats[1..];
        }
        return;
    };
    let used = match trunk.own() {
        Trunk::Branch { below, used } => {
            while let Some(first) = next(seats) {
                let below = &mut below[place(first, height)];
                let was_there = below.is_some();
                remove(below, height - 1, seats, seat, each);
                *used -= usize::from(was_there && below.is_none());
            }
            *used
        }
        Trunk::Leaf { members, used } => {
            while let Some(first) = next(seats) {
                *seats = &seats[1..];
                if let Some(member) = members[place(first, height)].take() {
                    *used -= 1;
                    each(member);
                }
            }
            *used
        }
    };
    if used == 0 {
        *link = None;
    }
}

/// The first member of a node at `from` or behind it, as far as `from` says where in this node.
fn first<T: Copy>(trunk: &Trunk<T>, height: u32, from: u64) -> Option<(Seat, T)> {
    let start = place(from, height);
    let span = 1_u64 << (height * BITS);
    // The seat with which place 0 of this node begins.
    let base = from - from % span - span * start as u64;
    let at = |place: usize| base + span * place as u64;
    match trunk {
        Trunk::Leaf { members, .. } => {
            let (place, member) = members.iter().enumerate().skip(start).find_map(|(n, m)| Some((n, (*m)?)))?;
            Some((Seat(at(place)), member))
        }
        Trunk::Branch { below, .. } => below.iter().enumerate().skip(start).find_map(|(place, below)| {
            let from = if place == start { from } else { at(place) };
            first(below.as_deref()?, height - 1, from)
        }),
    }
}

impl<T> Trunk<T> {
    fn empty(height: u32) -> Self {
        if height == 0 {
            Self::Leaf { members: array::from_fn(|_| None), used: 0 }
        } else {
            Self::Branch { below: array::from_fn(|_| None), used: 0 }
        }
    }
}

/// A list that is changed under a lock and read without one, as long as it has not changed since it was last read.
///
/// A change is not published until somebody asks: so changes that nobody sees one by one copy nothing. What has been published has a
/// number, and who has walked it asks whether it is still what counts.
#[derive(Debug)]
pub(crate) struct Published<T> {
    current: Mutex<Members<T>>,
    /// One more for each change. Changed under the lock.
    version: AtomicU64,
    /// Whether there is nobody in it. Changed under the lock.
    is_empty: AtomicBool,
    last: ArcSwap<Snapshot<T>>,
}

/// A list as it was at one moment.
#[derive(Debug)]
pub(crate) struct Snapshot<T> {
    pub(crate) members: Members<T>,
    version: u64,
}

impl<T> Default for Published<T> {
    fn default() -> Self {
        let last = ArcSwap::from_pointee(Snapshot { members: Members::default(), version: 0 });
        Self { current: Mutex::default(), version: AtomicU64::new(0), is_empty: AtomicBool::new(true), last }
    }
}

impl<T: Copy> Published<T> {
    /// Changes the list, once, however many members come and go.
    pub(crate) fn change<R>(&self, change: impl FnOnce(&mut Members<T>) -> R) -> R {
        let mut current = self.current.lock();
        let result = change(&mut current);
        // Relaxed: pairs with `is_empty`, whose callers fence.
        self.is_empty.store(current.len() == 0, Ordering::Relaxed);
        // Relaxed: changed under the lock.
        let version = self.version.load(Ordering::Relaxed);
        // Release: pairs with the Acquire of `version`: who finds this number finds, under the lock, the list that it is of.
        self.version.store(version + 1, Ordering::Release);
        result
    }

    /// Whether there is nobody in it: a look without the lock. With a fence before it, and one after a change, either this sees the
    /// change or who made it sees what this caller did before.
    pub(crate) fn is_empty(&self) -> bool {
        // Relaxed: the fences decide.
        self.is_empty.load(Ordering::Relaxed)
    }

    /// Does what is not to meet a change.
    pub(crate) fn between<R>(&self, act: impl FnOnce() -> R) -> R {
        let _current = self.current.lock();
        act()
    }

    /// The list as it is.
    pub(crate) fn load(&self) -> Arc<Snapshot<T>> {
        let last = self.last.load();
        if self.is_current(&last) {
            return Arc::clone(&last);
        }
        let mut current = self.current.lock();
        let snapshot = Arc::new(Snapshot { members: current.share(), version: self.version() });
        self.last.store(Arc::clone(&snapshot));
        snapshot
    }

    /// Whether the list has not changed since.
    pub(crate) fn is_current(&self, snapshot: &Snapshot<T>) -> bool {
        snapshot.version == self.version()
    }

    /// Whether it has ever been changed.
    pub(crate) fn has_changed(&self) -> bool {
        self.version() != 0
    }

    fn version(&self) -> u64 {
        // Acquire: pairs with the Release of `change`. A member that came before something which the caller knows of is counted here.
        self.version.load(Ordering::Acquire)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// S1-12, T73, T77: a list is what a map from seats says, in order, whatever comes and goes; and a copy stays as it was.
        #[test]
        fn lists_are_maps_in_the_order_of_coming(steps in prop::collection::vec((0_u8..8, any::<u16>()), 0..600)) {
            let (mut list, mut model, mut next) = (Members::default(), BTreeMap::new(), 0);
            let mut copies = Vec::new();
            for (step, pick) in steps {
                match step {
                    0..=4 => {
                        prop_assert_eq!(list.push(next), Seat(next));
                        model.insert(next, next);
                        next += 1;
                    }
                    5 => {
                        let seat = u64::from(pick) % (next + 2);
                        prop_assert_eq!(list.remove(Seat(seat)), model.remove(&seat));
                    }
                    6 => {
                        // Some that follow each other, either way, some that do not, and some that are not there.
                        let (first, step) = (u64::from(pick) % (next + 2), [1, -1, 5, -37][usize::from(pick) % 4]);
                        let seats: Vec<u64> = (0..7).filter_map(|n| first.checked_add_signed(n * step)).collect();
                        list.remove_all(&seats, |seat| Seat(*seat));
                        model.retain(|seat, _| !seats.contains(seat));
                    }
                    _ if pick % 2 == 0 => copies.push((list.share(), model.clone())),
                    _ => copies.push((list.clone(), model.clone())),
                }
                prop_assert_eq!(list.len(), model.len());
                let from = u64::from(pick) % (next + 2);
                let behind: Vec<_> = list.behind(Some(Seat(from))).map(|(seat, _)| seat.0).collect();
                prop_assert_eq!(behind, model.range(from + 1..).map(|(seat, _)| *seat).collect::<Vec<_>>());
            }
            for (list, model) in copies {
                prop_assert_eq!(list.iter().collect::<Vec<_>>(), model.into_values().collect::<Vec<_>>());
            }
        }
    }

    /// S1-12: a list whose members have all gone holds nothing, and one with few members far behind finds them.
    #[test]
    fn seats_far_behind_are_found() {
        let mut list = Members::default();
        let seats: Vec<_> = (0..40_000).map(|n| list.push(n)).collect();
        for seat in &seats[..39_999] {
            assert!(list.remove(*seat).is_some());
        }
        assert_eq!((list.iter().collect::<Vec<_>>(), list.len()), (vec![39_999], 1));
        assert_eq!(list.remove(seats[39_999]), Some(39_999));
        assert!(list.root.is_none() && list.remove(seats[0]).is_none());
        let seat = list.push(7);
        assert_eq!((seat, list.iter().next()), (Seat(40_000), Some(7)));
    }

    /// S1-5, S1-6: a snapshot is what counts until the next change, and stays what it was.
    #[test]
    fn snapshots_know_whether_they_count() {
        let list = Published::default();
        let seat = list.change(|list| list.push('a'));
        let before = list.load();
        assert!(list.is_current(&before) && Arc::ptr_eq(&before, &list.load()));
        list.change(|list| list.remove(seat));
        assert!(!list.is_current(&before));
        assert_eq!((before.members.iter().count(), list.load().members.iter().count()), (1, 0));
    }
}
