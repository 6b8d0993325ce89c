//! Payloads that can tell who they are, and whether they still are.

use std::cell::Cell;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use enodev::{Errno, Page};

use crate::load::{Answers, bytes, copy_at};
use crate::{Content, Dir};

/// What a payload says of itself while it answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stamp {
    /// The place of its directory in the tree.
    pub(super) dir: usize,
    /// How many payloads this directory had before.
    pub(super) incarnation: u64,
    /// Whether it has been dropped.
    pub(super) poisoned: bool,
}

const ALIVE: u32 = 0xa11f_e000;
const POISON: u32 = 0xdead_dead;

/// One callback in so many sleeps.
const SLEEP_EVERY: u32 = 10_000;
/// For so long, so that drains find somebody inside.
const SLEEP: Duration = Duration::from_micros(50);

thread_local! {
    /// The stamp that came beside the last answer on this thread.
    static LAST: Cell<Option<Stamp>> = const { Cell::new(None) };
    static CALLBACKS: Cell<u32> = const { Cell::new(0) };
}

/// Takes the stamp that came beside the last answer on this thread.
pub(super) fn take_stamp() -> Option<Stamp> {
    LAST.take()
}

/// The payload of a directory.
#[derive(Debug)]
pub(super) struct Stamped {
    contents: Arc<[Content]>,
    dir: usize,
    incarnation: u64,
    state: AtomicU32,
    /// How many payloads of one plugging are alive.
    alive: Arc<AtomicUsize>,
}

impl Stamped {
    pub(super) fn new(contents: &Arc<[Content]>, dir: usize, incarnation: u64, alive: &Arc<AtomicUsize>) -> Self {
        // Relaxed: whoever reads it has seen the removal return, or not yet the registration.
        alive.fetch_add(1, Ordering::Relaxed);
        Self { contents: contents.clone(), dir, incarnation, state: AtomicU32::new(ALIVE), alive: alive.clone() }
    }

    /// What the attribute at `index` answers; now and then it takes its time.
    pub(super) fn answer(&self, index: usize) -> Result<&[u8], Errno> {
        let turn = CALLBACKS.get().wrapping_add(1);
        CALLBACKS.set(turn);
        if turn % SLEEP_EVERY == 0 {
            thread::sleep(SLEEP);
        }
        let content = self.contents.get(index).ok_or(Errno::EINVAL);
        let answer = content.and_then(bytes);
        // Relaxed: a payload that is dropped while somebody is inside is what this is to catch, at any time.
        let poisoned = self.state.load(Ordering::Relaxed) != ALIVE;
        LAST.set(Some(Stamp { dir: self.dir, incarnation: self.incarnation, poisoned }));
        answer.map(|bytes| &**bytes)
    }
}

impl Stamped {
    /// From now on its stamp tells that it has been dropped.
    pub(super) fn poison(&mut self) {
        // Relaxed: as above.
        self.state.store(POISON, Ordering::Relaxed);
    }
}

impl Drop for Stamped {
    fn drop(&mut self) {
        self.poison();
        // Release: pairs with the Acquire of whoever counts, after the payload's end.
        self.alive.fetch_sub(1, Ordering::Release);
    }
}

impl Answers for Stamped {
    fn show(&self, index: usize, page: &mut Page) -> Result<(), Errno> {
        page.put_bytes(self.answer(index)?)
    }

    fn read_at(&self, index: usize, offset: u64, buf: &mut [u8]) -> Result<usize, Errno> {
        Ok(copy_at(self.answer(index)?, offset, buf))
    }

    fn write(&self, _index: usize, _data: &[u8]) -> Result<(), Errno> {
        Err(Errno::EROFS)
    }

    fn write_at(&self, _index: usize, _offset: u64, _data: &[u8]) -> Result<(), Errno> {
        Err(Errno::EROFS)
    }
}

/// The contents of a directory, for all its incarnations.
pub(super) fn contents(dir: &Dir) -> Arc<[Content]> {
    dir.attributes.iter().map(|attribute| attribute.content.clone()).collect()
}
