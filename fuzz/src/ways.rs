//! How to get where the random operations are to get.

use crate::op::{Action, Op};
use crate::tally::Situation;

/// A handle that the pool of a fresh run gets for its first object, dead or alive: six odd ones are there before.
const FIRST_MADE: u8 = 13;
/// The first handle that is alive.
const LIVE: u8 = 0;
const NEXT_LIVE: u8 = 2;
const INSERT: Action = Action::Insert { victim: 0 };

/// For each situation, a way there: what tests try, and what fuzzing starts from.
pub fn ways() -> Vec<(Situation, Vec<Op>)> {
    let in_second = |action| Op { second: true, action };
    let ways = ways_in_second().into_iter().map(|(end, way)| (end, way.into_iter().map(in_second).collect()));
    // The slots of two worlds have the same numbers.
    let both = [false, true].map(|second| Op { second, action: INSERT });
    ways.chain([(Situation::KeyLost, both.repeat(4))]).collect()
}

fn ways_in_second() -> Vec<(Situation, Vec<Action>)> {
    let mut ways = ways_of_handles();
    ways.extend(ways_of_removals());
    ways
}

fn ways_of_handles() -> Vec<(Situation, Vec<Action>)> {
    use Action::*;
    let mark = Mark { batch: 0, handle: LIVE };
    let (remove, drain) = (Remove { handle: LIVE }, Drain { batch: 0, by_deadline: 0 });
    let enter = Enter { handle: LIVE, part: 0 };
    let lock = |how| Lock { handle: LIVE, how };
    // Its payload's `Drop` removes the other object.
    let killer = Insert { victim: 192 };
    let (reset, forgotten) = (Reset { how: 0 }, ForgetReservation { reservation: 0 });
    // The next world's slots lie where the last one's lay, if not at once, then soon.
    let forgotten_once = [INSERT, enter, Forget { guard: 0 }, remove, reset, INSERT, remove, reset];
    let forgotten_often: Vec<Action> = forgotten_once.repeat(8);
    let worn = vec![INSERT, Wear { count: 255 }, LookUp { handle: FIRST_MADE }];
    vec![
        (Situation::Refused, vec![INSERT, remove, Insert { victim: 0 }, LookUp { handle: FIRST_MADE }]),
        (Situation::Inside, vec![INSERT, enter, remove, Leave { guard: 0 }, remove]),
        (Situation::Pinned, vec![INSERT, Pin, remove, Unpin { pin: 0 }, remove]),
        (Situation::Leaving, vec![INSERT, mark, Remove { handle: FIRST_MADE }]),
        (Situation::Spilled, vec![INSERT, EnterMany { handle: LIVE, count: 20 }, remove]),
        (Situation::Locked, vec![INSERT, lock(0), lock(0), lock(1), Leave { guard: 0 }, lock(2), lock(3), lock(1)]),
        (Situation::GuardForgotten, forgotten_often),
        (Situation::ReservationForgotten, vec![Reserve, forgotten, reset, INSERT, LookUp { handle: FIRST_MADE }]),
        (Situation::Abandoned, vec![INSERT, mark, Abandon { batch: 0 }, Join { handle: FIRST_MADE }, reset]),
        (Situation::DrainPinned, vec![INSERT, mark, Pin, drain, UnpinAll, drain]),
        (Situation::RemovedInDrop, vec![INSERT, killer, Remove { handle: NEXT_LIVE }]),
        (Situation::LeavingInDrop, vec![INSERT, killer, RemoveMany { count: 2, take: 0 }]),
        (Situation::SlotReused, vec![Churn { count: 255 }, Churn { count: 255 }]),
        (Situation::SlotRetired, worn),
        (Situation::TagReused, vec![INSERT, reset, INSERT]),
        (Situation::KeptByPin, vec![INSERT, mark, drain, FinishPinned { batch: 0 }]),
        (Situation::Repinned, vec![INSERT, Pin, Get { pin: 0, handle: LIVE }, Repin { pin: 0 }, Iterate { pin: 0 }]),
    ]
}

fn ways_of_removals() -> Vec<(Situation, Vec<Action>)> {
    use Action::*;
    let mark = Mark { batch: 0, handle: LIVE };
    let (remove, drain, reset) = (Remove { handle: LIVE }, Drain { batch: 0, by_deadline: 0 }, Reset { how: 0 });
    let enter = Enter { handle: LIVE, part: 0 };
    let (defer, abandon) = (Defer { batch: 0, take: 1 }, Abandon { batch: 0 });
    let stay = EnterOwned { handle: LIVE, label: 1 };
    let enter_labelled = EnterLabelled { handle: LIVE, label: 2 };
    vec![
        (Situation::MarkedInside, vec![INSERT, enter, mark, Leave { guard: 0 }, drain]),
        (Situation::DrainInside, vec![INSERT, enter, mark, drain, Leave { guard: 0 }, drain]),
        (
            Situation::TimedOut,
            vec![INSERT, stay, mark, Drain { batch: 0, by_deadline: 1 }, LeaveOwned { reference: 0 }],
        ),
        (Situation::Reaped, vec![INSERT, INSERT, mark, mark, abandon, Reap, LookUp { handle: FIRST_MADE }]),
        (Situation::ReapedInRemove, vec![INSERT, mark, abandon, Remove { handle: FIRST_MADE }]),
        (Situation::GivenUpRemoved, vec![INSERT, INSERT, mark, mark, abandon, Remove { handle: FIRST_MADE }]),
        (Situation::ReapBlocked, vec![INSERT, INSERT, enter, mark, abandon, remove, Leave { guard: 0 }, Reap]),
        (
            Situation::GivenUpAgain,
            vec![INSERT, mark, abandon, GivenUp { batch: 0, how: 0 }, GivenUp { batch: 0, how: 1 }],
        ),
        (Situation::GivenUpAtEnd, vec![INSERT, enter, Forget { guard: 0 }, mark, abandon, reset]),
        (Situation::Deferred, vec![INSERT, INSERT, enter, mark, mark, defer, Leave { guard: 0 }]),
        (Situation::DeferredAtOnce, vec![INSERT, INSERT, mark, mark, defer]),
        (Situation::DeferredPinned, vec![INSERT, enter, mark, defer, Pin, Leave { guard: 0 }, UnpinAll, Reap]),
        (Situation::DeferredAtEnd, vec![INSERT, enter, mark, defer, Forget { guard: 0 }, Reset { how: 16 }]),
        (Situation::OwnedLast, vec![INSERT, stay, Reset { how: 16 }, LeaveOwned { reference: 0 }]),
        (Situation::OwnedEarlier, vec![INSERT, stay, stay, reset, LeaveOwned { reference: 0 }]),
        (Situation::Blocked, vec![INSERT, enter_labelled, stay, mark, Blockers { batch: 0 }]),
        (Situation::EnteredAll, vec![INSERT, EnterAll { first: LIVE, second: LIVE }, remove]),
        (Situation::EnterAllRefused, vec![INSERT, EnterAll { first: LIVE, second: 1 }, remove]),
        (Situation::Visited, vec![INSERT, Visit { session: 0, handle: LIVE, how: 0 }, remove]),
        (Situation::VisitForgotten, vec![INSERT, Visit { session: 0, handle: LIVE, how: 1 }, remove]),
        (Situation::GarbageHeld, vec![INSERT, mark, drain, Pin, Finish { batch: 0 }, Collect, UnpinAll, Collect]),
    ]
}
