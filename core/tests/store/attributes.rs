//! Attributes of objects: definition, errors, and what callbacks are given.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

use enodev::{
    Access, AsKobject, AttrHandle, Attribute, DefineError, DeviceType, EntryKind, Errno, Error, InvalidName, Mode,
    Page, Removal, Store,
};

use crate::common::{GONE, Rig};

/// What is wrong with an attribute is told by `define`: the first of several faults, and nothing is defined.
#[test]
fn define_tells_the_first_fault() {
    let store = Store::new().unwrap();
    let ty = || DeviceType::shared::<()>("type").ro("good", |_, _| Ok(()));
    let fault = |ty| store.define(ty).err().unwrap();
    let bad_name = |name: &str| ty().ro(name, |_, _| Ok(()));
    let name = |invalid| Error::Define(DefineError::Name(invalid));
    assert_eq!(fault(bad_name("a/b")), name(InvalidName::Slash));
    assert_eq!(fault(bad_name("")), name(InvalidName::Empty));
    assert_eq!(fault(bad_name("..")), name(InvalidName::Dots));
    assert_eq!(fault(bad_name(&"n".repeat(256))).errno(), Errno::ENAMETOOLONG);
    assert_eq!(fault(ty().mode(Mode::RW)), Error::Define(DefineError::Unwritable(Mode::RW)));
    let run = Mode::RO | Mode::XUSR;
    assert_eq!(fault(ty().mode(run)), Error::Define(DefineError::Executable(run)));
    let wo = ty().wo("w", |_, _| Ok(())).mode(Mode::RO);
    assert_eq!(fault(wo), Error::Define(DefineError::Unreadable(Mode::RO)));
    assert_eq!(fault(wo_twice(bad_name("a/b"))), name(InvalidName::Slash));
    assert_eq!(fault(ty().ro("good", |_, _| Ok(()))), Error::Exists);
    assert_eq!(fault(ty().wo("good", |_, _| Ok(()))).errno(), Errno::EEXIST);
}

/// A second and a third fault.
fn wo_twice(ty: DeviceType<enodev::Shared<()>>) -> DeviceType<enodev::Shared<()>> {
    ty.wo("", |_, _| Ok(())).ro("good", |_, _| Ok(()))
}

/// Modes and sizes are listed as they were defined; a file opens for what the mode allows, for no other access, and not at
/// all for none.
#[test]
fn the_mode_decides_what_a_file_opens_for() {
    let store = Store::new().unwrap();
    let ty = DeviceType::shared::<()>("type")
        .ro("ro", |_, _| Ok(()))
        .wo("wo", |_, _| Ok(()))
        .rw("rw", |_, _| Ok(()), |_, _| Ok(()))
        .rw("hidden", |_, _| Ok(()), |_, _| Ok(()))
        .mode(Mode::empty())
        .bin_ro("bin", 99, |_, _, _| Ok(0));
    let ty = store.define(ty).unwrap();
    let object = store.register(store.root(), "dev", ty, ()).unwrap();
    let listed: Vec<_> = store
        .list(object)
        .unwrap()
        .into_iter()
        .map(|entry| match entry.kind {
            EntryKind::Attribute { mode, size, handle } => {
                assert_eq!(store.attribute(object, &entry.name), Ok(handle));
                format!("{} {mode} {size}", entry.name)
            }
            other => format!("{other:?}"),
        })
        .collect();
    assert_eq!(listed, ["bin 0444 99", "hidden 0000 4096", "ro 0444 4096", "rw 0644 4096", "wo 0200 4096"]);

    let opens = |name, access| store.open(object, name, access).map(drop).map_err(Error::errno);
    for (name, may_read, may_write) in
        [("ro", true, false), ("wo", false, true), ("rw", true, true), ("hidden", false, false), ("bin", true, false)]
    {
        let answer = |may| if may { Ok(()) } else { Err(Errno::EACCES) };
        assert_eq!(opens(name, Access::READ), answer(may_read), "{name}");
        assert_eq!(opens(name, Access::WRITE), answer(may_write), "{name}");
        assert_eq!(opens(name, Access::READ | Access::WRITE), answer(may_read && may_write), "{name}");
        assert_eq!(opens(name, Access::empty()), Err(Errno::EINVAL), "{name}");
    }
    assert_eq!(opens("absent", Access::READ), Err(Errno::ENOENT));
    let file = store.open(object, "ro", Access::READ).unwrap();
    assert_eq!(file.write(&store, b"x"), Err(Errno::EBADF));
}

