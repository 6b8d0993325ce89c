//! The interpreter: what it remembers, how it chooses, and the row of operations, in callbacks too.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, OnceLock};

use enodev::{AttrHandle, Exclusive, GroupHandle, KobjectHandle, PlainAttr, Shared, Store, Type};

use crate::files::defs::{ATTRS, GROUPS, NAMES, TYPES};
use crate::files::io::Slot;
use crate::files::model::{Life, Model, Object, ROOT};
use crate::files::op::{Action, Op};
use crate::files::setup::set_up;
use crate::files::side::{Contents, Part, Plan, Side, Sole};
use crate::files::{Scene, ask, change, events, io, tree, whole};
use crate::tally::Tally;

/// Callbacks in callbacks at the most.
pub(crate) const DEPTH_MAX: usize = 3;

#[derive(Debug, Default)]
pub(crate) struct State {
    pub(crate) model: Model,
    pub(crate) files: Vec<Option<Slot>>,
    pub(crate) defs: Option<Arc<Defs>>,
    ops: Vec<Op>,
    at: usize,
    /// The callback that is due, if one is.
    pub(crate) plan: Option<Plan>,
    /// The object and the attribute that are waited for.
    pub(crate) awaited: Option<(usize, usize)>,
    /// What groups' callbacks go by at present.
    pub(crate) decision: u8,
    pub(crate) contents: Contents,
    /// The payloads that have been made, been dropped, and should have been.
    pub(crate) made: u64,
    pub(crate) dropped: Vec<u64>,
    pub(crate) due: BTreeSet<u64>,
    pub(crate) panics: BTreeMap<usize, u64>,
    pub(crate) complaints: Vec<String>,
    pub(crate) tally: Tally<Scene>,
}

/// What has been defined in a store.
#[derive(Debug)]
pub(crate) struct Defs {
    pub(crate) shared: Type<Shared<Part>>,
    pub(crate) exclusive: Type<Exclusive<Sole>>,
    pub(crate) plain: [PlainAttr<u32>; 2],
    pub(crate) attrs: Vec<AttrHandle>,
    pub(crate) groups: Vec<GroupHandle>,
}

/// Another store, of whose handles none means anything here.
#[derive(Debug)]
pub(crate) struct Foreign {
    pub(crate) store: Store,
    pub(crate) defs: Defs,
    objects: Vec<KobjectHandle>,
}

static FOREIGN: OnceLock<Option<Foreign>> = OnceLock::new();

pub(crate) fn foreign() -> Option<&'static Foreign> {
    let made = FOREIGN.get_or_init(|| {
        let store = Store::new().ok()?;
        let side = Arc::default();
        let defs = set_up(&store, &side).ok()?;
        let mut objects = vec![store.root()];
        for name in &NAMES[..4] {
            objects.push(store.create(store.root(), name).ok()?);
        }
        Some(Foreign { store, defs, objects })
    });
    made.as_ref()
}

/// Where an operation runs: at the top or in a callback.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Here<'a> {
    pub(crate) store: &'a Store,
    pub(crate) side: &'a Arc<Side>,
    pub(crate) defs: &'a Defs,
}

/// Runs the script.
pub(crate) fn run(ops: Vec<Op>) -> Tally<Scene> {
    let side: Arc<Side> = Arc::default();
    let Ok(store) = Store::new() else { return Tally::default() };
    let defs = match set_up(&store, &side) {
        Ok(defs) => Arc::new(defs),
        Err(error) => fail("the definitions", &[error.to_string()]),
    };
    {
        let mut state = side.state();
        state.model.add(Object::new(store.root(), "", ROOT, None));
        (state.model.attrs, state.model.groups) = (defs.attrs.clone(), defs.groups.clone());
        (state.ops, state.defs) = (ops, Some(Arc::clone(&defs)));
        // Those of the definitions.
        state.dropped.clear();
    }
    let mut op = side.state().at;
    while op < side.state().ops.len() {
        steps(&side, &store, 1);
        judge(&side, op);
        op = side.state().at;
    }
    ask::check(Here { store: &store, side: &side, defs: &defs });
    judge(&side, op);
    end(&side, store);
    judge(&side, op);
    let state = &mut *side.state();
    std::mem::take(&mut state.tally)
}

/// The store drops all payloads that are left.
fn end(side: &Arc<Side>, store: Store) {
    drop(store);
    let mut state = side.state();
    let left = state.model.objects.iter().filter(|object| object.life == Life::Here && object.ty.is_some());
    let left: Vec<u64> = left.map(|object| object.number).collect();
    state.due.extend(left);
    drop(state);
    check_drops(side);
}

/// What has been dropped is what should have been, each once.
fn check_drops(side: &Side) {
    let (mut dropped, due) = {
        let state = side.state();
        (state.dropped.clone(), state.due.iter().copied().collect::<Vec<u64>>())
    };
    dropped.sort_unstable();
    side.same(|| "payloads that have been dropped".into(), dropped, due);
}

fn judge(side: &Side, op: usize) {
    let state = side.state();
    if !state.complaints.is_empty() {
        fail(&format!("operation {op}, {:?}, and up to {}", state.ops.get(op), state.at), &state.complaints);
    }
}

