//! The tree as the storm begins with it.

use std::collections::VecDeque;
use std::sync::Arc;

use enodev::{Phase, Result, Store, Strategy};
use parking_lot::Mutex;

use super::book::Book;
use super::chip::{AnyBus, MODELS, Wire, exclusive_type, shared_type};
use super::count::{Count, Flag};
use super::driver::{Manner, PORT_BUS};
use super::drivers::{self, EXCLUSIVE_BUS};
use super::places;
use super::scene::{ADDRESSES, FAMILY, Field, Place, Scene, Slot};
use crate::random::mix;

/// Buses that devices below hubs are on: from 1 to this one.
const LEAF_BUSES: usize = EXCLUSIVE_BUS;
/// The one of them where callbacks hold the lock of the parent, too.
const LOCKING_BUS: usize = 3;
const LINK_DIRS: usize = 64;
const SPACES: usize = 64;

impl Field {
    /// Makes the tree. Half of the drivers come before the devices.
    pub(super) fn new(seed: u64, book: &Arc<Book>, devices: usize, drivers: usize) -> Result<Self> {
        let strategy = if seed >> 1 & 1 == 0 { Strategy::Auto } else { Strategy::Fence };
        let store = Store::with_strategy(strategy)?;
        if seed & 1 == 0 {
            observe(&store, book)?;
        }
        let scene = Arc::new(scene(&store, seed, book, devices, drivers)?);
        let field = Self { store, scene };
        let (first, later) = (0..drivers / 2, drivers / 2..drivers);
        first.into_iter().try_for_each(|slot| drivers::come(&field.store, &field.scene, slot))?;
        let hubs = (0..field.scene.places.len()).step_by(FAMILY);
        // What drivers have taken away at once is missing, as at any other time.
        for hub in hubs {
            let _ = places::plug(&field.store, &field.scene, hub);
        }
        later.into_iter().try_for_each(|slot| drivers::come(&field.store, &field.scene, slot))?;
        Ok(field)
    }
}

/// Has the phases of devices counted.
fn observe(store: &Store, book: &Arc<Book>) -> Result {
    let book = Arc::clone(book);
    let count = |count: &Count| {
        count.add(1);
    };
    let observer = store.observe(move |notice| match notice.phase() {
        Phase::Added => count(&book.observed.made),
        Phase::Removed => count(&book.observed.gone),
        Phase::Bound => count(&book.observed_bindings.made),
        Phase::Unbound => count(&book.observed_bindings.gone),
        _ => {}
    });
    observer.map(drop)
}

fn scene(store: &Store, seed: u64, book: &Arc<Book>, devices: usize, drivers: usize) -> Result<Scene> {
    let links = store.create(store.root(), "links")?;
    let links = (0..LINK_DIRS).map(|n| store.create(links, &format!("dir{n}"))).collect::<Result<Vec<_>>>()?;
    let spaces = (0..SPACES).map(|n| store.create_space(&format!("space{n}"))).collect::<Result<Vec<_>>>()?;
    let bus = |n: usize| match n {
        LOCKING_BUS => store.register_bus(&format!("bus{n}"), Wire::<true>).map(AnyBus::LocksParent),
        _ => store.register_bus(&format!("bus{n}"), Wire::<false>).map(AnyBus::Plain),
    };
    let buses = (0..=PORT_BUS).map(bus).collect::<Result<Vec<_>>>()?;
    let places = (0..devices.max(1)).map(|place| {
        let hub = place / FAMILY * FAMILY;
        let is_hub = hub == place;
        let bits = mix(place as u64);
        let name = if is_hub { format!("hub{place}") } else { format!("dev{place}") };
        Place {
            hub: (!is_hub).then_some(hub),
            path: if is_hub { format!("devices/{name}") } else { format!("devices/hub{hub}/{name}") },
            name,
            bus: if is_hub { 0 } else { 1 + bits as usize % LEAF_BUSES },
            model: (bits >> 32) as u32 % MODELS,
            space: spaces[place % SPACES],
            base: (place / SPACES) as u64 * 2 * ADDRESSES,
            tenant: Mutex::default(),
            plug: Mutex::default(),
            is_vacant: Flag::default(),
        }
    });
    Ok(Scene {
        seed,
        book: Arc::clone(book),
        devices: store.create(store.root(), "devices")?,
        places: places.collect(),
        slots: (0..drivers).map(slot).collect(),
        links,
        spaces,
        buses,
        class: store.register_class("chips", &[])?,
        shared: store.define(shared_type())?,
        exclusive: store.define(exclusive_type())?,
        vacant: Mutex::new(VecDeque::new()),
        ending: Mutex::default(),
    })
}

/// Of ten drivers two are for hubs, seven for what hangs on them, and one for ports.
fn slot(slot: usize) -> Slot {
    let bus = match slot % 10 {
        0 | 5 => 0,
        9 => PORT_BUS,
        _ => 1 + slot % LEAF_BUSES,
    };
    let manner = match (slot / 2) % 8 {
        0..=2 => Manner::Plain,
        3 | 4 => Manner::Fussy,
        5 => Manner::Spiteful,
        6 => Manner::Quitter,
        _ => Manner::Meddler,
    };
    let models = mix(slot as u64) as u32 & ((1 << MODELS) - 1);
    Slot {
        name: format!("driver{slot}"),
        bus,
        table: models | 1 << (slot as u32 % MODELS),
        manner,
        tenant: Mutex::default(),
        change: Mutex::default(),
    }
}
