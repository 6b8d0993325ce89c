//! Attributes that are hidden on one object for a time.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::thread;

use enodev::{
    Access, AnyObject, AsKobject, Attribute, DeviceHandle, DeviceType, Errno, Error, Exclusive, File, Group, Page,
    Removal, Store, Type,
};

use crate::common::{GONE, Gate, Rig, all_in, linger, until};

const BOTH: Access = Access::READ.union(Access::WRITE);

/// F9: what is hidden is not listed nor found, nor can it be opened or reached by its handle; its name is taken. Files from before are
/// dead for ever; new ones are good. Other objects and other attributes notice nothing.
#[test]
fn what_is_hidden_is_not_there_and_keeps_its_name() {
    let rig = Rig::new();
    let store = &rig.store;
    let group = store.define_group(Group::<AnyObject>::named("dir").rw("text", |_, _| Ok(()), |_, _| Ok(())));
    let group = group.unwrap();
    let [disk, other] = ["disk", "other"].map(|name| rig.add(store.root(), name));
    store.add_group(disk, group).unwrap();
    store.add_group(other, group).unwrap();
    for path in ["text", "dir/text"] {
        let attr = store.attribute(disk, path).unwrap();
        let copy = attr;
        let (file, beside) = (store.open(disk, path, BOTH).unwrap(), store.open(other, path, BOTH).unwrap());
        let dead = |file: &File| {
            assert_eq!(file.read(store, &mut [0; 8]), Err(Errno::ENODEV));
            assert_eq!(file.pread(store, 0, &mut [0; 8]), Err(Errno::ENODEV));
            assert_eq!(file.write(store, b"x"), Err(Errno::ENODEV));
            assert_eq!(file.pwrite(store, 0, b"x"), Err(Errno::ENODEV));
            assert_eq!(file.seek(store, std::io::SeekFrom::Start(0)), Err(Errno::ENODEV));
        };
        let list = || (all_in(store, disk), store.list_group(disk, group).unwrap().len());
        let before = list();
        for _ in 0..2 {
            assert_eq!(store.hide_attribute(disk, attr), Ok(Removal::Done(1)));
            dead(&file);
            for hidden in [attr, copy] {
                assert_eq!(store.show(disk, hidden, &mut Page::new()), Err(Errno::ENODEV));
            }
            assert_eq!(store.attribute(disk, path), Err(Error::NotFound));
            assert_eq!(store.open(disk, path, Access::READ).err(), Some(Error::NotFound));
            assert_eq!(
                (store.read(disk, path), store.write(disk, path, b"x")),
                (Err(Error::NotFound), Err(Error::NotFound))
            );
            let (names, deep) = list();
            assert_eq!(names.len() + deep, before.0.len() + before.1 - 1);
            assert!(names.iter().any(|name| name == "name" || name == "dir"));
            assert_eq!(beside.write(store, b"x"), Ok(1));
            assert_eq!(rig.read(disk, "name").as_deref(), Ok("disk\n"));
        }
        let name = path.split('/').next().unwrap();
        assert_eq!(rig.try_add(disk, name).err(), Some(Error::Exists));
        assert_eq!(store.link(disk, name, store.root()), Err(Error::Exists));
        for _ in 0..2 {
            assert_eq!(store.show_attribute(disk, attr), Ok(()));
            dead(&file);
            assert_eq!((list(), store.attribute(disk, path)), (before.clone(), Ok(attr)));
        }
        let again = store.open(disk, path, BOTH).unwrap();
        assert_eq!(again.write(store, b"x"), Ok(1));
        // One generation more: the files of each are dead.
        store.hide_attribute(disk, attr).unwrap();
        store.show_attribute(disk, attr).unwrap();
        [&file, &again].into_iter().for_each(dead);
        assert_eq!(store.open(disk, path, BOTH).unwrap().write(store, b"x"), Ok(1));
    }
}

