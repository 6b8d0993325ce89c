//! Threads that work at once, and whether they did.

use std::fs;
use std::hint::spin_loop;
use std::panic::resume_unwind;
use std::sync::Barrier;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// What came of a [`race`].
#[derive(Clone, Debug)]
pub struct Race<R> {
    /// From the first thread's start to the last one's end.
    pub time: Duration,
    /// What each thread returned.
    pub results: Vec<R>,
    /// The threads did not have a core each all the time: one was taken off its core, or started late.
    /// The time then tells of the other load of the machine. A thread that went to sleep by itself, for
    /// a lock, does not count. Never set where the system does not tell, as only Linux does.
    pub disturbed: bool,
}

/// Has `threads` threads work at once.
///
/// `ready` is called on each thread with the thread's number, and returns that thread's work. What
/// `ready` does is not timed, nor is the drop of the work.
///
/// The threads take the time themselves: where all cores are busy, a thread that waits for them
/// would wake too late to see them start.
///
/// ```
/// let race = enodev_bench::contest::race(2, |number| move || number + 1);
/// assert_eq!(race.results, [1, 2]);
/// ```
///
/// # Panics
///
/// If a thread panics in its work. A panic in `ready` is for one thread only: the others would wait at
/// the line for ever.
pub fn race<W, R>(threads: usize, ready: impl Fn(usize) -> W + Sync) -> Race<R>
where
    W: FnMut() -> R,
    R: Send,
{
    let line = Line::new(threads);
    let run = |number| {
        let mut work = ready(number);
        let before = line.wait(evictions);
        let start = Instant::now();
        let result = work();
        let end = Instant::now();
        (Run { start, end, evicted: evictions() != before }, result)
    };
    let (runs, results): (Vec<_>, _) = thread::scope(|scope| {
        let run = &run;
        let threads: Vec<_> = (0..threads).map(|number| scope.spawn(move || run(number))).collect();
        threads.into_iter().map(|thread| thread.join().unwrap_or_else(|why| resume_unwind(why))).unzip()
    });
    let (time, disturbed) = judge(&runs);
    Race { time, results, disturbed }
}

/// One thread's part of a race.
struct Run {
    start: Instant,
    end: Instant,
    evicted: bool,
}

/// Such a part of the time a thread may start after the first; it is then at most so wrong.
const LATE: u32 = 20;

/// How long a race took, and whether it was disturbed.
fn judge(runs: &[Run]) -> (Duration, bool) {
    let starts = || runs.iter().map(|run| run.start);
    let end = runs.iter().map(|run| run.end).max();
    let time = starts().min().zip(end).map_or(Duration::ZERO, |(start, end)| end - start);
    let late = starts().min().zip(starts().max()).is_some_and(|(first, last)| last - first > time / LATE);
    (time, late || runs.iter().any(|run| run.evicted))
}

/// How often this thread was taken off its core so far although it would have gone on.
fn evictions() -> Option<u64> {
    evictions_in(&fs::read_to_string("/proc/thread-self/status").ok()?)
}

fn evictions_in(status: &str) -> Option<u64> {
    status.lines().find_map(|line| line.strip_prefix("nonvoluntary_ctxt_switches:"))?.trim().parse().ok()
}

/// The line from which the threads of a race start.
///
/// They come to it asleep and leave it awake. To be woken takes a thread some fifty microseconds, which
/// would count; so those who are awake spin until all are. With fewer free cores than threads they give
/// way in the end.
struct Line {
    asleep: Barrier,
    threads: usize,
    awake: AtomicUsize,
}

impl Line {
    /// So often a thread looks for the others before it gives way: some hundred microseconds.
    const LOOKS: u32 = 5000;

    fn new(threads: usize) -> Self {
        Self { asleep: Barrier::new(threads), threads, awake: AtomicUsize::new(0) }
    }

    /// Waits for the others, and returns what `last` gives, which is called when all are there.
    fn wait<T>(&self, last: impl FnOnce() -> T) -> T {
        self.asleep.wait();
        let value = last();
        // Relaxed: a count alone; what the threads share was made known to them by the barrier.
        self.awake.fetch_add(1, Ordering::Relaxed);
        let mut looks = 0_u32;
        // Relaxed: as above.
        while self.awake.load(Ordering::Relaxed) < self.threads {
            looks = looks.wrapping_add(1);
            if looks % Self::LOOKS == 0 { thread::yield_now() } else { spin_loop() }
        }
        value
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_race_lasts_from_the_first_start_to_the_last_end() {
        let race = race(4, |_| || (Instant::now(), Instant::now()));
        let (starts, ends): (Vec<_>, Vec<_>) = race.results.into_iter().unzip();
        let inside = ends.into_iter().max().unwrap() - starts.into_iter().min().unwrap();
        assert!(race.time >= inside, "{:?} {inside:?}", race.time);
    }

    #[test]
    fn a_race_is_disturbed_if_a_thread_starts_late_or_is_evicted() {
        let zero = Instant::now();
        let at = |micros| zero + Duration::from_micros(micros);
        let run = |start, end| Run { start: at(start), end: at(end), evicted: false };
        let judge = |runs: &[Run]| super::judge(runs);
        assert_eq!(judge(&[run(0, 90), run(5, 100)]), (Duration::from_micros(100), false));
        assert_eq!(judge(&[run(6, 100), run(0, 90)]), (Duration::from_micros(100), true));
        assert_eq!(judge(&[run(10, 20)]), (Duration::from_micros(10), false));
        assert!(judge(&[run(0, 90), Run { evicted: true, ..run(0, 90) }]).1);
    }

    #[test]
    fn evictions_are_read_from_a_status() {
        let status = "Name:\tcompare\nvoluntary_ctxt_switches:\t7\nnonvoluntary_ctxt_switches:\t12\n";
        assert_eq!(evictions_in(status), Some(12));
        assert_eq!(evictions_in("Name:\tcompare\n"), None);
    }
}
