//! Removals that were given up, and who goes on with them.

use std::cell::RefCell;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::mpsc;
use std::thread;

use enodev::{
    AnyObject, Bound, DeviceHandle, DeviceType, Driver, Errno, Error, Exclusion, Phase, Removal, Scope, Store,
};

use crate::chips::{Bench, Chip, Numbers};
use crate::common::{GONE, panic_of, until};

/// Runs its closure as it is dropped.
struct AtEnd(Box<dyn Fn() + Send + Sync>);

impl Drop for AtEnd {
    fn drop(&mut self) {
        (self.0)();
    }
}

/// Has the removals of devices given up, each of which is the only one of its subtree, in this order: who is inside one waits for the caller.
fn give_up(store: &Store, devices: &[DeviceHandle]) {
    let ty = store.define(DeviceType::shared::<()>("awaited")).unwrap();
    let plug = |n| store.register(store.root(), &format!("awaited{n}"), ty, ()).unwrap();
    let awaited: Vec<_> = (0..devices.len()).map(plug).collect();
    let inside: Vec<_> = awaited.iter().map(|device| store.enter::<()>(*device).unwrap()).collect();
    let before = store.stats().drains_now;
    thread::scope(|scope| {
        for (&device, &other) in devices.iter().zip(&awaited) {
            scope.spawn(move || {
                let _guard = store.enter::<AtEnd>(device).unwrap();
                store.unregister_subtree(other).unwrap();
            });
        }
        until(|| store.stats().drains_now == before + devices.len() as u64);
        for device in devices {
            assert_eq!(store.unregister_subtree(*device), Err(Error::Deadlock));
        }
        drop(inside);
    });
}

/// D-1: who finishes what was given up has one of it in his hands at a time: another thread, for which a payload's drop waits, goes on with
/// the next by itself.
#[test]
fn who_reaps_has_one_removal_at_a_time() {
    static LOCK: Exclusion = Exclusion::new(());
    let store = Store::new().unwrap();
    let ty = store.define(DeviceType::shared::<AtEnd>("at end")).unwrap();
    let (begin, begun) = mpsc::channel();
    let slow = AtEnd(Box::new(move || {
        begin.send(()).unwrap();
        // Its holder waits for nobody.
        drop(LOCK.lock().unwrap());
    }));
    let first = store.register(store.root(), "first", ty, slow).unwrap();
    let second = store.register(store.root(), "second", ty, AtEnd(Box::new(|| {}))).unwrap();
    give_up(&store, &[first, second]);
    let [of_first, of_second] = [first, second].map(|device| store.obituary(device).unwrap());
    assert!(of_first.is_leaving && of_second.is_leaving);
    thread::scope(|scope| {
        let guard = LOCK.lock().unwrap();
        let reaper = scope.spawn(|| store.reap());
        begun.recv().unwrap();
        assert_eq!(store.unregister_subtree(second), Err(GONE));
        assert!(!store.obituary(second).unwrap().is_leaving);
        drop(guard);
        assert!(reaper.join().unwrap() > 0);
    });
    assert_eq!((store.reap(), store.obituary(first).unwrap().is_leaving), (0, false));
}

type Way = dyn Fn(&Bench, DeviceHandle);

/// S1-8: a driver goes with its last device, whose unbinding is given up as its thread would wait for itself. Whoever removes an object next, or
/// reaps, goes on with both, as soon as nobody is in the way.
#[test]
fn an_unbinding_that_was_given_up_is_gone_on_with() {
    let unrelated = |bench: &Bench, device| _ = bench.store.unregister_subtree(device);
    let typed = |bench: &Bench, device| _ = bench.store.unregister::<Chip>(device);
    let reap = |bench: &Bench, _| _ = bench.store.reap();
    let ways: [&Way; 3] = [&unrelated, &typed, &reap];
    for way in ways {
        let bench = Bench::new();
        let (store, driver) = (&bench.store, bench.driver(bench.logger("all"), &[1]));
        let [device, other, awaited] = [1, 2, 3].map(|id| bench.plug(id));
        thread::scope(|scope| {
            let guard = store.enter::<Chip>(awaited).unwrap();
            let inside = scope.spawn(|| {
                let _data = store.data::<String>(device).unwrap();
                store.unregister_subtree(awaited)
            });
            until(|| store.stats().drains_now == 1);
            let data = store.data::<String>(device).unwrap();
            assert_eq!(store.unregister_driver(driver), Ok(Removal::Begun(1)));
            // The other is inside, and waits for this thread.
            drop(data);
            store.reap();
            assert_eq!(bench.log(), ["all probe 1"]);
            assert!(store.driver_name(driver).is_ok());
            drop(guard);
            assert_eq!(inside.join().unwrap(), Ok(Removal::Done(1)));
        });
        way(&bench, other);
        assert_eq!(bench.log(), ["all remove 1"]);
        assert_eq!((store.driver_of(device), store.driver_name(driver)), (Ok(None), Err(GONE)));
    }
}

/// A driver that panics as it is dropped.
struct Fatal;

impl Driver for Fatal {
    type Bus = Numbers;
    type Device = AnyObject;
    type Data = ();

