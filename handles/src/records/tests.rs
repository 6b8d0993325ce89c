//! The registry is the process's: other tests of this binary use it at the same time. So these look only at what they have put
//! there themselves, or leave room for what others do.

pub(super) mod late;
mod races;

use super::*;

use std::collections::HashSet;
use std::iter;
use std::sync::atomic::AtomicBool;
use std::sync::mpsc;
use std::thread;

use crate::drain::drain;
use crate::fences::Strategy;

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
}

fn fences() -> [Fences; 2] {
    [Strategy::Fence, Strategy::Auto].map(|strategy| Fences::settle(strategy).unwrap())
}

fn enter(place: &Place) -> Ticket {
    current().enter(place.address(), Fences::Symmetric)
}

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
fn whoever_is_inside_is_seen_until_he_leaves() {
    for fences in fences() {
        let place = Place::new();
        assert!(place.occupants().is_empty());
        let tickets: Vec<_> = (0..3).map(|n| current().enter(place.nth(n), fences)).collect();
        let found = place.occupants();
        assert_eq!(found.len(), 3);
        assert!(found.iter().all(Occupant::is_inside));
        tickets[1].leave();
        let inside = found.iter().map(|occupant| (occupant.address, occupant.is_inside()));
        assert!(inside.eq([(place.nth(0), true), (place.nth(1), false), (place.nth(2), true)]));
        tickets[0].leave();
        tickets[2].leave();
        assert!(!found.iter().any(Occupant::is_inside));
        assert!(place.occupants().is_empty());
    }
}

/// More tickets than one block has cells, left in an order that has nothing to do with that of entering, and the cells
/// used again.
#[test]
fn tickets_beyond_the_first_block_are_seen_and_left_like_others() {
    let place = Place::new();
    let enter = |n: usize| current().enter(place.nth(n % 16), Fences::Symmetric);
    let mut tickets: Vec<_> = (0..100).map(enter).collect();
    assert_eq!(place.occupants().len(), 100);
    assert_eq!(in_a_thread(|| place.occupants().len()), 100, "another thread sees them too");
    while let Some(ticket) = (!tickets.is_empty()).then(|| tickets.swap_remove(tickets.len() / 2)) {
        ticket.leave();
        assert_eq!(place.occupants().len(), tickets.len());
    }
    let blocks = current().first.chain().count();
    (0..100).map(enter).collect::<Vec<_>>().into_iter().for_each(Ticket::leave);
    assert_eq!(current().first.chain().count(), blocks, "cells that were left are not used again");
}

#[test]
fn a_thread_is_inside_what_it_has_entered_itself() {
    let (place, other) = (Place::new(), Place::new());
    let ticket = in_a_thread(|| {
        assert!(!is_inside(|_| true));
        let ticket = enter(&place);
        assert!(is_inside(|_| true));
        assert!(current().holds(|address| address == place.address()));
        assert!(!current().holds(|address| address == other.address()));
        assert!(!in_a_thread(|| is_inside(|_| true)), "another thread is not");
        ticket.leave();
        assert!(!is_inside(|_| true));
        place.occupants().len()
    });
    assert_eq!(ticket, 0);
}

#[test]
fn a_record_is_handed_on_when_its_thread_has_ended() {
    const THREADS: usize = 2000;
    let _counting = COUNTING.lock();
    let before = registered();
    let place = Place::new();
    for _ in 0..THREADS {
        in_a_thread(|| enter(&place).leave());
    }
    assert!(registered() - before < THREADS / 20, "{} records more", registered() - before);
    assert!(place.occupants().is_empty());
}

