//! Readers by every way, while things are unplugged and plugged in again.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::sync::{Arc, Barrier};
use std::thread;

use enodev::{Access, DeviceHandle, DeviceType, Errno, Error, Removal, Shared, Store, Strategy, Type};
use parking_lot::Mutex;

use crate::common::{GONE, Rig, names_in};

/// A mouse with a serial number; the number is wiped when the driver has taken it back.
struct Mouse {
    serial: u64,
    wiped: Arc<AtomicBool>,
}

/// What the thread that plugs shares with the readers.
struct Desk {
    store: Store,
    mouse: Type<Shared<Mouse>>,
    /// The mouse that was plugged in last, by handle and serial number.
    latest: Mutex<(DeviceHandle, u64)>,
    /// All serial numbers below this one have been unplugged.
    unplugged: AtomicU64,
    done: AtomicBool,
}

impl Desk {
    fn new(strategy: Strategy) -> Self {
        let store = Store::with_strategy(strategy).unwrap();
        let mouse = DeviceType::shared::<Mouse>("mouse").ro("serial", |mouse, page| {
            page.line(mouse.serial)?;
            // For as long as it likes: nothing may have changed since the callback began.
            thread::yield_now();
            if mouse.wiped.load(SeqCst) { Err(Errno::EUCLEAN) } else { Ok(()) }
        });
        let mouse = store.define(mouse).unwrap();
        let latest = Mutex::new((DeviceHandle::null(), 0));
        Self { store, mouse, latest, unplugged: AtomicU64::new(0), done: AtomicBool::new(false) }
    }

    fn plug(&self, serial: u64) -> (DeviceHandle, Arc<AtomicBool>) {
        let wiped = Arc::new(AtomicBool::new(false));
        let payload = Mouse { serial, wiped: Arc::clone(&wiped) };
        let mouse = self.store.register(self.store.root(), "mouse0", self.mouse, payload).unwrap();
        *self.latest.lock() = (mouse, serial);
        (mouse, wiped)
    }

    fn replug(&self, rounds: u64) {
        for serial in 0..rounds {
            let (mouse, wiped) = self.plug(serial);
            (0..serial % 4).for_each(|_| thread::yield_now());
            if serial % 2 == 0 {
                assert_eq!(self.store.unregister::<Mouse>(mouse).unwrap().serial, serial);
            } else {
                assert_eq!(self.store.unregister_subtree(mouse), Ok(Removal::Done(1)));
            }
            wiped.store(true, SeqCst);
            self.unplugged.store(serial + 1, SeqCst);
        }
        self.done.store(true, SeqCst);
    }

    /// Reads on until the mouse is gone: always this serial number, then ENODEV for good, and no number once the unplug has
    /// returned.
    fn use_up(&self, serial: u64, read: impl Fn() -> Result<u64, Errno>) {
        loop {
            let unplugged = self.unplugged.load(SeqCst);
            match read() {
                Ok(answer) => {
                    assert_eq!(answer, serial);
                    assert!(serial >= unplugged, "mouse {serial} answered after its unplug");
                }
                Err(errno) => {
                    assert_eq!(errno, Errno::ENODEV);
                    assert_eq!(read(), Err(Errno::ENODEV));
                    return;
                }
            }
        }
    }

    fn number(data: &[u8]) -> u64 {
        std::str::from_utf8(data).unwrap().trim_end().parse().unwrap()
    }

    fn by_handle(&self) {
        while !self.done.load(SeqCst) {
            let (mouse, serial) = *self.latest.lock();
            if !mouse.is_null() {
                let read = || Ok(Self::number(&self.store.read(mouse, "serial").map_err(Error::errno)?));
                self.use_up(serial, read);
            }
            thread::yield_now();
        }
    }

