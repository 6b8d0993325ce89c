//! Places that change while somebody asks for them.

use enodev::{AsKobject, Error, Removal};

use crate::check;
use crate::common::{GONE, Rig};

/// T97: the path of an object, and of one below it, while it is renamed, longer and shorter: one of the names, whole.
#[test]
fn a_path_is_one_of_the_names_that_the_object_had() {
    check(|| {
        let rig = Rig::new();
        let (disk, _) = rig.plug(rig.store.root(), "sda");
        let (part, _) = rig.plug(disk, "part");
        let readers = [0; 2].map(|_| {
            rig.spawn(move |rig| {
                let mut last = 0;
                for _ in 0..2 {
                    let path = rig.store.path(part).unwrap();
                    // Nobody goes back to an earlier name.
                    let now =
                        ["/sda/part", "/a-much-longer-name/part", "/s/part"].iter().position(|name| *name == path);
                    assert!(now.is_some_and(|now| now >= last), "{path}");
                    last = now.unwrap();
                }
            })
        });
        rig.store.rename(disk, "a-much-longer-name").unwrap();
        rig.store.rename(disk, "s").unwrap();
        readers.into_iter().for_each(|reader| reader.join().unwrap());
        assert_eq!(rig.store.path(part).as_deref(), Ok("/s/part"));
        assert_eq!(rig.assert_whole(), 2);
    });
}

/// T97: two objects change places, by way of a third name: a path never mixes the one's place with the other's.
#[test]
fn a_path_never_was_but_at_one_moment() {
    check(|| {
        let rig = Rig::new();
        let store = &rig.store;
        let [a, b] = ["a", "b"].map(|name| rig.plug(store.root(), name).0);
        let (card, _) = rig.plug(a, "card");
        let (port, _) = rig.plug(card, "port");
        let reader = rig.spawn(move |rig| {
            let path = rig.store.path(port).unwrap();
            assert!(["/a/card/port", "/b/card/port", "/b/card/port0", "/c/card/port0"].contains(&&*path), "{path}");
            // Where it was a moment ago it may not be any more, and nothing else is there.
            assert!([Ok(port.kobject()), Err(Error::NotFound)].contains(&rig.store.lookup(&path)));
        });
        let looker = rig.spawn(move |rig| {
            // What stands nowhere at any moment.
            assert_eq!(rig.store.lookup("/a/card/port0"), Err(Error::NotFound));
            assert_eq!(rig.store.lookup("/c/card/port"), Err(Error::NotFound));
        });
        store.move_to(card, b, "card").unwrap();
        store.rename(port, "port0").unwrap();
        store.rename(b, "c").unwrap();
        [reader, looker].into_iter().for_each(|thread| thread.join().unwrap());
        assert_eq!(store.path(port).as_deref(), Ok("/c/card/port0"));
        assert_eq!(rig.assert_whole(), 4);
    });
}

/// S2-9: the parent of an object that is moved on and on: nobody is told of an earlier one again, and the way up from a directory leads to what
/// it was in as it was found there.
#[test]
fn no_parent_comes_back() {
    check(|| {
        let rig = Rig::new();
        let store = &rig.store;
        let [a, b, c] = ["a", "b", "c"].map(|name| rig.plug(store.root(), name).0.kobject());
        let (card, _) = rig.plug(a, "card");
        let reader = rig.spawn(move |rig| {
            let mut last = 0;
            for _ in 0..3 {
                let parent = rig.store.parent(card).unwrap();
                let now = [a, b, c].iter().position(|dir| *dir == parent).unwrap();
                assert!(now >= last, "back again");
                last = now;
            }
        });
        let climber = rig.spawn(move |rig| {
            for (path, dir) in [("/a/card/..", a), ("/b/card/..", b)] {
                let up = rig.store.lookup(path);
                assert!([Ok(dir), Err(Error::NotFound)].contains(&up), "{path} leads elsewhere");
            }
        });
        store.move_to(card, b, "card").unwrap();
        store.move_to(card, c, "card").unwrap();
        [reader, climber].into_iter().for_each(|thread| thread.join().unwrap());
        assert_eq!(rig.assert_whole(), 4);
    });
}

/// Two threads move two directories, each into the other: one does, and no circle comes of it.
#[test]
fn of_two_moves_into_each_other_one_is_refused() {
    check(|| {
        let rig = Rig::new();
        let [a, b] = ["a", "b"].map(|name| rig.plug(rig.store.root(), name).0);
        let other = rig.spawn(move |rig| rig.store.move_to(a, b, "a"));
        let reader = rig.spawn(move |rig| rig.store.path(a).unwrap());
        let mine = rig.store.move_to(b, a, "b");
        let refused = Err(enodev::Errno::EINVAL.into());
        assert!([(Ok(()), refused), (refused, Ok(()))].contains(&(mine, other.join().unwrap())));
        assert!(["/a", "/b/a"].contains(&&*reader.join().unwrap()));
        assert_eq!(rig.assert_whole(), 2);
    });
}

