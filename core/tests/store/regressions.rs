//! Promises that are easily broken, each with the case in which that would show.

use std::io::SeekFrom;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::mpsc;
use std::thread;

use enodev::{
    Access, AnyObject, AttrHandle, DefineError, DeviceHandle, DeviceType, Errno, Error, Group, Mode, PAGE_SIZE, Page,
    Removal, Store,
};
use parking_lot::Mutex;

use crate::common::{Disk, GONE, Rig, until};

/// E-6: who is inside an unrelated object cannot remove a tree of which another thread is removing a part: he is told EBUSY,
/// and nothing of the tree is marked or dropped. When he has left, and the part has gone, the tree can be removed.
#[test]
fn a_tree_with_a_part_that_leaves_is_removed_whole_or_not_at_all() {
    let rig = Rig::new();
    let store = &rig.store;
    let unrelated = rig.add(store.root(), "unrelated");
    let bus = rig.add(store.root(), "bus");
    let [part, beside] = ["part", "beside"].map(|name| rig.add(bus, name));
    let below = rig.add(beside, "below");
    thread::scope(|scope| {
        let shut = rig.world.gate.shut();
        scope.spawn(|| rig.read(part, "slow"));
        rig.world.gate.wait_for(1);
        let remover = scope.spawn(|| store.unregister_subtree(part));
        until(|| !store.contains(part));
        let guard = store.enter::<Disk>(unrelated).unwrap();
        assert_eq!(store.unregister_subtree(bus), Err(Error::Leaving));
        for stays in [bus, beside, below] {
            assert!(store.contains(stays));
            assert!(rig.read(stays, "name").is_ok());
        }
        rig.assert_holds(bus, &["beside"]);
        assert!(rig.dropped().is_empty());
        // A part of the tree in which nothing is leaving is no obstacle.
        assert_eq!(store.unregister_subtree(below), Ok(Removal::Done(1)));
        drop(shut);
        assert_eq!(remover.join().unwrap(), Ok(Removal::Done(1)));
        drop(guard);
    });
    assert_eq!(store.unregister_subtree(bus), Ok(Removal::Done(2)));
    assert_eq!(rig.dropped(), ["below", "part", "beside", "bus"]);
}

/// Two types whose payloads are of one Rust type are two: an attribute of one is EINVAL on an object of the other, and its code
/// does not run.
#[test]
fn an_attribute_of_another_type_with_the_same_payload_is_einval() {
    let store = Store::new().unwrap();
    let calls = Arc::new(AtomicUsize::new(0));
    let counted = || {
        let calls = Arc::clone(&calls);
        move || calls.fetch_add(1, SeqCst)
    };
    let shared = |name: &str| {
        let count = counted();
        let ty = DeviceType::shared::<u32>(name).ro("value", move |value, page| {
            count();
            page.line(*value)
        });
        let ty = store.define(ty).unwrap();
        store.register(store.root(), name, ty, 1).unwrap()
    };
    let exclusive = |name: &str| {
        let count = counted();
        let ty = DeviceType::exclusive::<u32>(name).ro("value", move |value, page| {
            count();
            page.line(*value)
        });
        let ty = store.define(ty).unwrap();
        store.register(store.root(), name, ty, 1).unwrap()
    };
    let objects = [shared("a"), shared("b"), exclusive("c"), exclusive("d")];
    let attrs = objects.map(|object| store.attribute(object, "value").unwrap());
    let mut page = Page::new();
    for (n, object) in objects.into_iter().enumerate() {
        for (m, attr) in attrs.into_iter().enumerate() {
            let answer = if n == m { Ok(()) } else { Err(Errno::EINVAL) };
            assert_eq!(store.show(object, attr, &mut page), answer, "{n}, {m}");
            assert_eq!(page.as_bytes(), if n == m { &b"1\n"[..] } else { b"" });
        }
    }
    assert_eq!(calls.load(SeqCst), objects.len());
}

