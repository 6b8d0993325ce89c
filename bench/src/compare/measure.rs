//! The measuring: many short rounds, all rows in turn, and the median of each.

use std::time::{Duration, Instant};

use super::glob::matches;
use super::memory;
use super::removal;
use super::report::{Figure, LeftOut, Report};
use super::row::{Measured, Pattern, Row, on_its_own_thread};
use super::{ROWS, Result, Unavailable};

/// What is measured, and how long.
#[derive(Clone, Debug)]
pub struct Plan {
    /// How many objects a row has that is not huge.
    pub objects: usize,
    /// How many objects a huge row has.
    pub huge_objects: usize,
    /// How many undisturbed rounds each figure should be the median of.
    pub rounds: usize,
    /// How long the rounds go on, while some figure lacks undisturbed ones; a third of it for each huge
    /// row.
    pub patience: Duration,
    /// How long a round should take. Short ones are more likely to pass without an interruption.
    pub round: Duration,
    /// With how many threads each row is measured.
    pub threads: Vec<usize>,
    /// Which names are measured, `*` and `?` allowed; all by default.
    pub only: String,
    /// How many removals are timed for the figures on draining.
    pub removals: usize,
    /// How long a removal is blocked whose processor time is taken.
    pub hold: Duration,
    /// How many devices the figures on memory are the mean of.
    pub devices: usize,
}

impl Plan {
    /// The comparison as it is published: 1 and 2 threads, less than five minutes.
    #[must_use]
    pub fn full() -> Self {
        Self {
            objects: 10_000,
            huge_objects: 10_000_000,
            rounds: 101,
            patience: Duration::from_secs(75),
            round: Duration::from_millis(1),
            threads: vec![1, 2],
            only: "*".into(),
            removals: 50_000,
            hold: Duration::from_secs(1),
            devices: 100_000,
        }
    }

    /// Everything once and small, to see that it works. The figures mean nothing.
    #[must_use]
    pub fn quick() -> Self {
        Self {
            objects: 64,
            huge_objects: 1000,
            rounds: ENOUGH,
            patience: Duration::ZERO,
            round: Duration::from_micros(20),
            removals: 64,
            hold: Duration::from_millis(20),
            devices: 1000,
            ..Self::full()
        }
    }

    pub(super) fn wants(&self, name: &str) -> bool {
        matches(&self.only, name)
    }
}

/// So many rounds are made in any case. With fewer undisturbed ones than this, the disturbed ones count
/// too.
const ENOUGH: usize = 5;

/// Measures what the plan asks for.
///
/// # Errors
///
/// The plan asks for nothing that there is; or an object could not be made, found or removed.
pub fn run(plan: &Plan) -> Result<Report> {
    let wanted: Vec<&Row> = ROWS.iter().filter(|row| plan.wants(row.name())).collect();
    let (huge, usual): (Vec<_>, Vec<_>) = wanted.into_iter().partition(|row| row.is_huge());
    let mut left_out = Vec::new();
    let mut figures = measure(&usual, plan.objects, plan.patience, plan, &mut left_out)?;
    // One after the other: together they would take gigabytes.
    for row in huge {
        figures.extend(measure(&[row], plan.huge_objects, plan.patience / 3, plan, &mut left_out)?);
    }
    let drain = plan.wants("drain").then(|| on_its_own_thread(|| removal::drain(plan))).transpose()?;
    let barriers = plan.wants("barrier_ns").then(|| on_its_own_thread(|| removal::barriers(plan))).transpose()?;
    let memory =
        if plan.wants("memory") { or_left_out("memory", memory::memory(plan.devices), &mut left_out)? } else { None };
    if figures.is_empty() && left_out.is_empty() && drain.is_none() && barriers.is_none() && memory.is_none() {
        return Err(format!("nothing named {} with {:?} threads", plan.only, plan.threads).into());
    }
    let place = |figure: &Figure| ROWS.iter().position(|row| row.name() == figure.name);
    figures.sort_by_key(place);
    Ok(Report { figures, left_out, drain, barriers, memory })
}

