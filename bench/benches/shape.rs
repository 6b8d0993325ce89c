//! Which map of `Arc`s is the fastest to look a path up in: the baseline has to be the best of them.

#![expect(clippy::unwrap_used, reason = "a look-up that fails is no measurement")]

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, RwLock};

use criterion::{BenchmarkId, Criterion};
use enodev_bench::contest::{self, Contender, Load, Pick};

/// A map of the same paths in one shape or another.
trait Shape: Sync {
    fn get(&self, path: &str) -> Option<Arc<u64>>;
}

struct Flat<M>(RwLock<M>);

impl Shape for Flat<HashMap<Arc<str>, Arc<u64>>> {
    fn get(&self, path: &str) -> Option<Arc<u64>> {
        self.0.read().unwrap().get(path).cloned()
    }
}

impl Shape for Flat<BTreeMap<Arc<str>, Arc<u64>>> {
    fn get(&self, path: &str) -> Option<Arc<u64>> {
        self.0.read().unwrap().get(path).cloned()
    }
}

struct ParkingLot(parking_lot::RwLock<HashMap<Arc<str>, Arc<u64>>>);

impl Shape for ParkingLot {
    fn get(&self, path: &str) -> Option<Arc<u64>> {
        self.0.read().get(path).cloned()
    }
}

/// A directory of a nested tree, without a lock of its own.
#[derive(Default)]
struct Dir {
    value: Option<Arc<u64>>,
    entries: BTreeMap<Box<str>, Dir>,
}

impl Dir {
    fn new<'a>(paths: impl Iterator<Item = &'a str>) -> Self {
        let mut root = Self::default();
        for (i, path) in (0..).zip(paths) {
            let dir = components(path).fold(&mut root, |dir, name| dir.entries.entry(name.into()).or_default());
            dir.value = Some(Arc::new(i));
        }
        root
    }
}

/// A nested tree under one lock.
struct Nested(RwLock<Dir>);

impl Shape for Nested {
    fn get(&self, path: &str) -> Option<Arc<u64>> {
        let root = self.0.read().unwrap();
        components(path).try_fold(&*root, |dir, name| dir.entries.get(name))?.value.clone()
    }
}

/// A nested tree with a lock in each directory, held while the next one is taken.
struct Locked {
    value: Option<Arc<u64>>,
    entries: RwLock<BTreeMap<Box<str>, Locked>>,
}

impl From<Dir> for Locked {
    fn from(dir: Dir) -> Self {
        let entries = dir.entries.into_iter().map(|(name, dir)| (name, dir.into())).collect();
        Self { value: dir.value, entries: RwLock::new(entries) }
    }
}

impl Shape for Locked {
    fn get(&self, path: &str) -> Option<Arc<u64>> {
        let Some(path) = path.strip_prefix('/') else {
            return self.value.clone();
        };
        let (name, rest) = path.split_at(path.find('/').unwrap_or(path.len()));
        self.entries.read().unwrap().get(name)?.get(rest)
    }
}

fn components(path: &str) -> impl Iterator<Item = &str> {
    path.split('/').filter(|name| !name.is_empty())
}

/// 20 PCI roots with ten functions each, and below the functions chains of up to seven objects.
fn paths() -> Vec<String> {
    let mut paths = vec!["/devices".to_owned()];
    for root in 0..20 {
        let root_path = format!("/devices/pci0000:{root:02x}");
        paths.push(root_path.clone());
        for function in 0..10 {
            let mut path = format!("{root_path}/0000:{root:02x}:{function:02x}.0");
            paths.push(path.clone());
            for name in ["ata", "host", "target", "block", "sda", "queue", "iosched"].iter().take(function) {
                path = format!("{path}/{name}{function}");
                paths.push(path.clone());
            }
        }
    }
    paths
}

struct Lookup<S>(S, Vec<String>);

impl<S: Shape> Contender for Lookup<S> {
    type Thread<'a>
        = ()
    where
        S: 'a;

    fn objects(&self) -> usize {
        self.1.len()
    }

    fn thread(&self) {}

    fn read(&self, (): &mut (), i: usize) -> usize {
        usize::try_from(*self.0.get(&self.1[i]).unwrap()).unwrap()
    }
}

fn bench(criterion: &mut Criterion, name: &str, shape: impl Shape) {
    let lookup = Lookup(shape, paths());
    let mut group = criterion.benchmark_group("shape");
    for (pick, what) in [(Pick::Same, "one"), (Pick::Spread, "all")] {
        for threads in [1, 2] {
            let id = BenchmarkId::new(name, format!("{what}/{threads}"));
            let load = Load { threads, pick };
            group.bench_function(id, |bencher| {
                bencher.iter_custom(|reads| contest::run(&lookup, load, reads));
            });
        }
    }
    group.finish();
}

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    let paths = paths();
    let values = || (0..).zip(&paths).map(|(i, path)| (path.as_str().into(), Arc::new(i)));
    let nested = || Dir::new(paths.iter().map(String::as_str));
    bench(&mut criterion, "hash", Flat(RwLock::new(values().collect::<HashMap<_, _>>())));
    bench(&mut criterion, "hash parking_lot", ParkingLot(parking_lot::RwLock::new(values().collect())));
    bench(&mut criterion, "btree", Flat(RwLock::new(values().collect::<BTreeMap<_, _>>())));
    bench(&mut criterion, "nested", Nested(RwLock::new(nested())));
    bench(&mut criterion, "locked directories", Locked::from(nested()));
    criterion.final_summary();
}
