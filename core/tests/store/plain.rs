//! Attributes whose values the store keeps: of every type, as values and as text.

use std::fmt::Debug;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::thread;

use enodev::{
    Access, AsKobject, DeviceHandle, DeviceType, Errno, Error, Exclusive, KobjectHandle, Mode, PlainAttr, Removal,
    Shared, Store, Type, Value, Visibility, choices,
};

use parking_lot::Mutex;

use crate::common::{GONE, Gate, until};

choices! {
    /// How the device is used.
    #[derive(PartialOrd, Ord)]
    pub(crate) enum Control {
        /// It decides.
        Auto = "auto",
        On = "on",
        Off = "off",
    }
}

const EINVAL: Error = Error::Errno(Errno::EINVAL);

/// A store with one type of device, whose one plain attribute is `value`, and a device of it.
fn rig<T: Value + Send + Sync>(initial: T) -> (Store, Type<Shared<u8>>, PlainAttr<T>, DeviceHandle) {
    let store = Store::new().unwrap();
    let ty = store.define(DeviceType::shared::<u8>("plain").plain("value", initial)).unwrap();
    let attr = store.plain(ty, "value").unwrap();
    let device = store.register(store.root(), "device", ty, 0).unwrap();
    (store, ty, attr, device)
}

/// Begins with `initial`; each of the others is set as a value and read as text, and the other way round.
#[track_caller]
fn there_and_back<T: Value + Send + Sync + PartialEq + Debug>(
    initial: T,
    others: &[(T, &str)],
    junk: &[(&str, Errno)],
) {
    let (store, _, attr, device) = rig(initial);
    assert_eq!(attr.load(&store, device), Ok(initial));
    for (value, text) in others {
        attr.store(&store, device, *value).unwrap();
        assert_eq!(store.read(device, "value").unwrap(), format!("{text}\n").as_bytes());
        attr.store(&store, device, initial).unwrap();
        assert_eq!(attr.load(&store, device), Ok(initial));
        store.write(device, "value", format!("{text}\n").as_bytes()).unwrap();
        assert_eq!(attr.load(&store, device), Ok(*value));
        for (junk, errno) in junk {
            assert_eq!(store.write(device, "value", junk.as_bytes()), Err(Error::Errno(*errno)), "{junk:?}");
            assert_eq!(attr.load(&store, device), Ok(*value));
        }
    }
}

/// Every type of value goes in and out, typed and as text, the extremes included; text that is none leaves the value as it is.
#[test]
fn every_type_of_value_goes_in_and_out() {
    const JUNK: [(&str, Errno); 2] = [("\n", Errno::EINVAL), ("junk", Errno::EINVAL)];
    macro_rules! integers {
        ($($integer:ty)+) => {$(
            let (min, max) = (<$integer>::MIN, <$integer>::MAX);
            let (least, most) = (min.to_string(), max.to_string());
            there_and_back(7, &[(min, &least), (max, &most), (0, "0")], &[JUNK[0], JUNK[1], (&format!("{most}0"), Errno::ERANGE)]);
        )+};
    }
    integers! { u8 i8 u16 i16 u32 i32 u64 i64 u128 i128 usize isize }
    there_and_back(false, &[(true, "1"), (false, "0")], &[("\n", Errno::EINVAL), ("2", Errno::EINVAL)]);
    there_and_back('a', &[('\u{10ffff}', "\u{10ffff}"), ('\0', "\0")], &[("\n", Errno::EINVAL), ("ab", Errno::EINVAL)]);
    there_and_back(Control::Auto, &[(Control::On, "on"), (Control::Off, "off"), (Control::Auto, "auto")], &JUNK);
    there_and_back([1_u8, 2, 3], &[([0, 255, 7], "0 255 7")], &[("1 2", Errno::EINVAL), ("1 2 256", Errno::ERANGE)]);
    // Larger than a word, and of no whole number of words.
    there_and_back([i64::MIN, 0, i64::MAX], &[([1, -2, 3], "1 -2 3")], &JUNK);
    there_and_back([7_u8; 13], &[([200; 13], "200 200 200 200 200 200 200 200 200 200 200 200 200")], &JUNK);
    there_and_back([0_u128; 2], &[([u128::MAX, 1], "340282366920938463463374607431768211455 1")], &JUNK);
    there_and_back([0_i32; 0], &[([], "")], &[("1", Errno::EINVAL)]);
}

