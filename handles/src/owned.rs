//! Owned references: counted, `Send`, beside the cells.

#![expect(unsafe_code, reason = "an owned reference holds a pointer and may be the one that drops the payload")]

use std::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;
use std::ops::Deref;
use std::ptr::NonNull;
use std::sync::Arc;
use std::task::Waker;
use std::time::Instant;

use crate::label::Label;
use crate::records::Owner;
use crate::slots::Slots;
use crate::sync::atomic::{AtomicUsize, Ordering};
use crate::sync::{Condvar, Mutex};

/// An owned reference's stay inside an object.
#[derive(Debug, Clone)]
pub(crate) struct Stay {
    pub(crate) label: Label,
    pub(crate) owner: Owner,
    pub(crate) since: Instant,
}

/// The owned references into the objects of one arena, or into one gate.
#[derive(Debug, Default)]
pub(crate) struct Stays {
    /// How many there are: removals ask this first.
    count: AtomicUsize,
    table: Mutex<Table>,
    ended: Condvar,
}

#[derive(Debug, Default)]
struct Table {
    /// By address and number.
    stays: BTreeMap<(usize, u64), Stay>,
    next: u64,
    wakers: Vec<Waker>,
    /// The arena, or the gate, has gone: payloads are left to their last references.
    orphaned: bool,
}

impl Table {
    fn at(&self, address: usize) -> impl Iterator<Item = &Stay> {
        self.stays.range((address, 0)..=(address, u64::MAX)).map(|(_, stay)| stay)
    }

    fn has(&self, address: usize) -> bool {
        self.at(address).next().is_some()
    }
}

impl Stays {
    /// Notes a stay, under an active reference to the same object: a drain sees the one or the other.
    pub(crate) fn begin(&self, address: usize, label: Label) -> u64 {
        let stay = Stay { label, owner: Owner::current(), since: Instant::now() };
        let mut table = self.table.lock();
        table.next += 1;
        let number = table.next;
        table.stays.insert((address, number), stay);
        // Relaxed: the leave of the active reference gives it to the drain that sees the cell empty.
        self.count.fetch_add(1, Ordering::Relaxed);
        number
    }

    /// Ends a stay; true if it was the last in an object whose arena, or gate, has gone.
    pub(crate) fn end(&self, address: usize, number: u64) -> bool {
        let mut table = self.table.lock();
        table.stays.remove(&(address, number));
        // Relaxed: a drain that reads 0 takes the table's lock or sees the last one's end through Release of this.
        // Release: pairs with the Acquire of `is_none`; what was done inside comes before.
        self.count.fetch_sub(1, Ordering::Release);
        let last = !table.has(address);
        let wakers = if last { std::mem::take(&mut table.wakers) } else { Vec::new() };
        let orphan = last && table.orphaned;
        drop(table);
        // Also where others stay: they may be under another label.
        self.ended.notify_all();
        wakers.into_iter().for_each(Waker::wake);
        orphan
    }

    pub(crate) fn is_none(&self) -> bool {
        // Acquire: pairs with the Release of `end`.
        self.count.load(Ordering::Acquire) == 0
    }

    /// Waits until there is no stay in any of the objects; false if the deadline came first. Nobody is inside them otherwise.
    pub(crate) fn wait(&self, addresses: &[usize], deadline: Option<Instant>) -> bool {
        self.wait_while(deadline, |table| addresses.iter().any(|address| table.has(*address)))
    }

    /// The number of the last stay that has begun. Who begins one later knows what the caller did before: by the table's lock.
    pub(crate) fn last(&self) -> u64 {
        self.table.lock().next
    }

    /// Waits until the stays up to the number `last` are over that an object has under these labels; false if the deadline
    /// came first.
    pub(crate) fn wait_under(&self, address: usize, labels: &[Label], last: u64, deadline: Option<Instant>) -> bool {
        self.wait_while(deadline, |table| {
            let stays = table.stays.range((address, 0)..=(address, last));
            stays.into_iter().any(|(_, stay)| stay.label.is_among(labels))
        })
    }

    fn wait_while(&self, deadline: Option<Instant>, stays: impl Fn(&Table) -> bool) -> bool {
        if self.is_none() {
            return true;
        }
        let mut table = self.table.lock();
        while stays(&table) {
            match deadline {
                None => self.ended.wait(&mut table),
                Some(deadline) => {
                    if self.ended.wait_until(&mut table, deadline).timed_out() {
                        return !stays(&table);
                    }
                }
            }
        }
        true
    }

