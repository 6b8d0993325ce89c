//! Operations on open files.

use std::io::SeekFrom;
use std::sync::Arc;

use enodev::{Access, Errno, Error, Event, File};

use crate::files::Scene;
use crate::files::call::{Asked, Called, Met};
use crate::files::defs::{ATTRS, Code};
use crate::files::machine::{Here, State, foreign, name};
use crate::files::op::{Action, Op};
use crate::opened::{Need, Opened, Sort, Way};

const FILES_MAX: usize = 24;

/// An open file and its model.
#[derive(Debug)]
pub(crate) struct Slot {
    pub(crate) file: Arc<File>,
    pub(crate) object: usize,
    pub(crate) attr: usize,
    /// How often the object had shown the attribute no more when this was opened.
    ends: u64,
    pub(crate) opened: Opened,
    /// Whether there is something new since the last read began, if there has been one.
    pub(crate) is_news: Option<bool>,
    /// An operation on it is under way.
    pub(crate) is_busy: bool,
}

impl State {
    /// Whether a file is good.
    pub(crate) fn alive(&self, slot: &Slot) -> Result<(), Errno> {
        let is_shown = self.model.is_here(slot.object) && self.model.shown(slot.object, slot.attr).is_some();
        let ends = self.model.objects[slot.object].ends.get(&slot.attr).copied().unwrap_or(0);
        if is_shown && ends == slot.ends { Ok(()) } else { Err(Errno::ENODEV) }
    }

    pub(crate) fn event(&self, slot: &Slot) -> Option<Event> {
        match (self.alive(slot), slot.is_news) {
            (Err(_), _) => Some(Event::Gone),
            (_, None | Some(true)) => Some(Event::Changed),
            (_, Some(false)) => None,
        }
    }

    pub(crate) fn slot(&mut self, place: usize) -> Option<&mut Slot> {
        self.files.get_mut(place)?.as_mut()
    }

    pub(crate) fn place(&self, byte: u8) -> Option<usize> {
        let open: Vec<usize> = (0..self.files.len()).filter(|place| self.files[*place].is_some()).collect();
        // The latest are the likeliest.
        let near = if byte < 128 { open.len().min(3) } else { open.len() };
        open.iter().nth_back(usize::from(byte).checked_rem(near)?).copied()
    }
}

pub(crate) fn sort(attr: usize) -> Sort {
    match ATTRS[attr].code {
        Code::Binary { size, .. } => Sort::Binary(size),
        _ => Sort::Text,
    }
}

pub(crate) fn perform(here: Here<'_>, op: Op) {
    if op.action == Action::Open {
        return open(here, op);
    }
    let found = {
        let mut state = here.side.state();
        let place = state.place(op.a);
        place.and_then(|place| Some((place, Arc::clone(&state.slot(place)?.file))))
    };
    let Some((place, file)) = found else { return };
    let is_foreign = op.a % 64 == 63;
    let store = foreign().filter(|_| is_foreign).map_or(here.store, |foreign| &foreign.store);
    match op.action {
        Action::Close => {
            let mut state = here.side.state();
            if state.slot(place).is_some_and(|slot| !slot.is_busy) {
                state.files[place] = None;
            }
        }
        Action::Read => move_bytes(here, op, place, Way::Read, is_foreign),
        Action::Write => move_bytes(here, op, place, Way::Write, is_foreign),
        Action::Seek => {
            let to = whence(op);
            let got = file.seek(store, to);
            let mut state = here.side.state();
            let Some(mut slot) = state.files[place].take() else { return };
            let expected = match state.alive(&slot) {
                _ if slot.is_busy => Err(Errno::EDEADLK),
                _ if is_foreign => Err(Errno::ENODEV),
                alive => alive.and_then(|()| slot.opened.seek(to)),
            };
            state.files[place] = Some(slot);
            drop(state);
            here.side.same(|| format!("{op:?}, {to:?}"), got, expected);
        }
        _ => poll(here, op, place, &file, is_foreign),
    }
}

