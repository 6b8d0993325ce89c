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
    let left_out = left_out(&report);
    expected.retain(|(name, _, _)| !left_out.contains(name));
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
    for figure in ["bytes_per_device_40_attrs", "arc_bytes_per_device_40_attrs"] {
        assert!(is_measured(&report["memory"][figure]), "{figure}: {report}");
    }
}

/// The rows that this system cannot have. Only one asks for something that a system may lack.
fn left_out(report: &Value) -> BTreeSet<String> {
    let left_out = report["left_out"].as_array().unwrap().iter();
    let names = left_out.map(|row| {
        assert!(row["why"].as_str().is_some_and(|why| !why.is_empty()), "{row}");
        row["name"].as_str().unwrap().to_owned()
    });
    let names: BTreeSet<_> = names.collect();
    assert!(names.iter().all(|name| name == "kernel_pread"), "{names:?}");
    names
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
fn reads_and_removals_are_rows_of_one_thread() {
    let report = report(&["--only", "*read*", "--threads", "1"]);
    let expected = ["attr_read", "attr_read_arc", "attr_read_plain", "enodev_churn_readers", "kernel_pread"];
    let expected = expected.map(|name| (name.to_owned(), Pattern::Spread.name().to_owned(), 1));
    let expected = expected.into_iter().filter(|(name, _, _)| !left_out(&report).contains(name));
    assert_eq!(rows(&report), expected.collect());

    let output = compare(&["--only", "unregister*", "--threads", "2"]);
    assert!(!output.status.success(), "none of them can have two");
}

#[test]
fn memory_is_a_name_too_and_between_the_parts_of_an_object_and_a_page() {
    let report = report(&["--only", "memory"]);
    assert!(rows(&report).is_empty() && report.get("drain").is_none());
    // A handle, a reference to the type, a place in the directory: more than two words each.
    for figure in ["bytes_per_device_40_attrs", "arc_bytes_per_device_40_attrs"] {
        let bytes = report["memory"][figure].as_f64().unwrap();
        assert!((48.0..4096.0).contains(&bytes), "{figure}: {bytes}");
    }
    let table = String::from_utf8(compare(&["--only", "memory"]).stdout).unwrap();
    assert_eq!(table.lines().filter(|line| line.ends_with(" bytes")).count(), 2, "{table}");
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
