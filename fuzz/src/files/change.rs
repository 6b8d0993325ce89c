//! Operations on what one object shows.

use enodev::{Error, Removal, Result};

use crate::files::Scene;
use crate::files::machine::Here;
use crate::files::model::{EINVAL, ENODEV};
use crate::files::op::{Action, Op};

pub(crate) fn group(here: Here<'_>, op: Op) {
    let (object, group, attr) = {
        let mut state = here.side.state();
        state.decision = op.c;
        let object = state.object(op.a);
        (object, state.group(op.b, object), state.attr(op.b, object))
    };
    let model =
        |change: &dyn Fn(&mut crate::files::model::Model) -> Result<Removal>| change(&mut here.side.state().model);
    let none = |()| Removal::Done(0);
    let (expected, got) = match op.action {
        Action::AddGroup => (
            model(&|model| model.add_group(object, group, op.c).map(none)),
            here.store.add_group(object, group).map(none),
        ),
        Action::UpdateGroup => {
            (model(&|model| model.update_group(object, group, op.c)), here.store.update_group(object, group))
        }
        Action::RemoveGroup => {
            (model(&|model| model.remove_group(object, group)), here.store.remove_group(object, group))
        }
        Action::AddAttribute => (
            model(&|model| model.alone(attr).and_then(|group| model.add_group(object, group, op.c)).map(none)),
            here.store.add_attribute(object, attr).map(none),
        ),
        _ => (
            model(&|model| model.alone(attr).and_then(|group| model.remove_group(object, group))),
            here.store.remove_attribute(object, attr),
        ),
    };
    here.side.same(|| format!("{op:?}"), got, expected);
    let is_removal = matches!(op.action, Action::RemoveGroup | Action::RemoveAttribute);
    let is_update = op.action == Action::UpdateGroup;
    let mut state = here.side.state();
    state.note_if(expected == Err(Error::Exists), Scene::GroupRefused);
    state.note_if(expected == Err(Error::Inside), Scene::LockHeld);
    state.note_if(is_removal && matches!(expected, Ok(Removal::Begun(_))), Scene::GroupBegun);
    state.note_if(is_removal && expected == Err(Error::Leaving), Scene::GroupLeaving);
    state.note_if(is_update && expected.is_ok_and(|removal| removal.count() > 0), Scene::UpdatedAway);
    state.note_if(is_update && matches!(expected, Ok(Removal::Begun(_))), Scene::UpdateBegun);
}

pub(crate) fn attribute(here: Here<'_>, op: Op) {
    let (object, attr) = {
        let state = here.side.state();
        let object = state.object(op.a);
        (object, state.attr(op.b, object))
    };
    match op.action {
        Action::Hide => {
            let expected = here.side.state().model.hide(object, attr, true);
            here.side.same(|| format!("{op:?}"), here.store.hide_attribute(object, attr), expected);
            here.side.state().note_if(matches!(expected, Ok(Removal::Begun(_))), Scene::HideBegun);
        }
        Action::Unhide => {
            let expected = here.side.state().model.hide(object, attr, false).map(drop);
            here.side.same(|| format!("{op:?}"), here.store.show_attribute(object, attr), expected);
        }
        _ => plain(here, op, object),
    }
}

fn plain(here: Here<'_>, op: Op, object: enodev::KobjectHandle) {
    let ty = usize::from(op.b % 2);
    let (plain, value) = (&here.defs.plain[ty], u32::from(op.c));
    let expected = {
        let state = here.side.state();
        state.model.enter(object, plain.handle()).map(|(object, _)| object)
    };
    if op.action == Action::PlainLoad {
        let expected = expected.map(|object| here.side.state().model.objects[object].value);
        here.side.same(|| format!("{op:?}"), plain.load(here.store, object), expected);
    } else {
        here.side.same(|| format!("{op:?}"), plain.store(here.store, object, value), expected.map(drop));
        if let Ok(object) = expected {
            here.side.state().model.objects[object].value = value;
        }
    }
    here.side.state().note_if(expected == Err(ENODEV) || expected == Err(EINVAL), Scene::PlainRefused);
}
