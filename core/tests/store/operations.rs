//! Every operation that takes a handle, on every sort of handle that names nothing alive.

use std::fs;
use std::io::SeekFrom;
use std::path::Path;
use std::thread;

use enodev::{Access, AsKobject, AttrHandle, DeviceHandle, Errno, Error, File, KobjectHandle, Page, Removal, Result};

use crate::common::{Disk, GONE, Rig, linger, until};

/// What an operation is tried on.
struct Subject<'a> {
    rig: &'a Rig,
    object: DeviceHandle,
    /// Another object, which is there.
    sound: KobjectHandle,
    attr: AttrHandle,
    /// A file of the object.
    file: Option<&'a File>,
}

type Operation = (&'static str, fn(&Subject<'_>) -> Result);

/// By the names of the methods; those of files have a dot before them.
const OPERATIONS: [Operation; 26] = [
    ("register", |s| s.rig.try_add(s.object, "new").map(drop)),
    ("register_kobject", |s| {
        let payload = s.rig.payload("new");
        let store = &s.rig.store;
        store.register_kobject(s.object, "new", s.rig.disk, payload).map(drop)
    }),
    ("create", |s| s.rig.store.create(s.object, "new").map(drop)),
    ("link", |s| s.rig.store.link(s.object, "to", s.sound)),
    ("link", |s| s.rig.store.link(s.sound, "to", s.object)),
    ("unlink", |s| s.rig.store.unlink(s.object, "peer")),
    ("enter", |s| s.rig.store.enter::<Disk>(s.object).map(drop)),
    ("enter_mut", |s| s.rig.store.enter_mut::<Disk>(s.object).map(drop)),
    ("attribute", |s| s.rig.store.attribute(s.object, "name").map(drop)),
    ("open", |s| s.rig.store.open(s.object, "name", Access::READ).map(drop)),
    ("show", |s| Ok(s.rig.store.show(s.object, s.attr, &mut Page::new())?)),
    ("read", |s| s.rig.store.read(s.object, "name").map(drop)),
    ("write", |s| s.rig.store.write(s.object, "text", b"new")),
    ("device", |s| s.rig.store.device(s.object.kobject()).map(drop)),
    ("list", |s| s.rig.store.list(s.object).map(drop)),
    ("path", |s| s.rig.store.path(s.object).map(drop)),
    ("parent", |s| s.rig.store.parent(s.object).map(drop)),
    ("type_name", |s| s.rig.store.type_name(s.object).map(drop)),
    ("contains", |s| s.rig.store.contains(s.object).then_some(()).ok_or(GONE)),
    (".read", |s| on_file(s, |file| file.read(&s.rig.store, &mut [0; 4]).map(drop))),
    (".pread", |s| on_file(s, |file| file.pread(&s.rig.store, 1, &mut [0; 4]).map(drop))),
    (".write", |s| on_file(s, |file| file.write(&s.rig.store, b"new").map(drop))),
    (".pwrite", |s| on_file(s, |file| file.pwrite(&s.rig.store, 1, b"new").map(drop))),
    (".seek", |s| on_file(s, |file| file.seek(&s.rig.store, SeekFrom::Start(0)).map(drop))),
    // These wait for a removal that is under way.
    ("unregister", |s| s.rig.store.unregister::<Disk>(s.object).map(drop)),
    ("unregister_subtree", |s| s.rig.store.unregister_subtree(s.object).map(drop)),
];

/// No file can be made of a handle that never was good; there the operation counts as refused.
fn on_file(subject: &Subject<'_>, run: impl FnOnce(&File) -> Result<(), Errno>) -> Result {
    Ok(subject.file.map_or(Err(Errno::ENODEV), run)?)
}

fn waits((name, _): &Operation) -> bool {
    name.starts_with("unregister")
}

/// Two disks, a link between them, and a file of the first.
fn furnished(rig: &Rig) -> (DeviceHandle, KobjectHandle, AttrHandle, File) {
    let [object, sound] = ["sda", "sdb"].map(|name| rig.add(rig.store.root(), name));
    rig.store.link(object, "peer", sound).unwrap();
    let attr = rig.store.attribute(object, "name").unwrap();
    (object, sound.kobject(), attr, rig.open(object, "text"))
}

#[track_caller]
fn assert_all_gone(subject: &Subject<'_>, what: &str) {
    for (name, run) in &OPERATIONS {
        assert_eq!(run(subject), Err(GONE), "{name} of {what}");
    }
}

/// The tests below would show nothing if an operation was ENODEV anyway.
#[test]
fn no_operation_on_a_live_object_is_enodev() {
    for (name, run) in &OPERATIONS {
        let rig = Rig::new();
        let (object, sound, attr, file) = furnished(&rig);
        let file = Some(&file);
        let subject = Subject { rig: &rig, object, sound, attr, file };
        let expected = if *name == "enter_mut" { Err(Error::WrongType) } else { Ok(()) };
        assert_eq!(run(&subject), expected, "{name}");
    }
}

