use std::any::Any;
use std::collections::VecDeque;
use std::fmt;
use std::mem;
use std::sync::Arc;

use enodev_attrs::Name;
use enodev_attrs::contain::contain;

use crate::device_type::{Sharing, Type};
use crate::error::{Error, Result};
use crate::handle::{AsKobject, DeviceHandle, DriverHandle};
use crate::new_device::NewDevice;
use crate::store::{Later, Store};
use crate::sync::{Condvar, Mutex};
use crate::ticket::{Busy, QueueError, Slot, Ticket, may_wait};
use crate::turns::{Subject, Turns};
use crate::unregister::Removal;

/// Has devices added, removed, bound and unbound by threads that do nothing else, and tells what has come of it.
///
/// It belongs to the embedder, beside the store. Requests may be submitted from anywhere, callbacks included: that never waits.
/// [`work`](Self::work) does them, on as many threads as call it.
///
/// ```
/// use std::thread;
/// use enodev::{DeviceType, Errno, Queue, QueueError, Store};
///
/// let store = Store::new()?;
/// let disk = store.define(DeviceType::shared::<u32>("disk"))?;
/// let queue = Queue::new();
///
/// thread::scope(|scope| {
///     let worker = scope.spawn(|| queue.work(&store));
///     let sda = queue.add(store.root(), "sda", disk, 512)?.wait()?;
///     let (first, second) = (queue.remove(sda)?, queue.remove(sda)?);
///     assert_eq!(first.wait()?.count(), 1);
///     // In order: the second found nothing.
///     assert_eq!(second.wait(), Err(QueueError::Store(Errno::ENODEV.into())));
///     queue.close();
///     worker.join().unwrap()
/// })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Order
///
/// Requests whose subtrees overlap, as one is at the other's object or above it, are done one after the other, as they were submitted.
/// So are those for one name in one directory: a removal, and then an addition of the next of that name. Others may be done side by
/// side, where several threads work; with one all are done as they were submitted. What counts is where the objects stand as a
/// worker first sees the request: who moves objects meanwhile chooses a subtree for that which holds both places
/// ([`run`](Self::run)).
///
/// What is done with the store directly keeps to no order with requests, and need not: to each the other is another thread. A
/// request for what has left meanwhile is answered `ENODEV`.
///
/// # Which of the two to take
///
/// | | directly | through a queue |
/// |---|---|---|
/// | whose thread runs callbacks and payloads' drops | the caller's | a worker's |
/// | who waits for those inside | the caller | a worker; the caller if it likes |
/// | in a callback | all may be done and its outcome is known; a child comes before `probe` returns | may be submitted; the answer is for later |
/// | a callback that waits for what waits for it | one in the circle is told [`Error::Deadlock`] | is told [`QueueError::Inside`], always |
/// | the device's own removal in its callback | done as the callback returns | done after that, by a worker |
/// | payloads | any; handed back by [`Store::unregister`] | on their way to another thread |
/// | order between threads | what they agree upon | as submitted, for each subtree |
/// | a driver that takes long to let go | holds up its remover | holds up what overlaps, and a worker |
/// | a device added and removed | some 1 µs | some 35 µs where each answer is waited for, 10 µs where 64 go at once |
///
/// Take the store's own operations first: they are quicker, need no thread, and cannot be forgotten. Take a queue where plugging is told by
/// events whose order counts and whose reader must not be held up by a driver (a socket of the kernel's, a bus's interrupt), or where
/// callbacks want more to be done than they can wait for.
///
/// "Queues don't deadlock" is true of those who submit and go on. Who submits and waits, inside what the request needs, would wait for
/// itself in either design: this one says so at once.
///
/// The figures are of a device of a small type among ten thousand, with one worker, on two cores that had other things to do too; some 1 µs
/// for each request is the queue's own, the rest is two threads that wake each other. To take them here:
///
/// ```sh
/// cargo run --release -p enodev-bench --bin compare -- --only 'hotplug_*'
/// ```
///
/// # Length
///
/// A queue has room for as many requests as there is memory for, or as [`with_limit`](Self::with_limit) says: then who submits is told
/// [`QueueError::Full`], and can wait for the ticket of one that he submitted earlier. To wait until all that was submitted has been
/// done, wait for a request of the root's: `queue.run(store.root(), |_| Ok(()))?.wait()`.
///
/// # End
///
/// [`close`](Self::close) lets what was submitted be done, and ends those who work. Dropped, the queue answers [`QueueError::Closed`] to all
/// that has not begun: no ticket is waited for in vain, unless nobody works and the queue stays.
///
/// # Linux
///
/// The design that was proposed for the driver core in 2005 and not taken: a kernel thread that does all of it, and wakes the caller when
/// it is done. `device_schedule_callback`, of later years, was such a queue, for attributes that remove their own device.
pub struct Queue {
    state: Mutex<State>,
    /// There is something to be done, or nothing ever will be.
    work: Condvar,
    limit: usize,
}

