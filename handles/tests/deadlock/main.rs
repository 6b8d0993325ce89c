//! Waiting that ends: circles of those who wait for each other, removals that are put off to a leave, sleepers that are woken,
//! reports of who holds a removal up, drains as futures.
//!
//! Nothing here sleeps or has a time limit: a wake-up that is missing shows as a test that hangs.

// `cfg(test)` on the modules tells clippy that their helpers are tests too.
#[cfg(test)]
mod biased;
#[cfg(test)]
mod circles;
#[cfg(test)]
#[expect(dead_code, reason = "what the tests of the other binary need besides")]
#[path = "../it/common.rs"]
mod common;
#[cfg(test)]
mod deferred;
#[cfg(test)]
mod futures;
#[cfg(test)]
mod labelled;
#[cfg(test)]
mod load;
#[cfg(test)]
mod locks;
#[cfg(test)]
mod report;
#[cfg(test)]
mod rings;
#[cfg(test)]
mod sleepers;
#[cfg(test)]
mod strangers;
