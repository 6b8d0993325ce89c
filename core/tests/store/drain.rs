//! A removal waits for those inside, and for nobody else.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::thread;

use enodev::{Access, AsKobject, DeviceType, Errno, Error, Removal, Strategy};

use crate::common::{Disk, GONE, Rig, linger, until};

/// S0-3, S2-4, S2-6, S3-4, T32: a write that is inside when the unplug begins succeeds, and the unplug waits for it; who
/// comes in between is refused at once; when the unplug returns, nobody is inside.
#[test]
fn a_write_that_is_inside_succeeds_and_the_removal_waits_for_it() {
    let rig = Rig::new();
    let store = &rig.store;
    let disk = rig.add(store.root(), "sda");
    let (file, second) = (rig.open(disk, "slow"), rig.open(disk, "slow"));
    thread::scope(|scope| {
        let shut = rig.world.gate.shut();
        let writer = scope.spawn(|| file.write(store, b"last words"));
        rig.world.gate.wait_for(1);
        let remover = scope.spawn(|| store.unregister::<Disk>(disk));
        until(|| !store.contains(disk));
        assert_eq!(second.read(store, &mut [0; 8]), Err(Errno::ENODEV));
        assert_eq!(second.write(store, b"too late"), Err(Errno::ENODEV));
        assert_eq!(store.lookup("/sda"), Err(Error::NotFound));
        linger();
        assert!(!remover.is_finished() && rig.dropped().is_empty());
        drop(shut);
        assert_eq!(writer.join().unwrap(), Ok(10));
        let payload = remover.join().unwrap().unwrap();
        assert_eq!(payload.inside(), 0);
        assert_eq!(*payload.text.lock(), b"last words");
    });
    assert_eq!(rig.dropped(), ["sda"]);
}

/// S0-6, T43: requests that come by another way than attributes are refused and drained in the same manner: who is inside
/// keeps seeing the payload, who comes later does not, and the removal waits.
#[test]
fn a_guard_is_drained_as_a_callback_is() {
    let rig = Rig::new();
    let store = &rig.store;
    let disk = rig.add(store.root(), "sda");
    thread::scope(|scope| {
        let shut = rig.world.gate.shut();
        let consumer = scope.spawn(|| {
            let guard = store.enter::<Disk>(disk).unwrap();
            let _visit = guard.visit();
            rig.world.gate.pass();
            (guard.name.clone(), rig.dropped().len())
        });
        rig.world.gate.wait_for(1);
        let remover = scope.spawn(|| store.unregister_subtree(disk));
        until(|| !store.contains(disk));
        assert_eq!(store.enter::<Disk>(disk).err(), Some(GONE));
        linger();
        assert!(!remover.is_finished());
        drop(shut);
        assert_eq!(consumer.join().unwrap(), ("sda".into(), 0));
        assert_eq!(remover.join().unwrap(), Ok(Removal::Done(1)));
    });
    assert_eq!(rig.dropped(), ["sda"]);
}

/// T103: threads that share one handle and one open file are inside each by itself: one that leaves takes nobody else's
/// place away, and the removal waits for the last.
#[test]
fn the_removal_waits_for_the_last_of_those_inside() {
    let rig = Rig::new();
    let store = &rig.store;
    let disk = rig.add(store.root(), "sda");
    thread::scope(|scope| {
        let shut = rig.world.gate.shut();
        for _ in 0..3 {
            scope.spawn(|| rig.read(disk, "slow"));
        }
        rig.world.gate.wait_for(3);
        // Others come and go meanwhile, by handle and through one file.
        let file = store.open(disk, "name", Access::READ).unwrap();
        for _ in 0..20 {
            assert_eq!(file.pread(store, 0, &mut [0; 8]), Ok(4));
            drop(store.enter::<Disk>(disk).unwrap());
        }
        let remover = scope.spawn(|| store.unregister::<Disk>(disk).unwrap().inside());
        until(|| !store.contains(disk));
        linger();
        assert!(!remover.is_finished());
        drop(shut);
        assert_eq!(remover.join().unwrap(), 0);
    });
}

/// S0-1, S0-2, S2-3, S3-8, E-1: open files, however many, neither keep the payload alive nor delay the removal; they stay
/// what they are, and the payload was the last thing to hold the driver's resources.
#[test]
fn open_files_keep_nothing_alive() {
    let rig = Rig::new();
    let store = &rig.store;
    let resource = Arc::new(7);
    let ty = DeviceType::shared::<Arc<i32>>("card").ro("value", |card, page| page.line(**card));
    let ty = store.define(ty).unwrap();
    let card = store.register(store.root(), "card0", ty, Arc::clone(&resource)).unwrap();
    let files: Vec<_> = (0..100).map(|_| store.open(card, "value", Access::READ).unwrap()).collect();
    assert!(files.iter().all(|file| file.read(store, &mut [0; 1]) == Ok(1)));
    // By this very thread, which would wait for itself if a file was a reference.
    assert_eq!(store.unregister_subtree(card), Ok(Removal::Done(1)));
    assert_eq!(Arc::try_unwrap(resource), Ok(7));
    for file in files {
        assert_eq!(file.object(), card.kobject());
        assert_eq!(file.read(store, &mut [0; 1]), Err(Errno::ENODEV));
    }
}

