//! What a driver reaches in its last callback, and drivers that go with their last device.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, OnceLock};

use enodev::{
    AnyObject, AsKobject, DeviceHandle, DeviceType, Driver, Errno, Error, KobjectHandle, Reached, Removal, Scope,
};
use parking_lot::Mutex;

use crate::chips::{Bench, Chip, Numbers};
use crate::common::GONE;

/// What `remove` has found under some names.
type Found = Vec<(KobjectHandle, Result<(bool, u32), Error>)>;

/// Looks, in `remove`, whether it reaches the objects that it is told of.
struct Reaches {
    objects: Arc<OnceLock<Vec<KobjectHandle>>>,
    found: Arc<Mutex<Found>>,
}

impl Driver for Reaches {
    type Bus = Numbers;
    type Device = AnyObject;
    type Data = ();

    fn probe(&self, _: &mut Scope<'_, AnyObject>) -> Result<(), Errno> {
        Ok(())
    }

    fn remove(&self, device: &mut Scope<'_, AnyObject>, (): ()) {
        for object in self.objects.get().unwrap() {
            let reached = device.reach::<Chip>(*object).map(|chip| (matches!(chip, Reached::Leaving(_)), chip.0));
            assert!(device.reach::<u8>(*object).is_err());
            self.found.lock().push((*object, reached));
        }
    }
}

/// F29, S3-9, S1-9: a device's `remove` reaches those above it, though they leave with it and are ENODEV for all, and whoever stays; nobody else
/// who leaves, be it a child, a sibling that comes later, or one that was above before.
#[test]
fn a_remove_reaches_those_above() {
    let bench = Bench::new();
    let (objects, found) = (Arc::new(OnceLock::new()), Arc::<Mutex<Found>>::default());
    let reaches = Reaches { objects: Arc::clone(&objects), found: Arc::clone(&found) };
    let driver = bench.store.register_driver(bench.bus, "reaches", reaches, vec![5]).unwrap();
    let text = bench.store.define(DeviceType::exclusive::<u8>("alone")).unwrap();
    let stays = bench.plug(9);
    let top = bench.plug(1);
    let dir = bench.store.create(top, "dir").unwrap();
    let parent = bench.plug_under(dir, 2);
    let siblings = [3, 5, 4].map(|id| bench.plug_under(parent, id));
    let child = bench.plug_under(siblings[1], 6);
    let alone = bench.store.register(bench.store.root(), "alone", text, 7).unwrap();
    let all = [stays, top, parent, siblings[0], siblings[2], child, alone];
    objects.set(all.iter().map(|device| device.kobject()).chain([dir]).collect()).unwrap();

    // As it is unbound all are there.
    assert_eq!(bench.store.unbind(siblings[1], driver), Ok(Removal::Done(1)));
    let told = |found: &Found, device: DeviceHandle| {
        found.iter().find(|(object, _)| *object == device.kobject()).map(|(_, reached)| *reached).unwrap()
    };
    let there = std::mem::take(&mut *found.lock());
    for (device, id) in all.into_iter().zip([9, 1, 2, 3, 4, 6]) {
        assert_eq!(told(&there, device), Ok((false, id)));
    }
    assert_eq!((told(&there, alone), there.last().unwrap().1), (Err(Error::WrongType), Err(Error::WrongType)));

    bench.store.bind(siblings[1], driver).unwrap();
    assert_eq!(bench.store.unregister_subtree(top), Ok(Removal::Done(7)));
    let left = found.lock();
    assert_eq!(told(&left, stays), Ok((false, 9)));
    assert_eq!([top, parent].map(|above| told(&left, above)), [Ok((true, 1)), Ok((true, 2))]);
    assert_eq!([siblings[0], siblings[2], child].map(|other| told(&left, other)), [Err(GONE); 3]);
    assert_eq!((told(&left, alone), left.last().unwrap().1), (Err(Error::WrongType), Err(Error::WrongType)));
}

/// A driver that notes its own end, and panics then.
struct Last(&'static str, Arc<Mutex<Vec<&'static str>>>);

impl Driver for Last {
    type Bus = Numbers;
    type Device = AnyObject;
    type Data = ();

    fn probe(&self, _: &mut Scope<'_, AnyObject>) -> Result<(), Errno> {
        Ok(())
    }
}

impl Drop for Last {
    fn drop(&mut self) {
        self.1.lock().push(self.0);
        panic!("on purpose");
    }
}

/// F38, S0-15: drivers that were to go while somebody was inside what they keep go with the last of their devices, as that is removed; where
/// they panic as they are dropped, the others go all the same, and so does everything else.
#[test]
fn drivers_go_with_the_last_of_their_devices() {
    let (bench, log) = (Bench::new(), Arc::<Mutex<Vec<_>>>::default());
    let register =
        |name, id| bench.store.register_driver(bench.bus, name, Last(name, Arc::clone(&log)), vec![id]).unwrap();
    let drivers = [register("one", 1), register("two", 2)];
    let top = bench.store.create(bench.store.root(), "top").unwrap();
    let devices = [1, 2].map(|id| bench.plug_under(top, id));
    let guards = devices.map(|device| bench.store.data::<()>(device).unwrap());
    assert_eq!(drivers.map(|driver| bench.store.unregister_driver(driver)), [Ok(Removal::Begun(1)); 2]);
    assert!(devices.iter().all(|device| bench.store.driver_of(*device).unwrap().is_some()));
    assert_eq!(bench.store.unregister_subtree(top), Ok(Removal::Begun(3)));
    assert!(log.lock().is_empty());
    assert!(catch_unwind(AssertUnwindSafe(|| drop(guards))).is_err());
    let mut log = std::mem::take(&mut *log.lock());
    log.sort_unstable();
    assert_eq!(log, ["one", "two"]);
    assert_eq!(drivers.map(|driver| bench.store.driver_name(driver)), [Err(GONE), Err(GONE)]);
    assert!(bench.store.is_empty() && bench.store.audit().is_clean(), "{:?}", bench.store.audit().findings());
}

/// F38: a driver that was to go while somebody was inside what it keeps of two devices stays until it has let go of the second.
#[test]
fn a_driver_stays_for_its_last_device() {
    let bench = Bench::new();
    let driver = bench.driver(bench.logger("all"), &[1, 2, 3]);
    let devices = [1, 2, 3].map(|id| bench.plug(id));
    let [one, two] = [0, 1].map(|n| bench.store.data::<String>(devices[n]).unwrap());
    assert_eq!(bench.store.unregister_driver(driver), Ok(Removal::Begun(3)));
    drop(one);
    assert_eq!((bench.log().len(), &*bench.store.driver_name(driver).unwrap()), (5, "all"));
    assert_eq!((&*two, Arc::strong_count(&bench.log)), (&"all".to_owned(), 2));
    drop(two);
    assert_eq!((bench.log(), Arc::strong_count(&bench.log)), (vec!["all remove 2".into()], 1));
    assert_eq!(bench.store.driver_name(driver).err(), Some(GONE));
}

/// F32, E-35: a driver serves the devices of its own bus, though another has the same code.
#[test]
fn a_driver_serves_its_own_bus() {
    let bench = Bench::new();
    let twin = bench.store.register_bus("twin", Numbers).unwrap();
    let log = Arc::clone(&bench.log);
    let driver = bench.store.register_driver(twin, "twin", crate::chips::Logger::new("twin", &log), vec![1]).unwrap();
    let device = bench.plug(1);
    assert_eq!((bench.store.driver_of(device), bench.store.bind(device, driver)), (Ok(None), Err(Error::NoMatch)));
    assert_eq!(bench.log(), [""; 0]);
}
