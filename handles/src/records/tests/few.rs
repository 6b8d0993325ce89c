//! Threads that enter seldom fence for themselves, and spare removals the barrier.

use super::*;

use crate::cells::tests::alarm;
use crate::fences::tests::barriers;

#[test]
fn a_thread_fences_as_it_enters_its_first_few_objects_and_no_longer() {
    in_a_thread(|| {
        let place = Place::new();
        for n in 0..FEW {
            let ticket = place.enter();
            assert!(ticket.block().is_fenced() && !current().is_unfenced(), "after {n}");
            assert_eq!(alarm(ticket), FENCED, "a leave of it would not fence");
            ticket.leave();
        }
        for _ in 0..3 {
            let tickets = [(); CELLS + 1].map(|()| place.enter());
            assert!(!tickets.iter().any(|ticket| ticket.block().is_fenced()) && current().is_unfenced());
            assert_eq!(tickets.map(alarm), [0; CELLS + 1]);
            tickets.into_iter().for_each(Ticket::leave);
        }
    });
}

#[test]
fn where_removals_issue_no_barrier_every_entry_is_fenced() {
    in_a_thread(|| {
        let place = Place::new();
        (0..=FEW).for_each(|_| place.enter().leave());
        assert!(current().is_unfenced());
        let tickets = [enter_fenced(place.nth(0)), enter_labelled_fenced(place.nth(1), 1)];
        assert!(tickets.iter().all(|ticket| ticket.block().is_fenced()));
        tickets.into_iter().for_each(Ticket::leave);
        let ticket = enter_labelled(place.nth(1), 1);
        assert!(!ticket.block().is_fenced());
        ticket.leave();
    });
}

/// The other side of the same: whoever has a record after another thread begins as that one did.
#[test]
fn a_record_that_is_handed_on_begins_with_fences_again() {
    alone("few::a_record_that_is_handed_on_begins_with_fences_again", || {
        let enter_often = |place: &Place| {
            assert!(!current().is_unfenced() && place.occupants().is_empty());
            let ticket = place.enter();
            assert!(ticket.block().is_fenced());
            ticket.leave();
            (1..=FEW).for_each(|_| place.enter().leave());
            assert!(current().is_unfenced());
            own_number()
        };
        // Not scoped: joined when its destructors have run.
        let in_its_own = || thread::spawn(move || enter_often(&Place::new())).join().unwrap();
        let first = in_its_own();
        assert!((0..10).all(|_| in_its_own() == first), "the record was not handed on");
        assert_eq!(registered(), 1);
    });
}

/// A thread that does what it is told.
struct Reader {
    tell: mpsc::Sender<Box<dyn FnOnce() + Send>>,
    done: mpsc::Receiver<()>,
    thread: thread::JoinHandle<()>,
}

impl Reader {
    fn spawn() -> Self {
        let ((tell, told), (finished, done)) = (mpsc::channel::<Box<dyn FnOnce() + Send>>(), mpsc::channel());
        let thread = thread::spawn(move || {
            for task in told {
                task();
                finished.send(()).unwrap();
            }
        });
        Self { tell, done, thread }
    }

    fn run(&self, task: impl FnOnce() + Send + 'static) {
        self.tell.send(Box::new(task)).unwrap();
        self.done.recv().unwrap();
    }

    fn end(self) {
        drop(self.tell);
        self.thread.join().unwrap();
    }
}

thread_local! {
    static HELD: Cell<Option<Ticket>> = const { Cell::new(None) };
}

#[test]
fn a_removal_issues_a_barrier_only_if_another_thread_may_be_inside_without_having_fenced() {
    alone("few::a_removal_issues_a_barrier_only_if_another_thread_may_be_inside_without_having_fenced", || {
        if !has_barriers() {
            return;
        }
        let place: &'static Place = Box::leak(Box::new(Place::new()));
        let other: &'static Place = Box::leak(Box::new(Place::new()));
        let hold = || HELD.set(Some(place.enter()));
        let release = || HELD.take().unwrap().leave();
        let drained = |place: &Place| barriers(|| assert_eq!(place.drain(Fences::Asymmetric, None), Ok(())));
        let timed_out_at = |deadline: Instant| {
            let drain = || place.drain(Fences::Asymmetric, Some(deadline));
            barriers(|| assert_eq!(drain(), Err(RemoveError::TimedOut)))
        };
        // It goes to sleep.
        let timed_out = || timed_out_at(Instant::now() + A_WHILE);

        assert_eq!(drained(place), 0, "nobody else has a record");
        let readers = [Reader::spawn(), Reader::spawn()];
        readers.iter().for_each(|reader| reader.run(hold));
        assert_eq!(drained(other), 0, "all who have one fence");
        assert_eq!(timed_out(), 0, "as do those for whom it sleeps");
        readers.iter().for_each(|reader| reader.run(release));

        readers[0].run(|| (0..FEW).for_each(|_| other.enter().leave()));
        assert_eq!(drained(place), 1);
        readers[1].run(hold);
        assert_eq!(timed_out(), 1, "those for whom it sleeps fence");
        readers[1].run(release);
        readers[0].run(hold);
        assert_eq!(timed_out(), 2);
        assert_eq!(timed_out_at(Instant::now()), 1, "it only looks");
        readers[0].run(release);
        let fenced = || assert_eq!(place.drain(Fences::Symmetric, None), Ok(()));
        assert_eq!(barriers(fenced), 0, "of a domain without");

        let [first, second] = readers;
        first.end();
        assert_eq!(drained(place), 0, "the one who did not fence has gone");
        (0..=FEW).for_each(|_| other.enter().leave());
        assert!(current().is_unfenced());
        assert_eq!(drained(place), 0, "a remover knows what it has done itself");
        second.end();
    });
}

/// Each thread knows the live records by heart, and notices when that has changed.
#[test]
fn a_record_that_is_new_is_seen_by_a_thread_that_knows_the_others() {
    let place: &'static Place = Box::leak(Box::new(Place::new()));
    let mut readers = Vec::new();
    for n in 0..20 {
        assert_eq!(place.occupants().len(), n);
        assert_eq!(live(|records| records.iter().filter(|record| holds(record, place)).count()), Some(n));
        readers.push(Reader::spawn());
        readers[n].run(|| HELD.set(Some(place.enter())));
    }
    for n in (0..20).rev() {
        let reader = readers.swap_remove(0);
        reader.run(|| HELD.take().unwrap().leave());
        assert_eq!(place.occupants().len(), n);
        reader.end();
    }
}

fn holds(record: &'static Record, place: &Place) -> bool {
    let mut found = Vec::new();
    record.occupants(&|address| place.range().contains(&address), &mut found);
    !found.is_empty()
}

/// While a thread looks at the records it may be asked for them again.
#[test]
fn a_look_within_a_look_finds_the_same() {
    let place = Place::new();
    let ticket = place.enter();
    let found = live(|records| {
        let outer = records.iter().filter(|record| holds(record, &place)).count();
        (outer, place.occupants().len())
    });
    assert_eq!(found, Some((1, 1)));
    ticket.leave();
}
