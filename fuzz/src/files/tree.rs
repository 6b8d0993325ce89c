//! Operations on the tree.

use std::cell::Cell;
use std::collections::BTreeSet;
use std::sync::Arc;

use enodev::{DeviceHandle, Error, KobjectHandle, Name, Removal, Result};

use crate::files::Scene;
use crate::files::defs::GROUPS;
use crate::files::machine::{Here, State, foreign, name};
use crate::files::model::{ENODEV, Model, Object};
use crate::files::op::{Action, Op};
use crate::files::shown::Decision;
use crate::files::side::{Part, Side, Sole};

/// Objects of one run at the most.
const OBJECTS_MAX: usize = 48;

pub(crate) fn perform(here: Here<'_>, op: Op) {
    let (a, c) = {
        let state = here.side.state();
        (state.object(op.a), state.object(op.c))
    };
    match op.action {
        Action::Create => create(here, a, name(op.b)),
        Action::Register => register(here, a, op),
        Action::Unregister => unregister(here, a, usize::from(op.b % 2)),
        Action::UnregisterSubtree => unregister_subtree(here, a),
        Action::Rename => {
            let expected = here.side.state().model.move_to(a, None, name(op.b));
            here.side.same(|| format!("{op:?}"), here.store.rename(a, name(op.b)), expected);
        }
        Action::Move => {
            let expected = here.side.state().model.move_to(a, Some(c), name(op.b));
            here.side.same(|| format!("{op:?}"), here.store.move_to(a, c, name(op.b)), expected);
            let is_below = expected == Err(crate::files::model::EINVAL);
            here.side.state().note_if(is_below, Scene::MovedBelowItself);
            here.side.state().note_if(expected.is_ok(), Scene::Moved);
        }
        Action::Link => {
            let expected = here.side.state().model.link(a, name(op.b), c);
            here.side.same(|| format!("{op:?}"), here.store.link(a, name(op.b), c), expected);
            here.side.state().note_if(expected == Err(Error::Exists), Scene::NameTaken);
        }
        _ => {
            let expected = here.side.state().model.unlink(a, name(op.b));
            here.side.same(|| format!("{op:?}"), here.store.unlink(a, name(op.b)), expected);
        }
    }
}

fn create(here: Here<'_>, parent: KobjectHandle, name: &str) {
    if here.side.state().model.objects.len() >= OBJECTS_MAX {
        return;
    }
    let expected = here.side.state().model.adding(parent, name);
    let got = here.store.create(parent, name);
    here.side.same(|| format!("create {name:?}"), got.map(drop), expected.map(drop));
    if let (Ok(handle), Ok(parent)) = (got, expected) {
        here.side.state().model.add(Object::new(handle, name, parent, None));
    }
}

/// What the groups of a type decide, or why an object is not made.
fn registering(
    model: &Model,
    parent: KobjectHandle,
    name: &str,
    ty: usize,
    byte: u8,
) -> Result<(usize, Vec<(usize, Decision)>)> {
    Name::new(name)?;
    let groups = (0..GROUPS.len()).filter(|group| GROUPS[*group].ty == Some(ty) && !GROUPS[*group].is_plain());
    let decisions: Result<Vec<_>> = groups.map(|group| Ok((group, Decision::new(group, byte)?))).collect();
    let decisions = decisions?;
    Ok((model.adding(parent, name)?, decisions))
}

