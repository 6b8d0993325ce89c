//! The end of a store.

use std::mem;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::thread;

use enodev::{Access, DeviceType, Errno, Removal, Store, Strategy};

use crate::common::{Disk, Rig, panic_of};

/// A store that is dropped drops all payloads, on that thread, children before parents.
#[test]
fn a_store_drops_children_before_parents() {
    let rig = Rig::new();
    let store = &rig.store;
    let a = rig.add(store.root(), "a");
    let c = rig.add(rig.add(a, "b"), "c");
    rig.add(store.root(), "beside");
    store.link(c, "up", store.root()).unwrap();
    let file = store.open(c, "name", Access::READ).unwrap();
    let world = Arc::clone(&rig.world);
    drop(rig);
    let dropped = world.dropped();
    let chain: String = dropped.iter().filter(|name| *name != "beside").cloned().collect();
    assert_eq!((chain.as_str(), dropped.len()), ("cba", 4));
    assert!(world.dropped_here());
    // The file outlives its store, and is nothing in any other.
    let rig = Rig::new();
    rig.add(rig.add(rig.add(rig.store.root(), "a"), "b"), "c");
    assert_eq!(file.read(&rig.store, &mut [0; 8]), Err(Errno::ENODEV));
}

/// The code of attributes is dropped after the payloads, for these may still be using what it holds.
#[test]
fn the_code_of_attributes_outlives_the_payloads() {
    struct Payload(Arc<AtomicUsize>, std::sync::Weak<()>);
    impl Drop for Payload {
        fn drop(&mut self) {
            self.0.fetch_add(1 + self.1.strong_count(), SeqCst);
        }
    }
    let store = Store::new().unwrap();
    let (sum, code) = (Arc::new(AtomicUsize::new(0)), Arc::new(()));
    let payload = Payload(Arc::clone(&sum), Arc::downgrade(&code));
    let ty = DeviceType::shared::<Payload>("type").ro("attr", move |_, _| {
        let _in_the_driver = &code;
        Ok(())
    });
    let ty = store.define(ty).unwrap();
    let left = payload.1.clone();
    store.register(store.root(), "dev", ty, payload).unwrap();
    drop(store);
    assert_eq!((sum.load(SeqCst), left.strong_count()), (2, 0));
}

/// Guards that were forgotten, by this thread or by one that has ended, do not hold the end up, in either strategy; the
/// payloads behind them are dropped like all others, children before parents.
#[test]
fn forgotten_guards_do_not_hold_the_end_up() {
    for (strategy, by_another) in
        [(Strategy::Auto, false), (Strategy::Auto, true), (Strategy::Fence, false), (Strategy::Fence, true)]
    {
        let rig = Rig::with_strategy(strategy);
        let store = &rig.store;
        let parent = rig.add(store.root(), "parent");
        let child = rig.add(parent, "child");
        let counter = store.define(DeviceType::exclusive::<u32>("counter")).unwrap();
        let counter = store.register(child, "counter", counter, 0).unwrap();
        let forget = || {
            for _ in 0..10 {
                mem::forget(store.enter::<Disk>(parent).unwrap());
            }
            mem::forget(store.enter::<Disk>(child).unwrap());
            mem::forget(store.enter_mut::<u32>(counter).unwrap());
        };
        if by_another {
            thread::scope(|scope| scope.spawn(forget).join()).unwrap();
        } else {
            forget();
        }
        let world = Arc::clone(&rig.world);
        drop(rig);
        assert_eq!(world.dropped(), ["child", "parent"]);
    }
}

/// A thread that forgot a guard of a store that is gone is as good as any other in the next store.
#[test]
fn a_forgotten_guard_means_nothing_in_the_next_store() {
    let rig = Rig::new();
    let disk = rig.add(rig.store.root(), "sda");
    mem::forget(rig.store.enter::<Disk>(disk).unwrap());
    drop(rig);
    for _ in 0..100 {
        let rig = Rig::new();
        let disk = rig.add(rig.store.root(), "sda");
        assert_eq!(rig.store.unregister_subtree(disk), Ok(Removal::Done(1)));
    }
}

/// Panics in its drop.
struct Bomb(Arc<AtomicUsize>);

impl Drop for Bomb {
    fn drop(&mut self) {
        let n = self.0.fetch_add(1, SeqCst);
        std::panic::panic_any(format!("bomb {n}"));
    }
}

/// Payloads that panic as the store is dropped hold nothing up: all others are dropped, and the first panic goes on.
#[test]
fn a_payload_that_panics_at_the_end_holds_nothing_up() {
    let rig = Rig::new();
    let store = &rig.store;
    let drops = Arc::new(AtomicUsize::new(0));
    let code = Arc::new(());
    let held = Arc::clone(&code);
    let bomb = DeviceType::shared::<Bomb>("bomb").ro("attr", move |_, _| {
        let _in_the_driver = &held;
        Ok(())
    });
    let bomb = store.define(bomb).unwrap();
    let top = rig.add(store.root(), "top");
    for name in ["x", "y"] {
        let parent = store.register(top, name, bomb, Bomb(Arc::clone(&drops))).unwrap();
        rig.add(parent, "below");
    }
    let world = Arc::clone(&rig.world);
    assert_eq!(panic_of(|| drop(rig)), "bomb 0");
    assert_eq!(drops.load(SeqCst), 2);
    assert_eq!(world.dropped(), ["below", "below", "top"]);
    assert_eq!(Arc::strong_count(&code), 1);
}

/// A panic of what was given up, as the store is dropped, does not keep the rest from going children first.
#[test]
fn a_panic_at_the_end_leaves_the_order_as_it_is() {
    let rig = Rig::new();
    let store = &rig.store;
    let parent = rig.add(store.root(), "parent");
    rig.add(parent, "child");
    let bomb = store.define(DeviceType::shared::<Bomb>("bomb")).unwrap();
    let bombs = [0, 1]
        .map(|n| store.register(store.root(), &format!("bomb{n}"), bomb, Bomb(Arc::new(AtomicUsize::new(n)))).unwrap());
    for bomb in bombs {
        mem::forget(store.enter::<Bomb>(bomb).unwrap());
        assert_eq!(store.unregister_subtree(bomb), Ok(Removal::Begun(1)));
    }
    let world = Arc::clone(&rig.world);
    assert!(panic_of(|| drop(rig)).starts_with("bomb"));
    assert_eq!(world.dropped(), ["child", "parent"]);
}