/// S2-9, S3-6, T34: every operation on an object that has gone is ENODEV and leaves no trace, in its own store or on what
/// stands beside it.
#[test]
fn every_operation_on_an_object_that_has_gone_is_enodev() {
    let rig = Rig::new();
    let (object, sound, attr, file) = furnished(&rig);
    drop(rig.store.unregister::<Disk>(object).unwrap());
    let file = Some(&file);
    assert_all_gone(&Subject { rig: &rig, object, sound, attr, file }, "a gone object");
    rig.assert_holds(rig.store.root(), &["sdb"]);
    rig.assert_holds(sound, &[]);
}

/// S2-9, S2-4, E-6: while an object leaves, every operation on it is ENODEV at once; only further removals wait, and they
/// are ENODEV when it has gone.
#[test]
fn every_operation_on_a_leaving_object_is_enodev() {
    let rig = Rig::new();
    let (object, sound, attr, file) = furnished(&rig);
    let file = Some(&file);
    let subject = Subject { rig: &rig, object, sound, attr, file };
    thread::scope(|scope| {
        let shut = rig.world.gate.shut();
        let reader = scope.spawn(|| rig.read(object, "slow"));
        rig.world.gate.wait_for(1);
        let remover = scope.spawn(|| rig.store.unregister_subtree(object));
        until(|| !rig.store.contains(object));
        for (name, run) in OPERATIONS.iter().filter(|operation| !waits(operation)) {
            assert_eq!(run(&subject), Err(GONE), "{name}");
        }
        let removals = OPERATIONS.iter().filter(|operation| waits(operation));
        let late: Vec<_> =
            removals.map(|(_, run)| scope.spawn(|| (run(&subject), rig.dropped().contains(&"sda".into())))).collect();
        linger();
        assert!(late.iter().all(|late| !late.is_finished()));
        drop(shut);
        assert_eq!(reader.join().unwrap(), Ok("sda\n".into()));
        assert_eq!(remover.join().unwrap(), Ok(Removal::Done(1)));
        for late in late {
            assert_eq!(late.join().unwrap(), (Err(GONE), true));
        }
    });
    rig.assert_holds(rig.store.root(), &["sdb"]);
    rig.assert_holds(sound, &[]);
}

/// S2-9, E-43: every operation on a handle that was never given out is ENODEV: the null handle, other generations and other
/// stores' tags of a live slot, slots never used, and patterns of no meaning.
#[test]
fn every_operation_on_a_null_or_forged_handle_is_enodev() {
    let rig = Rig::new();
    let (object, sound, attr, _file) = furnished(&rig);
    let live = object.to_bits();
    let (index, version) = (live & 0xffff_ffff, live & !0xffff_ffff);
    let mut forged = vec![DeviceHandle::null().to_bits(), 0, u64::MAX, index, version | 0xffff];
    forged.extend([version | 0xffff_ffff, version | 0xffff_ffbf, 1 << 32 | index]);
    // Bit 32 is always set; all the others of the version are the generation's and the tag's.
    forged.extend((33..64).map(|bit| live ^ 1 << bit));
    for bits in forged {
        let object = DeviceHandle::from_bits(bits);
        let what = format!("{object:?} ({bits:#x})");
        assert_all_gone(&Subject { rig: &rig, object, sound, attr, file: None }, &what);
    }
    assert_eq!(rig.read(object, "name"), Ok("sda\n".into()));
    rig.assert_holds(rig.store.root(), &["sda", "sdb"]);
}

/// S2-9: every operation on another store's object is ENODEV, also where an object of the store's own has the same slot,
/// and also through a file; neither store is changed by it.
#[test]
fn every_operation_on_another_stores_object_is_enodev() {
    let (rig, other) = (Rig::new(), Rig::new());
    let (own, sound, attr, _file) = furnished(&rig);
    let (object, _, _, foreign) = furnished(&other);
    assert_eq!(own.to_bits() as u32, object.to_bits() as u32);
    let file = Some(&foreign);
    assert_all_gone(&Subject { rig: &rig, object, sound, attr, file }, "a foreign object");
    rig.assert_holds(rig.store.root(), &["sda", "sdb"]);
    other.assert_holds(other.store.root(), &["sda", "sdb"]);
    assert_eq!(other.read(object, "name"), Ok("sda\n".into()));
}

/// S2-9: the list of operations is complete: every public method of the store or of a file is in it, or takes no handle.
#[test]
fn no_operation_is_left_out() {
    let without = ["new", "with_strategy", "root", "len", "is_empty", "flush", "reap", "define", "lookup"];
    // Of a file what it was opened as, of a removal how much it removed.
    let told = ["object", "attribute", "objects"];
    let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut methods = 0;
    for file in ["store", "register", "unregister", "enter", "file", "lookup"] {
        let source = fs::read_to_string(sources.join(file).with_extension("rs")).unwrap();
        for line in source.lines().filter_map(|line| line.trim().strip_prefix("pub fn ")) {
            let name = line.split(['(', '<']).next().unwrap();
            let listed = |(of, _): &Operation| of.trim_start_matches('.') == name;
            let known = OPERATIONS.iter().any(listed) || without.contains(&name);
            assert!(known || told.contains(&name), "{name} of {file}.rs");
            methods += 1;
        }
    }
    assert!(methods > OPERATIONS.len(), "the sources are elsewhere");
}
