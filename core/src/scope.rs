use std::fmt;
use std::ops::{Deref, DerefMut};

use enodev_handles::{Active, Lock};

use crate::context::Context;
use crate::device_type::Lending;
use crate::error::{Error, Result};
use crate::handle::{AsKobject, BusHandle, DeviceHandle, KobjectHandle, device};
use crate::order::{self, Turn};
use crate::payload::{Body, PayloadRef};
use crate::sought::LetGo;
use crate::store::Store;

/// What a driver's callback gets for its own length: the device. It dereferences to the [`Context`] of the payload, and so to the payload,
/// which is reached without a look-up, a check or a lock: while the callback runs, the device is the driver's.
///
/// It cannot outlive the callback:
///
/// ```compile_fail
/// use enodev::{AnyObject, BusType, Driver, Errno, Scope};
/// use std::sync::Mutex;
///
/// # struct Platform;
/// # impl BusType for Platform {
/// #     type Id = ();
/// #     type IdTable = ();
/// #     fn matches(&self, _: &(), _: &()) -> bool { true }
/// # }
/// struct Keeper(Mutex<Vec<&'static Scope<'static, AnyObject>>>);
///
/// impl Driver for Keeper {
///     type Bus = Platform;
///     type Device = AnyObject;
///     type Data = ();
///
///     fn probe(&self, device: &mut Scope<'_, AnyObject>) -> Result<(), Errno> {
///         self.0.lock().unwrap().push(device); // borrowed data escapes
///         Ok(())
///     }
/// }
/// ```
///
/// nor go to another thread:
///
/// ```compile_fail
/// fn is_send<T: Send>() {}
/// is_send::<enodev::Scope<'_, enodev::AnyObject>>();
/// ```
///
/// # Linux
///
/// Rust drivers have `&Device<Bound>`; in C nothing says that a scope is bound.
pub struct Scope<'a, O: Lending> {
    owner: O::Ref<'a>,
    call: Where<'a>,
}

/// Where a callback runs.
#[derive(Clone, Copy)]
pub(crate) struct Where<'a> {
    pub(crate) store: &'a Store,
    pub(crate) device: KobjectHandle,
    /// What leaves after the device: its ancestors are among it.
    pub(crate) above: &'a [(KobjectHandle, Body)],
    /// It runs in its turn with the device, which ends after it; and so on that thread.
    #[expect(dead_code, reason = "it is had, not used")]
    pub(crate) turn: &'a Turn,
}

impl<'a, O: Lending> Scope<'a, O> {
    /// None where the payload is not one of the driver's.
    pub(crate) fn new(call: Where<'a>, payload: PayloadRef<'a>) -> Option<Self> {
        let owner = O::lend(Context { payload, store: call.store, object: call.device })?;
        Some(Self { owner, call })
    }

    /// The store that the device is in.
    pub fn store(&self) -> &'a Store {
        self.call.store
    }

    /// The device.
    pub fn device(&self) -> DeviceHandle {
        device(self.call.device)
    }

    /// Enters another object, as [`Store::enter`]; in `remove` also an ancestor of the device that leaves together with it, and that is
    /// `ENODEV` for everybody else.
    ///
    /// # Errors
    ///
    /// As [`Store::enter`].
    pub fn reach<T: ?Sized + 'static>(&self, object: impl AsKobject) -> Result<Reached<'_, T>> {
        let object = object.kobject();
        let leaving = self.call.above.iter().find(|(other, _)| *other == object);
        match leaving {
            Some((_, body)) if self.call.store.is_above(object, self.call.device) => {
                body.payload.shared().map(Reached::Leaving).ok_or(Error::WrongType)
            }
            _ => self.call.store.enter(object).map(Reached::Entered),
        }
    }
}

impl<'a, O: Lending> Deref for Scope<'a, O> {
    type Target = O::Ref<'a>;

    fn deref(&self) -> &O::Ref<'a> {
        &self.owner
    }
}

impl<O: Lending> DerefMut for Scope<'_, O> {
    fn deref_mut(&mut self) -> &mut Self::Target {
        &mut self.owner
    }
}

impl<O: Lending> fmt::Debug for Scope<'_, O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Scope").field(&self.call.device).finish()
    }
}

