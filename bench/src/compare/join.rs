//! Rows of walks: over the objects that have a value in each of two columns.

use std::hint::black_box;

use super::Result;
use super::object::payloads;
use super::row::{Done, Measured, Pattern};
use crate::contest::race;

/// Two columns over the same objects, each object with a value of 8 bytes in both.
pub(crate) trait Join: Send + Sync + Sized {
    /// One with the values of these objects, a pair for each.
    fn build(values: impl Iterator<Item = (Left, Right)>) -> Result<Self>;

    /// Walks over all objects once, and meets each. To be `#[inline]`.
    fn walk(&self) -> Met;
}

/// A value of the one column.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Left(pub(crate) u64);

/// A value of the other.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Right(pub(crate) u64);

/// What a walk makes of the objects that it meets: of their values, and of their handles.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Met {
    values: u64,
    handles: u64,
}

impl Met {
    /// Meets one more.
    #[inline]
    pub(crate) const fn and(self, handle: u64, left: Left, right: Right) -> Self {
        Self { values: self.values.wrapping_add(left.0.wrapping_mul(right.0)), handles: self.handles ^ handle }
    }
}

struct Walking<J> {
    contender: J,
    objects: usize,
}

fn values(objects: usize) -> impl Iterator<Item = (Left, Right)> {
    payloads(objects).map(|payload| (Left(payload.word()), Right(payload.number().rotate_left(32))))
}

/// A contender for walks, which has to meet each object once.
pub(crate) fn build<J: Join + 'static>(objects: usize) -> Result<Box<dyn Measured>> {
    let contender = J::build(values(objects))?;
    let all = values(objects).fold(Met::default(), |met, (left, right)| met.and(0, left, right));
    if contender.walk().values != all.values {
        return Err("a walk does not meet each object once".into());
    }
    Ok(Box::new(Walking { contender, objects }))
}

impl<J: Join> Walking<J> {
    #[inline(never)]
    fn walk(&self, walks: u64) {
        for _ in 0..walks {
            black_box(black_box(&self.contender).walk());
        }
    }
}

impl<J: Join> Measured for Walking<J> {
    /// Whole walks, so that the operations are as many as asked for, or up to a walk more.
    fn round(&mut self, threads: usize, _: Pattern, rows: u64) -> Result<Done> {
        let (this, objects) = (&*self, self.objects as u64);
        let walks = rows.div_ceil(objects).max(1);
        let race = race(threads, |_| {
            this.walk(1);
            move || this.walk(walks)
        });
        Ok(Done::new(&race, walks * objects))
    }
}
