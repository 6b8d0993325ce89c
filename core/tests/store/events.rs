//! Changes that are made known: who is told of which, when, and how often.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::SeqCst};
use std::sync::mpsc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

use enodev::{
    Access, AsKobject, AttrHandle, DeviceHandle, DeviceType, Errno, Event, File, KobjectHandle, Shared, Store, Type,
};
use parking_lot::Mutex;

use crate::common::{GONE, Gate, Rig};

type Hook = Box<dyn FnMut(&Store, KobjectHandle) + Send>;

/// A payload with two numbers, and code that a callback runs.
#[derive(Default)]
pub(crate) struct Meter {
    pub(crate) level: AtomicU64,
    pub(crate) hook: Mutex<Option<Hook>>,
    pub(crate) gate: Gate,
}

impl std::fmt::Debug for Meter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Meter").field(&self.level).finish()
    }
}

impl Meter {
    /// Takes the hook out while it runs, so that it may run others.
    fn run_hook(&self, store: &Store, object: KobjectHandle) {
        let hook = self.hook.lock().take();
        if let Some(mut hook) = hook {
            hook(store, object);
        }
    }
}

/// A store with meters. `level` and `other` show the number, `hooked` runs the hook before it does, `slow` stops at the gate, and `fails`
/// fails.
pub(crate) struct Meters {
    pub(crate) store: Store,
    pub(crate) ty: Type<Shared<Arc<Meter>>>,
}

impl Meters {
    pub(crate) fn new() -> Self {
        let store = Store::new().unwrap();
        let ty = DeviceType::shared::<Arc<Meter>>("meter")
            .ro("level", |meter, page| page.int(meter.level.load(SeqCst)))
            .ro("other", |meter, page| page.int(meter.level.load(SeqCst)))
            .ro("hooked", |meter, page| {
                meter.run_hook(meter.store(), meter.object());
                page.int(meter.level.load(SeqCst))
            })
            .ro("slow", |meter, page| {
                meter.gate.pass();
                page.int(meter.level.load(SeqCst))
            })
            .ro("fails", |_, _| Err(Errno::EIO))
            .wo("press", |meter, _| {
                meter.run_hook(meter.store(), meter.object());
                Ok(())
            });
        let ty = store.define(ty).unwrap();
        Self { store, ty }
    }

    pub(crate) fn add(&self, name: &str) -> (DeviceHandle, Arc<Meter>) {
        let meter = Arc::new(Meter::default());
        (self.store.register(self.store.root(), name, self.ty, Arc::clone(&meter)).unwrap(), meter)
    }

    pub(crate) fn attr(&self, object: impl AsKobject, name: &str) -> AttrHandle {
        self.store.attribute(object, name).unwrap()
    }

    pub(crate) fn open(&self, object: impl AsKobject, name: &str) -> File {
        self.store.open(object, name, Access::READ).unwrap()
    }

    /// A file that has read what there is.
    pub(crate) fn open_read(&self, object: impl AsKobject, name: &str) -> File {
        let file = self.open(object, name);
        self.see(&file);
        file
    }

    /// Reads what there is.
    pub(crate) fn see(&self, file: &File) -> u64 {
        let mut buf = [0; 32];
        let count = file.pread(&self.store, 0, &mut buf).unwrap();
        std::str::from_utf8(&buf[..count]).unwrap().trim().parse().unwrap()
    }

    pub(crate) fn notify(&self, file: &File) {
        self.store.notify(file.object(), file.attribute()).unwrap();
    }

    pub(crate) fn poll(&self, file: &File) -> Option<Event> {
        file.poll(&self.store)
    }
}

/// A waker that counts its calls.
#[derive(Debug, Default)]
pub(crate) struct Calls(AtomicUsize);

impl Calls {
    pub(crate) fn count(&self) -> usize {
        self.0.load(SeqCst)
    }
}

impl Wake for Calls {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, SeqCst);
    }
}

/// Polls once.
pub(crate) fn poll_with<W: Wake + Send + Sync + 'static, R>(
    future: std::pin::Pin<&mut impl Future<Output = R>>,
    waker: &Arc<W>,
) -> Poll<R> {
    let waker = Waker::from(Arc::clone(waker));
    future.poll(&mut Context::from_waker(&waker))
}

/// An executor of one future.
pub(crate) fn block_on<R>(future: impl Future<Output = R>) -> R {
    struct Unpark(Thread);
    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    let waker = Arc::new(Unpark(thread::current()));
    let mut future = pin!(future);
    loop {
        match poll_with(future.as_mut(), &waker) {
            Poll::Ready(answer) => return answer,
            Poll::Pending => thread::park(),
        }
    }
}

