//! Devices that are unbound while somebody uses what their drivers keep of them, or while they leave.

use std::sync::Arc;

use enodev::{DeviceHandle, DriverHandle, Error, Phase, Removal};
use enodev_handles::sync::Mutex;

use crate::check;
use crate::common::{Disk, GONE, Rig};
use crate::driver::{refuse, take};

/// One that is inside the data of a device unbinds it, if it comes in time.
fn unbind_from_inside(rig: &Rig, device: DeviceHandle, driver: DriverHandle) {
    let Ok(data) = rig.store.data::<Disk>(device) else { return };
    let unbound = rig.store.unbind(device, driver);
    assert!(matches!(unbound, Ok(Removal::Begun(1)) | Err(_)), "{unbound:?}");
    data.visit();
}

/// T99: the name of a device's driver is read while one driver after the other is asked and refuses, and one takes the device and lets
/// go of it: it is the name of that one, or none.
#[test]
fn who_reads_a_driver_s_name_reads_that_of_one_that_has_taken_the_device() {
    check(|| {
        let rig = Rig::new();
        rig.driver("no", refuse);
        let (sda, _) = rig.add("sda");
        let readers = [0; 2].map(|_| {
            rig.spawn(move |rig| {
                if let Some(driver) = rig.store.driver_of(sda).unwrap() {
                    match rig.store.driver_name(driver) {
                        Ok(name) => assert_eq!(&*name, "yes"),
                        Err(error) => assert_eq!(error, GONE),
                    }
                }
            })
        });
        let (yes, code) = rig.driver("yes", take);
        rig.store.unregister_driver(yes).unwrap();
        code.assert_gone();
        assert_eq!(rig.store.driver_of(sda), Ok(None));
        readers.into_iter().for_each(|reader| reader.join().unwrap());
    });
}

/// S0-4: a device is unbound while it is unregistered: the driver lets go of it once, and when either returns it has.
#[test]
fn who_is_unbound_and_unregistered_is_let_go_of_once() {
    check(|| {
        let rig = Rig::new();
        let (driver, code) = rig.driver("sd", take);
        let (sda, witness) = rig.add("sda");
        let unbinder = rig.spawn({
            let code = Arc::clone(&code);
            move |rig| match rig.store.unbind(sda, driver) {
                Ok(Removal::Done(1)) => code.assert_bound(0),
                Err(Error::NotBound) => code.assert_bound(0),
                // It is leaving: nothing is waited for.
                Err(error) => assert_eq!(error, GONE),
                other => panic!("{other:?}"),
            }
        });
        assert!(rig.store.unregister::<Disk>(sda).is_ok());
        witness.assert_gone();
        code.assert_bound(0);
        unbinder.join().unwrap();
        assert_eq!(code.probed(), 1);
        assert_eq!(rig.store.unregister_driver(driver), Ok(Removal::Done(0)));
    });
}

/// E-6, F38: two threads unbind a device, and its driver is unregistered: it is let go of once, and when any of them returns it has been.
#[test]
fn who_is_unbound_by_several_is_let_go_of_once() {
    check(|| {
        let rig = Rig::new();
        let (driver, code) = rig.driver("sd", take);
        let (sda, _) = rig.add("sda");
        let unbinders = [0; 2].map(|_| {
            let code = Arc::clone(&code);
            rig.spawn(move |rig| {
                let removed = rig.store.unbind(sda, driver);
                code.assert_bound(0);
                removed
            })
        });
        assert!(rig.store.unregister_driver(driver).is_ok());
        code.assert_gone();
        let answers = unbinders.map(|unbinder| unbinder.join().unwrap());
        assert!(answers.iter().filter(|answer| answer.is_ok()).count() <= 1, "{answers:?}");
        assert_eq!(rig.store.driver_of(sda), Ok(None));
        assert_eq!(code.probed(), 1);
    });
}

/// T99: what a driver keeps of a device is entered while the device is unbound, bound anew and unregistered: nobody is in what has gone.
#[test]
fn nobody_is_in_data_that_has_been_let_go_of() {
    check(|| {
        let rig = Rig::new();
        let (driver, code) = rig.driver("sd", take);
        let (sda, witness) = rig.add("sda");
        let reader = rig.spawn(move |rig| {
            for _ in 0..2 {
                match rig.store.data::<Disk>(sda) {
                    Ok(data) => data.visit(),
                    Err(error) => assert!([GONE, Error::NotBound].contains(&error), "{error}"),
                }
            }
        });
        assert_eq!(rig.store.unbind(sda, driver), Ok(Removal::Done(1)));
        code.assert_bound(0);
        rig.store.bind(sda, driver).unwrap();
        assert_eq!(rig.store.unregister_subtree(sda), Ok(Removal::Done(1)));
        witness.assert_gone();
        code.assert_bound(0);
        assert_eq!(code.probed(), 2);
        reader.join().unwrap();
    });
}

/// S0-15: who is inside the data unbinds the device: it is done as that is left, once, whatever others do meanwhile.
#[test]
fn who_unbinds_what_it_is_in_does_so_as_it_leaves() {
    check(|| {
        let rig = Rig::new();
        let (driver, code) = rig.driver("sd", take);
        let (sda, witness) = rig.add("sda");
        let inside = rig.spawn(move |rig| unbind_from_inside(rig, sda, driver));
        let removed = rig.store.unregister_subtree(sda);
        assert_eq!(removed, Ok(Removal::Done(1)));
        witness.assert_gone();
        code.assert_bound(0);
        inside.join().unwrap();
        assert_eq!(rig.store.unregister_driver(driver), Ok(Removal::Done(0)));
        code.assert_gone();
    });
}

