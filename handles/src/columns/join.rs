//! Walks over several columns at once.

#![expect(unsafe_code, reason = "rows are met chunk by chunk, without a look-up for each")]
#![expect(
    private_interfaces,
    private_bounds,
    reason = "the public traits rest on sealed ones, which nobody outside can name"
)]

use std::fmt;
use std::marker::PhantomData;

use crate::chunks::run_end;
use crate::columns::base::Base;
use crate::columns::column::Column;
use crate::columns::home::{Home, Run};
use crate::columns::once::OnceColumn;
use crate::columns::plain::Plain;
use crate::columns::row::{PlainRow, Row, ValueRow};
use crate::columns::table::Table;
use crate::domain::Pin;
use crate::handle::{Handle, Kind};
use crate::version::Version;

/// The objects that have a value in each of one, two or three columns, with these values.
///
/// Neither blocks anybody nor is blocked, but for what [`Column::get`] says of setters. An object that is there with its values
/// during the whole walk is met exactly once; one that comes, leaves or gets a value meanwhile, once or not at all. What is yielded
/// was alive when it was met, and may leave at any moment afterwards. Each value is one that the object had then: values of two
/// columns, or of two objects, are of no common moment. The order is nobody's concern.
///
/// Where all columns are dense, the walk goes through them in step with the slots; otherwise it goes through the sparse one with
/// the fewest rows. `for_each` and its like are somewhat faster than a `for` loop.
///
/// ```
/// use enodev_handles::{Arena, Density, Domain, Kind, join};
///
/// enum Disk {}
/// impl Kind for Disk {
///     const NAME: &'static str = "Disk";
/// }
///
/// let domain = Domain::new()?;
/// let disks: Arena<Disk, &str, ()> = Arena::new(&domain)?;
/// let sectors = disks.column::<u64>(Density::Dense);
/// let faults = disks.column::<u32>(Density::Sparse);
///
/// let (sda, sdb) = (disks.insert("sda", ())?, disks.insert("sdb", ())?);
/// let pin = domain.pin();
/// sectors.set(&pin, sda, 2048)?;
/// sectors.set(&pin, sdb, 4096)?;
/// faults.set(&pin, sdb, 1)?;
/// let met: Vec<_> = join(&pin, (&sectors, &faults)).collect();
/// assert_eq!(met, [(sdb, (4096, 1))]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Panics
///
/// If the pin is of another domain than one of the columns.
#[inline]
pub fn join<'a, K: Kind, J: Joined<'a, K>>(pin: &'a Pin<'_>, columns: J) -> Join<'a, K, J> {
    let home = columns.check(pin);
    let driver = columns.driver();
    let end = driver.map_or_else(|| home.fresh(), |(_, rows)| rows);
    let stretch = Stretch { words: Run::NONE, rows: J::NO_ROWS, index: 0, end: 0 };
    Join { columns, home, driver: driver.map(|(which, _)| which), stretch, next: 0, end, kind: PhantomData }
}

/// A column that [`join`] can go over: a reference to a [`Column`], whose values are yielded by copy, or to a [`OnceColumn`],
/// whose values are yielded by reference. Cannot be implemented outside this crate.
pub trait Member<'a, K>: sealed::Member<'a, K> {}

impl<'a, K, M: sealed::Member<'a, K>> Member<'a, K> for M {}

/// What [`join`] can go over: tuples of one, two or three references to columns. Cannot be implemented outside this crate.
///
/// The walk yields `(handle, (a,))`, `(handle, (a, b))` or `(handle, (a, b, c))`, with a value of each column in its place: a `T` of
/// a [`Column<K, T>`](Column), a `&T` of a [`OnceColumn<K, T>`](OnceColumn).
///
/// ```
/// # use enodev_handles::{Arena, Density, Domain, Kind, join};
/// # enum Disk {}
/// # impl Kind for Disk { const NAME: &'static str = "Disk"; }
/// # let domain = Domain::new()?;
/// # let disks: Arena<Disk, (), ()> = Arena::new(&domain)?;
/// let reads = disks.column::<u64>(Density::Dense);
/// let pin = domain.pin();
/// # for n in [3, 4] {
/// #     reads.set(&pin, disks.insert((), ())?, n)?;
/// # }
/// let all: u64 = join(&pin, (&reads,)).map(|(_, (n,))| n).sum();
/// assert_eq!(all, 7);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub trait Joined<'a, K>: sealed::Joined<'a, K> {}

impl<'a, K, J: sealed::Joined<'a, K>> Joined<'a, K> for J {}

pub(crate) mod sealed {
    use super::{Base, Home, Pin, Row, Version};

    pub trait Member<'a, K>: Copy {
        /// What it yields.
        type Value;
        type Row: Row;

        fn base(self) -> &'a Base<K, Self::Row>;

