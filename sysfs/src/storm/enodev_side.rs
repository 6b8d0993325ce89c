//! The storm on enodev's store.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use enodev::{Access, AttrHandle, Errno, Error, File, KobjectHandle, PAGE_SIZE, Page, Store};
use parking_lot::Mutex;

use super::plan::{Place, Plan};
use super::side::{Side, SideError};
use super::stamp::Stamped;
use crate::load::{Loaded, load};

pub(super) struct EnodevSide<'p> {
    store: Store,
    plan: &'p Plan<'p>,
    /// Changed by the one thread that unplugs.
    plugged: Mutex<Plugged>,
}

struct Plugged {
    loaded: Loaded<Stamped>,
    /// By unit: how many payloads of its last incarnation are alive.
    alive: Vec<Arc<AtomicUsize>>,
}

pub(super) enum Target {
    Handle(KobjectHandle, AttrHandle),
    File(File),
}

pub(super) struct Buffer {
    page: Page,
    bytes: [u8; PAGE_SIZE],
}

impl Default for Buffer {
    fn default() -> Self {
        Self { page: Page::new(), bytes: [0; PAGE_SIZE] }
    }
}

impl<'p> EnodevSide<'p> {
    pub(super) fn new(plan: &'p Plan<'p>) -> Result<Self, SideError> {
        let failed = |error: Error| SideError { path: "store".into(), cause: error.to_string() };
        let store = Store::new().map_err(failed)?;
        // The last one counts what is never unplugged.
        let mut alive: Vec<_> = (0..=plan.units.len()).map(|_| Arc::<AtomicUsize>::default()).collect();
        let loaded = load(&store, plan.tree, |index, _| {
            Stamped::new(&plan.contents[index], index, 0, &alive[plan.unit_of(index)])
        })?;
        alive.truncate(plan.units.len());
        Ok(Self { store, plan, plugged: Mutex::new(Plugged { loaded, alive }) })
    }

    fn failed(&self, dir: usize) -> impl Fn(Error) -> SideError + '_ {
        move |error| SideError { path: self.plan.tree.dirs[dir].path.clone(), cause: error.to_string() }
    }
}

impl Side for EnodevSide<'_> {
    type Target = Target;
    type Buffer = Buffer;

    fn open(&self, place: &Place, as_file: bool) -> Option<Target> {
        let dir = &self.plan.tree.dirs[place.dir];
        let name = &dir.attributes[place.attribute].name;
        let object = self.store.lookup(&dir.path).ok()?;
        if as_file || place.binary {
            return self.store.open(object, name, Access::READ).ok().map(Target::File);
        }
        Some(Target::Handle(object, self.store.attribute(object, name).ok()?))
    }

    fn read<'b>(&self, target: &Target, buffer: &'b mut Buffer) -> Result<&'b [u8], Errno> {
        match target {
            Target::Handle(object, attr) => {
                self.store.show(*object, *attr, &mut buffer.page)?;
                Ok(buffer.page.as_bytes())
            }
            Target::File(file) => {
                let count = file.pread(&self.store, 0, &mut buffer.bytes)?;
                Ok(&buffer.bytes[..count])
            }
        }
    }

    fn unplug(&self, unit: usize) -> Result<(), SideError> {
        let top = self.plan.units[unit].top;
        let object = self.plugged.lock().loaded.objects[top];
        self.store.unregister_subtree(object).map_err(self.failed(top))?;
        Ok(())
    }

    fn replug(&self, unit: usize, incarnation: u64) -> Result<(), SideError> {
        let Plugged { loaded, alive } = &mut *self.plugged.lock();
        alive[unit] = Arc::default();
        let planned = &self.plan.units[unit];
        for index in planned.dirs() {
            let payload = Stamped::new(&self.plan.contents[index], index, incarnation, &alive[unit]);
            loaded.register(&self.store, self.plan.tree, index, payload).map_err(self.failed(index))?;
        }
        for link in &planned.links {
            let made = self.store.link(loaded.objects[link.dir], &link.name, loaded.objects[link.target]);
            made.map_err(self.failed(link.dir))?;
        }
        Ok(())
    }

    fn alive(&self, unit: usize) -> usize {
        // Acquire: pairs with the Release of the payloads' ends.
        self.plugged.lock().alive[unit].load(Ordering::Acquire)
    }
}

#[cfg(test)]
mod tests;
