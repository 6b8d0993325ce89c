//! The command line: what it accepts, and how it ends.
//!
//! Exit status 0 is success, 1 failure (said on standard error as `enodev: PATH: cause`), and 2
//! wrong use. A reader of the output that goes away early (`enodev tree | head`) is no failure.

mod args;

mod source;

mod storm;

mod model;

mod import;

mod tree;

mod cat;

mod render;

use std::io::{self, BufWriter, Write};
use std::process::ExitCode;

use clap::Parser;

use args::{Args, Command, StormArgs};

/// Why a command failed. The text is what stands behind `enodev: `.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    /// The source cannot be read at all.
    #[error(transparent)]
    Scan(#[from] enodev_sysfs::ScanError),
    /// The store refused part of the tree.
    #[error(transparent)]
    Load(#[from] enodev_sysfs::LoadError),
    /// The store refused something else.
    #[error("store: {0}")]
    Store(#[from] enodev::Error),
    /// A path in the tree is not there, or cannot be printed.
    #[error("{path}: {cause}")]
    Path { path: String, cause: String },
    /// Standard output cannot be written.
    #[error("standard output: {0}")]
    Output(#[from] io::Error),
    /// The command itself cannot do its work.
    #[error("{0}")]
    Command(&'static str),
}

/// Runs the command line of this process.
pub(crate) fn main() -> ExitCode {
    let args = match Args::try_parse() {
        Ok(args) => args,
        Err(error) => {
            // Also for `--help` and `--version`, which are no errors and have status 0.
            let _ = error.print();
            return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2));
        }
    };
    let mut out = BufWriter::new(io::stdout().lock());
    let command = args.command.unwrap_or(Command::Storm(StormArgs::default()));
    let result = match command {
        Command::Storm(storm) if storm.model.model => model::run(&storm, &mut out),
        Command::Storm(storm) => storm::run(&storm, &mut out),
        Command::Tree(tree) => tree::run(&tree, &mut out),
        Command::Cat(cat) => cat::run(&cat, &mut out),
    };
    // What was written before a failure is shown all the same.
    let flushed = out.flush().map_err(Failure::Output);
    // A second attempt to write it, by the drop, could only fail or write it twice.
    let _ = out.into_parts();
    match result.and(flushed) {
        Ok(()) => ExitCode::SUCCESS,
        Err(Failure::Output(error)) if error.kind() == io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(failure) => {
            note(&failure.to_string());
            ExitCode::FAILURE
        }
    }
}

/// Says something on standard error. Where that fails there is nobody left to tell.
pub(crate) fn note(text: &str) {
    let _ = writeln!(io::stderr().lock(), "enodev: {}", render::Plain(text));
}
