//! What observers are told, when, and what holds then.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, OnceLock};
use std::thread;

use enodev::{
    AnyObject, Attribute, DeviceHandle, DeviceType, Errno, Error, Group, Notice, Phase, Removal, Shared, Store, Type,
};
use parking_lot::Mutex;

use crate::chips::{Bench, Chip};
use crate::common::{GONE, Gate, linger, until};

/// The phases of each device, as they are told.
#[derive(Debug, Default)]
struct Told(Mutex<Vec<(DeviceHandle, Phase)>>);

impl Told {
    fn observing(store: &Store) -> Arc<Self> {
        let told = Arc::<Self>::default();
        let all = Arc::clone(&told);
        store.observe(move |notice| all.0.lock().push((notice.device(), notice.phase()))).unwrap();
        told
    }

    fn of(&self, device: DeviceHandle) -> Vec<Phase> {
        self.0.lock().iter().filter(|(of, _)| *of == device).map(|(_, phase)| *phase).collect()
    }

    fn take(&self) -> Vec<(DeviceHandle, Phase)> {
        std::mem::take(&mut *self.0.lock())
    }
}

/// A payload that counts its own end.
#[derive(Debug)]
struct Part(Arc<AtomicUsize>);

impl Drop for Part {
    fn drop(&mut self) {
        self.0.fetch_add(1, SeqCst);
    }
}

/// A driver of parts, which writes down what it is called for.
struct Fitter {
    log: Arc<Mutex<Vec<&'static str>>>,
    answer: Result<u8, Errno>,
}

impl enodev::Driver for Fitter {
    type Bus = crate::chips::Numbers;
    type Device = Shared<Part>;
    type Data = u8;

    fn probe(&self, _: &mut enodev::Scope<'_, Self::Device>) -> Result<u8, Errno> {
        self.log.lock().push("probe");
        self.answer
    }

    fn remove(&self, _: &mut enodev::Scope<'_, Self::Device>, _: u8) {
        self.log.lock().push("remove");
    }
}

/// What there is to be looked at while an observer is told.
struct Shop {
    bus: enodev::BusHandle,
    class: enodev::ClassHandle,
    log: Arc<Mutex<Vec<&'static str>>>,
    drops: Arc<AtomicUsize>,
    is_leaving: AtomicBool,
    /// How often all was as the table says. A panic of an observer goes nowhere.
    passed: Arc<AtomicUsize>,
}

const ATTRS: [&str; 3] = ["own", "given/inner", "of_class"];

impl Shop {
    /// Looks at everything that the table of phases says of one.
    fn check(&self, notice: &Notice<'_>, is_bound: bool) {
        let (store, device, phase) = (notice.store(), notice.device(), notice.phase());
        self.is_leaving.fetch_or(phase >= Phase::Leaving, SeqCst);
        let is_there = !self.is_leaving.load(SeqCst);
        assert_eq!(notice.bus(), Some(self.bus));
        assert_eq!(notice.path().as_deref(), Ok("/part"));
        assert_eq!(store.contains(device), is_there);
        for name in ATTRS {
            assert_eq!(store.read(device, name), if is_there { Ok(b"here\n".into()) } else { Err(GONE) }, "{phase:?}");
        }
        for path in ["part/to", "by-id/from"] {
            assert_eq!(store.lookup(path).is_ok(), is_there, "{phase:?}");
        }
        let is_member = phase != Phase::Removed;
        assert_eq!(store.devices_on(self.bus).unwrap().any(|one| one == device), is_member, "{phase:?}");
        assert_eq!(store.devices_in(self.class).unwrap().any(|one| one == device), is_member, "{phase:?}");
        assert_eq!(store.create(store.root(), "part"), Err(Error::Exists), "{phase:?}");
        assert_eq!(self.drops.load(SeqCst), 0);
        let (asked, removed) = (self.count("probe"), self.count("remove"));
        match phase {
            Phase::Added => assert_eq!((asked, store.driver_of(device)), (0, Ok(None))),
            Phase::Binding => assert_eq!((notice.driver().is_some(), store.driver_of(device)), (true, Ok(None))),
            Phase::NotBound => assert_eq!((notice.errno(), asked), (Some(Errno::ENXIO), 1)),
            Phase::Bound => assert_eq!((store.driver_of(device), removed), (Ok(notice.driver()), 0)),
            Phase::Unbinding => assert_eq!((notice.driver().is_some(), removed), (true, 0)),
            Phase::Unbound => assert_eq!(removed, 1),
            Phase::Leaving => assert_eq!(removed, usize::from(!is_bound)),
            Phase::Removed => assert_eq!((removed, store.driver_of(device)), (1, Err(GONE))),
            _ => unreachable!("another phase"),
        }
        let data = store.data::<u8>(device).map(|data| *data);
        match phase {
            Phase::Bound => assert_eq!(data, Ok(7)),
            _ => assert_eq!(data, Err(if is_there { Error::NotBound } else { GONE }), "{phase:?}"),
        }
        self.passed.fetch_add(1, SeqCst);
    }

