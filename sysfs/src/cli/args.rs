//! What the command line accepts.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Parser, Subcommand};

/// Looks at device trees, and holds a store of devices to its promises.
#[derive(Debug, Parser)]
#[command(name = "enodev", version, arg_required_else_help = false)]
pub(crate) struct Args {
    /// Without a command, `storm` runs with its defaults.
    #[command(subcommand)]
    pub(crate) command: Option<Command>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Load a tree into a store, and unplug devices while others read them; or do everything at once to
    /// a model
    Storm(StormArgs),
    /// Show a tree, or part of one
    Tree(TreeArgs),
    /// Show the content of one attribute
    Cat(CatArgs),
}

#[derive(Debug, clap::Args)]
pub(crate) struct StormArgs {
    /// The tree, or a folder that holds it under the name `sys` [default: /sys, or else a small
    /// invented tree]
    pub(crate) source: Option<PathBuf>,
    /// Threads that read
    #[arg(
        long,
        value_name = "N",
        default_value_t = READERS,
        value_parser = clap::value_parser!(u16).range(1..=1024)
    )]
    pub(crate) readers: u16,
    /// How long it lasts; fractions are allowed
    #[arg(long, value_name = "S", default_value = "10", value_parser = seconds)]
    pub(crate) seconds: Duration,
    /// Print the result as one JSON object
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) model: ModelArgs,
}

/// What is said of the model storm.
#[derive(Debug, Default, clap::Args)]
#[command(next_help_heading = "The model storm")]
pub(crate) struct ModelArgs {
    /// Do everything that a store can do, at once, to an invented tree of devices and drivers: add and
    /// remove, bind and unbind, rename and move, read and write, iterate, look up, resolve addresses. At
    /// every pause an auditor compares the store with a book kept beside it
    #[arg(long, conflicts_with_all = ["source", "readers"])]
    pub(crate) model: bool,
    /// Threads of the model storm [default: as many as there are processors, and at least 2]
    #[arg(long, value_name = "N", requires = "model", value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub(crate) threads: Option<u16>,
    /// What all choices follow from [default: by chance, and printed]. With one thread, the same seed
    /// and number of operations is exactly the same storm. With more, each thread chooses the same, and
    /// the threads run in another interleaving
    #[arg(long, value_name = "N", requires = "model")]
    pub(crate) seed: Option<u64>,
    /// End after so many operations of all threads, instead of some time
    #[arg(
        long,
        value_name = "N",
        requires = "model",
        conflicts_with = "seconds",
        value_parser = clap::value_parser!(u64).range(1..)
    )]
    pub(crate) operations: Option<u64>,
    /// Devices of the model, those that drivers register not counted [default: 10000]. Where there are
    /// few, threads meet at them more often
    #[arg(long, value_name = "N", requires = "model", value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub(crate) devices: Option<u32>,
    /// Drivers of the model [default: 50]
    #[arg(long, value_name = "N", requires = "model", value_parser = clap::value_parser!(u16).range(0..=1000))]
    pub(crate) drivers: Option<u16>,
    /// Have the book tell a lie, which the auditor must find
    #[arg(long, requires = "model", hide = true)]
    pub(crate) lie: bool,
}

/// Unless told otherwise.
const READERS: u16 = 4;

/// The same as clap's defaults.
impl Default for StormArgs {
    fn default() -> Self {
        let seconds = Duration::from_secs(10);
        Self { source: None, readers: READERS, seconds, json: false, model: ModelArgs::default() }
    }
}

#[derive(Debug, clap::Args)]
pub(crate) struct TreeArgs {
    /// The tree, or a folder that holds it under the name `sys` [default: /sys, or else a small
    /// invented tree]
    pub(crate) source: Option<PathBuf>,
    /// Where to begin, relative to the root of the tree
    pub(crate) path: Option<String>,
}

#[derive(Debug, clap::Args)]
pub(crate) struct CatArgs {
    /// The tree, or a folder that holds it under the name `sys`
    pub(crate) source: PathBuf,
    /// The attribute, relative to the root of the tree
    pub(crate) path: String,
}

/// The longest storm, in seconds: a year.
const SECONDS_MAX: f64 = 366.0 * 86_400.0;

/// A length of time above zero, in seconds.
fn seconds(text: &str) -> Result<Duration, String> {
    let seconds: f64 = text.parse().map_err(|_| "not a number".to_owned())?;
    if !(seconds > 0.0 && seconds <= SECONDS_MAX) {
        return Err(format!("not above 0 and at most {SECONDS_MAX}"));
    }
    let duration = Duration::try_from_secs_f64(seconds).map_err(|error| error.to_string())?;
    if duration.is_zero() { Err("less than a nanosecond".to_owned()) } else { Ok(duration) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_definition_is_sound() {
        use clap::CommandFactory;
        Args::command().debug_assert();
    }

    #[test]
    fn no_command_is_the_same_as_storm_without_options() {
        let Some(Command::Storm(parsed)) = Args::parse_from(["enodev", "storm"]).command else {
            panic!("storm is storm");
        };
        assert_eq!(format!("{parsed:?}"), format!("{:?}", StormArgs::default()));
        assert!(Args::parse_from(["enodev"]).command.is_none());
    }

    #[test]
    fn seconds_are_finite_and_above_zero() {
        assert_eq!(seconds("0.5"), Ok(Duration::from_millis(500)));
        assert_eq!(seconds("2"), Ok(Duration::from_secs(2)));
        for text in ["0", "-0", "-1", "nan", "inf", "-inf", "1e300", "1e-12", "", "2s", "0x2"] {
            assert!(seconds(text).is_err(), "{text:?}");
        }
    }
}
