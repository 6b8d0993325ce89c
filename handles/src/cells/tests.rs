//! Cells of blocks that no record knows of, and what other tests may see of cells.

use super::*;

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::task::Wake;
use std::thread;
use std::time::Instant;

use crate::fences::Strategy;

/// The alarm of a ticket's cell.
pub(crate) fn alarm(ticket: Ticket) -> u32 {
    ticket.cell().alarm.load(Ordering::Relaxed)
}

/// Whether a remover has said that it waits for an occupant, and nobody has left since.
pub(crate) fn is_awaited(occupant: &Occupant) -> bool {
    occupant.cell.alarm.load(Ordering::Relaxed) & AWAITED != 0
}

/// How many leaves of an occupant's cell have been reported.
pub(crate) fn departures(occupant: &Occupant) -> u32 {
    occupant.block.lobby.lock().departures[occupant.cell.index as usize]
}

/// What a block's owner has still to do as it leaves.
pub(crate) fn duties(block: &Block) -> u32 {
    block.cells.iter().fold(0, |bits, cell| bits | cell.alarm.load(Ordering::Relaxed) & (TRANSIENT | DEFERRED))
}

/// Runs `run` while no leave of the block that an occupant is in can be reported.
pub(crate) fn while_unreported<R>(occupant: &Occupant, run: impl FnOnce() -> R) -> R {
    let _lobby = occupant.block.lobby.lock();
    run()
}

/// Wakes who sleeps until somebody leaves the block, and tells how many that are.
pub(crate) fn wake_sleepers(block: &Block) -> usize {
    // Whoever looks under the lock now is asleep then.
    drop(block.lobby.lock());
    block.departed.notify_all()
}

const BITS: [u32; 2] = [0, FENCED];

fn block(bits: u32) -> &'static Block {
    Box::leak(Box::new(Block::new(7, bits)))
}

fn enter(block: &'static Block, address: usize) -> Ticket {
    let ticket = block.free_cell(block.is_fenced()).unwrap();
    ticket.fill(address);
    ticket
}

fn occupants(block: &'static Block) -> Vec<Occupant> {
    let mut found = Vec::new();
    block.occupants(|_| true, &mut found);
    found
}

/// What orders a remover's raise before its next look, whoever is inside.
fn fence() {
    Fences::settle(Strategy::Auto).unwrap().heavy(|| true).unwrap();
}

#[test]
fn whoever_is_inside_is_seen_until_he_leaves() {
    for bits in BITS {
        let block = block(bits);
        let tickets = [8, 16, 24].map(|address| enter(block, address));
        let found = occupants(block);
        assert!(found.iter().map(Occupant::address).eq([8, 16, 24]));
        assert!(found.iter().all(|occupant| occupant.thread() == 7 && occupant.is_fenced() == (bits == FENCED)));
        tickets[1].leave();
        assert!(found.iter().map(Occupant::is_inside).eq([true, false, true]));
        assert!(occupants(block) == [found[0], found[2]]);
        tickets[0].leave();
        tickets[2].leave();
        assert!(block.is_empty() && !found.iter().any(Occupant::is_inside));
    }
}

#[test]
fn only_those_who_are_asked_for_are_found() {
    let block = block(0);
    let _tickets = [8, 16, 8].map(|address| enter(block, address));
    let mut found = Vec::new();
    block.occupants(|address| address == 8, &mut found);
    assert!(found == [occupants(block)[0], occupants(block)[2]]);
}

#[test]
fn a_ticket_leads_to_its_cell_and_its_block() {
    let block = block(0);
    for n in 0..CELLS {
        let ticket = Ticket::new(block, n);
        assert!(ptr::eq(ticket.cell(), &block.cells[n]) && ptr::eq(ticket.block(), block));
    }
}

#[test]
fn a_block_gives_its_free_cells_to_whom_it_is_for_unless_it_is_reserved() {
    for bits in BITS {
        let block = block(bits);
        let is_given = |fenced| block.free_cell(fenced).is_some();
        assert_eq!([is_given(false), is_given(true)], [bits == 0, bits == FENCED]);
        block.reserve(true);
        assert!(!is_given(false) && !is_given(true) && !block.is_empty());
        block.reserve(false);
        let tickets = [8; CELLS].map(|address| enter(block, address));
        assert!(!is_given(false) && !is_given(true));
        tickets[2].leave();
        assert_eq!(block.free_cell(bits == FENCED).map(Ticket::index), Some(2));
    }
    assert!(FULL.free_cell(false).is_none() && !FULL.cells.iter().any(Cell::is_free));
}

