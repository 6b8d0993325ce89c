//! Random changes of address spaces, beside a plain model of them.

use std::collections::BTreeMap;

use enodev::{DeviceHandle, DeviceType, Error, Shared, SpaceHandle, SpaceSession, Store, Type};
use proptest::prelude::{Just, ProptestConfig, Strategy, prop, prop_oneof, proptest};

use super::NOBODY;
use crate::common::GONE;

/// Numbers choose among all devices there ever were.
#[derive(Debug, Clone)]
enum Step {
    Register,
    Unregister(usize),
    Map(usize, usize, u64, u64),
    Unmap(usize, usize, u64),
    Remap(usize, usize, u64, u64, u64),
    RemoveSpace(usize),
}

fn step() -> impl Strategy<Value = Step> {
    // Few addresses, half of them at the end of what there is.
    let address = || (0..24_u64).prop_map(|n| if n < 12 { n } else { u64::MAX - (n - 12) });
    let (device, space) = (|| 0..8_usize, || 0..2_usize);
    prop_oneof![
        3 => Just(Step::Register),
        1 => device().prop_map(Step::Unregister),
        8 => (device(), space(), address(), address()).prop_map(|(d, s, base, last)| Step::Map(d, s, base, last)),
        3 => (device(), space(), address()).prop_map(|(d, s, base)| Step::Unmap(d, s, base)),
        4 => (device(), space(), address(), address(), address()).prop_map(|(d, s, old, base, last)| Step::Remap(d, s, old, base, last)),
        1 => (0..40_usize).prop_map(Step::RemoveSpace),
    ]
}

/// By base: the last address and the number of the device; nothing of a space that has gone.
type Space = Option<BTreeMap<u64, (u64, usize)>>;

/// Which devices are there, and what is mapped.
#[derive(Debug)]
struct Model {
    devices: Vec<bool>,
    spaces: [Space; 2],
}

impl Model {
    fn space(&mut self, device: usize, space: usize) -> Result<&mut BTreeMap<u64, (u64, usize)>, Error> {
        self.devices.get(device).copied().filter(|is_there| *is_there).ok_or(GONE)?;
        self.spaces[space].as_mut().ok_or(GONE)
    }

    fn map(&mut self, device: usize, space: usize, base: u64, last: u64) -> Result<(), Error> {
        if base > last {
            return Err(Error::Range);
        }
        let space = self.space(device, space)?;
        if space.iter().any(|(other, (end, _))| *other <= last && base <= *end) {
            return Err(Error::Overlap);
        }
        space.insert(base, (last, device));
        Ok(())
    }

    fn unmap(&mut self, device: usize, space: usize, base: u64) -> Result<u64, Error> {
        let space = self.space(device, space)?;
        let (last, _) = *space.get(&base).filter(|(_, owner)| *owner == device).ok_or(Error::NotFound)?;
        space.remove(&base);
        Ok(last)
    }

    fn remap(&mut self, device: usize, space: usize, old: u64, base: u64, last: u64) -> Result<(), Error> {
        if base > last {
            return Err(Error::Range);
        }
        let end = self.unmap(device, space, old)?;
        self.map(device, space, base, last).inspect_err(|_| {
            self.map(device, space, old, end).unwrap();
        })
    }

    fn unregister(&mut self, device: usize) -> Result<usize, Error> {
        self.devices.get_mut(device).filter(|is_there| **is_there).map(|is_there| *is_there = false).ok_or(GONE)?;
        for space in self.spaces.iter_mut().flatten() {
            space.retain(|_, (_, owner)| *owner != device);
        }
        Ok(device)
    }

    fn resolve(&self, space: usize, address: u64) -> Result<(usize, u64), Error> {
        let found = self.spaces[space].as_ref().ok_or(GONE)?.range(..=address).next_back();
        let found = found.filter(|(_, (last, _))| address <= *last);
        found.map(|(base, (_, device))| (*device, address - base)).ok_or(NOBODY)
    }
}

/// The store, and the handles of all devices there ever were, by number.
struct Subject<'a> {
    store: &'a Store,
    ty: Type<Shared<usize>>,
    spaces: [SpaceHandle; 2],
    devices: Vec<DeviceHandle>,
}

