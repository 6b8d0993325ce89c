//! The one module that knows the thread records.
//!
//! Every thread that enters objects owns a record: a chain of blocks of cells (see `cells`). Records serve all domains of
//! the process. A record is never freed. Its owner, and nobody else, gives it back for another thread to use, as it ends and
//! with all cells empty and no lock held: so a leave is over, report and all, before another thread uses the cell. One with a guard in it that
//! never goes stays among the live ones for ever, and drains go on seeing it.
//!
//! A record is *unfenced* once its owner enters without a fence: then a removal must issue the barrier before it looks. A
//! thread that has entered but a few objects fences for itself, in blocks of their own, so that removals which meet only such
//! threads issue none. It gives that up for good when it enters often. Two orders hold this together, each by a fence on
//! both sides: a remover's mark against a thread's first unfenced entry, and against a new record's first entry. Either the
//! remover sees that it must look (and issue the barrier), or the thread sees the mark.

use std::cell::{Cell, RefCell};
use std::ops::Range;
use std::ptr;
use std::thread::ThreadId;

#[cfg(not(any(loom, shuttle)))]
use crate::cells::First;
pub(crate) use crate::cells::Ticket;
use crate::cells::{Block, DEFERRED, FENCED, Occupant, TRANSIENT};
use crate::fences::{self, Fences};
use crate::label::Label;
use crate::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering};
use crate::sync::{Mutex, RwLock, process_static, thread_local};

/// So many objects a thread enters with a fence before it goes on without. Some ten microseconds' worth.
const FEW: u32 = 256;

/// Records have numbers up to this one; those above are for threads without a record. Both fit a slot's word.
const RECORDS_LAST: u32 = (1 << 29) - 1;

/// # Invariants
///
/// - `unfenced` is true while the owner may fill a cell of an unfenced block without a fence after it.
/// - Cells of unfenced blocks are empty while it is false.
#[derive(Debug)]
pub(crate) struct Record {
    first: Block,
    unfenced: AtomicBool,
    /// Objects entered with a fence, while that counts.
    entered: AtomicU32,
    /// The owner's thread-local destructors are running: it gives the record back with the last guard.
    transient: AtomicBool,
    /// How many locks the owner holds: as long as it does, the record is its own.
    held: AtomicU32,
    /// What tells the owner from those before and after.
    identity: AtomicU32,
    owner: Mutex<Option<Owner>>,
}

/// A thread, for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Owner {
    pub(crate) id: ThreadId,
    pub(crate) name: Option<Box<str>>,
}

impl Owner {
    /// The calling thread.
    pub(crate) fn current() -> Self {
        let thread = std::thread::current();
        Self { id: thread.id(), name: thread.name().map(Into::into) }
    }
}

impl Record {
    fn new(number: u32) -> Self {
        Self {
            first: Block::new(number, 0),
            unfenced: AtomicBool::new(false),
            entered: AtomicU32::new(0),
            transient: AtomicBool::new(false),
            held: AtomicU32::new(0),
            identity: AtomicU32::new(0),
            owner: Mutex::new(None),
        }
    }

    /// What tells the record from the others. Never 0.
    pub(crate) fn number(&self) -> u32 {
        self.first.owner()
    }

    fn identity(&self) -> u32 {
        // Relaxed: asked by the owner, which stored it.
        self.identity.load(Ordering::Relaxed)
    }

    fn is_unfenced(&self) -> bool {
        // Acquire: pairs with the Release of `begin_unfenced`; the fence there and the remover's decide the race.
        self.unfenced.load(Ordering::Acquire)
    }

    /// Whether the calling thread, the owner, may enter without a fence; it may from now on if it has entered often.
    fn may_be_unfenced(&'static self) -> bool {
        // Relaxed: the owner's own stores.
        if self.unfenced.load(Ordering::Relaxed) {
            return true;
        }
        // Relaxed: as above.
        let entered = self.entered.load(Ordering::Relaxed);
        if entered < FEW {
            // Relaxed: as above.
            self.entered.store(entered + 1, Ordering::Relaxed);
            return false;
        }
        self.begin_unfenced();
        true
    }

