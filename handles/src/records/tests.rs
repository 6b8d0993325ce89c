//! The registry is the process's: other tests of this binary use it at the same time. So these look only at what they have put
//! there themselves, leave room for what others do, or run in a process of their own.

mod deferred;
mod few;
mod labelled;
pub(crate) mod late;
pub(crate) mod races;

use super::*;

use std::collections::HashSet;
use std::env;
use std::iter;
use std::process::Command;
use std::sync::atomic::AtomicBool;
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use crate::cells::CELLS;
use crate::cells::tests::{duties, is_awaited};
use crate::drain::{Marked, Under};
use crate::error::RemoveError;
use crate::fences::Strategy;
use crate::owned::Stays;

/// An address that nobody else stores: of a place that lives as long as the test.
struct Place(Box<[u64; 16]>);

impl Place {
    fn new() -> Self {
        Self(Box::default())
    }

    fn address(&self) -> usize {
        self.nth(0)
    }

    fn nth(&self, n: usize) -> usize {
        ptr::from_ref(&self.0[n]).addr()
    }

    fn range(&self) -> Range<usize> {
        self.nth(0)..self.nth(15) + 8
    }

    fn occupants(&self) -> Vec<Occupant> {
        occupants(|address| self.range().contains(&address))
    }

    fn enter(&self) -> Ticket {
        enter(self.address())
    }

    fn drain(&self, fences: Fences, deadline: Option<Instant>) -> Result<(), RemoveError> {
        let marked = Marked { addresses: &[self.address()], fences, stays: &Stays::default(), tally: None };
        marked.drain(deadline, |_| {}, || {})
    }

    fn drain_labelled(&self, labels: &[Label], fences: Fences, deadline: Option<Instant>) -> Result<(), RemoveError> {
        Under::look(self.address(), labels, fences, &Stays::default())?.wait(deadline, None)
    }
}

/// How a thread enters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    /// With a fence, in a domain whose removals issue no barrier.
    Symmetric,
    /// With a fence, as one who enters seldom.
    Fenced,
    /// Without, as one who enters often.
    Unfenced,
    /// With this entry, the thread begins to enter without a fence.
    Turning,
    /// With this entry, the thread takes a record.
    New,
}

impl Way {
    /// Those that the system allows.
    fn all() -> Vec<Way> {
        let asymmetric = [Way::Fenced, Way::Unfenced, Way::Turning, Way::New];
        iter::once(Way::Symmetric).chain(asymmetric.into_iter().filter(|_| has_barriers())).collect()
    }

    /// The domain's.
    fn fences(self) -> Fences {
        if self == Way::Symmetric { Fences::Symmetric } else { Fences::Asymmetric }
    }

    /// Has the calling thread, which is nowhere inside, enter this way next.
    fn prepare(self) {
        if self == Way::New {
            return hand_back(current());
        }
        let record = current();
        record.unfenced.store(false, Ordering::Release);
        FAST.set(First::NONE);
        record.entered.store(if self == Way::Fenced { 0 } else { FEW }, Ordering::Relaxed);
        if self == Way::Unfenced {
            enter(1 << 4).leave();
        }
    }

    fn enter(self, address: usize) -> Ticket {
        if self == Way::Symmetric { enter_fenced(address) } else { enter(address) }
    }

    fn enter_labelled(self, address: usize, label: Label) -> Ticket {
        let label = label.number();
        if self == Way::Symmetric { enter_labelled_fenced(address, label) } else { enter_labelled(address, label) }
    }
}

pub(crate) fn has_barriers() -> bool {
    Fences::settle(Strategy::Auto).unwrap() == Fences::Asymmetric
}

/// Runs a test in a process of its own, where nobody else has a record. `name` is the test's path in this module.
fn alone(name: &str, test: impl FnOnce()) {
    alone_in(module_path!(), name, test);
}

/// The same for a test of the module `of`.
fn alone_in(of: &str, name: &str, test: impl FnOnce()) {
    const ALONE: &str = "ENODEV_TEST_ALONE";
    if cfg!(miri) || env::var_os(ALONE).is_some() {
        return test();
    }
    let module = of.split_once("::").unwrap().1;
    let mut process = Command::new(env::current_exe().unwrap());
    process.args([&format!("{module}::{name}"), "--exact", "--nocapture"]).env(ALONE, "1");
    let output = process.output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && text.contains("1 passed"), "{text}{errors}");
}

