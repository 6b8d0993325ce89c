//! Operations on open files, and on attributes by name or handle.

use std::future::Future;
use std::io::SeekFrom;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, Wake, Waker};

use enodev::{Access, AttrHandle, Errno, Error, Event, File, KobjectHandle, Page};

use crate::files::Scene;
use crate::files::call::{Asked, Called, Met};
use crate::files::defs::{ATTRS, Code};
use crate::files::machine::{Here, State, foreign, name, steps};
use crate::files::op::{Action, Op};
use crate::opened::{Need, Opened, Sort, Way, need_text};

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

    fn place(&self, byte: u8) -> Option<usize> {
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

fn data(attr: usize, op: Op) -> Vec<u8> {
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
fn called(here: Here<'_>, met: &Met, data: &[u8]) -> Option<Called> {
    let Met::Code(asked) = met else { return None };
    Some(asked.settle(here.side, data))
}

/// An attribute by its handle, or as a whole by its name.
pub(crate) fn whole(here: Here<'_>, op: Op) {
    let (object, attr) = {
        let state = here.side.state();
        let object = state.object(op.a);
        (object, state.attr(op.c, object))
    };
    let way = if op.action == Action::WriteWhole { Way::Write } else { Way::Read };
    let by_handle = op.action == Action::ShowByHandle;
    let Some(met) = whole_met(here, op, object, attr, way) else { return };
    let data = here.side.state().model.attr(attr).map_or_else(|_| Vec::new(), |attr| data(attr, op));
    let path = here.side.state().model.attr(attr).map_or_else(|_| "gone".into(), |attr| ATTRS[attr].path());
    let got = match (by_handle, way) {
        (true, _) => {
            let mut page = Page::new();
            let shown = here.store.show(object, attr, &mut page);
            here.side.same(|| "a page after an error".into(), shown.is_ok() || page.is_empty(), true);
            shown.map(|()| page.as_bytes().to_vec()).map_err(Error::from)
        }
        (_, Way::Read) => here.store.read(object, &path),
        (_, Way::Write) => here.store.write(object, &path, &data).map(|()| Vec::new()),
    };
    let expected = match met {
        Err(error) => Err(error),
        Ok(met) => match called(here, &met, &data) {
            None => met.known().map(|(_, read)| read).map_err(Error::from),
            Some(Called::Read(read)) => read.map_err(Error::from),
            Some(Called::Written(count)) => count.map(|_| Vec::new()).map_err(Error::from),
        },
    };
    here.side.same(|| format!("{op:?}"), got, expected);
}

/// None where it is not to be tried.
fn whole_met(here: Here<'_>, op: Op, object: KobjectHandle, attr: AttrHandle, way: Way) -> Option<Result<Met, Error>> {
    let mut state = here.side.state();
    let by_handle = op.action == Action::ShowByHandle;
    let known = state.model.attr(attr);
    if !by_handle {
        // Binary ones would be called page by page.
        let attr = known.ok().filter(|attr| sort(*attr) == Sort::Text)?;
        let found = state.model.get(object).map(|object| (object, state.model.find(object, &ATTRS[attr].path())));
        let (object, found) = match found {
            Err(error) => return Some(Err(error)),
            Ok((_, None)) => return Some(Err(Error::NotFound)),
            Ok((object, Some(found))) => (object, found),
        };
        let bits = if way == Way::Read { 0o444 } else { 0o222 };
        let has = if way == Way::Read { ATTRS[found].has_read() } else { ATTRS[found].has_write() };
        if !has || state.model.shown(object, found).is_none_or(|mode| mode.bits() & bits == 0) {
            return Some(Err(Error::Errno(Errno::EACCES)));
        }
        let len = if way == Way::Read { 4096 } else { data(found, op).len() };
        let need = if way == Way::Read { Need::Code { offset: 0, len } } else { need_text(len) };
        return Some(Ok(state.enter(op, object, found, way, need)));
    }
    let (object, attr) = match state.model.enter(object, attr) {
        Ok(found) => found,
        Err(error) => return Some(Err(error)),
    };
    let may = sort(attr) == Sort::Text && ATTRS[attr].has_read();
    let need = if may { Need::Code { offset: 0, len: 4096 } } else { Need::Entered(Err(Errno::EIO)) };
    Some(Ok(state.enter(op, object, attr, Way::Read, need)))
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
    fn enter(&mut self, op: Op, object: usize, attr: usize, way: Way, need: Need) -> Met {
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

/// Counts how often it has been woken.
struct Bell(AtomicU64);

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

/// Making changes known, and waiting for them.
pub(crate) fn event(here: Here<'_>, op: Op) {
    if op.action == Action::Notify {
        let (object, attr, expected) = {
            let mut state = here.side.state();
            let object = state.object(op.a);
            let attr = state.attr(op.b, object);
            let expected = state.model.get(object);
            let known = state.model.attr(attr);
            for slot in state.files.iter_mut().flatten() {
                if expected == Ok(slot.object) && known == Ok(slot.attr) {
                    slot.is_news = slot.is_news.map(|_| true);
                }
            }
            (object, attr, expected.and(known).map(drop))
        };
        return here.side.same(|| format!("{op:?}"), here.store.notify(object, attr), expected);
    }
    let found = {
        let mut state = here.side.state();
        let place = state.place(op.a);
        place.and_then(|place| Some((place, Arc::clone(&state.slot(place)?.file))))
    };
    let Some((place, file)) = found else { return };
    let event = || {
        let state = here.side.state();
        state.files[place].as_ref().map(|slot| state.event(slot))
    };
    let bell = Arc::new(Bell(AtomicU64::new(0)));
    let waker = Waker::from(Arc::clone(&bell));
    let mut context = Context::from_waker(&waker);
    let mut changed = pin!(file.changed(here.store));
    let mut poll = || match changed.as_mut().poll(&mut context) {
        Poll::Ready(event) => Some(event),
        Poll::Pending => None,
    };
    let expected = event();
    let first = poll();
    here.side.same(|| format!("{op:?}"), Some(first), expected);
    if first.is_some() {
        return;
    }
    let nested = if here.side.state().model.leaving.frames.len() < 3 { op.b % 4 } else { 0 };
    let before = {
        let mut state = here.side.state();
        let awaited = state.slot(place).map(|slot| (slot.object, slot.attr));
        std::mem::replace(&mut state.awaited, awaited)
    };
    steps(here.side, here.store, nested);
    here.side.state().awaited = before;
    // None: it has been closed meanwhile.
    let Some(expected) = event() else { return };
    let rung = bell.0.load(Ordering::SeqCst);
    here.side.same(|| format!("{op:?}, afterwards"), poll(), expected);
    here.side.same(|| format!("{op:?}, woken for {expected:?}"), expected.is_none() || rung > 0, true);
    let mut state = here.side.state();
    state.note_if(expected == Some(Event::Changed), Scene::WokenByChange);
    state.note_if(expected == Some(Event::Gone), Scene::WokenByEnd);
}
