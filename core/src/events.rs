//! Changes of attributes that are made known, and those who wait for one.

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};
use std::time::Instant;

use enodev_handles::Stale;

use crate::error::Result;
use crate::file::File;
use crate::handle::{AsKobject, AttrHandle, KobjectHandle};
use crate::store::{Store, Tree};

/// What has become of an attribute that is waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Event {
    /// There is something to read that has not been read, or nothing has been read yet.
    Changed,
    /// The attribute is gone: with its object, with its group, or hidden. This is final.
    Gone,
}

/// What the store keeps of an object's changes.
///
/// # Invariants
///
/// A waiter is added under the lock, after a look whether there is something for it already. Who makes something known does that
/// first, then takes the waiters out under the lock. So nobody waits for what has been.
#[derive(Debug, Default)]
pub(crate) struct Events {
    /// For attributes that have changed, the object's count of changes then.
    last: BTreeMap<AttrHandle, u64>,
    waiters: Vec<Waiter>,
    next: u64,
}

#[derive(Debug)]
struct Waiter {
    number: u64,
    attr: AttrHandle,
    waker: Waker,
}

impl Events {
    /// Whether the attribute has changed since a file saw it.
    fn has_changed(&self, attr: AttrHandle, seen: u64) -> bool {
        self.last.get(&attr).is_some_and(|last| *last > seen)
    }

    fn take(&mut self, is_one: impl Fn(AttrHandle) -> bool) -> Vec<Waker> {
        let (taken, kept) = std::mem::take(&mut self.waiters).into_iter().partition(|waiter| is_one(waiter.attr));
        self.waiters = kept;
        let taken: Vec<Waiter> = taken;
        taken.into_iter().map(|waiter| waiter.waker).collect()
    }
}

impl Tree {
    /// Wakes those who wait for attributes of an object that `is_one` answers true for.
    pub(crate) fn wake(&self, object: KobjectHandle, is_one: impl Fn(AttrHandle) -> bool) {
        let wakers = {
            let pin = self.domain.pin();
            let more = self.nodes.get_leaving(&pin, object).ok().and_then(|node| node.more());
            more.map_or_else(Vec::new, |more| more.events.lock().take(is_one))
        };
        // Foreign code, so under no pin and no lock.
        wakers.into_iter().for_each(Waker::wake);
    }

    /// Wakes all who wait for attributes of objects that are leaving.
    pub(crate) fn wake_all(&self, objects: impl IntoIterator<Item = KobjectHandle>) {
        let mut wakers = Vec::new();
        {
            let pin = self.domain.pin();
            for object in objects {
                if let Some(more) = self.nodes.get_leaving(&pin, object).ok().and_then(|node| node.more()) {
                    wakers.append(&mut more.events.lock().take(|_| true));
                }
            }
        }
        wakers.into_iter().for_each(Waker::wake);
    }
}

/// Making changes known.
impl Store {
    /// Makes known that an attribute of an object has changed: files that have read it since before have something to read, and those
    /// who wait for that are woken. The change itself comes first.
    ///
    /// May be called from anywhere, the object's own callbacks included. Where no attribute of the object has ever been opened to be read,
    /// this changes nothing and allocates nothing.
    ///
    /// # Errors
    ///
    /// `ENODEV`: the object or the attribute. An attribute that the object does not show may be made known all the same, to nobody.
    pub fn notify(&self, object: impl AsKobject, attr: AttrHandle) -> Result {
        let object = object.kobject();
        let wakers = {
            let body = self.tree.nodes.enter(object)?;
            if !self.attrs.contains(attr) {
                return Err(Stale.into());
            }
            if !body.state.is_watched() {
                return Ok(());
            }
            let pin = self.tree.domain.pin();
            let mut events = self.tree.nodes.get(&pin, object)?.more_or_new().events.lock();
            let count = body.state.count();
            events.last.insert(attr, count);
            events.take(|other| other == attr)
        };
        // Foreign code, so outside the object too.
        wakers.into_iter().for_each(Waker::wake);
        Ok(())
    }

