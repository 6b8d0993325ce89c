//! Paths within a tree: where a path or the target of a link arrives.

use super::tree::{Dir, ScannedAttribute, join};

/// Links followed for one path before it counts as a circle; the kernel's own number.
const LINKS_MAX: usize = 40;

/// What a path names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found {
    /// A directory: its index in [`Scanned::dirs`](super::Scanned::dirs).
    Dir(usize),
    /// An attribute.
    Attribute {
        /// Index of its directory in [`Scanned::dirs`](super::Scanned::dirs).
        dir: usize,
        /// Index in [`Dir::attributes`].
        attribute: usize,
    },
}

/// Why a path names nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FindError {
    /// A component is missing, or the path leads out of the tree (ENOENT).
    #[error("no such directory or attribute")]
    NotFound,
    /// An attribute stands in the middle of the path (ENOTDIR).
    #[error("not a directory")]
    NotADirectory,
    /// The links on the way go round in a circle, or are more than 40 (ELOOP).
    #[error("too many links")]
    Loop,
}

/// The tree, indexed by names.
pub(super) struct Paths<'a> {
    dirs: &'a [Dir],
    /// For each directory those in it, in order of their names.
    children: Vec<Vec<usize>>,
    /// Absolute paths that mean the root of the tree.
    prefixes: &'a [&'a str],
}

impl<'a> Paths<'a> {
    pub(super) fn new(dirs: &'a [Dir], prefixes: &'a [&'a str]) -> Self {
        let mut children = vec![Vec::new(); dirs.len()];
        for (index, dir) in dirs.iter().enumerate() {
            if let Some(siblings) = dir.parent.and_then(|parent| children.get_mut(parent)) {
                siblings.push(index);
            }
        }
        Self { dirs, children, prefixes }
    }

    /// What `path` names, from the root. A leading slash means the root too.
    pub(super) fn find(&self, path: &str) -> Result<Found, FindError> {
        self.resolve(0, self.below_root(path).unwrap_or(path), 0)
    }

    /// What the target of a link in the directory `dir` names.
    fn target(&self, dir: usize, target: &str) -> Result<Found, FindError> {
        let (start, rest) = self.start(dir, target)?;
        self.resolve(start, rest, 1)
    }

    /// Where a link's target begins, and what is left of it from there.
    fn start<'t>(&self, dir: usize, target: &'t str) -> Result<(usize, &'t str), FindError> {
        if target.starts_with('/') {
            let rest = self.below_root(target).ok_or(FindError::NotFound)?;
            return Ok((0, rest));
        }
        Ok((dir, target))
    }

    /// The rest of an absolute path that leads into the tree.
    fn below_root<'t>(&self, path: &'t str) -> Option<&'t str> {
        let rests = self.prefixes.iter().filter_map(|prefix| path.strip_prefix(prefix));
        // "/sysfoo" does not lie in "/sys".
        rests.into_iter().find(|rest| rest.is_empty() || rest.starts_with('/'))
    }

    /// What `path` names from the directory `start` on, when `links` have been followed before.
    fn resolve(&self, start: usize, path: &str, links: usize) -> Result<Found, FindError> {
        let mut at = start;
        let mut links = links;
        // Components still to go, the next one last.
        let mut todo: Vec<&str> = components(path).collect();
        while let Some(name) = todo.pop() {
            let dir = self.dirs.get(at).ok_or(FindError::NotFound)?;
            if name == ".." {
                at = dir.parent.ok_or(FindError::NotFound)?;
            } else if let Some(child) = self.child(at, name) {
                at = child;
            } else if let Ok(n) = dir.links.binary_search_by(|link| link.name.as_str().cmp(name)) {
                links += 1;
                if links > LINKS_MAX {
                    return Err(FindError::Loop);
                }
                let (next, rest) = self.start(at, &dir.links[n].target)?;
                at = next;
                todo.extend(components(rest));
            } else if let Some(attribute) = attribute(dir, name) {
                let last = todo.is_empty();
                let found = Found::Attribute { dir: at, attribute };
                return if last { Ok(found) } else { Err(FindError::NotADirectory) };
            } else {
                return Err(FindError::NotFound);
            }
        }
        Ok(Found::Dir(at))
    }

    fn child(&self, dir: usize, name: &str) -> Option<usize> {
        let children = self.children.get(dir)?;
        let by_name = |child: &usize| self.dirs[*child].name.as_str().cmp(name);
        children.binary_search_by(by_name).ok().map(|n| children[n])
    }

    fn path(&self, found: Found) -> String {
        match found {
            Found::Dir(dir) => self.dirs[dir].path.clone(),
            Found::Attribute { dir, attribute } => {
                let dir = &self.dirs[dir];
                join(&dir.path, &dir.attributes[attribute].name)
            }
        }
    }
}

