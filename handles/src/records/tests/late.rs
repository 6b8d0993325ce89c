//! Threads whose destructor for records has run, and that hold a ticket, or ask for one, all the same.

use super::*;

use crate::arena::Arena;
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
pub(in crate::records) fn stop() {
    let Some(stop) = STOP.take() else { return };
    stop.is_reached.store(true, Ordering::SeqCst);
    until(|| stop.is_lifted.load(Ordering::SeqCst));
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
    fences: Fences,
    may_leave: impl FnOnce() + Send + 'static,
) -> (&'static Record, thread::JoinHandle<()>) {
    let (tell, told) = mpsc::channel();
    let leaver = thread::spawn(move || {
        WILL.set(None);
        let ticket = current().enter(address, fences);
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
    fn spawn<'s>(scope: &'s thread::Scope<'s, '_>, address: usize, fences: Fences) -> Self {
        let ((tell, told), (enters, entered)) = (mpsc::channel(), mpsc::channel());
        let (registers, registered) = mpsc::channel();
        scope.spawn(move || {
            registers.send(current()).unwrap();
            if told.recv().is_ok() {
                let ticket = current().enter(address, fences);
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

/// S2-6: a thread is in the middle of leaving one object while its destructors run; other threads come and go, one of them
/// enters another object, and a drain of that one sleeps. That the first thread then finishes its leave does not wake the
/// drain, which returns when the second has left and no sooner.
#[test]
fn a_late_leave_never_ends_the_drain_of_another_object() {
    for fences in fences() {
        let (left, place) = (Place::new(), Place::new());
        let stop: &'static Stop = Box::leak(Box::default());
        let (record, leaver) = late_leaver(left.address(), fences, || STOP.set(Some(stop)));
        until(|| stop.is_reached.load(Ordering::SeqCst));
        assert!(left.occupants().is_empty(), "its cell is empty");
        // Whoever ends could hand the record on.
        in_a_thread(|| enter(&place).leave());
        thread::scope(|scope| {
            let heirs: Vec<_> = (0..8).map(|_| Heir::spawn(scope, place.address(), fences)).collect();
            let heir = heirs.iter().find(|heir| ptr::eq(heir.record, record)).unwrap_or(&heirs[0]);
            heir.enter();
            let occupant = place.occupants()[0];
            let drained = scope.spawn(|| drain(fences, &[place.address()], None));
            until(|| occupant.block.alarm.load(Ordering::Relaxed) & !(FENCED | TRANSIENT) != 0);
            linger();
            stop.is_lifted.store(true, Ordering::SeqCst);
            leaver.join().unwrap();
            linger();
            assert!(occupant.is_inside() && !drained.is_finished(), "woken by another's leave");
            heir.tell.send(()).unwrap();
            assert_eq!(drained.join().unwrap(), Ok(true));
        });
    }
}

/// The same, asked of the record: as long as a leave is not over, its report included, nobody else gets the record.
#[test]
fn a_late_leave_is_over_before_the_record_is_given_back() {
    for fences in fences() {
        let (left, place) = (Place::new(), Place::new());
        let (tell, told) = mpsc::channel::<()>();
        let (record, leaver) = late_leaver(left.address(), fences, move || {
            let _end = told.recv();
        });
        let occupant = left.occupants()[0];
        occupant.raise_alarm();
        fences.heavy().unwrap();
        // The report waits for this lock.
        let departures = occupant.block.departures.lock();
        drop(tell);
        until(|| !occupant.is_inside());
        linger();
        // Whoever took it over would not be at his end, so this does not depend on who comes first.
        assert!(is_live(record) && record.transient.load(Ordering::Relaxed), "given back before the report");
        thread::scope(|scope| {
            let heirs: Vec<_> = (0..8).map(|_| Heir::spawn(scope, place.address(), fences)).collect();
            assert!(!heirs.iter().any(|heir| ptr::eq(heir.record, record)), "handed on before the report");
        });
        drop(departures);
        leaver.join().unwrap();
        occupant.lower_alarm();
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
        let dying = thread::spawn(move || {
            WILL.set(None);
            drop(arena.enter(handle).unwrap());
            let will = move || {
                let had = CURRENT.get().is_some();
                let answers = (arena.is_inside(handle), arena.may_join(handle));
                tell.send((had, answers, CURRENT.get().is_some())).unwrap();
            };
            WILL.set(Some(Will(Box::new(will))));
        });
        assert_eq!(told.recv(), Ok((false, (false, true), false)), "a record was taken, and nobody gives it back");
        dying.join().unwrap();
    }
    assert!(registered() - before < THREADS / 10, "{} records more", registered() - before);
    assert_eq!(arena.remove(handle), Ok(()));
}
