//! Payloads: their types, as what they are published, and how they come back.

use enodev::{Access, DeviceType, Errno, Error, Removal, Shared, Store, Type};

use crate::common::{Disk, GONE, Rig};

/// S3-3: the payload comes back by value, and the store has not dropped it: who registered it frees it.
#[test]
fn unregister_hands_the_payload_back() {
    let rig = Rig::new();
    let store = &rig.store;
    let disk = rig.add(store.root(), "sda");
    store.write(disk, "text", b"marked").unwrap();
    let payload: Disk = store.unregister(disk).unwrap();
    assert_eq!((payload.name.as_str(), rig.dropped().len()), ("sda", 0));
    assert_eq!(*payload.text.lock(), b"marked");
    drop(payload);
    assert_eq!(rig.dropped(), ["sda"]);
}

/// An exclusive payload comes back too; it need not be `Sync`, nor `Clone`, nor small.
#[test]
fn unregister_hands_an_exclusive_payload_back() {
    let store = Store::new().unwrap();
    let ty = DeviceType::exclusive::<std::cell::RefCell<[u64; 1000]>>("big");
    let ty = store.define(ty).unwrap();
    let big = store.register(store.root(), "big", ty, [1; 1000].into()).unwrap();
    store.enter_mut::<std::cell::RefCell<[u64; 1000]>>(big).unwrap().borrow_mut()[999] = 7;
    let payload: std::cell::RefCell<[u64; 1000]> = store.unregister(big).unwrap();
    assert_eq!(payload.into_inner().iter().sum::<u64>(), 1006);
}

/// A wrong type is told before anything is marked: the object, its file and its place are as they were.
#[test]
fn unregister_with_a_wrong_type_changes_nothing() {
    let rig = Rig::new();
    let store = &rig.store;
    let disk = rig.add(store.root(), "sda");
    let counter = store.define(DeviceType::exclusive::<u32>("counter")).unwrap();
    let counter = store.register(store.root(), "counter", counter, 5).unwrap();
    let file = store.open(disk, "name", Access::READ).unwrap();
    assert_eq!(store.unregister::<String>(disk).err(), Some(Error::WrongType));
    assert_eq!(store.unregister::<()>(disk).err(), Some(Error::WrongType));
    assert_eq!(store.unregister::<u64>(counter).err(), Some(Error::WrongType));
    assert_eq!(Error::WrongType.errno(), Errno::EINVAL);
    assert!(store.contains(disk) && rig.dropped().is_empty());
    assert_eq!(file.read(store, &mut [0; 8]), Ok(4));
    rig.assert_holds(store.root(), &["counter", "sda"]);
    assert_eq!(store.unregister::<u32>(counter), Ok(5));
    // A handle that is stale has no type.
    assert_eq!(store.unregister::<u64>(counter).err(), Some(GONE));
}

#[test]
fn unregister_of_an_object_with_children_changes_nothing() {
    let rig = Rig::new();
    let store = &rig.store;
    let bus = rig.add(store.root(), "bus");
    let disk = rig.add(bus, "disk");
    assert_eq!(store.unregister::<Disk>(bus).err(), Some(Error::HasChildren));
    assert_eq!(Error::HasChildren.errno(), Errno::ENOTEMPTY);
    assert_eq!(rig.read(disk, "name"), Ok("disk\n".into()));
    rig.add(bus, "second");
    drop(store.unregister::<Disk>(disk).unwrap());
    assert_eq!(store.unregister::<Disk>(bus).err(), Some(Error::HasChildren));
    assert_eq!(store.unregister_subtree(bus), Ok(Removal::Done(2)));
}

/// A link is no child.
#[test]
fn unregister_takes_an_object_with_links() {
    let rig = Rig::new();
    let store = &rig.store;
    let bus = rig.add(store.root(), "bus");
    store.link(bus, "self", bus).unwrap();
    store.link(bus, "root", store.root()).unwrap();
    assert_eq!(store.unregister::<Disk>(bus).unwrap().name, "bus");
    assert!(store.is_empty());
}

/// What callers of the tests know of a payload.
trait Named: Send + Sync {
    fn name(&self) -> String;
}

/// And what those of an exclusive one know.
trait Counts: Send {
    fn count(&mut self) -> u32;
}

struct Fan(u32);

impl Named for Fan {
    fn name(&self) -> String {
        format!("fan {}", self.0)
    }
}

impl Counts for Fan {
    fn count(&mut self) -> u32 {
        self.0 += 1;
        self.0
    }
}

fn shared_fan(store: &Store) -> Type<Shared<Fan>> {
    let ty = DeviceType::shared::<Fan>("fan").view::<dyn Named>(|fan| fan).view::<u32>(|fan| &fan.0);
    store.define(ty).unwrap()
}

#[test]
fn a_shared_payload_is_entered_as_itself_and_as_what_it_is_published_as() {
    let store = Store::new().unwrap();
    let fan = shared_fan(&store);
    let fan = store.register(store.root(), "fan0", fan, Fan(3)).unwrap();
    assert_eq!(store.enter::<Fan>(fan).unwrap().0, 3);
    assert_eq!(store.enter::<dyn Named>(fan).unwrap().name(), "fan 3");
    assert_eq!(*store.enter::<u32>(fan).unwrap(), 3);
    // Several at once, of one thread too.
    let (first, second) = (store.enter::<Fan>(fan).unwrap(), store.enter::<u32>(fan).unwrap());
    assert_eq!(first.0, *second);
}

