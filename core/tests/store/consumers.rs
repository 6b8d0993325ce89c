//! Consumers of a resource that its provider takes back: the resource is in a store, or in a gate of its own.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::thread;

use enodev::{AsKobject, DeviceHandle, DeviceType, Errno, Gate, KobjectHandle, Removal, Store};

use crate::common::{GONE, Rig, linger, until};

/// The counted resource.
type Resource = Arc<u32>;

/// One place where a provider keeps its resource, as consumers see it.
trait Home {
    /// Runs a consumer's code with the resource, if it is there.
    fn with(&self, run: &mut dyn FnMut(&Resource)) -> bool;
    /// Takes the resource back; false if somebody has.
    fn revoke(&self) -> bool;
}

impl Home for Gate<Resource> {
    fn with(&self, run: &mut dyn FnMut(&Resource)) -> bool {
        self.enter().map(|pass| run(&pass)).is_ok()
    }

    fn revoke(&self) -> bool {
        self.close().is_ok()
    }
}

/// An object.
struct InStore {
    store: Store,
    object: DeviceHandle,
}

impl InStore {
    fn new(resource: Resource) -> Self {
        let store = Store::new().unwrap();
        let ty = store.define(DeviceType::shared::<Resource>("resource")).unwrap();
        let object = store.register(store.root(), "resource", ty, resource).unwrap();
        Self { store, object }
    }
}

impl Home for InStore {
    fn with(&self, run: &mut dyn FnMut(&Resource)) -> bool {
        // A copy, as every consumer has one.
        let handle = DeviceHandle::from_bits(self.object.to_bits());
        self.store.enter::<Resource>(handle).map(|guard| run(&guard)).is_ok()
    }

    fn revoke(&self) -> bool {
        self.store.unregister::<Resource>(self.object).is_ok()
    }
}

/// On the stack, on the heap, shared, and in a store.
fn for_each_home(run: impl Fn(&dyn Home, &Resource)) {
    let resource = || Resource::new(7);
    let (first, second, third, fourth) = (resource(), resource(), resource(), resource());
    let on_the_stack = Gate::new(Arc::clone(&first));
    run(&on_the_stack, &first);
    let on_the_heap = Box::new(Gate::new(Arc::clone(&second)));
    run(&*on_the_heap, &second);
    let shared = Arc::new(Gate::new(Arc::clone(&third)));
    run(&*Arc::clone(&shared), &third);
    run(&InStore::new(Arc::clone(&fourth)), &fourth);
}

/// T39, T40: wherever a provider keeps its resource, on the stack, on the heap or in a store: no consumer, inside or out, counts as one that
/// keeps it alive. There are two references as long as the provider has it, and one when it has taken it back.
#[test]
fn consumers_keep_no_resource_alive() {
    for_each_home(|home, resource| {
        let count = || Arc::strong_count(resource);
        assert_eq!(count(), 2);
        for _ in 0..3 {
            assert!(home.with(&mut |inside| {
                assert!(Arc::ptr_eq(inside, resource));
                assert_eq!(count(), 2);
                assert!(home.with(&mut |_| assert_eq!(count(), 2)));
            }));
            assert_eq!(count(), 2);
        }
        assert!(home.revoke());
        assert_eq!(count(), 1);
    });
}

/// T41, S2-5: before the resource is taken back all consumers get it, afterwards none does, on whatever thread; it can be taken back once.
#[test]
fn consumers_are_refused_when_the_resource_has_been_taken_back() {
    for_each_home(|home, resource| {
        let got = AtomicUsize::new(0);
        let mut consume = |_: &Resource| {
            got.fetch_add(1, SeqCst);
        };
        assert!((0..3).all(|_| home.with(&mut consume)));
        assert!(home.revoke() && !home.revoke());
        assert!((0..3).all(|_| !home.with(&mut consume)));
        assert_eq!((got.load(SeqCst), Arc::strong_count(resource)), (3, 1));
    });
}

/// T42: what consumers do where the resource has gone: return a number of their own, return the store's, return nothing, or leave a block out.
#[test]
fn consumers_choose_what_the_absence_means() {
    fn or_own(home: &InStore) -> Result<u32, Errno> {
        let guard = home.store.enter::<Resource>(home.object).map_err(|_| Errno::ENXIO)?;
        Ok(**guard)
    }
    fn or_enodev(home: &InStore) -> Result<u32, Errno> {
        Ok(**home.store.enter::<Resource>(home.object)?)
    }
    fn or_return(home: &InStore, reached: &mut bool) {
        let Ok(guard) = home.store.enter::<Resource>(home.object) else { return };
        *reached = **guard == 7;
    }
    fn or_skip(home: &InStore) -> (u32, bool) {
        let mut seen = 0;
        if let Ok(guard) = home.store.enter::<Resource>(home.object) {
            seen = **guard;
        }
        (seen, true)
    }
    let home = InStore::new(Resource::new(7));
    let all = || {
        let mut reached = false;
        or_return(&home, &mut reached);
        (or_own(&home), or_enodev(&home), reached, or_skip(&home))
    };
    assert_eq!(all(), (Ok(7), Ok(7), true, (7, true)));
    // None of them has left a guard behind.
    assert!(home.revoke());
    assert_eq!(all(), (Err(Errno::ENXIO), Err(Errno::ENODEV), false, (0, true)));
}

