//! Threads whose destructor for records has run, and that hold a ticket, or ask for one, all the same.

use super::*;

use crate::arena::Arena;
use crate::cells::tests::{departures, while_unreported};
use crate::domain::Domain;
use crate::handle::Kind;

/// Where a thread stops in the middle of a leave: its cell is empty, and it has not looked at the alarm yet.
#[derive(Debug, Default)]
struct Stop {
    is_reached: AtomicBool,
    is_lifted: AtomicBool,
}

/// What a thread does among its last destructors: after that for records, if that was set up later.
struct Will(Box<dyn FnOnce()>);

impl Drop for Will {
    fn drop(&mut self) {
        std::mem::replace(&mut self.0, Box::new(|| {}))();
    }
}

thread_local! {
    static STOP: Cell<Option<&'static Stop>> = const { Cell::new(None) };
    static WILL: Cell<Option<Will>> = const { Cell::new(None) };
}

/// Called by every leave.
pub(crate) fn stop() {
    let Some(stop) = STOP.take() else { return };
    stop.is_reached.store(true, Ordering::SeqCst);
    until(|| stop.is_lifted.load(Ordering::SeqCst));
}

/// Has a thread run `first`, and `last` among its last destructors, after those that `first` has set up. Waits for its end.
pub(crate) fn at_the_end(first: impl FnOnce() + Send + 'static, last: impl FnOnce() + Send + 'static) {
    let dying = thread::spawn(move || {
        WILL.set(None);
        first();
        WILL.set(Some(Will(Box::new(last))));
    });
    dying.join().unwrap();
}

fn until(done: impl Fn() -> bool) {
    while !done() {
        thread::yield_now();
    }
}

/// Gives the others the time to do what they must not do.
fn linger() {
    (0..1000).for_each(|_| thread::yield_now());
}

/// A thread that is inside `address` when its destructor for records runs, and leaves afterwards, once `may_leave` says so.
fn late_leaver(
    address: usize,
    way: Way,
    may_leave: impl FnOnce() + Send + 'static,
) -> (&'static Record, thread::JoinHandle<()>) {
    let (tell, told) = mpsc::channel();
    let leaver = thread::spawn(move || {
        WILL.set(None);
        way.prepare();
        let ticket = way.enter(address);
        let will = move || {
            may_leave();
            ticket.leave();
        };
        WILL.set(Some(Will(Box::new(will))));
        tell.send(current()).unwrap();
    });
    (told.recv().unwrap(), leaver)
}

/// A thread with a record. Told once, it enters; told again, or when nobody can tell it any more, it leaves and ends.
struct Heir {
    record: &'static Record,
    tell: mpsc::Sender<()>,
    entered: mpsc::Receiver<()>,
}

impl Heir {
    fn spawn<'s>(scope: &'s thread::Scope<'s, '_>, address: usize, way: Way) -> Self {
        let ((tell, told), (enters, entered)) = (mpsc::channel(), mpsc::channel());
        let (registers, registered) = mpsc::channel();
        scope.spawn(move || {
            registers.send(current()).unwrap();
            if told.recv().is_ok() {
                let ticket = way.enter(address);
                enters.send(()).unwrap();
                let _end = told.recv();
                ticket.leave();
            }
        });
        Self { record: registered.recv().unwrap(), tell, entered }
    }

    fn enter(&self) {
        self.tell.send(()).unwrap();
        self.entered.recv().unwrap();
    }
}

/// A remover raises the alarm when the cell has just been cleared, so that it would be missed by who had looked before that.
#[test]
fn a_leave_looks_at_the_alarm_when_it_has_cleared_its_cell() {
    for way in Way::all() {
        let place = Place::new();
        let stop: &'static Stop = Box::leak(Box::default());
        let ((enters, entered), (tell, told)) = (mpsc::channel(), mpsc::channel());
        thread::scope(|scope| {
            // Should this fail, they go, and nobody waits for them.
            let (entered, tell, address) = (entered, tell, place.address());
            scope.spawn(move || {
                way.prepare();
                let ticket = way.enter(address);
                enters.send(()).unwrap();
                told.recv().unwrap();
                STOP.set(Some(stop));
                ticket.leave();
                enters.send(()).unwrap();
                // The cell is nobody else's yet.
                let _end = told.recv();
            });
            entered.recv().unwrap();
            let occupant = place.occupants()[0];
            tell.send(()).unwrap();
            until(|| stop.is_reached.load(Ordering::SeqCst));
            assert!(!occupant.is_inside());
            occupant.raise_alarm();
            let before = departures(&occupant);
            stop.is_lifted.store(true, Ordering::SeqCst);
            entered.recv().unwrap();
            assert_eq!(departures(&occupant), before + 1, "{way:?}: not reported");
            tell.send(()).unwrap();
        });
    }
}