/// E-10: a file that has read nothing has something to read, whether anything was made known or not, and however it asks.
#[test]
fn before_its_first_read_a_file_has_something_to_read() {
    let meters = Meters::new();
    let (device, _) = meters.add("meter");
    let file = meters.open(device, "level");
    for _ in 0..2 {
        assert_eq!(meters.poll(&file), Some(Event::Changed));
        assert_eq!(file.wait(&meters.store, None), Some(Event::Changed));
        assert_eq!(file.wait(&meters.store, Some(Instant::now())), Some(Event::Changed));
        assert_eq!(block_on(file.changed(&meters.store)), Event::Changed);
    }
    meters.see(&file);
    assert_eq!(meters.poll(&file), None);
    assert_eq!(file.wait(&meters.store, Some(Instant::now())), None);
    // A read that fails has begun, too.
    let failing = meters.open(device, "fails");
    assert_eq!(meters.poll(&failing), Some(Event::Changed));
    assert_eq!(failing.pread(&meters.store, 0, &mut [0; 8]), Err(Errno::EIO));
    assert_eq!(meters.poll(&failing), None);
    meters.notify(&failing);
    assert_eq!(meters.poll(&failing), Some(Event::Changed));
    // One that cannot read never has.
    let writer = meters.store.open(device, "press", Access::WRITE).unwrap();
    assert_eq!(meters.poll(&writer), Some(Event::Changed));
}

/// What is there stays until the attribute is shown anew to this file: neither asking takes it away, nor reading on in what has been
/// shown before, nor a read that fails before it comes to the callback.
#[test]
fn only_a_read_from_the_beginning_takes_an_event_away() {
    let meters = Meters::new();
    let (device, meter) = meters.add("meter");
    meter.level.store(123, SeqCst);
    let file = meters.open(device, "level");
    let mut buf = [0; 2];
    assert_eq!(file.read(&meters.store, &mut buf), Ok(2));
    meters.notify(&file);
    for _ in 0..2 {
        assert_eq!(meters.poll(&file), Some(Event::Changed));
        assert_eq!(file.wait(&meters.store, None), Some(Event::Changed));
    }
    assert_eq!((file.read(&meters.store, &mut buf), &buf), (Ok(2), b"3\n"));
    assert_eq!(meters.poll(&file), Some(Event::Changed));
    assert_eq!(file.pread(&meters.store, u64::MAX, &mut buf), Err(Errno::EINVAL));
    assert_eq!(meters.poll(&file), Some(Event::Changed));
    meters.see(&file);
    assert_eq!(meters.poll(&file), None);
}

/// A read of an exclusive payload that is refused, because the caller is inside, has not looked: a change that was made known before
/// is still there. And who asks waits for nobody who is inside.
#[test]
fn a_read_that_does_not_come_to_the_payload_sees_nothing() {
    let store = Store::new().unwrap();
    let ty = store.define(DeviceType::exclusive::<u64>("counter").ro("count", |count, page| page.int(*count))).unwrap();
    let counter = store.register(store.root(), "counter", ty, 1).unwrap();
    let file = store.open(counter, "count", Access::READ).unwrap();
    let mut buf = [0; 8];
    assert_eq!(file.pread(&store, 0, &mut buf), Ok(2));
    let mut inside = store.enter_mut::<u64>(counter).unwrap();
    *inside += 1;
    store.notify(counter, file.attribute()).unwrap();
    assert_eq!(file.pread(&store, 0, &mut buf), Err(Errno::EDEADLK));
    thread::scope(|scope| {
        let asked = scope.spawn(|| (file.poll(&store), file.wait(&store, None)));
        assert_eq!(asked.join().unwrap(), (Some(Event::Changed), Some(Event::Changed)));
    });
    drop(inside);
    assert_eq!(file.pread(&store, 0, &mut buf), Ok(2));
    assert_eq!((file.poll(&store), &buf[..2]), (None, &b"2\n"[..]));
}