#[test]
fn a_label_is_of_its_own_stay_and_no_part_of_the_address() {
    let block = block(0);
    let ticket = enter(block, 64);
    assert_eq!(occupants(block)[0].label(), 0);
    ticket.leave();
    ticket.fill_labelled(block, 0, 64, 5);
    let labelled = occupants(block)[0];
    assert_eq!((labelled.label(), labelled.address(), block.cells[0].own_address()), (5, 64, 64));
    ticket.leave();
    ticket.fill(64);
    assert_eq!(occupants(block)[0].label(), 0, "the label of the stay before");
    assert!(!labelled.is_inside(), "a stay without a label is another one");
}

/// The one that is looked for is told from those who come after it into the cell, under the same label or another, also where the
/// numbers of stays begin anew.
#[test]
fn a_stay_under_a_label_is_told_from_the_next_one_in_its_cell() {
    let [show, store] = ["cells-show", "cells-store"].map(Label::new);
    let block = block(0);
    for before in [0, u32::MAX - 1, u32::MAX] {
        block.stays[0].store(before, Ordering::Relaxed);
        let ticket = Ticket::new(block, 0);
        let fill = |label: Label| ticket.fill_labelled(block, 0, 64, label.number());
        fill(show);
        let whoever = occupants(block)[0];
        let this = whoever.under(&[store, show]).unwrap();
        assert!(this.is_inside() && this != whoever);
        assert!(whoever.under(&[store]).is_none() && whoever.under(&[]).is_none());
        ticket.leave();
        assert!(!this.is_inside());
        fill(show);
        assert!(!this.is_inside() && whoever.is_inside());
        ticket.leave();
        fill(store);
        assert!(!this.is_inside() && occupants(block)[0].under(&[show]).is_none());
        ticket.leave();
        fill(Label::NONE);
        assert!(occupants(block)[0].under(&[show, store, Label::NONE]).is_none());
        ticket.leave();
        ticket.fill(64);
        assert!(occupants(block)[0].under(&[show, store, Label::NONE]).is_none());
        ticket.leave();
    }
}

#[test]
fn only_the_cells_that_are_meant_are_forgotten() {
    let block = block(0);
    for address in [8, 16] {
        enter(block, address);
    }
    block.cells[2].address.store(24 | LABELLED, Ordering::Relaxed);
    block.cells.iter().for_each(|cell| cell.forget(|address| address == 24 || address == 8));
    assert!(occupants(block).iter().map(Occupant::address).eq([16]));
}

#[test]
fn a_wait_ends_at_its_deadline_or_when_the_occupant_has_left() {
    for bits in BITS {
        let block = block(bits);
        let ticket = enter(block, 8);
        let occupant = occupants(block)[0];
        let report = occupant.raise_alarm();
        let past = Instant::now();
        assert!(!occupant.wait(report, Some(past)), "the occupant is inside");
        assert_eq!(alarm(ticket), bits | AWAITED);
        ticket.leave();
        assert!(occupant.wait(report, Some(past)));
        assert!(occupant.wait(report, None));
        assert_eq!(alarm(ticket), bits);
    }
}

