//! Directories that are listed while they change.

use enodev::AsKobject;

use crate::check;
use crate::common::{Disk, Rig};

/// S1-12, T102: the list of a directory that others come into and leave: who is there all the time is in it once, who had left before
/// is not, who came before is, and what is in it can be asked for.
#[test]
fn a_list_has_all_who_stay_and_nobody_who_left_before() {
    check(|| {
        let rig = Rig::new();
        let (dir, _) = rig.plug(rig.store.root(), "dir");
        let [first, leaver, last] = ["b-first", "c-leaver", "d-last"].map(|name| rig.plug(dir, name).0);
        let changer = rig.spawn(move |rig| {
            let (guest, _) = rig.plug(dir, "a-guest");
            let names = || rig.names(dir).into_iter().map(|(name, _)| name).collect::<Vec<_>>();
            assert_eq!(names()[..2], ["a-guest", "b-first"]);
            drop(rig.store.unregister::<Disk>(guest).unwrap());
            assert_eq!(names()[0], "b-first");
        });
        let leaving = rig.spawn(move |rig| {
            rig.store.unregister_subtree(leaver).unwrap();
        });
        let mut could_leave = true;
        for _ in 0..2 {
            let list = rig.names(dir);
            assert!(list.is_sorted_by(|a, b| a.0 < b.0), "{list:?}");
            for stays in [first, last] {
                assert!(list.iter().any(|(_, object)| *object == stays.kobject()), "{list:?}");
            }
            let is_there = list.iter().any(|(_, object)| *object == leaver.kobject());
            assert!(could_leave || !is_there, "back again");
            could_leave = is_there;
            for (name, object) in &list {
                let is_mine = ["a-guest", "b-first", "c-leaver", "d-last"].contains(&&**name);
                assert!(is_mine && (rig.visit(*object) || !rig.store.contains(*object)));
            }
        }
        [changer, leaving].into_iter().for_each(|thread| thread.join().unwrap());
        assert_eq!(rig.names(dir), [("b-first".into(), first.kobject()), ("d-last".into(), last.kobject())]);
        assert_eq!(rig.assert_whole(), 3);
    });
}

/// S1-12: an object that is renamed while the directory is listed is in the list once, under one of its names.
#[test]
fn who_is_renamed_is_listed_once() {
    check(|| {
        let rig = Rig::new();
        let (disk, _) = rig.plug(rig.store.root(), "old");
        let lister = rig.spawn(move |rig| {
            let mut was_new = false;
            for _ in 0..2 {
                let list = rig.names(rig.store.root());
                let [(name, object)] = &list[..] else { panic!("{list:?}") };
                assert!(*object == disk.kobject() && ["old", "new"].contains(&&**name));
                assert!(!was_new || name == "new", "back again");
                was_new = name == "new";
            }
        });
        rig.store.rename(disk, "new").unwrap();
        lister.join().unwrap();
        rig.assert_whole();
    });
}
