//! Queues of requests: those who work and those who wait sleep only until there is something for them.

use std::sync::Arc;

use enodev::{Queue, QueueError, Removal};
use enodev_handles::sync::{Mutex, thread};

use crate::check;
use crate::common::Rig;

const GONE: QueueError = QueueError::Store(crate::common::GONE);

/// S1-13: two submit, one of them waits for what it has submitted, and two work: all is answered, what overlaps goes in order, and those who
/// work end with the queue.
#[test]
fn all_that_was_submitted_is_done_in_order_and_answered() {
    check(|| {
        let (rig, queue) = (Rig::new(), Arc::new(Queue::new()));
        let (a, b) = (rig.plug(rig.store.root(), "a").0, rig.plug(rig.store.root(), "b").0);
        let log = Arc::<Mutex<Vec<u8>>>::default();
        let note = |number| {
            let log = Arc::clone(&log);
            move |_: &enodev::Store| {
                log.lock().push(number);
                thread::yield_now();
                log.lock().push(number);
                Ok(number)
            }
        };
        let workers: Vec<_> = (0..2)
            .map(|_| {
                let queue = Arc::clone(&queue);
                rig.spawn(move |rig| queue.work(&rig.store))
            })
            .collect();
        let other = {
            let (queue, request) = (Arc::clone(&queue), note(9));
            thread::spawn(move || queue.run(b, request).unwrap().wait())
        };
        let first = queue.run(a, note(1)).unwrap();
        let second = queue.run(rig.store.root(), note(2)).unwrap();
        let third = queue.run(a, note(3)).unwrap();
        assert_eq!(second.wait(), Ok(2));
        assert_eq!(other.join().unwrap(), Ok(9));
        queue.close();
        workers.into_iter().for_each(|worker| assert_eq!(worker.join().unwrap(), Ok(())));
        assert_eq!((first.wait(), third.wait()), (Ok(1), Ok(3)));
        let log: Vec<_> = log.lock().iter().copied().filter(|number| *number != 9).collect();
        assert_eq!(log, [1, 1, 2, 2, 3, 3]);
    });
}

/// A queue is cancelled while one works and one waits: the ticket is answered in either case, and says whether the request was done.
#[test]
fn a_ticket_of_a_cancelled_queue_says_what_has_become_of_the_request() {
    check(|| {
        let (rig, queue) = (Rig::new(), Arc::new(Queue::new()));
        let (disk, witness) = rig.plug(rig.store.root(), "a");
        let ticket = queue.remove(disk).unwrap();
        let waiter = thread::spawn(move || ticket.wait());
        let worker = {
            let queue = Arc::clone(&queue);
            rig.spawn(move |rig| queue.work(&rig.store))
        };
        let cancelled = queue.cancel();
        match waiter.join().unwrap() {
            Ok(removal) => {
                assert_eq!((removal, cancelled), (Removal::Done(1), 0));
                witness.assert_gone();
            }
            Err(error) => {
                assert_eq!((error, cancelled), (QueueError::Closed, 1));
                witness.assert_there();
            }
        }
        assert_eq!(worker.join().unwrap(), Ok(()));
    });
}

/// S1-13: who is inside an object, has it removed and would wait for that, is told so; once outside it waits, and the object has gone.
#[test]
fn who_is_inside_and_waits_is_told_so() {
    check(|| {
        let (rig, queue) = (Rig::new(), Arc::new(Queue::new()));
        let (disk, witness) = rig.plug(rig.store.root(), "a");
        let worker = {
            let queue = Arc::clone(&queue);
            rig.spawn(move |rig| queue.work(&rig.store))
        };
        let inside = rig.store.enter::<crate::common::Disk>(disk).unwrap();
        assert_eq!(queue.remove(disk).unwrap().wait(), Err(QueueError::Inside));
        inside.visit();
        drop(inside);
        assert_eq!(queue.remove(disk).unwrap().wait(), Err(GONE));
        witness.assert_gone();
        queue.close();
        assert_eq!(worker.join().unwrap(), Ok(()));
    });
}