/// The payload of another object, reached from a callback.
#[derive(Debug)]
pub enum Reached<'a, T: ?Sized> {
    /// It has been entered.
    Entered(Active<'a, T>),
    /// It is leaving, after the device.
    Leaving(&'a T),
}

impl<T: ?Sized> Deref for Reached<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        match self {
            Self::Entered(active) => active,
            Self::Leaving(payload) => payload,
        }
    }
}

/// The lock of a device, held outside its callbacks: none of them runs meanwhile, and nobody else adds children to it. Made by
/// [`Store::lock`].
///
/// As it is dropped, drivers are asked that came meanwhile and could not be asked, as who registered them has the lock, or is waited for by
/// who has it: about the device, and about its children on a bus that [wants](crate::BusType::LOCKS_PARENT) the lock of the parent. To be
/// dropped inside no object, so that these drivers have the payloads.
///
/// It keeps nobody from removing the device: where that leaves, its driver's `remove` does not wait for the lock. Who wants it to stay
/// enters it.
///
/// # Linux
///
/// `device_lock` and `device_unlock`. There, `device_del` takes it too, and waits for whoever has it.
#[must_use = "the device is locked for as long as this lives"]
pub struct Held<'a> {
    store: &'a Store,
    device: KobjectHandle,
    turn: Turn,
    /// Dropped last.
    let_go: LetGo<'a>,
}

impl<'a> Held<'a> {
    pub(crate) fn new(store: &'a Store, device: KobjectHandle, turn: Turn) -> Self {
        Self { store, device, turn, let_go: LetGo::new(store, device) }
    }

    /// The device.
    pub fn device(&self) -> DeviceHandle {
        device(self.device)
    }

    pub(crate) fn turn(&self) -> &Turn {
        &self.turn
    }

    /// The second part is to be dropped after the first.
    pub(crate) fn into_turn(self) -> (Turn, Option<LetGo<'a>>) {
        (self.turn, Some(self.let_go))
    }
}

impl fmt::Debug for Held<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Held").field(&self.device).finish()
    }
}

/// Proof that the calling thread holds the lock of a device: it is in a callback of it ([`Scope`]), or has taken it ([`Held`]).
pub trait Holds: private::Sealed {
    /// Unregisters a child of the device: as [`Store::unregister`], by who has the parent's lock. That one may be called too, as a removal
    /// waits for no device's lock, but on a bus that [wants](crate::BusType::LOCKS_PARENT) it for the parent's, which the caller has: a plug
    /// that is pulled is not negotiated about. This one says whose child is meant.
    ///
    /// ```compile_fail
    /// # use enodev::{DeviceHandle, Result};
    /// use enodev::Holds;
    ///
    /// fn without_the_lock(parent: DeviceHandle, child: DeviceHandle) -> Result<u32> {
    ///     parent.unregister_child(child) // no proof that the lock is held
    /// }
    /// ```
    ///
    /// # Errors
    ///
    /// As [`Store::unregister`]; [`Error::NotHeld`]: it is another device's child.
    ///
    /// # Panics
    ///
    /// As [`Store::unregister`].
    ///
    /// # Linux
    ///
    /// `__device_del`, as it was proposed: the caller owns the parent's mutex.
    #[track_caller]
    fn unregister_child<T: 'static>(&self, child: DeviceHandle) -> Result<T> {
        let (store, parent) = self.held();
        if store.parent(child)? == parent { store.unregister(child) } else { Err(Error::NotHeld) }
    }
}

impl<O: Lending> Holds for Scope<'_, O> {}
impl Holds for Held<'_> {}

pub(crate) mod private {
    use super::{Held, KobjectHandle, Lending, Scope, Store};

    pub trait Sealed {
        /// The device whose lock it is, and its store.
        fn held(&self) -> (&Store, KobjectHandle);

        /// Whether the lock is that of this object of this store.
        fn is_of(&self, store: &Store, object: KobjectHandle) -> bool {
            let (held, device) = self.held();
            store.is_same(held) && device == object
        }
    }

    impl<O: Lending> Sealed for Scope<'_, O> {
        fn held(&self) -> (&Store, KobjectHandle) {
            (self.call.store, self.call.device)
        }
    }

    impl Sealed for Held<'_> {
        fn held(&self) -> (&Store, KobjectHandle) {
            (self.store, self.device)
        }
    }
}