/// Several who wait for several occupants of one block, and a leaver that finds the alarm raised by all of them.
#[test]
fn a_leave_wakes_all_who_wait_for_it_and_nobody_else() {
    for bits in BITS {
        for _ in 0..100 {
            let block = block(bits);
            let tickets = [8, 16].map(|address| enter(block, address));
            let found = occupants(block);
            let left = AtomicBool::new(false);
            let waits = |occupant: Occupant| {
                let report = occupant.raise_alarm();
                fence();
                assert!(occupant.wait(report, None));
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
            // Who came too late has left an alarm, which the next leave takes away.
            tickets.into_iter().for_each(Ticket::leave);
            assert_eq!(found.iter().filter(|one| is_awaited(one)).count(), 0, "an alarm was left raised");
        }
    }
}

/// The owner leaves the cell and at once fills it again with the same address, as a reader with a stale handle does. One leave
/// is enough for who waits: whether or not he finds the cell full whenever he looks.
#[test]
fn one_leave_is_enough_though_the_cell_be_filled_again() {
    for bits in BITS {
        let block = block(bits);
        let ticket = enter(block, 8);
        let occupant = occupants(block)[0];
        let report = occupant.raise_alarm();
        fence();
        thread::scope(|scope| {
            let waiting = scope.spawn(move || occupant.wait(report, None));
            while !waiting.is_finished() {
                // From here until the lock is free, the waiter sees nothing but a full cell, and the count.
                let lobby = block.lobby.lock();
                ticket.cell().address.store(0, Ordering::Release);
                ticket.fill(8);
                drop(lobby);
                ticket.report();
            }
            assert!(waiting.join().unwrap());
        });
        ticket.leave();
    }
}

/// A remover raises the alarm, and before it sleeps the one it has seen leaves and a stale reader comes into the cell: with the
/// alarm gone nobody would report that one's leave, so the remover must not wait for it.
#[test]
fn who_left_between_the_alarm_and_the_sleep_is_not_waited_for_though_the_cell_be_filled_again() {
    for bits in BITS {
        let block = block(bits);
        let ticket = enter(block, 8);
        let occupant = occupants(block)[0];
        let reports = [occupant.raise_alarm(), occupant.raise_alarm()];
        ticket.leave();
        ticket.fill(8);
        assert!(occupant.is_inside());
        assert!(reports.into_iter().all(|report| occupant.wait(report, Some(Instant::now()))));
        assert!(!occupant.wake(reports[0], &Waker::from(Arc::new(Called(AtomicUsize::new(0))))));
    }
}

#[test]
fn a_leave_is_counted_for_its_own_cell_and_only_while_its_own_alarm_is_up() {
    for bits in BITS {
        let block = block(bits);
        let tickets = [8, 16, 24].map(|address| enter(block, address));
        let counts = || block.lobby.lock().departures;
        tickets[0].leave();
        assert_eq!(counts(), [0; CELLS], "nobody waits");
        let found = occupants(block);
        assert_eq!([found[1].raise_alarm(), found[1].raise_alarm()], [0; 2]);
        tickets[1].leave();
        assert_eq!(counts(), [0; CELLS], "nobody waits for this cell");
        tickets[2].leave();
        tickets[2].leave();
        assert_eq!(counts(), [0, 0, 1, 0], "one leave is what all wait for");
        assert_eq!(found[1].raise_alarm(), 1);
    }
}

struct Called(AtomicUsize);

impl Wake for Called {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

#[test]
fn a_waker_is_called_once_by_the_leave_that_comes_after_it_was_left() {
    for bits in BITS {
        let block = block(bits);
        let called = Arc::new(Called(AtomicUsize::new(0)));
        let (waker, calls) = (Waker::from(Arc::clone(&called)), || called.0.load(Ordering::Relaxed));
        let tickets = [8, 16].map(|address| enter(block, address));
        let found = occupants(block);
        let report = found[0].raise_alarm();
        assert!(found[0].wake(report, &waker) && found[0].wake(report, &waker));
        tickets[1].leave();
        assert_eq!(calls(), 0, "nobody waits for this cell");
        tickets[0].leave();
        assert_eq!(calls(), 1);
        assert!(!found[0].wake(report, &waker), "there is nobody to wait for");
        tickets[0].leave();
        assert_eq!(calls(), 1, "the waker was kept");
    }
}

#[test]
fn blocks_are_added_once_and_found_in_a_row() {
    let first = block(0);
    let second = first.extend(FENCED);
    assert!(ptr::eq(first.extend(0), second), "there is one already");
    let third = second.extend(0);
    assert!(first.chain().map(ptr::from_ref).eq([first, second, third].map(ptr::from_ref)));
    assert!(first.chain().all(|block| block.owner() == 7));
    assert!(first.chain().map(Block::is_fenced).eq([false, true, false]));
}
