//! The same reads on different stores, by one thread or several at once.

use std::hint::black_box;
use std::time::Duration;

mod race;

pub use race::{Race, race};

/// A store that takes part: a number of objects, and a way to read each.
///
/// ```
/// use enodev_bench::contest::{Contender, Load, Pick, run};
///
/// struct Plain(Vec<u8>);
///
/// impl Contender for Plain {
///     type Thread<'a> = ();
///     fn objects(&self) -> usize {
///         self.0.len()
///     }
///     fn thread(&self) {}
///     fn read(&self, (): &mut (), i: usize) -> usize {
///         usize::from(self.0[i])
///     }
/// }
///
/// let load = Load { threads: 2, pick: Pick::Spread };
/// let time = run(&Plain(vec![1; 64]), load, 1000);
/// assert!(!time.is_zero());
/// ```
pub trait Contender: Sync {
    /// What one thread keeps from read to read: the buffer, and what it may look up once.
    type Thread<'a>
    where
        Self: 'a;

    /// How many objects there are to read; at least one.
    fn objects(&self) -> usize;

    /// What a thread keeps. Called on that thread, outside the time that is taken.
    fn thread(&self) -> Self::Thread<'_>;

    /// Looks object `i` up, reads its attribute into the thread's buffer, returns how many bytes.
    fn read<'a>(&'a self, thread: &mut Self::Thread<'a>, i: usize) -> usize;
}

/// Which objects the threads read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pick {
    /// All threads read one and the same.
    Same,
    /// Each thread goes through all, in an order that no prefetcher follows.
    Spread,
}

/// Who reads, and what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Load {
    /// How many threads read at once.
    pub threads: usize,
    /// Which objects they read.
    pub pick: Pick,
}

/// Has each thread do `reads` reads, and returns the time from the first thread's start to the last
/// one's end.
///
/// Divided by `reads` this is what a read costs the thread that does it. A store that scales keeps
/// it constant while threads are added.
///
/// Each thread has read once before it starts, so that what a store sets up for a new thread is not
/// counted.
///
/// # Panics
///
/// If a read panics.
pub fn run<C: Contender>(contender: &C, load: Load, reads: u64) -> Duration {
    let objects = contender.objects().max(1);
    let race = race(load.threads, |number| {
        let mut local = contender.thread();
        let (mut i, step) = match load.pick {
            Pick::Same => (objects / 2, 0),
            Pick::Spread => (number * (objects / load.threads) % objects, stride(objects)),
        };
        black_box(contender.read(&mut local, i));
        move || {
            for _ in 0..reads {
                black_box(contender.read(&mut local, black_box(i)));
                i += step;
                if i >= objects {
                    i -= objects;
                }
            }
        }
    });
    race.time
}

/// A step that visits every object before it comes back to the first: it shares no divisor with
/// their number, and is near five eighths of it.
fn stride(objects: usize) -> usize {
    let near = objects * 5 / 8;
    (near.max(1)..objects).find(|step| gcd(*step, objects) == 1).unwrap_or(0)
}

fn gcd(a: usize, b: usize) -> usize {
    if b == 0 { a } else { gcd(b, a % b) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;
    use std::sync::atomic::{AtomicUsize, Ordering};

    /// Counts the reads of each object.
    struct Counts(Vec<AtomicUsize>);

    impl Counts {
        fn new(objects: usize) -> Self {
            Self((0..objects).map(|_| AtomicUsize::new(0)).collect())
        }

        fn total(&self) -> usize {
            self.0.iter().map(|count| count.load(Ordering::Relaxed)).sum()
        }
    }

    impl Contender for Counts {
        type Thread<'a> = ();

        fn objects(&self) -> usize {
            self.0.len()
        }

        fn thread(&self) {}

        fn read(&self, (): &mut (), i: usize) -> usize {
            self.0[i].fetch_add(1, Ordering::Relaxed)
        }
    }

    #[test]
    fn each_thread_reads_as_often_as_asked_and_once_before() {
        for threads in 1..=3 {
            let counts = Counts::new(10);
            run(&counts, Load { threads, pick: Pick::Spread }, 100);
            assert_eq!(counts.total(), threads * 101);
        }
    }

    #[test]
    fn same_reads_one_object_and_spread_reads_all() {
        let counts = Counts::new(10);
        run(&counts, Load { threads: 2, pick: Pick::Same }, 100);
        assert_eq!(counts.0[5].load(Ordering::Relaxed), 202);

        let counts = Counts::new(10);
        run(&counts, Load { threads: 1, pick: Pick::Spread }, 20);
        assert!(counts.0.iter().all(|count| count.load(Ordering::Relaxed) >= 2));
    }

    #[test]
    fn a_stride_visits_every_object() {
        for objects in 1..200 {
            let step = stride(objects);
            let seen: BTreeSet<_> = (0..objects).map(|k| k * step % objects).collect();
            assert_eq!(seen.len(), objects);
        }
    }

    #[test]
    #[should_panic(expected = "a read failed")]
    fn a_read_that_panics_is_not_a_fast_one() {
        struct Broken;
        impl Contender for Broken {
            type Thread<'a> = ();
            fn objects(&self) -> usize {
                1
            }
            fn thread(&self) {}
            fn read(&self, (): &mut (), _: usize) -> usize {
                panic!("a read failed")
            }
        }
        run(&Broken, Load { threads: 1, pick: Pick::Same }, 1);
    }
}
