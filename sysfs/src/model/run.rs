//! One model storm.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use enodev::Result;

use super::audit::audit;
use super::book::Book;
use super::pause::Pause;
use super::scene::Field;
use super::step::Tally;
use super::walker::{Done, Progress, Walker};
use crate::random::mix;

/// How a model storm is to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    /// Threads; at least one.
    pub threads: usize,
    /// What all choices follow from.
    pub seed: u64,
    /// When it is over.
    pub bound: Bound,
    /// How many devices there are, those that drivers register not counted.
    pub devices: usize,
    /// How many drivers there are.
    pub drivers: usize,
    /// After so many operations of each thread there is a pause.
    pub round: u64,
    /// The book says one payload more than there is, from the first pause on, so that the auditor must find something.
    pub lie: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            threads: 2,
            seed: 0,
            bound: Bound::Time(Duration::from_secs(10)),
            devices: 10_000,
            drivers: 50,
            round: 50_000,
            lie: false,
        }
    }
}

/// When a storm is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bound {
    /// After this time.
    Time(Duration),
    /// After so many operations of all threads.
    Operations(u64),
}

/// What a model storm has shown.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// How often each sort of operation was done.
    pub tally: Tally,
    /// The least devices that there were at a pause, those that drivers register counted.
    pub devices_least: usize,
    /// How often the auditor has gone through the store.
    pub audits: u64,
    /// How many violations there were.
    pub violations: u64,
    /// The first of them, in words.
    pub told: Vec<String>,
    /// How many removals gave way to others (`EBUSY`, `EDEADLK`) and were finished later.
    pub given_up: u64,
    /// Of all that was chosen and answered; the same for the same seed and number of operations, where there is one thread.
    pub digest: u64,
    /// How long it took, the making of the tree not counted.
    pub elapsed: Duration,
}

/// The longest wait between two looks.
const LOOK: Duration = Duration::from_millis(50);
/// Where no thread has finished an operation for so long, they never will.
const STALL: Duration = Duration::from_secs(60);

/// Runs a model storm; `progress` is told, now and then, how much of it is over (0 to 1). Ends with the first pause at which anything is
/// known to be wrong. Where the threads wait for each other for ever, that is a violation too, and they are left behind.
///
/// # Errors
///
/// The store could not be made.
pub fn run(options: Options, mut progress: impl FnMut(f64)) -> Result<Report> {
    let book = Arc::new(Book::new(options.threads == 1));
    let field = Arc::new(Field::new(options.seed, &book, options.devices, options.drivers)?);
    let (begin, pause) = (Instant::now(), Arc::new(Pause::default()));
    let states: Vec<_> = (0..options.threads).map(|_| Arc::new(Progress::default())).collect();
    let threads: Vec<_> = states
        .iter()
        .enumerate()
        .map(|(number, state)| {
            let (field, pause, state) = (Arc::clone(&field), Arc::clone(&pause), Arc::clone(state));
            thread::spawn(move || walk(number, options, &field, &pause, &state))
        })
        .collect();
    let watch = Watch { options, book: &book, states: &states, pause: &pause, begin };
    let mut report = Report { devices_least: usize::MAX, ..Report::default() };
    loop {
        let Some(done) = watch.wait(&mut progress) else {
            watch.sum(&[], &mut report);
            return Ok(report);
        };
        if options.lie && report.audits == 0 {
            book.payloads.made.add(1);
        }
        report.devices_least = report.devices_least.min(audit(&field));
        report.audits += 1;
        watch.sum(&done, &mut report);
        let is_over = book.stop.is_up() || watch.is_over(report.tally.sum());
        pause.call(is_over);
        if is_over {
            break;
        }
    }
    threads.into_iter().for_each(|thread| drop(thread.join()));
    end(field, &book, &options);
    watch.sum(&[], &mut report);
    Ok(report)
}

/// What one thread does from the beginning to the end.
fn walk(number: usize, options: Options, field: &Arc<Field>, pause: &Pause, state: &Progress) {
    let limit = options.share(number);
    let (mut walker, mut until) = (Walker::new(options.seed, number), 0);
    loop {
        until = limit.min(until + options.round);
        let done = catch_unwind(AssertUnwindSafe(|| walker.go(field, until, state)));
        let done = done.unwrap_or_else(|_| {
            field.scene.book.violation("the thread has panicked");
            Done::default()
        });
        if !pause.arrive(done) {
            return;
        }
    }
}

impl Options {
    /// How many operations a thread does at most.
    fn share(&self, number: usize) -> u64 {
        match self.bound {
            Bound::Time(_) => u64::MAX,
            Bound::Operations(all) => {
                let (threads, number) = (self.threads as u64, number as u64);
                all / threads + u64::from(number < all % threads)
            }
        }
    }
}

/// Who looks on.
struct Watch<'a> {
    options: Options,
    book: &'a Book,
    states: &'a [Arc<Progress>],
    pause: &'a Pause,
    begin: Instant,
}

impl Watch<'_> {
    /// Waits until all threads are at the pause. None where they never will.
    fn wait(&self, progress: &mut impl FnMut(f64)) -> Option<Vec<Done>> {
        let (mut seen, mut since) = (0, Instant::now());
        loop {
            if let Some(done) = self.pause.wait(self.states.len(), LOOK) {
                return Some(done);
            }
            let now = self.states.iter().map(|state| state.get()).sum();
            progress(self.part(now));
            if self.is_over(now) {
                self.book.stop.raise();
            }
            if now != seen {
                (seen, since) = (now, Instant::now());
            } else if since.elapsed() > STALL {
                let at: Vec<_> = self.states.iter().map(|state| state.get()).collect();
                self.book
                    .violation(&format!("nothing has moved for {STALL:?}; the threads are at the operations {at:?}"));
                return None;
            }
        }
    }

    fn part(&self, operations: u64) -> f64 {
        let part = match self.options.bound {
            Bound::Time(length) => self.begin.elapsed().as_secs_f64() / length.as_secs_f64(),
            Bound::Operations(all) => operations as f64 / all.max(1) as f64,
        };
        part.min(1.0)
    }

    fn is_over(&self, operations: u64) -> bool {
        match self.options.bound {
            Bound::Time(length) => self.begin.elapsed() >= length,
            Bound::Operations(all) => operations >= all,
        }
    }

    /// Puts down what is known by now.
    fn sum(&self, done: &[Done], report: &mut Report) {
        if !done.is_empty() {
            (report.tally, report.digest) = (Tally::default(), 0);
            for one in done {
                report.tally.add(&one.tally);
                report.digest = report.digest.wrapping_add(mix(one.digest));
            }
        }
        report.violations = self.book.violations();
        report.told = self.book.told();
        report.given_up = self.book.given_up.get();
        report.elapsed = self.begin.elapsed();
    }
}

/// Drops the store, with which everything goes.
fn end(field: Arc<Field>, book: &Book, options: &Options) {
    let Some(Field { store, scene }) = Arc::into_inner(field) else {
        return book.violation("a thread that has ended has the store");
    };
    drop(store);
    scene.slots.iter().for_each(|slot| drop(slot.tenant.lock().take()));
    let lie = u64::from(options.lie);
    for (ledger, lie, what) in
        [(&book.payloads, lie, "payloads"), (&book.data, 0, "drivers' data"), (&book.drivers, 0, "drivers")]
    {
        let left = ledger.left();
        book.claim(left == lie, || format!("{left} {what} have outlived the store"));
    }
}