        /// The value of an object that the caller has seen alive under a pin, which lasts as long as `'a`.
        ///
        /// # Safety
        ///
        /// So it has.
        unsafe fn value(row: &'a Self::Row, version: Version) -> Option<Self::Value>;
    }

    pub trait Joined<'a, K>: Copy {
        /// What it yields.
        type Values;
        /// A row of each column.
        type Rows: Copy;
        /// Those of no slot.
        const NO_ROWS: Self::Rows;

        /// # Panics
        ///
        /// If the pin is of another domain.
        fn check(self, pin: &Pin<'_>) -> &'a Home;

        /// The sparse column with the fewest rows, by number, and how many there are.
        fn driver(self) -> Option<(usize, u32)>;

        /// The slot that has a row of the driver.
        fn sitter(self, driver: usize, at: u32) -> Option<(u32, Version)>;

        /// The rows of a slot, which lie before those of the next slots of its chunk, where all columns are dense and have them.
        fn rows(self, index: u32) -> Option<Self::Rows>;

        /// The rows after these.
        fn next(rows: Self::Rows) -> Self::Rows;

        /// The values in the rows.
        ///
        /// # Safety
        ///
        /// The rows are there; and as in [`Member::value`].
        unsafe fn values(rows: Self::Rows, version: Version) -> Option<Self::Values>;

        /// The values of an object, whatever the columns are.
        ///
        /// # Safety
        ///
        /// As in [`Member::value`].
        unsafe fn find(self, index: u32, version: Version) -> Option<Self::Values>;
    }
}

impl<'a, K: Kind, T: Plain> sealed::Member<'a, K> for &'a Column<K, T> {
    type Value = T;
    type Row = PlainRow<T::Bytes>;

    #[inline]
    fn base(self) -> &'a Base<K, Self::Row> {
        &self.base
    }

    #[inline]
    unsafe fn value(row: &'a Self::Row, version: Version) -> Option<T> {
        row.read(version).map(T::from_bytes)
    }
}

impl<'a, K: Kind, T: Send + Sync + 'static> sealed::Member<'a, K> for &'a OnceColumn<K, T> {
    type Value = &'a T;
    type Row = ValueRow<T>;

    #[inline]
    fn base(self) -> &'a Base<K, Self::Row> {
        &self.base
    }

    #[inline]
    unsafe fn value(row: &'a Self::Row, version: Version) -> Option<&'a T> {
        // SAFETY: passed on to the caller.
        unsafe { row.get(version) }
    }
}

macro_rules! tuples {
    ($(($($M:ident $member:ident $number:literal),+))+) => {$(
        impl<'a, K: Kind, $($M: sealed::Member<'a, K>),+> sealed::Joined<'a, K> for ($($M,)+) {
            type Values = ($($M::Value,)+);
            type Rows = ($(*const $M::Row,)+);
            const NO_ROWS: Self::Rows = ($(std::ptr::null::<$M::Row>(),)+);

            fn check(self, pin: &Pin<'_>) -> &'a Home {
                let ($($member,)+) = self;
                // A domain has one arena of a kind.
                $(pin.check(&$member.base().domain);)+
                &self.0.base().home
            }

            fn driver(self) -> Option<(usize, u32)> {
                let ($($member,)+) = self;
                let rows = [$($member.base().rows.sparse().map(|rows| ($number, rows.len()))),+];
                rows.into_iter().flatten().min_by_key(|(_, rows)| *rows)
            }

            fn sitter(self, driver: usize, at: u32) -> Option<(u32, Version)> {
                let ($($member,)+) = self;
                match driver {
                    $($number => $member.base().rows.sparse()?.sitter(at),)+
                    _ => None,
                }
            }

            fn rows(self, index: u32) -> Option<Self::Rows> {
                let ($($member,)+) = self;
                Some(($(dense(&$member.base().rows, index)?,)+))
            }

            #[inline]
            fn next(rows: Self::Rows) -> Self::Rows {
                let ($($member,)+) = rows;
                ($($member.wrapping_add(1),)+)
            }

            #[inline]
            unsafe fn values(rows: Self::Rows, version: Version) -> Option<Self::Values> {
                let ($($member,)+) = rows;
                // SAFETY: passed on to the caller; rows live as long as their columns, which `'a` borrows.
                Some(($(unsafe { $M::value(&*$member, version) }?,)+))
            }

            unsafe fn find(self, index: u32, version: Version) -> Option<Self::Values> {
                let ($($member,)+) = self;
                // SAFETY: passed on to the caller.
                Some(($(unsafe { $M::value($member.base().rows.find(index)?, version) }?,)+))
            }
        }
    )+};
}

tuples! {
    (A a 0)
    (A a 0, B b 1)
    (A a 0, B b 1, C c 2)
}

fn dense<R: Row>(rows: &Table<R>, index: u32) -> Option<*const R> {
    match rows {
        Table::Dense(rows) => rows.run(index).map(<[R]>::as_ptr),
        Table::Sparse(_) => None,
    }
}

