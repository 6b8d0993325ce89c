//! Operations on handles of attributes, groups and types, where the object is there.

use enodev::{AttrHandle, DeviceHandle, DeviceType, Group, GroupHandle, Page, PlainAttr, SpaceHandle};

use super::objects::told;
use super::subject::{Payload, SORTS, Sort, Ty, World};
use super::{table, wrong_row};

/// An object of a store, and things that are not the object's.
struct Strangers {
    world: World,
    object: DeviceHandle,
    attr: AttrHandle,
    group: GroupHandle,
    /// In place of another type's, one that the object is not in.
    space: SpaceHandle,
    /// There is no null in place of these.
    ty: Option<Ty>,
    level: Option<PlainAttr<u32>>,
    _other: Option<World>,
}

type Run = fn(&Strangers) -> String;

const OPERATIONS: &[(&str, Run)] = &[
    ("Store::attribute_entry", |s| told(s.world.store.attribute_entry(s.object, s.attr))),
    ("Store::show", |s| told(s.world.store.show(s.object, s.attr, &mut Page::new()))),
    ("Store::hide_attribute", |s| told(s.world.store.hide_attribute(s.object, s.attr))),
    ("Store::show_attribute", |s| told(s.world.store.show_attribute(s.object, s.attr))),
    ("Store::add_attribute", |s| told(s.world.store.add_attribute(s.object, s.attr))),
    ("Store::remove_attribute", |s| told(s.world.store.remove_attribute(s.object, s.attr))),
    ("Store::notify", |s| told(s.world.store.notify(s.object, s.attr))),
    ("Store::panics", |s| told(s.world.store.panics(s.attr))),
    ("Store::add_group", |s| told(s.world.store.add_group(s.object, s.group))),
    ("Store::remove_group", |s| told(s.world.store.remove_group(s.object, s.group))),
    ("Store::update_group", |s| told(s.world.store.update_group(s.object, s.group))),
    ("Store::list_group", |s| told(s.world.store.list_group(s.object, s.group))),
    ("Store::group_name", |s| told(s.world.store.group_name(s.group))),
    ("Store::map (space)", |s| told(s.world.store.map(s.object, s.space, 1..2))),
    ("Store::remap (space)", |s| told(s.world.store.remap(s.object, s.space, 0x10, 1..2))),
    ("Store::unmap (space)", |s| told(s.world.store.unmap(s.object, s.space, 0x10))),
    ("Store::resolve (space)", |s| told(s.world.store.resolve(s.space, 0x10))),
    ("Store::regions", |s| told(s.world.store.regions(s.space))),
    ("Store::space_name", |s| told(s.world.store.space_name(s.space))),
    ("Store::space_session", |s| told(s.world.store.space_session(s.space))),
    ("Store::remove_space", |s| told(s.world.store.remove_space(s.space))),
    ("PlainAttr::load", |s| of(&s.level, |level| told(level.load(&s.world.store, s.object)))),
    ("PlainAttr::store", |s| of(&s.level, |level| told(level.store(&s.world.store, s.object, 4)))),
    ("Store::plain (type)", |s| {
        of(&s.ty, |ty| match ty {
            Ty::Shared(ty) => told(s.world.store.plain::<u32>(*ty, "level")),
            Ty::Exclusive(ty) => told(s.world.store.plain::<u32>(*ty, "level")),
        })
    }),
    ("Store::register (type)", |s| of(&s.ty, |ty| told(s.world.add_of(*ty, s.world.beside, "new")))),
    ("Store::register_kobject (type)", |s| of(&s.ty, |ty| told(s.world.add_kobject_of(*ty, s.world.beside, "new")))),
];

fn of<T>(thing: &Option<T>, run: impl FnOnce(&T) -> String) -> String {
    thing.as_ref().map_or_else(|| "-".into(), run)
}

const COLUMNS: [&str; 3] = ["another type's", "another store's", "null"];

fn strangers(sort: Sort, column: &str) -> Strangers {
    let world = World::new(sort);
    let (object, _) = world.sda();
    if column == "null" {
        let (attr, group, space) = (AttrHandle::null(), GroupHandle::null(), SpaceHandle::null());
        return Strangers { world, object, attr, group, space, ty: None, level: None, _other: None };
    }
    if column == "another store's" {
        let other = World::new(sort);
        let (attr, group, level, space) = (other.alone, other.dir, Some(other.level.clone()), other.space);
        return Strangers { world, object, attr, group, space, ty: Some(other.ty), level, _other: Some(other) };
    }
    let tape = DeviceType::shared::<Payload>("tape")
        .plain("height", 1_u32)
        .group(Group::named("drive").ro("speed", |_, _| Ok(())));
    let tape = world.store.define(tape).unwrap();
    let other = world.store.register(world.store.root(), "tape", tape, world.payload.clone()).unwrap();
    let attr = world.store.attribute(other, "drive/speed").unwrap();
    let group = world.store.groups(other).unwrap()[1];
    let level = world.store.plain(tape, "height").ok();
    let space = world.store.create_space("ports").unwrap();
    Strangers { world, object, attr, group, space, ty: Some(Ty::Shared(tape)), level, _other: None }
}

/// S2-9, F3: what an object is asked for by a handle that is not its own is refused as the table says: an attribute, a group or a type of
/// another store, or none, is ENODEV to every operation. Nothing of the object has changed.
#[test]
fn handles_that_are_not_the_objects_own_are_refused() {
    let table = table("Attributes, groups and types");
    assert_eq!(table.columns, COLUMNS);
    let names: Vec<_> = table.rows.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, OPERATIONS.iter().map(|(name, _)| *name).collect::<Vec<_>>());
    let mut wrong = Vec::new();
    for ((name, told), (_, run)) in table.rows.iter().zip(OPERATIONS) {
        for sort in SORTS {
            wrong.extend(wrong_row(name, &table.columns, told, |column, _| {
                let strangers = strangers(sort, column);
                let (store, object) = (&strangers.world.store, strangers.object);
                let before = (store.list(object), store.groups(object));
                let answer = run(&strangers);
                assert_eq!(before, (store.list(object), store.groups(object)), "{name}");
                answer
            }));
        }
    }
    assert_eq!(wrong, [""; 0]);
}
