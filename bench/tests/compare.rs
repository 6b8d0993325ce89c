//! The program `compare`: what it reports, in tiny sizes.

#![expect(clippy::unwrap_used, reason = "tests say what they expect by panicking")]

use std::collections::BTreeSet;
use std::process::{Command, Output};

use enodev_bench::compare::{Pattern, ROWS};
use serde_json::Value;

fn compare(options: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_compare")).arg("--quick").args(options).output().unwrap()
}

fn report(options: &[&str]) -> Value {
    let output = compare(&[&["--json"], options].concat());
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

fn is_measured(value: &Value) -> bool {
    value.as_f64().is_some_and(|number| number.is_finite() && number > 0.0)
}

/// The rows' names, patterns and numbers of threads.
fn rows(report: &Value) -> BTreeSet<(String, String, u64)> {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let rows = report["rows"].as_array().unwrap().iter();
    let rows: Vec<_> =
        rows.map(|row| (text(&row["name"]), text(&row["pattern"]), row["threads"].as_u64().unwrap())).collect();
    let set: BTreeSet<_> = rows.iter().cloned().collect();
    assert_eq!(set.len(), rows.len(), "none stands there twice");
    set
}

#[test]
fn the_report_has_a_positive_number_for_all_that_is_in_the_table() {
    let report = report(&[]);
    let mut expected = BTreeSet::new();
    for row in ROWS {
        for pattern in row.patterns() {
            let threads = (1..=2).filter(|threads| row.can_have(*threads));
            expected.extend(threads.map(|threads| (row.name().into(), pattern.name().into(), threads as u64)));
        }
    }
    assert_eq!(rows(&report), expected);
    for row in report["rows"].as_array().unwrap() {
        assert!(is_measured(&row["ns_per_op"]), "{row}");
    }
    for figure in ["idle_p50_ns", "busy_p99_ns", "blocked_cpu_ms"] {
        assert!(is_measured(&report["drain"][figure]), "{figure}: {report}");
    }
    for figure in ["idle", "busy"] {
        assert!(is_measured(&report["barrier_ns"][figure]), "{figure}: {report}");
    }
}

#[test]
fn names_in_the_table_are_unique() {
    let names: BTreeSet<_> = ROWS.iter().map(|row| row.name()).collect();
    assert_eq!(names.len(), ROWS.len());
}

#[test]
fn only_and_threads_narrow_the_report() {
    let report = report(&["--only", "slotmap*", "--threads", "3"]);
    let spread = Pattern::Spread.name();
    let expected = [("slotmap", spread), ("slotmap", Pattern::Hot.name()), ("slotmap_10m", spread)];
    assert_eq!(rows(&report), expected.map(|(name, pattern)| (name.into(), pattern.into(), 3)).into());
    assert!(report.get("drain").is_none() && report.get("barrier_ns").is_none());
}

#[test]
fn drain_is_a_name_too() {
    let report = report(&["--only", "drain"]);
    assert!(rows(&report).is_empty());
    assert!(report.get("drain").is_some());
}

#[test]
fn a_name_that_nothing_has_is_an_error() {
    let output = compare(&["--only", "absent"]);
    assert!(!output.status.success());
    assert!(String::from_utf8_lossy(&output.stderr).contains("absent"));
}

#[test]
fn the_table_for_people_has_a_line_for_each_row() {
    let output = compare(&["--only", "*slot*"]);
    let table = String::from_utf8(output.stdout).unwrap();
    for name in ROWS.iter().map(|row| row.name()).filter(|name| name.contains("slot")) {
        let lines = table.lines().filter(|line| line.split_whitespace().next() == Some(name));
        assert_eq!(lines.count(), 1, "{name}:\n{table}");
    }
}