/// A contender and what is measured of it.
struct Entry {
    row: Row,
    contender: Box<dyn Measured>,
    cells: Vec<Cell>,
}

/// One figure in the making.
struct Cell {
    pattern: Pattern,
    threads: usize,
    operations: u64,
    undisturbed: Vec<f64>,
    disturbed: Vec<f64>,
}

/// What came of it, or `None` and a line in the list where this system cannot have it.
fn or_left_out<T>(name: &'static str, outcome: Result<T>, left_out: &mut Vec<LeftOut>) -> Result<Option<T>> {
    match outcome {
        Ok(value) => Ok(Some(value)),
        Err(error) => {
            let why = error.downcast::<Unavailable>()?;
            left_out.push(LeftOut { name, why: why.to_string() });
            Ok(None)
        }
    }
}

fn measure(
    rows: &[&Row],
    objects: usize,
    patience: Duration,
    plan: &Plan,
    left_out: &mut Vec<LeftOut>,
) -> Result<Vec<Figure>> {
    let mut entries = Vec::new();
    for row in rows {
        entries.extend(or_left_out(row.name(), Entry::new(**row, objects, plan), left_out)?);
    }
    let (begin, mut sweeps, mut lacking) = (Instant::now(), 0, true);
    while lacking && (sweeps < ENOUGH || begin.elapsed() < patience) {
        entries.iter_mut().try_for_each(|entry| entry.sweep(plan.rounds))?;
        lacking = entries.iter().flat_map(|entry| &entry.cells).any(|cell| cell.lacks(plan.rounds));
        sweeps += 1;
    }
    Ok(entries.iter().flat_map(|entry| entry.figures(objects)).collect())
}

impl Entry {
    fn new(row: Row, objects: usize, plan: &Plan) -> Result<Self> {
        let mut contender = row.build(row.objects(objects))?;
        let mut cells = Vec::new();
        for &pattern in row.patterns() {
            for &threads in plan.threads.iter().filter(|threads| row.can_have(**threads)) {
                let operations =
                    if row.is_fixed() { 1 } else { calibrate(&mut *contender, threads, pattern, plan.round)? };
                cells.push(Cell::new(pattern, threads, operations));
            }
        }
        Ok(Self { row, contender, cells })
    }

    /// A round of each figure that lacks one.
    fn sweep(&mut self, rounds: usize) -> Result<()> {
        for cell in self.cells.iter_mut().filter(|cell| cell.lacks(rounds)) {
            let done = self.contender.round(cell.threads, cell.pattern, cell.operations);
            let done = done.map_err(|why| format!("{}: {why}", self.row.name()))?;
            let samples = if done.disturbed { &mut cell.disturbed } else { &mut cell.undisturbed };
            samples.push(done.ns_per_op());
        }
        Ok(())
    }

    fn figures(&self, objects: usize) -> impl Iterator<Item = Figure> {
        let objects = self.row.objects(objects);
        self.cells.iter().filter_map(move |cell| cell.figure(&self.row, objects))
    }
}

impl Cell {
    fn new(pattern: Pattern, threads: usize, operations: u64) -> Self {
        Self { pattern, threads, operations, undisturbed: Vec::new(), disturbed: Vec::new() }
    }

    /// Whether it has fewer undisturbed rounds than it should.
    fn lacks(&self, rounds: usize) -> bool {
        self.undisturbed.len() < rounds
    }

    fn figure(&self, row: &Row, objects: usize) -> Option<Figure> {
        let disturbed = self.undisturbed.len() < ENOUGH;
        let others = if disturbed { &*self.disturbed } else { &[] };
        let ns_per_op = median(&[&*self.undisturbed, others].concat())?;
        let (name, operation) = (row.name(), row.operation());
        Some(Figure { name, operation, objects, pattern: self.pattern, threads: self.threads, ns_per_op, disturbed })
    }
}

