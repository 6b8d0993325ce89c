//! Both buses find devices by address, keep ranges apart and let a device outlive its removal.

#![expect(clippy::unwrap_used, reason = "tests say what they expect by panicking")]

use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex, Weak};
use std::thread;

use enodev_bench::bus::{Device, DeviceMut, LockedBus, Overlap, Range, VmmBus};

/// Answers with the offset, and keeps what was written last.
#[derive(Default)]
struct Port {
    written: Option<(u64, u8)>,
}

impl DeviceMut for Port {
    fn read(&mut self, offset: u64, data: &mut [u8]) {
        data.fill(u8::try_from(offset).unwrap());
    }

    fn write(&mut self, offset: u64, data: &[u8]) {
        self.written = data.first().map(|byte| (offset, *byte));
    }
}

fn range(base: u64, len: u64) -> Range {
    Range::new(base, len).unwrap()
}

fn weak<D: Device + 'static>(device: &Arc<D>) -> Weak<dyn Device> {
    let device: Arc<dyn Device> = device.clone();
    Arc::downgrade(&device)
}

#[test]
fn a_range_is_neither_empty_nor_past_the_last_address() {
    assert_eq!(Range::new(8, 0), None);
    assert_eq!(Range::new(u64::MAX, 2), None);
    assert_eq!(range(u64::MAX, 1).offset(u64::MAX), Some(0));
    assert_eq!(range(8, 4).offset(7), None);
    assert_eq!(range(8, 4).offset(11), Some(3));
    assert_eq!(range(8, 4).offset(12), None);
}

/// Reads a bus that has ports from 0x10 to 0x17 and from 0x20 to 0x27.
fn check_reads(read: impl Fn(u64, &mut [u8]) -> bool) {
    for (address, offset) in [(0x10, 0), (0x13, 3), (0x17, 7), (0x20, 0), (0x27, 7)] {
        let mut byte = [0xff];
        assert!(read(address, &mut byte), "{address:#x}");
        assert_eq!(byte, [offset]);
    }
    for free in [0, 0xf, 0x18, 0x1f, 0x28] {
        assert!(!read(free, &mut [0]), "{free:#x}");
    }
}

#[test]
fn an_access_reaches_the_device_at_its_address() {
    let (first, second) = (Arc::new(Mutex::new(Port::default())), Arc::new(Mutex::new(Port::default())));
    let vmm = VmmBus::new();
    let locked = LockedBus::new();
    for (range, port) in [(range(0x10, 8), &first), (range(0x20, 8), &second)] {
        vmm.insert(range, weak(port)).unwrap();
        locked.insert(range, port.clone()).unwrap();
    }
    check_reads(|address, data| vmm.read(address, data));
    check_reads(|address, data| locked.read(address, data));
    assert!(vmm.write(0x27, &[9]));
    assert_eq!(second.lock().unwrap().written, Some((7, 9)));
    assert!(locked.write(0x11, &[4]));
    assert_eq!(first.lock().unwrap().written, Some((1, 4)));
    assert!(!vmm.write(0x28, &[9]) && !locked.write(0x28, &[9]));
}

#[test]
fn ranges_on_a_bus_do_not_overlap() {
    let port = Arc::new(Mutex::new(Port::default()));
    let bus = LockedBus::new();
    bus.insert(range(0x10, 8), port.clone()).unwrap();
    for taken in [range(0x10, 8), range(0, 0x11), range(0x17, 1), range(0x14, 0x100), range(0, u64::MAX)] {
        assert_eq!(bus.insert(taken, port.clone()), Err(Overlap), "{taken:?}");
    }
    bus.insert(range(0, 0x10), port.clone()).unwrap();
    bus.insert(range(0x18, 1), port.clone()).unwrap();
    assert!(bus.remove(range(0x10, 8)).is_some());
    assert!(bus.remove(range(0x10, 8)).is_none());
    bus.insert(range(0x11, 2), port).unwrap();
}

#[test]
fn a_device_that_its_owner_dropped_does_not_answer() {
    let port = Arc::new(Mutex::new(Port::default()));
    let bus = VmmBus::new();
    bus.insert(range(0, 8), weak(&port)).unwrap();
    drop(port);
    assert!(!bus.read(0, &mut [0]));
    assert_eq!(bus.insert(range(0, 8), weak(&Arc::new(Mutex::new(Port::default())))), Err(Overlap));
    assert!(bus.remove(range(0, 8)));
    assert!(!bus.remove(range(0, 8)));
}

/// The fault of both shapes, on the one that does not even own the device.
#[test]
fn a_removal_returns_while_an_access_is_inside_the_device() {
    struct Slow<E, L>(E, L);
    impl<E: Fn() + Send + Sync, L: Fn() + Send + Sync> Device for Slow<E, L> {
        fn read(&self, _: u64, _: &mut [u8]) {
            self.0();
            self.1();
        }
        fn write(&self, _: u64, _: &[u8]) {}
    }
    let (enter, entered) = channel();
    let (leave, may_leave) = channel::<()>();
    let may_leave = Mutex::new(may_leave);
    let device = Arc::new(Slow(move || enter.send(()).unwrap(), move || may_leave.lock().unwrap().recv().unwrap()));
    let witness = Arc::downgrade(&device);
    let bus = VmmBus::new();
    bus.insert(range(0, 8), weak(&device)).unwrap();
    thread::scope(|scope| {
        let access = scope.spawn(|| bus.read(0, &mut [0]));
        entered.recv().unwrap();
        assert!(bus.remove(range(0, 8)));
        drop(device);
        assert_eq!(witness.strong_count(), 1, "the access holds the device");
        leave.send(()).unwrap();
        assert!(access.join().unwrap());
    });
    assert_eq!(witness.strong_count(), 0);
}
