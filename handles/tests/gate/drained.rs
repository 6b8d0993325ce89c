//! The drain as a future.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::thread;

use enodev_handles::{CloseError, Closed, Label};

use crate::common::{STRATEGIES, gate, past, until};

/// Counts its wakes.
#[derive(Default)]
struct Wakes(AtomicUsize);

impl Wake for Wakes {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

impl Wakes {
    fn count(&self) -> usize {
        self.0.load(Ordering::SeqCst)
    }
}

/// S2-6, S3-4: a task waits for those inside without a thread: the gate is shut at once, the leave of one whom it waits for wakes the
/// task, and when it is done the value can be taken without waiting.
#[test]
fn a_task_is_woken_until_nobody_is_inside() {
    for strategy in STRATEGIES {
        let gate = gate(strategy, 4);
        let wakes = Arc::new(Wakes::default());
        let waker = Waker::from(Arc::clone(&wakes));
        let mut context = Context::from_waker(&waker);
        let (inside, may_leave) = (AtomicUsize::new(0), AtomicUsize::new(0));
        thread::scope(|scope| {
            for me in 0..2 {
                let (gate, inside, may_leave) = (&gate, &inside, &may_leave);
                scope.spawn(move || {
                    let _pass = gate.enter().unwrap();
                    inside.fetch_add(1, Ordering::SeqCst);
                    until(|| may_leave.load(Ordering::SeqCst) > me);
                });
            }
            until(|| inside.load(Ordering::SeqCst) == 2);
            let owned = gate.enter_owned(Label::NONE).unwrap();
            let mut drained = pin!(gate.drained());
            assert!(matches!(gate.enter(), Err(Closed)), "shut before the first poll");
            let before = wakes.count();
            assert_eq!(drained.as_mut().poll(&mut context), Poll::Pending);
            // The task waits for one of the two at a time: whichever that is, it is woken once both have left.
            may_leave.store(2, Ordering::SeqCst);
            until(|| wakes.count() > before);
            until(|| gate.blockers().len() == 1);
            // The owned pass is left.
            assert_eq!(drained.as_mut().poll(&mut context), Poll::Pending);
            let before = wakes.count();
            drop(owned);
            assert!(wakes.count() > before);
            assert_eq!(drained.as_mut().poll(&mut context), Poll::Ready(Ok(())));
        });
        assert_eq!(gate.close_until(past()), Ok(4));
    }
}

/// T92, E-6: a task waits for one incarnation: it is done when that has been closed, though the gate has been opened again, entered, and
/// even shut anew.
#[test]
fn a_task_does_not_wait_for_the_next_incarnation() {
    for strategy in STRATEGIES {
        let gate = gate(strategy, 4);
        let mut context = Context::from_waker(Waker::noop());
        let request = gate.enter_owned(Label::NONE).unwrap();
        let mut drained = pin!(gate.drained());
        assert_eq!(drained.as_mut().poll(&mut context), Poll::Pending);
        drop(request);
        assert_eq!(gate.close(), Ok(4));
        assert_eq!(gate.reopen(5), Ok(()));
        let request = gate.enter_owned(Label::NONE).unwrap();
        gate.shut();
        assert_eq!(drained.as_mut().poll(&mut context), Poll::Ready(Ok(())));
        assert_eq!(pin!(gate.drained()).poll(&mut context), Poll::Pending);
        drop(request);
        assert_eq!(gate.close(), Ok(5));
        assert_eq!(pin!(gate.drained()).poll(&mut context), Poll::Ready(Ok(())), "closed before");
    }
}

/// S0-15: a task whose thread is inside is told so, and does not wait for itself.
#[test]
fn a_task_inside_is_told_so() {
    for strategy in STRATEGIES {
        let gate = gate(strategy, 4);
        let mut context = Context::from_waker(Waker::noop());
        let pass = gate.enter().unwrap();
        let mut drained = pin!(gate.drained());
        assert_eq!(drained.as_mut().poll(&mut context), Poll::Ready(Err(CloseError::Inside)));
        assert_eq!(*pass, 4);
    }
}

/// A task that is dropped in the middle leaves no trace: the gate can be closed, and those inside go on leaving.
#[test]
fn a_task_that_is_dropped_leaves_no_trace() {
    for strategy in STRATEGIES {
        let gate = gate(strategy, 4);
        let mut context = Context::from_waker(Waker::noop());
        let (inside, may_leave) = (AtomicUsize::new(0), AtomicUsize::new(0));
        thread::scope(|scope| {
            scope.spawn(|| {
                let _pass = gate.enter().unwrap();
                inside.store(1, Ordering::SeqCst);
                until(|| may_leave.load(Ordering::SeqCst) == 1);
            });
            until(|| inside.load(Ordering::SeqCst) == 1);
            {
                let mut drained = pin!(gate.drained());
                assert_eq!(drained.as_mut().poll(&mut context), Poll::Pending);
            }
            may_leave.store(1, Ordering::SeqCst);
            assert_eq!(gate.close(), Ok(4));
        });
    }
}