#[derive(Default)]
struct State {
    /// What no worker has seen.
    submitted: VecDeque<(Subject, Job)>,
    turns: Turns<Job>,
    /// How many have not begun.
    waiting: usize,
    /// Which store's the queue is, once somebody works.
    of: Option<Later>,
    is_closed: bool,
}

type Request = dyn FnOnce(&Store) -> Result<Box<dyn Any + Send>> + Send;

struct Job {
    request: Box<Request>,
    slot: Arc<Slot>,
}

impl State {
    /// Puts what has come in line. The store's tree may be looked at, with moves shut out: no foreign code runs then, and
    /// nobody who has shut them out wants the queue's lock.
    fn admit(&mut self, store: &Store) {
        while let Some((subject, job)) = self.submitted.pop_front() {
            self.turns.push(store, &subject, job);
        }
    }

    fn is_over(&self) -> bool {
        self.is_closed && self.submitted.is_empty() && self.turns.is_empty()
    }

    /// Makes the queue this store's, if it is no other's.
    fn belong(&mut self, store: &Store) -> Result<(), QueueError> {
        let later = &store.inner.later;
        if Arc::ptr_eq(self.of.get_or_insert_with(|| Later::clone(later)), later) {
            Ok(())
        } else {
            Err(QueueError::OtherStore)
        }
    }
}

/// Submitting. All of this may be called from anywhere, and waits for nobody. What is not taken is dropped on the caller's thread.
///
/// # Errors
///
/// [`QueueError::Closed`], [`QueueError::Full`].
impl Queue {
    /// A queue that is open, with nothing in it.
    pub fn new() -> Self {
        Self::with_limit(usize::MAX)
    }

    /// A queue with room for so many requests that have not begun.
    pub fn with_limit(limit: usize) -> Self {
        Self { state: Mutex::default(), work: Condvar::new(), limit }
    }

    /// [`Store::register`].
    ///
    /// # Errors
    ///
    /// As above; and [`Error::Name`] for what is no name.
    pub fn add<O>(
        &self,
        parent: impl AsKobject,
        name: &str,
        ty: Type<O>,
        payload: O::Value,
    ) -> Result<Ticket<DeviceHandle>, QueueError>
    where
        O: Sharing + 'static,
        O::Value: Send + 'static,
    {
        self.add_with(parent, name, ty, payload, |device| device)
    }

    /// [`Store::new_device`]. What `build` adds to the device is what it begins with: its bus, its class, groups and links. That is called
    /// by the worker.
    ///
    /// # Errors
    ///
    /// As [`add`](Self::add).
    pub fn add_with<O>(
        &self,
        parent: impl AsKobject,
        name: &str,
        ty: Type<O>,
        payload: O::Value,
        build: impl for<'a> FnOnce(NewDevice<'a>) -> NewDevice<'a> + Send + 'static,
    ) -> Result<Ticket<DeviceHandle>, QueueError>
    where
        O: Sharing + 'static,
        O::Value: Send + 'static,
    {
        let parent = parent.kobject();
        let name = Name::new(name).map_err(Error::from)?;
        let subject = Subject::Newcomer(parent, name.clone());
        self.submit(subject, move |store| build(store.new_device(parent, &name, ty, payload)).register())
    }

    /// [`Store::unregister_subtree`].
    ///
    /// # Errors
    ///
    /// As above.
    pub fn remove(&self, object: impl AsKobject) -> Result<Ticket<Removal>, QueueError> {
        let object = object.kobject();
        self.run(object, move |store| store.unregister_subtree(object))
    }

    /// [`Store::bind`].
    ///
    /// # Errors
    ///
    /// As above.
    pub fn bind(&self, device: DeviceHandle, driver: DriverHandle) -> Result<Ticket<()>, QueueError> {
        self.run(device, move |store| store.bind(device, driver))
    }

    /// [`Store::unbind`].
    ///
    /// # Errors
    ///
    /// As above.
    pub fn unbind(&self, device: DeviceHandle, driver: DriverHandle) -> Result<Ticket<Removal>, QueueError> {
        self.run(device, move |store| store.unbind(device, driver))
    }

    /// Anything that has to do with an object and what is below it. In there the store is used directly.
    ///
    /// The queue keeps the closure until it is done: whoever takes its code away, as a driver that is unloaded does, waits for the
    /// ticket first.
    ///
    /// ```
    /// # use enodev::{DeviceType, Queue, Store};
    /// # let store = Store::new()?;
    /// # let disk = store.define(DeviceType::shared::<u32>("disk"))?;
    /// # let sda = store.register(store.root(), "sda", disk, 512)?;
    /// # let queue = Queue::new();
    /// let mut payload = queue.run(sda, move |store| store.unregister::<u32>(sda))?;
    /// assert!(payload.try_take().is_none());
    /// assert!(queue.step(&store)?);
    /// assert_eq!(payload.try_take(), Some(Ok(512)));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As above.
    pub fn run<T: Send + 'static>(
        &self,
        subtree: impl AsKobject,
        request: impl FnOnce(&Store) -> Result<T> + Send + 'static,
    ) -> Result<Ticket<T>, QueueError> {
        self.submit(Subject::Subtree(subtree.kobject()), request)
    }

    fn submit<T: Send + 'static>(
        &self,
        subject: Subject,
        request: impl FnOnce(&Store) -> Result<T> + Send + 'static,
    ) -> Result<Ticket<T>, QueueError> {
        let slot = Arc::new(Slot::default());
        let request = Box::new(move |store: &Store| Ok(Box::new(request(store)?) as Box<dyn Any + Send>));
        self.put(subject, Job { request, slot: Arc::clone(&slot) })?;
        Ok(Ticket::new(slot))
    }

    /// What it does not take it drops after the lock.
    fn put(&self, subject: Subject, job: Job) -> Result<(), QueueError> {
        let mut state = self.state.lock();
        if state.is_closed {
            return Err(QueueError::Closed);
        }
        if state.waiting >= self.limit {
            return Err(QueueError::Full);
        }
        state.waiting += 1;
        state.submitted.push_back((subject, job));
        drop(state);
        self.work.notify_one();
        Ok(())
    }
}

