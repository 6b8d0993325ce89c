//! Files on objects in an arena, without a store.

use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::mpsc;
use std::thread;

use enodev_attrs::{Access, Attribute, Errno, OpenFile, Owner, Thing};
use enodev_handles::{Arena, Domain, Handle, Kind};
use parking_lot::Mutex;

enum Disks {}

impl Kind for Disks {
    const NAME: &'static str = "Disk";
}

#[derive(Default)]
struct Disk {
    serial: Mutex<String>,
    calls: AtomicUsize,
}

impl Owner for Disk {
    type Ref<'a> = &'a Disk;
}

type Arenas = Arena<Disks, (), Disk>;

fn arena() -> Result<Arenas, Box<dyn std::error::Error>> {
    Ok(Arena::new(&Domain::new()?)?)
}

/// Text and binary data that can be read and written.
fn attributes() -> Result<[Attribute<Disk>; 2], enodev_attrs::DefineError> {
    let text = Attribute::<Disk>::rw(
        "serial",
        |disk, page| page.line(disk.serial.lock()),
        |disk, data| {
            disk.calls.fetch_add(1, SeqCst);
            *disk.serial.lock() = enodev_attrs::parse::text(data)?.to_owned();
            Ok(())
        },
    )?;
    let binary = Attribute::<Disk>::bin_rw(
        "blob",
        4,
        |disk, offset, buf| {
            disk.calls.fetch_add(1, SeqCst);
            buf.fill(offset as u8);
            Ok(buf.len())
        },
        |_, _, data| Ok(data.len()),
    )?;
    Ok([text, binary])
}

fn pread(file: &OpenFile, disks: &Arenas, disk: Handle<Disks>, attribute: &Attribute<Disk>) -> Result<Vec<u8>, Errno> {
    let mut buf = [0; 9];
    let count = file.pread(&Thing::new(disks, disk, attribute), 0, &mut buf)?;
    Ok(buf[..count].to_vec())
}

/// S0-16: what is in an arena of anybody's has attributes, with no object of a tree to carry them.
#[test]
fn whatever_is_in_an_arena_has_files() {
    let disks = arena().unwrap();
    let [sda, sdb] = [(); 2].map(|()| disks.insert((), Disk::default()).unwrap());
    let [text, binary] = attributes().unwrap();
    let both = Access::READ | Access::WRITE;
    let [a, b] = [sda, sdb].map(|disk| Thing::new(&disks, disk, &text).open(both).unwrap());
    assert_eq!(a.write(&Thing::new(&disks, sda, &text), b"one\n"), Ok(4));
    assert_eq!(b.write(&Thing::new(&disks, sdb, &text), b"two\n"), Ok(4));
    assert_eq!(pread(&a, &disks, sda, &text), Ok(b"one\n".to_vec()));
    assert_eq!(pread(&b, &disks, sdb, &text), Ok(b"two\n".to_vec()));

    let thing = Thing::new(&disks, sda, &binary);
    let file = thing.open(both).unwrap();
    assert_eq!(pread(&file, &disks, sda, &binary), Ok(vec![0; 4]));
    assert_eq!(file.pwrite(&thing, 3, b"xy"), Ok(1));
    assert_eq!(file.pwrite(&thing, 4, b"x"), Err(Errno::EFBIG));
    assert_eq!(file.seek(&thing, std::io::SeekFrom::End(-1)), Ok(3));
    assert!(format!("{:?}", thing.clone()).contains("blob"));
}

/// S0-16, F3: when the object has left, every operation is ENODEV, also where another has taken its slot.
#[test]
fn files_do_not_outlast_what_they_are_of() {
    let disks = arena().unwrap();
    let disk = disks.insert((), Disk::default()).unwrap();
    let attributes = attributes().unwrap();
    let both = Access::READ | Access::WRITE;
    let files = attributes.each_ref().map(|attribute| Thing::new(&disks, disk, attribute).open(both).unwrap());
    let taken = disks.remove(disk).unwrap();
    let next = disks.insert((), Disk::default()).unwrap();
    for (file, attribute) in files.iter().zip(&attributes) {
        let thing = Thing::new(&disks, disk, attribute);
        assert_eq!(file.read(&thing, &mut [0]), Err(Errno::ENODEV));
        assert_eq!(file.pread(&thing, 0, &mut []), Err(Errno::ENODEV));
        assert_eq!(file.write(&thing, b""), Err(Errno::ENODEV));
        assert_eq!(file.pwrite(&thing, u64::MAX, &[0; 5000]), Err(Errno::ENODEV));
        assert_eq!(file.seek(&thing, std::io::SeekFrom::Current(-1)), Err(Errno::ENODEV));
        assert_eq!(file.seen(), None);
        assert_eq!(thing.open(Access::empty()).err(), Some(Errno::ENODEV));
        assert_eq!(Thing::new(&disks, next, attribute).open(Access::empty()).err(), Some(Errno::EINVAL));
    }
    assert_eq!(taken.calls.load(SeqCst), 0);
    assert_eq!(disks.enter(next).unwrap().calls.load(SeqCst), 0);
}

/// E-10: with no count of changes a poll finds one until the file has been read.
#[test]
fn a_poll_finds_nothing_after_the_first_read() {
    let disks = arena().unwrap();
    let disk = disks.insert((), Disk::default()).unwrap();
    for attribute in attributes().unwrap() {
        let file = Thing::new(&disks, disk, &attribute).open(Access::READ).unwrap();
        assert_eq!(file.seen(), None);
        pread(&file, &disks, disk, &attribute).unwrap();
        assert_eq!(file.seen(), Some(0));
    }
}

/// F3: a removal waits for the callback that is inside, and for no open file.
#[test]
fn a_removal_waits_for_the_callback_alone() {
    let disks = arena().unwrap();
    let disk = disks.insert((), Disk::default()).unwrap();
    let (entered, has_entered) = mpsc::channel();
    let (leave, may_leave) = mpsc::channel::<()>();
    let may_leave = Mutex::new(may_leave);
    let text = Attribute::<Disk>::ro("slow", move |disk, page| {
        entered.send(()).map_err(|_| Errno::EPIPE)?;
        may_leave.lock().recv().map_err(|_| Errno::EPIPE)?;
        disk.calls.fetch_add(1, SeqCst);
        page.put("done")
    })
    .unwrap();
    let file = Thing::new(&disks, disk, &text).open(Access::READ).unwrap();
    thread::scope(|scope| {
        let reader = scope.spawn(|| pread(&file, &disks, disk, &text));
        has_entered.recv().unwrap();
        let remover = scope.spawn(|| disks.remove(disk).unwrap().calls.load(SeqCst));
        while disks.contains(disk) {
            thread::yield_now();
        }
        leave.send(()).unwrap();
        assert_eq!(remover.join().unwrap(), 1);
        assert_eq!(reader.join().unwrap(), Ok(b"done".to_vec()));
    });
    assert_eq!(pread(&file, &disks, disk, &text), Err(Errno::ENODEV));
}
