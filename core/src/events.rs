//! Changes of attributes that are made known, and those who wait for one.

use std::collections::BTreeMap;
use std::future::Future;
use std::mem;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::time::Instant;

use enodev_attrs::Errno;

use crate::error::Result;
use crate::file::File;
use crate::handle::{AsKobject, AttrHandle, KobjectHandle};
use crate::node::Node;
use crate::store::{Inner, Store};
use crate::sync::{Condvar, Mutex};
use crate::ticket::Busy;

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
///
/// Wakers are foreign code: they are called, cloned and dropped under no lock and no pin, and inside no object but those that the
/// caller is inside of.
#[derive(Debug, Default)]
pub(crate) struct Events {
    attrs: BTreeMap<AttrHandle, OnAttr>,
    /// The number of the waiter that came last.
    number: u64,
}

#[derive(Debug, Default)]
struct OnAttr {
    /// The object's count of changes as this attribute changed last; 0 if it never has.
    last: u64,
    waiters: BTreeMap<u64, Waker>,
}

impl Events {
    /// Whether the attribute has changed since a file saw it.
    fn has_changed(&self, attr: AttrHandle, seen: u64) -> bool {
        self.attrs.get(&attr).is_some_and(|on| on.last > seen)
    }

    fn add(&mut self, attr: AttrHandle, waker: Option<Waker>) -> u64 {
        self.number += 1;
        self.attrs.entry(attr).or_default().waiters.extend(waker.map(|waker| (self.number, waker)));
        self.number
    }
}

impl OnAttr {
    /// Takes the waiters out, those first that have waited longest.
    fn take(&mut self) -> impl Iterator<Item = Waker> + use<> {
        mem::take(&mut self.waiters).into_values()
    }
}

/// Calls wakers. One that panics keeps neither the others from being called nor the caller from going on.
pub(crate) fn call(wakers: Vec<Waker>) {
    // Removals call wakers as well: the caller may have objects that are leaving in its hands.
    let _busy = Busy::begin();
    for waker in wakers {
        let Err(panic) = catch_unwind(AssertUnwindSafe(|| waker.wake())) else { continue };
        // What it carried may panic in turn as it is dropped, and so on without end.
        if let Err(again) = catch_unwind(AssertUnwindSafe(|| drop(panic))) {
            mem::forget(again);
        }
    }
}

impl Inner {
    /// Wakes those who wait for these attributes of an object.
    pub(crate) fn wake(&self, object: KobjectHandle, attrs: &[AttrHandle]) {
        let mut wakers = Vec::new();
        {
            let pin = self.domain.pin();
            if let Some(more) = self.nodes.get_leaving(&pin, object).ok().and_then(|node| node.more()) {
                let mut events = more.events.lock();
                for attr in attrs {
                    wakers.extend(events.attrs.get_mut(attr).into_iter().flat_map(OnAttr::take));
                }
            }
        }
        call(wakers);
    }

    /// Wakes all who wait for attributes of objects that are leaving.
    pub(crate) fn wake_all(&self, objects: impl IntoIterator<Item = KobjectHandle>) {
        let mut wakers = Vec::new();
        {
            let pin = self.domain.pin();
            for object in objects {
                let node = self.nodes.get_leaving(&pin, object);
                node.into_iter().for_each(|node| node.take_waiters(&mut wakers));
            }
        }
        call(wakers);
    }
}

impl Node {
    /// Takes out all who wait for attributes of the object, which is leaving.
    pub(crate) fn take_waiters(&self, wakers: &mut Vec<Waker>) {
        if let Some(more) = self.more() {
            wakers.extend(more.events.lock().attrs.values_mut().flat_map(OnAttr::take));
        }
    }
}

/// Making changes known.
impl Store {
    /// Makes known that an attribute of an object has changed: files that have begun to read it before have something to read, and those
    /// who wait for that are woken, on this thread. The change itself comes first.
    ///
    /// May be called from anywhere, the object's own callbacks included: then the wakers run inside the object too. Where no attribute of
    /// the object has ever been opened to be read, this changes nothing and allocates nothing. An attribute that the object does not
    /// show may be made known all the same, to nobody.
    ///
    /// A waker that panics keeps no other from being called, and the panic goes no further.
    ///
    /// # Errors
    ///
    /// `ENODEV`: the object, or the attribute is none of this store's.
    pub fn notify(&self, object: impl AsKobject, attr: AttrHandle) -> Result {
        let object = object.kobject();
        let wakers: Vec<_> = {
            let body = self.inner.nodes.enter(object)?;
            if !self.inner.attrs.contains(attr) {
                return Err(Errno::ENODEV.into());
            }
            if !body.state.is_watched() {
                return Ok(());
            }
            let pin = self.inner.domain.pin();
            let mut events = self.inner.nodes.get(&pin, object)?.more_or_new().events.lock();
            let on = events.attrs.entry(attr).or_default();
            // Under the lock, so that counts rise in the order in which they are noted.
            on.last = body.state.count();
            on.take().collect()
        };
        call(wakers);
        Ok(())
    }

    /// What there is for a file at this moment.
    fn event(&self, file: &File) -> Option<Event> {
        let pin = self.inner.domain.pin();
        let Ok(node) = self.inner.nodes.get(&pin, file.object()) else { return Some(Event::Gone) };
        self.event_of(&pin, node, file, |seen| {
            node.more().is_some_and(|more| more.events.lock().has_changed(file.attribute(), seen))
        })
    }

    fn event_of(
        &self,
        pin: &enodev_handles::Pin<'_>,
        node: &Node,
        file: &File,
        has_changed: impl FnOnce(u64) -> bool,
    ) -> Option<Event> {
        if !self.inner.nodes.contains(file.object()) || !self.is_shown(pin, node, file) {
            return Some(Event::Gone);
        }
        // A file that has read nothing has something to read.
        file.seen().is_none_or(has_changed).then_some(Event::Changed)
    }