    fn count(&self, what: &str) -> usize {
        self.log.lock().iter().filter(|line| **line == what).count()
    }
}

/// F28, F29, F36, E-28, E-29, E-30, E-31: each phase is told when what the table says of it holds and not before: at the first all that
/// a device begins with is there, and at the last its payload still is. Whether the device is unbound first or leaves with its driver.
#[test]
fn each_phase_is_what_the_table_says() {
    for is_unbound_first in [true, false] {
        let store = Store::new().unwrap();
        let here = |name: &str| Attribute::<AnyObject>::ro(name, |_, page| page.line("here"));
        let ty = DeviceType::shared::<Part>("part").ro("own", |_, page| page.line("here"));
        let ty: Type<Shared<Part>> = store.define(ty).unwrap();
        let given = store.define_group(Group::named("given").attribute(here("inner"))).unwrap();
        let of_class = store.define_group(Group::new().attribute(here("of_class"))).unwrap();
        let class = store.register_class("class", &[of_class]).unwrap();
        let bus = store.register_bus("numbers", crate::chips::Numbers).unwrap();
        let by_id = store.create(store.root(), "by-id").unwrap();
        let (log, drops) = (Arc::<Mutex<Vec<_>>>::default(), Arc::<AtomicUsize>::default());
        let fitter = |answer| Fitter { log: Arc::clone(&log), answer };
        store.register_driver(bus, "refuses", fitter(Err(Errno::ENXIO)), vec![1]).unwrap();
        let driver = store.register_driver(bus, "takes", fitter(Ok(7)), vec![1]).unwrap();
        let (is_leaving, passed) = (AtomicBool::new(false), Arc::<AtomicUsize>::default());
        let (log, of_shop, of_test) = (Arc::clone(&log), Arc::clone(&drops), Arc::clone(&passed));
        let shop = Shop { bus: bus.handle(), class, log, drops: of_shop, is_leaving, passed };
        store.observe(move |notice| shop.check(notice, !is_unbound_first)).unwrap();
        let told = Told::observing(&store);
        let device = store.new_device(store.root(), "part", ty, Part(Arc::clone(&drops))).on(bus, 1).class(class);
        let device = device.group(given).link("to", by_id).linked_from(by_id, "from").register().unwrap();
        if is_unbound_first {
            assert_eq!(store.unbind(device, driver), Ok(Removal::Done(1)));
        }
        assert_eq!(store.unregister_subtree(device), Ok(Removal::Done(1)));
        let mut phases = vec![Phase::Added, Phase::Binding, Phase::NotBound, Phase::Binding, Phase::Bound];
        phases.extend(match is_unbound_first {
            true => [Phase::Unbinding, Phase::Unbound, Phase::Leaving, Phase::Removed],
            false => [Phase::Leaving, Phase::Unbinding, Phase::Unbound, Phase::Removed],
        });
        assert_eq!(told.of(device), phases);
        assert_eq!((drops.load(SeqCst), store.path(device)), (1, Err(GONE)));
        assert_eq!(of_test.load(SeqCst), phases.len());
    }
}

