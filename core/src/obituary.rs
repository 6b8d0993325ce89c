//! What is remembered of objects that have left.

use std::collections::VecDeque;
use std::fmt;
use std::iter;
use std::panic::Location;
use std::thread::{self, Thread, ThreadId};
use std::time::Instant;

use enodev_attrs::Name;
use enodev_handles::Pin;

use crate::handle::{AsKobject, KobjectHandle, TypeHandle};
use crate::interned::Interned;
use crate::store::{Inner, Store};
use crate::sync::Mutex;
use crate::sync::atomic::{AtomicUsize, Ordering};

/// So many objects are remembered unless the store is told otherwise.
const KEPT: usize = 1024;

/// What a stale handle named, and how that came to leave. See [`Store::obituary`].
///
/// All of it is a copy: nothing points to the object, nor to the code of whoever removed it. As text it is one line of English.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Obituary {
    /// The object, as the handle named it.
    pub object: KobjectHandle,
    /// Whether it was a device.
    pub is_device: bool,
    /// What its type is called; `None` for a plain directory.
    pub type_name: Option<String>,
    /// Where it stood as its removal began.
    pub path: String,
    /// Where the object stood that the removal was of: `path`, or above it.
    pub top: String,
    /// The source file of the call that removed it.
    pub file: String,
    /// The line of that call.
    pub line: u32,
    /// The thread that called.
    pub thread: ThreadId,
    /// The name of that thread, if it had one.
    pub thread_name: Option<String>,
    /// When the removal began: from then on the handle was stale.
    pub when: Instant,
    /// Whether the removal is not over: it waits for somebody inside, or was given up.
    pub is_leaving: bool,
    /// What a look-up of the path finds now.
    pub successor: Option<KobjectHandle>,
}

/// "device /pci0/sda (disk), with /pci0, was removed 1.2s ago by thread 'hotplug' at src/hotplug.rs:41; nothing is there now".
impl fmt::Display for Obituary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", if self.is_device { "device" } else { "kobject" }, self.path)?;
        if let Some(name) = &self.type_name {
            write!(f, " ({name})")?;
        }
        if self.top != self.path {
            write!(f, ", with {},", self.top)?;
        }
        let ago = self.when.elapsed();
        if self.is_leaving {
            write!(f, " has been leaving for {ago:.1?}, removed")?;
        } else {
            write!(f, " was removed {ago:.1?} ago")?;
        }
        let name = self.thread_name.as_deref().unwrap_or("?");
        write!(f, " by thread '{name}' at {}:{}", self.file, self.line)?;
        match self.successor {
            Some(successor) => write!(f, "; {successor:?} is there now"),
            None => write!(f, "; nothing is there now"),
        }
    }
}

/// The removals that a store remembers.
///
/// # Invariants
///
/// They are of no more objects in all than are to be kept, and of each removal those that are nearest to its top.
#[derive(Debug)]
pub(crate) struct Obituaries {
    /// How many objects are to be kept.
    most: AtomicUsize,
    kept: Mutex<Kept>,
}

#[derive(Debug, Default)]
struct Kept {
    /// The oldest first.
    removals: VecDeque<Removed>,
    objects: usize,
    /// Those of the removals: most are called for at the places of others, and in their directories.
    sites: Interned<Site>,
    above: Interned<Above>,
}

/// Where removals are called for, and by whom.
#[derive(Debug)]
struct Site {
    file: Box<str>,
    line: u32,
    thread: ThreadId,
    thread_name: Option<Box<str>>,
}

/// What is above objects of one directory.
#[derive(Debug)]
struct Above {
    dir: KobjectHandle,
    /// The count of moves: as long as it has not changed, so have no names. None where they may have changed meanwhile.
    moves: Option<u64>,
    /// Their names, from the directory upwards, each with a slash.
    names: Box<str>,
}

/// One removal: it is written with every removal, and hardly ever read.
#[derive(Debug)]
struct Removed {
    /// The number of where it was called for.
    site: u32,
    /// The number of what is above the first object.
    above: u32,
    when: Instant,
    first: Gone,
    /// What was below it, parents before children.
    below: Vec<Gone>,
}

/// One object of a removal.
#[derive(Debug)]
struct Gone {
    object: KobjectHandle,
    parent: KobjectHandle,
    ty: Option<TypeHandle>,
    is_device: bool,
    name: Name,
}

impl Default for Obituaries {
    fn default() -> Self {
        Self { most: AtomicUsize::new(KEPT), kept: Mutex::default() }
    }
}

impl Obituaries {
    fn most(&self) -> usize {
        // Relaxed: a number that means what it says, whoever sees it when.
        self.most.load(Ordering::Relaxed)
    }

