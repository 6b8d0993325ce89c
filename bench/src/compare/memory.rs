//! What devices take in memory.

use std::process::Command;

use super::{Result, Unavailable};

/// What a device takes in memory: bytes asked of the allocator for a store with a directory of devices of one type with 40
/// attributes, by the number of devices, beyond 32 bytes of payload and the name.
///
/// What allocations cost the allocator itself, it does not tell.
#[derive(Clone, Copy, Debug)]
pub struct Memory {
    /// Of enodev's store.
    pub bytes_per_device: f64,
    /// Of the Arc baseline.
    pub arc_bytes_per_device: f64,
}

/// Another program counts, for the allocator that does so costs all allocations time: the build script, which says more.
pub(super) fn memory(devices: usize) -> Result<Memory> {
    let program = option_env!("ENODEV_BENCH_COUNT").unwrap_or("the build script");
    let run = Command::new(program).arg(devices.to_string()).output();
    let output = run.map_err(|error| Unavailable(format!("{program} does not run: {error}")))?;
    if !output.status.success() {
        return Err(format!("{program}: {}", String::from_utf8_lossy(&output.stderr)).into());
    }
    let text = String::from_utf8(output.stdout)?;
    let (ours, arc) = text.trim().split_once(' ').ok_or_else(|| format!("{program} tells {text}"))?;
    Ok(Memory { bytes_per_device: ours.parse()?, arc_bytes_per_device: arc.parse()? })
}