/// A deadline so far off has not passed when a drain looks whether it has.
const A_WHILE: Duration = Duration::from_millis(200);

/// Held by the tests that count records, so that none counts another's.
static COUNTING: Mutex<()> = Mutex::new(());

fn registered() -> usize {
    let registry = REGISTRY.read();
    registry.live.len() + registry.idle.len()
}

fn is_live(record: &'static Record) -> bool {
    REGISTRY.read().live.iter().any(|live| ptr::eq(*live, record))
}

fn in_a_thread<T: Send>(run: impl FnOnce() -> T + Send) -> T {
    thread::scope(|scope| scope.spawn(run).join().unwrap())
}

#[test]
fn whoever_is_inside_is_seen_by_every_thread_until_he_leaves() {
    for way in Way::all() {
        in_a_thread(|| {
            let place = Place::new();
            way.prepare();
            let tickets = [0, 1].map(|n| way.enter(place.nth(n)));
            let found = in_a_thread(|| place.occupants());
            assert!(found.iter().map(Occupant::address).eq([place.nth(0), place.nth(1)]), "{way:?}");
            assert!(found.iter().all(|occupant| occupant.thread() == own_number()));
            tickets[0].leave();
            assert!(in_a_thread(|| place.occupants()) == [found[1]]);
            tickets[1].leave();
            assert!(in_a_thread(|| place.occupants()).is_empty());
        });
    }
}

/// More tickets than one block has cells, left in an order that has nothing to do with that of entering, and the cells
/// used again. They begin with fences and go on without.
#[test]
fn tickets_beyond_the_first_block_are_seen_and_left_like_others() {
    const TICKETS: usize = FEW as usize + 100;
    in_a_thread(|| {
        let place = Place::new();
        let enter = |n: usize| enter(place.nth(n % 16));
        let mut tickets: Vec<_> = (0..TICKETS).map(enter).collect();
        assert_eq!(place.occupants().len(), TICKETS);
        assert_eq!(in_a_thread(|| place.occupants().len()), TICKETS, "another thread sees them too");
        while let Some(ticket) = (!tickets.is_empty()).then(|| tickets.swap_remove(tickets.len() / 2)) {
            ticket.leave();
            assert_eq!(place.occupants().len(), tickets.len());
        }
        let blocks = || current().first.chain().count();
        let enter_and_leave = || (0..TICKETS).map(enter).collect::<Vec<_>>().into_iter().for_each(Ticket::leave);
        enter_and_leave();
        let before = blocks();
        enter_and_leave();
        assert_eq!(blocks(), before, "cells that were left are not used again");
    });
}

#[test]
fn a_thread_is_inside_what_it_has_entered_itself() {
    let (place, other) = (Place::new(), Place::new());
    let seen = in_a_thread(|| {
        assert!(!is_inside(|_| true));
        let ticket = place.enter();
        assert!(is_inside(|_| true));
        assert!(is_inside(|address| address == place.address()));
        assert!(!is_inside(|address| address == other.address()));
        assert!(!in_a_thread(|| is_inside(|_| true)), "another thread is not");
        ticket.leave();
        assert!(!is_inside(|_| true));
        place.occupants().len()
    });
    assert_eq!(seen, 0);
}

#[test]
fn a_record_is_handed_on_when_its_thread_has_ended() {
    const THREADS: usize = 2000;
    let _counting = COUNTING.lock();
    let before = registered();
    let place = Place::new();
    for _ in 0..THREADS {
        in_a_thread(|| place.enter().leave());
    }
    assert!(registered() - before < THREADS / 20, "{} records more", registered() - before);
    assert!(place.occupants().is_empty());
}

