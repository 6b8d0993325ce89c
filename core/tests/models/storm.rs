//! Everything at once, drawn by lot: the tree is whole at the end, and each payload goes once.

use std::sync::Arc;

use enodev::{DeviceHandle, Error, Removal};
use enodev_handles::sync::Mutex;
use shuttle::rand::{Rng, thread_rng};

use crate::check;
use crate::common::{Disk, GONE, Rig, Witness};

const THREADS: usize = 3;
const STEPS: usize = 6;
const NAMES: [&str; 4] = ["a", "b", "c", "d"];

/// The objects that there are, or were, and all witnesses.
#[derive(Default)]
struct Known {
    objects: Mutex<Vec<DeviceHandle>>,
    witnesses: Mutex<Vec<Arc<Witness>>>,
}

impl Known {
    fn any(&self) -> DeviceHandle {
        let objects = self.objects.lock();
        objects[thread_rng().gen_range(0..objects.len())]
    }

    fn plug(&self, rig: &Rig) {
        let (plugged, witness) = rig.try_plug(self.any(), any_name());
        self.witnesses.lock().push(witness);
        match plugged {
            Ok(object) => self.objects.lock().push(object),
            Err(error) => assert!([GONE, Error::Exists].contains(&error), "{error}"),
        }
    }
}

fn any_name() -> &'static str {
    NAMES[thread_rng().gen_range(0..NAMES.len())]
}

fn step(rig: &Rig, known: &Known) {
    let (store, one, other) = (&rig.store, known.any(), known.any());
    match thread_rng().gen_range(0..10) {
        0..=2 => known.plug(rig),
        3 => match store.unregister_subtree(one) {
            Ok(Removal::Done(_)) => assert!(!store.contains(one)),
            Ok(Removal::Begun(_)) => panic!("nobody is inside"),
            Err(error) => assert!([GONE, Error::Leaving].contains(&error), "{error}"),
        },
        4 => match store.unregister::<Disk>(one) {
            Ok(_) => assert!(!store.contains(one)),
            Err(error) => assert!([GONE, Error::HasChildren, Error::Leaving].contains(&error), "{error}"),
        },
        5 => match store.move_to(one, other, any_name()) {
            Ok(()) => {}
            Err(Error::Errno(_) | Error::NotFound | Error::Exists) => {}
            Err(error) => panic!("{error}"),
        },
        6 => match store.link(one, any_name(), other) {
            Ok(()) => {}
            Err(error) => assert!([GONE, Error::Exists].contains(&error), "{error}"),
        },
        7 => {
            // It goes as the guard does, with what is below it.
            let Ok(guard) = store.enter::<Disk>(one) else { return };
            let removed = store.unregister_subtree(other);
            guard.visit();
            drop(guard);
            assert!(matches!(removed, Ok(_) | Err(Error::Errno(_) | Error::Leaving | Error::Deadlock)), "{removed:?}");
        }
        8 => {
            if let Ok(path) = store.path(one) {
                // Others may have come to stand there.
                let _ = store.lookup(&path).map(|found| rig.visit(found));
            }
        }
        _ => {
            rig.visit(one);
            store.flush();
        }
    }
}

/// S1-12, T105: objects are added, moved, linked, entered and removed by several threads: no payload is used after its end, and what is
/// left is a tree.
#[test]
fn whatever_happens_the_tree_is_whole() {
    check(|| {
        let rig = Rig::new();
        let known = Arc::new(Known::default());
        for name in NAMES {
            let (object, witness) = rig.plug(rig.store.root(), name);
            known.objects.lock().push(object);
            known.witnesses.lock().push(witness);
        }
        let threads = [0; THREADS].map(|_| {
            let known = Arc::clone(&known);
            rig.spawn(move |rig| (0..STEPS).for_each(|_| step(rig, &known)))
        });
        threads.into_iter().for_each(|thread| thread.join().unwrap());
        rig.store.reap();
        let left = rig.assert_whole();
        let is_left = |witness: &Arc<Witness>| !witness.is_gone();
        assert_eq!(known.witnesses.lock().iter().filter(|witness| is_left(witness)).count(), left);
        drop(Arc::into_inner(rig).expect("all threads have ended"));
        known.witnesses.lock().iter().for_each(|witness| witness.assert_gone());
    });
}