/// What is moved out of a directory, or into it, as that is removed: it goes along, or stays; and where it stays it is found.
#[test]
fn what_is_moved_past_a_removal_is_gone_or_found() {
    check(|| {
        let rig = Rig::new();
        let store = &rig.store;
        let [dying, safe] = ["dying", "safe"].map(|name| rig.plug(store.root(), name).0);
        let (card, card_witness) = rig.plug(dying, "card");
        let (port, port_witness) = rig.plug(card, "port");
        let (guest, guest_witness) = rig.plug(safe, "guest");
        let out = rig.spawn(move |rig| rig.store.move_to(card, safe, "card"));
        let into = rig.spawn(move |rig| rig.store.move_to(guest, dying, "guest"));
        let Ok(Removal::Done(count)) = store.unregister_subtree(dying) else { panic!("nobody else removes") };
        match out.join().unwrap() {
            Ok(()) => {
                assert_eq!(store.path(port).as_deref(), Ok("/safe/card/port"));
                card_witness.assert_there();
            }
            Err(error) => {
                assert_eq!(error, GONE);
                [&card_witness, &port_witness].iter().for_each(|witness| witness.assert_gone());
            }
        }
        match into.join().unwrap() {
            Ok(()) => guest_witness.assert_gone(),
            Err(error) => {
                assert_eq!(error, Error::NotFound);
                assert_eq!(store.lookup("/safe/guest"), Ok(guest.kobject()));
            }
        }
        assert_eq!(rig.assert_whole() + count, 5);
    });
}

/// An object is moved below what is being removed, while one is registered there, under the same name, and another below the object: each goes
/// along or stays out, and is in one place at any moment until it has gone.
#[test]
fn what_comes_below_a_removal_goes_along_or_stays_out() {
    check(|| {
        let rig = Rig::new();
        let store = &rig.store;
        let [dying, safe] = ["dying", "safe"].map(|name| rig.plug(store.root(), name).0);
        let (dir, dir_witness) = rig.plug(dying, "dir");
        let (guest, guest_witness) = rig.plug(safe, "guest");
        let (leaf, leaf_witness) = rig.plug(guest, "leaf");
        let mover = rig.spawn(move |rig| rig.store.move_to(guest, dir, "guest"));
        let registrar = rig.spawn(move |rig| [rig.try_plug(dir, "guest"), rig.try_plug(guest, "late")]);
        let reader = rig.spawn(move |rig| {
            let [new, old] = ["/dying/dir/guest/leaf", "/safe/guest/leaf"];
            // It is moved once, and not back.
            if rig.store.lookup(new) == Ok(leaf.kobject()) {
                assert_eq!(rig.store.lookup(old), Err(Error::NotFound), "in two places");
            }
            if rig.store.lookup(old) != Ok(leaf.kobject()) {
                assert!(rig.store.lookup(new) == Ok(leaf.kobject()) || !rig.store.contains(leaf), "in no place");
            }
        });
        let Ok(Removal::Done(count)) = store.unregister_subtree(dying) else { panic!("nobody else removes") };
        dir_witness.assert_gone();
        let moved = mover.join().unwrap();
        let [(new, new_witness), (late, late_witness)] = registrar.join().unwrap();
        reader.join().unwrap();
        assert!(matches!((new, moved), (Ok(_), Err(_)) | (Err(GONE | Error::Exists), _)), "{new:?}, {moved:?}");
        new_witness.assert_gone();
        match moved {
            Ok(()) => {
                assert!(matches!(late, Ok(_) | Err(GONE)), "{late:?}");
                [guest_witness, leaf_witness, late_witness].iter().for_each(|witness| witness.assert_gone());
            }
            Err(error) => {
                assert!(error == Error::NotFound || error == Error::Exists && new.is_ok(), "{error}");
                assert_eq!(store.path(late.unwrap()).as_deref(), Ok("/safe/guest/late"));
                assert_eq!(store.path(leaf).as_deref(), Ok("/safe/guest/leaf"));
                [guest_witness, leaf_witness, late_witness].iter().for_each(|witness| witness.assert_there());
            }
        }
        assert_eq!(rig.assert_whole() + count, 5 + usize::from(new.is_ok()) + usize::from(late.is_ok()));
    });
}

/// A link to what is removed: it is made before, and goes along, or is refused.
#[test]
fn no_link_leads_to_what_has_gone() {
    check(|| {
        let rig = Rig::new();
        let store = &rig.store;
        let [class, disk] = ["class", "disk"].map(|name| rig.plug(store.root(), name).0);
        let linker = rig.spawn(move |rig| rig.store.link(class, "first", disk));
        let reader = rig.spawn(move |rig| {
            match rig.store.readlink(class, "first") {
                Ok(found) => assert_eq!(found, disk.kobject()),
                Err(error) => assert_eq!(error, Error::NotFound),
            }
            if let Ok(links) = rig.store.links_to(disk) {
                assert!(links.len() <= 1);
            }
        });
        store.unregister_subtree(disk).unwrap();
        let linked = linker.join().unwrap();
        assert!(linked.is_ok() || linked == Err(GONE));
        reader.join().unwrap();
        assert_eq!(store.readlink(class, "first"), Err(Error::NotFound));
        assert_eq!(rig.names(class), []);
        // The name is free.
        let (next, _) = rig.plug(store.root(), "next");
        store.link(class, "first", next).unwrap();
        assert_eq!(rig.assert_whole(), 2);
    });
}
