//! The driver's side: payloads and callbacks, which do what the script says and note what was done to them.

use std::collections::BTreeMap;
use std::fmt;
use std::panic::resume_unwind;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use enodev::{
    AnyObject, Attribute, DefineError, DeviceType, Errno, Exclusive, Group, KobjectHandle, Lending, Mode, Owner, Page,
    Shared, Store, Visibility,
};

use crate::files::defs::{ATTRS, Code, GROUPS, Says, attrs_of, is_shown, says};
use crate::files::machine::{State, steps};
use crate::files::op::Ending;

type AttrResult<T = ()> = enodev::Result<T, Errno>;

/// What the interpreter and the callbacks share. Never locked while the store is at work.
#[derive(Debug, Default)]
pub(crate) struct Side(Mutex<State>);

impl Side {
    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Complains unless the store's answer is the model's.
    pub(crate) fn same<A: PartialEq + fmt::Debug>(&self, what: impl FnOnce() -> String, got: A, expected: A) {
        if got != expected {
            self.state().complaints.push(format!("{}: {got:?}, where {expected:?} should be", what()));
        }
    }
}

/// The only callback that may run now, and what it does.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    pub(crate) object: KobjectHandle,
    pub(crate) attr: usize,
    /// Of the payload, if the callback gets at it.
    pub(crate) number: Option<u64>,
    /// What it is given to move.
    pub(crate) range: (u64, usize),
    pub(crate) nested: u8,
    pub(crate) ending: Ending,
}

/// What the driver has stored.
pub(crate) type Contents = BTreeMap<(u64, usize), Vec<u8>>;

/// Of a binary attribute.
pub(crate) const WINDOW: usize = 16;

/// What an attribute holds before anything is stored.
pub(crate) fn initial(attr: usize) -> Vec<u8> {
    match ATTRS[attr].code {
        Code::Binary { .. } => (0..WINDOW as u8).map(|at| b'A' + at).collect(),
        _ => format!("{}\n", ATTRS[attr].path()).into_bytes(),
    }
}

/// A payload. Its drop is noted.
pub(crate) struct Part {
    pub(crate) number: u64,
    pub(crate) side: Arc<Side>,
}

impl Drop for Part {
    fn drop(&mut self) {
        self.side.state().dropped.push(self.number);
    }
}

/// A payload that cannot be shared.
pub(crate) struct Sole(pub(crate) Part, pub(crate) std::cell::Cell<u64>);

/// As what shared payloads are published.
pub(crate) trait Numbered: Send + Sync {
    fn number(&self) -> u64;
}

impl Numbered for Part {
    fn number(&self) -> u64 {
        self.number
    }
}

/// What a callback learns of its owner.
pub(crate) struct At<'a> {
    store: &'a Store,
    object: KobjectHandle,
    number: Option<u64>,
}

pub(crate) trait Owned: Lending {
    fn at<'a>(owner: Self::Ref<'a>) -> At<'a>;
}

impl Owned for AnyObject {
    fn at<'a>(owner: Self::Ref<'a>) -> At<'a> {
        At { store: owner.store(), object: owner.object(), number: None }
    }
}

impl Owned for Shared<Part> {
    fn at<'a>(owner: Self::Ref<'a>) -> At<'a> {
        At { store: owner.store(), object: owner.object(), number: Some(owner.number) }
    }
}

impl Owned for Shared<dyn Numbered> {
    fn at<'a>(owner: Self::Ref<'a>) -> At<'a> {
        At { store: owner.store(), object: owner.object(), number: Some(owner.number()) }
    }
}

impl Owned for Exclusive<Sole> {
    fn at<'a>(owner: Self::Ref<'a>) -> At<'a> {
        owner.1.set(owner.1.get() + 1);
        At { store: owner.store(), object: owner.object(), number: Some(owner.0.number) }
    }
}

impl Side {
    /// A callback of an attribute has been called.
    fn call(self: &Arc<Self>, at: &At<'_>, attr: usize, range: (u64, usize)) -> AttrResult<Ending> {
        let plan = {
            let mut state = self.state();
            let plan = state.plan.take();
            let is_due = plan.as_ref().is_some_and(|plan| {
                (plan.object, plan.attr, plan.range) == (at.object, attr, range)
                    && at.number.is_none_or(|number| plan.number == Some(number))
            });
            let Some(plan) = plan.filter(|_| is_due) else {
                let what = format!("a callback of {attr} for {:?} and payload {:?}, {range:?}", at.object, at.number);
                state.complaints.push(what);
                return Err(Errno::EIO);
            };
            state.begin_frame(plan.object, attr);
            plan
        };
        steps(self, at.store, plan.nested);
        match plan.ending {
            Ending::Fail => Err(Errno::EAGAIN),
            // Not by `panic!`: the fuzzer takes the hook of that for the end.
            Ending::Panic => resume_unwind(Box::new("a callback's")),
            ending => Ok(ending),
        }
    }

    fn show(self: &Arc<Self>, at: &At<'_>, attr: usize, page: &mut Page) -> AttrResult {
        if self.call(at, attr, (0, 0))? == Ending::TooMuch {
            // Whether it fails makes no difference.
            let _ = page.put_bytes(&[b'z'; 4097]);
        }
        page.put_bytes(&self.contents(at, attr)).or(Ok(()))
    }

    fn contents(&self, at: &At<'_>, attr: usize) -> Vec<u8> {
        let key = (at.object.to_bits(), attr);
        self.state().contents.get(&key).cloned().unwrap_or_else(|| initial(attr))
    }

