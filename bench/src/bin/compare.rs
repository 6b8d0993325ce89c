//! Compares enodev with its peers: `cargo run --release -p enodev-bench --bin compare`.
#![forbid(unsafe_code)]

use std::io::{self, Write};
use std::num::NonZeroUsize;
use std::process::ExitCode;

use clap::Parser;
use enodev_bench::compare::{Plan, Result, run};

/// The same objects, in the same order, behind enodev's handles and its peers'.
///
/// Takes half a minute where nothing else runs, and five minutes at the most.
#[derive(Debug, Parser)]
#[command(name = "compare")]
struct Options {
    /// Prints JSON instead of tables.
    #[arg(long)]
    json: bool,
    /// Measures with so many threads only, instead of with 1 and with 2.
    #[arg(long, value_name = "N")]
    threads: Option<NonZeroUsize>,
    /// Measures only the rows of these names (`drain`, `barrier_ns` and `memory` are names too); `*` and `?` stand for any
    /// text and any character.
    #[arg(long, value_name = "GLOB")]
    only: Option<String>,
    /// Tiny sizes, to see that all works.
    #[arg(long, hide = true)]
    quick: bool,
}

impl Options {
    fn plan(&self) -> Plan {
        let mut plan = if self.quick { Plan::quick() } else { Plan::full() };
        if let Some(threads) = self.threads {
            plan.threads = vec![threads.get()];
        }
        if let Some(only) = &self.only {
            plan.only.clone_from(only);
        }
        plan
    }
}

fn main() -> ExitCode {
    match compare(&Options::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Where nobody listens there is nobody to tell.
            let _ = writeln!(io::stderr(), "compare: {error}");
            ExitCode::FAILURE
        }
    }
}

fn compare(options: &Options) -> Result<()> {
    let report = run(&options.plan())?;
    let mut out = io::stdout().lock();
    if options.json {
        writeln!(out, "{:#}", report.to_json())?;
    } else {
        write!(out, "{report}")?;
    }
    Ok(())
}
