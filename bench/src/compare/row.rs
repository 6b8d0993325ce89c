//! A row of the comparison: a name, and something that can be measured.

use std::fmt;
use std::panic::resume_unwind;
use std::thread;
use std::time::Duration;

use super::churn::{self, Churn};
use super::get::{self, Get};
use super::join::{self, Join};
use super::{Result, Unavailable};
use crate::contest::Race;

/// Which objects the threads of a round meet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pattern {
    /// Each meets all of them: gets and batches of removals in a random order, churn and walks in one of the contender's own.
    Spread,
    /// All get one and the same object.
    Hot,
}

impl Pattern {
    /// The pattern's name in reports.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Spread => "spread",
            Self::Hot => "hot",
        }
    }
}

/// What came of a round.
#[derive(Clone, Copy, Debug)]
pub struct Done {
    /// From the first thread's start to the last one's end.
    pub time: Duration,
    /// How many operations each thread did: at least one, and about as many as were asked for.
    pub operations: u64,
    /// See [`Race::disturbed`].
    pub disturbed: bool,
}

impl Done {
    pub(crate) fn new<R>(race: &Race<R>, operations: u64) -> Self {
        Self { time: race.time, operations, disturbed: race.disturbed }
    }

    /// What an operation cost the thread that did it: wall time times threads, by the operations of all.
    #[must_use]
    pub fn ns_per_op(self) -> f64 {
        self.time.as_nanos() as f64 / self.operations as f64
    }
}

/// A contender with its objects, ready to be measured.
///
/// It can be made on another thread than the one that measures.
pub trait Measured: Send {
    /// Has each of `threads` threads do about `operations` operations.
    ///
    /// # Errors
    ///
    /// An operation failed, so that the time tells nothing.
    fn round(&mut self, threads: usize, pattern: Pattern, operations: u64) -> Result<Done>;
}

/// How a contender with so many objects is made.
type Build = fn(objects: usize) -> Result<Box<dyn Measured>>;

/// One line of the comparison.
#[derive(Clone, Copy)]
pub struct Row {
    name: &'static str,
    operation: &'static str,
    patterns: &'static [Pattern],
    build: Build,
    /// How many objects it has; a plan says it of the others.
    objects: Option<usize>,
    huge: bool,
    single: bool,
    fixed: bool,
    /// So many objects it has, for how many of the others'.
    scale: (usize, usize),
}

impl Row {
    const fn new(name: &'static str, operation: &'static str, patterns: &'static [Pattern], build: Build) -> Self {
        Self {
            name,
            operation,
            patterns,
            build,
            objects: None,
            huge: false,
            single: false,
            fixed: false,
            scale: (1, 1),
        }
    }