/// T43: one consumer is inside and reads on; the provider waits; a second consumer finds nothing meanwhile, in a store as in a gate.
#[test]
fn who_comes_while_the_provider_waits_finds_nothing() {
    let (in_store, gate) = (InStore::new(Resource::new(7)), Gate::new(Resource::new(7)));
    let homes: [&(dyn Home + Sync); 2] = [&in_store, &gate];
    for home in homes {
        let (inside, leave) = (AtomicUsize::new(0), AtomicUsize::new(0));
        thread::scope(|scope| {
            let first = scope.spawn(|| {
                let mut seen = 0;
                let came_in = home.with(&mut |resource| {
                    inside.store(1, SeqCst);
                    until(|| leave.load(SeqCst) == 1);
                    seen = **resource;
                });
                (came_in, seen)
            });
            until(|| inside.load(SeqCst) == 1);
            let provider = scope.spawn(|| home.revoke());
            until(|| !home.with(&mut |_| ()));
            linger();
            assert!(!provider.is_finished() && !first.is_finished());
            leave.store(1, SeqCst);
            assert_eq!(first.join().unwrap(), (true, 7));
            assert!(provider.join().unwrap());
        });
    }
}

/// T103: of threads that share one open file one is in the callback and the others wait for the file, not for the object: the removal waits for
/// the one and not for them. It succeeds, and they fail.
#[test]
fn of_those_who_share_a_file_the_removal_waits_for_the_one_inside() {
    let rig = Rig::new();
    let store = &rig.store;
    let disk = rig.add(store.root(), "sda");
    let (file, other) = (rig.open(disk, "slow"), rig.open(disk, "slow"));
    thread::scope(|scope| {
        let shut = rig.world.gate.shut();
        let first = scope.spawn(|| file.write(store, b"first"));
        rig.world.gate.wait_for(1);
        // Through another file there is another way in.
        let beside = scope.spawn(|| other.pread(store, 0, &mut [0; 8]));
        rig.world.gate.wait_for(2);
        let late = [(); 3].map(|()| scope.spawn(|| file.write(store, b"late")));
        linger();
        let remover = scope.spawn(|| store.unregister_subtree(disk));
        until(|| !store.contains(disk));
        linger();
        assert!(!remover.is_finished());
        assert!(late.iter().all(|late| !late.is_finished()));
        drop(shut);
        assert_eq!((first.join().unwrap(), beside.join().unwrap()), (Ok(5), Ok(4)));
        assert_eq!(late.map(|late| late.join().unwrap()), [Err(Errno::ENODEV); 3]);
        assert_eq!(remover.join().unwrap(), Ok(Removal::Done(1)));
    });
    assert_eq!(rig.dropped(), ["sda"]);
}

/// T104: handles of an object, an attribute and a value that were copied before the removal, in whatever form and wherever they were kept, fail
/// after it as the originals do.
#[test]
fn copies_fail_as_the_original_does() {
    let store = Store::new().unwrap();
    let ty = DeviceType::shared::<()>("card").plain("level", 3_u32);
    let ty = store.define(ty).unwrap();
    let (level, card) =
        (store.plain::<u32>(ty, "level").unwrap(), store.register(store.root(), "card", ty, ()).unwrap());
    let copies =
        [card.kobject(), KobjectHandle::from_bits(card.to_bits()), DeviceHandle::from_bits(card.to_bits()).kobject()];
    let values = [level.clone(), level.clone().clone()];
    let ask = || {
        thread::scope(|scope| {
            let ask = || copies.map(|copy| values.each_ref().map(|level| level.load(&store, copy)));
            (scope.spawn(ask).join().unwrap(), copies.map(|copy| store.path(copy)))
        })
    };
    assert_eq!(ask(), ([[Ok(3); 2]; 3], [(); 3].map(|()| Ok("/card".to_owned()))));
    store.unregister::<()>(card).unwrap();
    assert_eq!(ask(), ([[Err(GONE); 2]; 3], [(); 3].map(|()| Err(GONE))));
    // Nor do they reach the next one.
    let next = store.register(store.root(), "card", ty, ()).unwrap();
    assert_eq!(ask(), ([[Err(GONE); 2]; 3], [(); 3].map(|()| Err(GONE))));
    assert_eq!(level.load(&store, next), Ok(3));
}