/// A group that is taken away and given again is shown whole, whatever was hidden of it; nothing of a group that is gone can be
/// hidden.
#[test]
fn to_hide_is_forgotten_with_the_group() {
    let store = Store::new().unwrap();
    let attr = store.define_attribute(Attribute::<AnyObject>::ro("a", |_, page| page.line("a"))).unwrap();
    let object = store.create(store.root(), "object").unwrap();
    assert_eq!(store.hide_attribute(object, attr), Err(Error::NotFound));
    store.add_attribute(object, attr).unwrap();
    store.hide_attribute(object, attr).unwrap();
    assert_eq!(store.remove_attribute(object, attr), Ok(Removal::Done(1)));
    assert_eq!(store.show_attribute(object, attr), Err(Error::NotFound));
    store.add_attribute(object, attr).unwrap();
    assert_eq!(store.read(object, "a"), Ok(b"a\n".to_vec()));
}

/// Hiding waits for those who are in that attribute of that object: not for one who is stuck in another attribute of it, nor in the same
/// attribute of another object, nor for a guard. Another attribute can be hidden in the meantime.
#[test]
fn hiding_waits_for_those_in_the_attribute_and_for_nobody_else() {
    let (slow, other) = (Arc::new(Gate::default()), Arc::new(Gate::default()));
    let (first, second) = (Arc::clone(&slow), Arc::clone(&other));
    let store = Store::new().unwrap();
    let ty = DeviceType::shared::<u8>("ty")
        .ro("slow", move |_, _| {
            first.pass();
            Ok(())
        })
        .ro("other", move |_, _| {
            second.pass();
            Ok(())
        })
        .ro("fast", |_, _| Ok(()));
    let ty = store.define(ty).unwrap();
    let [at, beside] = ["at", "beside"].map(|name| store.register(store.root(), name, ty, 0).unwrap());
    let [slow_attr, other_attr, fast] = ["slow", "other", "fast"].map(|name| store.attribute(at, name).unwrap());
    let is_done = AtomicBool::new(false);
    thread::scope(|scope| {
        let shut_other = other.shut();
        scope.spawn(|| store.read(at, "other"));
        other.wait_for(1);
        let _guard = store.enter::<u8>(at).unwrap();
        assert_eq!(store.hide_attribute(at, slow_attr), Ok(Removal::Done(1)), "nobody is in it");
        store.show_attribute(at, slow_attr).unwrap();
        let shut_slow = slow.shut();
        scope.spawn(|| store.read(beside, "slow"));
        slow.wait_for(1);
        assert_eq!(store.hide_attribute(at, slow_attr), Ok(Removal::Done(1)), "nobody is in it here");
        store.show_attribute(at, slow_attr).unwrap();
        scope.spawn(|| store.read(at, "slow"));
        slow.wait_for(2);
        let hider = scope.spawn(|| {
            let answer = store.hide_attribute(at, slow_attr);
            is_done.store(true, SeqCst);
            answer
        });
        until(|| store.attribute(at, "slow").is_err());
        assert_eq!(store.hide_attribute(at, fast), Ok(Removal::Done(1)));
        store.show_attribute(at, fast).unwrap();
        assert_eq!(store.read(at, "fast"), Ok(vec![]));
        linger();
        assert!(!is_done.load(SeqCst));
        // While one waits, the name is shown again: the waiting is for those from before.
        store.show_attribute(at, slow_attr).unwrap();
        assert!(store.open(at, "slow", Access::READ).is_ok());
        drop(shut_slow);
        assert_eq!(hider.join().unwrap(), Ok(Removal::Done(1)));
        let last = scope.spawn(|| store.hide_attribute(at, other_attr));
        until(|| store.attribute(at, "other").is_err());
        drop(shut_other);
        assert_eq!(last.join().unwrap(), Ok(Removal::Done(1)));
    });
    assert_eq!(store.unregister::<u8>(at), Ok(0));
}

/// What one of many attributes of a type may find.
struct Race {
    store: Store,
    /// Set while the attribute is hidden for sure: between the end of `hide` and the beginning of `show`.
    is_hidden: Arc<AtomicBool>,
    met: Arc<AtomicUsize>,
}

const ROUNDS: usize = 150;

impl Race {
    fn new() -> Self {
        Self { store: Store::new().unwrap(), is_hidden: Arc::default(), met: Arc::default() }
    }

