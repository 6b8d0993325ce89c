//! The two races that the fences decide, with everything else taken away.
//!
//! On most machines a store is seen so soon that a missing fence is hardly ever missed. So the reader writes a good deal to
//! memory far away first, and so does the remover every other time: its next store has to wait behind that for a microsecond or
//! so, in which it goes on loading. And
//! the two threads are given a processor each, where that can be had. They are alone in their process: a barrier that some other
//! thread is the reason for would hide that one of theirs is missing.

#![expect(unsafe_code, reason = "which processor a thread runs on is settled by system calls without a wrapper")]

use super::*;

use std::mem::MaybeUninit;

use crate::cells::tests::{alarm, wake_sleepers};

/// Memory that is in no near cache.
pub(crate) struct FarAway {
    bytes: Vec<u8>,
    next: usize,
}

impl FarAway {
    pub(crate) fn new() -> Self {
        Self { bytes: vec![1; 16 << 20], next: 0 }
    }

    pub(crate) fn write(&mut self) {
        for _ in 0..4 {
            self.bytes[self.next..][..1500].fill(self.next as u8);
            self.next = (self.next + 8192) % (self.bytes.len() - 8192);
        }
        std::hint::black_box(&mut self.bytes);
    }
}

/// Has the calling thread run on the `n`-th of the processors that it may run on, and on no other.
pub(crate) fn run_on(n: usize) {
    if cfg!(not(all(target_os = "linux", not(miri)))) {
        return;
    }
    let size = size_of::<libc::cpu_set_t>();
    let mut all = MaybeUninit::<libc::cpu_set_t>::zeroed();
    // SAFETY: the call fills a set of this size; no bits at all is one too.
    unsafe { libc::sched_getaffinity(0, size, all.as_mut_ptr()) };
    // SAFETY: see above.
    let all = unsafe { all.assume_init() };
    // SAFETY: the number is below that of the set's bits.
    let is_in = |processor: &usize| unsafe { libc::CPU_ISSET(*processor, &all) };
    let Some(processor) = (0..libc::CPU_SETSIZE as usize).filter(is_in).nth(n) else { return };
    // SAFETY: a set is an array of words.
    let mut one = unsafe { MaybeUninit::<libc::cpu_set_t>::zeroed().assume_init() };
    // SAFETY: as above.
    unsafe { libc::CPU_SET(processor, &mut one) };
    // SAFETY: the call reads a set of this size. If it is refused, the test shows less.
    unsafe { libc::sched_setaffinity(0, size, &one) };
}

/// The races are run until they have been close so many times, or so many times in all. Code that has not been optimised is
/// too slow for any of them to be lost: it takes a release build to show that a fence is missing.
pub(crate) const CLOSE: usize = 4000;
pub(crate) const ROUNDS: usize = if cfg!(debug_assertions) { 2000 } else { 60_000 };

/// Says that there are no more rounds.
const OVER: usize = usize::MAX;

/// Waits until it is the round's turn; false if there are no more. Looks on for a while before it gives the processor
/// away.
pub(crate) fn is_reached(counter: &AtomicUsize, round: usize) -> bool {
    let mut looks = 0;
    loop {
        match counter.load(Ordering::Acquire) {
            OVER => return false,
            now if now == round => return true,
            _ if looks < 1000 => std::hint::spin_loop(),
            _ => thread::yield_now(),
        }
        looks += 1;
    }
}

/// Whether it is so within the next moment.
pub(crate) fn soon(looks: usize, is_so: impl Fn() -> bool) -> bool {
    (0..looks).any(|_| {
        std::hint::spin_loop();
        is_so()
    })
}

/// Runs a race of the module `of` in a process of its own, while no other race is run.
pub(crate) fn one_at_a_time(of: &str, name: &str, race: impl FnOnce()) {
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
    let _others_wait = ONE_AT_A_TIME.lock();
    alone_in(of, name, race);
}

/// Has both threads run for each way of entering, one way after the other.
fn for_each_way(name: &str, remove: impl Fn(&Race) + Sync, read: impl Fn(&Race) + Sync) {
    one_at_a_time(module_path!(), name, || {
        for way in Way::all() {
            let race = Race { way, place: Place::new(), begun: AtomicUsize::new(0), drained: AtomicUsize::new(0) };
            thread::scope(|scope| {
                let remover = scope.spawn(|| {
                    let _over = Over(&race.drained);
                    run_on(0);
                    remove(&race);
                });
                let reader = scope.spawn(|| {
                    let _over = Over(&race.begun);
                    run_on(1);
                    read(&race);
                });
                // Once they are joined they have no record, which the scope's end would not tell.
                [remover, reader].into_iter().for_each(|thread| thread.join().unwrap());
            });
        }
    });
}