#[test]
fn what_a_drain_looks_at_follows_the_threads_alive() {
    const THREADS: usize = 200;
    let _counting = COUNTING.lock();
    let place = Place::new();
    let looked_at = || live(<[_]>::len).unwrap();
    let before = looked_at();
    thread::scope(|scope| {
        let (entered, is_entered) = mpsc::channel();
        let ends: Vec<_> = iter::repeat_with(mpsc::channel::<()>).take(THREADS).collect();
        let (ends, waits): (Vec<_>, Vec<_>) = ends.into_iter().unzip();
        for wait in waits {
            let (entered, place) = (entered.clone(), &place);
            scope.spawn(move || {
                let ticket = place.enter();
                entered.send(()).unwrap();
                let _ended = wait.recv();
                ticket.leave();
            });
        }
        assert_eq!(is_entered.iter().take(THREADS).count(), THREADS);
        assert!(looked_at() >= THREADS);
        assert_eq!(place.occupants().len(), THREADS);
        drop(ends);
    });
    // A scope ends before the destructors of its threads have run.
    while looked_at() > before + THREADS / 10 {
        thread::yield_now();
    }
    assert!(place.occupants().is_empty());
}

/// Has a thread enter and end without leaving. The last ticket lies beyond its first block.
fn forget_in_a_thread(place: &Place) -> &'static Record {
    let record = thread::spawn({
        let address = place.address();
        move || {
            let tickets: Vec<_> = (0..CELLS + 1).map(|_| enter(address)).collect();
            tickets[..CELLS].iter().for_each(|ticket| ticket.leave());
            current()
        }
    });
    record.join().unwrap()
}

#[test]
fn a_record_with_a_forgotten_ticket_is_not_handed_on_and_is_still_seen() {
    let place = Place::new();
    let record = forget_in_a_thread(&place);
    assert!(is_live(record));
    assert_eq!(place.occupants().len(), 1);
    let others: Vec<_> = (0..50).map(|_| thread::spawn(current).join().unwrap()).collect();
    assert!(!others.iter().any(|other| ptr::eq(*other, record)));
    assert_eq!(place.occupants().len(), 1);

    forget(&[place.range()]);
    assert!(place.occupants().is_empty());
    let others: Vec<_> = (0..50).map(|_| thread::spawn(current).join().unwrap()).collect();
    assert!(!others.iter().any(|other| ptr::eq(*other, record)), "only its owner could tell that its leaves are over");
}

#[test]
fn what_is_forgotten_lies_in_the_memory_that_goes_and_nowhere_else() {
    let (going, staying) = (Place::new(), Place::new());
    let tickets: Vec<_> = (0..10).map(|n| enter(staying.nth(n))).collect();
    for n in 0..10 {
        enter(going.nth(n));
    }
    let first_half = going.nth(0)..going.nth(5);
    forget(&[]);
    assert_eq!(going.occupants().len(), 10);
    forget(&[first_half, 8..16]);
    assert_eq!((going.occupants().len(), staying.occupants().len()), (5, 10));
    forget(&[8..16, going.range()]);
    assert_eq!((going.occupants().len(), staying.occupants().len()), (0, 10));
    tickets.into_iter().for_each(Ticket::leave);
    assert!(!is_inside(|address| going.range().contains(&address) || staying.range().contains(&address)));
}

/// What a session's block is for: it stays the session's between visits, also beyond the thread's destructor for records.
#[test]
fn a_reserved_block_is_nobody_elses_and_keeps_the_record() {
    for fences in [Fences::Symmetric, Fences::Asymmetric] {
        in_a_thread(|| {
            let place = Place::new();
            let sessions = [reserve(fences), reserve(fences)];
            assert!(!ptr::eq(sessions[0].block(), sessions[1].block()), "two sessions in one block");
            assert!(sessions.iter().all(|one| one.block().is_fenced() == (fences == Fences::Symmetric)));
            assert!(fences == Fences::Symmetric || current().is_unfenced(), "a session does not fence");
            let tickets: Vec<_> = (0..8 * CELLS).map(|_| Way::Symmetric.enter(place.address())).collect();
            let others: Vec<_> = (0..8 * CELLS).map(|_| place.enter()).collect();
            let is_taken = |ticket: &Ticket| sessions.iter().any(|session| ptr::eq(session.block(), ticket.block()));
            assert!(!tickets.iter().chain(&others).any(is_taken), "another ticket in a session's block");
            tickets.into_iter().chain(others).for_each(Ticket::leave);
            assert!(!current().is_empty(), "no cell is filled, and the blocks are in use");
            unreserve(sessions[0]);
            assert!(!current().is_empty());
            unreserve(sessions[1]);
            assert!(current().is_empty());
            let again = reserve(fences);
            assert!(
                sessions.iter().any(|session| ptr::eq(session.block(), again.block())),
                "a block is used once only"
            );
            unreserve(again);
        });
    }
}