    #[cold]
    fn begin_unfenced(&'static self) {
        // Release: pairs with the Acquire of `is_unfenced`.
        self.unfenced.store(true, Ordering::Release);
        // A remover that has not seen it marked its object before this fence.
        fences::full();
        #[cfg(not(any(loom, shuttle)))]
        FAST.set(First::of(&self.first));
    }

    /// A free cell in a block that takes a fence, or in one that takes none.
    fn find_cell(&'static self, fenced: bool) -> Ticket {
        let mut block = &self.first;
        loop {
            if let Some(cell) = block.free_cell(fenced) {
                return cell;
            }
            block = block.extend(self.bits(fenced));
        }
    }

    fn bits(&self, fenced: bool) -> u32 {
        // Relaxed: set by this thread.
        let transient = if self.transient.load(Ordering::Relaxed) { TRANSIENT } else { 0 };
        if fenced { FENCED | transient } else { transient }
    }

    /// A block that nothing but a session uses, until [`unreserve`]: one that takes a fence, or one that takes none.
    fn reserve(&'static self, fenced: bool) -> &'static Block {
        // Relaxed: the owner's own store.
        if !fenced && !self.unfenced.load(Ordering::Relaxed) {
            self.begin_unfenced();
        }
        // Not the first block, which is the guards' own.
        let mut block = self.first.extend(self.bits(fenced));
        while block.is_fenced() != fenced || !block.is_empty() {
            block = block.extend(self.bits(fenced));
        }
        block.reserve(true);
        block
    }

    /// The cells that hold an address for which `is_one` answers true. Asked by the owner.
    fn own_cells(&'static self, is_one: impl Fn(usize) -> bool) -> impl Iterator<Item = &'static crate::cells::Cell> {
        let cells = self.first.chain().flat_map(|block| &block.cells);
        cells.filter(move |cell| Some(cell.own_address()).filter(|address| *address != 0).is_some_and(&is_one))
    }

    /// Whether its owner, which asks, is inside no object and holds no lock.
    /// Whether somebody is inside an object for which `is_one` answers true.
    #[inline]
    fn holds(&'static self, is_one: impl Fn(usize) -> bool) -> bool {
        self.first.chain().any(|block| block.holds(&is_one))
    }

    fn is_empty(&'static self) -> bool {
        !self.holds_lock() && self.first.chain().all(Block::is_empty)
    }

    fn holds_lock(&self) -> bool {
        // Relaxed: the owner's own store.
        self.held.load(Ordering::Relaxed) != 0
    }

    /// Notes that the owner, which calls this, holds one more lock.
    #[inline]
    pub(crate) fn hold(&self) {
        // Relaxed: the owner's own, as below.
        let held = self.held.load(Ordering::Relaxed);
        // Relaxed: read and written by the owner only, until the registry's lock hands the record on.
        self.held.store(held + 1, Ordering::Relaxed);
    }

    fn set_transient(&'static self, transient: bool) {
        // Relaxed: read by this thread only, until the registry's lock hands the record on.
        self.transient.store(transient, Ordering::Relaxed);
        for cell in self.first.chain().flat_map(|block| &block.cells) {
            if transient { cell.set(TRANSIENT) } else { cell.unset(TRANSIENT) }
        }
    }

    /// Those who are inside an object for which `is_one` answers true.
    pub(crate) fn occupants(&'static self, is_one: &impl Fn(usize) -> bool, found: &mut Vec<Occupant>) {
        self.first.chain().for_each(|block| block.occupants(is_one, found));
    }
}

/// The records of all threads of the process.
#[derive(Debug)]
struct Registry {
    /// Those that a drain looks at.
    live: Vec<&'static Record>,
    idle: Vec<&'static Record>,
    /// How many owners there have been.
    owners: u32,
}

process_static! {
    static REGISTRY: RwLock<Registry> = RwLock::new(Registry { live: Vec::new(), idle: Vec::new(), owners: 0 });
    /// Changes with every change of the live ones.
    static CHANGES: AtomicUsize = AtomicUsize::new(0);
    /// How many numbers have been given to threads without a record.
    static NUMBERS: AtomicU32 = AtomicU32::new(0);
}

impl Registry {
    /// A record for the calling thread.
    ///
    /// A remover that does not find it among the live ones has marked its object before: the fence shows the mark to this
    /// thread, and it will not be let in.
    fn acquire(&mut self, owner: Option<Owner>) -> &'static Record {
        let record = self.idle.pop().unwrap_or_else(|| {
            let number = u32::try_from(self.live.len() + 1).unwrap_or(RECORDS_LAST);
            Box::leak(Box::new(Record::new(number)))
        });
        *record.owner.lock() = owner;
        self.owners = self.owners % RECORDS_LAST + 1;
        // Relaxed: read by the owner only, which calls this.
        record.identity.store(self.owners, Ordering::Relaxed);
        self.live.push(record);
        self.changed();
        record
    }

    /// Takes a record back. Called by its owner, with all cells empty and no lock held.
    fn release(&mut self, record: &'static Record) {
        // Relaxed: the registry's lock hands it on.
        record.entered.store(0, Ordering::Relaxed);
        // Release: the owner's last leave comes before.
        record.unfenced.store(false, Ordering::Release);
        *record.owner.lock() = None;
        self.live.retain(|live| !ptr::eq(*live, record));
        self.idle.push(record);
        self.changed();
    }

    fn changed(&self) {
        // Release: pairs with the Acquire of `live`; who sees the number finds the change, under the lock.
        CHANGES.fetch_add(1, Ordering::Release);
        fences::full();
    }
}

thread_local! {
    /// What `fn live` has found, and at which number of changes.
    static SEEN: RefCell<(usize, Vec<&'static Record>)> = const { RefCell::new((0, Vec::new())) };
    /// Removals that go on as the calling thread leaves.
    static PENDING: RefCell<Vec<Pending>> = const { RefCell::new(Vec::new()) };
    static CURRENT: Cell<Option<&'static Record>> = const { Cell::new(None) };
    static EXIT: Exit = const { Exit };
    /// The number of a thread that is at its end and has no record; 0 if it has not asked for one.
    static DYING: Cell<u32> = const { Cell::new(0) };
}

#[cfg(not(any(loom, shuttle)))]
thread_local! {
    /// The first block of the calling thread's record, once it enters without a fence.
    static FAST: Cell<First> = const { Cell::new(First::NONE) };
}

/// Runs `look` on all live records. A record that is missing belongs to a thread that will see what the caller did before
/// its last full fence.
fn live<R>(look: impl FnOnce(&[&'static Record]) -> R) -> Option<R> {
    let mut look = Some(look);
    let seen = SEEN.try_with(|seen| {
        let mut seen = seen.try_borrow_mut().ok()?;
        // Acquire: pairs with the Release of `changed`.
        let changes = CHANGES.load(Ordering::Acquire);
        if seen.0 != changes {
            // What changes between the two is looked at again next time.
            *seen = (changes, REGISTRY.read().live.clone());
        }
        look.take().map(|look| look(&seen.1))
    });
    // The thread's destructors may have begun; or this is asked for by who is looking.
    seen.ok().flatten().or_else(|| look.map(|look| look(&REGISTRY.read().live)))
}

/// Whether somebody but the caller may be inside an object without having fenced, of those who are not sure to see what the
/// caller did before its last full fence.
pub(crate) fn others_are_unfenced() -> bool {
    let own = CURRENT.get().map_or(0, Record::number);
    live(|records| records.iter().any(|record| record.is_unfenced() && record.number() != own)).unwrap_or(true)
}

/// Whether it is plain that nobody is inside an object that `is_one` answers true for: no other thread enters without a fence. The
/// caller has fenced, and is in none of them itself: that it has seen.
pub(crate) fn are_elsewhere(is_one: impl Fn(usize) -> bool) -> bool {
    let own = CURRENT.get().map_or(0, Record::number);
    let is_elsewhere =
        |record: &&'static Record| record.number() == own || (!record.is_unfenced() && !record.holds(&is_one));
    live(|records| records.iter().all(is_elsewhere)).unwrap_or(false)
}

/// Everybody who is inside an object that `is_one` answers true for.
pub(crate) fn occupants(is_one: impl Fn(usize) -> bool) -> Vec<Occupant> {
    let mut found = Vec::new();
    live(|records| records.iter().for_each(|record| record.occupants(&is_one, &mut found)));
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
            cell.forget(|address| memory.iter().any(|range| range.contains(&address)));
        }
    }
}

/// The thread that a record belongs to, if one does and was known.
pub(crate) fn owner(number: u32) -> Option<Owner> {
    let registry = REGISTRY.read();
    registry.live.iter().find(|record| record.number() == number).and_then(|record| record.owner.lock().clone())
}

/// Gives the record back when the thread ends.
struct Exit;

impl Drop for Exit {
    fn drop(&mut self) {
        let Some(record) = CURRENT.get() else { return };
        if record.is_empty() {
            hand_back(record);
        } else {
            // A destructor that runs after this one drops the guards, or they have been forgotten.
            record.set_transient(true);
        }
    }
}

fn hand_back(record: &'static Record) {
    CURRENT.set(None);
    #[cfg(not(any(loom, shuttle)))]
    FAST.set(First::NONE);
    REGISTRY.write().release(record);
}

/// The calling thread's record.
pub(crate) fn current() -> &'static Record {
    match CURRENT.get() {
        Some(record) => record,
        None => register(),
    }
}

/// What tells the calling thread from all others, also from those that have ended (the last five hundred million): other than
/// the number of its record it may be kept where it outlives the thread. Never 0.
pub(crate) fn identity() -> u32 {
    CURRENT.get().map_or_else(|| without_record(Record::identity), Record::identity)
}

/// What tells the calling thread from the others that are alive: the number of its record. Never 0.
pub(crate) fn own_number() -> u32 {
    CURRENT.get().map_or_else(|| without_record(Record::number), Record::number)
}

/// A thread that is at its end would not give a record back that it takes for nothing but a number.
#[cold]
fn without_record(number: impl FnOnce(&Record) -> u32) -> u32 {
    if EXIT.try_with(|_| ()).is_ok() {
        return number(current());
    }
    if DYING.get() == 0 {
        // Relaxed: nothing comes with the number.
        DYING.set(RECORDS_LAST + 1 + NUMBERS.fetch_add(1, Ordering::Relaxed) % RECORDS_LAST);
    }
    DYING.get()
}

#[cold]
fn register() -> &'static Record {
    let ends = EXIT.try_with(|_| ()).is_err();
    let record = REGISTRY.write().acquire((!ends).then(Owner::current));
    CURRENT.set(Some(record));
    if ends {
        record.set_transient(true);
    }
    record
}

