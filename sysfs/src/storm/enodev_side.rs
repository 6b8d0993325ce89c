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
    incarnation: u64,
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
        let failed = |(path, error): (String, Error)| SideError { path, cause: error.to_string() };
        let store = Store::new().map_err(|error| failed(("store".into(), error)))?;
        let alive: Vec<_> = plan.units.iter().map(|_| Arc::<AtomicUsize>::default()).collect();
        let elsewhere = Arc::default();
        let loaded = load(&store, plan.tree, |index, _| {
            let unit = plan.units.iter().position(|unit| unit.dirs().contains(&index));
            let alive = unit.map_or(&elsewhere, |unit| &alive[unit]);
            Stamped::new(&plan.contents[index], index, 0, alive)
        });
        let loaded = loaded.map_err(failed)?;
        Ok(Self { store, plan, plugged: Mutex::new(Plugged { loaded, incarnation: 0, alive }) })
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

    fn replug(&self, unit: usize) -> Result<(), SideError> {
        let plugged = &mut *self.plugged.lock();
        let (tree, objects) = (self.plan.tree, &mut plugged.loaded.objects);
        plugged.incarnation += 1;
        let alive = Arc::default();
        for index in self.plan.units[unit].dirs() {
            let dir = &tree.dirs[index];
            let parent = dir.parent.map_or(self.store.root(), |parent| objects[parent]);
            let payload = Stamped::new(&self.plan.contents[index], index, plugged.incarnation, &alive);
            let object = plugged.loaded.loader.add(&self.store, parent, dir, payload);
            objects[index] = object.map_err(self.failed(index))?;
        }
        for link in &self.plan.units[unit].links {
            let made = self.store.link(objects[link.dir], &link.name, objects[link.target]);
            made.map_err(self.failed(link.dir))?;
        }
        plugged.alive[unit] = alive;
        Ok(())
    }

    fn alive(&self, unit: usize) -> usize {
        // Acquire: pairs with the Release of the payloads' ends.
        self.plugged.lock().alive[unit].load(Ordering::Acquire)
    }
}
