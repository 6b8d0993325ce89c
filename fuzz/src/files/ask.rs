//! Questions that change nothing, and whether everything is as the model says.

use std::collections::BTreeSet;

use enodev::{Error, KobjectHandle};

use crate::files::machine::{Here, State, name, type_name};
use crate::files::model::{Life, ROOT};
use crate::files::op::{Action, Op};

pub(crate) fn perform(here: Here<'_>, op: Op) {
    let object = here.side.state().object(op.a);
    match op.action {
        Action::Lookup => {
            let top = here.side.state().model.path(object).unwrap_or_default();
            let path = format!("{top}/{}/{}", name(op.b), name(op.c));
            let expected = here.side.state().model.lookup(&path);
            here.side.same(|| format!("lookup {path}"), here.store.lookup(&path), expected);
        }
        Action::Find => {
            let name = name(op.b);
            let (attr, link, entry) = {
                let state = here.side.state();
                let attr = state.model.get(object).and_then(|object| {
                    let attr = state.model.find(object, name).ok_or(Error::NotFound)?;
                    Ok(state.model.attrs[attr])
                });
                (attr, state.model.readlink(object, name), state.model.named(object, name))
            };
            here.side.same(|| format!("entry {name}"), here.store.entry(object, name), entry);
            here.side.same(|| format!("attribute {name}"), here.store.attribute(object, name), attr);
            here.side.same(|| format!("readlink {name}"), here.store.readlink(object, name), link);
        }
        Action::Ask => ask(here, object),
        _ => check(here),
    }
}

/// Asks for a value of the model.
fn model<T>(here: Here<'_>, ask: impl FnOnce(&State) -> T) -> T {
    ask(&here.side.state())
}

/// Everything that can be asked of an object.
fn ask(here: Here<'_>, object: KobjectHandle) {
    let (store, side) = (here.store, here.side);
    let found = model(here, |state| state.model.get(object));
    side.same(|| format!("contains {object:?}"), store.contains(object), found.is_ok());
    let list = model(here, |state| state.model.list(object));
    side.same(|| format!("list {object:?}"), store.list(object), list);
    let path = model(here, |state| state.model.path(object));
    side.same(|| format!("path {object:?}"), store.path(object), path.clone());
    if let Ok(path) = path {
        side.same(|| format!("lookup {path}"), store.lookup(&path), Ok(object));
    }
    let links =
        store.links_to(object).map(|links| links.into_iter().map(|(dir, name)| (dir, name.to_string())).collect());
    side.same(|| format!("links_to {object:?}"), links, model(here, |state| state.model.links_to(object)));
    let groups = store.groups(object).map(|groups| groups.into_iter().collect::<BTreeSet<_>>());
    side.same(|| format!("groups {object:?}"), groups, model(here, |state| state.model.groups_of(object)));
    let known = model(here, |state| {
        found.map(|object| {
            let object = &state.model.objects[object];
            (type_name(object.ty), object.is_device, state.model.objects[object.parent].handle)
        })
    });
    let got = store.type_name(object).and_then(|ty| {
        let is_device = store.device(object).map_or_else(|error| error != Error::WrongType, |_| true);
        Ok((ty, is_device, store.parent(object)?))
    });
    side.same(|| format!("the type and the parent of {object:?}"), got, known);
    for group in here.defs.groups.clone() {
        let list = model(here, |state| state.model.list_group(object, group));
        side.same(|| format!("list_group {group:?} of {object:?}"), store.list_group(object, group), list);
    }
}

pub(crate) fn check(here: Here<'_>) {
    let (store, side) = (here.store, here.side);
    let objects: Vec<KobjectHandle> =
        model(here, |state| state.model.objects.iter().map(|object| object.handle).collect());
    objects.into_iter().for_each(|object| ask(here, object));
    let len = model(here, |state| {
        state.model.objects.iter().skip(ROOT + 1).filter(|object| object.life != Life::Gone).count()
    });
    side.same(|| "len".into(), store.len(), len);
    for place in 0..model(here, |state| state.files.len()) {
        let slot = model(here, |state| {
            let slot = state.files[place].as_ref()?;
            Some((slot.file.clone(), state.event(slot)))
        });
        if let Some((file, event)) = slot {
            side.same(|| format!("poll of file {place}"), file.poll(store), event);
        }
    }
    for (attr, handle) in here.defs.attrs.iter().enumerate() {
        let panics = model(here, |state| state.panics.get(&attr).copied().unwrap_or(0));
        side.same(|| format!("panics of {attr}"), store.panics(*handle), Ok(panics));
    }
}