/// Stores `address` in a free cell of the calling thread's. What the reader checks next is ordered after the store.
#[inline]
pub(crate) fn enter(address: usize) -> Ticket {
    #[cfg(not(any(loom, shuttle)))]
    {
        let block = FAST.get().block();
        if block.cells[0].is_free() {
            let ticket = Ticket::new(block, 0);
            ticket.fill(address);
            Fences::Asymmetric.light();
            return ticket;
        }
    }
    enter_slowly(address)
}

/// A guard inside another one is nothing unusual, so its way is not much longer.
#[inline(never)]
fn enter_slowly(address: usize) -> Ticket {
    let (ticket, fences) = find_cell();
    ticket.fill(address);
    fences.light();
    ticket
}

/// As [`enter`], with a full fence.
#[cold]
pub(crate) fn enter_fenced(address: usize) -> Ticket {
    let ticket = current().find_cell(true);
    ticket.fill(address);
    Fences::Symmetric.light();
    ticket
}

/// As [`enter`], with the number of a label.
#[inline]
pub(crate) fn enter_labelled(address: usize, label: u32) -> Ticket {
    #[cfg(not(any(loom, shuttle)))]
    {
        // Who says what for is often inside something else already: an attribute, whose object this is.
        let block = FAST.get().block();
        if block.cells[1].is_free() {
            let ticket = Ticket::new(block, 1);
            ticket.fill_labelled(block, 1, address, label);
            Fences::Asymmetric.light();
            return ticket;
        }
    }
    enter_labelled_slowly(address, label)
}

