use thiserror::Error;

/// The handle names nothing that is alive here: its object has left or is leaving, its slot holds another one,
/// it belongs to another store, or it never was a handle.
///
/// This is the only error of a look-up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Error)]
#[error("the object has left")]
pub struct Stale;

/// Why a removal has not been done, or is not over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Error)]
#[non_exhaustive]
pub enum RemoveError {
    /// The object had left before.
    #[error(transparent)]
    Stale(#[from] Stale),
    /// The caller holds a pin of this domain; a removal may wait and runs the payload's `Drop`. Nothing has changed: what was
    /// marked before ([`Leaving::drain`](crate::Leaving::drain), [`Arena::join`](crate::Arena::join)) is leaving and stays so.
    #[error("the thread that removes holds a pin")]
    Pinned,
    /// The caller itself is inside the object, and would wait for itself. [`Arena::remove`](crate::Arena::remove) has changed nothing;
    /// what [`Leaving::drain`](crate::Leaving::drain) was for is leaving and stays so. A removal can be begun inside
    /// ([`Arena::leave`](crate::Arena::leave), [`Leaving::mark`](crate::Leaving::mark)) and finished as the caller leaves
    /// ([`Leaving::defer`](crate::Leaving::defer)).
    #[error("the thread that removes is inside the object")]
    Inside,
    /// The object is leaving, and the caller cannot wait until it has gone: it is inside an object, or in the middle of
    /// dropping a payload, and the thread that removes might wait for it in turn; or the removal was given up.
    #[error("the object is leaving")]
    Leaving,
    /// Those inside wait, each or through others, for the caller: it would wait for itself. Of those who close such a circle
    /// one is told. The object is leaving and stays so.
    #[error("the removal would wait for itself")]
    Deadlock,
    /// The deadline came before those inside had left. The object is leaving and stays so.
    #[error("somebody was still inside at the deadline")]
    TimedOut,
    /// The system call that the removal depends on has been refused since the domain was built. The object is leaving: it is
    /// stale for all, and neither its payload nor its slot is given free before a later removal,
    /// [`reap`](crate::Arena::reap) or the arena's end can tell that nobody is inside.
    #[error("the memory barrier has been refused")]
    Barrier,
}

/// The caller would wait for itself: for a lock that it holds, or whose holder waits for it, through any number of others.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Error)]
#[error("the caller would wait for itself")]
pub struct Deadlock;

/// Why a domain could not be built.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Error)]
#[non_exhaustive]
pub enum DomainError {
    /// All 255 tags are in use by domains alive, or used up.
    #[error("no store tag is left")]
    Tags,
    /// [`Strategy::Membarrier`](crate::Strategy::Membarrier) was asked for and the system refuses it.
    #[error("membarrier is not to be had on this system")]
    Membarrier,
}

/// The arena has no slot left, or no memory for one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Error)]
#[error("the arena is full")]
pub struct Full;

/// The domain has, or had, an arena of this kind: handles of the two could not be told apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Error)]
#[error("the domain has an arena of this kind")]
pub struct KindTaken;

/// The gate lets nobody in: it is shut, or its value has been taken.
///
/// This is the only error of those who enter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Error)]
#[error("the gate is shut")]
pub struct Closed;

/// Why a closer of a gate has not got the value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Error)]
#[non_exhaustive]
pub enum CloseError {
    /// The value had been taken, or another closer has taken it: nobody is inside.
    #[error("the gate has been closed")]
    Closed,
    /// The caller itself is inside, and would wait for itself. Nothing has changed.
    #[error("the thread that closes is inside the gate")]
    Inside,
    /// Another thread is closing the gate, and the caller cannot wait until it has: it is inside another gate or object, or in
    /// the middle of dropping a payload, and the thread that closes might wait for it in turn. The gate is shut.
    #[error("another thread is closing the gate")]
    Closing,
    /// Those inside wait, each or through others, for the caller: it would wait for itself. Of those who close such a circle
    /// one is told. The gate stays shut.
    #[error("the closer would wait for itself")]
    Deadlock,
    /// The deadline came before those inside had left, or before another closer was done. The gate stays shut.
    #[error("somebody was still inside at the deadline")]
    TimedOut,
    /// The system call that closing depends on has been refused since the gate was built. The gate stays shut, and its value
    /// stays in it.
    #[error("the memory barrier has been refused")]
    Barrier,
}