/// An attribute belongs to a type: on an object whose payload is of another type it is EINVAL and its code does not run; a
/// handle that is none is ENODEV.
#[test]
fn an_attribute_of_another_type_is_einval() {
    let (rig, other) = (Rig::new(), Rig::new());
    let store = &rig.store;
    let disk = rig.add(store.root(), "sda");
    let name = store.attribute(disk, "name").unwrap();
    let shared = store.define(DeviceType::shared::<u32>("shared")).unwrap();
    let shared = store.register(store.root(), "shared", shared, 1).unwrap();
    let exclusive = DeviceType::exclusive::<u32>("exclusive").ro("value", |value, page| page.line(*value));
    let exclusive = store.define(exclusive).unwrap();
    let exclusive = store.register(store.root(), "exclusive", exclusive, 2).unwrap();
    let value = store.attribute(exclusive, "value").unwrap();
    let plain = store.create(store.root(), "plain").unwrap();

    let show = |object, attr| {
        let mut page = Page::new();
        store.show(object, attr, &mut page).map(|()| String::from_utf8(page.as_bytes().into()).unwrap())
    };
    assert_eq!(show(disk.kobject(), name), Ok("sda\n".into()));
    assert_eq!(show(exclusive.kobject(), value), Ok("2\n".into()));
    for object in [shared.kobject(), exclusive.kobject(), plain, store.root()] {
        assert_eq!(show(object, name), Err(Errno::EINVAL));
    }
    for object in [shared.kobject(), disk.kobject(), plain] {
        assert_eq!(show(object, value), Err(Errno::EINVAL));
    }
    let foreign = other.store.attribute(other.add(other.store.root(), "sda"), "name").unwrap();
    assert_eq!(show(disk.kobject(), AttrHandle::null()), Err(Errno::ENODEV));
    assert_eq!(show(disk.kobject(), foreign), Err(Errno::ENODEV));
    assert_eq!(show(exclusive.kobject(), foreign), Err(Errno::ENODEV));
    // The object comes first, and none of this has left anybody inside.
    assert_eq!(store.unregister_subtree(exclusive), Ok(Removal::Done(1)));
    assert_eq!(show(exclusive.kobject(), value), Err(Errno::ENODEV));
}

/// What a callback returns reaches the caller as it is; a panic is EIO; after either, the object, its other attributes and
/// the same attribute go on.
#[test]
fn a_callback_fails_alone() {
    let rig = Rig::new();
    let store = &rig.store;
    let calls = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&calls);
    let ty = DeviceType::shared::<u32>("touchy")
        .rw(
            "touchy",
            move |value, page| match counted.fetch_add(1, SeqCst) {
                0 => Err(Errno::ENODATA),
                1 => std::panic::panic_any(*value),
                _ => page.line(*value),
            },
            |_, data| match data {
                b"panic" => std::panic::panic_any("the driver's own"),
                b"busy" => Err(Errno::EBUSY),
                _ => Ok(()),
            },
        )
        .bin_ro("bin", 0, |_, offset, buf| match offset {
            0 => Err(Errno::EAGAIN),
            1 => std::panic::panic_any("the driver's own"),
            _ => Ok(buf.len()),
        });
    let ty = store.define(ty).unwrap();
    let object = store.register(store.root(), "dev", ty, 7).unwrap();
    let file = rig.open(object, "touchy");
    assert_eq!(file.read(store, &mut [0; 8]), Err(Errno::ENODATA));
    assert_eq!(file.read(store, &mut [0; 8]), Err(Errno::EIO));
    assert_eq!(file.read(store, &mut [0; 8]), Ok(2));
    assert_eq!(file.write(store, b"busy"), Err(Errno::EBUSY));
    assert_eq!(file.write(store, b"panic"), Err(Errno::EIO));
    assert_eq!(file.write(store, b"fine"), Ok(4));
    let bin = store.open(object, "bin", Access::READ).unwrap();
    assert_eq!(bin.pread(store, 0, &mut [0; 8]), Err(Errno::EAGAIN));
    assert_eq!(bin.pread(store, 1, &mut [0; 8]), Err(Errno::EIO));
    assert_eq!(bin.pread(store, 2, &mut [0; 8]), Ok(8));
    assert_eq!((store.contains(object), calls.load(SeqCst)), (true, 3));
    assert_eq!(store.unregister::<u32>(object), Ok(7));
}