    fn by_file(&self) {
        while !self.done.load(SeqCst) {
            let (mouse, serial) = *self.latest.lock();
            if let Ok(file) = self.store.open(mouse, "serial", Access::READ) {
                self.use_up(serial, || {
                    let mut buf = [0; 32];
                    let count = file.pread(&self.store, 0, &mut buf)?;
                    Ok(Self::number(&buf[..count]))
                });
            }
            thread::yield_now();
        }
    }

    /// By path, each read may be another mouse: but never one that was unplugged before, nor is a handle two mice.
    fn by_path(&self) {
        let mut serials = HashMap::new();
        while !self.done.load(SeqCst) {
            let unplugged = self.unplugged.load(SeqCst);
            let mouse = match self.store.lookup("/mouse0") {
                Ok(mouse) => mouse,
                Err(error) => {
                    assert_eq!(error, Error::NotFound);
                    continue;
                }
            };
            match self.store.read(mouse, "serial") {
                Ok(data) => {
                    let serial = Self::number(&data);
                    assert!(serial >= unplugged, "{serial} of {unplugged}");
                    assert_eq!(*serials.entry(mouse).or_insert(serial), serial);
                }
                // A mouse that can be found has all its attributes, or is gone.
                Err(error) => assert_eq!(error, GONE),
            }
        }
    }
}

fn readers_against_one_who_replugs(strategy: Strategy) {
    let desk = Desk::new(strategy);
    thread::scope(|scope| {
        let readers: [fn(&Desk); 3] = [Desk::by_handle, Desk::by_file, Desk::by_path];
        for read in readers {
            let desk = &desk;
            scope.spawn(move || read(desk));
        }
        desk.replug(400);
    });
    assert!(desk.store.is_empty());
}

/// S2-1, S2-7, S3-1, S3-2: while one mouse after the other is unplugged and another plugged into its place, readers that hold
/// a handle, hold an open file, or go by path get the right mouse or ENODEV, and none after its unplug has returned.
#[test]
fn no_reader_gets_a_wrong_answer() {
    readers_against_one_who_replugs(Strategy::Auto);
}

/// S2-1, S2-7, S3-1, S3-2: the same where readers fence for themselves.
#[test]
fn no_reader_gets_a_wrong_answer_with_fences() {
    readers_against_one_who_replugs(Strategy::Fence);
}

/// S2-5, S1-12: objects that stay are always entered, found and listed, each exactly once, whatever comes and goes beside
/// them; ENODEV is for those that go.
#[test]
fn those_who_stay_are_never_missed() {
    let rig = Rig::new();
    let store = &rig.store;
    let bus = rig.add(store.root(), "bus");
    let stays: Vec<_> = (0..5).map(|n| rig.add(bus, &format!("stay{n}"))).collect();
    let done = AtomicBool::new(false);
    let start = Barrier::new(3);
    thread::scope(|scope| {
        let walk = || {
            start.wait();
            while !done.load(SeqCst) {
                let mut names = names_in(store, bus);
                assert!(names.is_sorted_by(|a, b| a < b), "{names:?}");
                names.retain(|name| name.starts_with("stay"));
                assert_eq!(names.len(), stays.len());
                for (n, stay) in stays.iter().enumerate() {
                    assert_eq!(rig.read(*stay, "name"), Ok(format!("stay{n}\n")));
                    assert_eq!(store.path(*stay), Ok(format!("/bus/stay{n}")));
                    assert!(store.lookup(&format!("/bus/stay{n}")).is_ok());
                }
            }
        };
        scope.spawn(walk);
        scope.spawn(walk);
        start.wait();
        for n in 0..300 {
            let goes = rig.add(bus, ["a", "stay", "z"][n % 3].replace("stay", "st").as_str());
            let below = rig.add(goes, "below");
            store.link(below, "peer", stays[n % 5]).unwrap();
            store.link(stays[n % 5], "peer", goes).unwrap();
            assert_eq!(store.unregister_subtree(goes), Ok(Removal::Done(2)));
        }
        done.store(true, SeqCst);
    });
    assert_eq!(store.len(), 6);
    for stay in stays {
        rig.assert_holds(stay, &[]);
    }
}