/// E-11: the count is latched before `show` runs. What is made known meanwhile is told afterwards, be it that the callback has seen it
/// already, once too often, or that it has not.
#[test]
fn a_change_during_a_read_is_told_after_it() {
    let meters = Meters::new();
    let (device, meter) = meters.add("meter");
    let file = meters.open_read(device, "hooked");
    let attr = file.attribute();
    let weak = Arc::downgrade(&meter);
    *meter.hook.lock() = Some(Box::new(move |store, object| {
        weak.upgrade().unwrap().level.store(5, SeqCst);
        store.notify(object, attr).unwrap();
    }));
    // The callback has seen it.
    assert_eq!(meters.see(&file), 5);
    assert_eq!(meters.poll(&file), Some(Event::Changed));
    assert_eq!(meters.see(&file), 5);
    assert_eq!(meters.poll(&file), None);

    // The callback has looked before, and now stands at the gate.
    let file = meters.open_read(device, "slow");
    thread::scope(|scope| {
        let shut = meter.gate.shut();
        let reader = scope.spawn(|| meters.see(&file));
        meter.gate.wait_for(1);
        // Nobody waits for the reader: neither who asks through the very file that is being read, nor who tells.
        assert_eq!(meters.poll(&file), None);
        meters.notify(&file);
        assert_eq!(file.wait(&meters.store, None), Some(Event::Changed));
        drop(shut);
        reader.join().unwrap();
    });
    assert_eq!(meters.poll(&file), Some(Event::Changed));
    meters.see(&file);
    assert_eq!(meters.poll(&file), None);
}

/// Each file has seen what it has seen itself. A change is told of that attribute of that object, to files that were opened before it
/// and have read, and to those that were opened after it.
#[test]
fn an_event_is_of_one_attribute_and_seen_by_each_file_for_itself() {
    let meters = Meters::new();
    let ((a, _), (b, _)) = (meters.add("a"), meters.add("b"));
    let (level, again) = (meters.open_read(a, "level"), meters.open_read(a, "level"));
    let (other, same_of_b) = (meters.open_read(a, "other"), meters.open_read(b, "level"));
    assert_eq!(level.attribute(), same_of_b.attribute());
    let polls = || [&level, &again, &other, &same_of_b].map(|file| meters.poll(file).is_some());
    assert_eq!(polls(), [false; 4]);
    meters.notify(&other);
    assert_eq!(polls(), [false, false, true, false]);
    meters.notify(&level);
    assert_eq!(polls(), [true, true, true, false]);
    meters.see(&again);
    assert_eq!(polls(), [true, false, true, false]);
    meters.see(&other);
    assert_eq!(polls(), [true, false, false, false]);
    meters.notify(&same_of_b);
    meters.see(&level);
    assert_eq!(polls(), [false, false, false, true]);

    let late = meters.open(a, "level");
    assert_eq!(meters.poll(&late), Some(Event::Changed));
    meters.see(&late);
    assert_eq!((meters.poll(&late), meters.poll(&level)), (None, None));
    meters.notify(&late);
    assert_eq!((meters.poll(&late), meters.poll(&level)), (Some(Event::Changed), Some(Event::Changed)));
    // To read by name tells nothing to files.
    meters.store.read(a, "level").unwrap();
    assert_eq!(meters.poll(&level), Some(Event::Changed));
}

/// E-12: what is made known of an object that nobody has opened is lost on nobody: whoever opens it later reads it first.
#[test]
fn before_anybody_has_opened_there_is_nobody_to_tell() {
    let meters = Meters::new();
    let (device, meter) = meters.add("meter");
    let attr = meters.attr(device, "level");
    meters.store.notify(device, attr).unwrap();
    let file = meters.open(device, "level");
    meter.level.store(1, SeqCst);
    meters.notify(&file);
    assert_eq!((meters.see(&file), meters.poll(&file)), (1, None));
}

/// `ENODEV` for an object that is gone or another's, and for what is no attribute here; an attribute that the object does not
/// show is made known to nobody.
#[test]
fn what_is_not_there_cannot_be_made_known() {
    let (meters, others) = (Meters::new(), Rig::new());
    let (device, _) = meters.add("meter");
    let attr = meters.attr(device, "level");
    let foreign = others.add(others.store.root(), "disk");
    let foreign_attr = others.store.attribute(foreign, "name").unwrap();
    let notify = |object: KobjectHandle, attr| meters.store.notify(object, attr);
    // Whether anybody has opened it or not.
    for _ in 0..2 {
        assert_eq!(notify(foreign.kobject(), attr), Err(GONE));
        assert_eq!(notify(KobjectHandle::null(), attr), Err(GONE));
        assert_eq!(notify(device.kobject(), foreign_attr), Err(GONE));
        assert_eq!(notify(device.kobject(), AttrHandle::null()), Err(GONE));
        assert_eq!(notify(meters.store.root(), attr), Ok(()));
        assert_eq!(notify(device.kobject(), attr), Ok(()));
        meters.open_read(device, "level");
    }
    let file = meters.open_read(device, "level");
    // A file belongs to its own store.
    assert_eq!(file.poll(&others.store), Some(Event::Gone));
    assert_eq!(block_on(file.changed(&others.store)), Event::Gone);
    meters.store.unregister::<Arc<Meter>>(device).unwrap();
    assert_eq!(notify(device.kobject(), attr), Err(GONE));
    // Another of the same name is another.
    let (device, _) = meters.add("meter");
    meters.store.notify(device, attr).unwrap();
    assert_eq!(meters.poll(&file), Some(Event::Gone));
}

