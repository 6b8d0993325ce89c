//! Removals that meet: with additions, with each other, with those who remove what they are in.

use std::sync::Arc;

use enodev::{AsKobject, DeviceType, Errno, Error, Removal};
use enodev_handles::sync::Mutex;

use crate::check;
use crate::common::{Disk, GONE, Rig};

/// T105: the last child of a directory goes, and then the directory as one without children, while another thread adds a child: the
/// directory stays, with that one, or is gone, without it.
#[test]
fn a_directory_that_loses_its_last_child_stays_or_is_gone() {
    check(|| {
        let rig = Rig::new();
        let (dir, dir_witness) = rig.plug(rig.store.root(), "dir");
        let (last, _) = rig.plug(dir, "last");
        let adder = rig.spawn(move |rig| rig.try_plug(dir, "next"));
        let looker = rig.spawn(move |rig| {
            for path in ["/dir/last", "/dir/next"] {
                if let Ok(found) = rig.store.lookup(path) {
                    rig.visit(found);
                }
            }
        });
        assert!(rig.store.unregister::<Disk>(last).is_ok());
        let ended = rig.store.unregister::<Disk>(dir).map(drop);
        let (added, witness) = adder.join().unwrap();
        looker.join().unwrap();
        match ended {
            Ok(()) => {
                assert_eq!(added, Err(GONE));
                dir_witness.assert_gone();
                assert_eq!(rig.assert_whole(), 0);
            }
            Err(error) => {
                assert_eq!(error, Error::HasChildren);
                assert_eq!(rig.names(dir), [("next".into(), added.unwrap().kobject())]);
                witness.assert_there();
                assert_eq!(rig.assert_whole(), 2);
            }
        }
    });
}

/// A newcomer below what is being removed goes with it, or gets an error: nothing is left of either, or hangs where nobody finds it.
#[test]
fn a_newcomer_goes_with_its_ancestor_or_gets_an_error() {
    check(|| {
        let rig = Rig::new();
        let (top, _) = rig.plug(rig.store.root(), "top");
        let (mid, _) = rig.plug(top, "mid");
        let adder = rig.spawn(move |rig| {
            let (first, first_witness) = rig.try_plug(mid, "first");
            let below = first.map(|first| rig.try_plug(first, "below"));
            (first, first_witness, below)
        });
        let remover = rig.spawn(move |rig| rig.store.unregister_subtree(top));
        let removed = remover.join().unwrap();
        // Whatever was marked has gone by now.
        assert_eq!(rig.names(rig.store.root()), []);
        let (first, witness, below) = adder.join().unwrap();
        let mut count = 2;
        if let Ok(first) = first {
            count += 1;
            assert!(!rig.store.contains(first));
        }
        if let Ok((below, below_witness)) = below {
            assert!(first.is_ok() && (below.is_ok() || below == Err(GONE)));
            count += usize::from(below.is_ok());
            below_witness.assert_gone();
        }
        witness.assert_gone();
        assert_eq!(removed, Ok(Removal::Done(count)));
        assert_eq!(rig.assert_whole(), 0);
    });
}

/// The same object is added again under the same name as soon as the name is free: the newcomer is another, and stays.
#[test]
fn who_takes_the_name_of_one_that_leaves_stays() {
    check(|| {
        let rig = Rig::new();
        let (old, old_witness) = rig.plug(rig.store.root(), "sda");
        let adder = rig.spawn(move |rig| {
            let (new, witness) = rig.try_plug(rig.store.root(), "sda");
            if new.is_ok() {
                old_witness.assert_gone();
            }
            (new, witness)
        });
        let reader = rig.spawn(move |rig| {
            rig.visit(old);
        });
        assert_eq!(rig.store.unregister_subtree(old), Ok(Removal::Done(1)));
        let (new, witness) = adder.join().unwrap();
        reader.join().unwrap();
        match new {
            Ok(new) => {
                assert_eq!(rig.store.lookup("/sda"), Ok(new.kobject()));
                assert_ne!(new, old);
                assert!(rig.visit(new));
            }
            Err(error) => {
                assert_eq!(error, Error::Exists);
                witness.assert_gone();
            }
        }
        rig.assert_whole();
    });
}

/// E-6: two removals of which one is of a part of what the other is of, while somebody reads in there: each object goes once, and when
/// either returns what it was asked for is gone.
#[test]
fn of_two_overlapping_removals_each_returns_when_its_part_is_gone() {
    check(|| {
        let rig = Rig::new();
        let (top, top_witness) = rig.plug(rig.store.root(), "top");
        let (mid, mid_witness) = rig.plug(top, "mid");
        let (leaf, leaf_witness) = rig.plug(mid, "leaf");
        let witnesses = [top_witness, mid_witness, leaf_witness];
        let reader = rig.spawn(move |rig| {
            for object in [leaf, top] {
                rig.visit(object);
            }
        });
        let inner = rig.spawn({
            let witnesses = witnesses.clone();
            move |rig| {
                let removed = rig.store.unregister_subtree(mid);
                witnesses[1..].iter().for_each(|witness| witness.assert_gone());
                removed
            }
        });
        let outer = rig.store.unregister_subtree(top);
        witnesses.iter().for_each(|witness| witness.assert_gone());
        assert_eq!(rig.names(rig.store.root()), []);
        let count = |removed: enodev::Result<Removal>| match removed {
            Ok(removed) => removed.count(),
            Err(error) => {
                assert_eq!(error, GONE);
                0
            }
        };
        assert_eq!(count(outer) + count(inner.join().unwrap()), 3);
        reader.join().unwrap();
    });
}

