//! The cells of the thread records, and the tickets that stand for a cell in use.
//!
//! To enter, a thread stores the object's address in a cell of its own and then compares the object's version; to leave, it
//! clears the cell and looks whether a remover waits. No locked instruction, and no line that another thread writes, except
//! when somebody waits. A cell's address is only ever compared, never followed.

#![expect(unsafe_code, reason = "a ticket is one word, from which its block is found")]

use std::ptr::{self, NonNull};
use std::task::Waker;

use crate::fences::Fences;
use crate::label::Label;
use crate::records;
use crate::sync::atomic::{AtomicBool, AtomicPtr, AtomicU32, AtomicUsize, Ordering};
use crate::sync::{Condvar, Mutex};

/// Cells of one block: they fill one cache line. Who holds more guards at once gets another block.
pub(crate) const CELLS: usize = 4;

/// Bits of an alarm: why a leave has more to do than to empty the cell.
///
/// The block takes a real fence.
pub(crate) const FENCED: u32 = 1 << 0;
/// The owner gives the record back with its last leave.
pub(crate) const TRANSIENT: u32 = 1 << 1;
/// A removal goes on with the leave.
pub(crate) const DEFERRED: u32 = 1 << 2;
/// A remover may sleep until the cell is left.
pub(crate) const AWAITED: u32 = 1 << 3;

/// The bit beside an address that says that the cell's label is of this stay. Objects are aligned to more.
const LABELLED: usize = 1;

/// # Invariants
///
/// - Only the owner of the record stores an address in a cell; it stores 0 there when it leaves.
/// - `alarm` has `AWAITED` while a remover may sleep until this cell is left. The first leave takes it away: that is the one that
///   all wait for who have raised it before.
/// - `index` is that of the cell in its block.
#[repr(C)]
#[derive(Debug)]
pub(crate) struct Cell {
    address: AtomicUsize,
    alarm: AtomicU32,
    index: u32,
}

impl Cell {
    #[inline]
    pub(crate) fn is_free(&self) -> bool {
        // Relaxed: only this thread fills the cells that it asks about here.
        self.address.load(Ordering::Relaxed) == 0
    }

    /// The address in the cell, as its owner knows it; 0 if it is free.
    pub(crate) fn own_address(&self) -> usize {
        // Relaxed: asked by the owner, of its own stores.
        self.address.load(Ordering::Relaxed) & !LABELLED
    }

    pub(crate) fn set(&self, bit: u32) {
        // Relaxed: the bits that are set here are read by the owner alone; removers set `AWAITED`.
        self.alarm.fetch_or(bit, Ordering::Relaxed);
    }

    pub(crate) fn unset(&self, bit: u32) {
        // Relaxed: as in `set`.
        self.alarm.fetch_and(!bit, Ordering::Relaxed);
    }

    /// Clears the cell of a guard whose lifetime is over, if it holds an address for which `is_one` answers true.
    pub(crate) fn forget(&self, is_one: impl FnOnce(usize) -> bool) {
        // Relaxed: the guard's lifetime is over, and that was made known to this thread by whatever ended it.
        if is_one(self.address.load(Ordering::Relaxed) & !LABELLED) {
            // Release: as any leave.
            self.address.store(0, Ordering::Release);
        }
    }
}

/// What waits for leaves of a block's cells.
#[derive(Debug, Default)]
struct Lobby {
    /// Per cell, the leaves that found the alarm raised: the reports.
    departures: [u32; CELLS],
    wakers: Vec<Waker>,
}

/// # Invariants
///
/// - The cells stand first: a cell's place tells its block's.
/// - `next` is set once, by the owner; blocks are never freed.
#[repr(C, align(128))]
#[derive(Debug)]
pub(crate) struct Block {
    pub(crate) cells: [Cell; CELLS],
    /// Per cell, the label of the last stay that has one.
    labels: [AtomicU32; CELLS],
    /// Per cell, the number of that stay, which tells it from the next under the same label. It wraps.
    stays: [AtomicU32; CELLS],
    /// The number of the record.
    owner: u32,
    fenced: bool,
    /// A session has the block: its owner looks for no free cell here.
    reserved: AtomicBool,
    lobby: Mutex<Lobby>,
    departed: Condvar,
    next: AtomicPtr<Block>,
}

/// A block of nobody's, whose cells are never free: what a thread finds as its first block as long as it has no other.
#[cfg(not(any(loom, shuttle)))]
pub(crate) static FULL: Block = Block::filled(0, 0, FILLED);

