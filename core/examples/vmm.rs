//! A virtual machine's device manager: vCPU threads resolve a guest address to a device and enter it, while another thread
//! unplugs devices and plugs new ones into the same place.
//!
//! No vCPU ever holds a reference to a device, so none has to be waited for except those that are inside at that very
//! moment, and a device that has been unplugged is gone when `unregister` returns: the example checks that.

#![expect(clippy::print_stdout, reason = "an example tells what it did")]

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::thread;

use parking_lot::RwLock;

use enodev::{DeviceHandle, DeviceType, Errno, Exclusive, Result, Store, Type};

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

const VCPUS: usize = 4;
const DEVICES: u64 = 16;
const WINDOW: u64 = 0x1000;
const HOTPLUGS: u64 = 20_000;

/// The guest's address space: which device answers where.
type Bus = RwLock<BTreeMap<u64, DeviceHandle>>;

fn plug(store: &Store, bus: &Bus, ty: Type<Exclusive<Counter>>, slot: u64) -> Result {
    let device = store.register(store.root(), &format!("counter{slot}"), ty, Counter { count: 0, served: 0 })?;
    bus.write().insert(slot * WINDOW, device);
    Ok(())
}

/// One access by the guest. An address where nothing answers reads as all ones, as on real buses.
fn access(store: &Store, bus: &Bus, address: u64) -> Result<u64, Errno> {
    let found = bus.read().range(..=address).next_back().map(|(base, device)| (*base, *device));
    let Some((base, device)) = found.filter(|(base, _)| address - base < WINDOW) else {
        return Ok(u64::MAX);
    };
    let mut device = store.enter_mut::<dyn Mmio>(device)?;
    device.write(address - base, 1);
    Ok(device.read(address - base))
}

fn main() -> Result {
    let store = Store::new()?;
    let bus = Bus::default();
    let ty = DeviceType::exclusive::<Counter>("counter").view_mut::<dyn Mmio>(|counter| counter);
    let ty = store.define(ty.ro("count", |counter, page| page.line(counter.count)))?;
    (0..DEVICES).try_for_each(|slot| plug(&store, &bus, ty, slot))?;

    let (running, hits, misses) = (AtomicBool::new(true), AtomicU64::new(0), AtomicU64::new(0));
    let served = thread::scope(|scope| {
        for vcpu in 0..VCPUS as u64 {
            let (store, bus, running, hits, misses) = (&store, &bus, &running, &hits, &misses);
            scope.spawn(move || {
                for n in (vcpu..).take_while(|_| running.load(Relaxed)) {
                    match access(store, bus, n * 40 % (DEVICES * WINDOW)) {
                        Ok(_) => hits.fetch_add(1, Relaxed),
                        Err(errno) => {
                            assert_eq!(errno, Errno::ENODEV);
                            misses.fetch_add(1, Relaxed)
                        }
                    };
                }
            });
        }
        let served: Result<u64> = (0..HOTPLUGS).try_fold(0, |served, n| {
            let slot = n % DEVICES;
            let device = bus.read()[&(slot * WINDOW)];
            let counter: Counter = store.unregister(device)?; // nobody is inside any more
            assert_eq!(counter.served, 2 * counter.count);
            plug(&store, &bus, ty, slot)?;
            Ok(served + counter.count)
        });
        running.store(false, Relaxed);
        served
    })?;

    let (hits, misses) = (hits.into_inner(), misses.into_inner());
    assert!(served <= hits);
    println!("{HOTPLUGS} hotplugs under {hits} accesses; {misses} more found ENODEV");
    Ok(())
}
