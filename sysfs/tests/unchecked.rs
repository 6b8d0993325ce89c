//! The storm on a store that was built with `--cfg enodev_unchecked`: it takes every handle for the slot's present object. The
//! storm has to notice.
#![cfg(enodev_unchecked)]
#![expect(clippy::unwrap_used, reason = "tests say what they expect by panicking")]

use std::time::Duration;

use enodev_sysfs::builtin;
use enodev_sysfs::storm::{Options, run};

/// An answer of whatever took the place of the object that was asked for is counted as wrong.
#[test]
fn the_storm_finds_the_wrong_answers_of_a_store_that_does_not_check() {
    let options = Options { readers: 2, duration: Duration::from_millis(250) };
    // Each takes that time on either side: five seconds in all.
    let wrong = (0..10).map(|_| run(&builtin(), options, |_| ()).unwrap().unwrap().enodev.wrong);
    assert!(wrong.into_iter().any(|wrong| wrong > 0));
}