/// The block that a thread tries first. A pointer, since a constant may not refer to what changes.
///
/// # Invariants
///
/// It points to a block that lives for ever.
#[cfg(not(any(loom, shuttle)))]
#[derive(Debug, Clone, Copy)]
pub(crate) struct First(*const Block);

#[cfg(not(any(loom, shuttle)))]
impl First {
    /// That of a thread which has no block yet.
    pub(crate) const NONE: Self = Self(&raw const FULL);

    pub(crate) fn of(block: &'static Block) -> Self {
        Self(block)
    }

    #[inline]
    pub(crate) fn block(self) -> &'static Block {
        // SAFETY: by the invariants; blocks are shared.
        unsafe { &*self.0 }
    }
}

/// Nothing's address.
#[cfg(not(any(loom, shuttle)))]
const FILLED: usize = usize::MAX;

/// Functions that are constant where atomics can be made in constants.
macro_rules! plainly_const {
    ($($(#[$meta:meta])* $vis:vis fn $name:ident($($arg:ident: $type:ty),*) -> $ret:ty $body:block)*) => {
        $(
            $(#[$meta])*
            #[cfg(not(any(loom, shuttle)))]
            $vis const fn $name($($arg: $type),*) -> $ret $body
            $(#[$meta])*
            #[cfg(any(loom, shuttle))]
            $vis fn $name($($arg: $type),*) -> $ret $body
        )*
    };
}

pub(crate) use plainly_const;

impl Block {
    plainly_const! {
        pub(crate) fn new(owner: u32, alarm: u32) -> Self {
            Self::filled(owner, alarm, 0)
        }

        fn filled(owner: u32, alarm: u32, address: usize) -> Self {
            Self {
                cells: [
                    Cell { address: AtomicUsize::new(address), alarm: AtomicU32::new(alarm), index: 0 },
                    Cell { address: AtomicUsize::new(address), alarm: AtomicU32::new(alarm), index: 1 },
                    Cell { address: AtomicUsize::new(address), alarm: AtomicU32::new(alarm), index: 2 },
                    Cell { address: AtomicUsize::new(address), alarm: AtomicU32::new(alarm), index: 3 },
                ],
                labels: [AtomicU32::new(0), AtomicU32::new(0), AtomicU32::new(0), AtomicU32::new(0)],
                stays: [AtomicU32::new(0), AtomicU32::new(0), AtomicU32::new(0), AtomicU32::new(0)],
                owner,
                fenced: alarm & FENCED != 0,
                reserved: AtomicBool::new(false),
                lobby: Mutex::new(Lobby { departures: [0; CELLS], wakers: Vec::new() }),
                departed: Condvar::new(),
                next: AtomicPtr::new(ptr::null_mut()),
            }
        }
    }

    /// A free cell, in a block that takes a fence or in one that takes none, as asked.
    pub(crate) fn free_cell(&'static self, fenced: bool) -> Option<Ticket> {
        if self.fenced != fenced || self.is_reserved() {
            return None;
        }
        (0..CELLS).find(|cell| self.cells[*cell].is_free()).map(|cell| Ticket::new(self, cell))
    }

    pub(crate) fn owner(&self) -> u32 {
        self.owner
    }

    pub(crate) fn is_fenced(&self) -> bool {
        self.fenced
    }

    pub(crate) fn is_reserved(&self) -> bool {
        // Relaxed: written and read by the owner.
        self.reserved.load(Ordering::Relaxed)
    }

    pub(crate) fn reserve(&self, reserved: bool) {
        // Relaxed: as in `is_reserved`.
        self.reserved.store(reserved, Ordering::Relaxed);
    }

    fn next(&self) -> Option<&'static Block> {
        // Acquire: pairs with the Release of `extend`; the block's contents are seen.
        let next = self.next.load(Ordering::Acquire);
        // SAFETY: a link is null or came out of `Box::leak` in `extend`: valid for ever, and shared from then on.
        unsafe { next.as_ref() }
    }

    /// The block after this one, made with these bits in its alarms if there is none. Called by the owner only.
    pub(crate) fn extend(&'static self, alarm: u32) -> &'static Block {
        if let Some(next) = self.next() {
            return next;
        }
        let next: &'static mut Block = Box::leak(Box::new(Block::new(self.owner, alarm)));
        // Release: pairs with the Acquire of `next`.
        self.next.store(next, Ordering::Release);
        next
    }

    pub(crate) fn chain(&'static self) -> impl Iterator<Item = &'static Block> {
        std::iter::successors(Some(self), |block| block.next())
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.cells.iter().all(Cell::is_free) && !self.is_reserved()
    }

    /// Whether somebody in the block is inside an object that `is_one` answers true for.
    #[inline]
    pub(crate) fn holds(&self, is_one: impl Fn(usize) -> bool) -> bool {
        self.cells.iter().any(|cell| {
            // Acquire: pairs with the Release of `leave`, as in `occupants`.
            let content = cell.address.load(Ordering::Acquire);
            content != 0 && is_one(content & !LABELLED)
        })
    }

    /// Those in the block who are inside an object that `is_one` answers true for.
    pub(crate) fn occupants(&'static self, is_one: impl Fn(usize) -> bool, found: &mut Vec<Occupant>) {
        for cell in &self.cells {
            // Acquire: pairs with the Release of `leave` (a cell found empty, or with another address in it).
            let content = cell.address.load(Ordering::Acquire);
            if content != 0 && is_one(content & !LABELLED) {
                found.push(Occupant { block: self, cell, content, stay: None });
            }
        }
    }
}

/// A cell that holds an address until [`leave`](Ticket::leave).
///
/// One word, so that a guard with its pointer fits two registers.
///
/// # Invariants
///
/// It points to a cell of a block, with the provenance of the whole block. Blocks live for ever.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ticket(NonNull<Cell>);

impl Ticket {
    #[inline]
    pub(crate) fn new(block: &'static Block, cell: usize) -> Self {
        debug_assert!(cell < CELLS);
        // SAFETY: the cells stand first in their block, and there are more than `cell` of them.
        Self(unsafe { NonNull::from(block).cast::<Cell>().add(cell) })
    }

    #[inline]
    fn cell(self) -> &'static Cell {
        // SAFETY: by the invariants this is a cell, within the provenance, and valid for ever.
        unsafe { self.0.as_ref() }
    }

    pub(crate) fn index(self) -> usize {
        self.cell().index as usize
    }

    pub(crate) fn block(self) -> &'static Block {
        // SAFETY: there are as many cells before this one in its block.
        let block = unsafe { self.0.sub(self.index()) }.cast::<Block>();
        // SAFETY: the first cell stands where its block does; blocks are shared, and valid for ever.
        unsafe { block.as_ref() }
    }

    /// Whether the cell is empty; asked by the owner.
    #[inline]
    pub(crate) fn is_free(self) -> bool {
        self.cell().is_free()
    }

    #[inline]
    pub(crate) fn fill(self, address: usize) {
        // Release: a drain that finds this address where another guard's was has seen that guard's leave (pairs with the
        // Acquire of `occupants` and `Occupant::is_inside`).
        self.cell().address.store(address, Ordering::Release);
    }

    /// As [`fill`](Self::fill), with the number of a label. `block` and `cell` are the ticket's.
    #[inline]
    pub(crate) fn fill_labelled(self, block: &'static Block, cell: usize, address: usize, label: u32) {
        // Release: the owner's former stay in the cell comes before; pairs with the Acquire of `Occupant::label`, which may show
        // this label while the address is still seen as it was then.
        block.labels[cell].store(label, Ordering::Release);
        // Relaxed: the owner's own; the registry's lock hands it to the next owner of the record.
        let before = block.stays[cell].load(Ordering::Relaxed);
        // Release: as above, for `Occupant::last_stay`; the label comes before its stay's number.
        block.stays[cell].store(before.wrapping_add(1), Ordering::Release);
        self.fill(address + LABELLED);
    }

    /// The one way out of a cell, also after a look-up that failed: a stale reader that a drain saw in passing must
    /// wake it too.
    #[inline]
    pub(crate) fn leave(self) {
        // Release: what the reader did inside comes before; pairs with the Acquire of a drain that looks at the cell.
        self.cell().address.store(0, Ordering::Release);
        #[cfg(test)]
        crate::records::tests::late::stop();
        Fences::Asymmetric.light();
        // Relaxed: ordered after the store by the fence; pairs with the remover's raise (leave against park). In a block
        // that takes a real fence the alarm is always up, and `report` fences.
        if self.cell().alarm.load(Ordering::Relaxed) != 0 {
            self.report();
        }
    }

    #[cold]
    fn report(self) {
        let (cell, block) = (self.cell(), self.block());
        if block.fenced {
            Fences::Symmetric.light();
        }
        // Relaxed: as in `leave`.
        let bits = cell.alarm.load(Ordering::Relaxed);
        if bits & AWAITED != 0 {
            let mut lobby = block.lobby.lock();
            // Relaxed: under the lock, as the raise is.
            cell.alarm.fetch_and(!AWAITED, Ordering::Relaxed);
            lobby.departures[self.index()] = lobby.departures[self.index()].wrapping_add(1);
            let wakers = std::mem::take(&mut lobby.wakers);
            drop(lobby);
            block.departed.notify_all();
            wakers.into_iter().for_each(Waker::wake);
        }
        if bits & DEFERRED != 0 {
            cell.unset(DEFERRED);
            records::run_deferred();
        }
        if bits & TRANSIENT != 0 {
            records::release_transient();
        }
    }
}

/// Somebody who was seen inside an object after the barrier.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Occupant {
    block: &'static Block,
    cell: &'static Cell,
    content: usize,
    /// The number of the stay, where it counts for its label and alone.
    stay: Option<u32>,
}

impl PartialEq for Occupant {
    fn eq(&self, other: &Self) -> bool {
        ptr::eq(self.cell, other.cell) && self.content == other.content && self.stay == other.stay
    }
}

impl Occupant {
    pub(crate) fn is_inside(&self) -> bool {
        // Acquire: pairs with the Release of `leave`, or of the `fill` that came after it.
        let same = self.cell.address.load(Ordering::Acquire) == self.content;
        same && self.stay.is_none_or(|stay| stay == self.last_stay())
    }

    /// The occupant, from now on for this one stay, if that is under one of these labels. Else an occupant is whoever has the
    /// address in the cell: enough where nobody is let in again. Here the owner may come back at once, under any label.
    ///
    /// The number is read first: the label is of that stay, or of a later one, and then the one with the number is over.
    pub(crate) fn under(self, labels: &[Label]) -> Option<Self> {
        let stay = Some(self.last_stay());
        Label::from_number(self.label()).is_among(labels).then_some(Self { stay, ..self })
    }

    pub(crate) fn address(&self) -> usize {
        self.content & !LABELLED
    }

    /// The number of the record of the thread that is inside.
    pub(crate) fn thread(&self) -> u32 {
        self.block.owner
    }

    /// The number of the label that the occupant entered with; 0 for none.
    pub(crate) fn label(&self) -> u32 {
        // Acquire: pairs with the Release of `fill_labelled`. The address was read with Acquire, so this is the label of that
        // stay or of a later one in the cell; then all of the former is seen.
        let label = self.block.labels[self.cell.index as usize].load(Ordering::Acquire);
        if self.content & LABELLED == 0 { 0 } else { label }
    }

    /// The number of the cell's last labelled stay.
    fn last_stay(&self) -> u32 {
        // Acquire: as in `label`, for the stay with this number.
        self.block.stays[self.cell.index as usize].load(Ordering::Acquire)
    }

    /// Whether a leave of this cell is made known by a fence.
    pub(crate) fn is_fenced(&self) -> bool {
        self.block.fenced
    }

    /// From now on whoever leaves the cell reports it. Returns the number of the last report.
    pub(crate) fn raise_alarm(&self) -> u32 {
        let lobby = self.block.lobby.lock();
        // Relaxed: the barrier that follows orders it before the next look at the cell (leave against park).
        self.cell.alarm.fetch_or(AWAITED, Ordering::Relaxed);
        lobby.departures[self.cell.index as usize]
    }

    /// Sleeps until the occupant has left; false if the deadline came first. The alarm was raised, after the report `seen`, and
    /// a barrier was issued since.
    ///
    /// One leave is enough: whoever is in the cell after it came too late to be let in, so readers that fail cannot
    /// keep a drain waiting.
    pub(crate) fn wait(&self, seen: u32, deadline: Option<std::time::Instant>) -> bool {
        let mut lobby = self.block.lobby.lock();
        while self.stays(&lobby, seen) {
            match deadline {
                None => self.block.departed.wait(&mut lobby),
                Some(deadline) => {
                    if self.block.departed.wait_until(&mut lobby, deadline).timed_out() {
                        return !self.stays(&lobby, seen);
                    }
                }
            }
        }
        true
    }

    fn stays(&self, lobby: &Lobby, seen: u32) -> bool {
        lobby.departures[self.cell.index as usize] == seen && self.is_inside()
    }

    /// Has the waker called when the occupant leaves; false if it has left. Otherwise as [`wait`](Self::wait).
    pub(crate) fn wake(&self, seen: u32, waker: &Waker) -> bool {
        // Foreign code, so not under the lock.
        let waker = waker.clone();
        let mut lobby = self.block.lobby.lock();
        let stays = self.stays(&lobby, seen);
        if stays && !lobby.wakers.iter().any(|other| other.will_wake(&waker)) {
            lobby.wakers.push(waker);
        }
        stays
    }
}

#[cfg(test)]
pub(crate) mod tests;
