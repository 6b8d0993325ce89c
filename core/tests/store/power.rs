//! Sleep and shutdown, and what else happens to devices meanwhile.

use std::sync::{Arc, OnceLock};
use std::thread;

use enodev::{Driver, Errno, Removal, Scope, Shared};

use crate::chips::{Bench, Chip, Numbers};
use crate::common::{GONE, Gate, linger, until};

/// F45: where a device cannot be put to sleep, those that were put to sleep before are woken, the last one first; those that slept already
/// go on sleeping, and the others were never asked.
#[test]
fn who_cannot_sleep_wakes_the_others() {
    let bench = Bench::new();
    bench.driver(bench.logger("all"), &[1, 2, 3]);
    let refuses = bench.driver(bench.logger("refuses").suspending(|_| Err(Errno::EBUSY)), &[4]);
    let top = bench.plug(1);
    let (two, three) = (bench.plug_under(top, 2), bench.plug_under(top, 3));
    let _four = bench.plug_under(top, 4);
    bench.store.suspend(three).unwrap();
    bench.log();
    assert_eq!(bench.store.suspend(top), Err(Errno::EBUSY.into()));
    let log = bench.log();
    let (slept, woken): (Vec<_>, Vec<_>) = log.iter().partition(|line| line.contains("suspend"));
    assert!(slept.contains(&&"refuses suspend 4".to_owned()) && !slept.contains(&&"all suspend 1".to_owned()));
    assert!(!log.iter().any(|line| line.ends_with(" 3")), "it slept already: {log:?}");
    assert_eq!(woken.len(), slept.len() - 1, "{log:?}");
    assert_eq!(bench.store.unregister_driver(refuses), Ok(Removal::Done(1)));
    bench.log();
    bench.store.suspend(top).unwrap();
    let log = bench.log();
    assert_eq!((log.len(), log.last()), (2, Some(&"all suspend 1".into())), "three still slept: {log:?}");
    bench.store.resume(top).unwrap();
    assert_eq!(bench.log()[0], "all resume 1");
    assert_eq!((bench.store.resume(two), bench.log()), (Ok(()), Vec::new()));
}

/// Falls asleep, and fails whatever else it is asked to.
struct Sulks;

impl Driver for Sulks {
    type Bus = Numbers;
    type Device = Shared<Chip>;
    type Data = ();

    fn probe(&self, _: &mut Scope<'_, Self::Device>) -> Result<(), Errno> {
        Ok(())
    }

    fn resume(&self, _: &mut Scope<'_, Self::Device>, (): &()) -> Result<(), Errno> {
        Err(Errno::ENXIO)
    }

    fn shutdown(&self, _: &mut Scope<'_, Self::Device>, (): &()) {
        panic!("on purpose");
    }
}

/// F45: where one fails, waking and shutdown go on with the others, and the first error is told; a panic is EIO.
#[test]
fn waking_and_shutdown_try_all() {
    let bench = Bench::new();
    bench.store.register_driver(bench.bus, "sulks", Sulks, vec![8]).unwrap();
    let panics = bench.driver(bench.logger("panics").suspending(|_| panic!("on purpose")), &[9]);
    bench.driver(bench.logger("all"), &[1, 2, 3]);
    let top = bench.plug(1);
    let [_, sulks, _] = [2, 8, 3].map(|id| bench.plug_under(top, id));
    let nine = bench.plug(9);
    bench.log();
    assert_eq!(bench.store.suspend(nine), Err(Errno::EIO.into()));
    assert_eq!((bench.store.resume(nine), bench.log()), (Ok(()), vec!["panics suspend 9".into()]), "it has not slept");
    assert_eq!(bench.store.unregister_driver(panics), Ok(Removal::Done(1)));

    bench.store.suspend(top).unwrap();
    bench.log();
    assert_eq!(bench.store.resume(top), Err(Errno::ENXIO.into()));
    let mut log = bench.log();
    log.sort();
    assert_eq!(log, ["all resume 1", "all resume 2", "all resume 3"]);
    assert_eq!((bench.store.resume(top), bench.log()), (Err(Errno::ENXIO.into()), Vec::new()), "one still sleeps");

    assert_eq!(bench.store.shutdown(top), Err(Errno::EIO.into()));
    let log = bench.log();
    assert_eq!((log.len(), log.last()), (3, Some(&"all shutdown 1".into())));
    assert!(bench.store.contains(sulks) && bench.store.audit().is_clean());
}

