//! The locks of devices: their order, who waits for them, and circles.

use std::sync::{Arc, Barrier};
use std::thread;

use enodev::{
    AsKobject, Bus, BusType, DeviceHandle, DeviceType, Driver, DriverHandle, Errno, Error, Exclusion, Removal, Result,
    Scope, Shared, Store,
};

use crate::chips::{Bench, Chip, Numbers};
use crate::common::{GONE, Gate, linger, until};

/// S1-10: a debug build says so where a thread that has the lock of a device wants that of one above, by whatever operation; it names both
/// places, and nothing has changed.
#[cfg(debug_assertions)]
#[test]
fn parents_come_first() {
    let bench = Bench::new();
    let top = bench.plug(1);
    let parent = bench.plug_under(top, 2);
    let child = bench.plug_under(parent, 3);
    let driver = bench.driver(bench.logger("all"), &[4]);
    let store = &bench.store;
    let ways: [(&str, &dyn Fn() -> String); 5] = [
        ("lock", &|| format!("{:?}", store.lock(top))),
        ("attach", &|| format!("{:?}", store.attach(parent))),
        ("bind", &|| format!("{:?}", store.bind(top, driver))),
        ("resume", &|| format!("{:?}", store.resume(top))),
        ("register", &|| format!("{:?}", store.register(parent, "new", bench.chip, Chip(9)))),
    ];
    for (name, way) in ways {
        let held = store.lock(child).unwrap();
        let line = line!() - 1;
        let text = crate::common::panic_of(way);
        assert_eq!(text.matches(file!()).count(), 2, "{name}: {text}");
        assert!(
            text.contains(&format!("{}:{line}:", file!())) && text.contains(&format!("{:?}", child.kobject())),
            "{name}: {text}"
        );
        assert_eq!(store.list(parent).unwrap().len(), store.list(child).unwrap().len() + 1, "{name}");
        drop(held);
        assert!(store.lock(top).is_ok() && store.lock(parent).is_ok(), "{name}");
    }
}

/// S1-10: the order of parents and children says nothing of anybody else: siblings, devices of other stores, parents before children, and
/// locks that have been given back.
#[test]
fn who_is_not_above_may_be_locked() {
    let (bench, other) = (Bench::new(), Bench::new());
    let parent = bench.plug(1);
    let (one, two) = (bench.plug_under(parent, 2), bench.plug_under(parent, 3));
    let elsewhere = other.plug(1);
    let first = bench.store.lock(one).unwrap();
    let second = bench.store.lock(two).unwrap();
    assert_eq!(bench.store.lock(two).unwrap_err(), Error::Inside);
    let third = other.store.lock(elsewhere).unwrap();
    // In any order.
    drop((first, third, second));
    let above = bench.store.lock(parent).unwrap();
    assert!(bench.store.lock(two).is_ok());
    drop(above);
    assert!(bench.store.lock(parent).is_ok());
}

/// S1-11, T96: who has the lock of a device adds children with it as proof, and only with that one.
#[test]
fn a_lock_is_proof_for_children() {
    let (bench, other) = (Bench::new(), Bench::new());
    let (parent, beside, elsewhere) = (bench.plug(1), bench.plug(2), other.plug(1));
    let child = |id: u32| bench.store.new_device(parent, &format!("chip{id}"), bench.chip, Chip(id)).on(bench.bus, id);
    let (wrong, foreign) = (bench.store.lock(beside).unwrap(), other.store.lock(elsewhere).unwrap());
    assert_eq!(child(3).register_in(&wrong), Err(Error::NotHeld));
    assert_eq!(child(3).register_in(&foreign), Err(Error::NotHeld));
    drop(wrong);
    let held = bench.store.lock(parent).unwrap();
    assert_eq!(child(3).register(), Err(Error::Inside));
    assert_eq!(bench.store.register(parent, "chip3", bench.chip, Chip(3)), Err(Error::Inside));
    let child3 = child(3).register_in(&held).unwrap();
    assert_eq!(bench.store.parent(child3), Ok(parent.kobject()));
    // Of the lock of a device that has left there is still the guard.
    assert_eq!(bench.store.unregister_subtree(parent), Ok(Removal::Done(2)));
    assert_eq!(child(4).register_in(&held), Err(GONE));
    drop(held);
    assert_eq!(bench.store.lock(parent).unwrap_err(), GONE);
    let plain = bench.store.register(bench.store.root(), "plain", bench.chip, Chip(5)).unwrap();
    assert_eq!(bench.store.lock(plain).unwrap_err(), Error::WrongType);
}

