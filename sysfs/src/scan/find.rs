//! Where the targets of links arrive.

use super::tree::{Dir, ScannedAttribute, join};

/// Links followed for one target before it counts as a circle; the kernel's own number.
const LINKS_MAX: usize = 40;

/// Where a target arrives, as places in the tree.
#[derive(Clone, Copy)]
enum Found {
    Dir(usize),
    Attribute { dir: usize, attribute: usize },
}

/// The tree, indexed by names.
struct Paths<'a> {
    dirs: &'a [Dir],
    /// For each directory those in it, in order of their names.
    children: Vec<Vec<usize>>,
    /// Absolute paths that mean the root of the tree.
    prefixes: &'a [&'a str],
}

impl<'a> Paths<'a> {
    fn new(dirs: &'a [Dir], prefixes: &'a [&'a str]) -> Self {
        let mut children = vec![Vec::new(); dirs.len()];
        for (index, dir) in dirs.iter().enumerate() {
            if let Some(siblings) = dir.parent.and_then(|parent| children.get_mut(parent)) {
                siblings.push(index);
            }
        }
        Self { dirs, children, prefixes }
    }

    /// What the target of a link in the directory `dir` names, if anything: it may dangle, lead out of the tree, or go
    /// round in a circle.
    fn target(&self, dir: usize, target: &str) -> Option<Found> {
        let (mut at, rest) = self.start(dir, target)?;
        let mut links = 1;
        // Components still to go, the next one last.
        let mut todo: Vec<&str> = components(rest).collect();
        while let Some(name) = todo.pop() {
            let dir = self.dirs.get(at)?;
            if name == ".." {
                at = dir.parent?;
            } else if let Some(child) = self.child(at, name) {
                at = child;
            } else if let Ok(n) = dir.links.binary_search_by(|link| link.name.as_str().cmp(name)) {
                links += 1;
                if links > LINKS_MAX {
                    return None;
                }
                let (next, rest) = self.start(at, &dir.links[n].target)?;
                at = next;
                todo.extend(components(rest));
            } else {
                let found = Found::Attribute { dir: at, attribute: attribute(dir, name)? };
                // An attribute in the middle of a target is no directory.
                return todo.is_empty().then_some(found);
            }
        }
        Some(Found::Dir(at))
    }

    /// Where a link's target begins, and what is left of it from there.
    fn start<'t>(&self, dir: usize, target: &'t str) -> Option<(usize, &'t str)> {
        if !target.starts_with('/') {
            return Some((dir, target));
        }
        let mut rests = self.prefixes.iter().filter_map(|prefix| below(prefix, target));
        rests.next().map(|rest| (0, rest))
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

/// The rest of `path` below `prefix`. "/sysfoo" does not lie below "/sys".
pub(super) fn below<'p>(prefix: &str, path: &'p str) -> Option<&'p str> {
    path.strip_prefix(prefix).filter(|rest| rest.is_empty() || rest.starts_with('/'))
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
            let arrive = |target: &str| paths.target(at, target).map(|it| paths.path(it));
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
        draft.link("class", "through", "../devices/disk/size/x");
        draft.link("class", "rooted", "/sys/devices//disk/./size");
        draft.link("class", "round", "here/here/../devices/../class/again/size");
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
        for name in ["size", "rooted", "round"] {
            assert_eq!(resolved(&tree, name), Some("devices/disk/size"), "{name}");
        }
    }

    #[test]
    fn a_link_that_dangles_leaves_the_tree_or_circles_resolves_to_nothing() {
        let tree = tree();
        for name in ["far", "sysfoo", "up", "ping", "pong", "gone", "through"] {
            assert_eq!(resolved(&tree, name), None, "{name}");
        }
    }

    #[test]
    fn a_subtree_is_a_directory_and_all_below_it() {
        let tree = tree();
        let paths: Vec<_> = tree.dirs.iter().map(|dir| dir.path.as_str()).collect();
        assert_eq!(paths, ["", "class", "class/block", "devices", "devices/disk"]);
        let lengths: Vec<_> = (0..6).map(|at| tree.subtree_len(at)).collect();
        assert_eq!(lengths, [5, 2, 1, 2, 1, 0]);
    }

    #[test]
    fn a_path_may_begin_with_what_stands_for_the_root() {
        let mut tree = tree();
        assert_eq!(tree.below_root("/sys/devices"), "/devices");
        assert_eq!(tree.below_root("/sys"), "");
        for path in ["", "devices", "/devices", "sys", "/sysfoo/devices"] {
            assert_eq!(tree.below_root(path), path);
        }
        tree.root = "/tmp/recorded".into();
        assert_eq!(tree.below_root("/tmp/recorded/devices"), "/devices");
        assert_eq!(tree.below_root("/sys/devices"), "/devices");
        // A live tree need not be the whole of `/sys`.
        tree.live = true;
        assert_eq!(tree.below_root("/sys/devices"), "/sys/devices");
    }
}
