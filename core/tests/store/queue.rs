//! The hotplug queue: what is done, in what order, on whose thread, and what becomes of the rest.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Barrier, Mutex, mpsc};
use std::thread;

use enodev::{
    AsKobject, BusType, DeviceHandle, DeviceType, Driver, Errno, Error, KobjectHandle, Queue, QueueError, Removal,
    Scope, Shared, Store, Ticket, Type,
};
use proptest::prelude::*;

use crate::common::until;

const GONE: QueueError = QueueError::Store(crate::common::GONE);

/// A payload that does something as it is dropped.
pub(crate) struct Plug(Box<dyn Fn() + Send + Sync>);

impl Plug {
    pub(crate) fn new(on_drop: impl Fn() + Send + Sync + 'static) -> Self {
        Self(Box::new(on_drop))
    }

    /// One that counts its end.
    pub(crate) fn counted(dropped: &Arc<AtomicUsize>) -> Self {
        let dropped = Arc::clone(dropped);
        Self::new(move || {
            dropped.fetch_add(1, SeqCst);
        })
    }
}

impl Drop for Plug {
    fn drop(&mut self) {
        (self.0)();
    }
}

pub(crate) struct Rig {
    pub(crate) store: Store,
    pub(crate) plug: Type<Shared<Plug>>,
    pub(crate) queue: Arc<Queue>,
}

/// Ends a queue also where a test fails: its workers would wait for ever.
struct Ends<'a>(&'a Queue);

impl Drop for Ends<'_> {
    fn drop(&mut self) {
        if thread::panicking() {
            self.0.cancel();
        }
        self.0.close();
    }
}

impl Rig {
    pub(crate) fn new() -> Self {
        let store = Store::new().unwrap();
        let plug = store.define(DeviceType::shared::<Plug>("plug")).unwrap();
        Self { store, plug, queue: Arc::default() }
    }

    /// Runs `body` while so many threads work, and ends them after what was submitted.
    pub(crate) fn work<R>(&self, workers: usize, body: impl FnOnce() -> R) -> R {
        thread::scope(|scope| {
            let workers: Vec<_> = (0..workers).map(|_| scope.spawn(|| self.queue.work(&self.store))).collect();
            let done = {
                let _ends = Ends(&self.queue);
                body()
            };
            workers.into_iter().for_each(|worker| assert_eq!(worker.join().unwrap(), Ok(())));
            done
        })
    }

    pub(crate) fn dir(&self, parent: impl AsKobject, name: &str) -> KobjectHandle {
        self.store.create(parent, name).unwrap()
    }

    fn plug(&self, name: &str) -> DeviceHandle {
        self.store.register(self.store.root(), name, self.plug, Plug::new(|| ())).unwrap()
    }

    fn add(&self, name: &str, plug: Plug) -> Ticket<DeviceHandle> {
        self.queue.add(self.store.root(), name, self.plug, plug).unwrap()
    }
}

struct Slots;

impl BusType for Slots {
    type Id = u8;
    type IdTable = u8;

    fn matches(&self, id: &u8, table: &u8) -> bool {
        id == table
    }
}

/// Takes devices only when it is told to.
struct Picky(Arc<AtomicBool>);

impl Driver for Picky {
    type Bus = Slots;
    type Device = Shared<Plug>;
    type Data = ();

    fn probe(&self, _: &mut Scope<'_, Self::Device>) -> Result<(), Errno> {
        if self.0.load(SeqCst) { Ok(()) } else { Err(Errno::ENXIO) }
    }
}