impl<'a> Subject<'a> {
    fn new(store: &'a Store) -> Self {
        let ty = store.define(DeviceType::shared::<usize>("number")).unwrap();
        let spaces = ["memory", "ports"].map(|name| store.create_space(name).unwrap());
        Self { store, ty, spaces, devices: Vec::new() }
    }

    /// Does one step on both.
    fn step(&mut self, model: &mut Model, step: &Step) {
        let known = |device: usize| self.devices.get(device).copied().unwrap_or_default();
        let (store, spaces) = (self.store, self.spaces);
        match *step {
            Step::Register => {
                let number = self.devices.len();
                self.devices.push(store.register(store.root(), &number.to_string(), self.ty, number).unwrap());
                model.devices.push(true);
            }
            Step::Unregister(device) => {
                assert_eq!(store.unregister::<usize>(known(device)), model.unregister(device));
            }
            Step::Map(device, space, base, last) => {
                let mapped = store.map(known(device), spaces[space], base..=last);
                assert_eq!(mapped, model.map(device, space, base, last));
            }
            Step::Unmap(device, space, base) => {
                let unmapped = store.unmap(known(device), spaces[space], base);
                assert_eq!(unmapped, model.unmap(device, space, base).map(drop));
            }
            Step::Remap(device, space, old, base, last) => {
                let moved = store.remap(known(device), spaces[space], old, base..=last);
                assert_eq!(moved, model.remap(device, space, old, base, last));
            }
            Step::RemoveSpace(space) => {
                if let Some(gone) = model.spaces.get_mut(space) {
                    assert_eq!(store.remove_space(spaces[space]), gone.take().map(drop).ok_or(GONE));
                }
            }
        }
    }

    /// That the store says of one space what the model says.
    fn assert_is(&self, model: &Model, space: usize, session: &mut SpaceSession<'_>) {
        for address in (0..16).chain(u64::MAX - 15..=u64::MAX) {
            let expected = model.resolve(space, address);
            let handle = expected.map(|(device, offset)| (self.devices[device], offset));
            assert_eq!(self.store.resolve(self.spaces[space], address), handle);
            assert_eq!(session.resolve(address), handle);
            let entered = session.enter::<usize>(address).map(|(device, offset)| (*device, offset));
            assert_eq!(entered, expected);
        }
        let listed = self.store.regions(self.spaces[space]).map(|regions| {
            let listed = regions.iter().map(|region| (region.base, (region.last, region.device)));
            listed.collect::<Vec<_>>()
        });
        let expected = model.spaces[space].as_ref().ok_or(GONE).map(|regions| {
            let expected = regions.iter().map(|(base, (last, device))| (*base, (*last, self.devices[*device])));
            expected.collect::<Vec<_>>()
        });
        assert_eq!(listed, expected);
    }

    /// That the store says of every device what the model says.
    fn assert_has(&self, model: &Model) {
        for (device, is_there) in model.devices.iter().enumerate() {
            let regions = model.spaces.iter().flatten().flatten().filter(|(_, (_, owner))| *owner == device);
            let expected = if *is_there { Ok(regions.count()) } else { Err(GONE) };
            assert_eq!(self.store.regions_of(self.devices[device]).map(|regions| regions.len()), expected);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(256) })]

    /// Whatever is mapped, moved, unmapped and removed in whatever order, every address leads where the model says, by a session that saw
    /// it all happen, too.
    #[test]
    fn addresses_lead_where_the_model_says(steps in prop::collection::vec(step(), 1..60)) {
        let store = Store::new().unwrap();
        let mut subject = Subject::new(&store);
        let mut sessions = subject.spaces.map(|space| store.space_session(space).unwrap());
        let mut model = Model { devices: vec![], spaces: [Some(BTreeMap::new()), Some(BTreeMap::new())] };
        for step in &steps {
            subject.step(&mut model, step);
            for (space, session) in sessions.iter_mut().enumerate() {
                subject.assert_is(&model, space, session);
            }
            subject.assert_has(&model);
        }
    }
}