    /// What there is for a file at this moment.
    fn event(&self, file: &File) -> Option<Event> {
        if file.alive(self).is_err() {
            return Some(Event::Gone);
        }
        let Some(seen) = file.seen() else { return Some(Event::Changed) };
        let pin = self.tree.domain.pin();
        let Ok(node) = self.tree.nodes.get(&pin, file.object()) else { return Some(Event::Gone) };
        let changed = node.more().is_some_and(|more| more.events.lock().has_changed(file.attribute(), seen));
        changed.then_some(Event::Changed)
    }

    /// Has the waker called at the next event, unless there is one for the file already. Returns the waiter's number.
    fn expect(&self, file: &File, waker: Waker) -> Option<u64> {
        // Under the lock nothing foreign is to be dropped, nor anything entered that may have to go on with a removal.
        let mut waker = Some(waker);
        let pin = self.tree.domain.pin();
        let node = self.tree.nodes.get(&pin, file.object()).ok()?;
        let mut events = node.more_or_new().events.lock();
        let is_there = self.tree.nodes.contains(file.object()) && self.is_shown(&pin, node, file);
        if !is_there || file.seen().is_none_or(|seen| events.has_changed(file.attribute(), seen)) {
            drop(events);
            return None;
        }
        events.next += 1;
        let number = events.next;
        events.waiters.extend(waker.take().map(|waker| Waiter { number, attr: file.attribute(), waker }));
        Some(number)
    }

    /// Takes a waiter away, if it is still there.
    fn forget(&self, object: KobjectHandle, number: u64) {
        let found = {
            let pin = self.tree.domain.pin();
            let more = self.tree.nodes.get_leaving(&pin, object).ok().and_then(|node| node.more());
            more.and_then(|more| {
                let mut events = more.events.lock();
                let at = events.waiters.iter().position(|waiter| waiter.number == number)?;
                Some(events.waiters.swap_remove(at))
            })
        };
        drop(found);
    }
}

/// Waiting for changes, as `poll(2)` does on a file of sysfs. None of these waits for a read that is under way, or keeps an object or
/// its removal waiting.
///
/// A file that has read nothing has something to read. From then on a change counts that is [made known](Store::notify) after the last
/// read began: one that comes while the callback runs is told once too often rather than not at all.
impl File {
    /// What there is for this file now; `None` if nothing has changed.
    pub fn poll(&self, store: &Store) -> Option<Event> {
        store.event(self)
    }

    /// Waits until there is something; `None` if the deadline comes first.
    ///
    /// The removal of the object wakes all who wait, as it begins: who waits here in a callback of that object leaves it then. The store's
    /// end cannot come while this borrows it.
    pub fn wait(&self, store: &Store, deadline: Option<Instant>) -> Option<Event> {
        let mut changed = self.changed(store);
        let waker = Waker::from(Arc::new(Unpark(thread::current())));
        let mut context = Context::from_waker(&waker);
        loop {
            if let Poll::Ready(event) = Pin::new(&mut changed).poll(&mut context) {
                return Some(event);
            }
            match deadline {
                None => thread::park(),
                Some(deadline) => {
                    let now = Instant::now();
                    if now >= deadline {
                        return store.event(self);
                    }
                    thread::park_timeout(deadline - now);
                }
            }
        }
    }

    /// Waits for an event without a thread: for any executor.
    pub fn changed<'a>(&'a self, store: &'a Store) -> Changed<'a> {
        Changed { file: self, store, waiter: None }
    }
}

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// The next [`Event`] of a [`File`].
#[derive(Debug)]
#[must_use = "a future does nothing unless it is awaited"]
pub struct Changed<'a> {
    file: &'a File,
    store: &'a Store,
    waiter: Option<u64>,
}

impl Future for Changed<'_> {
    type Output = Event;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Event> {
        loop {
            self.forget();
            if let Some(event) = self.store.event(self.file) {
                return Poll::Ready(event);
            }
            // Cloned, and dropped if it is not needed, outside all locks.
            self.waiter = self.store.expect(self.file, context.waker().clone());
            if self.waiter.is_some() {
                return Poll::Pending;
            }
        }
    }
}

impl Changed<'_> {
    fn forget(&mut self) {
        if let Some(number) = self.waiter.take() {
            self.store.forget(self.file.object(), number);
        }
    }
}

impl Drop for Changed<'_> {
    fn drop(&mut self) {
        self.forget();
    }
}
