//! What can be done to an object, or with a file of one.

use std::fmt::Debug;
use std::future::Future;
use std::io::SeekFrom;
use std::pin::pin;
use std::task::{Context, Poll, Waker};
use std::time::Instant;

use enodev::{Access, AsKobject, Error, Event, File, KobjectHandle, Page, Result, Sole, SpaceHandle, Store};

use super::subject::{GIVEN, Payload, Run, State, Subject};

/// By the names in the table.
pub(super) const OPERATIONS: &[(&str, Run)] = &[
    ("Store::register (parent)", |s| told(s.world.add(s.object, "new"))),
    ("Store::register_kobject (parent)", |s| told(s.world.add_kobject_of(s.world.ty, s.object, "new"))),
    ("Store::create (parent)", |s| told(s.store().create(s.object, "new"))),
    ("NewDevice::register (parent)", |s| told(s.world.draft(s.object, "new").on(s.world.bus, ()).register())),
    ("NewDevice::register_in (parent)", |s| match s.store().lock(s.object) {
        Ok(held) => told(s.world.draft(s.object, "new").register_in(&held)),
        Err(error) => told(Err::<(), _>(error)),
    }),
    ("NewDevice::link (target)", |s| told(s.world.draft(s.world.beside, "new").link("to", s.object).register())),
    ("NewDevice::linked_from (directory)", |s| {
        told(s.world.draft(s.world.beside, "new").linked_from(s.object, "from").register())
    }),
    ("Store::unregister", |s| told(s.store().unregister::<Payload>(s.object))),
    ("Store::unregister_subtree", |s| told(s.store().unregister_subtree(s.object))),
    ("Store::rename", |s| told(s.store().rename(s.object, "sdx"))),
    ("Store::move_to (object)", |s| told(s.store().move_to(s.object, s.world.beside, "sdx"))),
    ("Store::move_to (new parent)", |s| told(s.store().move_to(s.world.beside, s.object, "new"))),
    ("Store::link (directory)", |s| told(s.store().link(s.object, "new", s.world.beside))),
    ("Store::link (target)", |s| told(s.store().link(s.world.beside, "new", s.object))),
    ("Store::unlink (directory)", |s| told(s.store().unlink(s.object, "peer"))),
    ("Store::unlink (target)", |s| by_link(s, Store::unlink)),
    ("Store::readlink (directory)", |s| told(s.store().readlink(s.object, "peer"))),
    ("Store::readlink (target)", |s| by_link(s, Store::readlink)),
    ("Store::links_to", |s| told(s.store().links_to(s.object))),
    ("Store::enter", |s| told(s.store().enter::<Payload>(s.object))),
    ("Store::enter_mut", |s| told(s.store().enter_mut::<Payload>(s.object))),
    ("Store::contains", |s| s.store().contains(s.object).to_string()),
    ("Store::obituary", |s| s.store().obituary(s.object).map_or("nothing", |_| "ok").into()),
    ("Store::device", |s| told(s.store().device(s.object.kobject()))),
    ("Store::list", |s| told(s.store().list(s.object))),
    ("Store::list_group", |s| told(s.store().list_group(s.object, s.world.dir))),
    ("Store::entry (of an attribute)", |s| by_names(|name| told(s.store().entry(s.object, name)))),
    ("Store::entry (of a link)", |s| told(s.store().entry(s.object, "peer"))),
    ("Store::lookup (its path)", |s| match s.state {
        State::Foreign | State::Null => "-".into(),
        _ => told(s.store().lookup("/sda")),
    }),
    ("Store::path", |s| told(s.store().path(s.object))),
    ("Store::parent", |s| told(s.store().parent(s.object))),
    ("Store::type_name", |s| told(s.store().type_name(s.object))),
    ("Store::groups", |s| told(s.store().groups(s.object))),
    ("Store::attribute", |s| by_names(|name| told(s.store().attribute(s.object, name)))),
    ("Store::open", |s| by_names(|name| told(s.store().open(s.object, name, Access::READ)))),
    ("Store::read", |s| told(s.store().read(s.object, "text"))),
    ("Store::write", |s| by_names(|name| told(s.store().write(s.object, name, b"new")))),
    ("Store::show", |s| told(s.store().show(s.object, s.world.alone, &mut Page::new()))),
    ("Store::attribute_entry", |s| told(s.store().attribute_entry(s.object, s.world.alone))),
    ("Store::notify", |s| told(s.store().notify(s.object, s.world.alone))),
    ("Store::add_group", |s| told(s.store().add_group(s.object, s.world.group))),
    ("Store::remove_group", |s| told(s.store().remove_group(s.object, s.world.group))),
    ("Store::update_group", |s| told(s.store().update_group(s.object, s.world.dir))),
    ("Store::add_attribute", |s| told(s.store().add_attribute(s.object, s.world.alone))),
    ("Store::remove_attribute", |s| told(s.store().remove_attribute(s.object, s.world.alone))),
    ("Store::hide_attribute", |s| told(s.store().hide_attribute(s.object, s.world.alone))),
    ("Store::show_attribute", |s| told(s.store().show_attribute(s.object, s.world.alone))),
    ("Store::bus_of", |s| told(s.store().bus_of(s.object))),
    ("Store::bus_id (device)", |s| told(s.store().bus_id(s.object, s.world.bus))),
    ("Store::class_of", |s| told(s.store().class_of(s.object))),
    ("Store::driver_of", |s| told(s.store().driver_of(s.object))),
    ("Store::data", |s| told(s.store().data::<u32>(s.object))),
    ("Store::lock", |s| told(s.store().lock(s.object))),
    ("Store::attach", |s| told(s.store().attach(s.object))),
    ("Store::bind (device)", |s| told(s.store().bind(s.object, s.world.driver))),
    ("Store::unbind (device)", |s| told(s.store().unbind(s.object, s.world.driver))),
    ("Store::suspend", |s| told(s.store().suspend(s.object))),
    ("Store::resume", |s| told(s.store().resume(s.object))),
    ("Store::is_suspended", |s| told(s.store().is_suspended(s.object))),
    ("Store::shutdown", |s| told(s.store().shutdown(s.object))),
    ("Store::map (device)", |s| told(s.store().map(s.object, s.world.space, 0x20..0x30))),
    ("Store::remap (device)", |s| told(s.store().remap(s.object, s.world.space, 0x10, 0x20..0x30))),
    ("Store::unmap (device)", |s| told(s.store().unmap(s.object, s.world.space, 0x10))),
    ("Store::regions_of", |s| told(s.store().regions_of(s.object))),
    ("Store::resolve (its address)", |s| by_address(s, |store, space| told(store.resolve(space, 0x12)))),
    ("SpaceSession::resolve (its address)", |s| {
        by_address(s, |store, space| told(store.space_session(space).unwrap().resolve(0x12)))
    }),
    ("SpaceSession::enter (its address)", |s| {
        by_address(s, |store, space| told(store.space_session(space).unwrap().enter::<Payload>(0x12)))
    }),
    ("SpaceSession::enter_mut (its address)", |s| {
        by_address(s, |store, space| told(store.space_session(space).unwrap().enter_mut::<Payload>(0x12)))
    }),
    ("Session::enter", |s| told(s.store().session().enter::<Payload>(s.object))),
    ("PlainAttr::load", |s| told_of_value(s, s.world.level.load(s.store(), s.object))),
    ("PlainAttr::store", |s| told_of_value(s, s.world.level.store(s.store(), s.object, 4))),
    ("File::read", |s| by_files(s, |file, store| told(file.read(store, &mut [0; 4])))),
    ("File::pread", |s| by_files(s, |file, store| told(file.pread(store, 1, &mut [0; 4])))),
    ("File::write", |s| by_files(s, |file, store| told(file.write(store, b"new")))),
    ("File::pwrite", |s| by_files(s, |file, store| told(file.pwrite(store, 1, b"new")))),
    ("File::seek", |s| by_files(s, |file, store| told(file.seek(store, SeekFrom::End(-1))))),
    ("File::mmap", |s| by_files(s, |file, store| told(file.mmap(store)))),
    ("File::read (going on)", |s| by_begun(s, |file, store| told(file.read(store, &mut [0; 4])))),
    ("File::pread (going on)", |s| by_begun(s, |file, store| told(file.pread(store, 1, &mut [0; 4])))),
    ("File::poll (after a read)", |s| by_begun(s, |file, store| event(file.poll(store)))),
    ("File::wait (after a read, deadline over)", |s| {
        by_begun(s, |file, store| event(file.wait(store, Some(Instant::now()))))
    }),
    ("Changed (after a read, awaited)", |s| by_begun(s, |file, store| polled(pin!(file.changed(store))))),
    ("File::sole", |s| by_files(s, |file, _| told(Ok::<_, Error>(file.sole())))),
    ("File::object", |s| by_files(s, |file, _| told(Ok::<_, Error>(file.object())))),
    ("File::attribute", |s| by_files(s, |file, _| told(Ok::<_, Error>(file.attribute())))),
    ("File::poll", |s| by_files(s, |file, store| event(file.poll(store)))),
    ("File::wait", |s| by_files(s, |file, store| event(file.wait(store, None)))),
    ("File::wait (deadline over)", |s| by_files(s, |file, store| event(file.wait(store, Some(Instant::now()))))),
    ("File::changed", |s| by_files(s, |file, store| told(Ok::<_, Error>(file.changed(store))))),
    ("Changed (awaited)", |s| by_files(s, |file, store| polled(pin!(file.changed(store))))),
    ("File (dropped)", |s| {
        let had_any = !s.files.is_empty();
        s.files.clear();
        if had_any { "ok".into() } else { "-".into() }
    }),
    ("Sole::read", |s| by_sole(s, |mut sole, store| told(sole.read(store, &mut [0; 4])))),
    ("Sole::pread", |s| by_sole(s, |mut sole, store| told(sole.pread(store, 1, &mut [0; 4])))),
    ("Sole::write", |s| by_sole(s, |mut sole, store| told(sole.write(store, b"new")))),
    ("Sole::pwrite", |s| by_sole(s, |mut sole, store| told(sole.pwrite(store, 1, b"new")))),
    ("Sole::seek", |s| by_sole(s, |mut sole, store| told(sole.seek(store, SeekFrom::End(-1))))),
];

