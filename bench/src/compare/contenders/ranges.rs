//! enodev's address spaces: from an address to the device there, which is entered as a trait.

use enodev::{DeviceType, SpaceHandle, SpaceSession, Store};

use super::buses::{LEN, Register, addresses, word};
use crate::bus::Device;
use crate::compare::Result;
use crate::compare::get::Get;
use crate::compare::object::payloads;

/// A store with devices in an address space, and an address of each.
fn build(objects: usize) -> Result<(Store, SpaceHandle, Vec<u64>)> {
    let store = Store::new()?;
    let ty = store.define(DeviceType::shared::<Register>("register").view::<dyn Device>(|register| register))?;
    let space = store.create_space("memory")?;
    for payload in payloads(objects) {
        let (base, name) = (payload.number() * LEN, format!("register{}", payload.number()));
        let device = store.register(store.root(), &name, ty, Register(payload))?;
        store.map(device, space, base..base + LEN)?;
    }
    Ok((store, space, addresses(objects)))
}

/// Look-up, then an active reference.
pub(crate) struct RangeActive {
    store: Store,
    space: SpaceHandle,
}

impl Get for RangeActive {
    type Handle = u64;
    type Thread<'a> = ();

    fn build(objects: usize) -> Result<(Self, Vec<u64>)> {
        let (store, space, addresses) = build(objects)?;
        Ok((Self { store, space }, addresses))
    }

    fn thread(&self) {}

    #[inline]
    fn get(&self, (): &mut (), address: &u64) -> u64 {
        word(|data| {
            let Ok((device, offset)) = self.store.resolve(self.space, *address) else { return false };
            self.store.enter::<dyn Device>(device).is_ok_and(|device| {
                device.read(offset, data);
                true
            })
        })
    }
}

/// Look-up and active reference in a session, as a thread has one that does nothing else.
pub(crate) struct RangeSession {
    store: Store,
    space: SpaceHandle,
}

impl Get for RangeSession {
    type Handle = u64;
    type Thread<'a> = Option<SpaceSession<'a>>;

    fn build(objects: usize) -> Result<(Self, Vec<u64>)> {
        let (store, space, addresses) = build(objects)?;
        Ok((Self { store, space }, addresses))
    }

    fn thread(&self) -> Option<SpaceSession<'_>> {
        self.store.space_session(self.space).ok()
    }

    #[inline]
    fn get<'a>(&'a self, session: &mut Self::Thread<'a>, address: &u64) -> u64 {
        word(|data| {
            let Some(session) = session else { return false };
            session.enter::<dyn Device>(*address).is_ok_and(|(device, offset)| {
                device.read(offset, data);
                true
            })
        })
    }
}
