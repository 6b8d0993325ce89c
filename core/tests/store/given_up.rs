//! Removals that were given up, and who goes on with them.

use std::sync::mpsc;
use std::thread;

use enodev::{DeviceHandle, DeviceType, Error, Exclusion, Store};

use crate::common::{GONE, until};

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
