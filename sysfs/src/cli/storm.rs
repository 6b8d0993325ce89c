//! `enodev storm`: devices are unplugged while others read them.

use std::io::{self, IsTerminal, Write};

use indicatif::{ProgressBar, ProgressStyle};
use serde_json::json;

use enodev_sysfs::storm::{Nanoseconds, Options, Report, Sample, SideReport, run as storm};

use super::args::StormArgs;
use super::{Failure, note, source};

/// Runs the storm on the tree that `args` name. A wrong or unexpected answer is a failure, told after the report.
pub(crate) fn run(args: &StormArgs, out: &mut dyn Write) -> Result<(), Failure> {
    let tree = source::read(args.source.as_deref())?;
    if !tree.skipped.is_empty() {
        note(&format!("left out or left unread: {}", tree.skipped));
    }
    let options = Options { readers: args.readers.into(), duration: args.seconds };
    let bar = bar();
    let report = storm(&tree, options, |part| show(&bar, part));
    if let Some(bar) = &bar {
        bar.finish_and_clear();
    }
    let report = report.map_err(|error| Failure::Path { path: error.path, cause: error.cause })?;
    let report = report.ok_or(Failure::Command("the tree has no device with an attribute that can be read"))?;
    if args.json {
        writeln!(out, "{}", json(&report))?;
    } else {
        table(&report, options, out)?;
    }
    let ours = &report.enodev;
    if ours.wrong + ours.late + ours.unexpected + ours.lingering > 0 {
        return Err(Failure::Command("the store has broken its promises"));
    }
    Ok(())
}

const STEPS: u64 = 1000;

/// A bar on a terminal, nothing in a pipe.
pub(crate) fn bar() -> Option<ProgressBar> {
    if !io::stderr().is_terminal() {
        return None;
    }
    let bar = ProgressBar::new(STEPS);
    if let Ok(style) = ProgressStyle::with_template("storm {bar:40} {percent}% {elapsed}") {
        bar.set_style(style);
    }
    Some(bar)
}

/// How much is over.
pub(crate) fn show(bar: &Option<ProgressBar>, part: f64) {
    if let Some(bar) = bar {
        bar.set_position((part * STEPS as f64) as u64);
    }
}

fn json(report: &Report) -> serde_json::Value {
    let (ours, theirs) = (&report.enodev, &report.baseline);
    let nanoseconds = |times: Nanoseconds| json!({"p50": times.p50, "p99": times.p99, "max": times.max});
    json!({
        "objects": report.objects,
        "attributes": report.attributes,
        "links_left": report.links_left,
        "reads_ok": ours.reads_ok,
        "reads_enodev": ours.reads_enodev,
        "reads_imported_errno": ours.reads_imported_errno,
        "unexpected": ours.unexpected,
        "wrong": ours.wrong,
        "late": ours.late,
        "unplugs": ours.unplugs,
        "replugs": ours.replugs,
        "drain_ns": nanoseconds(ours.drain),
        "reads_per_second": ours.reads_per_second,
        "lingering": ours.lingering,
        "rss_1s": ours.rss_1s,
        "rss_peak": ours.rss_peak,
        "baseline_reads_per_second": theirs.reads_per_second,
        "baseline_lingering": theirs.lingering,
        "baseline_unplugs": theirs.unplugs,
        "baseline_wrong": theirs.wrong,
        "baseline_late": theirs.late,
        "baseline_unexpected": theirs.unexpected,
        "baseline_drain_ns": nanoseconds(theirs.drain),
    })
}

fn table(report: &Report, options: Options, out: &mut dyn Write) -> io::Result<()> {
    let (ours, theirs) = (&report.enodev, &report.baseline);
    writeln!(
        out,
        "{} objects, {} attributes; {} readers, {:?} each side\n",
        report.objects, report.attributes, options.readers, options.duration
    )?;
    let mut row = |name: &str, value: &dyn Fn(&SideReport) -> String| {
        writeln!(out, "{name:<42}{:>16}{:>16}", value(ours), value(theirs))
    };
    let micros = |nanoseconds: u64| format!("{:.1} µs", nanoseconds as f64 / 1000.0);
    row("", &|side| {
        if std::ptr::eq(side, ours) { "enodev".into() } else { "Arc baseline".into() }
    })?;
    row("reads per second", &|side| format!("{:.0}", side.reads_per_second))?;
    row("  right", &|side| side.reads_ok.to_string())?;
    row("  ENODEV", &|side| side.reads_enodev.to_string())?;
    row("  the error of the original", &|side| side.reads_imported_errno.to_string())?;
    row("  wrong", &|side| side.wrong.to_string())?;
    row("  late", &|side| side.late.to_string())?;
    row("  unexpected", &|side| side.unexpected.to_string())?;
    row("subtrees unplugged and replugged", &|side| side.unplugs.to_string())?;
    row("  one unplug, median", &|side| micros(side.drain.p50))?;
    row("  99 of 100", &|side| micros(side.drain.p99))?;
    row("  longest", &|side| micros(side.drain.max))?;
    row("payloads alive after their removal", &|side| side.lingering.to_string())?;
    writeln!(out, "\npayloads alive after their removal, over time:")?;
    let highest = ours.samples.iter().chain(&theirs.samples).map(|sample| sample.lingering).max().unwrap_or(0);
    writeln!(out, "  enodev        {}", chart(&ours.samples, highest))?;
    writeln!(
        out,
        "  Arc baseline  {}  (at most {highest} in {:?})",
        chart(&theirs.samples, highest),
        options.duration / 60
    )
}

/// One column for each stretch: a flat line is zero.
fn chart(samples: &[Sample], highest: u64) -> String {
    const BARS: [char; 9] = ['_', '▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
    let height = |sample: &Sample| (sample.lingering * 8).div_ceil(highest.max(1)) as usize;
    samples.iter().map(|sample| BARS[height(sample).min(8)]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chart_is_flat_where_nothing_lingers_and_shows_the_least_that_does() {
        let samples = [0, 1, 50, 100].map(|lingering| Sample { lingering, unplugs: 1 });
        assert_eq!(chart(&samples, 100), "_▁▄█");
        assert_eq!(chart(&samples[..1], 0), "_");
    }
}
