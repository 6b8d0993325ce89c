#![expect(unsafe_code, reason = "here the state of a gate is turned into a reference")]

mod draining;
mod owned;
mod state;

use std::fmt;
use std::sync::Arc;
use std::time::Instant;

use crate::active::Active;
use crate::blocker::Visitor;
use crate::error::{CloseError, Closed, DomainError};
use crate::fences::{Fences, Strategy};
use crate::label::Label;
use crate::records::{self, Ticket};

pub use draining::Draining;
pub use owned::OwnedPass;
use state::State;

/// The right to be inside a [`Gate`], for one operation: an active reference to its value.
pub type Pass<'a, T> = Active<'a, T>;

/// A value with a drain of its own, outside any arena: the value is used by those who have entered, until somebody shuts the
/// gate, waits for those inside, and takes the value back.
///
/// It is for what takes requests by other ways than handles: a queue, a listener, a table of callbacks. A request enters, and is
/// inside until it is done. Whoever closes the gate knows then that no request is under way and none will ever be, and has the
/// value by value.
///
/// ```
/// use enodev_handles::{Closed, Gate};
/// use std::sync::Mutex;
///
/// let queue = Gate::new(Mutex::new(Vec::new()));
/// queue.enter()?.lock().unwrap().push("read");
///
/// let left = queue.close()?; // waits for those inside
/// assert_eq!(left.into_inner().unwrap(), ["read"]);
/// assert!(matches!(queue.enter(), Err(Closed)));
///
/// queue.reopen(Mutex::default()).map_err(|_| "open")?;
/// queue.enter()?.lock().unwrap().push("write");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// To enter and to leave costs what it costs in an [`Arena`](crate::Arena): a store in a cell of the thread's own and a look at
/// the gate's word; no locked instruction, once a thread has entered a few hundred times and where `membarrier` is to be had, and no
/// line that other users write.
///
/// # Linux
///
/// The terms and the order are those of `percpu_ref`, as request queues use it. `percpu_ref_tryget_live` is
/// [`enter`](Self::enter), `percpu_ref_kill` [`shut`](Self::shut), the wait for the release callback [`close`](Self::close) or
/// [`drained`](Self::drained), `percpu_ref_is_dying` [`is_shut`](Self::is_shut), `percpu_ref_is_zero`
/// [`is_quiet`](Self::is_quiet), `PERCPU_REF_INIT_DEAD` [`closed`](Self::closed), `percpu_ref_reinit` [`reopen`](Self::reopen).
/// There is no `percpu_ref_resurrect`: a gate that has been shut is drained before it opens again, so whoever has been told
/// that it is shut can rely on that. There are no modes to switch between: readers do not count, also while a closer waits.
///
/// # Who may close
///
/// Any thread, also one that holds a [`Pin`](crate::Pin), though it holds up garbage while it waits. Who is inside is told
/// ([`CloseError::Inside`]); it can [`shut`](Self::shut) the gate and return. Of several closers one gets the value; the others
/// wait until it has, like [`Arena::join`](crate::Arena::join) and within the same limits. Threads that close gates, remove
/// objects and wait for locks of this crate in a circle are found out: one of them gets [`CloseError::Deadlock`].
///
/// Dropping the gate drops the value, on the caller's thread, and waits for nobody: that no pass is left is proved by the
/// borrow, and one that was forgotten is past its lifetime. Where an [`OwnedPass`] is left, the value goes with the last one.
pub struct Gate<T> {
    state: Arc<State<T>>,
}

impl<T: Send + Sync> Gate<T> {
    /// An open gate, with [`Strategy::Auto`].
    pub fn new(value: T) -> Self {
        Self::build(Self::auto(), Some(value))
    }

    /// An open gate with the strategy of the caller's choice.
    ///
    /// # Errors
    ///
    /// [`DomainError::Membarrier`] where it was asked for and is not to be had; the value is dropped.
    pub fn with_strategy(value: T, strategy: Strategy) -> Result<Self, DomainError> {
        Ok(Self::build(Fences::settle(strategy)?, Some(value)))
    }

    /// A closed gate: the first to enter is let in after [`reopen`](Self::reopen). With [`Strategy::Auto`].
    pub fn closed() -> Self {
        Self::build(Self::auto(), None)
    }

    fn auto() -> Fences {
        // `Auto` takes what there is.
        Fences::settle(Strategy::Auto).unwrap_or(Fences::Symmetric)
    }

    fn build(fences: Fences, value: Option<T>) -> Self {
        Self { state: Arc::new(State::new(fences, value)) }
    }

