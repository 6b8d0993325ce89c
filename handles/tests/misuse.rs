//! Handles of all sorts, good and bad, on two stores, compared with a model after every operation. The operations and
//! the model are those of `enodev_fuzz`, whose fuzz target finds such strings of bytes by itself.

use std::fmt;

use enodev_fuzz::{Action, Op, Situation, run, run_ops};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestCaseResult, TestRunner};

/// Of each of the two random tests, unless `PROPTEST_CASES` says otherwise.
const CASES: u32 = if cfg!(miri) { 4 } else { 1000 };
const OPS: usize = if cfg!(miri) { 40 } else { 200 };

/// Strings of bytes, each with the error that it shows where the code has it.
const REGRESSIONS: [(&str, &[u8]); 1] = [(
    "the handle of a forgotten reservation comes back under the next world's tag",
    &[144, 0, 0, 0, 152, 0, 0, 0, 125, 0, 0, 0, 128, 0, 0, 0],
)];

/// Operations, which a failure shows as bytes too, for the list above.
struct Script(Vec<[u8; 4]>);

impl fmt::Debug for Script {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{:?}", self.0.concat())?;
        self.0.iter().try_for_each(|op| writeln!(f, "    {:?}", Op::decode(*op)))
    }
}

fn operations() -> impl Strategy<Value = Vec<[u8; 4]>> {
    vec(any::<[u8; 4]>(), 1..OPS)
}

fn agree(scripts: impl Strategy<Value = Script>) {
    let cases = if std::env::var_os("PROPTEST_CASES").is_some() { Config::default().cases } else { CASES };
    let config = Config { cases, failure_persistence: None, ..Config::default() };
    let script = |script: Script| -> TestCaseResult {
        run(&script.0.concat());
        Ok(())
    };
    let error = TestRunner::new(config).run(&scripts, script).err().map(|error| error.to_string());
    assert!(error.is_none(), "{}", error.unwrap_or_default());
}

/// S3-1, S2-5, T104: whatever is done with handles that are dead, reused, foreign, forged or null, each look-up and each
/// removal answers as the model does, and every part of every object is dropped once, and not too early.
#[test]
fn random_operations_agree_with_the_model() {
    agree(operations().prop_map(Script));
}

/// S3-1, S2-5, T104: as above. A run that knows but a few kinds of operations goes further with each: slots wear out,
/// many guards are held, worlds live long.
#[test]
fn random_operations_of_few_kinds_agree_with_the_model() {
    let kinds = vec(any::<u8>(), 3..20);
    agree((kinds, operations()).prop_map(|(kinds, mut ops)| {
        ops.iter_mut().for_each(|op| op[0] = kinds[usize::from(op[0]) % kinds.len()]);
        Script(ops)
    }));
}

#[test]
fn strings_that_show_known_errors_agree_with_the_model() {
    for (error, bytes) in REGRESSIONS {
        let outcome = std::panic::catch_unwind(|| run(bytes));
        assert!(outcome.is_ok(), "{error}");
    }
}

/// A handle that the pool of a fresh run gets for its first object, dead or alive: six odd ones are there before.
const FIRST_MADE: u8 = 13;
/// The first handle that is alive.
const LIVE: u8 = 0;
const NEXT_LIVE: u8 = 2;
const INSERT: Action = Action::Insert { victim: 0 };

/// For each situation, a way there.
fn ways() -> [(Situation, Vec<Action>); 17] {
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
    let worn: Vec<Action> = std::iter::repeat_n(Churn { count: 255 }, 5).collect();
    [
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
        (Situation::SlotReused, worn.clone()),
        (Situation::SlotRetired, worn),
        (Situation::TagReused, vec![INSERT, reset, INSERT]),
        (Situation::KeptByPin, vec![INSERT, mark, drain, FinishPinned { batch: 0 }]),
        (Situation::Repinned, vec![INSERT, Pin, Get { pin: 0, handle: LIVE }, Repin { pin: 0 }, Iterate { pin: 0 }]),
    ]
}

/// The random tests above would say little if these were not within their reach.
#[test]
fn the_operations_lead_to_every_situation() {
    let ways = ways();
    for situation in Situation::ALL {
        assert!(ways.iter().any(|(end, _)| *end == situation), "no way to {situation:?}");
    }
    for (situation, way) in ways {
        let ops: Vec<Op> = way.into_iter().map(|action| Op { second: true, action }).collect();
        assert_ne!(run_ops(&ops).of(situation), 0, "{situation:?}: {ops:?}");
    }
}
