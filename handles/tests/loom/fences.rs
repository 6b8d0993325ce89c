//! The race that every drain rests on, alone: two threads store to one word each and then load the other's.

use std::sync::Arc;

use enodev_handles::sync::atomic::{AtomicUsize, Ordering, fence};
use enodev_handles::sync::thread;

use crate::check;

/// The reader fills its cell and looks for the mark; the remover marks and looks into the cell. Fails where the reader is let in
/// and the remover does not see it.
fn enter_against_mark(reader_fences: bool, remover_fences: bool) {
    check(move || {
        let words = Arc::new([AtomicUsize::new(0), AtomicUsize::new(0)]);
        let side = |mine: usize, fences: bool| {
            let words = Arc::clone(&words);
            move || {
                words[mine].store(1, Ordering::Release);
                if fences {
                    fence(Ordering::SeqCst);
                }
                words[1 - mine].load(Ordering::Acquire) == 1
            }
        };
        let reader = thread::spawn(side(0, reader_fences));
        let sees_cell = side(1, remover_fences)();
        let sees_mark = reader.join().unwrap();
        assert!(sees_mark || sees_cell, "let in, and not seen");
    });
}

#[test]
fn of_two_that_fence_one_sees_the_other() {
    enter_against_mark(true, true);
}

#[test]
#[should_panic(expected = "let in, and not seen")]
fn a_reader_that_does_not_fence_is_not_seen() {
    enter_against_mark(false, true);
}

#[test]
#[should_panic(expected = "let in, and not seen")]
fn a_remover_that_does_not_fence_sees_nobody() {
    enter_against_mark(true, false);
}

/// A reader says that it will not fence any more, fences once, and goes on; a remover that does not know it yet issues no
/// barrier. Fails where the reader is let in, and the remover neither sees it nor knows that it has to issue a barrier.
fn stop_fencing_against_mark(fences: bool) {
    check(move || {
        let [mark, unfenced, cell] = [(); 3].map(|()| Arc::new(AtomicUsize::new(0)));
        let reader = thread::spawn({
            let (mark, unfenced, cell) = (Arc::clone(&mark), Arc::clone(&unfenced), Arc::clone(&cell));
            move || {
                unfenced.store(1, Ordering::Release);
                if fences {
                    fence(Ordering::SeqCst);
                }
                cell.store(1, Ordering::Release);
                mark.load(Ordering::Acquire) == 1
            }
        });
        mark.store(1, Ordering::Release);
        fence(Ordering::SeqCst);
        let is_known = unfenced.load(Ordering::Acquire) == 1;
        let sees_cell = cell.load(Ordering::Acquire) == 1;
        let sees_mark = reader.join().unwrap();
        assert!(sees_mark || sees_cell || is_known, "let in, and not seen");
    });
}

#[test]
fn who_stops_fencing_is_known_for_it_or_sees_the_mark() {
    stop_fencing_against_mark(true);
}

#[test]
#[should_panic(expected = "let in, and not seen")]
fn who_stops_fencing_without_a_last_fence_is_not_seen() {
    stop_fencing_against_mark(false);
}
