//! What comes of an operation that leads to a callback.

use enodev::{Errno, parse};

use crate::files::Scene;
use crate::files::defs::{ATTRS, Code, Lends};
use crate::files::io::sort;
use crate::files::machine::State;
use crate::files::op::{Ending, Op};
use crate::files::side::{Plan, Side, initial};
use crate::files::tree::{bury, check_order};
use crate::opened::{Sort, Way};

/// What an operation gives: how many bytes, and which if they were read.
pub(crate) type Moved = Result<(usize, Vec<u8>), Errno>;

/// What an operation comes to before code of an attribute runs.
#[derive(Debug)]
pub(crate) enum Met {
    /// It ends so.
    Known(Moved),
    /// It ends so, having entered the attribute.
    Entered(Moved),
    Code(Asked),
}

/// A callback that is due.
#[derive(Debug)]
pub(crate) struct Asked {
    object: usize,
    attr: usize,
    way: Way,
    range: (u64, usize),
    ending: Ending,
}

/// What a callback has come to.
#[derive(Debug)]
pub(crate) enum Called {
    /// Text that was shown, or bytes that were read.
    Read(Result<Vec<u8>, Errno>),
    Written(Result<usize, Errno>),
}

impl Met {
    pub(crate) fn is_inside(&self) -> bool {
        !matches!(self, Self::Known(_))
    }

    pub(crate) fn known(&self) -> Moved {
        match self {
            Self::Known(moved) | Self::Entered(moved) => moved.clone(),
            Self::Code(_) => Err(Errno::EIO),
        }
    }

    /// What an operation on a file gives, after the callback.
    pub(crate) fn after(&self, side: &Side, called: Called, place: usize, at: Option<u64>) -> Moved {
        let Self::Code(asked) = self else { return self.known() };
        let mut state = side.state();
        let Some(slot) = state.slot(place) else { return Err(Errno::EIO) };
        slot.is_busy = false;
        match called {
            Called::Written(written) => {
                let count = written?;
                slot.opened.moved(at, count as u64);
                Ok((count, Vec::new()))
            }
            Called::Read(read) if slot.opened.sort() == Sort::Text => {
                slot.opened.shown(at, read?);
                let read = slot.opened.read_text(at, asked.range.1);
                Ok((read.len(), read))
            }
            Called::Read(read) => {
                let read = read?;
                slot.opened.moved(at, read.len() as u64);
                Ok((read.len(), read))
            }
        }
    }
}

impl Asked {
    /// Has the callback come. A plain attribute has none.
    pub(crate) fn new(state: &mut State, op: Op, on: (usize, usize), way: Way, range: (u64, usize)) -> Self {
        let (object, attr) = on;
        let asked = Self { object, attr, way, range, ending: op.ending() };
        if ATTRS[attr].code == Code::Plain {
            return asked;
        }
        let given = match (sort(attr), way) {
            (Sort::Text, Way::Read) => (0, 0),
            _ => range,
        };
        let owner = &state.model.objects[object];
        let number = (ATTRS[attr].group().lends != Lends::Any).then_some(owner.number);
        let (nested, ending) = (state.nested(op), asked.ending);
        state.plan = Some(Plan { object: owner.handle, attr, number, range: given, nested, ending });
        asked
    }

    /// What the callback, which has returned, has come to; and what has ended with it.
    pub(crate) fn settle(&self, side: &Side, data: &[u8]) -> Called {
        if ATTRS[self.attr].code == Code::Plain {
            return self.plain(&mut side.state(), data);
        }
        let (called, batches) = {
            let mut state = side.state();
            if let Some(plan) = state.plan.take() {
                state.complaints.push(format!("no callback was called, where {plan:?} should be"));
                return Called::Written(Err(Errno::EIO));
            }
            let called = self.called(&mut state, data);
            let batches = state.model.end_frame();
            batches.iter().for_each(|batch| bury(&mut state, batch));
            state.note_if(!batches.is_empty(), Scene::EndedInside);
            (called, batches)
        };
        batches.iter().for_each(|batch| check_order(side, batch));
        called
    }

    fn plain(&self, state: &mut State, data: &[u8]) -> Called {
        let object = &mut state.model.objects[self.object];
        match self.way {
            Way::Read => Called::Read(Ok(format!("{}\n", object.value).into_bytes())),
            Way::Write => Called::Written(parse::integer(data).map(|value| {
                object.value = value;
                data.len()
            })),
        }
    }

    fn called(&self, state: &mut State, data: &[u8]) -> Called {
        let is_text = sort(self.attr) == Sort::Text;
        let error = match self.ending {
            Ending::Fail => Some(Errno::EAGAIN),
            Ending::Panic => {
                *state.panics.entry(self.attr).or_default() += 1;
                state.tally.note(Scene::Panicked);
                Some(Errno::EIO)
            }
            Ending::TooMuch if is_text && self.way == Way::Read => Some(Errno::E2BIG),
            Ending::TooMuch if !is_text => Some(Errno::EIO),
            _ => None,
        };
        let object = &mut state.model.objects[self.object];
        let contents = object.contents.entry(self.attr).or_insert_with(|| initial(self.attr));
        let (offset, len) = self.range;
        match (self.way, error) {
            (Way::Read, Some(errno)) => Called::Read(Err(errno)),
            (Way::Write, Some(errno)) => Called::Written(Err(errno)),
            (Way::Read, None) if is_text => Called::Read(Ok(contents.clone())),
            (Way::Read, None) => {
                let skipped = usize::try_from(offset).unwrap_or(usize::MAX);
                Called::Read(Ok(contents.iter().skip(skipped).take(len).copied().collect()))
            }
            (Way::Write, None) if is_text => {
                *contents = data.to_vec();
                Called::Written(Ok(data.len()))
            }
            (Way::Write, None) => {
                let places = contents.iter_mut().zip(0_u64..).filter(|(_, place)| *place >= offset);
                let written = places.zip(&data[..len]).map(|((byte, _), data)| *byte = *data);
                Called::Written(Ok(written.count()))
            }
        }
    }
}