    fn store(self: &Arc<Self>, at: &At<'_>, attr: usize, data: &[u8]) -> AttrResult {
        self.call(at, attr, (0, data.len()))?;
        self.state().contents.insert((at.object.to_bits(), attr), data.to_vec());
        Ok(())
    }

    fn read_at(self: &Arc<Self>, at: &At<'_>, attr: usize, offset: u64, buf: &mut [u8]) -> AttrResult<usize> {
        if self.call(at, attr, (offset, buf.len()))? == Ending::TooMuch {
            return Ok(buf.len() + 1);
        }
        let contents = self.contents(at, attr);
        let there = usize::try_from(offset).ok().and_then(|from| contents.get(from..)).unwrap_or_default();
        let count = there.len().min(buf.len());
        buf[..count].copy_from_slice(&there[..count]);
        Ok(count)
    }

    fn write_at(self: &Arc<Self>, at: &At<'_>, attr: usize, offset: u64, data: &[u8]) -> AttrResult<usize> {
        if self.call(at, attr, (offset, data.len()))? == Ending::TooMuch {
            return Ok(data.len() + 1);
        }
        let mut contents = self.contents(at, attr);
        let there = usize::try_from(offset).ok().and_then(|from| contents.get_mut(from..)).unwrap_or_default();
        let count = there.len().min(data.len());
        there[..count].copy_from_slice(&data[..count]);
        self.state().contents.insert((at.object.to_bits(), attr), contents);
        Ok(count)
    }
}

/// An attribute of the table; a plain one is none for this.
pub(crate) fn attribute<O: Owned>(side: &Arc<Side>, attr: usize) -> Result<Attribute<O>, DefineError> {
    let def = &ATTRS[attr];
    let [s0, s1] = [Arc::clone(side), Arc::clone(side)];
    let show = move |owner: O::Ref<'_>, page: &mut Page| s0.show(&O::at(owner), attr, page);
    let store = move |owner: O::Ref<'_>, data: &[u8]| s1.store(&O::at(owner), attr, data);
    let [s0, s1] = [Arc::clone(side), Arc::clone(side)];
    let read = move |owner: O::Ref<'_>, offset: u64, buf: &mut [u8]| s0.read_at(&O::at(owner), attr, offset, buf);
    let write = move |owner: O::Ref<'_>, offset: u64, data: &[u8]| s1.write_at(&O::at(owner), attr, offset, data);
    let attribute = match def.code {
        Code::Text { show: true, store: true } => Attribute::rw(def.name, show, store),
        Code::Text { show: true, .. } => Attribute::ro(def.name, show),
        Code::Text { .. } | Code::Plain => Attribute::wo(def.name, store),
        Code::Binary { size, read: true, write: true } => Attribute::bin_rw(def.name, size, read, write),
        Code::Binary { size, read: true, .. } => Attribute::bin_ro(def.name, size, read),
        Code::Binary { size, .. } => Attribute::bin_wo(def.name, size, write),
    };
    attribute?.with_mode(def.mode)
}

/// What `is_visible` answers by the byte of the present operation.
fn visible<O: Owner>(side: &Side, group: usize, attribute: &Attribute<O>) -> Visibility {
    let ordinal = attrs_of(group).position(|attr| ATTRS[attr].name == attribute.name().as_str());
    let byte = side.state().decision;
    match ordinal.map(|ordinal| says(byte, ordinal)) {
        Some(Says::AsDefined) => Visibility::AsDefined,
        Some(Says::Less) if attribute.has_read() => Visibility::Mode(Mode::RUSR),
        Some(Says::Less) => Visibility::Mode(Mode::WUSR),
        Some(Says::Nothing) => Visibility::Mode(Mode::empty()),
        Some(Says::TooMuch) => Visibility::Mode(Mode::RUSR | Mode::XOTH),
        Some(Says::Panics) => resume_unwind(Box::new("a callback's")),
        Some(Says::Hidden) | None => Visibility::Hidden,
    }
}

/// A group of the table.
pub(crate) fn group<O: Owned>(side: &Arc<Side>, group: usize) -> Group<O> {
    let def = &GROUPS[group];
    let empty = def.name.map_or_else(Group::new, Group::named);
    let made = attrs_of(group).fold(empty, |made, attr| made.attribute(attribute(side, attr)));
    let [shown_by, visible_by] = [Arc::clone(side), Arc::clone(side)];
    let made = if def.is_shown {
        made.is_shown(move |_| {
            let shown = is_shown(shown_by.state().decision);
            shown.unwrap_or_else(|| resume_unwind(Box::new("a callback's")))
        })
    } else {
        made
    };
    if def.is_visible { made.is_visible(move |_, attr| visible(&visible_by, group, attr)) } else { made }
}

/// The attributes of a type that are in no group.
pub(crate) fn own<O: Owned + enodev::Sharing>(side: &Arc<Side>, of: usize, ty: DeviceType<O>) -> DeviceType<O> {
    let ty = attrs_of(of).fold(ty, |ty, attr| match ATTRS[attr].code {
        Code::Plain => ty.plain(ATTRS[attr].name, 7_u32),
        _ => ty.attribute(attribute(side, attr)),
    });
    let side = Arc::clone(side);
    if GROUPS[of].is_visible { ty.is_visible(move |_, attr| visible(&side, of, attr)) } else { ty }
}
