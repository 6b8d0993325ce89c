//! What the crate does where a system-call filter stands in its way, as the filters of virtual machine monitors do.
//!
//! A filter cannot be taken off, so each test runs in a process of its own: it starts its own program again, for itself alone.

#![cfg(all(
    target_os = "linux",
    any(target_arch = "x86_64", target_arch = "aarch64", target_arch = "riscv64"),
    not(miri)
))]

// `cfg(test)` on the modules tells clippy that their helpers are tests too.
#[cfg(test)]
mod biased;
#[cfg(test)]
mod child;
#[cfg(test)]
mod disks;
#[cfg(test)]
mod listed;
#[cfg(test)]
mod refused;
