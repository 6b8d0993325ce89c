//! The auditor's way through the tree.

use std::sync::Arc;

use enodev::{Entry, EntryKind, Error, KobjectHandle};

use super::audit::{Auditor, Found};
use super::chip::look;

/// Goes through the tree from its root: what is listed is there, under its name and its path, and all links lead to what knows of them.
/// Gives the devices.
pub(super) fn walk(auditor: &Auditor<'_>) -> Found {
    let Auditor { store, book, .. } = auditor;
    let (mut found, mut objects, mut stack) = (Found::new(), 0, vec![(store.root(), String::new())]);
    while let Some((dir, path)) = stack.pop() {
        let entries = match store.list(dir) {
            Ok(entries) => entries,
            Err(error) => {
                book.violation(&format!("{path}/ is in the tree, and cannot be listed: {error}"));
                continue;
            }
        };
        for Entry { name, kind } in entries {
            match kind {
                EntryKind::Object(object) => {
                    objects += 1;
                    let path = format!("{path}/{name}");
                    auditor.object(object, dir, &path, &mut found);
                    stack.push((object, path));
                }
                EntryKind::Link(target) => auditor.link(dir, &path, &name, target),
                _ => {}
            }
        }
        auditor.links_to(dir, &path);
    }
    let len = store.len();
    book.claim(objects == len, || format!("the store has {len} objects, its tree {objects}"));
    found
}

impl Auditor<'_> {
    /// An object in the tree.
    fn object(&self, object: KobjectHandle, dir: KobjectHandle, path: &str, found: &mut Found) {
        let Auditor { store, book, .. } = self;
        let at = store.path(object);
        book.claim(at.as_deref() == Ok(path), || format!("{path} says that it is at {at:?}"));
        let there = store.lookup(path);
        book.claim(there == Ok(object), || format!("{path} is {object:?}, and is looked up as {there:?}"));
        let parent = store.parent(object);
        book.claim(parent == Ok(dir), || format!("{path} is in {dir:?}, and says {parent:?}"));
        let device = match store.device(object) {
            Ok(device) => device,
            Err(error) => return book.claim(error == Error::WrongType, || format!("{path}: {error}")),
        };
        let record = look(store, device, |chip| {
            chip.check("while it is in the tree");
            Arc::clone(&chip.record)
        });
        match record {
            Ok(record) => {
                record.is(book, device);
                found.insert(device, record);
            }
            Err(error) => book.violation(&format!("{path} cannot be entered: {error}")),
        }
    }

    /// A link in a directory.
    fn link(&self, dir: KobjectHandle, path: &str, name: &str, target: KobjectHandle) {
        let Auditor { store, book, .. } = self;
        book.claim(store.contains(target), || format!("the link {path}/{name} dangles"));
        let read = store.readlink(dir, name);
        book.claim(read == Ok(target), || {
            format!("the link {path}/{name} leads to {target:?}, and is read as {read:?}")
        });
        let links = store.links_to(target).unwrap_or_default();
        let knows = links.iter().any(|(other, by)| *other == dir && **by == *name);
        book.claim(knows, || format!("the target of the link {path}/{name} does not know of it"));
    }

    /// The links to an object, as the object knows them.
    fn links_to(&self, object: KobjectHandle, path: &str) {
        let Auditor { store, book, .. } = self;
        for (dir, name) in store.links_to(object).unwrap_or_default() {
            let read = store.readlink(dir, &name);
            book.claim(read == Ok(object), || format!("{path} knows of a link {name}, which is read as {read:?}"));
        }
    }
}