    fn keep(&self, most: usize) {
        // Relaxed: as above.
        self.most.store(most, Ordering::Relaxed);
        let mut kept = self.kept.lock();
        kept.forget_but(most);
        if kept.removals.is_empty() {
            *kept = Kept::default();
        }
    }

    /// What is known of an object by the last removal of it (there are two where one has failed), and its type.
    fn find(&self, object: KobjectHandle) -> Option<(Obituary, Option<TypeHandle>)> {
        let kept = self.kept.lock();
        kept.removals.iter().rev().find_map(|removed| removed.obituary(&kept, object))
    }
}

impl Kept {
    /// Forgets the oldest, until no more objects are left than `most`. The last of those comes back, so that its memory can be
    /// written to again.
    fn forget_but(&mut self, most: usize) -> Option<Removed> {
        let mut last = None;
        while self.objects > most {
            let Some(removed) = self.removals.pop_front() else { break };
            self.objects -= removed.len();
            self.sites.forget(removed.site);
            self.above.forget(removed.above);
            last = Some(removed);
        }
        last
    }

    /// Makes room for a removal of so many objects, and gives memory for those below its top.
    fn make_room(&mut self, count: usize, most: usize) -> Vec<Gone> {
        let mut below = self.forget_but(most - count).map_or_else(Vec::new, |removed| removed.below);
        below.clear();
        // Small removals must not keep the memory of large ones.
        if below.capacity() > 4 * (count - 1) {
            below = Vec::new();
        }
        below.reserve(count - 1);
        below
    }

    /// Where the calling thread calls for a removal.
    fn site(&mut self, call: &Location<'_>) -> u32 {
        let (file, line) = (call.file(), call.line());
        caller(|thread| {
            let is_one = |site: &Site| site.line == line && site.thread == thread.id() && *site.file == *file;
            self.sites.find(is_one).unwrap_or_else(|| {
                let thread_name = thread.name().map(Into::into);
                self.sites.add(Site { file: file.into(), line, thread: thread.id(), thread_name })
            })
        })
    }

    /// What is above objects of a directory, where that is known.
    fn above(&mut self, dir: KobjectHandle, moves: Option<u64>) -> Option<u32> {
        moves.and_then(|_| self.above.find(|above| above.dir == dir && above.moves == moves))
    }

    fn push(&mut self, removed: Removed) {
        self.objects += removed.len();
        self.removals.push_back(removed);
    }
}

impl Removed {
    fn len(&self) -> usize {
        1 + self.below.len()
    }

    fn find(&self, object: KobjectHandle) -> Option<&Gone> {
        iter::once(&self.first).chain(&self.below).find(|gone| gone.object == object)
    }

    fn path(&self, above: &Above, object: KobjectHandle) -> String {
        let mut names: Vec<&str> = Vec::new();
        let mut at = object;
        while let Some(gone) = self.find(at) {
            names.push(&gone.name);
            at = gone.parent;
        }
        names.extend(above.names.split_terminator('/'));
        let slashed = |name: &&str| ["/", name].concat();
        names.iter().rev().map(slashed).collect()
    }

    fn obituary(&self, kept: &Kept, object: KobjectHandle) -> Option<(Obituary, Option<TypeHandle>)> {
        let gone = self.find(object)?;
        let (site, above) = (kept.sites.get(self.site)?, kept.above.get(self.above)?);
        let obituary = Obituary {
            object,
            is_device: gone.is_device,
            type_name: None,
            path: self.path(above, object),
            top: self.path(above, self.first.object),
            file: site.file.to_string(),
            line: site.line,
            thread: site.thread,
            thread_name: site.thread_name.as_deref().map(Into::into),
            when: self.when,
            is_leaving: false,
            successor: None,
        };
        Some((obituary, gone.ty))
    }
}