/// S1-3, S1-2: nobody adds a child to a device while one of its callbacks runs, and none runs while a child is added.
#[test]
fn children_are_added_between_callbacks() {
    let (bench, gate) = (Bench::new(), Arc::<Gate>::default());
    let stop = Arc::clone(&gate);
    let slow = bench.logger("slow").probing(move |_| {
        stop.pass();
        Ok(())
    });
    bench.driver(slow, &[1]);
    thread::scope(|scope| {
        let shut = gate.shut();
        let parent = scope.spawn(|| bench.plug(1));
        gate.wait_for(1);
        let (bench, above) = (&bench, bench.store.lookup("chip1").unwrap());
        let child = scope.spawn(move || bench.plug_under(above, 2));
        linger();
        assert!(!child.is_finished());
        assert!(bench.store.lookup("chip1/chip2").is_err());
        drop(shut);
        parent.join().unwrap();
        child.join().unwrap();
    });
    assert!(bench.store.lookup("chip1/chip2").is_ok());
    let parent = bench.store.device(bench.store.lookup("chip1").unwrap()).unwrap();
    thread::scope(|scope| {
        let held = bench.store.lock(parent).unwrap();
        let asleep = scope.spawn(|| bench.store.suspend(parent));
        linger();
        assert!(!asleep.is_finished());
        bench.store.new_device(parent, "chip3", bench.chip, Chip(3)).register_in(&held).unwrap();
        drop(held);
        asleep.join().unwrap().unwrap();
    });
}

/// S1-2: who has the lock of a device keeps it from being unbound, and nobody gets the lock while `remove` runs.
#[test]
fn a_remove_has_the_lock() {
    let (bench, gate) = (Bench::new(), Arc::<Gate>::default());
    let stop = Arc::clone(&gate);
    let driver = bench.driver(bench.logger("slow").removing(move |_| stop.pass()), &[1]);
    let device = bench.plug(1);
    thread::scope(|scope| {
        let held = bench.store.lock(device).unwrap();
        let unbound = scope.spawn(|| bench.store.unbind(device, driver));
        until(|| bench.store.data::<String>(device).is_err());
        linger();
        assert_eq!(bench.log(), ["slow probe 1"]);
        let shut = gate.shut();
        drop(held);
        gate.wait_for(1);
        let locked = scope.spawn(|| bench.store.lock(device).map(drop));
        linger();
        assert!(!locked.is_finished());
        drop(shut);
        assert_eq!((unbound.join().unwrap(), locked.join().unwrap()), (Ok(Removal::Done(1)), Ok(())));
    });
}

/// S1-10: two callbacks each want the lock of the other's device: the one that comes last is told, and the other gets it.
#[test]
fn of_two_callbacks_that_want_each_other_one_is_told() {
    for _ in 0..50 {
        let (bench, meet) = (Bench::new(), Arc::new(Barrier::new(2)));
        let both = Arc::clone(&meet);
        let driver = bench.logger("both").suspending(move |device| {
            let other = if device.0 == 1 { "chip2" } else { "chip1" };
            let other = device.store().device(device.store().lookup(other)?)?;
            both.wait();
            device.store().lock(other).map(drop).map_err(Errno::from)
        });
        bench.driver(driver, &[1, 2]);
        let devices = [1, 2].map(|id| bench.plug(id));
        let mut told = thread::scope(|scope| {
            let store = &bench.store;
            let threads = devices.map(|device| scope.spawn(move || store.suspend(device)));
            threads.map(|thread| thread.join().unwrap())
        });
        told.sort_by_key(Result::is_err);
        assert_eq!(told, [Ok(()), Err(Errno::EDEADLK.into())]);
    }
}