/// A card's registers. They are switched off as soon as the driver has unregistered.
#[derive(Default)]
struct Registers {
    off: AtomicBool,
    touched_when_off: AtomicUsize,
}

impl Registers {
    fn touch(&self) {
        for _ in 0..3 {
            self.touched_when_off.fetch_add(usize::from(self.off.load(SeqCst)), SeqCst);
            thread::yield_now();
        }
    }
}

/// S0-4, S0-5, S2-7: a driver that allocates, registers, unregisters and frees, without a line about lifetimes, is never
/// called after it has freed, however busy its attributes are by path, by handle and through files.
#[test]
fn what_a_driver_frees_after_unregistering_is_never_touched_again() {
    let rig = Rig::with_strategy(Strategy::Auto);
    let store = &rig.store;
    let ty = DeviceType::shared::<Arc<Registers>>("card").ro("status", |card, page| {
        card.touch();
        page.line("on")
    });
    let ty = store.define(ty).unwrap();
    let (done, touches) = (AtomicBool::new(false), AtomicUsize::new(0));
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while !done.load(SeqCst) {
                    // The one who unplugs gets its turn.
                    thread::yield_now();
                    let Ok(card) = store.lookup("/card0") else { continue };
                    let Ok(file) = store.open(card, "status", Access::READ) else { continue };
                    while file.pread(store, 0, &mut [0; 8]).is_ok() && store.read(card, "status").is_ok() {
                        touches.fetch_add(1, SeqCst);
                    }
                }
            });
        }
        for _ in 0..50 {
            let registers = Arc::new(Registers::default());
            let card = store.register(store.root(), "card0", ty, Arc::clone(&registers)).unwrap();
            let before = touches.load(SeqCst);
            until(|| touches.load(SeqCst) > before);
            drop(store.unregister::<Arc<Registers>>(card).unwrap());
            registers.off.store(true, SeqCst);
            assert_eq!(Arc::strong_count(&registers), 1);
            (0..5).for_each(|_| thread::yield_now());
            assert_eq!(registers.touched_when_off.load(SeqCst), 0);
        }
        done.store(true, SeqCst);
    });
}

/// E-5, D-1: a removal that waits holds no lock: beside it, also in the same directory, objects come, go, are linked, listed
/// and found.
#[test]
fn nothing_waits_for_a_removal_that_waits() {
    let rig = Rig::new();
    let store = &rig.store;
    let bus = rig.add(store.root(), "bus");
    let [stuck, beside] = ["stuck", "beside"].map(|name| rig.add(bus, name));
    thread::scope(|scope| {
        let shut = rig.world.gate.shut();
        scope.spawn(|| rig.read(stuck, "slow"));
        rig.world.gate.wait_for(1);
        let remover = scope.spawn(|| store.unregister_subtree(stuck));
        until(|| !store.contains(stuck));
        for _ in 0..50 {
            let new = rig.add(bus, "new");
            store.link(new, "peer", beside).unwrap();
            rig.assert_holds(bus, &["beside", "new"]);
            assert_eq!(store.lookup("/bus/new/peer"), Ok(beside.kobject()));
            assert_eq!(rig.read(beside, "name"), Ok("beside\n".into()));
            store.unlink(new, "peer").unwrap();
            drop(store.unregister::<Disk>(new).unwrap());
        }
        assert!(!remover.is_finished());
        drop(shut);
        assert_eq!(remover.join().unwrap(), Ok(Removal::Done(1)));
    });
    rig.assert_holds(bus, &["beside"]);
}

/// One thread is inside many objects at once and leaves them in any order; each can be removed as soon as it has left that
/// one, and not before.
#[test]
fn guards_are_dropped_in_any_order() {
    let rig = Rig::new();
    let store = &rig.store;
    let disks: Vec<_> = (0..20).map(|n| rig.add(store.root(), &format!("sd{n}"))).collect();
    let enter = |disk: &_| Some(store.enter::<Disk>(*disk).unwrap());
    let mut guards: Vec<_> = disks.iter().map(enter).collect();
    let again = enter(&disks[3]);
    for n in (0..20).map(|n| n * 7 % 20) {
        assert_eq!(store.unregister::<Disk>(disks[n]).err(), Some(Error::Inside));
        assert_eq!(guards[n].take().unwrap().name, format!("sd{n}"));
        if n != 3 {
            let disk = disks[n];
            thread::scope(|scope| scope.spawn(move || store.unregister_subtree(disk)).join()).unwrap().unwrap();
        }
    }
    assert_eq!(store.unregister::<Disk>(disks[3]).err(), Some(Error::Inside));
    drop(again);
    drop(store.unregister::<Disk>(disks[3]).unwrap());
    assert_eq!(rig.dropped().len(), 20);
}
