use std::ops::ControlFlow;

use enodev_attrs::Errno;
use enodev_attrs::contain::contain;
use enodev_handles::{Arena, Handle, Kind, Label, RemoveError};

use crate::binding::{BindingBody, BindingMeta, Part};
use crate::driver::{Data, DriverCode, Stage};
use crate::error::{Error, Result};
use crate::handle::{AsKobject, BindingHandle, BusHandle, DeviceHandle, DriverHandle, KobjectHandle, device, kind};
use crate::members::Snapshot;
use crate::observe::Phase;
use crate::order::Turn;
use crate::payload::{Body, PayloadRef};
use crate::pending;
use crate::scope::{Held, Where};
use crate::store::{Inner, Store};
use crate::unregister::Removal;

type Quiet<'a> = enodev_handles::Quiet<'a, kind::Binding, BindingMeta, BindingBody>;

/// What has come of asking a driver about a device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Answer {
    /// It does not serve such devices, or it has left.
    NoMatch,
    Refused(Errno),
    Bound,
}

/// Binding.
impl Store {
    /// Asks the drivers of a device's bus about it, in the order in which they came, until one takes it. Returns the driver that the device
    /// is bound to then, be it by this or before.
    ///
    /// Where drivers have come or gone when one has refused the device, they are gone through anew; none is asked twice. Every driver
    /// that was registered before this returned and matches has been asked, unless one had taken the device.
    ///
    /// [`register`](crate::NewDevice::register) does this by itself.
    ///
    /// # Errors
    ///
    /// `ENODEV`; [`Error::WrongType`] for a device on no bus; [`Error::Inside`] in a callback of the device; [`Error::Deadlock`] where
    /// who is in one waits for the caller.
    ///
    /// # Panics
    ///
    /// As [`lock`](Self::lock).
    ///
    /// # Linux
    ///
    /// `device_attach`.
    #[track_caller]
    pub fn attach(&self, device: DeviceHandle) -> Result<Option<DriverHandle>> {
        let object = device.kobject();
        let _parent = self.hold_parent(object)?;
        let held = self.hold_in_order(object)?.ok_or(Error::WrongType)?;
        self.find_driver(&held, object, Vec::new())
    }

    /// Binds a device to one driver of its bus.
    ///
    /// # Errors
    ///
    /// `ENODEV`: the device or the driver. [`Error::Bound`]: the device has a driver. [`Error::NoMatch`]: the bus says that the driver does
    /// not serve the device, or the two are of different buses. What the driver's probe fails with; `EIO` where it panics.
    /// [`Error::WrongType`], [`Error::Inside`], [`Error::Deadlock`] as [`attach`](Self::attach).
    ///
    /// # Panics
    ///
    /// As [`lock`](Self::lock).
    ///
    /// # Linux
    ///
    /// The file `bind` of a driver, which says `ENODEV` of what does not match.
    #[track_caller]
    pub fn bind(&self, device: DeviceHandle, driver: DriverHandle) -> Result {
        let object = device.kobject();
        let is_there = || if self.inner.drivers.contains(driver) { Ok(()) } else { Err(Error::from(Errno::ENODEV)) };
        is_there()?;
        let _parent = self.hold_parent(object)?;
        let held = self.hold_in_order(object)?.ok_or(Error::WrongType)?;
        // It may have left while this waited.
        is_there()?;
        match self.ask_driver(&held, object, driver)? {
            Answer::Bound => Ok(()),
            Answer::Refused(errno) => Err(errno.into()),
            Answer::NoMatch if self.is_serving(driver) => Err(Error::NoMatch),
            // It is being unregistered.
            Answer::NoMatch => Err(Errno::ENODEV.into()),
        }
    }