    /// What a callback does: it notes whether it runs when it must not, from its beginning to its end.
    fn witness(&self) -> impl Fn() + Send + Sync + 'static {
        let (is_hidden, met) = (Arc::clone(&self.is_hidden), Arc::clone(&self.met));
        move || {
            for _ in 0..300 {
                if is_hidden.load(SeqCst) {
                    met.fetch_add(1, SeqCst);
                }
                std::hint::spin_loop();
            }
        }
    }

    /// Reads, writes and shows by handle on three threads, while the attribute `text` comes and goes.
    fn run(&self, object: DeviceHandle, mut hide: impl FnMut(&Store) -> Removal, mut show: impl FnMut(&Store)) {
        let (store, is_done, reads) = (&self.store, AtomicBool::new(false), AtomicUsize::new(0));
        let attr = store.attribute(object, "text").unwrap();
        thread::scope(|scope| {
            for thread in 0..3 {
                let (is_done, reads) = (&is_done, &reads);
                scope.spawn(move || {
                    let mut page = Page::new();
                    while !is_done.load(SeqCst) {
                        let answer = match thread {
                            0 => store.show(object, attr, &mut page).map_err(Error::from),
                            1 => store.write(object, "text", b"x"),
                            _ => store.read(object, "text").map(drop),
                        };
                        match answer {
                            Ok(()) => drop(reads.fetch_add(1, SeqCst)),
                            Err(error) => {
                                assert!([GONE, Error::NotFound].contains(&error), "{error:?}");
                                thread::yield_now();
                            }
                        }
                    }
                });
            }
            for _ in 0..ROUNDS {
                let seen = reads.load(SeqCst);
                assert_eq!(hide(store), Removal::Done(1));
                self.is_hidden.store(true, SeqCst);
                thread::yield_now();
                assert_eq!(store.show(object, attr, &mut Page::new()), Err(Errno::ENODEV));
                self.is_hidden.store(false, SeqCst);
                show(store);
                until(|| reads.load(SeqCst) > seen);
            }
            is_done.store(true, SeqCst);
        });
        assert_eq!(self.met.load(SeqCst), 0, "callbacks that ran while the attribute was hidden");
    }
}

fn racing_type(race: &Race) -> Type<enodev::Shared<()>> {
    let (read, write) = (race.witness(), race.witness());
    let ty = DeviceType::shared::<()>("ty").rw(
        "text",
        move |_, _| {
            read();
            Ok(())
        },
        move |_, _| {
            write();
            Ok(())
        },
    );
    race.store.define(ty).unwrap()
}

/// F9: after `hide` is done no callback of the attribute runs, whoever comes at the same time, by whatever way.
#[test]
fn no_callback_runs_of_what_is_hidden() {
    let race = Race::new();
    let object = race.store.register(race.store.root(), "object", racing_type(&race), ()).unwrap();
    let attr = race.store.attribute(object, "text").unwrap();
    let hide = |store: &Store| store.hide_attribute(object, attr).unwrap();
    race.run(object, hide, |store| store.show_attribute(object, attr).unwrap());
}

/// The same of a group that is taken away and given again, and of one that is hidden by its own callback.
#[test]
fn no_callback_runs_of_a_group_that_has_gone() {
    for by_update in [false, true] {
        let race = Race::new();
        let is_shown = Arc::new(AtomicBool::new(true));
        let (read, write, shown) = (race.witness(), race.witness(), Arc::clone(&is_shown));
        let group = Group::<AnyObject>::new().rw(
            "text",
            move |_, _| {
                read();
                Ok(())
            },
            move |_, _| {
                write();
                Ok(())
            },
        );
        let group = race.store.define_group(group.is_shown(move |_| shown.load(SeqCst))).unwrap();
        let ty = race.store.define(DeviceType::shared::<()>("ty")).unwrap();
        let object = race.store.register(race.store.root(), "object", ty, ()).unwrap();
        race.store.add_group(object, group).unwrap();
        let update = |store: &Store, show| {
            is_shown.store(show, SeqCst);
            store.update_group(object, group).unwrap()
        };
        if by_update {
            race.run(
                object,
                |store| update(store, false),
                |store| {
                    update(store, true);
                },
            );
        } else {
            let remove = |store: &Store| store.remove_group(object, group).unwrap();
            race.run(object, remove, |store| store.add_group(object, group).unwrap());
        }
    }
}