    /// Has the waker called at the next event, unless there is one for the file already. The waiter's number, or the event.
    fn expect(&self, file: &File, waker: Waker) -> Result<u64, Event> {
        // Declared before the pin and the lock: where it is not needed it is dropped after both.
        let mut waker = Some(waker);
        let pin = self.inner.domain.pin();
        // Who marks the object claims it too, and takes the waiters that it has then.
        let node = self.inner.claim(&pin, file.object()).map_err(|_| Event::Gone)?;
        let mut events = node.more_or_new().events.lock();
        match self.event_of(&pin, &node, file, |seen| events.has_changed(file.attribute(), seen)) {
            Some(event) => Err(event),
            None => Ok(events.add(file.attribute(), waker.take())),
        }
    }

    /// Takes a waiter away, if it is still there.
    fn forget(&self, file: &File, number: u64) {
        let found = {
            let pin = self.inner.domain.pin();
            let more = self.inner.nodes.get_leaving(&pin, file.object()).ok().and_then(|node| node.more());
            more.and_then(|more| more.events.lock().attrs.get_mut(&file.attribute())?.waiters.remove(&number))
        };
        drop(found);
    }
}

/// Waiting for changes, as `poll(2)` does on a file of sysfs. None of these waits for a read that is under way, or keeps an object or
/// its removal waiting.
///
/// A file that has read nothing has something to read. From then on a change counts that is [made known](Store::notify) after the last
/// read began: one that comes while the callback runs is told once too often rather than not at all. Looking and waiting take nothing
/// away: what there is stays until the file is read at offset 0.
///
/// Linux wakes nobody where an attribute is removed; here all who wait for it are woken, and told [`Event::Gone`].
impl File {
    /// What there is for this file now; `None` if nothing has changed.
    pub fn poll(&self, store: &Store) -> Option<Event> {
        store.event(self)
    }

    /// Waits until there is something; `None` if the deadline comes first.
    ///
    /// A removal wakes those who wait for what it takes away as it begins, and not when it has ended: so a callback may wait for an
    /// attribute of its own object, and leaves the object when that is removed.
    pub fn wait(&self, store: &Store, deadline: Option<Instant>) -> Option<Event> {
        let mut changed = self.changed(store);
        let signal = Arc::new(Signal::default());
        let waker = Waker::from(Arc::clone(&signal));
        let mut context = Context::from_waker(&waker);
        loop {
            if let Poll::Ready(event) = Pin::new(&mut changed).poll(&mut context) {
                return Some(event);
            }
            if !signal.wait(deadline) {
                return store.event(self);
            }
        }
    }

    /// Waits for an event without a thread, on any executor. What this returns may be dropped at any time; forgotten, it costs the
    /// object some memory until the next event.
    ///
    /// ```
    /// use std::future::Future;
    /// use std::pin::pin;
    /// use std::task::{Context, Poll, Waker};
    /// use enodev::{Access, DeviceType, Event, Store};
    ///
    /// let store = Store::new()?;
    /// let battery = store.define(DeviceType::shared::<u32>("battery").ro("capacity", |level, page| page.int(*level)))?;
    /// let battery = store.register(store.root(), "BAT0", battery, 80)?;
    /// let capacity = store.open(battery, "capacity", Access::READ)?;
    /// capacity.read(&store, &mut [0; 8])?;
    ///
    /// // An executor has a waker of its own.
    /// let mut context = Context::from_waker(Waker::noop());
    /// let mut changed = pin!(capacity.changed(&store));
    /// assert_eq!(changed.as_mut().poll(&mut context), Poll::Pending);
    /// store.notify(battery, capacity.attribute())?;
    /// assert_eq!(changed.poll(&mut context), Poll::Ready(Event::Changed));
    /// # Ok::<(), enodev::Error>(())
    /// ```
    pub fn changed<'a>(&'a self, store: &'a Store) -> Changed<'a> {
        Changed { file: self, store, waiter: None }
    }
}

/// What a thread waits for. Not `thread::park`: what wakes the thread for the caller's own reasons must not be used up here.
#[derive(Default)]
struct Signal {
    is_given: Mutex<bool>,
    given: Condvar,
}

impl Signal {
    /// False if the deadline comes first. The signal is taken.
    fn wait(&self, deadline: Option<Instant>) -> bool {
        let mut is_given = self.is_given.lock();
        while !*is_given {
            match deadline {
                None => self.given.wait(&mut is_given),
                Some(deadline) if self.given.wait_until(&mut is_given, deadline).timed_out() => break,
                Some(_) => {}
            }
        }
        mem::take(&mut *is_given)
    }
}

impl Wake for Signal {
    fn wake(self: Arc<Self>) {
        *self.is_given.lock() = true;
        self.given.notify_one();
    }
}

/// The next [`Event`] of a [`File`]. See [`File::changed`].
///
/// Each poll looks anew: polled again after it was ready, it gives the event again if that still is so.
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
        self.forget();
        if let Some(event) = self.store.event(self.file) {
            return Poll::Ready(event);
        }
        match self.store.expect(self.file, context.waker().clone()) {
            Ok(number) => {
                self.waiter = Some(number);
                Poll::Pending
            }
            Err(event) => Poll::Ready(event),
        }
    }
}

impl Changed<'_> {
    fn forget(&mut self) {
        if let Some(number) = self.waiter.take() {
            self.store.forget(self.file, number);
        }
    }
}

impl Drop for Changed<'_> {
    fn drop(&mut self) {
        self.forget();
    }
}
