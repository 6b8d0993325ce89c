//! The one module that knows the thread records.
//!
//! Every thread that enters objects owns a record: a chain of blocks of cells. To enter, it stores the slot's
//! address in a cell of its own and then compares the slot's version; to leave, it clears the cell and looks whether
//! a remover waits. No locked instruction, and no line that another thread writes, except when somebody waits.
//!
//! Records serve all domains of the process. A cell's address is only ever compared, never followed. A record is
//! never freed. Its owner, and nobody else, gives it back for another thread to use, as it ends and with all cells
//! empty: so a leave is over, report and all, before another thread uses the cell. One with a guard in it that never goes
//! stays among the live ones for ever, and drains go on seeing it.

#![expect(unsafe_code, reason = "a ticket is one word, from which its block is found")]

use std::cell::Cell;
use std::mem::offset_of;
use std::ops::Range;
use std::ptr::{self, NonNull};
use std::time::Instant;

use parking_lot::{Condvar, Mutex, RwLock};

use crate::fences::Fences;
use std::sync::atomic::{AtomicBool, AtomicPtr, AtomicU32, AtomicUsize, Ordering};

/// Cells of one block: with the alarm they fill one cache line. Who holds more guards at once gets another block.
const CELLS: usize = 7;

/// # Invariants
///
/// - Only the owner of the record stores an address in a cell; it stores 0 there when it leaves.
/// - `alarm` is not 0 while a remover may sleep until a cell of this block is left.
/// - `departures` counts, per cell, the leaves that found the alarm raised.
/// - `next` is set once, by the owner; blocks are never freed.
#[repr(C, align(128))]
#[derive(Debug, Default)]
pub(crate) struct Block {
    cells: [AtomicUsize; CELLS],
    alarm: AtomicU32,
    departures: Mutex<[u32; CELLS]>,
    departed: Condvar,
    next: AtomicPtr<Block>,
}

const _: () = assert!(size_of::<Block>() == align_of::<Block>());

/// Bits of an alarm beside the count of removers.
const FENCED: u32 = 1 << 31;
const TRANSIENT: u32 = 1 << 30;

/// A cell that holds an address until [`leave`](Ticket::leave).
///
/// One word, so that a guard with its pointer fits two registers.
///
/// # Invariants
///
/// It points to a cell of a block, with the provenance of the whole block. Blocks live for ever.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ticket(NonNull<u8>);

impl Ticket {
    #[inline]
    fn new(block: &'static Block, cell: usize) -> Self {
        debug_assert!(cell < CELLS);
        let offset = offset_of!(Block, cells) + cell * size_of::<AtomicUsize>();
        // INVARIANT: `cell` is below `CELLS`, so the offset is that of a cell; blocks are aligned to more than their cells'
        // offsets.
        Self(NonNull::from(block).cast::<u8>().map_addr(|address| address | offset))
    }

    #[inline]
    fn cell(self) -> &'static AtomicUsize {
        // SAFETY: by the invariants this is a cell, within the provenance, and valid for ever.
        unsafe { self.0.cast::<AtomicUsize>().as_ref() }
    }

    #[inline]
    fn block(self) -> &'static Block {
        let block = self.0.as_ptr().map_addr(|address| address & !(align_of::<Block>() - 1)).cast::<Block>();
        // SAFETY: a block is as large as it is aligned (asserted above), so this is the one that holds the cell; see `cell`.
        unsafe { &*block }
    }

    #[inline]
    fn fill(self, address: usize) {
        // Release: a drain that finds this address where another guard's was has seen that guard's leave (pairs with the
        // Acquire of `occupants` and `Occupant::is_inside`).
        self.cell().store(address, Ordering::Release);
    }

    /// The one way out of a cell, also after a look-up that failed: a stale reader that a drain saw in passing must
    /// wake it too.
    #[inline]
    pub(crate) fn leave(self) {
        // Release: what the reader did inside comes before; pairs with the Acquire of a drain that looks at the cell.
        self.cell().store(0, Ordering::Release);
        #[cfg(test)]
        tests::late::stop();
        Fences::Asymmetric.light();
        // Relaxed: ordered after the store by the fence; pairs with the remover's raise (leave against park). In a block
        // that takes a real fence the alarm is always up, and `report` fences.
        if self.block().alarm.load(Ordering::Relaxed) != 0 {
            self.report();
        }
    }

    #[cold]
    fn report(self) {
        let block = self.block();
        // Relaxed: these bits are set before the block is used.
        let bits = block.alarm.load(Ordering::Relaxed);
        if bits & FENCED != 0 {
            Fences::Symmetric.light();
        }
        // Relaxed: as in `leave`.
        if block.alarm.load(Ordering::Relaxed) & !(FENCED | TRANSIENT) != 0 {
            let cells = ptr::from_ref(&block.cells).addr();
            let cell = (ptr::from_ref(self.cell()).addr() - cells) / size_of::<AtomicUsize>();
            let mut departures = block.departures.lock();
            departures[cell] = departures[cell].wrapping_add(1);
            block.departed.notify_all();
        }
        if bits & TRANSIENT != 0 {
            release_transient();
        }
    }
}