    /// Enters: until the pass is dropped, the value stays and a closer waits.
    ///
    /// Never waits. A pass that is forgotten holds the value until the gate is dropped, or
    /// [`forget_passes`](Self::forget_passes) is called.
    ///
    /// # Errors
    ///
    /// [`Closed`], also as soon as the gate has been shut.
    #[inline]
    pub fn enter(&self) -> Result<Pass<'_, T>, Closed> {
        let state = &*self.state;
        // Asked first: a cell that is left without a fence must not be seen by a drain that issues no barrier.
        if state.fences == Fences::Symmetric {
            return self.enter_fenced();
        }
        self.admit(records::enter(state.address()))
    }

    #[cold]
    fn enter_fenced(&self) -> Result<Pass<'_, T>, Closed> {
        self.admit(records::enter_fenced(self.state.address()))
    }

    /// As [`enter`](Self::enter), saying what for: who wants to know what a closer waits for is told ([`blockers`](Self::blockers)).
    ///
    /// # Errors
    ///
    /// [`Closed`].
    pub fn enter_labelled(&self, label: Label) -> Result<Pass<'_, T>, Closed> {
        let state = &*self.state;
        self.admit(match state.fences {
            Fences::Asymmetric => records::enter_labelled(state.address(), label.number()),
            Fences::Symmetric => records::enter_labelled_fenced(state.address(), label.number()),
        })
    }

    /// Looks whether the gate is open, after its address was stored in the ticket's cell and a fence.
    #[inline]
    fn admit(&self, ticket: Ticket) -> Result<Pass<'_, T>, Closed> {
        if !self.state.is_open() {
            ticket.leave();
            return closed();
        }
        // SAFETY: the gate is open and its address was in the cell before the word was read (the callers fence in between): a
        // closer whose mark this read did not see sees the cell, and waits for the ticket.
        Ok(unsafe { Active::new(self.state.value(), ticket) })
    }

    /// Enters with a pass that is `Send` and does not borrow the gate: for a request that completes on another thread.
    ///
    /// # Errors
    ///
    /// [`Closed`].
    pub fn enter_owned(&self, label: Label) -> Result<OwnedPass<T>, Closed> {
        let pass = self.enter()?;
        // SAFETY: `pass` is inside.
        let owned = unsafe { OwnedPass::new(Arc::clone(&self.state), label) };
        drop(pass);
        Ok(owned)
    }

    /// Lets nobody in from now on. Waits for nobody: [`close`](Self::close) does, which anybody may call then.
    ///
    /// True if this call has shut it; false if it had been. Those inside may call it.
    pub fn shut(&self) -> bool {
        self.state.shut()
    }

    /// Shuts the gate, waits until those inside have left, and takes the value back.
    ///
    /// # Errors
    ///
    /// - [`CloseError::Closed`] if the value had been taken. Where another thread is closing the gate, this returns when that
    ///   has taken the value; where it fails, this goes on in its place.
    /// - [`CloseError::Inside`]: nothing has changed.
    /// - [`CloseError::Closing`], [`CloseError::Deadlock`], [`CloseError::Barrier`]: the gate stays shut with its value in it,
    ///   and anybody can try again.
    pub fn close(&self) -> Result<T, CloseError> {
        self.state.close(None)
    }

    /// As [`close`](Self::close), until the deadline at the latest; one that has passed only looks.
    ///
    /// # Errors
    ///
    /// As `close`, and [`CloseError::TimedOut`]: [`blockers`](Self::blockers) tells who is inside, and anybody can try again.
    pub fn close_until(&self, deadline: Instant) -> Result<T, CloseError> {
        self.state.close(Some(deadline))
    }

    /// Shuts the gate, and waits until nobody is inside, without keeping a thread. The value stays in it: whoever calls
    /// [`close`](Self::close) then need not wait.
    ///
    /// The gate is shut by this call, not by the first poll. The future is done too when the value has been taken meanwhile. It
    /// may be dropped at any time.
    pub fn drained(&self) -> Draining<'_, T> {
        self.shut();
        Draining::new(&self.state)
    }

    /// Opens a closed gate with another value, or with the same one.
    ///
    /// # Errors
    ///
    /// The value, where the gate is open, or is shut with a value in it.
    pub fn reopen(&self, value: T) -> Result<(), T> {
        self.state.reopen(value)
    }

    /// Whether the gate lets nobody in: what those inside may ask, who should be done soon then. It may be shut, or be opened
    /// again, at any moment.
    pub fn is_shut(&self) -> bool {
        !self.state.is_open()
    }

    /// Whether the gate is shut and nobody is inside: whether [`close`](Self::close) would not wait.
    ///
    /// False where the system refuses the barrier, without which that cannot be told.
    pub fn is_quiet(&self) -> bool {
        self.state.is_quiet()
    }

    /// Whether the calling thread is inside, of which an [`OwnedPass`] says nothing.
    pub fn is_inside(&self) -> bool {
        self.state.is_inside()
    }

    /// Who is inside a gate that has been shut: with what label, which thread, since when closers, or calls of this, have
    /// seen it. Of an open gate nobody.
    pub fn blockers(&self) -> Vec<Visitor> {
        self.state.blockers()
    }

    /// Sleeps inside until the gate is shut, `is_over` answers true, or the deadline has come. True in the first case: then a
    /// request should be done soon.
    ///
    /// As long as the gate is open, `is_over` is asked: at once, after each [`wake`](Self::wake), and whenever this is woken for
    /// reasons of the gate's own. It runs under a lock, and must not call into the gate. Who is not inside, and sleeps until
    /// another has closed the gate and opened it again, may miss that. To sleep is no part of the search for deadlocks.
    pub fn sleep(&self, deadline: Option<Instant>, is_over: impl FnMut() -> bool) -> bool {
        self.state.sleep(deadline, is_over)
    }

    /// Has all who [`sleep`](Self::sleep) look whether that is over.
    pub fn wake(&self) {
        self.state.wake();
    }

    /// Ends the stay of passes that have been forgotten (`mem::forget`), so that closers do not wait for them any more: the
    /// exclusive borrow proves that their lifetimes are over. Not of an [`OwnedPass`].
    pub fn forget_passes(&mut self) {
        self.state.forget_passes();
    }
}

/// The unlikely answer: the compiler keeps it out of the way of the likely one.
#[cold]
fn closed<T>() -> Result<T, Closed> {
    Err(Closed)
}

impl<T> Drop for Gate<T> {
    fn drop(&mut self) {
        self.state.forget_passes();
        // SAFETY: `&mut self`, so nobody is inside by a pass whose lifetime is not over, and nobody closes.
        unsafe { self.state.end() };
    }
}

impl<T> fmt::Debug for Gate<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Gate").field("state", &self.state.stage()).field("fences", &self.state.fences).finish()
    }
}
