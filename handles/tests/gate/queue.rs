//! A request queue whose requests complete on other threads, closed under load.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::thread;

use enodev_handles::{Closed, Gate, Label, OwnedPass};

use crate::common::{STRATEGIES, gate, until};

/// What a driver gives: requests reach it as long as the gate is open.
struct Driver<'a> {
    started: AtomicUsize,
    completed: AtomicUsize,
    /// Apart from the driver, which leaves its marks in the gate when it is moved out of it.
    is_bound: &'a AtomicBool,
}

impl<'a> Driver<'a> {
    fn bind(is_bound: &'a AtomicBool) -> Self {
        is_bound.store(true, Ordering::SeqCst);
        Self { started: AtomicUsize::new(0), completed: AtomicUsize::new(0), is_bound }
    }
}

struct Request<'a> {
    driver: OwnedPass<Driver<'a>>,
}

struct Queue<'a> {
    gate: Gate<Driver<'a>>,
    label: Label,
}

impl<'a> Queue<'a> {
    /// Starts a request; it completes on the thread that gets it.
    fn submit(&self, workers: &Sender<Request<'a>>) -> Result<(), Closed> {
        let pass = self.gate.enter()?;
        assert!(pass.is_bound.load(Ordering::SeqCst), "a request reached a driver that has gone");
        pass.started.fetch_add(1, Ordering::SeqCst);
        // Inside, it may be shut in between; then what was started is taken back.
        let Ok(driver) = self.gate.enter_owned(self.label) else {
            pass.started.fetch_sub(1, Ordering::SeqCst);
            return Err(Closed);
        };
        drop(pass);
        workers.send(Request { driver }).unwrap();
        Ok(())
    }
}

impl Request<'_> {
    fn complete(self) {
        assert!(self.driver.is_bound.load(Ordering::SeqCst), "a request was completed by a driver that has gone");
        self.driver.completed.fetch_add(1, Ordering::SeqCst);
    }
}

/// S0-6, S0-3, S2-6: a queue is closed under load, again and again: requests that were let in are completed by the driver, on other
/// threads, before the closer has it back; those after are refused; none is lost, and none reaches a driver that has gone.
#[test]
fn a_queue_that_is_closed_under_load_completes_what_it_let_in_and_refuses_the_rest() {
    let rounds = if cfg!(miri) { 3 } else { 100 };
    for strategy in STRATEGIES {
        let bound: Vec<_> = (0..=rounds).map(|_| AtomicBool::new(false)).collect();
        let queue = Queue { gate: gate(strategy, Driver::bind(&bound[0])), label: Label::new("request") };
        let (over, accepted, refused) = (AtomicBool::new(false), AtomicUsize::new(0), AtomicUsize::new(0));
        let mut completed = 0;
        thread::scope(|scope| {
            for _ in 0..2 {
                let (send, receive) = channel::<Request<'_>>();
                scope.spawn(move || receive.into_iter().for_each(Request::complete));
                let (queue, over, accepted, refused) = (&queue, &over, &accepted, &refused);
                scope.spawn(move || {
                    while !over.load(Ordering::Relaxed) {
                        let counter = if queue.submit(&send).is_ok() { accepted } else { refused };
                        counter.fetch_add(1, Ordering::SeqCst);
                    }
                });
            }
            for next in &bound[1..] {
                let (accepted_before, refused_before) =
                    (accepted.load(Ordering::SeqCst), refused.load(Ordering::SeqCst));
                until(|| accepted.load(Ordering::SeqCst) > accepted_before + 10);
                let driver = queue.gate.close().unwrap();
                driver.is_bound.store(false, Ordering::SeqCst);
                let (started, done) = (driver.started.load(Ordering::SeqCst), driver.completed.load(Ordering::SeqCst));
                assert_eq!(started, done, "the closer has the driver, and requests are under way");
                completed += done;
                until(|| refused.load(Ordering::SeqCst) > refused_before);
                assert!(queue.gate.reopen(Driver::bind(next)).is_ok());
            }
            over.store(true, Ordering::Relaxed);
        });
        let last = queue.gate.close().unwrap();
        assert_eq!(last.started.into_inner(), last.completed.load(Ordering::SeqCst));
        completed += last.completed.into_inner();
        assert_eq!(accepted.into_inner(), completed);
    }
}