/// S0-15: as above, against who unregisters the driver.
#[test]
fn who_unbinds_what_it_is_in_meets_the_end_of_the_driver() {
    check(|| {
        let rig = Rig::new();
        let (driver, code) = rig.driver("sd", take);
        let (sda, _) = rig.add("sda");
        let inside = rig.spawn(move |rig| unbind_from_inside(rig, sda, driver));
        let removed = rig.store.unregister_driver(driver);
        inside.join().unwrap();
        assert!(removed.is_ok(), "{removed:?}");
        code.assert_gone();
        assert_eq!(rig.store.driver_of(sda), Ok(None));
    });
}

/// F38: a device and its driver are unregistered at once: each returns when its part is done, and the driver is dropped when it has let go.
#[test]
fn a_device_and_its_driver_go_at_once() {
    check(|| {
        let rig = Rig::new();
        let (driver, code) = rig.driver("sd", take);
        let [(sda, a), (sdb, b)] = ["sda", "sdb"].map(|name| rig.add(name));
        let remover = rig.spawn(move |rig| {
            assert_eq!(rig.store.unregister_subtree(sda), Ok(Removal::Done(1)));
            a.assert_gone();
        });
        let removed = rig.store.unregister_driver(driver);
        match removed {
            Ok(Removal::Done(_)) => code.assert_gone(),
            Ok(Removal::Begun(_)) => {}
            Err(error) => panic!("{error}"),
        }
        remover.join().unwrap();
        // It goes with the last of its devices.
        code.assert_gone();
        assert_eq!(rig.store.driver_of(sdb), Ok(None));
        b.assert_there();
    });
}

/// F29: an observer is told of the phases of a device in order, whoever causes them.
#[test]
fn phases_come_in_order() {
    check(|| {
        let rig = Rig::new();
        let told = Arc::new(Mutex::new(Vec::new()));
        let tell = Arc::clone(&told);
        rig.store.observe(move |notice| tell.lock().push(notice.phase())).unwrap();
        let (driver, _) = rig.driver("sd", take);
        let adder = rig.spawn(|rig| rig.add("sda").0);
        let unbinder = rig.spawn(move |rig| {
            if let Ok(sda) = rig.store.lookup("/sda") {
                let sda = rig.store.device(sda);
                let _ = sda.map(|sda| rig.store.unbind(sda, driver));
            }
        });
        rig.store.unregister_driver(driver).unwrap();
        let sda = adder.join().unwrap();
        rig.store.unregister_subtree(sda).unwrap();
        unbinder.join().unwrap();
        let told = told.lock();
        let mut is_bound = false;
        for (at, phase) in told.iter().enumerate() {
            let before = at.checked_sub(1).map(|at| told[at]);
            match phase {
                Phase::Added => assert_eq!(before, None),
                Phase::Binding => assert!(!is_bound),
                Phase::NotBound => assert_eq!(before, Some(Phase::Binding)),
                Phase::Bound => {
                    assert_eq!(before, Some(Phase::Binding));
                    is_bound = true;
                }
                Phase::Unbinding => assert!(is_bound),
                Phase::Unbound => {
                    assert_eq!(before, Some(Phase::Unbinding));
                    is_bound = false;
                }
                Phase::Leaving => assert_eq!(told[at..], [Phase::Leaving, Phase::Removed]),
                Phase::Removed => assert_eq!(before, Some(Phase::Leaving)),
                other => panic!("{other:?}"),
            }
        }
        assert_eq!(told.last(), Some(&Phase::Removed));
    });
}

/// E-6: one unbinds a device whose data it is in, and another, who is inside nothing, at the same time: that one waits for the end, or does
/// it; it is not told that somebody is at it.
#[test]
fn who_is_inside_nothing_waits_for_an_unbinding_that_is_put_off() {
    check(|| {
        let rig = Rig::new();
        let (driver, code) = rig.driver("sd", take);
        let (sda, _) = rig.add("sda");
        let inside = rig.spawn(move |rig| unbind_from_inside(rig, sda, driver));
        let unbound = rig.store.unbind(sda, driver);
        assert!(matches!(unbound, Ok(Removal::Done(1)) | Err(enodev::Error::NotBound)), "{unbound:?}");
        code.assert_bound(0);
        inside.join().unwrap();
        assert_eq!(rig.store.driver_of(sda), Ok(None));
    });
}

/// E-6: several unbind a device, one of which would wait for itself and gives it up, and another goes on: who is inside nothing waits, or does it;
/// it is never told that somebody is at it.
#[test]
fn who_is_inside_nothing_is_told_of_nobody_who_is_at_it() {
    check(|| {
        let rig = Rig::new();
        let (driver, code) = rig.driver("sd", take);
        let [(sda, _), (sdb, _)] = ["sda", "sdb"].map(|name| rig.add(name));
        let inside = rig.spawn(move |rig| {
            let Ok(_data) = rig.store.data::<Disk>(sda) else { return };
            let _ = rig.store.unregister_subtree(sdb);
        });
        let gives_up = rig.spawn(move |rig| {
            let Ok(_guard) = rig.store.enter::<Disk>(sdb) else { return };
            let _ = rig.store.unbind(sda, driver);
        });
        let unbinder = rig.spawn(move |rig| rig.store.unbind(sda, driver));
        let answers = [rig.store.unbind(sda, driver), unbinder.join().unwrap()];
        assert!(
            answers.iter().all(|answer| matches!(answer, Ok(Removal::Done(1)) | Err(Error::NotBound))),
            "{answers:?}"
        );
        inside.join().unwrap();
        gives_up.join().unwrap();
        assert_eq!(rig.store.driver_of(sda), Ok(None));
        let _ = rig.store.unregister_subtree(sdb);
        code.assert_bound(0);
    });
}