impl Store {
    /// Takes the lock of a device: waits until none of its callbacks runs.
    ///
    /// ```
    /// # use enodev::{DeviceType, Error, Store};
    /// let store = Store::new()?;
    /// let (net, port_type) = (store.register_class("net", &[])?, store.define(DeviceType::shared::<()>("port"))?);
    /// let switch = store.new_device(store.root(), "switch", port_type, ()).class(net).register()?;
    ///
    /// let held = store.lock(switch)?;
    /// for name in ["port0", "port1"] {
    ///     store.new_device(switch, name, port_type, ()).register_in(&held)?; // nothing runs on the switch in between
    /// }
    /// assert_eq!(store.lock(switch).map(drop), Err(Error::Inside));
    /// # Ok::<(), Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// `ENODEV`; [`Error::WrongType`] for an object that is neither on a bus nor in a class, and has none; [`Error::Inside`] where the
    /// caller has it; [`Error::Deadlock`] where who has it waits for the caller.
    ///
    /// # Panics
    ///
    /// In debug builds, where the calling thread has the lock of a descendant: parents come first. The message names both places.
    #[track_caller]
    pub fn lock(&self, device: DeviceHandle) -> Result<Held<'_>> {
        let object = device.kobject();
        self.hold_in_order(object)?.ok_or(Error::WrongType)
    }

    /// Takes the lock of an object, if it has one; parents come first.
    #[track_caller]
    pub(crate) fn hold_in_order(&self, object: KobjectHandle) -> Result<Option<Held<'_>>> {
        if order::is_any_held() && self.inner.nodes.enter(object)?.part.is_some() && !order::is_held(self, object) {
            order::check(self, object);
        }
        self.hold(object)
    }

    /// Takes the lock of an object, if it has one.
    #[track_caller]
    pub(crate) fn hold(&self, object: KobjectHandle) -> Result<Option<Held<'_>>> {
        let lock = match &self.inner.nodes.enter(object)?.part {
            Some(part) => part.lock(),
            None => return Ok(None),
        };
        let held = self.hold_with(object, lock)?;
        // It may have left while this waited.
        if self.inner.nodes.contains(object) { Ok(Some(held)) } else { Err(enodev_attrs::Errno::ENODEV.into()) }
    }

    /// As `hold`, also of an object that is leaving.
    #[track_caller]
    pub(crate) fn hold_with(&self, object: KobjectHandle, mut lock: Lock) -> Result<Held<'_>> {
        if order::is_held(self, object) {
            return Err(Error::Inside);
        }
        lock.acquire()?;
        Ok(Held::new(self, object, Turn::begin(self, object, lock)))
    }

    /// Where the bus wants it, the lock of the parent, before that of the device.
    #[track_caller]
    pub(crate) fn hold_parent(&self, object: KobjectHandle) -> Result<Option<Held<'_>>> {
        match self.parent_to_hold(object)? {
            Some(parent) => self.hold(parent),
            None => Ok(None),
        }
    }

    /// As `hold_parent`, of a device of this bus, which may be leaving.
    #[track_caller]
    pub(crate) fn hold_parent_on(&self, bus: BusHandle, object: KobjectHandle) -> Result<Option<Held<'_>>> {
        match self.parent_to_hold_on(bus, object)? {
            Some(parent) => self.hold(parent),
            None => Ok(None),
        }
    }

    /// The parent whose lock comes before that of the device, if the bus wants it.
    pub(crate) fn parent_to_hold(&self, object: KobjectHandle) -> Result<Option<KobjectHandle>> {
        let bus = {
            let body = self.inner.nodes.enter(object)?;
            let Some(on) = body.part.as_ref().and_then(|part| part.bus.as_ref()) else { return Ok(None) };
            on.bus
        };
        self.parent_to_hold_on(bus, object)
    }

    fn parent_to_hold_on(&self, bus: BusHandle, object: KobjectHandle) -> Result<Option<KobjectHandle>> {
        if !self.inner.buses.enter(bus)?.locks_parent {
            return Ok(None);
        }
        let parent = self.inner.nodes.get_leaving(&self.inner.domain.pin(), object)?.parent_of(object);
        // Parents come first.
        let is_held = [parent, object].iter().any(|object| order::is_held(self, *object));
        Ok((!is_held).then_some(parent))
    }

    pub(crate) fn is_same(&self, other: &Self) -> bool {
        std::sync::Arc::ptr_eq(&self.inner, &other.inner)
    }
}