/// Tells the other thread that there are no more rounds, even if it is because of a panic.
pub(crate) struct Over<'a>(pub(crate) &'a AtomicUsize);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.store(OVER, Ordering::Release);
    }
}

struct Race {
    way: Way,
    place: Place,
    /// The round that the reader has begun, and the one in which the remover has drained.
    begun: AtomicUsize,
    drained: AtomicUsize,
}

impl Race {
    /// The remover's rounds.
    fn removals(&self) -> impl Iterator<Item = usize> {
        (1..).take_while(|round| is_reached(&self.begun, *round))
    }

    /// The reader's rounds.
    fn visits(&self) -> impl Iterator<Item = usize> {
        (1..ROUNDS).take_while(|round| is_reached(&self.drained, *round - 1))
    }

    fn drain(&self, round: usize) {
        assert_eq!(self.place.drain(self.way.fences(), None), Ok(()));
        self.drained.store(round, Ordering::Release);
    }

    fn is_drained(&self, round: usize) -> bool {
        self.drained.load(Ordering::Relaxed) == round
    }
}

/// Entering against marking: a reader that enters at about the moment at which a remover marks and drains, again and again.
/// Either the reader sees the mark, or the drain waits until it has left.
fn overlook_an_enter(name: &str, drain: impl Fn(&Race, usize) + Sync, enter: impl Fn(&Race) -> Ticket + Sync) {
    let mark = AtomicUsize::new(0);
    let remove = |race: &Race| {
        let mut far_away = FarAway::new();
        for round in race.removals() {
            // The more it looks into the cells, the longer a store to one of them takes.
            (0..round % 32).for_each(|_| assert!(race.place.occupants().len() < 2));
            if round % 2 == 0 {
                far_away.write();
            }
            mark.store(round, Ordering::Relaxed);
            drain(race, round);
        }
    };
    let read = |race: &Race| {
        let (mut far_away, mut close, mut overlooked) = (FarAway::new(), 0, 0);
        let is_marked = |round| mark.load(Ordering::Relaxed) == round;
        for round in race.visits() {
            if close == CLOSE {
                break;
            }
            race.way.prepare();
            race.begun.store(round, Ordering::Release);
            far_away.write();
            let ticket = enter(race);
            if !is_marked(round) && soon(20, || is_marked(round)) {
                close += 1;
                overlooked += usize::from(soon(100, || race.is_drained(round)));
            }
            ticket.leave();
        }
        assert_eq!(overlooked, 0, "{:?}: of {close} close ones", race.way);
    };
    for_each_way(name, remove, read);
}

#[test]
fn no_drain_overlooks_an_enter() {
    overlook_an_enter("no_drain_overlooks_an_enter", Race::drain, |race| race.way.enter(race.place.address()));
}

/// The same where the mark is the caller's own, and the drain one of those under a label.
#[test]
fn no_drain_under_a_label_overlooks_an_enter() {
    let labels = [Label::new("races")];
    let drain = |race: &Race, round| {
        assert_eq!(race.place.drain_labelled(&labels, race.way.fences(), None), Ok(()));
        race.drained.store(round, Ordering::Release);
    };
    let enter = |race: &Race| race.way.enter_labelled(race.place.address(), labels[0]);
    overlook_an_enter("no_drain_under_a_label_overlooks_an_enter", drain, enter);
}

/// Leaving against going to sleep: an owner that leaves at about the moment at which the drain raises the alarm, again and
/// again. When that is, the owner learns by waiting for it every few rounds. Once its leave is over it looks for somebody who
/// sleeps all the same, and wakes him.
#[test]
fn no_drain_sleeps_through_a_leave() {
    let remove = |race: &Race| race.removals().for_each(|round| race.drain(round));
    let read = |race: &Race| {
        let (mut far_away, mut looks, mut close, mut asleep) = (FarAway::new(), usize::MAX, 0, 0);
        for round in race.visits() {
            if close == CLOSE {
                break;
            }
            race.way.prepare();
            let ticket = race.way.enter(race.place.address());
            let is_raised = || alarm(ticket) & !(FENCED | TRANSIENT) != 0;
            race.begun.store(round, Ordering::Release);
            if round % 16 == 1 {
                let is_over = || is_raised() || race.is_drained(round);
                let took = iter::repeat_with(is_over).take_while(|over| !over).count();
                looks = took.min(looks.saturating_add(looks / 16 + 1));
                ticket.leave();
            } else {
                let was_raised = (0..looks.saturating_sub(round * 7 % 100)).any(|_| is_raised());
                far_away.write();
                ticket.leave();
                close += usize::from(!was_raised && soon(20, is_raised));
            }
            asleep += wake_sleepers(ticket.block());
        }
        assert_eq!(asleep, 0, "{:?}: of {close} close ones", race.way);
    };
    for_each_way("no_drain_sleeps_through_a_leave", remove, read);
}