/// How many operations take about `round`.
fn calibrate(contender: &mut dyn Measured, threads: usize, pattern: Pattern, round: Duration) -> Result<u64> {
    let mut operations = 2000_u64;
    for _ in 0..30 {
        let done = contender.round(threads, pattern, operations)?;
        let ratio = round.as_secs_f64() / done.time.as_secs_f64().max(1e-9);
        let near = (0.25..4.0).contains(&ratio);
        // A time near the right one that was disturbed says neither that it is right nor that it is not.
        if !(done.disturbed && near) {
            operations = (operations as f64 * ratio.clamp(0.25, 4.0)) as u64 + 1;
        }
        if near && !done.disturbed {
            break;
        }
    }
    Ok(operations)
}

/// The value in the middle, or between the two in the middle; `None` if there are none.
pub(super) fn median(values: &[f64]) -> Option<f64> {
    let sorted = sorted(values);
    let (low, high) = (sorted.len().checked_sub(1)? / 2, sorted.len() / 2);
    Some((sorted.get(low)? + sorted.get(high)?) / 2.0)
}

/// The least value that so large a part of the values does not exceed; `None` if there are none.
pub(super) fn percentile(values: &[f64], part: f64) -> Option<f64> {
    let place = (values.len() as f64 * part).ceil() as usize;
    sorted(values).get(place.saturating_sub(1)).copied()
}

fn sorted(values: &[f64]) -> Vec<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_the_middle_of_the_sorted_values() {
        assert_eq!(median(&[]), None);
        assert_eq!(median(&[7.0]), Some(7.0));
        assert_eq!(median(&[9.0, 1.0]), Some(5.0));
        assert_eq!(median(&[9.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(median(&[1e9, 4.0, 2.0, 3.0]), Some(3.5));
    }

    #[test]
    fn disturbed_rounds_count_where_others_are_too_few() {
        let mut cell = Cell::new(Pattern::Spread, 1, 1);
        cell.disturbed = vec![100.0; 9];
        cell.undisturbed = vec![1.0; ENOUGH - 1];
        let figure = cell.figure(&ROWS[0], 1).unwrap();
        assert!(figure.disturbed && figure.ns_per_op == 100.0);
        cell.undisturbed.push(1.0);
        let figure = cell.figure(&ROWS[0], 1).unwrap();
        assert!(!figure.disturbed && figure.ns_per_op == 1.0);
    }

    #[test]
    fn a_row_that_cannot_be_had_is_left_out_and_one_that_fails_is_an_error() {
        const HERE: Row = ROWS[0];
        const LACKING: Row = Row::unregister("lacking", |_| Err(Unavailable("no such file".into()).into()));
        const FAILING: Row = Row::unregister("failing", |_| Err("no such luck".into()));
        let plan = Plan { threads: vec![1], ..Plan::quick() };
        let mut left_out = Vec::new();
        let figures = measure(&[&LACKING, &HERE], 10, plan.patience, &plan, &mut left_out).unwrap();
        assert!(!figures.is_empty() && figures.iter().all(|figure| figure.name == HERE.name()));
        assert_eq!(left_out.iter().map(|row| (row.name, &*row.why)).collect::<Vec<_>>(), [("lacking", "no such file")]);
        let error = measure(&[&HERE, &FAILING], 10, plan.patience, &plan, &mut left_out).unwrap_err();
        assert_eq!(error.to_string(), "failing: no such luck");
    }

    #[test]
    fn a_percentile_is_one_of_the_values() {
        let values: Vec<f64> = (1..=200).rev().map(f64::from).collect();
        assert_eq!(percentile(&values, 0.99), Some(198.0));
        assert_eq!(percentile(&values, 1.0), Some(200.0));
        assert_eq!(percentile(&[3.0, 4.0], 0.0), Some(3.0));
        assert_eq!(percentile(&[], 0.5), None);
    }
}