/// E-6: three remove one object, and one of them hands the payload out: one of them did it.
#[test]
fn of_several_removals_of_one_object_one_did_it() {
    check(|| {
        let rig = Rig::new();
        let (disk, witness) = rig.plug(rig.store.root(), "disk");
        let whole = [0; 2].map(|_| {
            let witness = Arc::clone(&witness);
            rig.spawn(move |rig| {
                let removed = rig.store.unregister_subtree(disk);
                assert!(witness.is_gone() || removed == Err(GONE));
                removed.map(|removed| assert_eq!(removed, Removal::Done(1)))
            })
        });
        let typed = rig.store.unregister::<Disk>(disk).map(drop);
        let all = whole.into_iter().map(|remover| remover.join().unwrap()).chain([typed]);
        let (did, told): (Vec<_>, Vec<_>) = all.partition(|removed| removed.is_ok());
        assert_eq!((did.len(), told), (1, vec![Err(GONE); 2]));
        witness.assert_gone();
        assert_eq!(rig.assert_whole(), 0);
    });
}

/// S0-15, T101, E-8: writers to an attribute that removes its own object: one did it, those inside are told that it is leaving, those
/// who come later that it is gone; and when the write of the one returns all is gone.
#[test]
fn of_those_who_remove_what_they_write_to_one_did_it() {
    check(|| {
        let told = Arc::new(Mutex::new(Vec::new()));
        let tell = Arc::clone(&told);
        let rig = Rig::of(DeviceType::shared::<Disk>("disk").wo("delete", move |disk, _| {
            let removed = disk.store().unregister_subtree(disk.object());
            disk.visit();
            tell.lock().push(removed);
            removed.map(drop).map_err(|error| error.errno())
        }));
        let (top, top_witness) = rig.plug(rig.store.root(), "top");
        let (_, leaf_witness) = rig.plug(top, "leaf");
        let witnesses = [top_witness, leaf_witness];
        let writers = [0; 3].map(|_| {
            let witnesses = witnesses.clone();
            rig.spawn(move |rig| {
                let written = rig.store.write(top, "delete", b"1");
                match written {
                    Ok(()) => witnesses.iter().for_each(|witness| witness.assert_gone()),
                    Err(error) => assert!([GONE, Error::Leaving.errno().into()].contains(&error), "{error}"),
                }
                written.is_ok()
            })
        });
        let did = writers.into_iter().map(|writer| usize::from(writer.join().unwrap())).sum::<usize>();
        assert_eq!(did, 1);
        let told = std::mem::take(&mut *told.lock());
        assert_eq!(told.iter().filter(|told| **told == Ok(Removal::Begun(2))).count(), 1);
        assert!(told.iter().all(|told| matches!(told, Ok(Removal::Begun(2)) | Err(Error::Leaving))));
        assert_eq!(rig.assert_whole(), 0);
    });
}

/// S0-15: who is inside one object removes what is above it, and another, from outside, what is below: neither waits for ever, and each
/// object goes once.
#[test]
fn a_removal_from_inside_meets_one_from_outside() {
    check(|| {
        let rig = Rig::new();
        let (top, top_witness) = rig.plug(rig.store.root(), "top");
        let (mid, mid_witness) = rig.plug(top, "mid");
        let (leaf, leaf_witness) = rig.plug(mid, "leaf");
        let inside = rig.spawn(move |rig| {
            let Ok(guard) = rig.store.enter::<Disk>(mid) else { return };
            let removed = rig.store.unregister_subtree(top);
            assert!(matches!(removed, Ok(Removal::Begun(2 | 3)) | Err(Error::Leaving)), "{removed:?}");
            guard.visit();
        });
        let removed = rig.store.unregister_subtree(leaf);
        assert!(matches!(removed, Ok(Removal::Done(1)) | Err(Error::Errno(Errno::ENODEV))), "{removed:?}");
        leaf_witness.assert_gone();
        inside.join().unwrap();
        // Where it was refused, since the leaf was another's, or there was nobody to do it.
        let _ = rig.store.unregister_subtree(top);
        [top_witness, mid_witness].iter().for_each(|witness| witness.assert_gone());
        assert_eq!(rig.assert_whole(), 0);
    });
}
