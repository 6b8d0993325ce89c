//! Rows of removals: all objects leave, in a random order. Making them anew is not timed.

use std::sync::{Arc, Weak};

use enodev_handles::Handle;

use super::Result;
use super::churn::Churn;
use super::contenders::{Enodev, Object, Register, range};
use super::object::{payloads, shuffle};
use super::row::{Done, Measured, Pattern};
use crate::bus::{Range, VmmBus};
use crate::contest::race;

/// Something with many objects that can all be removed.
trait Removal: Send + Sync {
    /// What the user keeps of an object.
    type Handle;

    /// Makes the objects, and returns their handles in the same order.
    fn make(&self, objects: usize) -> Result<Vec<Self::Handle>>;

    /// Removes them all.
    fn remove(&self, handles: Vec<Self::Handle>) -> Result<()>;
}

struct Removing<R> {
    contender: R,
    objects: usize,
}

impl<R: Removal> Measured for Removing<R> {
    fn round(&mut self, _: usize, _: Pattern, _: u64) -> Result<Done> {
        let (contender, objects) = (&self.contender, self.objects);
        let mut race = race(1, |_| {
            let mut handles = contender.make(objects);
            if let Ok(handles) = &mut handles {
                shuffle(handles);
            }
            move || std::mem::replace(&mut handles, Ok(Vec::new())).and_then(|handles| contender.remove(handles))
        });
        race.results.drain(..).collect::<Result<()>>()?;
        Ok(Done::new(&race, objects as u64))
    }
}

/// One batch: all are marked, then waited for together, then dropped.
pub(crate) fn enodev_batch(objects: usize) -> Result<Box<dyn Measured>> {
    Ok(Box::new(Removing { contender: Enodev::empty(objects)?, objects }))
}

impl Removal for Enodev {
    type Handle = Handle<Object>;

    fn make(&self, objects: usize) -> Result<Vec<Handle<Object>>> {
        let handles: Option<_> = payloads(objects).map(|payload| self.insert(payload)).collect();
        handles.ok_or_else(|| "an object cannot be made".into())
    }

    fn remove(&self, handles: Vec<Handle<Object>>) -> Result<()> {
        let mut leaving = self.arena.leave();
        handles.into_iter().try_for_each(|handle| leaving.mark(handle))?;
        drop(leaving.drain().map_err(|(_, error)| error)?);
        Ok(())
    }
}

/// One by one: the bus forgets the device, and then its owner drops it, who was the last.
pub(crate) fn bus(objects: usize) -> Result<Box<dyn Measured>> {
    Ok(Box::new(Removing { contender: VmmBus::new(), objects }))
}

impl Removal for VmmBus {
    type Handle = (Range, Arc<Register>);

    fn make(&self, objects: usize) -> Result<Vec<(Range, Arc<Register>)>> {
        let mut devices = Vec::with_capacity(objects);
        for payload in payloads(objects) {
            let range = range(payload.number()).ok_or("too many devices")?;
            let device = Arc::new(Register(payload));
            let weak: Weak<Register> = Arc::downgrade(&device);
            self.insert(range, weak)?;
            devices.push((range, device));
        }
        Ok(devices)
    }

    fn remove(&self, devices: Vec<(Range, Arc<Register>)>) -> Result<()> {
        for (range, device) in devices {
            if !Self::remove(self, range) {
                return Err("a device was not on the bus".into());
            }
            drop(device);
        }
        Ok(())
    }
}
