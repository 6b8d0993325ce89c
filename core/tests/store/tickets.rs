//! The tickets of a hotplug queue: who may wait for one, and what it tells.

use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Barrier, Mutex, OnceLock};
use std::task::{Context, Poll, Wake, Waker};
use std::thread;
use std::time::{Duration, Instant};

use enodev::{
    Access, BusType, DeviceHandle, DeviceType, Driver, Errno, Error, Exclusion, Queue, QueueError, Removal, Scope,
    Shared, Store, Ticket,
};

use crate::common::until;
use crate::events::{Calls, Meters};
use crate::queue::{Plug, Rig};

/// Submits a removal and waits for it.
fn remove_and_wait(queue: &Queue, device: DeviceHandle) -> Result<Removal, QueueError> {
    queue.remove(device)?.wait()
}

/// Where callbacks put what they were told.
#[derive(Default, Clone)]
struct Told(Arc<Mutex<Vec<Result<Removal, QueueError>>>>);

impl Told {
    fn note(&self, told: Result<Removal, QueueError>) {
        self.0.lock().unwrap().push(told);
    }

    fn all(&self) -> Vec<Result<Removal, QueueError>> {
        std::mem::take(&mut self.0.lock().unwrap())
    }
}

const NO: Result<Removal, QueueError> = Err(QueueError::Inside);

/// S1-13, S0-15: an attribute's callback that has its own device removed through the queue and waits for that does not hang: it is told
/// so, and the device goes as the callback has returned. The same with a device that is not its own.
#[test]
fn a_callback_that_submits_and_waits_is_told_so() {
    let meters = Meters::new();
    let (queue, told) = (Arc::new(Queue::new()), Told::default());
    let ((own, meter), (other, _)) = (meters.add("own"), meters.add("other"));
    thread::scope(|scope| {
        let worker = scope.spawn(|| queue.work(&meters.store));
        let (told, in_callback) = (told.clone(), Arc::clone(&queue));
        let notes = told.clone();
        *meter.hook.lock() = Some(Box::new(move |_, _| {
            notes.note(remove_and_wait(&in_callback, other));
            notes.note(remove_and_wait(&in_callback, own));
        }));
        meters.store.write(own, "press", b"1").unwrap();
        assert_eq!(told.all(), [NO, NO]);
        queue.close();
        worker.join().unwrap().unwrap();
    });
    assert!(meters.store.is_empty());
}

struct Slots;

impl BusType for Slots {
    type Id = ();
    type IdTable = ();

    fn matches(&self, (): &(), (): &()) -> bool {
        true
    }
}

/// Calls back in probe and in remove.
struct Calling(Box<dyn Fn(DeviceHandle) + Send + Sync>);

impl Driver for Calling {
    type Bus = Slots;
    type Device = Shared<Plug>;
    type Data = ();

    fn probe(&self, device: &mut Scope<'_, Self::Device>) -> Result<(), Errno> {
        (self.0)(device.device());
        Ok(())
    }

    fn remove(&self, device: &mut Scope<'_, Self::Device>, (): ()) {
        (self.0)(device.device());
    }
}

/// S1-13: a driver's callbacks on a worker, and on a thread that binds directly, that submit and wait are told so.
#[test]
fn a_driver_s_callbacks_that_submit_and_wait_are_told_so() {
    let rig = Rig::new();
    let told = Told::default();
    let bus = rig.store.register_bus("slots", Slots).unwrap();
    let (queue, notes) = (Arc::clone(&rig.queue), told.clone());
    let calling = Calling(Box::new(move |device| notes.note(remove_and_wait(&queue, device))));
    let driver = rig.store.register_driver(bus, "calling", calling, ()).unwrap();
    rig.work(1, || {
        let (root, plug) = (rig.store.root(), || Plug::new(|| ()));
        let added = rig.queue.add_with(root, "a", rig.plug, plug(), move |device| device.on(bus, ())).unwrap();
        let a = added.wait().unwrap();
        // Behind what probe has submitted.
        assert!(rig.queue.unbind(a, driver).unwrap().wait().is_err());
        assert_eq!(told.all(), [NO, NO]);
        let b = rig.store.new_device(root, "b", rig.plug, plug()).on(bus, ()).register().unwrap();
        rig.store.unregister_subtree(b).ok();
        assert_eq!(told.all(), [NO, NO]);
    });
    assert!(rig.store.is_empty());
}

