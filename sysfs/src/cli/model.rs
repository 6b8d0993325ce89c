//! `enodev storm --model`: everything at once, and an auditor.

use std::hash::{BuildHasher, RandomState};
use std::io::{self, Write};
use std::thread;

use serde_json::json;

use enodev_sysfs::model::{Bound, Options, Report, run as storm};

use super::args::StormArgs;
use super::storm::{bar, show};
use super::{Failure, note};

/// Runs the model storm. A violation is a failure, told after the report.
pub(crate) fn run(args: &StormArgs, out: &mut dyn Write) -> Result<(), Failure> {
    let options = options(args);
    // Before the storm: whatever becomes of it, the seed is known.
    note(&format!("model storm, seed {}, threads {}", options.seed, options.threads));
    let bar = bar();
    let report = storm(options, |part| show(&bar, part))?;
    if let Some(bar) = &bar {
        bar.finish_and_clear();
    }
    if args.json {
        writeln!(out, "{}", json(&report, options))?;
    } else {
        table(&report, options, out)?;
    }
    if report.violations == 0 {
        return Ok(());
    }
    report.told.iter().for_each(|told| note(told));
    note(&format!("to replay: {}", replay(&report, options)));
    Err(Failure::Command("the store has broken its promises"))
}

/// The command that does the same again.
fn replay(report: &Report, options: Options) -> String {
    let Options { seed, threads, devices, drivers, lie, .. } = options;
    let usual = Options::default();
    let mut command =
        format!("enodev storm --model --seed {seed} --threads {threads} --operations {}", report.tally.sum());
    if devices != usual.devices {
        command += &format!(" --devices {devices}");
    }
    if drivers != usual.drivers {
        command += &format!(" --drivers {drivers}");
    }
    if lie {
        command += " --lie";
    }
    command
}

fn options(args: &StormArgs) -> Options {
    let model = &args.model;
    let usual = Options::default();
    let threads = || thread::available_parallelism().map_or(2, |count| count.get().max(2));
    Options {
        threads: model.threads.map_or_else(threads, usize::from),
        seed: model.seed.unwrap_or_else(chance),
        bound: model.operations.map_or(Bound::Time(args.seconds), Bound::Operations),
        devices: model.devices.map_or(usual.devices, |devices| devices as usize),
        drivers: model.drivers.map_or(usual.drivers, usize::from),
        lie: model.lie,
        ..usual
    }
}

/// A seed that nobody has chosen; short enough for any reader of JSON.
fn chance() -> u64 {
    RandomState::new().hash_one(0) >> 16
}

fn json(report: &Report, options: Options) -> serde_json::Value {
    let kinds: serde_json::Map<_, _> = report.tally.each().map(|(name, count)| (name.into(), count.into())).collect();
    json!({
        "seed": options.seed,
        "seconds": report.elapsed.as_secs_f64(),
        "threads": options.threads,
        "devices": options.devices,
        "drivers": options.drivers,
        "operations": report.tally.sum(),
        "operations_per_minute": per_minute(report),
        "violations": report.violations,
        "found": report.told,
        "audits": report.audits,
        "devices_least": report.devices_least,
        "given_up": report.given_up,
        "digest": format!("{:016x}", report.digest),
        "kinds": kinds,
    })
}

fn per_minute(report: &Report) -> u64 {
    (report.tally.sum() as f64 * 60.0 / report.elapsed.as_secs_f64()) as u64
}

fn table(report: &Report, options: Options, out: &mut dyn Write) -> io::Result<()> {
    let Options { devices, drivers, threads, seed, .. } = options;
    let seconds = report.elapsed.as_secs_f64();
    writeln!(out, "{devices} devices, {drivers} drivers; {threads} threads, {seconds:.1} s; seed {seed}\n")?;
    let mut row = |name: &str, value: u64| writeln!(out, "{name:<42}{value:>16}");
    row("operations", report.tally.sum())?;
    row("  in a minute", per_minute(report))?;
    report.tally.each().try_for_each(|(name, count)| row(&format!("  {}", name.replace('_', " ")), count))?;
    row("removals that gave way, and were finished", report.given_up)?;
    row("audits", report.audits)?;
    row("  the least devices there were", report.devices_least as u64)?;
    row("violations", report.violations)?;
    writeln!(out, "digest of choices and answers{:>29}", format!("{:016x}", report.digest))
}
