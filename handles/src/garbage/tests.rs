use std::time::{Duration, Instant};

use super::{Clock, History, NEVER, Waiting};

/// A history in which tick `n` was `n` seconds after the beginning.
fn seconds(ticks: u64) -> (History, Instant) {
    let (mut history, begin) = (History::default(), Instant::now());
    for tick in 1..=ticks {
        history.record(tick, begin + Duration::from_secs(tick));
    }
    (history, begin)
}

/// The last ticks are known to the tick; older ones never too early, and late by no more than a seventh of their age.
#[test]
fn the_time_of_a_tick_is_known_to_a_seventh_of_its_age() {
    for last in [1, 2, 3, 15, 16, 17, 100, 1000, 4095, 4096, 20_011] {
        let (history, begin) = seconds(last);
        for tick in 1..=last {
            let found = history.find(tick, last).unwrap().duration_since(begin).as_secs();
            let (age, late) = (last - tick, found.checked_sub(tick).expect("a tick never was before its time"));
            assert!(found <= last);
            assert!(late == 0 || age >= super::TICKS, "tick {tick} of {last} was found at {found}");
            assert!(late * 7 <= age, "tick {tick} of {last} was found at {found}");
        }
        assert_eq!(history.find(last + 1, last), None, "what is to come has no time");
    }
}

/// What is remembered grows with the number of the ticks' digits, not with the ticks.
#[test]
fn a_history_stays_small() {
    assert_eq!(seconds(1 << 16).0.levels.len(), 17);
}

/// A clock's ticks are numbers other than the one for who is not pinned, and what comes after the last has no time yet.
#[test]
fn a_clock_tells_when_the_next_tick_was() {
    let clock = Clock::new();
    let first = clock.now();
    assert!(first > NEVER);
    assert_eq!(clock.after(first), None);
    let before = Instant::now();
    assert_eq!(clock.advance(), first + 1);
    let after = Instant::now();
    clock.advance();
    let found = clock.after(first).unwrap();
    assert!(before <= found && found <= after);
    assert_eq!((clock.now(), clock.after(first + 2)), (first + 2, None));
}

/// What waits is what has been handed over and not been reclaimed.
#[test]
fn what_waits_is_counted_by_objects() {
    let waiting = Waiting::default();
    waiting.hand_over(64);
    waiting.hand_over(3);
    assert_eq!((waiting.handed(), waiting.objects()), (67, 67));
    waiting.reclaim(64);
    assert_eq!((waiting.reclaimed(), waiting.objects()), (64, 3));
}