/// S1-13: a request that submits another one and waits for that is told so, to the same queue and to another, where it would have to wait
/// and where it would not.
#[test]
fn a_request_that_submits_and_waits_is_told_so() {
    let (rig, other) = (Rig::new(), Rig::new());
    let (a, b) = (rig.dir(rig.store.root(), "a"), rig.dir(rig.store.root(), "b"));
    let elsewhere = other.dir(other.store.root(), "c");
    other.work(1, || {
        rig.work(2, || {
            for (queue, object) in [(&rig.queue, a), (&rig.queue, b), (&other.queue, elsewhere)] {
                let queue = Arc::clone(queue);
                let ticket = rig.queue.run(a, move |_| Ok(queue.run(object, |_| Ok(()))));
                let inner = ticket.unwrap().wait().unwrap().unwrap();
                assert_eq!(inner.wait(), Ok(()));
            }
            for (queue, object) in [(&rig.queue, a), (&rig.queue, b), (&other.queue, elsewhere)] {
                let queue = Arc::clone(queue);
                let ticket = rig.queue.run(a, move |_| Ok(queue.run(object, |_| Ok(())).map(Ticket::wait)));
                assert_eq!(ticket.unwrap().wait(), Ok(Ok(Err(QueueError::Inside))));
            }
        });
    });
}

/// S1-13: nor does anybody wait as a payload is dropped, by a worker or directly, or as a request is dropped that has not begun.
#[test]
fn drops_that_submit_and_wait_are_told_so() {
    let rig = Rig::new();
    let told = Told::default();
    let other = rig.store.register(rig.store.root(), "other", rig.plug, Plug::new(|| ())).unwrap();
    let plug = || {
        let (queue, told) = (Arc::clone(&rig.queue), told.clone());
        Plug::new(move || told.note(queue.remove(other).and_then(Ticket::wait)))
    };
    let add = |name| rig.store.register(rig.store.root(), name, rig.plug, plug()).unwrap();
    rig.work(1, || {
        rig.store.unregister_subtree(add("a")).unwrap();
        assert_eq!(told.all(), [NO]);
        rig.queue.remove(add("b")).unwrap().wait().unwrap();
        assert_eq!(told.all(), [NO]);
    });
    let queue = Queue::new();
    let (notes, kept) = (told.clone(), Arc::new(Mutex::new(None)));
    let later = Arc::clone(&kept);
    let waits = Plug::new(move || notes.note(later.lock().unwrap().take().map_or(Ok(Removal::Done(0)), Ticket::wait)));
    let first = queue.add(rig.store.root(), "c", rig.plug, waits).unwrap();
    *kept.lock().unwrap() = Some(queue.remove(other).unwrap());
    assert_eq!(queue.cancel(), 2);
    assert_eq!(told.all(), [NO]);
    assert_eq!(first.wait(), Err(QueueError::Closed));
}

