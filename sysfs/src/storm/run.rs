//! One storm: both sides, one after the other.

use std::panic::resume_unwind;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use super::arc_side::ArcSide;
use super::enodev_side::EnodevSide;
use super::era::Eras;
use super::plan::Plan;
use super::reader::{Reader, Seen, Verdict};
use super::side::{Side, SideError};
use super::tally::{Nanoseconds, Times};
use crate::Scanned;
use crate::load::all_links;
use crate::random::Random;

/// How a storm is to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    /// Threads that read; at least one.
    pub readers: usize,
    /// How long each side lasts.
    pub duration: Duration,
}

/// What a storm has shown.
#[derive(Clone, Debug)]
pub struct Report {
    /// Objects in the tree.
    pub objects: usize,
    /// Attributes in the tree.
    pub attributes: usize,
    /// Links of the tree that lead nowhere, or to an attribute, and are not in the store.
    pub links_left: usize,
    /// On enodev's store.
    pub enodev: SideReport,
    /// On the store made of `Arc`s.
    pub baseline: SideReport,
}

/// What a storm has shown on one store.
#[derive(Clone, Debug, Default)]
pub struct SideReport {
    /// Reads that gave what they should.
    pub reads_ok: u64,
    /// Reads that found the object gone.
    pub reads_enodev: u64,
    /// Reads that gave the error that the original gave too.
    pub reads_imported_errno: u64,
    /// Reads that gave anything else, or found the object gone while it was there; look-ups that did so too.
    pub unexpected: u64,
    /// Reads that were answered by another object or incarnation, or by a payload that had been dropped.
    pub wrong: u64,
    /// Reads that were answered by a payload whose removal had returned before they began.
    pub late: u64,
    /// Subtrees taken out.
    pub unplugs: u64,
    /// Subtrees put in again.
    pub replugs: u64,
    /// What taking one out took.
    pub drain: Nanoseconds,
    /// Reads of any outcome.
    pub reads_per_second: f64,
    /// Payloads that were still alive when their removal had returned.
    pub lingering: u64,
    /// Resident memory of the process one second after the beginning (or at the end of a shorter storm), in bytes.
    pub rss_1s: u64,
    /// The most from then on.
    pub rss_peak: u64,
    /// The course of it.
    pub samples: Vec<Sample>,
}

/// One stretch of a storm.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sample {
    /// Payloads that were alive when their removal had returned, in this stretch.
    pub lingering: u64,
    /// Subtrees taken out in this stretch.
    pub unplugs: u64,
}

/// Into so many stretches a storm is divided.
const SAMPLES: u32 = 60;
/// The longest wait between two looks at the memory.
const LOOK: Duration = Duration::from_millis(50);

/// Runs a storm on `tree`; `progress` is told, now and then, how much of it is over (0 to 1).
///
/// `None` where the tree has no device with an attribute that can be read.
///
/// # Errors
///
/// The path at which a store refused to do its part.
pub fn run(tree: &Scanned, options: Options, mut progress: impl FnMut(f64)) -> Result<Option<Report>, SideError> {
    let (mut links, mut links_left) = (Vec::new(), 0);
    for link in all_links(tree) {
        match link {
            Some(link) => links.push(link),
            None => links_left += 1,
        }
    }
    let Some(plan) = Plan::new(tree, &links) else {
        return Ok(None);
    };
    let enodev = {
        let side = EnodevSide::new(&plan)?;
        storm(&side, &plan, options, |part| progress(part / 2.0))?
    };
    let baseline = {
        let side = ArcSide::new(&plan, &links)?;
        storm(&side, &plan, options, |part| progress(0.5 + part / 2.0))?
    };
    let (objects, attributes) = (tree.dirs.len() - 1, tree.attributes_len());
    Ok(Some(Report { objects, attributes, links_left, enodev, baseline }))
}

/// What the thread that unplugs tells the one that looks on.
#[derive(Default)]
struct Progress {
    unplugs: AtomicU64,
    lingering: AtomicU64,
}

