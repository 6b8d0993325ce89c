//! Values are written whole. The attributes are those of Linux's tests of sysfs: a plain number, and one that takes its time.

use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::thread;

use enodev::{Access, Context, DeviceHandle, DeviceType, Errno, Error, File, Page, Store, parse};
use parking_lot::Mutex;

/// The driver's own lock is taken in callbacks, if at all, around all that they do.
struct Device {
    lock: Option<Mutex<()>>,
    x: Mutex<i64>,
    y: Mutex<i64>,
}

type Owner<'a> = Context<'a, &'a Device>;

impl Device {
    fn locked<R>(&self, run: impl FnOnce() -> R) -> R {
        let _guard = self.lock.as_ref().map(|lock| lock.lock());
        run()
    }
}

fn store_x(device: &Owner<'_>, data: &[u8]) -> Result<(), Errno> {
    device.locked(|| {
        *device.x.lock() = parse::integer_in(data, 10)?;
        Ok(())
    })
}

/// Takes a while between the look at the value and the change.
fn store_y(device: &Owner<'_>, data: &[u8]) -> Result<(), Errno> {
    device.locked(|| {
        let value: i64 = parse::integer_in(data, 10)?;
        let x = *device.x.lock();
        (0..20).for_each(|_| thread::yield_now());
        *device.y.lock() = x + value + 7;
        Ok(())
    })
}

fn setup(is_locked: bool) -> (Store, DeviceHandle) {
    let store = Store::new().unwrap();
    let ty = DeviceType::shared::<Device>("test")
        .rw("x", |device, page| device.locked(|| page.int(*device.x.lock())), |device, data| store_x(&device, data))
        .rw("y", |device, page| device.locked(|| page.int(*device.y.lock())), |device, data| store_y(&device, data));
    let ty = store.define(ty).unwrap();
    let device = Device { lock: is_locked.then(Mutex::default), x: Mutex::new(0), y: Mutex::new(0) };
    let device = store.register(store.root(), "test", ty, device).unwrap();
    (store, device)
}

/// Writes data in pieces, through one open file, until one is refused.
fn write_in_pieces(file: &File, store: &Store, data: &[u8], size: usize) -> Result<(), Errno> {
    data.chunks(size).try_for_each(|piece| file.write(store, piece).map(drop))
}

/// What Linux's test does to one attribute. `shown` is what a written value becomes.
fn assert_values_are_written_whole(is_locked: bool, name: &str, shown: impl Fn(i64) -> i64) {
    let (store, device) = setup(is_locked);
    let read = || parse::integer::<i64>(&store.read(device, name).unwrap()).unwrap();
    let file = store.open(device, name, Access::WRITE).unwrap();
    assert_eq!(read(), 0);
    for value in [31, -5, 0] {
        assert_eq!(store.write(device, name, format!("{value}\n").as_bytes()), Ok(()));
        assert_eq!(read(), shown(value));
    }
    // A page in one write.
    let page = format!("{:04095}\n", 3).into_bytes();
    assert_eq!(file.write(&store, &page), Ok(page.len()));
    assert_eq!(read(), shown(3));
    assert_eq!(store.write(device, name, &[&page[..], b"3"].concat()), Err(Error::Errno(Errno::E2BIG)));
    // Garbage before the value, in writes of its own: the first of them is refused.
    for garbage in [b' ', b'\n', b'x'] {
        let data = [&[garbage; 50][..], b"9"].concat();
        assert_eq!(write_in_pieces(&file, &store, &data, 50), Err(Errno::EINVAL));
        assert_eq!(file.write(&store, &data), Err(Errno::EINVAL));
        assert_eq!(read(), shown(3));
    }
    // Digits in several writes are as many values.
    assert_eq!(write_in_pieces(&file, &store, b"123456", 2), Ok(()));
    assert_eq!(read(), shown(56));
}

/// T1: a number is there when it has been written, and not before; in a whole page too; what is written in pieces is not put together.
#[test]
fn a_number_is_written_whole() {
    assert_values_are_written_whole(false, "x", |value| value);
}

/// T2: so is one that takes its time to be stored.
#[test]
fn a_slow_number_is_written_whole() {
    assert_values_are_written_whole(false, "y", |value| value + 7);
}

/// T3: so is a number whose callbacks take a lock of the driver's.
#[test]
fn a_number_under_a_lock_is_written_whole() {
    assert_values_are_written_whole(true, "x", |value| value);
}

/// T4: and a slow one.
#[test]
fn a_slow_number_under_a_lock_is_written_whole() {
    assert_values_are_written_whole(true, "y", |value| value + 7);
}

/// T103: writers and readers that share one open file each find a number whole, whoever else is at it.
#[test]
fn numbers_are_whole_under_many_writers() {
    let values = [1, 22, 333, 444_444, -1_000_000_000_000];
    for is_locked in [false, true] {
        let (store, device) = setup(is_locked);
        let file = store.open(device, "y", Access::READ | Access::WRITE).unwrap();
        let done = AtomicBool::new(false);
        thread::scope(|scope| {
            let (store, file, done) = (&store, &file, &done);
            let writers = values.map(|value| {
                scope.spawn(move || {
                    (0..20).for_each(|_| assert_eq!(store.write(device, "y", format!("{value}").as_bytes()), Ok(())));
                    (0..20).for_each(|_| assert!(file.write(store, format!("{value}").as_bytes()).is_ok()));
                })
            });
            let reader = scope.spawn(move || {
                let attr = store.attribute(device, "y").unwrap();
                let (mut page, mut buf) = (Page::new(), [0; 32]);
                while !done.load(SeqCst) {
                    let count = file.pread(store, 0, &mut buf).unwrap();
                    store.show(device, attr, &mut page).unwrap();
                    for text in [&buf[..count], page.as_bytes()] {
                        let found: i64 = parse::integer(text).unwrap();
                        assert!(found == 0 || values.contains(&(found - 7)), "{found}");
                    }
                }
            });
            writers.into_iter().for_each(|writer| writer.join().unwrap());
            done.store(true, SeqCst);
            reader.join().unwrap();
        });
    }
}