#[test]
fn what_a_drain_looks_at_follows_the_threads_alive() {
    const THREADS: usize = 200;
    let _counting = COUNTING.lock();
    let place = Place::new();
    let looked_at = || REGISTRY.read().live.len();
    let before = looked_at();
    thread::scope(|scope| {
        let (entered, is_entered) = mpsc::channel();
        let ends: Vec<_> = iter::repeat_with(mpsc::channel::<()>).take(THREADS).collect();
        let (ends, waits): (Vec<_>, Vec<_>) = ends.into_iter().unzip();
        for wait in waits {
            let (entered, place) = (entered.clone(), &place);
            scope.spawn(move || {
                let ticket = enter(place);
                entered.send(()).unwrap();
                let _ended = wait.recv();
                ticket.leave();
            });
        }
        assert_eq!(is_entered.iter().take(THREADS).count(), THREADS);
        assert!(looked_at() >= THREADS);
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
            let tickets: Vec<_> = (0..CELLS + 1).map(|_| current().enter(address, Fences::Symmetric)).collect();
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
    let tickets: Vec<_> = (0..10).map(|n| current().enter(staying.nth(n), Fences::Symmetric)).collect();
    for n in 0..10 {
        current().enter(going.nth(n), Fences::Symmetric);
    }
    let first_half = going.nth(0)..going.nth(5);
    forget(&[]);
    assert_eq!(going.occupants().len(), 10);
    forget(&[first_half, 8..16]);
    assert_eq!((going.occupants().len(), staying.occupants().len()), (5, 10));
    forget(&[8..16, going.range()]);
    assert_eq!((going.occupants().len(), staying.occupants().len()), (0, 10));
    assert!(tickets.iter().all(|ticket| ticket.cell().load(Ordering::Relaxed) != 0));
    tickets.into_iter().for_each(Ticket::leave);
    assert!(!current().holds(|address| going.range().contains(&address) || staying.range().contains(&address)));
}

#[test]
fn a_wait_ends_at_its_deadline_or_when_the_occupant_has_left() {
    let place = Place::new();
    let ticket = enter(&place);
    let occupant = place.occupants()[0];
    occupant.raise_alarm();
    let past = Instant::now();
    assert!(!occupant.wait(Some(past)), "the occupant is inside");
    ticket.leave();
    assert!(occupant.wait(Some(past)));
    assert!(occupant.wait(None));
    occupant.lower_alarm();
}

/// Several who wait for several occupants of one block, and a leaver that finds the alarm raised by all of them.
#[test]
fn a_leave_wakes_all_who_wait_for_it_and_nobody_else() {
    for fences in fences() {
        for _ in 0..100 {
            let place = Place::new();
            let tickets = [0, 1].map(|n| current().enter(place.nth(n), fences));
            let found = place.occupants();
            let left = AtomicBool::new(false);
            let waits = |occupant: Occupant| {
                occupant.raise_alarm();
                fences.heavy().unwrap();
                assert!(occupant.wait(None));
                occupant.lower_alarm();
            };
            thread::scope(|scope| {
                let first = [scope.spawn(|| waits(found[0])), scope.spawn(|| waits(found[0]))];
                let second = scope.spawn(|| {
                    waits(found[1]);
                    assert!(left.load(Ordering::SeqCst), "woken by another's leave");
                });
                tickets[0].leave();
                first.into_iter().for_each(|thread| thread.join().unwrap());
                left.store(true, Ordering::SeqCst);
                tickets[1].leave();
                second.join().unwrap();
            });
            assert_eq!(found[0].block.alarm.load(Ordering::Relaxed) & !FENCED, 0, "an alarm was left raised");
        }
    }
}

/// The owner leaves the cell and at once fills it again with the same address, as a reader with a stale handle does. One leave
/// is enough for who waits: whether or not he finds the cell full whenever he looks.
#[test]
fn one_leave_is_enough_though_the_cell_be_filled_again() {
    for fences in fences() {
        let place = Place::new();
        let mut ticket = current().enter(place.address(), fences);
        let occupant = place.occupants()[0];
        occupant.raise_alarm();
        fences.heavy().unwrap();
        thread::scope(|scope| {
            let waiting = scope.spawn(move || occupant.wait(None));
            while !waiting.is_finished() {
                // From here until the lock is free, the waiter sees nothing but a full cell, and the count.
                let departures = occupant.block.departures.lock();
                ticket.cell().store(0, Ordering::Release);
                let again = current().enter(place.address(), fences);
                assert!(ptr::eq(again.cell(), ticket.cell()));
                drop(departures);
                ticket.report();
                ticket = again;
            }
            assert!(waiting.join().unwrap());
        });
        occupant.lower_alarm();
        ticket.leave();
    }
}

#[test]
fn a_leave_is_counted_for_its_own_cell_and_only_while_the_alarm_is_up() {
    in_a_thread(|| {
        let place = Place::new();
        let tickets = [0, 1, 2].map(|n| current().enter(place.nth(n), Fences::Symmetric));
        let counts = || *tickets[0].block().departures.lock();
        let before = counts();
        tickets[0].leave();
        assert_eq!(counts(), before, "nobody waits");
        let occupant = place.occupants()[0];
        occupant.raise_alarm();
        tickets[2].leave();
        occupant.lower_alarm();
        let mut after = before;
        after[2] = after[2].wrapping_add(1);
        assert_eq!(counts(), after);
        tickets[1].leave();
        assert_eq!(counts(), after);
    });
}

/// Enters while its thread's destructors run.
struct Late(usize, mpsc::Sender<(bool, bool)>);

impl Drop for Late {
    fn drop(&mut self) {
        let tickets: Vec<_> = (0..2 * CELLS).map(|_| current().enter(self.0, Fences::Symmetric)).collect();
        let lent = current().transient.load(Ordering::Relaxed);
        tickets.into_iter().rev().for_each(Ticket::leave);
        self.1.send((lent, CURRENT.get().is_some())).unwrap();
    }
}

thread_local! {
    static LATE: Cell<Option<Late>> = const { Cell::new(None) };
}

/// A thread whose own destructor for records has run is lent one, and gives it back with the last ticket.
#[test]
fn a_record_that_was_lent_to_a_dying_thread_is_given_back() {
    const THREADS: usize = 300;
    let _counting = COUNTING.lock();
    let (place, before) = (Place::new(), registered());
    let mut lent = HashSet::new();
    for _ in 0..THREADS {
        let (sender, receiver) = mpsc::channel();
        let late = Late(place.address(), sender);
        let dying = thread::spawn(move || {
            LATE.set(Some(late));
            // The record's destructor is set up after the other, and so runs before it.
            current();
        });
        lent.insert(receiver.recv().unwrap());
        dying.join().unwrap();
    }
    assert_eq!(lent, HashSet::from([(true, false)]), "one was not lent, or was kept");
    assert!(registered() - before < THREADS / 10, "{} records more", registered() - before);
    assert!(place.occupants().is_empty());
    let registry = REGISTRY.read();
    let raised = registry.idle.iter().flat_map(|record| record.first.chain());
    assert_eq!(raised.filter(|block| block.alarm.load(Ordering::Relaxed) & !FENCED != 0).count(), 0);
}
