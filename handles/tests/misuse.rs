//! Handles of all sorts, good and bad, on two stores, compared with a model after every operation. The operations and
//! the model are those of `enodev_fuzz`, whose fuzz target finds such strings of bytes by itself.

use std::cell::RefCell;
use std::fmt;

use enodev_fuzz::{Action, Op, Situation, Tally, run, run_ops, ways};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestCaseResult, TestRunner};

/// Of each of the two random tests, unless `PROPTEST_CASES` says otherwise.
const CASES: u32 = if cfg!(miri) { 4 } else { 1000 };
const OPS: usize = if cfg!(miri) { 40 } else { 200 };

/// In the second world, or else in the first.
const fn op(second: bool, action: Action) -> Op {
    Op { second, action }
}

/// Operations, each with the error that they show where the code has it.
const REGRESSIONS: [(&str, &[Op]); 3] = [
    (
        "a forged handle without a tag is refused as if it were leaving, by a slot that was never used",
        &[op(true, Action::Reserve), op(true, Action::Mark { batch: 0, handle: 3 })],
    ),
    (
        "where an object left by a deferred removal, the next one in its slot is still taken for it at the world's end",
        &[
            op(false, Action::Insert { victim: 0 }),
            op(false, Action::Enter { handle: 0, part: 0 }),
            op(false, Action::Mark { batch: 0, handle: 0 }),
            op(false, Action::Defer { batch: 0, take: 0 }),
            op(false, Action::Leave { guard: 0 }),
            op(false, Action::Flush),
            // So many that the same slot is next.
            op(false, Action::Wear { count: 8 }),
            op(false, Action::Insert { victim: 0 }),
            op(false, Action::Reset { how: 16 }),
        ],
    ),
    (
        "the handle of a forgotten reservation comes back under the next world's tag",
        &[
            op(true, Action::Reserve),
            op(true, Action::ForgetReservation { reservation: 0 }),
            op(false, Action::Reset { how: 0 }),
            op(true, Action::Insert { victim: 0 }),
        ],
    ),
];

/// Operations, as the fuzz target's bytes and in words.
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

/// Runs the scripts. Returns the tally of each.
fn agree(scripts: impl Strategy<Value = Script>) -> Vec<Tally> {
    let cases = if std::env::var_os("PROPTEST_CASES").is_some() { Config::default().cases } else { CASES };
    let config = Config { cases, failure_persistence: None, ..Config::default() };
    let tallies = RefCell::new(Vec::new());
    let script = |script: Script| -> TestCaseResult {
        tallies.borrow_mut().push(run(&script.0.concat()));
        Ok(())
    };
    let error = TestRunner::new(config).run(&scripts, script).err().map(|error| error.to_string());
    assert!(error.is_none(), "{}", error.unwrap_or_default());
    tallies.into_inner()
}

/// So many runs should have met whatever there is to be met.
const MANY: usize = 500;

/// S3-1, S2-5, T104: whatever is done with handles that are dead, reused, foreign, forged or null, each look-up and each
/// removal answers as the model does, and every part of every object is dropped once, and not too early. Most runs wear slots
/// out, and all runs together meet every situation.
#[test]
fn random_operations_agree_with_the_model() {
    let tallies = agree(operations().prop_map(Script));
    if tallies.len() < MANY {
        return;
    }
    let retired = tallies.iter().filter(|tally| tally.of(Situation::SlotRetired) > 0).count();
    assert!(retired * 2 > tallies.len(), "slots retired in {retired} of {} runs only", tallies.len());
    for situation in Situation::ALL {
        let runs = tallies.iter().filter(|tally| tally.of(situation) > 0).count();
        assert_ne!(runs, 0, "no run came to {situation:?}");
    }
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
fn operations_that_show_known_errors_agree_with_the_model() {
    for (error, ops) in REGRESSIONS {
        let outcome = std::panic::catch_unwind(|| run_ops(ops));
        assert!(outcome.is_ok(), "{error}");
    }
}

/// The random tests above would say little if these were not within their reach.
#[test]
fn the_operations_lead_to_every_situation() {
    let ways = ways();
    for situation in Situation::ALL {
        assert!(ways.iter().any(|(end, _)| *end == situation), "no way to {situation:?}");
    }
    for (situation, way) in ways {
        assert_ne!(run_ops(&way).of(situation), 0, "{situation:?}: {way:?}");
        let bytes: Option<Vec<[u8; 4]>> = way.iter().map(|op| op.encode()).collect();
        assert_ne!(run(&bytes.unwrap().concat()).of(situation), 0, "{situation:?}, as bytes");
    }
}
