//! Open files used by several threads, and by the code that they call.

use std::cell::Cell;
use std::io::SeekFrom;
use std::sync::atomic::Ordering::SeqCst;
use std::sync::{Barrier, mpsc};
use std::thread;

use enodev_attrs::{Access, Attribute, Errno, Mode, OpenFile, Page, Result, Seen, Target};

use crate::device::{Device, Payload};
use crate::position;

/// F18: operations on one file run one after the other, whatever threads they are on.
#[test]
fn operations_on_one_file_are_serialised() {
    let store = |payload: &Payload, data: &[u8]| {
        payload.stored.lock().push(data.to_vec());
        thread::yield_now();
        Ok(())
    };
    let device = Device::new(Attribute::wo("text", store).unwrap());
    let file = device.open(Access::WRITE).unwrap();
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| (0..500).for_each(|_| assert_eq!(file.write(&device, b"x"), Ok(1))));
        }
    });
    assert_eq!((device.stored().len(), position(&file, &device)), (2000, Ok(2000)));
    assert_eq!(device.inside_max.load(SeqCst), 1);
}

#[test]
fn two_files_of_one_attribute_are_independent() {
    // The stores return only once both are inside.
    let inside = Barrier::new(2);
    let store = move |_: &Payload, _: &[u8]| {
        inside.wait();
        Ok(())
    };
    let device = Device::new(Attribute::wo("text", store).unwrap());
    thread::scope(|scope| {
        for _ in 0..2 {
            let file = device.open(Access::WRITE).unwrap();
            let device = &device;
            scope.spawn(move || assert_eq!(file.write(device, b"x"), Ok(1)));
        }
    });
    assert_eq!(device.inside_max.load(SeqCst), 2);
}

/// E-3: who waits for another operation on the file holds no reference to the object; when his turn comes
/// and it is gone meanwhile, he gets ENODEV and no code of it runs.
#[test]
fn waiting_for_the_file_does_not_hold_the_object() {
    let (entered, has_entered) = mpsc::channel();
    let (leave, may_leave) = mpsc::channel::<()>();
    let may_leave = parking_lot::Mutex::new(may_leave);
    let store = move |payload: &Payload, data: &[u8]| {
        payload.stored.lock().push(data.to_vec());
        entered.send(()).map_err(|_| Errno::EPIPE)?;
        may_leave.lock().recv().map_err(|_| Errno::EPIPE)
    };
    let device = Device::new(Attribute::wo("text", store).unwrap());
    let file = device.open(Access::WRITE).unwrap();
    thread::scope(|scope| {
        let first = scope.spawn(|| file.write(&device, b"first"));
        has_entered.recv().unwrap();
        let second = scope.spawn(|| file.write(&device, b"second"));
        device.unplug();
        leave.send(()).unwrap();
        assert_eq!(first.join().unwrap(), Ok(5));
        assert_eq!(second.join().unwrap(), Err(Errno::ENODEV));
    });
    assert_eq!(device.stored(), [b"first"]);
}

/// A text whose callbacks use the file through which they are called.
struct Mirror {
    file: OpenFile,
    entered: Cell<u32>,
}

impl Mirror {
    /// What each operation through the file says from inside.
    fn look(&self) -> [Option<Errno>; 5] {
        let mut buf = [0];
        [
            self.file.read(self, &mut buf).err(),
            self.file.pread(self, 0, &mut buf).err(),
            self.file.write(self, b"x").err(),
            self.file.pwrite(self, 0, b"x").err(),
            self.file.seek(self, SeekFrom::Start(1)).err(),
        ]
    }

    fn enter(&self) -> Result {
        self.entered.set(self.entered.get() + 1);
        assert_eq!(self.look(), [Some(Errno::EDEADLK); 5]);
        Ok(())
    }
}

impl Target for Mirror {
    fn alive(&self) -> Result {
        self.enter()
    }

    fn show(&self, _: &mut Page, _: &Seen) -> Result {
        self.enter()
    }

    fn store(&self, _: &[u8]) -> Result {
        self.enter()
    }

    fn read_at(&self, _: u64, _: &mut [u8], _: &Seen) -> Result<usize> {
        self.enter().map(|()| 0)
    }

    fn write_at(&self, _: u64, _: &[u8]) -> Result<usize> {
        self.enter().map(|()| 0)
    }

    fn is_binary(&self) -> bool {
        false
    }

    fn size(&self) -> u64 {
        0
    }
}

/// E-3: the lock of the file comes before the reference: an operation from inside one on the same file
/// finds the lock its own, gets EDEADLK and has not entered the object.
#[test]
fn using_ones_own_file_is_edeadlk() {
    let file = OpenFile::new(Mode::RW, Access::READ | Access::WRITE, true, true).unwrap();
    let mirror = Mirror { file, entered: Cell::new(0) };
    assert_eq!(mirror.file.read(&mirror, &mut [0]), Ok(0));
    assert_eq!(mirror.file.write(&mirror, b"on"), Ok(2));
    assert_eq!(mirror.file.seek(&mirror, SeekFrom::Current(0)), Ok(2));
    assert_eq!(mirror.entered.get(), 3);
}
