//! Drains as futures, on an executor of a few lines.

use std::future::Future;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};

use enodev_handles::{Label, RemoveError, Stale};

use crate::common::{Drops, STRATEGIES, disks, linger, until};

/// Unparks a thread, and counts how often.
struct Unpark {
    thread: Thread,
    woken: AtomicUsize,
}

impl Unpark {
    fn new() -> Arc<Self> {
        Arc::new(Self { thread: thread::current(), woken: AtomicUsize::new(0) })
    }
}

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.woken.fetch_add(1, Ordering::SeqCst);
        self.thread.unpark();
    }
}

/// Polls a future to its end; sleeps until it is woken in between.
pub(crate) fn block_on<F: Future>(future: F) -> F::Output {
    let unpark = Unpark::new();
    let waker = Waker::from(Arc::clone(&unpark));
    let mut future = pin!(future);
    let mut seen = 0;
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut Context::from_waker(&waker)) {
            return output;
        }
        while unpark.woken.load(Ordering::SeqCst) == seen {
            thread::park();
        }
        seen = unpark.woken.load(Ordering::SeqCst);
    }
}

fn poll_once<F: Future + Unpin>(future: &mut F, waker: &Waker) -> Poll<F::Output> {
    std::pin::Pin::new(future).poll(&mut Context::from_waker(waker))
}

/// A drain that is awaited keeps no thread, is woken as the last of those inside leaves, and gives what a drain gives.
#[test]
fn a_drain_can_be_awaited() {
    for strategy in STRATEGIES {
        for _ in 0..200 {
            let arena = disks::<(), u32>(strategy);
            let handles = [1, 2].map(|payload| arena.insert((), payload).unwrap());
            let entered = AtomicUsize::new(0);
            let left = AtomicUsize::new(0);
            thread::scope(|scope| {
                for handle in handles {
                    let (arena, entered, left) = (&arena, &entered, &left);
                    scope.spawn(move || {
                        let inside = arena.enter(handle).unwrap();
                        entered.fetch_add(1, Ordering::SeqCst);
                        until(|| !arena.contains(handle));
                        left.fetch_add(1, Ordering::SeqCst);
                        drop(inside);
                    });
                }
                until(|| entered.load(Ordering::SeqCst) == 2);
                let mut leaving = arena.leave();
                handles.into_iter().for_each(|handle| leaving.mark(handle).unwrap());
                let mut quiet = block_on(leaving.drained()).unwrap();
                assert_eq!(left.load(Ordering::SeqCst), 2);
                assert_eq!([quiet.take(), quiet.take()].map(|one| one.unwrap().1), [1, 2]);
            });
            assert!(arena.is_empty());
        }
    }
}

/// The waker is called when somebody leaves, and not before.
#[test]
fn the_waker_is_called_when_somebody_leaves() {
    for strategy in STRATEGIES {
        let arena = disks::<(), u32>(strategy);
        let handle = arena.insert((), 1).unwrap();
        let (unpark, go) = (Unpark::new(), AtomicBool::new(false));
        let waker = Waker::from(Arc::clone(&unpark));
        thread::scope(|scope| {
            let (tell, told) = mpsc::channel();
            let (arena, go) = (&arena, &go);
            scope.spawn(move || {
                let inside = arena.enter(handle).unwrap();
                tell.send(()).unwrap();
                until(|| go.load(Ordering::SeqCst));
                drop(inside);
            });
            told.recv().unwrap();
            let mut leaving = arena.leave();
            leaving.mark(handle).unwrap();
            let mut drained = leaving.drained();
            assert!(poll_once(&mut drained, &waker).is_pending());
            linger();
            assert!(poll_once(&mut drained, &waker).is_pending());
            assert_eq!(unpark.woken.load(Ordering::SeqCst), 0);
            go.store(true, Ordering::SeqCst);
            until(|| unpark.woken.load(Ordering::SeqCst) > 0);
            assert!(matches!(poll_once(&mut drained, &waker), Poll::Ready(Ok(quiet)) if quiet.len() == 1));
        });
        assert!(arena.is_empty());
    }
}