/// Text is read and written as the mode allows, RW unless another is given; as a value it is set all the same. Each object has its
/// own value, and so has each attribute.
#[test]
fn modes_count_for_text_and_values_are_each_objects_own() {
    let store = Store::new().unwrap();
    let ty = DeviceType::shared::<()>("type")
        .ro("before", |_, page| page.int(0))
        .plain("ro", 1_u16)
        .mode(Mode::RO)
        .plain("rw", [2_u64; 2])
        .wo("after", |_, _| Ok(()))
        .plain("wo", Control::Off)
        .mode(Mode::WO);
    let ty = store.define(ty).unwrap();
    let [a, b] = ["a", "b"].map(|name| store.register(store.root(), name, ty, ()).unwrap());
    let (ro, rw) = (store.plain::<u16>(ty, "ro").unwrap(), store.plain::<[u64; 2]>(ty, "rw").unwrap());
    let wo = store.plain::<Control>(ty, "wo").unwrap();
    let opens = |name, access| store.open(a, name, access).map(drop).map_err(Error::errno);
    let (read, write) = (Access::READ, Access::WRITE);
    assert_eq!((opens("ro", read), opens("ro", write)), (Ok(()), Err(Errno::EACCES)));
    assert_eq!((opens("rw", read | write), opens("rw", write)), (Ok(()), Ok(())));
    assert_eq!((opens("wo", read), opens("wo", write)), (Err(Errno::EACCES), Ok(())));
    ro.store(&store, a, 9).unwrap();
    wo.store(&store, a, Control::On).unwrap();
    store.write(a, "rw", b"5 6").unwrap();
    assert_eq!(store.read(a, "ro").unwrap(), b"9\n");
    let values = |object| (ro.load(&store, object), rw.load(&store, object), wo.load(&store, object));
    assert_eq!(values(a), (Ok(9), Ok([5, 6]), Ok(Control::On)));
    assert_eq!(values(b), (Ok(1), Ok([2, 2]), Ok(Control::Off)));
    assert_eq!(store.attribute(a, "ro"), Ok(ro.handle()));
    let again = ro.clone();
    again.store(&store, b, 3).unwrap();
    assert_eq!((ro.load(&store, b), format!("{ro:?}")), (Ok(3), format!("PlainAttr({:?})", ro.handle())));
    // Nobody is told of a value that is set, unless somebody tells.
    let file = store.open(a, "ro", read).unwrap();
    file.pread(&store, 0, &mut [0; 8]).unwrap();
    ro.store(&store, a, 4).unwrap();
    assert_eq!(file.poll(&store), None);
    store.notify(a, ro.handle()).unwrap();
    assert_eq!(file.poll(&store), Some(enodev::Event::Changed));
}

/// Found by its name, in the type, with its own type of value.
#[test]
fn an_attribute_is_found_with_its_own_type_of_value() {
    let (store, ty, _, _) = rig(5_u32);
    assert_eq!(store.plain::<u32>(ty, "none").err(), Some(Error::NotFound));
    assert_eq!(store.plain::<i32>(ty, "value").err(), Some(Error::WrongType));
    assert_eq!(store.plain::<u64>(ty, "value").err(), Some(Error::WrongType));
    let text = store.define(DeviceType::shared::<()>("text").ro("value", |_, page| page.int(1))).unwrap();
    assert_eq!(store.plain::<u32>(text, "value").err(), Some(Error::WrongType));
    let (other, other_type, _, _) = rig(5_u32);
    assert_eq!(store.plain::<u32>(other_type, "value").err(), Some(GONE));
    drop(other);
    let twice = DeviceType::shared::<()>("twice").plain("value", 1_u8).plain("value", 2_u8);
    assert_eq!(store.define(twice).err(), Some(Error::Exists));
    assert_eq!(store.define(DeviceType::shared::<()>("bad").plain("a/b", 1_u8)).unwrap_err().errno(), Errno::EINVAL);
}

/// An object of another type is EINVAL, and nothing is set there. One that has left is ENODEV, whoever has its slot now, and that one
/// begins anew; so are another store's, with either store.
#[test]
fn of_what_is_not_there_there_is_no_value() {
    let (store, ty, attr, device) = rig(5_u32);
    let (other, _, other_attr, _) = rig(6_u32);
    // It has the same place in its store.
    let foreign = other.lookup("device").unwrap();
    let other_ty = store.define(DeviceType::shared::<u8>("other").plain("value", 8_u32)).unwrap();
    let of_other = store.register(store.root(), "other", other_ty, 0).unwrap();
    let attr_of_other = store.plain::<u32>(other_ty, "value").unwrap();
    attr_of_other.store(&store, of_other, 9).unwrap();
    let plain = store.create(store.root(), "plain").unwrap();
    attr.store(&store, device, 1).unwrap();
    for object in [of_other.kobject(), plain, store.root()] {
        assert_eq!((attr.load(&store, object), attr.store(&store, object, 2)), (Err(EINVAL), Err(EINVAL)));
        assert_eq!(attr.load(&store, object), Err(EINVAL));
    }
    other_attr.store(&other, foreign, 7).unwrap();
    for object in [foreign, KobjectHandle::null()] {
        assert_eq!((attr.load(&store, object), attr.store(&store, object, 2)), (Err(GONE), Err(GONE)));
    }
    for (store, object) in [(&other, device.kobject()), (&other, foreign), (&store, foreign)] {
        assert_eq!((attr.load(store, object), attr.store(store, object, 2)), (Err(GONE), Err(GONE)));
    }
    assert_eq!((attr.load(&store, device), other_attr.load(&other, foreign)), (Ok(1), Ok(7)));
    assert_eq!(attr_of_other.load(&store, of_other), Ok(9));

    store.unregister::<u8>(device).unwrap();
    store.flush();
    let next = store.register(store.root(), "next", ty, 0).unwrap();
    // The same slot, or else this shows nothing.
    let slot = |object: &dyn Debug| format!("{object:?}").split('v').next().map(str::to_owned);
    assert_eq!(slot(&next), slot(&device));
    let gone = || (attr.load(&store, device), attr.store(&store, device, 2));
    assert_eq!((gone(), attr.load(&store, next)), ((Err(GONE), Err(GONE)), Ok(5)));
    attr.store(&store, next, 3).unwrap();
    assert_eq!((gone(), attr.load(&store, next)), ((Err(GONE), Err(GONE)), Ok(3)));
    drop(store);
    assert_eq!(attr.load(&other, next), Err(GONE));
}

