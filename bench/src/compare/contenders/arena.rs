//! Arenas of enodev, alone.

use enodev_handles::{Arena, Domain, Handle, Kind, Pin, Session};

use crate::compare::churn::{Churn, filled};
use crate::compare::get::Get;
use crate::compare::{Payload, Result};

pub(crate) enum Object {}

impl Kind for Object {
    const NAME: &'static str = "Object";
}

/// What the store keeps of an object, read under a pin: 16 bytes.
#[derive(Default)]
pub(crate) struct StorePart {
    word: u64,
    _rest: u64,
}

/// An active reference for each get.
pub(crate) struct Enodev {
    pub(crate) domain: Domain,
    pub(crate) arena: Arena<Object, StorePart, Payload>,
}

impl Enodev {
    #[inline]
    fn read_store_part(&self, pin: &Pin<'_>, handle: Handle<Object>) -> u64 {
        self.arena.get(pin, handle).map_or(0, |part| part.word)
    }
}

impl Churn for Enodev {
    type Handle = Handle<Object>;

    fn empty(_: usize) -> Result<Self> {
        let domain = Domain::new()?;
        Ok(Self { arena: Arena::new(&domain)?, domain })
    }

    #[inline]
    fn insert(&self, payload: Payload) -> Option<Handle<Object>> {
        self.arena.insert(StorePart { word: payload.word(), _rest: 0 }, payload).ok()
    }

    #[inline]
    fn remove(&self, handle: Handle<Object>) -> bool {
        self.arena.remove(handle).is_ok()
    }
}

impl Get for Enodev {
    type Handle = Handle<Object>;
    type Thread<'a> = ();

    fn build(objects: usize) -> Result<(Self, Vec<Handle<Object>>)> {
        filled(objects)
    }

    fn thread(&self) {}

    #[inline]
    fn get(&self, (): &mut (), handle: &Handle<Object>) -> u64 {
        self.arena.enter(*handle).map_or(0, |payload| payload.word())
    }
}

/// One session for many gets, each of which enters.
pub(crate) struct InSession(Enodev);

impl Get for InSession {
    type Handle = Handle<Object>;
    type Thread<'a> = Session<'a, Object, StorePart, Payload>;

    fn build(objects: usize) -> Result<(Self, Vec<Handle<Object>>)> {
        let (arena, handles) = filled(objects)?;
        Ok((Self(arena), handles))
    }

    fn thread(&self) -> Session<'_, Object, StorePart, Payload> {
        self.0.arena.session()
    }

    #[inline]
    fn get<'a>(&'a self, session: &mut Self::Thread<'a>, handle: &Handle<Object>) -> u64 {
        session.enter(*handle).map_or(0, |payload| payload.word())
    }
}

/// A pin for each get, which reads the store part.
pub(crate) struct PinEach(Enodev);

impl Get for PinEach {
    type Handle = Handle<Object>;
    type Thread<'a> = ();

    fn build(objects: usize) -> Result<(Self, Vec<Handle<Object>>)> {
        let (arena, handles) = filled(objects)?;
        Ok((Self(arena), handles))
    }

    fn thread(&self) {}

    #[inline]
    fn get(&self, (): &mut (), handle: &Handle<Object>) -> u64 {
        self.0.read_store_part(&self.0.domain.pin(), *handle)
    }
}

/// One pin for many gets, which read the store part.
pub(crate) struct PinHeld(Enodev);

impl Get for PinHeld {
    type Handle = Handle<Object>;
    type Thread<'a> = Pin<'a>;

    fn build(objects: usize) -> Result<(Self, Vec<Handle<Object>>)> {
        let (arena, handles) = filled(objects)?;
        Ok((Self(arena), handles))
    }

    fn thread(&self) -> Pin<'_> {
        self.0.domain.pin()
    }

    #[inline]
    fn get<'a>(&'a self, pin: &mut Pin<'a>, handle: &Handle<Object>) -> u64 {
        self.0.read_store_part(pin, *handle)
    }
}
