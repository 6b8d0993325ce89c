//! What columns promise, tried from outside.
//!
//! A test that has to show that a thread waits holds back what it waits for; one that never returns shows as a test that
//! hangs.

// `cfg(test)` on the modules tells clippy that their helpers are tests too.
#[cfg(test)]
mod common;
#[cfg(test)]
mod density;
#[cfg(test)]
mod ending;
#[cfg(test)]
mod joins;
#[cfg(test)]
mod loads;
#[cfg(test)]
mod model;
#[cfg(test)]
mod payloads;
#[cfg(test)]
mod torn;
#[cfg(test)]
mod values;