/// S1-13: a worker adds, removes, binds and unbinds, and answers each with what the store would have answered: handles, counts and errors.
#[test]
fn all_requests_are_answered_as_the_store_would() {
    let rig = Rig::new();
    let (store, queue) = (&rig.store, &rig.queue);
    let bus = store.register_bus("slots", Slots).unwrap();
    let willing = Arc::new(AtomicBool::new(false));
    let picky = store.register_driver(bus, "picky", Picky(Arc::clone(&willing)), 1).unwrap();
    rig.work(1, || {
        let plug = || Plug::new(|| ());
        let added = queue.add_with(store.root(), "a", rig.plug, plug(), move |device| device.on(bus, 1)).unwrap();
        let a = added.wait().unwrap();
        assert_eq!(store.lookup("a"), Ok(a.kobject()));
        assert_eq!(store.driver_of(a), Ok(None));
        assert_eq!(rig.add("a", plug()).wait(), Err(QueueError::Store(Error::Exists)));
        assert_eq!(queue.bind(a, picky).unwrap().wait(), Err(QueueError::Store(Errno::ENXIO.into())));
        willing.store(true, SeqCst);
        assert_eq!(queue.bind(a, picky).unwrap().wait(), Ok(()));
        assert_eq!(store.driver_of(a), Ok(Some(picky)));
        assert_eq!(queue.bind(a, picky).unwrap().wait(), Err(QueueError::Store(Error::Bound)));
        assert_eq!(queue.unbind(a, picky).unwrap().wait(), Ok(Removal::Done(1)));
        assert_eq!(queue.unbind(a, picky).unwrap().wait(), Err(QueueError::Store(Error::NotBound)));
        let below = queue.add(a, "below", rig.plug, plug()).unwrap().wait().unwrap();
        assert_eq!(queue.run(below, move |store| store.path(below)).unwrap().wait(), Ok("/a/below".into()));
        assert_eq!(queue.remove(a).unwrap().wait(), Ok(Removal::Done(2)));
        assert_eq!(queue.remove(a).unwrap().wait(), Err(GONE));
        assert_eq!(queue.bind(below, picky).unwrap().wait(), Err(GONE));
        assert_eq!(queue.unbind(below, picky).unwrap().wait(), Err(GONE));
        assert_eq!(queue.add(below, "x", rig.plug, plug()).unwrap().wait(), Err(GONE));
        assert_eq!(queue.remove(store.root()).unwrap().wait(), Err(QueueError::Store(Error::Root)));
    });
    assert!(matches!(
        queue.add(store.root(), "a/b", rig.plug, Plug::new(|| ())),
        Err(QueueError::Store(Error::Name(_)))
    ));
}

/// A request for an object that leaves before its turn comes is answered `ENODEV`, and does nothing to what has taken its name.
#[test]
fn a_request_for_what_has_left_meanwhile_is_answered_so() {
    let rig = Rig::new();
    let old = rig.plug("a");
    let mut tickets =
        (rig.queue.remove(old).unwrap(), rig.queue.add(old, "below", rig.plug, Plug::new(|| ())).unwrap());
    rig.store.unregister_subtree(old).unwrap();
    let new = rig.plug("a");
    while rig.queue.step(&rig.store).unwrap() {}
    assert_eq!(tickets.0.try_take(), Some(Err(GONE)));
    assert_eq!(tickets.1.try_take(), Some(Err(GONE)));
    assert!(rig.store.contains(new));
}

/// What one request does: which subtree it is of, when it began and when it ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    Begin(usize),
    End(usize),
}

/// Objects in a tree of three levels: the root, `a`, `a/x`, `a/y`, `b`, `b/x`.
const ABOVE: [&[usize]; 6] = [&[], &[0], &[1, 0], &[1, 0], &[0], &[4, 0]];

fn overlap(one: usize, other: usize) -> bool {
    one == other || ABOVE[one].contains(&other) || ABOVE[other].contains(&one)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, failure_persistence: None, ..ProptestConfig::default() })]

    /// S1-13: of two requests whose subtrees overlap, the one that was submitted first has ended before the other begins, with one worker
    /// and with several; with one all are done in order.
    #[test]
    fn overlapping_subtrees_keep_the_order_of_submission(
        subjects in prop::collection::vec(0_usize..6, 1..60),
        workers in 1_usize..4,
        early in any::<bool>(),
    ) {
        let rig = Rig::new();
        let root = rig.store.root();
        let (a, b) = (rig.dir(root, "a"), rig.dir(root, "b"));
        let objects = [root, a, rig.dir(a, "x"), rig.dir(a, "y"), b, rig.dir(b, "x")];
        let log = Arc::new(Mutex::new(Vec::new()));
        let submit = || {
            for (number, subject) in subjects.iter().enumerate() {
                let log = Arc::clone(&log);
                let request = move |_: &Store| {
                    log.lock().unwrap().push(Step::Begin(number));
                    thread::yield_now();
                    log.lock().unwrap().push(Step::End(number));
                    Ok(())
                };
                drop(rig.queue.run(objects[*subject], request).unwrap());
            }
        };
        if early {
            submit();
        }
        rig.work(workers, || if !early { submit() });
        let log = log.lock().unwrap();
        let at = |step| log.iter().position(|other| *other == step).unwrap();
        for (later, one) in subjects.iter().enumerate() {
            for (earlier, other) in subjects[..later].iter().enumerate() {
                if workers == 1 || overlap(*one, *other) {
                    prop_assert!(at(Step::End(earlier)) < at(Step::Begin(later)), "{earlier} {later}: {log:?}");
                }
            }
        }
        prop_assert_eq!(log.len(), 2 * subjects.len());
    }
}

