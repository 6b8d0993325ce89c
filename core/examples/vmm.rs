//! A virtual machine's device manager: vCPU threads access guest addresses at which devices answer, while another thread unplugs
//! devices and plugs new ones into the same place.
//!
//! No vCPU ever holds a reference to a device, so none has to be waited for except those that are inside at that very
//! moment, and a device that has been unplugged is gone when `unregister` returns, its addresses too: the example checks that.

#![expect(clippy::print_stdout, reason = "an example tells what it did")]

use std::panic::resume_unwind;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::thread;

use enodev::{DeviceHandle, DeviceType, Error, Exclusive, Result, SpaceHandle, SpaceSession, Store, Type};

/// What a vCPU does with any device.
trait Mmio: Send {
    fn read(&mut self, offset: u64) -> u64;
    fn write(&mut self, offset: u64, value: u64);
}

/// A device with one register that counts.
struct Counter {
    count: u64,
    served: u64,
}

impl Mmio for Counter {
    fn read(&mut self, _offset: u64) -> u64 {
        self.served += 1;
        self.count
    }

    fn write(&mut self, _offset: u64, value: u64) {
        self.served += 1;
        self.count = self.count.wrapping_add(value);
    }
}

const DEVICES: u64 = 16;
const WINDOW: u64 = 0x1000;
const HOTPLUGS: usize = 20_000;

/// The machine: its devices, and the guest's address space, in which they answer.
struct Machine {
    store: Store,
    mmio: SpaceHandle,
    counter: Type<Exclusive<Counter>>,
}

impl Machine {
    fn new() -> Result<Self> {
        let store = Store::new()?;
        let counter = DeviceType::exclusive::<Counter>("counter")
            .view_mut::<dyn Mmio>(|counter| counter)
            .ro("count", |counter, page| page.line(counter.count));
        let (counter, mmio) = (store.define(counter)?, store.create_space("mmio")?);
        Ok(Self { store, mmio, counter })
    }

    fn plug(&self, slot: u64) -> Result<DeviceHandle> {
        let payload = Counter { count: 0, served: 0 };
        let device = self.store.register(self.store.root(), &format!("counter{slot}"), self.counter, payload)?;
        self.store.map(device, self.mmio, slot * WINDOW..(slot + 1) * WINDOW)?;
        Ok(device)
    }

    /// Gives the device back. Nobody is inside any more, and its name and its addresses are free.
    fn unplug(&self, device: DeviceHandle) -> Result<Counter> {
        self.store.unregister(device)
    }
}

/// One access by the guest: a write, then a read. None where no device answers; on real buses that reads as all ones.
fn access(vcpu: &mut SpaceSession<'_>, address: u64) -> Result<Option<u64>> {
    match vcpu.enter_mut::<dyn Mmio>(address) {
        Ok((mut device, offset)) => {
            device.write(offset, 1);
            Ok(Some(device.read(offset)))
        }
        Err(Error::NotFound) => Ok(None),
        Err(error) => Err(error),
    }
}

fn main() -> Result {
    let machine = Machine::new()?;
    let mut devices = (0..DEVICES).map(|slot| machine.plug(slot)).collect::<Result<Vec<_>>>()?;
    let (running, hits, misses) = (AtomicBool::new(true), AtomicU64::new(0), AtomicU64::new(0));

    let served = thread::scope(|scope| {
        let vcpus = [0, 1, 2, 3].map(|number| {
            let (machine, running, hits, misses) = (&machine, &running, &hits, &misses);
            scope.spawn(move || -> Result {
                let mut vcpu = machine.store.space_session(machine.mmio)?;
                for n in (number..).take_while(|_| running.load(Relaxed)) {
                    let answer = access(&mut vcpu, n * 40 % (DEVICES * WINDOW))?;
                    if answer.is_some() { hits } else { misses }.fetch_add(1, Relaxed);
                }
                Ok(())
            })
        });
        let served = (0..DEVICES).cycle().take(HOTPLUGS).try_fold(0, |served, slot| {
            let device = &mut devices[slot as usize];
            let counter = machine.unplug(*device)?;
            assert_eq!(counter.served, 2 * counter.count);
            *device = machine.plug(slot)?;
            Ok::<_, Error>(served + counter.count)
        });
        running.store(false, Relaxed);
        for vcpu in vcpus {
            vcpu.join().unwrap_or_else(|panic| resume_unwind(panic))?;
        }
        served
    })?;

    let (hits, misses) = (hits.into_inner(), misses.into_inner());
    assert!(served <= hits);
    println!("{HOTPLUGS} hotplugs under {hits} accesses; at {misses} more no device answered");
    Ok(())
}