#[expect(clippy::panic, reason = "it is how an interpreter of tests says that something is wrong")]
fn fail(at: &str, complaints: &[String]) -> ! {
    panic!("{at}: {}", complaints.join("; "));
}

/// Does the next operations, if there are any.
pub(crate) fn steps(side: &Arc<Side>, store: &Store, count: u8) {
    for _ in 0..count {
        let (op, defs) = {
            let mut state = side.state();
            let (Some(op), Some(defs)) = (state.ops.get(state.at).copied(), state.defs.clone()) else { return };
            state.at += 1;
            if !state.complaints.is_empty() {
                return;
            }
            (op, defs)
        };
        step(Here { store, side, defs: &defs }, op);
        check_drops(side);
    }
}

fn step(here: Here<'_>, op: Op) {
    use Action as A;
    match op.action {
        A::Create | A::Register | A::Unregister | A::UnregisterSubtree | A::Rename | A::Move | A::Link | A::Unlink => {
            tree::perform(here, op);
        }
        A::AddGroup | A::RemoveGroup | A::UpdateGroup | A::AddAttribute | A::RemoveAttribute => change::group(here, op),
        A::Hide | A::Unhide | A::PlainLoad | A::PlainStore => change::attribute(here, op),
        A::Open | A::Close | A::Read | A::Write | A::Seek | A::Poll => io::perform(here, op),
        A::Notify | A::Await => events::perform(here, op),
        A::ShowByHandle | A::ReadWhole | A::WriteWhole => whole::perform(here, op),
        A::Lookup | A::Find | A::Ask | A::Check => ask::perform(here, op),
    }
}

/// Choosing.
impl State {
    /// How many operations a callback does.
    pub(crate) fn nested(&self, op: Op) -> u8 {
        if self.model.leaving.frames.len() < DEPTH_MAX { op.nested() } else { 0 }
    }

    pub(crate) fn begin_frame(&mut self, object: KobjectHandle, attr: usize) {
        if let Some(object) = self.model.by_handle.get(&object.to_bits()) {
            self.model.leaving.frames.push((*object, attr));
        }
    }

    /// What operations are likely to be about: what is waited for, or whose callback runs.
    fn current(&self) -> Option<(usize, usize)> {
        self.awaited.or(self.model.leaving.frames.last().copied())
    }

    pub(crate) fn object(&self, byte: u8) -> KobjectHandle {
        let objects = &self.model.objects;
        let any = objects[usize::from(byte) * 7 % objects.len()].handle;
        match (byte, self.current(), foreign()) {
            (255, ..) => KobjectHandle::null(),
            (248.., _, Some(foreign)) => foreign.objects[usize::from(byte) % foreign.objects.len()],
            (244..=247, ..) => KobjectHandle::from_bits(any.to_bits() ^ 1 << (32 + 3 * (byte % 4))),
            (224.., ..) => any,
            (96..=191, Some((object, _)), _) => objects[object].handle,
            _ => {
                let here: Vec<&Object> = objects.iter().filter(|object| object.life == Life::Here).collect();
                here.get(usize::from(byte) % here.len().max(1)).map_or(any, |object| object.handle)
            }
        }
    }

    /// The groups that an object has.
    fn groups_on(&self, object: KobjectHandle) -> Vec<usize> {
        let object = self.model.get_leaving(object).ok();
        object.map_or_else(Vec::new, |object| self.model.objects[object].groups.keys().copied().collect())
    }

    pub(crate) fn group(&self, byte: u8, object: KobjectHandle) -> GroupHandle {
        let (on, nth) = (self.groups_on(object), usize::from(byte));
        let group = match (byte, self.current(), foreign()) {
            (250.., _, Some(foreign)) => return foreign.defs.groups[nth % GROUPS.len()],
            (128.., Some((_, attr)), _) => ATTRS[attr].group,
            (112.., ..) if !on.is_empty() => on[nth % on.len()],
            (100.., ..) => nth % GROUPS.len(),
            _ => 4 + nth % (GROUPS.len() - 4),
        };
        self.model.groups[group]
    }

    pub(crate) fn attr(&self, byte: u8, object: KobjectHandle) -> AttrHandle {
        let on = self.groups_on(object);
        let on: Vec<usize> = (0..ATTRS.len()).filter(|attr| on.contains(&ATTRS[*attr].group)).collect();
        let nth = usize::from(byte);
        let attr = match (byte, self.current(), foreign()) {
            (250.., _, Some(foreign)) => return foreign.defs.attrs[nth % ATTRS.len()],
            (128.., Some((_, attr)), _) => attr,
            (32.., ..) if !on.is_empty() => on[nth % on.len()],
            _ => nth % ATTRS.len(),
        };
        self.model.attrs[attr]
    }

    pub(crate) fn note_if(&mut self, is_so: bool, scene: Scene) {
        if is_so {
            self.tally.note(scene);
        }
    }
}

pub(crate) fn name(byte: u8) -> &'static str {
    NAMES[usize::from(byte) % if byte < 128 { 4 } else { NAMES.len() }]
}

/// The name of the type that an object is of.
pub(crate) fn type_name(ty: Option<usize>) -> Option<String> {
    ty.map(|ty| TYPES[ty].into())
}