/// A bus like the one of numbers, whose devices are bound with the lock of their parents held.
struct Hub;

impl BusType for Hub {
    type Id = u32;
    type IdTable = u32;

    const LOCKS_PARENT: bool = true;

    fn matches(&self, id: &u32, table: &u32) -> bool {
        id == table
    }
}

/// A driver of it, which notes whether its caller has the lock of the parent.
struct Port(Arc<Gate>);

impl Driver for Port {
    type Bus = Hub;
    type Device = Shared<Chip>;
    type Data = ();

    fn probe(&self, device: &mut Scope<'_, Self::Device>) -> Result<(), Errno> {
        self.0.pass();
        let parent = device.store().device(device.store().parent(device.device())?)?;
        match device.store().lock(parent) {
            Err(Error::Inside) => Ok(()),
            _ => Err(Errno::EIO),
        }
    }
}

/// F31: where a bus wants it, drivers are asked with the lock of the parent held as well, by whoever has them asked; also by who has that
/// lock already.
#[test]
fn a_bus_has_the_parent_locked() {
    let (bench, gate) = (Bench::new(), Arc::<Gate>::default());
    let hub: Bus<Hub> = bench.store.register_bus("hub", Hub).unwrap();
    let parent = bench.plug(1);
    let port = |id: u32| bench.store.new_device(parent, &format!("port{id}"), bench.chip, Chip(id)).on(hub, id);
    let early = port(2).register().unwrap();
    let register =
        |id: u32| bench.store.register_driver(hub, &format!("port{id}"), Port(Arc::clone(&gate)), id).unwrap();
    let drivers = [2, 3, 4].map(register);
    let late = port(3).register().unwrap();
    let held = bench.store.lock(parent).unwrap();
    let within = port(4).register_in(&held).unwrap();
    drop(held);
    let of = |device| bench.store.driver_of(device).unwrap();
    assert_eq!([early, late, within].map(of), drivers.map(Some));
    assert_eq!(bench.store.unbind(early, drivers[0]), Ok(Removal::Done(1)));
    thread::scope(|scope| {
        let shut = gate.shut();
        let bound = scope.spawn(|| bench.store.bind(early, drivers[0]));
        gate.wait_for(1);
        let locked = scope.spawn(|| bench.store.lock(parent).map(drop));
        linger();
        assert!(!locked.is_finished());
        drop(shut);
        assert_eq!((bound.join().unwrap(), locked.join().unwrap()), (Ok(()), Ok(())));
    });
}

/// What a card's attributes want while they are inside.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Wants {
    /// A lock of the driver's.
    Own,
    /// The lock of the device.
    Device,
}

struct Card {
    own: Arc<Exclusion<()>>,
    gate: Arc<Gate>,
    wants: Wants,
}

/// Keeps nothing of its devices.
struct Cards;

impl Driver for Cards {
    type Bus = Numbers;
    type Device = Shared<Card>;
    type Data = u8;

    fn probe(&self, _: &mut Scope<'_, Self::Device>) -> Result<u8, Errno> {
        Ok(0)
    }
}

struct Slot {
    store: Store,
    driver: DriverHandle,
    device: DeviceHandle,
    own: Arc<Exclusion<()>>,
    gate: Arc<Gate>,
    wants: Wants,
}

impl Slot {
    /// Of a card, `outer` is inside the device alone, `inner` inside the driver's data too.
    fn new(wants: Wants) -> Self {
        let (store, own, gate) = (Store::new().unwrap(), Arc::<Exclusion<()>>::default(), Arc::<Gate>::default());
        let show = |card: &Card, store: &Store, device| -> Result<(), Errno> {
            card.gate.pass();
            match card.wants {
                Wants::Own => card.own.lock().map(drop).map_err(Error::from)?,
                Wants::Device => drop(store.lock(store.device(device)?)?),
            }
            Ok(())
        };
        let ty = DeviceType::shared::<Card>("card")
            .ro("outer", move |card, _| show(&card, card.store(), card.object()))
            .ro("inner", move |card, _| {
                let device = card.store().device(card.object())?;
                let _data = card.store().data::<u8>(device)?;
                show(&card, card.store(), card.object())
            });
        let ty = store.define(ty).unwrap();
        let bus = store.register_bus("numbers", Numbers).unwrap();
        let driver = store.register_driver(bus, "cards", Cards, vec![1]).unwrap();
        let card = Card { own: Arc::clone(&own), gate: Arc::clone(&gate), wants };
        let device = store.new_device(store.root(), "card", ty, card).on(bus, 1).register().unwrap();
        Self { store, driver, device, own, gate, wants }
    }