/// Requests for different subtrees go side by side, and so do additions of different names in one directory: each of the two waits for the
/// other.
#[test]
fn other_subtrees_go_side_by_side() {
    let rig = Rig::new();
    let (a, b) = (rig.plug("a"), rig.plug("b"));
    rig.work(2, || {
        let meet = Arc::new(Barrier::new(2));
        let visit = |object| {
            let meet = Arc::clone(&meet);
            rig.queue
                .run(object, move |_| {
                    meet.wait();
                    Ok(())
                })
                .unwrap()
        };
        let tickets = [visit(a), visit(b)];
        tickets.into_iter().for_each(|ticket| ticket.wait().unwrap());
        let add = |name| {
            let meet = Arc::clone(&meet);
            let added = rig.queue.add_with(rig.store.root(), name, rig.plug, Plug::new(|| ()), move |device| {
                meet.wait();
                device
            });
            added.unwrap()
        };
        let tickets = [add("c"), add("d")];
        assert!(tickets.into_iter().all(|ticket| ticket.wait().is_ok()));
    });
    assert_eq!(rig.store.len(), 4);
}

/// S1-13, S3-1: the next device of a name is added when the one before has gone, although the two are different objects, and another worker
/// has nothing else to do: the addition does not find the name taken.
#[test]
fn one_name_is_given_up_before_it_is_taken_again() {
    let rig = Rig::new();
    let (release, held) = mpsc::channel();
    let held = Mutex::new(held);
    let slow = Plug::new(move || held.lock().unwrap().recv().unwrap());
    let old = rig.store.register(rig.store.root(), "a", rig.plug, slow).unwrap();
    rig.work(2, || {
        let removed = rig.queue.remove(old).unwrap();
        let mut added = rig.add("a", Plug::new(|| ()));
        // Of another name; so the worker that has not got the removal has passed the addition by.
        let other = rig.add("b", Plug::new(|| ())).wait();
        let passed_by = added.try_take();
        release.send(()).unwrap();
        assert!(other.is_ok());
        assert_eq!(passed_by, None);
        assert_eq!(removed.wait(), Ok(Removal::Done(1)));
        assert!(added.wait().is_ok());
    });
}

/// A queue that is closed does what was submitted, refuses what comes, and lets those go who work.
#[test]
fn a_closed_queue_does_what_was_submitted() {
    let rig = Rig::new();
    let dropped = Arc::new(AtomicUsize::new(0));
    let mut tickets: Vec<_> = ["a", "b", "c"].into_iter().map(|name| rig.add(name, Plug::counted(&dropped))).collect();
    rig.queue.close();
    let refused = rig.queue.add(rig.store.root(), "d", rig.plug, Plug::counted(&dropped));
    assert_eq!(refused.err(), Some(QueueError::Closed));
    assert_eq!(dropped.load(SeqCst), 1);
    rig.work(2, || ());
    assert!(tickets.iter_mut().all(|ticket| matches!(ticket.try_take(), Some(Ok(_)))));
    assert_eq!(rig.store.len(), 3);
    assert_eq!(rig.queue.work(&rig.store), Ok(()));
}