impl Block {
    fn free_cell(&self) -> Option<usize> {
        (0..CELLS).find(|cell| self.is_free(*cell))
    }

    #[inline]
    fn is_free(&self, cell: usize) -> bool {
        // Relaxed: only this thread fills the cells that it asks about here.
        self.cells[cell].load(Ordering::Relaxed) == 0
    }

    fn is_fenced(&self) -> bool {
        // Relaxed: set before the block is used.
        self.alarm.load(Ordering::Relaxed) & FENCED != 0
    }

    fn next(&self) -> Option<&'static Block> {
        // Acquire: pairs with the Release of `extend`; the block's contents are seen.
        let next = self.next.load(Ordering::Acquire);
        // SAFETY: a link is null or came out of `Box::leak` in `extend`: valid for ever, and shared from then on.
        unsafe { next.as_ref() }
    }

    /// The block after this one, made with these bits in its alarm if there is none. Called by the owner only.
    fn extend(&'static self, bits: u32) -> &'static Block {
        if let Some(next) = self.next() {
            return next;
        }
        let next: &'static mut Block = Box::leak(Box::default());
        *next.alarm.get_mut() = bits;
        // Release: pairs with the Acquire of `next`.
        self.next.store(next, Ordering::Release);
        next
    }

    fn chain(&'static self) -> impl Iterator<Item = &'static Block> {
        std::iter::successors(Some(self), |block| block.next())
    }

    fn is_empty(&self) -> bool {
        // Relaxed: asked by the owner, of its own stores.
        self.cells.iter().all(|cell| cell.load(Ordering::Relaxed) == 0)
    }
}

#[derive(Debug, Default)]
pub(crate) struct Record {
    first: Block,
    /// The owner's thread-local destructors are running: it gives the record back with the last guard.
    transient: AtomicBool,
}

impl Record {
    /// Stores `address` in a free cell. What the reader checks next is ordered after the store.
    #[inline]
    pub(crate) fn enter(&'static self, address: usize, fences: Fences) -> Ticket {
        if fences == Fences::Symmetric {
            return self.enter_fenced(address);
        }
        let ticket = if self.first.is_free(0) { Ticket::new(&self.first, 0) } else { self.second_cell() };
        ticket.fill(address);
        fences.light();
        ticket
    }

    #[cold]
    fn enter_fenced(&'static self, address: usize) -> Ticket {
        let ticket = self.find_cell(FENCED);
        ticket.fill(address);
        Fences::Symmetric.light();
        ticket
    }

    /// A guard inside another one is nothing unusual, so its way is not much longer.
    #[inline(never)]
    fn second_cell(&'static self) -> Ticket {
        if self.first.is_free(1) { Ticket::new(&self.first, 1) } else { self.find_cell(0) }
    }

    /// A free cell in a block that takes a fence (`FENCED`) or in one that takes none (0).
    #[cold]
    fn find_cell(&'static self, fenced: u32) -> Ticket {
        // Relaxed: set by this thread.
        let transient = if self.transient.load(Ordering::Relaxed) { TRANSIENT } else { 0 };
        let mut block = &self.first;
        loop {
            let cell = block.free_cell().filter(|_| block.is_fenced() == (fenced != 0));
            if let Some(cell) = cell {
                return Ticket::new(block, cell);
            }
            block = block.extend(fenced | transient);
        }
    }

    /// Whether a cell of this record holds an address for which `is` answers true.
    fn holds(&'static self, is: impl Fn(usize) -> bool) -> bool {
        // Relaxed: asked by the owner, of its own stores.
        let full = |cell: &AtomicUsize| Some(cell.load(Ordering::Relaxed)).filter(|a| *a != 0);
        self.first.chain().any(|block| block.cells.iter().filter_map(full).any(&is))
    }

    fn is_empty(&'static self) -> bool {
        self.first.chain().all(Block::is_empty)
    }

    fn set_transient(&'static self, transient: bool) {
        // Relaxed: read by this thread only, until the registry's lock hands the record on.
        self.transient.store(transient, Ordering::Relaxed);
        for block in self.first.chain() {
            if transient {
                // Relaxed: read by this thread; removers change the other bits.
                block.alarm.fetch_or(TRANSIENT, Ordering::Relaxed);
            } else {
                // Relaxed: as above.
                block.alarm.fetch_and(!TRANSIENT, Ordering::Relaxed);
            }
        }
    }
}

/// Somebody who was seen inside an object after the barrier.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Occupant {
    block: &'static Block,
    cell: usize,
    address: usize,
}

impl Occupant {
    pub(crate) fn is_inside(&self) -> bool {
        // Acquire: pairs with the Release of `leave`, or of the `enter` that came after it.
        self.block.cells[self.cell].load(Ordering::Acquire) == self.address
    }

