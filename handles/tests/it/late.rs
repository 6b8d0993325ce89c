//! What a thread is told of itself while its destructors run: that it is inside what it is inside of, and pinned where it is
//! pinned.
//!
//! A thread-local that is set up before the thread first uses the crate is destroyed after the crate's own.

use std::cell::Cell;
use std::sync::mpsc;
use std::thread;

use enodev_handles::{Active, Arena, Handle, RemoveError, Strategy};

use crate::common::{Disk, STRATEGIES, disks};

type Disks = Arena<Disk, (), u32>;

/// Run as it is dropped, on its own thread.
struct Will(Option<Box<dyn FnOnce()>>);

impl Drop for Will {
    fn drop(&mut self) {
        if let Some(will) = self.0.take() {
            will();
        }
    }
}

thread_local! {
    static WILL: Cell<Will> = const { Cell::new(Will(None)) };
}

/// On a thread of its own: runs `live`, and what that returns among the last destructors. The answer comes from there, where
/// a panic would end the process.
pub(crate) fn at_the_end<T: Send + 'static, W: FnOnce() -> T + 'static>(
    live: impl FnOnce() -> W + Send + 'static,
) -> T {
    let (answers, answer) = mpsc::channel();
    let dying = thread::spawn(move || {
        WILL.set(Will(None));
        let will = live();
        WILL.set(Will(Some(Box::new(move || drop(answers.send(will()))))));
    });
    dying.join().unwrap();
    answer.recv().unwrap()
}

fn lasting(strategy: Strategy) -> &'static Disks {
    Box::leak(Box::new(disks(strategy)))
}

/// The thread's answers while it holds the guard, and what removing says then and afterwards.
fn remove_under(arena: &Disks, handle: Handle<Disk>, guard: Active<'_, u32>) -> (bool, Answer, Answer) {
    let is_inside = arena.is_inside(handle);
    // A thread that does not know that it is inside would wait for itself.
    let within = if is_inside { arena.remove(handle) } else { Ok(*guard) };
    drop(guard);
    (is_inside, within, arena.remove(handle))
}

type Answer = Result<u32, RemoveError>;

/// A thread that has kept a guard beyond the end of its own record is inside: it does not wait for itself.
#[test]
fn a_guard_that_was_kept_to_the_end_is_known() {
    for strategy in STRATEGIES {
        for guards in [1, 20] {
            let arena = lasting(strategy);
            let handle = arena.insert((), 7).unwrap();
            let answers = at_the_end(move || {
                let guards: Vec<_> = (0..guards).map(|_| arena.enter(handle).unwrap()).collect();
                move || {
                    let last = guards.into_iter().reduce(|_, next| next);
                    last.map(|guard| remove_under(arena, handle, guard))
                }
            });
            assert_eq!(answers, Some((true, Err(RemoveError::Inside), Ok(7))));
        }
    }
}

/// A guard that was made in those very destructors is known too.
#[test]
fn a_guard_that_was_made_at_the_end_is_known() {
    for strategy in STRATEGIES {
        let arena = lasting(strategy);
        let [handle, other] = [7, 8].map(|payload| arena.insert((), payload).unwrap());
        let answers = at_the_end(move || {
            drop(arena.enter(other).unwrap());
            move || arena.enter(handle).map(|guard| remove_under(arena, handle, guard))
        });
        assert_eq!(answers, Ok((true, Err(RemoveError::Inside), Ok(7))));
    }
}

/// Who removes under a pin is refused there as everywhere, and is not when the pin has gone.
#[test]
fn a_pin_that_was_made_at_the_end_is_known() {
    for strategy in STRATEGIES {
        let arena = lasting(strategy);
        let handle = arena.insert((), 7).unwrap();
        let answers = at_the_end(move || {
            drop(arena.domain().pin());
            move || {
                let domain = arena.domain();
                let (before, pins) = (domain.is_pinned(), [domain.pin(), domain.pin()]);
                let under_two = (domain.is_pinned(), arena.remove(handle), arena.join(handle));
                let [first, second] = pins;
                drop(first);
                let under_one = (domain.is_pinned(), arena.leave().mark(handle));
                drop(second);
                (before, under_two, under_one, domain.is_pinned(), arena.remove(handle))
            }
        });
        let pinned = Err(RemoveError::Pinned);
        let expected = (false, (true, Err(RemoveError::Pinned), pinned), (true, pinned), false, Ok(7));
        assert_eq!(answers, expected);
    }
}
