//! Fault points: places inside the operations where a test runs code of its own.
//!
//! Only with the feature `fault-points`; without it nothing of this is compiled, nor are the points.
//!
//! A test puts a [`Hook`] in at a [`Point`]. Every operation *of the same thread* that passes the point runs it, so
//! what elsewhere is a race of two threads becomes a row of steps of one: here the object leaves while the file's lock
//! is held and the object is not yet entered.
//!
//! ```
//! # #[cfg(feature = "fault-points")] {
//! use std::{cell::Cell, rc::Rc};
//! use enodev_attrs::fault::{self, Point};
//! use enodev_attrs::{Access, Attribute, Errno, Owner, Thing};
//! use enodev_handles::{Arena, Domain, Kind};
//!
//! enum Disk {}
//! impl Kind for Disk { const NAME: &'static str = "Disk"; }
//! struct Sectors(u64);
//! impl Owner for Sectors { type Ref<'a> = &'a Sectors; }
//!
//! let domain = Domain::new().unwrap();
//! let disks: Rc<Arena<Disk, (), Sectors>> = Rc::new(Arena::new(&domain).unwrap());
//! let disk = disks.insert((), Sectors(2048)).unwrap();
//! let size = Attribute::<Sectors>::ro("size", |sectors, page| page.int(sectors.0)).unwrap();
//! let file = size.open(Access::READ).unwrap();
//!
//! let leaving = Rc::clone(&disks);
//! let hook = fault::on(Point::AfterMutex, move || drop(leaving.remove(disk)));
//! let mut buf = [0; 8];
//! assert_eq!(file.read(&Thing::new(&disks, disk, &size), &mut buf), Err(Errno::ENODEV));
//! # drop(hook);
//! # }
//! ```

use std::cell::{Cell, RefCell};
use std::fmt;
use std::marker::PhantomData;

/// A place in an operation on an open file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Point {
    /// Before anything: an operation on an [`OpenFile`](crate::OpenFile) has been called.
    AtStart,
    /// The access is right, and the lock of the file comes next. A [`Sole`](crate::Sole) takes none and does not pass.
    BeforeMutex,
    /// The operation is alone on the file, and the target comes next.
    AfterMutex,
    /// The owner is entered, and a callback of the [`Attribute`](crate::Attribute) comes next. Also where no file is
    /// open.
    AfterActive,
}

type Code = Box<dyn FnMut()>;

struct Entry {
    number: u64,
    point: Point,
    /// None while it runs.
    code: Option<Code>,
}

thread_local! {
    static HOOKS: RefCell<Vec<Entry>> = const { RefCell::new(Vec::new()) };
    /// The number of the next hook.
    static NEXT: Cell<u64> = const { Cell::new(0) };
}

/// Runs `code` whenever an operation of this thread passes `point`, for as long as the [`Hook`] lives.
///
/// Of several hooks at one point the older run first. A hook may operate on files; it is not run while it runs, the
/// others are. What it panics with goes to the caller of the operation; after that it runs no more.
#[must_use = "the hook is taken out when this is dropped"]
pub fn on(point: Point, code: impl FnMut() + 'static) -> Hook {
    let number = NEXT.replace(NEXT.get() + 1);
    HOOKS.with_borrow_mut(|hooks| hooks.push(Entry { number, point, code: Some(Box::new(code)) }));
    Hook { number, thread: PhantomData }
}

/// Stands for code at a [`Point`], which its drop takes out. It stays on its thread.
pub struct Hook {
    number: u64,
    thread: PhantomData<*const ()>,
}

impl Drop for Hook {
    fn drop(&mut self) {
        // Where the thread is ending its hooks may be gone. What they own is dropped outside the borrow.
        let entry = HOOKS.try_with(|hooks| {
            let mut hooks = hooks.borrow_mut();
            hooks.iter().position(|entry| entry.number == self.number).map(|at| hooks.remove(at))
        });
        drop(entry);
    }
}

impl fmt::Debug for Hook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hook").field("number", &self.number).finish()
    }
}

/// Runs the hooks of a point.
pub(crate) fn pass(point: Point) {
    let mut after = None;
    while let Some((number, mut code)) = take_next(point, after) {
        code();
        after = Some(number);
        // Given back, or dropped if the hook has been taken out meanwhile.
        let taken_out = HOOKS.with_borrow_mut(|hooks| match hooks.iter_mut().find(|entry| entry.number == number) {
            Some(entry) => entry.code.replace(code),
            None => Some(code),
        });
        drop(taken_out);
    }
}

/// Takes the code of the oldest hook of a point that is younger than `after` and does not run.
fn take_next(point: Point, after: Option<u64>) -> Option<(u64, Code)> {
    HOOKS.with_borrow_mut(|hooks| {
        let mut there = hooks.iter_mut().filter(|entry| entry.point == point && Some(entry.number) > after);
        there.find_map(|entry| entry.code.take().map(|code| (entry.number, code)))
    })
}