/// What has not begun when a queue is cancelled is answered so, and dropped on that thread; what has begun goes on.
#[test]
fn a_cancelled_queue_answers_what_has_not_begun() {
    let rig = Rig::new();
    let dropped = Arc::new(AtomicUsize::new(0));
    let meet = Arc::new(Barrier::new(2));
    rig.work(1, || {
        let inside = Arc::clone(&meet);
        let begun = rig.queue.run(rig.store.root(), move |_| {
            inside.wait();
            inside.wait();
            Ok(7)
        });
        meet.wait();
        let tickets = ["a", "b", "c"].map(|name| rig.add(name, Plug::counted(&dropped)));
        assert_eq!(rig.queue.len(), 3);
        assert_eq!(rig.queue.cancel(), 3);
        assert_eq!(dropped.load(SeqCst), 3);
        for ticket in tickets {
            assert_eq!(ticket.wait(), Err(QueueError::Closed));
        }
        meet.wait();
        assert_eq!(begun.unwrap().wait(), Ok(7));
    });
    assert!(rig.queue.is_empty() && rig.store.is_empty());
}

/// A queue that is dropped answers those who wait.
#[test]
fn no_ticket_outlives_its_queue_unanswered() {
    let rig = Rig::new();
    let queue = Queue::new();
    let device = rig.plug("a");
    let ticket = queue.remove(device).unwrap();
    let waits = thread::spawn(move || ticket.wait());
    drop(queue);
    assert_eq!(waits.join().unwrap(), Err(QueueError::Closed));
    assert!(rig.store.contains(device));
}

/// A panic in a request is told in its ticket and goes no further: the next request is done, by the same worker. What the panic
/// carried has been dropped by then. Of a removal in which a payload's drop panics all objects go all the same.
#[test]
fn a_panic_is_told_in_the_ticket() {
    let rig = Rig::new();
    let dropped = Arc::new(AtomicUsize::new(0));
    rig.work(1, || {
        let carried = Plug::counted(&dropped);
        let ticket = rig.queue.run(rig.store.root(), move |_| -> Result<(), Error> {
            std::panic::panic_any(Mutex::new(Some(carried)));
        });
        assert_eq!(ticket.unwrap().wait(), Err(QueueError::Panicked));
        assert_eq!(dropped.load(SeqCst), 1);
        let device = rig.add("a", Plug::new(|| panic!("not well"))).wait().unwrap();
        rig.store.register(device, "below", rig.plug, Plug::counted(&dropped)).unwrap();
        assert_eq!(rig.queue.remove(device).unwrap().wait(), Err(QueueError::Panicked));
        assert_eq!((dropped.load(SeqCst), rig.store.len()), (2, 0));
        assert_eq!(rig.queue.run(rig.store.root(), |_| Ok(1)).unwrap().wait(), Ok(1));
    });
}

/// A queue takes so many requests as it has room for; what it does not take is dropped by who submitted it. Those that have begun take no
/// room.
#[test]
fn a_full_queue_says_so() {
    let rig = Rig::new();
    let dropped = Arc::new(AtomicUsize::new(0));
    let queue = Queue::with_limit(2);
    let add = |name| queue.add(rig.store.root(), name, rig.plug, Plug::counted(&dropped));
    let _tickets = (add("a").unwrap(), add("b").unwrap());
    assert_eq!(add("c").err(), Some(QueueError::Full));
    assert_eq!(dropped.load(SeqCst), 1);
    assert!(queue.step(&rig.store).unwrap());
    assert!(add("c").is_ok());
    assert_eq!(add("d").err(), Some(QueueError::Full));
}

/// A queue serves one store, and nobody works in the midst of a callback or a request.
#[test]
fn a_queue_serves_one_store_and_from_outside() {
    let (rig, other) = (Rig::new(), Rig::new());
    assert_eq!(rig.queue.step(&rig.store), Ok(false));
    assert_eq!(rig.queue.step(&other.store), Err(QueueError::OtherStore));
    assert_eq!(rig.queue.work(&other.store), Err(QueueError::OtherStore));
    assert_eq!(rig.queue.pending_for(&other.store, other.store.root()), Err(QueueError::OtherStore));
    let device = rig.plug("a");
    let inside = rig.store.enter::<Plug>(device).unwrap();
    assert_eq!(rig.queue.work(&rig.store), Err(QueueError::Inside));
    assert_eq!(rig.queue.step(&rig.store), Err(QueueError::Inside));
    drop(inside);
    let queue = Arc::clone(&rig.queue);
    let mut nested = rig.queue.run(device, move |store| Ok(queue.work(store))).unwrap();
    assert_eq!(rig.queue.step(&rig.store), Ok(true));
    assert_eq!(nested.try_take(), Some(Ok(Err(QueueError::Inside))));
}

