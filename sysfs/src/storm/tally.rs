//! Counting, in memory that does not grow.

/// Steps to each doubling: a percentile is right to a sixteenth.
const STEPS: u64 = 16;

/// A histogram of times.
#[derive(Debug)]
pub(super) struct Times {
    /// One for each sixteenth of each power of two.
    counts: Vec<u64>,
    max: u64,
}

/// The times of something that was done many times, in nanoseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Nanoseconds {
    /// Half took no longer.
    pub p50: u64,
    /// All but one in a hundred took no longer.
    pub p99: u64,
    /// None took longer.
    pub max: u64,
}

impl Default for Times {
    fn default() -> Self {
        Self { counts: vec![0; (STEPS * 64) as usize], max: 0 }
    }
}

impl Times {
    pub(super) fn add(&mut self, nanoseconds: u64) {
        self.counts[slot(nanoseconds)] += 1;
        self.max = self.max.max(nanoseconds);
    }

    pub(super) fn summary(&self) -> Nanoseconds {
        Nanoseconds { p50: self.percentile(50), p99: self.percentile(99), max: self.max }
    }

    fn percentile(&self, percent: u64) -> u64 {
        let all: u64 = self.counts.iter().sum();
        let wanted = (all * percent).div_ceil(100);
        let mut seen = 0;
        let found = self.counts.iter().position(|count| {
            seen += count;
            seen >= wanted
        });
        found.map_or(0, |slot| top(slot).min(self.max))
    }
}

/// Where a time is counted: small ones exactly, others by their highest five bits.
fn slot(nanoseconds: u64) -> usize {
    let bits = u64::BITS - nanoseconds.leading_zeros();
    let shift = bits.saturating_sub(STEPS.ilog2() + 1);
    (u64::from(shift) * STEPS + (nanoseconds >> shift)) as usize
}

/// The longest time that is counted there.
fn top(slot: usize) -> u64 {
    let slot = slot as u64;
    let shift = (slot / STEPS).saturating_sub(1);
    let first = (slot - shift * STEPS) << shift;
    first + ((1 << shift) - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_time_is_counted_where_it_belongs() {
        for exponent in 0..63 {
            for time in [(1u64 << exponent) - 1, 1 << exponent, (1 << exponent) + 1, 3 << exponent.min(61)] {
                let longest = top(slot(time));
                assert!(longest >= time, "{time} above {longest}");
                assert!(longest - time <= time / STEPS, "{time} counted as {longest}");
            }
        }
        assert!(slot(u64::MAX) < Times::default().counts.len());
    }

    #[test]
    fn percentiles_are_those_of_the_times_added() {
        let mut times = Times::default();
        (1..=1000).for_each(|time| times.add(time));
        let Nanoseconds { p50, p99, max } = times.summary();
        assert!((500..=532).contains(&p50), "{p50}");
        assert!((990..=1000).contains(&p99), "{p99}");
        assert_eq!(max, 1000);
        assert_eq!(Times::default().summary(), Nanoseconds::default());
    }
}
