//! The two races that the fences decide, with everything else taken away.
//!
//! On most machines a store is seen so soon that a missing fence is hardly ever missed. So the reader writes a good deal to
//! memory far away first: its next store has to wait behind that for a microsecond or so, in which it goes on loading. And
//! the two threads are given a processor each, where that can be had.

#![expect(unsafe_code, reason = "which processor a thread runs on is settled by system calls without a wrapper")]

use super::*;

use std::mem::MaybeUninit;

/// Memory that is in no near cache.
struct FarAway {
    bytes: Vec<u8>,
    next: usize,
}

impl FarAway {
    fn new() -> Self {
        Self { bytes: vec![1; 16 << 20], next: 0 }
    }

    fn write(&mut self) {
        for _ in 0..4 {
            self.bytes[self.next..][..1500].fill(self.next as u8);
            self.next = (self.next + 8192) % (self.bytes.len() - 8192);
        }
        std::hint::black_box(&mut self.bytes);
    }
}

/// Has the calling thread run on the `n`-th of the processors that it may run on, and on no other.
fn run_on(n: usize) {
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
const CLOSE: usize = 1000;
const ROUNDS: usize = if cfg!(debug_assertions) { 2000 } else { 20_000 };

/// Says that there are no more rounds.
const OVER: usize = usize::MAX;

/// Waits until it is the round's turn; false if there are no more. Looks on for a while before it gives the processor
/// away.
fn is_reached(counter: &AtomicUsize, round: usize) -> bool {
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
fn soon(looks: usize, is_so: impl Fn() -> bool) -> bool {
    (0..looks).any(|_| {
        std::hint::spin_loop();
        is_so()
    })
}

/// Entering against marking: a reader that enters at about the moment at which a remover marks and drains, again and again.
/// Either the reader sees the mark, or the drain waits until it has left.
#[test]
fn no_drain_overlooks_an_enter() {
    for fences in fences() {
        let place = Place::new();
        let [begun, mark, drained] = [const { AtomicUsize::new(0) }; 3];
        let remove = || {
            run_on(0);
            for round in (1..).take_while(|round| is_reached(&begun, *round)) {
                (0..round % 32).for_each(|_| std::hint::spin_loop());
                mark.store(round, Ordering::Relaxed);
                assert_eq!(drain(fences, &[place.address()], None), Ok(true));
                drained.store(round, Ordering::Release);
            }
        };
        let read = || {
            run_on(1);
            let (mut far_away, mut close, mut overlooked) = (FarAway::new(), 0, 0);
            for round in (1..ROUNDS).take_while(|round| is_reached(&drained, *round - 1)) {
                if close == CLOSE {
                    break;
                }
                begun.store(round, Ordering::Release);
                far_away.write();
                let ticket = current().enter(place.address(), fences);
                if mark.load(Ordering::Relaxed) != round && soon(20, || mark.load(Ordering::Relaxed) == round) {
                    close += 1;
                    overlooked += usize::from(soon(100, || drained.load(Ordering::Relaxed) == round));
                }
                ticket.leave();
            }
            begun.store(OVER, Ordering::Release);
            assert_eq!(overlooked, 0, "of {close} close ones");
        };
        thread::scope(|scope| {
            scope.spawn(remove);
            scope.spawn(read);
        });
    }
}

/// Leaving against going to sleep: an owner that leaves at about the moment at which the drain raises the alarm, again and
/// again. When that is, the owner learns by waiting for it every few rounds. A drain that sleeps through the leave never
/// returns.
#[test]
fn no_drain_sleeps_through_a_leave() {
    for fences in fences() {
        let place = Place::new();
        let [inside, drained] = [const { AtomicUsize::new(0) }; 2];
        let remove = || {
            run_on(0);
            for round in (1..).take_while(|round| is_reached(&inside, *round)) {
                assert_eq!(drain(fences, &[place.address()], None), Ok(true));
                drained.store(round, Ordering::Release);
            }
        };
        let read = || {
            run_on(1);
            let (mut far_away, mut looks, mut close) = (FarAway::new(), usize::MAX, 0);
            for round in (1..ROUNDS).take_while(|round| is_reached(&drained, *round - 1)) {
                if close == CLOSE {
                    break;
                }
                let ticket = current().enter(place.address(), fences);
                let is_raised = || ticket.block().alarm.load(Ordering::Relaxed) & !(FENCED | TRANSIENT) != 0;
                inside.store(round, Ordering::Release);
                if round % 16 == 1 {
                    let is_over = || is_raised() || drained.load(Ordering::Relaxed) == round;
                    let took = iter::repeat_with(is_over).take_while(|over| !over).count();
                    looks = took.min(looks.saturating_add(looks / 16 + 1));
                    ticket.leave();
                } else {
                    let was_raised = (0..looks.saturating_sub(round * 7 % 100)).any(|_| is_raised());
                    far_away.write();
                    ticket.leave();
                    close += usize::from(!was_raised && soon(20, is_raised));
                }
            }
            inside.store(OVER, Ordering::Release);
        };
        thread::scope(|scope| {
            scope.spawn(remove);
            scope.spawn(read);
        });
    }
}
