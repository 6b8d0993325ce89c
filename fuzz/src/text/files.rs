//! Offsets and lengths: files of attributes of every sort, in an arena of their own, against the model of an open file.

use std::io::SeekFrom;
use std::sync::{Mutex, MutexGuard, PoisonError};

use enodev_attrs::{Access, Attribute, DefineError, Errno, OpenFile, Owner, Page, Result, Thing};
use enodev_handles::{Arena, Domain, Handle, Kind};

use super::{Meeting, same};
use crate::opened::{Need, Opened, Sort, Way};
use crate::source::Source;
use crate::tally::Tally;

enum Disks {}

impl Kind for Disks {
    const NAME: &'static str = "Disk";
}

type Store = Arena<Disks, (), Disk>;

/// An owner that does what it is told and notes how it was called.
#[derive(Debug, Default)]
pub(super) struct Disk(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    plan: Plan,
    calls: Vec<Call>,
}

/// What the callbacks do.
#[derive(Debug, Default, Clone)]
enum Plan {
    /// All that they can.
    #[default]
    All,
    /// This text, or so much of it as there is room for.
    Text(Vec<u8>),
    /// They say that they have moved so many bytes.
    Say(usize),
    Fail(Errno),
    Panic,
}

/// How a callback was called.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Call {
    offset: u64,
    len: usize,
    /// What was written.
    data: Vec<u8>,
}

impl Owner for Disk {
    type Ref<'a> = &'a Disk;
}

impl Disk {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn call(&self, offset: u64, len: usize, data: &[u8]) -> Result<usize> {
        let plan = {
            let mut state = self.state();
            state.calls.push(Call { offset, len, data: data.to_vec() });
            state.plan.clone()
        };
        match plan {
            Plan::All | Plan::Text(_) => Ok(len),
            Plan::Say(count) => Ok(count),
            Plan::Fail(errno) => Err(errno),
            // Not by `panic!`: the fuzzer takes the hook of that for the end.
            Plan::Panic => std::panic::resume_unwind(Box::new("a callback's")),
        }
    }

    fn show(&self, page: &mut Page) -> Result {
        self.call(0, 0, &[])?;
        let text = match &self.state().plan {
            Plan::Text(text) => text.clone(),
            _ => Vec::new(),
        };
        page.put_bytes(&text)
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> Result<usize> {
        let count = self.call(offset, buf.len(), &[])?;
        buf.iter_mut().zip(0..).for_each(|(byte, at)| *byte = byte_at(offset, at));
        Ok(count)
    }
}

/// What is there at an offset and so many bytes on.
fn byte_at(offset: u64, at: u64) -> u8 {
    let place = (u128::from(offset) + u128::from(at)) % 251;
    place as u8 + 1
}

fn attribute(sort: Sort, way: u8) -> Result<Attribute<Disk>, DefineError> {
    let show = |disk: &Disk, page: &mut Page| disk.show(page);
    let store = |disk: &Disk, data: &[u8]| disk.call(0, data.len(), data).map(drop);
    let read_at = |disk: &Disk, offset: u64, buf: &mut [u8]| disk.read_at(offset, buf);
    let write_at = |disk: &Disk, offset: u64, data: &[u8]| disk.call(offset, data.len(), data);
    match (sort, way % 4) {
        (Sort::Text, 0) => Attribute::ro("file", show),
        (Sort::Text, 1) => Attribute::wo("file", store),
        (Sort::Text, _) => Attribute::rw("file", show, store),
        (Sort::Binary(size), 0) => Attribute::bin_ro("file", size, read_at),
        (Sort::Binary(size), 1) => Attribute::bin_wo("file", size, write_at),
        (Sort::Binary(size), _) => Attribute::bin_rw("file", size, read_at, write_at),
    }
}

struct Case<'a> {
    disks: &'a Store,
    disk: Handle<Disks>,
    attribute: &'a Attribute<Disk>,
    file: OpenFile,
    model: Opened,
    is_there: bool,
}