    /// From now on whoever leaves the block reports it.
    pub(crate) fn raise_alarm(&self) {
        // Relaxed: the barrier that follows orders it before the next look at the cell (leave against park).
        self.block.alarm.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn lower_alarm(&self) {
        // Relaxed: a reader that still sees it raised reports for nothing.
        self.block.alarm.fetch_sub(1, Ordering::Relaxed);
    }

    /// Sleeps until the occupant has left; false if the deadline came first. The alarm is up, and a barrier was
    /// issued since.
    ///
    /// One leave is enough: whoever is in the cell after it came too late to be let in, so readers that fail cannot
    /// keep a drain waiting.
    pub(crate) fn wait(&self, deadline: Option<Instant>) -> bool {
        let mut departures = self.block.departures.lock();
        let seen = departures[self.cell];
        while departures[self.cell] == seen && self.is_inside() {
            match deadline {
                None => self.block.departed.wait(&mut departures),
                Some(deadline) => {
                    if self.block.departed.wait_until(&mut departures, deadline).timed_out() {
                        return departures[self.cell] != seen || !self.is_inside();
                    }
                }
            }
        }
        true
    }
}

/// The records of all threads of the process.
#[derive(Debug)]
struct Registry {
    /// Those that a drain looks at.
    live: Vec<&'static Record>,
    idle: Vec<&'static Record>,
}

static REGISTRY: RwLock<Registry> = RwLock::new(Registry { live: Vec::new(), idle: Vec::new() });

impl Registry {
    /// A record for the calling thread.
    ///
    /// A drain that looked at `live` before this had marked its object before: the registry's lock shows the mark to
    /// this thread, and it will not be let in.
    fn acquire(&mut self) -> &'static Record {
        let record = self.idle.pop().unwrap_or_else(|| Box::leak(Box::default()));
        self.live.push(record);
        record
    }

    /// Takes a record back. Called by its owner, with all cells empty.
    fn release(&mut self, record: &'static Record) {
        self.live.retain(|live| !ptr::eq(*live, record));
        self.idle.push(record);
    }
}

/// Everybody who is inside an object that `is_one` answers true for.
pub(crate) fn occupants(is_one: impl Fn(usize) -> bool) -> Vec<Occupant> {
    let mut found = Vec::new();
    for record in &REGISTRY.read().live {
        for block in record.first.chain() {
            for (cell, content) in block.cells.iter().enumerate() {
                // Acquire: pairs with the Release of `leave` (a cell found empty, or with another address in it).
                let address = content.load(Ordering::Acquire);
                if address != 0 && is_one(address) {
                    found.push(Occupant { block, cell, address });
                }
            }
        }
    }
    found
}

/// Clears the cells that hold an address of memory that is about to be freed. The guards that filled them have been
/// forgotten: their lifetime is over, and they will never leave.
pub(crate) fn forget(memory: &[Range<usize>]) {
    if memory.is_empty() {
        return;
    }
    for record in &REGISTRY.read().live {
        for cell in record.first.chain().flat_map(|block| &block.cells) {
            // Relaxed: the guard's lifetime is over, and that was made known to this thread by whatever let it drop
            // the arena.
            if memory.iter().any(|range| range.contains(&cell.load(Ordering::Relaxed))) {
                // Release: as any leave.
                cell.store(0, Ordering::Release);
            }
        }
    }
}

thread_local! {
    static CURRENT: Cell<Option<&'static Record>> = const { Cell::new(None) };
    static EXIT: Exit = const { Exit };
}

/// Gives the record back when the thread ends.
struct Exit;

impl Drop for Exit {
    fn drop(&mut self) {
        let Some(record) = CURRENT.get() else { return };
        if record.is_empty() {
            CURRENT.set(None);
            REGISTRY.write().release(record);
        } else {
            // A destructor that runs after this one drops the guards, or they have been forgotten.
            record.set_transient(true);
        }
    }
}

/// The calling thread's record.
#[inline]
pub(crate) fn current() -> &'static Record {
    match CURRENT.get() {
        Some(record) => record,
        None => register(),
    }
}

#[cold]
fn register() -> &'static Record {
    let record = REGISTRY.write().acquire();
    CURRENT.set(Some(record));
    if EXIT.try_with(|_| ()).is_err() {
        record.set_transient(true);
    }
    record
}

/// Whether the calling thread holds an address for which `is_one` answers true.
pub(crate) fn is_inside(is_one: impl Fn(usize) -> bool) -> bool {
    CURRENT.get().is_some_and(|record| record.holds(is_one))
}

/// Gives back the record of a thread whose destructors are running, once no guard is left in it.
#[cold]
fn release_transient() {
    let Some(record) = CURRENT.get() else { return };
    // Relaxed: set by this thread.
    if record.transient.load(Ordering::Relaxed) && record.is_empty() {
        CURRENT.set(None);
        record.set_transient(false);
        REGISTRY.write().release(record);
    }
}

#[cfg(test)]
mod tests;