/// F28, F29, E-28, E-29: in a subtree that leaves all are gone before any of them is told of, and children are done with before their parents
/// are told of, each under its path; what is no device is not told of.
#[test]
fn a_subtree_leaves_children_first() {
    let bench = Bench::new();
    bench.driver(bench.logger("all"), &[1, 2, 3]);
    let top = bench.plug(1);
    let dir = bench.store.create(top, "dir").unwrap();
    let (one, two) = (bench.plug_under(dir, 2), bench.plug_under(dir, 3));
    let plain = bench.store.register(two, "plain", bench.chip, Chip(9)).unwrap();
    let (told, gone) = (Told::observing(&bench.store), Arc::<Mutex<Vec<_>>>::default());
    let (all, log) = ([top, one, two, plain], Arc::clone(&gone));
    let observer = move |notice: &Notice<'_>| {
        let is_any_there = all.iter().any(|device| notice.store().contains(*device));
        log.lock().push((is_any_there, notice.path().unwrap()));
    };
    bench.store.observe(observer).unwrap();
    assert_eq!(bench.store.unregister_subtree(top), Ok(Removal::Done(5)));
    let phases = [Phase::Leaving, Phase::Unbinding, Phase::Unbound, Phase::Removed];
    assert_eq!([one, two, top].map(|device| told.of(device)), [phases; 3].map(Vec::from));
    assert_eq!(told.of(plain), [Phase::Leaving, Phase::Removed]);
    let order = told.take();
    assert_eq!(order.len(), 14);
    let at = |device, phase| order.iter().position(|told| *told == (device, phase)).unwrap();
    assert!(at(plain, Phase::Removed) < at(two, Phase::Leaving));
    assert!([one, two].iter().all(|child| at(*child, Phase::Removed) < at(top, Phase::Leaving)));
    let paths: BTreeMap<_, usize> = gone.lock().iter().fold(BTreeMap::new(), |mut paths, (is_any_there, path)| {
        assert!(!is_any_there);
        *paths.entry(path.clone()).or_default() += 1;
        paths
    });
    let expected = [("/chip1", 4), ("/chip1/dir/chip2", 4), ("/chip1/dir/chip3", 4), ("/chip1/dir/chip3/plain", 2)];
    assert_eq!(paths.into_iter().collect::<Vec<_>>(), expected.map(|(path, count)| (path.to_owned(), count)));
}

/// E-27, F28: a device that another thread finds and removes while observers are told that it is new is told of as leaving when that is over;
/// and no driver is asked about a device that observers have not been told of.
#[test]
fn a_device_is_new_before_it_leaves() {
    let (bench, gate) = (Bench::new(), Arc::<Gate>::default());
    let stop = Arc::clone(&gate);
    let first = move |notice: &Notice<'_>| {
        if notice.phase() == Phase::Added {
            stop.pass();
        }
    };
    bench.store.observe(first).unwrap();
    let told = Told::observing(&bench.store);
    thread::scope(|scope| {
        let shut = gate.shut();
        let device = scope.spawn(|| bench.plug(1));
        gate.wait_for(1);
        bench.driver(bench.logger("late"), &[1]);
        let (store, object) = (&bench.store, bench.store.lookup("chip1").unwrap());
        let removal = scope.spawn(move || store.unregister_subtree(object));
        until(|| !store.contains(object));
        linger();
        assert_eq!(told.take(), []);
        drop(shut);
        assert_eq!(removal.join().unwrap(), Ok(Removal::Done(1)));
        assert_eq!(told.of(device.join().unwrap()), [Phase::Added, Phase::Leaving, Phase::Removed]);
    });
    assert_eq!(bench.log(), [""; 0]);
}

/// E-27: a driver that comes while a device is announced is asked about it, once, when that is over.
#[test]
fn a_driver_that_comes_while_a_device_is_announced_is_asked() {
    let bench = Bench::new();
    let (bus, log, made) = (bench.bus, Arc::clone(&bench.log), Arc::new(OnceLock::new()));
    let inner = Arc::clone(&made);
    let observer = move |notice: &Notice<'_>| {
        if notice.phase() == Phase::Added {
            let driver = notice.store().register_driver(bus, "late", crate::chips::Logger::new("late", &log), vec![1]);
            assert_eq!(notice.store().driver_of(notice.device()), Ok(None));
            inner.set(driver.unwrap()).unwrap();
        }
    };
    bench.store.observe(observer).unwrap();
    let device = bench.plug(1);
    assert_eq!(bench.log(), ["late probe 1"]);
    assert_eq!(bench.store.driver_of(device), Ok(made.get().copied()));
}