pub(super) fn try_some(source: &mut Source<'_>, tally: &mut Tally<Meeting>) {
    let sort = if source.byte() % 2 == 0 { Sort::Text } else { Sort::Binary(source.number()) };
    let [way, access, steps] = source.array();
    let access = Access::from_bits_truncate(access % 4);
    let Ok(attribute) = attribute(sort, way) else { return same(|| "a definition".into(), false, true) };
    let size = if let Sort::Binary(size) = sort { size } else { 4096 };
    same(|| "the size of an attribute".into(), attribute.size(), size);
    let made = Domain::new().ok().and_then(|domain| Store::new(&domain).ok());
    let disks = made.and_then(|disks| Some((disks.insert((), Disk::default()).ok()?, disks)));
    let Some((disk, disks)) = disks else { return };
    let (may_read, may_write) = (way % 4 != 1, way % 4 != 0);
    let expected = match access {
        _ if access.is_empty() => Err(Errno::EINVAL),
        _ if access.contains(Access::READ) && !may_read => Err(Errno::EACCES),
        _ if access.contains(Access::WRITE) && !may_write => Err(Errno::EACCES),
        _ => Ok(access),
    };
    let opened = Thing::new(&disks, disk, &attribute).open(access);
    same(|| "open".into(), opened.as_ref().map(OpenFile::access).map_err(|errno| *errno), expected);
    let Ok(file) = opened else { return };
    let model = Opened::new(access, sort);
    let mut case = Case { disks: &disks, disk, attribute: &attribute, file, model, is_there: true };
    for _ in 0..1 + steps % 24 {
        case.step(source, tally);
    }
}

impl Case<'_> {
    fn step(&mut self, source: &mut Source<'_>, tally: &mut Tally<Meeting>) {
        let at = |source: &mut Source<'_>| if source.byte() % 2 == 0 { None } else { Some(source.number()) };
        match source.byte() % 16 {
            0..=6 => {
                let (at, len, plan) = (at(source), source.len(), plan(source, self.model.sort()));
                self.read(at, len, plan, tally);
            }
            7..=11 => {
                let (at, len, plan) = (at(source), source.len(), plan(source, self.model.sort()));
                self.write(at, len, plan, tally);
            }
            12..=14 => self.seek(source, tally),
            _ if source.byte() % 4 == 0 => {
                self.is_there = false;
                let _ = self.disks.remove(self.disk);
            }
            _ => {}
        }
    }

    fn thing(&self) -> Thing<'_, Disks, (), Disk, Disk> {
        Thing::new(self.disks, self.disk, self.attribute)
    }

    /// What the callback is to do; it has not been called.
    fn set(&self, plan: &Plan) {
        if let Ok(disk) = self.disks.enter(self.disk) {
            *disk.state() = State { plan: plan.clone(), calls: Vec::new() };
        }
    }

    fn calls(&self) -> Vec<Call> {
        self.disks.enter(self.disk).map_or_else(|_| Vec::new(), |disk| disk.state().calls.clone())
    }

    fn read(&mut self, at: Option<u64>, len: usize, plan: Plan, tally: &mut Tally<Meeting>) {
        self.set(&plan);
        let need = self.model.need(Way::Read, at, len);
        let mut buf = vec![0; len];
        let got = match at {
            None => self.file.read(&self.thing(), &mut buf),
            Some(offset) => self.file.pread(&self.thing(), offset, &mut buf),
        };
        let got = got.map(|count| buf.get(..count).map(<[u8]>::to_vec));
        let (expected, calls) = self.expected_read(need, at, len, &plan, tally);
        same(|| format!("{need:?}: read of {len} at {at:?}, {plan:?}"), got, expected.map(Some));
        same(|| "calls for a read".into(), self.calls(), calls);
    }

    fn expected_read(
        &mut self,
        need: Need,
        at: Option<u64>,
        len: usize,
        plan: &Plan,
        tally: &mut Tally<Meeting>,
    ) -> (Result<Vec<u8>>, Vec<Call>) {
        let (offset, room) = match self.unless_code(need, tally) {
            Ok(Some(code)) => code,
            Ok(None) if need == Need::Rest => {
                tally.note(Meeting::Continued);
                return (Ok(self.model.read_text(at, len)), Vec::new());
            }
            other => return (other.map(|_| Vec::new()), Vec::new()),
        };
        if self.model.sort() == Sort::Text {
            let call = vec![Call { offset: 0, len: 0, data: Vec::new() }];
            let shown = match plan {
                Plan::Text(text) if text.len() > 4096 => Err(Errno::E2BIG),
                Plan::Text(text) => Ok(text.clone()),
                plan => answer(plan, 0, usize::MAX, tally).map(|_| Vec::new()),
            };
            let read = shown.map(|text| {
                self.model.shown(at, text);
                self.model.read_text(at, len)
            });
            if at.is_some_and(|at| at > 0) && read.as_ref().is_ok_and(|read| !read.is_empty()) {
                tally.note(Meeting::Skipped);
            }
            return (read, call);
        }
        if room < len {
            tally.note(Meeting::Cut);
        }
        let read = answer(plan, room, room, tally);
        let read = read.inspect(|count| self.model.moved(at, *count as u64));
        let read = read.map(|count| (0..count as u64).map(|at| byte_at(offset, at)).collect());
        (read, vec![Call { offset, len: room, data: Vec::new() }])
    }

    fn write(&mut self, at: Option<u64>, len: usize, plan: Plan, tally: &mut Tally<Meeting>) {
        self.set(&plan);
        let need = self.model.need(Way::Write, at, len);
        let data: Vec<u8> = (0..len).map(|at| at as u8 ^ 0x55).collect();
        let got = match at {
            None => self.file.write(&self.thing(), &data),
            Some(offset) => self.file.pwrite(&self.thing(), offset, &data),
        };
        let mut calls = Vec::new();
        let expected = match self.unless_code(need, tally) {
            Ok(Some((offset, room))) => {
                calls.push(Call { offset, len: room, data: data[..room].to_vec() });
                if room < len {
                    tally.note(Meeting::Cut);
                }
                // A text is taken whole, whatever the callback has counted.
                let is_text = self.model.sort() == Sort::Text;
                let written = answer(&plan, room, if is_text { usize::MAX } else { room }, tally);
                let written = written.map(|count| if is_text { len } else { count });
                written.inspect(|count| self.model.moved(at, *count as u64))
            }
            Ok(None) => Ok(0),
            Err(errno) => Err(errno),
        };
        same(|| format!("{need:?}: write of {len} at {at:?}, {plan:?}"), got, expected);
        same(|| "calls for a write".into(), self.calls(), calls);
    }

    fn seek(&mut self, source: &mut Source<'_>, tally: &mut Tally<Meeting>) {
        let (whence, by) = (source.byte(), source.number());
        let to = [SeekFrom::Start(by), SeekFrom::Current(by as i64), SeekFrom::End(by as i64)][usize::from(whence % 3)];
        let before = self.model.clone();
        let expected = if self.is_there { self.model.seek(to) } else { Err(Errno::ENODEV) };
        if expected == Err(Errno::EINVAL) {
            tally.note(Meeting::BadOffset);
        }
        same(|| format!("{to:?} of {before:?}"), self.file.seek(&self.thing(), to), expected);
    }

    /// Where code of the attribute runs, and with how many bytes; or how the operation ends without.
    fn unless_code(&self, need: Need, tally: &mut Tally<Meeting>) -> Result<Option<(u64, usize)>> {
        let answer = match need {
            Need::Refused(errno) => Err(errno),
            _ if !self.is_there => Err(Errno::ENODEV),
            Need::There(answer) | Need::Entered(answer) => answer.map(|_| None),
            Need::Rest => Ok(None),
            Need::Code { offset, len } => Ok(Some((offset, len))),
        };
        let meeting = match answer {
            Err(Errno::EBADF) => Meeting::BadAccess,
            Err(Errno::ENODEV) => Meeting::Gone,
            Err(Errno::EINVAL) => Meeting::BadOffset,
            Err(Errno::E2BIG) => Meeting::TooLong,
            Err(Errno::EFBIG) => Meeting::PastEnd,
            _ => return answer,
        };
        tally.note(meeting);
        answer
    }
}

