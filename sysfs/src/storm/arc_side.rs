//! The storm on a store made of `Arc`s.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Weak};

use enodev::{Errno, PAGE_SIZE};
use enodev_bench::baseline::{ArcStore, Attribute, Attributes, Error, Node, OpenFile};
use parking_lot::Mutex;

use super::plan::{Place, Plan};
use super::side::{Side, SideError};
use super::stamp::Stamped;
use crate::Dir;
use crate::load::Link;

pub(super) struct ArcSide<'p> {
    store: ArcStore<Stamped>,
    plan: &'p Plan<'p>,
    /// By place in the tree, from the root: so this store finds them by one look into its map.
    paths: Vec<String>,
    /// By place in the tree; directories with the same attributes share a table.
    tables: Vec<Attributes<Stamped>>,
    /// By unit: how many payloads of its last incarnation are alive. Changed by the one thread that unplugs.
    alive: Mutex<Vec<Arc<AtomicUsize>>>,
}

pub(super) enum Target {
    /// An object, and the place of the attribute in its table.
    Handle(Weak<Node<Stamped>>, usize),
    File(OpenFile<Stamped>),
}

pub(super) struct Buffer {
    page: Vec<u8>,
    bytes: [u8; PAGE_SIZE],
}

impl Default for Buffer {
    fn default() -> Self {
        Self { page: Vec::with_capacity(PAGE_SIZE), bytes: [0; PAGE_SIZE] }
    }
}

impl<'p> ArcSide<'p> {
    pub(super) fn new(plan: &'p Plan<'p>, links: &[Link]) -> Result<Self, SideError> {
        let side = Self {
            store: ArcStore::new(),
            plan,
            paths: plan.tree.dirs.iter().map(|dir| format!("/{}", dir.path)).collect(),
            tables: tables(plan)?,
            alive: Mutex::default(),
        };
        // The last one counts what is never unplugged.
        let mut alive: Vec<_> = (0..=plan.units.len()).map(|_| Arc::<AtomicUsize>::default()).collect();
        for index in 1..plan.tree.dirs.len() {
            side.register(index, 0, &alive[plan.unit_of(index)])?;
        }
        for link in links {
            side.link(link)?;
        }
        alive.truncate(plan.units.len());
        *side.alive.lock() = alive;
        Ok(side)
    }

    fn path(&self, dir: usize) -> &str {
        &self.paths[dir]
    }

    fn register(&self, index: usize, incarnation: u64, alive: &Arc<AtomicUsize>) -> Result<(), SideError> {
        let dir = &self.plan.tree.dirs[index];
        let payload = Stamped::new(&self.plan.contents[index], index, incarnation, alive);
        let parent = dir.parent.map_or("/", |parent| self.path(parent));
        self.store.register(parent, &dir.name, payload, &self.tables[index]).map_err(failed(&dir.path))?;
        Ok(())
    }

    /// The root of this store is no object, and cannot be linked to.
    fn link(&self, link: &Link) -> Result<(), SideError> {
        match self.store.link(self.path(link.dir), &link.name, self.path(link.target)) {
            Ok(()) | Err(Error::Root) => Ok(()),
            Err(error) => Err(failed(self.path(link.dir))(error)),
        }
    }
}

fn failed(path: &str) -> impl Fn(Error) -> SideError + '_ {
    move |error| SideError { path: path.into(), cause: error.to_string() }
}

fn tables(plan: &Plan<'_>) -> Result<Vec<Attributes<Stamped>>, SideError> {
    let mut known = HashMap::<Vec<&str>, Attributes<Stamped>>::new();
    let table = |dir: &'_ Dir| {
        let attributes = dir.attributes.iter().enumerate().map(|(index, attribute)| {
            Attribute::ro(&attribute.name, move |owner: &Stamped, page| {
                page.extend_from_slice(owner.answer(index).map_err(Errno::raw)?);
                Ok(())
            })
        });
        Attributes::new(attributes.collect()).map_err(failed(&dir.path))
    };
    let mut tables = Vec::with_capacity(plan.tree.dirs.len());
    for dir in &plan.tree.dirs {
        let shape: Vec<&str> = dir.attributes.iter().map(|attribute| &*attribute.name).collect();
        if let Some(known) = known.get(&shape) {
            tables.push(known.clone());
            continue;
        }
        let table = table(dir)?;
        known.insert(shape, table.clone());
        tables.push(table);
    }
    Ok(tables)
}

impl Side for ArcSide<'_> {
    type Target = Target;
    type Buffer = Buffer;

    fn open(&self, place: &Place, as_file: bool) -> Option<Target> {
        let path = self.path(place.dir);
        let name = &self.plan.tree.dirs[place.dir].attributes[place.attribute].name;
        if as_file || place.binary {
            return self.store.open(path, name).ok().map(Target::File);
        }
        let node = self.store.get(path)?;
        let attribute = node.attributes().position(name)?;
        Some(Target::Handle(Arc::downgrade(&node), attribute))
    }

    fn read<'b>(&self, target: &Target, buffer: &'b mut Buffer) -> Result<&'b [u8], Errno> {
        let errno = |error: Error| Errno::from_raw(error.errno()).unwrap_or(Errno::EIO);
        match target {
            Target::Handle(node, attribute) => {
                let node = node.upgrade().ok_or(Errno::ENODEV)?;
                let attribute = node.attributes().get(*attribute).ok_or(Errno::EINVAL)?;
                attribute.show(node.payload(), &mut buffer.page).map_err(errno)?;
                Ok(&buffer.page)
            }
            Target::File(file) => {
                let count = file.pread(0, &mut buffer.bytes).map_err(errno)?;
                Ok(&buffer.bytes[..count])
            }
        }
    }

    fn unplug(&self, unit: usize) -> Result<(), SideError> {
        let path = self.path(self.plan.units[unit].top);
        self.store.unregister(path).map_err(failed(path))?;
        Ok(())
    }

    fn replug(&self, unit: usize, incarnation: u64) -> Result<(), SideError> {
        let alive = &mut self.alive.lock()[unit];
        *alive = Arc::default();
        let planned = &self.plan.units[unit];
        for index in planned.dirs() {
            self.register(index, incarnation, alive)?;
        }
        for link in &planned.links {
            // In this store links from elsewhere stay, and lead nowhere.
            if !planned.dirs().contains(&link.dir) {
                let _ = self.store.unlink(self.path(link.dir), &link.name);
            }
            self.link(link)?;
        }
        Ok(())
    }

    fn alive(&self, unit: usize) -> usize {
        // Acquire: pairs with the Release of the payloads' ends.
        self.alive.lock()[unit].load(Ordering::Acquire)
    }
}

#[cfg(test)]
mod tests;