/// Doing what was submitted.
impl Queue {
    /// Does what is submitted, and waits for more; returns when the queue is closed and all has been done.
    ///
    /// Panics of foreign code end requests, never this.
    ///
    /// # Errors
    ///
    /// Nothing was done: [`QueueError::Inside`] in a callback, or where the caller holds a guard or a lock of the library's;
    /// [`QueueError::OtherStore`].
    pub fn work(&self, store: &Store) -> Result<(), QueueError> {
        may_wait()?;
        let _busy = Busy::begin();
        let mut state = self.state.lock();
        state.belong(store)?;
        loop {
            state.admit(store);
            if let Some((number, job)) = state.turns.begin() {
                state.waiting -= 1;
                drop(state);
                self.perform(store, number, job);
                state = self.state.lock();
            } else if state.is_over() {
                return Ok(());
            } else {
                self.work.wait(&mut state);
            }
        }
    }

    /// Does one request, if there is one that can begin now. For those who have a loop of their own.
    ///
    /// # Errors
    ///
    /// As [`work`](Self::work).
    pub fn step(&self, store: &Store) -> Result<bool, QueueError> {
        may_wait()?;
        let _busy = Busy::begin();
        let next = {
            let mut state = self.state.lock();
            state.belong(store)?;
            state.admit(store);
            let next = state.turns.begin();
            state.waiting -= usize::from(next.is_some());
            next
        };
        Ok(next.map(|(number, job)| self.perform(store, number, job)).is_some())
    }

    fn perform(&self, store: &Store, number: u64, job: Job) {
        let Job { request, slot } = job;
        let answer = match contain(|| request(store)) {
            Some(answer) => answer.map_err(QueueError::from),
            None => {
                store.note_panic();
                Err(QueueError::Panicked)
            }
        };
        let (ready, is_over) = {
            let mut state = self.state.lock();
            (state.turns.end(number), state.is_over())
        };
        if is_over {
            self.work.notify_all();
        } else {
            for _ in 0..ready {
                self.work.notify_one();
            }
        }
        // Who knows the answer finds the request gone.
        slot.answer(answer);
    }

    /// Takes no more requests. Those who work return when what was submitted has been done.
    pub fn close(&self) {
        self.state.lock().is_closed = true;
        self.work.notify_all();
    }

    /// Takes no more requests, and answers [`QueueError::Closed`] to those that have not begun, which are dropped on the caller's thread.
    /// Returns how many. Waits for nobody: those that have begun go on, and then those who work return.
    pub fn cancel(&self) -> usize {
        // Nothing that a request's drop might wait for in here will be done.
        let _busy = Busy::begin();
        let cancelled = {
            let mut state = self.state.lock();
            state.is_closed = true;
            state.waiting = 0;
            let mut jobs = state.turns.cancel();
            jobs.extend(mem::take(&mut state.submitted).into_iter().map(|(_, job)| job));
            jobs
        };
        self.work.notify_all();
        let count = cancelled.len();
        for Job { request, slot } in cancelled {
            contain(|| drop(request));
            slot.answer(Err(QueueError::Closed));
        }
        count
    }

    /// How many requests have not begun.
    pub fn len(&self) -> usize {
        self.state.lock().waiting
    }

    /// Whether no request waits to be begun.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many requests for an object, and for what is below it, have not ended: also where the object has left in the meantime, unless
    /// that was before any worker saw the request; such requests count for the object that they name, and for none above.
    ///
    /// # Errors
    ///
    /// [`QueueError::OtherStore`].
    pub fn pending_for(&self, store: &Store, object: impl AsKobject) -> Result<usize, QueueError> {
        let mut state = self.state.lock();
        state.belong(store)?;
        state.admit(store);
        Ok(state.turns.count_below(object.kobject()))
    }
}

impl Default for Queue {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for Queue {
    fn drop(&mut self) {
        self.cancel();
    }
}

impl fmt::Debug for Queue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (waiting, is_closed) = {
            let state = self.state.lock();
            (state.waiting, state.is_closed)
        };
        f.debug_struct("Queue").field("waiting", &waiting).field("closed", &is_closed).finish_non_exhaustive()
    }
}