    fn probe(&self, _: &mut Scope<'_, Self::Device>) -> Result<(), Errno> {
        Ok(())
    }
}

impl Drop for Fatal {
    #[expect(clippy::panic, reason = "the test is about it")]
    fn drop(&mut self) {
        panic!("the driver's end");
    }
}

/// A driver that unregisters itself as it is asked, and panics as it is dropped.
pub(crate) struct Brief;

impl Driver for Brief {
    type Bus = Numbers;
    type Device = AnyObject;
    type Data = ();

    fn probe(&self, device: &mut Scope<'_, Self::Device>) -> Result<(), Errno> {
        let drivers = device.store().bus_of(device.device()).unwrap().unwrap();
        let brief = device
            .store()
            .drivers_on(drivers)
            .unwrap()
            .find(|driver| &*device.store().driver_name(*driver).unwrap() == "brief");
        assert_eq!(device.store().unregister_driver(brief.unwrap()), Ok(Removal::Begun(0)));
        Err(Errno::ENXIO)
    }
}

impl Drop for Brief {
    #[expect(clippy::panic, reason = "the test is about it")]
    fn drop(&mut self) {
        panic!("the driver's end");
    }
}

/// S0-15: a thread leaves the data of a device that is to be unbound, and of whose driver the drop panics; what else it is to unbind, and is still
/// inside of, is unbound as it leaves that.
#[test]
fn a_driver_that_panics_at_its_end_spoils_no_other_unbinding() {
    let bench = Bench::new();
    let store = &bench.store;
    let kept = bench.driver(bench.logger("kept"), &[1]);
    let fatal = store.register_driver(bench.bus, "fatal", Fatal, vec![2]).unwrap();
    let [first, second] = [1, 2].map(|id| bench.plug(id));
    let (in_first, in_second) = (store.data::<String>(first).unwrap(), store.data::<()>(second).unwrap());
    assert_eq!(store.unregister_driver(fatal), Ok(Removal::Begun(1)));
    assert_eq!(store.unbind(first, kept), Ok(Removal::Begun(1)));
    assert_eq!(panic_of(|| drop(in_second)), "the driver's end");
    assert_eq!(store.driver_name(fatal), Err(GONE));
    bench.log();
    drop(in_first);
    assert_eq!((bench.log(), store.driver_of(first)), (vec!["kept remove 1".to_owned()], Ok(None)));
}

/// S0-15: of two unbindings that were given up, the end of one panics, as a driver does that came meanwhile and goes at once: the other is ended all
/// the same.
#[test]
fn a_panic_spoils_no_other_unbinding_that_was_given_up() {
    let bench = Bench::new();
    let store = &bench.store;
    let driver = bench.driver(bench.logger("all"), &[1, 2]);
    let [first, second, awaited] = [1, 2, 3].map(|id| bench.plug(id));
    thread::scope(|scope| {
        let guard = store.enter::<Chip>(awaited).unwrap();
        let inside = scope.spawn(|| {
            let _data = [first, second].map(|device| store.data::<String>(device).unwrap());
            store.unregister_subtree(awaited)
        });
        until(|| store.stats().drains_now == 1);
        assert_eq!([first, second].map(|device| store.unbind(device, driver)), [Err(Error::Deadlock); 2]);
        drop(guard);
        assert_eq!(inside.join().unwrap(), Ok(Removal::Done(1)));
    });
    let (bus, is_first) = (bench.bus, AtomicBool::new(true));
    let observe = move |notice: &enodev::Notice<'_>| {
        if notice.phase() == Phase::Unbound && is_first.swap(false, SeqCst) {
            notice.store().register_driver(bus, "brief", Brief, vec![1, 2]).unwrap();
        }
    };
    store.observe(observe).unwrap();
    assert_eq!(bench.log(), ["all probe 1", "all probe 2"]);
    assert_eq!(panic_of(|| _ = store.reap()), "the driver's end");
    assert_eq!(bench.log(), ["all remove 1", "all remove 2"]);
}

thread_local! {
    static KEPT: RefCell<Option<Bound<'static, String>>> = const { RefCell::new(None) };
}

/// S1-8: a thread that has put an unbinding off ends before it leaves what it is inside of: whoever reaps next goes on with it.
#[test]
fn an_unbinding_whose_thread_has_ended_is_gone_on_with() {
    let bench: &'static Bench = Box::leak(Box::new(Bench::new()));
    let (store, driver) = (&bench.store, bench.driver(bench.logger("all"), &[1]));
    let device = bench.plug(1);
    let put_off = thread::spawn(move || {
        // Thread-local variables are destroyed in the opposite order: this one after those of the store.
        KEPT.set(None);
        let data = store.data::<String>(device).unwrap();
        let unbound = store.unbind(device, driver);
        KEPT.set(Some(data));
        unbound
    });
    assert_eq!(put_off.join().unwrap(), Ok(Removal::Begun(1)));
    store.reap();
    assert_eq!(
        (bench.log(), store.driver_of(device)),
        (vec!["all probe 1".to_owned(), "all remove 1".to_owned()], Ok(None))
    );
}
