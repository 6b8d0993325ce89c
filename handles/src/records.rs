//! The one module that knows the thread records.
//!
//! Every thread that enters objects owns a record: a chain of blocks of cells. To enter, it stores the slot's
//! address in a cell of its own and then compares the slot's version; to leave, it clears the cell and looks whether
//! a remover waits. No locked instruction, and no line that another thread writes, except when somebody waits.
//!
//! Records serve all domains of the process. A cell's address is only ever compared, never followed. A record is
//! never freed: it is handed to another thread when its owner is gone and its cells are empty. One whose cells are not
//! (a forgotten guard) stays among the live ones, so that drains go on seeing it.

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

/// A cell that holds an address until [`leave`](Ticket::leave).
///
/// One word, so that a guard with its pointer fits two registers.
///
/// # Invariants
///
/// The address is that of a cell of a block, plus [`SYMMETRIC`] if leaving it takes a fence; the provenance is that of the
/// whole block. Blocks live for ever.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ticket(NonNull<u8>);

/// The bit of a ticket that says [`Fences::Symmetric`].
const SYMMETRIC: usize = 1;

const _: () = assert!(align_of::<AtomicUsize>() > SYMMETRIC);

impl Ticket {
    #[inline]
    fn new(block: &'static Block, cell: usize, fences: Fences) -> Self {
        let block = NonNull::from(block).cast::<u8>();
        let offset = offset_of!(Block, cells) + cell * size_of::<AtomicUsize>();
        let bit = if fences == Fences::Symmetric { SYMMETRIC } else { 0 };
        // INVARIANT: `cell` is below `CELLS`, so the offset is that of a cell; the bit is free by the cell's alignment.
        Self(block.map_addr(|address| address | (offset + bit)))
    }

    #[inline]
    fn fences(self) -> Fences {
        if self.0.addr().get() & SYMMETRIC == 0 { Fences::Asymmetric } else { Fences::Symmetric }
    }

    #[inline]
    fn cell(self) -> &'static AtomicUsize {
        let cell = self.0.as_ptr().map_addr(|address| address & !SYMMETRIC).cast::<AtomicUsize>();
        // SAFETY: by the invariants this is the address of a cell, within the provenance, and valid for ever.
        unsafe { &*cell }
    }

    #[inline]
    fn block(self) -> &'static Block {
        let block = self.0.as_ptr().map_addr(|address| address & !(align_of::<Block>() - 1)).cast::<Block>();
        // SAFETY: a block is as large as it is aligned (asserted below), so this is the one that holds the cell; see `cell`.
        unsafe { &*block }
    }

    /// The one way out of a cell, also after a look-up that failed: a stale reader that a drain saw in passing must
    /// wake it too.
    #[inline]
    pub(crate) fn leave(self) {
        // Release: what the reader did inside comes before; pairs with the Acquire of a drain that looks at the cell.
        self.cell().store(0, Ordering::Release);
        self.fences().light();
        // Relaxed: ordered after the store by the fence; pairs with the remover's raise (leave against park).
        if self.block().alarm.load(Ordering::Relaxed) != 0 {
            self.report();
        }
    }

    #[cold]
    fn report(self) {
        let block = self.block();
        let cells = ptr::from_ref(&block.cells).addr();
        let cell = (ptr::from_ref(self.cell()).addr() - cells) / size_of::<AtomicUsize>();
        let mut departures = block.departures.lock();
        departures[cell] = departures[cell].wrapping_add(1);
        block.departed.notify_all();
        drop(departures);
        release_transient();
    }
}

impl Block {
    #[inline]
    fn free_cell(&self) -> Option<usize> {
        // Relaxed: only this thread fills the cells that it looks at here.
        self.cells.iter().position(|cell| cell.load(Ordering::Relaxed) == 0)
    }

