//! Operations on files that are stopped on their way to the callback, while the attribute is taken away under them.

use std::io::SeekFrom;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::thread;

use enodev::fault::{self, Hook, Point};
use enodev::{Access, DeviceHandle, DeviceType, Errno, File, Removal, Result, Store};

use crate::common::{Gate, linger, until};

/// Counts the calls of its attribute.
type Counter = Arc<AtomicUsize>;

/// A store with one object.
struct Setup {
    store: Store,
    object: DeviceHandle,
    calls: Counter,
    gate: Arc<Gate>,
}

macro_rules! counted {
    ($shared:ident) => {
        DeviceType::$shared::<Counter>("counted").rw(
            "value",
            |counter, page| {
                counter.fetch_add(1, SeqCst);
                page.line("value")
            },
            |counter, _| {
                counter.fetch_add(1, SeqCst);
                Ok(())
            },
        )
    };
}

impl Setup {
    fn new(is_exclusive: bool) -> Self {
        let (store, calls) = (Store::new().unwrap(), Counter::default());
        let object = if is_exclusive {
            let ty = store.define(counted!(exclusive)).unwrap();
            store.register(store.root(), "object", ty, Arc::clone(&calls))
        } else {
            let ty = store.define(counted!(shared)).unwrap();
            store.register(store.root(), "object", ty, Arc::clone(&calls))
        };
        Self { object: object.unwrap(), store, calls, gate: Arc::default() }
    }

    fn open(&self) -> File {
        self.store.open(self.object, "value", Access::READ | Access::WRITE).unwrap()
    }

    /// Stops the calling thread's operations at a point while the gate is shut.
    fn stop_at(&self, point: Point) -> Hook {
        let gate = Arc::clone(&self.gate);
        fault::on(point, move || gate.pass())
    }
}

type Operation = fn(&mut File, &Store) -> Result<(), Errno>;

/// Those that come to a callback; the last two without a lock of the file's.
const OPERATIONS: [Operation; 6] = [
    |file, store| file.write(store, b"1").map(drop),
    |file, store| file.pwrite(store, 7, b"1").map(drop),
    |file, store| file.read(store, &mut [0; 8]).map(drop),
    |file, store| file.pread(store, 0, &mut [0; 8]).map(drop),
    |file, store| file.sole().write(store, b"1").map(drop),
    |file, store| file.sole().read(store, &mut [0; 8]).map(drop),
];

type Removes = fn(&Setup) -> Result<Removal>;

/// The ways to take the attribute away. Each returns when that is done.
const REMOVALS: [Removes; 3] = [
    |setup| setup.store.unregister::<Counter>(setup.object).map(|_| Removal::Done(1)),
    |setup| setup.store.unregister_subtree(setup.object),
    |setup| setup.store.hide_attribute(setup.object, setup.store.attribute(setup.object, "value")?),
];

/// Each operation, with each sort of payload and each way of removal.
fn for_each_case(run: impl Fn(&Setup, Operation, Removes)) {
    for is_exclusive in [false, true] {
        for operation in OPERATIONS {
            REMOVALS.iter().for_each(|removes| run(&Setup::new(is_exclusive), operation, *removes));
        }
    }
}

fn assert_fails_without_a_call(point: Point, operations: &[Operation]) {
    for is_exclusive in [false, true] {
        for (operation, removes) in operations.iter().flat_map(|operation| REMOVALS.map(|removes| (operation, removes)))
        {
            let setup = Setup::new(is_exclusive);
            let mut file = setup.open();
            thread::scope(|scope| {
                let shut = setup.gate.shut();
                let stopped = scope.spawn(|| {
                    let _hook = setup.stop_at(point);
                    operation(&mut file, &setup.store)
                });
                setup.gate.wait_for(1);
                // Returns although the operation is under way.
                assert_eq!(removes(&setup), Ok(Removal::Done(1)));
                drop(shut);
                assert_eq!(stopped.join().unwrap(), Err(Errno::ENODEV), "{point:?}");
            });
            assert_eq!(setup.calls.load(SeqCst), 0);
        }
    }
}

/// T29: an operation is stopped as it begins, and the attribute goes meanwhile, with its object or alone. The removal does not wait; the
/// operation fails, and the callback is never called.
#[test]
fn an_operation_stopped_at_its_start_fails_when_the_attribute_has_gone() {
    assert_fails_without_a_call(Point::AtStart, &OPERATIONS);
}

/// T30: so it is where the operation is stopped before it takes the lock of the file.
#[test]
fn an_operation_stopped_before_the_lock_of_its_file_fails_when_the_attribute_has_gone() {
    assert_fails_without_a_call(Point::BeforeMutex, &OPERATIONS[..4]);
}

/// T31, E-3: and where it has the lock of the file, for which another operation may be waiting: that one fails too.
#[test]
fn an_operation_stopped_with_the_lock_of_its_file_fails_when_the_attribute_has_gone() {
    assert_fails_without_a_call(Point::AfterMutex, &OPERATIONS);
    let setup = Setup::new(false);
    let file = setup.open();
    thread::scope(|scope| {
        let shut = setup.gate.shut();
        let stopped = scope.spawn(|| {
            let _hook = setup.stop_at(Point::AfterMutex);
            file.write(&setup.store, b"1")
        });
        setup.gate.wait_for(1);
        let waiting = scope.spawn(|| file.write(&setup.store, b"2"));
        linger();
        assert!(!waiting.is_finished());
        assert_eq!(setup.store.unregister_subtree(setup.object), Ok(Removal::Done(1)));
        drop(shut);
        assert_eq!([stopped, waiting].map(|thread| thread.join().unwrap()), [Err(Errno::ENODEV); 2]);
    });
    assert_eq!(setup.calls.load(SeqCst), 0);
}

/// T32, S2-6: an operation is stopped when it has entered the object. It succeeds, and the removal waits for it, while others are refused.
#[test]
fn an_operation_stopped_inside_succeeds_and_the_removal_waits() {
    for_each_case(|setup, operation, removes| {
        let (mut file, mut other) = (setup.open(), setup.open());
        thread::scope(|scope| {
            let shut = setup.gate.shut();
            let stopped = scope.spawn(|| {
                let _hook = setup.stop_at(Point::AfterActive);
                operation(&mut file, &setup.store)
            });
            setup.gate.wait_for(1);
            let remover = scope.spawn(|| removes(setup));
            until(|| setup.store.attribute(setup.object, "value").is_err());
            assert_eq!(operation(&mut other, &setup.store), Err(Errno::ENODEV));
            assert_eq!(other.seek(&setup.store, SeekFrom::Start(0)), Err(Errno::ENODEV));
            linger();
            assert!(!remover.is_finished() && setup.calls.load(SeqCst) == 0);
            drop(shut);
            assert_eq!(stopped.join().unwrap(), Ok(()));
            assert_eq!(remover.join().unwrap(), Ok(Removal::Done(1)));
        });
        assert_eq!(setup.calls.load(SeqCst), 1);
    });
}
