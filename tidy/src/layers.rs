//! The crates are layers, and arrows point down only.
//!
//! Only normal and build dependencies count: a test may look wherever it likes.

use std::ffi::OsString;
use std::io;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::Finding;

/// The layers, from the lowest up. Each may depend on those before it.
const LAYERS: [&str; 5] = ["enodev-handles", "enodev-attrs", "enodev", "enodev-modules", "enodev-sysfs"];

/// What stands beside the layers: may depend on any of them, and none of them on it.
const BESIDE: [&str; 3] = ["enodev-bench", "enodev-fuzz", "enodev-tidy"];

/// The one arrow that leaves the stack: the command races the store against the baseline.
const EXCEPTION: (&str, &str) = ("enodev-sysfs", "enodev-bench");

/// What `cargo metadata` says of the workspace at `root`.
///
/// # Errors
///
/// Cargo cannot be run, or refuses a manifest, or its answer is no JSON.
pub fn metadata(root: &Path) -> io::Result<Value> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| OsString::from("cargo"));
    let output = Command::new(cargo)
        .args(["metadata", "--no-deps", "--offline", "--format-version", "1"])
        .current_dir(root)
        .output()?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        return Err(io::Error::other(said));
    }
    serde_json::from_slice(&output.stdout).map_err(io::Error::other)
}

/// The arrows against the layers in the answer of [`metadata`].
#[must_use]
pub fn findings(metadata: &Value) -> Vec<Finding> {
    let mut findings = Vec::new();
    for package in list(metadata, "packages") {
        let name = text(package, "name");
        if !LAYERS.contains(&name) && !BESIDE.contains(&name) {
            findings.push(Finding::whole(name, "is no layer, and not beside them"));
            continue;
        }
        for dependency in list(package, "dependencies") {
            let on = text(dependency, "name");
            // A source means that it comes from outside; `kind` is null for a normal dependency.
            let ours = dependency["source"].is_null();
            let for_tests = dependency["kind"] == "dev";
            if ours && !for_tests && !is_allowed(name, on) {
                let what = format!("depends on {on}, against the layers");
                findings.push(Finding::whole(name, what));
            }
        }
    }
    findings
}

fn is_allowed(from: &str, on: &str) -> bool {
    let height = |name: &str| LAYERS.iter().position(|layer| *layer == name);
    match (height(from), height(on)) {
        (Some(from), Some(on)) => on < from,
        (Some(_), None) => (from, on) == EXCEPTION,
        (None, _) => true,
    }
}

fn list<'a>(value: &'a Value, key: &str) -> &'a [Value] {
    value[key].as_array().map_or(&[], Vec::as_slice)
}

fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value[key].as_str().unwrap_or("")
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::findings;

    fn arrow(from: &str, on: &str, kind: Value) -> usize {
        let dependency = json!({ "name": on, "source": null, "kind": kind });
        let package = json!({ "name": from, "dependencies": [dependency] });
        findings(&json!({ "packages": [package] })).len()
    }

    #[test]
    fn an_arrow_up_is_found() {
        assert_eq!(arrow("enodev-handles", "enodev-attrs", Value::Null), 1);
        assert_eq!(arrow("enodev-attrs", "enodev", Value::Null), 1);
        assert_eq!(arrow("enodev", "enodev-sysfs", Value::Null), 1);
        assert_eq!(arrow("enodev", "enodev-modules", Value::Null), 1);
        assert_eq!(arrow("enodev", "enodev-attrs-extra", Value::Null), 1);
        assert_eq!(arrow("enodev", "enodev-sysfs", json!("build")), 1);
    }

    #[test]
    fn an_arrow_down_passes() {
        assert_eq!(arrow("enodev-attrs", "enodev-handles", Value::Null), 0);
        assert_eq!(arrow("enodev-sysfs", "enodev-handles", Value::Null), 0);
        assert_eq!(arrow("enodev-bench", "enodev-sysfs", Value::Null), 0);
    }

    #[test]
    fn no_layer_leans_on_what_stands_beside_but_for_one() {
        assert_eq!(arrow("enodev", "enodev-bench", Value::Null), 1);
        assert_eq!(arrow("enodev-sysfs", "enodev-tidy", Value::Null), 1);
        assert_eq!(arrow("enodev-sysfs", "enodev-bench", Value::Null), 0);
    }

    #[test]
    fn tests_may_look_wherever_they_like() {
        assert_eq!(arrow("enodev-handles", "enodev-bench", json!("dev")), 0);
    }

    #[test]
    fn crates_from_outside_do_not_count() {
        let dependency = json!({ "name": "libc", "source": "registry", "kind": null });
        let package = json!({ "name": "enodev-handles", "dependencies": [dependency] });
        assert!(findings(&json!({ "packages": [package] })).is_empty());
    }

    #[test]
    fn a_package_without_a_place_is_found() {
        let package = json!({ "name": "enodev-new", "dependencies": [] });
        assert_eq!(findings(&json!({ "packages": [package] })).len(), 1);
    }
}