fn storm<S: Side>(
    side: &S,
    plan: &Plan<'_>,
    options: Options,
    progress: impl FnMut(f64),
) -> Result<SideReport, SideError> {
    let (stop, told, eras) = (AtomicBool::new(false), Progress::default(), Eras::new(plan.units.len()));
    let begin = Instant::now();
    thread::scope(|scope| {
        let readers: Vec<_> = (1..=options.readers as u64)
            .map(|seed| (seed, &eras, &stop))
            .map(|(seed, eras, stop)| scope.spawn(move || Reader::new(side, plan, eras, seed).run(stop)))
            .collect();
        let unplugger = scope.spawn(|| unplug(side, plan, &eras, &stop, &told));
        let mut report = look_on(begin, options.duration, &told, progress, &|| unplugger.is_finished());
        // Relaxed: nothing else depends on when this is seen.
        stop.store(true, Ordering::Relaxed);
        let mut seen = Seen::default();
        for reader in readers {
            seen.add(&reader.join().unwrap_or_else(|panic| resume_unwind(panic)));
        }
        let lasted = begin.elapsed();
        report.drain = unplugger.join().unwrap_or_else(|panic| resume_unwind(panic))?.summary();
        // Relaxed: the thread that counted has been joined.
        report.unplugs = told.unplugs.load(Ordering::Relaxed);
        // Relaxed: as above.
        report.lingering = told.lingering.load(Ordering::Relaxed);
        report.replugs = report.unplugs;
        report.reads_ok = seen.of(Verdict::Right);
        report.reads_enodev = seen.of(Verdict::Gone);
        report.reads_imported_errno = seen.of(Verdict::ImportedErrno);
        report.unexpected = seen.of(Verdict::Unexpected);
        report.wrong = seen.of(Verdict::Wrong);
        report.late = seen.of(Verdict::Late);
        report.reads_per_second = seen.reads() as f64 / lasted.as_secs_f64();
        Ok(report)
    })
}

/// Takes units out and puts them in again, until told to stop.
fn unplug<S: Side>(
    side: &S,
    plan: &Plan<'_>,
    eras: &Eras,
    stop: &AtomicBool,
    told: &Progress,
) -> Result<Times, SideError> {
    let (mut random, mut times) = (Random::new(0), Times::default());
    // Relaxed: nothing else depends on when this is seen.
    while !stop.load(Ordering::Relaxed) {
        let unit = random.below(plan.units.len());
        eras.advance(unit);
        let begin = Instant::now();
        side.unplug(unit)?;
        let took = begin.elapsed();
        let lingering = side.alive(unit) as u64;
        let out = eras.advance(unit);
        times.add(u64::try_from(took.as_nanos()).unwrap_or(u64::MAX));
        side.replug(unit, out.next())?;
        eras.advance(unit);
        // Relaxed: counts for the thread that looks on.
        told.lingering.fetch_add(lingering, Ordering::Relaxed);
        // Relaxed: as above.
        told.unplugs.fetch_add(1, Ordering::Relaxed);
    }
    Ok(times)
}

/// Watches a storm for its whole length, or until `is_over`.
fn look_on(
    begin: Instant,
    duration: Duration,
    told: &Progress,
    mut progress: impl FnMut(f64),
    is_over: &dyn Fn() -> bool,
) -> SideReport {
    let mut report = SideReport::default();
    let (mut before, stretch) = (Sample::default(), duration / SAMPLES);
    let settled = Duration::from_secs(1).min(duration);
    loop {
        thread::sleep(LOOK.min(duration.saturating_sub(begin.elapsed())).min(stretch));
        let elapsed = begin.elapsed();
        progress((elapsed.as_secs_f64() / duration.as_secs_f64()).min(1.0));
        let rss = resident_bytes();
        if elapsed >= settled {
            report.rss_1s = if report.rss_1s == 0 { rss } else { report.rss_1s };
            report.rss_peak = report.rss_peak.max(rss);
        }
        while elapsed >= stretch * (report.samples.len() as u32 + 1) && report.samples.len() < SAMPLES as usize {
            // Relaxed: counts of the thread that unplugs.
            let now = Sample {
                lingering: told.lingering.load(Ordering::Relaxed),
                unplugs: told.unplugs.load(Ordering::Relaxed),
            };
            report
                .samples
                .push(Sample { lingering: now.lingering - before.lingering, unplugs: now.unplugs - before.unplugs });
            before = now;
        }
        // By the same reading of the clock as above, so that the last look is at the end, and tells so.
        if elapsed >= duration || is_over() {
            return report;
        }
    }
}

/// How much memory of this process is resident; 0 where the system does not tell.
fn resident_bytes() -> u64 {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let pages: u64 = statm.split(' ').nth(1).and_then(|pages| pages.parse().ok()).unwrap_or(0);
    pages * rustix::param::page_size() as u64
}