/// An owned reference is waited for, and wakes, like any other.
#[test]
fn the_last_owned_reference_wakes() {
    for strategy in STRATEGIES {
        let arena = disks::<(), u32>(strategy);
        let handle = arena.insert((), 1).unwrap();
        let owned = arena.enter_owned(handle, Label::NONE).unwrap();
        let mut leaving = arena.leave();
        leaving.mark(handle).unwrap();
        let unpark = Unpark::new();
        let waker = Waker::from(Arc::clone(&unpark));
        let mut drained = leaving.drained();
        assert!(poll_once(&mut drained, &waker).is_pending());
        thread::scope(|scope| scope.spawn(|| drop(owned)).join().unwrap());
        assert!(unpark.woken.load(Ordering::SeqCst) > 0);
        assert!(matches!(poll_once(&mut drained, &waker), Poll::Ready(Ok(_))));
    }
}

/// A future that is dropped gives the removal up: it neither waits nor drops the payload, and the removal is reaped later.
#[test]
fn a_drain_that_is_awaited_no_longer_is_given_up() {
    for strategy in STRATEGIES {
        let (arena, drops) = (disks::<(), _>(strategy), Drops::default());
        let handle = arena.insert((), drops.token()).unwrap();
        let owned = arena.enter_owned(handle, Label::NONE).unwrap();
        let mut leaving = arena.leave();
        leaving.mark(handle).unwrap();
        let unpark = Unpark::new();
        let mut drained = leaving.drained();
        assert!(poll_once(&mut drained, &Waker::from(Arc::clone(&unpark))).is_pending());
        drop(drained);
        assert!(!arena.contains(handle) && drops.count() == 0);
        assert_eq!(arena.reap(), 0);
        drop(owned);
        assert_eq!((arena.reap(), drops.count(), arena.len()), (1, 1, 0));
        assert!(matches!(arena.remove(handle), Err(RemoveError::Stale(Stale))));
    }
}

/// Polled first by one thread and then by another, with another waker, the drain wakes the latter.
#[test]
fn a_drain_that_is_awaited_may_change_threads() {
    for strategy in STRATEGIES {
        for _ in 0..100 {
            let arena = disks::<(), u32>(strategy);
            let handle = arena.insert((), 1).unwrap();
            let (go, polled) = (AtomicBool::new(false), AtomicBool::new(false));
            thread::scope(|scope| {
                let (tell, told) = mpsc::channel();
                let (arena, go, polled) = (&arena, &go, &polled);
                scope.spawn(move || {
                    let inside = arena.enter(handle).unwrap();
                    tell.send(()).unwrap();
                    until(|| go.load(Ordering::SeqCst));
                    drop(inside);
                });
                told.recv().unwrap();
                let mut leaving = arena.leave();
                leaving.mark(handle).unwrap();
                let mut drained = leaving.drained();
                assert!(poll_once(&mut drained, Waker::noop()).is_pending());
                let other = scope.spawn(move || {
                    polled.store(true, Ordering::SeqCst);
                    block_on(drained).map(|mut quiet| quiet.take().unwrap().1).map_err(|(_, error)| error)
                });
                until(|| polled.load(Ordering::SeqCst));
                go.store(true, Ordering::SeqCst);
                assert_eq!(other.join().unwrap(), Ok(1));
            });
        }
    }
}

/// Who is inside himself is told so, and has the removal back.
#[test]
fn who_is_inside_cannot_await_himself() {
    let arena = disks::<(), u32>(STRATEGIES[1]);
    let handle = arena.insert((), 1).unwrap();
    let inside = arena.enter(handle).unwrap();
    let mut leaving = arena.leave();
    leaving.mark(handle).unwrap();
    let Err((leaving, error)) = block_on(leaving.drained()) else { panic!("the caller is inside") };
    assert_eq!(error, RemoveError::Inside);
    drop(inside);
    assert!(block_on(leaving.drained()).is_ok());
}