/// A walk over columns. See [`join`].
pub struct Join<'a, K, J: Joined<'a, K>> {
    columns: J,
    home: &'a Home,
    /// The number of the sparse column that the walk goes through.
    driver: Option<usize>,
    /// The slots that the walk is at, where it has no driver.
    stretch: Stretch<J::Rows>,
    /// The next row of the driver, or the slot where the next stretch begins.
    next: u32,
    /// Where the walk ends.
    end: u32,
    kind: PhantomData<fn() -> K>,
}

/// Slots side by side, with the rows of all columns.
///
/// # Invariants
///
/// `words` and `rows` are at the slot `index`; from there to `end` there are slots and rows.
#[derive(Clone, Copy)]
struct Stretch<R> {
    words: Run,
    rows: R,
    index: u32,
    end: u32,
}

impl<R: Copy> Stretch<R> {
    /// Goes past a slot. Its object, if that is alive and has all values.
    ///
    /// # Safety
    ///
    /// The stretch is not over, and its columns and the pin last as long as `'a`.
    #[inline]
    unsafe fn step<'a, K, J: Joined<'a, K, Rows = R>>(&mut self) -> Option<(Handle<K>, J::Values)> {
        let (words, rows, index) = (self.words, self.rows, self.index);
        // INVARIANT: all of them go on by one.
        (self.words, self.rows, self.index) = (words.next(), J::next(rows), index + 1);
        // SAFETY: by the invariants there is such a slot; the columns keep it.
        let version = unsafe { words.alive() }?;
        // SAFETY: by the invariants there are such rows; the object has just been seen alive, under the walk's pin.
        let values = unsafe { J::values(rows, version) }?;
        Some((Handle::new(index, version), values))
    }
}

/// What a walk yields.
type Met<'a, K, J> = (Handle<K>, <J as sealed::Joined<'a, K>>::Values);

// These take what they need of a walk one by one. So no call has the walk's address, and a loop can keep it in registers.
impl<'a, K: Kind, J: Joined<'a, K>> Join<'a, K, J> {
    /// The first stretch from slot `next` on, and where the one after it begins.
    #[inline(never)]
    fn stretch(columns: J, home: &Home, mut next: u32, last: u32) -> Option<(Stretch<J::Rows>, u32)> {
        while next < last {
            let (index, end) = (next, run_end(next).min(last));
            next = end;
            if let (Some(words), Some(rows)) = (home.run(index), columns.rows(index)) {
                // INVARIANT: the stretch ends with the chunks.
                return Some((Stretch { words, rows, index, end }, next));
            }
        }
        None
    }

    /// The first object from the driver's row `next` on, and the row after it.
    #[inline(never)]
    fn drive(columns: J, home: &Home, driver: usize, mut next: u32, last: u32) -> Option<(Met<'a, K, J>, u32)> {
        while next < last {
            let sitter = columns.sitter(driver, next);
            next += 1;
            let alive = |(index, version): &(u32, Version)| home.holds(*index, *version);
            let Some((index, version)) = sitter.filter(alive) else { continue };
            // SAFETY: the object has just been seen alive, under the walk's pin.
            if let Some(values) = unsafe { columns.find(index, version) } {
                return Some(((Handle::new(index, version), values), next));
            }
        }
        None
    }
}

impl<'a, K: Kind, J: Joined<'a, K>> Iterator for Join<'a, K, J> {
    type Item = (Handle<K>, J::Values);

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        loop {
            while self.stretch.index < self.stretch.end {
                // SAFETY: it is not over; the walk borrows columns and pin.
                if let Some(item) = unsafe { self.stretch.step::<K, J>() } {
                    return Some(item);
                }
            }
            if let Some(driver) = self.driver {
                let (item, next) = Self::drive(self.columns, self.home, driver, self.next, self.end)?;
                self.next = next;
                return Some(item);
            }
            (self.stretch, self.next) = Self::stretch(self.columns, self.home, self.next, self.end)?;
        }
    }

    #[inline]
    fn fold<A, F: FnMut(A, Self::Item) -> A>(self, init: A, mut f: F) -> A {
        let Self { columns, home, driver, mut stretch, mut next, end, .. } = self;
        let mut all = init;
        loop {
            while stretch.index < stretch.end {
                // SAFETY: it is not over; the walk borrows columns and pin.
                if let Some(item) = unsafe { stretch.step::<K, J>() } {
                    all = f(all, item);
                }
            }
            if let Some(driver) = driver {
                while let Some((item, after)) = Self::drive(columns, home, driver, next, end) {
                    next = after;
                    all = f(all, item);
                }
                return all;
            }
            let Some(found) = Self::stretch(columns, home, next, end) else { return all };
            (stretch, next) = found;
        }
    }
}

impl<'a, K, J: Joined<'a, K>> fmt::Debug for Join<'a, K, J> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Join").field("next", &self.next).field("end", &self.end).finish_non_exhaustive()
    }
}
