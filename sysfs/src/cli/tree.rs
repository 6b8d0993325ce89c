//! `enodev tree`: a tree, or part of one, as text.

use std::io::{self, Write};

use enodev_sysfs::{Content, Dir, Found, Scanned, ScannedAttribute, Unread};

use super::args::TreeArgs;
use super::render::{TreeWriter, Value};
use super::{Failure, note, source};

/// Prints the tree that `args` name.
pub(crate) fn run(args: &TreeArgs, out: &mut dyn Write) -> Result<(), Failure> {
    let tree = source::read(args.source.as_deref())?;
    let path = args.path.as_deref().unwrap_or("");
    let found = tree.find(path).map_err(|cause| Failure::Path { path: path.to_owned(), cause: cause.to_string() })?;
    print(&tree, found, &mut TreeWriter::new(out))?;
    out.flush()?;
    if !tree.skipped.is_empty() {
        note(&format!("left out or left unread: {}", tree.skipped));
    }
    Ok(())
}

/// Prints what was found: an attribute alone, a directory with all below it.
fn print(tree: &Scanned, found: Found, out: &mut TreeWriter<'_>) -> io::Result<()> {
    let index = match found {
        Found::Dir(index) => index,
        Found::Attribute { dir, attribute } => {
            let attribute = &tree.dirs[dir].attributes[attribute];
            return out.attribute(0, &attribute.name, value(attribute));
        }
    };
    let depth_of = |dir: &Dir| {
        if dir.path.is_empty() { 0 } else { 1 + dir.path.matches('/').count() }
    };
    let base = depth_of(&tree.dirs[index]);
    for dir in tree.subtree(index) {
        let depth = depth_of(dir) - base;
        out.dir(depth, if dir.path.is_empty() { "." } else { &dir.name })?;
        for attribute in &dir.attributes {
            out.attribute(depth + 1, &attribute.name, value(attribute))?;
        }
        for link in &dir.links {
            out.link(depth + 1, &link.name, &link.target)?;
        }
    }
    Ok(())
}

fn value(attribute: &ScannedAttribute) -> Value {
    match &attribute.content {
        Content::Bytes(bytes) => Value::Size(bytes.len()),
        Content::Errno(errno) => Value::Errno(*errno),
        Content::Unread(unread) => Value::Unread(unread_text(*unread)),
    }
}

/// A word or two on why there is no content.
pub(super) fn unread_text(unread: Unread) -> &'static str {
    match unread {
        Unread::WriteOnly => "write-only",
        Unread::Private => "private",
        Unread::Refused => "refused",
        Unread::TooLarge => "too large",
        _ => "not read",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use enodev_sysfs::builtin;

    /// What `enodev tree` prints of the builtin tree from `path` on.
    fn printed(path: &str) -> String {
        let tree = builtin();
        let mut out = Vec::new();
        print(&tree, tree.find(path).unwrap(), &mut TreeWriter::new(&mut out)).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn a_directory_shows_its_attributes_then_its_links_then_those_below() {
        assert_eq!(
            printed("bus/pci"),
            "pci/
  drivers_autoprobe  2 bytes
  rescan  write-only
  devices/
    0000:00:02.0 -> ../../../devices/pci0000:00/0000:00:02.0
    0000:00:05.0 -> ../../../devices/pci0000:00/0000:00:05.0
  drivers/
    tarn/
      bind  write-only
      unbind  write-only
      0000:00:02.0 -> ../../../../devices/pci0000:00/0000:00:02.0
    weir/
      bind  write-only
      unbind  write-only
      0000:00:05.0 -> ../../../../devices/pci0000:00/0000:00:05.0
"
        );
    }

    #[test]
    fn an_attribute_alone_is_one_line_and_links_on_the_way_are_followed() {
        assert_eq!(printed("class/net/weir0/carrier"), "carrier  EINVAL\n");
        assert_eq!(printed("class/net/weir0/ifalias"), "ifalias  0 bytes\n");
    }

    #[test]
    fn the_whole_tree_has_one_line_for_everything_in_it() {
        let tree = builtin();
        let lines = tree.dirs.len() + tree.attributes_len() + tree.links_len();
        let text = printed("");
        assert_eq!(text.lines().count(), lines);
        assert!(text.starts_with("./\n  bus/\n    pci/\n"));
    }
}