/// S2-6: a thread is in the middle of leaving one object while its destructors run; other threads come and go, one of them
/// enters another object, and a drain of that one sleeps. That the first thread then finishes its leave does not wake the
/// drain, which returns when the second has left and no sooner.
#[test]
fn a_late_leave_never_ends_the_drain_of_another_object() {
    for way in Way::all() {
        let (left, place) = (Place::new(), Place::new());
        let stop: &'static Stop = Box::leak(Box::default());
        let (record, leaver) = late_leaver(left.address(), way, || STOP.set(Some(stop)));
        until(|| stop.is_reached.load(Ordering::SeqCst));
        assert!(left.occupants().is_empty(), "its cell is empty");
        // Whoever ends could hand the record on.
        in_a_thread(|| place.enter().leave());
        thread::scope(|scope| {
            let heirs: Vec<_> = (0..8).map(|_| Heir::spawn(scope, place.address(), way)).collect();
            let heir = heirs.iter().find(|heir| ptr::eq(heir.record, record)).unwrap_or(&heirs[0]);
            heir.enter();
            let occupant = place.occupants()[0];
            let drained = scope.spawn(|| place.drain(way.fences(), None));
            until(|| is_awaited(&occupant));
            linger();
            stop.is_lifted.store(true, Ordering::SeqCst);
            leaver.join().unwrap();
            linger();
            assert!(occupant.is_inside() && !drained.is_finished(), "woken by another's leave");
            heir.tell.send(()).unwrap();
            assert_eq!(drained.join().unwrap(), Ok(()));
        });
    }
}

/// The same, asked of the record: as long as a leave is not over, its report included, nobody else gets the record.
#[test]
fn a_late_leave_is_over_before_the_record_is_given_back() {
    for way in Way::all() {
        let (left, place) = (Place::new(), Place::new());
        let (tell, told) = mpsc::channel::<()>();
        let (record, leaver) = late_leaver(left.address(), way, move || {
            let _end = told.recv();
        });
        let occupant = left.occupants()[0];
        occupant.raise_alarm();
        way.fences().heavy(|| true).unwrap();
        while_unreported(&occupant, || {
            drop(tell);
            until(|| !occupant.is_inside());
            linger();
            // Whoever took it over would not be at his end, so this does not depend on who comes first.
            assert!(is_live(record) && record.transient.load(Ordering::Relaxed), "given back before the report");
            thread::scope(|scope| {
                let heirs: Vec<_> = (0..8).map(|_| Heir::spawn(scope, place.address(), way)).collect();
                assert!(!heirs.iter().any(|heir| ptr::eq(heir.record, record)), "handed on before the report");
            });
        });
        leaver.join().unwrap();
    }
}

enum Disk {}
impl Kind for Disk {
    const NAME: &'static str = "Disk";
}

/// A thread whose destructor for records has run is lent none for a mere question.
#[test]
fn asking_whether_one_is_inside_takes_no_record() {
    const THREADS: usize = 500;
    let _counting = COUNTING.lock();
    let arena: &'static Arena<Disk, (), ()> = Box::leak(Box::new(Arena::new(&Domain::new().unwrap()).unwrap()));
    let handle = arena.insert((), ()).unwrap();
    let before = registered();
    for _ in 0..THREADS {
        let (tell, told) = mpsc::channel();
        let ask = move || {
            let had = CURRENT.get().is_some();
            let answers = (arena.is_inside(handle), arena.may_join(handle));
            tell.send((had, answers, CURRENT.get().is_some())).unwrap();
        };
        at_the_end(move || drop(arena.enter(handle).unwrap()), ask);
        assert_eq!(told.recv(), Ok((false, (false, true), false)), "a record was taken, and nobody gives it back");
    }
    assert!(registered() - before < THREADS / 10, "{} records more", registered() - before);
    assert_eq!(arena.remove(handle), Ok(()));
}

/// Enters while its thread's destructors run: as often as a thread that goes on without fences, and more than one block holds.
/// Tells whether it was lent a record, and whether it has one still.
fn enter_late(address: usize) -> (bool, bool) {
    (0..2 * FEW).for_each(|_| enter(address).leave());
    let tickets: Vec<_> = (0..2 * CELLS).map(|_| enter(address)).collect();
    let lent = current().transient.load(Ordering::Relaxed);
    tickets.into_iter().rev().for_each(Ticket::leave);
    (lent, CURRENT.get().is_some())
}