/// A page that is to show what cannot be shown is empty afterwards: what stood on it is not taken for an answer.
#[test]
fn a_page_is_empty_where_nothing_was_shown() {
    let rig = Rig::new();
    let store = &rig.store;
    let [disk, gone] = ["disk", "gone"].map(|name| rig.add(store.root(), name));
    let plain = store.create(store.root(), "plain").unwrap();
    let name = store.attribute(disk, "name").unwrap();
    assert_eq!(store.unregister_subtree(gone), Ok(Removal::Done(1)));
    let shown = |show: &dyn Fn(&mut Page) -> Result<(), Errno>| {
        let mut page = Page::new();
        page.line("what stood there").unwrap();
        (show(&mut page), page.as_bytes().to_vec())
    };
    assert_eq!(shown(&|page| store.show(gone, name, page)), (Err(Errno::ENODEV), vec![]));
    assert_eq!(shown(&|page| store.show(DeviceHandle::null(), name, page)), (Err(Errno::ENODEV), vec![]));
    assert_eq!(shown(&|page| store.show(disk, AttrHandle::null(), page)), (Err(Errno::ENODEV), vec![]));
    assert_eq!(shown(&|page| store.show(plain, name, page)), (Err(Errno::EINVAL), vec![]));
    assert_eq!(shown(&|page| store.show(disk, name, page)), (Ok(()), b"disk\n".to_vec()));
}

/// S2-6: reading text whole is one show, and what it shows is the answer, although the removal began in the middle of it.
#[test]
fn text_that_was_shown_is_read_although_the_removal_has_begun() {
    for text in ["", "seven\n", &"x".repeat(PAGE_SIZE)] {
        let store = Store::new().unwrap();
        let (enters, entered) = mpsc::channel();
        let shows = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&shows);
        let ty = DeviceType::shared::<String>("type").ro("text", move |text, page| {
            if counted.fetch_add(1, SeqCst) == 1 {
                enters.send(()).map_err(|_| Errno::EIO)?;
                until(|| !text.store().contains(text.object()));
            }
            page.put_bytes(text.as_bytes())
        });
        let ty = store.define(ty).unwrap();
        let object = store.register(store.root(), "object", ty, text.to_owned()).unwrap();
        assert_eq!(store.read(object, "text"), Ok(text.into()));
        assert_eq!(shows.load(SeqCst), 1);
        thread::scope(|scope| {
            let remover = scope.spawn({
                let store = &store;
                move || {
                    entered.recv().unwrap();
                    store.unregister::<String>(object)
                }
            });
            assert_eq!(store.read(object, "text"), Ok(text.into()));
            assert_eq!(remover.join().unwrap().as_deref(), Ok(text));
        });
        assert_eq!(shows.load(SeqCst), 2);
        assert_eq!(store.read(object, "text"), Err(GONE));
    }
}

/// What a binary attribute was given: offset by offset, how many bytes.
type Pieces = Mutex<(Vec<(u64, usize)>, Vec<u8>)>;

/// A binary attribute is written whole, page by page, also one that takes less at a time than it is given, and one without a
/// bound; where it takes nothing more the answer is EIO, and what was written stays.
#[test]
fn a_binary_attribute_is_written_page_by_page() {
    fn take(pieces: &Pieces, offset: u64, data: &[u8], most: usize) -> usize {
        let count = data.len().min(most);
        let mut pieces = pieces.lock();
        pieces.0.push((offset, count));
        pieces.1.extend_from_slice(&data[..count]);
        count
    }
    const LEN: usize = 3 * PAGE_SIZE;
    let store = Store::new().unwrap();
    let ty = DeviceType::shared::<Pieces>("flash")
        .bin_wo("rom", LEN as u64, |pieces, offset, data| Ok(take(&pieces, offset, data, PAGE_SIZE)))
        .bin_wo("pipe", 0, |pieces, offset, data| Ok(take(&pieces, offset, data, 3000)))
        .bin_wo("full", 0, |pieces, offset, data| Ok(take(&pieces, offset, data, 5000 - offset as usize)));
    let ty = store.define(ty).unwrap();
    let data: Vec<u8> = (0..LEN).map(|n| (n / 7) as u8).collect();
    let written = |name: &str| {
        let object = store.register(store.root(), name, ty, Pieces::default()).unwrap();
        let answer = store.write(object, name, &data);
        let (pieces, bytes) = store.unregister::<Pieces>(object).unwrap().into_inner();
        assert_eq!(bytes[..], data[..bytes.len()]);
        (answer, bytes.len(), pieces)
    };
    assert_eq!(written("rom"), (Ok(()), LEN, vec![(0, 4096), (4096, 4096), (8192, 4096)]));
    let (answer, len, pieces) = written("pipe");
    assert_eq!((answer, len, pieces.len()), (Ok(()), LEN, LEN.div_ceil(3000)));
    let stops = vec![(0, 4096), (4096, 904), (5000, 0)];
    assert_eq!(written("full"), (Err(Errno::EIO.into()), 5000, stops));
}

