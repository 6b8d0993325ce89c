use std::any::Any;
use std::cell::Cell;
use std::fmt;
use std::future::Future;
use std::marker::PhantomData;
use std::mem;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Instant;

use enodev_attrs::Errno;
use enodev_attrs::contain::contain;
use enodev_handles::is_awaited;
use thiserror::Error;

use crate::error::Error;
use crate::sync::{Condvar, Mutex, thread_local};

/// Why there is no answer to a request, or a bad one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Error)]
#[non_exhaustive]
pub enum QueueError {
    /// What the operation on the store failed with.
    #[error(transparent)]
    Store(#[from] Error),
    /// The caller must not wait: it is in a callback, a waker, a payload's drop or a request of a queue, or holds a guard or a lock of
    /// the library's; so the request that it would wait for may wait for it. The request goes on. `EDEADLK`.
    #[error("the request may wait for the caller")]
    Inside,
    /// The queue was closed; the request has not begun and never will. `ECANCELED`.
    #[error("the queue is closed")]
    Closed,
    /// As many requests wait as the queue has room for. This one was not taken, and may be when others have been done. `EAGAIN`. That the
    /// store is full is [`Store`](Self::Store) of [`Error::Full`], and waiting does not help: `ENOMEM`.
    #[error("the queue is full")]
    Full,
    /// Foreign code panicked in the request: a payload's drop, or the closure that was given. `EIO`.
    #[error("the request panicked")]
    Panicked,
    /// The deadline has come first. The request goes on, and the ticket is good. `ETIMEDOUT`.
    #[error("the request takes longer")]
    TimedOut,
    /// The ticket's answer has been taken before. `EINVAL`.
    #[error("the answer has been taken")]
    Taken,
    /// The queue works on another store. `EXDEV`.
    #[error("the queue is another store's")]
    OtherStore,
}

impl QueueError {
    /// The number that a system call would return for this.
    pub const fn errno(self) -> Errno {
        match self {
            Self::Store(error) => error.errno(),
            Self::Inside => Errno::EDEADLK,
            Self::Closed => Errno::ECANCELED,
            Self::Full => Errno::EAGAIN,
            Self::Panicked => Errno::EIO,
            Self::TimedOut => Errno::ETIMEDOUT,
            Self::Taken => Errno::EINVAL,
            Self::OtherStore => Errno::EXDEV,
        }
    }
}

impl From<QueueError> for Errno {
    fn from(error: QueueError) -> Self {
        error.errno()
    }
}

impl From<QueueError> for std::io::Error {
    fn from(error: QueueError) -> Self {
        Self::from_raw_os_error(error.errno().raw())
    }
}

thread_local! {
    /// How deep the calling thread is in the work of queues, and in wakers.
    static BUSY: Cell<u32> = const { Cell::new(0) };
}

/// The calling thread does a queue's work, or calls wakers in the middle of a removal: until this is dropped, it must not wait for tickets.
pub(crate) struct Busy(PhantomData<*const ()>);

impl Busy {
    pub(crate) fn begin() -> Self {
        BUSY.set(BUSY.get() + 1);
        Self(PhantomData)
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        BUSY.set(BUSY.get() - 1);
    }
}

/// Whether a request may wait for the calling thread.
pub(crate) fn may_wait() -> Result<(), QueueError> {
    if BUSY.get() != 0 || is_awaited() { Err(QueueError::Inside) } else { Ok(()) }
}

/// What a request has come to. Its type is the ticket's business: whoever answers runs no code of whoever asked.
pub(crate) type Answer = Result<Box<dyn Any + Send>, QueueError>;

/// Where a request's answer is put.
#[derive(Debug, Default)]
pub(crate) struct Slot {
    state: Mutex<State>,
    answered: Condvar,
}

enum State {
    Pending(Option<Waker>),
    /// Nobody will ask.
    Forgotten,
    Answered(Answer),
    Taken,
}

impl Default for State {
    fn default() -> Self {
        Self::Pending(None)
    }
}

impl fmt::Debug for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Pending(_) => "Pending",
            Self::Forgotten => "Forgotten",
            Self::Answered(_) => "Answered",
            Self::Taken => "Taken",
        })
    }
}

impl Slot {
    /// Answers, and wakes who waits. An answer that nobody will ask for is dropped before this returns.
    pub(crate) fn answer(&self, answer: Answer) {
        let mut answer = Some(answer);
        let before = {
            let mut state = self.state.lock();
            match &mut *state {
                State::Pending(_) => answer.take().map(|answer| mem::replace(&mut *state, State::Answered(answer))),
                _ => None,
            }
        };
        self.answered.notify_all();
        // Foreign code, all of it.
        if let Some(State::Pending(Some(waker))) = before {
            contain(|| waker.wake());
        }
        contain(|| drop(answer));
    }