/// S1-13: who holds a guard, a device's lock, an exclusive payload or an exclusion does not wait either, whether or not the request
/// would want it, and whether or not the answer is there; without, it does.
#[test]
fn who_holds_something_does_not_wait() {
    let rig = Rig::new();
    let store = &rig.store;
    let bus = store.register_bus("slots", Slots).unwrap();
    let a = store.new_device(store.root(), "a", rig.plug, Plug::new(|| ())).on(bus, ()).register().unwrap();
    let counter = store.define(DeviceType::exclusive::<u32>("counter")).unwrap();
    let counter = store.register(store.root(), "counter", counter, 0).unwrap();
    let exclusion = Exclusion::new(());
    let mut ticket = rig.queue.remove(a).unwrap();
    let mut refuses = |held: &dyn std::fmt::Debug| {
        let deadline = Instant::now() + Duration::from_secs(3600);
        assert_eq!(ticket.wait_until(deadline), NO, "{held:?}");
    };
    refuses(&exclusion.lock().unwrap());
    refuses(&store.enter_mut::<u32>(counter).unwrap());
    refuses(&store.lock(a).unwrap());
    let guard = store.enter::<Plug>(a).unwrap();
    refuses(&"a guard");
    drop(guard);
    assert!(rig.queue.step(store).unwrap());
    let held = exclusion.lock().unwrap();
    refuses(&held);
    assert_eq!(ticket.try_take(), Some(Ok(Removal::Done(1))));
    drop(held);
    assert_eq!(ticket.wait(), Err(QueueError::Taken));
}

