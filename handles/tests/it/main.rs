//! What the crate promises, tried from outside: one binary, a module for each part of the promise.
//!
//! A test that has to show that a thread waits holds back what it waits for; a removal that never returns
//! shows as a test that hangs.

// `cfg(test)` on the modules tells clippy that their helpers are tests too.
#[cfg(test)]
mod biased;
#[cfg(test)]
mod careless;
#[cfg(test)]
mod common;
#[cfg(test)]
mod counts;
#[cfg(test)]
mod domains;
#[cfg(test)]
mod drain;
#[cfg(test)]
mod exclusive;
#[cfg(test)]
mod exit;
#[cfg(test)]
mod garbage;
#[cfg(test)]
mod guards;
#[cfg(test)]
mod handed;
#[cfg(test)]
mod iteration;
#[cfg(test)]
mod labelled;
#[cfg(test)]
mod late;
#[cfg(test)]
mod leftovers;
#[cfg(test)]
mod panics;
#[cfg(test)]
mod pins;
#[cfg(test)]
mod removers;
#[cfg(test)]
mod reuse;
#[cfg(test)]
mod stress;
