//! Defines what the table says.

use std::cell::Cell;
use std::sync::Arc;

use enodev::{AnyObject, DeviceType, Exclusive, GroupHandle, KobjectHandle, Result, Shared, Store};

use crate::files::defs::{ATTRS, GROUPS, Lends, TYPES, attrs_of};
use crate::files::machine::Defs;
use crate::files::side::{Numbered, Owned, Part, Side, Sole, attribute, group, own};

pub(crate) fn set_up(store: &Store, side: &Arc<Side>) -> Result<Defs> {
    let shared = DeviceType::shared::<Part>(TYPES[0]).view::<dyn Numbered>(|part| part);
    let shared = store.define(own(side, 0, shared).group(group(side, 1)))?;
    let exclusive = DeviceType::exclusive::<Sole>(TYPES[1]);
    let exclusive = store.define(own(side, 2, exclusive).group(group(side, 3)))?;
    let part = || Part { number: 0, side: Arc::clone(side) };
    let first = store.register_kobject(store.root(), "first", shared, part())?;
    let second = store.register_kobject(store.root(), "second", exclusive, Sole(part(), Cell::new(0)))?;
    let (mut attrs, mut groups) = (Vec::new(), Vec::new());
    for (number, def) in GROUPS.iter().enumerate() {
        let object = if def.fits(Some(0)) { first } else { second };
        let group = match (def.ty, def.lends) {
            (Some(_), _) => store.groups(object)?[number % 2],
            (_, Lends::Any) => define::<AnyObject>(store, side, object, number)?,
            (_, Lends::Shared) => define::<Shared<Part>>(store, side, object, number)?,
            (_, Lends::View) => define::<Shared<dyn Numbered>>(store, side, object, number)?,
            (_, Lends::Exclusive) => define::<Exclusive<Sole>>(store, side, object, number)?,
        };
        groups.push(group);
        for attr in attrs_of(number) {
            attrs.push(store.attribute(object, &ATTRS[attr].path())?);
        }
        if def.ty.is_none() {
            store.remove_group(object, group)?;
        }
    }
    let plain = [store.plain(shared, "count")?, store.plain(exclusive, "count")?];
    for object in [first, second] {
        store.unregister_subtree(object)?;
    }
    Ok(Defs { shared, exclusive, plain, attrs, groups })
}

/// Defines a group, and gives it to an object.
fn define<O: Owned>(store: &Store, side: &Arc<Side>, object: KobjectHandle, number: usize) -> Result<GroupHandle> {
    if let (true, Some(attr)) = (GROUPS[number].is_alone, attrs_of(number).next()) {
        let attr = store.define_attribute(attribute::<O>(side, attr))?;
        store.add_attribute(object, attr)?;
        return store.groups(object)?.last().copied().ok_or(enodev::Error::NotFound);
    }
    let group = store.define_group(group::<O>(side, number))?;
    store.add_group(object, group)?;
    Ok(group)
}