/// A waker that a removal calls may submit, and does not wait: it runs in the hands of the remover.
#[test]
fn a_waker_that_submits_and_waits_is_told_so() {
    struct Waits(Arc<Queue>, DeviceHandle, Told);

    impl Wake for Waits {
        fn wake(self: Arc<Self>) {
            self.2.note(remove_and_wait(&self.0, self.1));
        }
    }

    let meters = Meters::new();
    let (queue, told) = (Arc::new(Queue::new()), Told::default());
    let (device, _) = meters.add("a");
    let file = meters.store.open(device, "level", Access::READ).unwrap();
    file.read(&meters.store, &mut [0; 8]).unwrap();
    thread::scope(|scope| {
        let worker = scope.spawn(|| queue.work(&meters.store));
        let waker = Waker::from(Arc::new(Waits(Arc::clone(&queue), device, told.clone())));
        let mut changed = Box::pin(file.changed(&meters.store));
        assert!(changed.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
        meters.store.unregister_subtree(device).unwrap();
        assert_eq!(told.all(), [NO]);
        queue.close();
        worker.join().unwrap().unwrap();
    });
}

/// Those inside who do not wait for a ticket, but for something else that only it brings, are found as with every removal: the worker's
/// request is answered with [`Error::Deadlock`], or the one inside is told.
#[test]
fn a_circle_through_a_lock_is_found() {
    let rig = Rig::new();
    let exclusion = Arc::new(Exclusion::new(()));
    let device = rig.store.register(rig.store.root(), "a", rig.plug, Plug::new(|| ())).unwrap();
    let ours = exclusion.lock().unwrap();
    rig.work(1, || {
        let inside = rig.store.enter::<Plug>(device).unwrap();
        let (wanted, meet) = (Arc::clone(&exclusion), Arc::new(Barrier::new(2)));
        let in_request = Arc::clone(&meet);
        // Waits for the exclusion first, which its owner never gives up before the guard.
        let ticket = rig.queue.run(device, move |store| {
            in_request.wait();
            let _held = wanted.lock()?;
            store.unregister_subtree(device)
        });
        meet.wait();
        drop(ours);
        drop(inside);
        assert_eq!(ticket.unwrap().wait(), Ok(Removal::Done(1)));
        let device = rig.store.register(rig.store.root(), "b", rig.plug, Plug::new(|| ())).unwrap();
        let (wanted, meet) = (Arc::clone(&exclusion), Arc::new(Barrier::new(2)));
        let in_request = Arc::clone(&meet);
        let ticket = rig.queue.run(device, move |store| {
            let _held = wanted.lock()?;
            in_request.wait();
            store.unregister_subtree(device)
        });
        let inside = rig.store.enter::<Plug>(device).unwrap();
        meet.wait();
        let got = exclusion.lock().map(drop);
        drop(inside);
        let told = ticket.unwrap().wait();
        assert!(got.is_err() && told == Ok(Removal::Done(1)) || got.is_ok() && told == Err(Error::Deadlock.into()));
    });
    assert!(rig.store.is_empty() || rig.store.reap() == 1);
}

/// The answer comes when the request and all that it was made of are gone: who waited may take its code away.
#[test]
fn the_answer_comes_after_the_end_of_the_request() {
    let rig = Rig::new();
    let dropped = Arc::new(AtomicUsize::new(0));
    rig.work(1, || {
        for round in 1..100 {
            let kept = Plug::counted(&dropped);
            let ticket = rig.queue.run(rig.store.root(), move |_| {
                let _kept = &kept;
                Ok(())
            });
            ticket.unwrap().wait().unwrap();
            assert_eq!(dropped.load(SeqCst), round);
            assert_eq!(rig.queue.pending_for(&rig.store, rig.store.root()), Ok(0));
        }
    });
}

/// A ticket that is dropped forgets the answer, which is dropped in turn, before it comes and after; the request is done all the same.
#[test]
fn a_dropped_ticket_forgets_the_answer_and_not_the_request() {
    let rig = Rig::new();
    let dropped = Arc::new(AtomicUsize::new(0));
    let submit = || {
        let answer = Plug::counted(&dropped);
        rig.queue.run(rig.store.root(), move |_| Ok(answer)).unwrap()
    };
    drop(submit());
    assert_eq!(dropped.load(SeqCst), 0);
    assert!(rig.queue.step(&rig.store).unwrap());
    assert_eq!(dropped.load(SeqCst), 1);
    let ticket = submit();
    assert!(rig.queue.step(&rig.store).unwrap());
    assert_eq!(dropped.load(SeqCst), 1);
    drop(ticket);
    assert_eq!(dropped.load(SeqCst), 2);
    drop(rig.queue.add(rig.store.root(), "a", rig.plug, Plug::new(|| ())));
    assert!(rig.queue.step(&rig.store).unwrap());
    assert!(rig.store.lookup("a").is_ok());
}

/// Until the deadline comes a ticket is waited for, and after it the answer can still be had, once.
#[test]
fn a_ticket_outlasts_its_deadline() {
    let rig = Rig::new();
    let mut ticket = rig.queue.run(rig.store.root(), |_| Ok(5)).unwrap();
    assert_eq!(ticket.wait_until(Instant::now()), Err(QueueError::TimedOut));
    assert_eq!(ticket.try_take(), None);
    assert!(rig.queue.step(&rig.store).unwrap());
    assert_eq!(ticket.wait_until(Instant::now()), Ok(5));
    assert_eq!(ticket.try_take(), Some(Err(QueueError::Taken)));
    assert_eq!(ticket.wait(), Err(QueueError::Taken));
}

fn poll<T: 'static>(ticket: &mut Ticket<T>, calls: &Arc<Calls>) -> Poll<Result<T, QueueError>> {
    Pin::new(ticket).poll(&mut Context::from_waker(&Waker::from(Arc::clone(calls))))
}

/// A ticket is a future: it calls the waker that it was last polled with, once, and has the answer then; dropped, it calls none.
#[test]
fn a_ticket_is_a_future() {
    let rig = Rig::new();
    let mut ticket = rig.queue.run(rig.store.root(), |_| Ok(5)).unwrap();
    let (old, new) = (Arc::new(Calls::default()), Arc::new(Calls::default()));
    assert_eq!(poll(&mut ticket, &old), Poll::Pending);
    assert_eq!(poll(&mut ticket, &new), Poll::Pending);
    assert_eq!(Arc::strong_count(&old), 1);
    assert!(rig.queue.step(&rig.store).unwrap());
    assert_eq!((old.count(), new.count(), Arc::strong_count(&new)), (0, 1, 1));
    assert_eq!(poll(&mut ticket, &old), Poll::Ready(Ok(5)));
    assert_eq!(poll(&mut ticket, &old), Poll::Ready(Err(QueueError::Taken)));
    let mut ticket = rig.queue.run(rig.store.root(), |_| Ok(5)).unwrap();
    assert_eq!(poll(&mut ticket, &new), Poll::Pending);
    rig.queue.cancel();
    assert_eq!((poll(&mut ticket, &new), new.count()), (Poll::Ready(Err(QueueError::Closed)), 2));
    let queue = Queue::new();
    let mut ticket = queue.run(rig.store.root(), |_| Ok(5)).unwrap();
    assert_eq!(poll(&mut ticket, &old), Poll::Pending);
    drop(ticket);
    assert_eq!(Arc::strong_count(&old), 1);
    assert!(queue.step(&rig.store).unwrap());
    assert_eq!(old.count(), 0);
}

