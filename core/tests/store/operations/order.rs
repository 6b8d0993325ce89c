//! What is told first where several things are wrong.

use std::io::SeekFrom;
use std::sync::{Arc, Mutex, OnceLock};

use enodev::{Access, AsKobject, DeviceType, Errno, File, Group, Mode, Page, Removal, Store};

use super::objects::told;
use super::subject::{Payload, SORTS, Sort, State, Subject, World};
use super::table;

type Run = fn(&Case) -> String;

/// The disk that is there has a child, and its addresses are followed by those of another device.
struct Case {
    sort: Sort,
    subject: Subject,
    /// Of the same store: the type of another payload, and its group, which has the name of one that disks have.
    tape: enodev::Type<enodev::Shared<u8>>,
}

const FAR: u64 = 1 << 63;
const LONG: &[u8] = &[b'x'; 4097];

const CASES: &[(&str, &str, State, Run)] = &[
    ("File::read", "gone; an empty buffer", State::Gone, |c| told(c.file().read(c.store(), &mut []))),
    ("File::pread", "gone; an offset above `i64::MAX`", State::Gone, |c| {
        told(c.file().pread(c.store(), FAR, &mut [0]))
    }),
    ("File::seek", "gone; before the start", State::Gone, |c| told(c.file().seek(c.store(), SeekFrom::Current(-1)))),
    ("File::write", "gone; more than a page", State::Gone, |c| told(c.file().write(c.store(), LONG))),
    ("File::write", "gone; nothing to write", State::Gone, |c| told(c.file().write(c.store(), b""))),
    ("File::pwrite", "gone; an offset above `i64::MAX`", State::Gone, |c| told(c.file().pwrite(c.store(), FAR, b"x"))),
    ("File::pwrite", "an offset above `i64::MAX`; more than a page", State::Alive, |c| {
        told(c.file().pwrite(c.store(), FAR, LONG))
    }),
    ("File::pwrite", "past the end of a binary attribute; nothing to write", State::Alive, |c| {
        told(c.subject.files[1].pwrite(c.store(), 8, b""))
    }),
    ("File::write", "not opened to write; gone", State::Alive, |c| {
        let file = c.readable();
        c.remove();
        told(file.write(c.store(), b"x"))
    }),
    ("File::pwrite", "not opened to write; an offset above `i64::MAX`", State::Alive, |c| {
        told(c.readable().pwrite(c.store(), FAR, b"x"))
    }),
    ("File::read", "from within an operation on the file; leaving", State::Alive, |_| within_itself()),
    ("Store::open", "gone; nothing of that name", State::Gone, |c| c.open("absent", Access::READ)),
    ("Store::open", "nothing of that name; no access asked for", State::Alive, |c| c.open("absent", Access::empty())),
    ("Store::open", "hidden; no access asked for", State::Hidden, |c| c.open("text", Access::empty())),
    ("Store::open", "no access asked for; a mode that allows none", State::Alive, |_| without_mode(Access::empty())),
    ("Store::write", "a mode that does not allow it; more than a page", State::Alive, |c| {
        told(c.store().write(c.subject.object, "slow", LONG))
    }),
    ("Store::show", "gone; an attribute of another type", State::Gone, |c| {
        told(c.store().show(c.subject.object, c.attr_of_tape(), &mut Page::new()))
    }),
    ("Store::show", "hidden; cannot be read", State::Hidden, |c| {
        told(c.store().show(c.subject.object, c.subject.files[1].attribute(), &mut Page::new()))
    }),
    ("Store::register", "parent gone; too long a name", State::Gone, |c| {
        told(c.subject.world.add(c.subject.object, &"n".repeat(256)))
    }),
    ("Store::register", "parent gone; type of another store", State::Gone, |c| {
        told(c.subject.world.add_of(World::new(c.sort).ty, c.subject.object, "new"))
    }),
    ("Store::register", "type of another store; too long a name", State::Alive, |c| {
        told(c.subject.world.add_of(World::new(c.sort).ty, c.subject.object, &"n".repeat(256)))
    }),
    ("Store::register", "type of another store; name taken", State::Alive, |c| {
        told(c.subject.world.add_of(World::new(c.sort).ty, c.subject.object, "peer"))
    }),
    ("Store::create", "parent leaving; name taken", State::Alive, |c| {
        c.as_it_leaves(|| told(c.store().create(c.subject.object, "peer")))
    }),
    ("Store::link", "directory leaving; name taken", State::Alive, |c| {
        c.as_it_leaves(|| told(c.store().link(c.subject.object, "peer", c.subject.world.beside)))
    }),
    ("Store::link", "target gone; name taken", State::Gone, |c| {
        c.store().link(c.store().root(), "taken", c.store().root()).unwrap();
        told(c.store().link(c.store().root(), "taken", c.subject.object))
    }),
    ("Store::link", "gone; too long a name", State::Gone, |c| {
        told(c.store().link(c.subject.object, &"n".repeat(256), c.store().root()))
    }),
    ("Store::unlink", "gone; no link of that name", State::Gone, |c| {
        told(c.store().unlink(c.subject.object, "absent"))
    }),
    ("Store::readlink", "gone; no link of that name", State::Gone, |c| {
        told(c.store().readlink(c.subject.object, "absent"))
    }),
    ("Store::rename", "gone; too long a name", State::Gone, |c| {
        told(c.store().rename(c.subject.object, &"n".repeat(256)))
    }),
    ("Store::rename", "the root; too long a name", State::Alive, |c| {
        told(c.store().rename(c.store().root(), &"n".repeat(256)))
    }),
    ("Store::move_to", "the root; new parent gone", State::Gone, |c| {
        told(c.store().move_to(c.store().root(), c.subject.object, "new"))
    }),
    ("Store::move_to", "gone; new parent gone", State::Gone, |c| {
        told(c.store().move_to(c.subject.object, c.subject.object, "new"))
    }),
    ("Store::move_to", "below itself; name taken", State::Alive, |c| {
        told(c.store().move_to(c.subject.object, c.subject.object, "peer"))
    }),
    ("Store::move_to", "new parent leaving; name taken", State::Alive, |c| {
        c.as_it_leaves(|| told(c.store().move_to(c.subject.world.beside, c.subject.object, "peer")))
    }),
    ("Store::unregister", "gone; of another payload", State::Gone, |c| {
        told(c.store().unregister::<u8>(c.subject.object))
    }),
    ("Store::unregister", "of another payload; has children", State::Alive, |c| {
        told(c.store().unregister::<u8>(c.subject.object))
    }),
    ("Store::unregister", "the caller is inside; of another payload", State::Alive, |c| {
        c.inside(|| told(c.store().unregister::<u8>(c.subject.object)))
    }),
    ("Store::unregister", "the caller is inside; has children", State::Alive, |c| {
        c.inside(|| told(c.store().unregister::<Payload>(c.subject.object)))
    }),
    ("Store::enter", "gone; of another payload", State::Gone, |c| told(c.store().enter::<u8>(c.subject.object))),
    ("Store::enter_mut", "gone; of another payload", State::Gone, |c| {
        told(c.store().enter_mut::<u8>(c.subject.object))
    }),
    ("Store::enter_mut", "leaving; the caller is inside", State::Alive, |c| {
        c.as_it_leaves(|| told(c.store().enter_mut::<Payload>(c.subject.object)))
    }),
    ("Store::add_group", "gone; for other payloads", State::Gone, |c| {
        told(c.store().add_group(c.subject.object, c.group_of_tape()))
    }),
    ("Store::add_group", "for other payloads; a name taken", State::Alive, |c| {
        told(c.store().add_group(c.subject.object, c.group_of_tape()))
    }),
    ("Store::remove_group", "gone; a group that it has not", State::Gone, |c| {
        told(c.store().remove_group(c.subject.object, c.group_of_tape()))
    }),
    ("Store::hide_attribute", "gone; an attribute that it has not", State::Gone, |c| {
        told(c.store().hide_attribute(c.subject.object, c.attr_of_tape()))
    }),
    ("Store::map", "gone; an empty range", State::Gone, |c| {
        told(c.store().map(c.subject.object, c.subject.world.space, 8..8))
    }),
    ("Store::map", "gone; an address of another's", State::Gone, |c| {
        told(c.store().map(c.subject.object, c.subject.world.space, 0x20..0x30))
    }),
    ("Store::remap", "no range there; an address of another's", State::Alive, |c| {
        told(c.store().remap(c.subject.object, c.subject.world.space, 8, 0x20..0x30))
    }),
    ("PlainAttr::load", "gone; of another type", State::Gone, |c| {
        told(c.store().plain::<u32>(c.tape, "height").unwrap().load(c.store(), c.subject.object))
    }),
];

