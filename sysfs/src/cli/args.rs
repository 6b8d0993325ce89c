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
    /// Load a tree into a store, and unplug devices while others read them
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
}

/// Unless told otherwise.
const READERS: u16 = 4;

/// The same as clap's defaults.
impl Default for StormArgs {
    fn default() -> Self {
        Self { source: None, readers: READERS, seconds: Duration::from_secs(10), json: false }
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