    /// The answer, if it is there.
    fn take(&self) -> Option<Answer> {
        Self::take_from(&mut self.state.lock())
    }

    fn take_from(state: &mut State) -> Option<Answer> {
        match mem::replace(state, State::Taken) {
            State::Answered(answer) => Some(answer),
            State::Taken => Some(Err(QueueError::Taken)),
            other => {
                *state = other;
                None
            }
        }
    }

    /// Waits for the answer; none if the deadline comes first.
    fn wait(&self, deadline: Option<Instant>) -> Option<Answer> {
        let mut state = self.state.lock();
        loop {
            if let Some(answer) = Self::take_from(&mut state) {
                return Some(answer);
            }
            match deadline {
                None => self.answered.wait(&mut state),
                Some(deadline) if self.answered.wait_until(&mut state, deadline).timed_out() => {
                    return Self::take_from(&mut state);
                }
                Some(_) => {}
            }
        }
    }

    /// Has a waker called as the answer comes, in place of another. The answer, if it is there.
    fn expect(&self, waker: Waker) -> Option<Answer> {
        // Declared before the lock, so that what is not needed is dropped after it.
        let mut waker = Some(waker);
        let mut state = self.state.lock();
        match &mut *state {
            State::Pending(old) => {
                mem::swap(old, &mut waker);
                None
            }
            state => Self::take_from(state),
        }
    }

    fn forget(&self) {
        let before = mem::replace(&mut *self.state.lock(), State::Forgotten);
        drop(before);
    }
}

/// The right to the answer of a request that was given to a [`Queue`](crate::Queue).
///
/// Dropped, it forgets the answer, and not the request. The answer comes when nothing of the request runs any more, and what it was made
/// of has been dropped.
///
/// As a future it is ready with the answer, on any executor. Polled where nobody may wait ([`QueueError::Inside`]) it is ready with
/// that error, unless the answer is there: else an executor that is run in a callback would wait for itself.
#[must_use = "the answer may be an error"]
pub struct Ticket<T> {
    slot: Arc<Slot>,
    ty: PhantomData<fn() -> T>,
}

impl<T: 'static> Ticket<T> {
    pub(crate) fn new(slot: Arc<Slot>) -> Self {
        Self { slot, ty: PhantomData }
    }

    /// Waits for the answer.
    ///
    /// A callback that submits and waits does not hang: it is told so.
    ///
    /// # Errors
    ///
    /// - [`QueueError::Inside`]: the caller must not wait. So it is also where the answer has come already: whether that is so must not
    ///   decide whether a program works. Before that look with [`try_take`](Self::try_take).
    /// - [`QueueError::Store`], [`QueueError::Panicked`]: what the request came to.
    /// - [`QueueError::Closed`]: it has not begun.
    /// - [`QueueError::Taken`].
    pub fn wait(self) -> Result<T, QueueError> {
        may_wait()?;
        self.slot.wait(None).map_or(Err(QueueError::Taken), Self::read)
    }

    /// Waits for the answer until the deadline comes.
    ///
    /// # Errors
    ///
    /// As [`wait`](Self::wait); and [`QueueError::TimedOut`]. After that, and after [`QueueError::Inside`], the answer can still be had.
    pub fn wait_until(&mut self, deadline: Instant) -> Result<T, QueueError> {
        may_wait()?;
        self.slot.wait(Some(deadline)).map_or(Err(QueueError::TimedOut), Self::read)
    }

    /// The answer, if it has come. Waits for nobody, and may be called from anywhere.
    pub fn try_take(&mut self) -> Option<Result<T, QueueError>> {
        self.slot.take().map(Self::read)
    }

    fn read(answer: Answer) -> Result<T, QueueError> {
        // The type is the one that the request was made with, always.
        answer?.downcast().map(|value| *value).map_err(|_| QueueError::Taken)
    }
}

impl<T: 'static> Future for Ticket<T> {
    type Output = Result<T, QueueError>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        if let Some(answer) = self.slot.take() {
            return Poll::Ready(Self::read(answer));
        }
        if let Err(error) = may_wait() {
            return Poll::Ready(Err(error));
        }
        self.slot.expect(context.waker().clone()).map_or(Poll::Pending, |answer| Poll::Ready(Self::read(answer)))
    }
}

impl<T> Drop for Ticket<T> {
    fn drop(&mut self) {
        self.slot.forget();
    }
}

impl<T> fmt::Debug for Ticket<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Ticket").field(&self.slot.state.lock()).finish()
    }
}
