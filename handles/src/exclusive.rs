#![expect(unsafe_code, reason = "a lock that outlives what it guards is not tied to it by a lifetime")]

use std::cell::UnsafeCell;
use std::fmt;
use std::marker::PhantomData;
use std::mem::ManuallyDrop;
use std::ops::{Deref, DerefMut};
use std::ptr::NonNull;
use std::sync::Arc;

use crate::active::Active;
use crate::error::Deadlock;
use crate::lock::RawLock;
use crate::records::Ticket;

/// A payload, or a part of one, that is entered by one thread at a time.
///
/// Nobody should wait for its lock while holding an active reference: a drain would wait for those who wait. So an [`Active`] only
/// *tries* the lock ([`Active::try_lock`]). Who has to wait leaves the object, waits on the [`Lock`], which outlives the payload, and
/// enters anew with it ([`Active::lock_with`]). Nothing prevents a wait inside; a circle that it closes is found
/// ([`Deadlock`]), but where there is no circle, the drain waits for as long as the lock's holder takes.
///
/// ```
/// use enodev_handles::{Arena, Domain, Exclusive, Handle, Kind};
///
/// enum Disk {}
/// impl Kind for Disk {
///     const NAME: &'static str = "Disk";
/// }
/// type Disks = Arena<Disk, (), Exclusive<Vec<u8>>>;
///
/// fn append(disks: &Disks, disk: Handle<Disk>, byte: u8) -> Result<(), Box<dyn std::error::Error>> {
///     let mut bytes = match disks.enter(disk)?.try_lock() {
///         Ok(bytes) => bytes,
///         Err(busy) => {
///             let mut lock = busy.lock();
///             drop(busy); // a removal does not wait for who waits
///             lock.acquire()?;
///             disks.enter(disk)?.lock_with(lock).map_err(|_| "another disk's lock")?
///         }
///     };
///     bytes.push(byte);
///     Ok(())
/// }
///
/// let disks: Disks = Arena::new(&Domain::new()?)?;
/// let sda = disks.insert((), Exclusive::new(Vec::new()))?;
/// std::thread::scope(|scope| {
///     for byte in 0..4 {
///         let disks = &disks;
///         scope.spawn(move || append(disks, sda, byte).unwrap());
///     }
/// });
/// assert_eq!(disks.remove(sda)?.into_inner().len(), 4);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Exclusive<T: ?Sized> {
    lock: Arc<RawLock>,
    value: UnsafeCell<T>,
}

// SAFETY: the value is reached through `&mut self`, by value, or by the one thread that holds the lock; so it is handed
// from thread to thread (`T: Send`) and never shared.
unsafe impl<T: ?Sized + Send> Sync for Exclusive<T> {}

impl<T> Exclusive<T> {
    /// Wraps a value.
    pub fn new(value: T) -> Self {
        Self { lock: Arc::new(RawLock::new()), value: UnsafeCell::new(value) }
    }

    /// The value, as long as it is nobody else's.
    pub fn get_mut(&mut self) -> &mut T {
        self.value.get_mut()
    }

    /// The value, once its object has left.
    pub fn into_inner(self) -> T {
        self.value.into_inner()
    }
}

impl<T: ?Sized> Exclusive<T> {
    /// The lock alone, to wait on outside the object.
    pub fn lock(&self) -> Lock {
        Lock { raw: Arc::clone(&self.lock), held: false, not_send: PhantomData }
    }
}

impl<T: ?Sized> fmt::Debug for Exclusive<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Exclusive").field("locked", &self.lock.is_locked()).finish_non_exhaustive()
    }
}

/// The lock of an [`Exclusive`], held or not, apart from what it guards. Given up when dropped, on the thread that took it.
#[must_use = "a lock that is dropped is given up"]
pub struct Lock {
    raw: Arc<RawLock>,
    held: bool,
    /// Not `Send`: the lock holds the number of the thread that took it.
    not_send: PhantomData<std::sync::MutexGuard<'static, ()>>,
}

impl Lock {
    /// Waits until the lock is this one's. To be called outside all objects: a drain of one would wait for this.
    ///
    /// # Errors
    ///
    /// [`Deadlock`] if the caller would wait for itself: it holds the lock otherwise, or the holder waits for the caller, through
    /// any number of others. Of those who close such a circle one is told.
    pub fn acquire(&mut self) -> Result<(), Deadlock> {
        if !self.held {
            self.raw.lock()?;
            self.held = true;
        }
        Ok(())
    }

