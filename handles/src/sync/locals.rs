//! Thread-locals of a model's threads, with what the checkers' own lack: the methods for cells, and values that outlive
//! other thread-locals' destructors where they have none themselves.
//!
//! A thread keeps its values in one table, which is the only thread-local that the checker knows of.

use std::any::Any;
use std::cell::{Cell, RefCell};
use std::fmt;
use std::mem::{forget, needs_drop, take};
use std::ptr;
use std::rc::Rc;

use super::checker;

/// As `std::thread::AccessError`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AccessError;

/// As `std::thread::LocalKey`.
///
/// # Panics
///
/// As there: all methods but `try_with`, once the value has been destroyed.
pub struct LocalKey<T: 'static> {
    init: fn() -> T,
}

struct Entry {
    key: usize,
    /// None once destroyed.
    value: Option<Rc<dyn Any>>,
    needs_drop: bool,
}

#[derive(Default)]
struct Table(RefCell<Vec<Entry>>);

checker::thread_local! {
    static TABLE: Table = Table::default();
}

impl Drop for Table {
    fn drop(&mut self) {
        // The checker comes here after `end`, or when the model has failed: then destructors would run outside the model.
        take(self.0.get_mut()).into_iter().filter(|entry| entry.needs_drop).for_each(forget);
    }
}

impl Table {
    fn value(&self, key: usize) -> Option<Result<Rc<dyn Any>, AccessError>> {
        let entries = self.0.borrow();
        let entry = entries.iter().find(|entry| entry.key == key)?;
        Some(entry.value.clone().ok_or(AccessError))
    }

    fn insert(&self, key: usize, value: Rc<dyn Any>, needs_drop: bool) {
        self.0.borrow_mut().push(Entry { key, value: Some(value), needs_drop });
    }

    /// Takes the youngest value whose destructor is to be run.
    fn take_youngest(&self) -> Option<Rc<dyn Any>> {
        let mut entries = self.0.borrow_mut();
        entries.iter_mut().rev().filter(|entry| entry.needs_drop).find_map(|entry| entry.value.take())
    }
}

/// Runs the destructors of the calling thread's values, the youngest first; values that come into being meanwhile too.
pub(super) fn end() {
    while let Ok(Some(value)) = TABLE.try_with(Table::take_youngest) {
        drop(value);
    }
}

impl<T: 'static> LocalKey<T> {
    /// What `thread_local!` calls.
    pub const fn new(init: fn() -> T) -> Self {
        Self { init }
    }

    /// As `std::thread::LocalKey::try_with`.
    ///
    /// # Errors
    ///
    /// The value has been destroyed, as its thread ends.
    pub fn try_with<R>(&'static self, run: impl FnOnce(&T) -> R) -> Result<R, AccessError> {
        let key = ptr::from_ref(self).addr();
        let found = TABLE.try_with(|table| table.value(key)).map_err(|_| AccessError)?;
        let value = match found {
            Some(value) => value?,
            None => self.create(key)?,
        };
        let value = value.downcast::<T>().map_err(|_| AccessError)?;
        Ok(run(&value))
    }

    fn create(&self, key: usize) -> Result<Rc<dyn Any>, AccessError> {
        let value: Rc<dyn Any> = Rc::new((self.init)());
        TABLE.try_with(|table| table.insert(key, Rc::clone(&value), needs_drop::<T>())).map_err(|_| AccessError)?;
        Ok(value)
    }

    /// As `std::thread::LocalKey::with`.
    #[track_caller]
    pub fn with<R>(&'static self, run: impl FnOnce(&T) -> R) -> R {
        match self.try_with(run) {
            Ok(value) => value,
            Err(AccessError) => unreachable!("a thread-local that has been destroyed"),
        }
    }
}

impl<T: 'static> LocalKey<Cell<T>> {
    /// As `std::thread::LocalKey::get`.
    #[track_caller]
    pub fn get(&'static self) -> T
    where
        T: Copy,
    {
        self.with(Cell::get)
    }

    /// As `std::thread::LocalKey::set`.
    #[track_caller]
    pub fn set(&'static self, value: T) {
        self.with(|cell| cell.set(value));
    }

    /// As `std::thread::LocalKey::take`.
    #[track_caller]
    pub fn take(&'static self) -> T
    where
        T: Default,
    {
        self.with(Cell::take)
    }
}

impl<T: 'static> LocalKey<RefCell<T>> {
    /// As `std::thread::LocalKey::with_borrow`.
    #[track_caller]
    pub fn with_borrow<R>(&'static self, run: impl FnOnce(&T) -> R) -> R {
        self.with(|cell| run(&cell.borrow()))
    }

    /// As `std::thread::LocalKey::with_borrow_mut`.
    #[track_caller]
    pub fn with_borrow_mut<R>(&'static self, run: impl FnOnce(&mut T) -> R) -> R {
        self.with(|cell| run(&mut cell.borrow_mut()))
    }
}

impl<T: 'static> fmt::Debug for LocalKey<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LocalKey").finish_non_exhaustive()
    }
}

/// As `std::thread_local!`. What stands in a `const` block must be constant in a plain build only.
macro_rules! local {
    ($($(#[$meta:meta])* $visible:vis static $name:ident: $type:ty = $value:expr;)*) => {
        $($(#[$meta])* $visible static $name: $crate::sync::LocalKey<$type> = $crate::sync::LocalKey::new(|| $value);)*
    };
}

pub(crate) use local as thread_local;