impl Inner {
    /// Remembers objects that are about to be marked: the first is the one that the others are below, and parents come before
    /// children. The caller has claimed them all ([`Topology`](crate::topology::Topology)), so they are not moved.
    ///
    /// Called before they are marked, so that whoever meets `ENODEV` is told why. Where the marking fails, they are there still, and
    /// nobody is told this.
    #[track_caller]
    pub(crate) fn remember(&self, pin: &Pin<'_>, mut objects: impl ExactSizeIterator<Item = KobjectHandle>) {
        let most = self.obituaries.most();
        let count = objects.len().min(most);
        let top = objects.next().filter(|_| count > 0);
        let Some(first) = top.and_then(|top| self.gone(pin, top)) else { return };
        let (call, when, moves) = (Location::caller(), Instant::now(), self.moves.begin());
        let mut kept = self.obituaries.kept.lock();
        let mut below = kept.make_room(count, most);
        if count == 1 {
            if let Some(above) = kept.above(first.parent, moves) {
                let site = kept.site(call);
                kept.push(Removed { site, above, when, first, below });
                // It may be another number since.
                kept.forget_but(self.obituaries.most());
                return;
            }
        }
        drop(kept);
        below.extend(objects.take(count - 1).filter_map(|object| self.gone(pin, object)));
        let names = self.names_above(pin, first.parent);
        let moves = moves.filter(|_| moves == self.moves.begin());
        let mut kept = self.obituaries.kept.lock();
        let site = kept.site(call);
        let above = kept.above(first.parent, moves);
        let above = above.unwrap_or_else(|| kept.above.add(Above { dir: first.parent, moves, names }));
        kept.push(Removed { site, above, when, first, below });
        // Others may have come since there was room, and the number may be another.
        let last = kept.forget_but(self.obituaries.most());
        drop(kept);
        drop(last);
    }

    /// The names of a directory and of what is above it, each with a slash.
    fn names_above(&self, pin: &Pin<'_>, dir: KobjectHandle) -> Box<str> {
        let mut names = String::new();
        self.moves.mostly_settled(|| {
            names.clear();
            let mut above = dir;
            while let Ok(node) = self.nodes.get_leaving(pin, above) {
                let place = node.place();
                let Some(name) = &place.name else { break };
                names.push_str(name);
                names.push('/');
                above = place.parent;
            }
        });
        names.into()
    }

    fn gone(&self, pin: &Pin<'_>, object: KobjectHandle) -> Option<Gone> {
        let node = self.nodes.get_leaving(pin, object).ok()?;
        let place = node.place();
        let (name, parent) = (place.name.clone()?, place.parent);
        Some(Gone { object, parent, ty: node.ty, is_device: node.is_device, name })
    }
}

/// What the calling thread is. To ask for it anew each time would be to count who knows it.
fn caller<R>(mut tell: impl FnMut(&Thread) -> R) -> R {
    thread_local! {
        static CALLER: Thread = thread::current();
    }
    CALLER.try_with(&mut tell).unwrap_or_else(|_| tell(&thread::current()))
}

/// What has left.
impl Store {
    /// What a stale handle named: what it was and where, who removed it and when, and what is there now. It is there from the moment
    /// when the handle is stale.
    ///
    /// `None` where the object is there, where the handle never was one of this store, and where it left so long ago that it is
    /// forgotten: the store remembers the last 1024 objects ([`keep_obituaries`](Self::keep_obituaries)), of a larger subtree those
    /// nearest to its top.
    ///
    /// ```
    /// let store = enodev::Store::new()?;
    /// let card = store.create(store.root(), "card")?;
    /// let port = store.create(card, "port")?;
    /// store.unregister_subtree(card)?;
    ///
    /// let error = store.path(port).unwrap_err(); // ENODEV, but why?
    /// let obituary = store.obituary(port).ok_or(error)?;
    /// assert_eq!((&*obituary.path, &*obituary.top), ("/card/port", "/card"));
    /// // "kobject /card/port, with /card, was removed 1.2µs ago by thread 'main' at src/main.rs:4; nothing is there now"
    /// println!("{error}: {obituary}");
    /// # Ok::<(), enodev::Error>(())
    /// ```
    pub fn obituary(&self, object: impl AsKobject) -> Option<Obituary> {
        let (inner, object) = (&*self.inner, object.kobject());
        if inner.nodes.contains(object) {
            return None;
        }
        let (mut obituary, ty) = inner.obituaries.find(object)?;
        let pin = inner.domain.pin();
        obituary.type_name = ty.and_then(|ty| Some(inner.types.get(&pin, ty).ok()?.name.clone()));
        drop(pin);
        obituary.is_leaving = inner.nodes.is_leaving(object);
        obituary.successor = self.lookup(&obituary.path).ok();
        Some(obituary)
    }

    /// Remembers so many objects from now on, once they have left: 0 is none, and makes removals a little faster.
    pub fn keep_obituaries(&self, objects: usize) {
        self.inner.obituaries.keep(objects);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What was remembered for a removal that did not begin is told to nobody, neither before nor after the one that did.
    #[test]
    fn a_removal_that_did_not_begin_is_not_told() {
        let store = Store::new().unwrap();
        let object = store.create(store.root(), "early").unwrap();
        store.inner.remember(&store.inner.domain.pin(), iter::once(object));
        assert_eq!(store.obituary(object), None);
        store.rename(object, "late").unwrap();
        store.unregister_subtree(object).unwrap();
        assert_eq!(store.obituary(object).unwrap().path, "/late");
    }
}