/// S0-15, S1-9: an observer may do whatever a callback may: add devices below the one it is told of, and remove that.
#[test]
fn observers_may_change_the_tree() {
    let bench = Bench::new();
    bench.driver(bench.logger("all"), &[1, 2, 3, 4]);
    let (bus, chip, answers) = (bench.bus, bench.chip, Arc::<Mutex<Vec<_>>>::default());
    let log = Arc::clone(&answers);
    let observer = move |notice: &Notice<'_>| {
        let (store, device) = (notice.store(), notice.device());
        let id = store.enter::<Chip>(device).map(|chip| chip.0);
        let child = || store.new_device(device, "child", chip, Chip(4)).on(bus, 4).register().map(drop);
        match (notice.phase(), id) {
            (Phase::Added, Ok(1)) => log.lock().push(child()),
            (Phase::Added, Ok(3)) => log.lock().push(store.unregister_subtree(device).map(drop)),
            (Phase::Bound, Ok(2)) => {
                log.lock().push(child());
                log.lock().push(store.unregister_subtree(device).map(drop));
            }
            (Phase::Leaving | Phase::Removed, _) => log.lock().push(child()),
            _ => {}
        }
    };
    bench.store.observe(observer).unwrap();
    let one = bench.plug(1);
    let take = || std::mem::take(&mut *answers.lock());
    assert_eq!((take(), bench.log()), (vec![Ok(())], vec!["all probe 4".into(), "all probe 1".into()]));
    let three = bench.plug(3);
    assert!(!bench.store.contains(three));
    assert_eq!((take(), bench.log()), (vec![Ok(()), Err(GONE), Err(GONE)], Vec::new()));
    // The lock of the device is the observer's as long as it is told of a binding.
    let two = bench.plug(2);
    assert!(!bench.store.contains(two));
    assert_eq!(take(), [Err(Error::Inside), Ok(()), Err(GONE), Err(GONE)]);
    assert_eq!(bench.log(), ["all probe 2", "all remove 2"]);
    assert_eq!(bench.store.unregister_subtree(one), Ok(Removal::Done(2)));
    assert!(take() == [Err(GONE); 4] && bench.store.is_empty());
}

/// S0-15, E-6, F38: observers are told in the order in which they came; one that has been unregistered is told nothing more and is gone,
/// also by itself, by another, and while it runs.
#[test]
fn observers_come_and_go() {
    let (bench, told) = (Bench::new(), Arc::<Mutex<Vec<_>>>::default());
    let own = Arc::new(OnceLock::new());
    let observe = |name: &'static str| {
        let told = Arc::clone(&told);
        bench.store.observe(move |_| told.lock().push(name)).unwrap()
    };
    let first = observe("first");
    let (inner, log) = (Arc::clone(&own), Arc::clone(&told));
    let once = bench.store.observe(move |notice| {
        log.lock().push("once");
        let answer = notice.store().unobserve(*inner.get().unwrap());
        assert_eq!((answer, notice.store().unobserve(first)), (Ok(Removal::Begun(1)), Ok(Removal::Done(1))));
        log.lock().push("done");
    });
    own.set(once.unwrap()).unwrap();
    let last = observe("last");
    let plug = |name| bench.store.register(bench.store.root(), name, bench.chip, Chip(0)).unwrap();
    plug("one");
    assert_eq!(std::mem::take(&mut *told.lock()), ["first", "once", "done", "last"]);
    plug("two");
    assert_eq!(std::mem::take(&mut *told.lock()), ["last"]);
    assert_eq!([first, *own.get().unwrap()].map(|observer| bench.store.unobserve(observer)), [Err(GONE); 2]);
    assert_eq!(bench.store.unobserve(last), Ok(Removal::Done(1)));
    plug("three");
    assert_eq!((told.lock().len(), Arc::strong_count(&told)), (0, 1));
}

/// E-6, S2-7: who unregisters an observer that runs in another thread waits for that.
#[test]
fn a_removal_of_an_observer_waits_for_it() {
    let (bench, gate) = (Bench::new(), Arc::<Gate>::default());
    let stop = Arc::clone(&gate);
    let observer = bench.store.observe(move |_| stop.pass()).unwrap();
    thread::scope(|scope| {
        let shut = gate.shut();
        let device = scope.spawn(|| bench.plug(1));
        gate.wait_for(1);
        let removal = scope.spawn(|| bench.store.unobserve(observer));
        linger();
        assert!(!removal.is_finished());
        drop(shut);
        assert_eq!(removal.join().unwrap(), Ok(Removal::Done(1)));
        assert_eq!(Arc::strong_count(&gate), 1);
        device.join().unwrap();
    });
}

/// S0-3: an observer that panics at every phase keeps nobody from anything; the others are told.
#[test]
fn panics_of_observers_go_nowhere() {
    let bench = Bench::new();
    bench.store.observe(|_| panic!("on purpose")).unwrap();
    let told = Told::observing(&bench.store);
    let driver = bench.driver(bench.logger("all"), &[1]);
    let device = bench.plug(1);
    assert_eq!(bench.store.driver_of(device), Ok(Some(driver)));
    assert_eq!(bench.store.unregister_driver(driver), Ok(Removal::Done(1)));
    assert_eq!(bench.store.unregister::<Chip>(device), Ok(Chip(1)));
    let phases = [Phase::Added, Phase::Binding, Phase::Bound, Phase::Unbinding, Phase::Unbound, Phase::Leaving];
    assert_eq!(told.of(device), [&phases[..], &[Phase::Removed]].concat());
    assert_eq!(bench.log(), ["all probe 1", "all remove 1"]);
}
