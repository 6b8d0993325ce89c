//! Fault points: where operations pass them, and what happens when something happens there.

use std::cell::{Cell, RefCell};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::thread;

use enodev_attrs::fault::{self, Hook, Point};
use enodev_attrs::{Access, Attribute, Errno, OpenFile, Owner, Page, Result, Seen, Target, Thing};
use enodev_handles::{Arena, Domain, Handle, Kind, RemoveError};

enum Disks {}

impl Kind for Disks {
    const NAME: &'static str = "Disk";
}

struct Disk;

impl Owner for Disk {
    type Ref<'a> = &'a Disk;
}

/// One disk in an arena, an attribute of it and an open file.
struct Setup {
    disks: Arena<Disks, (), Disk>,
    disk: Handle<Disks>,
    text: Attribute<Disk>,
    file: OpenFile,
}

impl Setup {
    fn new() -> std::result::Result<Rc<Setup>, Box<dyn std::error::Error>> {
        let disks = Arena::new(&Domain::new()?)?;
        let disk = disks.insert((), Disk)?;
        let text = Attribute::rw("text", |_: &Disk, page| page.put("on"), |_, _| Ok(()))?;
        let file = text.open(Access::READ | Access::WRITE)?;
        Ok(Rc::new(Setup { disks, disk, text, file }))
    }

    fn thing(&self) -> Thing<'_, Disks, (), Disk, Disk> {
        Thing::new(&self.disks, self.disk, &self.text)
    }

    fn read(&self) -> Result<usize> {
        self.file.pread(&self.thing(), 0, &mut [0; 8])
    }

    /// Each operation, one after the other.
    fn all(&self) -> [Result<usize>; 4] {
        let (file, thing) = (&self.file, self.thing());
        [
            file.read(&thing, &mut [0; 8]),
            file.pread(&thing, 0, &mut [0; 8]),
            file.write(&thing, b"x"),
            file.pwrite(&thing, 0, b"x"),
        ]
    }
}

const POINTS: [Point; 4] = [Point::AtStart, Point::BeforeMutex, Point::AfterMutex, Point::AfterActive];

/// Notes down which points are passed.
fn record() -> (Rc<RefCell<Vec<Point>>>, [Hook; 4]) {
    let passed = Rc::new(RefCell::new(Vec::new()));
    let hooks = POINTS.map(|point| {
        let passed = Rc::clone(&passed);
        fault::on(point, move || passed.borrow_mut().push(point))
    });
    (passed, hooks)
}

/// E-3: start, the lock of the file, the object, the callback, in this order in each operation.
#[test]
fn every_operation_passes_the_points_in_order() {
    let setup = Setup::new().unwrap();
    let (passed, hooks) = record();
    assert_eq!(setup.file.read(&setup.thing(), &mut [0; 8]), Ok(2));
    assert_eq!(passed.take(), POINTS);
    for result in setup.all() {
        // The first finds the end of the text, and so no callback.
        assert!(result.is_ok());
    }
    let whole: Vec<Point> = [&POINTS[..3], &POINTS, &POINTS, &POINTS].concat();
    assert_eq!(passed.take(), whole);
    let mut own = setup.text.open(Access::READ).unwrap();
    assert_eq!(own.sole().read(&setup.thing(), &mut [0; 8]), Ok(2));
    assert_eq!(passed.take(), [Point::AtStart, Point::AfterMutex, Point::AfterActive]);
    drop(hooks);
    assert!(setup.read().is_ok());
    assert_eq!(passed.take(), []);
}

#[test]
fn an_operation_that_fails_passes_the_points_before_that() {
    let setup = Setup::new().unwrap();
    let (passed, _hooks) = record();
    let reader = setup.text.open(Access::READ).unwrap();
    assert_eq!(reader.write(&setup.thing(), b"x"), Err(Errno::EBADF));
    assert_eq!(passed.take(), POINTS[..1]);
    setup.disks.remove(setup.disk).unwrap();
    assert_eq!(setup.all(), [Err(Errno::ENODEV); 4]);
    assert_eq!(passed.take(), [&POINTS[..3]; 4].concat());
}

/// E-3, F3: an operation that has the lock of the file has no reference: the object can leave, and is found gone.
/// Once the callback comes next the object is entered, and stays.
#[test]
fn the_object_may_leave_until_it_is_entered() {
    for point in POINTS {
        for operation in 0..4 {
            let setup = Setup::new().unwrap();
            let (removed, leaving) = (Rc::new(RefCell::new(None)), Rc::clone(&setup));
            let outcome = Rc::clone(&removed);
            let hook = fault::on(point, move || {
                let removal = leaving.disks.remove(leaving.disk).map(drop);
                outcome.borrow_mut().get_or_insert(removal);
            });
            let result = setup.all()[operation];
            drop(hook);
            let removed = removed.take().unwrap();
            if point == Point::AfterActive {
                assert_eq!((removed, result.is_ok()), (Err(RemoveError::Inside), true));
                assert_eq!(setup.read(), Ok(2));
            } else {
                assert_eq!((removed, result), (Ok(()), Err(Errno::ENODEV)));
            }
        }
    }
}