/// A thread waits until something is made known or its deadline comes, which may have passed.
#[test]
fn a_thread_waits_for_an_event_or_its_deadline() {
    let meters = Meters::new();
    let (device, _) = meters.add("meter");
    let file = meters.open_read(device, "level");
    let now = Instant::now();
    assert_eq!(file.wait(&meters.store, Some(now)), None);
    let deadline = now + Duration::from_millis(2);
    assert_eq!(file.wait(&meters.store, Some(deadline)), None);
    assert!(Instant::now() >= deadline);
    thread::scope(|scope| {
        for deadline in [None, now.checked_add(Duration::from_secs(86_400))] {
            let (begins, has_begun) = mpsc::channel();
            let (file, meters) = (&file, &meters);
            let waiter = scope.spawn(move || {
                begins.send(()).unwrap();
                file.wait(&meters.store, deadline)
            });
            has_begun.recv().unwrap();
            meters.notify(file);
            assert_eq!(waiter.join().unwrap(), Some(Event::Changed));
            meters.see(file);
        }
    });
}

/// Who waits uses up nothing that the thread is woken with for other reasons: an executor may wait in a task.
#[test]
fn a_wait_leaves_the_threads_own_wakes_alone() {
    let meters = Meters::new();
    let (device, _) = meters.add("meter");
    let file = meters.open_read(device, "level");
    thread::current().unpark();
    assert_eq!(file.wait(&meters.store, Some(Instant::now() + Duration::from_millis(1))), None);
    // Returns at once; else for ever.
    thread::park();
}

/// A callback makes changes of its own object known, and of others: the usual place for it is a `store`.
#[test]
fn a_callback_makes_changes_known() {
    let meters = Meters::new();
    let ((a, meter), (b, _)) = (meters.add("a"), meters.add("b"));
    let (level_a, level_b) = (meters.open_read(a, "level"), meters.open_read(b, "level"));
    let calls = Arc::new(Calls::default());
    let mut changed = pin!(level_a.changed(&meters.store));
    assert_eq!(poll_with(changed.as_mut(), &calls), Poll::Pending);
    let attr = level_a.attribute();
    *meter.hook.lock() = Some(Box::new(move |store, object| {
        store.notify(object, attr).unwrap();
        store.notify(b, attr).unwrap();
    }));
    meters.store.write(a, "press", b"1").unwrap();
    assert_eq!(calls.count(), 1);
    assert_eq!(poll_with(changed, &calls), Poll::Ready(Event::Changed));
    assert_eq!(meters.poll(&level_b), Some(Event::Changed));
}

/// Threads that change and tell, threads that wait, as threads and as tasks, and files that come and go meanwhile: nobody sleeps over
/// the last change, whoever made it.
#[test]
fn no_change_is_slept_over() {
    const WRITERS: u64 = 2;
    const CHANGES: u64 = 3_000;
    let meters = Meters::new();
    let (device, meter) = meters.add("meter");
    let attrs = ["level", "other"].map(|name| meters.attr(device, name));
    thread::scope(|scope| {
        for _ in 0..WRITERS {
            scope.spawn(|| {
                for _ in 0..CHANGES {
                    meter.level.fetch_add(1, SeqCst);
                    attrs.iter().for_each(|attr| meters.store.notify(device, *attr).unwrap());
                }
            });
        }
        for reader in 0..4 {
            let meters = &meters;
            scope.spawn(move || {
                let name = if reader % 2 == 0 { "level" } else { "other" };
                let mut file = meters.open(device, name);
                let (mut last, mut round) = (0, 0);
                while last != WRITERS * CHANGES {
                    let event = if reader < 2 {
                        file.wait(&meters.store, None)
                    } else {
                        Some(block_on(file.changed(&meters.store)))
                    };
                    assert_eq!(event, Some(Event::Changed));
                    let level = meters.see(&file);
                    assert!(level >= last, "{level} after {last}");
                    last = level;
                    round += 1;
                    if round % 64 == 0 {
                        file = meters.open(device, name);
                    }
                }
            });
        }
    });
}
