//! A tree put together in code instead of read from files.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use super::find::resolve_links;
use super::tree::{Content, Dir, Scanned, ScannedAttribute, ScannedLink};

/// A tree in the making. Things may be added in any order; directories come into being with the
/// first thing in them.
#[derive(Default)]
pub(crate) struct Draft {
    /// By the components of their paths: the order of the map is then that of a walk.
    dirs: BTreeMap<Vec<String>, Contents>,
}

#[derive(Default)]
struct Contents {
    attributes: BTreeMap<String, ScannedAttribute>,
    links: BTreeMap<String, ScannedLink>,
}

impl Draft {
    /// Adds an attribute that holds text.
    pub(crate) fn text(&mut self, dir: &str, name: &str, mode: u16, text: &str) {
        self.attribute(dir, name, mode, Content::Bytes(Arc::from(text.as_bytes())), false);
    }

    /// Adds an attribute.
    pub(crate) fn attribute(&mut self, dir: &str, name: &str, mode: u16, content: Content, binary: bool) {
        let attribute = ScannedAttribute { name: name.to_owned(), mode, content, binary };
        self.dir(dir).attributes.insert(name.to_owned(), attribute);
    }

    /// Adds a link.
    pub(crate) fn link(&mut self, dir: &str, name: &str, target: &str) {
        let (key, name, target) = (name.to_owned(), name.to_owned(), target.to_owned());
        self.dir(dir).links.insert(key, ScannedLink { name, target, resolved: None });
    }

    fn dir(&mut self, path: &str) -> &mut Contents {
        let components: Vec<String> = path.split('/').filter(|name| !name.is_empty()).map(str::to_owned).collect();
        for depth in 0..components.len() {
            self.dirs.entry(components[..depth].to_vec()).or_default();
        }
        self.dirs.entry(components).or_default()
    }

    /// The finished tree.
    pub(crate) fn finish(mut self) -> Scanned {
        self.dir("");
        let mut dirs: Vec<Dir> = Vec::with_capacity(self.dirs.len());
        // The directories from the root to the one before, by their indices.
        let mut above: Vec<usize> = Vec::new();
        for (components, contents) in self.dirs {
            let depth = components.len();
            above.truncate(depth);
            let parent = above.last().copied();
            above.push(dirs.len());
            dirs.push(Dir {
                path: components.join("/"),
                parent,
                name: components.last().cloned().unwrap_or_default(),
                attributes: contents.attributes.into_values().collect(),
                links: contents.links.into_values().collect(),
            });
        }
        resolve_links(&mut dirs, &["/sys"]);
        Scanned { root: PathBuf::new(), live: false, dirs, skipped: super::Skipped::default() }
    }
}