/// S0-15, S1-9: a device is unbound, its driver unregistered, or the device itself unregistered, by its own `suspend`; it is done as that
/// returns, and the walk goes on.
#[test]
fn a_device_ends_in_its_own_suspend() {
    for which in 0..3 {
        let (bench, own) = (Bench::new(), Arc::new(OnceLock::new()));
        let inner = Arc::clone(&own);
        let quits = bench.logger("quits").suspending(move |device| {
            let (store, driver) = (device.store(), *inner.get().unwrap());
            let begun = match which {
                0 => store.unbind(device.device(), driver),
                1 => store.unregister_driver(driver),
                _ => store.unregister_subtree(device.device()),
            };
            assert_eq!(begun, Ok(Removal::Begun(1)));
            assert!(store.data::<String>(device.device()).is_err());
            // Another try is not another removal.
            let again = match which {
                0 => store.unbind(device.device(), driver),
                1 => store.unregister_driver(driver),
                _ => store.unregister_subtree(device.device()),
            };
            assert_ne!(again, Ok(Removal::Done(1)));
            Ok(())
        });
        let driver = bench.driver(quits, &[2]);
        own.set(driver).unwrap();
        let goes_on = bench.driver(bench.logger("goes on"), &[1, 3]);
        let top = bench.plug(1);
        let device = bench.plug_under(top, 2);
        bench.log();
        assert_eq!(bench.store.suspend(top), Ok(()));
        assert_eq!(bench.log(), ["quits suspend 2", "quits remove 2", "goes on suspend 1"], "{which}");
        assert_eq!(bench.store.driver_of(device), if which == 2 { Err(GONE) } else { Ok(None) });
        assert_eq!(bench.store.driver_name(driver).is_ok(), which != 1);
        assert_eq!(bench.store.driver_of(top), Ok(Some(goes_on)));
        assert!(bench.store.audit().is_clean());
    }
}

/// F45, S1-9, F47: devices come and go while others are put to sleep: what has left is passed over, what has come is none of this.
#[test]
fn devices_come_and_go_while_others_fall_asleep() {
    let bench = Bench::new();
    let (bus, chip) = (bench.bus, bench.chip);
    let changes = bench.logger("changes").suspending(move |device| {
        let store = device.store();
        store.unregister::<Chip>(store.device(store.lookup("chip1/chip3")?)?)?;
        store.new_device(store.root(), "chip5", chip, Chip(5)).on(bus, 5).register()?;
        Ok(())
    });
    bench.driver(changes, &[2]);
    bench.driver(bench.logger("all"), &[1, 3, 5]);
    let top = bench.plug(1);
    bench.plug_under(top, 3);
    // What is further below is asked first.
    let dir = bench.store.create(top, "dir").unwrap();
    bench.plug_under(dir, 2);
    bench.log();
    bench.store.suspend(top).unwrap();
    assert_eq!(bench.log(), ["changes suspend 2", "all remove 3", "all probe 5", "all suspend 1"]);
}

/// S1-2, E-6: who unbinds a device while that is put to sleep waits, and who puts it to sleep then finds nobody to be asked.
#[test]
fn unbinding_waits_for_a_suspend() {
    let (bench, gate) = (Bench::new(), Arc::<Gate>::default());
    let stop = Arc::clone(&gate);
    let slow = bench.logger("slow").suspending(move |_| {
        stop.pass();
        Ok(())
    });
    let driver = bench.driver(slow, &[1]);
    let device = bench.plug(1);
    thread::scope(|scope| {
        let shut = gate.shut();
        let asleep = scope.spawn(|| bench.store.suspend(device));
        gate.wait_for(1);
        let unbound = scope.spawn(|| bench.store.unbind(device, driver));
        until(|| bench.store.data::<String>(device).is_err());
        let late = scope.spawn(|| bench.store.suspend(device));
        linger();
        assert!(!unbound.is_finished() && !late.is_finished());
        drop(shut);
        assert_eq!(asleep.join().unwrap(), Ok(()));
        assert_eq!((unbound.join().unwrap(), late.join().unwrap()), (Ok(Removal::Done(1)), Ok(())));
    });
    assert_eq!(bench.log(), ["slow probe 1", "slow suspend 1", "slow remove 1"]);
    // It is bound awake.
    bench.store.bind(device, driver).unwrap();
    assert_eq!((bench.store.suspend(device), bench.log().len()), (Ok(()), 2));
}

/// F45: whether a device sleeps is told, as far as its driver has put it to sleep: not in a callback that does so, nor where the device has been unbound.
#[test]
fn a_device_tells_whether_it_sleeps() {
    let bench = Bench::new();
    let sleepy = bench.logger("sleepy").suspending(|device| {
        assert_eq!(device.store().is_suspended(device.device()), Ok(false));
        Ok(())
    });
    let driver = bench.driver(sleepy, &[1]);
    bench.driver(bench.logger("restless").suspending(|_| Err(Errno::EBUSY)), &[2]);
    let [device, other] = [1, 2].map(|id| bench.plug(id));
    let sleep = || [device, other].map(|device| bench.store.is_suspended(device).unwrap());
    assert_eq!(sleep(), [false; 2]);
    bench.store.suspend(device).unwrap();
    bench.store.suspend(other).unwrap_err();
    assert_eq!(sleep(), [true, false]);
    bench.store.resume(device).unwrap();
    assert_eq!(sleep(), [false; 2]);
    bench.store.suspend(device).unwrap();
    bench.store.unbind(device, driver).unwrap();
    assert_eq!(sleep(), [false; 2]);
}
