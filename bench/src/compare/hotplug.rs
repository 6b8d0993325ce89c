//! Rows of devices that come and go, directly and through a queue.

use std::thread;

use enodev::{DeviceType, KobjectHandle, Queue, QueueError, Shared, Store, Ticket, Type};

use super::object::payloads;
use super::row::{Done, Measured, Pattern};
use super::{Payload, Result};
use crate::contest::race;

type Queued<T> = std::result::Result<T, QueueError>;

/// Whose thread adds and removes.
#[derive(Clone, Copy)]
enum By {
    /// The caller's.
    Caller,
    /// A worker's; the caller waits for each answer.
    Worker,
    /// A worker's; the caller submits so many and then waits for all of them.
    Batch(usize),
}

/// A store in which other devices stay.
struct Hotplug {
    store: Store,
    ty: Type<Shared<Payload>>,
    /// Where the devices come and go.
    dir: KobjectHandle,
    by: By,
}

/// Directly.
pub(crate) fn direct(objects: usize) -> Result<Box<dyn Measured>> {
    build(objects, By::Caller)
}

/// Through a queue with one worker, one after the other.
pub(crate) fn queued(objects: usize) -> Result<Box<dyn Measured>> {
    build(objects, By::Worker)
}

/// Through a queue with one worker, many at a time.
pub(crate) fn queued_batch(objects: usize) -> Result<Box<dyn Measured>> {
    build(objects, By::Batch(64))
}

fn build(objects: usize, by: By) -> Result<Box<dyn Measured>> {
    let store = Store::new()?;
    let ty = DeviceType::shared::<Payload>("device").ro("number", |device, page| page.line(device.number()));
    let ty = store.define(ty)?;
    for payload in payloads(objects) {
        store.register(store.root(), &format!("device{}", payload.number()), ty, payload)?;
    }
    let dir = store.create(store.root(), "bus")?;
    Ok(Box::new(Hotplug { store, ty, dir, by }))
}

impl Hotplug {
    fn pair(&self) -> Result<()> {
        let device = self.store.register(self.dir, "device", self.ty, Payload::new(1))?;
        self.store.unregister_subtree(device)?;
        Ok(())
    }

    fn queued_pair(&self, queue: &Queue) -> Result<()> {
        let device = queue.add(self.dir, "device", self.ty, Payload::new(1))?.wait()?;
        queue.remove(device)?.wait()?;
        Ok(())
    }

    fn queued_pairs(&self, queue: &Queue, names: &[String]) -> Result<()> {
        let add = |name: &String| queue.add(self.dir, name, self.ty, Payload::new(1));
        let added = names.iter().map(add).collect::<Queued<Vec<_>>>()?;
        let devices = added.into_iter().map(Ticket::wait).collect::<Queued<Vec<_>>>()?;
        let removed = devices.into_iter().map(|device| queue.remove(device)).collect::<Queued<Vec<_>>>()?;
        removed.into_iter().try_for_each(|ticket| ticket.wait().map(drop))?;
        Ok(())
    }

    /// Does about as many pairs; returns how many.
    fn pairs(&self, queue: &Queue, names: &[String], operations: u64) -> Result<u64> {
        match self.by {
            By::Caller => (0..operations).try_for_each(|_| self.pair())?,
            By::Worker => (0..operations).try_for_each(|_| self.queued_pair(queue))?,
            By::Batch(size) => {
                let rounds = operations.div_ceil(size as u64);
                (0..rounds).try_for_each(|_| self.queued_pairs(queue, names))?;
                return Ok(rounds * size as u64);
            }
        }
        Ok(operations)
    }
}

impl Measured for Hotplug {
    fn round(&mut self, _: usize, _: Pattern, operations: u64) -> Result<Done> {
        let (this, queue) = (&*self, Queue::new());
        let size = if let By::Batch(size) = this.by { size } else { 1 };
        let names: Vec<_> = (0..size).map(|number| format!("device{number}")).collect();
        let mut race = thread::scope(|scope| {
            if !matches!(this.by, By::Caller) {
                scope.spawn(|| queue.work(&this.store));
            }
            let race = race(1, |_| {
                // The worker has begun, and knows the tree.
                let mut ready = this.pairs(&queue, &names, 1);
                let (queue, names) = (&queue, &names);
                move || match &mut ready {
                    Ok(_) => this.pairs(queue, names, operations),
                    Err(error) => Err(std::mem::replace(error, "told already".into())),
                }
            });
            queue.close();
            race
        });
        let mut done = 0;
        for result in race.results.drain(..) {
            done += result?;
        }
        Ok(Done::new(&race, done))
    }
}
