//! A checker's locks, with the signatures of `parking_lot`: no poisoning, and a guard stays where it is while one waits.

use std::ops::{Deref, DerefMut};
use std::sync::{LockResult, PoisonError};
use std::time::Instant;

use super::checker::sync as checked;

/// As `parking_lot`'s.
pub use checked::{RwLockReadGuard, RwLockWriteGuard};

/// A checker's locks are poisoned by a panic, as `parking_lot`'s are not.
fn healed<G>(result: LockResult<G>) -> G {
    result.unwrap_or_else(PoisonError::into_inner)
}

/// As `parking_lot::Mutex`.
#[derive(Debug, Default)]
pub struct Mutex<T>(checked::Mutex<T>);

/// As `parking_lot::MutexGuard`.
#[derive(Debug)]
pub struct MutexGuard<'a, T> {
    mutex: &'a Mutex<T>,
    /// None only inside [`Condvar::wait`] and [`Condvar::wait_until`], whose caller lends the guard.
    held: Option<checked::MutexGuard<'a, T>>,
}

impl<T> Mutex<T> {
    /// As `parking_lot::Mutex::new`, but not `const`.
    #[track_caller]
    pub fn new(value: T) -> Self {
        Self(checked::Mutex::new(value))
    }

    /// As `parking_lot::Mutex::lock`.
    #[track_caller]
    pub fn lock(&self) -> MutexGuard<'_, T> {
        MutexGuard { mutex: self, held: Some(healed(self.0.lock())) }
    }

    /// As `parking_lot::Mutex::get_mut`.
    pub fn get_mut(&mut self) -> &mut T {
        healed(self.0.get_mut())
    }

    /// As `parking_lot::Mutex::into_inner`.
    pub fn into_inner(self) -> T {
        healed(self.0.into_inner())
    }
}

impl<T> Deref for MutexGuard<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        match &self.held {
            Some(held) => held,
            None => unreachable!("a guard that waits is lent"),
        }
    }
}

impl<T> DerefMut for MutexGuard<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        match &mut self.held {
            Some(held) => held,
            None => unreachable!("a guard that waits is lent"),
        }
    }
}

/// As `parking_lot::RwLock`.
#[derive(Debug, Default)]
pub struct RwLock<T>(checked::RwLock<T>);

impl<T> RwLock<T> {
    /// As `parking_lot::RwLock::new`, but not `const`.
    #[track_caller]
    pub fn new(value: T) -> Self {
        Self(checked::RwLock::new(value))
    }

    /// As `parking_lot::RwLock::read`.
    #[track_caller]
    pub fn read(&self) -> checked::RwLockReadGuard<'_, T> {
        healed(self.0.read())
    }

    /// As `parking_lot::RwLock::write`.
    #[track_caller]
    pub fn write(&self) -> checked::RwLockWriteGuard<'_, T> {
        healed(self.0.write())
    }
}

/// As `parking_lot::Condvar`.
#[derive(Debug, Default)]
pub struct Condvar(checked::Condvar);

/// As `parking_lot::WaitTimeoutResult`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WaitTimeoutResult(bool);

impl WaitTimeoutResult {
    /// Whether the deadline came first.
    #[must_use]
    pub fn timed_out(self) -> bool {
        self.0
    }
}

impl Condvar {
    /// As `parking_lot::Condvar::new`, but not `const`.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// As `parking_lot::Condvar::notify_one`, but does not tell whether it woke anybody.
    #[track_caller]
    pub fn notify_one(&self) {
        self.0.notify_one();
    }

    /// As `parking_lot::Condvar::notify_all`, but does not tell how many it woke.
    #[track_caller]
    pub fn notify_all(&self) {
        self.0.notify_all();
    }

    /// As `parking_lot::Condvar::wait`.
    #[track_caller]
    pub fn wait<T>(&self, guard: &mut MutexGuard<'_, T>) {
        guard.held = guard.held.take().map(|held| healed(self.0.wait(held)));
    }

    /// As `parking_lot::Condvar::wait_until`. A model knows no time: a deadline that has passed is found so at once, after the
    /// others had their turn, and any other never comes.
    #[track_caller]
    pub fn wait_until<T>(&self, guard: &mut MutexGuard<'_, T>, deadline: Instant) -> WaitTimeoutResult {
        if Instant::now() < deadline {
            self.wait(guard);
            return WaitTimeoutResult(false);
        }
        drop(guard.held.take());
        super::thread::yield_now();
        guard.held = Some(healed(guard.mutex.0.lock()));
        WaitTimeoutResult(true)
    }
}
