//! What a gate promises, tried from outside: a module for each part of the promise.
//!
//! A test that has to show that a thread waits holds back what it waits for; a closer that never returns shows as a test that
//! hangs.

// `cfg(test)` on the modules tells clippy that their helpers are tests too.
#[cfg(test)]
mod closers;
#[cfg(test)]
mod common;
#[cfg(test)]
mod crossing;
#[cfg(test)]
mod drain;
#[cfg(test)]
mod drained;
#[cfg(test)]
mod ends;
#[cfg(test)]
mod owned;
#[cfg(test)]
mod queue;
#[cfg(test)]
mod reopen;
#[cfg(test)]
mod revocable;