#[test]
fn an_exclusive_payload_is_entered_as_itself_and_as_what_it_is_published_as() {
    let store = Store::new().unwrap();
    let ty = DeviceType::exclusive::<Fan>("fan").view_mut::<dyn Counts>(|fan| fan).view_mut::<u32>(|fan| &mut fan.0);
    let ty = store.define(ty).unwrap();
    let fan = store.register(store.root(), "fan0", ty, Fan(3)).unwrap();
    assert_eq!(store.enter_mut::<dyn Counts>(fan).unwrap().count(), 4);
    *store.enter_mut::<u32>(fan).unwrap() += 10;
    assert_eq!(store.enter_mut::<Fan>(fan).unwrap().0, 14);
    assert_eq!(store.unregister::<Fan>(fan).unwrap().0, 14);
}

/// An object is entered as nothing that its type does not name, and exclusively exactly if it is exclusive; such a refusal
/// leaves no reference behind.
#[test]
fn what_is_not_published_is_of_the_wrong_type() {
    let store = Store::new().unwrap();
    let shared = shared_fan(&store);
    let exclusive = DeviceType::exclusive::<Fan>("fan").view_mut::<dyn Counts>(|fan| fan);
    let exclusive = store.define(exclusive).unwrap();
    let shared = store.register(store.root(), "shared", shared, Fan(1)).unwrap();
    let exclusive = store.register(store.root(), "exclusive", exclusive, Fan(2)).unwrap();
    let plain = store.create(store.root(), "plain").unwrap();

    assert_eq!(store.enter::<String>(shared).err(), Some(Error::WrongType));
    assert_eq!(store.enter::<dyn Counts>(shared).err(), Some(Error::WrongType));
    assert_eq!(store.enter_mut::<Fan>(shared).err(), Some(Error::WrongType));
    assert_eq!(store.enter::<Fan>(exclusive).err(), Some(Error::WrongType));
    assert_eq!(store.enter::<dyn Named>(exclusive).err(), Some(Error::WrongType));
    assert_eq!(store.enter_mut::<u32>(exclusive).err(), Some(Error::WrongType));
    assert_eq!(store.enter::<()>(plain).err(), Some(Error::WrongType));
    assert_eq!(store.enter_mut::<()>(plain).err(), Some(Error::WrongType));
    assert_eq!(store.enter::<()>(store.root()).err(), Some(Error::WrongType));

    assert_eq!(store.enter_mut::<Fan>(exclusive).unwrap().0, 2);
    assert_eq!(store.unregister::<Fan>(exclusive).unwrap().0, 2);
    assert_eq!(store.unregister::<Fan>(shared).unwrap().0, 1);
    assert_eq!(store.unregister_subtree(plain), Ok(Removal::Done(1)));
}

/// An object that is no device has attributes and a payload all the same.
#[test]
fn a_kobject_is_entered_and_removed_like_a_device_and_is_none() {
    let rig = Rig::new();
    let store = &rig.store;
    let object = store.register_kobject(store.root(), "queue", rig.disk, rig.payload("queue")).unwrap();
    assert_eq!(store.device(object), Err(Error::WrongType));
    assert_eq!(store.type_name(object), Ok(Some("disk".into())));
    assert_eq!(store.type_name(store.root()), Ok(None));
    assert_eq!(rig.read(object, "name"), Ok("queue\n".into()));
    assert_eq!(store.enter::<Disk>(object).unwrap().name, "queue");
    let child = rig.add(object, "child");
    assert_eq!(store.device(store.lookup("queue/child").unwrap()), Ok(child));
    assert_eq!(store.unregister_subtree(object), Ok(Removal::Done(2)));
    assert_eq!(rig.dropped(), ["child", "queue"]);
}

/// A registration that is refused drops the payload and changes nothing else.
#[test]
fn a_registration_that_is_refused_leaves_no_trace() {
    let (rig, other) = (Rig::new(), Rig::new());
    let store = &rig.store;
    let disk = rig.add(store.root(), "sda");
    store.link(disk, "peer", disk).unwrap();
    let too_long = "n".repeat(256);
    for (name, errno) in [
        ("peer", Errno::EEXIST),
        ("text", Errno::EEXIST),
        ("", Errno::EINVAL),
        ("..", Errno::EINVAL),
        ("a/b", Errno::EINVAL),
        (&too_long, Errno::ENAMETOOLONG),
    ] {
        assert_eq!(rig.try_add(disk, name).unwrap_err().errno(), errno, "{name}");
        assert_eq!(store.create(disk, name).unwrap_err().errno(), errno, "{name}");
        assert_eq!(store.link(disk, name, disk).unwrap_err().errno(), errno, "{name}");
        assert_eq!(rig.world.dropped_since(), 1);
    }
    assert_eq!(rig.try_add(store.root(), "sda"), Err(Error::Exists));
    let foreign = store.register(disk, "new", other.disk, rig.payload("new"));
    assert_eq!((foreign, rig.world.dropped_since()), (Err(GONE), 2));
    rig.assert_holds(store.root(), &["sda"]);
    rig.assert_holds(disk, &["peer"]);
    assert_eq!(store.len(), 1);
}