    fn next(&self) -> Option<&'static Block> {
        // Acquire: pairs with the Release of `extend`; the block's contents are seen.
        let next = self.next.load(Ordering::Acquire);
        // SAFETY: a link is null or came out of `Box::leak` in `extend`: valid for ever, and shared from then on.
        unsafe { next.as_ref() }
    }

    /// The block after this one, made if need be. Called by the owner only.
    fn extend(&'static self, transient: bool) -> &'static Block {
        if let Some(next) = self.next() {
            return next;
        }
        let next: &'static mut Block = Box::leak(Box::default());
        *next.alarm.get_mut() = u32::from(transient);
        // Release: pairs with the Acquire of `next`.
        self.next.store(next, Ordering::Release);
        next
    }

    fn chain(&'static self) -> impl Iterator<Item = &'static Block> {
        std::iter::successors(Some(self), |block| block.next())
    }

    fn is_empty(&self) -> bool {
        // Acquire: pairs with the Release of `leave`; whoever finds the record empty may hand it on.
        self.cells.iter().all(|cell| cell.load(Ordering::Acquire) == 0)
    }
}

#[derive(Debug, Default)]
pub(crate) struct Record {
    first: Block,
    /// The owner has gone; cells that are still full belong to guards that were forgotten or outlive the thread's end.
    orphan: AtomicBool,
    /// Lent to a thread whose destructors are running: given back with the last guard.
    transient: AtomicBool,
}

impl Record {
    /// Stores `address` in a free cell. What the reader checks next is ordered after the store.
    #[inline]
    pub(crate) fn enter(&'static self, address: usize, fences: Fences) -> Ticket {
        let ticket = match self.first.free_cell() {
            Some(cell) => Ticket::new(&self.first, cell, fences),
            None => self.spill(fences),
        };
        // Release: a drain that finds this address where another guard's was has seen that guard's leave (pairs with
        // the Acquire of `occupants` and `Occupant::is_inside`).
        ticket.cell().store(address, Ordering::Release);
        fences.light();
        ticket
    }

    #[cold]
    fn spill(&'static self, fences: Fences) -> Ticket {
        // Relaxed: set by this thread.
        let transient = self.transient.load(Ordering::Relaxed);
        let mut block = &self.first;
        loop {
            block = block.extend(transient);
            if let Some(cell) = block.free_cell() {
                return Ticket::new(block, cell, fences);
            }
        }
    }

    /// Whether a cell of this record holds an address for which `is` answers true.
    pub(crate) fn holds(&'static self, is: impl Fn(usize) -> bool) -> bool {
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
            // Relaxed: read by this thread; a remover's own raise and lower come on top.
            let raise = if transient { 1 } else { u32::MAX };
            block.alarm.fetch_add(raise, Ordering::Relaxed);
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
    /// Those that a drain looks at: threads alive, and orphans.
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

    /// Takes a record back, unless a guard is left in it.
    fn release(&mut self, record: &'static Record) {
        // Relaxed: written and read under the registry's lock.
        record.orphan.store(!record.is_empty(), Ordering::Relaxed);
        self.sweep(|r| ptr::eq(r, record));
    }

    /// Moves the orphans that have become empty, and `gone` ones, from `live` to `idle`.
    fn sweep(&mut self, gone: impl Fn(&'static Record) -> bool) {
        let idle = &mut self.idle;
        self.live.retain(|record| {
            // Relaxed: written and read under the registry's lock.
            let orphan = record.orphan.load(Ordering::Relaxed);
            if (!orphan && !gone(record)) || (orphan && !record.is_empty()) {
                return true;
            }
            // Relaxed: as above.
            record.orphan.store(false, Ordering::Relaxed);
            idle.push(record);
            false
        });
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
    let mut registry = REGISTRY.write();
    for record in &registry.live {
        for cell in record.first.chain().flat_map(|block| &block.cells) {
            // Relaxed: the guard's lifetime is over, and that was made known to this thread by whatever let it drop
            // the arena.
            if memory.iter().any(|range| range.contains(&cell.load(Ordering::Relaxed))) {
                // Release: as any leave.
                cell.store(0, Ordering::Release);
            }
        }
    }
    registry.sweep(|_| false);
}

thread_local! {
    static CURRENT: Cell<Option<&'static Record>> = const { Cell::new(None) };
    static EXIT: Exit = const { Exit };
}

/// Gives the record back when the thread ends.
struct Exit;

impl Drop for Exit {
    fn drop(&mut self) {
        if let Some(record) = CURRENT.take() {
            REGISTRY.write().release(record);
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

/// Whether the calling thread is inside any object, of any domain.
pub(crate) fn is_inside_any() -> bool {
    CURRENT.get().is_some_and(|record| record.holds(|_| true))
}

/// Gives back a record that was lent to a thread whose destructors are running, once no guard is left in it.
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