    /// Takes the lock if it is free; says whether it is this one's.
    pub fn try_acquire(&mut self) -> bool {
        self.held = self.held || self.raw.try_lock();
        self.held
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        if self.held {
            // SAFETY: `held` says that this is the holder.
            unsafe { self.raw.unlock() };
        }
    }
}

impl fmt::Debug for Lock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lock").field("held", &self.held).finish()
    }
}

impl<'a, T: ?Sized> Active<'a, Exclusive<T>> {
    /// Takes the lock if it is free.
    ///
    /// # Errors
    ///
    /// The guard itself, where another holds the lock.
    pub fn try_lock(self) -> Result<ActiveMut<'a, T>, Self> {
        if !self.lock.try_lock() {
            return Err(self);
        }
        let lock = NonNull::from(&*self.lock);
        // SAFETY: the lock has just been taken.
        Ok(unsafe { ActiveMut::new(self, lock) })
    }

    /// Uses a lock that has been waited for.
    ///
    /// # Errors
    ///
    /// The guard itself, where `lock` is not held or is another object's.
    pub fn lock_with(self, mut lock: Lock) -> Result<ActiveMut<'a, T>, Self> {
        if !lock.held || !Arc::ptr_eq(&self.lock, &lock.raw) {
            return Err(self);
        }
        lock.held = false;
        let raw = NonNull::from(&*self.lock);
        // SAFETY: `lock` held it, and has given that up to the new guard.
        Ok(unsafe { ActiveMut::new(self, raw) })
    }
}

/// An active reference to an [`Exclusive`], with its lock held. Dropping it gives the lock up and then leaves, as an [`Active`] does.
// INVARIANTS: those of `Active`; and this holds `lock`, which is the lock of the `Exclusive` that `value` points into.
#[must_use = "the object stays, and the lock is held, for as long as the guard lives"]
pub struct ActiveMut<'a, T: ?Sized> {
    value: NonNull<T>,
    lock: NonNull<RawLock>,
    ticket: Ticket,
    arena: PhantomData<&'a mut T>,
}

impl<'a, T: ?Sized> ActiveMut<'a, T> {
    /// # Safety
    ///
    /// `lock` is the lock of the `Exclusive`, and the caller holds it.
    unsafe fn new(active: Active<'a, Exclusive<T>>, lock: NonNull<RawLock>) -> Self {
        let (exclusive, ticket) = active.into_parts();
        // SAFETY: the invariants of `Active` hold as long as the ticket is kept.
        let value = unsafe { exclusive.as_ref() }.value.get();
        // SAFETY: `UnsafeCell::get` never gives null.
        let value = unsafe { NonNull::new_unchecked(value) };
        Self { value, lock, ticket, arena: PhantomData }
    }

    /// The right to a part of the payload, in exchange for the right to the whole.
    ///
    /// # Errors
    ///
    /// The guard itself, where `part` gives `None`.
    pub fn try_map<U: ?Sized>(
        mut self,
        part: impl for<'r> FnOnce(&'r mut T) -> Option<&'r mut U>,
    ) -> Result<ActiveMut<'a, U>, Self> {
        let Some(value) = part(&mut self).map(NonNull::from) else {
            return Err(self);
        };
        let this = ManuallyDrop::new(self);
        // INVARIANT: what a payload lends for as long as it is borrowed is in it, or lives as long.
        Ok(ActiveMut { value, lock: this.lock, ticket: this.ticket, arena: PhantomData })
    }
}

impl<T: ?Sized> Deref for ActiveMut<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        // SAFETY: the payload stays while the ticket does (see `Active`), and the lock is held.
        unsafe { self.value.as_ref() }
    }
}

impl<T: ?Sized> DerefMut for ActiveMut<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: as above; the lock makes this the only way to the value, and `&mut self` the only use of this way.
        unsafe { self.value.as_mut() }
    }
}

impl<T: ?Sized> Drop for ActiveMut<'_, T> {
    fn drop(&mut self) {
        // SAFETY: the lock belongs to an `Exclusive` that stays while the ticket does.
        let lock = unsafe { self.lock.as_ref() };
        // SAFETY: by the invariants this guard holds it.
        unsafe { lock.unlock() };
        self.ticket.leave();
    }
}

impl<T: ?Sized + fmt::Debug> fmt::Debug for ActiveMut<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ActiveMut").field(&&**self).finish()
    }
}