    /// Runs with the lock that the card's attributes want.
    fn locked<R>(&self, run: impl FnOnce() -> R) -> R {
        match self.wants {
            Wants::Own => {
                let _own = self.own.lock().unwrap();
                run()
            }
            Wants::Device => {
                let _held = self.store.lock(self.device).unwrap();
                run()
            }
        }
    }
}

type Removes = fn(&Slot) -> Result<Removal>;

const REMOVES: [(&str, Removes); 3] = [
    ("unbind", |slot| slot.store.unbind(slot.device, slot.driver)),
    ("unregister_driver", |slot| slot.store.unregister_driver(slot.driver)),
    ("unregister_subtree", |slot| slot.store.unregister_subtree(slot.device)),
];

/// D-1, D-3, T27, T28, T98: who removes a device, its driver or the one from the other holds a lock that an attribute wants which the removal waits
/// for: a lock of the driver's, or that of the device. One of the two is told, the other goes on; and what was told can be done again.
#[test]
fn of_a_remover_and_an_attribute_that_want_a_lock_one_is_told() {
    for (wants, (name, removes)) in [Wants::Own, Wants::Device].into_iter().flat_map(|w| REMOVES.map(|r| (w, r))) {
        for _ in 0..30 {
            let slot = Slot::new(wants);
            thread::scope(|scope| {
                let shut = slot.gate.shut();
                let reader = scope.spawn(|| slot.store.read(slot.device, "inner"));
                slot.gate.wait_for(1);
                let removal = slot.locked(|| {
                    drop(shut);
                    removes(&slot)
                });
                let read = reader.join().unwrap();
                // It may have got its lock when the device had begun to leave.
                let may_be_gone = wants == Wants::Device && read == Err(GONE);
                match removal {
                    Err(Error::Deadlock) => {
                        assert!(read.is_ok() || may_be_gone, "{wants:?} {name}: {read:?}");
                        let (again, gone) = (removes(&slot), matches!(name, "unregister_subtree"));
                        assert!(
                            matches!(again, Ok(Removal::Done(1))) || gone && again == Err(GONE),
                            "{name}: {again:?}"
                        );
                    }
                    _ => {
                        assert_eq!(removal, Ok(Removal::Done(1)), "{wants:?} {name}");
                        assert!(read == Err(Errno::EDEADLK.into()) || may_be_gone, "{wants:?} {name}: {read:?}");
                    }
                }
                assert!(slot.store.data::<u8>(slot.device).is_err());
            });
        }
    }
}

/// D-1, D-3, T98: unbinding waits for who is inside the driver's data, not for who is inside the device: an attribute that wants a lock is in
/// nobody's way, though the remover holds that lock.
#[test]
fn unbinding_waits_for_no_attribute() {
    for (wants, (name, removes)) in [Wants::Own, Wants::Device].into_iter().flat_map(|w| REMOVES.map(|r| (w, r))) {
        if name == "unregister_subtree" {
            continue;
        }
        let slot = Slot::new(wants);
        thread::scope(|scope| {
            let shut = slot.gate.shut();
            let reader = scope.spawn(|| slot.store.read(slot.device, "outer"));
            slot.gate.wait_for(1);
            slot.locked(|| {
                drop(shut);
                assert_eq!(removes(&slot), Ok(Removal::Done(1)), "{wants:?} {name}");
            });
            assert_eq!(reader.join().unwrap(), Ok(Vec::new()));
        });
        until(|| slot.store.driver_of(slot.device) == Ok(None));
    }
}
