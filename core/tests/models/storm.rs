//! Everything at once, drawn by lot: the tree is whole at the end, and each payload goes once.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize as Unmodelled, Ordering};

use enodev::{DeviceHandle, DriverHandle, Errno, Error, Removal};
use enodev_handles::sync::Mutex;
use shuttle::rand::{Rng, thread_rng};

use crate::check;
use crate::common::{Disk, GONE, Rig, Witness};
use crate::driver::{Code, Device};

const THREADS: usize = 3;
const STEPS: usize = 6;
const NAMES: [&str; 4] = ["a", "b", "c", "d"];

/// The objects that there are, or were, and all witnesses.
#[derive(Default)]
struct Known {
    objects: Mutex<Vec<DeviceHandle>>,
    witnesses: Mutex<Vec<Arc<Witness>>>,
}

impl Known {
    fn any(&self) -> DeviceHandle {
        let objects = self.objects.lock();
        objects[thread_rng().gen_range(0..objects.len())]
    }

    fn plug(&self, rig: &Rig) {
        let (plugged, witness) = rig.try_plug(self.any(), any_name());
        self.witnesses.lock().push(witness);
        match plugged {
            Ok(object) => self.objects.lock().push(object),
            Err(error) => assert!([GONE, Error::Exists].contains(&error), "{error}"),
        }
    }
}

fn any_name() -> &'static str {
    NAMES[thread_rng().gen_range(0..NAMES.len())]
}

fn step(rig: &Rig, known: &Known) {
    let (store, one, other) = (&rig.store, known.any(), known.any());
    match thread_rng().gen_range(0..10) {
        0..=2 => known.plug(rig),
        3 => match store.unregister_subtree(one) {
            Ok(Removal::Done(_)) => assert!(!store.contains(one)),
            Ok(Removal::Begun(_)) => panic!("nobody is inside"),
            Err(error) => assert!([GONE, Error::Leaving].contains(&error), "{error}"),
        },
        4 => match store.unregister::<Disk>(one) {
            Ok(_) => assert!(!store.contains(one)),
            Err(error) => assert!([GONE, Error::HasChildren, Error::Leaving].contains(&error), "{error}"),
        },
        5 => match store.move_to(one, other, any_name()) {
            Ok(()) => {}
            Err(Error::Errno(_) | Error::NotFound | Error::Exists) => {}
            Err(error) => panic!("{error}"),
        },
        6 => match store.link(one, any_name(), other) {
            Ok(()) => {}
            Err(error) => assert!([GONE, Error::Exists].contains(&error), "{error}"),
        },
        7 => {
            // It goes as the guard does, with what is below it.
            let Ok(guard) = store.enter::<Disk>(one) else { return };
            let removed = store.unregister_subtree(other);
            guard.visit();
            drop(guard);
            assert!(matches!(removed, Ok(_) | Err(Error::Errno(_) | Error::Leaving | Error::Deadlock)), "{removed:?}");
        }
        8 => {
            if let Ok(path) = store.path(one) {
                // Others may have come to stand there.
                let _ = store.lookup(&path).map(|found| rig.visit(found));
            }
        }
        _ => {
            rig.visit(one);
            store.flush();
        }
    }
}

/// S1-12, T105: objects are added, moved, linked, entered and removed by several threads: no payload is used after its end, and what is
/// left is a tree.
#[test]
fn whatever_happens_the_tree_is_whole() {
    check(|| {
        let rig = Rig::new();
        let known = Arc::new(Known::default());
        for name in NAMES {
            let (object, witness) = rig.plug(rig.store.root(), name);
            known.objects.lock().push(object);
            known.witnesses.lock().push(witness);
        }
        let threads = [0; THREADS].map(|_| {
            let known = Arc::clone(&known);
            rig.spawn(move |rig| (0..STEPS).for_each(|_| step(rig, &known)))
        });
        threads.into_iter().for_each(|thread| thread.join().unwrap());
        rig.store.reap();
        let left = rig.assert_whole();
        let is_left = |witness: &Arc<Witness>| !witness.is_gone();
        assert_eq!(known.witnesses.lock().iter().filter(|witness| is_left(witness)).count(), left);
        drop(Arc::into_inner(rig).expect("all threads have ended"));
        known.witnesses.lock().iter().for_each(|witness| witness.assert_gone());
    });
}

/// The drivers that there are, or were, and what they leave behind.
#[derive(Default)]
struct Drivers {
    all: Mutex<Vec<(DriverHandle, Arc<Code>)>>,
    named: Unmodelled,
}