/// The components of a path, last one first. `.` and empty ones say nothing.
fn components(path: &str) -> impl Iterator<Item = &str> {
    path.rsplit('/').filter(|name| !matches!(*name, "" | "."))
}

fn attribute(dir: &Dir, name: &str) -> Option<usize> {
    let by_name = |attribute: &ScannedAttribute| attribute.name.as_str().cmp(name);
    dir.attributes.binary_search_by(by_name).ok()
}

/// Fills in where each link arrives. An absolute target counts from the root if it begins with
/// one of `prefixes`.
pub(super) fn resolve_links(dirs: &mut [Dir], prefixes: &[&str]) {
    let paths = Paths::new(dirs, prefixes);
    let resolved: Vec<Vec<Option<String>>> = (0..)
        .zip(paths.dirs)
        .map(|(at, dir)| {
            let arrive = |target: &str| paths.target(at, target).ok().map(|it| paths.path(it));
            dir.links.iter().map(|link| arrive(&link.target)).collect()
        })
        .collect();
    for (dir, resolved) in dirs.iter_mut().zip(resolved) {
        for (link, resolved) in dir.links.iter_mut().zip(resolved) {
            link.resolved = resolved;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Draft, Scanned};
    use super::*;

    fn tree() -> Scanned {
        let mut draft = Draft::default();
        draft.text("devices/disk", "size", 0o444, "8\n");
        draft.link("class/block", "disk", "../../devices/disk");
        draft.link("class", "again", "block/disk");
        draft.link("class", "absolute", "/sys/devices");
        draft.link("class", "far", "/usr/lib");
        draft.link("class", "sysfoo", "/sysfoo/devices");
        draft.link("class", "up", "../../..");
        draft.link("class", "here", ".");
        draft.link("class", "size", "../devices/disk/size");
        draft.link("class", "ping", "pong");
        draft.link("class", "pong", "ping");
        draft.link("class", "gone", "../devices/tape");
        draft.finish()
    }

    fn resolved<'a>(tree: &'a Scanned, name: &str) -> Option<&'a str> {
        let class = tree.dirs.iter().find(|dir| dir.path == "class").unwrap();
        class.links.iter().find(|link| link.name == name).unwrap().resolved.as_deref()
    }

    #[test]
    fn a_link_resolves_to_where_it_arrives_through_other_links() {
        let tree = tree();
        assert_eq!(resolved(&tree, "again"), Some("devices/disk"));
        assert_eq!(resolved(&tree, "absolute"), Some("devices"));
        assert_eq!(resolved(&tree, "here"), Some("class"));
        assert_eq!(resolved(&tree, "size"), Some("devices/disk/size"));
    }

    #[test]
    fn a_link_that_dangles_leaves_the_tree_or_circles_resolves_to_nothing() {
        let tree = tree();
        for name in ["far", "sysfoo", "up", "ping", "pong", "gone"] {
            assert_eq!(resolved(&tree, name), None, "{name}");
        }
    }

    #[test]
    fn a_path_is_found_in_every_way_of_writing_it() {
        let tree = tree();
        let size = tree.find("devices/disk/size");
        assert!(matches!(size, Ok(Found::Attribute { attribute: 0, .. })));
        for path in [
            "/devices/disk/size",
            "/sys/devices/disk/size",
            "./devices//disk/size",
            "devices/../class/block/disk/size",
            "class/here/here/again/size",
        ] {
            assert_eq!(tree.find(path), size, "{path}");
        }
        assert_eq!(tree.find(""), Ok(Found::Dir(0)));
        assert_eq!(tree.find("/"), Ok(Found::Dir(0)));
        assert_eq!(tree.find("/sys"), Ok(Found::Dir(0)));
    }

    #[test]
    fn a_path_that_names_nothing_says_why() {
        let tree = tree();
        assert_eq!(tree.find("devices/tape"), Err(FindError::NotFound));
        assert_eq!(tree.find("../x"), Err(FindError::NotFound));
        assert_eq!(tree.find("devices/disk/size/x"), Err(FindError::NotADirectory));
        assert_eq!(tree.find("class/ping"), Err(FindError::Loop));
    }

    #[test]
    fn a_subtree_is_a_directory_and_all_below_it() {
        let tree = tree();
        let Ok(Found::Dir(class)) = tree.find("class") else { panic!("class is a directory") };
        let paths = |at| tree.subtree(at).iter().map(|dir| dir.path.as_str()).collect::<Vec<_>>();
        assert_eq!(paths(class), ["class", "class/block"]);
        assert_eq!(paths(0), ["", "class", "class/block", "devices", "devices/disk"]);
        assert_eq!(paths(5), Vec::<&str>::new());
    }
}
