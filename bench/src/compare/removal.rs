//! What a removal costs the one who removes.

use std::sync::mpsc;
use std::thread::{self, available_parallelism};
use std::time::{Duration, Instant};

use rustix::time::{ClockId, clock_gettime};

use super::churn::{Churn, filled};
use super::contenders::Enodev;
use super::get::beside_readers;
use super::measure::{Plan, median, percentile};
use super::object::shuffle;
use super::{Payload, Result};

/// What removals of single objects cost. One reading of the clock is in each time.
#[derive(Clone, Copy, Debug)]
pub struct Drain {
    /// The median where no other thread runs, in ns.
    pub idle_p50_ns: f64,
    /// What 99 of 100 do not exceed while each core has a thread that gets other objects, in ns. The
    /// remover has to share a core with one of them.
    pub busy_p99_ns: f64,
    /// The processor time that a removal takes which a reader blocks for [`Plan::hold`], in ms.
    pub blocked_cpu_ms: f64,
}

/// What the memory barrier of a removal alone costs, in ns: the median. One reading of the clock is in each time.
#[derive(Clone, Copy, Debug)]
pub struct Barriers {
    /// Where no other thread runs.
    pub idle_ns: f64,
    /// While each core has a thread that gets objects.
    pub busy_ns: f64,
}

pub(super) fn drain(plan: &Plan) -> Result<Drain> {
    let idle = removals(plan, 0)?;
    let busy = removals(plan, cores())?;
    Ok(Drain {
        idle_p50_ns: median(&idle).ok_or("no removals")?,
        busy_p99_ns: percentile(&busy, 0.99).ok_or("no removals")?,
        blocked_cpu_ms: blocked(plan.hold)?.as_secs_f64() * 1e3,
    })
}

pub(super) fn barriers(plan: &Plan) -> Result<Barriers> {
    let (contender, handles) = filled::<Enodev>(plan.objects)?;
    let domain = contender.arena.domain();
    let issue = || timed(|| domain.barrier());
    let run = || (0..plan.removals).map(|_| issue()).map(|(time, issued)| issued.map(|()| time)).collect();
    let idle: std::result::Result<Vec<f64>, _> = run();
    let busy: std::result::Result<Vec<f64>, _> = beside_readers(&contender, &handles, cores(), run);
    let ns = |times: Vec<f64>| median(&times).ok_or("no barriers");
    Ok(Barriers { idle_ns: ns(idle?)?, busy_ns: ns(busy?)? })
}

fn cores() -> usize {
    available_parallelism().map_or(1, usize::from)
}

/// How many ns `work` takes, and what it returns.
fn timed<R>(work: impl FnOnce() -> R) -> (f64, R) {
    let start = Instant::now();
    let result = work();
    (start.elapsed().as_nanos() as f64, result)
}

/// The times of removals, while `readers` threads get objects that stay.
fn removals(plan: &Plan, readers: usize) -> Result<Vec<f64>> {
    let (arena, mut handles) = filled::<Enodev>(plan.objects + plan.removals)?;
    shuffle(&mut handles);
    let (leaving, staying) = handles.split_at(plan.removals);
    let remove = || leaving.iter().map(|handle| timed(|| arena.remove(*handle)));
    let remove = || remove().map(|(time, removed)| removed.then_some(time)).collect::<Option<_>>();
    let times: Option<_> = beside_readers(&arena, staying, readers, remove);
    times.ok_or_else(|| "an object was not there to be removed".into())
}

/// The processor time of a removal that has to wait for a reader who stays inside for so long.
fn blocked(hold: Duration) -> Result<Duration> {
    let contender = Enodev::empty(1)?;
    let handle = contender.insert(Payload::new(0)).ok_or("an object cannot be made")?;
    let (entered, wait) = mpsc::channel();
    thread::scope(|scope| {
        let arena = &contender.arena;
        scope.spawn(move || {
            let guard = arena.enter(handle);
            // The receiver is there: it waits for this.
            let _ = entered.send(guard.is_ok());
            thread::sleep(hold);
            drop(guard);
        });
        if wait.recv() != Ok(true) {
            return Err("an object was not there to be entered".into());
        }
        let before = thread_time();
        let (_, removed) = timed(|| arena.remove(handle));
        let spent = thread_time().saturating_sub(before);
        removed.map(|_| spent).map_err(Into::into)
    })
}

/// The processor time that this thread has taken so far.
fn thread_time() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
    Duration::from_secs(seconds) + Duration::from_nanos(u64::try_from(time.tv_nsec).unwrap_or(0))
}