impl Drivers {
    fn any(&self) -> (DriverHandle, Arc<Code>) {
        let all = self.all.lock();
        all[thread_rng().gen_range(0..all.len())].clone()
    }

    /// A driver that takes about every other device.
    fn register(&self, rig: &Rig) {
        let fickle = |_: &mut Device<'_>| if thread_rng().gen_bool(0.5) { Ok(()) } else { Err(Errno::ENXIO) };
        let driver = rig.driver(&format!("driver{}", self.named.fetch_add(1, Ordering::Relaxed)), fickle);
        self.all.lock().push(driver);
    }
}

fn drivers_step(rig: &Rig, devices: &Known, drivers: &Drivers) {
    let (store, one, (driver, code)) = (&rig.store, devices.any(), drivers.any());
    let is_usual = |error: &Error| [GONE, Error::NotBound, Error::Leaving, Error::Bound].contains(error);
    match thread_rng().gen_range(0..9) {
        0 | 1 => {
            let (added, witness) = rig.try_add(one, any_name());
            devices.witnesses.lock().push(witness);
            match added {
                Ok(device) => devices.objects.lock().push(device),
                Err(error) => assert!([GONE, Error::Exists].contains(&error), "{error}"),
            }
        }
        2 => match store.unregister_subtree(one) {
            Ok(Removal::Done(_)) => assert_eq!(store.driver_of(one), Err(GONE)),
            other => assert!(matches!(other, Err(error) if is_usual(&error)), "{other:?}"),
        },
        3 if thread_rng().gen_bool(0.5) => drivers.register(rig),
        3 => match store.unregister_driver(driver) {
            Ok(Removal::Done(_)) => code.assert_gone(),
            Ok(Removal::Begun(_)) => {}
            Err(error) => assert!(is_usual(&error), "{error}"),
        },
        4 => match store.unbind(one, driver) {
            Ok(done) => assert_eq!(done, Removal::Done(1)),
            Err(error) => assert!(is_usual(&error), "{error}"),
        },
        5 => match store.bind(one, driver) {
            Ok(()) => {}
            Err(error) => assert!(is_usual(&error) || error == Errno::ENXIO.into(), "{error}"),
        },
        6 => {
            let Ok(data) = store.data::<Disk>(one) else { return };
            let unbound = store.unbind(one, driver);
            data.visit();
            assert!(matches!(unbound, Ok(Removal::Begun(1)) | Err(_)), "{unbound:?}");
        }
        7 => match store.attach(one) {
            Ok(_) => {}
            Err(error) => assert!(is_usual(&error), "{error}"),
        },
        _ => {
            rig.visit(one);
            store.data::<Disk>(one).map(|data| data.visit()).unwrap_or(());
        }
    }
}

/// S0-4, S1-8, F38: devices and drivers come, go, are bound and unbound by several threads: no driver is called after its end, each is
/// given all its data back once, and who has gone is bound to nothing.
#[test]
fn whatever_happens_drivers_get_back_what_is_theirs() {
    check(|| {
        let rig = Rig::new();
        let (devices, drivers) = (Arc::new(Known::default()), Arc::new(Drivers::default()));
        drivers.register(&rig);
        for name in &NAMES[..2] {
            let (device, witness) = rig.add(name);
            devices.objects.lock().push(device);
            devices.witnesses.lock().push(witness);
        }
        drivers.register(&rig);
        let threads = [0; THREADS].map(|_| {
            let (devices, drivers) = (Arc::clone(&devices), Arc::clone(&drivers));
            rig.spawn(move |rig| (0..STEPS).for_each(|_| drivers_step(rig, &devices, &drivers)))
        });
        threads.into_iter().for_each(|thread| thread.join().unwrap());
        rig.store.reap();
        rig.assert_whole();
        for (driver, code) in &*drivers.all.lock() {
            match rig.store.devices_of(*driver) {
                Ok(bound) => {
                    let bound: Vec<_> = bound.collect();
                    code.assert_bound(bound.len());
                    assert!(bound.iter().all(|device| rig.store.driver_of(*device) == Ok(Some(*driver))));
                }
                Err(error) => {
                    assert_eq!(error, GONE);
                    code.assert_gone();
                }
            }
        }
        drop(Arc::into_inner(rig).expect("all threads have ended"));
        devices.witnesses.lock().iter().for_each(|witness| witness.assert_gone());
        drivers.all.lock().iter().for_each(|(_, code)| code.assert_gone());
    });
}