    /// A row of gets, spread and on one object.
    pub(crate) const fn get<G: Get + 'static>(name: &'static str) -> Self {
        Self::new(name, "get", &[Pattern::Spread, Pattern::Hot], get::build::<G>)
    }

    /// A row of spread gets among very many objects.
    pub(crate) const fn get_huge<G: Get + 'static>(name: &'static str) -> Self {
        Self { huge: true, ..Self::new(name, "get", &[Pattern::Spread], get::build::<G>) }
    }

    /// A row of gets from address to device, as a virtual machine has devices.
    pub(crate) const fn get_by_address<G: Get + 'static>(name: &'static str) -> Self {
        Self { objects: Some(RANGES), ..Self::get::<G>(name) }
    }

    /// A row of insertions and removals.
    pub(crate) const fn churn<C: Churn + 'static>(name: &'static str) -> Self {
        Self::new(name, PAIR, &[Pattern::Spread], churn::build::<C>)
    }

    /// A row of insertions and removals by one thread, while another gets other objects.
    pub(crate) const fn churn_beside_reader<C: Churn + Get + 'static>(name: &'static str) -> Self {
        Self::new(name, PAIR, &[Pattern::Spread], churn::build_beside_reader::<C>).single()
    }

    /// A row of removals, all objects in one go.
    pub(crate) const fn removal(name: &'static str, build: Build) -> Self {
        Self::new(name, "object removed", &[Pattern::Spread], build).single().fixed()
    }

    /// A row of reads of a text, spread, through files that stay open.
    pub(crate) const fn read<G: Get + 'static>(name: &'static str) -> Self {
        Self::new(name, "read of an open file", &[Pattern::Spread], get::build::<G>).single()
    }

    /// A row of reads of a value that a store keeps, spread.
    pub(crate) const fn load<G: Get + 'static>(name: &'static str) -> Self {
        Self::new(name, "read of a value", &[Pattern::Spread], get::build::<G>).single()
    }

    /// A row of removals of devices that come anew for each round.
    pub(crate) const fn unregister(name: &'static str, build: Build) -> Self {
        Self::new(name, "device unregistered", &[Pattern::Spread], build).single().fixed()
    }

    /// A row of devices that are registered and unregistered, among `scale.0` objects for `scale.1` of the others'.
    pub(crate) const fn register(name: &'static str, build: Build, scale: (usize, usize)) -> Self {
        Self { scale, ..Self::new(name, "device registered and unregistered", &[Pattern::Spread], build) }
    }

    /// As [`register`](Self::register), by one thread, all that there are in each round.
    pub(crate) const fn children(name: &'static str, build: Build) -> Self {
        Self::register(name, build, (10, 1)).single().fixed()
    }

    /// A row of devices that come and go one after the other.
    pub(crate) const fn hotplug(name: &'static str, build: Build) -> Self {
        Self::new(name, "device added and removed", &[Pattern::Spread], build).single()
    }

    /// A row of walks over the rows of two columns.
    pub(crate) const fn join<J: Join + 'static>(name: &'static str) -> Self {
        Self::new(name, "row of two columns", &[Pattern::Spread], join::build::<J>)
    }

    /// A row that is measured with one thread only.
    const fn single(self) -> Self {
        Self { single: true, ..self }
    }

    /// A row whose rounds do as many operations as they do, whatever they are asked for.
    const fn fixed(self) -> Self {
        Self { fixed: true, ..self }
    }

    /// The row's name, which stays the same from release to release.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        self.name
    }

    /// What counts as one operation.
    #[must_use]
    pub const fn operation(&self) -> &'static str {
        self.operation
    }

    /// What is measured of it.
    #[must_use]
    pub const fn patterns(&self) -> &'static [Pattern] {
        self.patterns
    }

    /// Whether it is about very many objects, more than the caches hold.
    #[must_use]
    pub const fn is_huge(&self) -> bool {
        self.huge
    }

    /// How many objects it has under a plan of so many.
    #[must_use]
    pub const fn objects(&self, planned: usize) -> usize {
        match self.objects {
            Some(objects) => objects,
            None => (planned * self.scale.0).div_ceil(self.scale.1),
        }
    }

    /// Whether its rounds do as many operations as they do, however many are asked for.
    #[must_use]
    pub const fn is_fixed(&self) -> bool {
        self.fixed
    }

    /// Whether it can be measured with so many threads.
    #[must_use]
    pub const fn can_have(&self, threads: usize) -> bool {
        threads == 1 || !self.single
    }

    /// Makes the contender with so many objects, on a thread that ends with that: what a thread that has used a store goes on
    /// costing its removals, the caller's does not.
    ///
    /// # Errors
    ///
    /// [`Unavailable`] where this system lacks what the row is about; otherwise an object cannot be made, or is not what a get
    /// gives.
    pub fn build(&self, objects: usize) -> Result<Box<dyn Measured>> {
        let built = on_its_own_thread(|| (self.build)(objects.max(1)));
        built.map_err(|why| if why.is::<Unavailable>() { why } else { format!("{}: {why}", self.name).into() })
    }
}

/// So many devices a machine has on a bus.
const RANGES: usize = 32;

/// What counts as one operation where objects come and go.
const PAIR: &str = "pair of insert and remove";

/// Calls `work` on a thread that ends with it.
pub(crate) fn on_its_own_thread<R: Send>(work: impl FnOnce() -> R + Send) -> R {
    thread::scope(|scope| scope.spawn(work).join().unwrap_or_else(|why| resume_unwind(why)))
}

impl fmt::Debug for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Row").field("name", &self.name).field("huge", &self.huge).finish_non_exhaustive()
    }
}
