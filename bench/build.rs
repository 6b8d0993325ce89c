//! Counts what devices take in memory: a program of its own, which the program `compare` finds and runs.
//!
//! `allocation-counter` brings an allocator, which every allocation of the program then goes through. In `compare` itself that
//! took an insertion and removal of `idr_ebr` from 98 to 104 ns. So it has to be another program; and what Cargo builds together
//! with the one that it is asked to run is this build script alone.
//!
//! Called by Cargo, without arguments, it tells where it lies. Called with a number of devices, it prints the bytes of each in
//! enodev's store, and in the Arc baseline.
#![forbid(unsafe_code)]

use std::io::{Write, stdout};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    #[cfg(feature = "peers")]
    if let Some(devices) = std::env::args().nth(1) {
        let devices = devices.parse()?;
        writeln!(stdout(), "{} {}", count::ours(devices)?, count::baseline(devices)?)?;
        return Ok(());
    }
    writeln!(stdout(), "cargo::rerun-if-changed=build.rs")?;
    // A path that is no text cannot be told; `compare` then leaves the memory out.
    if let Some(path) = std::env::current_exe()?.to_str() {
        writeln!(stdout(), "cargo::rustc-env=ENODEV_BENCH_COUNT={path}")?;
    }
    Ok(())
}

#[cfg(feature = "peers")]
#[path = "src"]
mod library {
    #[expect(
        dead_code,
        unreachable_pub,
        unused_imports,
        reason = "only a part of it is used, and by this program alone"
    )]
    pub(crate) mod baseline;
}

#[cfg(feature = "peers")]
mod count {
    use std::io::Write;

    use allocation_counter::measure;
    use enodev::{DeviceType, Store};

    use crate::library::baseline::{ArcStore, Attribute, Attributes};

    type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

    /// The payload: 32 bytes, as of all rows of `compare`.
    type Payload = [u64; 4];

    /// So many attributes the type has.
    const ATTRIBUTES: usize = 40;

    /// Of enodev's store.
    pub(crate) fn ours(devices: usize) -> Result<f64> {
        per_device(devices, || {
            let store = Store::new()?;
            let ty = attributes().fold(DeviceType::shared::<Payload>("device"), |ty, name| {
                ty.ro(&name, |device, page| page.line(device[0]))
            });
            let ty = store.define(ty)?;
            for number in 0..devices {
                store.register(store.root(), &name(number), ty, [number as u64; 4])?;
            }
            Ok(store)
        })
    }

    /// Of the Arc baseline: one table of attributes for all, of which each object has a reference.
    pub(crate) fn baseline(devices: usize) -> Result<f64> {
        per_device(devices, || {
            let attribute = |name: String| {
                Attribute::ro(&name, |[number, ..]: &Payload, page| {
                    writeln!(page, "{number}").map_err(|error| error.raw_os_error().unwrap_or(0))
                })
            };
            let table = Attributes::new(attributes().map(attribute).collect())?;
            let store = ArcStore::new();
            for number in 0..devices {
                store.register("/", &name(number), [number as u64; 4], &table)?;
            }
            Ok(store)
        })
    }

    /// The bytes that each device has of what `make` makes: allocated and not freed again, without payload and name.
    fn per_device<S>(devices: usize, make: impl FnOnce() -> Result<S>) -> Result<f64> {
        let mut made = None;
        let bytes = measure(|| made = Some(make())).bytes_current;
        // Not before it has been counted is anything freed.
        drop(made.ok_or("nothing has been counted")??);
        let given: usize = (0..devices).map(|number| size_of::<Payload>() + name(number).len()).sum();
        Ok((bytes as f64 - given as f64) / devices as f64)
    }

    fn name(number: usize) -> String {
        format!("device{number}")
    }

    fn attributes() -> impl Iterator<Item = String> {
        (0..ATTRIBUTES).map(|number| format!("attribute{number}"))
    }
}