/// What is left to be done for a subtree can be asked: what is at the object and below it counts, also while it is being done, and where
/// its object has left.
#[test]
fn what_is_left_for_a_subtree_is_told() {
    let rig = Rig::new();
    let (store, queue) = (&rig.store, &rig.queue);
    let (a, b) = (rig.plug("a"), rig.plug("b"));
    let below = store.register(a, "below", rig.plug, Plug::new(|| ())).unwrap();
    let pending = |object| queue.pending_for(store, object).unwrap();
    let _tickets = (queue.run(below, |_| Ok(())).unwrap(), queue.remove(a).unwrap());
    let _newcomer = queue.add(a, "more", rig.plug, Plug::new(|| ())).unwrap();
    let counts = || (pending(below.kobject()), pending(a.kobject()), pending(b.kobject()), pending(store.root()));
    assert_eq!(counts(), (1, 3, 0, 3));
    assert!(queue.step(store).unwrap());
    assert_eq!(counts(), (0, 2, 0, 2));
    store.unregister_subtree(a).unwrap();
    assert_eq!(counts(), (0, 2, 0, 2));
    while queue.step(store).unwrap() {}
    assert_eq!(counts(), (0, 0, 0, 0));
}

/// S3-1: devices come and go through a queue and directly at once, in nests, and nothing is left over, dropped twice or answered
/// wrongly.
#[test]
fn plugging_through_a_queue_and_directly_at_once_loses_nothing() {
    const ROUNDS: usize = 150;
    let rig = Rig::new();
    let (made, dropped) = (AtomicUsize::new(0), Arc::new(AtomicUsize::new(0)));
    let plug = || {
        made.fetch_add(1, SeqCst);
        Plug::counted(&dropped)
    };
    rig.work(2, || {
        thread::scope(|scope| {
            for thread in 0..2 {
                let (rig, plug) = (&rig, &plug);
                scope.spawn(move || {
                    for round in 0..ROUNDS {
                        let name = format!("hub{}", (round + thread) % 3);
                        let added = rig.queue.add(rig.store.root(), &name, rig.plug, plug()).unwrap();
                        let direct = rig.store.register(rig.store.root(), &name, rig.plug, plug());
                        let hub = added.wait().or(direct.map_err(QueueError::from));
                        let Ok(hub) = hub else { continue };
                        let below = rig.queue.add(hub, "port", rig.plug, plug()).unwrap();
                        if round % 2 == 0 {
                            let removed = rig.store.unregister_subtree(hub).map_err(QueueError::from);
                            assert!(matches!(removed, Ok(Removal::Done(1 | 2))) || removed == Err(GONE), "{removed:?}");
                            let below = below.wait();
                            assert!(below.is_ok() || below == Err(GONE), "{below:?}");
                        } else {
                            let removed = rig.queue.remove(hub).unwrap();
                            let again = rig.queue.remove(hub).unwrap().wait();
                            let (below, removed) = (below.wait(), removed.wait());
                            assert!(below.is_ok() || below == Err(GONE), "{below:?}");
                            assert!(matches!(removed, Ok(Removal::Done(1 | 2))) || removed == Err(GONE), "{removed:?}");
                            assert_eq!(again, Err(GONE));
                        }
                    }
                });
            }
        });
    });
    for name in ["hub0", "hub1", "hub2"] {
        rig.store.lookup(name).map(|hub| rig.store.unregister_subtree(hub).unwrap()).ok();
    }
    assert_eq!((rig.store.len(), rig.queue.pending_for(&rig.store, rig.store.root())), (0, Ok(0)));
    until(|| dropped.load(SeqCst) == made.load(SeqCst));
}
