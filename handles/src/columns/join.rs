//! Walks over several columns at once.

#![expect(unsafe_code, reason = "rows are met chunk by chunk, without a look-up for each")]
#![expect(
    private_interfaces,
    private_bounds,
    reason = "the public traits rest on sealed ones, which nobody outside can name"
)]

use std::fmt;

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
/// If the pin is of another domain than the columns, or the columns are of different arenas.
pub fn join<'a, K: Kind, J: Joined<'a, K>>(pin: &'a Pin<'_>, columns: J) -> Join<'a, K, J> {
    let home = columns.check(pin);
    let driver = columns.driver();
    let (stretch, end) = match driver {
        None => (None, home.fresh()),
        Some((_, rows)) => (None, rows),
    };
    Join { columns, home, driver: driver.map(|(which, _)| which), stretch, next: 0, end }
}

/// A column that [`join`] can go over: a reference to a [`Column`], whose values are yielded by copy, or to a [`OnceColumn`],
/// whose values are yielded by reference. Cannot be implemented outside this crate.
pub trait Member<'a, K>: sealed::Member<'a, K> {}

impl<'a, K, M: sealed::Member<'a, K>> Member<'a, K> for M {}

/// What [`join`] can go over: tuples of one, two or three columns. Cannot be implemented outside this crate.
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
        /// Where the rows of a stretch of slots begin, for each column.
        type Rows: Copy;

        /// # Panics
        ///
        /// If the pin is of another domain, or the columns are of different arenas.
        fn check(self, pin: &Pin<'_>) -> &'a Home;

        /// The sparse column with the fewest rows, by number, and how many there are.
        fn driver(self) -> Option<(usize, u32)>;

        /// The slot that has a row of the driver.
        fn sitter(self, driver: usize, at: u32) -> Option<(u32, Version)>;

        /// The rows from a slot to the end of its chunk, where all columns are dense and have them.
        fn rows(self, index: u32) -> Option<Self::Rows>;

        /// The values in the rows at this place of the stretch.
        ///
        /// # Safety
        ///
        /// The stretch has such a place; and as in [`Member::value`].
        unsafe fn at(rows: Self::Rows, at: usize, version: Version) -> Option<Self::Values>;

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

            fn check(self, pin: &Pin<'_>) -> &'a Home {
                let home = &self.0.base().home;
                let ($($member,)+) = self;
                $(
                    pin.check(&$member.base().domain);
                    assert!($member.base().home.is_same(home), "columns of different arenas");
                )+
                home
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
            unsafe fn at(rows: Self::Rows, at: usize, version: Version) -> Option<Self::Values> {
                let ($($member,)+) = rows;
                // SAFETY: passed on to the caller; rows live as long as their columns, which `'a` borrows.
                Some(($(unsafe { $M::value(&*$member.add(at), version) }?,)+))
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
    stretch: Option<Stretch<J::Rows>>,
    /// The next row of the driver, or the slot where the next stretch begins.
    next: u32,
    /// Where the walk ends.
    end: u32,
}

/// Slots side by side, with the rows of all columns.
///
/// # Invariants
///
/// From `at` to `len` there are slots and rows.
#[derive(Clone, Copy)]
struct Stretch<R> {
    words: Run,
    rows: R,
    /// The slot at place 0.
    index: u32,
    at: usize,
    len: usize,
}

impl<R: Copy> Stretch<R> {
    /// The next object that has all values.
    #[inline]
    fn next<'a, K, J: Joined<'a, K, Rows = R>>(&mut self) -> Option<(Handle<K>, J::Values)> {
        while self.at < self.len {
            let at = self.at;
            self.at += 1;
            // SAFETY: by the invariants there is such a slot; the walk keeps its home.
            let Some(version) = (unsafe { self.words.alive(at) }) else { continue };
            // SAFETY: by the invariants there are such rows; the object has just been seen alive, under the walk's pin.
            if let Some(values) = unsafe { J::at(self.rows, at, version) } {
                return Some((Handle::new(self.index + at as u32, version), values));
            }
        }
        None
    }
}

impl<'a, K: Kind, J: Joined<'a, K>> Join<'a, K, J> {
    /// The first stretch from slot `next` on, and where the one after it begins.
    #[inline(never)]
    fn stretch(columns: J, home: &Home, mut next: u32, end: u32) -> Option<(Stretch<J::Rows>, u32)> {
        while next < end {
            let (index, run_end) = (next, run_end(next).min(end));
            next = run_end;
            if let (Some(words), Some(rows)) = (home.run(index), columns.rows(index)) {
                // INVARIANT: the stretch ends with the chunks.
                let len = (run_end - index) as usize;
                return Some((Stretch { words, rows, index, at: 0, len }, next));
            }
        }
        None
    }

    #[inline(never)]
    fn drive(&mut self, driver: usize) -> Option<(Handle<K>, J::Values)> {
        while self.next < self.end {
            let at = self.next;
            self.next += 1;
            let Some((index, version)) = self.columns.sitter(driver, at) else { continue };
            if !self.home.holds(index, version) {
                continue;
            }
            // SAFETY: the object has just been seen alive, under the walk's pin.
            if let Some(values) = unsafe { self.columns.find(index, version) } {
                return Some((Handle::new(index, version), values));
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
            if let Some(stretch) = &mut self.stretch {
                if let Some(item) = stretch.next::<K, J>() {
                    return Some(item);
                }
                self.stretch = None;
            }
            if let Some(driver) = self.driver {
                return self.drive(driver);
            }
            let (stretch, next) = Self::stretch(self.columns, self.home, self.next, self.end)?;
            self.stretch = Some(stretch);
            self.next = next;
        }
    }

    #[inline]
    fn fold<A, F: FnMut(A, Self::Item) -> A>(mut self, init: A, mut f: F) -> A {
        let mut all = init;
        loop {
            if let Some(mut stretch) = self.stretch.take() {
                while let Some(item) = stretch.next::<K, J>() {
                    all = f(all, item);
                }
            }
            if let Some(driver) = self.driver {
                while let Some(item) = self.drive(driver) {
                    all = f(all, item);
                }
                return all;
            }
            let Some((stretch, next)) = Self::stretch(self.columns, self.home, self.next, self.end) else { return all };
            self.stretch = Some(stretch);
            self.next = next;
        }
    }
}

impl<'a, K, J: Joined<'a, K>> fmt::Debug for Join<'a, K, J> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Join").field("next", &self.next).field("end", &self.end).finish_non_exhaustive()
    }
}