impl Case {
    fn new(sort: Sort, state: State) -> Self {
        let subject = Subject::new(sort, state);
        let tape = DeviceType::shared::<u8>("tape").plain("height", 1_u32);
        let tape = subject.store().define(tape.group(Group::named("queue").ro("speed", |_, _| Ok(())))).unwrap();
        let other = subject.store().register(subject.store().root(), "tape", tape, 7).unwrap();
        subject.store().map(other, subject.world.space, 0x20..0x30).unwrap();
        if state == State::Alive {
            subject.store().create(subject.object, "child").unwrap();
        }
        Self { sort, subject, tape }
    }

    fn store(&self) -> &Store {
        self.subject.store()
    }

    /// Of a text attribute.
    fn file(&self) -> &File {
        &self.subject.files[0]
    }

    fn readable(&self) -> File {
        self.store().open(self.subject.object, "text", Access::READ).unwrap()
    }

    fn open(&self, name: &str, access: Access) -> String {
        told(self.store().open(self.subject.object, name, access))
    }

    fn attr_of_tape(&self) -> enodev::AttrHandle {
        self.store().attribute(self.store().lookup("/tape").unwrap(), "queue/speed").unwrap()
    }

    fn group_of_tape(&self) -> enodev::GroupHandle {
        self.store().groups(self.store().lookup("/tape").unwrap()).unwrap()[1]
    }