/// And of an attribute whose payload is exclusive: who waits for the payload is not inside, and finds the attribute gone.
#[test]
fn no_callback_runs_of_what_is_hidden_on_an_exclusive_payload() {
    let race = Race::new();
    let (read, write) = (race.witness(), race.witness());
    let ty = DeviceType::exclusive::<()>("ty").rw(
        "text",
        move |_, _| {
            read();
            Ok(())
        },
        move |_, _| {
            write();
            Ok(())
        },
    );
    let ty: Type<Exclusive<()>> = race.store.define(ty).unwrap();
    let object = race.store.register(race.store.root(), "object", ty, ()).unwrap();
    let attr = race.store.attribute(object, "text").unwrap();
    let hide = |store: &Store| store.hide_attribute(object, attr).unwrap();
    race.run(object, hide, |store| store.show_attribute(object, attr).unwrap());
}

/// An attribute of an exclusive payload is hidden while another thread has the payload by a guard: that is not waited for. Those who
/// wait for the payload in order to read are told that the attribute is gone.
#[test]
fn who_waits_for_a_payload_delays_no_hiding() {
    let store = Store::new().unwrap();
    let ty = DeviceType::exclusive::<u8>("ty").ro("value", |value, page| page.int(*value));
    let object = store.register(store.root(), "object", store.define(ty).unwrap(), 1).unwrap();
    let attr = store.attribute(object, "value").unwrap();
    let file = store.open(object, "value", Access::READ).unwrap();
    thread::scope(|scope| {
        let guard = store.enter_mut::<u8>(object).unwrap();
        let readers = [(); 3].map(|()| scope.spawn(|| file.pread(&store, 0, &mut [0; 8])));
        linger();
        assert_eq!(store.hide_attribute(object, attr), Ok(Removal::Done(1)));
        drop(guard);
        assert_eq!(readers.map(|reader| reader.join().unwrap()), [Err(Errno::ENODEV); 3]);
    });
    store.show_attribute(object, attr).unwrap();
    assert_eq!(store.read(object, "value"), Ok(b"1\n".to_vec()));
}

/// S2-9: a callback hides the attribute that it is in. It is told so at once; when the write returns, all others who were in it have
/// left. With a payload that is shared, and one that is exclusive.
#[test]
fn a_callback_may_hide_its_own_attribute() {
    fn hide(store: &Store, object: impl AsKobject) -> Result<(), Errno> {
        let attr = store.attribute(object.kobject(), "hide")?;
        assert_eq!(store.hide_attribute(object.kobject(), attr), Ok(Removal::Begun(1)));
        assert_eq!(store.attribute(object.kobject(), "hide"), Err(Error::NotFound));
        assert_eq!(store.hide_attribute(object, attr), Ok(Removal::Begun(1)));
        Ok(())
    }
    let store = Store::new().unwrap();
    let gate = Arc::new(Gate::default());
    let pass = Arc::clone(&gate);
    let left = Arc::new(AtomicBool::new(false));
    let leave = Arc::clone(&left);
    let slow = move || {
        pass.pass();
        leave.store(true, SeqCst);
        Ok(())
    };
    let shared =
        DeviceType::shared::<()>("shared").rw("hide", move |_, _| slow(), |at, _| hide(at.store(), at.object()));
    let exclusive = DeviceType::exclusive::<()>("exclusive").wo("hide", |at, _| hide(at.store(), at.object()));
    let shared = store.register(store.root(), "shared", store.define(shared).unwrap(), ()).unwrap();
    let exclusive = store.register(store.root(), "exclusive", store.define(exclusive).unwrap(), ()).unwrap();
    thread::scope(|scope| {
        let shut = gate.shut();
        let reader = scope.spawn(|| store.read(shared, "hide"));
        gate.wait_for(1);
        let writer = scope.spawn(|| {
            let answer = store.write(shared, "hide", b"1");
            assert!(left.load(SeqCst));
            answer
        });
        until(|| store.attribute(shared, "hide").is_err());
        linger();
        drop(shut);
        assert_eq!((writer.join().unwrap(), reader.join().unwrap()), (Ok(()), Ok(vec![])));
    });
    assert_eq!(store.write(exclusive, "hide", b"1"), Ok(()));
    for object in [shared, exclusive] {
        assert_eq!(store.write(object, "hide", b"1"), Err(Error::NotFound));
        assert_eq!(store.unregister::<()>(object), Ok(()));
    }
}