    /// Has the waker called when an object's last stay ends; false if there is none in these.
    pub(crate) fn wake(&self, addresses: &[usize], waker: &Waker) -> bool {
        if self.is_none() {
            return false;
        }
        // Foreign code, so not under the lock.
        let waker = waker.clone();
        let mut table = self.table.lock();
        let stays = addresses.iter().any(|address| table.has(*address));
        if stays && !table.wakers.iter().any(|other| other.will_wake(&waker)) {
            table.wakers.push(waker);
        }
        stays
    }

    /// The stays in an object.
    pub(crate) fn of(&self, address: usize) -> Vec<Stay> {
        if self.is_none() {
            return Vec::new();
        }
        self.table.lock().at(address).cloned().collect()
    }

    /// Leaves the payloads in which somebody stays to their last references. Returns these objects' addresses, sorted.
    pub(crate) fn orphan(&self) -> Vec<usize> {
        let mut table = self.table.lock();
        table.orphaned = true;
        let mut addresses: Vec<usize> = table.stays.keys().map(|(address, _)| *address).collect();
        addresses.dedup();
        addresses
    }
}

/// Where owned references stay: what keeps the memory of their objects.
pub(crate) trait Home {
    fn stays(&self) -> &Stays;
}

/// An owned reference into an object, without the type's name for it.
///
/// # Invariants
///
/// `value` lies in what `home` keeps, at the object with the address `address`, in which the stay `number` is noted.
pub(crate) struct Staying<H: Home, P> {
    home: Arc<H>,
    value: NonNull<P>,
    address: usize,
    number: u64,
    payload: PhantomData<P>,
}

// SAFETY: it gives shared references to the payload (`P: Sync`) and may drop it (`P: Send`); the rest is the home, shared.
unsafe impl<H: Home + Send + Sync, P: Send + Sync> Send for Staying<H, P> {}
// SAFETY: as above.
unsafe impl<H: Home + Send + Sync, P: Send + Sync> Sync for Staying<H, P> {}

impl<H: Home, P> Staying<H, P> {
    /// # Safety
    ///
    /// The caller holds an active reference to the object at `address` in `home`, whose payload `value` is.
    pub(crate) unsafe fn new(home: Arc<H>, value: NonNull<P>, address: usize, label: Label) -> Self {
        let number = home.stays().begin(address, label);
        Self { home, value, address, number, payload: PhantomData }
    }
}

impl<H: Home, P> Deref for Staying<H, P> {
    type Target = P;

    fn deref(&self) -> &P {
        // SAFETY: the stay was noted under an active reference and is not over, so no drain has ended since and the payload is
        // there; where the home's owner has gone, it is left to the last reference.
        unsafe { self.value.as_ref() }
    }
}

impl<H: Home, P> Drop for Staying<H, P> {
    fn drop(&mut self) {
        if self.home.stays().end(self.address, self.number) {
            // SAFETY: the owner left the payload behind, and this was the last reference: nobody else reaches it.
            unsafe { self.value.drop_in_place() };
        }
    }
}

/// An owned active reference: the right to be inside an object, for a request that completes on another thread or across an
/// `.await`.
///
/// It can be sent and shared, and a removal waits for it like for an [`Active`](crate::Active) and names it like one. It costs
/// a lock at either end, so it is not for every look-up. It does not borrow the arena; where the arena is dropped first, the
/// payload is dropped with the last reference to it.
///
/// A thread that holds one is not known to be inside: a removal on that thread waits for it as for any other's, and is not told
/// that it waits for itself.
#[must_use = "the object stays for as long as the reference lives"]
pub struct Owned<S: 'static, P>(Staying<Slots<S, P>, P>);

impl<S, P> Home for Slots<S, P> {
    fn stays(&self) -> &Stays {
        &self.stays
    }
}

impl<S, P> Owned<S, P> {
    /// # Safety
    ///
    /// The caller holds an active reference to the object, whose payload `value` is.
    pub(crate) unsafe fn new(slots: Arc<Slots<S, P>>, value: NonNull<P>, address: usize, label: Label) -> Self {
        // SAFETY: the caller's promise.
        Self(unsafe { Staying::new(slots, value, address, label) })
    }
}

impl<S, P> Deref for Owned<S, P> {
    type Target = P;

    fn deref(&self) -> &P {
        &self.0
    }
}

impl<S, P: fmt::Debug> fmt::Debug for Owned<S, P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Owned").field(&**self).finish()
    }
}