/// Hidden on one object, by hand or by the type, there is no value there, and there is everywhere else. Shown again, the value is what
/// it was.
#[test]
fn a_value_outlasts_that_it_is_hidden() {
    for by_type in [false, true] {
        let store = Store::new().unwrap();
        let ty = DeviceType::shared::<AtomicBool>("type").plain("value", 5_u32);
        let decide = |shown: &AtomicBool| if shown.load(SeqCst) { Visibility::AsDefined } else { Visibility::Hidden };
        let ty = if by_type { ty.is_visible(move |shown, _| decide(&shown)) } else { ty };
        let ty = store.define(ty).unwrap();
        let attr = store.plain::<u32>(ty, "value").unwrap();
        let [a, b] = ["a", "b"].map(|name| store.register(store.root(), name, ty, AtomicBool::new(true)).unwrap());
        attr.store(&store, a, 1).unwrap();
        assert_eq!((attr.load(&store, a), attr.load(&store, b)), (Ok(1), Ok(5)));
        let group = store.groups(a).unwrap()[0];
        let show = |is_shown: bool| {
            if by_type {
                store.enter::<AtomicBool>(a).unwrap().store(is_shown, SeqCst);
                store.update_group(a, group).map(drop)
            } else if is_shown {
                store.show_attribute(a, attr.handle())
            } else {
                store.hide_attribute(a, attr.handle()).map(drop)
            }
        };
        for _ in 0..2 {
            show(false).unwrap();
            assert_eq!((attr.load(&store, a), attr.store(&store, a, 2)), (Err(GONE), Err(GONE)));
            assert_eq!(store.read(a, "value"), Err(Error::NotFound));
            assert_eq!((attr.store(&store, b, 6), attr.load(&store, b)), (Ok(()), Ok(6)));
            show(true).unwrap();
            assert_eq!((attr.load(&store, a), attr.store(&store, a, 1)), (Ok(1), Ok(())));
        }
        if by_type {
            // Hidden from the start.
            let hidden = store.register(store.root(), "hidden", ty, AtomicBool::new(false)).unwrap();
            assert_eq!(attr.load(&store, hidden), Err(GONE));
        }
        // Also one that is known to the type alone is not found on the other.
        store.unregister_subtree(a).unwrap();
        assert_eq!((attr.load(&store, a), attr.load(&store, b)), (Err(GONE), Ok(6)));
    }
}

/// Exclusive payloads need not be entered for a value: neither a guard nor another thread's is in the way.
#[test]
fn a_value_of_an_exclusive_object_needs_no_lock() {
    let store = Store::new().unwrap();
    let ty: Type<Exclusive<u8>> = store.define(DeviceType::exclusive::<u8>("type").plain("value", 5_u32)).unwrap();
    let attr = store.plain::<u32>(ty, "value").unwrap();
    let device = store.register(store.root(), "device", ty, 0).unwrap();
    let inside = store.enter_mut::<u8>(device).unwrap();
    assert_eq!((attr.load(&store, device), attr.store(&store, device, 6)), (Ok(5), Ok(())));
    assert_eq!(store.read(device, "value"), Err(Errno::EDEADLK.into()));
    thread::scope(|scope| {
        scope.spawn(|| assert_eq!((attr.load(&store, device), attr.store(&store, device, 7)), (Ok(6), Ok(()))));
    });
    drop(inside);
    assert_eq!(store.read(device, "value").unwrap(), b"7\n");
}