/// A callback is given its object and its store, and learns its path and its siblings from them.
#[test]
fn a_callback_learns_where_it_is() {
    let rig = Rig::new();
    let store = &rig.store;
    let ty = DeviceType::exclusive::<u32>("curious")
        .ro("where", |curious, page| page.line(curious.store().path(curious.object())?))
        .ro("siblings", |mut curious, page| {
            *curious += 1;
            let parent = curious.store().parent(curious.object())?;
            for name in crate::common::names_in(curious.store(), parent) {
                page.line(name)?;
            }
            Ok(())
        });
    let ty = store.define(ty).unwrap();
    let bus = rig.add(store.root(), "bus");
    let one = store.register(bus, "one", ty, 0).unwrap();
    let two = store.register(bus, "two", ty, 0).unwrap();
    assert_eq!(rig.read(one, "where"), Ok("/bus/one\n".into()));
    assert_eq!(rig.read(two, "where"), Ok("/bus/two\n".into()));
    assert_eq!(rig.read(two, "siblings"), Ok("one\ntwo\n".into()));
    assert_eq!((store.unregister(one), store.unregister(two)), (Ok(0_u32), Ok(1_u32)));
}

/// An attribute is defined once for all objects of the type: they share its handle, and each answers for itself.
#[test]
fn objects_of_one_type_share_their_attributes() {
    let rig = Rig::new();
    let store = &rig.store;
    let disks: Vec<_> = (0..100).map(|n| rig.add(store.root(), &format!("sd{n}"))).collect();
    let name = store.attribute(disks[0], "name").unwrap();
    let mut page = Page::new();
    for (n, disk) in disks.iter().enumerate() {
        assert_eq!(store.attribute(*disk, "name"), Ok(name));
        store.show(*disk, name, &mut page).unwrap();
        assert_eq!(page.as_bytes(), format!("sd{n}\n").as_bytes());
    }
    assert_eq!(store.unregister_subtree(disks[7]), Ok(Removal::Done(1)));
    assert_eq!(store.show(disks[7], name, &mut page), Err(Errno::ENODEV));
    assert!(page.is_empty());
    assert_eq!(store.show(disks[8], name, &mut page), Ok(()));
}

/// What a whole read and a whole write do: text longer than a page is refused, binary data is moved in pages, and the end
/// of a binary attribute is an error where not all fits.
#[test]
fn whole_reads_and_writes_move_everything_or_say_so() {
    let store = Store::new().unwrap();
    let ty = DeviceType::shared::<Vec<u8>>("rom")
        .bin_ro("contents", 10_000, |rom, offset, buf| {
            let from = usize::try_from(offset).map_err(|_| Errno::EINVAL)?;
            buf.copy_from_slice(&rom[from..from + buf.len()]);
            Ok(buf.len())
        })
        .attribute(Attribute::bin_wo("short", 8, |_, _, data| Ok(data.len())))
        .wo("text", |_, _| Ok(()));
    let ty = store.define(ty).unwrap();
    let contents: Vec<u8> = (0..10_000_u32).map(|n| n as u8).collect();
    let rom = store.register(store.root(), "rom", ty, contents.clone()).unwrap();
    assert_eq!(store.read(rom, "contents"), Ok(contents));
    assert_eq!(store.write(rom, "short", b"12345678"), Ok(()));
    assert_eq!(store.write(rom, "short", b"123456789"), Err(Errno::EFBIG.into()));
    assert_eq!(store.write(rom, "text", &[b'x'; 4096]), Ok(()));
    assert_eq!(store.write(rom, "text", &[b'x'; 4097]), Err(Errno::E2BIG.into()));
    assert_eq!(store.write(rom, "absent", b""), Err(Error::NotFound));
    assert_eq!(store.unregister_subtree(rom), Ok(Removal::Done(1)));
    assert_eq!(store.write(rom, "text", &[b'x'; 4097]), Err(GONE));
}
