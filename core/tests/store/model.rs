//! Random changes of the tree, beside a plain model of it.

use std::collections::BTreeMap;

use enodev::{AsKobject, DeviceType, EntryKind, Errno, Error, KobjectHandle, Removal, Shared, Store, Type};
use proptest::prelude::*;

use crate::common::GONE;

/// The attribute of the registered objects stands in the way of children of that name.
const NAMES: [&str; 4] = ["a", "b", "c", "size"];

/// Numbers choose among all objects there ever were; a small one is the more likely to be alive.
#[derive(Debug, Clone)]
enum Step {
    Create(usize, &'static str),
    Register(usize, &'static str),
    Link(usize, &'static str, usize),
    Unlink(usize, &'static str),
    Rename(usize, &'static str),
    Move(usize, usize, &'static str),
    Unregister(usize),
    UnregisterSubtree(usize),
    Lookup(Vec<&'static str>),
}

fn step() -> impl Strategy<Value = Step> {
    let object = || prop_oneof![3 => 0..6_usize, 1 => 0..40_usize];
    let name = || prop::sample::select(&NAMES[..]);
    let part = || prop::sample::select(&["a", "b", "c", "size", "..", ".", ""][..]);
    prop_oneof![
        4 => (object(), name()).prop_map(|(at, name)| Step::Create(at, name)),
        4 => (object(), name()).prop_map(|(at, name)| Step::Register(at, name)),
        4 => (object(), name(), object()).prop_map(|(at, name, to)| Step::Link(at, name, to)),
        1 => (object(), name()).prop_map(|(at, name)| Step::Unlink(at, name)),
        2 => (object(), name()).prop_map(|(object, name)| Step::Rename(object, name)),
        3 => (object(), object(), name()).prop_map(|(object, to, name)| Step::Move(object, to, name)),
        1 => object().prop_map(Step::Unregister),
        1 => object().prop_map(Step::UnregisterSubtree),
        2 => prop::collection::vec(part(), 0..6).prop_map(Step::Lookup),
    ]
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Entry {
    Child(usize),
    Link(usize),
}

/// An object of the model; its number is its place in the list of all. The root's parent is itself.
#[derive(Debug)]
struct Object {
    parent: usize,
    name: &'static str,
    registered: bool,
    entries: BTreeMap<&'static str, Entry>,
}

/// All objects there ever were, `None` where they are gone.
#[derive(Debug)]
struct Model(Vec<Option<Object>>);

impl Model {
    fn get(&self, object: usize) -> Result<&Object, Error> {
        self.0.get(object).and_then(Option::as_ref).ok_or(GONE)
    }

    fn entries(&mut self, object: usize) -> &mut BTreeMap<&'static str, Entry> {
        &mut self.0[object].as_mut().unwrap().entries
    }

    fn check_free(&self, at: usize, name: &str) -> Result<(), Error> {
        let dir = self.get(at)?;
        let taken = dir.entries.contains_key(name) || (dir.registered && name == "size");
        if taken { Err(Error::Exists) } else { Ok(()) }
    }

    fn add(&mut self, parent: usize, name: &'static str, registered: bool) -> Result<(), Error> {
        self.check_free(parent, name)?;
        let child = Entry::Child(self.0.len());
        self.entries(parent).insert(name, child);
        self.0.push(Some(Object { parent, name, registered, entries: BTreeMap::new() }));
        Ok(())
    }

    fn link(&mut self, at: usize, name: &'static str, to: usize) -> Result<(), Error> {
        self.get(to)?;
        self.check_free(at, name)?;
        self.entries(at).insert(name, Entry::Link(to));
        Ok(())
    }

    fn unlink(&mut self, at: usize, name: &str) -> Result<(), Error> {
        match self.get(at)?.entries.get(name) {
            Some(Entry::Link(_)) => {
                self.entries(at).remove(name);
                Ok(())
            }
            _ => Err(Error::NotFound),
        }
    }

    fn readlink(&self, at: usize, name: &str) -> Result<usize, Error> {
        let dir = self.get(at)?;
        match dir.entries.get(name) {
            Some(Entry::Link(target)) => Ok(*target),
            None if !(dir.registered && name == "size") => Err(Error::NotFound),
            _ => Err(Errno::EINVAL.into()),
        }
    }

    fn links_to(&self, object: usize) -> Result<Vec<(usize, String)>, Error> {
        self.get(object)?;
        let dirs = self.0.iter().enumerate().filter_map(|(at, dir)| Some((at, dir.as_ref()?)));
        let links = dirs.flat_map(|(at, dir)| dir.entries.iter().map(move |(name, entry)| (at, *name, *entry)));
        let here = links.filter(|(.., entry)| *entry == Entry::Link(object));
        Ok(here.map(|(at, name, _)| (at, name.to_owned())).collect())
    }

    fn move_to(&mut self, object: usize, to: usize, name: &'static str) -> Result<(), Error> {
        if object == 0 {
            return Err(Errno::EINVAL.into());
        }
        let (parent, old) = self.get(object).map(|object| (object.parent, object.name))?;
        self.get(to).map_err(|_| Error::NotFound)?;
        let mut at = to;
        while at != object && at != 0 {
            at = self.get(at)?.parent;
        }
        if at == object {
            return Err(Errno::EINVAL.into());
        }
        if (parent, old) == (to, name) {
            return Ok(());
        }
        self.check_free(to, name)?;
        self.entries(parent).remove(old);
        self.entries(to).insert(name, Entry::Child(object));
        let moved = self.0[object].as_mut().unwrap();
        (moved.parent, moved.name) = (to, name);
        Ok(())
    }

    /// The payload of a registered object is its number.
    fn unregister(&mut self, object: usize) -> Result<usize, Error> {
        let found = self.get(object)?;
        if !found.registered {
            return Err(Error::WrongType);
        }
        if found.entries.values().any(|entry| matches!(entry, Entry::Child(_))) {
            return Err(Error::HasChildren);
        }
        self.unregister_subtree(object)?;
        Ok(object)
    }

    fn unregister_subtree(&mut self, top: usize) -> Result<usize, Error> {
        self.get(top)?;
        if top == 0 {
            return Err(Error::Root);
        }
        let mut count = 1;
        let entries = std::mem::take(self.entries(top));
        for child in entries.values() {
            if let Entry::Child(child) = child {
                count += self.unregister_subtree(*child)?;
            }
        }
        self.0[top] = None;
        for object in self.0.iter_mut().flatten() {
            let is_gone = |entry: &Entry| *entry == Entry::Link(top) || *entry == Entry::Child(top);
            object.entries.retain(|_, entry| !is_gone(entry));
        }
        Ok(count)
    }

    fn lookup(&self, path: &[&str]) -> Result<usize, Error> {
        path.iter().try_fold(0, |at, part| {
            let dir = self.get(at)?;
            match (*part, dir.entries.get(part)) {
                ("" | ".", _) => Ok(at),
                ("..", _) => Ok(dir.parent),
                (_, Some(Entry::Child(found) | Entry::Link(found))) => Ok(*found),
                ("size", None) if dir.registered => Err(Errno::ENOTDIR.into()),
                _ => Err(Error::NotFound),
            }
        })
    }

    fn path(&self, object: usize) -> Result<String, Error> {
        let found = self.get(object)?;
        let parent = found.parent;
        Ok(match (object, parent) {
            (0, _) => "/".into(),
            (_, 0) => format!("/{}", found.name),
            _ => format!("{}/{}", self.path(parent)?, found.name),
        })
    }
}

/// The store, and the handles of all objects there ever were, by number.
struct Subject {
    store: Store,
    ty: Type<Shared<usize>>,
    handles: Vec<KobjectHandle>,
}

impl Subject {
    fn new() -> Self {
        let store = Store::new().unwrap();
        let ty = DeviceType::shared::<usize>("number").ro("size", |number, page| page.line(*number));
        let (ty, root) = (store.define(ty).unwrap(), store.root());
        Self { store, ty, handles: vec![root] }
    }

    fn number(&self, handle: KobjectHandle) -> usize {
        self.handles.iter().position(|known| *known == handle).unwrap()
    }

    /// Notes the handle of an object that was added.
    fn note(&mut self, added: Result<KobjectHandle, Error>) -> Result<(), Error> {
        self.handles.push(added?);
        Ok(())
    }

    fn entries(&self, object: KobjectHandle) -> Result<BTreeMap<String, Entry>, Error> {
        let list = self.store.list(object)?;
        let known = list.into_iter().filter_map(|entry| {
            let kind = match entry.kind {
                EntryKind::Object(object) => Entry::Child(self.number(object)),
                EntryKind::Link(target) => Entry::Link(self.number(target)),
                _ => return None,
            };
            Some((entry.name.as_str().to_owned(), kind))
        });
        Ok(known.collect())
    }

    /// Does one step on both.
    fn step(&mut self, model: &mut Model, step: &Step) {
        // Numbers that are nobody's yet wrap around.
        let known = |n: &usize| n % self.handles.len();
        let store = &self.store;
        match step {
            Step::Create(at, name) => {
                let at = known(at);
                let added = store.create(self.handles[at], name);
                assert_eq!(self.note(added), model.add(at, name, false));
            }
            Step::Register(at, name) => {
                let (at, number) = (known(at), self.handles.len());
                let added = store.register(self.handles[at], name, self.ty, number);
                assert_eq!(self.note(added.map(AsKobject::kobject)), model.add(at, name, true));
            }
            Step::Link(at, name, to) => {
                let (at, to) = (known(at), known(to));
                let linked = store.link(self.handles[at], name, self.handles[to]);
                assert_eq!(linked, model.link(at, name, to));
            }
            Step::Unlink(at, name) => {
                let at = known(at);
                assert_eq!(store.unlink(self.handles[at], name), model.unlink(at, name));
            }
            Step::Rename(object, name) => {
                let object = known(object);
                // The root has no other place.
                let parent = model.get(object).map_or(0, |object| object.parent);
                assert_eq!(store.rename(self.handles[object], name), model.move_to(object, parent, name));
            }
            Step::Move(object, to, name) => {
                let (object, to) = (known(object), known(to));
                let moved = store.move_to(self.handles[object], self.handles[to], name);
                assert_eq!(moved, model.move_to(object, to, name));
            }
            Step::Unregister(object) => {
                let object = known(object);
                let device = enodev::DeviceHandle::from_bits(self.handles[object].to_bits());
                assert_eq!(store.unregister::<usize>(device), model.unregister(object));
            }
            Step::UnregisterSubtree(object) => {
                let object = known(object);
                let count = store.unregister_subtree(self.handles[object]);
                assert_eq!(count.map(Removal::count), model.unregister_subtree(object));
            }
            Step::Lookup(path) => {
                let found = store.lookup(&path.join("/")).map(|found| self.number(found));
                assert_eq!(found, model.lookup(path));
            }
        }
    }

    /// That the store says of every object there ever was what the model says.
    fn assert_is(&self, model: &Model) {
        let store = &self.store;
        for (number, &handle) in self.handles.iter().enumerate() {
            let expected = model.get(number);
            let text = |name: &&'static str| (*name).to_owned();
            let entries = |object: &Object| object.entries.iter().map(|(name, e)| (text(name), *e)).collect();
            assert_eq!(self.entries(handle), expected.map(entries));
            assert_eq!(store.contains(handle), expected.is_ok());
            assert_eq!(store.path(handle), model.path(number));
            let parent = store.parent(handle).map(|parent| self.number(parent));
            assert_eq!(parent, expected.map(|object| object.parent));
            assert_eq!(store.device(handle).is_ok(), expected.is_ok_and(|object| object.registered));
            let links = store.links_to(handle).map(|links| {
                let mut links: Vec<_> =
                    links.into_iter().map(|(dir, name)| (self.number(dir), name.as_str().to_owned())).collect();
                links.sort();
                links
            });
            assert_eq!(links, model.links_to(number));
            for name in NAMES {
                let target = store.readlink(handle, name).map(|target| self.number(target));
                assert_eq!(target, model.readlink(number, name));
            }
            let size = match expected {
                Ok(object) if object.registered => Ok(format!("{number}\n").into_bytes()),
                Ok(_) => Err(Error::NotFound),
                Err(gone) => Err(gone),
            };
            assert_eq!(store.read(handle, "size"), size);
            if let Ok(path) = store.path(handle) {
                assert_eq!(store.lookup(&path), Ok(handle));
            }
        }
        assert_eq!(store.len() + 1, model.0.iter().flatten().count());
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(128) })]

    /// Whatever is added, linked, moved and removed in whatever order, the store answers every question as the model does, about
    /// the objects that are there and about all that have gone.
    #[test]
    fn the_tree_is_as_the_model_says(steps in prop::collection::vec(step(), 1..60)) {
        let mut subject = Subject::new();
        let root = Object { parent: 0, name: "", registered: false, entries: BTreeMap::new() };
        let mut model = Model(vec![Some(root)]);
        for step in &steps {
            subject.step(&mut model, step);
            subject.assert_is(&model);
        }
    }
}