/// A value is read while its object leaves or not at all, and no removal waits for that: one that waits for somebody else, who is
/// inside, makes the value ENODEV at once.
#[test]
fn a_removal_does_not_wait_for_who_reads_a_value() {
    let store = Store::new().unwrap();
    let gate: &'static Gate = Box::leak(Box::default());
    let ty = DeviceType::shared::<()>("type").plain("value", 5_u32).ro("slow", |_, _| {
        gate.pass();
        Ok(())
    });
    let ty = store.define(ty).unwrap();
    let attr = store.plain::<u32>(ty, "value").unwrap();
    let device = store.register(store.root(), "device", ty, ()).unwrap();
    thread::scope(|scope| {
        let shut = gate.shut();
        scope.spawn(|| store.read(device, "slow").ok());
        gate.wait_for(1);
        assert_eq!((attr.load(&store, device), attr.load(&store, device)), (Ok(5), Ok(5)));
        let remover = scope.spawn(|| store.unregister_subtree(device));
        until(|| !store.contains(device));
        assert_eq!((attr.load(&store, device), attr.store(&store, device, 6)), (Err(GONE), Err(GONE)));
        assert!(!remover.is_finished());
        drop(shut);
        assert_eq!(remover.join().unwrap(), Ok(Removal::Done(1)));
    });
}

/// Arrays are whole, whoever sets them meanwhile, as values or as text, and whether they are read the short way, the long way, or as
/// text. The last one set is there in the end.
#[test]
fn a_value_is_never_torn_nor_lost() {
    const ROUNDS: u64 = 2_000;
    for is_hidden_somewhere in [false, true] {
        let (store, ty, attr, device) = rig([0_u64; 5]);
        if is_hidden_somewhere {
            let other = store.register(store.root(), "other", ty, 0).unwrap();
            store.hide_attribute(other, attr.handle()).unwrap();
        }
        let is_whole = |value: [u64; 5]| assert!(value.iter().all(|word| *word == value[0]), "{value:?}");
        let is_over = AtomicBool::new(false);
        thread::scope(|scope| {
            let readers = [false, true].map(|as_text| {
                let (store, attr, is_over) = (&store, &attr, &is_over);
                scope.spawn(move || {
                    while !is_over.load(SeqCst) {
                        let value = if as_text {
                            <[u64; 5]>::parse(&store.read(device, "value").unwrap()).unwrap()
                        } else {
                            attr.load(store, device).unwrap()
                        };
                        is_whole(value);
                    }
                })
            });
            let mut value = 0;
            for round in 1..=ROUNDS {
                value = round << 32 | round;
                if round % 4 == 0 {
                    store.write(device, "value", vec![value.to_string(); 5].join(" ").as_bytes()).unwrap();
                } else {
                    attr.store(&store, device, [value; 5]).unwrap();
                }
                assert_eq!(attr.load(&store, device), Ok([value; 5]), "what one has set one finds");
            }
            is_over.store(true, SeqCst);
            readers.into_iter().for_each(|reader| reader.join().unwrap());
            assert_eq!(attr.load(&store, device), Ok([value; 5]));
        });
    }
}

/// Of an object that has not been asked yet, the first reader does not take the first writer's value away.
#[test]
fn the_first_to_ask_changes_nothing() {
    let (store, ty, attr, _) = rig(0_u64);
    for round in 1..400 {
        let device = store.register(store.root(), "new", ty, 0).unwrap();
        let start = std::sync::Barrier::new(2);
        thread::scope(|scope| {
            scope.spawn(|| {
                start.wait();
                let value = attr.load(&store, device).unwrap();
                assert!(value == 0 || value == round, "{value}");
            });
            start.wait();
            attr.store(&store, device, round).unwrap();
        });
        assert_eq!(attr.load(&store, device), Ok(round));
        store.unregister::<u8>(device).unwrap();
    }
}

/// Objects that come and go in the same slots never show another's value, to those who hold old handles and to those who hold new ones.
#[test]
fn a_value_is_never_anothers() {
    let (store, ty, attr, _) = rig([0_u64; 3]);
    let current = Mutex::new(None::<(DeviceHandle, u64)>);
    let is_over = AtomicBool::new(false);
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while !is_over.load(SeqCst) {
                    let Some((device, number)) = *current.lock() else { continue };
                    match attr.load(&store, device) {
                        Ok(value) => assert!(value == [number; 3] || value == [0; 3], "{value:?} of {number}"),
                        Err(error) => assert_eq!(error, GONE),
                    }
                }
            });
        }
        for number in 1..2_000 {
            let device = store.register(store.root(), "passing", ty, 0).unwrap();
            *current.lock() = Some((device, number));
            attr.store(&store, device, [number; 3]).unwrap();
            assert_eq!(attr.load(&store, device), Ok([number; 3]));
            store.unregister::<u8>(device).unwrap();
        }
        is_over.store(true, SeqCst);
    });
}