fn plan(source: &mut Source<'_>, sort: Sort) -> Plan {
    match source.byte() % 16 {
        0..=7 if sort == Sort::Text => {
            let mut text = source.text();
            if source.byte() >= 224 {
                text.resize(4090 + usize::from(source.byte() % 12), b'y');
            }
            Plan::Text(text)
        }
        0..=10 => Plan::All,
        11..=12 => Plan::Say(source.len()),
        13..=14 => Plan::Fail(source.pick(&[Errno::EIO, Errno::EAGAIN, Errno::ENODATA, Errno::E2BIG, Errno::ENODEV])),
        _ => Plan::Panic,
    }
}

/// What a callback's answer comes to that was given so many bytes, of at most so many that are believed.
fn answer(plan: &Plan, given: usize, most: usize, tally: &mut Tally<Meeting>) -> Result<usize> {
    let (answer, meeting) = match plan {
        Plan::All | Plan::Text(_) => return Ok(given),
        Plan::Say(count) if *count > most => (Err(Errno::EIO), Meeting::Lied),
        Plan::Say(count) => return Ok(*count),
        Plan::Fail(errno) => (Err(*errno), Meeting::Failed),
        Plan::Panic => (Err(Errno::EIO), Meeting::Panicked),
    };
    tally.note(meeting);
    answer
}
