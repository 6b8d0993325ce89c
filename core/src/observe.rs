use std::fmt;

use enodev_attrs::Errno;
use enodev_attrs::contain::contain;

use crate::binding::Part;
use crate::error::Result;
use crate::handle::{BusHandle, DeviceHandle, DriverHandle, KobjectHandle, ObserverHandle, device};
use crate::store::Store;
use crate::unregister::Removal;

/// What has become of a device. The phases of one device come in this order, those of a binding as often as it is bound, and where it leaves
/// while it is bound, [`Unbinding`](Self::Unbinding) and [`Unbound`](Self::Unbound) between [`Leaving`](Self::Leaving) and
/// [`Removed`](Self::Removed):
///
/// | phase | what holds |
/// |---|---|
/// | [`Added`](Self::Added) | the device, its attributes, its groups and its links are all there, and no driver has been asked |
/// | [`Binding`](Self::Binding) | a driver is about to be asked |
/// | [`NotBound`](Self::NotBound) | it has refused the device |
/// | [`Bound`](Self::Bound) | it has taken it: its data can be entered |
/// | [`Unbinding`](Self::Unbinding) | nobody gets at the data any more, nor is inside; `remove` is still to run |
/// | [`Unbound`](Self::Unbound) | `remove` has returned, the data is gone |
/// | [`Leaving`](Self::Leaving) | the device is `ENODEV` for all, attributes included, and nobody is inside; its driver has still got it |
/// | [`Removed`](Self::Removed) | the driver has let go of it; its path is still its own, its payload still there |
///
/// By [`bind`](Store::bind) and [`attach`](Store::attach) a device can be bound as soon as somebody finds it: then, and only then, an observer
/// may be told of that before it is told that the device was [`Added`](Self::Added).
///
/// In a subtree that leaves, all are `ENODEV` before the first of them is [`Leaving`](Self::Leaving), and children are
/// [`Removed`](Self::Removed) before their parents are [`Leaving`](Self::Leaving). A device that leaves so soon that it could not be told of
/// as [`Added`](Self::Added) is not told of at all.
///
/// # Linux
///
/// `BUS_NOTIFY_ADD_DEVICE`, `_BIND_DRIVER`, `_DRIVER_NOT_BOUND`, `_BOUND_DRIVER`, `_UNBIND_DRIVER`, `_UNBOUND_DRIVER`, `_DEL_DEVICE`,
/// `_REMOVED_DEVICE`. There a device can still be used while `_DEL_DEVICE` is told, and can be probed by then.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
#[expect(missing_docs, reason = "the table says what they are")]
pub enum Phase {
    Added,
    Binding,
    NotBound,
    Bound,
    Unbinding,
    Unbound,
    Leaving,
    Removed,
}

/// What an observer is told: see [`Store::observe`].
#[derive(Clone, Copy)]
pub struct Notice<'a> {
    store: &'a Store,
    object: KobjectHandle,
    phase: Phase,
    bus: Option<BusHandle>,
    driver: Option<DriverHandle>,
    errno: Option<Errno>,
}

impl<'a> Notice<'a> {
    /// The store.
    pub fn store(&self) -> &'a Store {
        self.store
    }

    /// The device, of this incarnation.
    pub fn device(&self) -> DeviceHandle {
        device(self.object)
    }

    /// What has become of it.
    pub fn phase(&self) -> Phase {
        self.phase
    }

    /// The bus that it is on, if any.
    pub fn bus(&self) -> Option<BusHandle> {
        self.bus
    }

    /// The driver that is asked, or lets go: none in [`Added`](Phase::Added), [`Leaving`](Phase::Leaving) and [`Removed`](Phase::Removed).
    pub fn driver(&self) -> Option<DriverHandle> {
        self.driver
    }

    /// With what the driver has refused the device: in [`NotBound`](Phase::NotBound) alone. `EIO` where its probe has panicked.
    pub fn errno(&self) -> Option<Errno> {
        self.errno
    }

    /// Where the device is; also while it leaves.
    ///
    /// # Errors
    ///
    /// `ENODEV` once it has left.
    pub fn path(&self) -> Result<String> {
        self.store.path_of(self.object)
    }
}

impl fmt::Debug for Notice<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { object, phase, driver, errno, .. } = self;
        f.debug_struct("Notice")
            .field("device", object)
            .field("phase", phase)
            .field("driver", driver)
            .field("errno", errno)
            .finish()
    }
}

