//! Attributes that change, come and go while somebody reads them or waits for them.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize as Unmodelled, Ordering};

use enodev::{Access, Attribute, DeviceType, Error, Event, Removal};
use enodev_handles::sync::{Mutex, thread};

use crate::check;
use crate::common::{Disk, GONE, Rig};

/// T99: the driver's name is read while it is taken away, as after a probe that failed: the reader sees the name or none, and when it
/// has been taken away nobody is in its callback or comes into it.
#[test]
fn who_reads_what_is_taken_away_sees_it_or_nothing() {
    check(|| {
        let rig = Rig::new();
        let inside = Arc::new(Unmodelled::new(0));
        let show = {
            let inside = Arc::clone(&inside);
            Attribute::ro("driver", move |_, page| {
                inside.fetch_add(1, Ordering::Relaxed);
                thread::yield_now();
                inside.fetch_sub(1, Ordering::Relaxed);
                page.line("sd")
            })
        };
        let driver = rig.store.define_attribute::<enodev::AnyObject>(show).unwrap();
        let (disk, _) = rig.plug(rig.store.root(), "sda");
        rig.store.add_attribute(disk, driver).unwrap();
        let readers = [0; 2].map(|_| {
            rig.spawn(move |rig| match rig.store.read(disk, "driver") {
                Ok(text) => assert_eq!(text, b"sd\n"),
                Err(error) => assert!([Error::NotFound, GONE].contains(&error), "{error}"),
            })
        });
        assert_eq!(rig.store.remove_attribute(disk, driver), Ok(Removal::Done(1)));
        assert_eq!(inside.load(Ordering::Relaxed), 0, "somebody is inside");
        assert_eq!(rig.store.read(disk, "driver"), Err(Error::NotFound));
        readers.into_iter().for_each(|reader| reader.join().unwrap());
        // And for the next driver.
        rig.store.add_attribute(disk, driver).unwrap();
        assert_eq!(rig.store.read(disk, "driver").as_deref(), Ok(&b"sd\n"[..]));
    });
}

/// T99, S2-1: a file of an attribute that is taken away, put back, and read meanwhile: it answers as long as the attribute is shown
/// without a break, and never after one.
#[test]
fn a_file_is_good_until_the_first_break() {
    check(|| {
        let rig = Rig::of(DeviceType::shared::<Disk>("disk").ro("name", |disk, page| {
            disk.visit();
            page.line("sda")
        }));
        let (disk, _) = rig.plug(rig.store.root(), "sda");
        let name = rig.store.attribute(disk, "name").unwrap();
        let file = rig.store.open(disk, "name", Access::READ).unwrap();
        let reader = rig.spawn(move |rig| {
            let mut was_gone = false;
            for _ in 0..2 {
                let mut text = [0; 8];
                let is_there = match file.pread(&rig.store, 0, &mut text) {
                    Ok(length) => {
                        assert_eq!(&text[..length], b"sda\n");
                        true
                    }
                    Err(error) => {
                        assert_eq!(Error::from(error), GONE);
                        false
                    }
                };
                assert!(!was_gone || !is_there, "back again");
                was_gone = !is_there;
            }
            file
        });
        assert_eq!(rig.store.hide_attribute(disk, name), Ok(Removal::Done(1)));
        rig.store.show_attribute(disk, name).unwrap();
        let file = reader.join().unwrap();
        assert_eq!(file.read(&rig.store, &mut [0; 8]).map_err(Error::from), Err(GONE));
        assert!(rig.store.read(disk, "name").is_ok());
    });
}

/// T106: who waits for changes of an attribute is woken by a change, and by the end of the object: none is slept over, and the last thing
/// it is told is the end.
#[test]
fn no_change_and_no_end_is_slept_over() {
    check(|| {
        let text = Arc::new(Mutex::new(0));
        let shown = Arc::clone(&text);
        let rig = Rig::of(DeviceType::shared::<Disk>("disk").ro("media", move |disk, page| {
            disk.visit();
            page.int(*shown.lock())
        }));
        let (disk, _) = rig.plug(rig.store.root(), "sr0");
        let media = rig.store.attribute(disk, "media").unwrap();
        let file = rig.store.open(disk, "media", Access::READ).unwrap();
        let waiter = rig.spawn(move |rig| {
            let mut last = Vec::new();
            while let Some(Event::Changed) = file.wait(&rig.store, None) {
                let mut now = [0; 8];
                match file.pread(&rig.store, 0, &mut now) {
                    Ok(length) => last = now[..length].to_vec(),
                    Err(error) => assert_eq!(Error::from(error), GONE),
                }
            }
            assert_eq!(file.poll(&rig.store), Some(Event::Gone));
            last
        });
        let changer = rig.spawn(move |rig| {
            *text.lock() = 1;
            rig.store.notify(disk, media)
        });
        changer.join().unwrap().unwrap();
        let (next, _) = rig.plug(rig.store.root(), "sr1");
        rig.store.unregister_subtree(disk).unwrap();
        let last = waiter.join().unwrap();
        assert!(last.is_empty() || last.starts_with(b"0") || last.starts_with(b"1"));
        assert!(rig.visit(next));
    });
}

/// T99: a plain value is stored while it is read, and its object goes: one of the values, or gone.
#[test]
fn a_plain_value_is_one_of_those_that_were_stored() {
    check(|| {
        let rig = Rig::of(DeviceType::shared::<Disk>("disk").plain("dpi", 800_u32));
        let (mouse, _) = rig.plug(rig.store.root(), "mouse");
        let dpi = rig.store.plain::<u32>(rig.disk, "dpi").unwrap();
        let reader = rig.spawn({
            let dpi = dpi.clone();
            move |rig| match dpi.load(&rig.store, mouse) {
                Ok(value) => assert!([800, 1600].contains(&value)),
                Err(error) => assert_eq!(error, GONE),
            }
        });
        let writer = rig.spawn({
            let dpi = dpi.clone();
            move |rig| match dpi.store(&rig.store, mouse, 1600) {
                Ok(()) => {}
                Err(error) => assert_eq!(error, GONE),
            }
        });
        rig.store.unregister_subtree(mouse).unwrap();
        [reader, writer].into_iter().for_each(|thread| thread.join().unwrap());
        let (next, _) = rig.plug(rig.store.root(), "mouse");
        assert_eq!(dpi.load(&rig.store, next), Ok(800));
    });
}