    /// Unbinds a device from this driver and no other, and from that driver's incarnation only. When it returns [`Removal::Done`], nobody
    /// is inside what the driver kept of the device, `remove` has returned, and the data is gone.
    ///
    /// In a callback of the device, or inside its [`data`](Self::data), this returns [`Removal::Begun`]: it is done as that is left.
    ///
    /// # Errors
    ///
    /// `ENODEV`: the device or the driver. [`Error::NotBound`]: the device is not bound to the driver; where another thread unbinds it just
    /// now, this returns when that is done. [`Error::Leaving`]: it cannot wait for that. [`Error::Inside`]: the caller has an exclusive
    /// payload, in an attribute or with a guard, which `remove` needs; nothing has changed. [`Error::Deadlock`]: those inside wait for
    /// the caller; [`Error::Barrier`]: the binding goes on leaving, and to call this again, any removal of objects, and
    /// [`reap`](Self::reap) go on with it.
    ///
    /// # Linux
    ///
    /// The file `unbind` of a driver, which looks whose device it is without the lock and unbinds whatever the device is bound to then.
    pub fn unbind(&self, device: DeviceHandle, driver: DriverHandle) -> Result<Removal> {
        let binding = self.binding_to(device, driver)?;
        self.end_binding(device, binding)?.ok_or(Error::NotBound)
    }

    /// Unbinds a device from what it is bound to. None where another thread has done so; [`Error::Leaving`] where it is at it, and
    /// cannot be waited for.
    pub(crate) fn end_binding(&self, device: DeviceHandle, binding: BindingHandle) -> Result<Option<Removal>> {
        let bindings = &self.inner.bindings;
        loop {
            if let ControlFlow::Break(ended) = self.end_if_free(device, binding)? {
                return Ok(ended);
            }
            match bindings.join(binding) {
                Ok(()) => return Ok(None),
                // Whoever was at it is not any more, and another may be.
                Err(RemoveError::Leaving) if may_go_on(bindings, binding) => {}
                Err(_) => return Err(Error::Leaving),
            }
        }
    }

    /// As `end_binding`, if nobody else is at it: else goes on with nothing, inside nothing.
    fn end_if_free(&self, device: DeviceHandle, binding: BindingHandle) -> Result<ControlFlow<Option<Removal>>> {
        let over = Ok(ControlFlow::Break(None));
        if self.inner.bindings.is_inside(binding) {
            // To be taken up as the caller leaves, or by who comes first. It may be leaving already.
            let _ = self.inner.bindings.abandon(binding);
            pending::put_off_unbinding(&self.inner, device, binding);
            return Ok(ControlFlow::Break(Some(Removal::Begun(1))));
        }
        let object = device.kobject();
        let Some(driver) = self.inner.driver_of(binding) else { return over };
        // Where who has it waits for the caller, it is done without.
        let parent = self.hold_parent(object).unwrap_or_default();
        // A driver that leaves is bound to nothing any more.
        let Ok(code) = self.inner.drivers.enter(driver) else { return over };
        let locked = code.code.locks().then(|| self.lock_labelled(object, Label::new("remove")));
        // Who unbinds is inside the device, which so stays until that is done; or removes it.
        let (mut guarded, body) = match (locked.transpose(), self.inner.nodes.enter(object)) {
            (Ok(guarded), Ok(body)) => (guarded, body),
            (Err(Error::Inside), Ok(_)) if self.is_letting_go(binding) => return Err(Error::Leaving),
            (Err(error), Ok(_)) => return Err(error),
            (locked, Err(_)) => {
                // Who waits for another thread's removal is inside nothing.
                drop((locked, code, parent));
                return self.inner.nodes.join(object).map_err(|_| Error::Leaving).and(over);
            }
        };
        let Some(part) = &body.part else { return over };
        let leaving = match self.leave_binding(binding) {
            Ok(leaving) => leaving,
            Err(Error::Leaving) => {
                drop((body, guarded, code, parent));
                return Ok(ControlFlow::Continue(()));
            }
            Err(Error::Errno(_)) => return over,
            Err(error) => return Err(error),
        };
        let mut quiet = leaving.drain().map_err(|(given_up, error)| {
            // In this order, so that it is given up by when somebody finds it.
            drop(given_up);
            self.inner.leftovers.note(device, binding);
            error
        })?;
        // Who has the lock may wait for this unbinding to be over.
        let held = quiet.attend(|_| self.hold_with(object, part.lock()));
        // Where the caller has the lock, or who has it waits for the caller, it is done without: nothing else runs on the device, whose
        // binding is quiet, and a new one comes only when this has gone.
        let (turn, let_go) = held.map_or_else(|_| (Turn::without_lock(), None), Held::into_turn);
        let call = Where { store: self, device: object, above: &[], turn: &turn };
        let payload = PayloadRef::of(&body.payload, guarded.as_deref_mut());
        let orphan = self.let_go(quiet, &code, call, payload, part);
        drop((turn, guarded, code));
        drop((body, parent));
        // An observer may have registered a driver.
        drop(let_go);
        self.drop_orphan(orphan);
        Ok(ControlFlow::Break(Some(Removal::Done(1))))
    }

