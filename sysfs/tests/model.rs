//! The model storm, as a library and as a command.
#![cfg(not(enodev_unchecked))]
#![expect(clippy::unwrap_used, reason = "tests say what they expect by panicking")]

use std::process::{Command, Output, Stdio};

use enodev_sysfs::model::{Bound, Options, Report, run};

/// A storm on few devices, so that threads meet at them often.
fn small(threads: usize, seed: u64, operations: u64) -> Options {
    Options { threads, seed, bound: Bound::Operations(operations), devices: 500, round: 3_000, ..Options::default() }
}

fn storm(options: Options) -> Report {
    run(options, |_| {}).unwrap()
}

/// S1-2, S1-8, S1-9, S2-7, S3-1, S0-13: while threads and callbacks add, remove, bind and unbind, rename and move everything, devices are
/// bound to one driver at most, a driver's callbacks on one device exclude each other and none runs after its driver's removal, handles
/// of what has gone are ENODEV, and at every pause the store has exactly what it should have.
#[test]
fn everything_at_once_breaks_no_promise() {
    // With an observer and without, with either strategy.
    for seed in 0..4 {
        let report = storm(small(3, seed, 20_000));
        assert_eq!(report.violations, 0, "seed {seed}: {:#?}", report.told);
        assert_eq!(report.tally.sum(), 20_000);
        assert!(report.tally.each().filter(|(_, count)| *count > 0).count() > 20, "{:?}", report.tally);
        // 6,667 operations each, 3,000 a round.
        assert_eq!(report.audits, 3);
        assert!(report.devices_least > 400, "{}", report.devices_least);
    }
}

#[test]
fn one_thread_does_the_same_for_the_same_seed() {
    let digest = |seed, operations| storm(small(1, seed, operations)).digest;
    assert_eq!(digest(5, 4_000), digest(5, 4_000));
    assert_ne!(digest(5, 4_000), digest(6, 4_000));
    assert_ne!(digest(5, 4_000), digest(5, 3_999));
}

#[test]
fn a_storm_is_over_in_time_and_says_how_far_it_is() {
    let mut told = Vec::new();
    let bound = Bound::Time(std::time::Duration::from_millis(200));
    let report = run(Options { bound, ..small(2, 1, 0) }, |part| told.push(part)).unwrap();
    assert_eq!(report.violations, 0, "{:#?}", report.told);
    assert!(report.elapsed.as_millis() >= 200 && report.audits >= 1);
    assert!(told.is_sorted() && told.iter().all(|part| (0.0..=1.0).contains(part)), "{told:?}");
}

#[test]
fn a_lie_in_the_book_is_found_at_the_first_pause() {
    let report = storm(Options { lie: true, ..small(2, 1, 20_000) });
    assert_eq!((report.violations, report.audits), (1, 1), "{:#?}", report.told);
    assert!(report.told[0].contains("payloads"), "{:?}", report.told);
    assert!(report.tally.sum() <= 6_000, "the storm ends there");
}

fn command(args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_enodev"));
    command.args(["storm", "--model"]).args(args);
    command.stdin(Stdio::null()).output().unwrap()
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

#[test]
fn the_command_prints_one_json_object_and_tells_the_seed_before_it() {
    let output = command(&["--operations", "3000", "--json"]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    assert_eq!(text(&output.stdout).lines().count(), 1);
    let value: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(value["operations"], 3000);
    assert_eq!(value["violations"], 0);
    assert_eq!(value["found"], serde_json::json!([]));
    let seed = value["seed"].as_u64().unwrap();
    assert!(text(&output.stderr).starts_with(&format!("enodev: model storm, seed {seed}, threads ")));
    assert_eq!(text(&output.stderr).lines().count(), 1);
    assert!(value["seconds"].as_f64().unwrap() > 0.0 && value["threads"].as_u64().unwrap() >= 2);
    assert_eq!((&value["devices"], &value["drivers"]), (&10_000.into(), &50.into()));
    let kinds = value["kinds"].as_object().unwrap();
    assert_eq!(kinds.values().map(|count| count.as_u64().unwrap()).sum::<u64>(), 3000);
}

#[test]
fn a_violation_is_told_with_what_replays_it() {
    let output = command(&["--seed", "7", "--threads", "1", "--operations", "2000", "--devices", "300", "--lie"]);
    assert_eq!(output.status.code(), Some(1));
    let lines: Vec<_> = text(&output.stderr).lines().collect();
    let [seed, found, replay, verdict] = lines[..] else { panic!("{lines:#?}") };
    assert_eq!(seed, "enodev: model storm, seed 7, threads 1");
    assert!(found.contains("payloads"), "{found}");
    assert_eq!(verdict, "enodev: the store has broken its promises");
    let replay = replay.strip_prefix("enodev: to replay: enodev storm --model ").unwrap();
    let again = command(&replay.split(' ').collect::<Vec<_>>());
    let digest = |output: &Output| text(&output.stdout).lines().last().unwrap().to_owned();
    assert_eq!((again.status.code(), digest(&again)), (Some(1), digest(&output)));
    assert_eq!(text(&again.stderr), text(&output.stderr));
}

#[test]
fn what_is_said_of_one_storm_is_not_said_of_the_other() {
    let storm = |args: &[&str]| {
        Command::new(env!("CARGO_BIN_EXE_enodev")).arg("storm").args(args).output().unwrap().status.code()
    };
    for args in [&["--seed", "1"][..], &["--threads", "2"], &["--operations", "5"], &["--devices", "9"], &["--lie"]] {
        assert_eq!(storm(args), Some(2), "{args:?}");
    }
    for args in [&["/sys"][..], &["--readers", "2"], &["--threads", "0"], &["--operations", "5", "--seconds", "1"]] {
        assert_eq!(storm(&[&["--model"], args].concat()), Some(2), "{args:?}");
    }
}
