//! What a thread has put off until it leaves.

use super::*;

use std::rc::Rc;

use super::late::at_the_end;

/// What has run, in order.
#[derive(Clone, Default)]
struct Log(Rc<RefCell<Vec<&'static str>>>);

impl Log {
    fn note(&self, what: &'static str) -> Box<dyn FnOnce()> {
        let log = self.clone();
        Box::new(move || log.0.borrow_mut().push(what))
    }

    fn take(&self) -> Vec<&'static str> {
        self.0.take()
    }
}

/// The way that the cells are left in, whichever it is: `n` of them, first to last, last to first, and from the middle.
fn orders(n: usize) -> [Vec<usize>; 3] {
    [(0..n).collect(), (0..n).rev().collect(), (n / 2..n).chain(0..n / 2).collect()]
}

/// A callback that is inside an object, twice, and inside another one of the same removal puts the rest of it off. That
/// runs on its own thread as it leaves the last of them, and not before.
#[test]
fn what_is_put_off_runs_in_the_leave_of_the_last_of_its_objects() {
    for way in Way::all() {
        for order in orders(3) {
            in_a_thread(|| {
                let (place, log) = (Place::new(), Log::default());
                way.prepare();
                let bystander = way.enter(place.nth(5));
                let tickets = [0, 1, 0].map(|n| way.enter(place.nth(n)));
                assert!(defer(vec![place.nth(0), place.nth(1), place.nth(2)], log.note("rest")));
                for (nth, ticket) in order.iter().enumerate() {
                    assert!(log.take().is_empty(), "{way:?}: before leave {nth} of {order:?}");
                    tickets[*ticket].leave();
                }
                assert_eq!(log.take(), ["rest"]);
                bystander.leave();
                assert!(log.take().is_empty(), "twice");
            });
        }
    }
}

#[test]
fn what_one_leave_lets_go_runs_in_the_order_in_which_it_was_put_off() {
    let (place, log) = (Place::new(), Log::default());
    let tickets = [0, 1].map(|n| enter(place.nth(n)));
    assert!(defer(vec![place.nth(0), place.nth(1)], log.note("both")));
    assert!(defer(vec![place.nth(1)], log.note("second")));
    assert!(defer(vec![place.nth(0)], log.note("first")));
    assert!(defer(vec![place.nth(0)], log.note("first again")));
    tickets[1].leave();
    assert_eq!(log.take(), ["second"]);
    tickets[0].leave();
    assert_eq!(log.take(), ["both", "first", "first again"]);
}

/// The rest of a removal runs foreign code, which enters and leaves and may put off something in turn.
#[test]
fn what_runs_may_enter_and_put_off_in_turn() {
    let (place, log) = (Rc::new(Place::new()), Log::default());
    let ticket = place.enter();
    let (inner, inner_log) = (Rc::clone(&place), log.clone());
    let rest = move || {
        let ticket = enter(inner.nth(1));
        assert!(defer(vec![inner.nth(1)], inner_log.note("inner")));
        inner_log.note("outer begins")();
        ticket.leave();
        inner_log.note("outer ends")();
    };
    assert!(defer(vec![place.address()], Box::new(rest)));
    assert!(defer(vec![place.address()], log.note("next")));
    ticket.leave();
    let took_place = log.take();
    assert_eq!(took_place.len(), 4);
    let at = |what| took_place.iter().position(|other| *other == what).unwrap();
    assert!(at("outer begins") < at("inner") && at("inner") < at("outer ends"), "{took_place:?}");
}

#[test]
fn another_threads_leave_runs_nothing() {
    let (place, log) = (Place::new(), Log::default());
    let ticket = place.enter();
    assert!(defer(vec![place.address()], log.note("rest")));
    in_a_thread(|| {
        let ticket = place.enter();
        assert!(defer(vec![place.address()], Box::new(|| {})));
        ticket.leave();
    });
    assert!(log.take().is_empty());
    ticket.leave();
    assert_eq!(log.take(), ["rest"]);
}

/// Tells when it is dropped, and whether it has run.
struct Rest(mpsc::Sender<bool>, bool);

impl Drop for Rest {
    fn drop(&mut self) {
        self.0.send(self.1).unwrap();
    }
}

impl Rest {
    fn run(mut self) {
        self.1 = true;
    }
}

fn rest() -> (Box<dyn FnOnce() + Send>, mpsc::Receiver<bool>) {
    let (tell, told) = mpsc::channel();
    let rest = Rest(tell, false);
    (Box::new(move || rest.run()), told)
}

/// A thread whose thread-locals have gone has nowhere to put anything off to.
#[test]
fn at_a_threads_end_nothing_is_put_off() {
    let place: &'static Place = Box::leak(Box::new(Place::new()));
    let ((run, dropped), (tell, told)) = (rest(), mpsc::channel());
    at_the_end(
        || PENDING.with(|_| ()),
        move || {
            let ticket = place.enter();
            let is_put_off = defer(vec![place.address()], run);
            tell.send((is_put_off, dropped.try_recv())).unwrap();
            ticket.leave();
        },
    );
    assert_eq!(told.recv(), Ok((false, Ok(false))));
    assert!(place.occupants().is_empty());
}

/// A guard that was forgotten keeps what was put off from running, but not for longer than its thread.
#[test]
fn what_never_runs_is_dropped_with_its_thread() {
    let place: &'static Place = Box::leak(Box::new(Place::new()));
    let (run, dropped) = rest();
    let put_off = thread::spawn(move || {
        place.enter();
        assert!(defer(vec![place.address()], run));
        (dropped.try_recv(), dropped)
    });
    let (before, dropped) = put_off.join().unwrap();
    assert_eq!((before, dropped.recv()), (Err(mpsc::TryRecvError::Empty), Ok(false)));
    forget(&[place.range()]);
}