/// A thread whose own destructor for records has run is lent one, and gives it back with the last ticket.
#[test]
fn a_record_that_was_lent_to_a_dying_thread_is_given_back() {
    const THREADS: usize = 300;
    let _counting = COUNTING.lock();
    let (place, before): (&'static Place, _) = (Box::leak(Box::new(Place::new())), registered());
    let mut lent = HashSet::new();
    for _ in 0..THREADS {
        let (tell, told) = mpsc::channel();
        let enter_late = move || tell.send(enter_late(place.address())).unwrap();
        at_the_end(|| _ = current(), enter_late);
        lent.insert(told.recv().unwrap());
    }
    assert_eq!(lent, HashSet::from([(true, false)]), "one was not lent, or was kept");
    assert!(registered() - before < THREADS / 10, "{} records more", registered() - before);
    assert!(place.occupants().is_empty());
    let registry = REGISTRY.read();
    assert!(registry.idle.iter().flat_map(|record| record.first.chain()).all(|block| duties(block) == 0));
}

/// A session that lives as long as its thread's last destructors has its block until then, and the record goes on from there.
#[test]
fn a_record_with_a_reserved_block_is_given_back_when_that_is() {
    for fences in [Fences::Symmetric, Fences::Asymmetric] {
        let (tell, told) = mpsc::channel();
        let (registers, registered) = mpsc::channel();
        let dying = thread::spawn(move || {
            WILL.set(None);
            let ticket = reserve(fences);
            registers.send(current()).unwrap();
            let unreserve = move || {
                let is_kept = CURRENT.get().is_some_and(is_live);
                ticket.leave();
                unreserve(ticket);
                tell.send((is_kept, CURRENT.get().is_some())).unwrap();
            };
            WILL.set(Some(Will(Box::new(unreserve))));
        });
        assert_eq!(told.recv(), Ok((true, false)));
        dying.join().unwrap();
        assert!(registered.recv().unwrap().is_empty());
    }
}

/// A thread that adds and removes objects among its last destructors, and is inside none, is told from the others without a
/// record that nobody would give back.
#[test]
fn a_thread_at_its_end_adds_and_removes_without_a_record() {
    const THREADS: usize = 300;
    let _counting = COUNTING.lock();
    let arena: &'static Arena<Disk, (), u8> = Box::leak(Box::new(Arena::new(&Domain::new().unwrap()).unwrap()));
    let before = registered();
    let mut numbers = HashSet::new();
    for n in 0..THREADS {
        let (tell, told) = mpsc::channel();
        let add_and_remove = move || {
            let removed = arena.remove(arena.insert((), n as u8).unwrap());
            tell.send((removed, own_number(), own_number(), CURRENT.get().is_some())).unwrap();
        };
        at_the_end(|| _ = current(), add_and_remove);
        let (removed, number, same, has_record) = told.recv().unwrap();
        assert_eq!((removed, same, has_record), (Ok(n as u8), number, false));
        assert!(numbers.insert(number) && number > RECORDS_LAST);
    }
    assert!(registered() - before < THREADS / 10, "{} records more", registered() - before);
}

/// A thread ends inside an object that it removes, with a guard that was forgotten. Who has waited for that removal is not left
/// waiting for a thread that has gone, and can take it up.
#[test]
fn a_removal_that_was_put_off_is_given_up_with_its_thread() {
    let mut arena: Arena<Disk, (), u8> = Arena::new(&Domain::new().unwrap()).unwrap();
    let handle = arena.insert((), 7).unwrap();
    let (tell, told) = mpsc::channel();
    thread::scope(|scope| {
        let (arena, tell) = (&arena, tell);
        let leaver = scope.spawn(move || {
            std::mem::forget(arena.enter(handle).unwrap());
            let mut leaving = arena.leave();
            leaving.mark(handle).unwrap();
            let tell = tell;
            leaving.defer(move |quiet| tell.send(quiet.unwrap().len()).unwrap());
        });
        leaver.join().unwrap();
        assert!(arena.has_given_up());
        assert_eq!(arena.join(handle), Err(RemoveError::Leaving));
        assert_eq!(arena.reap(), 0, "somebody is inside");
    });
    assert_eq!(told.try_recv(), Err(mpsc::TryRecvError::Disconnected), "not by its thread");
    arena.forget_guards();
    assert_eq!((arena.reap(), arena.len()), (1, 0));
}