/// F18: from the lock of the file on, the file is this operation's alone; before, it is anybody's.
#[test]
fn the_file_is_locked_between_the_points() {
    for (point, inside) in POINTS.into_iter().zip([Ok(2), Ok(2), Err(Errno::EDEADLK), Err(Errno::EDEADLK)]) {
        let setup = Setup::new().unwrap();
        let (again, seen) = (Rc::clone(&setup), Rc::new(Cell::new(None)));
        let told = Rc::clone(&seen);
        let hook = fault::on(point, move || told.set(Some(again.read())));
        assert_eq!(setup.read(), Ok(2));
        drop(hook);
        assert_eq!(seen.get(), Some(inside), "{point:?}");
    }
}

/// A target that is there, whose changes are counted.
struct Counted {
    text: Attribute<Disk>,
    changes: Rc<Cell<u64>>,
}

impl Target for Counted {
    fn alive(&self) -> Result {
        Ok(())
    }

    fn show(&self, page: &mut Page, seen: &Seen) -> Result {
        seen.latch(self.changes.get());
        self.text.show(&Disk, page)
    }

    fn store(&self, _: &[u8]) -> Result {
        Err(Errno::EIO)
    }

    fn read_at(&self, _: u64, _: &mut [u8], _: &Seen) -> Result<usize> {
        Err(Errno::EIO)
    }

    fn write_at(&self, _: u64, _: &[u8]) -> Result<usize> {
        Err(Errno::EIO)
    }

    fn is_binary(&self) -> bool {
        false
    }

    fn size(&self) -> u64 {
        0
    }
}

/// E-11: a change between the latch and the callback is one wake too many; one before the latch is seen.
#[test]
fn a_change_just_before_the_callback_is_found_once_too_often() {
    for (point, seen) in POINTS.into_iter().zip([Some(8), Some(8), Some(8), Some(7)]) {
        let text = Attribute::ro("text", |_: &Disk, page| page.put("on")).unwrap();
        let changes = Rc::new(Cell::new(7));
        let target = Counted { text, changes: Rc::clone(&changes) };
        let file = target.text.open(Access::READ).unwrap();
        let hook = fault::on(point, move || changes.set(8));
        assert_eq!(file.read(&target, &mut [0; 8]), Ok(2));
        assert_eq!(file.seen(), seen, "{point:?}");
        drop(hook);
    }
}

#[test]
fn a_hook_may_take_itself_or_another_out_and_put_one_in() {
    let setup = Setup::new().unwrap();
    let (passed, slots) = (Rc::new(RefCell::new(String::new())), Rc::new(RefCell::new([const { None::<Hook> }; 3])));
    let hook = |name: char, takes_out: usize| {
        let (passed, slots) = (Rc::clone(&passed), Rc::clone(&slots));
        fault::on(Point::AtStart, move || {
            passed.borrow_mut().push(name);
            let out = slots.borrow_mut()[takes_out].take();
            drop(out);
        })
    };
    *slots.borrow_mut() = [Some(hook('a', 0)), Some(hook('b', 2)), Some(hook('c', 2))];
    assert_eq!((setup.read(), passed.take()), (Ok(2), "ab".into()));
    assert_eq!((setup.read(), passed.take()), (Ok(2), "b".into()));

    let (inner, later) = (Rc::clone(&passed), Rc::clone(&slots));
    let _outer = fault::on(Point::AtStart, move || {
        let passed = Rc::clone(&inner);
        let new = fault::on(Point::AfterMutex, move || passed.borrow_mut().push('n'));
        let old = later.borrow_mut()[0].replace(new);
        drop(old);
    });
    assert_eq!((setup.read(), passed.take()), (Ok(2), "bn".into()));
    slots.take();
}

#[test]
fn a_hook_is_its_threads_own() {
    let setup = Setup::new().unwrap();
    let passed = Rc::new(Cell::new(0));
    let counter = Rc::clone(&passed);
    let hook = fault::on(Point::AtStart, move || counter.set(counter.get() + 1));
    let (disks, text, disk) = (&setup.disks, &setup.text, setup.disk);
    thread::scope(|scope| {
        let other = scope.spawn(move || {
            let thing = Thing::new(disks, disk, text);
            thing.open(Access::READ).and_then(|file| file.read(&thing, &mut [0; 8]))
        });
        assert_eq!(other.join().unwrap(), Ok(2));
    });
    assert_eq!(passed.get(), 0);
    assert_eq!((setup.read(), passed.get()), (Ok(2), 1));
    drop(hook);
    assert_eq!(Rc::strong_count(&passed), 1);
}

#[test]
fn a_panic_of_a_hook_goes_to_the_test_and_leaves_the_file_usable() {
    for point in POINTS {
        let setup = Setup::new().unwrap();
        let hook = fault::on(point, || panic!("planned"));
        assert!(catch_unwind(AssertUnwindSafe(|| setup.read())).is_err(), "{point:?}");
        assert_eq!((setup.read(), setup.text.panics()), (Ok(2), 0));
        drop(hook);
    }
}

#[test]
fn an_attribute_without_a_file_passes_the_last_point() {
    let setup = Setup::new().unwrap();
    let (passed, _hooks) = record();
    setup.text.show(&Disk, &mut Page::new()).unwrap();
    setup.text.store(&Disk, b"x").unwrap();
    assert_eq!(passed.take(), [Point::AfterActive; 2]);
    setup.text.store(&Disk, b"").unwrap();
    assert_eq!(passed.take(), []);
}