    fn remove(&self) {
        assert_eq!(self.store().unregister_subtree(self.subject.object), Ok(Removal::Done(2)));
    }

    fn inside(&self, run: impl FnOnce() -> String) -> String {
        let (store, object) = (self.store(), self.subject.object);
        match self.sort {
            Sort::Shared => {
                let _guard = store.enter::<Payload>(object).unwrap();
                run()
            }
            Sort::Exclusive => {
                let _guard = store.enter_mut::<Payload>(object).unwrap();
                run()
            }
        }
    }

    fn as_it_leaves(&self, run: impl FnOnce() -> String) -> String {
        self.inside(|| {
            assert_eq!(self.store().unregister_subtree(self.subject.object), Ok(Removal::Begun(2)));
            run()
        })
    }
}

/// A callback removes its object and then reads the file through which it was called.
fn within_itself() -> String {
    let store = Store::new().unwrap();
    let (file, answer) = (Arc::new(OnceLock::<File>::new()), Arc::new(Mutex::new(String::new())));
    let (own, tell) = (Arc::clone(&file), Arc::clone(&answer));
    let ty = DeviceType::shared::<()>("type").ro("self", move |object, _| {
        object.store().unregister_subtree(object.object()).map(drop)?;
        *tell.lock().unwrap() = told(own.get().unwrap().read(object.store(), &mut [0; 4]));
        Ok(())
    });
    let ty = store.define(ty).unwrap();
    let object = store.register(store.root(), "object", ty, ()).unwrap();
    let file = file.get_or_init(|| store.open(object, "self", Access::READ).unwrap());
    assert_eq!(file.read(&store, &mut [0; 4]), Ok(0));
    let answer = answer.lock().unwrap();
    answer.clone()
}

/// Opens an attribute without permissions.
fn without_mode(access: Access) -> String {
    let store = Store::new().unwrap();
    let ty = DeviceType::shared::<()>("type").ro("closed", |_, _| Ok(())).mode(Mode::empty());
    let ty = store.define(ty).unwrap();
    let object = store.register(store.root(), "object", ty, ()).unwrap();
    told(store.open(object, "closed", access))
}

/// F4, F5, F14, F25, E-15, E-18, E-20: where several things are wrong at once, the table says which is told.
#[test]
fn of_several_faults_the_table_says_which_is_told() {
    let rows = table("What comes first").rows;
    let listed: Vec<_> = rows.iter().map(|(name, cells)| (name.as_str(), cells[0].clone())).collect();
    let cases: Vec<_> = CASES.iter().map(|(name, faults, ..)| (*name, faults.replace('`', ""))).collect();
    assert_eq!(listed, cases);
    let mut wrong = Vec::new();
    for ((name, cells), (_, faults, state, run)) in rows.iter().zip(CASES) {
        for sort in SORTS {
            let answer = run(&Case::new(sort, *state));
            if cells[1] != answer {
                wrong.push(format!("{name} | {faults} | {answer}"));
            }
        }
    }
    assert_eq!(wrong, [""; 0]);
}

/// E-14: what a callback answers reaches the caller as it is, also the number that says that an object has gone; that object has not.
#[test]
fn an_answer_of_a_callback_is_no_answer_of_the_store() {
    let store = Store::new().unwrap();
    let (busy, gone) = (Errno::EBUSY, Errno::ENODEV);
    let ty = DeviceType::shared::<Errno>("type").rw("says", |says, _| Err(*says), |says, _| Err(*says));
    let ty = store.define(ty).unwrap();
    for (name, says) in [("busy", busy), ("gone", gone)] {
        let object = store.register(store.root(), name, ty, says).unwrap();
        let file = store.open(object, "says", Access::READ | Access::WRITE).unwrap();
        assert_eq!((file.read(&store, &mut [0]), file.write(&store, b"x")), (Err(says), Err(says)));
        assert_eq!(file.seek(&store, SeekFrom::Start(1)), Ok(1));
        assert!(store.contains(object) && store.lookup(name) == Ok(object.kobject()));
    }
}