/// S1-13: an executor that is run in a callback does not wait for itself either; with the answer there it goes on.
#[test]
fn a_future_that_is_polled_in_a_callback_is_ready_with_an_error() {
    let rig = Rig::new();
    let device = rig.store.register(rig.store.root(), "a", rig.plug, Plug::new(|| ())).unwrap();
    let calls = Arc::new(Calls::default());
    let mut ticket = rig.queue.run(rig.store.root(), |_| Ok(5)).unwrap();
    let inside = rig.store.enter::<Plug>(device).unwrap();
    assert_eq!(poll(&mut ticket, &calls), Poll::Ready(Err(QueueError::Inside)));
    drop(inside);
    assert_eq!(poll(&mut ticket, &calls), Poll::Pending);
    assert!(rig.queue.step(&rig.store).unwrap());
    let _inside = rig.store.enter::<Plug>(device).unwrap();
    assert_eq!(poll(&mut ticket, &calls), Poll::Ready(Ok(5)));
}

/// A waker does as it likes: it takes the answer, submits, and panics, and the worker goes on.
#[test]
fn a_waker_is_called_under_no_lock() {
    struct Foreign(Arc<Queue>, OnceLock<Mutex<Ticket<u8>>>, AtomicUsize);

    impl Wake for Foreign {
        fn wake(self: Arc<Self>) {
            assert_eq!(self.1.get().unwrap().lock().unwrap().try_take(), Some(Ok(5)));
            let store = Store::new().unwrap();
            drop(self.0.run(store.root(), |_| Ok(())).unwrap());
            self.2.fetch_add(self.0.len(), SeqCst);
            panic!("as it likes");
        }
    }

    let rig = Rig::new();
    let foreign = Arc::new(Foreign(Arc::clone(&rig.queue), OnceLock::new(), AtomicUsize::new(0)));
    let mut ticket = rig.queue.run(rig.store.root(), |_| Ok(5)).unwrap();
    let waker = Waker::from(Arc::clone(&foreign));
    assert!(Pin::new(&mut ticket).poll(&mut Context::from_waker(&waker)).is_pending());
    foreign.1.set(Mutex::new(ticket)).unwrap();
    rig.work(1, || until(|| foreign.2.load(SeqCst) != 0));
    assert!(rig.queue.is_empty());
}

/// All that a ticket may tell has a number, and none of it is that of a device that has left.
#[test]
fn all_errors_have_numbers() {
    use QueueError::{Closed, Full, Inside, OtherStore, Panicked, Store, Taken, TimedOut};

    let numbers = [Inside, Closed, Full, Panicked, TimedOut, Taken, OtherStore].map(QueueError::errno);
    let expected =
        [Errno::EDEADLK, Errno::ECANCELED, Errno::EAGAIN, Errno::EIO, Errno::ETIMEDOUT, Errno::EINVAL, Errno::EXDEV];
    assert_eq!(numbers, expected);
    assert_eq!(Errno::from(Store(crate::common::GONE)), Errno::ENODEV);
    assert_eq!(std::io::Error::from(Inside).raw_os_error(), Some(35));
}