#[inline(never)]
fn enter_labelled_slowly(address: usize, label: u32) -> Ticket {
    let (ticket, fences) = find_cell();
    ticket.fill_labelled(ticket.block(), ticket.index(), address, label);
    fences.light();
    ticket
}

/// As [`enter_labelled`], with a full fence.
#[cold]
pub(crate) fn enter_labelled_fenced(address: usize, label: u32) -> Ticket {
    let ticket = current().find_cell(true);
    ticket.fill_labelled(ticket.block(), ticket.index(), address, label);
    Fences::Symmetric.light();
    ticket
}

/// A free cell, and what has to follow when it has been filled.
fn find_cell() -> (Ticket, Fences) {
    let record = current();
    let unfenced = cfg!(not(any(loom, shuttle))) && record.may_be_unfenced();
    (record.find_cell(!unfenced), if unfenced { Fences::Asymmetric } else { Fences::Symmetric })
}

/// A cell that the caller may fill again and again, until [`unreserve`], each time with this domain's fence after it.
pub(crate) fn reserve(fences: Fences) -> Ticket {
    let fenced = cfg!(any(loom, shuttle)) || fences == Fences::Symmetric;
    Ticket::new(current().reserve(fenced), 0)
}

pub(crate) fn unreserve(ticket: Ticket) {
    ticket.block().reserve(false);
    if let Some(record) = CURRENT.get() {
        // Relaxed: set by this thread.
        if record.transient.load(Ordering::Relaxed) {
            release_transient();
        }
    }
}

