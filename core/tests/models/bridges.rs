//! Devices whose drivers add devices below them.

use std::sync::Arc;

use enodev::{Errno, Removal};
use enodev_handles::sync::Mutex;

use crate::check;
use crate::common::{Disk, GONE, Rig, Witness};
use crate::driver::{Code, Device, take};

/// The bridge, on whose driver's probe a device 2 comes to be below it; and what all those leave behind.
#[derive(Default)]
struct Hosts(Mutex<Vec<Arc<Witness>>>);

impl Hosts {
    /// A probe that adds a host below the device.
    fn probe(
        self: &Arc<Self>,
        rig: &Arc<Rig>,
    ) -> impl Fn(&mut Device<'_>) -> Result<(), Errno> + Send + Sync + 'static {
        let (hosts, rig) = (Arc::clone(self), Arc::downgrade(rig));
        move |device| {
            let rig = rig.upgrade().unwrap();
            let witness = Arc::<Witness>::default();
            hosts.0.lock().push(Arc::clone(&witness));
            let host = device.store().new_device(device.device(), "host", rig.disk, Disk(witness)).on(rig.bus, 2);
            host.register_in(device).map(drop).map_err(|error| {
                assert_eq!(error, GONE);
                error.errno()
            })
        }
    }

    #[track_caller]
    fn assert_gone(&self) {
        self.0.lock().iter().for_each(|witness| witness.assert_gone());
    }
}

struct Bench {
    rig: Arc<Rig>,
    hosts: Arc<Hosts>,
    bridge: Arc<Code>,
    host: Arc<Code>,
}

impl Bench {
    fn new() -> (Self, enodev::DriverHandle) {
        let (rig, hosts) = (Rig::new(), Arc::<Hosts>::default());
        let (driver, bridge) = rig.driver("bridge", hosts.probe(&rig));
        let (_, host) = rig.driver_of("host", 2, take);
        (Self { rig, hosts, bridge, host }, driver)
    }
}

/// S1-9, S1-11, T96: a bridge is removed while its driver adds a host to it, of which another driver is asked in turn: both are gone then,
/// and both drivers have let go of what they took.
#[test]
fn a_bridge_that_leaves_as_it_is_probed_takes_its_hosts_along() {
    check(|| {
        let (bench, _) = Bench::new();
        let rig = &bench.rig;
        let adder = rig.spawn(|rig| rig.add("bridge"));
        let remover = rig.spawn(|rig| {
            let Ok(bridge) = rig.store.lookup("/bridge") else { return false };
            match rig.store.unregister_subtree(bridge) {
                Ok(Removal::Done(_)) => {
                    assert!(!rig.store.contains(bridge));
                    true
                }
                other => panic!("{other:?}"),
            }
        });
        let (bridge, witness) = adder.join().unwrap();
        if remover.join().unwrap() {
            witness.assert_gone();
            bench.hosts.assert_gone();
            bench.bridge.assert_bound(0);
            bench.host.assert_bound(0);
            assert_eq!(rig.assert_whole(), 0);
        } else {
            assert_eq!(rig.assert_whole(), 2);
            bench.bridge.assert_bound(1);
            bench.host.assert_bound(1);
            assert_eq!(rig.store.unregister_subtree(bridge), Ok(Removal::Done(2)));
            bench.hosts.assert_gone();
        }
    });
}

/// S1-11, T96: the bridge is there already, and its driver comes as it is removed.
#[test]
fn a_bridge_that_leaves_as_its_driver_comes_takes_its_hosts_along() {
    check(|| {
        let (rig, hosts) = (Rig::new(), Arc::<Hosts>::default());
        let (bridge, witness) = rig.add("bridge");
        let (_, host) = rig.driver_of("host", 2, take);
        let registrar = rig.spawn({
            let probe = hosts.probe(&rig);
            move |rig| rig.driver("bridge", probe).1
        });
        assert!(matches!(rig.store.unregister_subtree(bridge), Ok(Removal::Done(1 | 2))));
        witness.assert_gone();
        let code = registrar.join().unwrap();
        hosts.assert_gone();
        code.assert_bound(0);
        host.assert_bound(0);
        assert_eq!(rig.assert_whole(), 0);
    });
}

/// S1-9, T96: the driver of the hosts is unregistered while a bridge's adds one.
#[test]
fn the_driver_of_hosts_goes_as_a_host_comes() {
    check(|| {
        let (rig, hosts) = (Rig::new(), Arc::<Hosts>::default());
        let (_, bridge) = rig.driver("bridge", hosts.probe(&rig));
        let (driver, host) = rig.driver_of("host", 2, take);
        let adder = rig.spawn(|rig| rig.add("bridge").0);
        let removed = rig.store.unregister_driver(driver);
        let bridge_device = adder.join().unwrap();
        assert!(removed.is_ok(), "{removed:?}");
        host.assert_gone();
        bridge.assert_bound(1);
        let below = rig.store.lookup("/bridge/host").unwrap();
        assert_eq!(rig.driver_now(below), None);
        assert_eq!(rig.store.unregister_subtree(bridge_device), Ok(Removal::Done(2)));
        bridge.assert_bound(0);
    });
}