/// The observer's own code.
pub(crate) struct ObserverCode(Box<dyn Fn(&Notice<'_>) + Send + Sync>);

/// Observers.
impl Store {
    /// Has `observer` told what becomes of devices from now on, each phase as it is reached, on the thread of whoever caused it and before
    /// that goes on.
    ///
    /// It runs under no lock of the store but, for all phases of a binding, that of the device; it may use the store as a driver's callback
    /// may. Its panics are counted ([`Stats::panics`](crate::Stats::panics)), and go nowhere.
    ///
    /// ```
    /// use std::sync::mpsc;
    /// use enodev::{DeviceType, Phase, Store};
    ///
    /// let store = Store::new()?;
    /// let (tell, told) = mpsc::channel();
    /// let observer = store.observe(move |notice| _ = tell.send((notice.phase(), notice.path())))?;
    ///
    /// let disk = store.define(DeviceType::shared::<u32>("disk"))?;
    /// let sda = store.register(store.root(), "sda", disk, 512)?;
    /// store.unregister::<u32>(sda)?;
    /// let path = || Ok("/sda".to_owned());
    /// let all = [(Phase::Added, path()), (Phase::Leaving, path()), (Phase::Removed, path())];
    /// assert_eq!(told.try_iter().collect::<Vec<_>>(), all);
    /// store.unobserve(observer)?;
    /// # Ok::<(), enodev::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Full`](crate::Error::Full).
    ///
    /// # Linux
    ///
    /// `bus_register_notifier`, for one bus at a time.
    pub fn observe(&self, observer: impl Fn(&Notice<'_>) + Send + Sync + 'static) -> Result<ObserverHandle> {
        let handle = self.inner.observers.insert((), ObserverCode(Box::new(observer)))?;
        self.inner.observing.change(|all| all.push(handle));
        Ok(handle)
    }

    /// Unregisters an observer. When this returns [`Removal::Done`], it does not run, and never will; it has been dropped. An observer may
    /// do this to itself: [`Removal::Begun`].
    ///
    /// # Errors
    ///
    /// `ENODEV`: it had left. [`Error::Leaving`](crate::Error::Leaving): another thread is at it.
    /// [`Error::Deadlock`](crate::Error::Deadlock), [`Error::Barrier`](crate::Error::Barrier): it is told nothing more, and goes with the
    /// store.
    ///
    /// # Panics
    ///
    /// With the panic of the observer's drop.
    pub fn unobserve(&self, observer: ObserverHandle) -> Result<Removal> {
        let mut leaving = self.inner.observers.leave();
        leaving.mark(observer)?;
        self.inner.observing.change(|all| {
            let seat = all.behind(None).find(|(_, other)| *other == observer).map(|(seat, _)| seat);
            seat.map(|seat| all.remove(seat));
        });
        if leaving.is_inside() {
            leaving.defer(|drained| {
                if let Ok(mut quiet) = drained {
                    quiet.drop_payloads();
                }
            });
            return Ok(Removal::Begun(1));
        }
        leaving.drain().map_err(|(_, error)| error)?.drop_payloads();
        Ok(Removal::Done(1))
    }

    /// Whether there has ever been an observer.
    pub(crate) fn is_observed(&self) -> bool {
        self.inner.observing.has_changed()
    }

    /// Tells the observers of a device that is on a bus or in a class.
    pub(crate) fn tell(
        &self,
        phase: Phase,
        object: KobjectHandle,
        part: &Part,
        driver: Option<DriverHandle>,
        errno: Option<Errno>,
    ) {
        if self.is_observed() {
            self.tell_all(Notice {
                store: self,
                object,
                phase,
                bus: part.bus.as_ref().map(|on| on.bus),
                driver,
                errno,
            });
        }
    }

    /// Tells the observers of any device.
    pub(crate) fn tell_of(&self, phase: Phase, object: KobjectHandle, bus: Option<BusHandle>) {
        if self.is_observed() {
            self.tell_all(Notice { store: self, object, phase, bus, driver: None, errno: None });
        }
    }

    #[cold]
    fn tell_all(&self, notice: Notice<'_>) {
        for observer in self.inner.observing.load().members.iter() {
            let Ok(code) = self.inner.observers.enter(observer) else { continue };
            if contain(|| (code.0)(&notice)).is_none() {
                self.note_panic();
            }
        }
    }
}
