//! The interpreters and their models, driven by random bytes on the stable compiler.

use std::cell::RefCell;

use enodev_fuzz::Tally;
use enodev_fuzz::files::{self, Scene};
use enodev_fuzz::text::{self, Meeting};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestCaseResult, TestRunner};

/// Of each test, unless `PROPTEST_CASES` says otherwise.
const CASES: u32 = 2000;
const OPS: usize = 200;
/// So many runs should have met whatever there is to be met.
const MANY: usize = 1000;

fn agree<S>(inputs: impl Strategy<Value = Vec<u8>>, run: impl Fn(&[u8]) -> Tally<S>) -> Vec<Tally<S>> {
    let cases = if std::env::var_os("PROPTEST_CASES").is_some() { Config::default().cases } else { CASES };
    let config = Config { cases, failure_persistence: None, ..Config::default() };
    let tallies = RefCell::new(Vec::new());
    let one = |bytes: Vec<u8>| -> TestCaseResult {
        tallies.borrow_mut().push(run(&bytes));
        Ok(())
    };
    let error = TestRunner::new(config).run(&inputs, one).err().map(|error| error.to_string());
    assert!(error.is_none(), "{}", error.unwrap_or_default());
    tallies.into_inner()
}

/// What attributes say and take is what the oracles say, and all runs together meet every situation.
#[test]
fn attributes_agree_with_the_oracles() {
    let tallies = agree(vec(any::<u8>(), 1..1024), text::run);
    for meeting in Meeting::ALL {
        let runs = tallies.iter().filter(|tally| tally.of(meeting) > 0).count();
        assert!(runs > 0 || tallies.len() < MANY, "no run came to {meeting:?}");
    }
}

/// Whatever is done with objects, groups, attributes and files, in callbacks too, the store answers as the model does. A run that
/// knows but a few kinds of operations goes further with each. All runs together meet every situation.
#[test]
fn open_files_agree_with_the_model() {
    let mut tallies = agree(operations().prop_map(|ops| ops.concat()), files::run);
    let kinds = vec(any::<u8>(), 4..16);
    let few = (kinds, operations()).prop_map(|(kinds, mut ops)| {
        ops.iter_mut().for_each(|op| op[0] = kinds[usize::from(op[0]) % kinds.len()]);
        ops.concat()
    });
    tallies.extend(agree(few, files::run));
    for scene in Scene::ALL {
        let runs = tallies.iter().filter(|tally| tally.of(*scene) > 0).count();
        assert!(runs > 0 || tallies.len() < MANY || RARE.contains(scene), "no run came to {scene:?}");
    }
}

/// Those to which about one run of a thousand comes.
const RARE: [Scene; 2] = [Scene::LeavingAlready, Scene::GroupLeaving];

fn operations() -> impl Strategy<Value = Vec<[u8; 4]>> {
    vec(any::<[u8; 4]>(), 1..OPS)
}
