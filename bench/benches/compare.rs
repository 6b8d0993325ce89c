//! The rows of the program `compare`, those among very many objects left out, as groups of criterion.

#![expect(clippy::unwrap_used, reason = "an operation that fails is no measurement")]

use criterion::{BenchmarkId, Criterion};
use enodev_bench::compare::{Measured, Plan, ROWS, Row, Unavailable};

fn bench(criterion: &mut Criterion, row: &Row, plan: &Plan) {
    let mut group = criterion.benchmark_group(row.name());
    let mut contender: Option<Box<dyn Measured>> = None;
    for &pattern in row.patterns() {
        for &threads in plan.threads.iter().filter(|threads| row.can_have(**threads)) {
            group.bench_function(BenchmarkId::new(pattern.name(), threads), |bencher| {
                // Made for the first that is not filtered out.
                let contender = contender.get_or_insert_with(|| row.build(row.objects(plan.objects)).unwrap());
                bencher.iter_custom(|operations| {
                    let done = contender.round(threads, pattern, operations).unwrap();
                    done.time.mul_f64(operations as f64 / done.operations as f64)
                });
            });
        }
    }
    group.finish();
}

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    let lacking = |row: &Row| row.build(1).is_err_and(|error| error.is::<Unavailable>());
    for row in ROWS.iter().filter(|row| !row.is_huge() && !lacking(row)) {
        bench(&mut criterion, row, &Plan::full());
    }
    criterion.final_summary();
}