    /// Whether somebody is at the removal of a binding.
    fn is_letting_go(&self, binding: BindingHandle) -> bool {
        self.inner.bindings.is_leaving(binding) && !self.inner.bindings.is_given_up(binding)
    }

    /// Marks a binding, or takes up its removal where that was given up.
    pub(crate) fn leave_binding(&self, binding: BindingHandle) -> Result<LeavingBinding<'_>> {
        let mut leaving = self.inner.bindings.leave();
        match leaving.mark(binding).map_err(Error::from) {
            Ok(()) => Ok(leaving),
            Err(Error::Leaving) => self.inner.bindings.take_up(binding).ok_or(Error::Leaving),
            Err(error) => Err(error),
        }
    }

    /// Calls the driver's `remove` for a device whose binding is quiet. Returns the driver, if this was the last device of one that is
    /// to go with it.
    pub(crate) fn let_go(
        &self,
        mut quiet: Quiet<'_>,
        code: &DriverCode,
        call: Where<'_>,
        payload: PayloadRef<'_>,
        part: &Part,
    ) -> Option<DriverHandle> {
        let binding = quiet.handles().next()?;
        let (driver, seat) = {
            let pin = self.inner.domain.pin();
            let meta = self.inner.bindings.get_leaving(&pin, binding).ok()?;
            (meta.driver, meta.seat)
        };
        quiet.attend(|quiet| {
            self.tell(Phase::Unbinding, call.device, part, Some(driver), None);
            let data = quiet.take().map(|(_, body)| body.data);
            if contain(|| data.map(|data| code.code.remove(call, payload, data))).is_none() {
                self.note_panic();
            }
        });
        part.unbind();
        let is_orphan = {
            let pin = self.inner.domain.pin();
            let meta = self.inner.drivers.get(&pin, driver).ok();
            meta.is_some_and(|meta| {
                meta.bound.change(|bound| {
                    bound.remove(seat);
                    bound.len() == 0 && meta.stage() == Stage::Orphaned
                })
            })
        };
        drop(quiet);
        self.tell(Phase::Unbound, call.device, part, Some(driver), None);
        is_orphan.then_some(driver)
    }

    /// Removes a driver whose removal was left to who unbinds it from its last device.
    pub(crate) fn drop_orphan(&self, driver: Option<DriverHandle>) {
        let Some(driver) = driver else { return };
        match self.drop_driver(driver, 0) {
            // Whoever unregisters it has been quicker.
            Ok(_) | Err(Error::Errno(Errno::ENODEV) | Error::Leaving) => {}
            Err(error) => pending::unfinished(error),
        }
    }

    /// Goes through the drivers of a bus for a device whose lock is held, but for those that have been asked.
    pub(crate) fn find_driver(
        &self,
        held: &Held<'_>,
        object: KobjectHandle,
        mut asked: Vec<DriverHandle>,
    ) -> Result<Option<DriverHandle>> {
        let bus = {
            let body = self.inner.nodes.enter(object)?;
            let part = body.part.as_ref().ok_or(Error::WrongType)?;
            if let Some(driver) = self.driver_in(part) {
                part.seek(false);
                return Ok(Some(driver));
            }
            part.bus.as_ref().ok_or(Error::WrongType)?.bus
        };
        let drivers = || {
            // Whoever says from now on that the device seeks one may mean a driver that is not among these.
            self.inner.sought.forget(object);
            self.inner.nodes.enter(object)?.part.as_ref().ok_or(Error::WrongType)?.seek(false);
            Ok::<_, Error>(self.inner.buses.get(&self.inner.domain.pin(), bus)?.drivers.load())
        };
        'anew: loop {
            let snapshot = drivers()?;
            for driver in snapshot.members.iter() {
                if asked.contains(&driver) {
                    continue;
                }
                match self.ask_driver(held, object, driver)? {
                    Answer::Bound => return Ok(Some(driver)),
                    Answer::NoMatch => {}
                    Answer::Refused(_) => {
                        asked.push(driver);
                        if !self.inner.is_current(bus, &snapshot) {
                            continue 'anew;
                        }
                    }
                }
            }
            if self.inner.is_current(bus, &snapshot) {
                return Ok(None);
            }
        }
    }

    /// Has a new driver asked about the devices of its bus.
    pub(crate) fn offer_devices(&self, driver: DriverHandle) {
        let devices = {
            let pin = self.inner.domain.pin();
            let Ok(meta) = self.inner.drivers.get(&pin, driver) else { return };
            let Ok(bus) = self.inner.buses.get(&pin, meta.bus) else { return };
            bus.devices.load()
        };
        // Those that come after this find the driver on the bus as they are announced: to ask about them here would be to ask twice.
        devices.iter().for_each(|device| self.offer(device, driver));
    }

    /// Asks a driver about one device, if that is free. What comes of it is the driver's business.
    pub(crate) fn offer(&self, device: DeviceHandle, driver: DriverHandle) {
        let object = device.kobject();
        let may_match = || {
            let code = self.inner.drivers.enter(driver).ok()?;
            let body = self.inner.nodes.enter(object).ok()?;
            let part = body.part.as_ref()?;
            // One that is just being announced asks for itself.
            (part.is_ready() && part.binding().is_none() && self.matches(&code, &body)).then_some(())
        };
        if may_match().is_none() {
            return;
        }
        let Some((_parent, held)) = self.hold_to_ask(object, Some(driver)) else { return };
        let _ = self.ask_driver(&held, object, driver);
    }

    fn matches(&self, code: &DriverCode, body: &Body) -> bool {
        let Some(on) = body.part.as_ref().and_then(|part| part.bus.as_ref()) else { return false };
        let Ok(bus) = self.inner.buses.enter(on.bus) else { return false };
        contain(|| code.code.matches(&*bus.code, &*on.id, &body.payload)).unwrap_or_else(|| {
            self.note_panic();
            false
        })
    }

    /// Asks a driver about a device whose lock is held.
    fn ask_driver(&self, held: &Held<'_>, object: KobjectHandle, driver: DriverHandle) -> Result<Answer> {
        let Ok(code) = self.inner.drivers.enter(driver) else { return Ok(Answer::NoMatch) };
        let may_match = |body: &Body| match &body.part {
            None => Err(Error::WrongType),
            Some(part) if part.binding().is_some() => Err(Error::Bound),
            Some(part) => Ok(self.may_serve(driver, part) && self.matches(&code, body)),
        };
        if !may_match(&*self.inner.nodes.enter(object)?)? {
            return Ok(Answer::NoMatch);
        }
        // Nobody waits for a payload's lock while inside the object.
        let locked = code.code.locks().then(|| self.lock_labelled(object, Label::new("probe")));
        let mut guarded = match locked.transpose() {
            Ok(guarded) => guarded,
            // The next driver may do without.
            Err(error) => return Ok(Answer::Refused(error.errno())),
        };
        let body = self.inner.nodes.enter(object)?;
        let part = body.part.as_ref().ok_or(Error::WrongType)?;
        let call = Where { store: self, device: object, above: &[], turn: held.turn() };
        self.tell(Phase::Binding, object, part, Some(driver), None);
        let mut payload = PayloadRef::of(&body.payload, guarded.as_deref_mut());
        let probed = contain(|| code.code.probe(call, payload.again()));
        let answer = match probed {
            Some(Ok(data)) => match self.settle(object, driver, part, data) {
                None => Answer::Bound,
                // The driver is being unregistered, or there is no memory: it gives the device up again at once.
                Some(data) => {
                    if contain(|| code.code.remove(call, payload, data)).is_none() {
                        self.note_panic();
                    }
                    Answer::Refused(Errno::ENODEV)
                }
            },
            Some(Err(errno)) => Answer::Refused(errno),
            None => {
                self.note_panic();
                Answer::Refused(Errno::EIO)
            }
        };
        let (phase, errno) = match answer {
            Answer::Refused(errno) => (Phase::NotBound, Some(errno)),
            Answer::NoMatch => (Phase::NotBound, None),
            Answer::Bound => (Phase::Bound, None),
        };
        self.tell(phase, object, part, Some(driver), errno);
        Ok(answer)
    }

    /// Whether a driver is one of the device's bus and takes further devices.
    fn may_serve(&self, driver: DriverHandle, part: &Part) -> bool {
        let pin = self.inner.domain.pin();
        let bus = part.bus.as_ref().map(|on| on.bus);
        self.inner.drivers.get(&pin, driver).is_ok_and(|meta| Some(meta.bus) == bus) && self.is_serving(driver)
    }

    /// Whether a driver takes further devices.
    fn is_serving(&self, driver: DriverHandle) -> bool {
        let pin = self.inner.domain.pin();
        self.inner.drivers.get(&pin, driver).is_ok_and(|meta| meta.stage() == Stage::Serving)
    }

    /// Binds a device to a driver that has taken it; gives the data back where the driver takes no further device.
    fn settle(&self, object: KobjectHandle, driver: DriverHandle, part: &Part, data: Data) -> Option<Data> {
        let (mut data, device) = (Some(data), device(object));
        let Ok(slot) = self.inner.bindings.reserve() else { return data };
        let pin = self.inner.domain.pin();
        // It is inside the caller's probe: it may be leaving, and has not left.
        let Ok(meta) = self.inner.drivers.get_leaving(&pin, driver) else { return data };
        meta.bound.change(|bound| {
            if meta.stage() != Stage::Serving {
                return;
            }
            let Some(data) = data.take() else { return };
            let binding = slot.handle();
            let seat = bound.push((device, binding));
            slot.publish(BindingMeta { device, driver, seat }, BindingBody { data });
            part.bind(binding);
        });
        data
    }
}

impl Inner {
    /// Whose a binding is, that may be leaving.
    pub(crate) fn driver_of(&self, binding: BindingHandle) -> Option<DriverHandle> {
        let pin = self.domain.pin();
        self.bindings.get_leaving(&pin, binding).ok().map(|meta| meta.driver)
    }

    /// Whether the drivers of a bus have not changed; so have those of none.
    fn is_current(&self, bus: BusHandle, drivers: &Snapshot<DriverHandle>) -> bool {
        let pin = self.domain.pin();
        self.buses.get(&pin, bus).map_or(true, |meta| meta.drivers.is_current(drivers))
    }
}

type LeavingBinding<'a> = enodev_handles::Leaving<'a, kind::Binding, BindingMeta, BindingBody>;

/// Whether who was told that somebody is at a removal, and is inside nothing, is to try again: it was given up, or can be waited for. It may
/// change hands between two of these questions.
pub(crate) fn may_go_on<K, S, P>(arena: &Arena<K, S, P>, handle: Handle<K>) -> bool
where
    K: Kind,
    S: Send + Sync + 'static,
    P: Send + Sync + 'static,
{
    let is_given_up = || arena.is_given_up(handle);
    is_given_up() || arena.may_join(handle) || is_given_up()
}