fn whence(op: Op) -> SeekFrom {
    let by = [0, 0, 1, 8, 16, 4096, i64::MAX, i64::MIN, -1, -4096, i64::MAX - 4][usize::from(op.c) % 11];
    match op.b % 3 {
        0 => SeekFrom::Start(by as u64),
        1 => SeekFrom::Current(by),
        _ => SeekFrom::End(by),
    }
}

fn poll(here: Here<'_>, op: Op, place: usize, file: &File, is_foreign: bool) {
    let expected = {
        let state = here.side.state();
        let event = state.files[place].as_ref().and_then(|slot| state.event(slot));
        if is_foreign { Some(Event::Gone) } else { event }
    };
    let store = foreign().filter(|_| is_foreign).map_or(here.store, |foreign| &foreign.store);
    here.side.same(|| format!("{op:?}"), file.poll(store), expected);
}

fn open(here: Here<'_>, op: Op) {
    let (object, path, access) = {
        let state = here.side.state();
        if state.files.iter().flatten().count() >= FILES_MAX {
            return;
        }
        let object = state.object(op.a);
        let attr = state.model.attr(state.attr(op.b, object));
        let path = attr.map_or_else(|_| name(op.b).into(), |attr| ATTRS[attr].path());
        let access = [Access::READ, Access::READ | Access::WRITE, Access::WRITE, Access::empty()];
        (object, path, access[[0, 1, 1, 1, 2, 2, 0, 3][usize::from(op.c % 8)]])
    };
    let expected = {
        let state = here.side.state();
        state.model.get(object).and_then(|object| {
            let attr = state.model.find(object, &path).ok_or(Error::NotFound)?;
            let mode = state.model.shown(object, attr).unwrap_or(ATTRS[attr].mode);
            let may_read = mode.bits() & 0o444 != 0 && ATTRS[attr].has_read();
            let may_write = mode.bits() & 0o222 != 0 && ATTRS[attr].has_write();
            match access {
                _ if access.is_empty() => Err(Error::Errno(Errno::EINVAL)),
                _ if access.contains(Access::READ) && !may_read => Err(Error::Errno(Errno::EACCES)),
                _ if access.contains(Access::WRITE) && !may_write => Err(Error::Errno(Errno::EACCES)),
                _ => Ok((object, attr)),
            }
        })
    };
    let got = here.store.open(object, &path, access);
    here.side.same(
        || format!("open {path}: {op:?}"),
        got.as_ref().map(drop).map_err(|error| *error),
        expected.map(drop),
    );
    if let (Ok(file), Ok((object, attr))) = (got, expected) {
        let mut state = here.side.state();
        let expected = (state.model.objects[object].handle, state.model.attrs[attr]);
        let is_it = (file.object(), file.attribute()) == expected;
        let ends = state.model.objects[object].ends.get(&attr).copied().unwrap_or(0);
        let opened = Opened::new(access, sort(attr));
        let file = Arc::new(file);
        state.files.push(Some(Slot { file, object, attr, ends, opened, is_news: None, is_busy: false }));
        drop(state);
        here.side.same(|| "what the file is of".into(), is_it, true);
    }
}

/// How much an operation is to move.
fn len(op: Op) -> usize {
    match op.c {
        0..=7 => usize::from(op.c),
        8..=191 => usize::from(op.c % 32),
        192..=250 => 4096,
        _ => 4097,
    }
}

pub(crate) fn data(attr: usize, op: Op) -> Vec<u8> {
    if ATTRS[attr].code == Code::Plain {
        let texts: [&[u8]; 6] = [b"12\n", b"0x10", b"junk", b"4294967296", b"", b"-1"];
        return texts[usize::from(op.c) % 6].to_vec();
    }
    (0..len(op)).map(|at| op.c ^ at as u8).collect()
}

