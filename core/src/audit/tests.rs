use std::mem;

use enodev_attrs::{Errno, Name};

use super::*;
use crate::{AnyObject, Bus, BusType, DeviceType, Driver, DriverHandle, Scope};

struct Any;

impl BusType for Any {
    type Id = ();
    type IdTable = ();

    fn matches(&self, (): &(), (): &()) -> bool {
        true
    }
}

impl Driver for Any {
    type Bus = Self;
    type Device = AnyObject;
    type Data = ();

    fn probe(&self, _: &mut Scope<'_, AnyObject>) -> Result<(), Errno> {
        Ok(())
    }
}

struct Bench {
    store: Store,
    bus: Bus<Any>,
    driver: DriverHandle,
    device: DeviceHandle,
}

impl Bench {
    fn new() -> Self {
        let store = Store::new().unwrap();
        let bus = store.register_bus("bus", Any).unwrap();
        let driver = store.register_driver(bus, "driver", Any, ()).unwrap();
        let class = store.register_class("class", &[]).unwrap();
        let ty = store.define(DeviceType::shared::<u8>("device")).unwrap();
        let device = store.new_device(store.root(), "device", ty, 7).on(bus, ()).class(class);
        let device = device.linked_from(store.root(), "link").register().unwrap();
        assert!(store.audit().is_clean(), "{}", store.audit());
        Self { store, bus, driver, device }
    }

    fn kinds(&self) -> Vec<FindingKind> {
        let mut kinds: Vec<_> = self.store.audit().findings().iter().map(|finding| finding.kind).collect();
        kinds.dedup();
        kinds
    }
}

/// S0-13: each sort of thing that can be left over is found when it is.
#[test]
fn each_sort_of_leftover_is_found() {
    let bench = Bench::new();
    let (store, object) = (&bench.store, bench.device.kobject());
    let pin = store.inner.domain.pin();
    let root = store.inner.nodes.get(&pin, store.root()).unwrap();
    let name = |name| Name::new(name).unwrap();

    root.insert(name("ghost"), Child::Link(object));
    assert_eq!(bench.kinds(), [FindingKind::Link]);
    root.remove("ghost", Child::Link(object));

    root.insert(name("twin"), Child::Object(object));
    assert_eq!(bench.kinds(), [FindingKind::Leaked]);
    root.remove("twin", Child::Object(object));

    root.remove("device", Child::Object(object));
    assert_eq!(bench.kinds(), [FindingKind::Leaked]);
    root.insert(name("device"), Child::Object(object));

    let devices = &store.inner.buses.get(&pin, bench.bus.handle()).unwrap().devices;
    let spot = devices.enter(bench.device, || Ok(())).unwrap();
    assert_eq!(bench.kinds(), [FindingKind::Member]);
    devices.leave(&[((), spot)]);

    let bound = &store.inner.drivers.get(&pin, bench.driver).unwrap().bound;
    let first = bound.load().members.behind(None).next().unwrap();
    bound.change(|bound| bound.remove(first.0));
    assert_eq!(bench.kinds(), [FindingKind::Binding]);
    bound.change(|bound| bound.push(first.1));
    assert!(store.audit().is_clean());

    let slot = mem::ManuallyDrop::new(store.inner.nodes.reserve().unwrap());
    assert_eq!(bench.kinds(), [FindingKind::Leaked]);
    drop(mem::ManuallyDrop::into_inner(slot));
    assert!(store.audit().is_clean());
}

/// S0-13: a guard that is held too long is named, and after it has gone nothing is left.
#[test]
fn who_holds_a_removal_up_is_named() {
    let bench = Bench::new();
    let guard = bench.store.enter::<u8>(bench.device).unwrap();
    bench.store.unregister_subtree(bench.device).unwrap();
    let audit = bench.store.audit();
    assert!(audit.findings().iter().all(|finding| finding.kind == FindingKind::Leaving), "{audit}");
    assert!(audit.to_string().contains("'/device' is leaving") && audit.to_string().contains("in thread"), "{audit}");
    drop(guard);
    assert!(bench.store.audit().is_clean(), "{}", bench.store.audit());
}

/// S0-13: things beside the store add what they have.
#[test]
fn others_add_what_they_have() {
    struct Kept(DeviceHandle);

    impl Audited for Kept {
        fn audit(&self, store: &Store, audit: &mut Audit) {
            if !store.contains(self.0) {
                audit.add(FindingKind::Other, self.0, "it is kept");
            }
        }
    }

    let bench = Bench::new();
    let kept = Kept(bench.device);
    assert!(bench.store.audit().also(&bench.store, &kept).is_clean());
    bench.store.unregister_subtree(bench.device).unwrap();
    assert_eq!(bench.store.audit().also(&bench.store, &kept).findings().len(), 1);
}