/// `ok`, or the number that there is for the error.
pub(super) fn told<T>(answer: Result<T, impl Into<Error>>) -> String {
    answer.map_or_else(|error| format!("{:?}", error.into().errno()), |_| "ok".into())
}

fn event(event: Option<Event>) -> String {
    event.map_or_else(|| "nothing".into(), |event| format!("{event:?}"))
}

fn polled(future: impl Future<Output = Event> + Unpin) -> String {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(event) => format!("{event:?}"),
        Poll::Pending => "nothing".into(),
    }
}

/// The answer that all of several give.
fn all(answers: impl IntoIterator<Item = String>) -> String {
    let mut answers: Vec<_> = answers.into_iter().collect();
    answers.dedup();
    assert!(answers.len() < 2, "{answers:?}");
    answers.pop().unwrap_or_else(|| "-".into())
}

fn by_names(run: impl FnMut(&str) -> String) -> String {
    all(GIVEN.into_iter().map(run))
}

fn by_files(subject: &mut Subject, mut run: impl FnMut(&mut File, &Store) -> String) -> String {
    let store = &subject.world.store;
    all(subject.files.iter_mut().map(|file| run(file, store)))
}

fn by_begun(subject: &Subject, mut run: impl FnMut(&File, &Store) -> String) -> String {
    all(subject.begun.iter().map(|file| run(file, subject.store())))
}

fn by_sole(subject: &mut Subject, mut run: impl FnMut(Sole<'_>, &Store) -> String) -> String {
    by_files(subject, |file, store| run(file.sole(), store))
}

/// On the link that leads to the object, from a directory that is there.
fn by_link<T>(subject: &Subject, run: fn(&Store, KobjectHandle, &str) -> Result<T>) -> String {
    match subject.state {
        State::Foreign | State::Null => "-".into(),
        _ => told(run(subject.store(), subject.world.beside, "disk")),
    }
}

/// By an address at which the object is, or another that has replaced it.
fn by_address(subject: &Subject, run: impl FnOnce(&Store, SpaceHandle) -> String) -> String {
    match subject.state {
        State::Foreign | State::Null => "-".into(),
        _ => run(subject.store(), subject.world.space),
    }
}

/// A value belongs to the type, and is in no group that could be removed.
fn told_of_value<T: Debug>(subject: &Subject, answer: Result<T>) -> String {
    if subject.state == State::Taken { "-".into() } else { told(answer) }
}