fn move_bytes(here: Here<'_>, op: Op, place: usize, way: Way, is_foreign: bool) {
    let at = [None, None, None, Some(0), Some(0), Some(2), Some(1 << 40), Some(1 << 63)][usize::from(op.a / 8 % 8)];
    let Some((met, file, data)) = here.side.state().meet(op, place, way, at, is_foreign) else { return };
    let store = foreign().filter(|_| is_foreign).map_or(here.store, |foreign| &foreign.store);
    let mut buf = vec![0; data.len()];
    let got = match (way, at) {
        (Way::Read, None) => file.read(store, &mut buf),
        (Way::Read, Some(offset)) => file.pread(store, offset, &mut buf),
        (Way::Write, None) => file.write(store, &data),
        (Way::Write, Some(offset)) => file.pwrite(store, offset, &data),
    };
    let got = got.map(|count| match way {
        Way::Read => (count, buf.get(..count).map(<[u8]>::to_vec).unwrap_or_default()),
        Way::Write => (count, Vec::new()),
    });
    let what = format!("{op:?} of {} at {at:?}: {met:?}", data.len());
    let expected =
        called(here, &met, &data).map_or_else(|| met.known(), |called| met.after(here.side, called, place, at));
    here.side.same(|| what, got, expected);
}

/// What the callback has come to, if there was one to be called.
pub(crate) fn called(here: Here<'_>, met: &Met, data: &[u8]) -> Option<Called> {
    let Met::Code(asked) = met else { return None };
    Some(asked.settle(here.side, data))
}

impl State {
    /// What an operation on a file comes to, as far as it can be told before it.
    fn meet(
        &mut self,
        op: Op,
        place: usize,
        way: Way,
        at: Option<u64>,
        is_foreign: bool,
    ) -> Option<(Met, Arc<File>, Vec<u8>)> {
        let mut slot = self.files[place].take()?;
        let data = match way {
            Way::Read => vec![0; len(op)],
            Way::Write => data(slot.attr, op),
        };
        let need = slot.opened.need(way, at, data.len());
        let alive = if is_foreign { Err(Errno::ENODEV) } else { self.alive(&slot) };
        self.note_if(alive.is_err() && self.model.is_here(slot.object) && !is_foreign, Scene::FileDied);
        self.note_if(alive.is_err() && !self.model.is_here(slot.object), Scene::Unplugged);
        let met = match (need, alive) {
            (Need::Refused(errno), _) => Met::Known(Err(errno)),
            _ if slot.is_busy => {
                self.tally.note(Scene::OwnFile);
                Met::Known(Err(Errno::EDEADLK))
            }
            (_, Err(errno)) => Met::Known(Err(errno)),
            (Need::There(answer), _) => Met::Known(answer.map(|count| (count as usize, Vec::new()))),
            (Need::Rest, _) => {
                let read = slot.opened.read_text(at, data.len());
                Met::Known(Ok((read.len(), read)))
            }
            (need, Ok(())) => self.enter(op, slot.object, slot.attr, way, need),
        };
        if way == Way::Read && met.is_inside() {
            slot.is_news = Some(false);
        }
        slot.is_busy |= matches!(met, Met::Code(_));
        let file = Arc::clone(&slot.file);
        self.files[place] = Some(slot);
        Some((met, file, data))
    }

    /// An attribute is entered that is there.
    pub(crate) fn enter(&mut self, op: Op, object: usize, attr: usize, way: Way, need: Need) -> Met {
        if ATTRS[attr].locks() && self.model.leaving.has_lock(object) {
            self.tally.note(Scene::LockHeld);
            return Met::Known(Err(Errno::EDEADLK));
        }
        match need {
            Need::Code { offset, len } => Met::Code(Asked::new(self, op, (object, attr), way, (offset, len))),
            Need::Entered(answer) => Met::Entered(answer.map(|count| (count as usize, Vec::new()))),
            _ => Met::Known(Err(Errno::EIO)),
        }
    }
}