fn register(here: Here<'_>, parent: KobjectHandle, op: Op) {
    let (ty, is_device, is_foreign) = (usize::from(op.c % 2), op.c & 2 == 0, op.c == 0xfe);
    let (name, number, expected) = {
        let mut state = here.side.state();
        if state.model.objects.len() >= OBJECTS_MAX {
            return;
        }
        (state.decision, state.made) = (op.c.rotate_right(2), state.made + 1);
        let name = name(op.b);
        let expected = registering(&state.model, parent, name, ty, state.decision);
        // What is wrong with the name is told first.
        let is_named = Name::new(name).is_ok();
        (name, state.made, if is_foreign && is_named { Err(ENODEV) } else { expected })
    };
    let part = Part { number, side: Arc::clone(here.side) };
    let (mut shared, exclusive) = (here.defs.shared, here.defs.exclusive);
    if let (true, Some(foreign)) = (is_foreign, foreign()) {
        shared = foreign.defs.shared;
    }
    let sole = |part| Sole(part, Cell::new(0));
    let kobject = |device: DeviceHandle| KobjectHandle::from_bits(device.to_bits());
    let got = match (ty, is_device) {
        (0, true) => here.store.register(parent, name, shared, part).map(kobject),
        (0, false) => here.store.register_kobject(parent, name, shared, part),
        (_, true) => here.store.register(parent, name, exclusive, sole(part)).map(kobject),
        _ => here.store.register_kobject(parent, name, exclusive, sole(part)),
    };
    let verdict = expected.as_ref().map(drop).map_err(|error| *error);
    here.side.same(|| format!("register {name:?}: {op:?}"), got.map(drop), verdict);
    let mut state = here.side.state();
    match (got, expected) {
        (Ok(handle), Ok((parent, decisions))) => {
            let object = Object { is_device, number, ..Object::new(handle, name, parent, Some(ty)) };
            state.model.add(object);
            let object = state.model.objects.len() - 1;
            decisions.iter().for_each(|(group, decision)| state.model.decide(object, *group, decision));
            let is_bare = state.model.list(handle).is_ok_and(|list| list.len() < 4);
            state.note_if(is_bare, Scene::BornHidden);
        }
        (_, expected) => {
            state.note_if(expected.is_err_and(|error| error.errno() == enodev::Errno::EIO), Scene::BirthFailed);
            state.due.insert(number);
        }
    }
}

fn unregister(here: Here<'_>, object: KobjectHandle, ty: usize) {
    let device = DeviceHandle::from_bits(object.to_bits());
    let expected = {
        let mut state = here.side.state();
        state.model.unregister(object, ty).map(|object| state.model.objects[object].number)
    };
    let got = match ty {
        0 => here.store.unregister::<Part>(device),
        _ => here.store.unregister::<Sole>(device).map(|sole| sole.0),
    };
    here.side.same(
        || format!("unregister {object:?}"),
        got.as_ref().map(|part| part.number),
        expected.as_ref().copied(),
    );
    let mut state = here.side.state();
    state.due.extend(expected.as_ref().ok());
    state.note_if(expected == Err(Error::Inside), Scene::RemovalRefused);
    // Its drop takes the state.
    drop(state);
    drop(got);
}

fn unregister_subtree(here: Here<'_>, object: KobjectHandle) {
    let expected = here.side.state().model.unregister_subtree(object);
    let batch = expected.as_ref().ok().and_then(|(_, batch)| batch.clone());
    if let Some(batch) = &batch {
        bury(&mut here.side.state(), batch);
    }
    let got = here.store.unregister_subtree(object);
    let expected = expected.map(|(removal, _)| removal);
    here.side.same(|| format!("unregister_subtree {object:?}"), got, expected);
    batch.iter().for_each(|batch| check_order(here.side, batch));
    let mut state = here.side.state();
    state.note_if(matches!(expected, Ok(Removal::Begun(_))), Scene::BegunInside);
    state.note_if(expected == Err(Error::Leaving), Scene::LeavingAlready);
}

/// The payloads of objects that have gone are due.
pub(crate) fn bury(state: &mut State, batch: &BTreeSet<usize>) {
    let gone: Vec<u64> = batch
        .iter()
        .map(|object| &state.model.objects[*object])
        .filter(|object| object.ty.is_some())
        .map(|object| object.number)
        .collect();
    state.due.extend(gone);
}

/// Children have been dropped before their parents.
pub(crate) fn check_order(side: &Side, batch: &BTreeSet<usize>) {
    let state = side.state();
    let when = |object: usize| {
        let object = Some(&state.model.objects[object]).filter(|object| object.ty.is_some())?;
        state.dropped.iter().position(|number| *number == object.number)
    };
    let parent = |object: usize| Some(state.model.objects[object].parent).filter(|parent| batch.contains(parent));
    let is_wrong = |object: &&usize| {
        let times = when(**object).zip(parent(**object).and_then(when));
        times.is_some_and(|(child, parent)| child > parent)
    };
    let wrong = batch.iter().find(is_wrong).copied();
    drop(state);
    side.same(|| "an object whose payload was dropped after its parent's".into(), wrong, None);
}