/// Whether the calling thread holds an address for which `is_one` answers true.
pub(crate) fn is_inside(is_one: impl Fn(usize) -> bool) -> bool {
    CURRENT.get().is_some_and(|record| record.holds(is_one))
}

/// Whether the calling thread is inside anything, or holds a lock.
pub(crate) fn is_busy() -> bool {
    CURRENT.get().is_some_and(|record| record.holds_lock() || record.holds(|_| true))
}

/// Whether the calling thread is inside the object at `address` under one of the labels.
pub(crate) fn is_inside_under(address: usize, labels: &[Label]) -> bool {
    let mut own = Vec::new();
    if let Some(record) = CURRENT.get() {
        record.occupants(&|inside| inside == address, &mut own);
    }
    own.into_iter().any(|occupant| occupant.under(labels).is_some())
}

/// Gives back the record of a thread whose destructors are running, once no guard is left in it.
#[cold]
pub(crate) fn release_transient() {
    let Some(record) = CURRENT.get() else { return };
    // Relaxed: set by this thread.
    if record.transient.load(Ordering::Relaxed) && record.is_empty() {
        record.set_transient(false);
        hand_back(record);
    }
}

/// Notes that the calling thread holds one lock less.
#[inline]
pub(crate) fn let_go() {
    let Some(record) = CURRENT.get() else { return };
    // Relaxed: the owner's own, as in `hold`.
    let held = record.held.load(Ordering::Relaxed);
    // Relaxed: as above.
    record.held.store(held.saturating_sub(1), Ordering::Relaxed);
    // Relaxed: set by this thread.
    if record.transient.load(Ordering::Relaxed) {
        release_transient();
    }
}

/// A removal that goes on as the calling thread leaves the last of some objects.
struct Pending {
    /// Sorted.
    addresses: Vec<usize>,
    run: Box<dyn FnOnce()>,
}

/// Has `run` called as the calling thread leaves the last of the objects at `addresses` (sorted), in one of which it is. False
/// if it cannot be, since the thread ends: then `run` is dropped.
pub(crate) fn defer(addresses: Vec<usize>, run: Box<dyn FnOnce()>) -> bool {
    let is_one = |address: usize| addresses.binary_search(&address).is_ok();
    let cells: Vec<_> = current().own_cells(is_one).collect();
    let noted = PENDING.try_with(|pending| pending.borrow_mut().push(Pending { addresses, run }));
    if noted.is_ok() {
        cells.iter().for_each(|cell| cell.set(DEFERRED));
    }
    noted.is_ok()
}

/// Adds the objects whose removal goes on as the calling thread leaves.
pub(crate) fn deferred(addresses: &mut Vec<usize>) {
    let _ = PENDING.try_with(|pending| pending.borrow().iter().for_each(|one| addresses.extend(&one.addresses)));
}

/// Runs what waited for a leave that has just been made.
#[cold]
pub(crate) fn run_deferred() {
    loop {
        let next = PENDING.try_with(|pending| {
            let mut pending = pending.borrow_mut();
            let left = |one: &Pending| !is_inside(|address| one.addresses.binary_search(&address).is_ok());
            pending.iter().position(left).map(|at| pending.remove(at))
        });
        let Ok(Some(next)) = next else { return };
        (next.run)();
    }
}

#[cfg(test)]
pub(crate) mod tests;