/// A callback of an exclusive object moves the position of a file of that object, and reads and writes nothing through it:
/// neither needs the payload, so neither is EDEADLK. A read of something is.
#[test]
fn seeking_from_inside_an_exclusive_object_is_no_deadlock() {
    let store = Store::new().unwrap();
    let ty = DeviceType::exclusive::<u32>("counter").ro("count", |count, page| page.line(*count)).wo(
        "probe",
        |mut count, _| {
            let file = count.store().open(count.object(), "count", Access::READ).map_err(Error::errno)?;
            assert_eq!(file.seek(count.store(), SeekFrom::Start(3)), Ok(3));
            assert_eq!(file.read(count.store(), &mut []), Ok(0));
            assert_eq!(file.pread(count.store(), 0, &mut []), Ok(0));
            assert_eq!(file.seek(count.store(), SeekFrom::Current(-4)), Err(Errno::EINVAL));
            assert_eq!(file.pread(count.store(), u64::MAX, &mut [0; 8]), Err(Errno::EINVAL));
            assert_eq!(file.seek(count.store(), SeekFrom::Start(0)), Ok(0));
            assert_eq!(file.read(count.store(), &mut [0; 8]), Err(Errno::EDEADLK));
            *count += 1;
            Ok(())
        },
    );
    let ty = store.define(ty).unwrap();
    let object = store.register(store.root(), "counter", ty, 0).unwrap();
    let file = store.open(object, "count", Access::READ).unwrap();
    assert_eq!(store.write(object, "probe", b"1"), Ok(()));
    assert_eq!(store.read(object, "count").unwrap(), b"1\n");
    let guard = store.enter_mut::<u32>(object).unwrap();
    assert_eq!(file.seek(&store, SeekFrom::Start(0)), Ok(0));
    assert_eq!(file.read(&store, &mut []), Ok(0));
    let elsewhere = thread::scope(|scope| scope.spawn(|| file.seek(&store, SeekFrom::Start(1))).join().unwrap());
    assert_eq!(elsewhere, Ok(1), "nor does it wait for the one who is inside");
    drop(guard);
    assert_eq!(store.unregister::<u32>(object), Ok(1));
    assert_eq!(file.seek(&store, SeekFrom::Start(0)), Err(Errno::ENODEV));
}

/// A mode that is given before there is an attribute is an error of the definition, not a mode that is lost.
#[test]
fn a_mode_before_the_first_attribute_is_an_error() {
    let store = Store::new().unwrap();
    let ty = || DeviceType::shared::<()>("type");
    let fault = |ty| store.define(ty).err();
    let no_attribute = Some(Error::Define(DefineError::NoAttribute(Mode::RO)));
    assert_eq!(fault(ty().mode(Mode::RO)), no_attribute);
    assert_eq!(fault(ty().mode(Mode::RO).ro("good", |_, _| Ok(()))), no_attribute);
    assert_eq!(DefineError::NoAttribute(Mode::RO).errno(), Errno::EINVAL);
    assert_eq!(fault(ty().ro("good", |_, _| Ok(())).mode(Mode::RO)), None);
}

/// A group's callbacks are not asked about an object that has not got the group: to update it there is an error, and nothing runs.
#[test]
fn a_group_is_not_asked_about_what_has_not_got_it() {
    let rig = Rig::new();
    let store = &rig.store;
    let asked = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&asked);
    let group = Group::<AnyObject>::new().ro("extra", |_, page| page.line("extra")).is_shown(move |_| {
        count.fetch_add(1, SeqCst);
        true
    });
    let group = store.define_group(group).unwrap();
    let disk = rig.add(store.root(), "sda");
    assert_eq!(store.update_group(disk, group), Err(Error::NotFound));
    assert_eq!(asked.load(SeqCst), 0);
    store.add_group(disk, group).unwrap();
    assert_eq!(store.update_group(disk, group), Ok(Removal::Done(0)));
    assert_eq!(asked.load(SeqCst), 2);
}

/// F3: an attribute of another store, or none, is ENODEV to a notification too, whether anybody reads the object or not.
#[test]
fn a_foreign_attribute_cannot_be_made_known() {
    let (rig, other) = (Rig::new(), Rig::new());
    let store = &rig.store;
    let disk = rig.add(store.root(), "sda");
    let foreign = other.store.attribute(other.add(other.store.root(), "sda"), "name").unwrap();
    let own = store.attribute(disk, "name").unwrap();
    let notify = || [foreign, AttrHandle::null(), own].map(|attr| store.notify(disk, attr));
    assert_eq!(notify(), [Err(GONE), Err(GONE), Ok(())]);
    rig.read(disk, "name").unwrap();
    assert_eq!(notify(), [Err(GONE), Err(GONE), Ok(())]);
}
